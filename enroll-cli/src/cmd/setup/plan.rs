//! The file changes that make services ask for codes. Pure: it reads a tree of files, and every
//! planned PAM file is judged by the interpreter that `doctor` uses before it is proposed.

use crate::cli::With;
use crate::cmd::doctor::report::Finding;
use crate::cmd::doctor::{Primary, Service};
use pam_stack::{Kind, Part, Tree};
use std::path::{Path, PathBuf};

/// A file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As the host sees it.
    pub file: PathBuf,
    /// `None`: it is not there yet.
    pub before: Option<String>,
    pub after: String,
}

/// Services that do the same as another one, in other words of the same command.
const SIBLINGS: [(&str, &str); 2] = [("sudo", "sudo-i"), ("su", "su-l")];
const SSHD: &str = "sshd";
/// It sorts first, and sshd keeps the first value of each setting.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-qrtotp.conf";
/// sshd's blocks for exempt accounts.
pub const EXEMPT_DROP_IN: &str = "/etc/ssh/sshd_config.d/01-qrtotp-exempt.conf";
/// The services that `setup` proposes.
pub const SERVICES: [&str; 4] = ["sshd", "sudo", "su", "login"];
const SHIPPED_DROP_IN: &str = include_str!("../../../../conf/sshd_config.d/qrtotp.conf");
const OURS: &str = "auth       required     pam_qrtotp.so\n";
/// Where sshd tells PAM what it accepted.
pub const KEY_VARIABLE: &str = "SSH_AUTH_INFO_0";
/// Skips the next line if sshd accepted a key in this login.
const KEY_ACCEPTED: &str = "auth       [success=1 default=ignore]  pam_exec.so quiet /bin/sh -c [test \"${SSH_AUTH_INFO_0%% *}\" = publickey]\n";
pub const PERMIT: &str = "auth       required     pam_permit.so\n";

/// The factor besides the code.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    pub sshd: With,
    pub others: With,
}

/// The changes for `services`, in the order in which they have to be made. `drop_ins`: sshd reads files of
/// sshd_config.d.
///
/// # Errors
/// Why a service is left as it is.
pub fn plan(tree: &Tree, services: &[String], with: Factors, drop_ins: bool) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    let mut tree = tree.clone();
    if services.iter().any(|service| service == SSHD) {
        if !drop_ins {
            return Err(
                "sshd_config does not include /etc/ssh/sshd_config.d/*.conf; add that line at its beginning"
                    .into(),
            );
        }
        changes.extend(sshd_drop_in(&tree, with.sshd));
    }
    for service in services {
        let sibling = SIBLINGS.iter().find(|(name, _)| name == service).map(|(_, sibling)| *sibling);
        for name in std::iter::once(service.as_str()).chain(sibling) {
            let with = if name == SSHD { with.sshd } else { with.others };
            let Some(change) = service_file(&tree, name, with, name == service)? else { continue };
            tree = tree.with(&change.file, &change.after);
            changes.push(change);
        }
    }
    Ok(changes)
}

/// The change of sshd's settings alone, if they are not what `setup` writes.
pub fn sshd_drop_in(tree: &Tree, with: With) -> Option<Change> {
    let file = PathBuf::from(DROP_IN);
    let (before, after) = (tree.text(&file), drop_in(with));
    (before.as_ref() != Some(&after)).then_some(Change { file, before, after })
}

/// The shipped file, with the line that holds.
fn drop_in(with: With) -> String {
    let (key, password) = (
        "AuthenticationMethods publickey,keyboard-interactive",
        "AuthenticationMethods keyboard-interactive",
    );
    match with {
        With::Key => SHIPPED_DROP_IN.to_owned(),
        With::Password => SHIPPED_DROP_IN
            .replace(&format!("\n{key}\n"), &format!("\n#{key}\n"))
            .replace(&format!("\n#{password}\n"), &format!("\n{password}\n")),
        With::Either => SHIPPED_DROP_IN.replace(
            &format!("\n{key}\n"),
            &format!(
                "\n#{key}\n# A key, or what PAM asks for it, then the code:\n{key} keyboard-interactive\n"
            ),
        ),
    }
}

/// `None`: it asks already, or is not there and was not asked for by name.
fn service_file(tree: &Tree, name: &str, with: With, named: bool) -> Result<Option<Change>, String> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(format!("{name:?} is no name of a PAM service; give one of a file in /etc/pam.d"));
    }
    if name == "qrtotp" {
        return Err("qrtotp is the service by which we prove passwords; it never asks for a code".into());
    }
    let Some(found) = tree.file(name) else {
        return if named {
            Err(format!("/etc/pam.d/{name} is not there, so {name} is no service of this host"))
        } else {
            Ok(None)
        };
    };
    let (key, primary) = match (with, name) {
        (With::Key, SSHD) => (true, Primary::Program),
        (With::Key | With::Either, name) if named && name != SSHD => {
            return Err(format!("{name} can't see ssh keys; use --with password"));
        }
        _ => (false, Primary::Pam),
    };
    if Service::read(tree, name, primary).asks() {
        return match Service::read(tree, name, primary).findings().first() {
            None => Ok(None),
            Some(finding) => Err(format!("{name} asks already, but {}; {}", finding.what, finding.fix)),
        };
    }
    let broken = |finding: &Finding| finding.id == "nobody-gets-in";
    if let Some(finding) = Service::read(tree, name, primary).findings().into_iter().find(broken) {
        return Err(format!("{name} lets nobody in today: {}; {}", finding.what, finding.fix));
    }
    let text = tree.text(&found).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER));
    let text = text.ok_or_else(|| format!("{} can't be read as UTF-8", found.display()))?;
    let file = Path::new("/etc/pam.d").join(name);
    let before = tree.text(&file);
    let candidates = match with {
        With::Key if key => vec![key_and_code(&text)],
        With::Either if name == SSHD => key_or_password(&text),
        _ => with_our_line(&text),
    };
    let fits = |after: &String| {
        let tree = tree.with(&file, after);
        let service = Service::read(&tree, name, primary);
        service.asks() && service.findings().is_empty() && (key || asked_last(&tree, name))
    };
    match candidates.into_iter().find(fits) {
        Some(after) => Ok(Some(Change { file, before, after })),
        None => Err(format!(
            "{}: nowhere in it does `auth required pam_qrtotp.so` make exactly a password and a code necessary; compare it with conf/pam.d and change it by hand, then run `qrtotp doctor`",
            found.display()
        )),
    }
}

/// The password comes before the code.
fn asked_last(tree: &Tree, name: &str) -> bool {
    let stack = tree.stack(name, Part::Auth);
    let ours = stack.entries.iter().position(|entry| entry.is_ours());
    let password = stack.entries.iter().rposition(|entry| entry.kind() == Kind::Password);
    matches!((ours, password), (Some(ours), Some(password)) if password < ours)
}

/// The first word of a line, in small letters.
fn first_word(line: &str) -> String {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    word.trim_start_matches('-').to_ascii_lowercase()
}

/// Our line behind each line that may belong to the auth part.
fn with_our_line(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let goes_on = |line: &str| line.trim_end().ends_with('\\');
    let behind = |at: usize| {
        let last = (at..lines.len()).find(|at| !goes_on(lines[*at])).unwrap_or(lines.len() - 1);
        let (head, tail) = lines.split_at(last + 1);
        let head = head.concat();
        let end = if head.ends_with('\n') { "" } else { "\n" };
        format!("{head}{end}{OURS}{}", tail.concat())
    };
    let of_auth = |at: &usize| ["auth", "@include"].contains(&first_word(lines[*at]).as_str());
    (0..lines.len()).filter(of_auth).map(behind).collect()
}

/// Our line behind each line that may check the password, which a key replaces. An include counts as one line
/// if it is a substack.
fn key_or_password(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let candidate = |at: usize| {
        let line = lines[at];
        let password = match line.split_ascii_whitespace().nth(1) {
            _ if line.trim_end().ends_with('\\') => return None,
            Some(file) if first_word(line) == "@include" => format!("auth       substack     {file}\n"),
            _ if first_word(line) == "auth" => format!("{}\n", line.trim_end()),
            _ => return None,
        };
        let (head, tail) = (lines[..at].concat(), lines[at + 1..].concat());
        Some(format!("{head}{KEY_ACCEPTED}{password}{OURS}{tail}"))
    };
    (0..lines.len()).filter_map(candidate).collect()
}

/// The auth part out, and our two lines in its place. An `@include` of common-auth has auth lines only.
fn key_and_code(text: &str) -> String {
    let mut done = false;
    let mut after = String::new();
    for line in text.split_inclusive('\n') {
        let include_of_auth =
            first_word(line) == "@include" && line.split_ascii_whitespace().nth(1) == Some("common-auth");
        if first_word(line) != "auth" && !include_of_auth {
            after.push_str(line);
            continue;
        }
        after.push_str(&format!("#{line}"));
        if !done {
            after.push_str(&format!("{OURS}{PERMIT}"));
            done = true;
        }
    }
    if done { after } else { format!("{OURS}{PERMIT}{after}") }
}
