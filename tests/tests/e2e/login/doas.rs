//! doas of Debian 13 (OpenDoas), which can remember a login for a while.

use qrtotp_tests::{
    Sandbox, artefacts,
    first_login::INSIDE,
    openssh::{NEWEST, System},
    sudo::run,
};

/// Debian 13, if it could be unpacked: alice may run everything, and is remembered.
fn host() -> Option<Sandbox> {
    if artefacts::is_missing(NEWEST) {
        return None;
    }
    let sandbox = System::debian(NEWEST).sandbox(None);
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.enrolling("doas", "auth requisite pam_unix.so\nauth required pam_qrtotp.so\n");
    sandbox.overwrite("/etc/doas.conf", "permit persist alice\n");
    Some(sandbox)
}

#[test]
fn doas_remembers_who_enrolled_in_it_and_nobody_who_gave_up() {
    let Some(sandbox) = host() else { return };
    let mut twice = run(&sandbox, "alice", "doas echo logged in; doas -n echo logged in");
    twice.at_the_picture();
    twice.send("q");
    let shown = twice.failure();
    assert!(shown.ends_with("doas: Authentication required\r\n") && !shown.contains(INSIDE), "{shown}");
    assert_eq!(shown.matches("password: ").count(), 1, "the second command asks nothing");
    let _ = sandbox.log.wait(&["event=login result=denied reason=given_up user=alice service=doas"]);

    let mut twice = run(&sandbox, "alice", "doas echo logged in && doas -n echo logged in");
    twice.at_the_picture();
    let phone = twice.take_key(&sandbox);
    twice.confirm(&phone);
    assert_eq!(twice.success().matches(INSIDE).count(), 2, "who enrolled is remembered");
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=doas"]);
}
