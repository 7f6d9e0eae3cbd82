//! The PAM files of a host, and our lines in them.

use pam_stack::{Fault, FileLine, OURS, PamLine, Part, Stack, Tree};
use qrtotp_flow::{ArgError, Args, FirstPass};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurLine {
    pub place: FileLine,
    /// The module, as it is written.
    pub module: String,
    pub part: Part,
    /// The module's arguments in the file.
    pub arguments: Vec<CString>,
}

impl OurLine {
    fn of(entry: &PamLine, part: Part) -> Self {
        let arguments = entry.arguments.iter().filter_map(|word| CString::new(word.as_str()).ok()).collect();
        let module = entry.module.clone().unwrap_or_default();
        Self { place: entry.place.clone(), module, part, arguments }
    }

    pub fn args(&self) -> Result<Args, ArgError> {
        let words: Vec<&CStr> = self.arguments.iter().map(|word| word.as_c_str()).collect();
        Args::parse(&words)
    }

    /// It takes password and code together.
    pub fn forwards(&self) -> bool {
        self.args().is_ok_and(|args| args.options.first_pass == FirstPass::Forward)
    }
}

/// The PAM files below a root directory.
pub struct Files {
    pub tree: Tree,
    /// The files of services, as the host sees them.
    pub services: BTreeMap<String, PathBuf>,
}

/// The first of a file and the directories above it, up to `root`, to which others than root can write.
pub fn others_write(path: &Path, root: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let open = |path: &&Path| path.metadata().is_ok_and(|file| file.uid() != 0 || file.mode() & 0o022 != 0);
    real.ancestors().take_while(|path| path.starts_with(root)).find(open).map(Path::to_owned)
}

impl Files {
    pub fn read() -> Self {
        Self::below(Path::new("/"))
    }

    pub fn below(root: &Path) -> Self {
        let tree = Tree::new(root);
        let services = tree.services();
        Self { tree, services }
    }

    fn stacks(&self, service: &str) -> [Stack; 4] {
        Part::ALL.map(|part| self.tree.stack(service, part))
    }

    /// Our first auth line of a service, its own or an included one.
    pub fn asks(&self, service: &str) -> Option<OurLine> {
        let stack = self.tree.stack(service, Part::Auth);
        stack.entries.iter().find(|entry| entry.is_ours()).map(|entry| OurLine::of(entry, Part::Auth))
    }

    /// Lines of ours that a service reads, in all its parts.
    pub fn lines(&self, service: &str) -> Vec<OurLine> {
        let of = |stack: Stack| -> Vec<OurLine> {
            let ours = stack.entries.iter().filter(|entry| entry.is_ours());
            ours.map(|entry| OurLine::of(entry, stack.part)).collect()
        };
        self.stacks(service).into_iter().flat_map(of).collect()
    }

    /// All lines of ours.
    pub fn ours(&self) -> Vec<OurLine> {
        let mut all: Vec<OurLine> = self.services.keys().flat_map(|service| self.lines(service)).collect();
        all.dedup();
        all
    }

    /// Faults in the files that a service reads.
    pub fn faults(&self, service: &str) -> Vec<Fault> {
        self.stacks(service).into_iter().flat_map(|stack| stack.faults).collect()
    }

    /// Whether a service is meant to ask: its file names our module, or nearly, or includes one that does.
    pub fn means_us(&self, service: &str) -> bool {
        let means = |entry: &PamLine| entry.module.as_ref().is_some_and(|_| nearly_ours(entry.name()));
        let read = self.stacks(service);
        read.iter().any(|stack| !stack.from_other && stack.entries.iter().any(means))
            || self.names_us(service)
    }

    /// Whether the file of a service names our module in whatever way.
    fn names_us(&self, service: &str) -> bool {
        let bytes = self.services.get(service).and_then(|path| self.text(path)).unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').any(|line| {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
            line.windows(OURS.len()).any(|word| word == OURS.as_bytes())
        })
    }

    fn text(&self, path: &Path) -> Option<Vec<u8>> {
        let path = self.tree.path(path);
        path.is_file().then(|| fs::read(path).ok()).flatten()
    }

    /// Files that can't be read, though they are files.
    pub fn unread(&self) -> Vec<&str> {
        let hidden = |path: &PathBuf| self.tree.path(path).is_file() && self.text(path).is_none();
        self.services.iter().filter(|(_, path)| hidden(path)).map(|(name, _)| name.as_str()).collect()
    }

    /// Entries with a service's name that are not files: a dangling link, a FIFO.
    pub fn odd(&self) -> Vec<(&str, &Path)> {
        let odd = self.services.iter().filter(|(_, path)| !self.tree.path(path).is_file());
        odd.map(|(name, path)| (name.as_str(), path.as_path())).collect()
    }

    /// Services whose files are included by others.
    pub fn included(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (name, path) in &self.services {
            let files = self.stacks(name).into_iter().filter(|stack| !stack.from_other);
            for file in files.flat_map(|stack| stack.files).filter(|file| file != path) {
                let known = self.services.iter().find(|(_, path)| **path == file);
                found.extend(known.map(|(name, _)| name.as_str()));
            }
        }
        found
    }
}

/// Whether a name is our module's, or one that was mistyped.
fn nearly_ours(name: &str) -> bool {
    let name = name.trim_end();
    name.contains("qrtotp") || distance(name, OURS) <= 2
}

/// How many letters must change to make one word the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in (1..).zip(one.bytes()) {
        let mut diagonal = std::mem::replace(&mut row[0], at);
        for (column, wanted) in (1..).zip(other.bytes()) {
            let change = diagonal + usize::from(byte != wanted);
            diagonal = row[column];
            row[column] = change.min(row[column] + 1).min(row[column - 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A host with these files, with a path or in /etc/pam.d, and with libpam's usual modules and ours.
    pub fn host(texts: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("usr/lib/security");
        fs::create_dir_all(&modules).unwrap();
        for module in MODULES.split_ascii_whitespace() {
            fs::write(modules.join(format!("pam_{module}.so")), "").unwrap();
        }
        for (name, text) in texts {
            let inside = name.strip_prefix('/').map_or_else(|| format!("etc/pam.d/{name}"), str::to_owned);
            let path = dir.path().join(inside);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = Files::below(dir.path());
        (dir, files)
    }

    const MODULES: &str = "permit deny echo unix sss env nologin faildelay faillock rootok wheel succeed_if localuser access limits \
        loginuid keyinit motd mail selinux exec u2f oath google_authenticator cap group shells time lastlog qrtotp umask ldap ssh_agent_auth sepermit gnome_keyring usertype";

    #[test]
    fn files_and_modules_are_found_where_libpam_finds_them() {
        const OURS: &str = "auth required pam_qrtotp.so\n";
        const OTHER: &str = "auth required pam_permit.so\n";
        let module = "/usr/lib/security/pam_qrtotp.so";
        let by_path = format!("auth required {module}\n");
        let include = |file: &str| format!("auth include {file}\n");
        let (vendors, absolute) = (include("x"), include("/etc/own/x"));
        for (texts, expected) in [
            (vec![("/usr/lib/pam.d/sshd", OURS)], true),
            (vec![("/usr/lib/pam.d/sshd", OURS), ("sshd", OTHER)], false),
            (vec![("sshd", &*vendors), ("/usr/lib/pam.d/x", OURS)], true),
            (vec![("sshd", &*vendors), ("/usr/lib/pam.d/x", OURS), ("x", OTHER)], false),
            (vec![("sshd", &*absolute), ("/etc/own/x", OURS)], true),
            (vec![("sshd", &*by_path)], true),
        ] {
            let (_dir, files) = host(&texts);
            let line = files.asks("sshd");
            assert_eq!(line.is_some(), expected, "{texts:?}");
            let stack = files.tree.stack("sshd", Part::Auth);
            assert!(stack.entries.iter().all(|entry| !entry.missing), "{texts:?}: {:?}", stack.entries);
        }
    }

    #[test]
    fn an_include_asks_for_its_own_part_only() {
        let (_dir, files) = host(&[
            ("common-auth", "auth required pam_qrtotp.so\n"),
            ("sshd", "@include common-auth\n"),
            ("x", "account include common-auth\n"),
        ]);
        assert!(files.asks("sshd").is_some() && files.asks("x").is_none());
        assert!(files.included().contains("common-auth") && !files.included().contains("sshd"));
    }

    #[test]
    fn a_name_that_was_mistyped_is_meant_to_be_ours() {
        for (name, ours) in [
            ("pam_qrtotp.so", true),
            ("pam_qrotp.so", true),
            ("pam_qrtopt.so", true),
            ("pam_qrtotp.os", true),
            ("pam_qrtotp", true),
            ("pam_oath.so", false),
            ("pam_otp.so", false),
            ("pam_motd.so", false),
        ] {
            assert_eq!(nearly_ours(name), ours, "{name}");
        }
    }
}
