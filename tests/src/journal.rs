//! A real journald in a sandbox.

use crate::{Output, Sandbox};

/// Starts journald over an empty /var/log and in place of the sandbox's log, sends it the lines of /tmp/lines
/// as root and the lines of /tmp/forged as the uid $FORGER, and runs the arguments.
const JOURNAL: &str = r#"
mount -t tmpfs tmpfs /var/log && rm -rf /run/systemd /run/log && mkdir -p /var/log/journal /run/systemd/journal || exit 99
/usr/lib/systemd/systemd-journald 2>/dev/null & export journald=$!
until [ -S /run/systemd/journal/dev-log ]; do sleep 0.1; done
chmod 755 /run /run/systemd /run/systemd/journal
mv /dev/log /dev/log.sandbox && ln -s /run/systemd/journal/dev-log /dev/log || exit 99
cat > /tmp/send.py <<'END'
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
lines = open(sys.argv[1], "rb").read().splitlines()
if "forged" in sys.argv[1]: os.setgroups([]); os.setuid(int(os.environ["FORGER"]))
s.connect("/run/systemd/journal/dev-log")
for line in lines: s.send(line)
# journald reads a sender's rights from /proc after the line arrived; without them a line is no proven forgery.
if "forged" in sys.argv[1]: time.sleep(2)
END
python3 /tmp/send.py /tmp/lines && python3 /tmp/send.py /tmp/forged && journalctl --sync
"$@"; code=$?
mv /dev/log.sandbox /dev/log
kill $journald; wait $journald; exit $code
"#;

impl Sandbox {
    /// Runs a command beside a journald that got the lines of /tmp/lines from root, and those of /tmp/forged
    /// from nobody.
    pub fn in_journal(&self, argv: &[&str]) -> Output {
        self.in_journal_with(65534, argv)
    }

    /// The same, with those of /tmp/forged from this uid.
    pub fn in_journal_with(&self, forger: u32, argv: &[&str]) -> Output {
        self.overwrite("/tmp/journal", JOURNAL);
        let forger = format!("FORGER={forger}");
        let base = ["env", &forger, "unshare", "--mount", "--propagation", "private", "sh", "/tmp/journal"];
        self.run(&[&base, argv].concat())
    }
}
