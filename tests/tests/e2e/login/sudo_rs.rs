//! sudo-rs, which writes its time stamp before it runs the account part.

use qrtotp_tests::{
    Pty, Sandbox, artefacts,
    first_login::{CHOICES, INSIDE, RESUMED},
    openssh::{NEWEST, System},
    sudo::{run, stays_outside},
    users::PASSWORD,
};

/// It keeps its caller's real uid, so the caller may kill it.
const KILL: &str =
    "for p in /proc/[0-9]*; do read -r n <$p/comm; [ $n != sudo-rs ] || kill -9 ${p#/proc/}; done";

/// Debian 13, if it could be unpacked: Alice may run everything.
fn host(first_login: &str) -> Option<Sandbox> {
    if artefacts::is_missing(NEWEST) {
        return None;
    }
    let sandbox = System::debian(NEWEST).sandbox(None);
    sandbox.configure(&format!("[defaults]\nfirst_login = \"{first_login}\"\n"));
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment("sudo");
    sandbox.overwrite("/etc/sudoers-rs", "alice ALL=(ALL:ALL) ALL\n");
    Some(sandbox)
}

/// Ending the first of two commands does not let the second one in, which is asked nothing.
fn remembers_nobody(sandbox: &Sandbox, killed: bool, end: impl FnOnce(&mut Pty)) {
    let mut twice = run(sandbox, "alice", "sudo-rs echo logged in; sudo-rs -n echo logged in; exit 7");
    twice.at_the_picture();
    let seen = sandbox.log.lines().len();
    end(&mut twice);
    // sudo-rs asks for the password again; the second command would use the first one's time stamp.
    if !killed {
        let _ = sandbox.log.wait_after(seen, &["event=login result=denied", "user=alice service=sudo"]);
        twice.expect("assword");
        sandbox.run_as("alice", &["sh", "-c", KILL]).success();
    }
    stays_outside(twice);
    run(sandbox, "alice", "sudo-rs -k").success();
}

#[test]
fn sudo_rs_remembers_nobody_who_gave_up_was_wrong_or_killed_it_and_has_them_enrol_when_it_forgets() {
    let Some(sandbox) = host("enroll") else { return };
    remembers_nobody(&sandbox, false, |alice| alice.send("q"));
    remembers_nobody(&sandbox, false, |alice| {
        for _ in 0..2 {
            alice.send("000000");
            alice.expect(CHOICES);
        }
        alice.send("000000");
    });
    let mut phone = None;
    remembers_nobody(&sandbox, true, |alice| {
        phone = Some(alice.take_key(&sandbox));
        sandbox.run_as("alice", &["sh", "-c", KILL]).success();
    });
    let mut alice = run(&sandbox, "alice", "sudo-rs echo logged in; sudo-rs echo logged in");
    alice.give_password(PASSWORD);
    alice.send("");
    alice.expect(RESUMED);
    alice.confirm(&phone.unwrap());
    assert_eq!(alice.success().matches(INSIDE).count(), 2, "who enrolled is remembered");
}

#[test]
fn sudo_rs_remembers_nobody_who_gave_up_with_a_token() {
    let Some(sandbox) = host("token") else { return };
    sandbox.run(&["qrtotp", "token", "issue", "alice"]).success();
    remembers_nobody(&sandbox, false, |alice| alice.send("q"));
}
