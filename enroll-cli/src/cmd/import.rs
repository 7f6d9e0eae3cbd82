//! `qrtotp import`: keys from other systems, always from standard input.

use crate::cli::Import;
use crate::context::{Account, Context, known_user, syslog};
use crate::error::{Exit, Failure};
use crate::input;
use qrtotp_core::account::Label;
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{self, NoAnswer};
use qrtotp_core::otp::{KeyUri, Strength};
use std::io::{IsTerminal, Write};

pub fn run(context: &Context, what: Import) -> Result<Exit, Failure> {
    let Import::Uri { user, label, weak } = what;
    let Account { name, uid } = known_user(&user)?;
    let uri = read_uri(if weak { Strength::AllowWeak } else { Strength::Normal })?;
    let label = Label::new(label.as_deref().unwrap_or_default());
    let store = context.store_or_new()?;
    let id = flow::import(
        &store,
        &context.config,
        (&name, uid),
        (&uri, &label),
        SystemClock.now(),
        &context.subject(name.as_str()),
        &mut syslog(),
    )
    .map_err(|error| Failure::admin(&error, name.as_str()))?;
    writeln!(
        std::io::stdout(),
        "Imported for {name} as {id}. There are no recovery codes for it yet unless the account had some; \
         `qrtotp recovery regenerate {name}` makes them."
    )?;
    Ok(Exit::Done)
}

fn read_uri(strength: Strength) -> Result<KeyUri, Failure> {
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "otpauth URI: ");
    }
    let line = input::line(std::io::stdin()).map_err(|NoAnswer| {
        Failure::Refused("there is no URI on standard input; give it there, as one line".into())
    })?;
    let text = std::str::from_utf8(&line)
        .map_err(|_| Failure::Refused("the URI is not UTF-8 text; export the key again".into()))?;
    KeyUri::parse(text.strip_suffix('\r').unwrap_or(text), strength)
        .map_err(|error| Failure::Refused(error.to_string()))
}
