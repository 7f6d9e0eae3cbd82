//! The guard before files: whose they are, where they are looked for, and when they were changed.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Two directories of PAM files, as libpam has them.
struct Host(tempfile::TempDir);

impl Host {
    /// With a good file and what it includes, in the first.
    fn new() -> Self {
        let root = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap();
        let host = Self(root);
        for directory in ["etc", "lib"] {
            std::fs::create_dir(host.path(directory)).unwrap();
        }
        host.write("etc/sshd", GOOD);
        COMMON.iter().for_each(|(name, text)| host.write(&format!("etc/{name}"), text));
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.chmod(name, 0o644);
    }

    fn chmod(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    fn guard_at(&self, read_at: i64) -> Result<(), StackError> {
        let directories = ["etc", "lib"].map(|name| self.path(name).to_str().unwrap().to_owned());
        let line = OurLine { read_at, ..line(true) };
        guard_in(&line, &["su".into(), "sshd".into()], &directories.each_ref().map(String::as_str))
    }

    /// What is said of it, and that it names the file.
    fn refused(&self, name: &str) -> String {
        let said = self.guard_at(i64::MAX).unwrap_err().to_string();
        assert!(said.contains(self.path(name).to_str().unwrap()), "{said}");
        said
    }

    fn changed(&self, name: &str) -> i64 {
        changed_at(rustix::fs::stat(self.path(name)).unwrap())
    }

    /// Changes it, so that everything else is older by more than a clock's lag.
    fn change(&self, name: &str) -> i64 {
        let all = ["etc/sshd", "lib/sshd", "etc/common-auth", "etc/common-account", "etc", "lib"];
        let there = all.iter().filter(|name| self.path(name).exists());
        let newest = there.map(|name| self.changed(name)).max().unwrap();
        while self.changed(name) <= newest + 2 * COARSE {
            self.chmod(name, 0o700);
        }
        self.changed(name)
    }
}

#[test]
fn a_service_that_is_not_listed_or_has_no_file_enrols_nobody() {
    let host = Host::new();
    assert!(host.guard_at(i64::MAX).is_ok());
    assert!(matches!(guard(&line(true), &[]), Err(StackError::NotListed { .. })));
    let unlisted = OurLine { service: "login", ..line(true) };
    assert!(matches!(guard(&unlisted, &["sshd".into()]), Err(StackError::NotListed { .. })));
    std::fs::rename(host.path("etc/sshd"), host.path("lib/sshd")).unwrap();
    assert!(host.guard_at(i64::MAX).is_ok(), "the vendor's");
    std::fs::remove_file(host.path("lib/sshd")).unwrap();
    assert!(matches!(host.guard_at(i64::MAX), Err(StackError::NoFile { .. })));
}

#[test]
fn a_file_that_others_could_have_written_is_not_gone_by_wherever_it_is_included() {
    for name in ["etc/sshd", "etc/common-auth", "etc/common-account"] {
        let host = Host::new();
        for mode in [0o646, 0o664] {
            host.chmod(name, mode);
            assert!(host.refused(name).contains("others may write to"));
        }
        host.chmod(name, 0o644);
        assert!(host.guard_at(i64::MAX).is_ok());
        let text = std::fs::read_to_string(host.path(name)).unwrap();
        let padded = |length: usize| text.clone() + &"\n".repeat(length - text.len());
        host.write(name, &padded(16 * 1024));
        assert!(host.guard_at(i64::MAX).is_ok());
        host.write(name, &padded(16 * 1024 + 1));
        assert!(host.refused(name).contains("larger than"));
        std::fs::rename(host.path(name), host.path("real")).unwrap();
        symlink("../real", host.path(name)).unwrap();
        assert!(host.refused(name).contains("symbolic link"));
        std::fs::remove_file(host.path(name)).unwrap();
        std::fs::create_dir(host.path(name)).unwrap();
        assert!(host.refused(name).contains("is a directory, not a file"));
    }
}

#[test]
fn an_included_file_is_found_by_its_path_and_its_name_in_the_first_directory_only() {
    let host = Host::new();
    std::fs::create_dir(host.path("etc/sub")).unwrap();
    std::fs::create_dir(host.path("open")).unwrap();
    for place in ["etc/sub/auth", "open/auth"] {
        std::fs::rename(host.path("etc/common-auth"), host.path(place)).unwrap();
        assert!(host.refused("etc/common-auth").contains("does not exist"));
        let including = |file: &str| host.write("etc/sshd", &GOOD.replace("common-auth", file));
        including(host.path(place).to_str().unwrap());
        assert!(host.guard_at(i64::MAX).is_ok());
        for odd in ["/", "/.", "/..", "/x"] {
            including(&format!("{}{odd}", host.path(place).display()));
            assert!(host.guard_at(i64::MAX).is_err(), "{odd}");
        }
        including("../open/auth");
        assert!(host.guard_at(i64::MAX).is_err());
        including("sub/auth");
        assert_eq!(host.guard_at(i64::MAX).is_ok(), place == "etc/sub/auth");
        std::fs::rename(host.path(place), host.path("etc/common-auth")).unwrap();
        host.write("etc/sshd", GOOD);
    }
    std::fs::rename(host.path("etc/common-auth"), host.path("open/auth")).unwrap();
    host.write("etc/sshd", &GOOD.replace("common-auth", host.path("open/auth").to_str().unwrap()));
    host.chmod("open", 0o777);
    assert!(host.refused("open").contains("others may write to"));
    std::fs::rename(host.path("open/auth"), host.path("lib/common-auth")).unwrap();
    host.write("etc/sshd", GOOD);
    assert!(host.refused("etc/common-auth").contains("does not exist"), "as Debian's libpam looks for it");
}

#[test]
fn nobody_enrols_by_a_file_that_was_changed_after_libpam_read_it() {
    let host = Host::new();
    std::fs::rename(host.path("etc/sshd"), host.path("lib/sshd")).unwrap();
    for name in ["lib/sshd", "etc/common-account", "etc/common-auth", "etc"] {
        let read_at = host.change(name);
        let refused = host.guard_at(read_at);
        let named = matches!(&refused, Err(StackError::Changed { path }) if *path == host.path(name));
        assert!(named, "{name}: {refused:?}");
        assert!(host.guard_at(read_at + COARSE + 1).is_ok());
    }
}

#[test]
fn a_file_that_was_replaced_is_named_rather_than_its_directory() {
    for name in ["etc/sshd", "etc/common-auth"] {
        let host = Host::new();
        host.change("lib"); // so that what follows is younger than the rest
        host.write("new", &std::fs::read_to_string(host.path(name)).unwrap());
        std::fs::rename(host.path("new"), host.path(name)).unwrap();
        let refused = host.guard_at(host.changed("etc").min(host.changed(name)));
        let named = matches!(&refused, Err(StackError::Changed { path }) if *path == host.path(name));
        assert!(named, "{name}: {refused:?}");
    }
}

#[test]
fn where_a_filesystem_keeps_whole_seconds_a_file_may_be_two_of_them_younger_than_it_says() {
    assert_eq!(known_by(100, 1), 100_000_000_001 + COARSE);
    assert_eq!(known_by(100, 0), 102_000_000_000);
    assert_eq!(known_by(i64::MAX, 1), i64::MAX);
}

#[test]
fn a_file_counts_as_unchanged_only_if_it_was_old_when_libpam_read_it() {
    let file = tempfile::tempfile().unwrap();
    let changed = changed_at(fstat(&file).unwrap());
    for (read_at, unchanged) in
        [(changed - 1, false), (changed + COARSE, false), (changed + COARSE + 1, true)]
    {
        assert_eq!(unchanged_since(read_at, &file).is_ok(), unchanged);
    }
}

fn changed_at(stat: rustix::fs::Stat) -> i64 {
    stat.st_ctime * 1_000_000_000 + stat.st_ctime_nsec.cast_signed()
}
