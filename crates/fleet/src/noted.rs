//! Hosts whose relays this verifier has noted in the store: each is noted again only after a while.

use crate::keys::HostName;
use qrtotp_values::UnixTime;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How often a host that is connected is noted again, in seconds.
const REPORTED: i64 = 600;

/// When this verifier last noted each host.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashMap<HostName, UnixTime>>);

impl Noted {
    /// Whether a host is to be noted now.
    pub fn is_due(&self, host: &HostName, now: UnixTime) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = noted.get(host).is_none_or(|at| now.abs_diff(*at) >= REPORTED.unsigned_abs());
        if is_due {
            noted.insert(host.clone(), now);
        }
        is_due
    }
}
