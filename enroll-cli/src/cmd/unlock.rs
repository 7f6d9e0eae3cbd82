//! `qrtotp unlock`.

use super::place;
use crate::context::{Context, record_name, syslog};
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock as _, SystemClock};

use std::io::Write;

pub fn run(context: &Context, user: &str, from: Option<&str>) -> Result<Exit, Failure> {
    // A misspelt place must not leave half the work done.
    from.map(place::parse).transpose()?;
    let store = context.store()?;
    let name = record_name(user, &store)?;
    let subject = context.subject(name.as_str());
    let failures = qrtotp_flow::unlock(&store, &name, SystemClock.now(), &subject, &mut syslog())
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(std::io::stdout(), "Unlocked {name}: {failures} failures in a row are forgotten.")?;
    if let Some(from) = from {
        place::trust(context, &store, &name, from)?;
    }
    Ok(Exit::Done)
}
