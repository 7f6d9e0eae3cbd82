//! The PAM services that name our module: our lines in them, what lets users in, and whether users can enrol
//! there.

use super::AS_ROOT;
use super::files::{Files, OurLine, others_write};
use super::report::{Finding, Report, Severity};
use super::stacks::{Primary, Service, WITHOUT_ROOT};
use nix::unistd::User;
use pam_stack::{Kind, Part, Problem, Stack};
use qrtotp_policy::{Config, FirstLogin, Outcome, PROOF_SERVICE, Rule, applied_path};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Whose users may have shown a key before PAM is asked.
pub const SSHD: &str = "sshd";
/// Services by which people log in, or become somebody else, with what PAM asks for and nothing else.
const LOGINS: [&str; 17] = [
    SSHD,
    "cockpit",
    "doas",
    "gdm",
    "gdm-password",
    "kde",
    "lightdm",
    "login",
    "lxdm",
    "polkit-1",
    "sddm",
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    "xdm",
    "xrdp-sesman",
];
/// Services with a second one that does the same with the user's own environment.
const SIBLINGS: [(&str, &str, &str); 2] = [("sudo", "sudo-i", "sudo -i"), ("su", "su-l", "su -")];
/// `die` and jumps over what follows take PAM_IGNORE for a failure, whatever stands behind them.
const EXEMPT_FIX: &str = "the line must be: auth required pam_qrtotp.so (no brackets such as [success=ok default=die]); \
                          behind it: auth required pam_permit.so";

/// Facts from outside the PAM files.
pub struct OutsideFacts<'a> {
    pub config_path: &'a Path,
    pub config: Option<&'a Config>,
    /// The factor that sshd proves before it asks PAM.
    pub sshd: Primary,
    /// The PAM service of sshd.
    pub sshd_service: &'a str,
}

impl OutsideFacts<'_> {
    fn enrols_at(&self, service: &str) -> bool {
        self.config.is_some_and(|config| config.enroll.services.iter().any(|known| known == service))
    }
}

/// The services that are meant to ask, files that are only included left out.
pub fn services<'f>(files: &'f Files, known: &OutsideFacts<'_>) -> Vec<&'f str> {
    let included = files.included();
    let is_service = |name: &&str| {
        let login = LOGINS.contains(name) || known.enrols_at(name);
        *name != PROOF_SERVICE && (login || !included.contains(name)) && files.means_us(name)
    };
    files.services.keys().map(String::as_str).filter(is_service).collect()
}

/// Reports on each; whether any service is meant to ask for codes.
pub fn check(files: &Files, known: &OutsideFacts<'_>, report: &mut Report) -> bool {
    let services = services(files, known);
    for name in &services {
        let mut own = Report::new(0);
        Looked { files, name, known }.tell(&mut own);
        report.add_all(own.findings);
    }
    if !services.is_empty() {
        report.add_all(uncovered(files, &services));
    }
    for name in files.unread() {
        report.add(
            Finding::warn("pam-file-unread", name, "its PAM file can't be read, so it is not known")
                .fix(AS_ROOT),
        );
    }
    for (name, path) in files.odd() {
        let what = format!("{} is no file, nor a link to one", path.display());
        let login = known.enrols_at(name) || LOGINS.contains(&name);
        let finding = if login { Finding::fail } else { Finding::warn }("pam-file-odd", name, &what);
        report.add(
            finding
                .why("logins there wait for ever, or go by another file")
                .fix("put the service's file there, or remove it"),
        );
    }
    if services.is_empty() && files.unread().is_empty() {
        report.add(
            Finding::warn(
                "not-in-use",
                "",
                "no file in /etc/pam.d names pam_qrtotp.so, so nobody is asked for a code",
            )
            .fix("qrtotp setup sshd sudo su"),
        );
    }
    !services.is_empty()
}

/// Other ways in, by a password alone.
fn uncovered(files: &Files, covered: &[&str]) -> Option<Finding> {
    let open = |name: &&str| {
        let service = Service::read(&files.tree, name, Primary::Pam);
        files.services.contains_key(*name) && !covered.contains(name) && service.lets_in_by_password()
    };
    let open: Vec<&str> = LOGINS.into_iter().filter(open).collect();
    let what = format!("no code is asked for at: {}", open.join(", "));
    (!open.is_empty()).then(|| Finding::info("services-without-code", "", &what))
}

/// Files of a service that others than root can change.
pub fn writable<'s>(files: &Files, name: &str, stacks: impl IntoIterator<Item = &'s Stack>) -> Vec<Finding> {
    let open = |file: &PathBuf| others_write(&files.tree.path(file), files.tree.root());
    let of_service: BTreeSet<PathBuf> =
        stacks.into_iter().flat_map(|stack| &stack.files).filter_map(open).collect();
    let finding = |open: &PathBuf| {
        let open = open.display();
        Finding::fail("pam-file-writable", name, &format!("{open} is not root's alone"))
            .why("anyone who can write to it decides who gets in")
            .fix(&format!("look what is in it; then: chown root: {open} && chmod go-w {open}"))
    };
    of_service.iter().map(finding).collect()
}

/// One service.
struct Looked<'a> {
    files: &'a Files,
    name: &'a str,
    known: &'a OutsideFacts<'a>,
}

impl Looked<'_> {
    fn tell(&self, report: &mut Report) {
        let name = self.name;
        let service = Service::read(&self.files.tree, name, self.primary());
        for fault in self.files.faults(name) {
            let what = format!("{} {}", fault.place, fault.problem);
            let fix = match fault.problem {
                Problem::CarriageReturn => format!("sed -i 's/\\r$//' {}", fault.place.file.display()),
                _ => "correct that line".into(),
            };
            let why = "libpam fails it, or reads it otherwise";
            report.add(Finding::warn("pam-line-odd", name, &what).why(why).fix(&fix));
        }
        report.add_all(writable(self.files, name, service.stacks()));
        let lines = self.files.lines(name);
        let fine = lines.iter().map(|line| self.line(line, report)).fold(true, |all, one| all & one);
        if !fine {
            return;
        }
        self.misnamed(report);
        // A misspelt module can let people in or lock them out, so look at the stack as well.
        report.add_all(service.findings());
        if !service.asks() {
            return self.never_asks(&lines, report);
        }
        self.sibling(report);
        self.exempt(&service, &lines, report);
        if report.verdict() == Severity::Ok && lines.iter().any(|line| self.is_of_config(line)) {
            self.service(report);
        }
    }

    fn is_of_config(&self, line: &OurLine) -> bool {
        line.args().is_ok_and(|args| args.config == self.known.config_path)
    }

    /// Whether accounts that the module asks for no code get in: to libpam, PAM_IGNORE alone is no success.
    fn exempt(&self, service: &Service<'_>, lines: &[OurLine], report: &mut Report) {
        let here = |rule: &Rule| {
            let services = &rule.conditions.service;
            rule.outcome == Outcome::Skip
                && (services.is_empty() || services.iter().any(|one| one == self.name))
        };
        let by_config = self.known.config.is_some_and(|config| {
            let allowed = config.defaults.first_login == FirstLogin::Allow;
            allowed || config.rules.rules().unwrap_or_default().iter().any(here)
        });
        let by_argument = lines.iter().any(|line| line.args().is_ok_and(|args| args.options.nullok));
        if (by_config || by_argument) && !service.lets_in_unasked() {
            let what =
                "accounts that need no code (a rule with skip, first_login = \"allow\", nullok) are denied";
            report.add(
                Finding::fail("exempt-denied", self.name, what)
                    .why("to libpam PAM_IGNORE alone is no success")
                    .fix(EXEMPT_FIX),
            );
        }
    }

    /// The factor that the program verifies before it asks PAM.
    fn primary(&self) -> Primary {
        let stack = self.files.tree.stack(self.name, Part::Auth);
        if self.name == self.known.sshd_service {
            return self.known.sshd;
        }
        let asks_password = stack.entries.iter().any(|entry| entry.kind() == Kind::Password);
        if asks_password || LOGINS.contains(&self.name) { Primary::Pam } else { Primary::Unknown }
    }

    /// It names us, and libpam does not come to our module.
    fn never_asks(&self, lines: &[OurLine], report: &mut Report) {
        let parts: Vec<&str> = lines.iter().map(|line| line.part.word()).collect();
        if parts.is_empty() {
            return;
        }
        let what =
            format!("nobody is asked for a code: pam_qrtotp.so is only in its {} part", parts.join(" and "));
        report.add(
            Finding::fail("nobody-asked", self.name, &what)
                .why("only the auth part asks")
                .fix("behind the module that checks the password: auth required pam_qrtotp.so"),
        );
    }

    /// A name of a file that no program looks for.
    fn misnamed(&self, report: &mut Report) {
        if self.name == "ssh" && self.known.sshd_service != "ssh" {
            report.add(
                Finding::warn(
                    "service-unknown",
                    "ssh",
                    "no program uses /etc/pam.d/ssh: sshd's service is sshd",
                )
                .fix("put the lines into /etc/pam.d/sshd"),
            );
        }
    }

    /// The service that does the same, and does not ask.
    fn sibling(&self, report: &mut Report) {
        let Some((_, sibling, command)) = SIBLINGS.into_iter().find(|(name, ..)| *name == self.name) else {
            return;
        };
        let service = Service::read(&self.files.tree, sibling, Primary::Pam);
        if service.asks() || !service.lets_in_by_password() {
            return;
        }
        let what = format!("{} asks for a code, and `{command}` does not", self.name);
        report.add(
            Finding::fail("sibling-not-covered", sibling, &what)
                .why("the code is got round by other words of the same command")
                .fix(&format!(
                    "put the auth lines of /etc/pam.d/{} into /etc/pam.d/{sibling}, too",
                    self.name
                )),
        );
    }

    /// One line of ours; false if that is all there is to say.
    fn line(&self, line: &OurLine, report: &mut Report) -> bool {
        let (name, place) = (self.name, &line.place);
        let denied = |why: &str| {
            Finding::fail("arguments", name, &format!("{place}: every login there is denied: {why}"))
        };
        let args = match line.args() {
            Ok(args) => args,
            Err(error) => {
                report.add(denied(&error.0).fix("correct or remove it"));
                return false;
            }
        };
        if args.config != self.known.config_path {
            let other = args.config.display();
            if !self.files.tree.path(&args.config).is_file() {
                report.add(denied(&format!("{other} is not there")).fix("correct or remove config="));
                return false;
            }
            let applied = self.files.tree.path(&applied_path(&args.config));
            if applied.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                let fix = format!("qrtotp --config {other} config apply");
                report.add(denied(&format!("{other} was never applied (policy_missing)")).fix(&fix));
                return false;
            }
            report.add(
                Finding::info("other-configuration", name, &format!("{place} goes by {other}"))
                    .fix(&format!("qrtotp --config {other} doctor")),
            );
            return true;
        }
        if line.part != Part::Auth {
            return true;
        }
        if args.options.nullok {
            report.add(
                Finding::warn(
                    "nullok",
                    name,
                    &format!("{place}: accounts that never enrolled are not asked (nullok)"),
                )
                .fix("take nullok out once all are enrolled"),
            );
        }
        if let Some(conflict) = self.known.config.and_then(|config| args.options.conflict(config)) {
            report.add(denied(conflict));
            return false;
        }
        true
    }

    /// A service that asks for a code and has no known fault.
    fn service(&self, report: &mut Report) {
        let name = self.name;
        let Some(config) = self.known.config else {
            return report.add(Finding::ok("asks-for-code", name, "asks for a code"));
        };
        if let Some(account) = unlisted_account(name, config) {
            return report.add(
                Finding::warn(
                    "service-unlisted",
                    name,
                    &format!("its program runs as {account}, which can't read the records"),
                )
                .why("every login there is denied")
                .fix(&format!("in the configuration under [broker.services]: {account} = [\"{name}\"]")),
            );
        }
        report.add(match (enrols(config), self.known.enrols_at(name)) {
            (false, _) => Finding::ok("asks-for-code", name, "asks for a code"),
            (true, true) => Finding::ok(
                "asks-for-code",
                name,
                "asks for a code, and people enrol there while they log in",
            ),
            (true, false) => {
                Finding::info("no-enrolment-there", name, "asks for a code, and nobody can enrol there")
                    .fix("name it in enroll.services of the configuration, if its users should")
            }
        });
    }
}

/// Whether logins may enrol.
pub fn enrols(config: &Config) -> bool {
    config.defaults.first_login.enrols()
}

/// The account of this host that the program of `service` runs as, if the broker would refuse it.
fn unlisted_account(service: &str, config: &Config) -> Option<&'static str> {
    let (_, account) = WITHOUT_ROOT.into_iter().find(|(known, _)| *known == service)?;
    let listed =
        config.broker.services_of(account).is_some_and(|services| services.iter().any(|one| one == service));
    (!listed && matches!(User::from_name(account), Ok(Some(_)))).then_some(account)
}
