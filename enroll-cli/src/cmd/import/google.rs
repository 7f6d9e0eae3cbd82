//! `qrtotp import google-authenticator`: for one user, or for everybody who has such a file.

use super::source::{Reach, Source};
use super::{Device, Importer, Left, advice, farewell, homes, strength};
use crate::cli;
use crate::context::{Context, HostUser, known_user, person};
use crate::error::{Exit, Failure, shown};
use nix::unistd::User;
use qrtotp_account::{Label, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_import::{MAX_GOOGLE, expand, parse_google};
use qrtotp_otp::Secret;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where google-authenticator's module looks, unless told otherwise.
const PATTERN: &str = "~/.google_authenticator";

pub fn run(context: &Context, args: cli::Google) -> Result<Exit, Failure> {
    if args.how.shred && args.how.dry_run {
        return Err(Failure::Error("--dry-run changes nothing, so --shred has no place beside it".into()));
    }
    let pattern = args.path.unwrap_or_else(|| PATTERN.to_owned());
    if !expand(&pattern, "user", "/home/user").is_absolute() {
        return Err(Failure::Error("--path is no path from the root; give it from /, ~ or ${HOME}".into()));
    }
    let label = args.label.as_deref().unwrap_or("google-authenticator");
    let mut import = Google {
        importer: Importer::new(context, &args.how),
        pattern,
        label: Label::new(label),
        how: args.how,
        only_first: args.all_homes,
        found: Vec::new(),
    };
    match args.user {
        Some(user) => {
            import.one(&user, args.file)?;
            Ok(Exit::Done)
        }
        None => import.everybody(),
    }
}

struct Google<'a> {
    importer: Importer<'a>,
    pattern: String,
    label: Label,
    how: cli::How,
    /// Refuse accounts with a device: otherwise anyone who can write a user's home could add one.
    only_first: bool,
    /// The keys of all homes until now, whatever became of them.
    found: Vec<(Name, Secret)>,
}

impl Google<'_> {
    fn one(&mut self, typed: &str, file: Option<PathBuf>) -> Result<(), Failure> {
        let account = known_user(typed)?;
        if file.as_deref() == Some(Path::new("-")) {
            if self.how.shred {
                return Err(Failure::Error(
                    "standard input can't be overwritten; give the file, or no --shred".into(),
                ));
            }
            let source = Source::standard_input(MAX_GOOGLE)?.whole_lines()?;
            self.take(&account, &source)?;
            return self.finish(&source);
        }
        let user = person(&account)?;
        let path = match file {
            Some(file) => std::path::absolute(&file)
                .map_err(|error| Failure::Error(format!("{}: {error}; give another file", file.display())))?,
            None => self.path_for(&user)?,
        };
        let source = Source::of_user(&path, &user, Reach::Must)?.ok_or_else(|| {
            Failure::Refused(format!("{} has no {}; give the file", account.name, shown(&path)))
        })?;
        let source = source.whole_lines()?;
        self.take(&account, &source)?;
        self.finish(&source)
    }

    fn path_for(&self, user: &User) -> Result<PathBuf, Failure> {
        let home = user.dir.to_str().filter(|home| home.starts_with('/'));
        let home =
            home.ok_or_else(|| Failure::Refused(format!("{} has no home; give the file", user.name)))?;
        Ok(expand(&self.pattern, &user.name, home))
    }

    /// False if the key was here already.
    fn take(&mut self, account: &HostUser, source: &Source) -> Result<bool, Failure> {
        let shown = &source.shown;
        // Of all homes, every refusal is named anyhow.
        let whose = if self.only_first { String::new() } else { format!("{}: ", account.name) };
        let foreign = parse_google(&source.bytes, SystemClock.now(), strength(self.how.weak))
            .map_err(|error| Failure::Refused(format!("{whose}{shown}, {error}{}", advice(&error.why))))?;
        // As of accounts that share a home: what one of them uses up would be good for the other.
        if let Some((other, _)) = self.found.iter().find(|(_, secret)| secret.same_key(&foreign.secret)) {
            return Err(Failure::Refused(format!(
                "{shown} has the same key as {other}'s, so that a code would be good at both; `qrtotp token issue {}` has \
                 another made",
                account.name
            )));
        }
        let device = Device {
            account,
            from: "",
            label: &self.label,
            foreign: &foreign,
            only_first: self.only_first,
            before: &[],
        };
        let done = self.importer.take_and_report(&[device]);
        self.found.push((account.name.clone(), foreign.secret));
        done
    }

    /// The treatment of a file whose key is here already.
    fn finish(&self, source: &Source) -> Result<(), Failure> {
        let left = if self.how.shred { Left::Nothing } else { Left::All };
        if self.how.shred {
            source.shred(None)?;
        }
        farewell(&self.how, source, "pam_google_authenticator", left)
    }

    /// Imports the file of everybody who has one. A faulty file does not stop the others.
    fn everybody(&mut self) -> Result<Exit, Failure> {
        let (mut imported, mut known, mut refused, mut left) = (0, 0, 0, 0);
        let homes = homes::find()?;
        for name in homes.users {
            let (failure, count) = match self.if_there(&name) {
                Ok(None) => continue,
                Ok(Some((source, new))) => {
                    *(if new { &mut imported } else { &mut known }) += 1;
                    let Err(failure) = self.finish(&source) else { continue };
                    (failure, &mut left)
                }
                Err(failure) => (failure, &mut refused),
            };
            if matches!(failure, Failure::Output(_)) {
                return Err(failure);
            }
            *count += 1;
            self.importer.refuse(&name, "", &failure)?;
        }
        let exit = match (left, refused) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Refused,
            _ => Exit::Error,
        };
        if self.how.json {
            return Ok(exit);
        }
        let verb = if self.how.dry_run { "would be imported" } else { "imported" };
        let known = if known == 0 { String::new() } else { format!(", {known} enrolled already") };
        let kept = if left == 0 { String::new() } else { format!(", {left} not overwritten and deleted") };
        writeln!(
            std::io::stdout(),
            "{imported} {verb}{known}, {refused} refused{kept}; others have no such file.\n\
             Users that `getent passwd` does not list (as with SSSD or LDAP) are found only by a directory beside other homes \
             that has their name; import the rest one by one."
        )?;
        for path in homes.unknown {
            writeln!(
                std::io::stdout(),
                "{}: no user has this name; import its owner's file by user name.",
                shown(&path)
            )?;
        }
        Ok(exit)
    }

    /// The file of that name's owner, if there is one, and whether its key is new here.
    fn if_there(&mut self, name: &str) -> Result<Option<(Source, bool)>, Failure> {
        let account = known_user(name)?;
        let user = person(&account)?;
        let Ok(path) = self.path_for(&user) else { return Ok(None) };
        let Some(source) = Source::of_user(&path, &user, Reach::May)? else { return Ok(None) };
        let source = source.whole_lines()?;
        let new = self.take(&account, &source)?;
        Ok(Some((source, new)))
    }
}
