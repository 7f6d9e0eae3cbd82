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
#[derive(Debug)]
pub(crate) enum Left<'a> {
    Of(&'a Deadline),
    Own(Deadline),
}

impl Limit {
    pub fn start(&self) -> Left<'_> {
        match self {
            Self::Together(deadline) => Left::Of(deadline),
            Self::Each(time) => Left::Own(Deadline::after(*time)),
        }
    }
}

impl Left<'_> {
    /// The time for the next request. None: it is over.
    pub fn next(&self) -> Option<Duration> {
        let left = match self {
            Left::Of(deadline) => deadline.left(),
            Left::Own(deadline) => deadline.left(),
        };
        Some(left.min(TRY)).filter(|left| !left.is_zero())
    }
}
