//! Keeps connections to two verifiers, so that no login waits for a handshake, and the certificate fresh.

use crate::relay::{Relay, TRY};
use qrtotp_clock::{Deadline, sleep};
use qrtotp_frames::{FleetRequest, FleetResponse};
use std::io::Write;
use std::time::Duration;

/// Verifiers to which a connection is kept.
const WARM: usize = 2;
/// How often they are told that we are here.
const PERIOD: Duration = Duration::from_secs(30);
/// How often the certificate is renewed. It is valid for 90 days.
const RENEWAL: Duration = Duration::from_secs(86_400);
/// How often a probe tries.
const PROBE: Duration = Duration::from_millis(500);

/// Runs as long as the relay.
pub fn keep(relay: &Relay) {
    let mut renewal = Deadline::after(Duration::ZERO);
    loop {
        relay.verifiers.iter().for_each(|verifier| verifier.look_up());
        let is_warm = warm(relay, WARM);
        if is_warm && relay.identity.can_renew() && renewal.left().is_zero() && renew(relay) {
            renewal = Deadline::after(RENEWAL);
            warm(relay, WARM); // with the new certificate, and the CAs that came with it
        }
        sleep(PERIOD);
    }
}

/// Runs until a verifier is reached, or requests may try again themselves.
pub fn probe(relay: &Relay) {
    while !relay.breaker.admits() {
        if warm(relay, relay.verifiers.len()) {
            relay.breaker.succeeded();
        }
        sleep(PROBE);
    }
    relay.breaker.end_probe();
}

/// Whether one of the first `count` verifiers was reached.
fn warm(relay: &Relay, count: usize) -> bool {
    let config = relay.identity.config();
    let (version, authorities) = (env!("CARGO_PKG_VERSION").to_owned(), relay.identity.authorities());
    let report = FleetRequest::Report { version, authorities };
    let asked = relay.verifiers.iter().take(count).map(|verifier| verifier.ask(&config, &report, TRY));
    let reached: Vec<bool> = asked.map(|response| matches!(response, Ok(FleetResponse::Done))).collect();
    if reached.first() == Some(&true) {
        relay.prefer();
    }
    reached.contains(&true)
}

fn renew(relay: &Relay) -> bool {
    match relay.ask(&FleetRequest::Renew) {
        FleetResponse::Certificates(certificates) => {
            if let Err(error) = relay.identity.renew(&certificates) {
                let text = "qrtotp-relay: the renewed certificate can't be used or kept";
                let _ = writeln!(std::io::stderr(), "{text}: {error}");
                return false;
            }
            relay.verifiers.iter().for_each(|verifier| verifier.forget());
            true
        }
        _ => false,
    }
}
