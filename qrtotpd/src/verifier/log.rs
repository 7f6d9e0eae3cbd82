//! The system log of a verifier: each line names the host and its attempt, so that it can be found in the
//! host's log.

use crate::PROGRAM;
use qrtotp_audit::{AuditSink, Entry};
use qrtotp_fleet_tls::hex;
use qrtotp_frames::ATTEMPT_LEN;
use qrtotp_frontend::Syslog;
use qrtotp_values::text::logfmt;

/// The log for one request.
pub struct RequestLog {
    host: String,
    attempt: String,
    syslog: Syslog,
}

impl RequestLog {
    pub fn open(host: &str, attempt: &[u8; ATTEMPT_LEN]) -> Self {
        Self { host: host.to_owned(), attempt: hex(attempt), syslog: Syslog::open(PROGRAM) }
    }
}

impl AuditSink for RequestLog {
    fn record(&mut self, entry: &Entry<'_>) {
        let mut line = entry.line();
        logfmt(&mut line, "host", &self.host);
        logfmt(&mut line, "attempt", &self.attempt);
        self.syslog.write(entry.priority(), &line);
    }

    fn debug(&mut self, _: &str) {}
}
