//! The demo's last scene: a user who used google-authenticator until now.

use anyhow::{Result, ensure};
use qrtotp_tests::{Phone, Sandbox};

use crate::{
    demo_auto::{show, ssh},
    step::say,
};

/// A user with an old phone and a ~/.google_authenticator.
const VETERAN: &str = "veteran";

/// # Errors
/// A step did not go as promised.
pub fn run(sandbox: &Sandbox) -> Result<()> {
    sandbox.add_user(VETERAN);
    say("user `veteran` has used google-authenticator until now");
    let command = ["google-authenticator", "-t", "-d", "-w3", "-u", "-C", "-f", "-q"];
    let made = sandbox.run_as(VETERAN, &command);
    ensure!(made.status.success(), "google-authenticator failed: {}", made.stderr);
    let path = format!("/home/{VETERAN}/.google_authenticator");
    let file = sandbox.read(&path);
    let phone = Phone::new(file.lines().next().unwrap_or_default());
    let scratch = file.lines().last().unwrap_or_default();

    say("qrtotp import google-authenticator veteran --shred");
    let said = sandbox.run(&["qrtotp", "import", "google-authenticator", VETERAN, "--shred"]);
    show(&said.stdout);
    ensure!(said.status.success(), "the import failed: {}", said.stderr);
    ensure!(!sandbox.exists(&path), "the old file is still there");

    say("logging in with the same phone as before");
    phone.wait_for_seconds_left(5);
    let (inside, mut session) = ssh(sandbox, VETERAN, &phone.code());
    show(&session.transcript());
    ensure!(inside, "the code of the imported phone was not accepted");

    say("and with a scratch code from before");
    let (inside, mut with_scratch) = ssh(sandbox, VETERAN, scratch);
    show(&with_scratch.transcript());
    ensure!(inside, "the imported scratch code was not accepted");
    let _ = (session.finish(), with_scratch.finish());
    Ok(())
}
