//! Error messages about the arguments.

use crate::error::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::io::Write;
use std::process::ExitCode;

/// Prints help, version or an error about the arguments. Never repeats an argument that is not an option: it
/// may be a code or a key in the wrong place. With `json` also as an object, on standard output.
pub fn explain(error: &clap::Error, json: bool) -> ExitCode {
    let text = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = write!(std::io::stdout(), "{error}");
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingRequiredArgument => {
            error.to_string()
        }
        _ if may_repeat(error) => error.to_string(),
        ErrorKind::InvalidSubcommand if !similar(error).is_empty() => {
            format!("error: there is no such command. Did you mean {}?\n", similar(error).join(" or "))
        }
        _ => "error: unknown argument (not shown, because it may be a secret).\n\
              Codes and keys are read from standard input, never from the command line.\n\
              Try '--help' for the options.\n"
            .to_owned(),
    };
    // Nobody is left to tell if this fails, too.
    let _ = match json {
        true => writeln!(std::io::stdout(), "{}", Failure::Error(text.trim_end().to_owned()).json()),
        false => Ok(()),
    };
    let _ = write!(std::io::stderr(), "{text}");
    ExitCode::from(2)
}

/// Commands that resemble the mistyped one.
fn similar(error: &clap::Error) -> Vec<String> {
    let quoted = |name: &String| format!("`{name}`");
    match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => vec![quoted(name)],
        Some(ContextValue::Strings(names)) => names.iter().map(quoted).collect(),
        _ => Vec::new(),
    }
}

/// True if the message quotes only an option, a word that looks like one and has no value, or a short value
/// that can't be a code.
fn may_repeat(error: &clap::Error) -> bool {
    let harmless = |kind| match error.get(kind) {
        None => true,
        Some(ContextValue::String(text)) => text.starts_with("--") && text.len() < 24 && !text.contains('='),
        Some(ContextValue::Strings(_) | ContextValue::None | ContextValue::Bool(_)) => true,
        Some(_) => false,
    };
    let value =
        matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(text)) if text.len() < 16);
    match error.kind() {
        ErrorKind::ArgumentConflict => true,
        ErrorKind::UnknownArgument => harmless(ContextKind::InvalidArg),
        // The values of our options are styles, shells, times and ids. A code has digits only.
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => value && !is_code(error),
        _ => false,
    }
}

fn is_code(error: &clap::Error) -> bool {
    let Some(ContextValue::String(text)) = error.get(ContextKind::InvalidValue) else { return true };
    text.bytes().filter(u8::is_ascii_digit).count() >= 6
}
