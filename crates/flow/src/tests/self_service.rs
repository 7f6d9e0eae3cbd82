//! Users' changes to their own account, which always need a code.
use super::first_login::end_token;
use super::*;
use qrtotp_account::{RecoveryCode, TokenRefusal};
use qrtotp_policy::FirstLogin;
use qrtotp_store::Store;

/// What alice does with the dialogue `human`.
fn own<T>(w: &mut World, human: &mut Human, run: impl FnOnce(SelfService<'_, '_>) -> T) -> T {
    run(SelfService { ctx: &mut w.ctx("alice"), name: &World::name(), uid: UID, dialog: human })
}

fn revoke_own(w: &mut World, human: &mut Human, which: Selection) -> Result<usize, AdminError> {
    own(w, human, |owner| owner.revoke(which)).map(|gone| gone.len())
}

fn regenerate(w: &mut World, human: &mut Human) -> Result<(), AdminError> {
    own(w, human, |owner| owner.regenerate_recovery())
}

fn authority(w: &mut World) -> Result<Authority, EnrollError> {
    own(w, &mut Human::default(), |owner| owner.authority())
}

fn devices(w: &World) -> usize {
    w.store.load(&World::name()).unwrap().unwrap().record.credentials.len()
}

#[test]
fn ones_own_device_goes_with_a_code_and_the_code_is_used_up() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    let gone = revoke_own(&mut w, &mut Human::says([say(&code)]), Selection::All);
    assert!(matches!(gone, Ok(1)), "{gone:?}");
    assert_eq!(devices(&w), 0);
    let proof = w.log.0.iter().find(|line| line.starts_with("event=device_proof"));
    assert!(proof.unwrap().contains("result=accepted reason=code"), "{:?}", w.log.0);
    assert!(w.log.0.last().unwrap().starts_with("event=credential_revoked"));
}

#[test]
fn ones_own_device_gets_another_label_only_with_a_code() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let name = World::name();
    let id = only_device(&w.store, &name, Some(UID)).unwrap();
    let label = Label::new("tablet");
    let label_now = |w: &World| w.store.load(&name).unwrap().unwrap().record.credentials[0].label.clone();
    let mut human = Human::says([say("q"), say("q"), say("q")]);
    own(&mut w, &mut human, |owner| owner.rename(id, &label)).unwrap_err();
    assert_ne!(label_now(&w), label);
    let code = w.code(&secret, 0);
    own(&mut w, &mut Human::says([say(&code)]), |owner| owner.rename(id, &label)).unwrap();
    assert_eq!(label_now(&w), label);
    assert!(w.log.0.last().unwrap().starts_with("event=credential_renamed"));
    assert!(matches!(only_device(&w.store, &name, Some(UID + 1)), Err(AdminError::NotEnrolled(_))));
}

#[test]
fn without_a_right_code_nothing_is_revoked_and_the_guesses_count() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let wrong = w.code(&secret, 5);
    let refused =
        revoke_own(&mut w, &mut Human::says([say(&wrong), say(&wrong), say(&wrong)]), Selection::All);
    assert!(matches!(refused, Err(AdminError::Enroll(EnrollError::NotProven("wrong_code")))), "{refused:?}");
    let silent = revoke_own(&mut w, &mut Human::says([]), Selection::All);
    assert!(matches!(silent, Err(AdminError::Enroll(EnrollError::NoAnswer))), "{silent:?}");
    assert_eq!(devices(&w), 1);
    let state = w.store.load(&World::name()).unwrap().unwrap().state;
    assert_eq!(state.throttle.failures(), 3);
}

#[test]
fn nobody_is_asked_for_a_code_of_a_device_that_is_not_there() {
    let mut w = World::new();
    let mut human = Human::says([]);
    assert!(matches!(regenerate(&mut w, &mut human), Err(AdminError::NotEnrolled(_))));
    w.import(Params::default());
    let refused =
        own(&mut w, &mut human, |owner| SelfService { uid: UID + 1, ..owner }.revoke(Selection::All));
    assert!(matches!(refused, Err(AdminError::UidChanged(..))));
    assert!(human.prompts.is_empty());
    assert_eq!(devices(&w), 1);
}

#[test]
fn new_recovery_codes_replace_the_old_ones_once_they_were_confirmed() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let first = w.code(&secret, 0);
    let mut human = Human { acknowledge: Acknowledge::First, ..Human::says([say(&first)]) };
    regenerate(&mut w, &mut human).unwrap();
    assert!(w.log.0.last().unwrap().starts_with("event=recovery_regenerated reason=acknowledged"));
    let old = human.codes;
    // A recovery code is as good a proof as a device.
    let mut dropped = Human { acknowledge: Acknowledge::Never, ..Human::says([say(&old[0])]) };
    assert!(matches!(regenerate(&mut w, &mut dropped), Err(AdminError::CodesNotConfirmed)));
    let (set, known) = {
        let account = w.store.load(&World::name()).unwrap().unwrap();
        (account.record.recovery.clone().unwrap(), account.record.recovery_due)
    };
    let position = |code: &str| {
        let code = RecoveryCode::parse(code.as_bytes()).unwrap();
        set.position(&qrtotp_account::hash_code(&code, &set.salt).unwrap())
    };
    assert!(position(&old[1]).is_some() && !known, "the old ones hold");
    assert!(dropped.codes.iter().all(|code| position(code).is_none()), "the new ones never did");
}

#[test]
fn who_may_enrol_by_what_depends_on_devices_and_tokens() {
    let mut w = World::new();
    w.config.defaults.first_login = FirstLogin::Enroll;
    let name = World::name();
    let authority = |w: &mut World| authority(w).unwrap();
    assert_eq!(authority(&mut w), Authority::PrimaryFactor);
    let lifetime = w.config.enroll.token_lifetime;
    let mut issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[] };
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
    assert_eq!(authority(&mut w), Authority::PrimaryFactor, "a token without a code");
    revoke_token(&mut w.ctx("alice"), &name).unwrap();
    issue.code = Some(lifetime);
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
    assert_eq!(authority(&mut w), Authority::TokenCode);
    revoke_token(&mut w.ctx("alice"), &name).unwrap();
    w.import(Params::default());
    assert_eq!(authority(&mut w), Authority::TokenCode, "enrolled: its device is asked for");
}

#[test]
fn a_primary_factor_that_would_not_be_enough_is_refused_before_it_is_asked_for() {
    let mut w = World::new();
    let name = World::name();
    let why = |w: &mut World| authority(w).err().map(|error| error.reason());
    assert_eq!(why(&mut w), Some("not_enrolled"), "deny");
    w.config.defaults.first_login = FirstLogin::Token;
    assert_eq!(why(&mut w), Some("no_token"));
    w.config.defaults.first_login = FirstLogin::Enroll;
    assert_eq!(why(&mut w), None);
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[] };
    issue_token(&mut w.ctx("alice"), &issue).unwrap();
    revoke_token(&mut w.ctx("alice"), &name).unwrap();
    assert_eq!(why(&mut w), Some("token_revoked"), "what was taken back");
    let mut w = World::new();
    w.import(Params::default());
    crate::revoke(&mut w.ctx("alice"), &name, Selection::All).unwrap();
    assert_eq!(why(&mut w), Some("revoked"));
    let mut other = Human::says([]);
    let refused = own(&mut w, &mut other, |owner| SelfService { uid: UID + 1, ..owner }.authority());
    assert!(matches!(refused, Err(EnrollError::UidChanged)), "{refused:?}");
}

#[test]
fn an_issued_token_that_has_ended_is_refused_by_name_whatever_first_login_says() {
    let name = World::name();
    for first_login in [FirstLogin::Deny, FirstLogin::Token, FirstLogin::Enroll, FirstLogin::Allow] {
        for end in [TokenRefusal::Expired, TokenRefusal::Revoked, TokenRefusal::Consumed] {
            for revoked in [false, true] {
                let mut w = World::new();
                w.config.defaults.first_login = first_login;
                if revoked {
                    w.import(Params::default());
                    crate::revoke(&mut w.ctx("alice"), &name, Selection::All).unwrap();
                }
                end_token(&mut w, end);
                let refused = authority(&mut w);
                // If the password alone allows enrolling anyway, an expired token takes nothing away.
                let needless = first_login == FirstLogin::Enroll && !revoked && end != TokenRefusal::Revoked;
                match refused {
                    Ok(Authority::PrimaryFactor) if needless => {}
                    Err(EnrollError::Token(said)) if !needless && said == end => {}
                    other => panic!("{first_login:?}, {end:?}, account revoked: {revoked}: {other:?}"),
                }
            }
        }
    }
}
