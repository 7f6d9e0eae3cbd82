//! The audit trail in the journal of a real journald.

use super::trail::{logged_in, written};
use qrtotp_tests::{Sandbox, artefacts, clock, host::PAM_SUCCESS};
use std::time::Duration;

#[test]
fn a_line_that_the_journal_dropped_is_named_and_logged_again_word_for_word() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=login", " seq=2 "]); // the thread that keeps the log may lag behind
    let kept: Vec<_> = sandbox.log.lines().into_iter().filter(|line| !line.contains(" seq=2 ")).collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", kept.join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    let steps = "qrtotp audit verify && exit 1; qrtotp audit repair && journalctl --sync && \
                 qrtotp audit verify && qrtotp audit --event login --json";
    let said = sandbox.in_journal(&["sh", "-c", steps]).success().stdout;
    let [lost, again, proven] =
        ["alice seq 2: lost", "1 lines logged again; 0 findings", "Nothing was changed"]
            .map(|text| said.find(text));
    assert!(lost.is_some() && lost < again && again < proven, "{said}");
    assert!(said.contains("recovered by qrtotp audit repair") && said.contains("\"seq\":2"), "{said}");
}

#[test]
fn lines_in_the_journal_are_proven_and_what_a_user_wrote_to_it_is_shown_as_forged() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=login", " seq=2 "]); // the thread that keeps the log may lag behind
    let lines = sandbox.log.lines();
    let forged: Vec<_> = lines.iter().map(|line| line.replace("seq=2", "seq=3")).collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", lines.join("\n")));
    sandbox.overwrite("/tmp/forged", &format!("{}\n", forged.join("\n")));
    let audit = |more: &[&str]| sandbox.in_journal(&[&["qrtotp", "audit"], more].concat());
    let verified = audit(&["verify"]).success().stdout;
    assert!(verified.contains("3 proven") && verified.contains("4 look-alikes"), "{verified}");
    let shown = audit(&["--event", "login"]).success().stdout;
    let (forged, real): (Vec<&str>, Vec<&str>) = shown.lines().partition(|line| line.contains("FORGED by"));
    assert_eq!((forged.len(), real.len()), (1, 1), "{shown}");
    assert!(forged[0].contains("uid 65534: event=login"), "{shown}");
}

/// Numbers of alice's lines in the output of `audit --json`.
fn numbers(said: &str) -> Vec<u64> {
    let lines = said.lines().filter(|line| line.contains("\"user\":\"alice\""));
    let mut numbers: Vec<u64> = lines
        .filter_map(|line| line.split("\"seq\":").nth(1)?.split([',', '}']).next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_line_that_both_the_journal_and_auth_log_have_is_shown_once_and_both_together_are_whole() {
    let (sandbox, _) = logged_in();
    let of_alice = |line: &str, seq| line.contains(" user=alice ") && line.contains(&format!(" seq={seq} "));
    let of_journal: Vec<_> = sandbox.log.lines().into_iter().filter(|line| !of_alice(line, 2)).collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", of_journal.join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    written(&sandbox, |lines| lines.retain(|line| !of_alice(line, 3)));
    let audit = |before: &str, what: &str| {
        let steps = format!("{before}; qrtotp audit {what}");
        sandbox.in_journal(&["sh", "-c", &steps])
    };
    let both = "cp /tmp/auth.log /var/log/auth.log";
    assert_eq!(numbers(&audit("true", "--json").success().stdout), [1, 3, 4], "the journal's");
    assert_eq!(numbers(&audit(both, "--json").success().stdout), [1, 2, 3, 4]);
    let whole = audit(both, "verify").success().stdout;
    assert!(whole.contains("Nothing was changed"), "{whole}");
}

#[test]
fn a_journal_that_was_rotated_is_whole() {
    let (sandbox, _) = logged_in();
    let lines = sandbox.log.lines();
    let (before, after) = lines.split_at(lines.len() - 2);
    sandbox.overwrite("/tmp/lines", &format!("{}\n", before.join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    sandbox.overwrite("/tmp/later", &format!("{}\n", after.join("\n")));
    let steps = "journalctl --rotate && python3 /tmp/send.py /tmp/later && journalctl --sync && \
                 echo files: $(find /run/log/journal /var/log/journal -name 'system*.journal' | wc -l) && qrtotp audit verify";
    let said = sandbox.in_journal(&["sh", "-c", steps]).success().stdout;
    assert!(said.contains("files: 2") && said.contains("Nothing was changed"), "{said}");
}

#[test]
fn audit_follow_shows_an_event_as_it_happens_and_ends_on_sigterm_with_its_journalctl() {
    let (sandbox, _) = logged_in();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", sandbox.log.lines().join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    // Sent until it is shown: nothing tells when journalctl has begun.
    let steps = r#"grep reason=wrong_code /tmp/lines | sed 's/user=alice/user=bob/' >/tmp/new
        qrtotp audit --follow >/tmp/followed & follow=$!
        for n in $(seq 50); do
            [ -s /tmp/followed ] && break
            [ $n -lt 4 ] || python3 /tmp/send.py /tmp/new
            sleep 0.5
        done
        kill $follow; wait $follow; echo "exit $?"
        for n in $(seq 50); do pgrep -x journalctl >/tmp/left || break; sleep 0.1; done
        cat /tmp/left /tmp/followed"#;
    let said = sandbox.in_journal(&["sh", "-c", steps]).success().stdout;
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("exit 143"), "{said}");
    let shown: Vec<&str> = lines.collect();
    assert!(!shown.is_empty() && shown.iter().all(|line| line.contains("wrong_code user=bob")), "{said}");
}

#[test]
fn watch_names_what_happens_after_its_start_and_not_what_was_before() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    for _ in 0..9 {
        let _ =
            sandbox.login("alice").answer(&phone.wrong_code()).arguments(&["--rhost", "203.0.113.9"]).run();
    }
    // These lines have no time of their own, so they happen when they are sent.
    let lines = sandbox.log.lines();
    let refused = lines.iter().find(|line| line.contains("reason=throttled")).unwrap();
    let spray = |network: &str, users: [&str; 5]| {
        let line = |user| refused.replace("203.0.113.", network).replace("alice", user) + "\n";
        users.map(line).concat()
    };
    sandbox.overwrite("/tmp/lines", &spray("203.0.113.", ["a", "b", "c", "d", "e"]));
    sandbox.overwrite("/tmp/again", &spray("198.51.100.", ["f", "g", "h", "i", "j"]));
    sandbox.overwrite("/tmp/forged", "");
    let steps = "qrtotp watch --json >/tmp/watched & watch=$!; sleep 2; [ -s /tmp/watched ] && exit 9
        python3 /tmp/send.py /tmp/again; journalctl --sync
        for n in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/watched ] && break; sleep 0.5; done; kill $watch; cat /tmp/watched";
    let said = sandbox.in_journal(&["sh", "-c", steps]).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("\"rule\":\"spray\"") && said.contains("198.51.100.0/24"), "{said}");
}

/// Logs a login of alice into the journal after `before`, and shows what the journal has of it, what a syslog
/// daemon gets, and what `audit verify` says.
fn logged_in_journal(before: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let _ = sandbox.log.wait(&["event=record_made"]);
    sandbox.overwrite("/tmp/lines", &format!("{}\n", sandbox.log.lines().join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    sandbox.overwrite("/tmp/before", before);
    sandbox.overwrite("/tmp/receive.py", RECEIVE);
    let catalog = artefacts::sources().join("../conf/systemd/qrtotp.catalog");
    sandbox.overwrite("/tmp/catalog", &std::fs::read_to_string(catalog).unwrap());
    let login = sandbox.login("alice").answer(&phone.code()).arguments(&["--rhost", "192.0.2.7"]).argv();
    let steps = format!("{STEPS}\n{} | grep authenticate= && {SHOW}", login.join(" "));
    sandbox.in_journal(&["bash", "-c", &steps]).success().stdout
}

/// A syslog daemon that journald forwards to.
const RECEIVE: &str = r#"
import os, socket
path = "/run/systemd/journal/syslog"
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(path)
while True: print("forwarded", s.recv(65536).decode(), flush=True)
"#;
const STEPS: &str = "python3 /tmp/receive.py >/tmp/forwarded & trap \"kill $!\" EXIT
    until [ -S /run/systemd/journal/syslog ]; do sleep 0.1; done; . /tmp/before";
const SHOW: &str =
    "journalctl --sync; for n in $(seq 50); do grep -q event=login /tmp/forwarded && break; sleep 0.1; done
    journalctl --output verbose --no-pager SYSLOG_FACILITY=10 | grep -v _CMDLINE; qrtotp audit --event login
    qrtotp audit verify; grep event=login /tmp/forwarded; journalctl --catalog --no-pager QRTOTP_EVENT=login";

#[test]
fn a_login_is_one_record_of_the_journal_with_fields_and_reaches_syslog_in_its_usual_form() {
    let said = logged_in_journal(
        "mkdir -p /usr/local/lib/systemd/catalog && cp /tmp/catalog \
        /usr/local/lib/systemd/catalog/qrtotp.catalog && journalctl --update-catalog",
    );
    assert!(said.contains("authenticate=0") && said.contains("Nothing was changed"), "{said}");
    assert_eq!(said.matches("MESSAGE=pam_qrtotp(tests:auth): event=login ").count(), 1, "{said}");
    for field in [
        "_TRANSPORT=journal",
        "MESSAGE_ID=267808a90d947687",
        "PRIORITY=6",
        "SYSLOG_IDENTIFIER=pam_host",
        "QRTOTP_USER=alice",
        "QRTOTP_RHOST=192.0.2.7",
        "QRTOTP_SEQ=2",
        "Subject: A login of alice was accepted",
    ] {
        assert!(said.contains(field), "{field}: {said}");
    }
    let forwarded = said.lines().filter(|line| line.starts_with("forwarded ")).collect::<Vec<_>>();
    assert_eq!(forwarded.len(), 1, "{said}");
    assert!(forwarded[0].starts_with("forwarded <86>"), "{said}");
    assert!(
        forwarded[0].contains(" pam_host[")
            && forwarded[0].contains("]: pam_qrtotp(tests:auth): event=login ")
    );
}

#[test]
fn a_login_is_logged_once_through_syslog_if_journalds_own_socket_is_gone_or_full() {
    let full = r#"kill -STOP $journald; python3 -c 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.setblocking(False)
try:
    while True: s.sendto(b"MESSAGE=x\n", "/run/systemd/journal/socket")
except BlockingIOError: pass'
        (sleep 2; kill -CONT $journald) &"#;
    for before in ["rm /run/systemd/journal/socket", full] {
        let said = logged_in_journal(before);
        assert!(said.contains("authenticate=0") && said.contains("Nothing was changed"), "{said}");
        assert_eq!(said.matches("MESSAGE=pam_qrtotp(tests:auth): event=login ").count(), 1, "{said}");
        assert!(said.contains("_TRANSPORT=syslog") && !said.contains("QRTOTP_USER"), "{said}");
    }
}
