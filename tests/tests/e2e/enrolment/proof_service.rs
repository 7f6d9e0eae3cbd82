//! The PAM service that proves passwords before an enrolment, as an administrator may have changed it, and
//! account parts that deny: no QR code without a proven password, and none for an account that would not be
//! let in.

use qrtotp_tests::{
    Pty, Sandbox, artefacts,
    first_login::{CHOICES, INSIDE},
    host::SERVICE,
    users::PASSWORD,
};

const WRONG: &str = "not the password";

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
    }
    sandbox.make_store();
    sandbox.without_delays();
    // After a wrong password the stack goes on to our line: only our own proof can notice it.
    sandbox.enrolling("su", "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n");
    sandbox
}

/// Installs the module of tests/c/pam_misbehaves.c.
fn install_module(sandbox: &Sandbox) {
    let module = artefacts::compile("pam_misbehaves.c", "pam_misbehaves.so", &["-shared", "-fPIC", "-lpam"]);
    sandbox.install(&module, &format!("{}/pam_misbehaves.so", sandbox.security_directory()), 0o644);
}

/// Bobby becomes alice, up to the reply to Enter.
fn enters(sandbox: &Sandbox, password: &str) -> Pty {
    let mut su = sandbox.pty_unrecorded_as(Some("bobby"), &["su", "alice", "-c", "echo logged in"]);
    su.give_password(password);
    su.send("");
    su
}

/// The user sees no QR code, nothing changes, and the log says why.
fn is_refused(sandbox: &Sandbox, password: &str, what: &str, reason: &str, detail: &str) {
    let (before, seen) = (sandbox.store_content(), sandbox.log.lines().len());
    let shown = enters(sandbox, password).failure();
    assert!(!shown.contains('█') && !shown.contains(INSIDE), "{what}: {shown}");
    assert!(shown.contains("ask your administrator to let you enrol"), "{what}: {shown}");
    assert_eq!(sandbox.store_content(), before, "{what}");
    let denied = format!("event=login result=denied reason={reason} user=alice service=su");
    let _ = sandbox.log.wait_after(seen, &[&denied, detail]);
}

fn gives_up(mut su: Pty) {
    su.expect(CHOICES);
    su.send("q");
    su.failure();
}

#[test]
fn a_service_that_is_missing_a_link_or_not_roots_alone_proves_nothing_and_is_named() {
    let sandbox = host();
    for (command, detail) in [
        ("rm /etc/pam.d/qrtotp", "/etc/pam.d/qrtotp does not exist"),
        ("ln -sf /etc/pam.d/su /etc/pam.d/qrtotp", "/etc/pam.d/qrtotp"),
        ("rm -f /etc/pam.d/qrtotp; mkfifo /etc/pam.d/qrtotp", "/etc/pam.d/qrtotp"),
        ("chmod 666 /etc/pam.d/qrtotp", "/etc/pam.d/qrtotp"),
        ("chown bobby /etc/pam.d/qrtotp", "/etc/pam.d/qrtotp"),
    ] {
        sandbox.run(&["sh", "-c", command]).success();
        is_refused(&sandbox, PASSWORD, command, "primary_factor_unavailable", detail);
        sandbox.run(&["rm", "-f", "/etc/pam.d/qrtotp"]).success();
        sandbox.proves_passwords();
    }
    gives_up(enters(&sandbox, PASSWORD));
}

#[test]
fn a_service_proves_a_password_by_exactly_one_hidden_question() {
    let sandbox = host();
    let first = "auth requisite pam_qrtotp.so\n";
    let (unix, account) = ("auth required pam_unix.so nodelay\n", "account required pam_permit.so\n");
    let none = "it succeeds without asking for a password";
    let more = "it asks for more than one password";
    for (auth, detail) in [
        ("auth required pam_permit.so\n".to_owned(), none),
        (format!("auth sufficient pam_succeed_if.so uid >= 0 quiet\n{unix}"), none),
        (format!("auth [success=done default=ignore] pam_permit.so\n{unix}"), none),
        (format!("{unix}auth required pam_google_authenticator.so\n"), more),
        (format!("{unix}auth required pam_google_authenticator.so echo_verification_code\n"), more),
    ] {
        sandbox.pam("qrtotp", &format!("{first}{auth}{account}"));
        for password in [PASSWORD, WRONG] {
            is_refused(&sandbox, password, &auth, "primary_factor_unavailable", detail);
        }
    }
    // Modules around it that ask nothing are neither a proof nor an obstacle.
    let more = "auth required pam_env.so\nauth required pam_faillock.so preauth\n";
    sandbox.pam("qrtotp", &format!("{first}{more}{unix}auth required pam_permit.so\n{account}"));
    is_refused(&sandbox, WRONG, more, "primary_factor", "refuses the password");
    gives_up(enters(&sandbox, PASSWORD));
}

#[test]
fn a_module_that_makes_it_somebody_elses_login_and_one_that_lets_anybody_in_prove_nothing() {
    let sandbox = host();
    install_module(&sandbox);
    let rest = "account required pam_permit.so\n";
    let first = "auth requisite pam_qrtotp.so\n";
    sandbox.pam("qrtotp", &format!("{first}auth required pam_misbehaves.so other\n{rest}"));
    is_refused(&sandbox, PASSWORD, "other", "primary_factor_unavailable", "a module changed PAM_USER");
    // libpam takes `other` for a service that has no file, or no line of a kind.
    sandbox.pam("other", &format!("auth required pam_permit.so\n{rest}"));
    for (service, detail) in [("", "does not exist"), (rest, "without asking")] {
        let write = if service.is_empty() { "rm /etc/pam.d/qrtotp" } else { "true" };
        sandbox.run(&["sh", "-c", write]).success();
        if !service.is_empty() {
            sandbox.pam("qrtotp", service);
        }
        is_refused(&sandbox, WRONG, service, "primary_factor_unavailable", detail);
    }
}

#[test]
fn an_empty_password_proves_nothing_whatever_is_typed() {
    let sandbox = host();
    let shadow = sandbox.read("/etc/shadow");
    let alice = shadow.lines().find(|line| line.starts_with("alice:")).unwrap();
    let hash = alice.split(':').nth(1).unwrap();
    sandbox.overwrite("/etc/shadow", &shadow.replace(alice, &alice.replace(hash, "")));
    sandbox.pam("common-auth", "auth required pam_unix.so nullok nodelay\n");
    is_refused(&sandbox, WRONG, "an empty password", "primary_factor", "refuses the password");
}

#[test]
fn no_program_logs_in_by_the_service_that_proves_passwords() {
    let sandbox = host();
    let phone = sandbox.import("bobby");
    for service in ["qrtotp", "QRTOTP", "x/qrtotp"] {
        let code = phone.code();
        let login = sandbox.login("bobby").arguments(&["--service", service, "--strict"]);
        let login = login.answer(PASSWORD).answer(&code);
        assert_ne!(login.run().authenticate(), 0, "{service}");
        let _ =
            sandbox.log.wait(&["event=login result=denied reason=proof_service user=bobby service=qrtotp"]);
    }
}

#[test]
fn an_account_that_the_login_would_refuse_sees_no_qr_code() {
    let sandbox = host();
    let auth = "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n";
    let rest = "account required pam_unix.so\nsession required pam_permit.so\n";
    sandbox.overwrite("/etc/security/nobody.conf", "-:alice:ALL\n");
    for (account, prepare) in [
        ("account required pam_access.so accessfile=/etc/security/nobody.conf\n", "true"),
        ("account required pam_nologin.so\n", "echo later >/etc/nologin"),
        ("account required pam_succeed_if.so quiet user != alice\n", "true"),
        ("account required pam_permit.so\n", "chage -E 1 alice"),
    ] {
        sandbox.run(&["sh", "-c", prepare]).success();
        sandbox.pam("su", &format!("{auth}{account}{rest}"));
        is_refused(&sandbox, PASSWORD, account, "account_refused", "the account part of the PAM service");
        sandbox.run(&["sh", "-c", "rm -f /etc/nologin; chage -E -1 alice"]).success();
    }
    assert!(!sandbox.log.events().iter().any(|line| line.contains("result=accepted")));
    // The three lines that an earlier version needed change nothing.
    let ours = "account requisite pam_qrtotp.so\nsession requisite pam_qrtotp.so\n";
    sandbox.pam("su", &format!("{ours}{auth}{rest}"));
    gives_up(enters(&sandbox, PASSWORD));
}

#[test]
fn somebody_whose_password_has_expired_enrols_and_then_changes_it() {
    let sandbox = host();
    sandbox.run(&["chage", "-d", "0", "alice"]).success();
    let mut su = enters(&sandbox, PASSWORD);
    su.expect(CHOICES);
    let phone = su.take_key(&sandbox);
    su.confirm(&phone);
    su.expect("assword"); // su asks for the password to be changed
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=su"]);
}

#[test]
fn a_service_that_is_not_listed_enrols_nobody() {
    let sandbox = host();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"sshd\"]\n");
    is_refused(&sandbox, PASSWORD, "su", "enrollment_not_here", "enroll.services");
}

#[test]
fn a_wrong_password_is_not_passed_over_for_a_key_however_long_it_is() {
    const KEY: &str = "SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
    const FINGERPRINT: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";
    let sandbox = host();
    let services = format!("[enroll]\nservices = [\"{SERVICE}\"]\nkey_services = [\"{SERVICE}\"]\n");
    sandbox.configure(&format!("[defaults]\nfirst_login = \"token\"\n{services}"));
    sandbox.run(&["qrtotp", "token", "issue", "alice", "--key", FINGERPRINT]).success();
    let shows_a_picture = |auth: &str, password: &str| {
        sandbox.enrolling(SERVICE, &format!("{auth}auth required pam_qrtotp.so echo_code\n"));
        let login =
            sandbox.login("alice").arguments(&["--mode", "by-echo", "--tty", "pts/0", "--putenv", KEY]);
        let login = login.arguments(&["--answer", password, "--answer", "", "--answer", "q"]);
        login.run().text().contains(CHOICES)
    };
    let unix = "auth required pam_unix.so nodelay\n";
    for length in [1, 500, 600, 1100] {
        assert!(!shows_a_picture(unix, &"x".repeat(length)), "{length}");
    }
    assert!(shows_a_picture("", ""), "by the key alone, where no password was asked for");
}

#[test]
fn the_modules_that_prove_a_password_or_an_account_see_where_the_login_comes_from() {
    let sandbox = host();
    sandbox
        .configure(&format!("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"{SERVICE}\"]\n"));
    let unix = "auth required pam_unix.so nodelay\n";
    let rest = "account required pam_permit.so\nsession required pam_permit.so\n";
    let shows_a_picture = |proof: &str, account: &str| {
        sandbox.pam("qrtotp", &format!("auth requisite pam_qrtotp.so\n{unix}{proof}{rest}"));
        sandbox.pam(SERVICE, &format!("{unix}auth required pam_qrtotp.so echo_code\n{account}{rest}"));
        let login = sandbox.login("alice").arguments(&["--mode", "by-echo", "--ruser", "bobby"]);
        let login = login.arguments(&["--rhost", "192.0.2.7", "--tty", "pts/0", "--answer", PASSWORD]);
        login.arguments(&["--answer", "", "--answer", "q"]).run().text().contains(CHOICES)
    };
    for (item, right, wrong) in [("ruser", "bobby", ""), ("rhost", "192.0.2.7", ""), ("tty", "pts/0", "tty1")]
    {
        for (value, expected) in [(right, true), (wrong, false)] {
            let line = |part: &str| format!("{part} required pam_succeed_if.so quiet {item} = {value}\n");
            assert_eq!(shows_a_picture(&line("auth"), ""), expected, "auth, {item} = {value}");
            assert_eq!(shows_a_picture("", &line("account")), expected, "account, {item} = {value}");
        }
    }
}

#[test]
fn the_modules_that_prove_a_password_or_an_account_see_the_display_and_the_environment_of_the_login() {
    let sandbox = host();
    sandbox
        .configure(&format!("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"{SERVICE}\"]\n"));
    install_module(&sandbox);
    let unix = "auth required pam_unix.so nodelay\n";
    let rest = "required pam_misbehaves.so display\nsession required pam_permit.so\n";
    sandbox.pam(
        "qrtotp",
        &format!("auth requisite pam_qrtotp.so\n{unix}auth {rest}account required pam_permit.so\n"),
    );
    sandbox.pam(SERVICE, &format!("{unix}auth required pam_qrtotp.so echo_code\naccount {rest}"));
    for (display, from, expected) in [(":7", "here", true), (":8", "here", false), (":7", "there", false)] {
        let login =
            sandbox.login("alice").arguments(&["--mode", "by-echo", "--tty", "pts/0", "--xdisplay", display]);
        let login = login.arguments(&["--putenv", &format!("FROM={from}"), "--answer", PASSWORD]);
        let shown = login.arguments(&["--answer", "", "--answer", "q"]).run();
        assert_eq!(shown.text().contains(CHOICES), expected, "{display} {from}: {}", shown.text());
    }
}

#[test]
fn another_copy_of_the_module_proves_nothing_for_ours() {
    let sandbox = host();
    let directory = sandbox.security_directory();
    sandbox.make_writable(directory);
    let copy = ["cp", &format!("{directory}/pam_qrtotp.so"), &format!("{directory}/pam_copy.so")];
    sandbox.run(&copy).success();
    let unix = "auth required pam_unix.so nodelay\n";
    let rest = "account required pam_permit.so\nsession required pam_permit.so\n";
    for (ours, other) in [("pam_copy.so", "pam_qrtotp.so"), ("pam_qrtotp.so", "pam_copy.so")] {
        sandbox.pam("su", &format!("{unix}auth required {ours}\n{rest}"));
        sandbox.pam("qrtotp", &format!("auth requisite {other}\n{unix}{rest}"));
        for password in [PASSWORD, WRONG] {
            is_refused(&sandbox, password, ours, "primary_factor", "refuses the password");
        }
        sandbox.pam("qrtotp", &format!("auth requisite {ours}\n{unix}{rest}"));
        gives_up(enters(&sandbox, PASSWORD));
    }
}
