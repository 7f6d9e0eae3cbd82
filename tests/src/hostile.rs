//! Logins in applications in a broken state (tests/c/hostile_host.c): the violations with our module, or with
//! one that is known to break (tests/c/naive_module.c).

use std::time::{Duration, Instant};

use crate::{
    Output, Phone, Sandbox, artefacts, figures,
    host::{PAM_SUCCESS, value},
};

/// The time within which every login is decided.
const DEADLINE: Duration = Duration::from_secs(12);

/// Signals by which a module's mistakes end an application.
const SIGNALS: [(i32, &str); 7] = [
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    Ours,
    Naive,
}

/// The expected result of a right code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Accepted.
    Accepted,
    /// Denied now, accepted later.
    Kept,
    /// Denied now and later: it is unknown what the disk has kept.
    Burnt,
    /// Accepted now or later.
    Decided,
}

/// A private host with one of the modules, for alice and bobby.
pub struct Stage {
    pub sandbox: Sandbox,
    pub module: Module,
}

/// The results of some logins.
#[derive(Debug, Default)]
pub struct Seen {
    pub accepted: u32,
    pub denied: u32,
    /// Violations.
    pub wrong: Vec<String>,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.denied += other.denied;
        self.wrong.extend(other.wrong);
    }

    fn count(&mut self, accepted: bool) {
        if accepted {
            self.accepted += 1;
        } else {
            self.denied += 1;
        }
    }

    /// Notes a violation unless `holds`.
    pub fn expect(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }
}

impl Stage {
    #[must_use]
    pub fn new(module: Module) -> Self {
        let sandbox = Sandbox::new();
        sandbox.configure("[throttle]\nfree_failures = 20\n");
        sandbox.stack("");
        sandbox.add_user("alice");
        sandbox.add_user("bobby");
        sandbox.make_store();
        if module == Module::Naive {
            let flags = ["-shared", "-fPIC", "-D_FORTIFY_SOURCE=2", "-lpam"];
            let naive = artefacts::compile("naive_module.c", "naive_module.so", &flags);
            sandbox.install(&naive, &format!("{}/pam_qrtotp.so", sandbox.security_directory()), 0o644);
            sandbox.run(&["install", "-d", "-m", "700", "/run/naive"]).success();
        }
        Self { sandbox, module }
    }

    /// Gives `user` a new device in place of the one before.
    #[must_use]
    pub fn fresh(&self, user: &str) -> Phone {
        match self.module {
            Module::Ours => {
                self.sandbox.run(&["rm", "-rf", &format!("/var/lib/qrtotp/accounts/{user}")]).success();
                self.sandbox.import(user)
            }
            Module::Naive => {
                let phone = Phone::random();
                phone.wait_for_seconds_left(15);
                let codes: String = (0..3).map(|ago| phone.code_of_step(phone.step() - ago) + "\n").collect();
                self.sandbox.overwrite(&format!("/run/naive/{user}"), &codes);
                self.sandbox.overwrite(&format!("/run/naive/{user}.used"), "");
                phone
            }
        }
    }

    /// One login in the application under this condition.
    #[must_use]
    pub fn host(&self, starter: &[&str], condition: &str, user: &str, answer: &str) -> Output {
        let program = self.sandbox.install_c("hostile_host.c", &["-lpam", "-pthread"]);
        self.sandbox.run(&[starter, &[program.as_str(), condition, user, answer]].concat())
    }

    /// Alice, or the user that the application turns her into, logs in under the condition: with a wrong
    /// answer, then with her code, with the same code again and with her next one in an ordinary application.
    #[must_use]
    pub fn log_in(&self, starter: &[&str], condition: &str, wrong: Option<&str>, right: Right) -> Seen {
        let phone = self.fresh("alice");
        let mut seen = Seen::default();
        let bad = wrong.map_or_else(|| phone.wrong_code(), str::to_owned);
        let refused = self.observed(starter, condition, &bad, right, &mut seen);
        seen.expect(!refused, || "a wrong code was accepted".to_owned());
        let code = phone.previous_code();
        let accepted = self.observed(starter, condition, &code, right, &mut seen);
        self.check_decision(&phone, &code, accepted, right, &mut seen);
        seen
    }

    /// Checks that the decision on `code` is the expected one and stays true.
    pub fn check_decision(&self, phone: &Phone, code: &str, accepted: bool, right: Right, seen: &mut Seen) {
        match right {
            Right::Accepted => seen.expect(accepted, || "a right code was denied".to_owned()),
            Right::Kept | Right::Burnt => {
                seen.expect(!accepted, || "a code was accepted that could not be burnt".to_owned());
            }
            Right::Decided => {}
        }
        let again = self.sandbox.answer("alice", code) == PAM_SUCCESS;
        match (accepted, again) {
            (true, true) => seen.wrong.push("a code was accepted twice".to_owned()),
            (false, false) if right != Right::Burnt => seen.wrong.push("a code was burnt in vain".to_owned()),
            (false, true) if right == Right::Burnt => {
                seen.wrong.push("a code of which nobody knows was accepted later".to_owned());
            }
            _ => {}
        }
        let next = self.sandbox.answer("alice", &phone.code());
        seen.expect(next == PAM_SUCCESS, || format!("the next login does not work: {next}"));
    }

    /// Returns whether she got in, and notes violations by the application.
    fn observed(
        &self,
        starter: &[&str],
        condition: &str,
        answer: &str,
        right: Right,
        seen: &mut Seen,
    ) -> bool {
        let start = Instant::now();
        let output = self.host(starter, condition, "alice", answer);
        let accepted = value(&output.stdout, "authenticate") == Some("0");
        seen.count(accepted);
        if let Some(end) = killed(&output) {
            seen.wrong.push(end);
            return accepted;
        }
        seen.expect(start.elapsed() < DEADLINE, || format!("it took {:?}", start.elapsed()));
        // With little memory the application itself may not reach its login.
        if right == Right::Decided && !output.stdout.contains("authenticate=") {
            return accepted;
        }
        let is = |name, expected| value(&output.stdout, name) == Some(expected);
        seen.expect(is("descriptors_left", "0"), || "descriptors are left open".to_owned());
        seen.expect(is("changed", ""), || {
            let changed = value(&output.stdout, "changed").unwrap_or_default();
            format!("the application's {} is not as it was", changed.trim_end_matches(','))
        });
        let alarms = !is("alarms", "0");
        assert_eq!(alarms, condition == "alarm-storm", "this proves nothing: {output:?}");
        accepted
    }
}

/// The signal that ended it.
#[must_use]
pub fn killed(output: &Output) -> Option<String> {
    let signal =
        output.signal().or_else(|| output.status.code().filter(|code| *code > 128).map(|code| code - 128))?;
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("", |(_, name)| name);
    Some(format!("the application was killed by {name} ({signal})"))
}

/// Checks that `check` holds with our module, and fails with the naive one. The results become a row of the
/// table.
pub fn compare(condition: &str, check: impl Fn(&Stage) -> Seen) {
    let _ = compare_on(&Stage::new(Module::Ours), &Stage::new(Module::Naive), condition, check);
}

/// The same on existing stages. Returns the number of accepted logins.
pub fn compare_on(ours: &Stage, naive: &Stage, condition: &str, check: impl Fn(&Stage) -> Seen) -> u32 {
    let seen = check(ours);
    assert!(seen.wrong.is_empty(), "{condition}: {:#?}", seen.wrong);
    assert!(seen.accepted + seen.denied > 0, "{condition}: nobody logged in, so this proves nothing");
    let planted = check(naive).wrong;
    let Some(first) = planted.first() else { panic!("{condition}: the naive module is not found out") };
    let cells = [condition, &seen.accepted.to_string(), &seen.denied.to_string(), first];
    figures::print("hosts", &cells.map(str::to_owned));
    seen.accepted
}
