//! The module's file, where libpam looks for it: whether it is there, ours, whole, for this machine, and
//! root's alone.

use super::files::{Files, others_write};
use super::report::{Finding, Report};
use pam_stack::{Elf, OURS};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A text that only our module contains.
const OUR_MARK: &str = qrtotp_policy::DEFAULT_PATH;
const INSTALL: &str = "install the package libpam-qrtotp anew; docs/INTERNALS.md says how to do without";

pub fn check(files: &Files, report: &mut Report) {
    let mut wanted: BTreeSet<String> = files.ours().into_iter().map(|line| line.module).collect();
    let in_use = !wanted.is_empty();
    if !in_use {
        wanted.insert(OURS.to_owned());
    }
    // Any program of this machine tells what its libraries look like.
    let this = std::env::current_exe().and_then(fs::read).unwrap_or_default();
    for module in wanted {
        let places = files.tree.module_places(&module);
        let found: Option<&PathBuf> = places.iter().find(|path| path.exists());
        let shown = found.map_or(Path::new(&module), |path| path).display().to_string();
        report.add(match found {
            Some(path) => compare(path, files.tree.root(), &this, &shown),
            None if in_use => Finding::fail("module-missing", &shown, "is not there")
                .why("libpam denies every login whose file names it")
                .fix(INSTALL),
            None => Finding::warn("module-missing", &shown, "is not in libpam's directory").fix(INSTALL),
        });
    }
}

fn compare(path: &Path, root: &Path, this: &[u8], shown: &str) -> Finding {
    if !path.is_file() {
        return Finding::fail("module-unusable", shown, "is no file").fix(INSTALL);
    }
    if let Some(open) = others_write(path, root) {
        return Finding::fail("module-writable", shown, &format!("{} is not root's alone", open.display()))
            .why("anyone who can write to it decides who gets in")
            .fix("correct that, then install the module anew, from a package or a build that you trust");
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Finding::warn("module-unread", shown, &error.to_string()).fix(super::AS_ROOT),
    };
    match Elf::check(&bytes, this) {
        Err(why) => Finding::fail("module-unusable", shown, &format!("it {why}"))
            .why("libpam can't load it, and denies every login whose file names it")
            .fix(INSTALL),
        Ok(elf) if !elf.holds("pam_sm_authenticate") || !elf.holds(OUR_MARK) => {
            Finding::fail("module-not-ours", shown, "it is another module under this name")
                .why("it decides who gets in, and asks for no code")
                .fix(INSTALL)
        }
        Ok(_) => Finding::ok("module", shown, "is there, ours, and root's alone"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity;
    use super::*;

    #[test]
    fn a_file_that_is_not_our_module_for_this_machine_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(OURS);
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut header = this[..64].to_vec();
        header[40..48].fill(0);
        header[60..62].fill(0);
        let ours = [&header[..], b"pam_sm_authenticate", OUR_MARK.as_bytes()].concat();
        let other = [&header[..], b"pam_sm_authenticate"].concat();
        let mut machine = ours.clone();
        machine[18] ^= 0xff;
        let id = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let finding = compare(&path, dir.path(), &this, "x");
            (finding.severity, finding.id)
        };
        assert_eq!(id(&ours), (Severity::Ok, "module"));
        assert_eq!(id(&other), (Severity::Fail, "module-not-ours"));
        for bytes in [&b""[..], &ours[..40], &this[..this.len() - 1], b"#!/bin/sh\n", &machine] {
            assert_eq!(id(bytes), (Severity::Fail, "module-unusable"), "{}", bytes.len());
        }
        assert_eq!(compare(dir.path(), dir.path(), &this, "x").id, "module-unusable");
    }
}
