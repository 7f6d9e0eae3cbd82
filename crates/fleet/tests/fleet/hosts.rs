//! Hosts on the double: invitations, new keys, reports.

use crate::accounts::{host, log_in, new_host};
use crate::double::{World, alice, id};
use qrtotp_fleet::{FleetError, Host, HostReport, HostState, Invitation};

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
