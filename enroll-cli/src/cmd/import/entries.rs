//! Files with several keys: exports of apps, seed files of tokens, key URIs on standard input. All keys of
//! one account are imported, or none of them is.

use super::source::Source;
use super::{Device, Importer, shared_key, shown_user, strength, user_of_file};
use crate::cli::{How, Keys, KeysOfFile};
use crate::context::{Context, HostUser, known_user};
use crate::error::{Exit, Failure};
use qrtotp_account::Label;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_import::Foreign;
use qrtotp_import::{
    Entry, FileError, MAX_BYTES, parse_csv, parse_json, parse_migration, parse_pskc, parse_uris,
};
use qrtotp_otp::Secret;
use qrtotp_values::text::clean;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// The format of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Migration,
    Json,
    Csv,
    Pskc,
}

/// Whose the keys are.
enum Owner<'a> {
    /// One user's, all of them.
    One(&'a str),
    /// Of the user that the app's label names.
    Label,
    /// Of the user that the file names beside each.
    File,
}

/// Key URIs from standard input, each on a line of its own.
pub fn uris(
    context: &Context,
    user: Option<String>,
    label: Option<&str>,
    keys: Keys,
) -> Result<Exit, Failure> {
    if std::io::stdin().is_terminal() {
        let _ = writeln!(std::io::stderr(), "otpauth URIs, each on a line of its own, then Ctrl-D:");
    }
    let source = Source::standard_input(MAX_BYTES)?.whole_lines()?;
    let entries = read(parse_uris(&source.bytes, strength(keys.weak)))?;
    let owner = owner(user.as_deref(), &keys);
    // A URI's label is meant for the app. Keep it only to tell several entries apart.
    let label = label.or((entries.len() == 1).then_some(""));
    Ok(Entries { context, label, keys: &keys, owner }.import(entries)?.0)
}

/// A file, or standard input.
pub fn file(context: &Context, args: KeysOfFile, kind: Kind) -> Result<Exit, Failure> {
    let KeysOfFile { file, user, label, keys } = args;
    let source = if file == Path::new("-") {
        Source::standard_input(MAX_BYTES)?
    } else {
        let path = std::path::absolute(&file)
            .map_err(|error| Failure::Error(format!("{}: {error}; give another file", file.display())))?;
        Source::of_root(&path, MAX_BYTES)?
    };
    let source = match kind {
        Kind::Migration | Kind::Csv => source.whole_lines()?,
        Kind::Json | Kind::Pskc => source, // their own syntax has an end
    };
    let strength = strength(keys.weak);
    let entries = read(match kind {
        Kind::Migration => parse_migration(&source.bytes, strength),
        Kind::Json => parse_json(&source.bytes, strength),
        Kind::Csv => parse_csv(&source.bytes, strength),
        Kind::Pskc => parse_pskc(&source.bytes, SystemClock.now(), strength),
    })?;
    let owner = owner(user.as_deref(), &keys);
    let (exit, imported) =
        Entries { context, label: label.as_deref(), keys: &keys, owner }.import(entries)?;
    if imported > 0 && !keys.json && !keys.dry_run {
        let place =
            if source.is_standard_input() { "where they came from" } else { &format!("in {}", source.shown) };
        writeln!(
            std::io::stdout(),
            "The keys are still readable {place}. Once logins work, delete them there and wherever they were copied."
        )?;
    }
    Ok(exit)
}

fn owner<'a>(user: Option<&'a str>, keys: &Keys) -> Owner<'a> {
    match user {
        Some(user) => Owner::One(user),
        None if keys.user_from.is_some() => Owner::Label,
        None => Owner::File,
    }
}

fn read(found: Result<Vec<Entry>, FileError>) -> Result<Vec<Entry>, Failure> {
    found.map_err(|error| Failure::Refused(format!("{error}; nothing was imported")))
}

struct Entries<'a> {
    context: &'a Context,
    /// Label for the devices, in place of the file's.
    label: Option<&'a str>,
    keys: &'a Keys,
    owner: Owner<'a>,
}

/// The keys of one account.
struct Group<'a> {
    account: HostUser,
    entries: Vec<(&'a Entry, Label)>,
}

impl Entries<'_> {
    /// And how many were imported, or would be.
    fn import(&self, mut entries: Vec<Entry>) -> Result<(Exit, usize), Failure> {
        if let Some(wanted) = &self.keys.entry {
            let is_wanted = |entry: &Entry| {
                entry.name == *wanted
                    || entry.place.rsplit(' ').next() == Some(wanted)
                    || entry.place == *wanted
            };
            entries.retain(is_wanted);
            only_one(&entries, &clean(wanted, 64))?;
        }
        let how = self.how();
        let mut importer = Importer::new(self.context, &how);
        let (mut groups, mut refused): (Vec<Group<'_>>, usize) = (Vec::new(), 0);
        let mut known = BTreeMap::new();
        for entry in &entries {
            let account = self.account_of(entry);
            // Nobody gets a part of their keys because the user database did not know them for a moment.
            if known.insert(self.owner_text(entry), account.is_ok()) == Some(account.is_err()) {
                let text = "the user database knew a user only sometimes, so nothing was imported; try again";
                return Err(Failure::Error(text.into()));
            }
            match account {
                Err(failure @ Failure::Error(_)) => return Err(failure),
                Err(failure) => {
                    // An entry that can't be imported has no owner. Its label may hold anything.
                    let failure = refusal_of(entry).unwrap_or(failure);
                    importer.refuse(
                        shown_user(entry.user.as_deref().unwrap_or_default()),
                        &from(entry),
                        &failure,
                    )?;
                    refused += 1;
                }
                Ok(account) => {
                    let label = Label::new(self.label.unwrap_or(entry.shown_name()));
                    match groups.iter_mut().find(|group| group.account.name == account.name) {
                        Some(group) => group.entries.push((entry, label)),
                        None => groups.push(Group { account, entries: vec![(entry, label)] }),
                    }
                }
            }
        }
        let (mut imported, mut exit) = (0, if refused == 0 { Exit::Done } else { Exit::Refused });
        for (number, group) in groups.iter().enumerate() {
            match Self::check_and_take(&mut importer, &groups[..number], group)? {
                Exit::Done => imported += group.entries.len(),
                failed => {
                    refused += group.entries.len();
                    exit = exit.max(failed);
                }
            }
        }
        if !self.keys.json {
            self.say_count(entries.len(), imported, refused)?;
        }
        Ok((exit, imported))
    }

    fn how(&self) -> How {
        How {
            weak: self.keys.weak,
            dry_run: self.keys.dry_run,
            window: self.keys.window,
            revoked_too: self.keys.revoked_too,
            unused: self.keys.unused,
            json: self.keys.json,
            ..How::default()
        }
    }

    fn say_count(&self, entries: usize, imported: usize, refused: usize) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        let dry = self.keys.dry_run;
        if entries > 1 {
            let verb = if dry { "would be imported" } else { "imported" };
            writeln!(out, "{imported} {verb}, {refused} refused.")?;
        }
        match imported {
            0 => Ok(()),
            _ if dry => writeln!(out, "Nothing was changed."),
            _ => writeln!(out, "An import makes no recovery codes; `qrtotp recovery regenerate USER` does."),
        }
    }

    /// Imports all keys of an account, or says of each why not.
    fn check_and_take(
        importer: &mut Importer<'_>,
        others: &[Group<'_>],
        group: &Group<'_>,
    ) -> Result<Exit, Failure> {
        if !Self::check(importer, others, group)? {
            return Ok(Exit::Refused);
        }
        match Self::take(importer, group) {
            Ok(()) => Ok(Exit::Done),
            Err(failure @ Failure::Output(_)) => Err(failure),
            Err(failure) => {
                for (entry, _) in &group.entries {
                    importer.refuse(group.account.name.as_str(), &from(entry), &failure)?;
                }
                Ok(failure.exit())
            }
        }
    }

    /// The text that names an entry's owner.
    fn owner_text<'e>(&'e self, entry: &'e Entry) -> &'e str {
        match self.owner {
            Owner::One(user) => user,
            Owner::File => entry.user.as_deref().unwrap_or_default(),
            Owner::Label => &entry.label,
        }
    }

    /// Whose an entry is.
    fn account_of(&self, entry: &Entry) -> Result<HostUser, Failure> {
        match self.owner {
            Owner::One(user) => known_user(user),
            Owner::File => user_of_file(entry.user.as_deref().ok_or_else(|| {
                Failure::Refused(
                    "the file does not say whose it is; give --user USER or --user-from label".into(),
                )
            })?),
            Owner::Label => {
                let label = entry.label.as_str();
                let before = label.split_once('@').map_or(label, |(name, _)| name);
                user_of_file(label)
                    .or_else(|failure| if before == label { Err(failure) } else { user_of_file(before) })
            }
        }
    }

    /// Whether all keys of an account can be imported. If not, says of each why.
    fn check(importer: &Importer<'_>, others: &[Group<'_>], group: &Group<'_>) -> Result<bool, Failure> {
        let mut before: Vec<&Secret> = Vec::new();
        let mut failures = Vec::new();
        for (entry, label) in &group.entries {
            let failure = match &entry.found {
                Err(_) => refusal_of(entry),
                Ok(foreign) => {
                    let device = device(group, label, foreign, &before, "");
                    let checked = not_of(others, foreign).and_then(|()| importer.check(&device));
                    if checked.is_ok() {
                        before.push(&foreign.secret);
                    }
                    checked.err()
                }
            };
            failures.push(failure);
        }
        let Some(first) = failures.iter().position(Option::is_some) else { return Ok(true) };
        let place = group.entries.get(first).map_or("", |(entry, _)| entry.place.as_str());
        for ((entry, _), failure) in group.entries.iter().zip(&failures) {
            let name = &group.account.name;
            let with = Failure::Refused(format!(
                "not imported, because {place} can't be and {name} gets all of their keys or none; --entry picks one"
            ));
            importer.refuse(name.as_str(), &from(entry), failure.as_ref().unwrap_or(&with))?;
        }
        Ok(false)
    }

    /// Imports all keys of an account.
    fn take(importer: &mut Importer<'_>, group: &Group<'_>) -> Result<(), Failure> {
        let keys: Vec<(&Foreign, &Label, String)> = group
            .entries
            .iter()
            .filter_map(|(entry, label)| Some((entry.found.as_ref().ok()?, label, from(entry))))
            .collect();
        let secrets: Vec<&Secret> = keys.iter().map(|(foreign, ..)| &foreign.secret).collect();
        let devices: Vec<Device<'_>> = keys
            .iter()
            .enumerate()
            .map(|(number, (foreign, label, from))| device(group, label, foreign, &secrets[..number], from))
            .collect();
        importer.take_and_report(&devices)?;
        Ok(())
    }
}

/// Refuses an entry that was asked for by what none or several have.
fn only_one(entries: &[Entry], wanted: &str) -> Result<(), Failure> {
    let places: Vec<&str> = entries.iter().map(|entry| entry.place.as_str()).collect();
    let first = match places.as_slice() {
        [] => {
            let text = format!("no entry has the name or number {wanted}; --dry-run lists them");
            return Err(Failure::Refused(text));
        }
        [_] => return Ok(()),
        [first, ..] => first,
    };
    let places = clean(&places.join(", "), 256);
    Err(Failure::Refused(format!(
        "several entries are called {wanted}: {places}; pick one as --entry \"{first}\""
    )))
}

fn device<'d>(
    group: &'d Group<'_>,
    label: &'d Label,
    foreign: &'d Foreign,
    before: &'d [&'d Secret],
    from: &'d str,
) -> Device<'d> {
    Device { account: &group.account, from, label, foreign, only_first: false, before }
}

/// Why an entry can't be imported for anyone.
fn refusal_of(entry: &Entry) -> Option<Failure> {
    let refusal = entry.found.as_ref().err()?;
    let advice = if refusal.is_weak() { "; --weak takes it all the same" } else { "" };
    Some(Failure::Refused(format!("{refusal}{advice}")))
}

/// Where an entry is and what it is called, for people.
fn from(entry: &Entry) -> String {
    let name = clean(entry.shown_name(), 128);
    if name.is_empty() { entry.place.clone() } else { format!("{} ({name})", entry.place) }
}

/// Refuses a key that the file gives to another account, too: a code would be good at both.
fn not_of(others: &[Group<'_>], foreign: &Foreign) -> Result<(), Failure> {
    let is_same =
        |entry: &Entry| entry.found.as_ref().is_ok_and(|found| found.secret.same_key(&foreign.secret));
    let shared = others
        .iter()
        .flat_map(|group| group.entries.iter().map(move |(entry, _)| (&group.account.name, *entry)))
        .find(|(_, entry)| is_same(entry));
    match shared {
        None => Ok(()),
        Some((name, entry)) => Err(Failure::Refused(shared_key(name, &entry.place))),
    }
}
