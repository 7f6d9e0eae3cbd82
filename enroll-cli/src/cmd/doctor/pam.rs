//! The files in which libpam looks, those that name our module: whether whoever logs in there is asked, and whether people can
//! enrol where the configuration says so.

use super::AS_ROOT;
use super::files::{File, Files};
use super::report::{About, Report, names};
use nix::unistd::User;
use qrtotp_core::flow::{Args, FirstPass};
use qrtotp_core::policy::{Config, FirstLogin, OurEntry, PROOF_SERVICE, Part, Shortcut, check_proof_service};
use std::ffi::CStr;
use std::path::Path;

/// Whose users may have shown a key before PAM is asked.
pub const SSHD: &str = "sshd";
/// Modules that run twice for somebody who enrols at a login, if the service `qrtotp` names them: they count, or do, twice.
const RUN_TWICE: [&str; 4] = ["pam_faillock.so", "pam_tally2.so", "pam_exec.so", "pam_script.so"];
/// Modules that succeed without a question.
const ASK_NOTHING: [&str; 4] = ["pam_rootok.so", "pam_wheel.so", "pam_succeed_if.so", "pam_localuser.so"];

/// PAM services of programs that do not run as root, and the accounts that these run as on Debian.
const WITHOUT_ROOT: [(&str, &str); 4] =
    [("postgresql", "postgres"), ("apache2", "www-data"), ("nginx", "www-data"), ("radiusd", "freerad")];

const BEHIND: &str = "put it behind the line of pam_qrtotp.so, or make it required, unless that is meant";

/// Reports on each; whether any service asks for codes.
pub fn check(files: &Files, config_path: &Path, config: Option<&Config>, report: &mut Report) -> bool {
    let mut in_use = false;
    for (name, file) in &files.all {
        let own = file.names_us || !file.survey.ours.is_empty();
        let by_include =
            !own && config.is_some_and(|config| lists(config, name)) && files.asks(name).is_some();
        if (!own && !by_include) || name == PROOF_SERVICE {
            continue;
        }
        in_use = true;
        let looked_at = Looked { files, name, file, config_path, config };
        looked_at.tell(report);
    }
    for name in &files.unread {
        report.about("pam", name).skip("can't be read", AS_ROOT);
    }
    for (name, path) in &files.odd {
        let mut about = report.about("pam", name);
        let finding = format!(
            "{} is no file, nor a link to one: logins there wait for ever, or go by another file",
            path.display()
        );
        let advice = "put the service's file there, or remove it";
        if config.is_some_and(|config| lists(config, name)) {
            about.fail(&finding, advice);
        } else {
            about.warn(&finding, advice);
        }
    }
    if config.is_some_and(|config| needs_proof(files, config)) {
        proof_service(files, &check_proof_service().map_err(|error| error.to_string()), report);
    }
    if !in_use && files.unread.is_empty() {
        report.about("pam", "").warn(
            "no file in /etc/pam.d names pam_qrtotp.so, so nobody is asked for a code",
            "docs/INSTALL.md has stacks to choose from",
        );
    }
    in_use
}

fn lists(config: &Config, service: &str) -> bool {
    config.enroll.services.iter().any(|known| known == service)
}

fn enrols(config: &Config) -> bool {
    matches!(config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token)
}

/// Whether a login here may have to prove a password by a transaction of its own.
fn needs_proof(files: &Files, config: &Config) -> bool {
    let forwards = files.ours().any(|entry| {
        let words: Vec<&CStr> = entry.arguments.iter().map(|word| word.as_c_str()).collect();
        Args::parse(&words).is_ok_and(|args| args.options.first_pass == FirstPass::Forward)
    });
    forwards || enrols(config) || files.all.contains_key(PROOF_SERVICE)
}

/// The service that proves passwords. `trusted`: whether a login would use it.
fn proof_service(files: &Files, trusted: &Result<(), String>, report: &mut Report) {
    let advice = "compare it with conf/pam.d/qrtotp";
    let mut about = report.about("pam", PROOF_SERVICE);
    if let Err(error) = trusted {
        about.fail(
            &format!("nobody can enrol by their password: {error}"),
            "install conf/pam.d/qrtotp as it is",
        );
        return;
    }
    let Some(file) = files.all.get(PROOF_SERVICE) else { return };
    let first = file.survey.auth.first().map(|step| step.line);
    let ours = file.survey.our(Part::Auth).filter(|entry| entry.fails_closed);
    let mut fine = true;
    if first.is_none() || ours.map(|entry| entry.line) != first {
        about.fail(
            "a program that lets others choose its PAM service lets them in by the password alone",
            "make its first auth line: auth requisite pam_qrtotp.so",
        );
        fine = false;
    }
    let modules = |part| files.modules(PROOF_SERVICE, part);
    let auth: Vec<_> = modules(Part::Auth).collect();
    let denied_after =
        |at: usize| auth[at..].iter().any(|(_, module)| module.name == "pam_deny.so" && module.fails_closed);
    for (at, (path, module)) in auth.iter().enumerate() {
        let place = format!("line {} of {}: {}", module.line, path.display(), module.name);
        if module.takes_a_password && !module.fails_closed && (module.jumps_on_failure || !denied_after(at)) {
            about.fail(
                &format!("{place} may be wrong and the rest of the file still succeed: a wrong password would enrol"),
                "make it required, or put `auth requisite pam_deny.so` behind it",
            );
            fine = false;
        }
        if ASK_NOTHING.contains(&module.name.as_str()) {
            about.warn(&format!("{place} may succeed without a password; then nobody can enrol"), advice);
            fine = false;
        }
    }
    for (path, module) in auth.iter().copied().chain(modules(Part::Account)) {
        if RUN_TWICE.contains(&module.name.as_str()) {
            about.warn(
                &format!(
                    "line {} of {}: {} runs twice for somebody who enrols at a login",
                    module.line,
                    path.display(),
                    module.name
                ),
                "name the password's module alone, unless that is meant",
            );
            fine = false;
        }
    }
    if !auth.iter().any(|(_, module)| module.takes_a_password) {
        about.warn("no module of it is known to take a password; without one nobody can enrol", advice);
        fine = false;
    }
    if fine {
        about.ok("proves passwords for enrolments, and lets nobody log in by itself");
    }
}

/// `line` lets in before ours is reached.
fn unasked(line: &str, shortcut: Shortcut, about: &mut About<'_>) {
    if shortcut.by_password {
        about.fail(
            &format!(
                "{line}: a password alone lets in, for its success leads past the question for the code"
            ),
            "make it requisite, in front of the line of pam_qrtotp.so, as the files in conf/pam.d have it",
        );
    } else {
        about.warn(&format!("whom {line} lets in is not asked for a code"), BEHIND);
    }
}

/// One service or included file.
struct Looked<'a> {
    files: &'a Files,
    name: &'a str,
    file: &'a File,
    config_path: &'a Path,
    config: Option<&'a Config>,
}

impl Looked<'_> {
    fn tell(&self, report: &mut Report) {
        let includers = self.files.includers(self.name);
        let mut about = report.about("pam", self.name);
        if let Some(path) = self.file.open.as_ref().map(|path| path.display()) {
            about.fail(
                &format!("{path} is not root's alone: whoever can write to it decides who gets in"),
                &format!("look what is in it; then: chown root: {path} && chmod go-w {path}"),
            );
        }
        for (line, why) in &self.file.survey.unclear {
            about.warn(
                &format!("line {line} {why}, so what it does is not known here"),
                "write it in one plain line",
            );
        }
        let mut fine = true;
        for entry in &self.file.survey.ours {
            fine &= self.line(entry, report);
        }
        if !fine {
            return;
        }
        let mut about = report.about("pam", self.name);
        if let (Some(_), Some((file, early))) = (self.files.asks(self.name), self.files.ends_early(self.name))
        {
            let line = format!("line {} of {}", early.line, file.path.display());
            unasked(&line, early, &mut about);
            fine = !early.by_password;
        }
        let is_service = includers.is_empty() || self.config.is_some_and(|config| lists(config, self.name));
        match (self.files.asks(self.name), is_service) {
            (None, _) if self.file.survey.our(Part::Account).is_some() => about.fail(
                "nobody is asked for a code: it has no auth line of pam_qrtotp.so",
                "add, behind the module that checks the password: auth required pam_qrtotp.so",
            ),
            (None, _) => {}
            _ if !fine => {}
            (Some(_), false) => about.ok(&format!("asks for a code, in {}", names(&includers))),
            (Some(_), true) => self.service(report),
        }
    }

    /// One line of ours; false if that is all there is to say.
    fn line(&self, entry: &OurEntry, report: &mut Report) -> bool {
        let mut about = report.about("pam", self.name);
        let line = entry.line;
        let words: Vec<&CStr> = entry.arguments.iter().map(|word| word.as_c_str()).collect();
        let args = match Args::parse(&words) {
            Ok(args) => args,
            Err(error) => {
                about.fail(
                    &format!("line {line}: every login there is denied: {}", error.0),
                    "correct or remove it",
                );
                return false;
            }
        };
        if args.config != self.config_path {
            let other = args.config.display();
            about.skip(&format!("line {line} goes by {other}"), &format!("qrtotp --config {other} doctor"));
            return false;
        }
        if entry.part != Part::Auth {
            return true;
        }
        if !entry.fails_closed {
            about.fail(
                &format!("line {line}: a refusal there, or a missing module, is passed over"),
                "make it required, without a dash in front: auth required pam_qrtotp.so",
            );
        }
        if let Some(before) = entry.bypassed_at {
            unasked(&format!("line {}", before.line), before, &mut about);
            if before.by_password {
                return false;
            }
        }
        if args.options.nullok {
            about.warn(
                &format!("line {line}: who never enrolled is not asked (nullok)"),
                "take it out once all are enrolled",
            );
        }
        if let Some(conflict) = self.config.and_then(|config| args.options.conflict(config)) {
            about.fail(&format!("line {line}: every login there is denied: {conflict}"), "");
            return false;
        }
        true
    }

    /// A service that asks.
    fn service(&self, report: &mut Report) {
        let mut about = report.about("pam", self.name);
        if let Some(account) = self.config.and_then(|config| unlisted_account(self.name, config)) {
            about.warn(
                &format!(
                    "a program that runs as {account} can't read the records, so every login there is denied"
                ),
                &format!(
                    "list it in the configuration under [broker.services]: {account} = [\"{}\"]",
                    self.name
                ),
            );
            return;
        }
        match self.config.filter(|config| enrols(config)) {
            None => about.ok("asks for a code"),
            Some(config) if lists(config, self.name) => {
                about.ok("asks for a code, and people enrol there while they log in");
            }
            Some(_) => about.warn(
                "asks for a code, and nobody can enrol there: enroll.services of the configuration does not name it",
                "add it, unless that is meant",
            ),
        }
    }
}

/// The account of this host that the program of `service` runs as, if the broker would refuse it.
fn unlisted_account(service: &str, config: &Config) -> Option<&'static str> {
    let (_, account) = WITHOUT_ROOT.into_iter().find(|(known, _)| *known == service)?;
    let listed =
        config.broker.services_of(account).is_some_and(|services| services.iter().any(|one| one == service));
    (!listed && matches!(User::from_name(account), Ok(Some(_)))).then_some(account)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::files::tests::files;
    use super::*;

    fn said(texts: &[(&str, &str)], config: &str) -> String {
        let config = Config::parse(Path::new("x"), config.as_bytes()).unwrap();
        let mut report = Report::new(0);
        check(&files(texts), Path::new(qrtotp_core::policy::DEFAULT_PATH), Some(&config), &mut report);
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const OURS: &str = "auth required pam_qrtotp.so\n";

    #[test]
    fn a_service_that_asks_is_fine_and_a_host_without_one_is_told_so() {
        let text = said(&[("sudo", OURS), ("su", "auth required pam_unix.so\n")], "");
        assert!(text.starts_with("OK    pam            sudo: asks for a code\nNothing"), "{text}");
        assert!(said(&[], "").contains("WARN  pam            no file"));
    }

    #[test]
    fn a_service_without_root_that_the_configuration_does_not_list_is_a_warning() {
        let told = said(&[("nginx", OURS)], "[broker.services]\nwww-data = [\"apache2\"]");
        assert!(told.contains("WARN") && told.contains("www-data = [\"nginx\"]"), "{told}");
        let told = said(&[("nginx", OURS)], "[broker.services]\nwww-data = [\"apache2\", \"nginx\"]");
        assert!(told.contains("OK    pam            nginx: asks for a code"), "{told}");
    }

    #[test]
    fn an_include_asks_for_those_who_include_it() {
        let text = said(
            &[("common-auth", OURS), ("sshd", "@include common-auth\n"), ("sudo", "@include common-auth\n")],
            "",
        );
        assert!(text.contains("common-auth: asks for a code, in sshd, sudo"), "{text}");
    }

    #[test]
    fn lines_that_let_somebody_in_unasked_or_deny_everybody_fail() {
        for (text, word) in [
            ("auth sufficient pam_qrtotp.so\n", "passed over"),
            ("-auth required pam_qrtotp.so\n", "passed over"),
            ("auth required pam_qrtotp.so nullOK\n", "unknown argument `nullOK`"),
            ("account requisite pam_qrtotp.so\nauth required pam_unix.so\n", "no auth line"),
            (
                "auth sufficient pam_unix.so\nauth required pam_qrtotp.so\n",
                "line 1 of /etc/pam.d/sudo: a password alone",
            ),
            ("auth [default=done] pam_sss.so\nauth required pam_qrtotp.so\n", "a password alone"),
            (
                "auth [success=1 default=die] pam_unix.so\nauth required pam_qrtotp.so\n",
                "line 1: a password alone",
            ),
        ] {
            let told = said(&[("sudo", text)], "");
            assert!(told.starts_with("FAIL") && told.contains(word), "{text}: {told}");
        }
        let told = said(
            &[("sudo", "auth required pam_qrtotp.so use_first_pass\n")],
            "[defaults]\nfirst_login = \"enroll\"\n",
        );
        assert!(told.starts_with("FAIL") && told.contains("exclude each other"), "{told}");
    }

    #[test]
    fn lines_to_think_about_are_warnings() {
        for (text, word) in [
            ("auth required pam_qrtotp.so nullok\n", "nullok"),
            ("auth sufficient pam_u2f.so\nauth required pam_qrtotp.so\n", "line 1 of /etc/pam.d/sudo"),
            ("auth [success=1 default=ignore] pam_x.so\nauth required pam_qrtotp.so\n", "line 1"),
            ("auth required pam_qrtotp.so\nauth required \\\n", "line 2"),
        ] {
            let told = said(&[("sudo", text)], "");
            assert!(told.contains("WARN") && told.contains(word) && !told.contains("FAIL"), "{text}: {told}");
        }
    }

    #[test]
    fn a_line_that_goes_by_another_configuration_is_left_to_its_own_diagnosis() {
        let told = said(&[("sudo", "auth required pam_qrtotp.so config=/x.toml\n")], "");
        assert!(told.starts_with("SKIP") && told.contains("qrtotp --config /x.toml doctor"), "{told}");
    }

    fn proof(texts: &[(&str, &str)]) -> String {
        let mut report = Report::new(0);
        proof_service(&files(texts), &Ok(()), &mut report);
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_shipped_service_that_proves_passwords_is_fine_also_with_the_profile_on() {
        let shipped = include_str!("../../../../conf/pam.d/qrtotp");
        let common = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n\
                      auth required pam_permit.so\n";
        for common in [common.to_owned(), format!("{common}{OURS}")] {
            let told = proof(&[("qrtotp", shipped), ("common-auth", &common)]);
            assert!(told.starts_with("OK    pam            qrtotp: proves passwords"), "{told}");
        }
    }

    #[test]
    fn a_service_that_would_prove_a_wrong_password_or_let_somebody_in_by_it_fails() {
        let first = "auth requisite pam_qrtotp.so\n";
        for text in [
            "auth required pam_unix.so\n".to_owned(),
            format!("auth required pam_unix.so\n{first}"),
            "auth optional pam_qrtotp.so\nauth required pam_unix.so\n".to_owned(),
            format!("{first}auth optional pam_unix.so\n"),
            format!("{first}auth [success=ok default=ignore] pam_unix.so\nauth required pam_permit.so\n"),
            format!("{first}-auth required pam_sss.so\nauth required pam_permit.so\n"),
            format!(
                "{first}auth [success=1 default=1] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
            ),
        ] {
            let told = proof(&[("qrtotp", &text)]);
            assert!(told.starts_with("FAIL"), "{text}: {told}");
        }
        let mut report = Report::new(0);
        proof_service(&files(&[]), &Err("it is missing".into()), &mut report);
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        assert!(
            String::from_utf8(out).unwrap().contains("nobody can enrol by their password: it is missing")
        );
    }

    #[test]
    fn modules_of_that_service_that_ask_nothing_or_run_twice_are_warned_of() {
        let none = proof(&[("qrtotp", "auth requisite pam_qrtotp.so\nauth required pam_permit.so\n")]);
        assert!(none.starts_with("WARN") && none.contains("no module of it is known"), "{none}");
        for line in [
            "auth sufficient pam_rootok.so",
            "auth required pam_faillock.so preauth",
            "account required pam_exec.so /x",
        ] {
            let told = proof(&[(
                "qrtotp",
                &format!("auth requisite pam_qrtotp.so\n{line}\nauth required pam_unix.so\n"),
            )]);
            assert!(told.starts_with("WARN"), "{line}: {told}");
        }
    }
}
