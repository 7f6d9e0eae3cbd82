//! `qrtotp doctor`: silent on a host that is set up as documented, and loud about each deviation.

use qrtotp_tests::{Output, Phone, Sandbox, host::PAM_SUCCESS, users::PASSWORD};

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
    sandbox.ship("pam.d/sudo-code", "/etc/pam.d/sudo-i");
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

/// Whether a finding of this severity and id holds the text, in its title, reason or remedy.
fn has(output: &Output, severity: &str, id: &str, text: &str) -> bool {
    let findings = output.stdout.split("\n").fold(Vec::<String>::new(), |mut all, line| {
        match all.last_mut().filter(|_| line.starts_with("      ")) {
            Some(last) => last.push_str(line),
            None => all.push(line.to_owned()),
        }
        all
    });
    let begins = format!("{severity:<4}  ");
    findings
        .iter()
        .any(|one| one.starts_with(&begins) && one.contains(&format!("[{id}]")) && one.contains(text))
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
    for (id, text) in [
        ("configuration", "/etc/qrtotp/qrtotp.toml: can be used"),
        ("store", "/var/lib/qrtotp: it and its key are there"),
        ("records", "1, and every one can be read"),
        ("accounts", "enrolled 1, un-enrolled 0, revoked 0; devices 1"),
        ("disk", "MiB and"),
        ("asks-for-code", "sshd, su, su-l, sudo, sudo-i: asks for a code"),
        ("module", "/pam_qrtotp.so: is there, ours, and root's alone"),
        ("proof-service", "proves passwords"),
        ("sshd", "AuthenticationMethods publickey,keyboard-interactive"),
        ("broker", "/run/qrtotp/socket: answers"),
        ("log", "/dev/log"),
    ] {
        assert!(has(&said, "OK", id, text), "{id} {text}: {}", said.stdout);
    }
    // The service of these tests asks only for a code.
    let problems: Vec<_> = said.stdout.lines().skip(1).filter(|line| line.starts_with("WARN")).collect();
    let known = ["[clock]", "tests: a correct code alone lets in"];
    assert!(problems.iter().all(|line| known.iter().any(|text| line.contains(text))), "{problems:?}");
    assert!(!said.stdout.contains(&phone.key));
}

#[test]
fn right_after_the_installation_nothing_is_called_denied() {
    let sandbox = Sandbox::new();
    shell(&sandbox, "rm -r /etc/qrtotp/qrtotp.toml.applied*");
    let said = doctor(&sandbox).exited(0);
    assert!(has(&said, "WARN", "not-in-use", "nobody is asked for a code"), "{}", said.stdout);
    assert!(has(&said, "WARN", "configuration", "never applied"), "{}", said.stdout);
    assert!(!said.stdout.contains("denied"), "{}", said.stdout);
}

#[test]
fn with_enrolment_at_login_the_shipped_stacks_are_fine_and_a_service_that_is_not_listed_is_named() {
    let (sandbox, _) = host();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.pam("tests", "auth required pam_unix.so\nauth required pam_qrtotp.so\n");
    let said = doctor(&sandbox).exited(0);
    let enrols = "sshd, su, su-l, sudo, sudo-i: asks for a code, and people enrol there";
    assert!(has(&said, "OK", "asks-for-code", enrols), "{}", said.stdout);
    assert!(has(&said, "OK", "proof-service", "proves passwords for enrolments"), "{}", said.stdout);
    assert!(has(&said, "INFO", "no-enrolment-there", "tests: asks for a code"), "{}", said.stdout);
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
        assert!(has(&said, "FAIL", "proof-service", finding), "{}", said.stdout);
    }
    shell(&sandbox, "rm /etc/pam.d/qrtotp");
    let said = doctor(&sandbox).exited(1);
    assert!(has(&said, "FAIL", "proof-service-missing", "no password can be proven"), "{}", said.stdout);
}

#[test]
fn whatever_denies_a_right_code_is_found_and_named() {
    let (sandbox, phone) = host();
    let module = format!("{}/pam_qrtotp.so", sandbox.security_directory());
    for (id, text, script, repair) in [
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
            "record-damaged",
            "alice",
            "cp -p /var/lib/qrtotp/accounts/alice/account.toml /root; echo x >>/var/lib/qrtotp/accounts/alice/account.toml",
            "cp -p /root/account.toml /var/lib/qrtotp/accounts/alice/account.toml",
        ),
        ("records", "of 1, 1 can't be read", "rm /var/lib/qrtotp/accounts/alice/state", ""),
        (
            "disk-read-only",
            "read-only",
            "mount -o remount,ro /var/lib/qrtotp",
            "mount -o remount,rw /var/lib/qrtotp",
        ),
        (
            "arguments",
            "tests: line 1 of /etc/pam.d/tests: every login there is denied",
            "sed -i '1s/$/ nullOK/' /etc/pam.d/tests",
            "sed -i '1s/ nullOK//' /etc/pam.d/tests",
        ),
        (
            "module-missing",
            "is not there",
            &format!("mv {module} /root"),
            &format!("mv /root/pam_qrtotp.so {module}"),
        ),
        (
            "module-unusable",
            "is cut off",
            &format!("cp {module} /root; truncate -s 40 {module}"),
            &format!("cp /root/pam_qrtotp.so {module}"),
        ),
        (
            "nobody-gets-in",
            "pam_qrtopt.so is not there",
            "sed -i '1s/qrtotp/qrtopt/' /etc/pam.d/tests",
            "sed -i '1s/qrtopt/qrtotp/' /etc/pam.d/tests",
        ),
        (
            "arguments",
            "unknown argument",
            "sed -i 's/$/\\r/' /etc/pam.d/tests",
            "sed -i 's/\\r$//' /etc/pam.d/tests",
        ),
    ] {
        let state = "/var/lib/qrtotp/accounts/alice/state";
        if repair.is_empty() {
            shell(&sandbox, &format!("cp -p {state} /root"));
        }
        shell(&sandbox, script);
        let said = doctor(&sandbox).exited(1);
        assert!(has(&said, "FAIL", id, text), "{script}: {}", said.stdout);
        assert_ne!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "{script}");
        shell(
            &sandbox,
            if repair.is_empty() { "cp -p /root/state /var/lib/qrtotp/accounts/alice" } else { repair },
        );
        let said = doctor(&sandbox).exited(0);
        assert!(!said.stdout.contains("FAIL  "), "{repair}: {}", said.stdout);
    }
    phone.wait_for_seconds_left(5);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS, "it is a right code");
}

#[test]
fn whatever_lets_somebody_in_unasked_is_found_and_named() {
    let (sandbox, _) = host();
    let security = sandbox.security_directory();
    let methods =
        |list: &str| format!("sed -i 's/^AuthenticationMethods .*/AuthenticationMethods {list}/' {SNIPPET}");
    for (id, text, script) in [
        (
            "code-not-needed",
            "tests: anyone gets in, even with a wrong password: line 1 of /etc/pam.d/tests forgets a wrong code",
            "sed -i '1s/required/sufficient/' /etc/pam.d/tests",
        ),
        (
            "code-not-needed",
            "sudo: the code is not needed: line 7 of /etc/pam.d/sudo (sufficient pam_unix.so)",
            "sed -i '/pam_unix/s/requisite/sufficient/' /etc/pam.d/sudo",
        ),
        ("password-not-needed", "sudo: a correct code alone", "sed -i '/^auth.*pam_unix/d' /etc/pam.d/sudo"),
        ("sibling-not-covered", "`sudo -i` does not", "echo '@include common-auth' >/etc/pam.d/sudo-i"),
        (
            "nobody-asked",
            "sudo: nobody is asked",
            "sed -i '/^auth .*qrtotp/s/^auth/account/' /etc/pam.d/sudo",
        ),
        (
            "module-not-ours",
            "another module",
            &format!("cp {security}/pam_permit.so {security}/pam_qrtotp.so"),
        ),
        ("pam-file-writable", "sudo: /etc/pam.d/sudo is not root's alone", "chmod 666 /etc/pam.d/sudo"),
        (
            "pam-file-writable",
            "sudo, sudo-i, tests, qrtotp: /etc/pam.d is not root's alone",
            "chmod 777 /etc/pam.d",
        ),
        (
            "pam-file-writable",
            "qrtotp: /etc/pam.d/own is not root's alone",
            "echo 'auth required pam_unix.so' >/etc/pam.d/own; sed -i 's/^@include common-auth/@include own/' /etc/pam.d/qrtotp; \
             chmod 666 /etc/pam.d/own",
        ),
        (
            "pam-file-writable",
            "sudo: /home/alice is not root's alone",
            "mkdir -p /home/alice; chown alice /home/alice; mv /etc/pam.d/sudo /home/alice; ln -s /home/alice/sudo /etc/pam.d",
        ),
        ("pam-file-odd", "sudo: /etc/pam.d/sudo is no file", "ln -sf /nowhere /etc/pam.d/sudo"),
        ("pam-file-odd", "sshd: /etc/pam.d/sshd is no file", "rm /etc/pam.d/sshd; mkfifo /etc/pam.d/sshd"),
        ("sshd-no-pam", "UsePAM no", &format!("sed -i 's/UsePAM yes/UsePAM no/' {SNIPPET}")),
        ("sshd-key-alone", "a key alone lets in", &format!("sed -i '/^AuthenticationMethods/d' {SNIPPET}")),
        (
            "sshd-without-code",
            "publickey lets in without a code",
            &methods("publickey,keyboard-interactive publickey"),
        ),
        ("password-not-needed", "sshd: a correct code alone", &methods("keyboard-interactive")),
        (
            "sshd-without-code",
            "sshd (user svc-x from 10.20.0.0): AuthenticationMethods: publickey lets in without a code",
            "printf 'Match User svc-* Address 10.20.0.0/24\\nAuthenticationMethods publickey\\n' >/etc/ssh/sshd_config.d/50-x.conf",
        ),
    ] {
        let before = format!(
            "rm -rf /root/before; mkdir /root/before; cp -pr /etc/pam.d /etc/ssh {security}/pam_qrtotp.so /root/before"
        );
        shell(&sandbox, &before);
        shell(&sandbox, script);
        let said = doctor(&sandbox).exited(1);
        assert!(has(&said, "FAIL", id, text), "{script}: {}", said.stdout);
        let repair = "rm -f /etc/pam.d/sshd /etc/pam.d/sudo /etc/ssh/sshd_config.d/50-x.conf; cp -pr /root/before/pam.d /root/before/ssh /etc";
        shell(&sandbox, &format!("{repair}; cp -p /root/before/pam_qrtotp.so {security}"));
        doctor(&sandbox).exited(0);
    }
}

#[test]
fn a_match_block_that_a_rule_means_is_fine_and_an_sshd_that_did_not_read_its_files_is_not() {
    let (sandbox, _) = host();
    let recipe = qrtotp_tests::recipes::Recipe::of("sshd: accounts for SFTP, rsync, Ansible and CI");
    sandbox.configure(&recipe.block("/etc/qrtotp/qrtotp.toml"));
    let block = recipe.block("/etc/ssh/sshd_config.d/50-automation.conf");
    sandbox.overwrite("/etc/ssh/sshd_config.d/50-automation.conf", &block);
    let said = doctor(&sandbox).exited(0);
    assert!(
        has(&said, "INFO", "sshd-exempt", "sshd (user svc-x from 10.20.0.0): rule automation"),
        "{}",
        said.stdout
    );
    shell(&sandbox, "/usr/sbin/sshd; while ! [ -e /run/sshd.pid ]; do :; done");
    assert!(!has(&doctor(&sandbox).exited(0), "FAIL", "sshd-not-reloaded", ""));
    shell(&sandbox, &format!("sleep 0.1; touch {SNIPPET}"));
    let said = doctor(&sandbox).exited(1);
    assert!(has(&said, "FAIL", "sshd-not-reloaded", SNIPPET), "{}", said.stdout);
    shell(
        &sandbox,
        "pid=$(cat /run/sshd.pid); kill -HUP $pid; while ! [ /run/sshd.pid -nt /etc/ssh/sshd_config.d/00-qrtotp.conf ]; do sleep 0.05; done",
    );
    doctor(&sandbox).exited(0);
    shell(&sandbox, "kill $(cat /run/sshd.pid)");
}

#[test]
fn who_can_log_in_without_a_device_is_named_those_who_become_root_first() {
    let (sandbox, _) = host();
    sandbox.add_user("bob");
    sandbox.add_user("carl");
    shell(&sandbox, "sed -i /^carl/d /etc/sudoers.d/tests");
    let said = doctor(&sandbox).exited(0);
    assert!(
        has(&said, "WARN", "admins-without-device", "can become root and have no device: bob"),
        "{}",
        said.stdout
    );
    assert!(
        has(&said, "WARN", "accounts-without-device", "can log in and have no device: carl"),
        "{}",
        said.stdout
    );
    assert!(!sandbox.run(&["qrtotp", "doctor", "--problems"]).stdout.contains("OK  "));
}

#[test]
fn a_dead_broker_fails_and_a_silent_log_warns_and_so_does_an_sshd_that_refuses_its_configuration() {
    let (sandbox, _) = host();
    assert!(has(&doctor(&sandbox).exited(0), "OK", "broker", "is off"));
    sandbox.start_broker().kill();
    let said = doctor(&sandbox).exited(1);
    assert!(has(&said, "FAIL", "broker", "systemctl enable --now qrtotpd.socket"), "{}", said.stdout);
    shell(&sandbox, "rm /run/qrtotp/socket; mv /dev/log /dev/log.away; echo nonsense >>/etc/ssh/sshd_config");
    let said = doctor(&sandbox).exited(1);
    assert!(has(&said, "WARN", "log", "nothing of them is logged"), "{}", said.stdout);
    for text in ["can't start as it is configured", "/etc/ssh/sshd_config", "nonsense"] {
        assert!(has(&said, "FAIL", "sshd-cannot-start", text), "{}", said.stdout);
    }
    assert!(said.stdout.starts_with("FAIL: 1 failure, "), "{}", said.stdout);
    shell(&sandbox, "mv /dev/log.away /dev/log");
}

#[test]
fn an_sshd_that_was_never_started_is_left_out_not_taken_for_one_that_refuses_its_configuration() {
    let (sandbox, _) = host();
    shell(&sandbox, "rmdir /run/sshd");
    let said = doctor(&sandbox).exited(0);
    assert!(has(&said, "WARN", "sshd-unknown", "/run/sshd"), "{}", said.stdout);
    assert!(said.stdout.contains("systemctl start ssh"), "{}", said.stdout);
}

#[test]
fn who_is_not_root_sees_what_they_may_and_no_name() {
    let (sandbox, _) = host();
    let said = sandbox.run_as("alice", &["qrtotp", "doctor"]).exited(0);
    for id in ["store-unknown", "sshd-unknown"] {
        assert!(has(&said, "WARN", id, "root"), "{id}: {}", said.stdout);
    }
    assert!(has(&said, "OK", "asks-for-code", "sudo, sudo-i: asks for a code"), "{}", said.stdout);
    assert!(!said.stdout.contains("alice"), "{}", said.stdout);
    shell(&sandbox, "chmod 600 /etc/qrtotp/qrtotp.toml.applied /etc/pam.d/sudo");
    let said = sandbox.run_as("alice", &["qrtotp", "doctor"]).exited(0);
    assert!(has(&said, "WARN", "configuration-unknown", "only root may read it"), "{}", said.stdout);
    assert!(has(&said, "WARN", "pam-file-unread", "sudo: its PAM file can't be read"), "{}", said.stdout);
}

/// strace that makes adjtimex(3), which calls clock_adjtime(2), return `state` and a zeroed `timex` with this
/// `status`, independent of the machine's clock.
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
        assert_eq!(has(&said, "OK", "clock", "off by at most 0 ms"), right, "{said:?}");
        assert_eq!(has(&said, "WARN", "clock", "nothing keeps it right"), !right, "{said:?}");

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

/// Whether pam_authenticate accepts a new user with a right or wrong password and code.
fn lets_in(sandbox: &Sandbox, user: &str, password: bool, code: bool) -> bool {
    sandbox.add_user(user);
    let phone = sandbox.import(user);
    let password = if password { PASSWORD } else { "not the password" };
    let code = if code { phone.code() } else { phone.wrong_code() };
    sandbox.keep_secret(&code);
    let login = sandbox.login(user).answer(password).answer(&code).answer(&code);
    login.run().authenticate() == PAM_SUCCESS
}

#[test]
fn what_the_doctor_says_of_a_stack_is_what_libpam_does() {
    let (sandbox, _) = host();
    let (unix, ours) = ("pam_unix.so nodelay", "auth required pam_qrtotp.so");
    for (row, (auth, id)) in [
        (format!("auth requisite {unix}\n{ours}"), ""),
        (format!("auth requisite {unix}\nauth [success=1 default=ignore] pam_qrtotp.so\nauth requisite pam_deny.so\nauth required pam_permit.so"), ""),
        (format!("auth required {unix}\nauth sufficient pam_qrtotp.so\nauth required pam_deny.so"), ""),
        (format!("auth requisite {unix}\n-auth [success=ok default=die] pam_qrtotp.so"), ""),
        (format!("auth substack unix\n{ours}"), ""),
        (format!("auth requisite {unix}\nauth optional pam_qrtotp.so"), "code-not-needed"),
        (format!("auth [success=1 default=die] {unix}\n{ours}\nauth required pam_permit.so"), "code-not-needed"),
        (format!("auth required {unix}\nauth sufficient pam_faillock.so authsucc\n{ours}"), "code-not-needed"),
        (format!("auth required {unix}\nauth [default=1] pam_env.so\n{ours}\nauth required pam_permit.so"), "code-not-needed"),
        (format!("auth optional {unix}\n{ours}"), "password-not-needed"),
        (format!("auth [success=ok default=ignore] {unix}\n{ours}"), "password-not-needed"),
        (format!("auth include unix\n{ours}\nauth required pam_permit.so"), "code-not-needed"),
        (format!("auth requisite {unix}\n{ours}\n{ours}"), "asked-twice"),
        (format!("auth requisite {unix}\n{ours}\nauth required pam_deny.so"), "nobody-gets-in"),
        (format!("auth [success=1 default=bad] {unix}\n{ours}"), "nobody-gets-in"),
        (format!("auth requisite {unix}\nauth [SUCCESS=ok default=die] pam_qrtotp.so"), "nobody-gets-in"),
        (format!("auth requisite {unix}\n{ours}\nauth include nowhere"), "nobody-gets-in"),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.pam("unix", &format!("auth sufficient {unix}\nauth required pam_deny.so\n"));
        sandbox.pam("tests", &format!("{auth}\n@include common-account\nsession required pam_permit.so\n"));
        let said = doctor(&sandbox);
        let named = said.stdout.lines().any(|line| line.starts_with("FAIL  tests: ") && line.contains(&format!("[{id}]")));
        assert_eq!(named, !id.is_empty(), "{auth}: {}", said.stdout);
        let tried = |name: &str, password, code| lets_in(&sandbox, &format!("{name}{row}"), password, code);
        let found = (tried("c", true, false), tried("p", false, true), tried("b", true, true));
        let expected = match id {
            "code-not-needed" => (true, false, true),
            "password-not-needed" => (false, true, true),
            "" => (false, false, true),
            _ => (false, false, false),
        };
        assert_eq!(found, expected, "{auth}: without a code, without the password, with both");
    }
}
