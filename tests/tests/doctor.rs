//! `qrtotp doctor`: silent about a host that is set up as the documents say, and loud about each thing that is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{Output, Phone, Sandbox, host::PAM_SUCCESS};

const SNIPPET: &str = "/etc/ssh/sshd_config.d/00-qrtotp.conf";

/// A host with the shipped stacks for sshd and sudo, its broker running, and alice enrolled.
fn host() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    let phone = sandbox.import("alice");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox.ship_sshd_config(true);
    sandbox.ship("pam.d/sshd-key-and-code", "/etc/pam.d/sshd");
    sandbox.ship("pam.d/sudo-code", "/etc/pam.d/sudo");
    sandbox.ship("pam.d/su-code", "/etc/pam.d/su");
    sandbox.install_broker();
    (sandbox, phone)
}

fn doctor(sandbox: &Sandbox) -> Output {
    sandbox.run(&["qrtotp", "doctor"])
}

fn shell(sandbox: &Sandbox, script: &str) {
    sandbox.run(&["sh", "-ec", script]).success();
}

fn has_line(output: &Output, status: &str, check: &str, text: &str) -> bool {
    let begins = format!("{status:<5} {check:<14} ");
    output.stdout.lines().any(|line| line.starts_with(&begins) && line.contains(text))
}

#[test]
fn a_host_as_the_documents_set_it_up_is_fine_and_is_left_as_it_was() {
    let (sandbox, phone) = host();
    let _broker = sandbox.start_broker();
    let snapshot = || {
        let places = ["/etc", "/var/lib/qrtotp", sandbox.security_directory(), "/home"];
        sandbox
            .run(&[&["find"], &places[..], &["-printf", "%p %s %m %U %T@ %C@\n"]].concat())
            .success()
            .stdout
    };
    let before = snapshot();
    let said = doctor(&sandbox).exited(0);
    assert_eq!(snapshot(), before);
    for (check, text) in [
        ("configuration", "/etc/qrtotp/qrtotp.toml: can be used"),
        ("store", "/var/lib/qrtotp: it and its key are there"),
        ("records", "1, and every one can be read"),
        ("accounts", "enrolled 1, un-enrolled 0, revoked 0; devices 1"),
        ("disk", "MiB and"),
        ("pam", "sshd: asks for a code"),
        ("pam", "sudo: asks for a code"),
        ("pam", "su: asks for a code"),
        ("module", "/pam_qrtotp.so: is there"),
        ("sshd", "AuthenticationMethods publickey,keyboard-interactive"),
        ("broker", "/run/qrtotp/socket: answers"),
        ("log", "/dev/log"),
    ] {
        assert!(has_line(&said, "OK", check, text), "{check} {text}: {}", said.stdout);
    }
    let warnings: Vec<_> = said.stdout.lines().filter(|line| line.starts_with("WARN")).collect();
    assert!(warnings.iter().all(|line| line.starts_with("WARN  clock")), "{warnings:?}");
    assert!(!said.stdout.contains(&phone.key));
}

#[test]
fn with_enrolment_at_login_the_shipped_stacks_are_fine_and_a_service_that_is_not_listed_is_named() {
    let (sandbox, _) = host();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.pam("tests", "auth required pam_unix.so\nauth required pam_qrtotp.so\n");
    let said = doctor(&sandbox).exited(0);
    for service in ["sshd", "sudo", "su"] {
        let text = format!("{service}: asks for a code, and people enrol there");
        assert!(has_line(&said, "OK", "pam", &text), "{}", said.stdout);
    }
    assert!(has_line(&said, "OK", "pam", "qrtotp: proves passwords for enrolments"), "{}", said.stdout);
    let tests = "tests: asks for a code, and nobody can enrol there: enroll.services";
    assert!(has_line(&said, "WARN", "pam", tests), "{}", said.stdout);
}

#[test]
fn a_service_that_proves_no_password_or_a_wrong_one_is_a_failure_where_people_enrol() {
    let (sandbox, _) = host();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.pam("x", "auth required pam_permit.so\nauth sufficient pam_unix.so\n");
    let first = "auth requisite pam_qrtotp.so\n";
    for (text, finding) in [
        (format!("{first}auth include x\naccount required pam_unix.so\n"), "a wrong password would enrol"),
        ("@include common-auth\n@include common-account\n".to_owned(), "by the password alone"),
    ] {
        sandbox.pam("qrtotp", &text);
        let said = doctor(&sandbox).exited(1);
        assert!(
            has_line(&said, "FAIL", "pam", "qrtotp: ") && said.stdout.contains(finding),
            "{}",
            said.stdout
        );
    }
    shell(&sandbox, "rm /etc/pam.d/qrtotp");
    let said = doctor(&sandbox).exited(1);
    assert!(has_line(&said, "FAIL", "pam", "qrtotp: nobody can enrol by their password"), "{}", said.stdout);
}

#[test]
fn whatever_denies_a_right_code_is_found_and_named() {
    let (sandbox, phone) = host();
    let module = format!("{}/pam_qrtotp.so", sandbox.security_directory());
    for (check, text, script, repair) in [
        (
            "configuration",
            "never applied",
            "mv /etc/qrtotp/qrtotp.toml.applied /root",
            "mv /root/qrtotp.toml.applied /etc/qrtotp",
        ),
        (
            "configuration",
            "others may write",
            "chmod 666 /etc/qrtotp/qrtotp.toml.applied",
            "chmod 644 /etc/qrtotp/qrtotp.toml.applied",
        ),
        (
            "store",
            "may be read by others",
            "chmod 644 /etc/qrtotp/seal.key",
            "chmod 600 /etc/qrtotp/seal.key",
        ),
        (
            "configuration",
            "qrtotp.toml.applied is a FIFO, not a file; put the file in its place",
            "mv /etc/qrtotp/qrtotp.toml.applied /root; mkfifo /etc/qrtotp/qrtotp.toml.applied",
            "mv -f /root/qrtotp.toml.applied /etc/qrtotp",
        ),
        (
            "configuration",
            "qrtotp.toml.applied is a directory, not a file; put the file in its place",
            "mv /etc/qrtotp/qrtotp.toml.applied /root; mkdir /etc/qrtotp/qrtotp.toml.applied",
            "rmdir /etc/qrtotp/qrtotp.toml.applied; mv /root/qrtotp.toml.applied /etc/qrtotp",
        ),
        (
            "store",
            "seal.key is a FIFO, not a file; put the file in its place",
            "mv /etc/qrtotp/seal.key /root; mkfifo /etc/qrtotp/seal.key",
            "mv -f /root/seal.key /etc/qrtotp",
        ),
        (
            "store",
            "seal.key is a socket, not a file; put the file in its place",
            "mount --bind /dev/log /etc/qrtotp/seal.key",
            "umount /etc/qrtotp/seal.key",
        ),
        (
            "store",
            "seal.key is a device, not a file; put the file in its place",
            "mount --bind /dev/null /etc/qrtotp/seal.key",
            "umount /etc/qrtotp/seal.key",
        ),
        ("store", "seal.key is missing", "mv /etc/qrtotp/seal.key /root", "mv /root/seal.key /etc/qrtotp"),
        (
            "store",
            "is open to others",
            "chmod 755 /var/lib/qrtotp/accounts",
            "chmod 700 /var/lib/qrtotp/accounts",
        ),
        (
            "records",
            "alice",
            "cp -p /var/lib/qrtotp/accounts/alice/account.toml /root; echo x >>/var/lib/qrtotp/accounts/alice/account.toml",
            "cp -p /root/account.toml /var/lib/qrtotp/accounts/alice/account.toml",
        ),
        ("records", "of 1, 1 can't be read", "rm /var/lib/qrtotp/accounts/alice/state", ""),
        ("disk", "read-only", "mount -o remount,ro /var/lib/qrtotp", "mount -o remount,rw /var/lib/qrtotp"),
        (
            "pam",
            "tests: line 1: every login there is denied",
            "sed -i '1s/$/ nullOK/' /etc/pam.d/tests",
            "sed -i '1s/ nullOK//' /etc/pam.d/tests",
        ),
        (
            "module",
            "is not there",
            &format!("mv {module} /root"),
            &format!("mv /root/pam_qrtotp.so {module}"),
        ),
    ] {
        let state = "/var/lib/qrtotp/accounts/alice/state";
        if repair.is_empty() {
            shell(&sandbox, &format!("cp -p {state} /root"));
        }
        shell(&sandbox, script);
        let said = doctor(&sandbox).exited(1);
        assert!(has_line(&said, "FAIL", check, text), "{script}: {}", said.stdout);
        assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "{script}");
        shell(
            &sandbox,
            if repair.is_empty() { "cp -p /root/state /var/lib/qrtotp/accounts/alice" } else { repair },
        );
        let said = doctor(&sandbox).exited(0);
        assert!(!said.stdout.contains("FAIL"), "{repair}: {}", said.stdout);
    }
    phone.settle(5);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "it is a right code");
}

#[test]
fn whatever_lets_somebody_in_unasked_is_found_and_named() {
    let (sandbox, _) = host();
    for (check, text, script) in [
        ("pam", "tests: line 1: a refusal there", "sed -i '1s/required/sufficient/' /etc/pam.d/tests"),
        ("pam", "tests: line 1: a refusal there", "sed -i '1s/^/-/' /etc/pam.d/tests"),
        (
            "pam",
            "sudo: line 7 of /etc/pam.d/sudo: a password alone lets in",
            "sed -i '/pam_unix/s/requisite/sufficient/' /etc/pam.d/sudo",
        ),
        ("pam", "sudo: nobody is asked", "sed -i '/^auth .*qrtotp/s/^auth/account/' /etc/pam.d/sudo"),
        ("pam", "sudo: /etc/pam.d/sudo is not root's alone", "chmod 666 /etc/pam.d/sudo"),
        ("pam", "sudo: /etc/pam.d is not root's alone", "chmod 777 /etc/pam.d"),
        (
            "pam",
            "sudo: /home/alice is not root's alone",
            "mkdir -p /home/alice; chown alice /home/alice; mv /etc/pam.d/sudo /home/alice; ln -s /home/alice/sudo /etc/pam.d",
        ),
        ("pam", "sudo: /etc/pam.d/sudo is no file", "ln -sf /nowhere /etc/pam.d/sudo"),
        ("pam", "sshd: /etc/pam.d/sshd is no file", "rm /etc/pam.d/sshd; mkfifo /etc/pam.d/sshd"),
        ("sshd", "UsePAM no", &format!("sed -i 's/UsePAM yes/UsePAM no/' {SNIPPET}")),
        ("sshd", "a key alone lets in", &format!("sed -i '/^AuthenticationMethods/d' {SNIPPET}")),
        (
            "sshd",
            "publickey lets in without a code",
            &format!("sed -i 's/^AuthenticationMethods .*/& publickey/' {SNIPPET}"),
        ),
        (
            "sshd",
            "a code alone lets in",
            &format!(
                "sed -i 's/^AuthenticationMethods .*/AuthenticationMethods keyboard-interactive/' {SNIPPET}"
            ),
        ),
    ] {
        shell(&sandbox, "rm -rf /root/before; mkdir /root/before; cp -pr /etc/pam.d /etc/ssh /root/before");
        shell(&sandbox, script);
        let said = doctor(&sandbox).exited(1);
        assert!(has_line(&said, "FAIL", check, text), "{script}: {}", said.stdout);
        shell(
            &sandbox,
            "rm -f /etc/pam.d/sshd /etc/pam.d/sudo; cp -pr /root/before/pam.d /root/before/ssh /etc",
        );
        doctor(&sandbox).exited(0);
    }
}

#[test]
fn a_dead_broker_fails_and_a_silent_log_warns_and_so_does_an_sshd_that_refuses_its_configuration() {
    let (sandbox, _) = host();
    assert!(has_line(&doctor(&sandbox).exited(0), "OK", "broker", "is off"));
    sandbox.start_broker().kill();
    let said = doctor(&sandbox).exited(1);
    assert!(has_line(&said, "FAIL", "broker", "systemctl enable --now qrtotpd.socket"), "{}", said.stdout);
    shell(&sandbox, "rm /run/qrtotp/socket; mv /dev/log /dev/log.away; echo nonsense >>/etc/ssh/sshd_config");
    let said = doctor(&sandbox).exited(0);
    assert!(has_line(&said, "WARN", "log", "nothing of them is logged"), "{}", said.stdout);
    assert!(has_line(&said, "WARN", "sshd", "would not start"), "{}", said.stdout);
    assert!(has_line(&said, "WARN", "sshd", "/etc/ssh/sshd_config"), "{}", said.stdout);
    assert!(has_line(&said, "WARN", "sshd", "nonsense"), "{}", said.stdout);
    assert!(said.stdout.lines().last().is_some_and(|line| line.starts_with("No failure. ")));
    shell(&sandbox, "mv /dev/log.away /dev/log");
}

#[test]
fn an_sshd_that_was_never_started_is_left_out_not_taken_for_one_that_refuses_its_configuration() {
    let (sandbox, _) = host();
    shell(&sandbox, "rmdir /run/sshd");
    let said = doctor(&sandbox).exited(0);
    assert!(has_line(&said, "SKIP", "sshd", "/run/sshd"), "{}", said.stdout);
    assert!(said.stdout.contains("systemctl start ssh"), "{}", said.stdout);
}

#[test]
fn who_is_not_root_sees_what_they_may_and_no_name() {
    let (sandbox, _) = host();
    let said = sandbox.run_as("alice", &["qrtotp", "doctor"]).exited(0);
    for check in ["store", "sshd"] {
        assert!(has_line(&said, "SKIP", check, "root"), "{check}: {}", said.stdout);
    }
    assert!(has_line(&said, "OK", "pam", "sudo: asks for a code"), "{}", said.stdout);
    assert!(!said.stdout.contains("alice"), "{}", said.stdout);
    shell(&sandbox, "chmod 600 /etc/qrtotp/qrtotp.toml.applied /etc/pam.d/sudo");
    let said = sandbox.run_as("alice", &["qrtotp", "doctor"]).exited(0);
    assert!(has_line(&said, "SKIP", "configuration", "only root may read it"), "{}", said.stdout);
    assert!(has_line(&said, "SKIP", "pam", "sudo: can't be read"), "{}", said.stdout);
}

/// strace that has adjtimex(3), which calls clock_adjtime(2), return `state` and give a `timex` of zeros but for its `status`,
/// whatever the machine's clock is.
fn kernel_says(state: u8, status: u8) -> [String; 7] {
    // `status` is an int behind 40 bytes, where a long has 64 bits (adjtimex(2)).
    let timex = "00".repeat(40) + &format!("{status:02x}000000");
    let inject = format!("inject=clock_adjtime:retval={state}:poke_exit=@arg2={timex}");
    ["strace", "-f", "-o", TRACE, "-e", "trace=clock_adjtime", &format!("-e{inject}")].map(str::to_owned)
}

const TRACE: &str = "/root/adjtimex";

#[test]
fn a_clock_that_nothing_keeps_right_is_told_by_the_doctor_and_beside_refused_codes_and_a_right_one_is_not() {
    const TIME_OK: u8 = 0;
    const TIME_ERROR: u8 = 5;
    const STA_PLL: u8 = 0x01;
    const STA_UNSYNC: u8 = 0x40;
    let (sandbox, phone) = host();
    for (state, status, right) in
        [(TIME_OK, STA_PLL, true), (TIME_ERROR, STA_PLL, false), (TIME_OK, STA_UNSYNC, false)]
    {
        let strace = kernel_says(state, status);
        let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
        let said = sandbox.run(&[&strace[..], &["qrtotp", "doctor"]].concat());
        assert!(sandbox.read(TRACE).contains("INJECTED"), "the doctor does not ask the kernel: {said:?}");
        assert_eq!(has_line(&said, "OK", "clock", "off by at most 0 ms"), right, "{said:?}");
        assert_eq!(has_line(&said, "WARN", "clock", "nothing keeps it right"), !right, "{said:?}");

        let seen = sandbox.log.lines().len();
        let login = |code: &str| sandbox.login("alice").answer(code).under(&strace).run().authenticate();
        assert_ne!(login(&phone.wrong_code()), PAM_SUCCESS);
        let line = sandbox.log.wait_after(seen, &["event=login result=denied reason=wrong_code"]);
        assert_eq!(line.contains("detail=\"nothing keeps this host's clock right"), !right, "{line}");
    }
    let strace = kernel_says(TIME_ERROR, STA_UNSYNC);
    let strace: Vec<&str> = strace.iter().map(String::as_str).collect();
    assert_eq!(sandbox.login("alice").answer(&phone.code()).under(&strace).run().authenticate(), PAM_SUCCESS);
    let line = sandbox.log.wait(&["event=login result=accepted"]);
    assert!(!line.contains("detail="), "an accepted login does no more than it must: {line}");
}
