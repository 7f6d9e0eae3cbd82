//! `qrtotp` as users and scripts see it: its questions, output, refusals, and changes.

use qrtotp_tests::{Output, Phone, Sandbox, host::PAM_SUCCESS};
use rustix::process::Signal;

fn host() -> Sandbox {
    let sandbox = host_without_store();
    sandbox.make_store();
    sandbox
}

fn host_without_store() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.stack("");
    sandbox
}

fn status(sandbox: &Sandbox, user: &str) -> String {
    sandbox.run(&["qrtotp", "status", user, "--json"]).success().stdout
}

fn import(sandbox: &Sandbox, arguments: &[&str], uri: &str) -> Output {
    let argv = [&["qrtotp", "import", "uri", "alice"], arguments].concat();
    sandbox.run_with_input(&argv, &format!("{uri}\n"))
}

#[test]
fn the_first_command_makes_the_key_and_the_store_and_a_login_never_does() {
    let sandbox = host_without_store();
    assert_ne!(sandbox.answer("alice", "123456"), PAM_SUCCESS);
    let files = ["/etc/qrtotp/seal.key", "/var/lib/qrtotp/store.toml"];
    assert!(!files.iter().any(|file| sandbox.exists(file)), "a login made a store");
    sandbox.import("alice");
    let modes = sandbox.run(&["stat", "-c", "%a %U %G", files[0], files[1]]).success().stdout;
    assert_eq!(modes, "600 root root\n600 root root\n");
    let open =
        sandbox.run(&["find", "/var/lib/qrtotp", "-perm", "/077", "-not", "-type", "d"]).success().stdout;
    assert_eq!(open, "", "readable by others");
}

#[test]
fn an_enrolment_shows_picture_key_and_uri_and_ends_with_ten_recovery_codes() {
    let sandbox = host();
    let enrolment = sandbox.enroll("alice", &["--label", "my phone", "--qr", "utf8"]);
    assert!(enrolment.shown.contains('█') || enrolment.shown.contains('▀'), "{}", enrolment.shown);
    assert!(enrolment.uri.contains(&enrolment.phone.key), "the key and the URI are not of one secret");
    let mut different = enrolment.recovery_codes.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 10);
    let status = status(&sandbox, "alice");
    assert!(status.contains("my phone") && status.contains("c-"), "{status}");
    let _ = sandbox.log.wait(&["event=enrollment_confirmed", "user=alice", "credential=c-"]);
}

#[test]
fn on_a_pipe_an_enrolment_shows_no_secret_unless_asked_to() {
    let sandbox = host();
    let quiet = sandbox.run_with_input(&["qrtotp", "enroll", "alice"], "000000\n");
    assert!(!quiet.status.success());
    assert!(!quiet.stdout.contains("otpauth://") && !quiet.stdout.contains("Key: "), "{quiet:?}");
    let asked = sandbox.run_with_input(&["qrtotp", "enroll", "alice", "--qr", "ascii"], "000000\n");
    assert!(asked.stdout.contains("otpauth://totp/") && asked.stdout.contains("Key: "), "{asked:?}");
}

#[test]
fn three_wrong_codes_end_an_enrolment_and_leave_the_account_as_it_was() {
    let sandbox = host();
    let before = status(&sandbox, "alice");
    let (mut pty, phone, _) = sandbox.start_enrolment("alice", &["--qr", "utf8"]);
    for _ in 0..2 {
        pty.send(&phone.wrong_code());
        pty.expect("Code: ");
    }
    pty.send(&phone.wrong_code());
    assert_eq!(pty.finish().0.code(), Some(1));
    assert_eq!(status(&sandbox, "alice"), before);
    assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn an_interrupted_enrolment_leaves_the_account_as_it_was() {
    let sandbox = host();
    let before = status(&sandbox, "alice");
    for signal in [Signal::INT, Signal::HUP, Signal::TERM, Signal::KILL] {
        let (mut pty, phone, _) = sandbox.start_enrolment("alice", &["--qr", "utf8"]);
        pty.signal(signal);
        assert!(!pty.finish().0.success());
        assert_eq!(status(&sandbox, "alice"), before, "{signal:?}");
        assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "{signal:?}");
    }
    let leftover = sandbox.run(&["find", "/var/lib/qrtotp", "-name", "*.new"]).stdout;
    assert_eq!(leftover, "");
}

#[test]
fn a_closed_terminal_leaves_the_account_as_it_was() {
    let sandbox = host();
    let before = status(&sandbox, "alice");
    drop(sandbox.start_enrolment("alice", &["--qr", "utf8"]));
    assert_eq!(status(&sandbox, "alice"), before);
}

#[test]
fn a_second_device_needs_a_code_of_the_first_unless_root_says_otherwise() {
    let sandbox = host();
    let first = sandbox.import("alice");
    let argv = ["qrtotp", "enroll", "alice", "--qr", "utf8"];
    let wrong = sandbox.run_with_input(&argv, &format!("{}\n", first.wrong_code()));
    assert!(!wrong.status.success() && !wrong.stdout.contains("otpauth://"), "{wrong:?}");
    let right = sandbox.run_with_input(&argv, &format!("{}\n", first.previous_code()));
    assert!(right.stdout.contains("otpauth://"), "{right:?}");
    assert_ne!(sandbox.answer("alice", &first.previous_code()), PAM_SUCCESS, "asking used the code up");
    let second = sandbox.enroll("alice", &["--qr", "utf8", "--no-verify"]);
    assert_eq!(sandbox.answer("alice", &first.code()), PAM_SUCCESS, "the first device still works");
    assert_eq!(status(&sandbox, "alice").matches("c-").count(), 2);
    let code = second.phone.wait_for_next_code();
    assert_eq!(sandbox.answer("alice", &code), PAM_SUCCESS);
}

#[test]
fn an_import_that_is_not_strictly_right_is_refused_by_name() {
    let sandbox = host();
    let good = "otpauth://totp/Tests:alice?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=Tests";
    for (uri, word) in [
        (good.replace("totp", "hotp"), "totp"),
        (good.replace("234567", "234597"), "character 31"),
        (good.replace("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ABCDEFGHIJKLMNOP"), "bit"),
        (format!("{good}&secret=BBCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "secret"),
        (format!("{good}&algorithm=MD5"), "algorithm"),
        (format!("{good}&digits=12"), "digits"),
        (format!("{good}&period=3600"), "period"),
        ("https://example.org/".to_owned(), "otpauth"),
        (String::new(), ""),
    ] {
        let output = import(&sandbox, &[], &uri);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{uri}: {output:?}");
        assert!(output.stderr.to_lowercase().contains(word), "{uri}: {output:?}");
        assert!(!output.stderr.contains("ABCDEFGH"), "the key is in the message: {output:?}");
    }
    assert!(!status(&sandbox, "alice").contains("c-"));
    let weak = good.replace("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ABCDEFGHIJKLMNOP");
    import(&sandbox, &["--weak"], &weak).success();
}

#[test]
fn a_secret_that_is_already_there_is_refused() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    assert_eq!(import(&sandbox, &[], &phone.uri("alice")).status.code(), Some(1));
    assert_eq!(status(&sandbox, "alice").matches("c-").count(), 1);
}

#[test]
fn verify_is_a_login_and_uses_the_code_up() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    let verify = |code: &str| sandbox.run_with_input(&["qrtotp", "verify", "alice"], &format!("{code}\n"));
    verify(&phone.wrong_code()).exited(1);
    verify(&phone.code()).exited(0);
    verify(&phone.code()).exited(1);
    assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=login result=accepted", "user=alice service=qrtotp"]);
}

#[test]
fn revoking_one_device_leaves_the_other() {
    let sandbox = host();
    let first = sandbox.import("alice");
    let text = status(&sandbox, "alice");
    let at = text.find("c-").unwrap();
    let id = text[at..at + 8].to_owned();
    let second = Phone::random();
    import(&sandbox, &["--unused", "--label", "second"], &second.uri("alice")).success();
    sandbox.run(&["qrtotp", "revoke", "alice", "--credential", &id]).success();
    assert_ne!(sandbox.answer("alice", &first.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &second.code()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=credential_revoked", &id]);
}

#[test]
fn a_token_is_issued_listed_consumed_by_enrolling_and_can_be_revoked() {
    let sandbox = host();
    sandbox.run(&["qrtotp", "token", "issue", "alice", "--expires", "24h"]).success();
    let list = sandbox.run(&["qrtotp", "token", "list"]).success().stdout;
    assert!(list.starts_with("USER   TOKEN ") && list.contains("\nalice  t-"), "{list}");
    sandbox.enroll("alice", &["--qr", "utf8"]);
    let shown = sandbox.run(&["qrtotp", "token", "show", "alice"]).stdout;
    assert!(shown.contains("consumed"), "{shown}");
    sandbox.run(&["qrtotp", "token", "issue", "bobby"]).success();
    sandbox.run(&["qrtotp", "token", "revoke", "bobby"]).success();
    let shown = sandbox.run(&["qrtotp", "token", "show", "bobby"]).stdout;
    assert!(shown.contains("revoked"), "{shown}");
    for event in ["token_issued", "token_consumed", "token_revoked"] {
        let _ = sandbox.log.wait(&[&format!("event={event}")]);
    }
}

#[test]
fn status_tells_the_state_and_no_secret() {
    let sandbox = host();
    let phone = sandbox.import("alice");
    sandbox.new_recovery_codes("alice");
    let text = sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(text.contains("alice") && text.contains("10"), "{text}");
    let all = sandbox.run(&["qrtotp", "status", "--json"]).success().stdout;
    assert!(all.contains("\"alice\"") && !all.contains(&phone.key), "{all}");
    sandbox.run(&["qrtotp", "status", "ghost"]).exited(1);
}

#[test]
fn config_check_names_unknown_keys_with_their_line_and_dangerous_settings() {
    let sandbox = host();
    sandbox.run(&["qrtotp", "config", "check"]).success();
    sandbox.configure("[verify]\nwindow_bakc = 3\n");
    let output = sandbox.run(&["qrtotp", "config", "check"]);
    assert!(!output.status.success(), "{output:?}");
    let said = output.stdout + &output.stderr;
    assert!(said.contains("window_bakc") && said.contains("line 4"), "{said}");
    sandbox.configure("[verify]\nwindow_back = 10\nwindow_ahead = 10\n");
    assert!(!sandbox.run(&["qrtotp", "config", "check"]).status.success(), "21 accepted steps");
}

#[test]
fn mistakes_end_with_code_2_and_say_what_to_do() {
    let sandbox = host();
    for argv in [
        &["qrtotp"][..],
        &["qrtotp", "enrol"],
        &["qrtotp", "enroll", "alice", "--qr", "oil"],
        &["qrtotp", "--config", "/nowhere.toml", "status"],
    ] {
        let output = sandbox.run(argv).exited(2);
        assert!(output.stderr.len() > 20 && output.stdout.is_empty(), "{output:?}");
    }
    let unprivileged = sandbox.run_as("alice", &["qrtotp", "status"]);
    assert_eq!(unprivileged.status.code(), Some(2), "{unprivileged:?}");
    assert!(unprivileged.stderr.contains("root"), "{unprivileged:?}");
}

#[test]
fn a_mistyped_command_is_answered_by_the_right_one_and_nothing_typed_is_shown() {
    let sandbox = host();
    for (typed, meant) in [
        (&["enrol", "hunter22"][..], "`enroll`"),
        (&["statsu"], "`status`"),
        (&["token", "isue", "hunter22"], "`issue`"),
        (&["config", "aply"], "`apply`"),
        (&["docter", "123456"], "`doctor`"),
        (&["hunter22"], "not shown, because it may be a secret"),
    ] {
        let said = sandbox.run(&[&["qrtotp"], typed].concat()).exited(2).stderr;
        assert!(said.contains(meant), "{typed:?}: {said}");
        assert!(!said.contains("hunter22") && !said.contains("123456"), "{said}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = host();
    sandbox.run(&["bash", "-c", "set -o pipefail; qrtotp completions bash | true"]).success();
}

#[test]
fn completions_and_manual_pages_come_with_it() {
    let sandbox = host();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&["qrtotp", "completions", shell]).success().stdout;
        assert!(script.contains("QRTOTP_COMPLETE"), "{shell}");
    }
    sandbox.run(&["mkdir", "/tmp/man"]).success();
    sandbox.run(&["qrtotp", "man", "/tmp/man"]).success();
    let pages = sandbox.run(&["ls", "/tmp/man"]).stdout;
    assert!(pages.contains("qrtotp.1") && pages.contains("qrtotp-enroll.1"), "{pages}");
}

#[test]
fn on_a_bare_host_init_makes_all_that_the_first_enrolment_needs() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    sandbox.run(&["rm", "-r", "/etc/qrtotp"]).success();
    let made = sandbox.run(&["qrtotp", "init"]).success().stdout;
    let files = ["qrtotp.toml", "qrtotp.toml.applied", "seal.key"].map(|name| format!("/etc/qrtotp/{name}"));
    assert!(files.iter().all(|file| made.contains(file) && sandbox.exists(file)), "{made}");
    assert!(sandbox.run(&["qrtotp", "init"]).success().stdout.contains("nothing was changed"));
    let modes =
        sandbox.run(&["stat", "-c", "%a %u", "/etc/qrtotp", "/etc/qrtotp/seal.key", "/var/lib/qrtotp"]);
    assert_eq!(modes.success().stdout, "755 0\n600 0\n700 0\n");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn on_a_terminal_the_last_device_goes_only_after_a_question() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.overwrite("/etc/sudoers.d/tests", "alice ALL=(ALL) ALL\n");
    for user in ["alice", "bobby"] {
        let _ = sandbox.import(user);
    }
    let asked = |user: &str, answer: &str| {
        let mut pty = sandbox.pty(None, &["qrtotp", "revoke", user]);
        let before = pty.expect("Revoke? [y/N] ");
        pty.send(answer);
        (before.contains("the only account with a device that can become root"), pty.finish().0.success())
    };
    assert_eq!(asked("alice", ""), (true, false));
    assert!(!sandbox.run(&["qrtotp", "status", "alice"]).stdout.contains("revoked"));
    assert_eq!(asked("bobby", "y"), (false, true));
    sandbox.pty(None, &["qrtotp", "revoke", "alice", "--yes"]).success();
    assert!(sandbox.run(&["qrtotp", "status", "alice"]).stdout.contains("revoked"));
}

#[test]
fn a_failure_is_an_object_too_where_json_is_asked_for() {
    let sandbox = host();
    for (arguments, code, result) in [
        (&["status", "nobody-here", "--json"][..], 1, "refused"),
        (&["setup", "no-such-service", "--json"], 1, "refused"),
        (&["--config", "/nowhere/qrtotp.toml", "device", "list", "--json"], 2, "error"),
    ] {
        let failed = sandbox.run(&[&["qrtotp"], arguments].concat()).exited(code);
        let object = format!("\"result\":\"{result}\",\"version\":1}}\n");
        let begins = failed.stdout.starts_with("{\"reason\":\"");
        assert!(begins && failed.stdout.ends_with(&object), "{failed:?}");
    }
}

#[test]
fn times_are_those_of_the_host_s_zone_or_of_tz() {
    let sandbox = host();
    let _ = sandbox.import("alice");
    let shown =
        |zone: &str| sandbox.run(&["env", zone, "qrtotp", "device", "list", "alice"]).success().stdout;
    assert!(shown("TZ=UTC0").contains("Z  never"));
    assert!(shown("TZ=NST3:30").contains("-03:30  never"), "{}", shown("TZ=NST3:30"));
    sandbox.run(&["sh", "-c", "rm -f /etc/localtime; printf 'TZif2' >/etc/localtime"]).success();
    assert!(shown("TZ=").contains("Z  never"), "a zone that can't be read is UTC");
}

#[test]
fn a_terminal_shows_how_far_a_long_command_is_and_a_file_does_not() {
    let sandbox = host();
    let line = "Nov 29 12:00:00 h qrtotp[1]: event=login service=sshd result=accepted user=alice";
    let write = format!("yes '{line}' | head -n 200000 >/tmp/log");
    sandbox.run(&["sh", "-c", &write]).success();
    let slowly = "(cat /tmp/log; sleep 2; cat /tmp/log) | qrtotp audit summary --file -";
    let shown = sandbox.pty(None, &["sh", "-c", slowly]).success();
    assert!(shown.contains("lines of the log … ") && shown.contains("\u{1b}[K"), "{shown}");
    assert!(!sandbox.run(&["sh", "-c", slowly]).success().stderr.contains("lines of the log"));
}
