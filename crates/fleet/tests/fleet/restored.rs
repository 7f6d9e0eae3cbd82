//! A restored backup on the double: who notices it, and what holds after it was accepted.

use crate::accounts::{enrol, has_device, host, log_in, name, revoke, set_host, watermark};
use crate::double::{ACCEPTED, REFUSED, World, alice, id};
use crate::memory::Fate;
use qrtotp_fleet::{Engine, FleetError, FleetStore, HostState};
use qrtotp_store::Store;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

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
