//! The shipped files of conf/: the right users get in, no others, and no user when the module panics.

use qrtotp_tests::{
    Phone, Pty, Sandbox, artefacts,
    broker::ENROLS,
    shipped::{Attempt, INSIDE, Knowledge},
    sshd::Sshd,
    users::PASSWORD,
};

/// A host with one shipped stack, and a user to go through it.
struct Gate {
    sandbox: Sandbox,
    phone: Phone,
    _sshd: Option<Sshd>,
    knock: fn(&Sandbox) -> Pty,
}

impl Gate {
    /// `conf/pam.d/STACK` as the file of `service`.
    fn of_stack(stack: &str, service: &str, knock: fn(&Sandbox) -> Pty) -> Self {
        let mut gate = Self::new(knock);
        gate.sandbox.ship(&format!("pam.d/{stack}"), &format!("/etc/pam.d/{service}"));
        gate.sandbox.proves_passwords();
        if service == "sshd" {
            gate.sandbox.ship_sshd_config(stack.contains("key"));
            gate._sshd = Some(gate.sandbox.start_debians_sshd());
        }
        gate
    }

    fn new(knock: fn(&Sandbox) -> Pty) -> Self {
        let sandbox = Sandbox::new();
        sandbox.ship("qrtotp.toml", "/etc/qrtotp/qrtotp.toml");
        sandbox.apply_configuration().success();
        sandbox.add_user("alice");
        sandbox.add_user("bobby");
        sandbox.authorize_key("alice");
        let phone = sandbox.import("alice");
        Self { sandbox, phone, _sshd: None, knock }
    }

    fn attempt(&self, password: &str, code: &str) -> Attempt {
        self.sandbox.keep_secret(code);
        (self.knock)(&self.sandbox).answer(Knowledge { password, code })
    }

    /// Neither a right code nor a right password is enough alone.
    fn opens_to_password_and_code_only(&self) {
        let wrong_password = self.attempt("not the password", &self.phone.previous_code());
        assert!(!wrong_password.inside, "{wrong_password:?}");
        self.opens_to_a_right_code_only();
    }

    fn opens_to_a_right_code_only(&self) {
        let wrong_code = self.attempt(PASSWORD, &self.phone.wrong_code());
        assert!(!wrong_code.inside, "{wrong_code:?}");
        let _ = self.sandbox.log.wait(&["event=login result=denied reason=wrong_code user=alice"]);
        let code = self.phone.code();
        let right = self.attempt(PASSWORD, &code);
        assert!(right.inside, "{right:?}");
        let again = self.attempt(PASSWORD, &code);
        assert!(!again.inside, "a code worked twice: {again:?}");
    }

    /// The module panics at each of its readings of the clock in turn: before the question, after the right
    /// answer, while it holds the account's lock. No user gets in, and when it no longer panics the right
    /// code works.
    fn stays_closed_when_the_module_panics(&self) {
        let library = artefacts::compile("broken_clock.c", "broken_clock.so", &["-shared", "-fPIC", "-ldl"]);
        self.sandbox.install(&library, "/usr/local/bin/broken_clock.so", 0o755);
        self.sandbox.overwrite("/etc/ld.so.preload", "/usr/local/bin/broken_clock.so\n");
        let panics = || self.sandbox.log.events().iter().filter(|event| event.starts_with(PANIC)).count();
        for reading in 1.. {
            self.sandbox.overwrite("/run/broken_clock", &reading.to_string());
            let (before, lines) = (panics(), self.sandbox.log.lines().len());
            let attempt = self.attempt(PASSWORD, &self.phone.code());
            let result = if attempt.inside { "accepted" } else { "denied reason=internal_error" };
            // The last line of an attempt; a panic is logged before it.
            let login = format!("event=login result={result}");
            let _ = self.sandbox.log.wait_after(lines, &[&login, "user=alice"]);
            if attempt.inside {
                assert_eq!(panics(), before, "let in by a panic at reading {reading}: {attempt:?}");
                assert!(reading > 3, "the module panicked at {} places only", reading - 1);
                return;
            }
            assert!(panics() > before, "denied at reading {reading}, but not by a panic: {attempt:?}");
            assert!(!attempt.shown.contains("panick"), "{attempt:?}");
        }
    }
}

const PANIC: &str = "event=internal_error reason=panic";

fn ssh(sandbox: &Sandbox) -> Pty {
    sandbox.ssh("alice", "echo logged in")
}

fn ssh_with_key(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_with("alice", &[], "echo logged in")
}

fn sudo(sandbox: &Sandbox) -> Pty {
    sandbox.pty(Some("alice"), &["sudo", "echo", INSIDE])
}

fn su(sandbox: &Sandbox) -> Pty {
    sandbox.pty(Some("bobby"), &["su", "alice", "-c", "echo logged in"])
}

fn password_and_code() -> Gate {
    Gate::of_stack("sshd-password-and-code", "sshd", ssh)
}

fn key_and_code() -> Gate {
    Gate::of_stack("sshd-key-and-code", "sshd", ssh_with_key)
}

fn forward_pass() -> Gate {
    Gate::of_stack("forward-pass", "sshd", ssh)
}

fn profile() -> Gate {
    let gate = Gate::new(sudo);
    gate.sandbox.ship("pam-configs/qrtotp", "/usr/share/pam-configs/qrtotp");
    let update = |argument: &[&str]| {
        gate.sandbox
            .run(&[&["env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update"], argument].concat())
            .success();
        gate.sandbox.read("/etc/pam.d/common-auth")
    };
    assert!(!update(&["--package"]).contains("pam_qrtotp"), "installing the package must not switch it on");
    let on = update(&["--enable", "qrtotp"]);
    assert!(on.lines().any(|line| line.split_whitespace().eq(["auth", "required", "pam_qrtotp.so"])), "{on}");
    gate
}

#[test]
fn the_stack_for_password_and_code_lets_in_with_both_and_asks_no_code_after_a_wrong_password() {
    let gate = password_and_code();
    gate.opens_to_password_and_code_only();
    assert!(!gate.attempt("not the password", "000000").asked_for_code);
}

#[test]
fn the_snippet_for_sshd_leaves_no_way_around_the_code() {
    let gate = password_and_code();
    for options in [&["PreferredAuthentications=password"][..], &["PreferredAuthentications=publickey"]] {
        let attempt = gate.sandbox.ssh_with("alice", options, "echo logged in");
        let attempt = attempt.answer(Knowledge { password: PASSWORD, code: &gate.phone.code() });
        assert!(!attempt.inside && !attempt.shown.contains("assword:"), "{attempt:?}");
    }
}

#[test]
fn the_stack_for_key_and_code_lets_in_with_both_only() {
    let gate = key_and_code();
    let without_key = ssh(&gate.sandbox);
    let without_key = without_key.answer(Knowledge { password: PASSWORD, code: &gate.phone.previous_code() });
    assert!(!without_key.inside && !without_key.asked_for_code, "{without_key:?}");
    gate.opens_to_a_right_code_only();
}

#[test]
fn the_stack_for_both_in_one_field_lets_in_with_both_only() {
    forward_pass().opens_to_password_and_code_only();
}

#[test]
fn the_stack_for_sudo_lets_in_with_password_and_code_only() {
    Gate::of_stack("sudo-code", "sudo", sudo).opens_to_password_and_code_only();
}

#[test]
fn the_stack_for_su_lets_in_with_password_and_code_only_and_root_unasked() {
    let gate = Gate::of_stack("su-code", "su", su);
    gate.opens_to_password_and_code_only();
    let root = gate.sandbox.run(&["su", "alice", "-c", "echo logged in"]).success();
    assert!(root.stdout.contains(INSIDE));
}

#[test]
fn the_profile_is_off_until_chosen_and_then_lets_in_with_password_and_code_only() {
    profile().opens_to_password_and_code_only();
}

#[test]
fn the_profile_goes_without_a_trace() {
    // A sandbox starts with the machine's files.
    let before = std::fs::read_to_string("/etc/pam.d/common-auth").unwrap();
    let gate = profile();
    gate.sandbox.run(&["pam-auth-update", "--package", "--remove", "qrtotp"]).success();
    assert_eq!(gate.sandbox.read("/etc/pam.d/common-auth"), before);
}

#[test]
fn a_panicking_module_denies_under_the_stack_for_password_and_code() {
    password_and_code().stays_closed_when_the_module_panics();
}

#[test]
fn a_panicking_module_denies_under_the_stack_for_key_and_code() {
    key_and_code().stays_closed_when_the_module_panics();
}

#[test]
fn a_panicking_module_denies_under_the_stack_for_both_in_one_field() {
    forward_pass().stays_closed_when_the_module_panics();
}

#[test]
fn a_panicking_module_denies_under_the_stack_for_sudo() {
    Gate::of_stack("sudo-code", "sudo", sudo).stays_closed_when_the_module_panics();
}

#[test]
fn a_panicking_module_denies_under_the_stack_for_su() {
    Gate::of_stack("su-code", "su", su).stays_closed_when_the_module_panics();
}

#[test]
fn a_panicking_module_denies_under_the_profile() {
    profile().stays_closed_when_the_module_panics();
}

#[test]
fn the_brokers_service_enrols_by_the_right_password_of_an_account_that_may_log_in() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let shipped = artefacts::sources().join("../conf/pam.d/qrtotp");
    assert_eq!(sandbox.read("/etc/pam.d/qrtotp"), std::fs::read_to_string(shipped).unwrap());
    let _broker = sandbox.start_broker();
    let answered = |password: &str| {
        let mut pty = sandbox.own("alice", &["enroll"]);
        pty.expect("assword: ");
        pty.send(password);
        pty
    };
    let wrong = answered("wrong horse").failure();
    assert!(wrong.contains("needs your password") && !wrong.contains("Key: "), "{wrong}");
    sandbox.run(&["chage", "-E", "0", "alice"]).success();
    assert_eq!(answered(PASSWORD).failure(), wrong, "an expired account");
    sandbox.run(&["chage", "-E", "-1", "alice"]).success();
    let mut pty = answered(PASSWORD);
    let phone = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &phone);
}

#[test]
fn the_service_that_proves_passwords_needs_no_change_beside_the_profile() {
    let sandbox = Sandbox::with_broker(ENROLS);
    sandbox.ship("pam-configs/qrtotp", "/usr/share/pam-configs/qrtotp");
    let update = ["env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update", "--enable", "qrtotp"];
    sandbox.run(&update).success();
    let _broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let phone = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &phone);
}

#[test]
fn every_stack_that_is_shipped_is_tested_here() {
    let mut names: Vec<String> = std::fs::read_dir(artefacts::sources().join("../conf/pam.d"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != "qrtotp"); // no program logs in through it
    // one-field: services.rs
    names.sort();
    assert_eq!(
        names,
        ["forward-pass", "one-field", "sshd-key-and-code", "sshd-password-and-code", "su-code", "sudo-code"]
    );
}
