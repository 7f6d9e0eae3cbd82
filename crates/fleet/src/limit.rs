//! How long operations may take.

use crate::guard::TRY;
use qrtotp_clock::Deadline;
use std::time::Duration;

/// The time of one operation of a session or an admin's command.
pub(crate) const EACH: Duration = Duration::from_secs(3);

/// The time for all operations together, or for each one.
#[derive(Debug)]
pub(crate) enum Limit {
    Together(Deadline),
    Each(Duration),
}

/// The time that one operation has.
pub(crate) struct Left<'a> {
    time: Time<'a>,
    /// Given back while the operation waits for etcd.
    permit: Option<&'a dyn Permit>,
}

enum Time<'a> {
    Of(&'a Deadline),
    Own(Deadline),
}

/// A permit to compute, which its holder gives back for as long as it waits for etcd.
pub trait Permit {
    /// Lets others compute.
    fn give_back(&self);
    /// Waits until it may compute again.
    fn take_again(&self);
}

/// A wait for etcd.
pub(crate) struct Wait<'a>(Option<&'a dyn Permit>);

impl Limit {
    pub fn start(&self) -> Left<'_> {
        let time = match self {
            Self::Together(deadline) => Time::Of(deadline),
            Self::Each(time) => Time::Own(Deadline::after(*time)),
        };
        Left { time, permit: None }
    }
}

impl<'a> Left<'a> {
    pub fn with_permit(self, permit: Option<&'a dyn Permit>) -> Self {
        Self { permit, ..self }
    }

    /// The time for the next request. None: it is over.
    pub fn next(&self) -> Option<Duration> {
        let left = match &self.time {
            Time::Of(deadline) => deadline.left(),
            Time::Own(deadline) => deadline.left(),
        };
        Some(left.min(TRY)).filter(|left| !left.is_zero())
    }

    /// Begins a wait for etcd, which ends when it is dropped.
    pub fn wait(&self) -> Wait<'a> {
        if let Some(permit) = self.permit {
            permit.give_back();
        }
        Wait(self.permit)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.0 {
            permit.take_again();
        }
    }
}
