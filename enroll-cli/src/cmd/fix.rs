//! `qrtotp doctor --fix ID`: mends findings whose cure is mechanical and can be undone. PAM files and sshd's
//! settings change as `qrtotp setup` changes them: shown first, checked, tried, and undone unless confirmed.

use super::config;
use super::doctor::report::{Finding, Severity};
use super::doctor::{self, Files, Primary, Service, SshdFiles};
use super::setup::{self, Change, PERMIT, Rights, unified};
use crate::cli::{self, Doctor, Setup, With};
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use pam_stack::{Kind, OURS, Part};
use qrtotp_policy::{PROOF_SERVICE, applied_path};
use qrtotp_values::ConfigDuration;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

const SSHD: &str = "sshd";
/// As `setup` has it by default.
const CONFIRM: ConfigDuration = ConfigDuration::seconds(600);
/// The service that proves passwords, as the package ships it.
const PROOF: &str = include_str!("../../../conf/pam.d/qrtotp");
/// Bits of a mode that others than the owner must not have.
const WRITE: u32 = 0o022;
const ANY: u32 = 0o077;

/// How a finding is mended.
#[derive(Clone, Copy)]
enum Cure {
    /// `setup` has these services ask, or those that the finding names.
    Setup(&'static [&'static str]),
    /// A change of the PAM files of the services that the finding names.
    Pam(fn(&str) -> Vec<String>),
    /// The settings that `setup` gives sshd.
    SshdSettings,
    /// sshd reads its files again.
    Reload,
    /// Owner and mode of configuration, key and store, or the first `config apply`.
    OwnFiles,
    /// `config apply`.
    Apply,
    /// The shipped /etc/pam.d/qrtotp.
    ProofService,
}

const CURES: [(&str, Cure); 20] = [
    ("not-in-use", Cure::Setup(&["sshd", "sudo", "su"])),
    ("sshd-not-covered", Cure::Setup(&["sshd"])),
    ("sibling-not-covered", Cure::Setup(&[])),
    ("nobody-asked", Cure::Setup(&[])),
    ("exempt-denied", Cure::Pam(with_permit)),
    ("asked-twice", Cure::Pam(with_one_line)),
    ("pam-line-odd", Cure::Pam(without_carriage_returns)),
    ("code-not-needed", Cure::Pam(required)),
    ("error-lets-in", Cure::Pam(required)),
    ("sshd-no-pam", Cure::SshdSettings),
    ("sshd-never-asks", Cure::SshdSettings),
    ("sshd-key-alone", Cure::SshdSettings),
    ("sshd-without-code", Cure::SshdSettings),
    ("sshd-nobody-gets-in", Cure::SshdSettings),
    ("sshd-password-method", Cure::SshdSettings),
    ("sshd-not-reloaded", Cure::Reload),
    ("configuration", Cure::OwnFiles),
    ("store", Cure::OwnFiles),
    ("configuration-not-applied", Cure::Apply),
    ("proof-service-missing", Cure::ProofService),
];

pub fn run(config: &Path, socket: Option<&Path>, id: &str, args: &Doctor) -> Result<Exit, Failure> {
    let path = &config_file(config)?;
    let findings = &doctor::diagnose(path, socket).findings;
    let is_it = |finding: &&Finding| finding.id == id && finding.severity != Severity::Ok;
    let found: Vec<&Finding> = findings.iter().filter(is_it).collect();
    let Some(first) = found.first() else {
        return Err(Failure::Refused("doctor finds nothing of this id; `qrtotp doctor` shows all".into()));
    };
    let Some((_, cure)) = CURES.iter().find(|(known, _)| *known == id) else {
        return Err(by_hand(first));
    };
    let subjects: BTreeSet<&str> = found.iter().flat_map(|finding| finding.subject.split(", ")).collect();
    let subjects: Vec<&str> = subjects.into_iter().collect();
    match cure {
        Cure::Setup(services) => setup::run(path, &set_up(args, services_of(services, &subjects))),
        Cure::Pam(candidates) => {
            let changes = pam_changes(&subjects, *candidates).ok_or_else(|| by_hand(first))?;
            setup::mend(path, &changes, With::Password, &set_up(args, Vec::new()), id)
        }
        Cure::SshdSettings => {
            let (change, with) = sshd_settings().ok_or_else(|| by_hand(first))?;
            setup::mend(path, &[change], with, &set_up(args, Vec::new()), id)
        }
        Cure::Reload => reload(args, findings),
        Cure::OwnFiles => own_files(path, args, first),
        Cure::Apply => apply(path, args, true),
        Cure::ProofService => proof_service(path, args, first),
    }
}

fn by_hand(finding: &Finding) -> Failure {
    let what = if finding.fix.is_empty() { "read what it says" } else { &finding.fix };
    Failure::Refused(format!("this can't be mended by itself; do it by hand: {what}"))
}

/// The arguments of `setup` that do the same.
fn set_up(args: &Doctor, services: Vec<String>) -> Setup {
    Setup {
        services,
        with: None,
        first_login: None,
        exempt: Vec::new(),
        apply: args.apply,
        confirm: CONFIRM,
        no_timer: args.no_timer,
        trial: None,
        no_trial: false,
        keep: false,
        undo: false,
        check: false,
        json: false,
    }
}

/// The services to set up: those that are there of `fixed`, or the subjects. `setup sudo` takes sudo-i, too.
fn services_of(fixed: &[&str], subjects: &[&str]) -> Vec<String> {
    let tree = Files::read().tree;
    let first = |name: &&str| match *name {
        "sudo-i" => "sudo".to_owned(),
        "su-l" => "su".to_owned(),
        name => name.to_owned(),
    };
    if fixed.is_empty() {
        return subjects.iter().map(first).collect();
    }
    fixed.iter().filter(|name| tree.file(name).is_some()).map(|name| (*name).to_owned()).collect()
}

/// For each service the first candidate by which exactly a password, or a key, and a code are necessary.
fn pam_changes(services: &[&str], candidates: fn(&str) -> Vec<String>) -> Option<Vec<Change>> {
    let mut tree = Files::read().tree;
    let mut changes = Vec::new();
    for name in services {
        let file = tree.file(name)?;
        let before = tree.text(&file).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))?;
        let fits = |after: &String| {
            let tree = tree.with(&file, after);
            let auth = tree.stack(name, Part::Auth);
            let asks_password = auth.entries.iter().any(|entry| entry.kind() == Kind::Password);
            let primary = if *name == SSHD && !asks_password { Primary::Program } else { Primary::Pam };
            let service = Service::read(&tree, name, primary);
            let whole = Part::ALL.iter().all(|part| tree.stack(name, *part).faults.is_empty());
            *after != before && whole && service.asks() && service.findings().is_empty()
        };
        let after = candidates(&before).into_iter().find(fits)?;
        tree = tree.with(&file, &after);
        let own = Path::new("/etc/pam.d").join(name);
        let there = own == file;
        changes.push(Change { file: own, before: there.then_some(before), after });
    }
    Some(changes)
}

fn is_ours(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.contains(OURS)
}

fn is_auth(line: &str) -> bool {
    line.trim_start().trim_start_matches('-').to_ascii_lowercase().starts_with("auth")
}

/// Each of our auth lines with pam_permit.so behind it: PAM_IGNORE alone is no success.
fn with_permit(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let ours = (0..lines.len()).filter(|at| is_auth(lines[*at]) && is_ours(lines[*at]));
    ours.map(|at| {
        let (head, tail) = lines.split_at(at + 1);
        let end = if head.last().is_some_and(|line| line.ends_with('\n')) { "" } else { "\n" };
        format!("{}{end}{PERMIT}{}", head.concat(), tail.concat())
    })
    .collect()
}

/// The text without one of our auth lines, or without all but one.
fn with_one_line(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let ours: Vec<usize> = (0..lines.len()).filter(|at| is_auth(lines[*at]) && is_ours(lines[*at])).collect();
    let without = |gone: &dyn Fn(usize) -> bool| -> String {
        let kept = lines.iter().enumerate().filter(|(at, _)| !gone(*at));
        kept.map(|(_, line)| *line).collect()
    };
    let but = ours.iter().map(|kept| without(&|at| ours.contains(&at) && at != *kept));
    let all = std::iter::once(without(&|at| ours.contains(&at)));
    but.chain(all).collect()
}

fn without_carriage_returns(text: &str) -> Vec<String> {
    vec![text.replace("\r\n", "\n").replace('\r', "\n")]
}

/// Our auth lines with the control `required`.
fn required(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let Some(at) = line.find(OURS).filter(|_| is_auth(line) && is_ours(line)) else {
            return line.to_owned();
        };
        format!("auth       required     {}", &line[at..])
    };
    vec![text.split_inclusive('\n').map(line).collect()]
}

/// sshd's settings as `setup` writes them, with the factor that its PAM file leaves to it. `None`: they are
/// so already, or sshd does not read them.
fn sshd_settings() -> Option<(Change, With)> {
    let read = SshdFiles::below(Path::new("/"), &|_| Vec::new()).read;
    read.iter().find(|read| *read == Path::new("/etc/ssh/sshd_config.d"))?;
    let tree = Files::read().tree;
    let entries = tree.stack(SSHD, Part::Auth).entries;
    let asks_for_password = entries.iter().any(|entry| entry.kind() == Kind::Password);
    let with = match tree.file(SSHD).and_then(|file| tree.text(&file)) {
        _ if !asks_for_password => With::Key,
        Some(text) if text.contains(setup::KEY_VARIABLE) => With::Either,
        _ => With::Password,
    };
    Some((setup::sshd_drop_in(&tree, with)?, with))
}

/// Other failures would hold at once.
fn reload(args: &Doctor, findings: &[Finding]) -> Result<Exit, Failure> {
    let other = |finding: &&Finding| finding.severity == Severity::Fail && finding.id != "sshd-not-reloaded";
    if let Some(other) = findings.iter().find(other) {
        return Err(Failure::Refused(format!("first mend this, or it holds at once: {}", other.what)));
    }
    done(args, "sshd would read its files again", setup::reload_sshd)
}

/// Says what would be done, or does it.
fn done(args: &Doctor, what: &str, make: impl FnOnce() -> Result<(), Failure>) -> Result<Exit, Failure> {
    let mut out = std::io::stdout();
    if !args.apply {
        writeln!(out, "{what}. Nothing was changed; with --apply it is.")?;
        return Ok(Exit::Done);
    }
    make()?;
    writeln!(out, "Done.")?;
    Ok(Exit::Done)
}

fn own_files(path: &Path, args: &Doctor, finding: &Finding) -> Result<Exit, Failure> {
    let rights = wrong_rights(path);
    if rights.is_empty() {
        return if applied_path(path).exists() { Err(by_hand(finding)) } else { apply(path, args, false) };
    }
    let mut out = std::io::stdout();
    for Rights { file, before, after } in &rights {
        let file = file.display();
        writeln!(
            out,
            "{file}: uid {} -> {}, mode {:04o} -> {:04o}",
            before.uid, after.uid, before.mode, after.mode
        )?;
    }
    if rights.iter().any(|rights| rights.before.uid != rights.after.uid || rights.before.mode & WRITE != 0) {
        writeln!(out, "Others could write to some of them: look what is in them first.")?;
    }
    let changed = done(args, "Owners and modes would change", || setup::make_at_once(path, &[], &rights))?;
    if args.apply {
        writeln!(out, "`qrtotp setup --undo` undoes it.")?;
    }
    Ok(changed)
}

/// Owners and modes by which a login refuses the configuration, the key or the store.
fn wrong_rights(path: &Path) -> Vec<Rights> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let parts = dir.join("conf.d");
    let more = parts.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let config: Vec<PathBuf> =
        [dir.to_owned(), path.to_owned(), applied_path(path), parts].into_iter().chain(more).collect();
    let store = Context::look(path).map(|context| context.config.state_dir.0).unwrap_or_default();
    let inside = store.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let hidden: Vec<PathBuf> = [dir.join("seal.key"), store.clone()].into_iter().chain(inside).collect();
    let config = config.iter().filter_map(|file| Rights::without(file, WRITE));
    config.chain(hidden.iter().filter_map(|file| Rights::without(file, ANY))).collect()
}

/// `config apply` makes its own checks, and goes back by itself unless it is confirmed.
fn apply(path: &Path, args: &Doctor, confirmed: bool) -> Result<Exit, Failure> {
    if !args.apply {
        let shown = config::run(path, cli::Config::Diff);
        writeln!(std::io::stdout(), "Nothing was changed; with --apply it is applied.")?;
        return shown.map(|_| Exit::Done);
    }
    let confirm = (confirmed && !args.no_timer).then_some(CONFIRM);
    config::run(path, cli::Config::Apply(cli::Apply { confirm, force: None, if_changed: false }))
}

fn proof_service(path: &Path, args: &Doctor, finding: &Finding) -> Result<Exit, Failure> {
    let file = Path::new("/etc/pam.d").join(PROOF_SERVICE);
    let before = Files::read().tree.text(&file);
    if before.as_deref() == Some(PROOF) {
        let rights: Vec<Rights> = Rights::without(&file, WRITE).into_iter().collect();
        if rights.is_empty() {
            return Err(by_hand(finding));
        }
        let what = format!("{} would be root's alone", file.display());
        return done(args, &what, || setup::make_at_once(path, &[], &rights));
    }
    let change = Change { file, before, after: PROOF.to_owned() };
    write!(std::io::stdout(), "{}", unified(&change))?;
    done(args, "The shipped file would be put in place", || setup::make_at_once(path, &[change], &[]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::doctor::report::MENDABLE;
    use super::*;

    #[test]
    fn doctor_names_exactly_what_has_a_cure() {
        assert_eq!(CURES.map(|(id, _)| id), MENDABLE);
    }

    #[test]
    fn lines_are_changed_as_they_stand() {
        let ours = "auth sufficient pam_qrtotp.so nullok\n";
        let text = format!("# auth pam_qrtotp.so\nauth requisite pam_unix.so\n{ours}{REST}");
        let changed = format!(
            "# auth pam_qrtotp.so\nauth requisite pam_unix.so\nauth       required     pam_qrtotp.so nullok\n{REST}"
        );
        assert_eq!(required(&text), [changed]);
        assert_eq!(with_permit(ours.trim_end()), [format!("{ours}{PERMIT}")]);
        let twice = with_one_line(&format!("{ours}x\n{ours}"));
        assert_eq!(twice, [format!("{ours}x\n"), format!("x\n{ours}"), "x\n".to_owned()]);
        assert_eq!(without_carriage_returns("a\r\nb\r\n"), ["a\nb\n"]);
    }

    const REST: &str = "account required pam_qrtotp.so\n";
}
