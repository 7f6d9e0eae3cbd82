//! Applications in a state that no module would like to find: tests/tests/hostile_hosts.rs and setuid_limits.rs.

use anyhow::Result;

use super::{Findings, told};

/// # Errors
/// Something can't be built, installed or run.
pub fn run() -> Result<Findings> {
    let told = told::run(&["hostile_hosts", "setuid_limits"])?;
    let mut found = Findings::default();
    found.text.push_str(
        "Each condition: a login with a wrong code and one with a right one (or what the row says) in an application under it, then the right \
         code again and\nthe next one in an ordinary application. The application is not killed, is answered within 12 s, gets nobody in \
         who is not to get in, keeps\nits signals, limits, ids and descriptors; a right code is accepted or, where the condition forbids \
         what that takes, denied; none is accepted twice\nor burnt in vain, and the next login works. Planted: the same with a module that is right \
         in an ordinary application and breaks in\neach of these (tests/c/naive_module.c), and what is found of it first; of sudo, which lifts\nsome limits itself, under all limits together.\n\n",
    );
    let columns = ["condition", "accepted", "denied", "found of the naive module"];
    told.table("hosts", &columns, &mut found);
    found.text.push_str(
        "\nWhat one process has more of after many whole logins, each of which loads and unloads the module, than after the first tenth \
         of them.\nPlanted: an application that leaks one of each with every login.\n\n",
    );
    let columns = ["logins", "mappings", "pthread keys", "descriptors", "KiB resident"];
    told.table("loads", &columns, &mut found);
    told.outcome(&mut found);
    Ok(found)
}
