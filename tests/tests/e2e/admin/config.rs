//! From the files of the configuration to a login's decision. No change holds before it is applied; a faulty
//! configuration, or one that locks out, is refused; and an `apply` that is stopped leaves the old or the new
//! configuration, whole.

use qrtotp_tests::{
    Output, Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, SERVICE},
};

const ADMIN_RULES: &str = "[[rule]]\nname = \"root\"\nuser = [\"root\"]\nthen = \"code\"\n";

fn host() -> Sandbox {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.make_store();
    sandbox
}

fn config(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.run(&[&["qrtotp", "config"], arguments].concat())
}

fn deny(user: &str) -> String {
    format!("{ADMIN_RULES}[[rule]]\nname = \"no-{user}\"\nuser = [\"{user}\"]\nthen = \"deny\"\n")
}

#[test]
fn an_edit_holds_once_it_is_applied_and_until_it_is_rolled_back() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    sandbox.edit_configuration(&deny("alice"));
    let output = sandbox.run(&["qrtotp", "list"]).success().stderr;
    assert!(output.contains("was changed after it was applied"), "{output}");
    let checked = config(&sandbox, &["check"]).success().stdout;
    assert!(checked.contains("not applied: logins go by policy 1"), "{checked}");
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS, "nothing was applied");
    let differs = config(&sandbox, &["diff"]).exited(1).stdout;
    assert!(differs.contains("1 account: code -> deny at sshd from elsewhere"), "{differs}");
    let applied = config(&sandbox, &["apply"]).success().stdout;
    assert!(applied.contains("code -> deny") && applied.contains("applied as policy 2"), "{applied}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["event=policy_applied", "policy=2"]);
    let _ = sandbox.log.wait(&["event=login", "policy=2", "rule=no-alice"]);
    assert!(config(&sandbox, &["diff"]).success().stdout.contains("no login is decided differently"));
    assert!(config(&sandbox, &["check"]).success().stdout.contains("applied: policy 2"));
    let again = config(&sandbox, &["apply", "--if-changed"]).success().stdout;
    assert_eq!(again, "policy 2 is applied already; nothing changed\n");
    config(&sandbox, &["rollback"]).success();
    let _ = sandbox.log.wait(&["event=policy_rolled_back", "policy=3"]);
    let explained = config(&sandbox, &["explain", "--user", "alice"]).success().stdout;
    assert!(
        explained.starts_with("policy 3, applied ") && explained.contains("outcome: code"),
        "{explained}"
    );
    let list = config(&sandbox, &["list"]).success().stdout;
    let last = list.lines().last().unwrap();
    assert!(list.starts_with("POLICY  APPLIED ") && list.lines().count() == 4, "{list}");
    assert!(last.ends_with("  root  0      in force"), "{list}");
    let shown = config(&sandbox, &["show", "2"]).success().stdout;
    assert!(shown.contains("rule no-alice\n  user     alice\n  then     deny\n"), "{shown}");
    assert!(config(&sandbox, &["show", "9"]).exited(1).stderr.contains("number 9 is not kept"));
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml.applied.d/2", "what");
    assert!(config(&sandbox, &["rollback", "2"]).exited(1).stderr.contains("qrtotp: it is damaged"));
}

#[test]
fn each_command_of_roots_tells_once_of_an_edit_that_is_not_applied() {
    let sandbox = host();
    sandbox.edit_configuration(ADMIN_RULES);
    let notices = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        sandbox
            .run(&[&["qrtotp"], &words[..]].concat())
            .stderr
            .matches("was changed after it was applied")
            .count()
    };
    for command in [
        "list",
        "status",
        "status alice",
        "init",
        "enroll no-such-user",
        "token list",
        "import oath /no-such-file --dry-run",
        "audit --user alice",
        "audit heads",
        "metrics",
        "fleet status",
        "doctor last alice",
        "doctor login alice",
        "config check",
        "config confirm",
        "config rollback",
        "config list",
        "config show",
        "config explain --user alice",
        "config test",
        "config sshd",
    ] {
        assert_eq!(notices(command), 1, "{command}");
    }
    let findings = sandbox.run(&["qrtotp", "doctor"]).stdout;
    assert!(findings.contains("was changed after it was applied"), "{findings}");
    for about_the_edit in ["config diff", "config apply", "list"] {
        assert_eq!(notices(about_the_edit), 0, "{about_the_edit}");
    }
}

#[test]
fn what_can_not_be_used_is_refused_by_file_and_line_and_changes_nothing() {
    let sandbox = host();
    let before = sandbox.run(&["sha256sum", "/etc/qrtotp/qrtotp.toml.applied"]).success().stdout;
    for (more, code, text) in [
        ("[[rule]\n", 2, "qrtotp.toml, line 3: "),
        ("[[rule]]\nname = \"a\"\nthen = \"let in\"\n", 2, "qrtotp.toml, line 5: "),
        (
            "[[rule]]\nname = \"a\"\ngroup = [\"no-such-group\"]\nthen = \"deny\"\n",
            2,
            "there is no group `no-such-group`",
        ),
        ("[policy]\nzone = \"Europe/Nowhere\"\n", 2, "there is no time zone Europe/Nowhere"),
        (
            "[[test]]\nservice = \"sshd\"\nexpect = \"deny by a\"\n",
            1,
            "not applied: correct the rules, or the tests that fail",
        ),
        ("[[rule]]\nname = \"a\"\nthen = \"deny\"\n", 1, "not applied: correct what is marked as danger"),
    ] {
        sandbox.edit_configuration(more);
        for arguments in [&["apply"][..], &["apply", "--confirm", "10m"]] {
            let refused = config(&sandbox, arguments).exited(code);
            assert!(refused.stderr.contains(text), "{more}: {refused:?}");
        }
        config(&sandbox, &["check"]).exited(code);
        let after = sandbox.run(&["sha256sum", "/etc/qrtotp/qrtotp.toml.applied"]).success().stdout;
        assert_eq!(before, after, "{more}");
    }
    sandbox.edit_configuration("");
    for arguments in
        [&["apply", "--confirm", "59s"][..], &["apply", "--confirm", "25h"], &["apply", "--force", " "]]
    {
        config(&sandbox, arguments).exited(2);
    }
    assert!(config(&sandbox, &["confirm"]).exited(1).stderr.contains("awaits confirmation"));
    assert!(config(&sandbox, &["rollback"]).exited(1).stderr.contains("nothing to go back to"));
    assert!(
        sandbox.run_as("alice", &["qrtotp", "config", "check"]).exited(2).stderr.contains("run it as root")
    );
}

/// Runs a command as alice does by sudo, after an ssh login from 192.0.2.7.
fn by_alice(sandbox: &Sandbox, command: &[&str]) -> Output {
    let uid = sandbox.run(&["id", "-u", "alice"]).success().stdout;
    let uid = format!("SUDO_UID={}", uid.trim());
    let ssh = "SSH_CONNECTION=192.0.2.7 1 192.0.2.1 22";
    sandbox.run(&[&["env", &uid, ssh], command].concat())
}

/// alice has a device, policy 2 denies her everything, and policy 3 does not.
fn with_a_lock_out_behind() -> Sandbox {
    let sandbox = host();
    sandbox.import("alice");
    sandbox.edit_configuration(&deny("alice"));
    config(&sandbox, &["apply"]).success();
    sandbox.configure(ADMIN_RULES);
    sandbox
}

#[test]
fn going_back_to_a_lock_out_is_refused_unless_it_is_forced_with_a_reason() {
    let sandbox = with_a_lock_out_behind();
    let by_sudo = |arguments: &[&str]| by_alice(&sandbox, &[&["qrtotp", "config"], arguments].concat());
    let refused = by_sudo(&["rollback"]).exited(1);
    let danger = "danger: L1: rule no-alice would deny you (alice) at sshd from 192.0.2.7";
    assert!(refused.stdout.contains(danger), "{refused:?}");
    assert!(refused.stderr.contains("nothing was changed: policy 2 would lock out"), "{refused:?}");
    assert!(by_sudo(&["list"]).success().stdout.lines().last().unwrap().starts_with("3 "));
    by_sudo(&["rollback", "--force", " "]).exited(2);
    by_sudo(&["rollback", "1", "--force", "not needed"]).success();
    by_sudo(&["rollback", "2", "--force", "she is leaving"]).success();
    let _ = sandbox.log.wait(&["event=policy_rolled_back", "policy=5", "detail=\"forced: she is leaving\""]);
    assert!(!sandbox.log.lines().iter().any(|line| line.contains("not needed")), "nothing was forced");
}

#[test]
fn going_back_to_a_configuration_that_denies_its_emergency_account_is_refused() {
    let sandbox = host();
    let rules = format!("[policy]\nemergency = [\"bobby\"]\n{}", deny("bobby"));
    sandbox.edit_configuration(&rules);
    config(&sandbox, &["apply", "--force", "for this test"]).success();
    sandbox.configure(ADMIN_RULES);
    let refused = config(&sandbox, &["rollback"]).exited(1).stdout;
    assert!(refused.contains("danger: L3: rule no-bobby would deny the emergency account"), "{refused}");
}

#[test]
fn what_is_not_confirmed_ends_even_if_the_configuration_before_it_locks_out() {
    let sandbox = with_a_lock_out_behind();
    config(&sandbox, &["rollback"]).success();
    sandbox.edit_configuration(ADMIN_RULES);
    config(&sandbox, &["apply", "--confirm", "10m"]).success();
    let _ = by_alice(&sandbox, &["faketime", "-f", "+12m", "qrtotp", "config", "list"]).success();
    let _ = sandbox.log.wait(&["event=policy_rolled_back", "reason=not_confirmed", "policy=5"]);
    let explained = config(&sandbox, &["explain", "--user", "alice"]).exited(1).stdout;
    assert!(explained.starts_with("policy 4, ") && explained.contains("outcome: deny"), "{explained}");
    let slip = config(&sandbox, &["explain", "--user", "alice", "--groups", "nosuch"]).exited(1);
    assert!(slip.stderr.contains("no rule names the group nosuch"), "{}", slip.stderr);
}

#[test]
fn the_first_use_applies_no_lock_out_and_lets_a_host_begin_on_which_nobody_has_a_device() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let first_use = |rules: &str| {
        sandbox.run(&["rm", "-f", "/etc/qrtotp/qrtotp.toml.applied"]).success();
        sandbox.edit_configuration(rules);
        sandbox.run(&["qrtotp", "init"])
    };
    let refused = first_use("[[rule]]\nname = \"a\"\nthen = \"deny\"\n").exited(1).stderr;
    assert!(refused.contains("was never applied, and is not applied now: danger: L2: nobody"), "{refused}");
    assert!(refused.contains("--force REASON"), "{refused}");
    assert!(config(&sandbox, &["list"]).success().stdout.starts_with("nothing was applied yet"));
    first_use("[[rule]]\nname = \"a\"\nthen = \"code\"\n").success();
    sandbox.import("alice");
    first_use(&deny("alice")).success();
}

#[test]
fn a_configuration_that_locks_out_who_applies_it_is_refused_unless_it_is_forced_with_a_reason() {
    let sandbox = host();
    sandbox.import("alice");
    sandbox.edit_configuration(&deny("alice"));
    let by_sudo = |arguments: &[&str]| by_alice(&sandbox, &[&["qrtotp", "config"], arguments].concat());
    let refused = by_sudo(&["apply"]).exited(1);
    for text in ["danger: L1: rule no-alice would deny you (alice) at sshd from 192.0.2.7", "at sudo;"] {
        assert!(refused.stdout.contains(text), "{refused:?}");
    }
    by_sudo(&["check"]).exited(1);
    by_sudo(&["apply", "--force", "she is leaving"]).success();
    let _ = sandbox.log.wait(&["event=policy_applied", "detail=\"forced: she is leaving\""]);
    sandbox.edit_configuration(&deny("bobby"));
    by_sudo(&["apply", "--force", "not needed"]).success();
    assert!(!sandbox.log.lines().iter().any(|line| line.contains("not needed")), "nothing was forced");
}

#[test]
fn two_codes_at_a_service_with_one_field_are_refused() {
    let sandbox = host();
    sandbox.overwrite(
        "/etc/pam.d/vpn",
        "auth required pam_qrtotp.so forward_pass\nauth required pam_permit.so\n",
    );
    sandbox.edit_configuration(&format!(
        "{ADMIN_RULES}[[rule]]\nname = \"vpn-two\"\nservice = [\"vpn\"]\nthen = \"two-codes\"\n"
    ));
    let refused = config(&sandbox, &["apply"]).exited(1).stdout;
    assert!(
        refused.contains("danger: pam: rule vpn-two: vpn has `forward_pass` in its PAM file"),
        "{refused}"
    );
}

#[test]
fn a_listed_service_that_asks_for_codes_before_passwords_is_warned_about() {
    let sandbox = host();
    let warned = |line: &str| {
        sandbox.overwrite("/etc/pam.d/vpn", &format!("auth required pam_qrtotp.so {line}\n"));
        sandbox.edit_configuration("[broker.services]\ndaemon = [\"vpn\"]\n");
        let checked = config(&sandbox, &["check"]).success().stdout;
        checked.contains("warning: broker.services: daemon: the line in /etc/pam.d/vpn has no `forward_pass`")
    };
    assert_eq!(["", "use_first_pass", "forward_pass"].map(warned), [true, true, false]);
}

#[test]
fn what_is_not_confirmed_ends_by_itself_and_what_is_confirmed_stays() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    sandbox.edit_configuration(&deny("alice"));
    let applied = config(&sandbox, &["apply", "--confirm", "10m"]).success().stdout;
    assert!(applied.contains("Confirm it until ") && applied.contains("qrtotp config confirm"), "{applied}");
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_AUTH_ERR);
    let list = config(&sandbox, &["list"]).success().stdout;
    assert!(list.contains("in force; awaits `qrtotp config confirm` until"), "{list}");
    let at = |shift: &str, code: &str| {
        sandbox.login("alice").answer(code).under(&["faketime", "-f", shift]).run().authenticate()
    };
    assert_eq!(at("+9m", "000000"), PAM_AUTH_ERR);
    assert!(!sandbox.log.lines().iter().any(|line| line.contains("reason=wrong_code")), "the rule denied it");
    assert_eq!(at("-1h", "000000"), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["reason=wrong_code"]);
    let later = phone.code_of_step(phone.step() + 720 / phone.period);
    assert_eq!(at("+12m", &later), PAM_SUCCESS);
    not_confirmed(&sandbox);
}

/// The next command removes a configuration that was not confirmed in time, permanently.
fn not_confirmed(sandbox: &Sandbox) {
    let later = ["faketime", "-f", "+12m", "qrtotp", "config"];
    assert!(
        sandbox.run(&[&later[..], &["confirm"]].concat()).exited(1).stderr.contains("awaits confirmation")
    );
    let _ = sandbox.log.wait(&["event=policy_rolled_back", "reason=not_confirmed", "policy=2"]);
    let list = config(sandbox, &["list"]).success().stdout;
    assert!(list.contains("was not confirmed"), "{list}");
    let explained = config(sandbox, &["explain", "--user", "alice"]).success().stdout;
    assert!(explained.starts_with("policy 1, ") && explained.contains("outcome: code"), "{explained}");
    config(sandbox, &["apply", "--confirm", "1m"]).success();
    let again = config(sandbox, &["apply", "--if-changed"]).success().stdout;
    assert!(again.contains("nothing changed; `qrtotp config confirm` keeps it"), "{again}");
    assert_eq!(
        config(sandbox, &["confirm"]).success().stdout,
        "policy 3 is confirmed\n",
        "no number is used twice"
    );
    let after = ["faketime", "-f", "+2h", "qrtotp", "config", "explain", "--user", "alice"];
    assert!(sandbox.run(&after).exited(1).stdout.contains("policy 3, "));
}

#[test]
fn whatever_kills_an_apply_logins_go_by_all_of_the_old_or_all_of_the_new() {
    let sandbox = host();
    let (mut old, mut new, mut present) = (0, 0, 0);
    // Narrows down the moment of the change, at any speed of the machine.
    let mut limit = 0.002;
    for round in 1..=60 {
        let more = format!("{ADMIN_RULES}[[rule]]\nname = \"r{round}\"\nuser = [\"x\"]\nthen = \"deny\"\n");
        sandbox.edit_configuration(&more);
        let _ =
            sandbox.run(&["timeout", "--signal=KILL", &format!("{limit:.6}"), "qrtotp", "config", "apply"]);
        let shown = config(&sandbox, &["show"]).success().stdout;
        if shown.contains(&format!("rule r{round}\n")) {
            (new, present, limit) = (new + 1, round, limit / 1.15);
        } else {
            assert!(present == 0 || shown.contains(&format!("rule r{present}\n")), "{shown}");
            (old, limit) = (old + 1, limit * 1.15);
        }
        config(&sandbox, &["check"]).success();
    }
    config(&sandbox, &["apply"]).success();
    assert!(old > 9 && new > 9, "the kills came at the wrong times: {old} old, {new} new");
}

#[test]
fn explain_says_what_a_login_does() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    let rules = format!(
        "[[rule]]\nname = \"console\"\nservice = [\"{SERVICE}\"]\nfrom = [\"local\"]\ntty = [\"tty1\"]\nthen = \"skip\"\n\
         [[rule]]\nname = \"away\"\nfrom = [\"192.0.2.0/24\"]\nthen = \"deny\"\n{ADMIN_RULES}"
    );
    sandbox.edit_configuration(&rules);
    config(&sandbox, &["apply"]).success();
    let mut codes = [phone.previous_code(), phone.code()].into_iter();
    for (from, tty, outcome, rule, ends) in [
        ("local", "tty1", "skip", "console", PAM_SUCCESS),
        ("192.0.2.9", "tty1", "deny", "away", PAM_AUTH_ERR),
        ("::ffff:192.0.2.9", "", "deny", "away", PAM_AUTH_ERR),
        ("local", "pts/0", "code", "default", PAM_SUCCESS),
        ("198.51.100.1", "", "code", "default", PAM_SUCCESS),
    ] {
        let arguments =
            ["explain", "--user", "alice", "--service", SERVICE, "--from", from, "--tty", tty, "--json"];
        let explained = config(&sandbox, &arguments).exited((outcome == "deny").into());
        for part in [format!("\"outcome\": \"{outcome}\""), format!("\"rule\": \"{rule}\",\n  \"rules\"")] {
            assert!(explained.stdout.contains(&part), "{from} {tty}: {explained:?}");
        }
        let code = if outcome == "code" { codes.next().unwrap() } else { "000000".into() };
        let rhost = if from == "local" { "" } else { from };
        let login = sandbox.login("alice").answer(&code).arguments(&["--rhost", rhost, "--tty", tty]);
        let ended = login.run().authenticate();
        assert_eq!(ended, ends, "{from} {tty}");
    }
}

#[test]
fn tests_of_the_configuration_and_of_another_file_are_run() {
    let sandbox = host();
    let test = |expect: &str| format!("[[test]]\nuser = \"x\"\nservice = \"su\"\nexpect = \"{expect}\"\n");
    sandbox.edit_configuration(&format!("{}{}", deny("x"), test("deny by no-x")));
    assert_eq!(config(&sandbox, &["test"]).success().stdout, "1 test passed\n");
    sandbox.overwrite("/root/tests.toml", &format!("{}{}", test("deny by no-x"), test("code by default")));
    let failed = config(&sandbox, &["test", "/root/tests.toml"]).exited(1).stdout;
    let expected =
        "1 test passed, 1 failed:\n  /root/tests.toml:5 expected \"code by default\", got \"deny by no-x\"\n";
    assert_eq!(failed, expected);
    sandbox.overwrite("/root/tests.toml", &deny("y"));
    config(&sandbox, &["test", "/root/tests.toml"]).exited(2);
}

#[test]
fn edit_replaces_the_file_only_by_one_without_a_fault() {
    let sandbox = host();
    let file = "/etc/qrtotp/qrtotp.toml";
    sandbox.run(&["chmod", "640", file]).success();
    let before = sandbox.read(file);
    let editor = |script: &str, answers: &str| {
        sandbox.overwrite("/usr/local/bin/an-editor", &format!("#!/bin/sh\n{script}\n"));
        sandbox.run(&["chmod", "755", "/usr/local/bin/an-editor"]).success();
        sandbox.run_with_input(&["env", "EDITOR=an-editor --wait", "qrtotp", "config", "edit"], answers)
    };
    assert!(editor("true", "").success().stdout.contains("nothing was changed"));
    let fault = editor("echo nonsense >>\"$2\"", "what\nq\n").exited(1);
    assert!(
        fault.stderr.contains("qrtotp.toml, line ") && fault.stderr.contains("Edit again or quit (e/q)?"),
        "{fault:?}"
    );
    editor("exit 3", "").exited(1);
    assert_eq!(sandbox.read(file), before);
    let corrected = editor(
        "if grep -q nonsense \"$2\"; then sed -i s/nonsense// \"$2\"; else echo nonsense >>\"$2\"; fi",
        "e\n",
    );
    assert!(corrected.success().stdout.contains("applied as policy 2"));
    assert_ne!(sandbox.read(file), before);
    let left = sandbox.run(&["sh", "-c", "stat -c '%a %n' /etc/qrtotp/*"]).success().stdout;
    assert!(
        left.contains(&format!("640 {file}\n")) && !left.contains("edit") && !left.contains(".new"),
        "{left}"
    );
}

#[test]
fn with_the_printed_blocks_sftp_without_a_terminal_gets_in_from_the_rules_network_and_from_nowhere_else() {
    let sandbox = Sandbox::new();
    sandbox.add_user("svc-copy");
    sandbox.add_user("alice");
    sandbox.key_and_code("sshd", "");
    for user in ["svc-copy", "alice"] {
        let ssh = format!("/home/{user}/.ssh");
        sandbox.run(&["install", "-d", "-m", "700", "-o", user, "-g", user, &ssh]).success();
        let make = format!(
            "test -e /root/key || ssh-keygen -q -t ed25519 -N '' -f /root/key; install -m 600 -o {user} /root/key.pub {ssh}/authorized_keys"
        );
        sandbox.run(&["sh", "-c", &make]).success();
    }
    for address in ["10.20.0.5/32", "203.0.113.9/32"] {
        sandbox.run(&["ip", "address", "add", address, "dev", "lo"]).success();
    }
    sandbox.configure(&format!(
        "{ADMIN_RULES}[[rule]]\nname = \"automation\"\nuser = [\"svc-*\"]\nservice = [\"sshd\"]\nfrom = [\"10.20.0.0/24\"]\n\
         key = true\nthen = \"skip\"\n"
    ));
    let sftp = |user: &str, from: &str| {
        let bind = format!("BindAddress={from}");
        let to = format!("{user}@localhost");
        let options = ["-F", "none", "-o", &bind, "-o", "IdentityFile=/root/key", "-o", "BatchMode=yes"];
        let arguments = [&["sftp"][..], &options, &["-o", "IdentitiesOnly=yes", "-b", "-", &to]].concat();
        sandbox.run_with_input(&arguments, "pwd\n").status.success()
    };
    let methods = "AuthenticationMethods publickey,keyboard-interactive\n";
    let sshd = sandbox.start_sshd(methods);
    assert!(!sftp("svc-copy", "10.20.0.5"), "the client does not try keyboard-interactive");
    drop(sshd);
    let blocks = config(&sandbox, &["sshd"]).success().stdout;
    let more = "Subsystem sftp internal-sftp\nUsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n";
    let _sshd = sandbox.start_sshd(&format!("{methods}{more}{blocks}Match all"));
    for (user, from, lets_in) in [
        ("svc-copy", "10.20.0.5", true),
        ("svc-copy", "203.0.113.9", false),
        ("svc-copy", "127.0.0.1", false),
        ("alice", "10.20.0.5", false),
    ] {
        assert_eq!(sftp(user, from), lets_in, "{user} {from}");
    }
}

#[test]
fn a_skip_where_sshd_proves_nothing_else_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.key_and_code("sshd", "");
    sandbox.run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/host-key"]).success();
    sandbox.run(&["mkdir", "-p", "/run/sshd"]).success();
    let rule = |more: &str| {
        format!("{ADMIN_RULES}[[rule]]\nname = \"near\"\nfrom = [\"10.0.0.0/8\"]\n{more}then = \"skip\"\n")
    };
    for (methods, more, refused) in [
        ("any", "", true),
        ("keyboard-interactive", "", true),
        ("publickey,keyboard-interactive", "", false),
        ("any", "key = true\n", false),
        ("any", "service = [\"su\"]\n", false),
    ] {
        let settings = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\nHostKey /root/host-key\n";
        sandbox.overwrite("/etc/ssh/sshd_config", &format!("{settings}AuthenticationMethods {methods}\n"));
        sandbox.edit_configuration(&rule(more));
        let applied = sandbox.apply_configuration().exited(refused.into());
        let is_named =
            applied.stdout.contains("danger: sshd: rule near: sshd asks for no key and no password");
        assert_eq!(is_named, refused, "{methods} {more}: {applied:?}");
    }
}

#[test]
fn ctrl_c_is_the_editors_and_ends_the_question_without_a_trace() {
    let sandbox = host();
    // It starts no program while it waits: dash loses a signal that arrives between its vfork and the exec.
    let script = "#!/bin/sh\ntrap 'echo nonsense >>\"$1\"; exit 0' INT\necho editing\nwhile :; do :; done\n";
    sandbox.overwrite("/usr/local/bin/an-editor", script);
    sandbox.run(&["chmod", "755", "/usr/local/bin/an-editor"]).success();
    let before = sandbox.read("/etc/qrtotp/qrtotp.toml");
    let mut pty = sandbox.pty(None, &["env", "VISUAL=an-editor", "qrtotp", "config", "edit"]);
    pty.expect("editing");
    pty.send("\x03");
    pty.expect("Edit again or quit (e/q)? ");
    pty.send("\x03");
    let (status, _) = pty.finish();
    assert_eq!(status.code(), Some(1));
    assert_eq!(sandbox.read("/etc/qrtotp/qrtotp.toml"), before);
    let left = sandbox.run(&["ls", "/etc/qrtotp"]).success().stdout;
    assert!(!left.contains("edit"), "{left}");
}
