//! Hosts whose relays this verifier has noted in the store: each is noted again only after a while.

use crate::keys::HostName;
use crate::values::HostReport;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How often a host that is connected is noted again, in seconds.
const REPORTED: i64 = 600;

/// What this verifier last noted of each host.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashMap<HostName, HostReport>>);

impl Noted {
    /// Whether a host is to be noted now: after a while, or because something changed.
    pub fn is_due(&self, host: &HostName, report: &HostReport) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &HostReport| {
            let age = report.seen.abs_diff(known.seen);
            age < REPORTED.unsigned_abs() && HostReport { seen: report.seen, ..known.clone() } == *report
        };
        let is_due = !noted.get(host).is_some_and(is_same);
        if is_due {
            noted.insert(host.clone(), report.clone());
        }
        is_due
    }
}
