//! Key, store and the disk below.

use super::files::Files;
use super::report::{Finding, Report, Severity};
use super::{AS_ROOT, accounts, config, not_yet, people};
use crate::context::Context;
use nix::sys::statvfs::{FsFlags, Statvfs, statvfs};
use nix::unistd::geteuid;
use std::path::Path;

/// Bytes and inodes of some two hundred new accounts, below which it is time to look.
const FEW_BYTES: u64 = 4 * 1024 * 1024;
const FEW_INODES: u64 = 600;

/// `in_use`: some PAM file asks for codes.
pub fn check(context: &Context, files: &Files, in_use: bool, report: &mut Report) {
    let path = &context.config.state_dir.0;
    let shown = path.display().to_string();
    match (geteuid().is_root() || own(path), config::store(context)) {
        (false, _) => {
            let what = "only root may look at key and records";
            return report.add(Finding::warn("store-unknown", &shown, what).fix(AS_ROOT));
        }
        (true, Some(found)) => {
            let finding = Finding::of_config("store", &shown, &found);
            report.add(if in_use {
                Finding { severity: Severity::Fail, ..finding }
            } else {
                not_yet(finding)
            });
        }
        (true, None) => {
            report.add(Finding::ok(
                "store",
                &shown,
                "it and its key are there, root's alone, and belong together",
            ));
            match context.store() {
                Ok(store) => {
                    accounts::check(context, &*store, report);
                    if in_use && geteuid().is_root() {
                        people::check(&context.config, &*store, files, report);
                    }
                }
                Err(failure) => report.add(Finding::fail("store", &shown, &failure.to_string())),
            }
        }
    }
    let copies = config::disk(path);
    if let Some(finding) = &copies {
        report.add(Finding::of_config("disk-copies", &shown, finding));
    }
    if let Some(space) = path.ancestors().find_map(|path| statvfs(path).ok()) {
        report.add(disk(&Space::of(&space, copies.is_some()), &shown));
    }
}

/// A private store, as tests and their like have.
fn own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.metadata().is_ok_and(|metadata| metadata.uid() == geteuid().as_raw())
}

/// Free space of a filesystem.
struct Space {
    bytes: u64,
    /// Free inodes; `None` if the filesystem makes them on demand.
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

fn disk(space: &Space, shown: &str) -> Finding {
    let mebibytes = space.bytes / (1024 * 1024);
    let inodes =
        space.inodes.map_or("as many inodes as it needs".into(), |inodes| format!("{inodes} inodes"));
    let left = format!("{mebibytes} MiB and {inodes} are left");
    if space.read_only {
        Finding::fail("disk-read-only", shown, "every login is denied: it is mounted read-only")
            .fix("look why in the kernel's log (dmesg), then mount it read-write")
    } else if space.copies && space.bytes == 0 {
        Finding::fail("disk-full", shown, "every login is denied: it is full").fix("free some space there")
    } else if space.bytes < FEW_BYTES || space.inodes.is_some_and(|inodes| inodes < FEW_INODES) {
        Finding::warn("disk-full", shown, &left)
            .why("when it is full nobody can be enrolled")
            .fix("free some space there")
    } else {
        Finding::ok("disk", shown, &left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_denies_only_where_an_overwrite_takes_space_and_a_read_only_one_denies_always() {
        let full = Space { bytes: 0, inodes: Some(0), read_only: false, copies: false };
        for (space, severity) in [
            (Space { bytes: 1 << 30, inodes: Some(1 << 20), ..full }, Severity::Ok),
            (Space { bytes: 1 << 30, inodes: None, ..full }, Severity::Ok),
            (Space { bytes: 1 << 30, ..full }, Severity::Warn),
            (Space { ..full }, Severity::Warn),
            (Space { copies: true, ..full }, Severity::Fail),
            (Space { bytes: 1 << 30, inodes: None, read_only: true, ..full }, Severity::Fail),
        ] {
            assert_eq!(disk(&space, "/x").severity, severity);
        }
    }
}
