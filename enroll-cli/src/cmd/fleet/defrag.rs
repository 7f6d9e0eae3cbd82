//! `qrtotp fleet defrag`: gives unused space of this verifier's etcd back, one verifier at a time.

use super::verifier;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, Deadline, SystemClock, sleep};
use qrtotp_fleet::{Etcd, FleetError, FleetStore};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How long it may take. A database of 2 GB takes some ten seconds.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the others may take before us.
const PATIENCE: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_secs(2);
/// A verifier writes a witness every 5 s. One that wrote none for so many seconds is away.
const SILENT: i64 = 20;
/// A turn that is not given back ends after so many seconds.
const TURN: i64 = 300;

pub fn run(named: &Path) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let (etcd, store) = (files.etcd()?, files.open_beside()?);
    let patience = Deadline::after(PATIENCE);
    let mut out = std::io::stdout().lock();
    while let Some(other) = store.take_turn(SystemClock.now(), TURN)? {
        if patience.left().is_zero() {
            return Err(Failure::Refused(format!("verifier {other} is at it; try again later")));
        }
        sleep(PAUSE);
    }
    let done = others_answer(&etcd, &store);
    let done = done.and_then(|()| Ok(etcd.defragment(LIMIT).map_err(FleetError::from)?));
    give_back(&store);
    let (before, after) = done?;
    writeln!(out, "etcd's database had {} kB, and has {} kB now.", before / 1024, after / 1024)?;
    Ok(Exit::Done)
}

/// With another verifier away already, this one must not pause.
fn others_answer(etcd: &Etcd, store: &FleetStore) -> Result<(), Failure> {
    let status = etcd.status(LIMIT).map_err(FleetError::from)?;
    let (Some(_), Some(alarms)) = (status.members, status.alarms) else {
        return Err(Failure::Refused("etcd has no quorum; `qrtotp fleet status` says more".into()));
    };
    let now = SystemClock.now();
    let gone = store.witnesses()?.into_iter().find(|(_, witness)| now - witness.clock > SILENT);
    if let Some((name, _)) = gone.filter(|(name, _)| name != store.verifier()) {
        return Err(Failure::Refused(format!("verifier {name} is away; try again when it is back")));
    }
    match alarms.iter().any(|(_, alarm)| *alarm == qrtotp_fleet::Alarm::Corrupt) {
        true => Err(Failure::Refused("etcd's members differ; `qrtotp fleet status` says more".into())),
        false => Ok(()),
    }
}

/// Etcd is busy for a moment afterwards; a turn that stays ends by itself.
fn give_back(store: &FleetStore) {
    let left = Deadline::after(Duration::from_secs(20));
    while store.end_turn().is_err() && !left.left().is_zero() {
        sleep(PAUSE);
    }
}
