//! A sudo behind which Alice has no device and Bobby has, and commands that are run in it.

use crate::{Phone, Pty, Sandbox, State, first_login::INSIDE, users::PASSWORD};

pub const SUDOERS: &str = "/etc/sudoers.d/tests";
pub const CONFIGURATION: &str = "/etc/qrtotp/qrtotp.toml";
/// One command is run without the account part.
pub const ONE_WITHOUT: &str = "Defaults!/usr/bin/true !pam_acct_mgmt\n";

/// With this PAM service and these settings.
#[must_use]
pub fn host(service: &str, settings: &str) -> (Sandbox, Phone) {
    host_with(State::Tmpfs("size=16m"), service, settings)
}

#[must_use]
pub fn host_with(state: State, service: &str, settings: &str) -> (Sandbox, Phone) {
    let sandbox = Sandbox::with_state(state);
    let services = format!("[enroll]\nservices = [\"sshd\", \"su\", \"{service}\"]\n");
    sandbox.configure(&format!("[defaults]\nfirst_login = \"enroll\"\n{services}"));
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.without_delays();
    sandbox.password_and_enrolment(service);
    let phone = sandbox.import("bobby");
    let users = "alice ALL=(ALL) ALL\nbobby ALL=(ALL) ALL\n";
    let defaults = "Defaults timestamp_timeout=5, lecture=never, passwd_tries=1\n";
    sandbox.overwrite(SUDOERS, &format!("{users}{defaults}Defaults pam_service={service}\n{settings}"));
    (sandbox, phone)
}

/// From now on the administrator asks Alice for nothing.
pub fn ask_nothing(sandbox: &Sandbox) {
    sandbox.overwrite(SUDOERS, "alice ALL=(ALL) NOPASSWD: ALL\n");
}

#[must_use]
pub fn run(sandbox: &Sandbox, user: &str, commands: &str) -> Pty {
    sandbox.pty_unrecorded_as(Some(user), &["sh", "-c", commands])
}

/// Alice is let pass to enrol by her password, in a command that does not have her enrol.
#[must_use]
pub fn is_led_past(sandbox: &Sandbox, commands: &str) -> Pty {
    let mut alice = run(sandbox, "alice", commands);
    alice.give_password(PASSWORD);
    alice.send("");
    alice
}

/// Of Alice alone, as the one who she is now. What nobody may write is a place for a note.
#[must_use]
pub fn is_noted(sandbox: &Sandbox) -> bool {
    let uid = sandbox.run(&["id", "-u", "alice"]).success().stdout;
    let notes = ["find", "/var/lib/qrtotp/due", "-type", "f", "-perm", "-200", "-printf", "%f\n"];
    sandbox.run(&notes).success().stdout == format!("{}-alice\n", uid.trim_end())
}

pub fn stays_outside(mut pty: Pty) {
    let shown = pty.failure();
    assert!(!shown.contains(INSIDE), "{shown}");
}

pub fn gets_in(mut pty: Pty) {
    assert!(pty.success().contains(INSIDE));
}
