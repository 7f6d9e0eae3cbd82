//! One login, one event, and the allowed contents of that event.
use super::lanes::{ABROAD, HOME};
use super::*;
use qrtotp_clock::Discipline;
use qrtotp_policy::Require;
use qrtotp_store::Store;

impl World {
    pub(super) fn logins(&self) -> Vec<&str> {
        let is_login = |line: &&String| line.starts_with("event=login ");
        self.log.0.iter().filter(is_login).map(String::as_str).collect()
    }
}

#[test]
fn what_is_typed_for_an_unknown_user_is_never_logged() {
    let mut w = World::new();
    let typed = "my password";
    let mut human = Human::says([say("123456")]);
    assert_eq!(w.login_as(typed, &Options::default(), &mut human), Outcome::Denied);
    assert!(w.logins()[0].starts_with("event=login result=denied reason=unknown_user user=? service=sshd"));
    w.config.defaults.require = Require::Nothing;
    assert_eq!(w.login_as(typed, &Options::default(), &mut Human::default()), Outcome::Ignored);
    assert_eq!(w.login_as("ghost", &Options::default(), &mut Human::default()), Outcome::Ignored);
    w.clock.0.set(1);
    w.config.defaults.require = Config::default().defaults.require;
    assert_eq!(w.login_as(typed, &Options::default(), &mut Human::default()), Outcome::Denied);
    assert!(!w.log.0.join("\n").contains(typed));
    assert_eq!(w.logins().len(), 4);
}

#[test]
fn an_application_that_replaces_the_user_while_it_asks_uses_no_code_up() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    let mut human = Human { user_changes_after: Some(1), ..Human::says([say(&code)]) };
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!((w.reason().as_str(), w.logins().len()), ("user_changed", 1));
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn an_application_that_replaces_the_user_at_the_last_message_is_denied_after_the_code_is_used_up() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let mut login = Human { user_changes_after: Some(2), ..Human::says([say(&human.codes[0])]) };
    assert_eq!(w.login_as("alice", &Options::default(), &mut login), Outcome::Denied);
    assert_eq!((w.reason().as_str(), w.logins().len()), ("user_changed", 2));
    assert!(w.log.0.iter().any(|line| line.starts_with("event=recovery_used")));
}

#[test]
fn an_application_that_replaced_the_user_is_not_ignored_either() {
    let mut w = World::new();
    let nullok = Options { nullok: true, ..Options::default() };
    let mut human = Human { user_changes_after: Some(0), ..Human::default() };
    assert_eq!(w.login_as("bob", &nullok, &mut human), Outcome::Denied);
    assert_eq!((w.reason().as_str(), w.logins().len()), ("user_changed", 1));
}

#[test]
fn everybody_who_is_refused_costs_the_disk_one_write() {
    let mut w = World::new();
    w.import(Params::default());
    let written = |w: &World, dir: &str| {
        let bytes = std::fs::read(w.path.join(dir).join("state")).unwrap();
        let number = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        number(8).max(number(4096 + 8))
    };
    let total = |w: &World| written(w, "accounts/alice") + written(w, "decoy");
    for _ in 0..8 {
        for user in ["alice", "bob", "nobody-knows"] {
            let before = total(&w);
            let mut human = Human::says([say("000000")]);
            assert_eq!(w.login_as(user, &Options::default(), &mut human), Outcome::Denied);
            assert_eq!(total(&w) - before, 1, "{user} {}", w.reason());
        }
    }
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state.throttle.failures(), 5);
    w.people.0.set(UID + 1);
    let before = total(&w);
    assert_eq!(w.answer("000000"), Outcome::Denied);
    assert_eq!((w.reason().as_str(), total(&w) - before), ("uid_changed", 1));
}

#[test]
fn an_accepted_login_says_in_its_chain_which_primary_factor_is_known_to_be_proven() {
    let key = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBX0n0A2sUKZ8fGUKqhNoyHkTpJ4pgvX8yZ1wIUWdI9h";
    let forward = Options { first_pass: FirstPass::Forward, ..Options::default() };
    for (with, before, options) in [
        ("unknown", Human::default(), Options::default()),
        ("publickey", Human { ssh_auth_info: Some(key), ..Human::default() }, Options::default()),
        ("password", Human { right_password: Some(b"hunter2"), ..Human::default() }, forward),
    ] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        let password = before.right_password.unwrap_or_default();
        let typed = [password, w.code(&secret, 0).as_bytes()].concat();
        let mut human = Human { script: [Say::Text(typed)].into(), ..before };
        assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted, "{with}");
        let [line] = w.logins()[..] else { panic!("{:?}", w.log.0) };
        let (covered, _) = line.split_once(" chain=").unwrap();
        assert!(covered.starts_with("event=login result=accepted reason=code user=alice"), "{line}");
        assert!(covered.contains(&format!(" with={with} ")) && covered.contains(" seq=2 at="), "{line}");
    }
}

#[test]
fn a_decision_says_in_its_chain_whether_its_place_was_familiar_and_which_key_sshd_accepted() {
    let key = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
    let fingerprint = "key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";
    let mut w = World::new();
    let secret = w.import(Params::default());
    for (from, key, expected_if_wrong, expected) in [
        (HOME, None, "place=new ", "place=new with=unknown "),
        (HOME, None, "place=familiar ", "place=familiar with=unknown "),
        (HOME, Some(key), "place=new KEY ", "place=new with=publickey KEY "),
        (ABROAD, Some(key), "place=familiar KEY ", "place=familiar with=publickey KEY "),
        ("alice", Some(key), "failures=1 ", "with=unknown "), // sudo
    ] {
        w.pass(60);
        for (answer, expected) in [("000000".to_owned(), expected_if_wrong), (w.code(&secret, 0), expected)] {
            w.log.0.clear();
            w.from(from, &mut Human { ssh_auth_info: key, ..Human::says([say(&answer)]) });
            let [line] = w.logins()[..] else { panic!("{:?}", w.log.0) };
            let expected = format!("{}seq=", expected.replace("KEY", fingerprint));
            assert!(line.contains(&expected), "{from}: {line}");
        }
    }
}

#[test]
fn an_answer_that_was_not_looked_at_has_no_place_but_the_key_that_came_with_it() {
    let key = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
    let mut w = World::new();
    w.import(Params::default());
    w.from(HOME, &mut Human { ssh_auth_info: Some(key), ..Human::says([say("hello")]) });
    let line = w.logins()[0];
    assert!(line.contains(" key=SHA256:KaSV") && !line.contains(" place="), "{line}");
}

/// A clock, and whether anything keeps it right.
struct Kept(UnixTime, Option<bool>);

impl Clock for Kept {
    fn now(&self) -> UnixTime {
        self.0
    }

    fn discipline(&self) -> Option<Discipline> {
        self.1.map(|synchronized| Discipline { synchronized, offset: 0, max_error: 0 })
    }
}

#[test]
fn where_nothing_keeps_the_clock_right_a_refused_code_is_logged_with_that_and_nothing_else_is() {
    for (kept, is_named) in [(Some(false), true), (Some(true), false), (None, false)] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        let code = w.code(&secret, 0);
        for (answer, user, explained) in [
            (w.code(&secret, -40), "alice", true),
            (code.clone(), "alice", false),
            (code, "alice", false),
            (w.code(&secret, -1), "alice", false), // used already, whatever the clock says
            ("12345".into(), "alice", false),
            ("ABCD-EFGH-JKMN-PQRS".into(), "alice", false),
            ("123456".into(), "mallory", false),
        ] {
            w.log.0.clear();
            let clock = Kept(w.clock.now(), kept);
            let ctx = Ctx { clock: &clock, ..w.ctx(user) };
            login(ctx, &Options::default(), &mut Human::says([say(&answer)]));
            let lines: Vec<_> = w.log.0.iter().filter(|line| line.starts_with("event=login ")).collect();
            assert_eq!(lines.len(), 1, "{:?}", w.log.0);
            assert_eq!(
                lines[0].contains("keeps this host's clock right"),
                is_named && explained,
                "{}",
                lines[0]
            );
        }
    }
}

#[test]
fn a_code_that_is_right_for_a_clock_that_is_off_is_refused_and_logged_with_the_offset() {
    for (steps, offset) in [
        (-2, Some("60 s behind")),
        (-3, Some("90 s behind")),
        (-10, Some("300 s behind")),
        (1, Some("30 s ahead")),
        (10, Some("300 s ahead")),
        (-11, None),
    ] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        let code = w.code(&secret, steps);
        assert_eq!(w.answer(&code), Outcome::Denied);
        let line = w.logins()[0];
        let is_named = offset.is_some_and(|offset| {
            line.contains(&format!("the code is right for a clock {offset} this host's"))
                || line.contains(&format!("the code is right for a clock {offset} of this host's"))
        });
        assert_eq!(is_named, offset.is_some(), "{line}");
        assert!(line.contains("reason=wrong_code") && line.contains("failures=1"), "it counts: {line}");
    }
}

#[test]
fn what_is_no_code_and_what_sshd_answers_for_a_user_whom_it_refuses_are_logged_with_their_cause() {
    let mut w = World::new();
    w.import(Params::default());
    for (answer, cause) in [
        (b"correct horse".as_slice(), "KbdInteractiveAuthentication"),
        (b"\x08\n\r\x7fINCORRECT\x08\n\r\x7fINC", "sshd refuses this user"),
        (b"\x08\n\r\x7fIN", "sshd refuses this user"),
    ] {
        w.log.0.clear();
        let mut human = Human { password: Some(b"x".to_vec()), ..Human::says([Say::Text(answer.to_vec())]) };
        assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
        let line = w.logins()[0];
        assert!(line.contains("reason=malformed") && line.contains(cause), "{line}");
        // A host with one answer.
        for first_pass in [FirstPass::Use, FirstPass::Forward] {
            w.log.0.clear();
            let mut human = Human { password: Some(answer.to_vec()), ..Human::says([]) };
            let options = Options { first_pass, ..Options::default() };
            assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Denied);
            let forward = first_pass == FirstPass::Forward && answer == b"correct horse";
            let cause = if forward { "typed as one text" } else { cause };
            let line = w.logins()[0];
            assert!(line.contains("reason=malformed") && line.contains(cause), "{line}");
        }
    }
}
