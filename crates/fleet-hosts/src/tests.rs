#![allow(clippy::unwrap_used)]

use super::*;

const NOW: UnixTime = 1_796_000_000;

fn hosts() -> (tempfile::TempDir, Hosts) {
    let dir = tempfile::tempdir().unwrap();
    let hosts = Hosts::of(dir.path());
    hosts.create().unwrap();
    (dir, hosts)
}

fn request(host: &str, key: u8) -> JoinRequest {
    JoinRequest {
        token: "secret".into(),
        host: host.into(),
        public_key: vec![key; 32],
        verdict_key: Zeroizing::new(vec![key; 32]),
    }
}

#[test]
fn a_host_joins_its_invitations_groups_and_is_found_by_its_key() {
    let (_dir, hosts) = hosts();
    hosts.invite("secret", &["web".into(), "db".into()], 1, NOW + 60).unwrap();
    hosts.join(&request("web1", 1), NOW).unwrap();
    let found = hosts.find(&Authority::key_hash(&[1; 32])).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.groups), ("web1", vec!["web".to_owned(), "db".to_owned()]));
    assert_eq!((found.verdict_key.as_bytes(), found.joined, found.revoked), (&[1; 32][..], NOW, None));
    assert!(hosts.find(&[2; 32]).unwrap().is_none());
}

#[test]
fn an_invitation_is_good_for_so_many_hosts_and_so_long() {
    let (_dir, hosts) = hosts();
    let refused =
        |request: &JoinRequest, now| matches!(hosts.join(request, now), Err(HostsError::Refused(_)));
    assert!(refused(&request("web0", 9), NOW), "it is not known yet");
    hosts.invite("secret", &[], 2, NOW + 60).unwrap();
    assert!(refused(&request("web0", 9), NOW + 60));
    assert!(!refused(&request("web1", 1), NOW) && !refused(&request("web2", 2), NOW));
    assert!(refused(&request("web3", 3), NOW));
    assert!(refused(&JoinRequest { token: "other".into(), ..request("web3", 3) }, NOW));
}

#[test]
fn a_name_or_key_is_not_taken_twice_and_a_refusal_uses_nothing_up() {
    let (_dir, hosts) = hosts();
    hosts.invite("secret", &[], 2, NOW + 60).unwrap();
    hosts.join(&request("web1", 1), NOW).unwrap();
    for wrong in [request("web1", 2), request("web2", 1), request("-x", 3), request("a b", 3), request("", 3)]
    {
        assert!(matches!(hosts.join(&wrong, NOW), Err(HostsError::Refused(_))), "{}", wrong.host);
    }
    let short = JoinRequest { verdict_key: Zeroizing::new(vec![1; 31]), ..request("web2", 2) };
    assert!(hosts.join(&short, NOW).is_err());
    assert!(hosts.join(&request("web2", 2), NOW).is_ok());
}

#[test]
fn a_revoked_host_stays_known_as_such_and_its_name_may_join_again_with_another_key() {
    let (_dir, hosts) = hosts();
    hosts.invite("secret", &[], 3, NOW + 60).unwrap();
    hosts.join(&request("web1", 1), NOW).unwrap();
    assert!(hosts.revoke("web1", NOW + 1).unwrap() && !hosts.revoke("web1", NOW + 2).unwrap());
    assert!(!hosts.revoke("web2", NOW).unwrap());
    assert_eq!(hosts.find(&Authority::key_hash(&[1; 32])).unwrap().unwrap().revoked, Some(NOW + 1));
    assert!(hosts.join(&request("web1", 1), NOW + 3).is_err(), "not with the same key");
    assert!(hosts.join(&request("web1", 2), NOW + 3).is_ok());
    assert_eq!(hosts.all().unwrap().len(), 2);
}

#[test]
fn a_damaged_host_is_an_error_and_not_a_host_that_is_not_there() {
    let (dir, hosts) = hosts();
    hosts.invite("secret", &[], 1, NOW + 60).unwrap();
    hosts.join(&request("web1", 1), NOW).unwrap();
    let file = fs::read_dir(dir.path().join("fleet/hosts")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let hash = Authority::key_hash(&[1; 32]);
    for end in 0..text.len() - 1 {
        fs::write(&file, &text[..end]).unwrap();
        assert!(matches!(hosts.find(&hash), Err(HostsError::Damaged(_))), "{end}");
        assert!(matches!(hosts.all(), Err(HostsError::Damaged(_))));
    }
}
