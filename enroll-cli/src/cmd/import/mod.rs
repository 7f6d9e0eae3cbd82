//! `qrtotp import`: keys from other systems.

mod google;
mod oath;
mod owner;
mod source;
mod uri;

use crate::cli::{How, Import};
use crate::context::{Account, Context, syslog};
use crate::error::{Exit, Failure};
use qrtotp_core::account::Label;
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{self, Imported, Repeated};
use qrtotp_core::import::{Foreign, Why};
use qrtotp_core::otp::{MAX_OWN_SIDE, Params, Secret, Step, Strength, Window};
use qrtotp_core::store::FileStore;
use qrtotp_face::Syslog;
use source::Source;
use std::io::Write;

pub use owner::{WORD as OWNER_WORD, run as run_as_owner};

/// A key of which the end is missing can look like a shorter one.
const CUT_SHORT: &str = "standard input ended in the middle of a line, so the end of a key may be missing; give it all, with the \
                         end of its last line";

pub fn run(context: &Context, what: Import) -> Result<Exit, Failure> {
    match what {
        Import::Uri { user, label, weak, revoked_too, unused } => {
            uri::run(context, &user, label, &How { weak, revoked_too, unused, ..How::default() })
        }
        Import::GoogleAuthenticator(args) => google::run(context, args),
        Import::Oath(args) => oath::run(context, &args),
    }
}

/// What is known of a device, and whose it is to be.
struct Device<'a> {
    account: &'a Account,
    label: &'a Label,
    foreign: &'a Foreign,
    only_first: bool,
    /// What a dry run has found before for the same account.
    before: &'a [&'a Secret],
}

/// What became of a device.
enum Outcome {
    Imported(Imported),
    /// It would be; and whether its scratch codes would become recovery codes.
    Would(bool),
    /// A device of the account has its key already, and its file is to go.
    Repeated(Repeated),
}

/// Imports devices, or only looks whether they could be.
struct Importer<'a> {
    context: &'a Context,
    /// Opened, or made, when the first device is there. None in it: there is none, and nobody will be enrolled.
    store: Option<Option<FileStore>>,
    dry_run: bool,
    shred: bool,
    revoked_too: bool,
    unused: bool,
    /// Steps to each side, in place of what files say.
    window: Option<u32>,
    log: Syslog,
}

impl<'a> Importer<'a> {
    fn new(context: &'a Context, how: &How) -> Self {
        let How { dry_run, shred, revoked_too, unused, window, .. } = *how;
        Self { context, store: None, dry_run, shred, revoked_too, unused, window, log: syslog() }
    }

    fn open(&self) -> Result<Option<FileStore>, Failure> {
        let (path, key_dir) = (&self.context.config.state_dir.0, &self.context.key_dir);
        if !self.dry_run {
            return Ok(Some(self.context.store_or_new()?));
        }
        FileStore::is_made(path, key_dir)?.then(|| self.context.store()).transpose()
    }

    fn take(&mut self, device: &Device<'_>) -> Result<Outcome, Failure> {
        let Device { account, label, foreign, only_first, before } = *device;
        let what = flow::Import {
            name: &account.name,
            uid: account.uid,
            label,
            secret: &foreign.secret,
            params: foreign.params,
            used: self.used_of(foreign),
            drift: foreign.drift,
            window: self.window_of(foreign).map(|(back, ahead)| Window::own(back, ahead)),
            only_first,
            revoked_too: self.revoked_too,
            scratch: foreign.scratch.as_deref(),
        };
        let (config, now) = (&self.context.config, SystemClock.now());
        let subject = self.context.subject(account.name.as_str());
        if self.store.is_none() {
            self.store = Some(self.open()?);
        }
        let log = &mut self.log;
        let done = match self.store.as_ref().and_then(Option::as_ref) {
            Some(store) if !self.dry_run => {
                let repeated = if self.shred {
                    flow::repeat_import(store, config, &what, now, &subject, log)
                } else {
                    Ok(None)
                };
                match repeated.transpose() {
                    Some(repeated) => repeated.map(Outcome::Repeated),
                    None => flow::import(store, config, &what, now, &subject, log).map(Outcome::Imported),
                }
            }
            store => flow::would_import(store, config, &what, before, now).map(Outcome::Would),
        };
        done.map_err(|error| Failure::admin(&error, account.name.as_str()))
    }

    /// The last step that was used elsewhere, 0 for none, as far as it is known.
    fn used_of(&self, foreign: &Foreign) -> Option<Step> {
        foreign.used.or(self.unused.then_some(0))
    }

    /// Says which codes are not accepted because they may be used up.
    fn tell_used(&self, foreign: &Foreign) -> Result<(), Failure> {
        let out = &mut std::io::stdout();
        match self.used_of(foreign) {
            None => writeln!(
                out,
                "  The code that the device shows now may have been used elsewhere, so only the next one is accepted (--unused \
                 accepts it)."
            )?,
            Some(0) => {}
            Some(_) => writeln!(out, "  Codes that were used there are not accepted here.")?,
        }
        Ok(())
    }

    /// Steps back and ahead that a device is to have for its own, if any.
    fn window_of(&self, foreign: &Foreign) -> Option<(u32, u32)> {
        self.window.map(|steps| (steps, steps)).or(foreign.window)
    }

    /// Takes a device and says what came of it and what changes for its owner. False if it was here already.
    fn take_and_tell(&mut self, device: &Device<'_>) -> Result<bool, Failure> {
        let outcome = self.take(device)?;
        let (name, foreign) = (&device.account.name, device.foreign);
        let out = &mut std::io::stdout();
        let params = describe(foreign.params);
        let scratch = match outcome {
            Outcome::Imported(Imported { credential, scratch }) => {
                writeln!(out, "{name}: imported as {credential} ({params}).")?;
                scratch
            }
            Outcome::Would(scratch) => {
                writeln!(out, "{name}: would be imported ({params}).")?;
                scratch
            }
            Outcome::Repeated(Repeated { credential, scratch }) => {
                let codes = if scratch == 0 { String::new() } else { format!(" (scratch codes: {scratch})") };
                writeln!(
                    out,
                    "{name}: enrolled already as {credential}: nothing was imported; what was used there since is used up \
                     here{codes}."
                )?;
                return Ok(false);
            }
        };
        match (foreign.scratch.as_deref().unwrap_or_default().len(), scratch) {
            (0, _) => {}
            (count, true) => writeln!(
                out,
                "  {count} scratch codes go on working, each once. They have 8 digits (26 bits), while our recovery codes \
                 have 80 bits:\n  `qrtotp recovery regenerate {name}` makes such, and ends these."
            )?,
            (count, false) => writeln!(
                out,
                "  {count} scratch codes are left out: the account has recovery codes already, and those are stronger."
            )?,
        }
        tell_notes(foreign)?;
        self.tell_used(foreign)?;
        if foreign.drift != 0 {
            let seconds = i64::from(foreign.drift) * i64::from(foreign.params.period());
            let side = if seconds < 0 { "behind" } else { "ahead" };
            writeln!(out, "  Its clock is taken to be {} s {side}, as before.", seconds.abs())?;
        }
        if let Some((back, ahead)) = self.window_of(foreign) {
            let own = Window::own(back, ahead);
            let Window { back: host_back, ahead: host_ahead } = self.context.config.verify.window();
            writeln!(
                out,
                "  Its window is its own: codes from {} back to {} ahead, in steps; the host's is {host_back} back to {host_ahead} \
                 ahead.",
                own.back, own.ahead
            )?;
            if (back, ahead) != (own.back.into(), own.ahead.into()) {
                writeln!(
                    out,
                    "  It was {back} back to {ahead} ahead, and {MAX_OWN_SIDE} to each side are the most that is taken over. \
                     `qrtotp resync {name}` takes in a\n  clock that is further off."
                )?;
            }
        }
        Ok(true)
    }
}

/// Says what an import changes or leaves out.
fn tell_notes(foreign: &Foreign) -> Result<(), Failure> {
    for note in &foreign.notes {
        writeln!(std::io::stdout(), "  {note}")?;
    }
    Ok(())
}

fn describe(params: Params) -> String {
    format!("{}, {} digits, {} s", params.algorithm(), params.digits(), params.period())
}

fn strength(weak: bool) -> Strength {
    if weak { Strength::AllowWeak } else { Strength::Normal }
}

/// What to do about a bad line, where it does not say so.
fn advice(why: &Why) -> &'static str {
    if why.is_weak() { "; --weak takes it all the same" } else { "" }
}

/// What became of a file.
#[derive(Clone, Copy)]
enum Left {
    All,
    /// And in the same file what was refused.
    AllAndRefused,
    /// Some of its lines were overwritten.
    Some,
    Nothing,
}

/// What is to be done with a file whose keys are here now.
fn farewell(how: &How, source: &Source, module: &str, left: Left) -> Result<(), Failure> {
    let path = &source.shown;
    let out = &mut std::io::stdout();
    let still =
        "On flash, on copy-on-write filesystems, in snapshots and in backups they may be there still.";
    match left {
        _ if how.dry_run => writeln!(out, "Nothing was changed.")?,
        Left::Nothing => writeln!(out, "The keys in {path} were overwritten and the file deleted. {still}")?,
        Left::Some => {
            writeln!(out, "The imported keys in {path} were overwritten, the rest is as it was. {still}")?
        }
        Left::All | Left::AllAndRefused if source.is_standard_input() => writeln!(
            out,
            "The keys are still readable where they came from. Once logins work, take {module} out of /etc/pam.d, and delete \
             them there."
        )?,
        Left::AllAndRefused => writeln!(
            out,
            "The imported keys are still readable in {path}, beside those that were refused. Once logins work, give this command \
             again with --shred, which overwrites the imported ones; once no line is needed, take {module} out of /etc/pam.d."
        )?,
        Left::All => writeln!(
            out,
            "The keys are still readable in {path}. Once logins work, take {module} out of /etc/pam.d, and give this command \
             again with --shred, which overwrites and deletes the file."
        )?,
    }
    Ok(())
}
