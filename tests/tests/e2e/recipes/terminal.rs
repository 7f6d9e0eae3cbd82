//! The recipes of docs/SERVICES.md for programs that ask on a terminal, with Debian's programs. (cockpit is
//! in cockpit.rs.)

use qrtotp_tests::{
    Sandbox, artefacts,
    first_login::INSIDE,
    openssh::{NEWEST, System},
    recipes::Recipe,
    users::PASSWORD,
};

/// Runs a shell command, with the name of the user who logs in as `$0`, and answers the questions for
/// password and code.
fn gets_in(sandbox: &Sandbox, caller: Option<&str>, command: &str, user: &str, code: &str) -> bool {
    let mut pty = sandbox.pty(caller, &["sh", "-c", command, user]);
    for (question, answer) in [("assword", PASSWORD), ("Verification code: ", code)] {
        pty.expect(question);
        pty.send(answer);
    }
    pty.expect_one(&[INSIDE, "try again", "uthentication fail", "Login incorrect"]) == 0
}

/// A recipe lets alice in with each of her codes once, but not with a wrong one, and no user without a
/// device. `caller` runs the commands; without one, the user who logs in does.
fn judges(sandbox: &Sandbox, section: &str, caller: Option<&str>, commands: &[&str]) {
    for user in ["alice", "bobby", "mallory"] {
        sandbox.add_user(user);
    }
    let phone = sandbox.import("alice");
    Recipe::of(section).write(sandbox);
    phone.wait_for_seconds_left(60);
    for (command, code) in commands.iter().zip([phone.previous_code(), phone.code()]) {
        for (user, code, accepted, what) in [
            ("alice", &phone.wrong_code(), false, "a wrong code"),
            ("mallory", &code, false, "an account without a device"),
            ("alice", &code, true, "password and code"),
            ("alice", &code, false, "a used code"),
        ] {
            let caller = caller.or(Some(user)).filter(|caller| *caller != "root");
            assert_eq!(gets_in(sandbox, caller, command, user, code), accepted, "{command}: {what}");
        }
    }
    for reason in ["denied reason=wrong_code", "denied reason=replayed_code", "denied reason=not_enrolled"] {
        let _ = sandbox.log.wait(&[&format!("event=login result={reason}")]);
    }
}

#[test]
fn sudo_and_sudo_i() {
    judges(&Sandbox::new(), "sudo and sudo -i", None, &["sudo echo logged in", "sudo -i echo logged in"]);
}

#[test]
fn su_and_su_l() {
    let commands = ["su $0 -c 'echo logged in'", "su - $0 -c 'echo logged in'"];
    judges(&Sandbox::new(), "su", Some("bobby"), &commands);
}

#[test]
fn login() {
    let sandbox = Sandbox::new();
    sandbox.overwrite("/etc/profile", "echo logged in\n");
    judges(&sandbox, "login", Some("root"), &["login $0"]);
}

#[test]
fn doas() {
    if artefacts::is_missing(NEWEST) {
        return;
    }
    let sandbox = System::debian(NEWEST).sandbox(None);
    sandbox.overwrite("/etc/doas.conf", "permit alice\npermit mallory\n");
    judges(&sandbox, "doas", None, &["doas echo logged in"]);
}
