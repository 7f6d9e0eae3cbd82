//! `qrtotp import`: keys from other systems.

mod entries;
mod google;
mod homes;
mod oath;
mod owner;
mod owner_process;
mod source;

use crate::cli::{How, Import};
use crate::context::{Context, HostUser, known_user, syslog};
use crate::error::{Exit, Failure};
use qrtotp_account::{Label, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{AdminError, Imported, Reimported};
use qrtotp_frontend::Syslog;
use qrtotp_import::{Foreign, Why, may_hold_key};
use qrtotp_otp::{MAX_OWN_SIDE, Params, Secret, Step, Strength, Window};
use qrtotp_store::{AccountStore, Store};
use qrtotp_values::text::clean;
use serde_json::json;
use source::Source;
use std::io::Write;

pub use owner::WORD as OWNER_WORD;
pub use owner_process::run as run_as_owner;

/// Imports. With --json, a failure of the whole is an object, too.
pub fn run(what: Import, context: impl FnOnce(bool) -> Result<Context, Failure>) -> Result<Exit, Failure> {
    let (dry_run, as_json, user) = (what.is_dry_run(), what.is_json(), what.user().map(str::to_owned));
    match context(dry_run).and_then(|context| import(&context, what)) {
        Err(failure) if as_json && !matches!(failure, Failure::Output(_)) => {
            let result = if failure.exit() == Exit::Refused { "refused" } else { "error" };
            let line = json!({
                "version": 1,
                "user": clean(user.as_deref().unwrap_or_default(), 64),
                "from": "",
                "result": result,
                "reason": failure.to_string(),
            });
            writeln!(std::io::stdout(), "{line}")?;
            Ok(failure.exit())
        }
        done => done,
    }
}

fn import(context: &Context, what: Import) -> Result<Exit, Failure> {
    match what {
        Import::Uri { user, label, keys } => entries::uris(context, user, label.as_deref(), keys),
        Import::OtpauthMigration(args) => entries::file(context, args, entries::Kind::Migration),
        Import::Json(args) => entries::file(context, args, entries::Kind::Json),
        Import::Csv(args) => entries::file(context, args, entries::Kind::Csv),
        Import::Pskc(args) => entries::file(context, args, entries::Kind::Pskc),
        Import::GoogleAuthenticator(args) => google::run(context, args),
        Import::Oath(args) => oath::run(context, &args),
    }
}

/// A device to import, and the account that gets it.
struct Device<'a> {
    account: &'a HostUser,
    /// Where it is in a file with several, for people; else empty.
    from: &'a str,
    label: &'a Label,
    foreign: &'a Foreign,
    only_first: bool,
    /// Keys that a dry run has already found for the same account.
    before: &'a [&'a Secret],
}

/// The result for one device.
enum ImportResult {
    Imported(Imported),
    /// It would be; and whether its scratch codes would become recovery codes.
    Would(bool),
    /// A device of the account has its key already, and its file is to go.
    Reimported(Reimported),
}

/// Imports devices, or only looks whether they could be.
struct Importer<'a> {
    context: &'a Context,
    /// Opened, or made, when the first device is there. None in it: there is none, and nobody will be
    /// enrolled.
    store: Option<Option<Box<dyn AccountStore>>>,
    dry_run: bool,
    shred: bool,
    revoked_too: bool,
    unused: bool,
    json: bool,
    /// Steps to each side, in place of what files say.
    window: Option<u32>,
    log: Syslog,
}

impl<'a> Importer<'a> {
    fn new(context: &'a Context, how: &How) -> Self {
        let How { dry_run, shred, revoked_too, unused, json, window, .. } = *how;
        Self { context, store: None, dry_run, shred, revoked_too, unused, json, window, log: syslog() }
    }

    fn open(&self) -> Result<Option<Box<dyn AccountStore>>, Failure> {
        if !self.dry_run {
            return Ok(Some(self.context.store_or_new()?));
        }
        self.context.store_if_made()
    }

    /// Takes devices of one account: all of them in one update, or none.
    fn take(&mut self, devices: &[Device<'_>]) -> Result<Vec<ImportResult>, Failure> {
        let Some(Device { account, .. }) = devices.first() else { return Ok(Vec::new()) };
        let all: Vec<_> = devices.iter().map(|device| self.what(device)).collect();
        if self.store.is_none() {
            self.store = Some(self.open()?);
        }
        let failed = |error: AdminError| Failure::admin(&error, account.name.as_str());
        let store = match self.store.as_ref().and_then(Option::as_deref) {
            Some(store) if !self.dry_run => store,
            store => {
                let would = |device| self.would_import(store, device).map(ImportResult::Would);
                return devices.iter().map(would).collect::<Result<_, _>>().map_err(failed);
            }
        };
        let mut ctx = self.context.flow(store, account.name.as_str(), &mut self.log);
        if let [what] = all.as_slice()
            && self.shred
            && let Some(repeated) = qrtotp_flow::reimport(&mut ctx, what).map_err(failed)?
        {
            return Ok(vec![ImportResult::Reimported(repeated)]);
        }
        let import = || qrtotp_flow::import(&mut ctx, &all);
        let imported = self.context.host_chain().noting(store, &account.name, import).map_err(failed)?;
        Ok(imported.into_iter().map(ImportResult::Imported).collect())
    }

    /// Whether [`Importer::take`] would take it alone; changes nothing and makes no store.
    fn check(&self, device: &Device<'_>) -> Result<(), Failure> {
        let store = self.context.store_if_made()?;
        let would = self.would_import(store.as_deref(), device);
        would.map(|_| ()).map_err(|error| Failure::admin(&error, device.account.name.as_str()))
    }

    fn would_import(
        &self,
        store: Option<&dyn AccountStore>,
        device: &Device<'_>,
    ) -> Result<bool, AdminError> {
        let store = store.map(|store| -> &dyn Store { store });
        let (config, now) = (&self.context.config, SystemClock.now());
        qrtotp_flow::would_import(store, config, &self.what(device), device.before, now)
    }

    fn what<'d>(&self, device: &Device<'d>) -> qrtotp_flow::Import<'d> {
        let Device { account, label, foreign, only_first, .. } = *device;
        qrtotp_flow::Import {
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
        }
    }

    /// The last step that was used elsewhere, 0 for none, as far as it is known.
    fn used_of(&self, foreign: &Foreign) -> Option<Step> {
        foreign.used.or(self.unused.then_some(0))
    }

    /// Steps back and ahead that a device is to have for its own, if any.
    fn window_of(&self, foreign: &Foreign) -> Option<(u32, u32)> {
        self.window.map(|steps| (steps, steps)).or(foreign.window)
    }

    /// Takes devices of one account and says what came of each and what changes for its owner. True: they are
    /// new here.
    fn take_and_report(&mut self, devices: &[Device<'_>]) -> Result<bool, Failure> {
        let outcomes = self.take(devices)?;
        for (device, outcome) in devices.iter().zip(&outcomes) {
            self.tell(device, outcome)?;
        }
        Ok(!outcomes.iter().any(|outcome| matches!(outcome, ImportResult::Reimported(_))))
    }

    fn tell(&self, device: &Device<'_>, outcome: &ImportResult) -> Result<(), Failure> {
        let (name, foreign) = (&device.account.name, device.foreign);
        let params = describe(foreign.params);
        let from = if device.from.is_empty() { String::new() } else { format!(", from {}", device.from) };
        let (result, credential, head, notes) = match *outcome {
            ImportResult::Imported(Imported { credential, scratch }) => (
                "imported",
                Some(credential),
                format!("{name}: imported as {credential} ({params}){from}."),
                self.changes(device, scratch),
            ),
            ImportResult::Would(scratch) => (
                "would_import",
                None,
                format!("{name}: would be imported ({params}){from}."),
                self.changes(device, scratch),
            ),
            ImportResult::Reimported(Reimported { credential, scratch }) => {
                let codes = if scratch == 0 { String::new() } else { format!(" (scratch codes: {scratch})") };
                let head = format!(
                    "{name}: enrolled already as {credential}: nothing was imported; what was used there since is used up \
                     here{codes}."
                );
                ("enrolled_already", Some(credential), head, Vec::new())
            }
        };
        let out = &mut std::io::stdout();
        if self.json {
            let line = json!({
                "version": 1,
                "user": name.as_str(),
                "from": device.from,
                "result": result,
                "credential": credential.map(|id| id.to_string()),
                "label": device.label.as_str(),
                "algorithm": foreign.params.algorithm().as_str(),
                "digits": foreign.params.digits(),
                "period": foreign.params.period(),
                "notes": notes,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{head}")?;
            for note in notes {
                writeln!(out, "  {note}")?;
            }
        }
        Ok(())
    }

    /// Reports why a device is refused, with its user if known.
    fn refuse(&self, user: &str, from: &str, failure: &Failure) -> Result<(), Failure> {
        let (user, from) = (clean(user, 64), clean(from, 256));
        if self.json {
            let line = json!({"version": 1, "user": user, "from": from, "result": "refused", "reason": failure.to_string()});
            return Ok(writeln!(std::io::stdout(), "{line}")?);
        }
        let both = [from, user].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let _ = writeln!(std::io::stderr(), "qrtotp: {both}: {failure}");
        Ok(())
    }

    /// The changes that the import brings for the device's owner, a sentence each. `scratch`: scratch codes
    /// become recovery codes.
    fn changes(&self, device: &Device<'_>, scratch: bool) -> Vec<String> {
        let (name, foreign) = (&device.account.name, device.foreign);
        let mut remarks = Vec::new();
        match (foreign.scratch.as_deref().unwrap_or_default().len(), scratch) {
            (0, _) => {}
            (count, true) => remarks.push(format!(
                "{count} scratch codes go on working, each once. They have 8 digits (26 bits), while our recovery codes \
                 have 80 bits:\n  `qrtotp recovery regenerate {name}` makes such, and ends these."
            )),
            (count, false) => remarks.push(format!(
                "{count} scratch codes are left out: the account has recovery codes already, and those are stronger."
            )),
        }
        remarks.extend(foreign.notes.iter().map(ToString::to_string));
        match self.used_of(foreign) {
            None => remarks.push(
                "The code that the device shows now may have been used elsewhere, so only the next one is accepted (--unused \
                 accepts it)."
                    .into(),
            ),
            Some(0) => {}
            Some(_) => remarks.push("Codes that were used there are not accepted here.".into()),
        }
        if foreign.drift != 0 {
            let seconds = i64::from(foreign.drift) * i64::from(foreign.params.period());
            let side = if seconds < 0 { "behind" } else { "ahead" };
            remarks.push(format!("Its clock is taken to be {} s {side}, as before.", seconds.abs()));
        }
        if let Some((back, ahead)) = self.window_of(foreign) {
            let own = Window::own(back, ahead);
            let Window { back: host_back, ahead: host_ahead } = self.context.config.verify.window();
            remarks.push(format!(
                "Its window is its own: codes from {} back to {} ahead, in steps; the host's is {host_back} back to {host_ahead} \
                 ahead.",
                own.back, own.ahead
            ));
            if (back, ahead) != (own.back.into(), own.ahead.into()) {
                remarks.push(format!(
                    "It was {back} back to {ahead} ahead, and {MAX_OWN_SIDE} to each side are the most that is taken over. \
                     `qrtotp resync {name}` takes in a\n  clock that is further off."
                ));
            }
        }
        remarks
    }
}

fn describe(params: Params) -> String {
    format!("{}, {} digits, {} s", params.algorithm(), params.digits(), params.period())
}

/// Why a key that the file gives to another account, too, is refused.
fn shared_key(owner: &Name, place: &str) -> String {
    format!(
        "it has the same key as {owner}'s in {place}, so that a code would be good at both; correct the file"
    )
}

/// The user that a file names. A damaged file may have a key in that place, which no message shows.
fn user_of_file(text: &str) -> Result<HostUser, Failure> {
    known_user(text).map_err(|failure| match failure {
        Failure::Refused(_) if may_hold_key(text) => {
            Failure::Refused("the user that it names is not on this host; correct the file".into())
        }
        failure => failure,
    })
}

/// A user's name in a file, for people; empty if it may be a key instead.
fn shown_user(text: &str) -> &str {
    if may_hold_key(text) && known_user(text).is_err() { "" } else { text }
}

fn strength(weak: bool) -> Strength {
    if weak { Strength::AllowWeak } else { Strength::Normal }
}

/// The next step after a bad line, if its error does not name one.
fn advice(why: &Why) -> &'static str {
    if why.is_weak() { "; --weak takes it all the same" } else { "" }
}

/// The keys that are left in the file.
#[derive(Clone, Copy)]
enum Left {
    All,
    /// All of them, and refused entries in the same file.
    AllAndRefused,
    /// Some of its lines were overwritten.
    Some,
    Nothing,
}

/// Tells the user what to do with the imported file.
fn farewell(how: &How, source: &Source, module: &str, left: Left) -> Result<(), Failure> {
    if how.json {
        return Ok(());
    }
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
