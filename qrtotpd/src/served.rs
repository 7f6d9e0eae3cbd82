//! A caller with a request, and how a request ends.

use crate::broker::Broker;
use crate::caller::Caller;
use crate::log::Log;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use qrtotp_audit::Subject;
use qrtotp_clock::SystemClock;
use qrtotp_flow::{AdminError, Ctx, EnrollError, HostDirectory, SelfService};
use qrtotp_messages::Message;
use qrtotp_policy::Config;
use qrtotp_store::StoreError;

/// Why a request ended early.
pub enum Ended {
    /// Refused, with the reason.
    Refused(Message),
    /// An internal error that is already logged.
    Logged,
    /// An error of the store that is not logged yet.
    Broken(StoreError),
    /// Another error that is not logged yet.
    Other(String),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

impl From<AdminError> for Ended {
    fn from(error: AdminError) -> Self {
        match error {
            refusal if refusal.is_refusal() => Self::Refused(refusal.message()),
            AdminError::Store(error) | AdminError::Enroll(EnrollError::Store(error)) => Self::Broken(error),
            other => Self::Other(other.to_string()),
        }
    }
}

/// A caller with a request.
pub struct Served<'a> {
    pub caller: &'a Caller,
    pub config: &'a Config,
    pub broker: &'a Broker,
    pub store: &'a RequestStore<'a>,
    pub person: Remote<'a>,
    pub subject: &'a Subject,
    pub log: &'a mut Log,
}

impl<'a> Served<'a> {
    /// The context of a flow, and the caller as its dialogue.
    pub fn flow(&mut self) -> (Ctx<'_>, &mut Remote<'a>) {
        let ctx = Ctx {
            config: self.config,
            store: self.store,
            directory: &HostDirectory,
            clock: &SystemClock,
            audit: self.log,
            subject: self.subject.clone(),
        };
        (ctx, &mut self.person)
    }

    /// Runs a flow of the caller as the owner of an account.
    pub fn as_owner<T>(&mut self, run: impl FnOnce(SelfService<'_, '_>) -> T) -> T {
        let (name, uid) = (&self.caller.name, self.caller.uid);
        let (mut ctx, dialog) = self.flow();
        run(SelfService { ctx: &mut ctx, name, uid, dialog })
    }
}
