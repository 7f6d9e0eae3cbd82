//! The audit trail in the journal of a real journald.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{Sandbox, host::PAM_SUCCESS};

/// Starts journald over an empty /var/log, sends it the lines of /tmp/lines as root and those of /tmp/forged as nobody, and runs the
/// arguments.
const JOURNAL: &str = r#"
mount -t tmpfs tmpfs /var/log && rm -rf /run/systemd /run/log && mkdir -p /var/log/journal /run/systemd/journal || exit 99
/usr/lib/systemd/systemd-journald 2>/dev/null & journald=$!
until [ -S /run/systemd/journal/dev-log ]; do sleep 0.1; done
chmod 755 /run /run/systemd /run/systemd/journal
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
    sandbox.overwrite("/tmp/journal", JOURNAL);
    let audit = |more: &[&str]| {
        let base =
            ["unshare", "--mount", "--propagation", "private", "sh", "/tmp/journal", "qrtotp", "audit"];
        sandbox.run(&[&base, more].concat())
    };
    let verified = audit(&["verify"]).success().stdout;
    assert!(verified.contains("2 proven") && verified.contains("3 look-alikes"), "{verified}");
    let shown = audit(&["--event", "login"]).success().stdout;
    let (forged, real): (Vec<&str>, Vec<&str>) = shown.lines().partition(|line| line.contains("FORGED by"));
    assert_eq!((forged.len(), real.len()), (1, 1), "{shown}");
    assert!(forged[0].contains("uid 65534: event=login"), "{shown}");
}
