//! The files of the configuration that `setup` changes: who may enrol at a login, and who is never asked.

use super::plan::{Change, EXEMPT_DROP_IN};
use crate::applied::{self, compiled};
use crate::cli::Setup;
use crate::cmd::config;
use crate::error::Failure;
use crate::host_names::HostNames;
use nix::unistd::{Group, User};
use qrtotp_policy::{Compiled, ConfigFile, Severity, SourceFile, compile};
use std::fs;
use std::path::{Path, PathBuf};

/// It sorts first, so that its rules come before others.
const EXEMPT: &str = "conf.d/00-setup-exempt.toml";
const USERS: &str = "setup-exempt-users";
const GROUPS: &str = "setup-exempt-groups";

/// Changes of the configuration, and what it is then.
pub struct Settings {
    pub changes: Vec<Change>,
    pub compiled: Compiled,
}

/// The changes that `args` ask for; `None`: they ask for none. The new files are compiled and judged here, in
/// memory.
///
/// # Errors
/// The new configuration would be refused, or an edit waits to be applied.
pub fn plan(path: &Path, args: &Setup) -> Result<Option<Settings>, Failure> {
    if args.first_login.is_none() && args.exempt.is_empty() {
        return Ok(None);
    }
    if applied::is_pending(path) {
        let text = "the configuration has changes that are not applied; run `qrtotp config apply` first";
        return Err(Failure::Refused(text.into()));
    }
    let before = ConfigFile::files(path)?;
    let mut files = before.clone();
    if let Some(first_login) = args.first_login
        && let Some(main) = files.last_mut()
    {
        main.bytes = with_first_login(&String::from_utf8_lossy(&main.bytes), first_login.word()).into_bytes();
    }
    if !args.exempt.is_empty() {
        let (file, bytes) = (beside(path), exempt_rules(&args.exempt)?.into_bytes());
        files.retain(|known| known.path != file);
        files.push(SourceFile { path: file, bytes });
        // As they are read: those of conf.d by name, the main file last.
        files.sort_by_key(|known| (known.path == path, known.path.clone()));
    }
    let compiled = compile(&files, &HostNames)?;
    if args.first_login.is_some_and(|wanted| wanted.setting() != compiled.config.defaults.first_login) {
        let text = "first_login stands in the configuration in a form that setup does not understand; change it by `qrtotp config edit`";
        return Err(Failure::Refused(text.into()));
    }
    let danger = |finding: &qrtotp_policy::Finding| finding.severity == Severity::Danger;
    if let Some(finding) = config::objections(path, &compiled)?.into_iter().find(danger) {
        return Err(Failure::Refused(finding.to_string()));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let old = |file: &Path| before.iter().find(|known| known.path == file).map(|known| text(&known.bytes));
    let changes = files.iter().map(|file| Change {
        before: old(&file.path),
        after: text(&file.bytes),
        file: file.path.clone(),
    });
    let mut changes: Vec<Change> =
        changes.filter(|change| change.before.as_ref() != Some(&change.after)).collect();
    if !args.exempt.is_empty() && args.services.iter().any(|service| service == "sshd") {
        changes.extend(key_alone(&compiled));
    }
    Ok(Some(Settings { changes, compiled }))
}

fn beside(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).join(EXEMPT)
}

/// Whether it is a file of the configuration in `path`.
pub fn is_ours(path: &Path, file: &Path) -> bool {
    file == path || file == beside(path)
}

/// Applies the files of the configuration, if they are not what is applied.
///
/// # Errors
/// They can't be applied.
pub fn apply(path: &Path) -> Result<(), Failure> {
    if applied::is_pending(path) {
        let place = applied::AppliedFile::locked(path)?;
        place.apply(&compiled(path)?, None, "")?;
    }
    Ok(())
}

/// The text with `first_login` set: in place of the line that sets it, or of the comment that shows the
/// default.
fn with_first_login(text: &str, word: &str) -> String {
    let setting = format!("first_login = \"{word}\"\n");
    let of_table = |line: &str| line.trim_start_matches(['#', ' ']).starts_with("first_login");
    let mut after = String::new();
    let (mut inside, mut done) = (false, false);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            if inside && !done {
                after.push_str(&setting);
                done = true;
            }
            inside = line.trim() == "[defaults]";
        }
        if inside && !done && of_table(line) {
            after.push_str(&setting);
            done = true;
        } else {
            after.push_str(line);
        }
    }
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    match (done, inside) {
        (true, _) => after,
        (false, true) => after + &setting,
        (false, false) => format!("{after}\n[defaults]\n{setting}"),
    }
}

/// Rules for these users, and groups behind an `@`.
fn exempt_rules(exempt: &[String]) -> Result<String, Failure> {
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for name in exempt {
        match name.strip_prefix('@') {
            Some(group) if matches!(Group::from_name(group), Ok(Some(_))) => {
                groups.push(format!("{group:?}"));
            }
            None if matches!(User::from_name(name), Ok(Some(_))) => users.push(format!("{name:?}")),
            Some(group) => {
                return Err(Failure::Refused(format!("there is no group {group:?} on this host")));
            }
            None => {
                let text = format!("{name:?} is no user of this host; a group is written @GROUP");
                return Err(Failure::Refused(text));
            }
        }
    }
    let rule = |name: &str, key: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!("\n[[rule]]\nname = \"{name}\"\n{key} = [{}]\nthen = \"skip\"\n", names.join(", ")),
    };
    Ok(format!(
        "# `qrtotp setup --exempt` writes this file.\n{}{}",
        rule(USERS, "user", &users),
        rule(GROUPS, "group", &groups)
    ))
}

/// sshd's block for exempt accounts, which get in by a key alone.
fn key_alone(compiled: &Compiled) -> Option<Change> {
    let rules = compiled.rules.iter().filter(|rule| [USERS, GROUPS].contains(&rule.name.as_str()));
    let rules: Vec<_> = rules.cloned().collect();
    let file = PathBuf::from(EXEMPT_DROP_IN);
    let (before, after) = (fs::read_to_string(&file).ok(), config::sshd_blocks(&rules));
    (before.as_ref() != Some(&after)).then_some(Change { file, before, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_login_is_set_in_its_table_wherever_that_is() {
        for (text, expected) in [
            ("", "\n[defaults]\nfirst_login = \"token\"\n"),
            ("a = 1", "a = 1\n\n[defaults]\nfirst_login = \"token\"\n"),
            ("[defaults]\n#first_login = \"deny\"\n", "[defaults]\nfirst_login = \"token\"\n"),
            ("[defaults]\nfirst_login=\"deny\" # x\n[x]\n", "[defaults]\nfirst_login = \"token\"\n[x]\n"),
            (
                "[x]\nfirst_login = 1\n[defaults]\n",
                "[x]\nfirst_login = 1\n[defaults]\nfirst_login = \"token\"\n",
            ),
            (
                "[defaults]\nrequire = \"code\"\n[y]\n",
                "[defaults]\nrequire = \"code\"\nfirst_login = \"token\"\n[y]\n",
            ),
        ] {
            assert_eq!(with_first_login(text, "token"), expected);
        }
    }

    #[test]
    fn a_name_that_is_no_user_or_would_end_the_text_is_refused() {
        for name in ["no-such-user", "x\"]\nthen = \"skip", "@a b", "", "@", "*"] {
            assert!(exempt_rules(&[name.to_owned()]).is_err(), "{name:?}");
        }
        let rules = exempt_rules(&["root".into(), "@staff".into()]).unwrap_or_default();
        assert!(rules.contains("user = [\"root\"]") && rules.contains("group = [\"staff\"]"), "{rules}");
    }
}
