//! The files in which libpam looks, those that name our module: whether whoever logs in there is asked, and whether people can
//! enrol where the configuration says so.

use super::AS_ROOT;
use super::files::{File, Files};
use super::report::{About, Report, names};
use qrtotp_core::flow::Args;
use qrtotp_core::policy::{
    Config, FirstLogin, OurEntry, OurLine, Part, Shortcut, StackError, guard, proves_primary_factor,
};
use std::ffi::CStr;
use std::path::Path;

/// Whose users may have shown a key before PAM is asked.
pub const SSHD: &str = "sshd";
/// The broker's own service.
const BROKER: &str = "qrtotp";

const BEHIND: &str = "put it behind the line of pam_qrtotp.so, or make it required, unless that is meant";

/// Reports on each; whether any service asks for codes.
pub fn check(files: &Files, config_path: &Path, config: Option<&Config>, report: &mut Report) -> bool {
    let mut in_use = false;
    for (name, file) in &files.all {
        let own = file.names_us || !file.survey.ours.is_empty();
        let by_include =
            !own && config.is_some_and(|config| lists(config, name)) && files.asks(name).is_some();
        if !own && !by_include {
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
    if files.all.contains_key(BROKER)
        && let Err(error) = proves_primary_factor(BROKER)
    {
        report.about("pam", BROKER).warn(
            &format!("nobody can enrol a first device through the broker by their password: {error}"),
            "put `auth required pam_unix.so`, or what your hosts use, in place of its include; see conf/pam.d/qrtotp",
        );
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
        let enrols =
            |config: &Config| matches!(config.defaults.first_login, FirstLogin::Enroll | FirstLogin::Token);
        let Some(config) = self.config.filter(|config| enrols(config)) else {
            return about.ok("asks for a code");
        };
        match self.guard(config) {
            Ok(()) => about.ok("asks for a code, and people enrol there while they log in"),
            Err(error @ StackError::NotListed { .. }) => {
                about.warn(&format!("asks for a code, and nobody can enrol there: {error}"), "");
            }
            // Whose lines are another file's was hardly meant for that.
            Err(error) if self.file.survey.our(Part::Auth).is_none() => {
                about.warn(&format!("asks for a code, and nobody can enrol there: {error}"), "");
            }
            Err(error) => about.fail(&format!("who has no device is denied there: {error}"), ""),
        }
    }

    /// What a login there would be told now.
    fn guard(&self, config: &Config) -> Result<(), StackError> {
        let line = |password_only| OurLine {
            service: self.name,
            config: self.config_path,
            password_only,
            read_at: i64::MAX,
        };
        let services = &config.enroll.services;
        let by_password = guard(&line(true), services);
        match by_password {
            Err(error) if self.name == SSHD => guard(&line(false), services).map_err(|_| error),
            other => other,
        }
    }
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
            &[("sudo", "auth required pam_qrtotp.so forward_pass\n")],
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
}
