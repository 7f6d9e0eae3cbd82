//! Asks the interpreter of PAM stacks which logins a service lets in, and whether anyone can get in.

use super::report::{Finding, Severity};
use pam_stack::{Action, Kind, ModuleFacts, PamCode, PamLine, Part, Run, Selectors, Stack, Tree};

/// The factor that a login proves before or besides the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primary {
    /// PAM must ask for it: the program has proven nothing.
    Pam,
    /// The program itself, before it asks PAM: sshd, that demands a key.
    Program,
    /// That is not known.
    Unknown,
}

/// Possible results of our module besides success and "ignore".
fn refusals() -> Vec<PamCode> {
    let wrong = [PamCode::AUTH_ERR, PamCode::MODULE_UNKNOWN];
    let others = ["perm_denied", "maxtries", "user_unknown", "authinfo_unavail", "system_err", "service_err"];
    let more =
        ["abort", "buf_err", "open_err", "symbol_err", "conv_err", "try_again", "cred_err", "acct_expired"];
    wrong.into_iter().chain(others.into_iter().chain(more).filter_map(PamCode::named)).collect()
}

/// PAM services of programs that do not run as root, and the accounts that these run as on Debian.
pub const WITHOUT_ROOT: [(&str, &str); 4] =
    [("postgresql", "postgres"), ("apache2", "www-data"), ("nginx", "www-data"), ("radiusd", "freerad")];

/// Services whose programs call PAM with the user's own uid: setuid programs and screen lockers. `runuser`
/// is for root only.
const AS_CALLER: [&str; 19] = [
    "chfn",
    "chsh",
    "cinnamon-screensaver",
    "doas",
    "gnome-screensaver",
    "i3lock",
    "kde",
    "mate-screensaver",
    "passwd",
    "polkit-1",
    "runuser",
    "runuser-l",
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    "swaylock",
    "vlock",
    "xscreensaver",
];

/// Whether the service's program runs as root for every user, so that `pam_rootok.so` accepts everybody.
pub fn runs_as_root(service: &str) -> bool {
    !AS_CALLER.contains(&service) && !WITHOUT_ROOT.iter().any(|(known, _)| *known == service)
}

/// The parts of one service that decide who gets in.
pub struct Service<'s> {
    pub name: &'s str,
    pub primary: Primary,
    /// A right password and a correct code, and nothing else.
    right: ModuleFacts,
    /// Nothing is right, and nothing else may help.
    nothing: ModuleFacts,
    auth: Stack,
    account: Stack,
    session: Stack,
}

impl<'s> Service<'s> {
    pub fn read(tree: &Tree, name: &'s str, primary: Primary) -> Self {
        let [auth, account, session] =
            [Part::Auth, Part::Account, Part::Session].map(|part| tree.stack(name, part));
        let right = ModuleFacts { root: runs_as_root(name), ..ModuleFacts::RIGHT };
        let nothing = ModuleFacts {
            ours: PamCode::AUTH_ERR,
            password: false,
            proofs: false,
            other_codes: false,
            ..right
        };
        Self { name, primary, right, nothing, auth, account, session }
    }

    /// All parts.
    pub fn stacks(&self) -> [&Stack; 3] {
        [&self.auth, &self.account, &self.session]
    }

    /// Its auth part comes to our module.
    pub fn asks(&self) -> bool {
        self.auth.entries.iter().any(PamLine::is_ours)
    }

    /// Findings about logins that get in wrongly, or not at all.
    pub fn findings(&self) -> Vec<Finding> {
        let nobody: Vec<Finding> = self.stacks().into_iter().filter_map(|stack| self.nobody(stack)).collect();
        if !nobody.is_empty() {
            return nobody;
        }
        let mut found = Vec::new();
        found.extend(self.without_code());
        found.extend(self.without_password());
        found.extend(self.other_codes());
        found
    }

    /// A run that succeeds whatever the selectors say.
    fn everyone(&self, facts: ModuleFacts) -> Option<Run> {
        self.auth.success(&ModuleFacts { selectors: Selectors::Yes, ..facts })?;
        self.auth.success(&ModuleFacts { selectors: Selectors::No, ..facts })
    }

    /// Nobody gets in, with the right password and a correct code.
    fn nobody(&self, stack: &Stack) -> Option<Finding> {
        let fail = |what: String| Finding::fail("nobody-gets-in", self.name, &what);
        let part = stack.part.word();
        // Without session lines of its own a service may open no session.
        let is_checked = stack.part != Part::Session || (!stack.from_other && !stack.entries.is_empty());
        if !is_checked || stack.success(&self.right).is_some() {
            return None;
        }
        if stack.part == Part::Auth
            && stack.success(&ModuleFacts { code_twice: true, ..self.right }).is_some()
        {
            let ours: Vec<String> = stack
                .entries
                .iter()
                .filter(|entry| entry.is_ours())
                .map(|entry| entry.place.to_string())
                .collect();
            return Some(
                Finding::fail(
                    "asked-twice",
                    self.name,
                    &format!("two lines ask for a code: {}", ours.join(" and ")),
                )
                .why("a code is good for one line, so the second one refuses it and nobody gets in")
                .fix("remove one of the lines"),
            );
        }
        if stack.aborted || stack.entries.is_empty() {
            let faults: Vec<String> =
                stack.faults.iter().map(|fault| format!("{} {}", fault.place, fault.problem)).collect();
            let faults = if faults.is_empty() { format!("it has no {part} line") } else { faults.join("; ") };
            return Some(fail(format!("libpam can't use its files: {faults}")).fix("correct that line"));
        }
        let jump =
            stack.entries.iter().enumerate().find(|(at, entry)| match entry.action(PamCode::SUCCESS) {
                Action::Jump(over) => {
                    let target = stack.entries.get(at + 1 + over);
                    entry.kind() == Kind::Password
                        && target.is_some_and(|target| target.name() == "pam_deny.so")
                }
                _ => false,
            });
        if let Some((_, entry)) = jump {
            let what =
                format!("{}: a right password leads to pam_deny.so ({})", entry.place, entry.control_text);
            let fix = "let the jump end just behind pam_deny.so, and put the line of pam_qrtotp.so there";
            return Some(fail(what).fix(fix));
        }
        let culprit = (0..stack.entries.len()).find(|at| {
            let at = &stack.entries[*at];
            stack
                .run(|entry, past| match std::ptr::eq(entry, at) {
                    true => vec![PamCode::SUCCESS, PamCode::IGNORE],
                    false => self.right.of(entry, stack.part, past),
                })
                .is_some()
        });
        let Some(entry) = culprit.map(|at| &stack.entries[at]) else {
            return Some(
                fail(format!("the right password and a correct code do not pass its {part} part"))
                    .fix("compare it with the files in conf/pam.d"),
            );
        };
        Some(self.culprit(stack, entry))
    }

    /// `entry` alone keeps everybody out.
    fn culprit(&self, stack: &Stack, entry: &PamLine) -> Finding {
        let (place, name) = (&entry.place, entry.module.as_deref().unwrap_or_default());
        let fault = stack.faults.iter().find(|fault| fault.place == *place);
        let fail = |what: String| Finding::fail("nobody-gets-in", self.name, &what);
        match fault {
            Some(fault) => {
                fail(format!("{place} {}, so libpam fails it", fault.problem)).fix("correct that line")
            }
            None if entry.missing => {
                let carriage_return = name.ends_with('\r');
                let what =
                    format!("{place}: the module {} is not there, so libpam fails it", name.trim_end());
                let fix = if carriage_return {
                    format!("sed -i 's/\\r$//' {}", place.file.display())
                } else if name.contains("qrtotp") {
                    "install the package libpam-qrtotp, or correct the name".into()
                } else {
                    "correct the module's name, install its package, or remove the line".into()
                };
                fail(what).fix(&fix)
            }
            None if entry.without_function => {
                let what = format!(
                    "{place}: {name} has nothing for the {} part, so libpam fails it",
                    stack.part.word()
                );
                fail(what).fix("remove the line, or put it into the part that the module is for")
            }
            None if entry.is_ours() && (entry.has("use_first_pass") || entry.has("forward_pass")) => {
                let what = format!(
                    "{place}: its argument takes the password for the code, or there is nothing to take"
                );
                fail(what).fix(
                    "take use_first_pass or forward_pass out, or put the line in front of the password's",
                )
            }
            None if entry.has("use_first_pass") => {
                fail(format!("{place}: {name} has use_first_pass, and no line before it asks for a password"))
                    .fix("take use_first_pass out")
            }
            None => fail(format!("{place}: {name} refuses everybody ({})", entry.control_text))
                .fix("remove the line, or put it where only a refusal leads to it"),
        }
    }

    fn without_code(&self) -> Vec<Finding> {
        let right_password = ModuleFacts { password: true, ..self.nothing };
        for ours in refusals() {
            let Some(run) = self.everyone(ModuleFacts { ours, ..right_password }) else { continue };
            let nothing = self.primary != Primary::Program
                && self.everyone(ModuleFacts { ours, ..self.nothing }).is_some();
            return vec![self.code_not_needed(&run, ours, nothing)];
        }
        let anyhow = ModuleFacts { proofs: true, other_codes: true, ..right_password };
        let Some(run) = self.auth.success(&anyhow) else { return Vec::new() };
        let place = self.blamed(&run);
        let selected = self.auth.success(&self.nothing).filter(|_| self.primary == Primary::Pam);
        if let Some(run) = selected {
            let what =
                format!("{} lets in by itself: no code is asked for, and no password", self.blamed(&run));
            return vec![
                Finding::fail("nothing-needed", self.name, &what)
                    .why("that module checks who or where the user is, and proves nothing")
                    .fix("remove the line, or make it required"),
            ];
        }
        let what = format!("users that {place} lets in are not asked for a code");
        vec![
            Finding::warn("code-not-needed-for-some", self.name, &what)
                .why("that module decides instead of the code")
                .fix("put it behind the line of pam_qrtotp.so, or make it required, unless that is meant"),
        ]
    }

    fn code_not_needed(&self, run: &Run, ours: PamCode, nothing: bool) -> Finding {
        let forgotten = run.iter().find(|step| self.auth.entries[step.entry].is_ours());
        let who =
            if nothing { "anyone gets in, even with a wrong password" } else { "the code is not needed" };
        let Some(step) = forgotten else {
            let what = format!("{who}: {} leads past pam_qrtotp.so", self.blamed(run));
            return Finding::fail("code-not-needed", self.name, &what)
                .why("users that pass that line are let in without a code")
                .fix(&self.move_fix(run));
        };
        let mut behind = run.iter().filter(|one| one.entry > step.entry);
        let reset = behind.find(|one| step.action == Action::Bad && one.action == Action::Reset);
        if let Some(reset) = reset.map(|one| &self.auth.entries[one.entry]) {
            let (place, control) = (&reset.place, &reset.control_text);
            let what = format!("{who}: {place} forgets what was before it, a wrong code too ({control})");
            return Finding::fail("code-not-needed", self.name, &what)
                .why("after a refusal the rest of the file still lets in")
                .fix("remove that line, or take `reset` out of it");
        }
        let entry = &self.auth.entries[step.entry];
        let (place, control) = (&entry.place, &entry.control_text);
        if ours == PamCode::AUTH_ERR {
            let what = format!("{who}: {place} forgets a wrong code ({control})");
            return Finding::fail("code-not-needed", self.name, &what)
                .why("after a refusal the rest of the file still lets in")
                .fix("auth required pam_qrtotp.so");
        }
        let result = if ours == PamCode::MODULE_UNKNOWN { "a missing module" } else { ours.name() };
        let what =
            format!("{who} where the module is missing or fails: {place} forgets {result} ({control})");
        Finding::fail("error-lets-in", self.name, &what)
            .why("an update that breaks the module would let everybody in")
            .fix("auth required pam_qrtotp.so")
    }

    fn move_fix(&self, run: &Run) -> String {
        let past = self.past(run).map(PamLine::kind);
        if past == Some(Kind::RootOnly) {
            "remove the line: the service's program runs as root, so pam_rootok.so accepts everybody".into()
        } else if past == Some(Kind::Password) {
            "make it requisite, in front of the line of pam_qrtotp.so, as the files in conf/pam.d have it"
                .into()
        } else {
            "put the line of pam_qrtotp.so in front of it".into()
        }
    }

    /// The line of a run that leads past ours: the last one before it that ends the part or jumps.
    fn past(&self, run: &Run) -> Option<&PamLine> {
        let ours = self.auth.entries.iter().position(PamLine::is_ours)?;
        let leads = |action: Action| matches!(action, Action::Done | Action::Jump(_));
        let before = run.iter().filter(|step| step.entry < ours && leads(step.action));
        before.map(|step| &self.auth.entries[step.entry]).next_back()
    }

    fn blamed(&self, run: &Run) -> String {
        match self.past(run) {
            Some(entry) => format!("{} ({} {})", entry.place, entry.control_text, entry.name()),
            None => "its auth part".into(),
        }
    }

    fn without_password(&self) -> Option<Finding> {
        if self.primary == Primary::Program {
            return None;
        }
        let facts = ModuleFacts { ours: PamCode::SUCCESS, ..self.nothing };
        let run = self.everyone(facts)?;
        let asked = self.auth.entries.iter().find(|entry| entry.kind() == Kind::Password);
        let ran =
            |entry: &&PamLine| run.iter().any(|step| std::ptr::eq(&self.auth.entries[step.entry], *entry));
        let (severity, what, fix) = match asked.filter(ran) {
            Some(entry) => (
                Severity::Fail,
                format!(
                    "a wrong password and a correct code get in: {} forgets a wrong password ({})",
                    entry.place, entry.control_text
                ),
                "make that line requisite",
            ),
            None if self.primary == Primary::Unknown => (
                Severity::Warn,
                "a correct code alone lets in, unless the program itself asks for a password or a key"
                    .to_owned(),
                "if it asks for nothing else: @include common-auth, in front of the line of pam_qrtotp.so",
            ),
            None => (
                Severity::Fail,
                "a correct code alone lets in: no password is asked for".to_owned(),
                "@include common-auth, or auth requisite pam_unix.so, in front of the line of pam_qrtotp.so",
            ),
        };
        let finding = Finding::fail("password-not-needed", self.name, &what);
        let why = "a code is the second factor: anyone who finds the phone gets in";
        Some(Finding { severity, ..finding }.why(why).fix(fix))
    }

    /// Lines of another system of codes.
    fn other_codes(&self) -> Option<Finding> {
        let entry = self.auth.entries.iter().find(|entry| entry.kind() == Kind::OtherCode)?;
        let (place, name) = (&entry.place, entry.name());
        let needed = self.auth.success(&ModuleFacts { other_codes: false, ..self.right }).is_none();
        let finding = match needed {
            true => Finding::fail(
                "other-codes",
                self.name,
                &format!("{place}: {name} asks for a code of its own, too"),
            )
            .why("nobody gets in with the code of pam_qrtotp.so alone"),
            false => Finding::warn(
                "other-codes",
                self.name,
                &format!("{place}: {name} is left from another system of codes"),
            )
            .why("its codes, or those who have none there, are treated in their own way"),
        };
        Some(
            finding.fix(&format!(
                "remove the line once all are imported: `qrtotp import` takes its keys ({name})"
            )),
        )
    }
}

impl Service<'_> {
    /// A right password alone lets in.
    pub fn lets_in_by_password(&self) -> bool {
        self.auth.success(&ModuleFacts { password: true, ..self.nothing }).is_some()
    }

    /// A right password lets in an account that our module asks for no code.
    pub fn lets_in_unasked(&self) -> bool {
        self.auth.success(&ModuleFacts { ours: PamCode::IGNORE, ..self.right }).is_some()
    }

    /// A correct code lets in, despite a wrong password.
    pub fn lets_in_by_code(&self) -> bool {
        self.auth.success(&ModuleFacts { ours: PamCode::SUCCESS, ..self.nothing }).is_some()
    }
}
