//! Rules hold for real logins: which factor a login needs, by user and place. `policy::rules` tests the
//! syntax.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    first_login::{CHOICES, ENTER},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    sshd::Sshd,
    users::PASSWORD,
};

pub(super) const INSIDE: &str = "I-am-inside";

/// Adds addresses to the sandbox, from which its client can connect.
pub(super) fn addresses(sandbox: &Sandbox, addresses: &[&str]) {
    for address in addresses {
        sandbox.run(&["ip", "address", "add", address, "dev", "lo"]).success();
    }
}

/// A login at a service of the test, as a PAM application describes it.
fn login(sandbox: &Sandbox, user: &str, answer: &str, from: &str, tty: &str) -> i32 {
    let login = sandbox.login(user).answer(answer).arguments(&["--rhost", from, "--tty", tty]);
    login.run().authenticate()
}

#[test]
fn the_first_rule_that_matches_decides_and_the_log_names_it() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.stack("");
    sandbox.run(&["groupadd", "--gid", "4001", "contractors"]).success();
    sandbox.run(&["usermod", "--append", "--groups", "contractors", "bobby"]).success();
    let (alice, bobby) = (sandbox.import("alice"), sandbox.import("bobby"));
    sandbox.configure(
        "[networks]\noffice = ['192.0.2.0/24', '2001:db8::/32']\n\
         [[rule]]\nname = 'console'\nfrom = ['local']\ntty = ['tty*']\nthen = 'skip'\n\
         [[rule]]\nname = 'barred'\ngroup = ['contractors']\nfrom = ['office']\nthen = 'deny'\nmessage = 'Call 1234.'\n\
         [[rule]]\nname = 'office'\nfrom = ['office']\nthen = 'skip'\nnotice = true\n\
         [[rule]]\nname = 'far'\nuser = ['ali*']\nthen = 'two-codes'\n",
    );
    assert_eq!(login(&sandbox, "alice", "", "192.0.2.7", "x"), PAM_SUCCESS);
    let _ =
        sandbox.log.wait(&["<85>", "event=login result=ignored reason=not_required", "policy=2 rule=office"]);
    assert_eq!(login(&sandbox, "alice", "", "::ffff:192.0.2.7", "x"), PAM_SUCCESS, "IPv4-mapped");
    assert_eq!(login(&sandbox, "alice", "", "2001:db8::1%eth0", "x"), PAM_SUCCESS, "scoped");
    assert_eq!(login(&sandbox, "bobby", &bobby.code(), "192.0.2.7", "x"), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["event=login result=denied reason=rule_denied user=bobby", "rule=barred"]);
    assert_eq!(login(&sandbox, "bobby", &bobby.code(), "198.51.100.7", "x"), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=login result=accepted reason=code user=bobby", "rule=default"]);
    assert_eq!(login(&sandbox, "alice", "", "", "tty1"), PAM_SUCCESS);
    assert_eq!(login(&sandbox, "alice", "", "", "pts/1"), PAM_AUTH_ERR, "no console");
    let pair = format!("{} {}", alice.previous_code(), alice.code());
    assert_eq!(
        login(&sandbox, "alice", &pair, "office.example.net", "x"),
        PAM_SUCCESS,
        "a name is no address"
    );
    let _ = sandbox.log.wait(&["event=login result=accepted reason=code user=alice", "rule=far"]);
}

#[test]
fn an_edit_changes_no_login_until_it_is_applied_and_a_fault_is_never_applied() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.stack("");
    let _phone = sandbox.import("alice");
    let mut codes = sandbox.new_recovery_codes("alice").into_iter();
    for edit in ["[[rule]]\nname = 'all'\nuser = ['alice']\nthen = 'deny'\n", "surprise = 1\n", "[["] {
        sandbox.edit_configuration(edit);
        assert_eq!(sandbox.answer("alice", &codes.next().unwrap()), PAM_SUCCESS, "{edit}");
    }
    let refused = sandbox.apply_configuration().exited(2);
    assert!(refused.stderr.contains("qrtotp.toml, line 3"), "{refused:?}");
    assert_eq!(sandbox.answer("alice", &codes.next().unwrap()), PAM_SUCCESS);
}

#[test]
fn the_broker_believes_no_caller_that_a_rule_skips_the_code() {
    let sandbox = Sandbox::with_broker("");
    sandbox.stack("");
    let _phone = sandbox.import("alice");
    sandbox.configure("[[rule]]\nname = 'skip'\nuser = ['alice']\nservice = ['tests']\nthen = 'skip'\n");
    let _broker = sandbox.start_broker();
    assert_eq!(login(&sandbox, "alice", "", "192.0.2.1", "x"), PAM_SUCCESS, "the word of root counts");
    let own = sandbox.login("alice").answer("000000").arguments(&["--rhost", "192.0.2.1"]).argv();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let output = sandbox.run_as("alice", &own);
    assert!(output.stdout.contains("authenticate=7"), "{output:?}");
    let _ = sandbox.log.wait(&["event=login result=denied reason=wrong_code user=alice", "rule=skip"]);
}

pub(super) fn ssh(sandbox: &Sandbox, user: &str, from: &str) -> Pty {
    let bind = format!("BindAddress={from}");
    sandbox.ssh_with(user, &[&bind, "PubkeyAuthentication=no"], &format!("echo {INSIDE}"))
}

fn sshd_with_rules() -> (Sandbox, Sshd, Phone) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.add_user("svc-copy");
    sandbox.password_and_code("sshd", "");
    let phone = sandbox.import("alice");
    addresses(&sandbox, &["192.0.2.7/32", "203.0.113.9/32", "10.20.0.5/32"]);
    sandbox.configure(
        "[networks]\noffice = ['192.0.2.0/24']\n\
         [[rule]]\nname = 'automation'\nuser = ['svc-*']\nservice = ['sshd']\nfrom = ['10.20.0.0/24']\nkey = true\nthen = 'skip'\nnotice = true\n\
         [[rule]]\nname = 'automation-elsewhere'\nuser = ['svc-*']\nthen = 'deny'\n\
         [[rule]]\nname = 'office'\nservice = ['sshd']\nfrom = ['office']\nthen = 'skip'\n\
         [[rule]]\nname = 'contractors'\nservice = ['sshd']\nfrom = ['203.0.113.0/24']\nthen = 'deny'\nmessage = 'Not from here. Call 1234.'\n",
    );
    let sshd = sandbox.start_sshd("");
    (sandbox, sshd, phone)
}

#[test]
fn real_ssh_logins_from_four_addresses_are_decided_by_four_rules() {
    let (sandbox, _sshd, phone) = sshd_with_rules();
    let mut client = ssh(&sandbox, "alice", "192.0.2.7");
    client.expect("assword: ");
    client.send(PASSWORD);
    client.expect(INSIDE);
    client.success();
    let _ = sandbox.log.wait(&[
        "event=login result=ignored reason=not_required user=alice",
        "rhost=192.0.2.7",
        "rule=office",
    ]);
    let mut client = ssh(&sandbox, "alice", "203.0.113.9");
    client.expect("assword: ");
    client.send(PASSWORD);
    client.expect("Not from here. Call 1234.");
    assert!(!client.failure().contains(INSIDE));
    let _ = sandbox.log.wait(&["reason=rule_denied user=alice", "rhost=203.0.113.9", "rule=contractors"]);
    let mut client = ssh(&sandbox, "alice", "127.0.0.1");
    client.expect("assword: ");
    client.send(PASSWORD);
    client.expect("Verification code: ");
    client.send(&phone.code());
    client.expect(INSIDE);
    client.success();
    let mut client = ssh(&sandbox, "svc-copy", "10.20.0.5");
    client.expect("assword: ");
    client.send(PASSWORD);
    client.expect("Verification code: ");
    client.send("123456");
    assert!(!client.failure().contains(INSIDE), "without a key it is the next rule's");
    let _ = sandbox.log.wait(&[
        "reason=rule_denied user=svc-copy",
        "rhost=10.20.0.5",
        "rule=automation-elsewhere",
    ]);
}

#[test]
fn automation_gets_in_with_its_key_from_its_network_only() {
    let (sandbox, sshd, _) = sshd_with_rules();
    drop(sshd);
    sandbox.authorize_key("svc-copy");
    sandbox.pam("sshd", "auth required pam_qrtotp.so\nauth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n");
    let _sshd = sandbox.start_sshd("AuthenticationMethods publickey,keyboard-interactive");
    let ssh = |from: &str| {
        let bind = format!("BindAddress={from}");
        let methods = "PreferredAuthentications=publickey,keyboard-interactive";
        sandbox.ssh_with("svc-copy", &[&bind, methods], &format!("echo {INSIDE}"))
    };
    let mut client = ssh("10.20.0.5");
    client.expect(INSIDE);
    client.success();
    let _ = sandbox.log.wait(&["<85>", "event=login result=ignored", "user=svc-copy", "rule=automation"]);
    let mut client = ssh("127.0.0.1");
    client.expect("Verification code: ");
    client.send("123456");
    assert!(!client.failure().contains(INSIDE));
}

#[test]
fn sudo_takes_two_codes_in_a_row_where_a_rule_says_so() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.overwrite("/etc/sudoers.d/alice", "alice ALL=(ALL) ALL\n");
    sandbox.password_and_code("sudo", "");
    let phone = sandbox.import("alice");
    sandbox.configure("[[rule]]\nname = 'root'\nservice = ['sudo']\nthen = 'two-codes'\nrecovery = false\n");
    for (answer, inside) in
        [(phone.code(), false), (format!("{} {}", phone.previous_code(), phone.code()), true)]
    {
        let mut client = sandbox.pty(Some("alice"), &["sudo", "echo", INSIDE]);
        client.expect("assword");
        client.send(PASSWORD);
        client.expect("Two codes in a row");
        client.send(&answer);
        if inside {
            client.expect(INSIDE);
            client.success();
        } else {
            client.expect("Sorry");
        }
    }
}

#[test]
fn a_code_that_is_remembered_is_not_asked_for_again_from_the_same_address() {
    let (sandbox, _sshd, phone) = sshd_with_rules();
    sandbox.configure("[[rule]]\nname = 'home'\nfrom = ['203.0.113.0/24']\nthen = 'code'\nremember = '1h'\n");
    let login = |from: &str, code: Option<&str>| {
        let mut client = ssh(&sandbox, "alice", from);
        client.expect("assword: ");
        client.send(PASSWORD);
        if let Some(code) = code {
            client.expect("Verification code: ");
            client.send(code);
        }
        let shown = if code == Some("000000") { client.failure() } else { client.success() };
        assert_eq!(shown.contains("Verification code"), code.is_some(), "{shown}");
    };
    login("203.0.113.9", Some(&phone.code()));
    login("203.0.113.9", None);
    let _ = sandbox
        .log
        .wait(&["event=login result=accepted reason=remembered user=alice", "rule=home credential=c-"]);
    login("192.0.2.7", Some("000000"));
    login("203.0.113.9", None);
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    login("203.0.113.9", Some("000000"));
}

#[test]
fn a_code_is_remembered_for_a_terminal_of_a_login_session() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.password_and_code("su", "");
    let phone = sandbox.import("alice");
    sandbox.configure("[[rule]]\nname = 'su'\nservice = ['su']\nthen = 'code'\nremember = '1h'\n");
    let twice = "su alice -c 'echo fir''st' && su alice -c 'echo I-am-''inside'";
    let as_alice = "exec setpriv --reuid alice --regid alice --init-groups sh -c \"$0\"";
    let in_session = format!("echo 4242 > /proc/self/loginuid; {as_alice}");
    for (shell, code, asked_again) in
        [(in_session.as_str(), phone.previous_code(), false), (as_alice, phone.code(), true)]
    {
        let mut client = sandbox.pty(None, &["sh", "-c", shell, twice]);
        for (code, asked) in [(code.as_str(), true), ("000000", asked_again)] {
            client.expect("assword");
            client.send(PASSWORD);
            if asked {
                client.expect("Verification code: ");
                client.send(code);
            }
        }
        let shown = if asked_again { client.failure() } else { client.success() };
        assert_eq!(shown.contains(INSIDE), !asked_again, "{shown}");
    }
}

/// A host whose sshd takes a key alone, and whose account part is ours.
fn host_of_keys(settings: &str) -> (Sandbox, Sshd) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.authorize_key("alice");
    sandbox.pam(
        "sshd",
        "auth required pam_qrtotp.so\naccount required pam_qrtotp.so\naccount required pam_permit.so\n\
         session required pam_permit.so\n",
    );
    sandbox.configure(settings);
    let sshd = sandbox.start_sshd("");
    (sandbox, sshd)
}

fn ssh_by_key(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_with("alice", &["PreferredAuthentications=publickey"], &format!("echo {INSIDE}"))
}

#[test]
fn a_login_by_a_key_alone_is_told_and_is_denied_where_the_configuration_says_so() {
    let (sandbox, _sshd) = host_of_keys("");
    let mut client = ssh_by_key(&sandbox);
    client.expect(INSIDE);
    client.success();
    let _ =
        sandbox.log.wait(&["<86>", "event=login result=ignored reason=not_asked user=alice service=sshd"]);
    for (settings, reason) in [
        ("[defaults]\nunasked = 'deny'\n", "reason=not_asked"),
        ("[[rule]]\nname = 'barred'\nuser = ['alice']\nthen = 'deny'\n", "reason=rule_denied"),
        ("[[rule]]\nname = 'pair'\nkey = true\nthen = 'two-codes'\n", "reason=not_asked"),
    ] {
        sandbox.edit_configuration(settings);
        sandbox.apply_configuration().success();
        assert!(!ssh_by_key(&sandbox).failure().contains(INSIDE), "{settings}");
        let _ = sandbox.log.wait(&["event=login result=denied", reason, "user=alice"]);
    }
    sandbox.configure("[defaults]\nunasked = 'deny'\n[[rule]]\nname = 'batch'\nkey = true\nthen = 'skip'\n");
    let mut client = ssh_by_key(&sandbox);
    client.expect(INSIDE);
    client.success();
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml.applied", "what");
    assert!(!ssh_by_key(&sandbox).failure().contains(INSIDE), "fails closed");
}

#[test]
fn who_was_asked_by_the_auth_part_is_not_asked_for_more_by_the_account_part() {
    let (sandbox, _sshd) = host_of_keys("[defaults]\nunasked = 'deny'\n");
    let phone = sandbox.import("alice");
    let mut client = sandbox.ssh_with("alice", &["PubkeyAuthentication=no"], &format!("echo {INSIDE}"));
    client.expect("Verification code: ");
    client.send(&phone.code());
    client.expect(INSIDE);
    client.success();
}

#[test]
fn a_first_login_enrols_beside_an_account_part_of_ours() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.proves_passwords();
    sandbox.configure("[defaults]\nfirst_login = 'enroll'\nunasked = 'deny'\n");
    sandbox.pam(
        "sshd",
        "auth required pam_unix.so\nauth required pam_qrtotp.so\naccount required pam_qrtotp.so\n\
         account required pam_unix.so\nsession required pam_permit.so\n",
    );
    let _sshd = sandbox.start_sshd("");
    let mut client =
        sandbox.ssh_to_enrol(&[], "alice", &["PubkeyAuthentication=no"], &format!("echo {INSIDE}"));
    client.expect("assword: ");
    client.send(PASSWORD);
    client.expect(ENTER);
    client.send("");
    client.expect(CHOICES);
    let phone = client.take_key(&sandbox);
    client.confirm(&phone);
    client.expect(INSIDE);
    client.success();
}

#[test]
fn a_step_up_holds_within_sudos_time_stamp() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.overwrite("/etc/sudoers.d/tests", "Defaults timestamp_timeout=15, lecture=never, !tty_tickets\n");
    sandbox.overwrite("/etc/sudoers.d/alice", "alice ALL=(ALL) ALL\n");
    sandbox.pam(
        "sudo",
        "auth required pam_unix.so\nauth required pam_qrtotp.so\naccount required pam_qrtotp.so\n\
         account required pam_permit.so\nsession required pam_permit.so\n",
    );
    let phone = sandbox.import("alice");
    let sudo = "sudo -v && sudo echo I-am-inside";
    let run = |answer: String, inside: bool| {
        let mut client = sandbox.pty(Some("alice"), &["sh", "-c", sudo]);
        client.expect("assword");
        client.send(PASSWORD);
        client.expect("code");
        client.send(&answer);
        if inside {
            client.expect(INSIDE);
            client.success();
        } else {
            client.expect("PAM account management error");
            assert!(!client.failure().contains("\nI-am-inside"));
        }
    };
    run(phone.previous_code(), true);
    sandbox.run_as("alice", &["sudo", "-K"]).success();
    sandbox.configure("[[rule]]\nname = 'fresh'\nservice = ['sudo']\nthen = 'code'\nfresh = true\n");
    run(phone.code(), false);
    let _ = sandbox
        .log
        .wait(&["event=login result=denied reason=not_asked user=alice service=sudo", "rule=fresh"]);
}

#[test]
fn an_attempt_that_was_refused_does_not_let_a_key_past_the_account_part() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.authorize_key("alice");
    sandbox.pam(
        "sshd",
        "auth required pam_unix.so\nauth required pam_qrtotp.so\naccount required pam_qrtotp.so\n\
         account required pam_permit.so\nsession required pam_permit.so\n",
    );
    sandbox.configure("[[rule]]\nname = 'barred'\nuser = ['alice']\nthen = 'deny'\n");
    let _sshd = sandbox.start_sshd("PasswordAuthentication yes");
    for password in ["wrong", PASSWORD] {
        let methods = "PreferredAuthentications=password,publickey";
        let mut client = sandbox.ssh_with("alice", &[methods], &format!("echo {INSIDE}"));
        client.expect("assword: ");
        client.send(password);
        assert!(!client.failure().contains(INSIDE), "{password}");
    }
}

#[test]
fn a_directory_that_hangs_holds_up_no_login_that_needs_no_group_and_none_gives_a_laxer_rule() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.stack("");
    let phone = sandbox.import("alice");
    sandbox.configure(
        "[[rule]]\nname = 'root'\ngroup = ['root']\nfrom = ['192.0.2.0/24']\nthen = 'deny'\n\
         [[rule]]\nname = 'lax'\ngroup = ['daemon']\nfrom = ['192.0.2.0/24']\nthen = 'skip'\n",
    );
    sandbox.name_service_of_groups();
    for (how, from, code, result, line) in [
        ("hang", "203.0.113.9", phone.previous_code(), PAM_SUCCESS, "result=accepted"),
        ("huge", "192.0.2.7", phone.code(), PAM_AUTH_ERR, "reason=rule_denied"),
    ] {
        sandbox.overwrite("/etc/nss-groups", how);
        assert_eq!(login(&sandbox, "alice", &code, from, "ssh"), result, "{how}");
        let _ = sandbox.log.wait(&[line, &format!("rhost={from}")]);
    }
    sandbox.overwrite("/etc/nss-groups", "hang");
    let hangs = sandbox.login("alice").answer("1").arguments(&["--rhost", "192.0.2.7"]);
    assert_eq!(hangs.under(&["timeout", "3"]).output().status.code(), Some(124), "it hung");
}

#[test]
fn a_short_list_of_groups_leaves_a_member_to_the_rule_for_others_and_a_complete_one_does_not() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.stack("");
    let phone = sandbox.import("alice");
    sandbox.run(&["groupadd", "--gid", "100000", "directory"]).success();
    sandbox.configure(
        "[[rule]]\nname = 'members'\ngroup = ['directory']\nfrom = ['192.0.2.0/24']\nthen = 'code'\n\
         [[rule]]\nname = 'others'\nfrom = ['192.0.2.0/24']\nthen = 'deny'\n",
    );
    sandbox.name_service_of_groups();
    for (how, result, line) in [
        ("short", PAM_AUTH_ERR, ["reason=rule_denied", "rule=others"]),
        ("one", PAM_SUCCESS, ["result=accepted", "rule=members"]),
    ] {
        sandbox.overwrite("/etc/nss-groups", how);
        assert_eq!(login(&sandbox, "alice", &phone.code(), "192.0.2.7", "ssh"), result, "{how}");
        let _ = sandbox.log.wait(&line);
    }
}

#[test]
fn somebody_who_calls_su_on_dev_tty_is_at_no_console() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.make_store();
    sandbox.password_and_code("su", "");
    sandbox.configure(
        "[[rule]]\nname = 'console'\nuser = ['bobby']\nfrom = ['local']\ntty = ['tty*']\nthen = 'skip'\n",
    );
    let mut client = sandbox.pty(Some("alice"), &["sh", "-c", "su bobby -c 'echo I-am-''inside' </dev/tty"]);
    client.expect("assword");
    client.send(PASSWORD);
    client.expect("code");
    client.send("123456");
    assert!(!client.failure().contains(INSIDE));
}

#[test]
fn a_user_can_not_hold_up_a_change_of_the_configuration() {
    let sandbox = Sandbox::with_alice_and_bobby();
    for directory in ["/etc/qrtotp", "/etc/qrtotp/qrtotp.toml.applied.d"] {
        // The shell takes the lock, if it can, before it goes on; the sleep keeps it.
        let hold =
            ["sh", "-c", "exec 9<\"$0\" && flock 9 && { sleep 60 </dev/null >/dev/null 2>&1 & }", directory];
        let _ = sandbox.run_as("alice", &hold);
        sandbox.run(&["timeout", "20", "qrtotp", "config", "apply"]).success();
    }
}

#[test]
fn the_broker_knows_who_is_in_a_group_and_grants_no_grace() {
    let sandbox = Sandbox::with_broker("");
    sandbox.stack("");
    sandbox.append("/etc/passwd", "portal:x:2900:2900::/nonexistent:/usr/sbin/nologin\n");
    sandbox.append("/etc/group", "portal:x:2900:\n");
    sandbox.run(&["groupadd", "--gid", "4001", "contractors"]).success();
    let phone = sandbox.import("alice");
    sandbox.configure(
        "[broker.services]\nportal = ['tests']\n[[rule]]\nname = 'barred'\ngroup = ['contractors']\nthen = 'deny'\n\
         [[rule]]\nname = 'grace'\nuser = ['mallory']\nthen = 'code'\nfirst_login = 'allow'\nallow_until = '2100-01-01'\n",
    );
    let _broker = sandbox.start_broker();
    let own = sandbox.login("alice").answer(&phone.code()).argv();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let output = sandbox.run_as("alice", &own);
    assert!(output.stdout.contains("authenticate=0"), "{output:?}");
    let as_portal = ["setpriv", "--reuid", "portal", "--regid", "portal", "--clear-groups"];
    let asked = sandbox.login("mallory").answer("123456").under(&as_portal).run();
    assert_eq!(asked.authenticate(), PAM_AUTH_ERR);
}
