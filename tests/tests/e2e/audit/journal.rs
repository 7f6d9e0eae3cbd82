//! The audit trail in the journal of a real journald.

use qrtotp_tests::{Output, Sandbox, clock, host::PAM_SUCCESS};
use std::time::Duration;

/// Starts journald over an empty /var/log, sends it the lines of /tmp/lines as root and the lines of
/// /tmp/forged as nobody, and runs the arguments.
const JOURNAL: &str = r#"
mount -t tmpfs tmpfs /var/log && rm -rf /run/systemd /run/log && mkdir -p /var/log/journal /run/systemd/journal || exit 99
/usr/lib/systemd/systemd-journald 2>/dev/null & journald=$!
until [ -S /run/systemd/journal/dev-log ]; do sleep 0.1; done
chmod 755 /run /run/systemd /run/systemd/journal
mount --bind /run/systemd/journal/dev-log /dev/log
cat > /tmp/send.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
lines = open(sys.argv[1], "rb").read().splitlines()
if "forged" in sys.argv[1]: os.setgroups([]); os.setgid(65534); os.setuid(65534)
s.connect("/run/systemd/journal/dev-log")
for line in lines: s.send(line)
END
python3 /tmp/send.py /tmp/lines && python3 /tmp/send.py /tmp/forged && sleep 1 && journalctl --sync
"$@"; code=$?
kill $journald; wait $journald; exit $code
"#;

fn in_journal(sandbox: &Sandbox, argv: &[&str]) -> Output {
    sandbox.overwrite("/tmp/journal", JOURNAL);
    let base = ["unshare", "--mount", "--propagation", "private", "sh", "/tmp/journal"];
    sandbox.run(&[&base, argv].concat())
}

#[test]
fn a_line_that_the_journal_dropped_is_named_and_logged_again_word_for_word() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let kept: Vec<_> = sandbox.log.lines().into_iter().filter(|line| !line.contains(" seq=2 ")).collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", kept.join("\n")));
    sandbox.overwrite("/tmp/forged", "");
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    let steps = "qrtotp audit verify && exit 1; qrtotp audit repair && journalctl --sync && \
                 qrtotp audit verify && qrtotp audit --event login --json";
    let said = in_journal(&sandbox, &["sh", "-c", steps]).success().stdout;
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
    let lines = sandbox.log.lines();
    let forged: Vec<_> = lines.iter().map(|line| line.replace("seq=2", "seq=3")).collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", lines.join("\n")));
    sandbox.overwrite("/tmp/forged", &format!("{}\n", forged.join("\n")));
    let audit = |more: &[&str]| in_journal(&sandbox, &[&["qrtotp", "audit"], more].concat());
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
    let said = in_journal(&sandbox, &["sh", "-c", steps]).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("\"rule\":\"codes-guessed\"") && said.contains("\"user\":\"bob\""), "{said}");
}
