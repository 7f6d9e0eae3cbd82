//! `qrtotp import uri`: a key URI, always from standard input.

use super::{CUT_SHORT, Device, Importer, Outcome, strength, tell_notes};
use crate::cli::How;
use crate::context::{Context, known_user};
use crate::error::{Exit, Failure};
use crate::input::{Unread, whole_line};
use qrtotp_core::account::Label;
use qrtotp_core::import::{Foreign, Note};
use qrtotp_core::otp::{KeyUri, ReadUri, Strength};
use std::io::{IsTerminal, Write};

pub fn run(context: &Context, user: &str, label: Option<String>, how: &How) -> Result<Exit, Failure> {
    let account = known_user(user)?;
    let ReadUri { key: KeyUri { secret, params, .. }, dropped_bits } = read(strength(how.weak))?;
    let notes = dropped_bits.then_some(Note::DroppedBits).into_iter().collect();
    let foreign = Foreign { secret, params, used: None, drift: 0, window: None, scratch: None, notes };
    let label = Label::new(&label.unwrap_or_default());
    let device =
        Device { account: &account, label: &label, foreign: &foreign, only_first: false, before: &[] };
    let mut importer = Importer::new(context, how);
    if let Outcome::Imported(imported) = importer.take(&device)? {
        let (name, id) = (&account.name, imported.credential);
        writeln!(
            std::io::stdout(),
            "Imported for {name} as {id}. There are no recovery codes for it yet unless the account had some; \
             `qrtotp recovery regenerate {name}` makes them."
        )?;
        tell_notes(&foreign)?;
        importer.tell_used(&foreign)?;
    }
    Ok(Exit::Done)
}

fn read(strength: Strength) -> Result<ReadUri, Failure> {
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "otpauth URI: ");
    }
    let line = whole_line(std::io::stdin()).map_err(|unread| {
        Failure::Refused(match unread {
            Unread::Nothing => "there is no URI on standard input; give it there, as one line".into(),
            Unread::CutShort => CUT_SHORT.into(),
        })
    })?;
    let text = std::str::from_utf8(&line)
        .map_err(|_| Failure::Refused("the URI is not UTF-8 text; export the key again".into()))?;
    KeyUri::read(text.strip_suffix('\r').unwrap_or(text), strength)
        .map_err(|error| Failure::Refused(error.to_string()))
}
