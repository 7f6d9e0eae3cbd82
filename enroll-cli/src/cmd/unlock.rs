//! `qrtotp unlock`.

use crate::context::{Context, record_name, syslog};
use crate::error::{Exit, Failure};
use qrtotp_core::flow::{self, Directory, HostDirectory};
use std::io::Write;

pub fn run(context: &Context, user: &str) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = record_name(user, &store)?;
    // Where the user database does not answer, the rest is lifted all the same.
    let uid = HostDirectory.find(name.as_str()).ok().flatten().map(|person| person.uid);
    let subject = context.subject(name.as_str());
    let failures = flow::unlock(&store, &name, uid, &subject, &mut syslog())
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "Unlocked {name}: {failures} failures in a row are forgotten.")?;
    Ok(Exit::Done)
}
