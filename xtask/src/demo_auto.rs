//! The demo without a user: the harness is the phone and types. Every promise is checked.

use std::{
    io::{IsTerminal, Write, stdout},
    time::Duration,
};

use anyhow::{Result, ensure};
use qrtotp_tests::{Phone, Pty, Sandbox, clock, users::PASSWORD};

use crate::{demo::USER, demo_import, demo_rules, step::say};

/// sshd's and our prompts.
const PASSWORD_PROMPT: &str = "assword: ";
const CODE_PROMPT: &str = "Verification code: ";

/// # Errors
/// A step did not go as promised.
pub fn run(sandbox: &Sandbox) -> Result<()> {
    say("enrolling `demo` as a person would: qrtotp enroll demo");
    let enrolment = sandbox.enroll(USER, &["--qr", "utf8"]);
    show(&enrolment.shown);
    let phone = &enrolment.phone;

    say("logging in over ssh with the password and the code on the phone");
    let code = fresh_code(phone);
    let (inside, mut session) = ssh(sandbox, USER, &code);
    show(&session.transcript());
    ensure!(inside, "the right code was not accepted");

    say("the same code again: it must be refused");
    let (inside, mut replay) = ssh(sandbox, USER, &code);
    show(&replay.transcript());
    ensure!(!inside, "a code was accepted twice");
    let _ = (session.finish(), replay.finish());

    say("sudo with the next code");
    let code = fresh_code(phone);
    let mut sudo = sandbox.pty(Some(USER), &["sudo", "id", "-un"]);
    sudo.expect("password for demo: ");
    sudo.send(PASSWORD);
    sudo.expect(CODE_PROMPT);
    sudo.send(&code);
    let (status, shown) = sudo.finish();
    show(&shown);
    ensure!(status.success() && shown.contains("root"), "sudo did not accept the code");

    say("the phone is lost: a recovery code instead");
    let (inside, mut recovery) = ssh(sandbox, USER, &enrolment.recovery_codes[0]);
    show(&recovery.transcript());
    ensure!(inside, "the recovery code was not accepted");

    say("the same recovery code again: it must be refused");
    let (inside, mut again) = ssh(sandbox, USER, &enrolment.recovery_codes[0]);
    show(&again.transcript());
    ensure!(!inside, "a recovery code was accepted twice");
    let _ = (recovery.finish(), again.finish());

    let accepted =
        sandbox.log.events().iter().filter(|e| e.starts_with("event=login result=accepted")).count();
    let denied = sandbox.log.events().iter().filter(|e| e.starts_with("event=login result=denied")).count();
    ensure!(
        accepted == 3 && denied == 2,
        "the log has {accepted} accepted and {denied} denied logins, not 3 and 2"
    );
    demo_rules::run(sandbox, phone)?;
    demo_import::run(sandbox)
}

/// Logs in with the real client; returns whether the remote command ran.
pub fn ssh(sandbox: &Sandbox, user: &str, code: &str) -> (bool, Pty) {
    let mut client = sandbox.ssh(user, "echo logged in as $USER");
    client.expect(PASSWORD_PROMPT);
    client.send(PASSWORD);
    client.expect(CODE_PROMPT);
    client.send(code);
    let inside = client.expect_one(&[&format!("logged in as {user}"), "Permission denied"]) == 0;
    (inside, client)
}

/// The code of a step whose code was not shown before; the wait is visible.
pub fn fresh_code(phone: &Phone) -> String {
    let step = phone.step();
    let visible = stdout().is_terminal();
    if !visible {
        println!("    waiting for the phone's next code (at most {} seconds)", phone.period);
    }
    while phone.step() == step {
        if visible {
            print!(
                "\r    the phone's next code comes in {:2} s ",
                phone.period - clock::now() % phone.period
            );
            let _ = stdout().flush();
        }
        clock::pause(Duration::from_millis(250));
    }
    if visible {
        println!();
    }
    phone.code()
}

/// Prints the screen that the user would have seen.
pub fn show(transcript: &str) {
    for line in transcript.lines() {
        println!("    | {line}");
    }
}
