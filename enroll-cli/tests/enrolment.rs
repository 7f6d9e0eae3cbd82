//! `qrtotp enroll` and what comes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::{Instance, Phone, recovery_codes};

#[test]
fn an_enrolment_over_a_pipe_ends_with_a_device_and_ten_recovery_codes() {
    let instance = Instance::new();
    let (phone, shown) = instance.enroll("nobody");
    assert!(
        shown.contains("otpauth://totp/Tests:nobody@") && shown.contains("ever send you a QR code by mail")
    );
    assert_eq!(recovery_codes(&shown).len(), 10, "{shown}");
    let status = instance.json(&["status", "nobody", "--json"]);
    assert_eq!(status["standing"], "enrolled");
    assert_eq!(status["recovery_codes_left"], 10);
    assert_eq!(status["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(instance.verify("nobody", &phone.code(1)).code, Some(1), "enrolling burns what came before");
}

#[test]
fn on_a_pipe_no_secret_is_shown_unless_a_style_is_named() {
    let instance = Instance::new();
    let refused = instance.run(&["enroll", "nobody"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(refused.stderr.contains("--qr"), "{refused:?}");
    assert!(!instance.state().exists(), "a refusal makes no store");
}

#[test]
fn three_wrong_codes_leave_every_byte_as_it_was() {
    let instance = Instance::new();
    instance.import("daemon");
    let before = instance.snapshot();
    for (user, more) in [("nobody", &[][..]), ("daemon", &["--no-verify"])] {
        let mut session = instance.start(&[&["enroll", user, "--qr", "none"], more].concat());
        for _ in 0..3 {
            session.read_to("Code: ");
            let phone = Phone::from_key(session.after("Key: "));
            session.type_line(&phone.wrong_code());
        }
        let (code, shown) = session.end();
        assert_eq!(code, Some(1), "{shown}");
        assert_eq!(recovery_codes(&shown), Vec::<&str>::new());
        assert!(instance.snapshot() == before, "{user}");
    }
}

#[test]
fn a_kill_or_the_end_of_input_in_the_middle_leaves_every_byte_as_it_was() {
    let instance = Instance::new();
    instance.import("daemon");
    let before = instance.snapshot();
    let mut session = instance.start(&["enroll", "nobody", "--qr", "none"]);
    session.read_to("Code: ");
    session.kill();
    assert!(instance.snapshot() == before, "killed");
    let mut session = instance.start(&["enroll", "nobody", "--qr", "none"]);
    session.read_to("Code: ");
    assert_eq!(session.end().0, Some(1));
    assert!(instance.snapshot() == before, "input closed");
}

#[test]
fn a_second_device_asks_for_a_code_of_the_first() {
    let instance = Instance::new();
    let first = instance.import("nobody");
    let mut session = instance.start(&["enroll", "nobody", "--qr", "none", "--label", "tablet"]);
    session.read_to("(or a recovery code): ");
    assert!(!session.shown.contains("Key: "), "the key comes only after the proof");
    session.type_line(&first.code(0));
    session.read_to("Code: ");
    let second = Phone::from_key(session.after("Key: "));
    session.type_line(&second.code(0));
    let (code, shown) = session.end();
    assert_eq!(code, Some(0), "{shown}");
    let status = instance.json(&["status", "nobody", "--json"]);
    let labels: Vec<_> = status["credentials"].as_array().unwrap().iter().map(|c| &c["label"]).collect();
    assert_eq!(labels, ["", "tablet"]);
}

#[test]
fn without_a_code_of_the_first_device_there_is_no_second_one() {
    let instance = Instance::new();
    let first = instance.import("nobody");
    let wrong = format!("{}\n", first.wrong_code()).repeat(3);
    let refused = instance.run_with(&["enroll", "nobody", "--qr", "none"], &wrong);
    assert_eq!(refused.code, Some(1));
    assert!(!refused.stdout.contains("Key: "), "{refused:?}");
    assert!(refused.stderr.contains("--no-verify"), "{refused:?}");
}

#[test]
fn a_recovery_code_is_accepted_once() {
    let instance = Instance::new();
    let (_, shown) = instance.enroll("nobody");
    let codes = recovery_codes(&shown);
    assert_eq!(instance.verify("nobody", codes[4]).ok().stdout, "accepted\n");
    assert_eq!(instance.verify("nobody", codes[4]).code, Some(1));
    assert_eq!(instance.json(&["status", "nobody", "--json"])["recovery_codes_left"], 9);
}

#[test]
fn new_recovery_codes_end_the_old_ones() {
    let instance = Instance::new();
    let (_, shown) = instance.enroll("nobody");
    let new = instance.run(&["recovery", "regenerate", "nobody"]).ok().stdout;
    assert_eq!(recovery_codes(&new).len(), 10);
    assert_eq!(instance.verify("nobody", recovery_codes(&shown)[0]).code, Some(1));
    instance.verify("nobody", recovery_codes(&new)[0]).ok();
}
