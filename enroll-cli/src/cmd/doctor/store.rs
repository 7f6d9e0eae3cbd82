//! Key, store and the disk below.

use super::report::Report;
use super::{AS_ROOT, accounts, config};
use crate::context::Context;
use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};
use nix::unistd::geteuid;
use qrtotp_core::policy::Severity;
use std::path::Path;

/// Bytes and inodes of some two hundred new accounts, below which it is time to look.
const FEW_BYTES: u64 = 4 * 1024 * 1024;
const FEW_INODES: u64 = 600;

/// `in_use`: some PAM file asks for codes.
pub fn check(context: &Context, in_use: bool, report: &mut Report) {
    let path = &context.config.state_dir.0;
    let shown = path.display().to_string();
    let mut about = report.about("store", &shown);
    match (geteuid().is_root() || own(path), config::store(context)) {
        (false, _) => {
            let why = "only root may look at key and records";
            return about.skip(why, AS_ROOT);
        }
        (true, Some(finding)) if in_use || finding.severity == Severity::Danger => {
            about.fail(&finding.reason, "")
        }
        (true, Some(finding)) => about.warn(&finding.reason, ""),
        (true, None) => {
            about.ok("it and its key are there, root's alone, and belong together");
            match context.store() {
                Ok(store) => accounts::check(context, &store, report),
                Err(failure) => about.fail(&failure.to_string(), ""),
            }
        }
    }
    let copies = config::disk(path);
    if let Some(finding) = &copies {
        report.about("disk", &shown).finding(finding);
    }
    if let Some(space) = path.ancestors().find_map(|path| statvfs(path).ok()) {
        disk(&Space::of(&space, copies.is_some()), &shown, report);
    }
}

/// A private store, as tests and their like have.
fn own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|metadata| metadata.uid() == geteuid().as_raw())
}

/// What a filesystem has left.
struct Space {
    bytes: u64,
    /// None where it makes them as it needs them.
    inodes: Option<u64>,
    read_only: bool,
    /// An overwrite in place takes new space.
    copies: bool,
}

impl Space {
    fn of(stat: &Statvfs, copies: bool) -> Self {
        let inodes = stat.files_available();
        Self {
            bytes: stat.blocks_available().saturating_mul(stat.fragment_size()),
            inodes: (stat.files() != 0).then_some(inodes),
            read_only: stat.flags().contains(FsFlags::ST_RDONLY),
            copies,
        }
    }
}

fn disk(space: &Space, shown: &str, report: &mut Report) {
    let mut about = report.about("disk", shown);
    let mebibytes = space.bytes / (1024 * 1024);
    let inodes =
        space.inodes.map_or("as many inodes as it needs".into(), |inodes| format!("{inodes} inodes"));
    let left = format!("{mebibytes} MiB and {inodes} are left");
    if space.read_only {
        about.fail(
            "every login is denied: it is mounted read-only",
            "look why in the kernel's log (dmesg), then mount it read-write",
        );
    } else if space.copies && space.bytes == 0 {
        about.fail("every login is denied: it is full", "free some space there");
    } else if space.bytes < FEW_BYTES || space.inodes.is_some_and(|inodes| inodes < FEW_INODES) {
        about.warn(&format!("{left}; when it is full nobody can be enrolled"), "free some space there");
    } else {
        about.ok(&left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_denies_only_where_an_overwrite_takes_space_and_a_read_only_one_denies_always() {
        let full = Space { bytes: 0, inodes: Some(0), read_only: false, copies: false };
        for (space, status) in [
            (Space { bytes: 1 << 30, inodes: Some(1 << 20), ..full }, "\"ok\""),
            (Space { bytes: 1 << 30, inodes: None, ..full }, "\"ok\""),
            (Space { bytes: 1 << 30, ..full }, "\"warn\""),
            (Space { ..full }, "\"warn\""),
            (Space { copies: true, ..full }, "\"fail\""),
            (Space { bytes: 1 << 30, inodes: None, read_only: true, ..full }, "\"fail\""),
        ] {
            let mut report = Report::new(0);
            disk(&space, "/x", &mut report);
            let mut out = Vec::new();
            assert!(report.write_json(&mut out).is_ok());
            assert!(String::from_utf8_lossy(&out).contains(&format!("\"status\": {status}")), "{status}");
        }
    }
}
