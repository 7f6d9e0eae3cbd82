//! `qrtotp setup`: its output, its changes, and that undoing restores everything, with real sshd and sudo.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use qrtotp_tests::{
    Output, Phone, Pty, Sandbox, clock,
    shipped::{INSIDE, Knowledge},
    users::PASSWORD,
};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-qrtotp.conf";

const TRIAL_OF_ALICE: [&str; 7] = ["qrtotp", "setup", "sshd", "--apply", "--no-timer", "--trial", "alice"];

/// A plain Debian host, with alice enrolled, whose services don't ask for a code yet.
pub fn host() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.authorize_key("alice");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox.proves_passwords();
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    let phone = sandbox.import("alice");
    (sandbox, phone)
}

pub fn setup(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.run(&[&["qrtotp", "setup"], arguments].concat())
}

fn files(sandbox: &Sandbox) -> String {
    let list = "cd /etc; find pam.d ssh/sshd_config ssh/sshd_config.d -type f -printf '%p %m %u %g ' -exec sha256sum {} \\; | sort";
    sandbox.run(&["sh", "-c", list]).success().stdout
}

#[test]
fn it_shows_the_changes_and_makes_none_and_refuses_what_could_lock_everybody_out() {
    let (sandbox, _) = host();
    let before = files(&sandbox);
    let shown = setup(&sandbox, &["sshd", "sudo", "su"]).success().stdout;
    for line in [
        "+++ b/etc/pam.d/sshd",
        "+++ b/etc/pam.d/sudo-i",
        "+++ b/etc/pam.d/su\n",
        "+auth       required     pam_qrtotp.so",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(shown.contains(&format!("+++ b{DROP_IN}")) && !shown.contains("pam.d/su-l"), "{shown}");
    let refused = setup(&sandbox, &["sudo", "--apply"]).exited(1);
    assert!(refused.stderr.contains("systemd does not run here"), "{refused:?}");
    let refused = setup(&sandbox, &["sudo", "--apply", "--confirm", "59s"]).exited(1);
    assert!(refused.stderr.contains("at least 1m"), "{refused:?}");
    sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
    let refused = setup(&sandbox, &["sudo", "--apply", "--no-timer"]).exited(1);
    assert!(refused.stderr.contains("nobody who can become root has a device"), "{refused:?}");
    assert_eq!(files(&sandbox), before);
    assert!(!sandbox.exists("/var/lib/qrtotp-setup"));
}

#[test]
fn with_a_key_sshd_and_sudo_ask_for_the_code_and_undone_all_is_as_before() {
    let (sandbox, phone) = host();
    let before = files(&sandbox);
    setup(&sandbox, &["sshd", "--with", "key", "--apply", "--no-timer"]).success();
    setup(&sandbox, &["sudo", "--apply", "--no-timer"]).success();
    let said = sandbox.run(&["qrtotp", "doctor"]).exited(0).stdout;
    assert!(said.contains("sshd, sudo, sudo-i: asks for a code"), "{said}");
    let _sshd = sandbox.start_debians_sshd();
    let attempt = |code: &str| {
        sandbox.keep_secret(code);
        let options = ["PreferredAuthentications=publickey,keyboard-interactive"];
        let remote = format!("echo {}; exit", INSIDE.replace(' ', "' '"));
        sandbox.ssh_with("alice", &options, &remote).answer(Knowledge { password: PASSWORD, code })
    };
    assert!(!attempt(&phone.wrong_code()).inside);
    let right = attempt(&phone.code());
    assert!(right.inside && right.asked_for_code, "{right:?}");
    assert!(setup(&sandbox, &["sudo"]).success().stdout.contains("Nothing to change"));
    setup(&sandbox, &["--undo"]).success();
    setup(&sandbox, &["--undo"]).success();
    assert_eq!(files(&sandbox), before);
    setup(&sandbox, &["--undo"]).exited(1);
}

#[test]
fn what_sshd_or_doctor_would_object_to_is_found_in_a_private_copy_and_the_host_is_not_written_to() {
    let (sandbox, _) = host();
    let untouched = || {
        let list = "find /etc /var/lib /mnt -printf '%p %i %C@\n' | sort";
        sandbox.run(&["sh", "-c", list]).success().stdout
    };
    let no_mounts = "setpriv --bounding-set -sys_admin";
    for (breaks, by, services, why) in [
        ("nonsense", "", "sshd --with password", "sshd refuses its configuration"),
        ("Match User alice\nAuthenticationMethods publickey", "", "sshd --with password", "(user alice)"),
        ("", no_mounts, "sudo", "private copy"),
    ] {
        let settings = sandbox.read("/etc/ssh/sshd_config");
        sandbox.append("/etc/ssh/sshd_config", breaks);
        let before = untouched();
        for apply in ["", "--apply --no-timer"] {
            let command = format!("{by} qrtotp setup {services} {apply}");
            let refused = sandbox.run(&["sh", "-c", &command]);
            let said = &refused.stderr;
            assert!(!refused.status.success() && said.contains(why), "{refused:?}");
            assert!(said.contains("nothing was changed"), "{said}");
        }
        assert_eq!(untouched(), before, "{breaks}");
        sandbox.overwrite("/etc/ssh/sshd_config", &settings);
    }
}

#[test]
fn a_step_that_fails_takes_everything_back() {
    let (sandbox, _) = host();
    let before = files(&sandbox);
    // Of a file that is mounted, the private copy has what is below.
    sandbox.run(&["mount", "--bind", "/etc/pam.d/sudo-i", "/etc/pam.d/sudo-i"]).success();
    let failed = setup(&sandbox, &["sudo", "--apply", "--no-timer"]).exited(1);
    assert!(failed.stderr.contains("everything is as it was"), "{failed:?}");
    assert_eq!(files(&sandbox), before);
}

/// Calls by which `setup` changes files or makes changes durable, and has sshd read them.
pub const CHANGES: [&str; 5] = ["mkdir", "rename", "unlink", "fsync", "kill"];

/// PAM and sshd files with their texts, without what a killed program left beside them.
pub fn texts(sandbox: &Sandbox) -> Vec<String> {
    let list = "cd /etc; for file in pam.d/* ssh/sshd_config ssh/sshd_config.d/*; do printf '%s\n%s\n=====\n' $file \"$(cat $file)\"; done";
    let shown = sandbox.run(&["sh", "-c", list]).success().stdout;
    shown.split("=====\n").map(str::to_owned).collect()
}

/// Runs `setup` with the arguments, and kills it at the nth of these calls; whether it came to that.
pub fn killed(sandbox: &Sandbox, call: &str, nth: u32, arguments: &[&str]) -> bool {
    let (trace, inject) = (format!("--trace={call}"), format!("--inject={call}:signal=KILL:when={nth}"));
    let strace = ["strace", "-qq", "--output=/dev/null", &trace, &inject, "qrtotp", "setup"];
    !sandbox.run(&[&strace[..], arguments].concat()).status.success()
}

#[test]
fn killed_at_some_of_its_changes_every_file_is_old_or_new_and_all_can_be_undone() {
    assert!(killed_at_every(5) > 8);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn killed_at_each_of_its_changes_every_file_is_old_or_new_and_all_can_be_undone() {
    assert!(killed_at_every(1) > 20);
}

/// Kills a set-up at its first change of each kind and at every so many more; the number of kills.
fn killed_at_every(step: u32) -> u32 {
    let (sandbox, _) = host();
    let arguments = ["sshd", "sudo", "su", "--first-login", "token", "--apply", "--no-timer"];
    let before = (whole(&sandbox), texts(&sandbox));
    setup(&sandbox, &arguments).success();
    let after = texts(&sandbox);
    setup(&sandbox, &["--undo"]).success();
    let mut kills = 0;
    let (mut calls, mut nth) = (CHANGES.into_iter().peekable(), 1);
    while let Some(call) = calls.peek() {
        if !killed(&sandbox, call, nth, &arguments) {
            setup(&sandbox, &["--undo"]).success();
            (_, nth) = (calls.next(), 1);
            continue;
        }
        kills += 1;
        let is_mixed = |text: &String| !before.1.contains(text) && !after.contains(text);
        assert_eq!(texts(&sandbox).into_iter().find(is_mixed), None, "{call} {nth}");
        // The undoing is killed, too, and then ends.
        let _ = killed(&sandbox, call, nth.div_ceil(2), &["--undo"]);
        let undone = setup(&sandbox, &["--undo"]);
        assert!(undone.status.success() || undone.stderr.contains("nothing is left to undo"), "{undone:?}");
        assert_eq!(whole(&sandbox), before.0, "{call} {nth}");
        nth += step;
    }
    kills
}

#[test]
fn with_a_password_sshd_asks_for_both_and_neither_is_enough_alone() {
    let (sandbox, phone) = host();
    setup(&sandbox, &["sshd", "--apply", "--no-timer"]).success();
    let _sshd = sandbox.start_debians_sshd();
    let attempt = |password: &str, code: &str| {
        sandbox.keep_secret(code);
        let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
        sandbox.ssh("alice", &remote).answer(Knowledge { password, code })
    };
    assert!(!attempt(PASSWORD, &phone.wrong_code()).inside);
    assert!(!attempt("not the password", &phone.previous_code()).inside);
    let right = attempt(PASSWORD, &phone.code());
    assert!(right.inside && right.asked_for_code, "{right:?}");
}

#[test]
fn a_trial_login_that_is_interrupted_or_asks_for_no_code_takes_everything_back() {
    let (sandbox, phone) = host();
    let _sshd = sandbox.start_debians_sshd();
    sandbox.overwrite("/etc/ssh/ssh_host_ed25519_key.pub", &sandbox.read("/etc/ssh/tests_host_key.pub"));
    let before = files(&sandbox);
    let mut interrupted = trial(&sandbox);
    interrupted.send("\u{3}");
    assert!(interrupted.failure().contains("; everything is as it was"));
    assert_eq!(files(&sandbox), before, "Ctrl-C");
    for signal in [Signal::HUP, Signal::TERM] {
        let mut ended = trial(&sandbox);
        ended.signal(signal);
        ended.finish();
        assert_eq!(files(&sandbox), before, "{signal:?}");
    }
    // A rule that asks nobody for a code.
    let rule = "[[rule]]\nname = \"here\"\nfrom = [\"127.0.0.0/8\"]\nthen = \"skip\"\n";
    sandbox.edit_configuration(rule);
    sandbox.apply_configuration().success();
    let mut skipped = sandbox.pty(None, &TRIAL_OF_ALICE);
    skipped.expect("assword: ");
    skipped.send(PASSWORD);
    let said = skipped.failure();
    assert!(said.contains("alice got in, but no code was asked for"), "{said}");
    assert_eq!(files(&sandbox), before);
    drop(phone);
}

/// `setup sshd --apply` up to the code of the trial login.
fn trial(sandbox: &Sandbox) -> Pty {
    let mut pty = sandbox.pty(None, &TRIAL_OF_ALICE);
    pty.expect("Trial login of alice through sshd");
    pty.expect("assword: ");
    pty.send(PASSWORD);
    pty.expect("Verification code: ");
    pty
}

#[test]
fn the_trial_login_goes_through_the_running_sshd_and_a_wrong_code_takes_everything_back() {
    let (sandbox, phone) = host();
    let _sshd = sandbox.start_debians_sshd();
    let before = files(&sandbox);
    // A server with another key than the host's gets no password.
    let said = sandbox.pty(None, &TRIAL_OF_ALICE).failure();
    assert!(said.contains("Host key verification failed") && !said.contains("Password: "), "{said}");
    assert_eq!(files(&sandbox), before);
    sandbox.overwrite("/etc/ssh/ssh_host_ed25519_key.pub", &sandbox.read("/etc/ssh/tests_host_key.pub"));
    let mut failed = trial(&sandbox);
    failed.send(&phone.wrong_code());
    for _ in 0..2 {
        failed.expect("assword: ");
        failed.send("not the password");
    }
    let said = failed.failure();
    assert!(said.contains("the trial login of alice failed; everything is as it was"), "{said}");
    assert_eq!(files(&sandbox), before);
    let mut right = trial(&sandbox);
    let code = phone.code();
    sandbox.keep_secret(&code);
    right.send(&code);
    assert!(right.success().contains("alice got in, with a code."));
    assert_ne!(files(&sandbox), before);
    let _ = sandbox.log.wait(&["event=login result=accepted", "user=alice service=sshd"]);
}

#[test]
fn once_setup_has_ended_sshd_goes_by_its_new_files_however_long_that_takes() {
    let (sandbox, _) = host();
    let sshd = sandbox.start_debians_sshd();
    let refused = || {
        let options = ["-o", "StrictHostKeyChecking=no", "-o", "PreferredAuthentications=none"];
        sandbox.run(&[&["ssh", "-F", "none"], &options[..], &["alice@127.0.0.1", "true"]].concat()).stderr
    };
    assert!(refused().contains("(publickey,password)"), "{}", refused());
    sshd.halt();
    let is_halted = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            clock::pause(Duration::from_secs(4));
            is_halted.store(false, SeqCst);
            sshd.go_on();
        });
        setup(&sandbox, &["sshd", "--apply", "--no-timer"]).success();
        assert!(!is_halted.load(SeqCst), "setup ended before sshd went on");
    });
    assert!(refused().contains("(keyboard-interactive)"), "{}", refused());
}

#[test]
fn without_a_terminal_a_device_or_sshd_the_trial_login_is_left_out_and_that_is_said() {
    let (sandbox, _) = host();
    let said = setup(&sandbox, &["sshd", "--apply", "--no-timer"]).success().stdout;
    assert!(said.contains("No trial login was made: there is no terminal to ask for a code on."), "{said}");
    let again = |more: &[&str]| {
        setup(&sandbox, &["--undo"]).success();
        sandbox.pty(None, &[&["qrtotp", "setup", "sshd", "--apply", "--no-timer"], more].concat()).success()
    };
    sandbox.add_user("bobby");
    for (more, why) in [
        (&["--no-trial"][..], "as --no-trial says"),
        (&["--trial", "bobby"], "bobby has no device; give --trial USER for somebody who has one"),
        (
            &["--trial", "alice", "--with", "key"],
            "it would need a key, and there is no ssh agent (SSH_AUTH_SOCK)",
        ),
        (&["--trial", "alice"], "no sshd listens here"),
    ] {
        let said = again(more);
        assert!(said.contains(&format!("No trial login was made: {why}.")), "{said}");
    }
}

#[test]
fn with_either_a_key_replaces_the_password_and_nothing_replaces_the_code() {
    let (sandbox, phone) = host();
    let before = files(&sandbox);
    setup(&sandbox, &["sshd", "--with", "either", "--apply", "--no-timer"]).success();
    let said = sandbox.run(&["qrtotp", "doctor", "--problems"]).exited(0).stdout;
    assert!(!said.contains("sshd"), "{said}");
    let _sshd = sandbox.start_debians_sshd();
    let attempt = |way: &str, password: &str, code: &str| {
        sandbox.keep_secret(code);
        let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
        let methods = format!("PreferredAuthentications={way}");
        sandbox.ssh_with("alice", &[&methods], &remote).answer(Knowledge { password, code }).inside
    };
    let (key, none) = ("publickey,keyboard-interactive", "keyboard-interactive");
    assert!(!attempt(key, "", &phone.wrong_code()));
    assert!(!attempt(none, PASSWORD, &phone.wrong_code()));
    assert!(!attempt(none, "not the password", &phone.previous_code()));
    assert!(attempt(key, "", &phone.code()), "key and code");
    assert!(attempt(none, PASSWORD, &phone.wait_for_next_code()), "password and code");
    setup(&sandbox, &["--undo"]).success();
    assert_eq!(files(&sandbox), before);
}

/// The configuration's files, the applied form's meaning, PAM and sshd.
pub fn whole(sandbox: &Sandbox) -> String {
    let configuration = "cd /etc/qrtotp; find . -name '*.toml' -type f -exec sha256sum {} + | sort -k 2";
    let applied = sandbox.run(&["qrtotp", "config", "show"]).success().stdout;
    let applied: String = applied.lines().skip(1).map(|line| format!("{line}\n")).collect();
    files(sandbox) + &sandbox.run(&["sh", "-c", configuration]).success().stdout + &applied
}

#[test]
fn who_enrols_and_who_is_exempt_is_shown_applied_and_undone_with_the_rest() {
    let (sandbox, phone) = host();
    sandbox.add_user("robot");
    sandbox.authorize_key("robot");
    let before = whole(&sandbox);
    let arguments =
        ["sshd", "sudo", "--with", "password", "--first-login", "enroll", "--exempt", "robot,@backup"];
    let shown = setup(&sandbox, &arguments).success().stdout;
    for line in
        ["+first_login = \"enroll\"", "+user = [\"robot\"]", "+group = [\"backup\"]", "+Match User robot"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(whole(&sandbox), before);
    setup(&sandbox, &[&arguments[..], &["--apply", "--no-timer"]].concat()).success();
    let _sshd = sandbox.start_debians_sshd();
    sandbox.ssh_with("robot", &["BatchMode=yes"], "true").success();
    let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
    let mut client = sandbox.ssh("alice", &remote);
    let code = phone.code();
    sandbox.keep_secret(&code);
    for (question, answer) in [("assword: ", PASSWORD), ("Verification code (Enter: none yet): ", &code)] {
        client.expect(question);
        client.send(answer);
    }
    assert!(client.success().contains(INSIDE));
    assert!(setup(&sandbox, &arguments).success().stdout.contains("Nothing to change"));
    setup(&sandbox, &["--undo"]).success();
    assert_eq!(whole(&sandbox), before);
}

#[test]
fn a_configuration_that_would_be_refused_or_waits_to_be_applied_changes_nothing() {
    let (sandbox, _) = host();
    let refused = |why: &str, arguments: &[&str]| {
        let before = whole(&sandbox);
        let output = setup(&sandbox, &[&["sudo", "--apply", "--no-timer"], arguments].concat()).exited(1);
        assert!(output.stderr.contains(why), "{output:?}");
        assert_eq!(whole(&sandbox), before);
    };
    refused("is no user of this host", &["--exempt", "nobody-here"]);
    refused("is no user of this host", &["--exempt", "x\"]"]);
    // A step behind the change of the configuration fails.
    sandbox.run(&["mount", "--bind", "/etc/pam.d/sudo-i", "/etc/pam.d/sudo-i"]).success();
    refused("everything is as it was", &["--first-login", "token", "--exempt", "alice"]);
    sandbox.run(&["umount", "/etc/pam.d/sudo-i"]).success();
    sandbox.append("/etc/qrtotp/qrtotp.toml", "\n# edited\n");
    refused("changes that are not applied", &["--first-login", "token"]);
}

#[test]
fn on_a_terminal_it_asks_shows_the_changes_and_makes_them_only_if_the_person_agrees() {
    let (sandbox, _) = host();
    let before = whole(&sandbox);
    let guided = |last: &str| {
        let mut pty = sandbox.pty(None, &["qrtotp", "setup", "--no-timer", "--no-trial"]);
        for (question, answer) in [
            ("Services [sshd sudo su login]: ", "sshd nowhere"),
            ("no file /etc/pam.d/nowhere", ""),
            ("Services [sshd sudo su login]: ", "sshd sudo"),
            ("Factor [password]: ", "nonsense"),
            ("One of: password, key, either.", ""),
            ("Factor [password]: ", "key"),
            ("First login [deny]: ", "token"),
            ("Exempt [nobody]: ", "@backup"),
            ("--with key --first-login token --exempt @backup --apply", ""),
            ("+auth       required     pam_qrtotp.so", ""),
            ("Make these changes? [y/N] ", last),
        ] {
            pty.expect(question);
            if question.ends_with(": ") || question.ends_with("] ") {
                pty.send(answer);
            }
        }
        pty.finish()
    };
    assert!(!guided("").0.success());
    assert_eq!(whole(&sandbox), before);
    let (status, said) = guided("y");
    assert!(status.success() && said.contains("Log in from a second terminal now"), "{said}");
    let said = sandbox.run(&["qrtotp", "doctor"]).exited(0).stdout;
    assert!(said.contains("sshd, sudo, sudo-i: asks for a code"), "{said}");
    assert!(sandbox.run(&["qrtotp", "config", "show"]).stdout.contains("first_login = \"token\""));
    setup(&sandbox, &["--undo"]).success();
    assert_eq!(whole(&sandbox), before);
    assert!(setup(&sandbox, &[]).exited(2).stderr.contains("qrtotp setup sshd sudo"));
}
