//! The module's file, where libpam looks for it.

use super::files::{Files, others_write};
use super::report::Report;
use qrtotp_core::policy::MODULE;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module that is wherever libpam is.
const ALWAYS_THERE: &str = "pam_permit.so";
const ROOTS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

pub fn check(files: &Files, report: &mut Report) {
    let mut wanted: BTreeSet<&str> = files.ours().map(|entry| entry.module.as_str()).collect();
    let in_use = !wanted.is_empty();
    if !in_use {
        wanted.insert(MODULE);
    }
    let directories = directories();
    for module in wanted {
        let places: Vec<PathBuf> = directories.iter().map(|directory| directory.join(module)).collect();
        let found = places.iter().find_map(|path| Some((path, path.metadata().ok()?)));
        let shown = found.as_ref().map_or(Path::new(module), |(path, _)| path).display().to_string();
        let mut about = report.about("module", &shown);
        match found {
            Some((path, file)) if !file.is_file() || others_write(path).is_some() => {
                let open = others_write(path).unwrap_or_else(|| path.clone());
                about.fail(
                    &format!(
                        "{} is not root's alone: whoever can write to it decides who gets in",
                        open.display()
                    ),
                    "correct that, then install the module anew, from a package or a build that you trust",
                );
            }
            Some(_) => about.ok("is there, and root's alone"),
            None if in_use => about.fail(
                "is not there, so libpam denies every login whose file names it",
                "install the package libpam-qrtotp; docs/INSTALL.md says how to do without",
            ),
            None => about.warn("is not in libpam's directory", "install the package libpam-qrtotp"),
        }
    }
}

/// Where libpam keeps its modules.
fn directories() -> BTreeSet<PathBuf> {
    let below = |root: &str| {
        let inner =
            fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path().join("security"));
        std::iter::once(Path::new(root).join("security")).chain(inner).collect::<Vec<_>>()
    };
    let all = ROOTS.iter().flat_map(|root| below(root));
    all.filter(|path| path.join(ALWAYS_THERE).is_file()).filter_map(|path| path.canonicalize().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpams_directory_is_found_once() {
        let found = directories();
        assert!(!found.is_empty() && found.iter().all(|path| path.is_absolute()), "{found:?}");
    }
}
