//! Guessing: which failures delay which logins, and what a guess can hit.
use super::*;
use qrtotp_account::{FactorKind, State};
use qrtotp_store::Store;

fn state(w: &World) -> State {
    w.store.load(&World::name()).unwrap().unwrap().state
}

fn try_first() -> Options {
    Options { first_pass: FirstPass::Try, ..Options::default() }
}

fn with_password(password: &str, script: impl IntoIterator<Item = Say>) -> Human {
    Human { password: Some(password.as_bytes().to_vec()), ..Human::says(script) }
}

/// An enrolled account with recovery codes.
fn enrolled() -> (World, Vec<String>) {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    w.pass(60);
    (w, human.codes)
}

#[test]
fn guessed_codes_never_make_a_recovery_code_wait() {
    let (mut w, codes) = enrolled();
    for _ in 0..5 {
        w.answer("000000");
    }
    assert_eq!(w.answer("000000"), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    assert_eq!(w.answer(&codes[0]), Outcome::Accepted);
    assert_eq!(state(&w).throttle.failures(), 0);
}

#[test]
fn guessed_recovery_codes_wait_for_themselves_and_are_never_disabled() {
    let (mut w, codes) = enrolled();
    for _ in 0..101 {
        w.pass(30);
        assert_eq!(w.answer("0000-0000-0000-0000"), Outcome::Denied);
        assert_eq!(w.reason(), "wrong_code");
    }
    assert_eq!(state(&w).throttle.failures_of(FactorKind::Recovery), 101);
    assert_eq!(w.answer(&codes[0]), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    assert_eq!(w.answer("000000"), Outcome::Denied);
    assert_eq!(w.reason(), "wrong_code");
    let engaged: Vec<_> = w.log.0.iter().filter(|line| line.starts_with("event=throttle_engaged")).collect();
    assert_eq!(engaged.len(), 1);
    assert!(engaged[0].contains("reason=waiting"));
    w.pass(30);
    assert_eq!(w.answer(&codes[0]), Outcome::Accepted);
    assert!(
        w.log.0.iter().any(|line| line.starts_with("event=throttle_lifted") && line.contains("failures=102"))
    );
}

#[test]
fn a_failure_in_the_future_is_clamped_at_the_next_answer_and_the_wait_ends() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..9 {
        w.pass(30);
        w.answer("000000");
    }
    w.pass(-100_000);
    assert_eq!(w.answer("000000"), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    w.pass(30);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn more_devices_than_the_configuration_allows_narrow_the_window() {
    let mut w = World::new();
    w.config.enroll.max_devices = 10;
    let secret = w.import(Params::default());
    for _ in 1..8 {
        w.import(Params::default());
    }
    let (prior, present) = (w.code(&secret, -1), w.code(&secret, 0));
    assert_eq!(w.answer(&prior), Outcome::Denied);
    assert_eq!(w.reason(), "wrong_code");
    assert!(w.log.0.iter().any(|line| line.starts_with("debug fewer steps")));
    assert_eq!(w.answer(&present), Outcome::Accepted);
}

#[test]
fn it_is_logged_where_an_account_has_so_many_devices_that_not_all_are_looked_at() {
    let mut w = World::new();
    w.config.enroll.max_devices = 16;
    w.config.verify.window_back = 0;
    for devices in 1..=16 {
        w.import(Params::default());
        w.log.0.clear();
        if matches!(devices, 1 | 15 | 16) {
            assert_eq!(w.answer("000000"), Outcome::Denied);
            let is_logged = w.log.0.iter().any(|line| line.starts_with("debug fewer steps"));
            assert_eq!(is_logged, devices == 16, "{devices}");
        }
    }
}

#[test]
fn try_first_pass_takes_a_code_that_is_there_and_asks_for_one_that_is_not() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let options = Options { first_pass: FirstPass::Try, ..Options::default() };
    let mut human = Human { password: Some(w.code(&secret, -1).into_bytes()), ..Human::default() };
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted);
    assert!(human.prompts.is_empty());
    let mut human = Human::says([say(&w.code(&secret, 0))]);
    human.password = Some(b"a password".to_vec());
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted);
    assert_eq!(human.prompts.len(), 1);
}

#[test]
fn a_password_that_looks_like_a_code_is_one_guess_and_the_login_one_event() {
    let mut w = World::new();
    w.import(Params::default());
    w.log.0.clear();
    for (script, failures, reason) in [
        (vec![say("hunter2")], 1, "malformed"),
        (vec![say("000000")], 3, "wrong_code"),
        (vec![], 4, "wrong_code"),
    ] {
        w.log.0.clear();
        assert_eq!(w.login_as("alice", &try_first(), &mut with_password("123456", script)), Outcome::Denied);
        assert_eq!(state(&w).throttle.failures(), failures);
        assert_eq!(w.reason(), reason);
        assert_eq!(w.log.0.iter().filter(|line| line.starts_with("event=login ")).count(), 1);
    }
}

#[test]
fn a_password_that_was_counted_as_a_wrong_code_is_in_the_chain_however_the_login_goes_on() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for answer in [None, Some("hunter2"), Some("000000"), Some("right")] {
        w.pass(60);
        let right = w.code(&secret, 0);
        let script = answer.map(|answer| say(if answer == "right" { &right } else { answer }));
        let before = state(&w).chain.number();
        w.log.0.clear();
        let outcome = w.login_as("alice", &try_first(), &mut with_password("123456", script));
        let is_right = answer == Some("right");
        assert_eq!(outcome, if is_right { Outcome::Accepted } else { Outcome::Denied });
        let numbered: Vec<_> = w.log.0.iter().filter(|line| line.contains(" seq=")).collect();
        let tried = "event=password_tried result=denied reason=wrong_code user=alice";
        assert!(numbered.iter().any(|line| line.starts_with(tried)), "{numbered:?}");
        assert_eq!(state(&w).chain.number(), before + numbered.len() as u64, "{numbered:?}");
    }
}

#[test]
fn a_password_that_looks_like_a_code_has_a_line_for_everybody_so_time_does_not_tell_who_is_enrolled() {
    let mut w = World::new();
    w.import(Params::default());
    for user in ["alice", "bob", "nobody-here"] {
        w.log.0.clear();
        w.login_as(user, &try_first(), &mut with_password("123456", []));
        let tried =
            w.log.0.iter().filter(|line| line.starts_with("event=password_tried result=denied reason="));
        assert_eq!((tried.count(), w.log.0.len()), (1, 2), "{:?}", w.log.0);
    }
}

#[test]
fn a_password_that_was_not_looked_at_is_not_what_a_login_without_an_answer_was_denied_for() {
    let mut w = World::new();
    w.import(Params::default());
    for _ in 0..5 {
        w.answer("000000");
    }
    assert_eq!(w.login_as("alice", &try_first(), &mut with_password("123456", [])), Outcome::Denied);
    assert_eq!((w.reason().as_str(), state(&w).throttle.failures()), ("no_answer", 5));
}

#[test]
fn the_answer_after_a_password_that_looks_like_a_code_does_not_wait_for_it() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..9 {
        w.pass(30);
        w.answer("000000");
    }
    w.pass(30);
    let code = w.code(&secret, 0);
    let mut human = with_password("123456", [say(&code)]);
    assert_eq!(w.login_as("alice", &try_first(), &mut human), Outcome::Accepted);
    assert_eq!(state(&w).throttle.failures(), 9);
}

#[test]
fn a_password_that_looks_like_a_code_counts_nowhere_once_the_code_after_it_was_right() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for rhost in ["", "192.0.2.7"] {
        for _ in 0..30 {
            w.pass(60);
            let code = w.code(&secret, 0);
            let mut human = with_password("123456", [say(&code)]);
            let subject = Subject { rhost: rhost.into(), ..World::subject("alice") };
            assert_eq!(w.login_of(subject, &try_first(), &mut human), Outcome::Accepted, "{rhost}");
            assert!(human.shown.is_empty(), "{:?}", human.shown);
        }
    }
    assert_eq!(state(&w).throttle.failures(), 0);
}

#[test]
fn a_password_gives_no_guess_beyond_the_waits_and_the_forty() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..9 {
        w.pass(30);
        w.answer("000000");
    }
    let code = w.code(&secret, 0);
    // Within the wait neither the password nor the next answer is checked.
    assert_eq!(
        w.login_as("alice", &try_first(), &mut with_password("123456", [say(&code)])),
        Outcome::Denied
    );
    assert_eq!((w.reason().as_str(), state(&w).throttle.failures()), ("throttled", 9));
    // A password shaped like a recovery code does not skip the wait for codes.
    let mut human = with_password("0000000000000000", [say(&code)]);
    assert_eq!(w.login_as("alice", &try_first(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    for _ in 9..39 {
        w.pass(900);
        w.answer("000000");
    }
    w.pass(900);
    let code = w.code(&secret, 0);
    assert_eq!(
        w.login_as("alice", &try_first(), &mut with_password("123456", [say(&code)])),
        Outcome::Denied
    );
    let failures = state(&w).throttle.failures_of(FactorKind::Code);
    assert_eq!((w.reason().as_str(), failures), ("throttled", 40));
}
