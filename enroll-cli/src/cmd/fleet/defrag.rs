//! `qrtotp fleet defrag`: gives unused space of this verifier's etcd back, one verifier at a time.

use super::verifier;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, Deadline, SystemClock, sleep};
use qrtotp_fleet::{Alarm, Etcd, FleetError, FleetStore, HostName};
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
/// How long another verifier may need for its next witness after its own turn.
const NEXT_WITNESS: Duration = Duration::from_secs(10);
/// A turn that is not given back ends after so many seconds.
const TURN: i64 = 300;

pub fn run(named: &Path) -> Result<Exit, Failure> {
    let (_, files) = verifier::files(named)?;
    let (etcd, store) = (files.etcd()?, files.open_beside()?);
    let mut out = std::io::stdout().lock();
    // A full database takes no write: no turn and no witness. Nobody logs in meanwhile, so a pause harms
    // nobody.
    let is_full = alarms(&etcd)?.contains(&Alarm::NoSpace);
    if !is_full {
        take_turn(&store)?;
    }
    let done = if is_full { Ok(()) } else { others_answer(&store) };
    let done = done.and_then(|()| Ok(etcd.defragment(LIMIT).map_err(FleetError::from)?));
    if !is_full {
        give_back(&store);
    }
    let (before, after) = done?;
    writeln!(out, "etcd's database had {} kB, and has {} kB now.", before / 1024, after / 1024)?;
    Ok(Exit::Done)
}

/// The alarms of a store that has a quorum and whose members agree.
fn alarms(etcd: &Etcd) -> Result<Vec<Alarm>, Failure> {
    let status = etcd.status(LIMIT).map_err(FleetError::from)?;
    let (Some(_), Some(alarms)) = (status.members, status.alarms) else {
        return Err(Failure::Refused("etcd has no quorum; `qrtotp fleet status` says more".into()));
    };
    let alarms: Vec<Alarm> = alarms.into_iter().map(|(_, alarm)| alarm).collect();
    match alarms.contains(&Alarm::Corrupt) {
        true => Err(Failure::Refused("etcd's members differ; `qrtotp fleet status` says more".into())),
        false => Ok(alarms),
    }
}

fn take_turn(store: &FleetStore) -> Result<(), Failure> {
    let patience = Deadline::after(PATIENCE);
    while let Some(other) = store.take_turn(SystemClock.now(), TURN)? {
        if patience.left().is_zero() {
            return Err(Failure::Refused(format!("verifier {other} is at it; try again later")));
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// With another verifier away already, this one must not pause. One whose own turn has just ended is back
/// within [`NEXT_WITNESS`].
fn others_answer(store: &FleetStore) -> Result<(), Failure> {
    let patience = Deadline::after(NEXT_WITNESS);
    while let Some(name) = silent(store)? {
        if patience.left().is_zero() {
            return Err(Failure::Refused(format!("verifier {name} is away; try again when it is back")));
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Another verifier that has not been heard of for [`SILENT`].
fn silent(store: &FleetStore) -> Result<Option<HostName>, Failure> {
    let now = SystemClock.now();
    let is_silent = |clock| now - clock > SILENT;
    let mut others = store.witnesses()?.into_iter().filter(|(name, _)| name != store.verifier());
    Ok(others.find(|(_, witness)| is_silent(witness.clock)).map(|(name, _)| name))
}

/// Etcd is busy for a moment afterwards; a turn that stays ends by itself.
fn give_back(store: &FleetStore) {
    let left = Deadline::after(Duration::from_secs(20));
    while store.end_turn().is_err() && !left.left().is_zero() {
        sleep(PAUSE);
    }
}
