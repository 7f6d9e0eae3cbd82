//! What deserves a second thought in the settings and around them: accounts, the store and its disk.

use crate::context::Context;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, statfs};
use nix::unistd::User;
use qrtotp_policy::{Finding, Severity, findings};
use std::path::Path;

/// OpenZFS, `ZFS_SUPER_MAGIC`; nix does not know it.
const ZFS_SUPER_MAGIC: u32 = 0x2fc1_2fc1;

/// Valid but questionable settings of the configuration.
pub fn settings(context: &Context) -> Vec<Finding> {
    let mut found = findings(&context.config);
    found.extend(crate::picture::findings(
        &context.config.brand,
        &context.issuer(),
        &context.account_label(&"n".repeat(32)),
    ));
    found.extend(context.config.broker.services.iter().filter_map(|(account, _)| no_account(account)));
    found
}

/// A service that nobody can run as.
fn no_account(account: &str) -> Option<Finding> {
    let reason = format!("names {account}, and this host has no such account; correct or remove it");
    let missing = matches!(User::from_name(account), Ok(None));
    missing.then_some(Finding { severity: Severity::Warning, key: "broker.services", reason })
}

/// Whether the store can be opened and is the one that the key belongs to.
pub fn store(context: &Context) -> Option<Finding> {
    let error = context.check_store().err()?;
    let severity = if context.has_no_store_yet(&error) { Severity::Warning } else { Severity::Danger };
    let reason = format!("every login is denied: {}", context.store_failure(&error));
    Some(Finding { severity, key: "state_dir", reason })
}

/// Filesystems on which an overwrite in place needs free space.
pub fn disk(path: &Path) -> Option<Finding> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let name = copying(statfs(existing).ok()?.filesystem_type())?;
    let reason =
        format!("lies on {name}, where a full disk denies logins; ext4 or xfs don't have that problem");
    Some(Finding { severity: Severity::Warning, key: "state_dir", reason })
}

fn copying(kind: FsType) -> Option<&'static str> {
    [
        (OVERLAYFS_SUPER_MAGIC, "overlayfs"),
        (BTRFS_SUPER_MAGIC, "btrfs"),
        (FsType(ZFS_SUPER_MAGIC.into()), "ZFS"),
    ]
    .into_iter()
    .find_map(|(magic, name)| (magic == kind).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_no_account_is_named() {
        assert_eq!(no_account("root"), None);
        let finding = no_account("postgrse").map(|finding| finding.to_string());
        assert!(finding.is_some_and(|text| text.starts_with("warning: broker.services: names postgrse")));
    }

    #[test]
    fn filesystems_that_copy_on_write_are_named_and_others_are_not() {
        assert_eq!(copying(OVERLAYFS_SUPER_MAGIC), Some("overlayfs"));
        assert_eq!(copying(FsType(ZFS_SUPER_MAGIC.into())), Some("ZFS"));
        assert_eq!(copying(nix::sys::statfs::EXT4_SUPER_MAGIC), None);
    }
}
