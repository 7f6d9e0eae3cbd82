//! PAM files of real logins in which the parts that finish or refuse an enrolment might be left out: nobody without a
//! device passes there with the password alone, and the log says what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use qrtotp_tests::{
    Pty, Sandbox, artefacts, clock,
    first_login::{CHOICES, INSIDE},
    users::PASSWORD,
};

const ACCOUNT: &str = "account requisite pam_qrtotp.so\n";
const SESSION: &str = "session requisite pam_qrtotp.so\n";
const BOTH: &str = "account requisite pam_qrtotp.so\nsession requisite pam_qrtotp.so\n";
const AUTH: &str = "@include common-auth\nauth required pam_qrtotp.so\n";
const REST: &str = "@include common-account\nsession required pam_permit.so\n";
const FILE: &str = "/etc/pam.d/su";

struct Host(Sandbox);

/// What became of a login with the right password and Enter for the code.
struct Attempt {
    shown: String,
    /// How many lines the log had before.
    seen: usize,
}

impl Host {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
        for user in ["alice", "bobby", "changer"] {
            sandbox.add_user(user);
        }
        // The password of this one has to be changed now.
        let shadow = sandbox.read("/etc/shadow");
        let changer = shadow.lines().find(|line| line.starts_with("changer:")).unwrap();
        sandbox.overwrite("/etc/shadow", &shadow.replace(changer, &changer.replace(":20000:", ":0:")));
        sandbox.make_store();
        sandbox.without_delays();
        Self(sandbox)
    }

    fn su(&self, user: &str) -> Pty {
        self.0.pty_unrecorded_as(Some("bobby"), &["su", user, "-c", "echo logged in"])
    }

    /// Types the right password, and Enter wherever something is asked after it.
    fn attempt(&self, mut su: Pty) -> Attempt {
        let seen = self.0.log.lines().len();
        su.expect("assword");
        su.send(PASSWORD);
        while su.expect_one(&[
            "code (Enter: none yet): ",
            CHOICES,
            "uthentication failure",
            "denied",
            INSIDE,
            "ystem error",
        ]) < 2
        {
            su.send("");
        }
        let (_, shown) = su.finish();
        Attempt { shown, seen }
    }

    fn refuses(&self, what: &str, user: &str, reason: &str, details: &[&str]) {
        self.refuses_at(self.su(user), what, user, reason, details);
    }

    fn refuses_at(&self, su: Pty, what: &str, user: &str, reason: &str, details: &[&str]) {
        let Attempt { shown, seen } = self.attempt(su);
        assert!(!shown.contains(INSIDE), "{what}: let in with the password alone: {shown}");
        assert!(!shown.contains('█') && !shown.contains("otpauth"), "{what}: a picture: {shown}");
        let denied = format!("event=login result=denied reason={reason} user={user}");
        let line = self.0.log.wait_after(seen, &[&denied]);
        for detail in details {
            assert!(line.contains(detail), "{what}: no {detail:?} in {line}");
        }
    }

    fn enrols(&self, what: &str, user: &str) {
        clock::pause(Duration::from_millis(30)); // a file that was changed just now is refused
        self.enrols_at(self.su(user), what);
    }

    fn enrols_at(&self, mut su: Pty, what: &str) {
        su.at_the_picture();
        su.send("q");
        assert!(!su.failure().contains(INSIDE), "{what}");
    }
}

fn good() -> String {
    format!("{ACCOUNT}{SESSION}{AUTH}{REST}")
}

const LINES: &[&str] = &["account requisite pam_qrtotp.so", "session requisite pam_qrtotp.so"];

#[test]
fn a_pam_file_that_could_leave_our_parts_out_lets_nobody_without_a_device_pass() {
    let host = Host::new();
    host.0.pam("ours", &format!("{ACCOUNT}{SESSION}"));
    host.0.pam("jumps", "account [success=2 default=ignore] pam_unix.so\n");
    for (what, from, to) in [
        ("no account line", ACCOUNT, ""),
        ("no session line", SESSION, ""),
        ("neither", BOTH, ""),
        ("commented out", ACCOUNT, "#account requisite pam_qrtotp.so\n"),
        ("@include first", BOTH, "@include ours\n"),
        ("include first", BOTH, "account include ours\nsession include ours\n"),
        ("substack first", BOTH, "account substack ours\nsession substack ours\n"),
        (
            "behind @include common-account",
            ACCOUNT,
            "@include common-account\naccount requisite pam_qrtotp.so\n",
        ),
        ("session behind an include", SESSION, "@include common-session\nsession requisite pam_qrtotp.so\n"),
        ("account required", ACCOUNT, "account required pam_qrtotp.so\n"),
        ("account optional", ACCOUNT, "account optional pam_qrtotp.so\n"),
        ("account sufficient", ACCOUNT, "account sufficient pam_qrtotp.so\n"),
        (
            "account undone",
            ACCOUNT,
            "account required pam_qrtotp.so\naccount [default=reset] pam_permit.so\n",
        ),
        ("account in brackets", ACCOUNT, "account [success=ok ignore=ignore default=die] pam_qrtotp.so\n"),
        ("account ignored", ACCOUNT, "account [default=ignore] pam_qrtotp.so\n"),
        ("account may be missing", ACCOUNT, "-account requisite pam_qrtotp.so\n"),
        ("session optional", SESSION, "session optional pam_qrtotp.so\n"),
        ("session sufficient", SESSION, "session sufficient pam_qrtotp.so\n"),
        (
            "session undone",
            SESSION,
            "session required pam_qrtotp.so\nsession [default=reset] pam_permit.so\n",
        ),
        (
            "behind a jump",
            ACCOUNT,
            "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_qrtotp.so\n",
        ),
        ("behind a jump in an include", ACCOUNT, "account include jumps\naccount requisite pam_qrtotp.so\n"),
        ("behind sufficient", ACCOUNT, "account sufficient pam_unix.so\naccount requisite pam_qrtotp.so\n"),
        (
            "session behind a jump",
            SESSION,
            "session [success=1 default=ignore] pam_permit.so\nsession requisite pam_qrtotp.so\n",
        ),
        ("continued", ACCOUNT, "account \\\nrequisite pam_qrtotp.so\n"),
        (
            "swallowed by a continued line",
            ACCOUNT,
            "account sufficient pam_permit.so \\\naccount requisite pam_qrtotp.so\n",
        ),
        ("swallowed by a continued comment", ACCOUNT, "# an old note \\\naccount requisite pam_qrtotp.so\n"),
        ("another configuration", ACCOUNT, "account requisite pam_qrtotp.so config=/etc/qrtotp/other.toml\n"),
        ("another module", ACCOUNT, "account requisite pam_permit.so\n"),
    ] {
        let file = good().replace(from, to);
        assert_ne!(file, good());
        host.0.pam("su", &file);
        host.refuses(what, "alice", "enrollment_guard", LINES);
    }
    host.0.pam("su", &good());
    host.enrols("the control: nothing wrong", "alice");
}

#[test]
fn an_expired_password_does_not_lead_around_the_account_part() {
    let host = Host::new();
    host.0.pam("su", &good().replace(ACCOUNT, &format!("@include common-account\n{ACCOUNT}")));
    host.refuses("expired, behind common-account", "changer", "enrollment_guard", LINES);
    host.0.pam("su", &good());
    host.enrols("expired, ours first", "changer");
}

#[test]
fn a_pam_file_that_others_could_have_written_lets_nobody_without_a_device_pass() {
    let host = Host::new();
    let path = |more: &'static [&'static str]| [LINES, more].concat();
    host.0.pam("su", &good());
    for (what, break_it, mend) in [
        ("writable by everybody", "chmod 666 /etc/pam.d/su", "chmod 644 /etc/pam.d/su"),
        ("writable by its group", "chmod 664 /etc/pam.d/su", "chmod 644 /etc/pam.d/su"),
        ("of another owner", "chown alice /etc/pam.d/su", "chown root /etc/pam.d/su"),
        (
            "a link",
            "mv /etc/pam.d/su /etc/pam.d/su.real && ln -s su.real /etc/pam.d/su",
            "mv /etc/pam.d/su.real /etc/pam.d/su",
        ),
        ("in a directory of another owner", "chown alice /etc/pam.d", "chown root /etc/pam.d"),
        ("in a directory that everybody writes to", "chmod 777 /etc/pam.d", "chmod 755 /etc/pam.d"),
        (
            "too long",
            "yes '# a comment of some length' | head -n 2000 >>/etc/pam.d/su",
            "sed -i '/^# a comment/d' /etc/pam.d/su",
        ),
    ] {
        host.0.run(&["sh", "-c", break_it]).success();
        host.refuses(what, "alice", "enrollment_guard", &path(&["/etc/pam.d"]));
        host.0.run(&["sh", "-c", mend]).success();
    }
    host.enrols("the control: mended", "alice");
}

#[test]
fn a_pam_file_that_the_module_cannot_read_lets_nobody_without_a_device_pass() {
    let host = Host::new();
    host.0.pam("su", &good());
    let su_where = |path: &str, fault: &str| {
        let strace = ["strace", "-o", "/tmp/trace", "-e", "signal=none", "-P", path, "-e", fault];
        host.0.pty_unrecorded(&[&strace[..], &["su", "alice", "-c", "echo logged in"]].concat())
    };
    // libpam reads a text, then its end; and what su's file includes once more for `other`, whose file includes it, too.
    for (file, lines, ours) in [("su", LINES, "3+"), ("common-auth", &[], "5+")] {
        let path = format!("/etc/pam.d/{file}");
        let [unread, cut] =
            ["error=EIO", "retval=0"].map(|result| format!("inject=read:{result}:when={ours}"));
        for (what, path_of_call, fault, error) in [
            // It names the file by itself in its directory; libpam gives the whole path.
            ("not to be opened", file, "inject=openat:error=EACCES", "EACCES"),
            ("not to be read", &path, &unread, "EIO"),
            ("at its end too soon", &path, &cut, "its end is lost"),
        ] {
            let what = format!("{path}: {what}");
            let details = [lines, &[&path, error]].concat();
            host.refuses_at(su_where(path_of_call, fault), &what, "alice", "enrollment_guard", &details);
            assert!(host.0.read("/tmp/trace").contains("(INJECTED)"), "{what}");
            // The control: the same calls, and no error.
            let calls = fault.split(':').next().unwrap().replace("inject", "trace");
            host.enrols_at(su_where(path_of_call, &calls), &what);
        }
    }
}

#[test]
fn an_included_file_that_others_could_have_written_or_that_is_missing_lets_nobody_without_a_device_pass() {
    let host = Host::new();
    let text = host.0.read("/etc/pam.d/common-auth");
    for place in ["/etc/pam.d/x", "/etc/company/x"] {
        host.0.run(&["mkdir", "-p", "/etc/company"]).success();
        host.0.overwrite(place, &text);
        let include = if place.contains("company") { place } else { "x" };
        host.0.pam("su", &good().replace("@include common-auth", &format!("auth substack {include}")));
        host.enrols("the control", "alice");
        for (what, break_it, mend) in [
            ("writable by everybody", "chmod 666 X", "chmod 644 X"),
            ("writable by its group", "chmod 664 X", "chmod 644 X"),
            ("of another owner", "chown alice X", "chown root X"),
            ("a link", "mv X X.real && ln -s X.real X", "mv X.real X"),
            ("missing", "mv X X.away", "mv X.away X"),
            ("too long", "cp X X.short && yes '# a comment' | head -n 2000 >>X", "mv X.short X"),
            ("going on in the next line", "cp X X.short && echo '# \\\\' >>X", "mv X.short X"),
            ("in a directory of another owner", "chown alice $(dirname X)", "chown root $(dirname X)"),
        ] {
            let shell = |script: &str| host.0.run(&["sh", "-c", &script.replace('X', place)]).success();
            shell(break_it);
            if what == "missing" {
                // Nobody is asked for a password, and the auth part has failed.
                let mut su = host.su("alice");
                su.expect("code (Enter: none yet): ");
                su.send("");
                let shown = su.failure();
                assert!(!shown.contains(INSIDE) && !shown.contains(CHOICES), "{what}: {shown}");
            } else {
                host.refuses(what, "alice", "enrollment_guard", &[place.rsplit_once('/').unwrap().0]);
            }
            shell(mend);
        }
        host.enrols("the control: mended", "alice");
    }
}

#[test]
fn lines_that_are_only_in_the_file_for_other_services_do_not_count() {
    let host = Host::new();
    let other = host.0.read("/etc/pam.d/other");
    host.0.pam("other", &good());
    host.0.run(&["rm", FILE]).success();
    host.refuses("everything in other", "alice", "enrollment_guard", LINES);
    host.0.pam("su", AUTH);
    host.refuses("account and session in other", "alice", "enrollment_guard", LINES);
    host.0.pam("other", &other);
    host.0.pam("su", &good());
    host.enrols("the control", "alice");
}

#[test]
fn a_service_that_is_not_listed_lets_nobody_without_a_device_pass() {
    let host = Host::new();
    host.0.configure("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"sshd\", \"su-l\"]\n");
    host.0.pam("su", &good());
    host.refuses("not listed", "alice", "enrollment_guard", &[LINES, &["enroll.services"]].concat());
}

#[test]
fn the_vendors_file_counts_where_there_is_none_in_etc_and_only_there() {
    let host = Host::new();
    host.0.make_writable("/usr/lib");
    let module = format!("{}/pam_qrtotp.so", host.0.security_directory());
    host.0.install(&artefacts::module(), &module, 0o644);
    host.0.run(&["mkdir", "-p", "/usr/lib/pam.d"]).success();
    host.0.overwrite("/usr/lib/pam.d/su", &good());
    host.0.pam("su", &format!("{AUTH}{REST}"));
    host.refuses("hidden by the file in /etc", "alice", "enrollment_guard", LINES);
    host.0.run(&["rm", FILE]).success();
    host.enrols("the vendor's", "alice");
}

#[test]
fn what_means_the_same_to_libpam_is_understood() {
    let host = Host::new();
    let module = format!("{}/pam_qrtotp.so", host.0.security_directory());
    let instead = |text: &str| good().replace("requisite pam_qrtotp.so", text);
    for (what, file) in [
        ("white space", instead("requisite\t  pam_qrtotp.so   # ours\n\n")),
        (
            "case",
            instead("REQUISITE pam_qrtotp.so")
                .replace("account R", "Account R")
                .replace("session R", "SESSION R"),
        ),
        ("a path", instead(&format!("requisite {module}"))),
        ("arguments", instead("requisite pam_qrtotp.so config=/etc/qrtotp/qrtotp.toml debug")),
        ("another order", format!("session requisite pam_qrtotp.so\n{ACCOUNT}{AUTH}{REST}")),
    ] {
        host.0.pam("su", &file);
        host.enrols(what, "alice");
    }
}
