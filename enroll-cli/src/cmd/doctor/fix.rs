//! `qrtotp doctor --fix ID`: hands findings that `qrtotp setup` can mend to it.

use super::files::Files;
use super::report::Finding;
use crate::cli::{Doctor, Setup};
use crate::cmd::setup;
use crate::error::{Exit, Failure};
use qrtotp_values::ConfigDuration;
use std::path::Path;

/// As `setup` has it by default.
const CONFIRM: ConfigDuration = ConfigDuration::seconds(600);

pub fn run(path: &Path, id: &str, args: &Doctor, findings: &[Finding]) -> Result<Exit, Failure> {
    let found: Vec<&Finding> = findings.iter().filter(|finding| finding.id == id).collect();
    let Some(first) = found.first() else {
        return Err(Failure::Refused("doctor finds nothing of this id; `qrtotp doctor` shows all".into()));
    };
    let tree = Files::read().tree;
    let services = found.iter().flat_map(|finding| services(finding));
    let services: Vec<String> =
        services.filter(|name| tree.file(name).is_some()).map(str::to_owned).collect();
    if services.is_empty() {
        let what = if first.fix.is_empty() { "read what it says" } else { &first.fix };
        return Err(Failure::Refused(format!("`qrtotp setup` can't mend this; do it by hand: {what}")));
    }
    let setup = Setup {
        services,
        with: None,
        apply: args.apply,
        confirm: CONFIRM,
        no_timer: args.no_timer,
        trial: None,
        no_trial: false,
        keep: false,
        undo: false,
        check: false,
    };
    setup::run(path, &setup)
}

/// What `setup` is given to mend it; nothing: it can't.
fn services(finding: &Finding) -> Vec<&'static str> {
    match (finding.id, finding.subject.as_str()) {
        ("not-in-use", _) => vec!["sshd", "sudo", "su"],
        ("sibling-not-covered", subject) => {
            let siblings = [("sudo-i", "sudo"), ("su-l", "su")];
            let named = |sibling: &str| subject.split(", ").any(|one| one == sibling);
            siblings.into_iter().filter(|(sibling, _)| named(sibling)).map(|(_, service)| service).collect()
        }
        _ => Vec::new(),
    }
}
