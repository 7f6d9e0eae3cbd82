//! `qrtotp resync`.

use crate::context::{Context, HostUser, known_user, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::language::say;
use crate::terminal::Terminal;
use qrtotp_flow::SelfService;

use std::io::Write;

pub fn run(context: &Context, user: Option<String>) -> Result<Exit, Failure> {
    let typed = named_or_self(user, "resync")?;
    let HostUser { name, uid } = known_user(&typed)?;
    let store = context.store()?;
    let (mut log, mut terminal) = (syslog(), Terminal::plain()?);
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let owner = SelfService { ctx, name: &name, uid, dialog: &mut terminal };
    let found = owner.resync().map_err(|error| Failure::resync(&error))?;
    writeln!(std::io::stdout(), "{}", say(&found.message()))?;
    Ok(Exit::Done)
}
