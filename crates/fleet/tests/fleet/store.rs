//! The store on the double: attempts, groups, fence, journals.

use crate::accounts::{enrol, has_device, host, host_id, log_in, name, revoke, set_host, verify};
use crate::double::{ACCEPTED, REFUSED, World, alice, id};
use crate::memory::Memory;
use qrtotp_account::{CredentialId, Decision};
use qrtotp_clock::Deadline;
use qrtotp_fleet::{AnswerDigest, Asked, BreakGlassUse, Engine, FleetError, FleetStore, HostState};
use qrtotp_otp::Params;
use qrtotp_store::{Store, StoreExt as _};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn a_code_is_accepted_once_in_the_whole_fleet() {
    let world = World::new();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    assert_eq!(log_in(world.verifier(1), &host("h2"), id(), &alice(), 50), REFUSED);
    assert_eq!(log_in(world.verifier(1), &host("h2"), id(), &alice(), 51), ACCEPTED);
}

#[test]
fn an_attempt_that_is_sent_again_gets_its_first_decision_and_writes_nothing() {
    let world = World::new();
    for (step, decision) in [(50, ACCEPTED), (49, REFUSED)] {
        let attempt = id();
        assert_eq!(log_in(world.verifier(0), &host("h1"), attempt, &alice(), step), decision);
        let before = world.memory.data.lock().unwrap().revision;
        assert_eq!(log_in(world.verifier(1), &host("h1"), attempt, &alice(), step), decision);
        assert_eq!(world.memory.data.lock().unwrap().revision, before);
    }
}

#[test]
fn an_attempts_id_with_another_answer_or_from_another_host_is_denied() {
    let world = World::new();
    let attempt = id();
    assert_eq!(log_in(world.verifier(0), &host("h1"), attempt, &alice(), 50), ACCEPTED);
    let reused = Err(FleetError::AttemptReused);
    assert_eq!(log_in(world.verifier(0), &host("h1"), attempt, &alice(), 51), reused);
    assert_eq!(log_in(world.verifier(0), &host("h2"), attempt, &alice(), 50), reused);
}

#[test]
fn a_revocation_ends_what_was_decided_before_it() {
    let world = World::new();
    let attempt = id();
    assert_eq!(log_in(world.verifier(0), &host("h1"), attempt, &alice(), 50), ACCEPTED);
    revoke(&world.verifier(1).admin(), &alice()).unwrap();
    assert_eq!(log_in(world.verifier(0), &host("h1"), attempt, &alice(), 50), REFUSED);
}

#[test]
fn one_attempt_can_change_the_account_in_two_steps() {
    let world = World::new();
    let attempt = id();
    let (answer, deadline) = (AnswerDigest::of(attempt, b"code"), Deadline::after(Duration::from_secs(3)));
    let access = world.verifier(0).attempt(Asked { attempt, host: host_id(&host("h1")), answer }, deadline);
    access.update_state(&alice(), |_, state| state.chain.add(&mut "counted".to_owned(), 0, 1)).unwrap();
    assert_eq!(access.decision(), None, "nothing is decided yet");
    access.update_state(&alice(), |record, state| verify(record, state, 50)).unwrap();
    assert_eq!(access.decision(), Some(Decision::Accepted));
    access.update_state(&alice(), |_, state| state.chain.add(&mut "noted".to_owned(), 0, 1)).unwrap();
    assert_eq!((access.decision(), access.was_decided_before()), (Some(Decision::Accepted), false));
    assert_eq!(access.audit_lines(&alice()).unwrap().len(), 3);
}

#[test]
fn a_host_that_is_unknown_held_or_revoked_is_refused_and_never_read_as_unenrolled() {
    let world = World::new();
    let at = |name: &str| log_in(world.verifier(0), &host(name), id(), &alice(), 50);
    assert_eq!(at("h3"), Err(FleetError::HostUnknown("h3".to_owned())));
    set_host(world.verifier(1), "h1", HostState::Held).unwrap();
    assert_eq!(at("h1"), Err(FleetError::HostHeld("h1".to_owned())));
    set_host(world.verifier(1), "h1", HostState::Revoked).unwrap();
    assert_eq!(at("h1"), Err(FleetError::HostRevoked("h1".to_owned())));
    assert_eq!(at("h2"), ACCEPTED);
}

#[test]
fn a_host_reaches_no_account_outside_of_its_groups() {
    let world = World::new();
    assert!(world.verifier(0).set_groups(&alice(), &["db".to_owned()]).unwrap());
    let refused = Err(FleetError::OutOfGroup("h1".to_owned()));
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), refused);
    assert!(world.verifier(0).session(host_id(&host("h1"))).load(&alice()).is_err());
    assert!(world.verifier(0).set_groups(&alice(), &["db".to_owned(), "web".to_owned()]).unwrap());
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    assert!(!world.verifier(0).set_groups(&name("bob"), &[]).unwrap(), "there is no bob");
}

#[test]
fn an_unknown_account_is_none_and_a_half_or_foreign_one_is_damaged() {
    let world = World::new();
    assert_eq!(world.verifier(0).admin().load(&name("bob")).unwrap(), None);
    let (put, get) = (qrtotp_fleet::Op::Put, |key: &str| qrtotp_fleet::Op::Get(key.to_owned()));
    let read = qrtotp_fleet::Txn { then: vec![get("/qrtotp/1/a/alice/s")], ..Default::default() };
    let state = world.memory.transact(&read, Duration::ZERO).unwrap().values[0].clone().unwrap().value;
    let copy =
        qrtotp_fleet::Txn { then: vec![put("/qrtotp/1/a/bob/s".to_owned(), state)], ..Default::default() };
    world.memory.transact(&copy, Duration::ZERO).unwrap();
    let error = world.verifier(0).admin().load(&name("bob")).unwrap_err();
    assert_eq!(error.reason(), "record_damaged");
}

#[test]
fn a_refusal_for_nobody_costs_as_many_requests_as_a_wrong_code() {
    let world = World::new();
    let requests = |account: &str| {
        let before = world.requests();
        let (attempt, at) = (id(), host("h1"));
        let (answer, deadline) = (AnswerDigest::of(attempt, b"x"), Deadline::after(Duration::from_secs(3)));
        let access = world.verifier(0).attempt(Asked { attempt, host: host_id(&at), answer }, deadline);
        let found = access.update_state(&name(account), |record, state| verify(record, state, 0)).unwrap();
        if found.is_none() {
            access.simulate(&mut |record, state| verify(record, state, 0));
        }
        world.requests() - before
    };
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    assert_eq!(requests("alice"), 2);
    assert_eq!(requests("nobody"), 2);
    let before = world.requests();
    world.verifier(0).session(host_id(&host("h1"))).simulate(&mut |record, state| verify(record, state, 0));
    assert_eq!(world.requests() - before, 2, "without a look at an account before");
    assert_eq!(world.verifier(0).some_names(None).unwrap(), [alice()]);
}

#[test]
fn accounts_are_listed_and_removed() {
    let world = World::new();
    for user in ["a-b", "bob", "%", "z"] {
        enrol(&world.verifier(1).admin(), &name(user));
    }
    let names = world.verifier(0).some_names(None).unwrap();
    assert_eq!(names.len(), 5);
    assert_eq!(world.verifier(0).some_names(Some(&names[1])).unwrap(), names[2..]);
    assert!(world.verifier(0).remove(&name("bob")).unwrap());
    assert!(!world.verifier(1).remove(&name("bob")).unwrap());
    assert_eq!(world.verifier(0).admin().load(&name("bob")).unwrap(), None);
}

#[test]
fn a_token_use_a_policy_and_the_failures_of_a_host_are_kept() {
    let world = World::new();
    for uses in 1..4_u8 {
        let number = usize::from(uses % 2);
        world
            .verifier(number)
            .change_token("t7", &mut |bytes| {
                let before = bytes.as_ref().map_or(0, |bytes| bytes[0]);
                *bytes = Some(vec![before + 1]);
            })
            .unwrap();
        assert_eq!(world.verifier(0).tokens().unwrap(), [("t7".to_owned(), vec![uses])]);
    }
    assert_eq!(world.verifier(0).policy().unwrap(), None);
    world.verifier(0).set_policy(b"policy").unwrap();
    assert_eq!(world.verifier(1).policy().unwrap(), Some(b"policy".to_vec()));
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    for _ in 0..3 {
        log_in(world.verifier(1), &host("h1"), id(), &alice(), 0).unwrap();
    }
    let failures = world.verifier(0).host_failures().unwrap();
    assert_eq!((failures[0].0.as_str(), failures[0].1.as_str(), failures[0].2.failures), ("h1", "v1", 3));
}

#[test]
fn a_second_store_is_not_made_and_none_is_not_an_empty_one() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let options = || crate::accounts::options(&world.fleet.key, "v9", directory.path());
    assert_eq!(FleetStore::create(&*world.memory, &options().ring), Err(FleetError::Made));
    let empty: Arc<dyn Engine> = Arc::new(Memory::default());
    let store = FleetStore::open(empty, options()).unwrap();
    assert_eq!(store.admin().load(&alice()).unwrap_err().reason(), "store_missing");
}

#[test]
fn one_verifier_at_a_time_has_its_turn_which_ends_by_itself_if_it_is_not_given_back() {
    let world = World::new();
    let (one, two) = (world.verifier(0), world.verifier(1));
    assert_eq!(one.take_turn(1000, 300).unwrap(), None);
    assert_eq!(two.take_turn(1100, 300).unwrap().as_ref(), Some(one.verifier()));
    two.end_turn().unwrap();
    assert_eq!(two.take_turn(1100, 300).unwrap().as_ref(), Some(one.verifier()), "it was not its own");
    one.end_turn().unwrap();
    assert_eq!(two.take_turn(1100, 300).unwrap(), None);
    assert_eq!(one.take_turn(1399, 300).unwrap().as_ref(), Some(two.verifier()));
    assert_eq!(one.take_turn(1400, 300).unwrap(), None);
}

#[test]
fn the_use_of_a_break_glass_code_that_is_told_again_is_kept_once() {
    let world = World::new();
    let used = |id| BreakGlassUse { id: [id; 16], account: "alice".to_owned(), at: 7, left: 4 };
    for (verifier, id) in [(0, 1), (1, 1), (0, 2)] {
        world.verifier(verifier).note_break_glass(&host("h1"), &used(id)).unwrap();
    }
    let kept = world.verifier(1).break_glass().unwrap();
    assert_eq!(kept, [(host("h1"), used(1)), (host("h1"), used(2))]);
}

#[test]
fn host_and_account_are_read_once_and_a_change_in_between_is_noticed() {
    let world = World::new();
    let asked = || {
        let attempt = id();
        Asked { attempt, host: host_id(&host("h1")), answer: AnswerDigest::of(attempt, b"1") }
    };
    let access = world.verifier(0).attempt(asked(), Deadline::after(Duration::from_secs(3)));
    let before = world.requests();
    access.begin(&alice()).unwrap();
    access.update_state(&alice(), |record, state| verify(record, state, 50)).unwrap();
    assert_eq!((access.decision(), world.requests() - before), (Some(Decision::Accepted), 2));
    let access = world.verifier(0).attempt(asked(), Deadline::after(Duration::from_secs(3)));
    access.begin(&alice()).unwrap();
    revoke(&world.verifier(1).admin(), &alice()).unwrap();
    access.update_state(&alice(), |record, state| verify(record, state, 51)).unwrap();
    assert_eq!(access.decision(), Some(Decision::Refused));
}

#[test]
fn a_second_daemon_of_a_verifier_is_refused_and_the_first_goes_on() {
    let world = World::new();
    let refused = FleetStore::open(world.engine(), world.options_again()).err().unwrap();
    assert!(refused.to_string().contains("another verifier runs with"), "{refused}");
    for time in 0..3 {
        world.verifier(0).keep_witness(time).unwrap();
    }
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
}

#[test]
fn a_command_works_beside_the_daemon_and_neither_takes_the_other_for_a_restored_backup() {
    let world = World::new();
    let command = FleetStore::open_beside(world.engine(), world.options_again()).unwrap();
    assert!(command.keep_witness(0).is_err(), "there is one witness");
    for round in 0..4 {
        world.verifier(0).keep_witness(round).unwrap();
        world.memory.connection.fetch_add(1, SeqCst);
        let user = name(&format!("user{round}"));
        enrol(&command.admin(), &user);
        assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &user, 50), ACCEPTED);
        assert!(has_device(&command, &user));
    }
}

#[test]
fn the_fence_burns_each_step_that_began_before_it() {
    let world = World::new();
    let at = 30 * 100 + 7;
    world.verifier(0).accept_restore(at, &[]).unwrap();
    let step = Params::default().step_at(at - 1);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), step), REFUSED);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), step + 1), ACCEPTED);
}

#[test]
fn a_device_whose_clock_is_ahead_has_its_steps_burnt_with_it() {
    let world = World::new();
    let device = CredentialId::from_random([1; 6]);
    let admin = world.verifier(0).admin();
    admin.update_state(&alice(), |_, state| state.set_drift(device, 10)).unwrap();
    world.verifier(0).accept_restore(3000, &[]).unwrap();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 109), REFUSED);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 110), ACCEPTED);
}
