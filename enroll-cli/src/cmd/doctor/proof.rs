//! /etc/pam.d/qrtotp, by which passwords are proven before an enrolment, at `forward_pass` and by the broker.

use super::files::Files;
use super::pam::{enrols, writable};
use super::report::{Finding, Report, Severity};
use pam_stack::{Kind, ModuleFacts, PamCode, PamLine, Part, Run, Stack};
use qrtotp_policy::{Config, PROOF_SERVICE};

/// Modules that run twice when a user enrols at a login, if this service names them: they count, or act,
/// twice.
const RUN_TWICE: [&str; 4] = [FAILLOCK, "pam_tally2.so", "pam_exec.so", "pam_script.so"];
const FAILLOCK: &str = "pam_faillock.so";
const COMPARE: &str = "compare it with conf/pam.d/qrtotp";

/// Inside of our own transactions our module takes no part.
const INSIDE: ModuleFacts = ModuleFacts { ours: PamCode::IGNORE, ..ModuleFacts::RIGHT };

/// Whether anything here may have to prove a password by a transaction of its own.
pub fn is_needed(files: &Files, config: &Config, broker: bool) -> bool {
    broker
        || enrols(config)
        || files.services.contains_key(PROOF_SERVICE)
        || files.ours().iter().any(|line| line.forwards())
}

/// `trusted`: whether a login would use the file.
pub fn check(files: &Files, trusted: &Result<(), String>, report: &mut Report) {
    if let Err(error) = trusted {
        let what = format!("no password can be proven: {error}");
        report.add(
            Finding::fail("proof-service-missing", PROOF_SERVICE, &what)
                .why("nobody can enrol by their password, and `forward_pass` and the broker refuse everybody")
                .fix("install conf/pam.d/qrtotp as /etc/pam.d/qrtotp, as it is"),
        );
        return;
    }
    let (auth, account) =
        (files.tree.stack(PROOF_SERVICE, Part::Auth), files.tree.stack(PROOF_SERVICE, Part::Account));
    let mut found = findings(&auth, &account);
    if !auth.entries.iter().any(|entry| entry.name() == FAILLOCK) {
        found.extend(ignored_lock(files));
    }
    if found.iter().all(|finding| finding.severity == Severity::Ok) {
        let what = "proves passwords for enrolments, and lets nobody log in by itself";
        report.add(Finding::ok("proof-service", PROOF_SERVICE, what));
    }
    report.add_all(found);
}

/// Files that others than root can change, also of those that it includes.
pub fn check_files(files: &Files, report: &mut Report) {
    let stacks = [Part::Auth, Part::Account].map(|part| files.tree.stack(PROOF_SERVICE, part));
    report.add_all(writable(files, PROOF_SERVICE, &stacks));
}

/// A login that goes on to our module although pam_faillock locked the account. Our proof would let the
/// account enrol.
fn ignored_lock(files: &Files) -> Option<Finding> {
    let goes_on = |entry: &PamLine| checks_lock(entry) && entry.control_text == "required";
    let stacks = files.services.keys().map(|service| files.tree.stack(service, Part::Auth));
    let lock = stacks.filter(|stack| stack.entries.iter().any(PamLine::is_ours)).find_map(|stack| {
        stack.entries.into_iter().take_while(|entry| !entry.is_ours()).find(|entry| goes_on(entry))
    })?;
    let what = format!("an account that {FAILLOCK} locked ({}) can enrol by its right password", lock.place);
    let fix = "put `auth required pam_faillock.so preauth` behind its first line";
    Some(Finding::warn("proof-service", PROOF_SERVICE, &what).fix(fix))
}

/// Whether the line only checks whether the account is locked, and counts nothing.
fn checks_lock(entry: &PamLine) -> bool {
    entry.name() == FAILLOCK && entry.arguments.iter().any(|argument| argument == "preauth")
}

fn findings(auth: &Stack, account: &Stack) -> Vec<Finding> {
    let fail = |what: &str| Finding::fail("proof-service", PROOF_SERVICE, what);
    let warn = |what: &str| Finding::warn("proof-service", PROOF_SERVICE, what);
    let mut found = Vec::new();
    let outside = ModuleFacts { ours: PamCode::AUTH_ERR, ..ModuleFacts::RIGHT };
    if !auth.entries.first().is_some_and(|entry| entry.is_ours()) || auth.success(&outside).is_some() {
        found.push(
            fail("a program that lets others choose its PAM service lets them in by the password alone")
                .fix("make this its first auth line: auth requisite pam_qrtotp.so"),
        );
    }
    let wrong = ModuleFacts { password: false, proofs: false, other_codes: false, ..INSIDE };
    let asked = |run: &Run| {
        run.iter().map(|step| &auth.entries[step.entry]).find(|entry| entry.kind() == Kind::Password).cloned()
    };
    match auth.success(&wrong).map(|run| asked(&run)) {
        Some(Some(entry)) => found.push(
            fail(&format!(
                "a wrong password would enrol: {} forgets it ({})",
                entry.place, entry.control_text
            ))
            .why("anyone at an unlocked session could enrol a device of their own")
            .fix("make that line required, or put `auth requisite pam_deny.so` behind it"),
        ),
        Some(None) if auth.entries.iter().any(|entry| entry.kind() == Kind::Password) => {
            found.push(warn("it may succeed without a password; then nobody can enrol").fix(COMPARE))
        }
        _ => {}
    }
    for stack in [auth, account] {
        if stack.success(&INSIDE).is_none() {
            let what = format!(
                "a right password does not pass its {} part, so nobody can enrol by it",
                stack.part.word()
            );
            found.push(fail(&what).fix(COMPARE));
        }
    }
    if !auth.entries.iter().any(|entry| entry.kind() == Kind::Password) {
        found.push(
            warn("no module of it is known to take a password; without one nobody can enrol").fix(COMPARE),
        );
    }
    let runs_twice = |entry: &&PamLine| RUN_TWICE.contains(&entry.name()) && !checks_lock(entry);
    for entry in auth.entries.iter().chain(&account.entries).filter(runs_twice) {
        let what = format!("{}: {} runs twice when a user enrols at a login", entry.place, entry.name());
        found.push(warn(&what).fix("name the password's module alone, unless that is meant"));
    }
    if found.is_empty() && auth.faults.iter().chain(&account.faults).next().is_some() {
        found.push(warn("a line of it, or of a file that it includes, is odd").fix(COMPARE));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::host;
    use super::*;

    const OURS: &str = "auth required pam_qrtotp.so\n";
    const FIRST: &str = "auth requisite pam_qrtotp.so\n";
    const UNIX: &str = "auth required pam_unix.so\n";
    const ACCOUNT: &str = "account required pam_permit.so\n";

    fn found(texts: &[(&str, &str)]) -> (Severity, String) {
        let (_dir, files) = host(texts);
        let mut report = Report::new(0);
        check(&files, &Ok(()), &mut report);
        (report.verdict(), format!("{:?}", report.findings))
    }

    #[test]
    fn the_shipped_service_is_fine_also_with_the_profile_on() {
        let shipped = include_str!("../../../../conf/pam.d/qrtotp");
        let common = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n";
        for common in [common.to_owned(), format!("{common}{OURS}")] {
            let texts = [("qrtotp", shipped), ("common-auth", &common), ("common-account", ACCOUNT)];
            let (verdict, text) = found(&texts);
            assert_eq!(verdict, Severity::Ok, "{text}");
        }
    }

    #[test]
    fn a_service_that_would_prove_a_wrong_password_or_let_somebody_in_by_it_fails() {
        for text in [
            "auth required pam_unix.so\n".to_owned(),
            format!("auth required pam_unix.so\n{FIRST}"),
            "auth optional pam_qrtotp.so\nauth required pam_unix.so\n".to_owned(),
            "auth sufficient pam_qrtotp.so\nauth required pam_unix.so\n".to_owned(),
            format!("{FIRST}auth optional pam_unix.so\nauth required pam_permit.so\n"),
            format!("{FIRST}auth [success=ok default=ignore] pam_unix.so\nauth required pam_permit.so\n"),
            format!(
                "{FIRST}auth [success=1 default=1] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
            ),
            // Some users are unknown to it: it asks them for a password, and whatever they type is ignored.
            format!("{FIRST}auth required pam_sss.so ignore_unknown_user\nauth required pam_permit.so\n"),
            format!("{FIRST}auth required pam_deny.so\n"),
            format!("{FIRST}auth required pam_unix.so\nauth include nowhere\n"),
        ] {
            let (verdict, what) = found(&[("qrtotp", &format!("{text}{ACCOUNT}"))]);
            assert_eq!(verdict, Severity::Fail, "{text}: {what}");
        }
    }

    #[test]
    fn modules_that_ask_nothing_or_run_twice_are_warned_of() {
        for text in [
            format!("{FIRST}auth required pam_permit.so\n"),
            format!("{FIRST}auth sufficient pam_localuser.so\n{UNIX}"),
            format!("{FIRST}{UNIX}auth required pam_faillock.so authsucc\n"),
            format!("{FIRST}{UNIX}account required pam_exec.so /x\n"),
        ] {
            let (verdict, what) = found(&[("qrtotp", &format!("{text}{ACCOUNT}"))]);
            assert_eq!(verdict, Severity::Warn, "{text}: {what}");
        }
    }

    #[test]
    fn a_proof_that_ignores_the_lock_of_a_login_is_warned_of() {
        let login = |control: &str| format!("auth {control} pam_faillock.so preauth\n{UNIX}{OURS}");
        let (alone, asking) = (UNIX.to_owned(), format!("auth required pam_faillock.so preauth\n{UNIX}"));
        for (login, proof, expected) in [
            (login("required"), &alone, Severity::Warn),
            (login("required"), &asking, Severity::Ok),
            (login("requisite"), &alone, Severity::Ok),
            (format!("{UNIX}{OURS}"), &alone, Severity::Ok),
        ] {
            let (verdict, what) = found(&[("qrtotp", &format!("{FIRST}{proof}{ACCOUNT}")), ("sshd", &login)]);
            assert_eq!(verdict, expected, "{login} {proof}: {what}");
            assert_eq!(what.contains("an account that pam_faillock.so locked"), expected == Severity::Warn);
        }
    }

    #[test]
    fn without_the_file_nobody_can_enrol() {
        let (_dir, files) = host(&[]);
        let mut report = Report::new(0);
        check(&files, &Err("it is missing".into()), &mut report);
        assert_eq!((report.verdict(), report.findings[0].id), (Severity::Fail, "proof-service-missing"));
    }
}
