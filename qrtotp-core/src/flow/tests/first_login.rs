//! The auth part for accounts without a credential: whom it marks for an enrolment, and whom it lets pass.
use super::*;
use crate::account::TokenRefusal;
use crate::policy::FirstLogin;
use crate::store::Store;

fn world(first_login: FirstLogin) -> World {
    let mut w = World::new();
    w.config.defaults.first_login = first_login;
    w
}

/// Somebody whose password an earlier module has taken, and who presses Enter.
fn newcomer() -> Human {
    Human { password: Some(b"hunter2".to_vec()), ..Human::says([say("")]) }
}

fn login(w: &mut World, human: &mut Human) -> Outcome {
    w.login_as("ALICE", &Options::default(), human)
}

fn days_from_now(w: &World, days: i64) -> crate::policy::Date {
    let text = crate::text::utc(w.clock.now() + days * 86_400);
    text.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_newcomer_with_a_password_or_a_key_is_marked_and_sees_nothing() {
    for (mut human, password_only) in
        [(newcomer(), true), (Human { key: true, ..Human::says([say("")]) }, false)]
    {
        let mut w = world(FirstLogin::Enroll);
        assert_eq!(login(&mut w, &mut human), Outcome::Ignored);
        assert_eq!(w.reason(), "enrollment_due");
        assert_eq!(human.marks, [Mark { user: "alice".into(), uid: UID, due: Due::Enrollment }]);
        assert!(human.offers.is_empty() && human.shown.is_empty());
        assert_eq!(human.guarded, [password_only]);
        assert!(w.store.load(&World::name()).unwrap().is_none(), "nothing is changed yet");
    }
}

#[test]
fn who_calls_as_themselves_is_noted_of_others_there_is_a_place_for_the_note() {
    for (by, noted) in [("alice", true), ("bob", false), ("", false)] {
        let mut w = world(FirstLogin::Enroll);
        let subject = Subject { by: by.into(), ..World::subject("ALICE") };
        assert_eq!(w.login_of(subject, &Options::default(), &mut newcomer()), Outcome::Ignored);
        let due = w.store.due(UID).unwrap();
        assert_eq!(due, if noted { vec![World::name()] } else { vec![] }, "by {by:?}");
        let files = std::fs::read_dir(w.path.join("due")).unwrap().count();
        assert_eq!(files, 1, "by {by:?}");
    }
}

#[test]
fn without_a_sign_of_a_primary_factor_nobody_is_marked() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { password: None, ..newcomer() };
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "no_primary_factor");
    assert!(human.marks.is_empty());
}

#[test]
fn where_our_other_parts_may_be_left_out_nobody_is_marked() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { guard: Some("add the lines"), ..newcomer() };
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "enrollment_guard");
    assert!(human.marks.is_empty() && w.log.0.last().unwrap().contains("detail=\"add the lines\""));
}

#[test]
fn everybody_is_asked_the_same() {
    let mut w = world(FirstLogin::Enroll);
    w.import(Params::default());
    let mut prompts = std::collections::HashSet::new();
    for user in ["alice", "bob", "nobody-here"] {
        let mut human = newcomer();
        w.login_as(user, &Options::default(), &mut human);
        prompts.extend(human.prompts);
    }
    assert_eq!(prompts.into_iter().collect::<Vec<_>>(), ["Verification code (Enter: none yet): "]);
}

#[test]
fn an_enrolled_account_is_never_marked_for_enrolment() {
    let mut w = world(FirstLogin::Enroll);
    let secret = w.import(Params::default());
    let mut human = newcomer();
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert!(human.marks.is_empty());
    let code = w.code(&secret, 0);
    let mut human = Human { password: Some(b"hunter2".to_vec()), ..Human::says([say(&code)]) };
    assert_eq!(login(&mut w, &mut human), Outcome::Accepted);
    assert!(human.marks.is_empty(), "imported accounts are owed no recovery codes");
}

#[test]
fn a_repeated_password_is_no_answer_of_a_newcomer() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { password: Some(b"hunter2".to_vec()), ..Human::says([say("hunter2")]) };
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "password_repeated");
    assert!(human.marks.is_empty());
}

#[test]
fn allow_lets_newcomers_pass_unasked_and_counts_the_days() {
    let mut w = world(FirstLogin::Allow);
    for (days, text) in [(2, "3 days are left"), (0, "Today is the last day")] {
        w.config.defaults.allow_until = Some(days_from_now(&w, days));
        let mut human = newcomer();
        assert_eq!(login(&mut w, &mut human), Outcome::Ignored);
        assert_eq!(w.reason(), "grace_period");
        assert!(human.shown[0].starts_with(text) && human.prompts.is_empty(), "{:?}", human.shown);
    }
    w.config.defaults.allow_until = Some(days_from_now(&w, -1));
    let mut human = newcomer();
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "grace_over");
}

#[test]
fn a_revoked_account_is_not_let_pass_by_any_default() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token, FirstLogin::Allow] {
        let mut w = world(first_login);
        w.config.defaults.allow_until = Some(days_from_now(&w, 9));
        w.import(Params::default());
        let subject = World::subject("root");
        revoke(&w.store, &World::name(), Selection::All, START, &subject, &mut w.log).unwrap();
        let mut human = newcomer();
        assert_eq!(login(&mut w, &mut human), Outcome::Denied, "{first_login:?}");
        assert_eq!(w.reason(), "revoked");
        assert!(human.marks.is_empty());
    }
}

#[test]
fn a_token_is_refused_by_name_at_login() {
    let mut w = world(FirstLogin::Token);
    assert_eq!(login(&mut w, &mut newcomer()), Outcome::Denied);
    assert_eq!(w.reason(), "no_token");
    let (name, subject) = (World::name(), World::subject("root"));
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None };
    issue_token(&w.store, &issue, START, &subject, &mut w.log).unwrap();
    assert_eq!(login(&mut w, &mut newcomer()), Outcome::Ignored);
    w.pass(lifetime.as_seconds());
    assert_eq!(login(&mut w, &mut newcomer()), Outcome::Denied);
    assert_eq!(w.reason(), "token_expired");
}

/// A token for alice that has ended so.
pub(super) fn end_token(w: &mut World, end: TokenRefusal) {
    let (name, subject, now) = (World::name(), World::subject("root"), w.clock.now());
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: Some(lifetime) };
    issue_token(&w.store, &issue, now, &subject, &mut w.log).unwrap();
    match end {
        TokenRefusal::Expired => w.pass(lifetime.as_seconds()),
        TokenRefusal::Revoked => {
            revoke_token(&w.store, &name, now, &subject, &mut w.log).unwrap();
        }
        _ => w
            .store
            .update_account(&name, |slot| {
                let token = slot.as_mut().unwrap().record.token.as_mut().unwrap();
                token.show(now).and_then(|()| token.consume(now)).unwrap();
            })
            .unwrap(),
    }
}

#[test]
fn a_revoked_accounts_token_is_refused_by_name_at_login_and_the_log_says_what_was_revoked() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token] {
        for end in [TokenRefusal::Expired, TokenRefusal::Revoked, TokenRefusal::Consumed] {
            let mut w = world(first_login);
            w.import(Params::default());
            let subject = World::subject("root");
            revoke(&w.store, &World::name(), Selection::All, START, &subject, &mut w.log).unwrap();
            end_token(&mut w, end);
            let mut human = newcomer();
            assert_eq!(login(&mut w, &mut human), Outcome::Denied);
            assert_eq!(w.reason(), end.as_str());
            let line = w.log.0.last().unwrap();
            assert!(line.contains("detail=\"all devices of the account were revoked\""), "{line}");
            assert!(human.shown.is_empty(), "only the log says so: {:?}", human.shown);
        }
    }
}

#[test]
fn a_password_item_that_is_or_holds_the_code_excludes_enrolment_at_login() {
    for (first_pass, excludes) in
        [(FirstPass::Ask, false), (FirstPass::Try, false), (FirstPass::Use, true), (FirstPass::Forward, true)]
    {
        let options = Options { first_pass, ..Options::default() };
        for (first_login, enrols) in [
            (FirstLogin::Deny, false),
            (FirstLogin::Allow, false),
            (FirstLogin::Enroll, true),
            (FirstLogin::Token, true),
        ] {
            assert_eq!(options.conflict(&world(first_login).config).is_some(), excludes && enrols);
        }
    }
}

#[test]
fn owed_recovery_codes_are_handed_over_at_the_next_login() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { acknowledge: Acknowledge::Never, ..Human::says([Say::Phone(0)]) };
    w.enroll_with(&mut human, Authority::PrimaryFactor).unwrap();
    w.pass(30);
    let uri = KeyUri::parse(&human.offers[0].0, Strength::Normal).unwrap();
    let mut again = Human::says([say(&w.code(&uri.secret, 0))]);
    assert_eq!(login(&mut w, &mut again), Outcome::Accepted);
    assert_eq!(again.marks, [Mark { user: "alice".into(), uid: UID, due: Due::RecoveryCodes }]);
    let mut person = Human::says([say("SKIP")]);
    assert_eq!(account_part(&mut w, &again.marks[0], "alice", &mut person), Outcome::Accepted);
    assert!(
        person.prompts[0].contains("never confirmed") && w.log.0.last().unwrap().contains("recovery_issued")
    );
    assert!(!w.store.load(&World::name()).unwrap().unwrap().record.recovery_due);
}

#[test]
fn a_mark_reads_back_from_its_text_also_for_long_and_odd_names() {
    for user in ["alice", "a:b:c", &"x".repeat(200), ""] {
        for due in [Due::Enrollment, Due::RecoveryCodes] {
            let mark = Mark { user: user.into(), uid: 7, due };
            assert_eq!(Mark::from_text(&mark.to_text()), Some(mark));
        }
    }
    for text in ["", "enrollment", "enrollment:7", "enrollment:-1:x", "other:7:x"] {
        assert_eq!(Mark::from_text(text), None, "{text}");
    }
}

#[test]
fn a_mark_of_somebody_else_denies() {
    for (mark, user) in [
        (Mark { user: "bob".into(), uid: 5000, due: Due::Enrollment }, "alice"),
        (Mark { user: "alice".into(), uid: 1, due: Due::Enrollment }, "alice"),
        // Another name of the same uid.
        (Mark { user: "alice2".into(), uid: UID, due: Due::Enrollment }, "alice"),
        (Mark { user: "alice".into(), uid: UID, due: Due::RecoveryCodes }, "bob"),
    ] {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human::says([say("")]);
        assert_eq!(account_part(&mut w, &mark, user, &mut human), Outcome::Denied);
        assert_eq!(w.reason(), "user_changed");
        assert!(human.prompts.is_empty());
    }
}

#[test]
fn where_nobody_can_be_looked_up_codes_stay_owed_and_nobody_enrols() {
    for (due, outcome) in [(Due::RecoveryCodes, Outcome::Ignored), (Due::Enrollment, Outcome::Denied)] {
        let mut w = world(FirstLogin::Enroll);
        let mark = Mark { user: "ghost".into(), uid: UID, due };
        let mut human = Human::default();
        assert_eq!(account_part(&mut w, &mark, "ghost", &mut human), outcome);
        assert!(human.prompts.is_empty() && human.offers.is_empty());
        assert_eq!(
            w.log.0.iter().any(|line| line.contains("reason=lookup_failed")),
            outcome == Outcome::Denied
        );
    }
}

#[test]
fn whose_record_has_a_token_and_no_device_enrols_in_the_account_part() {
    let mut w = world(FirstLogin::Enroll);
    let (name, lifetime) = (World::name(), crate::policy::Span::seconds(86_400));
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None };
    issue_token(&w.store, &issue, w.clock.now(), &World::subject("root"), &mut w.log).unwrap();
    let mark = Mark { user: "alice".into(), uid: UID, due: Due::Enrollment };
    let mut human = Human::default();
    assert_eq!(account_part(&mut w, &mark, "alice", &mut human), Outcome::Denied);
    assert!(!human.prompts.is_empty(), "the key is shown: {:?}", w.log.0);
    assert!(w.log.0.iter().any(|line| line.starts_with("event=enrollment_started")));
}

#[test]
fn the_account_part_looks_again_before_it_shows_anything() {
    let mut w = world(FirstLogin::Enroll);
    let mark = Mark { user: "alice".into(), uid: UID, due: Due::Enrollment };
    w.import(Params::default()); // meanwhile
    let mut human = Human::default();
    assert_eq!(account_part(&mut w, &mark, "alice", &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "enrolled_meanwhile");
    assert!(human.prompts.is_empty());
}

fn account_part(w: &mut World, mark: &Mark, user: &str, human: &mut Human) -> Outcome {
    AccountPart {
        mark,
        config: &w.config,
        store: &w.store,
        directory: &w.people,
        host: human,
        host_name: "bastion",
        clock: &w.clock,
        audit: &mut w.log,
        subject: World::subject(user),
    }
    .run()
}

fn alice() -> Person {
    Person { name: "alice".into(), uid: UID }
}

#[test]
fn who_was_asked_nothing_owes_an_enrolment_where_people_enrol_and_they_have_no_device() {
    for (first_login, owed) in [
        (FirstLogin::Enroll, true),
        (FirstLogin::Token, true),
        (FirstLogin::Deny, false),
        (FirstLogin::Allow, false),
    ] {
        let mut w = world(first_login);
        let owes = |w: &World, person: Option<&Person>| owes_enrollment(&w.config, &w.store, person).unwrap();
        assert_eq!(owes(&w, Some(&alice())), owed, "{first_login:?}");
        assert_eq!(owes(&w, None), owed, "{first_login:?}: nobody that can be looked up");
        w.import(Params::default());
        assert!(!owes(&w, Some(&alice())), "{first_login:?}: a device");
    }
}

#[test]
fn who_was_led_past_an_enrolment_is_known_by_uid_until_they_enrol_or_nobody_need_to() {
    let led_past = |w: &World, person: Option<&Person>, there: bool| {
        was_led_past(&w.config, &w.store, person, |_| there, w.clock.now()).unwrap()
    };
    let mut w = world(FirstLogin::Enroll);
    let bob = Person { name: "bob".into(), ..alice() };
    assert!(!led_past(&w, Some(&alice()), true));
    w.store.note_due(&World::name(), UID).unwrap();
    assert!(led_past(&w, Some(&alice()), true) && !led_past(&w, None, true));
    let another = Person { uid: UID + 1, ..alice() };
    assert!(!led_past(&w, Some(&another), true), "another uid");
    for there in [true, false] {
        assert!(led_past(&w, Some(&bob), there), "a second name of the uid, or its new one");
    }
    w.config.defaults.first_login = FirstLogin::Allow;
    w.config.defaults.allow_until = Some(days_from_now(&w, 3));
    assert!(!led_past(&w, Some(&alice()), true), "nobody need enrol");
    w.config.defaults.allow_until = Some(days_from_now(&w, -3));
    assert!(led_past(&w, Some(&alice()), true));
    w.import(Params::default());
    assert!(led_past(&w, Some(&bob), false), "alice is no more: bob owes it");
    assert!(!led_past(&w, Some(&bob), true) && w.store.due(UID).unwrap().is_empty(), "alice has enrolled");
}
