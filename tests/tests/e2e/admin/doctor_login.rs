//! `qrtotp doctor login` and `doctor --fix`, on a host whose real sshd and sudo were set up.

use qrtotp_tests::{Output, Sandbox};

/// alice, who may become root, with a device.
fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    let _ = sandbox.import("alice");
    sandbox
}

fn doctor(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.run(&[&["qrtotp", "doctor"], arguments].concat())
}

/// Each of `parts`, in their order.
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is not behind the others: {text}")).1;
    }
}

#[test]
fn a_login_is_told_line_by_line_before_and_after_setup() {
    let sandbox = host();
    let before = doctor(&sandbox, &["login", "alice"]).exited(0).stdout;
    assert!(
        before.ends_with(
            "In short: sshd checks a key; PAM's auth lines are not run, so no code is asked for. \
             Or: PAM asks for the password; no line of ours runs, so no code is asked for.\n"
        ),
        "{before}"
    );
    let with_key = doctor(&sandbox, &["login", "alice", "--key"]).exited(0).stdout;
    assert!(
        with_key.ends_with(
            "In short: sshd checks a key; PAM's auth lines are not run, so no code is asked for.\n"
        )
    );
    sandbox.run(&["qrtotp", "setup", "sshd", "sudo", "--apply", "--no-timer"]).success();
    let after = doctor(&sandbox, &["login", "alice", "--from", "192.0.2.7"]).exited(0).stdout;
    assert_in_order(
        &after,
        &[
            "sshd: demands keyboard-interactive;",
            "/etc/pam.d/common-auth: pam_unix.so asks for the password; leaves out the next line",
            "/etc/pam.d/sshd: pam_qrtotp.so asks for a code; must hold",
            "login: alice, sshd, 192.0.2.7",
            "outcome: code",
            "Account: alice (uid ",
            "In short: PAM asks for the password, then a code; then the login goes on.\n",
        ],
    );
}

#[test]
fn the_methods_of_sshd_and_the_account_part_count_for_what_is_told_in_short() {
    let sandbox = host();
    sandbox.run(&["qrtotp", "setup", "sshd", "--with", "key", "--apply", "--no-timer"]).success();
    let in_short = |code: i32| {
        let summary = doctor(&sandbox, &["login", "alice"]).exited(code).stdout;
        summary.lines().last().unwrap().to_owned()
    };
    assert_eq!(in_short(0), "In short: sshd checks a key; PAM asks for a code; then the login goes on.");
    let drop_in = "/etc/ssh/sshd_config.d/00-qrtotp.conf";
    let shipped = sandbox.read(drop_in);
    for (from, to, code, expected) in [
        ("KbdInteractiveAuthentication yes", "KbdInteractiveAuthentication no", 1, "sshd lets nobody in"),
        ("UsePAM yes", "UsePAM no", 1, "sshd lets nobody in"),
        (
            "PasswordAuthentication no\n\n",
            "PasswordAuthentication yes\n\n",
            0,
            "sshd checks a key; PAM asks for a code;",
        ),
        (
            "publickey,keyboard-interactive",
            "publickey",
            0,
            "sshd checks a key; PAM's auth lines are not run, so no code",
        ),
    ] {
        sandbox.overwrite(drop_in, &shipped.replace(from, to));
        let summary = in_short(code);
        assert!(summary.starts_with(&format!("In short: {expected}")), "{to}: {summary}");
    }
    let pam = sandbox.read("/etc/pam.d/sshd");
    sandbox.pam("sshd", &format!("account required pam_deny.so\n{pam}"));
    let summary = in_short(1);
    assert!(
        summary.ends_with("no code is asked for. But the account part refuses: nobody gets in."),
        "{summary}"
    );
    sandbox.pam("sshd", &format!("account required pam_qrtotp.so\n{pam}"));
    sandbox.configure("[defaults]\nunasked = \"deny\"\n");
    let summary = in_short(1);
    assert!(summary.ends_with("But the account part refuses: nobody gets in."), "{summary}");
}

#[test]
fn the_rule_that_decides_is_told_with_what_comes_of_it() {
    let sandbox = host();
    sandbox.run(&["qrtotp", "setup", "sshd", "--apply", "--no-timer"]).success();
    sandbox.add_user("bobby");
    let bobby = doctor(&sandbox, &["login", "bobby"]).exited(0).stdout;
    assert!(bobby.contains("But the account has no device"), "{bobby}");
    sandbox.configure(
        "[[rule]]\nname = \"office\"\nfrom = [\"192.0.2.0/24\"]\nthen = \"skip\"\n\
         [[rule]]\nname = \"closed\"\nfrom = [\"198.51.100.0/24\"]\nthen = \"deny\"\n",
    );
    let office = doctor(&sandbox, &["login", "alice", "--from", "192.0.2.7"]).exited(0).stdout;
    let summary = [
        "pam_qrtotp.so asks nothing, by the rule below",
        "* office",
        "In short: PAM asks for the password; no code, by the rule;",
    ];
    assert_in_order(&office, &summary);
    let closed = doctor(&sandbox, &["login", "alice", "--from", "198.51.100.7"]).exited(1).stdout;
    assert_in_order(
        &closed,
        &[
            "pam_qrtotp.so refuses, by the rule below",
            "* closed",
            "In short: refused by the rule, whatever is typed.\n",
        ],
    );
    sandbox.pam("sshd", "@include nothing-there\n");
    let nobody = doctor(&sandbox, &["login", "alice"]).exited(1).stdout;
    assert!(
        nobody.ends_with("In short: nobody gets in by this service; `qrtotp doctor` says why.\n"),
        "{nobody}"
    );
}

#[test]
fn a_finding_that_setup_can_mend_is_shown_and_applied() {
    let sandbox = host();
    sandbox.run(&["qrtotp", "setup", "sudo", "--apply", "--no-timer"]).success();
    let sibling = sandbox.read("/etc/pam.d/sudo-i");
    sandbox.pam("sudo-i", &sibling.replace("auth       required     pam_qrtotp.so\n", ""));
    assert!(doctor(&sandbox, &["--problems"]).exited(1).stdout.contains("[sibling-not-covered]"));
    let shown = doctor(&sandbox, &["--fix", "sibling-not-covered"]).exited(0).stdout;
    assert_in_order(
        &shown,
        &["+++ b/etc/pam.d/sudo-i", "+auth       required     pam_qrtotp.so", "Nothing was changed."],
    );
    doctor(&sandbox, &["--fix", "sibling-not-covered", "--apply", "--no-timer"]).exited(0);
    assert_eq!(sandbox.read("/etc/pam.d/sudo-i"), sibling);
    assert!(!doctor(&sandbox, &["--problems"]).stdout.contains("[sibling-not-covered]"));
    sandbox.run(&["qrtotp", "setup", "--undo"]).success();
}

#[test]
fn where_sshd_takes_keys_only_a_fix_has_it_take_key_and_code_and_never_a_password() {
    let sandbox = host();
    let keys_only = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                     Include /usr/share/openssh/sshd_config\n";
    sandbox.overwrite("/etc/ssh/sshd_config", keys_only);
    let shown = doctor(&sandbox, &["--fix", "not-in-use"]).exited(0).stdout;
    assert_in_order(
        &shown,
        &["+AuthenticationMethods publickey,keyboard-interactive", "+++ b/etc/pam.d/sudo"],
    );
    // Some by key, others by password: then the admin has to say.
    let mixed = format!("{keys_only}Match User bobby\nPasswordAuthentication yes\n");
    sandbox.overwrite("/etc/ssh/sshd_config", &mixed);
    for arguments in [&["doctor", "--fix", "not-in-use"][..], &["setup", "sshd"]] {
        let refused = sandbox.run(&[&["qrtotp"], arguments].concat()).exited(1);
        assert!(
            refused.stderr.contains("choose by `qrtotp setup --with`: password, key or either"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_finding_that_setup_can_not_mend_is_refused_with_what_to_do() {
    let sandbox = host();
    sandbox.pam("sudo", "@include common-auth\nauth required pam_qrtotp.so\nauth required pam_deny.so\n@include common-account\n");
    let refused = doctor(&sandbox, &["--fix", "nobody-gets-in"]).exited(1);
    assert!(refused.stderr.contains("can't be mended by itself; do it by hand: "), "{refused:?}");
    let refused = doctor(&sandbox, &["--fix", "no-such-id"]).exited(1);
    assert!(refused.stderr.contains("nothing of this id"), "{refused:?}");
}
