//! Callers that misuse the broker, or try to block it for others.

use std::time::{Duration, Instant};

use qrtotp_tests::{
    Sandbox,
    broker::{DEVICE_QUESTION, ENROLS, PROGRAM, SOCKET, as_user, frame},
    host::PAM_SUCCESS,
};

#[test]
fn nobody_reaches_or_recognizes_another_account() {
    let sandbox = Sandbox::with_broker("");
    let alice = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["recovery", "regenerate"],
        &["revoke", "--all"],
        &["enroll", "--qr", "none"],
    ] {
        let mut heard = Vec::new();
        for user in ["alice", "keeper", "root", "ghost", "ALICE"] {
            let output = sandbox.own_output("mallory", &[command, &[user]].concat()).exited(1);
            heard.push((output.stdout, output.stderr));
        }
        heard.dedup();
        assert_eq!(heard.len(), 1, "{command:?}: {heard:?}");
        let (out, error) = &heard[0];
        let message = if command.contains(&"--json") { out } else { error };
        assert!(message.contains("your own account") && (out.is_empty() || message == out), "{heard:?}");
    }
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS, "nothing was changed");
}

#[test]
fn without_a_broker_people_are_told_how_to_get_one() {
    let sandbox = Sandbox::with_broker("");
    for arguments in [&["status"][..], &["enroll", "--qr", "none"]] {
        let output = sandbox.own_output("alice", arguments).exited(2);
        assert!(output.stderr.contains("systemctl enable --now qrtotpd.socket"), "{output:?}");
    }
    let output = sandbox.own_output("alice", &["token", "list"]).exited(2);
    assert!(output.stderr.contains("as root"), "{output:?}");
}

#[test]
fn the_reason_of_a_failure_is_in_the_log_and_not_told() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml.applied", "surprise");
    let output = sandbox.own_output("alice", &["status"]).exited(2);
    assert!(
        output.stderr.contains("ask your administrator") && !output.stderr.contains("surprise"),
        "{output:?}"
    );
    let _ = sandbox.log.wait(&[
        "event=configuration_refused",
        "reason=policy_damaged",
        "service=qrtotpd",
        "by=alice",
    ]);
}

#[test]
fn garbage_ends_only_the_connection_that_it_came_over() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let status = frame(1, 2, &[0]);
    let proper = sandbox.send_raw("mallory", &status, Duration::ZERO);
    assert!(proper.contains("mallory") && proper.contains("closed"), "{proper:?}");
    let oversized = [&[1, 2, 0xff, 0xff][..], &[0; 0xffff - 100]].concat();
    let forged = frame(1, 1, b"\x00\x03a\nb");
    for bytes in [
        &[][..],
        &status[..3],
        &status[..4],
        &oversized,
        &forged,
        &frame(2, 2, &[0]),
        &frame(1, 99, &[]),
        &frame(1, 16, b"\x00\x016"),
        &frame(1, 2, &[0, 0]),
        &frame(1, 2, &[2]),
        &frame(1, 1, &[0xff, 0xff, 0]),
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let heard = sandbox.send_raw("mallory", bytes, Duration::ZERO);
        assert!(!heard.contains("mallory: un"), "{bytes:?}: {heard:?}");
    }
    // After the request: answers to no question, and a second request.
    for more in [&frame(1, 17, &[])[..], &status] {
        let bytes = [&frame(1, 4, &[]), more].concat();
        let heard = sandbox.send_raw("mallory", &bytes, Duration::ZERO);
        assert!(heard.contains("not enrolled"), "{heard:?}");
    }
    assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
}

#[test]
fn slow_and_silent_callers_are_dropped_and_hold_up_nobody() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let (silent, got) = sandbox.flood("mallory", 3);
    assert_eq!(got, 3);
    let start = Instant::now();
    let heard = sandbox.send_raw("mallory", &frame(1, 2, &[0; 64]), Duration::from_millis(400));
    let elapsed = start.elapsed();
    assert!(heard.contains("too slow"), "{heard:?}");
    assert!((Duration::from_secs(4)..Duration::from_secs(30)).contains(&elapsed), "{elapsed:?}");
    // The three silent connections are gone too: their user can open three again.
    let (again, _) = sandbox.flood("mallory", 3);
    assert!(sandbox.own_output("mallory", &["status"]).success().stdout.contains("mallory"));
    for mut child in [silent, again] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_thousand_connections_of_others_keep_nobody_out() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    for user in ["mallory", "nobody"] {
        let (mut flood, got) = sandbox.flood(user, 1000);
        assert!(got > 900, "{user}: {got}");
        let start = Instant::now();
        let status = sandbox.own_output("alice", &["status"]).success().stdout;
        assert!(
            status.contains("alice") && start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        let mut pty = sandbox.own("alice", &["recovery", "regenerate"]);
        pty.expect(DEVICE_QUESTION);
        pty.send(if user == "nobody" { phone.code() } else { phone.previous_code() }.as_str());
        pty.keep_recovery_codes(&sandbox);
        pty.success();
        if user == "mallory" {
            let refused = sandbox.own_output("mallory", &["status"]).exited(1);
            assert!(refused.stderr.contains("too many connections"), "{refused:?}");
        }
        drop(flood.stdin.take());
        flood.wait().unwrap();
    }
}

#[test]
fn uids_that_are_nobodys_keep_nobody_out() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    let (mut strangers, got) = sandbox.strangers(600);
    assert_eq!(got, 600);
    for _ in 0..5 {
        assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
    }
    drop(strangers.stdin.take());
    strangers.wait().unwrap();
    // Such a caller is refused before it has sent anything, so it can't hold a place.
    let caller =
        ["setpriv", "--reuid", "200000", "--clear-groups", "--", "timeout", "60", "qrtotp", "status"];
    let output = sandbox.run(&caller).exited(1);
    assert!(output.stderr.contains("no account on this host"), "{output:?}");
}

#[test]
fn whoever_waits_in_all_their_seats_still_gets_a_code_judged() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let mut waiting: Vec<_> = (0..4).map(|_| sandbox.own("alice", &["enroll"])).collect();
    waiting.iter_mut().for_each(|pty| drop(pty.expect(DEVICE_QUESTION)));
    let refused = sandbox.own("alice", &["enroll"]).failure();
    assert!(refused.contains("too many connections"), "{refused}");
    let report = sandbox.login("alice").answer(&phone.code()).under(&as_user("alice")).run();
    assert_eq!(report.authenticate(), PAM_SUCCESS);
    assert!(sandbox.own_output("alice", &["status"]).success().stdout.contains("alice"));
}

#[test]
fn many_passwords_at_a_time_are_asked_of_many_people_only() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let _broker = sandbox.start_broker();
    let mut waiting: Vec<_> = (0..2).map(|_| sandbox.own("alice", &["enroll"])).collect();
    waiting.iter_mut().for_each(|pty| drop(pty.expect("assword: ")));
    let refused = sandbox.own("alice", &["enroll"]).failure();
    assert!(refused.contains("too many passwords"), "{refused}");
    let _ = sandbox.log.wait(&["event=caller_refused reason=too_many_passwords user=alice", "by=alice"]);
    sandbox.own("mallory", &["enroll"]).expect("assword: ");
}

#[test]
fn where_others_may_write_it_does_not_listen() {
    let sandbox = Sandbox::with_broker("");
    for (directory, mode) in [("/run/shared", "777"), ("/tmp", "1777"), ("/run/group", "775")] {
        sandbox.run(&["mkdir", "-p", directory]).success();
        sandbox.run(&["chmod", mode, directory]).success();
        let output =
            sandbox.run(&["timeout", "20", PROGRAM, "--listen", &format!("{directory}/s")]).exited(2);
        assert!(output.stderr.contains("others may write to"), "{directory}: {output:?}");
        assert!(!sandbox.exists(&format!("{directory}/s")));
    }
    let _broker = sandbox.start_broker();
    assert_eq!(sandbox.run(&["stat", "-c", "%a", SOCKET]).success().stdout, "666\n");
}

#[test]
fn on_systemds_socket_it_starts_with_the_first_caller_and_ends_when_idle() {
    let sandbox = Sandbox::with_broker("");
    let argv = ["systemd-socket-activate", "-l", SOCKET, PROGRAM, "--idle-exit", "2"];
    let mut broker = sandbox.start_broker_with(&argv);
    sandbox.run(&["chmod", "666", SOCKET]).success();
    assert!(!broker.ended(Duration::from_secs(3)), "it is not there before somebody calls");
    // A user who is asked a question is not idle.
    let (mut pty, phone) = sandbox.enrol_by_token("alice");
    assert!(!broker.ended(Duration::from_secs(4)));
    pty.finish_enrolment(&sandbox, &phone);
    assert!(broker.ended(Duration::from_secs(30)));
}

#[test]
fn the_unit_is_hardened_and_nobody_can_exhaust_it() {
    let units = qrtotp_tests::artefacts::sources().join("../conf/systemd");
    let service = std::fs::read_to_string(units.join("qrtotpd.service")).unwrap();
    let settings: Vec<&str> = service.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(settings.iter().all(|line| !line.starts_with("PrivateUsers")), "{service}");
    assert!(settings.contains(&"StartLimitIntervalSec=0") && settings.contains(&"LogRateLimitIntervalSec=0"));
    let socket = std::fs::read_to_string(units.join("qrtotpd.socket")).unwrap();
    assert!(socket.lines().any(|line| line == "TriggerLimitIntervalSec=0"), "{socket}");
    let judged = std::process::Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(units.join("qrtotpd.service"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&judged.stdout);
    let level = text.lines().rev().find_map(|line| line.split("exposure level for qrtotpd.service: ").nth(1));
    let level: f32 = level.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 2.0 && judged.status.success(), "{text}");
}
