//! A caller with a request, and how a request ends.

use crate::caller::Caller;
use crate::log::Log;
use crate::remote::Remote;
use crate::request_store::RequestStore;
use qrtotp_audit::{AuditSink, Event, Kind, Subject};
use qrtotp_clock::SystemClock;
use qrtotp_flow::{AdminError, Ctx, EnrollError, HostDirectory, SelfService};
use qrtotp_messages::Message;
use qrtotp_policy::Config;
use qrtotp_store::{Store, StoreError};

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

/// A caller with a request: at this host's broker, or at a verifier, which has another store and log.
pub struct Served<'a, S = RequestStore<'a>, L = Log> {
    pub caller: &'a Caller,
    pub config: &'a Config,
    pub store: &'a S,
    pub person: Remote<'a>,
    pub subject: &'a Subject,
    pub log: &'a mut L,
}

impl<'a, S: Store, L: AuditSink> Served<'a, S, L> {
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

/// Reports an error of the store: the reason to the administrator's log.
pub fn broken(subject: &Subject, error: &StoreError, log: &mut dyn AuditSink) {
    if error.is_record_fault() {
        Event::new(Kind::RecordDamaged, subject).reason(error.reason()).detail(&error.to_string()).emit(log);
        return;
    }
    unusable(subject, error.reason(), &error.to_string(), log)
}

/// Reports an unusable configuration: the reason to the administrator's log. The caller gets only the fact.
pub fn unusable(subject: &Subject, reason: &str, detail: &str, log: &mut dyn AuditSink) {
    Event::new(Kind::ConfigurationRefused, subject).reason(reason).detail(detail).emit(log);
}
