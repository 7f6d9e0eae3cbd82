//! Writes the verifier's witness, without which a restored backup would not be noticed, and watches the
//! clocks of all verifiers.

use super::clocks::{WARN, describe};
use super::state::Verifier;
use crate::PROGRAM;
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::{Clock, SystemClock, sleep};
use qrtotp_fleet::Condition;
use qrtotp_fleet_tls::ca_hash;
use qrtotp_frontend::Syslog;
use std::time::Duration;

/// How often the witnesses of all are read.
const LOOK: Duration = Duration::from_secs(1);
/// Our own is written each so many times.
const WRITE: u32 = 5;

/// Runs as long as the verifier.
pub fn keep(verifier: &Verifier) {
    let (mut logged, mut clock_logged) = (String::new(), false);
    let authorities: Vec<_> = verifier.authorities.iter().map(ca_hash).collect();
    verifier.store.describe(Condition { ahead: 0, authorities: authorities.clone() });
    for round in 0_u32.. {
        let written =
            if round % WRITE == 0 { verifier.store.keep_witness(SystemClock.now()) } else { Ok(()) };
        let ahead = written.and_then(|()| {
            let witnesses = verifier.store.witnesses()?;
            let ahead = verifier.clocks.take(verifier.store.verifier(), &witnesses, SystemClock.now());
            verifier.store.describe(Condition { ahead, authorities: authorities.clone() });
            Ok(ahead)
        });
        match ahead {
            Ok(ahead) if ahead.abs() > WARN => {
                if !std::mem::replace(&mut clock_logged, true) {
                    report("clock", &describe(ahead));
                }
            }
            Ok(_) => (logged, clock_logged) = (String::new(), false),
            Err(error) if error.reason() == logged => {}
            Err(error) => {
                error.reason().clone_into(&mut logged);
                report(error.reason(), &error.to_string());
            }
        }
        verifier.refusals.sweep();
        sleep(LOOK);
    }
}

fn report(reason: &str, detail: &str) {
    let subject = Subject { service: PROGRAM.into(), ..Subject::default() };
    let event = Event::new(Kind::StoreUnavailable, &subject).reason(reason).detail(detail);
    event.emit(&mut Syslog::open(PROGRAM));
}
