//! Whether sshd, as it is configured and as it runs, has PAM ask for the code: `sshd -T` tells its settings,
//! also for the users and addresses that `Match` blocks name.

use super::AS_ROOT;
use super::files::Files;
use super::methods::{Asks, KEY, Methods};
use super::pam::SSHD;
use super::report::{Finding, Report};
use super::sshd_files::{Connection, MAIN, SshdFiles, members_of};
use super::stacks::{Primary, Service};
use crate::cli::With;
use crate::context::Context;
use crate::program::Silence;
use crate::sshd::{Settings, program};
use nix::unistd::geteuid;
use pam_stack::{Code, Entry, Part};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_policy::{Config, Facts, Known, Origin, Outcome, Unasked};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
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
    Settings(Vec<(Option<Connection>, Settings)>),
}

impl Sshd {
    pub fn ask() -> Self {
        let Some(program) = program() else { return Self::Absent };
        if !geteuid().is_root() {
            return Self::Unknown(
                Finding::warn("sshd-unknown", program, "tells its settings only to root").fix(AS_ROOT),
            );
        }
        let usual = match Settings::ask(program, None) {
            Ok(settings) => settings,
            Err(silence) => return Self::Unknown(silent(&silence, program)),
        };
        let files = SshdFiles::below(Path::new("/"), &members_of);
        // Without it sshd knows a client by its address only.
        let by_name = usual.is_on("usedns");
        let mut all = vec![(None, usual)];
        for connection in files.connections.into_iter().filter(|one| by_name || one.host == one.address) {
            match Settings::ask_for(program, &connection.specification()) {
                Ok(settings) => all.push((Some(connection), settings)),
                Err(silence) => return Self::Unknown(silent(&silence, program)),
            }
        }
        Self::Settings(all)
    }

    fn all(&self) -> &[(Option<Connection>, Settings)] {
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

fn demands_verification(settings: &Settings) -> bool {
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
        true => vec![Code::PERM_DENIED],
        false => pam_stack::Facts::RIGHT.of(entry, stack.part, past),
    });
    run.is_none() && stack.entries.iter().any(Entry::is_ours)
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
fn findings_of(settings: &Settings, forwards: bool) -> Vec<Finding> {
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

/// Whether the running sshd goes by its files, and has read them since they were changed.
pub fn reloaded(sshd: &Sshd, report: &mut Report) {
    let Some((_, settings)) = sshd.all().first() else { return };
    let pid_file = Path::new(settings.get("pidfile").unwrap_or("/run/sshd.pid"));
    // Started anew for each connection, by inetd or systemd, it reads its files each time.
    let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok()) else {
        return;
    };
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return };
    let command = String::from_utf8_lossy(&command);
    let is_sshd = command.split('\0').next().is_some_and(|program| program.contains("sshd"));
    if let Some(option) = overriding(&command).filter(|_| is_sshd) {
        let what = format!("the running sshd was started with {option}, so it goes by other settings");
        report.add(
            Finding::warn("sshd-other-settings", SSHD, &what)
                .why("logins go by them, and not by those that were looked at here")
                .fix("move them into /etc/ssh/sshd_config, take the option out of the service, restart sshd"),
        );
    }
    let Some(read) = pid_file.metadata().ok().map(|file| (file.mtime(), file.mtime_nsec())) else { return };
    let files = SshdFiles::below(Path::new("/"), &|_| Vec::new()).read;
    let newer: Vec<String> = files
        .iter()
        .filter(|file| file.metadata().is_ok_and(|file| changed(&file) > read))
        .map(|file| file.display().to_string())
        .collect();
    if newer.is_empty() {
        return;
    }
    let what =
        format!("the running sshd has not read {} since the last change", super::report::names(&newer));
    report.add(
        Finding::fail("sshd-not-reloaded", SSHD, &what)
            .why("logins go by its old settings, and not by those that were looked at here")
            .fix("sshd -t && systemctl reload ssh"),
    );
}

/// The last change; `cp -p` and `mv` keep the time of the content.
fn changed(file: &Metadata) -> (i64, i64) {
    (file.ctime(), file.ctime_nsec()).max((file.mtime(), file.mtime_nsec()))
}

/// The option of sshd's command line that replaces or overrides its file. sshd also writes a title there:
/// `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`.
fn overriding(command: &str) -> Option<String> {
    const WITH_VALUE: &str = "CEbcfghkopu";
    let mut words = command.split([' ', '\0']);
    while let Some(word) = words.next() {
        let Some(flags) = word.strip_prefix('-') else { continue };
        let Some((at, flag)) = flags.char_indices().find(|(_, flag)| WITH_VALUE.contains(*flag)) else {
            continue;
        };
        let value = Some(&flags[at + 1..]).filter(|value| !value.is_empty()).or_else(|| words.next())?;
        if flag == 'o' || flag == 'f' && value != MAIN {
            return Some(format!("-{flag} {value}"));
        }
    }
    None
}

/// Whether sshd demands the PIN or fingerprint of hardware keys, if a rule takes one as second factor.
pub fn hardware_keys(sshd: &Sshd, context: Option<&Context>, report: &mut Report) {
    let rules = context.and_then(|context| context.config.rules.rules().ok()).unwrap_or_default();
    let takes = |rule: &&qrtotp_policy::Rule| rule.outcome == Outcome::Skip && rule.conditions.hardware_key;
    let Some(rule) = rules.iter().find(takes) else { return };
    let (rule, fix) = (&rule.name, "in sshd_config: PubkeyAuthOptions verify-required");
    report.add(match sshd.verifies_keys() {
        None => {
            let what = format!("rule {rule} takes hardware keys, and sshd's settings can't be read here");
            Finding::warn("hardware-key-pin-unknown", SSHD, &what).fix("look whether `sshd -T` prints verify-required")
        }
        Some(true) => {
            let what = "hardware keys need their PIN or fingerprint; without attestation a software key can't be told from a real one";
            Finding::ok("hardware-key-pin", SSHD, what)
        }
        Some(false) => {
            let what = format!("rule {rule} takes hardware keys, and sshd does not demand their PIN or fingerprint (verify-required)");
            Finding::fail("hardware-key-pin", SSHD, &what).why("anyone who finds a key gets in with it alone").fix(fix)
        }
    });
}

/// Whether sshd gives PAM the client's name instead of its address, if a rule compares networks.
pub fn names_for_addresses(sshd: &Sshd, context: Option<&Context>, report: &mut Report) {
    let rules = context.and_then(|context| context.config.rules.rules().ok()).unwrap_or_default();
    let network = |origin: &Origin| matches!(origin, Origin::Network(_));
    let Some(rule) = rules.iter().find(|rule| rule.conditions.from.iter().any(network)) else { return };
    if sshd.all().iter().any(|(_, settings)| settings.get("usedns") == Some("yes")) {
        let what = format!("UseDNS gives PAM the client's name, and rule {} compares addresses", rule.name);
        report.add(
            Finding::warn("sshd-use-dns", SSHD, &what)
                .why("a name is in no network, so the rule does not match clients that have one")
                .fix("in sshd_config: UseDNS no"),
        );
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
        findings_of(&Settings(text.to_owned()), forwards)
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
    fn options_of_the_running_sshd_that_override_its_file_are_found() {
        for (command, option) in [
            ("/usr/sbin/sshd\0-D\0", None),
            ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", None),
            ("/usr/sbin/sshd\0-De\0-f\0/etc/ssh/sshd_config\0-p2222\0", None),
            ("/usr/sbin/sshd\0-D\0-oUsePAM=no\0", Some("-o UsePAM=no")),
            ("sshd: /usr/sbin/sshd -Df /x [listener] 0 of 10-100 startups", Some("-f /x")),
            ("sshd\0-p\0-2\0-o\0UsePAM=no\0", Some("-o UsePAM=no")),
        ] {
            assert_eq!(overriding(command).as_deref(), option, "{command:?}");
        }
    }

    #[test]
    fn a_file_that_was_moved_in_place_with_its_old_time_is_changed() {
        let file = tempfile::tempfile().unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(changed(&file.metadata().unwrap()) > (1_000_000_000, 0));
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
            let settings = Settings(GOOD.replace("publickey,keyboard-interactive", methods));
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

    /// A host with this rule.
    fn ruled(rule: &str) -> Context {
        struct Nobody;
        impl qrtotp_policy::Names for Nobody {
            fn gid(&self, _: &str) -> Result<Option<u32>, String> {
                Ok(None)
            }
            fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
                Ok(Vec::new())
            }
        }
        let text = format!("[[rule]]\nname = \"a\"\n{rule}\n");
        let source = qrtotp_policy::SourceFile { path: "x".into(), bytes: text.into() };
        let config = qrtotp_policy::compile(&[source], &Nobody).unwrap().config;
        Context { config, key_dir: "/".into() }
    }

    #[test]
    fn names_in_place_of_addresses_are_told_where_a_rule_compares_networks() {
        let settings = |uses: &str| Sshd::Settings(vec![(None, Settings(format!("{GOOD}usedns {uses}\n")))]);
        let (networks, local) =
            ("from = [\"192.0.2.0/24\"]\nthen = \"deny\"", "from = [\"local\"]\nthen = \"deny\"");
        for (rule, uses, is_found) in
            [(networks, "yes", true), (networks, "no", false), (local, "yes", false)]
        {
            let mut report = Report::new(0);
            names_for_addresses(&settings(uses), Some(&ruled(rule)), &mut report);
            assert_eq!(report.findings.len(), usize::from(is_found), "{rule} {uses}");
        }
    }

    #[test]
    fn whether_hardware_keys_need_their_pin_is_yes_no_or_unknown() {
        let context = ruled("key = \"hardware\"\nthen = \"skip\"");
        let settings = |options: &str| (None, Settings(format!("{GOOD}pubkeyauthoptions {options}\n")));
        let (yes, no) = (settings("touch-required,verify-required"), settings("none"));
        let unknown = Finding::warn("sshd-unknown", "sshd", "x");
        for (sshd, severity) in [
            (Sshd::Settings(vec![yes]), Severity::Ok),
            (Sshd::Settings(vec![settings("verify-required"), no]), Severity::Fail),
            (Sshd::Unknown(unknown), Severity::Warn),
            (Sshd::Absent, Severity::Warn),
        ] {
            let mut report = Report::new(0);
            hardware_keys(&sshd, Some(&context), &mut report);
            assert_eq!(report.findings[0].severity, severity, "{:?}", report.findings);
        }
    }

    #[test]
    fn a_rule_that_asks_no_code_of_a_connection_is_the_reason_for_its_match_block() {
        let connection =
            Connection { user: "svc-x".into(), address: "10.20.0.0".into(), ..Connection::default() };
        assert_eq!(exempting_rule(Some(&Config::default()), &connection), None);
    }
}
