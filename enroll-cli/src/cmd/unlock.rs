//! `qrtotp unlock`.

use super::place;
use crate::context::{Context, syslog};
use crate::error::{Exit, Failure};
use std::io::Write;

pub fn run(context: &Context, user: &str, from: Option<&str>) -> Result<Exit, Failure> {
    let store = context.store()?;
    let name = context.record_name(user, &*store)?;
    // First: a misspelt or unknown place must not leave half the work done.
    if let Some(from) = from {
        place::trust(context, &*store, &name, from)?;
    }
    let mut log = syslog();
    let failures = qrtotp_flow::unlock(&mut context.flow(&*store, name.as_str(), &mut log), &*store, &name)
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "Unlocked {name}: {failures} failures in a row are forgotten.")?;
    Ok(Exit::Done)
}
