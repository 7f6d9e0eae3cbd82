//! Whether sshd, as it is configured, has PAM ask for the code: `sshd -T` tells its settings.

use super::AS_ROOT;
use super::files::Files;
use super::pam::SSHD;
use super::report::{About, Report};
use crate::cmd::config::unverified_keys;
use crate::context::Context;
use crate::program::Silence;
use crate::sshd::{Settings, program};
use nix::unistd::geteuid;
use qrtotp_core::flow::{Args, FirstPass};
use qrtotp_core::policy::OurEntry;
use std::ffi::CStr;

/// What it says where the directory is missing that its service makes. By then it has read its configuration and its keys.
const NOT_STARTED: &str = "Missing privilege separation directory";

impl Silence {
    fn tell(&self, about: &mut About<'_>) {
        match self {
            Self::Unasked(why) => about.skip(
                &format!("`sshd -T` does not tell its settings: {why}"),
                "correct that, then look again",
            ),
            Self::Refuses(words) if words.contains(NOT_STARTED) => about.skip(
                &format!("it tells its settings only once its service was started: {words}"),
                "systemctl start ssh; then look again",
            ),
            Self::Refuses(words) => about.warn(
                &format!("it would not start as it is configured, and does not tell its settings: {words}"),
                "correct that until `sshd -t` is silent, before it is restarted; then look again",
            ),
        }
    }
}

pub fn check(files: &Files, report: &mut Report) {
    let Some(program) = program() else { return };
    let mut about = report.about("sshd", program);
    if !geteuid().is_root() {
        return about.skip("it tells its settings only to root", AS_ROOT);
    }
    let settings = match Settings::ask(program, None) {
        Ok(settings) => settings,
        Err(silence) => return silence.tell(&mut about),
    };
    let service = settings.get("pamservicename").unwrap_or(SSHD);
    let Some(entry) = files.asks(service) else {
        return about.ok(&format!("its PAM file, {service}, does not ask for a code"));
    };
    let pam = Pam { forwards: forwards(entry), password: files.takes_a_password(service) };
    judge(&settings, &pam, &mut about);
}

/// Whether sshd demands the PIN or fingerprint of hardware keys, if a rule takes one as second factor.
pub fn hardware_keys(context: Option<&Context>, report: &mut Report) {
    let rules = context.and_then(|context| context.config.rules.rules().ok()).unwrap_or_default();
    if !rules.iter().any(|rule| rule.conditions.hardware_key) {
        return;
    }
    let mut about = report.about("sshd", "PubkeyAuthOptions");
    match unverified_keys(&rules) {
        Some(finding) => about.finding(&finding),
        None => about.ok(
            "hardware keys need their PIN or fingerprint (Match blocks are not looked at); without attestation a software key \
             can't be told from a real one",
        ),
    }
}

/// Whether sshd lets PAM alone decide, and its PAM file asks for nothing but a code.
///
/// # Errors
/// Its settings can't be read.
pub fn lets_in_on_nothing(files: &Files) -> Result<bool, Silence> {
    let Some(program) = program() else { return Ok(false) };
    let settings = Settings::ask(program, None)?;
    let service = settings.get("pamservicename").unwrap_or(SSHD);
    let Some(entry) = files.asks(service) else { return Ok(false) };
    let pam = Pam { forwards: forwards(entry), password: files.takes_a_password(service) };
    Ok(proves_nothing(&settings, &pam))
}

fn proves_nothing(settings: &Settings, pam: &Pam) -> bool {
    let interactive =
        settings.is_on("kbdinteractiveauthentication") || settings.is_on("challengeresponseauthentication");
    let alone =
        |list: &str| list.split(',').all(|method| method.split(':').next() == Some("keyboard-interactive"));
    let methods = settings.get("authenticationmethods").unwrap_or("any");
    let without_key = methods.eq_ignore_ascii_case("any") || methods.split_ascii_whitespace().any(alone);
    settings.is_on("usepam") && interactive && without_key && !pam.password && !pam.forwards
}

/// What its PAM file asks.
struct Pam {
    /// Password and code in one.
    forwards: bool,
    /// A password besides the code.
    password: bool,
}

/// What sshd asks before or instead of PAM.
const WITHOUT_PAM: [&str; 3] = ["pubkeyauthentication", "hostbasedauthentication", "gssapiauthentication"];
const SNIPPET: &str = "see conf/sshd_config.d/qrtotp.conf; then `sshd -t && systemctl reload ssh`";

fn judge(settings: &Settings, pam: &Pam, about: &mut About<'_>) {
    if !settings.is_on("usepam") {
        return about.fail("UsePAM no: nobody is asked for a code", SNIPPET);
    }
    let interactive =
        settings.is_on("kbdinteractiveauthentication") || settings.is_on("challengeresponseauthentication");
    let by_password = settings.is_on("passwordauthentication");
    let methods = settings.get("authenticationmethods").unwrap_or("any");
    let any = methods.eq_ignore_ascii_case("any");
    if !(interactive || by_password && pam.forwards) {
        let what = if by_password {
            "KbdInteractiveAuthentication no: the method `password` answers the question for the code with the password, so \
             nobody with a password gets in, and a key alone lets in"
        } else {
            "KbdInteractiveAuthentication no: PAM is never asked, so nobody is asked for a code"
        };
        return about.fail(what, SNIPPET);
    }
    let mut fine = true;
    let mut fail = |finding: &str, advice: &str| {
        fine = false;
        about.fail(finding, advice);
    };
    if any && WITHOUT_PAM.iter().any(|keyword| settings.is_on(keyword)) {
        fail("AuthenticationMethods any: a key alone lets in, without a code", SNIPPET);
    }
    let lists = if any { "" } else { methods };
    for list in lists.split_ascii_whitespace() {
        let named = |wanted: &str| list.split(',').any(|method| method.split(':').next() == Some(wanted));
        let asks = (named("keyboard-interactive") && interactive) || (named("password") && pam.forwards);
        let first = named("publickey") || named("hostbased") || named("gssapi-with-mic");
        if !asks && named("password") {
            fail(
                &format!(
                    "AuthenticationMethods: {list} lets nobody in, for the method `password` answers the question for the code with the password"
                ),
                SNIPPET,
            );
        } else if !asks {
            fail(&format!("AuthenticationMethods: {list} lets in without a code"), SNIPPET);
        } else if !first && !pam.password && !pam.forwards {
            fail(
                &format!(
                    "AuthenticationMethods: with {list} a code alone lets in, for its PAM file checks no password that is known here"
                ),
                "AuthenticationMethods publickey,keyboard-interactive, or a PAM file with the password's module",
            );
        }
    }
    if any && !pam.password && !pam.forwards {
        fail(
            "AuthenticationMethods any: a code alone lets in, for its PAM file checks no password that is known here",
            "AuthenticationMethods publickey,keyboard-interactive, or a PAM file with the password's module",
        );
    }
    if by_password && !pam.forwards && (any || lists.contains("password")) {
        about.warn(
            "PasswordAuthentication yes: that method answers the question for the code with the password, which never works",
            "PasswordAuthentication no",
        );
    }
    if fine {
        about.ok(&format!(
            "has PAM ask for the code; AuthenticationMethods {methods} (Match blocks are not looked at)"
        ));
    }
}

/// Whether a line takes password and code together.
fn forwards(entry: &OurEntry) -> bool {
    let words: Vec<&CStr> = entry.arguments.iter().map(|word| word.as_c_str()).collect();
    Args::parse(&words).is_ok_and(|args| args.options.first_pass == FirstPass::Forward)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::program::output;
    use std::process::Command;

    const GOOD: &str = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\npubkeyauthentication yes\n\
                        authenticationmethods publickey,keyboard-interactive\n";

    fn said(text: &str, forwards: bool, password: bool) -> String {
        let mut report = Report::new(0);
        judge(&Settings(text.to_owned()), &Pam { forwards, password }, &mut report.about("sshd", ""));
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_shipped_settings_are_fine() {
        for password in [true, false] {
            assert!(said(GOOD, false, password).starts_with("OK"), "{}", said(GOOD, false, password));
        }
        let password = GOOD.replace("publickey,keyboard", "keyboard");
        assert!(said(&password, false, true).starts_with("OK"));
        let forwarded = GOOD
            .replace("passwordauthentication no", "passwordauthentication yes")
            .replace("publickey,keyboard-interactive", "password");
        assert!(said(&forwarded, true, true).starts_with("OK"), "{}", said(&forwarded, true, true));
    }

    #[test]
    fn settings_by_which_somebody_gets_in_without_a_code_fail() {
        for (from, to) in [
            ("usepam yes", "usepam no"),
            ("kbdinteractiveauthentication yes", "kbdinteractiveauthentication no"),
            ("publickey,keyboard-interactive", "any"),
            ("publickey,keyboard-interactive", "publickey"),
            ("publickey,keyboard-interactive", "publickey,keyboard-interactive publickey"),
            ("publickey,keyboard-interactive", "publickey,password"),
        ] {
            let text = GOOD.replace(from, to);
            assert!(said(&text, false, true).starts_with("FAIL"), "{to}: {}", said(&text, false, true));
        }
    }

    #[test]
    fn whether_anything_but_a_code_is_proven_is_known() {
        for (methods, password, nothing) in [
            ("publickey,keyboard-interactive", false, false),
            ("keyboard-interactive", false, true),
            ("keyboard-interactive:pam", false, true),
            ("publickey,keyboard-interactive keyboard-interactive", false, true),
            ("any", false, true),
            ("any", true, false),
        ] {
            let settings = Settings(GOOD.replace("publickey,keyboard-interactive", methods));
            let pam = Pam { forwards: false, password };
            assert_eq!(proves_nothing(&settings, &pam), nothing, "{methods} {password}");
        }
    }

    #[test]
    fn a_code_alone_is_not_enough() {
        for methods in ["keyboard-interactive", "keyboard-interactive:pam", "any"] {
            let text = GOOD
                .replace("publickey,keyboard-interactive", methods)
                .replace("pubkeyauthentication yes", "pubkeyauthentication no");
            assert!(said(&text, false, false).contains("a code alone lets in"), "{methods}");
            assert!(said(&text, false, true).starts_with("OK"), "{methods}");
        }
    }

    #[test]
    fn the_method_password_beside_the_right_one_is_a_warning() {
        let text = GOOD.replace("passwordauthentication no", "passwordauthentication yes");
        assert!(said(&text, false, true).starts_with("OK"), "not offered");
        let any = text
            .replace("publickey,keyboard-interactive", "any")
            .replace("pubkeyauthentication yes", "pubkeyauthentication no");
        assert!(said(&any, false, true).starts_with("WARN"));
    }

    #[test]
    fn a_refused_configuration_is_a_warning_in_its_own_words_and_one_that_was_not_asked_is_none() {
        let told = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            let (mut report, mut out) = (Report::new(0), Vec::new());
            output(command).unwrap_err().tell(&mut report.about("sshd", ""));
            report.write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let refused = told("for i in 1 2 3 4 5; do echo \"line $i: bad\" >&2; done; exit 255");
        assert!(refused.starts_with("WARN") && refused.contains("line 2: bad; line 3: bad"), "{refused}");
        assert!(!refused.contains("line 1"), "{refused}");
        assert!(told("exit 1").starts_with("WARN"), "without a word");
        for script in ["echo 'Missing privilege separation directory: /run/sshd' >&2; exit 255", "kill -9 $$"]
        {
            assert!(told(script).starts_with("SKIP"), "{script}");
        }
    }
}
