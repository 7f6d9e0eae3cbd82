//! The ssh keys that a token is bound to: those in the user's authorized_keys now. Keys that are added later
//! are worthless, because the record has the fingerprints.

use super::authorized_keys::{Entry, entries};
use crate::context::{HostUser, person};
use crate::error::Failure;
use crate::program::{Silence, output};
use crate::sshd::{SshdSettings, program};
use nix::unistd::User;
use qrtotp_account::KeyFingerprint;
use qrtotp_values::text::clean;
use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// sshd's own default, for when it does not tell.
const DEFAULT_FILES: &str = ".ssh/authorized_keys .ssh/authorized_keys2";
/// Most bytes to read of a file.
const MOST_BYTES: usize = 256 * 1024;
/// Most left-out lines to show: a user must not push the bound keys off the screen.
const MOST_LEFT_OUT: usize = 20;
const LONGEST: usize = 400;

/// A key that a token is bound to.
#[derive(Clone, Serialize)]
pub struct BoundKey {
    #[serde(serialize_with = "as_text")]
    pub fingerprint: KeyFingerprint,
    /// Its type and comment; empty for one that was given by its fingerprint.
    #[serde(rename = "type")]
    kind: String,
    comment: String,
}

fn as_text<S: Serializer>(fingerprint: &KeyFingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

impl BoundKey {
    pub fn given(fingerprint: KeyFingerprint) -> Self {
        Self { fingerprint, kind: String::new(), comment: String::new() }
    }

    pub fn line(&self) -> String {
        format!("{} {} {}", self.fingerprint, self.kind, self.comment).trim_end().to_owned()
    }
}

/// The keys found for a user.
#[derive(Default)]
pub struct Keys {
    pub bound: Vec<BoundKey>,
    /// Where a key or a file was left out, and why.
    pub left_out: Vec<String>,
    /// Notes for the administrator that concern all users.
    pub notes: Vec<String>,
}

/// The keys by which sshd would let `account` in now without any restriction.
pub fn keys_now(account: &HostUser) -> Result<Keys, Failure> {
    let user = person(account)?;
    let mut keys = Keys::default();
    let files: Vec<PathBuf> = settings(&user, &mut keys.notes)
        .split_ascii_whitespace()
        .filter(|file| *file != "none")
        .map(|pattern| expand(pattern, &user))
        .collect();
    let mut texts = Vec::new();
    for path in &files {
        match read_as(&user, path) {
            Ok(Some(text)) => texts.push((path, text)),
            Ok(None) => {}
            Err(why) => keys.left_out.push(shown(path, &format!(": {why}"))),
        }
    }
    keys.sort(&texts);
    if keys.bound.is_empty() && keys.left_out.is_empty() {
        let files: Vec<_> = files.iter().map(|path| shown(path, "")).collect();
        keys.left_out.push(format!("no key in {}", files.join(" or ")));
    }
    Ok(keys)
}

impl Keys {
    /// Takes the keys of lines without options. A key that any line restricts is left out everywhere.
    fn sort(&mut self, texts: &[(&PathBuf, String)]) {
        let all = || texts.iter().flat_map(|(path, text)| entries(text).map(move |entry| (path, entry)));
        let restricted: HashSet<_> = all()
            .filter(|(_, entry)| !entry.options.is_empty())
            .filter_map(|(_, entry)| fingerprint(&entry))
            .collect();
        let mut taken = HashSet::new();
        for (path, entry) in all() {
            let why = match &entry.key {
                None => "no key that can be read".to_owned(),
                Some(_) if !entry.options.is_empty() => format!("restricted ({})", clean(entry.options, 60)),
                Some(key) if restricted.contains(&key.fingerprint) => "restricted in another line".to_owned(),
                Some(key) if !taken.insert(key.fingerprint) => continue,
                Some(_) => {
                    self.bound.extend(bound(&entry));
                    continue;
                }
            };
            let key = bound(&entry).map_or(String::new(), |key| format!("{}: ", key.line()));
            self.left_out.push(shown(path, &format!(" line {}: {key}{why}", entry.line)));
        }
        let more = self.left_out.len().saturating_sub(MOST_LEFT_OUT);
        if more > 0 {
            self.left_out.truncate(MOST_LEFT_OUT);
            self.left_out.push(format!("{more} more lines"));
        }
    }
}

fn fingerprint(entry: &Entry<'_>) -> Option<KeyFingerprint> {
    entry.key.as_ref().map(|key| key.fingerprint)
}

fn bound(entry: &Entry<'_>) -> Option<BoundKey> {
    let key = entry.key?;
    let (kind, comment) = (clean(key.kind, 64), clean(entry.comment, 64));
    Some(BoundKey { fingerprint: key.fingerprint, kind, comment })
}

fn shown(path: &Path, what: &str) -> String {
    clean(&format!("{}{what}", path.display()), LONGEST)
}

/// sshd's AuthorizedKeysFile for this user.
fn settings(user: &User, notes: &mut Vec<String>) -> String {
    let read = match program() {
        // The name would be read as more than a name.
        Some(_) if user.name.contains(',') => Err("it can't be asked about a name with a comma".to_owned()),
        Some(program) => SshdSettings::ask(program, Some(&user.name)).map_err(|silence| match silence {
            Silence::Unasked(why) | Silence::Refuses(why) => clean(&why, 200),
        }),
        None => Err("there is none".to_owned()),
    };
    let settings = read.unwrap_or_else(|why| {
        notes.push(format!(
            "`sshd -T` does not tell its settings ({why}), so these files were read: {DEFAULT_FILES}"
        ));
        SshdSettings(String::new())
    });
    for (keyword, what) in [
        (
            "authorizedkeyscommand",
            "the keys that AuthorizedKeysCommand prints were not seen; add them with --key SHA256:…",
        ),
        (
            "trustedusercakeys",
            "certificates (TrustedUserCAKeys) prove nothing at an enrolment; --code issues a one-time code",
        ),
    ] {
        if settings.get(keyword).is_some_and(|value| value != "none") {
            notes.push(what.to_owned());
        }
    }
    settings.get("authorizedkeysfile").unwrap_or(DEFAULT_FILES).to_owned()
}

/// sshd_config(5), TOKENS. A relative path begins at the home.
fn expand(pattern: &str, user: &User) -> PathBuf {
    let mut path = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '%' { rest.next() } else { None }) {
            ('%', Some('h')) => path.push_str(&user.dir.to_string_lossy()),
            ('%', Some('u')) => path.push_str(&user.name),
            ('%', Some('U')) => path.push_str(&user.uid.to_string()),
            ('%', Some(other)) => path.push(other),
            (c, _) => path.push(c),
        }
    }
    user.dir.join(path)
}

/// A program with the user's own rights. It has left root's terminal: its user can trace it, and could
/// otherwise type there.
fn as_user(user: &User, program: &str) -> Command {
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    let mut command = Command::new("/usr/bin/setsid");
    command.args(["/usr/bin/setpriv", "--reuid", &uid, "--regid", &gid, "--clear-groups", "--no-new-privs"]);
    command.arg(program).current_dir("/");
    command
}

/// Reads a file with the user's own rights, as sshd does, so that no link of theirs leads further than they
/// could go. Another process reads it, because a FIFO or a mount of theirs may never answer. `None` if there
/// is no such file.
fn read_as(user: &User, path: &Path) -> Result<Option<String>, String> {
    let mut head = as_user(user, "/usr/bin/head");
    head.arg("-c").arg((MOST_BYTES + 1).to_string()).arg("--").arg(path);
    match output(head) {
        Ok(text) if text.len() > MOST_BYTES => Err(format!("it has more than {} KiB", MOST_BYTES / 1024)),
        Ok(text) => Ok(Some(text)),
        Err(Silence::Refuses(words)) if words.ends_with("No such file or directory") => Ok(None),
        Err(Silence::Refuses(words)) => Err(words.rsplit(": ").next().unwrap_or_default().to_owned()),
        Err(Silence::Unasked(why)) => Err(format!("it can't be read: {why}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::{chown, mkfifo};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
    const ONES_PRINT: &str = "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM";
    const TWO: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIMedRWgSK34ayaaxak18rGIS6V\
                       3aktM8J3WxSRBiQn/B84WfUoZQ3KCqDdmlepkiqhCAMtlR4MFI1em8jphy0E=";
    const TWOS_PRINT: &str = "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM";

    fn sorted(texts: &[&str]) -> Keys {
        let path = PathBuf::from("/h/keys");
        let texts: Vec<_> = texts.iter().map(|text| (&path, (*text).to_owned())).collect();
        let mut keys = Keys::default();
        keys.sort(&texts);
        keys
    }

    fn lines(keys: &Keys) -> Vec<String> {
        keys.bound.iter().map(BoundKey::line).collect()
    }

    #[test]
    fn a_program_of_the_user_has_their_uid_and_a_session_without_roots_terminal() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let nobody = User::from_name("nobody").unwrap().unwrap();
        let mut status = as_user(&nobody, "/bin/cat");
        status.args(["/proc/self/stat", "/proc/self/status"]);
        let status_file = output(status).unwrap();
        let numbers: Vec<&str> = status_file.split(") ").nth(1).unwrap().split(' ').collect();
        let pid = status_file.split(' ').next().unwrap();
        assert_eq!((numbers[3], numbers[4]), (pid, "0"), "its session, and no terminal: {status_file}");
        let uid = nobody.uid;
        assert!(status_file.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status_file}");
    }

    #[test]
    fn keys_without_options_are_bound_once_with_type_and_comment() {
        let keys = sorted(&[&format!("{ONE} a\u{202e}b\n{TWO}\n"), &format!("{ONE} again\n")]);
        let expected = [format!("{ONES_PRINT} ssh-ed25519 a?b"), format!("{TWOS_PRINT} ecdsa-sha2-nistp256")];
        assert_eq!(lines(&keys), expected);
        assert!(keys.left_out.is_empty(), "{:?}", keys.left_out);
    }

    #[test]
    fn a_line_with_any_option_is_left_out_and_named() {
        for options in [
            "restrict",
            "command=\"/bin/backup\"",
            "from=\"10.0.0.0/8\"",
            "no-pty",
            "principals=\"alice\"",
            "cert-authority",
            "expiry-time=\"20300101\"",
            "permitopen=\"localhost:80\"",
            "environment=\"A=b\"",
            "tunnel=\"0\"",
            "verify-required",
            "of-a-later-openssh",
        ] {
            let keys = sorted(&[&format!("{options} {ONE} backup\n{TWO}\n")]);
            assert_eq!(lines(&keys), [format!("{TWOS_PRINT} ecdsa-sha2-nistp256")], "{options}");
            let named = format!("/h/keys line 1: {ONES_PRINT} ssh-ed25519 backup: restricted ({options})");
            assert_eq!(keys.left_out, [named]);
        }
    }

    #[test]
    fn a_key_that_another_line_restricts_is_left_out() {
        for texts in [[ONE, &format!("restrict {ONE}")], [&format!("restrict {ONE}"), ONE]] {
            let keys = sorted(&texts);
            assert!(keys.bound.is_empty() && keys.left_out.len() == 2, "{:?}", keys.left_out);
        }
    }

    #[test]
    fn a_file_full_of_nonsense_does_not_push_the_bound_keys_off_the_screen() {
        let keys = sorted(&[&format!("{}{ONE}\n", "nonsense\n".repeat(500))]);
        assert_eq!(lines(&keys), [format!("{ONES_PRINT} ssh-ed25519")]);
        assert_eq!((keys.left_out.len(), keys.left_out.last().unwrap().as_str()), (21, "480 more lines"));
        let long = format!("restrict {ONE} {}", "c".repeat(10_000));
        assert!(sorted(&[&long]).left_out[0].len() < 300);
    }

    #[test]
    fn paths_are_made_as_sshd_makes_them() {
        let mut user = nobody();
        user.dir = "/home/a".into();
        for (pattern, path) in [
            (".ssh/authorized_keys", "/home/a/.ssh/authorized_keys"),
            ("%h/keys", "/home/a/keys"),
            ("/etc/ssh/%u-%U/100%%", "/etc/ssh/nobody-65534/100%"),
        ] {
            assert_eq!(expand(pattern, &user), Path::new(path), "{pattern}");
        }
    }

    fn nobody() -> User {
        User::from_name("nobody").unwrap().unwrap()
    }

    #[test]
    fn a_file_is_read_with_the_users_rights_and_nothing_waits_for_a_fifo() {
        let home = tempfile::tempdir_in("/var/tmp").unwrap();
        let (user, file) = (nobody(), |name: &str| home.path().join(name));
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, mode) in [("readable", 0o644), ("roots", 0o600)] {
            fs::write(file(name), ONE).unwrap();
            fs::set_permissions(file(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::write(file("large"), "#".repeat(MOST_BYTES + 1)).unwrap();
        symlink(file("roots"), file("link")).unwrap();
        mkfifo(&file("fifo"), Mode::S_IRWXU).unwrap();
        chown(&file("fifo"), Some(user.uid), None).unwrap();
        assert_eq!(read_as(&user, &file("readable")), Ok(Some(ONE.to_owned())));
        assert_eq!(read_as(&user, &file("missing")), Ok(None));
        for (name, why) in [
            ("roots", "Permission denied"),
            ("link", "Permission denied"),
            (".", "Is a directory"),
            ("large", "256 KiB"),
            ("fifo", "takes too long"),
        ] {
            let error = read_as(&user, &file(name)).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
