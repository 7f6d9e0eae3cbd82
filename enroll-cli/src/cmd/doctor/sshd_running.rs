//! Whether the running sshd goes by the settings that its files have now.

use super::pam::SSHD;
use super::report::{Finding, Report, names};
use super::sshd::Sshd;
use super::sshd_files::{MAIN, SshdFiles};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
    let what = format!("the running sshd has not read {} since the last change", names(&newer));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
}
