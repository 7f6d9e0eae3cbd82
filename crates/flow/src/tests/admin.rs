use super::*;
use qrtotp_account::{EnrolmentStatus, KeyFingerprint};
use qrtotp_store::Store;
use qrtotp_values::ConfigDuration;

#[test]
fn revoking_the_last_device_revokes_the_account_and_its_recovery_codes() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    let id = w.enroll(&mut human).unwrap().credential;
    revoke(&mut w.ctx("alice"), &World::name(), Selection::One(id)).unwrap();
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    assert_eq!(record.enrolment_status(), EnrolmentStatus::Revoked);
    assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Denied);
    assert_eq!(w.reason(), "revoked");
}

#[test]
fn revoking_one_of_two_devices_leaves_the_other() {
    let mut w = World::new();
    let first = w.import(Params::default());
    let second = w.import(Params::default());
    let id = w.store.load(&World::name()).unwrap().unwrap().record.credentials[0].id;
    revoke(&mut w.ctx("alice"), &World::name(), Selection::One(id)).unwrap();
    let (gone, kept) = (w.code(&first, 0), w.code(&second, 0));
    assert_eq!(w.answer(&gone), Outcome::Denied);
    assert_eq!(w.answer(&kept), Outcome::Accepted);
}

#[test]
fn what_is_not_there_can_not_be_revoked() {
    let mut w = World::new();
    let id = qrtotp_account::CredentialId::from_random([9; 6]);
    let missing = revoke(&mut w.ctx("alice"), &World::name(), Selection::All);
    assert!(matches!(missing, Err(AdminError::NotEnrolled(_))));
    w.import(Params::default());
    let missing = revoke(&mut w.ctx("alice"), &World::name(), Selection::One(id));
    assert!(matches!(missing, Err(AdminError::NoCredential(..))));
}

#[test]
fn a_revoked_account_is_enrolled_again_with_a_new_device() {
    let mut w = World::new();
    w.import(Params::default());
    revoke(&mut w.ctx("alice"), &World::name(), Selection::All).unwrap();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    assert_eq!(human.codes.len(), 10);
    assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Accepted);
}

#[test]
fn reissue_revokes_the_devices_and_issues_a_code_that_enrols_a_new_one_in_one_update() {
    let mut w = World::new();
    let (first, second) = (w.import(Params::default()), w.import(Params::default()));
    let devices = w.store.load(&World::name()).unwrap().unwrap().record.credentials;
    let (name, uid) = (World::name(), w.store.load(&World::name()).unwrap().unwrap().record.uid);
    let lifetime: ConfigDuration = "24h".parse().unwrap();
    let issue = Issue { name: &name, uid, lifetime, max_shows: 3, code: Some(lifetime), keys: &[] };
    let (gone, token) = reissue(&mut w.ctx("alice"), &issue, &[devices[0].id]).unwrap();
    assert_eq!((gone, token.is_none()), (1, true), "a device is left");
    let (gone, left) = (w.code(&first, 0), w.code(&second, 0));
    assert_eq!((w.answer(&gone), w.answer(&left)), (Outcome::Denied, Outcome::Accepted));
    let (gone, token) = reissue(&mut w.ctx("alice"), &issue, &[devices[1].id]).unwrap();
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    assert_eq!((gone, record.enrolment_status()), (1, EnrolmentStatus::Revoked));
    assert_eq!(record.token.map(|token| token.id), token.map(|(token, _)| token.id));
    let again = reissue(&mut w.ctx("alice"), &issue, &[devices[1].id]);
    assert!(matches!(again, Err(AdminError::NotEnrolled(_))), "a second run changes nothing");
}

#[test]
fn regenerating_makes_the_old_recovery_codes_worthless() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Accepted);
    let new = regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
    assert_eq!(w.answer(&human.codes[1].clone()), Outcome::Denied);
    for code in new {
        assert_eq!(w.answer(&code), Outcome::Accepted);
    }
}

#[test]
fn unlocking_ends_every_wait() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..40 {
        w.pass(900);
        w.answer("000000");
    }
    assert_eq!(w.unlock("alice", &World::name()).unwrap(), 40);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn a_secret_that_is_enrolled_already_is_refused() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    // HMAC pads a key with zeros, so the second is the same key.
    for zeros in [0, 3] {
        let bytes = [secret.as_bytes(), &vec![0; zeros]].concat();
        let copy = Secret::from_bytes(&bytes, Strength::Normal).unwrap();
        let again = w.keep(&World::to_import(&copy));
        assert!(matches!(again, Err(AdminError::Enroll(EnrollError::Known(_)))));
    }
}

#[test]
fn a_live_token_must_be_revoked_before_another_is_issued() {
    let mut w = World::new();
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: w.config.enroll.token_lifetime,
        max_shows: 3,
        code: None,
        keys: &[],
    };
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
    let second = issue_token(&mut w.ctx("alice"), &issue);
    assert!(matches!(second, Err(AdminError::TokenLive(..))));
    revoke_token(&mut w.ctx("alice"), &name).unwrap();
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
}

#[test]
fn a_token_keeps_its_keys_after_its_use_and_the_log_counts_them() {
    let mut w = World::new();
    let name = World::name();
    let keys: Vec<KeyFingerprint> = [
        "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM",
        "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM",
    ]
    .map(|key| key.parse().unwrap())
    .into();
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &keys };
    let many = keys.repeat(17);
    let too_many = issue_token(&mut w.ctx("alice"), &Issue { keys: &many, ..issue });
    assert!(matches!(too_many, Err(AdminError::TooManyKeys(34))));
    assert!(w.store.load(&name).unwrap().is_none());
    let (token, _) = issue_token(&mut w.ctx("alice"), &issue).unwrap();
    assert!(w.log.0.last().unwrap().contains(" keys=2 seq="), "{:?}", w.log.0);
    w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
    let kept = w.store.load(&name).unwrap().unwrap().record.token.unwrap();
    assert_eq!((kept.id, kept.state.as_str(), kept.keys), (token.id, "consumed", keys));
}

#[test]
fn an_account_with_nothing_but_a_token_is_un_enrolled() {
    let mut w = World::new();
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: w.config.enroll.token_lifetime,
        max_shows: 3,
        code: None,
        keys: &[],
    };
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
    let options = Options { nullok: true, ..Options::default() };
    assert_eq!(w.login_as("alice", &options, &mut Human::default()), Outcome::Ignored);
    assert_eq!(w.answer("123456"), Outcome::Denied);
    assert_eq!(w.reason(), "not_enrolled");
}

#[test]
fn a_device_gets_another_label_and_stays_what_it_is() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let name = World::name();
    let id = w.store.load(&name).unwrap().unwrap().record.credentials[0].id;
    rename_device(&mut w.ctx("alice"), &name, id, &Label::new("old\nphone")).unwrap();
    assert!(w.log.0.last().unwrap().contains("event=credential_renamed"));
    let record = w.store.load(&name).unwrap().unwrap().record;
    assert_eq!(record.credentials[0].label.as_str(), "old?phone");
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    let other = qrtotp_account::CredentialId::from_random([9; 6]);
    let unknown = rename_device(&mut w.ctx("alice"), &name, other, &Label::new("x"));
    assert!(matches!(unknown, Err(AdminError::NoCredential(..))));
}

#[test]
fn a_device_keeps_its_label_where_the_new_one_is_empty() {
    let mut w = World::new();
    w.import(Params::default());
    let name = World::name();
    let id = w.store.load(&name).unwrap().unwrap().record.credentials[0].id;
    for empty in ["", " \t\n"] {
        let refused = rename_device(&mut w.ctx("alice"), &name, id, &Label::new(empty));
        assert!(matches!(refused, Err(AdminError::NoLabel)), "{empty:?}");
    }
    let record = w.store.load(&name).unwrap().unwrap().record;
    assert_eq!(record.credentials[0].label.as_str(), "phone");
}
