//! The audit trail in the journal of a real journald.

use qrtotp_tests::{Sandbox, clock, host::PAM_SUCCESS};
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
    let lines: Vec<_> =
        sandbox.log.lines().into_iter().filter(|line| line.contains("reason=throttled")).collect();
    assert!(lines.len() >= 2, "{lines:?}");
    sandbox.overwrite("/tmp/lines", &format!("{}\n", lines.join("\n")).repeat(3));
    sandbox.overwrite("/tmp/forged", "");
    let steps = "qrtotp watch --json >/tmp/watched & watch=$!; sleep 2; [ -s /tmp/watched ] && exit 9
        sed 's/user=alice/user=bob/' /tmp/lines >/tmp/again; python3 /tmp/send.py /tmp/again; journalctl --sync
        for n in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/watched ] && break; sleep 0.5; done; kill $watch; cat /tmp/watched";
    let said = sandbox.in_journal(&["sh", "-c", steps]).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("\"rule\":\"codes-guessed\"") && said.contains("\"user\":\"bob\""), "{said}");
}
