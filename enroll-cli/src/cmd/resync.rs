//! `qrtotp resync`.

use crate::context::{Account, Context, known_user, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::Terminal;
use qrtotp_clock::SystemClock;

use std::io::Write;

pub fn run(context: &Context, user: Option<String>) -> Result<Exit, Failure> {
    let typed = named_or_self(user, "resync")?;
    let Account { name, uid } = known_user(&typed)?;
    let store = context.store()?;
    let found = qrtotp_flow::resync(
        (&store, &context.config),
        (&name, uid),
        &mut Terminal::plain()?,
        &SystemClock,
        &context.subject(name.as_str()),
        &mut syslog(),
    )
    .map_err(|error| Failure::resync(&error))?;
    writeln!(std::io::stdout(), "{found}")?;
    Ok(Exit::Done)
}
