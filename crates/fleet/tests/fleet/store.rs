//! The store on the double: attempts, groups, fence, a restored backup, journals.

use crate::accounts::{
    Fleet, attempt_at, enrol, has_device, host, host_id, log_in, name, new_host, result_of, revoke, set_host,
    verify, watermark,
};
use crate::memory::{Fate, Memory};
use qrtotp_account::{CredentialId, Decision, Name};
use qrtotp_clock::Deadline;
use qrtotp_fleet::{
    AnswerDigest, Asked, AttemptId, BreakGlassUse, Engine, FleetError, FleetStore, Host, HostReport,
    HostState, Invitation,
};
use qrtotp_otp::Params;
use qrtotp_store::{Store, StoreExt as _};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

struct World {
    memory: Arc<Memory>,
    fleet: Fleet,
}

impl World {
    /// Two verifiers, the hosts h1 and h2, and alice.
    fn new() -> Self {
        let memory = Arc::new(Memory::default());
        let engines = [0, 1].map(|_| Arc::clone(&memory) as Arc<dyn Engine>);
        let fleet = Fleet::create(&engines, &["h1", "h2"]);
        enrol(&fleet.verifiers[0].admin(), &alice());
        Self { memory, fleet }
    }

    fn verifier(&self, number: usize) -> &FleetStore {
        &self.fleet.verifiers[number]
    }

    fn requests(&self) -> u64 {
        self.memory.requests.load(SeqCst)
    }

    /// Puts a backup in place: etcd starts anew, and all connections end.
    fn restore(&self, backup: &crate::memory::Data, bump: i64) {
        let mut data = self.memory.data.lock().unwrap();
        *data = backup.clone();
        data.revision += bump;
        self.memory.connection.fetch_add(1, SeqCst);
    }
}

fn alice() -> Name {
    name("alice")
}

fn id() -> AttemptId {
    AttemptId::generate().unwrap()
}

const ACCEPTED: Result<Option<Decision>, FleetError> = Ok(Some(Decision::Accepted));
const REFUSED: Result<Option<Decision>, FleetError> = Ok(Some(Decision::Refused));

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

/// Logins at both verifiers, a backup after the first, and the restored backup; `bump` as etcdutl's.
fn restored(bump: i64) -> World {
    let world = World::new();
    for user in ["bob", "carol"] {
        enrol(&world.verifier(0).admin(), &name(user));
    }
    world.verifier(0).keep_witness(1000).unwrap();
    world.verifier(1).keep_witness(1000).unwrap();
    let backup = world.memory.data.lock().unwrap().clone();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    revoke(&world.verifier(0).admin(), &name("bob")).unwrap();
    enrol(&world.verifier(1).admin(), &name("dave"));
    set_host(world.verifier(1), "h2", HostState::Revoked).unwrap();
    assert!(world.verifier(0).remove(&name("carol")).unwrap());
    world.verifier(0).keep_witness(1005).unwrap();
    world.verifier(1).keep_witness(1005).unwrap();
    world.restore(&backup, bump);
    world
}

#[test]
fn a_restored_backup_is_refused_everywhere_even_if_its_revision_was_raised() {
    for bump in [0, 1_000_000_000] {
        let world = restored(bump);
        for number in [0, 1] {
            for _ in 0..2 {
                let result = log_in(world.verifier(number), &host("h1"), id(), &alice(), 60);
                assert!(matches!(result, Err(FleetError::RolledBack(_))), "{result:?}");
            }
            assert!(world.verifier(number).keep_witness(1010).is_err());
            assert_eq!(
                world.verifier(number).admin().load(&alice()).unwrap_err().reason(),
                "store_rolled_back"
            );
        }
    }
}

#[test]
fn after_an_accepted_restore_no_old_code_device_or_host_works_and_a_new_code_does() {
    for bump in [0, 1_000_000_000] {
        let world = restored(bump);
        let fence = 30 * 55;
        let journals = [world.verifier(1).journal().to_owned()];
        let merged = world.verifier(0).accept_restore(fence, &journals).unwrap();
        assert_eq!(merged.conflicts, Vec::<String>::new());
        for number in [0, 1] {
            assert_eq!(log_in(world.verifier(number), &host("h1"), id(), &alice(), 50), REFUSED, "used");
            assert_eq!(log_in(world.verifier(number), &host("h1"), id(), &alice(), 54), REFUSED, "fence");
            assert!(!has_device(world.verifier(number), &name("bob")), "revoked");
            assert!(has_device(world.verifier(number), &name("dave")), "enrolled after the backup");
            assert_eq!(world.verifier(number).admin().load(&name("carol")).unwrap(), None, "removed");
            let result = log_in(world.verifier(number), &host("h2"), id(), &alice(), 60);
            assert_eq!(result, Err(FleetError::HostRevoked("h2".to_owned())));
            assert!(world.verifier(number).keep_witness(1020).is_ok());
        }
        assert_eq!(log_in(world.verifier(1), &host("h1"), id(), &alice(), 56), ACCEPTED);
        assert_eq!(world.verifier(0).meta().unwrap().generation, 2);
        assert!(watermark(world.verifier(0), &alice()) >= 56);
    }
}

#[test]
fn a_verifier_whose_journal_was_not_given_makes_its_changes_again_before_it_answers() {
    let world = restored(0);
    world.verifier(0).accept_restore(0, &[]).unwrap();
    assert!(!has_device(world.verifier(0), &name("dave")), "only verifier 1 knows of dave");
    assert_eq!(log_in(world.verifier(1), &host("h1"), id(), &name("dave"), 60), ACCEPTED);
    assert!(has_device(world.verifier(0), &name("dave")));
    let result = log_in(world.verifier(0), &host("h2"), id(), &alice(), 60);
    assert_eq!(result, Err(FleetError::HostRevoked("h2".to_owned())));
}

#[test]
fn changes_that_were_made_again_late_are_not_lost_with_a_backup_from_before() {
    let world = restored(0);
    world.verifier(0).accept_restore(0, &[]).unwrap();
    let backup = world.memory.data.lock().unwrap().clone();
    assert_eq!(log_in(world.verifier(1), &host("h1"), id(), &name("dave"), 60), ACCEPTED);
    world.verifier(1).keep_witness(1030).unwrap();
    world.restore(&backup, 0);
    world.verifier(1).accept_restore(0, &[]).unwrap();
    assert!(has_device(world.verifier(0), &name("dave")));
}

#[test]
fn the_same_backup_restored_twice_is_noticed_twice() {
    let world = restored(0);
    let backup = world.memory.data.lock().unwrap().clone();
    world.verifier(0).accept_restore(0, &[]).unwrap();
    assert_eq!(log_in(world.verifier(1), &host("h1"), id(), &alice(), 70), ACCEPTED);
    world.restore(&backup, 0);
    for number in [0, 1] {
        let result = log_in(world.verifier(number), &host("h1"), id(), &alice(), 71);
        assert!(matches!(result, Err(FleetError::RolledBack(_))), "{result:?}");
    }
    world.verifier(1).accept_restore(0, &[]).unwrap();
    assert_eq!(world.verifier(0).meta().unwrap().generation, 3);
    assert!(!has_device(world.verifier(0), &name("bob")), "its revocation was made again twice");
}

#[test]
fn a_verifier_that_starts_anew_remembers_what_it_has_seen() {
    let mut world = restored(1_000_000_000);
    world.fleet.verifiers.remove(0);
    let directory = world.fleet.directories[0].path();
    let options = crate::accounts::options(&world.fleet.key, "v0", directory);
    let store = FleetStore::open(Arc::clone(&world.memory) as Arc<dyn Engine>, options).unwrap();
    let result = log_in(&store, &host("h1"), id(), &alice(), 60);
    assert!(matches!(result, Err(FleetError::RolledBack(_))), "{result:?}");
}

#[test]
fn an_invitation_is_good_for_so_many_hosts_and_so_long_and_a_refusal_uses_nothing_up() {
    let world = World::new();
    let store = world.verifier(0);
    let groups = vec!["db".to_owned()];
    let join = |name: &str, key: u8, now| {
        let new = Host { key: [key; 32], ..new_host(HostState::Active) };
        store.join("secret", &host(name), &new, now)
    };
    assert_eq!(join("web1", 1, 5), Err(FleetError::NotInvited));
    store.invite("secret", &Invitation { groups: groups.clone(), uses: 2, until: 60 }).unwrap();
    assert_eq!(join("web1", 1, 60), Err(FleetError::NotInvited), "it is too old");
    store.invite("secret", &Invitation { groups: groups.clone(), uses: 2, until: 60 }).unwrap();
    assert_eq!(join("web1", 1, 5).unwrap().groups, groups);
    assert_eq!(join("web1", 2, 5), Err(FleetError::HostKnown("web1".to_owned())));
    assert!(join("web2", 2, 5).is_ok());
    assert_eq!(join("web3", 3, 5), Err(FleetError::NotInvited), "it is used up");
    assert_eq!(store.tokens().unwrap(), [], "nothing of it is kept");
}

#[test]
fn a_revoked_hosts_name_joins_again_with_another_key_and_the_old_key_asks_nothing() {
    let world = World::new();
    let store = world.verifier(0);
    assert_eq!(store.set_host_state(&host("h1"), HostState::Revoked).unwrap(), Some(HostState::Active));
    assert_eq!(store.set_host_state(&host("h1"), HostState::Active).unwrap(), Some(HostState::Revoked));
    assert_eq!(store.host(&host("h1")).unwrap().unwrap().state, HostState::Revoked, "for ever");
    assert_eq!(store.set_host_state(&host("h9"), HostState::Held).unwrap(), None);
    store.invite("secret", &Invitation { groups: Vec::new(), uses: 3, until: 60 }).unwrap();
    let join = |new: &Host| store.join("secret", &host("h1"), new, 1);
    assert_eq!(join(&new_host(HostState::Active)), Err(FleetError::HostRevoked("h1".to_owned())));
    join(&Host { key: [1; 32], ..new_host(HostState::Active) }).unwrap();
    let result = log_in(store, &host("h1"), id(), &alice(), 50);
    assert_eq!(result, Err(FleetError::HostUnknown("h1".to_owned())));
}

#[test]
fn a_host_that_reports_is_noted_once_in_ten_minutes_and_with_another_ca_at_once() {
    let world = World::new();
    let report = |seen| HostReport { seen, version: "0.1.0".to_owned(), authorities: vec![[1; 32]] };
    for now in [1000, 1030, 1599] {
        world.verifier(0).note_host(&host("h1"), &report(now)).unwrap();
    }
    assert_eq!(world.verifier(1).host_reports().unwrap()[&host("h1")].seen, 1000);
    world.verifier(0).note_host(&host("h1"), &report(1600)).unwrap();
    assert_eq!(world.verifier(1).host_reports().unwrap()[&host("h1")].seen, 1600);
    let changed = HostReport { authorities: vec![[2; 32], [1; 32]], ..report(1601) };
    world.verifier(0).note_host(&host("h1"), &changed).unwrap();
    assert_eq!(world.verifier(1).host_reports().unwrap()[&host("h1")], changed);
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

impl World {
    /// A second opening of verifier 0's directory.
    fn options_again(&self) -> qrtotp_fleet::Options {
        crate::accounts::options(&self.fleet.key, "v0", self.fleet.directories[0].path())
    }

    fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.memory) as Arc<dyn Engine>
    }
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
fn a_command_notices_a_restored_backup_and_its_own_changes_are_made_again() {
    let world = World::new();
    world.verifier(0).keep_witness(1).unwrap();
    let backup = world.memory.data.lock().unwrap().clone();
    let command = FleetStore::open_beside(world.engine(), world.options_again()).unwrap();
    revoke(&command.admin(), &alice()).unwrap();
    world.verifier(0).keep_witness(2).unwrap();
    world.restore(&backup, 1_000_000_000);
    let result = command.admin().load(&alice()).unwrap_err();
    assert_eq!(result.reason(), "store_rolled_back");
    command.accept_restore(0, &[]).unwrap();
    assert!(!has_device(world.verifier(0), &alice()) && !has_device(&command, &alice()));
    world.verifier(0).keep_witness(3).unwrap();
    assert!(!has_device(&command, &alice()));
}

#[test]
fn a_witness_whose_write_is_unclear_is_no_restore() {
    let world = World::new();
    world.verifier(0).keep_witness(1).unwrap();
    for (round, fate) in (2..).zip([Fate::DoneAndLost, Fate::Lost, Fate::DoneAndLost, Fate::DoneAndLost]) {
        *world.memory.next_write.lock().unwrap() = fate;
        assert!(matches!(world.verifier(0).keep_witness(round), Err(FleetError::Unclear(_))));
        world.memory.connection.fetch_add(1, SeqCst);
        assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50 + round as u64), ACCEPTED);
    }
    world.verifier(0).keep_witness(9).unwrap();
    assert_eq!(world.verifier(1).witnesses().unwrap()[0].1.clock, 9);
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

/// The decision from verifier 0's memory; `None`: the account has to be read.
fn told_from_memory(world: &World, step: u64) -> Option<Result<Option<Decision>, FleetError>> {
    let access = attempt_at(world.verifier(0), &host("h1"), id(), step);
    access.guess(&alice())?;
    let done = access.update_state(&alice(), |record, state| verify(record, state, step));
    (!access.is_guess()).then(|| result_of(&access, done))
}

#[test]
fn a_right_code_of_an_account_that_is_remembered_costs_one_request() {
    let world = World::new();
    assert_eq!(told_from_memory(&world, 50), None);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    for step in 51..54 {
        let before = world.requests();
        assert_eq!(told_from_memory(&world, step), Some(ACCEPTED));
        assert_eq!(world.requests() - before, 1);
    }
}

#[test]
fn memory_accepts_or_says_nothing_and_writes_nothing_else() {
    let world = World::new();
    let (first, second) = (id(), id());
    assert_eq!(log_in(world.verifier(0), &host("h1"), first, &alice(), 50), ACCEPTED);
    let before = world.requests();
    assert_eq!(told_from_memory(&world, 50), None, "a used code");
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
        assert_eq!(told_from_memory(world, 51), None);
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
    assert_eq!(told_from_memory(&world, 51), Some(ACCEPTED));
    let backup = world.memory.data.lock().unwrap().clone();
    world.restore(&backup, 0); // nothing of it differs
    world.verifier(0).meta().unwrap();
    assert_eq!(told_from_memory(&world, 52), None);
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 52), ACCEPTED);
    assert_eq!(told_from_memory(&world, 53), Some(ACCEPTED));
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
        assert_eq!(told_from_memory(&world, step), None);
        assert_eq!(world.memory.data.lock().unwrap().revision, before);
        assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), step), ACCEPTED);
    }
}

#[test]
fn a_lost_answer_to_an_acceptance_from_memory_is_found_by_reading() {
    let world = World::new();
    assert_eq!(log_in(world.verifier(0), &host("h1"), id(), &alice(), 50), ACCEPTED);
    *world.memory.next_write.lock().unwrap() = Fate::DoneAndLost;
    assert_eq!(told_from_memory(&world, 51), Some(ACCEPTED));
    *world.memory.next_write.lock().unwrap() = Fate::Lost;
    assert_eq!(told_from_memory(&world, 52), Some(ACCEPTED));
    assert_eq!(told_from_memory(&world, 53), Some(ACCEPTED));
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
