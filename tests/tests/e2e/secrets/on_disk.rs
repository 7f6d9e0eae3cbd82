//! Searches for secrets wherever they could have gone. (Every other test also searches its own log and
//! outputs, when its sandbox is dropped.)

use qrtotp_tests::{Sandbox, host::PAM_SUCCESS};

/// Logins in debug mode with every kind of answer, and every command.
fn a_busy_day() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    for user in ["alice", "bobby"] {
        sandbox.add_user(user);
    }
    sandbox.stack("debug");
    let enrolment = sandbox.enroll("alice", &["--qr", "utf8"]);
    let phone = sandbox.import("bobby");
    let mut secrets =
        vec![enrolment.phone.key.clone(), phone.key.clone(), phone.code(), phone.previous_code()];
    secrets.extend(enrolment.recovery_codes.clone());
    secrets.extend(enrolment.recovery_codes.iter().map(|code| code.replace('-', "")));
    for secret in &secrets {
        sandbox.keep_secret(secret);
    }
    let wrong = phone.wrong_code();
    for (user, answer) in [
        ("bobby", &phone.previous_code()),
        ("bobby", &phone.previous_code()),
        ("bobby", &wrong),
        ("bobby", &enrolment.recovery_codes[0]),
        ("alice", &enrolment.recovery_codes[0]),
        ("alice", &enrolment.recovery_codes[0]),
        ("ghost", &phone.code()),
    ] {
        sandbox.answer(user, answer);
    }
    sandbox.run_with_input(&["qrtotp", "verify", "bobby"], &format!("{wrong}\n"));
    sandbox.run_with_input(&["qrtotp", "verify", "bobby"], &format!("{}\n", phone.code())).success();
    // A refused URI must not be quoted either.
    let uri = format!("{}\n", phone.uri("bobby"));
    sandbox.run_with_input(&["qrtotp", "import", "uri", "bobby"], &uri);
    sandbox.run_with_input(&["qrtotp", "import", "uri", "bobby"], &uri.replace("digits=6", "digits=99"));
    sandbox.run_with_input(&["qrtotp", "import", "uri", "bobby"], &uri.replace("&issuer", "!&issuer"));
    for argv in [
        &["qrtotp", "status", "alice"][..],
        &["qrtotp", "status", "--json"],
        &["qrtotp", "config", "check"],
        &["qrtotp", "token", "issue", "bobby"],
        &["qrtotp", "token", "list"],
        &["qrtotp", "token", "show", "bobby"],
        &["qrtotp", "unlock", "bobby"],
        &["qrtotp", "revoke", "bobby", "--all"],
    ] {
        sandbox.run(argv);
    }
    (sandbox, secrets)
}

#[test]
fn debug_mode_writes_no_secret_into_log_or_output() {
    let (sandbox, _) = a_busy_day();
    let debug = sandbox.log.lines().iter().filter(|line| line.starts_with("<87>")).count();
    assert!(debug > 0, "debug mode wrote no debug lines, so this proves nothing");
    sandbox.assert_nothing_leaked();
}

#[test]
fn no_secret_is_on_the_disk_in_the_clear() {
    let (sandbox, secrets) = a_busy_day();
    sandbox
        .overwrite("/root/patterns", &secrets.iter().map(|secret| format!("{secret}\n")).collect::<String>());
    let places = ["/var/lib/qrtotp", "/etc/qrtotp", "/tmp", "/var/log", "/var/tmp", "/home"];
    // Whole words, so six digits inside a longer number do not match.
    let found = sandbox.run(&[&["grep", "-rawlF", "-f", "/root/patterns"][..], &places].concat());
    assert_eq!((found.stdout.as_str(), found.status.code()), ("", Some(1)));
    // The search finds a planted secret.
    sandbox.overwrite("/tmp/planted", &format!("x {} x\n", secrets[0]));
    let found = sandbox.run(&[&["grep", "-rawlF", "-f", "/root/patterns"][..], &places].concat());
    assert_eq!(found.stdout, "/tmp/planted\n");
}

#[test]
fn a_secret_is_not_in_the_environment_or_arguments_of_any_process() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    let (_pty, phone, uri) = sandbox.start_enrolment("alice", &["--qr", "utf8"]);
    let script = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'";
    let seen = sandbox.run(&["bash", "-c", script]).success().stdout;
    assert!(seen.contains("enroll") && !seen.contains(&phone.key) && !seen.contains(&uri), "{seen}");
    assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "not confirmed yet");
}
