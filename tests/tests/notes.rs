//! Who is let pass to enrol is noted before any application can remember them, or there is at least a place for it; and
//! nobody is noted by a stranger.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Sandbox, State,
    host::{PAM_SUCCESS, SERVICE},
    sudo::{ONE_WITHOUT, ask_nothing, gets_in, host, host_with, is_led_past, is_noted, run, stays_outside},
    users::PASSWORD,
};

/// Uses up what a file system has room for.
const NO_INODES: &str =
    "mkdir /var/lib/qrtotp/full; cd /var/lib/qrtotp/full; i=0; while : >$i; do i=$((i+1)); done";

/// A hand-written stack that goes on after a wrong password.
const RUNS_ON: &str = "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n";

/// A sudo whose store can hold no note, or which is run under a limit.
fn where_there_is_no_room(state: State, prepare: &str, limit: &str) {
    let (sandbox, _) = host_with(state, "sudo", ONE_WITHOUT);
    let _ = sandbox.run(&["sh", "-c", prepare]);
    let commands = format!("{limit} sudo /usr/bin/true; sudo -n echo logged in; exit 7");
    stays_outside(is_led_past(&sandbox, &commands));
    assert!(!is_noted(&sandbox));
    let _ = sandbox.log.wait(&["pam_qrtotp(sudo:auth)", "event=login result=denied", "user=alice"]);
}

#[test]
fn where_notes_are_no_directory_nobody_is_let_pass() {
    let prepare = "cd /var/lib/qrtotp; rmdir due; touch due";
    where_there_is_no_room(State::Tmpfs("size=16m"), prepare, "");
}

#[test]
fn where_there_are_no_inodes_nobody_is_let_pass() {
    where_there_is_no_room(State::Tmpfs("size=16m,nr_inodes=60"), NO_INODES, "");
}

#[test]
fn who_has_sudo_open_few_files_is_not_remembered_without_a_note() {
    let (sandbox, _) = host("sudo", ONE_WITHOUT);
    let mut noted = Vec::new();
    for files in 14..18 {
        let limit = format!("prlimit --nofile={files}:{files}");
        let commands = format!("{limit} sudo /usr/bin/true; sudo -n echo logged in; sudo -K; exit 7");
        stays_outside(is_led_past(&sandbox, &commands));
        noted.push(is_noted(&sandbox));
        let _ = sandbox.run(&["qrtotp", "unlock", "alice"]);
    }
    assert!(noted.contains(&true), "nobody was let pass, so this shows nothing");
}

#[test]
fn a_call_of_ones_own_is_noted_when_the_auth_part_is_done_and_anothers_when_the_next_part_is_run() {
    let (sandbox, _) = host(SERVICE, "");
    let login = |ruser: &str, phases: &str| {
        let arguments = ["--phases", phases, "--ruser", ruser];
        let report =
            sandbox.login("alice").arguments(&arguments).answer(PASSWORD).answer("").answer("q").run();
        assert_eq!(report.authenticate(), PAM_SUCCESS, "{}", report.text());
    };
    // As when sudo-rs is killed in between: it remembers by then.
    login("bobby", "a");
    assert!(!is_noted(&sandbox));
    login("alice", "a");
    assert!(is_noted(&sandbox));
    for next in ["am", "ac", "ao"] {
        sandbox.run(&["qrtotp", "unlock", "alice"]).success();
        login("bobby", next);
        assert!(is_noted(&sandbox), "{next}");
    }
}

#[test]
fn a_stranger_with_a_wrong_password_has_nobody_noted_and_leaves_one_empty_file() {
    let (sandbox, _) = host("sudo", "");
    sandbox.enrolling("su", RUNS_ON);
    sandbox.enrolling("sudo", RUNS_ON);
    ask_nothing(&sandbox);
    let wrong = |user: &str, command: &str| {
        let mut pty = run(&sandbox, user, command);
        pty.give_password("not the password");
        pty.send("");
        stays_outside(pty);
    };
    for _ in 0..2 {
        wrong("bobby", "su alice -c 'echo logged in'");
    }
    let there = sandbox.run(&["find", "/var/lib/qrtotp/due", "-type", "f", "-printf", "%s %m\n"]).success();
    assert_eq!(there.stdout, "0 400\n");
    gets_in(run(&sandbox, "alice", "sudo echo logged in"));
    // Who calls it themselves is no stranger: what sudo remembers would be theirs.
    wrong("alice", "su alice -c 'echo logged in'");
    assert!(is_noted(&sandbox));
    stays_outside(run(&sandbox, "alice", "sudo echo logged in; exit 7"));
}

/// What makes the next part of ours meet another host than the auth part.
fn meanwhile(sandbox: &Sandbox, commands: &str) {
    sandbox.overwrite("/usr/local/bin/meanwhile", &format!("#!/bin/sh -p\n{commands}\n"));
    sandbox.run(&["chmod", "755", "/usr/local/bin/meanwhile"]).success();
    let auth = "@include common-auth\nauth required pam_qrtotp.so\nauth required pam_exec.so seteuid /usr/local/bin/meanwhile\n";
    sandbox.enrolling("su", auth);
    sandbox.enrolling(SERVICE, auth);
}

/// Bobby becomes Alice by her password, as far as that goes.
fn anothers(sandbox: &Sandbox) {
    let mut bobby = run(sandbox, "bobby", "su alice -c 'echo logged in'");
    bobby.give_password(PASSWORD);
    bobby.send("");
    stays_outside(bobby);
}

#[test]
fn a_place_is_made_a_note_where_there_is_room_for_nothing_and_without_a_place_nobody_enrols() {
    let (sandbox, _) = host_with(State::Tmpfs("size=16m,nr_inodes=60"), "sudo", "");
    meanwhile(&sandbox, &format!("({NO_INODES}); exit 0"));
    anothers(&sandbox);
    assert!(is_noted(&sandbox));
    sandbox.run(&["rm", "-r", "/var/lib/qrtotp/full"]).success();
    meanwhile(&sandbox, "rm -r /var/lib/qrtotp/due; touch /var/lib/qrtotp/due");
    anothers(&sandbox);
    let _ =
        sandbox.log.wait(&["pam_qrtotp(su:account)", "result=denied", "user=alice", "/var/lib/qrtotp/due"]);
}

#[test]
fn where_a_place_is_gone_the_session_part_denies_and_the_log_says_why() {
    let (sandbox, _) = host(SERVICE, "");
    meanwhile(&sandbox, "rm -r /var/lib/qrtotp/due; touch /var/lib/qrtotp/due");
    let arguments = ["--phases", "aco", "--ruser", "bobby"];
    let report = sandbox.login("alice").arguments(&arguments).answer(PASSWORD).answer("").run();
    assert_eq!(report.authenticate(), PAM_SUCCESS, "{}", report.text());
    assert_ne!(report.value("open_session"), PAM_SUCCESS.to_string(), "the mark stands");
    let why = ["event=configuration_refused", "user=alice", "could not be noted", "sudo -K"];
    let _ = sandbox.log.wait(&why);
}

#[test]
fn a_full_disk_has_room_for_a_note() {
    for state in [State::Tmpfs("size=16m"), State::Ext4("8m")] {
        let (sandbox, _) = host_with(state, "sudo", ONE_WITHOUT);
        let fill = "cd /var/lib/qrtotp; dd if=/dev/zero of=full bs=4k; dd if=/dev/zero of=fuller bs=1; :";
        sandbox.run(&["sh", "-c", fill]).success();
        sandbox.run(&["sh", "-c", "! echo x >/var/lib/qrtotp/more"]).success();
        stays_outside(is_led_past(&sandbox, "sudo /usr/bin/true; sudo echo logged in; exit 7"));
        assert!(is_noted(&sandbox));
    }
}

#[test]
fn who_is_not_to_be_found_for_a_moment_is_noted_all_the_same() {
    let (sandbox, _) = host("sudo", ONE_WITHOUT);
    let hide = "#!/bin/sh -p\ncp /etc/passwd /root/passwd; sed -i /^alice:/d /etc/passwd\n";
    sandbox.overwrite("/usr/local/bin/hide", hide);
    sandbox.run(&["chmod", "755", "/usr/local/bin/hide"]).success();
    let auth = "@include common-auth\nauth required pam_qrtotp.so\nauth required pam_exec.so seteuid /usr/local/bin/hide\n";
    sandbox.enrolling("sudo", auth);
    let mut alice = is_led_past(&sandbox, "sudo /usr/bin/true; exit 7");
    alice.failure();
    sandbox.run(&["cp", "/root/passwd", "/etc/passwd"]).success();
    assert!(is_noted(&sandbox));
}

#[test]
fn a_time_stamp_that_sudo_makes_without_running_anything_leads_nowhere() {
    let (sandbox, _) = host("sudo", "Defaults !pam_acct_mgmt\nDefaults!/usr/bin/echo pam_acct_mgmt\n");
    stays_outside(is_led_past(&sandbox, "sudo -v; sudo -n /usr/bin/echo logged in; exit 7"));
    let _ = sandbox.log.wait(&["pam_qrtotp(sudo:account)", "result=denied reason=enrollment_due user=alice"]);
}
