//! Whether sshd, as it is configured and as it runs, has PAM ask for the code: `sshd -T` tells its settings,
//! also for the users and addresses that `Match` blocks name.

use super::AS_ROOT;
use super::files::Files;
use super::methods::{Asks, KEY, Methods};
use super::pam::SSHD;
use super::report::{Finding, Report};
use super::sshd_files::{Connection, SshdFiles, members_of};
use super::stacks::{Primary, Service};
use crate::cli::With;
use crate::program::Silence;
use crate::sshd::{SshdSettings, program};
use nix::unistd::geteuid;
use pam_stack::{PamCode, PamLine, Part};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_policy::{Config, Facts, Known, Outcome, Unasked};
use std::path::Path;

/// sshd's error if the directory is missing that its service makes. By then it has read its configuration and
/// its keys.
pub const NOT_STARTED: &str = "Missing privilege separation directory";
const SNIPPET: &str = "see conf/sshd_config.d/qrtotp.conf; then: sshd -t && systemctl reload ssh";
/// sshd of this host.
pub enum Sshd {
    Absent,
    /// Its settings can't be had.
    Unknown(Finding),
    /// The settings, and those for the connections that Match blocks name.
    Settings(Vec<(Option<Connection>, SshdSettings)>),
}

impl Sshd {
    pub fn ask() -> Self {
        let Some(program) = program() else { return Self::Absent };
        if !geteuid().is_root() {
            return Self::Unknown(
                Finding::warn("sshd-unknown", program, "tells its settings only to root").fix(AS_ROOT),
            );
        }
        let usual = match SshdSettings::ask(program, None) {
            Ok(settings) => settings,
            Err(silence) => return Self::Unknown(silent(&silence, program)),
        };
        let files = SshdFiles::below(Path::new("/"), &members_of);
        // Without it sshd knows a client by its address only.
        let by_name = usual.is_on("usedns");
        let mut all = vec![(None, usual)];
        for connection in files.connections.into_iter().filter(|one| by_name || one.host == one.address) {
            match SshdSettings::ask_for(program, &connection.specification()) {
                Ok(settings) => all.push((Some(connection), settings)),
                Err(silence) => return Self::Unknown(silent(&silence, program)),
            }
        }
        Self::Settings(all)
    }

    /// The settings for every connection; the first ones are those outside of `Match` blocks.
    pub fn all(&self) -> &[(Option<Connection>, SshdSettings)] {
        match self {
            Self::Settings(all) => all,
            Self::Absent | Self::Unknown(_) => &[],
        }
    }

    /// Its PAM service.
    pub fn service(&self) -> &str {
        self.all().first().and_then(|(_, settings)| settings.get("pamservicename")).unwrap_or(SSHD)
    }

    /// Whether it demands the PIN or fingerprint of hardware keys, in every `Match` block too; `None`: its
    /// settings can't be had.
    pub fn verifies_keys(&self) -> Option<bool> {
        let all = self.all();
        (!all.is_empty()).then(|| all.iter().all(|(_, settings)| demands_verification(settings)))
    }

    /// Whether root may log in there by its settings outside of `Match` blocks.
    pub fn lets_root_in(&self) -> bool {
        let word = self.all().first().and_then(|(_, settings)| settings.get("permitrootlogin"));
        !matches!(word, Some("no" | "forced-commands-only"))
    }

    /// The ways in that its settings outside of `Match` blocks offer.
    pub fn ways(&self, files: &Files) -> Ways {
        let service = self.service();
        let Some((_, settings)) = self.all().first() else { return Ways::default() };
        let forwards = files.asks(service).is_some_and(|line| line.forwards());
        let account_part = files.lines(service).iter().any(|line| line.part == Part::Account);
        let methods = Methods::of(settings);
        if !methods.pam {
            return Ways { account_part, ..Ways::default() };
        }
        let ways = methods.ways();
        let asks = |asks| asks == Asks::Pam || (forwards && asks == Asks::PamByPassword);
        Ways {
            asks: ways.iter().any(|way| !way.proofs.contains(&KEY) && asks(way.asks)),
            asks_behind_key: ways.iter().any(|way| way.proofs.contains(&KEY) && asks(way.asks)),
            key_alone: ways.iter().any(|way| way.proofs == [KEY] && way.asks == Asks::Nothing),
            account_part,
        }
    }

    /// The factor that sshd verifies before it asks PAM.
    pub fn primary(&self) -> Primary {
        match self {
            Self::Absent => Primary::Pam,
            Self::Unknown(_) => Primary::Unknown,
            Self::Settings(all) if all.iter().any(|(_, settings)| Methods::of(settings).pam_alone()) => {
                Primary::Pam
            }
            Self::Settings(_) => Primary::Program,
        }
    }

    /// The factor that `setup` can demand besides the code without letting anybody in who can't get in today.
    ///
    /// # Errors
    /// The reason why the admin has to choose.
    pub fn factor(&self) -> Result<With, String> {
        let all = match self {
            Self::Absent => return Ok(With::Password),
            Self::Unknown(finding) => return Err(format!("{}: {}", finding.subject, finding.what)),
            Self::Settings(all) => all,
        };
        let every =
            |holds: fn(&Methods<'_>) -> bool| all.iter().all(|(_, settings)| holds(&Methods::of(settings)));
        if every(|methods| methods.takes_password()) {
            Ok(With::Password)
        } else if every(|methods| !methods.takes_password() && methods.takes_key()) {
            Ok(With::Key)
        } else {
            Err("sshd takes keys from some users or addresses and passwords from others".into())
        }
    }
}

/// How a login can come in at sshd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// PAM's auth part can ask for a code, and no key was shown before.
    pub asks: bool,
    /// It can ask for one behind a key.
    pub asks_behind_key: bool,
    /// A key alone is enough, and PAM runs the account part only.
    pub key_alone: bool,
    /// Our module is in the account part.
    pub account_part: bool,
}

/// The assumption if nothing is known.
impl Default for Ways {
    fn default() -> Self {
        Self { asks: true, asks_behind_key: true, key_alone: false, account_part: false }
    }
}

fn demands_verification(settings: &SshdSettings) -> bool {
    let options = settings.get("pubkeyauthoptions").unwrap_or_default();
    options.split([',', ' ']).any(|one| one == "verify-required")
}

fn silent(silence: &Silence, program: &str) -> Finding {
    match silence {
        Silence::Unasked(why) => {
            Finding::warn("sshd-unknown", program, &format!("`sshd -T` does not tell its settings: {why}"))
                .fix("correct that, then look again")
        }
        Silence::Refuses(words) if words.contains(NOT_STARTED) => Finding::warn(
            "sshd-unknown",
            program,
            &format!("it tells its settings only once it was started: {words}"),
        )
        .fix("systemctl start ssh; then look again"),
        Silence::Refuses(words) => Finding::fail(
            "sshd-cannot-start",
            program,
            &format!("it can't start as it is configured: {words}"),
        )
        .why("the running one goes on with its old settings; after a restart nobody gets in")
        .fix("correct that until `sshd -t` is silent"),
    }
}

/// Reports on the settings for every connection, where sshd's PAM file asks for a code.
pub fn check(sshd: &Sshd, files: &Files, config: Option<&Config>, report: &mut Report) {
    let all = match sshd {
        Sshd::Absent => return,
        Sshd::Unknown(finding) => return report.add(finding.clone()),
        Sshd::Settings(all) => all,
    };
    let service = sshd.service();
    let Some(line) = files.asks(service) else {
        let what = format!("its PAM file, /etc/pam.d/{service}, does not ask for a code");
        return report.add(Finding::info("sshd-not-covered", SSHD, &what));
    };
    let before = report.findings.len();
    let untried = SshdFiles::below(Path::new("/"), &members_of).untried;
    if !untried.is_empty() {
        let what = format!(
            "no connection is known to try these Match blocks with: {}",
            super::report::names(&untried)
        );
        report.add(
            Finding::warn("sshd-match-untried", SSHD, &what)
                .why("their settings are not checked")
                .fix("ask for a connection that they match, for example: sshd -T -C user=NAME,host=ADDRESS,addr=ADDRESS"),
        );
    }
    let mut usual: &[Finding] = &[];
    let denied = config.is_some_and(|config| config.defaults.unasked == Unasked::Deny)
        && account_part_denies(files, service);
    let checked = all.iter().map(|(connection, settings)| {
        let found = findings_of(settings, line.forwards()).into_iter();
        (connection, found.map(|one| if denied { denied_later(one) } else { one }).collect::<Vec<_>>())
    });
    let checked: Vec<_> = checked.collect();
    for (connection, found) in &checked {
        let Some(connection) = connection else {
            usual = found;
            report.add_all(found.iter().cloned());
            continue;
        };
        let subject = format!("sshd ({})", connection.label());
        for finding in found.iter().filter(|finding| !usual.contains(finding)) {
            report.add(match exempting_rule(config, connection) {
                Some(rule) => Finding::info(
                    "sshd-exempt",
                    &subject,
                    &format!("rule {rule} lets in without a code, and so does sshd"),
                ),
                None => Finding { subject: subject.clone(), ..finding.clone() },
            });
        }
    }
    if !report.findings[before..].iter().any(|finding| finding.severity > super::report::Severity::Info) {
        let methods = all[0].1.get("authenticationmethods").unwrap_or("any");
        let what = format!(
            "has PAM ask for the code; AuthenticationMethods {methods}; Match blocks: {}",
            all.len() - 1
        );
        report.add(Finding::ok("sshd", SSHD, &what));
    }
}

/// Whether a refusal of ours in the account part keeps out.
fn account_part_denies(files: &Files, service: &str) -> bool {
    let stack = files.tree.stack(service, Part::Account);
    let run = stack.run(|entry, past| match entry.is_ours() {
        true => vec![PamCode::PERM_DENIED],
        false => pam_stack::ModuleFacts::RIGHT.of(entry, stack.part, past),
    });
    run.is_none() && stack.entries.iter().any(PamLine::is_ours)
}

/// sshd lets in without a code, and `unasked = "deny"` does not.
fn denied_later(finding: Finding) -> Finding {
    match finding.id {
        "sshd-key-alone" => {
            let what = "lets in without a code; then the account part denies (unasked = \"deny\")";
            Finding::info("sshd-denied-later", SSHD, what)
        }
        "sshd-without-code" => Finding::warn(
            "sshd-denied-later",
            SSHD,
            &format!("{}, and then the account part denies", finding.what),
        )
        .why("unless another list asks for a code, only users with a rule that exempts them get in")
        .fix("AuthenticationMethods publickey,keyboard-interactive"),
        _ => finding,
    }
}

/// The rule that asks no code of such a connection with a key.
fn exempting_rule(config: Option<&Config>, connection: &Connection) -> Option<String> {
    let config = config?;
    let Connection { user, address, .. } = connection;
    let now = SystemClock.now();
    let facts =
        Facts { user: Some(user), service: SSHD, tty: "ssh", by: "", rhost: address, key: Some(true), now };
    let mut known = Known { groups: || HostDirectory.groups(user), hardware_key: true, familiar: true };
    let decision = config.rules.decide(&facts, &mut known, None).ok()?;
    (decision.outcome == Some(Outcome::Skip)).then(|| decision.rule.to_owned())
}

/// Faults of the settings if PAM asks for a code. `forwards`: in one text with the password.
fn findings_of(settings: &SshdSettings, forwards: bool) -> Vec<Finding> {
    let fail = |id, what: &str| Finding::fail(id, SSHD, what).fix(SNIPPET);
    let methods = Methods::of(settings);
    if !methods.pam {
        return vec![fail("sshd-no-pam", "UsePAM no: nobody is asked for a code")];
    }
    if !(methods.interactive || methods.password && forwards) {
        let what = if methods.password {
            "KbdInteractiveAuthentication no: the method `password` answers the question for the code with the password, so \
             nobody with a password gets in, and a key alone lets in"
        } else {
            "KbdInteractiveAuthentication no: PAM is never asked, so nobody is asked for a code"
        };
        return vec![fail("sshd-never-asks", what)];
    }
    let mut found = Vec::new();
    // sshd leaves out lists with a method that is off.
    let usable: Vec<&&str> = methods.lists.iter().filter(|list| methods.usable(list)).collect();
    if usable.is_empty() && !methods.any {
        let what =
            "AuthenticationMethods: each list has a method that is off or not there, so nobody gets in";
        found.push(fail("sshd-nobody-gets-in", what));
    }
    if methods.any && methods.outside {
        found.push(fail("sshd-key-alone", "AuthenticationMethods any: a key alone lets in, without a code"));
    }
    for list in usable {
        let asks = (Methods::named(list, "keyboard-interactive") && methods.interactive)
            || (Methods::named(list, "password") && forwards);
        if !asks && Methods::named(list, "password") {
            let what = format!(
                "AuthenticationMethods: {list} lets nobody in, because the method `password` answers the question for the code with the password"
            );
            found.push(fail("sshd-nobody-gets-in", &what));
        } else if !asks {
            let what = format!("AuthenticationMethods: {list} lets in without a code");
            found.push(fail("sshd-without-code", &what));
        }
    }
    if methods.password
        && !forwards
        && (methods.any || methods.lists.iter().any(|list| Methods::named(list, "password")))
    {
        let what = "PasswordAuthentication yes: that method answers the question for the code with the password, which never works";
        found.push(Finding::warn("sshd-password-method", SSHD, what).fix("PasswordAuthentication no"));
    }
    found
}

/// Whether sshd lets PAM alone decide, and its PAM file asks for nothing but a code.
///
/// # Errors
/// Its settings can't be read.
pub fn lets_in_on_nothing(files: &Files) -> Result<bool, Silence> {
    let Some(program) = program() else { return Ok(false) };
    let settings = SshdSettings::ask(program, None)?;
    let service = settings.get("pamservicename").unwrap_or(SSHD);
    if files.asks(service).is_none() || !Methods::of(&settings).questions_alone() {
        return Ok(false);
    }
    Ok(Service::read(&files.tree, service, Primary::Pam).lets_in_by_code())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity;
    use super::*;

    const GOOD: &str = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\npubkeyauthentication yes\n\
                        hostbasedauthentication yes\nauthenticationmethods publickey,keyboard-interactive\n";

    fn verdicts(text: &str, forwards: bool) -> Vec<(Severity, &'static str)> {
        findings_of(&SshdSettings(text.to_owned()), forwards)
            .into_iter()
            .map(|found| (found.severity, found.id))
            .collect()
    }

    #[test]
    fn the_shipped_settings_are_fine() {
        assert_eq!(verdicts(GOOD, false), []);
        assert_eq!(verdicts(&GOOD.replace("publickey,keyboard", "keyboard"), false), []);
        assert_eq!(
            verdicts(&GOOD.replace("publickey,keyboard", "gssapi-with-mic keyboard"), false),
            [],
            "it is off"
        );
        let forwarded = GOOD
            .replace("passwordauthentication no", "passwordauthentication yes")
            .replace("publickey,keyboard-interactive", "password");
        assert_eq!(verdicts(&forwarded, true), []);
    }

    #[test]
    fn settings_by_which_somebody_gets_in_without_a_code_or_nobody_does_fail() {
        for (from, to, id) in [
            ("usepam yes", "usepam no", "sshd-no-pam"),
            ("kbdinteractiveauthentication yes", "kbdinteractiveauthentication no", "sshd-never-asks"),
            ("publickey,keyboard-interactive", "any", "sshd-key-alone"),
            ("publickey,keyboard-interactive", "publickey", "sshd-without-code"),
            (
                "publickey,keyboard-interactive",
                "publickey,keyboard-interactive publickey",
                "sshd-without-code",
            ),
            (
                "publickey,keyboard-interactive",
                "publickey,keyboard-interactive hostbased",
                "sshd-without-code",
            ),
            ("publickey,keyboard-interactive", "publickey,password", "sshd-nobody-gets-in"),
            ("publickey,keyboard-interactive", "keyboard-interactive:bsdauth", "sshd-nobody-gets-in"),
            ("publickey,keyboard-interactive", "gssapi-with-mic", "sshd-nobody-gets-in"),
        ] {
            assert_eq!(verdicts(&GOOD.replace(from, to), false), [(Severity::Fail, id)], "{to}");
        }
    }

    #[test]
    fn whether_anything_but_pam_proves_something_is_known() {
        for (methods, alone) in [
            ("publickey,keyboard-interactive", false),
            ("gssapi-with-mic,keyboard-interactive", false),
            ("keyboard-interactive", true),
            ("keyboard-interactive:pam", true),
            ("publickey,keyboard-interactive keyboard-interactive", true),
            ("any", true),
        ] {
            let settings = SshdSettings(GOOD.replace("publickey,keyboard-interactive", methods));
            let found = Methods::of(&settings);
            assert_eq!((found.pam_alone(), found.questions_alone()), (alone, alone), "{methods}");
        }
    }

    #[test]
    fn the_method_password_beside_the_right_one_is_a_warning() {
        let text = GOOD.replace("passwordauthentication no", "passwordauthentication yes");
        assert_eq!(verdicts(&text, false), [], "not offered");
        let any = text
            .replace("publickey,keyboard-interactive", "any")
            .replace("hostbasedauthentication yes", "hostbasedauthentication no")
            .replace("pubkeyauthentication yes", "pubkeyauthentication no");
        assert_eq!(verdicts(&any, false), [(Severity::Warn, "sshd-password-method")]);
    }

    #[test]
    fn a_refused_configuration_fails_in_its_own_words_and_one_that_was_not_asked_is_unknown() {
        let finding_of = |script: &str| {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", script]);
            silent(&crate::program::output(command).unwrap_err(), "sshd")
        };
        let refused = finding_of("for i in 1 2 3 4 5; do echo \"line $i: bad\" >&2; done; exit 255");
        assert!(
            refused.severity == Severity::Fail && refused.what.contains("line 2: bad; line 3: bad"),
            "{refused:?}"
        );
        assert_eq!(finding_of("exit 1").id, "sshd-cannot-start", "without a word");
        for script in ["echo 'Missing privilege separation directory: /run/sshd' >&2; exit 255", "kill -9 $$"]
        {
            assert_eq!(finding_of(script).id, "sshd-unknown", "{script}");
        }
    }

    #[test]
    fn a_key_alone_that_the_account_part_denies_is_no_failure() {
        for (line, denies) in [
            ("account required pam_qrtotp.so\naccount required pam_permit.so\n", true),
            ("account sufficient pam_permit.so\naccount required pam_qrtotp.so\n", false),
            ("account optional pam_qrtotp.so\naccount required pam_permit.so\n", false),
            ("account required pam_deny.so\n", false),
        ] {
            let (_dir, files) = super::super::files::tests::host(&[(SSHD, line)]);
            assert_eq!(account_part_denies(&files, SSHD), denies, "{line}");
        }
        for (id, severity) in [("sshd-key-alone", Severity::Info), ("sshd-no-pam", Severity::Fail)] {
            assert_eq!(denied_later(Finding::fail(id, SSHD, "x")).severity, severity);
        }
    }

    #[test]
    fn a_rule_that_asks_no_code_of_a_connection_is_the_reason_for_its_match_block() {
        let connection =
            Connection { user: "svc-x".into(), address: "10.20.0.0".into(), ..Connection::default() };
        assert_eq!(exempting_rule(Some(&Config::default()), &connection), None);
    }
}
