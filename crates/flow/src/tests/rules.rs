//! Logins under a policy's rules. Which rule decides is tested in `qrtotp_policy::rules`.
use super::*;
use qrtotp_account::CredentialId;
use qrtotp_policy::{Names, SourceFile};
use qrtotp_store::Store;

struct Groups;

impl Names for Groups {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        Ok((group == "wheel").then_some(27))
    }

    fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        Ok(Vec::new())
    }
}

/// A host with one rule, whose keys are `rule`.
fn ruled(rule: &str) -> World {
    policed("", &format!("[[rule]]\nname = 'one'\n{rule}"))
}

pub(super) fn policed(settings: &str, rules: &str) -> World {
    let file = SourceFile { path: "qrtotp.toml".into(), bytes: format!("{settings}\n{rules}").into() };
    let mut w = World::new();
    let file_bytes = qrtotp_policy::compile(&[file], &Groups)
        .unwrap()
        .encode(qrtotp_policy::Stamp { generation: 7, ..Default::default() });
    w.config = qrtotp_policy::Applied::in_force(&file_bytes, 0).unwrap().config;
    w
}

fn last(w: &World) -> &str {
    w.log.0.iter().rev().find(|line| line.starts_with("event=login ")).unwrap()
}

#[test]
fn a_login_that_a_rule_skips_is_not_asked_and_says_by_which_rule() {
    let mut w = ruled("user = ['alice']\nthen = 'skip'");
    let mut human = Human::default();
    assert_eq!(w.login_as("ALICE", &Options::default(), &mut human), Outcome::Ignored);
    assert!(human.prompts.is_empty() && human.shown.is_empty());
    let expected = "event=login result=ignored reason=not_required user=alice service=sshd policy=7 rule=one";
    assert_eq!(last(&w), expected);
    let mut human = Human::says([say("123456")]);
    assert_eq!(w.login_as("bob", &Options::default(), &mut human), Outcome::Denied);
    assert!(last(&w).contains("reason=not_enrolled user=bob") && last(&w).contains("rule=default"));
}

#[test]
fn a_login_that_a_rule_with_alert_or_notice_skips_is_in_the_accounts_chain() {
    for word in ["alert", "notice"] {
        let mut w = ruled(&format!("user = ['alice']\nthen = 'skip'\n{word} = true"));
        let skip = |w: &mut World| w.login_as("alice", &Options::default(), &mut Human::default());
        assert_eq!(skip(&mut w), Outcome::Ignored);
        assert!(!last(&w).contains(" seq="), "there is no record: {}", last(&w));
        add_account(&mut w.ctx("root"), &World::name(), UID).unwrap();
        assert_eq!(skip(&mut w), Outcome::Ignored);
        assert!(
            last(&w).contains(" reason=not_required ") && last(&w).contains(" seq=1 at="),
            "{}",
            last(&w)
        );
        let known = w.store.last_lines(&World::name()).unwrap().unwrap();
        assert_eq!((known.0.chain.number(), known.1[0].as_str()), (1, last(&w)));
        // Such a rule is for emergencies: a store that can't be written keeps nobody out.
        std::fs::write(w.account_file("state"), "damaged").unwrap();
        assert_eq!(skip(&mut w), Outcome::Ignored);
        let detail = " detail=\"not in the account's chain: record_damaged\"";
        assert!(!last(&w).contains(" seq=") && last(&w).contains(detail), "{}", last(&w));
    }
}

#[test]
fn a_rule_that_denies_asks_like_everybody_does_the_same_work_and_burns_no_code() {
    let mut w = ruled("user = ['alice']\nthen = 'deny'");
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    let before = w.store.load(&World::name()).unwrap().unwrap().state;
    let mut human = Human::says([say(&code)]);
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!((w.reason().as_str(), human.prompts.len()), ("rule_denied", 1));
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state, before);
    let mut stranger = Human::says([say(&code)]);
    assert_eq!(w.login_as("nobody-knows", &Options::default(), &mut stranger), Outcome::Denied);
    assert_eq!((human.prompts, human.shown), (stranger.prompts, stranger.shown));
}

#[test]
fn a_rule_that_denies_with_a_message_shows_it_and_asks_nothing() {
    let mut w = ruled("user = ['alice']\nthen = 'deny'\nmessage = 'Call 1234.'");
    let mut human = Human::default();
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!((human.shown, human.prompts.len()), (vec!["Call 1234.".to_owned()], 0));
    assert_eq!(w.reason(), "rule_denied");
}

#[test]
fn neither_nullok_nor_grace_nor_an_enrolment_gets_past_a_rule_that_denies() {
    let allow = "[defaults]\nfirst_login = 'allow'\nallow_until = '2100-01-01'";
    for (settings, options) in [
        ("", Options { nullok: true, ..Options::default() }),
        (allow, Options::default()),
        ("[defaults]\nfirst_login = 'enroll'", Options::default()),
    ] {
        let mut w = policed(settings, "[[rule]]\nname = 'one'\nuser = ['alice']\nthen = 'deny'");
        let mut human =
            Human { password: Some(b"pw".into()), right_password: Some(b"pw"), ..Human::says([say("")]) };
        assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Denied);
        assert!(human.offers.is_empty() && w.store.load(&World::name()).unwrap().is_none());
    }
}

#[test]
fn two_codes_in_a_row_are_a_step_up_and_one_is_not() {
    let mut w = policed(
        "[throttle]\nfree_failures = 20",
        "[[rule]]\nname = 'one'\nservice = ['sshd']\nthen = 'two-codes'",
    );
    let secret = w.import(Params::default());
    let (before, now, next) = (w.code(&secret, -1), w.code(&secret, 0), w.code(&secret, 1));
    for wrong in [now.clone(), format!("{now} {before}"), format!("{now} {now}"), format!("{before}{now}1")] {
        assert_eq!(w.answer(&wrong), Outcome::Denied, "{wrong}");
    }
    assert_eq!(w.answer(&format!("{now} {next}")), Outcome::Denied, "the next one is not due yet");
    assert_eq!(w.answer(&format!("{before} {now}")), Outcome::Accepted);
    assert!(last(&w).contains("reason=code ") && last(&w).contains("credential=c-"), "{}", last(&w));
    assert_eq!(w.answer(&format!("{before} {now}")), Outcome::Denied, "both are used up");
    w.clock.0.set(START + 30);
    assert_eq!(w.answer(&format!("{now} {next}")), Outcome::Denied, "the first of them is");
    w.clock.0.set(START + 90);
    let pair = format!("{}{}", w.code(&secret, -1), w.code(&secret, 0));
    assert_eq!(w.answer(&pair), Outcome::Accepted);
}

#[test]
fn a_step_up_asks_for_two_codes_and_has_no_room_in_a_password_field() {
    let mut w = ruled("service = ['sshd']\nthen = 'two-codes'");
    let mut human = Human::says([say("x")]);
    w.login_as("alice", &Options::default(), &mut human);
    assert!(human.prompts[0].starts_with("Two codes in a row"), "{:?}", human.prompts);
    for first_pass in [FirstPass::Forward, FirstPass::Use] {
        let options = Options { first_pass, ..Options::default() };
        let mut human = Human { password: Some(b"pw123456".into()), ..Human::default() };
        assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Denied);
        assert_eq!((w.reason().as_str(), human.prompts.len()), ("arguments_invalid", 0));
    }
}

#[test]
fn a_fresh_code_is_one_of_the_present_step() {
    let mut w = ruled("service = ['sshd']\nthen = 'code'\nfresh = true");
    let secret = w.import(Params::default());
    let (before, now) = (w.code(&secret, -1), w.code(&secret, 0));
    assert_eq!(w.answer(&before), Outcome::Denied);
    let line = w.log.0.last().unwrap();
    assert!(
        line.contains("takes only the code that the app shows now") && !line.contains("resync"),
        "{line}"
    );
    assert_eq!(w.answer(&now), Outcome::Accepted);
}

#[test]
fn recovery_codes_count_unless_a_rule_says_otherwise() {
    for (then, outcome, reason) in [
        ("then = 'code'\nrecovery = false", Outcome::Denied, "recovery_not_here"),
        ("then = 'two-codes'\nrecovery = false", Outcome::Denied, "recovery_not_here"),
        ("then = 'two-codes'", Outcome::Accepted, "recovery_code"),
    ] {
        let mut w = ruled(&format!("service = ['sshd']\n{then}"));
        let mut human = Human::says([Say::Phone(0)]);
        w.enroll(&mut human).unwrap();
        assert_eq!(w.answer(&human.codes[0]), outcome, "{then}");
        assert_eq!(w.reason(), reason, "{then}");
    }
}

#[test]
fn what_happens_at_a_first_login_is_the_rules() {
    let mut w = policed(
        "[defaults]\nfirst_login = 'enroll'",
        "[[rule]]\nname = 'one'\nuser = ['alice']\nthen = 'code'\nfirst_login = 'allow'\nallow_until = '2100-01-01'",
    );
    let mut human = Human::default();
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Ignored);
    assert_eq!(w.reason(), "grace_period");
    let mut human = Human::says([say("123456")]);
    w.login_as("bob", &Options::default(), &mut human);
    assert!(human.prompts[0].contains("Enter"), "{:?}", human.prompts);
    let mut w = policed(
        "[defaults]\nfirst_login = 'enroll'",
        "[[rule]]\nname = 'one'\nservice = ['sshd']\nthen = 'code'\nfirst_login = 'deny'",
    );
    let mut human =
        Human { password: Some(b"pw".into()), right_password: Some(b"pw"), ..Human::says([say("")]) };
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert!(human.offers.is_empty());
}

#[test]
fn nullok_gets_past_no_rule_that_says_what_happens_at_a_first_login() {
    let nullok = Options { nullok: true, ..Options::default() };
    for (rule, expected) in [
        ("service = ['su']\nthen = 'code'\nfirst_login = 'deny'", Outcome::Ignored),
        ("service = ['sshd']\nthen = 'code'", Outcome::Ignored),
        ("service = ['sshd']\nthen = 'code'\nfirst_login = 'deny'", Outcome::Denied),
        ("service = ['sshd']\nthen = 'two-codes'\nfirst_login = 'token'", Outcome::Denied),
        (
            "service = ['sshd']\nthen = 'code'\nfirst_login = 'allow'\nallow_until = '2020-01-01'",
            Outcome::Denied,
        ),
        // The directory of these tests has no groups: the strictest that they could give.
        ("group = ['wheel']\nthen = 'code'\nfirst_login = 'deny'", Outcome::Denied),
    ] {
        let outcome = ruled(rule).login_as("alice", &nullok, &mut Human::says([say("123456")]));
        assert_eq!(outcome, expected, "{rule}");
    }
}

#[test]
fn groups_that_can_not_be_had_give_the_strictest_of_what_they_could() {
    // The directory of these tests has no groups.
    for (then, expected) in [("deny", "rule_denied"), ("skip", "wrong_code")] {
        let mut w = ruled(&format!("group = ['wheel']\nthen = '{then}'"));
        w.import(Params::default());
        assert_eq!(w.answer("000000"), Outcome::Denied);
        assert_eq!(w.reason(), expected, "{then}");
    }
}

#[test]
fn a_fresh_code_is_one_of_the_present_step_whatever_window_the_device_has() {
    use qrtotp_otp::Window;
    for (then, steps) in [("then = 'code'", &[-1][..]), ("then = 'two-codes'", &[-2, -1])] {
        let mut w = ruled(&format!("service = ['sshd']\n{then}\nfresh = true"));
        let secret = w.secret();
        w.keep(&Import { window: Some(Window { back: 3, ahead: 3 }), ..World::to_import(&secret) }).unwrap();
        let codes: Vec<String> = steps.iter().map(|step| w.code(&secret, *step)).collect();
        assert_eq!(w.answer(&codes.join(" ")), Outcome::Denied, "{then}");
    }
}

#[test]
fn nobody_is_skipped_because_the_directory_is_down_or_the_clock_was_reset() {
    let mut w = ruled("service = ['sshd']\nuntil = '2025-12-31'\nthen = 'skip'");
    w.clock.0.set(1000);
    assert_eq!(w.login_as("alice", &Options::default(), &mut Human::default()), Outcome::Denied);
    assert_eq!(w.reason(), "clock_implausible");
    let mut w = ruled("service = ['sshd']\nthen = 'skip'");
    assert_eq!(w.login_as("ghost", &Options::default(), &mut Human::default()), Outcome::Denied);
    assert_eq!(w.reason(), "lookup_failed");
}

#[test]
fn groups_that_can_not_be_had_give_nobody_a_grace_period_and_loosen_no_step_up() {
    let mut w = ruled("group = ['wheel']\nthen = 'code'\nfirst_login = 'allow'\nallow_until = '2100-01-01'");
    let mut human = Human::says([say("123456")]);
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    let rules = "[[rule]]\nname = 'staff'\ngroup = ['wheel']\nthen = 'code'\n\
        [[rule]]\nname = 'rest'\nservice = ['sshd']\nthen = 'code'\nfresh = true";
    let mut w = policed("", rules);
    let secret = w.import(Params::default());
    let before = w.code(&secret, -1);
    assert_eq!(w.answer(&before), Outcome::Denied);
    assert!(last(&w).contains("rule=rest"), "{}", last(&w));
}

const HARDWARE: &str = "key = 'hardware'\nthen = 'skip'";
const ACCEPTED: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox\n";
const FINGERPRINT: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";

/// Registers the key of [`ACCEPTED`], which is not a hardware key: at a login only the record counts.
fn register(w: &mut World) -> Result<CredentialId, AdminError> {
    let kind = qrtotp_account::HardwareKeyType::Ed25519;
    let key = NewKey { kind, fingerprint: FINGERPRINT.parse().unwrap(), label: Label::new("blue") };
    let (name, uid) = (World::name(), w.people.0.get());
    register_key(&mut w.ctx("root"), (&name, uid), &key, ExistingCode::Skipped)
}

fn with_key() -> Human {
    Human { ssh_auth_info: Some(ACCEPTED), ..Human::says([say("000000")]) }
}

#[test]
fn a_registered_hardware_key_is_accepted_without_a_question() {
    let mut w = ruled(HARDWARE);
    assert!(matches!(register(&mut w), Err(AdminError::NotEnrolled(_))));
    w.import(Params::default());
    assert_eq!(w.login_as("alice", &Options::default(), &mut with_key()), Outcome::Denied, "not registered");
    let id = register(&mut w).unwrap();
    assert!(matches!(register(&mut w), Err(AdminError::KeyKnown(_, known)) if known == id));
    let before = w.store.load(&World::name()).unwrap().unwrap().state;
    let mut human = with_key();
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Accepted);
    assert!(human.prompts.is_empty() && human.shown.is_empty());
    let expected = format!(
        "event=login result=accepted reason=hardware_key user=alice service=sshd policy=7 rule=one credential={id} label=blue \
         with=publickey key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM"
    );
    assert_eq!(last(&w), expected);
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state, before, "nothing is written");
    for (what, subject, info) in [
        ("no key", World::subject("alice"), None),
        ("no service of sshd's", Subject { service: "su".into(), ..World::subject("alice") }, Some(ACCEPTED)),
        ("another account", World::subject("bob"), Some(ACCEPTED)),
    ] {
        let mut human = Human { ssh_auth_info: info, ..with_key() };
        assert_eq!(w.login_of(subject, &Options::default(), &mut human), Outcome::Denied, "{what}");
    }
    w.people.0.set(UID + 1);
    assert_eq!(w.login_as("alice", &Options::default(), &mut with_key()), Outcome::Denied, "another uid");
    w.people.0.set(UID);
    let name = World::name();
    revoke(&mut w.ctx("root"), &name, Selection::One(id)).unwrap();
    assert_eq!(w.login_as("alice", &Options::default(), &mut with_key()), Outcome::Denied, "revoked");
    assert!(w.store.load(&name).unwrap().unwrap().record.revoked.is_none(), "no app was");
}

#[test]
fn with_the_last_app_go_the_hardware_keys() {
    let mut w = ruled(HARDWARE);
    w.import(Params::default());
    let key = register(&mut w).unwrap();
    let app = w.store.load(&World::name()).unwrap().unwrap().record.credentials[0].id;
    let name = World::name();
    let gone = revoke(&mut w.ctx("root"), &name, Selection::One(app)).unwrap();
    assert_eq!(gone.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [app, key]);
    assert_eq!(w.login_as("alice", &Options::default(), &mut with_key()), Outcome::Denied);
    assert_eq!(w.reason(), "revoked");
}

#[test]
fn a_rule_that_demands_a_hardware_key_and_does_not_skip_asks() {
    let mut w = ruled("key = 'hardware'\nthen = 'code'");
    let secret = w.import(Params::default());
    register(&mut w).unwrap();
    let code = w.code(&secret, 0);
    let mut human = Human { ssh_auth_info: Some(ACCEPTED), ..Human::says([say(&code)]) };
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Accepted);
    assert!(last(&w).contains("reason=code ") && last(&w).contains("rule=one"), "{}", last(&w));
}

#[test]
fn who_names_the_terminal_tty_is_at_no_console() {
    let mut w = ruled("user = ['alice']\nfrom = ['local']\ntty = ['tty*']\nthen = 'skip'");
    for (tty, expected) in
        [("tty1", Outcome::Ignored), ("tty", Outcome::Denied), ("ttyUSB0", Outcome::Denied)]
    {
        let subject = Subject { tty: tty.into(), ..World::subject("alice") };
        let mut human = Human::says([say("123456")]);
        assert_eq!(w.login_of(subject, &Options::default(), &mut human), expected, "{tty}");
    }
}
