//! `qrtotp recovery regenerate`.

use crate::cli::Recovery;
use crate::context::{Context, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::terminal::{put_recovery_codes, unbuffered_stdout};

pub fn run(context: &Context, what: Recovery) -> Result<Exit, Failure> {
    let Recovery::Regenerate { user } = what;
    let typed = named_or_self(user, "recovery regenerate")?;
    let store = context.store()?;
    let name = context.record_name(&typed, &*store)?;
    // Before the old codes end, so that a full or closed output can't leave the account with none that are
    // known.
    let mut out = unbuffered_stdout()?;
    let mut log = syslog();
    let ctx = &mut context.flow(&*store, name.as_str(), &mut log);
    let codes = qrtotp_flow::regenerate_recovery(ctx, &name)
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    put_recovery_codes(&mut out, &codes).map_err(|error| {
        Failure::Error(format!(
            "the new recovery codes could not be shown ({error}) and the old ones are worth nothing now; run it again"
        ))
    })?;
    Ok(Exit::Done)
}
