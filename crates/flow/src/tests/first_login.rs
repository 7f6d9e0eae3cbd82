//! Logins of accounts without a credential: which may enrol, which have a grace period, and the message to
//! all others.
use super::*;
use qrtotp_account::{TokenCode, TokenRefusal};
use qrtotp_policy::FirstLogin;
use qrtotp_store::Store;
use qrtotp_values::ConfigDuration;

fn world(first_login: FirstLogin) -> World {
    let mut w = World::new();
    w.config.defaults.first_login = first_login;
    w
}

const PASSWORD: &[u8] = b"hunter2";

/// A user whose password an earlier module has taken, who presses Enter, and whose phone then takes the key.
fn newcomer() -> Human {
    Human {
        password: Some(PASSWORD.to_vec()),
        right_password: Some(PASSWORD),
        now: START,
        ..Human::says([say(""), say("k"), Say::Phone(0), say("skip")])
    }
}

fn login(w: &mut World, human: &mut Human) -> Outcome {
    human.now = w.clock.now();
    w.login_as("ALICE", &Options::default(), human)
}

fn days_from_now(w: &World, days: i64) -> qrtotp_values::Date {
    let text = qrtotp_values::text::utc(w.clock.now() + days * 86_400);
    text.split(' ').next().unwrap().parse().unwrap()
}

fn issue(w: &mut World, code: Option<ConfigDuration>) -> Option<TokenCode> {
    let (name, lifetime) = (World::name(), w.config.enroll.token_lifetime);
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code, keys: &[] };
    issue_token(&mut w.ctx("root"), &issue).unwrap().1
}

fn revoke_all(w: &mut World) {
    revoke(&mut w.ctx("root"), &World::name(), Selection::All).unwrap();
}

/// A refusal after Enter: only the usual words, at a fixed time, with the account unchanged.
fn is_refused(w: &mut World, mut human: Human, reason: &str) -> Human {
    let before = w.store.load(&World::name()).unwrap();
    assert_eq!(login(w, &mut human), Outcome::Denied, "{reason}");
    assert_eq!(w.reason(), reason);
    assert_eq!(human.shown, [text::NOT_ENROLLED_HERE.to_string()]);
    assert_eq!((human.prompts.len(), human.waits.len()), (1, 1), "{reason}");
    assert!(human.offers.is_empty());
    assert_eq!(w.store.load(&World::name()).unwrap(), before);
    human
}

#[test]
fn a_newcomer_with_a_right_password_enrols_and_is_in() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = newcomer();
    assert_eq!(login(&mut w, &mut human), Outcome::Accepted);
    assert_eq!(w.reason(), "enrolled");
    assert_eq!((human.proofs, human.rehearsals), (vec![PASSWORD.to_vec()], 1));
    assert!(human.waits.is_empty());
    assert_eq!(w.log.0.iter().filter(|line| line.starts_with("event=login ")).count(), 1);
    w.pass(30);
    let uri = KeyUri::parse(&human.offers[0].0, Strength::Normal).unwrap();
    let mut again =
        Human { password: Some(PASSWORD.to_vec()), ..Human::says([say(&w.code(&uri.secret, 0))]) };
    assert_eq!(login(&mut w, &mut again), Outcome::Accepted);
    assert_eq!(w.reason(), "code");
    assert!(again.proofs.is_empty(), "a login with a code proves no password");
}

#[test]
fn without_a_proven_primary_factor_nobody_sees_a_qr_code() {
    let mut w = world(FirstLogin::Enroll);
    for (password, right, reason, asked) in [
        (None, Some(PASSWORD), "no_primary_factor", 0),
        (Some(b"wrong".as_slice()), Some(PASSWORD), "primary_factor", 1),
        (Some(PASSWORD), None, "primary_factor_unavailable", 1),
    ] {
        let password = password.map(<[u8]>::to_vec);
        let human = is_refused(&mut w, Human { password, right_password: right, ..newcomer() }, reason);
        assert_eq!((human.proofs.len(), human.rehearsals), (asked, 0), "{reason}");
    }
}

#[test]
fn an_account_that_this_login_would_refuse_sees_no_qr_code() {
    let mut w = world(FirstLogin::Enroll);
    is_refused(&mut w, Human { barred: Some("Permission denied"), ..newcomer() }, "account_refused");
    assert!(w.log.0.last().unwrap().contains("detail=\"Permission denied\""), "{:?}", w.log.0);
}

#[test]
fn at_a_service_that_is_not_listed_nobody_enrols() {
    let mut w = world(FirstLogin::Enroll);
    w.config.enroll.services = vec!["login".into()];
    let human = is_refused(&mut w, newcomer(), "enrollment_not_here");
    assert!(human.proofs.is_empty());
}

#[test]
fn whoever_presses_enter_is_asked_and_told_the_same() {
    let mut w = world(FirstLogin::Enroll);
    w.import(Params::default());
    let mut seen = std::collections::HashSet::new();
    for user in ["alice", "bob", "nobody-here"] {
        let mut human = Human { right_password: None, ..newcomer() };
        assert_eq!(w.login_as(user, &Options::default(), &mut human), Outcome::Denied);
        assert_eq!(human.waits.len(), 1);
        seen.insert((human.prompts, human.shown));
    }
    assert_eq!(seen.len(), 1);
    assert_eq!(seen.iter().next().unwrap().0, ["Verification code (Enter: none yet): "]);
}

#[test]
fn the_password_of_an_enrolled_account_is_never_tried_after_enter() {
    let mut w = world(FirstLogin::Enroll);
    w.import(Params::default());
    let human = is_refused(&mut w, newcomer(), "malformed");
    assert!(human.proofs.is_empty());
}

#[test]
fn a_repeated_password_is_no_answer_of_a_newcomer() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { script: [say("hunter2")].into(), ..newcomer() };
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "password_repeated");
    assert!(human.proofs.is_empty());
}

#[test]
fn a_stopped_enrolment_denies_and_leaves_no_device() {
    for script in
        [vec![say("")], vec![say(""), say("q")], vec![say(""), say("000000"), say("000000"), say("000000")]]
    {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human { script: script.into(), ..newcomer() };
        assert_eq!(login(&mut w, &mut human), Outcome::Denied);
        let account = w.store.load(&World::name()).unwrap();
        assert!(account.is_none_or(|account| account.record.credentials.is_empty()));
        assert_eq!(w.log.0.iter().filter(|line| line.starts_with("event=login ")).count(), 1);
    }
}

#[test]
fn an_application_that_replaces_the_user_during_an_enrolment_gets_a_denial() {
    for messages in [1, 2, 4, 5] {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human { user_changes_after: Some(messages), ..newcomer() };
        let outcome = login(&mut w, &mut human);
        assert_eq!((outcome, w.reason().as_str()), (Outcome::Denied, "user_changed"), "after {messages}");
    }
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
fn a_revoked_account_is_not_let_in_by_any_default() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token, FirstLogin::Allow] {
        let mut w = world(first_login);
        w.config.defaults.allow_until = Some(days_from_now(&w, 9));
        w.import(Params::default());
        revoke_all(&mut w);
        let mut human = newcomer();
        assert_eq!(login(&mut w, &mut human), Outcome::Denied, "{first_login:?}");
        assert!(human.proofs.is_empty());
        let expected = if first_login == FirstLogin::Allow { "malformed" } else { "revoked" };
        assert!(w.reason() == "revoked" || w.reason() == expected, "{}", w.reason());
    }
}

#[test]
fn a_token_is_needed_where_the_configuration_says_so_and_refused_by_name_in_the_log() {
    let mut w = world(FirstLogin::Token);
    is_refused(&mut w, newcomer(), "no_token");
    issue(&mut w, None);
    let lifetime = w.config.enroll.token_lifetime;
    let mut human = newcomer();
    human.script.truncate(1);
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert!(human.prompts[1].contains("QR code"), "the dialogue begins: {:?}", human.prompts);
    w.pass(lifetime.as_seconds());
    is_refused(&mut w, newcomer(), "token_expired");
}

#[test]
fn the_code_of_a_token_proves_its_owner_without_a_password() {
    let mut w = world(FirstLogin::Token);
    let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap();
    let mut human = Human {
        password: None,
        right_password: None,
        script: [say(&code.display()), say("k"), Say::Phone(0), say("skip")].into(),
        ..newcomer()
    };
    assert_eq!(login(&mut w, &mut human), Outcome::Accepted);
    assert_eq!((w.reason().as_str(), human.rehearsals), ("enrolled", 1));
    assert!(!human.prompts.iter().any(|prompt| prompt.starts_with("One-time code")), "it is asked for once");
}

#[test]
fn the_code_of_a_token_that_ended_is_refused_for_that_in_the_log() {
    let mut w = world(FirstLogin::Token);
    let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap();
    w.pass(w.config.enroll.token_lifetime.as_seconds());
    let answer = || Human { script: [say(&code.display())].into(), password: None, ..newcomer() };
    let human = is_refused(&mut w, answer(), "token_expired");
    assert_eq!(human.shown, [text::NOT_ENROLLED_HERE.to_string()]);
}

#[test]
fn what_is_no_token_code_is_refused_like_enter() {
    let answer = |text: &str| Human { script: [say(text)].into(), password: None, ..newcomer() };
    is_refused(&mut world(FirstLogin::Token), answer("ABCD-EFGH"), "malformed");
    let mut w = world(FirstLogin::Token);
    issue(&mut w, None);
    is_refused(&mut w, answer("ABCD-EFGH"), "malformed");
    let mut w = world(FirstLogin::Token);
    issue(&mut w, Some(ConfigDuration::seconds(600)));
    let mut human = answer("ABCD-EFGH");
    assert_eq!(login(&mut w, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "token_code_wrong");
    assert_eq!((human.shown, human.rehearsals), (vec![text::NOT_ENROLLED_HERE.to_string()], 0));
    let token = w.store.load(&World::name()).unwrap().unwrap().record.token.unwrap();
    assert_eq!(token.binding.unwrap().failures, 1, "it counts");
    for _ in 0..9 {
        let mut human = answer("ABCD-EFGH");
        assert_eq!(login(&mut w, &mut human), Outcome::Denied);
        assert_eq!(human.waits.len(), 1, "the time does not tell that there is such a token");
    }
}

/// A token for alice that has ended with this refusal.
pub(super) fn end_token(w: &mut World, end: TokenRefusal) {
    let (name, now) = (World::name(), w.clock.now());
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: Some(lifetime), keys: &[] };
    issue_token(&mut w.ctx("root"), &issue).unwrap();
    match end {
        TokenRefusal::Expired => w.pass(lifetime.as_seconds()),
        TokenRefusal::Revoked => {
            revoke_token(&mut w.ctx("root"), &name).unwrap();
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
fn a_revoked_accounts_token_is_refused_by_name_in_the_log_alone() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token] {
        for end in [TokenRefusal::Expired, TokenRefusal::Revoked, TokenRefusal::Consumed] {
            let mut w = world(first_login);
            w.import(Params::default());
            revoke_all(&mut w);
            end_token(&mut w, end);
            is_refused(&mut w, newcomer(), end.as_str());
            let line = w.log.0.last().unwrap();
            assert!(line.contains("detail=\"all devices of the account were revoked\""), "{line}");
        }
    }
}

#[test]
fn a_password_item_that_is_the_code_excludes_enrolment_at_login() {
    for (first_pass, excludes) in [
        (FirstPass::Ask, false),
        (FirstPass::Try, false),
        (FirstPass::Use, true),
        (FirstPass::Forward, false),
    ] {
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
fn behind_forward_pass_all_of_the_text_is_a_newcomers_password() {
    let forward = Options { first_pass: FirstPass::Forward, ..Options::default() };
    let mut w = world(FirstLogin::Enroll);
    let script = || [say("hunter2"), say("k"), Say::Phone(0), say("skip")].into();
    let mut human = Human { password: None, script: script(), ..newcomer() };
    assert_eq!(w.login_as("alice", &forward, &mut human), Outcome::Accepted);
    assert_eq!((w.reason().as_str(), human.forwarded.as_deref()), ("enrolled", Some(PASSWORD)));
    for (user, right, reason) in
        [("bob", b"other".as_slice(), "primary_factor"), ("nobody-here", PASSWORD, "unknown_user")]
    {
        let mut human = Human { password: None, right_password: Some(right), script: script(), ..newcomer() };
        assert_eq!(w.login_as(user, &forward, &mut human), Outcome::Denied);
        assert_eq!((w.reason().as_str(), human.prompts.len(), human.waits.len()), (reason, 1, 1));
        assert_ne!(human.forwarded.as_deref(), Some(PASSWORD));
    }
}

#[test]
fn owed_recovery_codes_need_a_right_code_and_a_proven_primary_factor() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { acknowledge: Acknowledge::Never, ..Human::says([Say::Phone(0)]) };
    w.enroll_with(&mut human, Authority::PrimaryFactor).unwrap();
    let secret = KeyUri::parse(&human.offers[0].0, Strength::Normal).unwrap().secret;
    let owed = |w: &World| w.store.load(&World::name()).unwrap().unwrap().record.recovery_due;
    for (password, barred, delivered) in [
        (None, None, false),
        (Some(b"wrong".as_slice()), None, false),
        (Some(PASSWORD), Some("expired"), false),
        (Some(PASSWORD), None, true),
    ] {
        w.pass(30);
        let mut again = Human {
            password: password.map(<[u8]>::to_vec),
            barred,
            script: [say(&w.code(&secret, 0)), say("SKIP")].into(),
            ..newcomer()
        };
        assert_eq!(login(&mut w, &mut again), Outcome::Accepted, "the code was right");
        assert_eq!((again.prompts.len() == 2, owed(&w)), (delivered, !delivered), "{password:?} {barred:?}");
        assert_eq!(w.log.0.iter().any(|line| line.starts_with("event=recovery_issued")), delivered);
        if delivered {
            assert!(again.prompts[1].contains("never confirmed"));
        }
    }
}

const INFO: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
const BOUND: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";

/// A user whose key sshd accepted, and who presses Enter.
fn with_a_key() -> Human {
    Human { password: None, right_password: None, ssh_auth_info: Some(INFO), ..newcomer() }
}

#[test]
fn a_key_proves_the_primary_factor_if_the_token_is_bound_to_it() {
    let mut w = world(FirstLogin::Token);
    let (name, key) = (World::name(), BOUND.parse().unwrap());
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[key] };
    issue_token(&mut w.ctx("root"), &issue).unwrap();
    is_refused(&mut w, Human { ssh_auth_info: None, ..with_a_key() }, "no_primary_factor");
    is_refused(
        &mut w,
        Human { ssh_auth_info: Some("publickey ssh-ed25519 AAAA"), ..with_a_key() },
        "no_primary_factor",
    );
    is_refused(&mut w, Human { barred: Some("expired"), ..with_a_key() }, "account_refused");
    // A password that was taken must be right, even with a key.
    let wrong = Human { password: Some(b"wrong".to_vec()), right_password: Some(PASSWORD), ..with_a_key() };
    is_refused(&mut w, wrong, "primary_factor");
    assert_eq!(login(&mut w, &mut with_a_key()), Outcome::Accepted);
    assert_eq!(w.reason(), "enrolled");
}

#[test]
fn the_key_of_a_token_shows_no_qr_code_of_the_one_that_replaced_it() {
    for first_login in [FirstLogin::Token, FirstLogin::Enroll] {
        let mut w = world(first_login);
        let (name, key) = (World::name(), BOUND.parse().unwrap());
        let lifetime = w.config.enroll.token_lifetime;
        let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[key] };
        issue_token(&mut w.ctx("root"), &issue).unwrap();
        let mut human = Human {
            script: [say(""), say("i"), say("n"), say("k"), Say::Phone(0)].into(),
            meanwhile: super::resume::token_replaced_at(3, &w, first_login, None),
            ..with_a_key()
        };
        assert_eq!(login(&mut w, &mut human), Outcome::Denied);
        assert_eq!((w.reason().as_str(), human.prompts.len()), ("changed_meanwhile", 3), "{first_login:?}");
    }
}

#[test]
fn a_key_without_a_token_bound_to_it_proves_nothing_unless_the_configuration_says_so() {
    let mut w = world(FirstLogin::Enroll);
    is_refused(&mut w, with_a_key(), "no_primary_factor");
    assert!(w.log.0.last().unwrap().contains("token issue --keys-now"), "{:?}", w.log.0.last());
    let mut w = world(FirstLogin::Token);
    issue(&mut w, None);
    is_refused(&mut w, with_a_key(), "no_primary_factor");
    let mut w = world(FirstLogin::Enroll);
    w.config.enroll.key_is_enough = true;
    w.config.enroll.key_services = vec!["other".into()];
    is_refused(&mut w, with_a_key(), "no_primary_factor");
    w.config.enroll.key_services = vec!["sshd".into()];
    assert_eq!(login(&mut w, &mut with_a_key()), Outcome::Accepted);
}

#[test]
fn the_key_that_enrolled_proves_its_owner_for_owed_recovery_codes() {
    let mut w = world(FirstLogin::Token);
    let (name, key) = (World::name(), BOUND.parse().unwrap());
    let lifetime = w.config.enroll.token_lifetime;
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[key] };
    issue_token(&mut w.ctx("root"), &issue).unwrap();
    let mut first = with_a_key();
    first.script.truncate(3); // the line drops while the recovery codes are on the screen
    assert_eq!(login(&mut w, &mut first), Outcome::Accepted);
    let secret = KeyUri::parse(&first.offers[0].0, Strength::Normal).unwrap().secret;
    for (info, delivered) in [(None, false), (Some(INFO), true)] {
        w.pass(30);
        let script = [say(&w.code(&secret, 0)), say("skip")].into();
        let mut again = Human { ssh_auth_info: info, script, ..with_a_key() };
        assert_eq!(login(&mut w, &mut again), Outcome::Accepted);
        assert_eq!(again.prompts.len() == 2, delivered);
    }
}

#[test]
fn an_application_that_replaces_the_user_at_owed_recovery_codes_is_denied_after_the_code_is_used_up() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human { acknowledge: Acknowledge::Never, ..Human::says([Say::Phone(0)]) };
    w.enroll_with(&mut human, Authority::PrimaryFactor).unwrap();
    let secret = KeyUri::parse(&human.offers[0].0, Strength::Normal).unwrap().secret;
    w.pass(30);
    w.log.0.clear();
    let script = [say(&w.code(&secret, 0)), say("skip")].into();
    let mut again = Human { user_changes_after: Some(2), script, ..newcomer() };
    assert_eq!(login(&mut w, &mut again), Outcome::Denied);
    assert_eq!((again.prompts.len(), w.reason().as_str()), (2, "user_changed"));
    let [accepted, denied] = w.logins().try_into().unwrap();
    assert!(accepted.contains("result=accepted") && denied.contains("result=denied"), "{:?}", w.log.0);
}

#[test]
fn at_a_host_of_a_fleet_enrolment_by_the_defaults_or_by_a_rule_is_refused_like_a_wrong_code() {
    let rule = |first: &str| format!("[[rule]]\nname = 'one'\nthen = 'code'\nfirst_login = '{first}'");
    let defaults = |first: &str| format!("[defaults]\nfirst_login = '{first}'");
    for policy in ["enroll", "token"].into_iter().flat_map(|first| [rule(first), defaults(first)]) {
        let mut w = super::rules::policed("", &policy);
        let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
        let before = w.store.load(&World::name()).unwrap().unwrap();
        let mut seen = std::collections::HashSet::new();
        for (user, answer) in [("alice", ""), ("alice", &code), ("alice", "123456"), ("nobody-here", &code)] {
            let mut human = Human { in_fleet: true, script: [say(answer)].into(), ..newcomer() };
            assert_eq!(w.login_as(user, &Options::default(), &mut human), Outcome::Denied);
            assert!(human.proofs.is_empty() && human.offers.is_empty(), "{policy}");
            let _ = seen.insert((human.prompts, human.shown, human.waits.len()));
        }
        assert_eq!(seen.len(), 1, "{policy}: {seen:?}");
        let record = w.store.load(&World::name()).unwrap().unwrap().record;
        assert_eq!(record, before.record, "the token's code can still be used: {policy}");
    }
}
