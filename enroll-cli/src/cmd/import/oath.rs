//! `qrtotp import oath`: pam_oath's users.oath, line by line.

use super::source::Source;
use super::{Device, Importer, Left, advice, farewell, shared_key, shown_user, strength, user_of_file};
use crate::cli;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_account::{Label, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_import::{MAX_OATH, OathLine, parse_oath};
use qrtotp_otp::Secret;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

pub fn run(context: &Context, args: &cli::Oath) -> Result<Exit, Failure> {
    let how = &args.how;
    if how.shred && (how.dry_run || args.file == Path::new("-")) {
        return Err(Failure::Error("--shred needs a file, and --dry-run has no place beside it".into()));
    }
    let source = source(&args.file)?.whole_lines()?;
    if source.bytes.starts_with(&[0xff, 0xfe]) || source.bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Failure::Refused(format!("{} is UTF-16: save it as UTF-8", source.shown)));
    }
    let lines = parse_oath(&source.bytes, SystemClock.now(), strength(how.weak));
    let mut importer = Importer::new(context, how);
    let (mut done, mut known, mut found) = (Vec::new(), 0, Found::default());
    for line in &lines {
        match take(&mut importer, line, &mut found) {
            Ok(new) => {
                done.push(line.range.clone());
                known += usize::from(!new);
            }
            Err(failure @ Failure::Output(_)) => return Err(failure),
            Err(failure) => {
                let user = line.user.as_deref().unwrap_or("?");
                importer.refuse(shown_user(user), &format!("line {}", line.number), &failure)?;
            }
        }
    }
    let refused = lines.len() - done.len();
    let verb = if how.dry_run { "lines that would be imported" } else { "lines imported" };
    let already = if known > 0 { format!(", enrolled already: {known}") } else { String::new() };
    if !how.json {
        writeln!(std::io::stdout(), "{verb}: {}{already}, refused: {refused}.", done.len() - known)?;
    }
    if !how.json && how.window.is_none() && done.len() > known {
        let here = context.config.verify.window();
        writeln!(
            std::io::stdout(),
            "The file does not tell pam_oath's window=, so theirs is this host's: codes from {} back to {} ahead, in steps.\n\
             --window at an import gives devices one of their own.",
            here.back,
            here.ahead
        )?;
    }
    if !done.is_empty() {
        let left = match (how.shred, refused) {
            (false, 0) => Left::All,
            (false, _) => Left::AllAndRefused,
            (true, 0) => Left::Nothing,
            (true, _) => Left::Some,
        };
        if how.shred {
            source.shred((refused > 0).then_some(&done))?;
        }
        farewell(how, &source, "pam_oath", left)?;
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::Refused })
}

/// The named file, or standard input.
fn source(file: &Path) -> Result<Source, Failure> {
    if file == Path::new("-") {
        return Source::standard_input(MAX_OATH);
    }
    let path = std::path::absolute(file)
        .map_err(|error| Failure::Error(format!("{}: {error}; give another file", file.display())))?;
    Source::of_root(&path, MAX_OATH)
}

/// The keys of the lines before.
#[derive(Default)]
struct Found<'a> {
    of: BTreeMap<Name, Vec<&'a Secret>>,
    /// Whose each key is, and its line. Zeros at a key's end change no code.
    owners: BTreeMap<&'a [u8], (Name, usize)>,
}

/// Takes one line. False if its key was here already.
fn take<'a>(importer: &mut Importer<'_>, line: &'a OathLine, found: &mut Found<'a>) -> Result<bool, Failure> {
    let foreign = line
        .found
        .as_ref()
        .map_err(|error| Failure::Refused(format!("{}{}", error.why, advice(&error.why))))?;
    let account = user_of_file(line.user.as_deref().unwrap_or_default())?;
    let label = Label::new("pam_oath");
    let zeros = foreign.secret.as_bytes().iter().rev().take_while(|byte| **byte == 0).count();
    let key = &foreign.secret.as_bytes()[..foreign.secret.as_bytes().len() - zeros];
    if let Some((owner, line)) = found.owners.get(key).filter(|(owner, _)| *owner != account.name) {
        return Err(Failure::Refused(shared_key(owner, &format!("line {line}"))));
    }
    let before = found.of.entry(account.name.clone()).or_default();
    let from = format!("line {}", line.number);
    let device = Device { account: &account, from: &from, label: &label, foreign, only_first: false, before };
    let new = importer.take_and_report(&[device])?;
    before.push(&foreign.secret);
    found.owners.insert(key, (account.name.clone(), line.number));
    Ok(new)
}
