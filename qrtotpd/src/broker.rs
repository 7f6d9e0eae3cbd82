//! State that all connections share, and the refusal of a caller.

use crate::PROGRAM;
use crate::admission::Admission;
use crate::caller::Away;
use crate::connection_limits::{self, ConnectionLimits};
use crate::log::Refusals;
use crate::services::Services;
use crate::work_limits::{Limit, WorkLimits};
use qrtotp_audit::Subject;
use qrtotp_wire::{Connection, Response};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// State shared by all connections.
pub struct Broker {
    /// Path of the configuration, which is read anew for each request.
    pub config: PathBuf,
    /// How long a check of the primary factor may take.
    pub pam_time: Duration,
    /// Callers waiting for admission.
    pub admission: Arc<Admission<Connection>>,
    /// Callers being served.
    pub connections: Arc<ConnectionLimits>,
    /// Requests being worked on.
    pub work: Arc<WorkLimits>,
    /// Users whose password is being checked.
    pub checks: Limit,
    /// Users who wait for their account's lock.
    pub waits: Limit,
    /// The services of `[broker.services]`.
    pub services: Services,
    /// The refusals that the log leaves out.
    pub refusals: Arc<Refusals>,
}

impl Broker {
    /// True if no caller is here, and no count has to be kept.
    pub fn is_empty(&self) -> bool {
        self.admission.is_empty() && self.connections.is_empty() && self.services.is_quiet()
    }

    /// How many connections of `uid` are served at a time.
    pub fn connections_of(&self, uid: u32) -> usize {
        if self.services.knows(uid) { connection_limits::SERVICE } else { connection_limits::EACH }
    }
}

/// Refuses to serve a caller.
pub fn send_away(line: &mut Connection, uid: u32, why: Away, broker: &Broker) {
    // In English, as the language is not known. The send buffer is empty, so this does not block.
    let _ = line.send(&Response::Refused(why.message().to_string()));
    let subject = Subject { by: uid.to_string(), service: PROGRAM.into(), ..Subject::default() };
    // Only an identified user can have used up their connections.
    let who = (why == Away::TooManyConnections).then_some(uid);
    broker.refusals.caller(who, &subject, why.reason());
}
