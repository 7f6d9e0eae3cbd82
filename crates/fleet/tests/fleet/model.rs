//! Every interleaving of the store's steps with other verifiers' and an admin's, and the same with planted
//! faults, each of which must be found.

use crate::accounts::{
    AttemptResult, Fleet, attempt_at, enrol, has_device, host, log_in, name, revoke, set_host, watermark,
};
use crate::scheduler::{Log, Planted, Scheduled};
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_account::{Decision, Name};
use qrtotp_fleet::{AttemptId, Engine, FleetError, FleetStore, HostState};
use std::os::fd::IntoRawFd as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const STEP: u64 = 50;
/// Threads of an exploration.
const WORKERS: usize = 8;
const ACCEPTED: AttemptResult = Ok(Some(Decision::Accepted));

/// Three verifiers under a scheduler, and an account that is new in each run.
struct Model {
    engine: Arc<Scheduled>,
    fleet: Fleet,
}

/// The answer to an actor, once there is one.
type Slot<T> = Mutex<Option<T>>;

impl Model {
    fn new(planted: Planted) -> Self {
        let engine = Scheduled::new(planted);
        let engines = [0, 1, 2].map(|_| Arc::clone(&engine) as Arc<dyn Engine>);
        let fleet = Fleet::create_in(&engines, &["h1", "h2"], directory_in_memory);
        for verifier in &fleet.verifiers {
            verifier.meta().unwrap(); // each has looked at the store
        }
        enrol(&fleet.verifiers[0].admin(), &name("alice"));
        engine.keep();
        Self { engine, fleet }
    }

    fn verifier(&self, number: usize) -> &FleetStore {
        &self.fleet.verifiers[number]
    }

    /// The verifiers that are asked remember the account as it is, or as it was before it was written again.
    fn remember(&self, account: &Name, remembered: Remembered) {
        for (verifier, at) in [(0, "h1"), (1, "h1"), (1, "h2")] {
            let attempt = AttemptId::generate().unwrap();
            attempt_at(self.verifier(verifier), &host(at), attempt, STEP).begin(account).unwrap();
        }
        if remembered == Remembered::Wrongly {
            self.engine.put_back();
        }
    }
}

/// What verifiers remember of an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remembered {
    Rightly,
    Wrongly,
}

const EITHER: [Remembered; 2] = [Remembered::Rightly, Remembered::Wrongly];

/// Runs `once` in every order, by some threads with a model each. It gets the choices, and returns how many
/// there were at each point, and what went wrong. The first fault ends it.
fn explore(planted: Planted, once: impl Fn(&Model, &[usize]) -> Run + Sync) -> Result<usize, String> {
    let work = Mutex::new(Work { prefixes: vec![Vec::new()], busy: 0, runs: 0, fault: None });
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| explore_some(&Model::new(planted), &work, &once));
        }
    });
    let work = work.into_inner().unwrap();
    work.fault.map_or(Ok(work.runs), Err)
}

/// How many choices there were at each point of a run, and what went wrong.
type Run = (Vec<usize>, Result<(), String>);

struct Work {
    /// Beginnings of runs to come.
    prefixes: Vec<Vec<usize>>,
    busy: usize,
    runs: usize,
    fault: Option<String>,
}

fn explore_some(model: &Model, work: &Mutex<Work>, once: &dyn Fn(&Model, &[usize]) -> Run) {
    loop {
        let prefix = {
            let mut work = work.lock().unwrap();
            if work.fault.is_some() || (work.prefixes.is_empty() && work.busy == 0) {
                return;
            }
            let prefix = work.prefixes.pop();
            work.busy += usize::from(prefix.is_some());
            prefix
        };
        let Some(prefix) = prefix else {
            qrtotp_clock::sleep(Duration::from_millis(1)); // another thread will find more
            continue;
        };
        model.engine.put_back();
        let (counts, result) = once(model, &prefix);
        let mut work = work.lock().unwrap();
        work.busy -= 1;
        work.runs += 1;
        if let Err(fault) = result {
            work.fault = Some(format!("{fault} ({prefix:?})"));
        }
        let others =
            (prefix.len()..counts.len()).flat_map(|at| (1..counts[at]).map(move |choice| (at, choice)));
        for (at, choice) in others {
            let mut other = prefix.clone();
            other.resize(at, 0);
            other.push(choice);
            work.prefixes.push(other);
        }
    }
}

/// A directory whose journal needs no disk.
fn directory_in_memory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let journal = memfd_create(c"journal", MFdFlags::MFD_CLOEXEC).unwrap().into_raw_fd();
    std::os::unix::fs::symlink(format!("/proc/self/fd/{journal}"), directory.path().join("journal")).unwrap();
    directory
}

fn check(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

fn keep<T>(slot: &Slot<T>, result: T) {
    *slot.lock().unwrap() = Some(result);
}

fn take<T>(slot: Slot<T>) -> T {
    slot.into_inner().unwrap().expect("the actor ran")
}

/// An attempt that the relay sends to verifier 0 and, if that does not answer, with the same id to verifier
/// 1; another host's attempt with the same code at verifier 1; and an admin who revokes at verifier 2.
fn code_and_revocation(planted: Planted, remembered: Remembered) -> Result<usize, String> {
    explore(planted, |model, choices| {
        let account = &name("alice");
        model.remember(account, remembered);
        let [first, second] = [(); 2].map(|()| AttemptId::generate().unwrap());
        let (relayed, other, revoked) = (Slot::default(), Slot::default(), Slot::default());
        let at =
            |verifier, at: &str, attempt| log_in(model.verifier(verifier), &host(at), attempt, account, STEP);
        let relay = || {
            let result = at(0, "h1", first);
            keep(&relayed, if result.is_err() { at(1, "h1", first) } else { result });
        };
        let contender = || keep(&other, at(1, "h2", second));
        let admin = || keep(&revoked, revoke(&model.verifier(2).admin(), account).is_ok());
        let (counts, log) = model.engine.run(&[&relay, &contender, &admin], 1, choices);
        let results = [take(relayed), take(other)];
        (counts, once_and_never_after(model, account, &results, take(revoked), &log))
    })
}

fn once_and_never_after(
    model: &Model,
    account: &Name,
    results: &[AttemptResult; 2],
    revoked: bool,
    log: &Log,
) -> Result<(), String> {
    let accepted = results.iter().filter(|result| **result == ACCEPTED).count();
    check(accepted <= 1, "two hosts were told that the same code is accepted")?;
    let revocation = log.wrote(2, "/r");
    for (actor, result) in results.iter().enumerate().filter(|(_, result)| **result == ACCEPTED) {
        let write = log.wrote(actor, "/s");
        check(write.is_some(), &format!("{result:?} is not in the store"))?;
        check(revocation.is_none_or(|at| write < Some(at)), "a code was accepted after the revocation")?;
    }
    if revoked {
        check(!has_device(model.verifier(0), account), "an acknowledged revocation is not in the store")?;
    } else if accepted == 1 {
        check(watermark(model.verifier(0), account) >= STEP, "a told acceptance is not in the state")?;
    }
    Ok(())
}

/// An attempt at one host, with its answer lost or not, and nobody else: the person is let in.
fn resent_attempt(planted: Planted, remembered: Remembered, is_new_id: bool) -> Result<usize, String> {
    explore(planted, |model, choices| {
        let account = &name("alice");
        model.remember(account, remembered);
        let ids = [(); 2].map(|()| AttemptId::generate().unwrap());
        let result = Slot::default();
        let early = Slot::default();
        let relay = || {
            // The relay gives up waiting and asks the next verifier, while the first one may still be at it.
            keep(&early, log_in(model.verifier(0), &host("h1"), ids[0], account, STEP));
        };
        let again = || {
            let id = ids[usize::from(is_new_id)];
            keep(&result, log_in(model.verifier(1), &host("h1"), id, account, STEP));
        };
        let (counts, _) = model.engine.run(&[&relay, &again], 1, choices);
        let (early, result) = (take(early), take(result));
        let holds = early == ACCEPTED && result == ACCEPTED;
        (counts, check(holds, &format!("the right code of one attempt got {early:?} and {result:?}")))
    })
}

/// An attempt, and an admin who ends the host's right to ask: the host is revoked, or the account moves to
/// another group.
fn code_and_lost_right(
    planted: Planted,
    remembered: Remembered,
    key: &str,
    end: fn(&FleetStore, &Name) -> bool,
) -> Result<usize, String> {
    explore(planted, |model, choices| {
        let account = &name("alice");
        model.remember(account, remembered);
        let ended = Slot::default();
        let id = AttemptId::generate().unwrap();
        let login = || drop(log_in(model.verifier(0), &host("h1"), id, account, STEP));
        let admin = || keep(&ended, end(model.verifier(2), account));
        let (counts, log) = model.engine.run(&[&login, &admin], 1, choices);
        let (write, end) = (log.wrote(0, "/s"), log.wrote(1, key));
        let never_after = end.is_none_or(|at| write.is_none() || write < Some(at));
        let holds = check(never_after, "an account was changed by a host that had lost its right")
            .and(check(!take(ended) || end.is_some(), "an acknowledged change is not there"));
        (counts, holds)
    })
}

fn revoke_host(store: &FleetStore, _: &Name) -> bool {
    set_host(store, "h1", HostState::Revoked).is_ok()
}

fn move_account(store: &FleetStore, account: &Name) -> bool {
    store.set_groups(account, &["db".to_owned()]).is_ok()
}

/// A revocation at one verifier, and a look at the account elsewhere once it is acknowledged.
fn look_after_revocation(planted: Planted) -> Result<usize, String> {
    explore(planted, |model, choices| {
        let account = &name("alice");
        let found = Slot::default();
        let admin = || {
            let revoked = revoke(&model.verifier(2).admin(), account);
            let untouched = match &revoked {
                Err(error) => matches!(FleetError::of(error), Some(FleetError::NoQuorum(_))),
                Ok(()) => false,
            };
            keep(&found, (revoked.is_ok(), untouched, has_device(model.verifier(1), account)));
        };
        let (counts, log) = model.engine.run(&[&admin], 1, choices);
        let (is_acknowledged, is_untouched, has_device) = take(found);
        let seen = check(!(is_acknowledged && has_device), "a device was found after its revocation");
        let lie = !(is_untouched && log.wrote(0, "/r").is_some());
        (counts, seen.and(check(lie, "\"nothing was changed\" was said of a change")))
    })
}

#[test]
fn in_every_order_a_code_is_accepted_at_most_once_and_never_after_a_revocation() {
    for remembered in EITHER {
        let runs = code_and_revocation(Planted::Nothing, remembered).unwrap();
        assert!(runs > 1000, "{runs}");
    }
}

#[test]
fn in_every_order_an_attempt_sent_twice_is_one_attempt() {
    for remembered in EITHER {
        let runs = resent_attempt(Planted::Nothing, remembered, false).unwrap();
        assert!(runs > 20, "{runs}");
    }
}

#[test]
fn in_every_order_a_host_that_has_lost_its_right_changes_nothing() {
    for remembered in EITHER {
        assert!(code_and_lost_right(Planted::Nothing, remembered, "/h1", revoke_host).unwrap() > 30);
        assert!(code_and_lost_right(Planted::Nothing, remembered, "/r", move_account).unwrap() > 30);
    }
}

#[test]
fn a_revocation_is_seen_everywhere_once_it_is_acknowledged() {
    assert!(look_after_revocation(Planted::Nothing).unwrap() > 3);
}

#[test]
fn a_compare_without_the_state_is_found() {
    for remembered in EITHER {
        let fault = code_and_revocation(Planted::WithoutCompare("/s"), remembered).unwrap_err();
        assert!(fault.contains("two hosts") || fault.contains("after the revocation"), "{fault}");
    }
}

#[test]
fn a_compare_without_the_record_is_found() {
    for remembered in EITHER {
        code_and_lost_right(Planted::WithoutCompare("/r"), remembered, "/r", move_account).unwrap_err();
    }
}

#[test]
fn a_compare_without_the_host_is_found() {
    for remembered in EITHER {
        code_and_lost_right(Planted::WithoutCompare("/h/"), remembered, "/h1", revoke_host).unwrap_err();
    }
}

#[test]
fn a_serializable_read_is_found() {
    look_after_revocation(Planted::StaleReads).unwrap_err();
}

#[test]
fn a_retry_with_a_new_attempt_id_is_found() {
    for remembered in EITHER {
        resent_attempt(Planted::Nothing, remembered, true).unwrap_err();
    }
}

#[test]
fn an_unclear_outcome_that_is_read_as_not_sent_is_found() {
    look_after_revocation(Planted::UnclearIsNotSent).unwrap_err();
}
