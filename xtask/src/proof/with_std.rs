//! End-to-end tests of the module that is built where the toolchain has the standard library's sources; all others try the one
//! that this machine's toolchain makes.

use std::fs;

use anyhow::{Context, Result};

use super::{Findings, told};
use crate::{
    apt,
    build::{self, Artefacts},
    with_std,
};

/// What has to do with how a module is built: its form, what it does to its host and the host to it, and logins.
const FILES: [&str; 9] = [
    // In cargo's order.
    "first_login",
    "hostile_hosts",
    "module",
    "secrets_in_memory",
    "setuid_limits",
    "ssh",
    "starved",
    "sudo_su",
    "traps",
];

/// # Errors
/// Something can't be built, installed or run.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    let ours = build::release()?;
    let with_std = with_std::module(&ours)?;
    let kib = |artefacts: &Artefacts| -> Result<u64> { Ok(fs::metadata(&artefacts.module)?.len() >> 10) };
    let small = Artefacts { module: with_std.module, with_std: true, ..ours.clone() };
    let told = told::of(&small, &FILES)?;
    let passed = told.passed();
    let mut found = Findings::default();
    found.text.push_str(&format!(
        "Built by {} toolchain: {} KiB. What all other sections tried has {}.\n\n| tests | passed |\n|---|---:|\n",
        with_std.by,
        kib(&small)?,
        if ours.with_std { "the same".to_owned() } else { format!("{} KiB", kib(&ours)?) },
    ));
    for file in FILES.iter().zip(&passed) {
        found.text.push_str(&format!("| {} | {} |\n", file.0, file.1));
    }
    if passed.len() != FILES.len() {
        found.failures.push(format!("{} of {} files passed", passed.len(), FILES.len()));
    }
    told.outcome(&mut found);
    let permits =
        fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path().join("security/pam_permit.so"));
    let permits = permits.into_iter().find(|path| path.exists()).context("there is no pam_permit.so")?;
    if told::of(&Artefacts { module: permits, ..small }, &["module"])?.held() {
        found.failures.push("the tests pass with pam_permit.so as the module".into());
    } else {
        found.text.push_str("\nPlanted: pam_permit.so as the module, with which `module` fails.\n");
    }
    Ok(found)
}
