//! What of the secrets is in the memory of processes: tests/tests/secrets_in_memory.rs and secrets_of_programs.rs.

use anyhow::Result;

use super::{Findings, told};

/// # Errors
/// Something can't be built, installed or run.
pub fn run() -> Result<Findings> {
    let told = told::run(&["secrets_in_memory", "secrets_of_programs"])?;
    let mut found = Findings::default();
    found.text.push_str(
        "All memory of a process that can be read from outside (/proc/PID/mem) is searched for its secrets, in either case of letters. The \
         application is\nthe tests' own, which keeps no copy of what it shows and reads (tests/c/memory_host.c); in it nothing may be found \
         outside the module's own\nmemory, which is locked and kept out of core dumps, and after pam_authenticate of a login and after an \
         enrolment nothing at all; nor may\nanything in the broker once nobody is served, or in the command when it is done. Both lock \
         all memory that they use\nand make no core dumps. Planted: an application\nthat keeps a copy of each secret in each form, and has each of them found.\n\n",
    );
    let columns = [
        "process",
        "moment",
        "searches",
        "mappings",
        "KiB read",
        "patterns",
        "found in locked memory kept out of dumps",
        "found elsewhere",
    ];
    told.table("searches", &columns, &mut found);
    found.text.push_str("\nThe forms in which each is looked for; the pads are HMAC's (RFC 2104 §2):\n\n");
    told.table("forms", &["secret", "forms"], &mut found);
    found.text.push_str("\nWhat of the places is locked and kept out of core dumps:\n\n");
    told.table(
        "shields",
        &["what", "places", "locked", "kept out of dumps", "KiB locked in all"],
        &mut found,
    );
    told.outcome(&mut found);
    Ok(found)
}
