//! Acceptances from a verifier's memory, on the double.

use crate::accounts::{attempt_at, host, log_in, name, result_of, revoke, set_host, verify};
use crate::double::{ACCEPTED, REFUSED, World, alice, id};
use crate::memory::Fate;
use qrtotp_account::Decision;
use qrtotp_fleet::{FleetError, FleetStore, HostState};
use qrtotp_store::{Store, StoreExt as _};

/// The decision from verifier 0's memory; `None`: the account has to be read.
fn decided_from_memory(world: &World, step: u64) -> Option<Result<Option<Decision>, FleetError>> {
    let access = attempt_at(world.verifier(0), &host("h1"), id(), step);
    access.guess(&alice())?;
    let done = access.update_state(&alice(), |record, state| verify(record, state, step));
    (!access.is_guess()).then(|| result_of(&access, done))
}

#[test]
fn a_right_code_of_an_account_that_is_remembered_costs_one_request() {
    let world = World::new();
    assert_eq!(decided_from_memory(&world, 50), None);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    for step in 51..54 {
        let before = world.requests();
        assert_eq!(decided_from_memory(&world, step), Some(ACCEPTED));
        assert_eq!(world.requests() - before, 1);
    }
}

#[test]
fn memory_accepts_or_says_nothing_and_writes_nothing_else() {
    let world = World::new();
    let (first, second) = (id(), id());
    assert_eq!(log_in(world.verifier(0), &host("h1"), first, &alice(), 50), ACCEPTED);
    let before = world.requests();
    assert_eq!(decided_from_memory(&world, 50), None, "a used code");
    let access = attempt_at(world.verifier(0), &host("h1"), first, 50);
    access.guess(&alice()).unwrap();
    access.update_state(&alice(), |record, state| verify(record, state, 51)).unwrap_err();
    assert!(access.is_guess() && !access.was_decided_before(), "an attempt that was decided");
    let access = attempt_at(world.verifier(0), &host("h1"), second, 51);
    access.guess(&alice()).unwrap();
    access.load(&alice()).unwrap();
    access.load(&name("bobby")).unwrap_err();
    access.simulate(&mut |_, state| state.decision = Some(Decision::Refused));
    assert!(access.is_guess() && access.decision().is_none());
    assert_eq!(world.requests(), before);
    access.begin(&alice()).unwrap();
    access.update_state(&alice(), |record, state| verify(record, state, 51)).unwrap();
    assert_eq!((access.is_guess(), access.decision()), (false, Some(Decision::Accepted)));
}

#[test]
fn what_changed_elsewhere_is_not_accepted_from_memory() {
    let fleet = |world: &World, f: &dyn Fn(&FleetStore)| {
        assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
        f(world.verifier(1));
        let before = world.memory.data.lock().unwrap().revision;
        assert_eq!(decided_from_memory(world, 51), None);
        assert_eq!(world.memory.data.lock().unwrap().revision, before);
        log_in(world.verifier(0), &host("h1"), id(), &alice(), 51)
    };
    let used = |store: &FleetStore| {
        assert_eq!(log_in(store, &host("h2"), id(), &alice(), 51), ACCEPTED);
    };
    assert_eq!(fleet(&World::new(), &used), REFUSED);
    let revoked = |store: &FleetStore| revoke(&store.admin(), &alice()).unwrap();
    assert_eq!(fleet(&World::new(), &revoked), REFUSED);
    let held = |store: &FleetStore| set_host(store, "h1", HostState::Held).unwrap();
    assert_eq!(fleet(&World::new(), &held), Err(FleetError::HostHeld("h1".to_owned())));
    let moved = |store: &FleetStore| assert!(store.set_groups(&alice(), &["db".to_owned()]).unwrap());
    assert_eq!(fleet(&World::new(), &moved), Err(FleetError::OutOfGroup("h1".to_owned())));
    let ruled = |store: &FleetStore| store.set_policy(b"rules").unwrap();
    assert_eq!(fleet(&World::new(), &ruled), ACCEPTED, "after the policy was read");
    let removed = |store: &FleetStore| assert!(store.remove(&alice()).unwrap());
    assert_eq!(fleet(&World::new(), &removed), Ok(None));
}

#[test]
fn nothing_is_remembered_of_a_connection_that_has_ended() {
    let world = World::new();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    assert_eq!(decided_from_memory(&world, 51), Some(ACCEPTED));
    let backup = world.memory.data.lock().unwrap().clone();
    world.restore(&backup, 0); // nothing of it differs
    world.verifier(0).meta().unwrap();
    assert_eq!(decided_from_memory(&world, 52), None);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 52), ACCEPTED);
    assert_eq!(decided_from_memory(&world, 53), Some(ACCEPTED));
}

#[test]
fn a_wrong_memory_costs_no_request_more_than_none_and_is_right_afterwards() {
    let world = World::new();
    let at = |verifier, step| log_in(world.verifier(verifier), &host("h1"), id(), &alice(), step);
    assert_eq!((at(0, 50), at(1, 51)), (ACCEPTED, ACCEPTED));
    world.verifier(1).set_policy(b"rules").unwrap();
    for (step, requests) in [(52, 2), (53, 1)] {
        let before = world.requests();
        assert_eq!(at(0, step), ACCEPTED);
        assert_eq!(world.requests() - before, requests);
    }
}

#[test]
fn what_changed_before_an_answer_was_lost_is_decided_anew() {
    let world = World::new();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    for step in [51, 52] {
        world.verifier(1).set_policy(format!("rules {step}").as_bytes()).unwrap();
        *world.memory.next_write.lock().unwrap() = Fate::Lost;
        let before = world.memory.data.lock().unwrap().revision;
        assert_eq!(decided_from_memory(&world, step), None);
        assert_eq!(world.memory.data.lock().unwrap().revision, before);
        assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), step), ACCEPTED);
    }
}

#[test]
fn a_lost_answer_to_an_acceptance_from_memory_is_found_by_reading() {
    let world = World::new();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    *world.memory.next_write.lock().unwrap() = Fate::DoneAndLost;
    assert_eq!(decided_from_memory(&world, 51), Some(ACCEPTED));
    *world.memory.next_write.lock().unwrap() = Fate::Lost;
    assert_eq!(decided_from_memory(&world, 52), Some(ACCEPTED));
    assert_eq!(decided_from_memory(&world, 53), Some(ACCEPTED));
}

#[test]
fn what_a_restored_backup_has_in_place_of_a_guess_is_read_after_our_changes_were_made_again() {
    let world = World::new();
    let verifier = world.verifier(0);
    verifier.keep_witness(1000).unwrap();
    let backup = world.memory.data.lock().unwrap().clone();
    verifier.set_policy(b"rules").unwrap();
    assert_eq!(log_in(verifier, &host("h1"), id(), &alice(), 50), ACCEPTED);
    world.restore(&backup, 0);
    world.verifier(1).accept_restore(0, &[]).unwrap();
    let access = attempt_at(verifier, &host("h1"), id(), 51);
    access.guess(&alice()).unwrap();
    access.update_state(&alice(), |record, state| verify(record, state, 51)).unwrap_err();
    assert!(access.is_guess());
    assert_eq!(access.begin(&alice()).unwrap().policy.as_deref(), Some(&b"rules"[..]));
}
