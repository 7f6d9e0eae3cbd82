//! The system log of a verifier: each line names the host and its attempt, so that it can be found in the
//! host's log.

use crate::PROGRAM;
use crate::log::Refusals;
use qrtotp_audit::{AuditSink, Entry, Priority};
use qrtotp_fleet_tls::hex;
use qrtotp_frames::ATTEMPT_LEN;
use qrtotp_frontend::Syslog;
use qrtotp_values::text::logfmt;
use std::sync::Arc;

/// Refused requests in sessions, by host and account.
pub type SessionRefusals = Refusals<(String, String)>;

struct Session {
    account: String,
    refusals: Arc<SessionRefusals>,
}

/// The log for one request. Lines are written once it is known that they are true: those of a session at
/// once.
pub struct RequestLog {
    host: String,
    attempt: String,
    session: Option<Session>,
    lines: Vec<(Priority, String)>,
}

impl RequestLog {
    pub fn open(host: &str, attempt: &[u8; ATTEMPT_LEN]) -> Self {
        Self { host: host.to_owned(), attempt: hex(attempt), session: None, lines: Vec::new() }
    }

    /// The log for a session of this account, which makes several decisions. A user opens as many sessions as
    /// they like, without a code.
    pub fn of_session(
        host: &str,
        attempt: &[u8; ATTEMPT_LEN],
        account: &str,
        refusals: &Arc<SessionRefusals>,
    ) -> Self {
        let mut log = Self::open(host, attempt);
        log.session = Some(Session { account: account.to_owned(), refusals: Arc::clone(refusals) });
        log
    }

    fn write(&mut self) {
        let mut syslog = Syslog::open(PROGRAM);
        self.lines.drain(..).for_each(|(priority, line)| syslog.write(priority, &line));
    }

    /// Drops the lines so far: they tell of a decision that was not made here.
    pub fn forget(&mut self) {
        self.lines.clear();
    }
}

impl AuditSink for RequestLog {
    fn record(&mut self, entry: &Entry<'_>) {
        if let Some(Session { account, refusals }) = &self.session
            && !refusals.admits(entry, Some((self.host.clone(), account.clone())), &self.host)
        {
            return;
        }
        let mut line = entry.line();
        logfmt(&mut line, "host", &self.host);
        logfmt(&mut line, "attempt", &self.attempt);
        self.lines.push((entry.priority(), line));
        if self.session.is_some() {
            self.write();
        }
    }

    fn debug(&mut self, _: &str) {}
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.write();
    }
}
