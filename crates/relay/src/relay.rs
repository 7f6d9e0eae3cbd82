//! Asks one verifier after the other for a verdict.

use crate::breaker::Breaker;
use crate::identity::HostIdentity;
use crate::verifier::Verifier;
use qrtotp_clock::{Deadline, sleep};
use qrtotp_frames::{FleetRequest, FleetResponse, Unavailable};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Time limit for one verifier.
pub const TRY: Duration = Duration::from_millis(800);
/// Time limit for all of them: the module waits for 3 s.
const ALL: Duration = Duration::from_millis(2700);
/// The pause after all of them failed: etcd elects another leader in about a second.
const PAUSE: Duration = Duration::from_millis(100);

/// The relay.
pub struct Relay {
    /// The preferred one first.
    pub verifiers: Vec<Verifier>,
    /// The place of the one that answered last: the next request goes there first.
    pub last: AtomicUsize,
    /// The host's key and certificate.
    pub identity: HostIdentity,
    /// Refuses requests while no verifier can be reached.
    pub breaker: Breaker,
    /// Sessions that are open.
    pub sessions: Arc<AtomicUsize>,
    /// Written when a login got no verdict: a break-glass code may follow, and root's
    /// qrtotp-offline-report.path watches this file.
    pub unanswered: Option<PathBuf>,
}

/// The lines of the file `verifiers`, in an order that differs from host to host, so that the load spreads.
pub fn in_order(lines: &str, host: &str) -> Vec<Verifier> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut lines: Vec<&str> = lines.collect();
    if !lines.is_empty() {
        let mut hasher = DefaultHasher::new();
        host.hash(&mut hasher);
        let first = hasher.finish() % lines.len() as u64;
        lines.rotate_left(usize::try_from(first).unwrap_or(0));
    }
    lines.into_iter().map(Verifier::new).collect()
}

impl Relay {
    /// A verifier's response. A verifier that does not answer in time may have used up the code; the next one
    /// gets the same request, with the same id.
    pub fn ask(&self, request: &FleetRequest) -> FleetResponse {
        let config = self.identity.config();
        let is_store = |response: &FleetResponse| *response == FleetResponse::Unavailable(Unavailable::Store);
        let response = self.first(|verifier, limit| verifier.ask(&config, request, limit).ok(), is_store);
        response.unwrap_or_else(FleetResponse::Unavailable)
    }

    /// The response of the first verifier that is reached in time and has the store.
    ///
    /// # Errors
    /// None was reached, or none has the store.
    pub fn first<T>(
        &self,
        ask: impl Fn(&Verifier, Duration) -> Option<T>,
        lacks_store: impl Fn(&T) -> bool,
    ) -> Result<T, Unavailable> {
        let (deadline, mut why) = (Deadline::after(ALL), Unavailable::NoVerifier);
        let first = self.last.load(Ordering::Relaxed);
        let places = (0..self.verifiers.len()).cycle().skip(first);
        for (tries, place) in (1..).zip(places) {
            let limit = TRY.min(deadline.left());
            let Some(verifier) = self.verifiers.get(place).filter(|_| !limit.is_zero()) else { break };
            match ask(verifier, limit) {
                Some(response) if lacks_store(&response) => why = Unavailable::Store,
                Some(response) => {
                    self.breaker.succeeded();
                    self.last.store(place, Ordering::Relaxed);
                    return Ok(response);
                }
                None => {}
            }
            if tries % self.verifiers.len() == 0 {
                sleep(PAUSE.min(deadline.left()));
            }
        }
        Err(why)
    }

    /// Tells root that a login got no verdict.
    pub fn note_unanswered(&self) {
        if let Some(path) = &self.unanswered {
            let _ = fs::write(path, b"a login got no verdict\n"); // the next one, or the next boot, tells it, too
        }
    }

    /// Lets the next request go to the preferred verifier first again.
    pub fn prefer(&self) {
        self.last.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn hosts_prefer_different_verifiers_and_each_host_always_the_same() {
        let lines = "v1\n# the second room\n\nv2\nv3\n";
        assert_eq!(in_order(lines, "web1").len(), 3);
        let first = |host: &str| {
            let verifiers = in_order(lines, host);
            verifiers.first().unwrap().name().to_owned()
        };
        let preferred: BTreeSet<String> = (0..50).map(|number| first(&format!("web{number}"))).collect();
        assert_eq!(preferred.into_iter().collect::<Vec<_>>(), ["v1", "v2", "v3"]);
        assert_eq!(first("web1"), first("web1"));
        assert!(in_order("", "web1").is_empty());
    }
}
