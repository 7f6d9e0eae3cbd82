//! The accounts and devices that `qrtotp revoke` and `qrtotp reissue` are about if there are many, and the
//! question before; and what both say of each account.

use super::config::{self, count};
use super::token::json::{JsonList, put_json};
use super::token::users::in_group;
use crate::cli::Bulk;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::input;
use crate::terminal::unbuffered_stdout;
use nix::unistd::Group;
use qrtotp_account::{CredentialId, Name, Record};
use qrtotp_audit_log::parse_time;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_frontend::host_chain::HostEvent;
use qrtotp_policy::Conditions;
use qrtotp_store::AccountStore;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};

/// The parts of an account that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These devices; all: no other is left.
    Devices { ids: Vec<CredentialId>, all: bool },
    /// There is no device, but a token that would enrol one.
    Token,
}

impl Which {
    /// Whether no device is left then, and there was one.
    fn takes_all(&self) -> bool {
        matches!(self, Self::Devices { all: true, .. })
    }
}

pub struct Target {
    pub name: Name,
    pub which: Which,
}

impl Target {
    /// How many devices.
    pub fn count(&self) -> usize {
        match &self.which {
            Which::Devices { ids, .. } => ids.len(),
            Which::Token => 0,
        }
    }

    pub fn what(&self) -> String {
        if self.which == Which::Token { "a token".to_owned() } else { count(self.count(), "device") }
    }

    /// The name in a column.
    pub fn column(&self) -> String {
        format!("{:<20}", clean(self.name.as_str(), 64))
    }

    /// All devices of one account.
    pub fn of(name: Name, record: &Record) -> Option<Self> {
        target(name, record, None, 0).filter(|target| target.which != Which::Token)
    }
}

/// The accounts that match.
pub struct Targets {
    pub all: Vec<Target>,
    /// Some account could not be read.
    pub unread: bool,
}

impl Targets {
    /// Accounts that have such devices; `tokens`: or only a token.
    pub fn find(
        context: &Context,
        store: &dyn AccountStore,
        bulk: &Bulk,
        tokens: bool,
    ) -> Result<Self, Failure> {
        let before = bulk.enrolled_before.as_deref().map(day).transpose()?;
        let mut targets = Self { all: Vec::new(), unread: false };
        let names: BTreeSet<Name> = match (&bulk.group, &bulk.rule) {
            (Some(group), _) => targets.members(store, group)?,
            (None, Some(rule)) => targets.of_rule(context, store, rule)?,
            (None, None) => store.names()?.collect(),
        };
        for name in names {
            match store.load(&name) {
                Ok(found) => targets.all.extend(
                    found
                        .and_then(|account| target(name, &account.record, before, SystemClock.now()))
                        .filter(|target| tokens || target.which != Which::Token),
                ),
                Err(error) => targets.say(&name, &error.to_string()),
            }
        }
        Ok(targets)
    }

    fn devices(&self) -> usize {
        self.all.iter().map(Target::count).sum()
    }

    /// How many devices and tokens of how many accounts.
    fn count(&self) -> String {
        let tokens = self.all.iter().filter(|target| target.which == Which::Token).count();
        let mut text = count(self.devices(), "device");
        if tokens > 0 {
            text += &format!(" and {}", count(tokens, "token"));
        }
        format!("{text} of {}", count(self.all.len(), "account"))
    }

    fn say(&mut self, name: &Name, error: &str) {
        self.unread = true;
        let _ = writeln!(std::io::stderr(), "qrtotp: {}: {error}", clean(name.as_str(), 64));
    }

    fn members(&mut self, store: &dyn AccountStore, group: &str) -> Result<BTreeSet<Name>, Failure> {
        let listed = in_group(group)?.collect::<Result<BTreeSet<_>, _>>()?;
        let gid = Group::from_name(group).ok().flatten().map(|group| group.gid.as_raw());
        // sssd lists nobody unless told to, and only answers for names.
        let is_member = |name: &Name| {
            listed.contains(name.as_str()) || gid.is_some_and(|gid| self.has_group(name, &[gid]))
        };
        Ok(store.names()?.filter(is_member).collect())
    }

    /// Whether the user has one of these groups. That a look-up failed is said.
    fn has_group(&mut self, name: &Name, gids: &[u32]) -> bool {
        let groups = HostDirectory.groups(name.as_str());
        if groups.is_none() && !matches!(HostDirectory.find(name.as_str()), Ok(None)) {
            self.say(name, "the groups can't be looked up; name the account alone");
        }
        groups.is_some_and(|groups| gids.iter().any(|gid| groups.contains(gid)))
    }

    /// The accounts that a rule can decide about, as its conditions on accounts say.
    fn of_rule(
        &mut self,
        context: &Context,
        store: &dyn AccountStore,
        rule: &str,
    ) -> Result<BTreeSet<Name>, Failure> {
        let rules = context.config.rules.rules().unwrap_or_default();
        let Some(rule) = rules.into_iter().find(|known| known.name == rule) else {
            let rule = clean(rule, 64);
            return Err(Failure::Refused(format!(
                "the applied configuration has no rule {rule}; `qrtotp config show` shows its rules"
            )));
        };
        let Conditions { user, group, .. } = rule.conditions;
        let gids: Vec<u32> = group.iter().map(|group| group.gid).collect();
        let is_meant = |name: &Name| {
            let is_user = user.is_empty() || user.iter().any(|pattern| pattern.matches(name.as_str()));
            is_user && (gids.is_empty() || self.has_group(name, &gids))
        };
        Ok(store.names()?.filter(is_meant).collect())
    }
}

fn target(name: Name, record: &Record, before: Option<UnixTime>, now: UnixTime) -> Option<Target> {
    let apps = record.credentials.iter().map(|device| (device.id, device.created));
    let keys = record.ssh_keys.iter().map(|key| (key.id, key.created));
    // The keys first: the last app takes them along.
    let old = keys.chain(apps).filter(|(_, created)| before.is_none_or(|before| *created < before));
    let ids: Vec<CredentialId> = old.map(|(id, _)| id).collect();
    let which = if !ids.is_empty() {
        let all = ids.len() == record.ids().count();
        Which::Devices { ids, all }
    } else if before.is_none() && record.token.as_ref().is_some_and(|token| token.is_live(now)) {
        Which::Token
    } else {
        return None;
    };
    Some(Target { name, which })
}

/// The number has to be typed: of accounts, so that a slip in the conditions is seen. `verb` is what happens
/// to the devices, `then` what that means.
pub fn confirm(
    given: Option<usize>,
    store: &dyn AccountStore,
    targets: &Targets,
    verb: &str,
    then: &str,
) -> Result<(), Failure> {
    let accounts = targets.all.len();
    let typed = match given {
        Some(given) => Some(given),
        None if std::io::stdin().is_terminal() => {
            // Standard output may be read by a program.
            let mut out = io::stderr();
            let losing = |name: &str| {
                let of_name = |target: &&Target| target.name.as_str() == name;
                targets.all.iter().find(of_name).is_some_and(|target| target.which.takes_all())
            };
            if config::no_admin_is_left(store, losing) {
                writeln!(out, "No account that can become root keeps a device.")?;
            }
            write!(
                out,
                "This {verb}s {}, and {then}.\nType the number of accounts to go on: ",
                targets.count()
            )?;
            out.flush()?;
            let typed = input::line(std::io::stdin()).unwrap_or_default();
            std::str::from_utf8(&typed).ok().and_then(|text| text.trim().parse().ok())
        }
        None => None,
    };
    if typed == Some(accounts) {
        return Ok(());
    }
    Err(Failure::Refused(format!("nothing was changed. To {verb} {}: --confirm {accounts}", targets.count())))
}

/// What became of an account.
pub trait Changed {
    /// Says it in a line.
    fn put(&self, target: &Target, out: &mut File) -> io::Result<()>;

    /// The same for JSON.
    fn view<'a>(&'a self, target: &'a Target) -> AccountResult<'a>;

    /// What to do about an account for which the output failed.
    fn not_shown(&self, target: &Target, error: &io::Error) -> String;
}

/// An account in the JSON of `revoke` and `reissue`.
#[derive(Default, Serialize)]
pub struct AccountResult<'a> {
    pub user: &'a str,
    /// How many devices were revoked; with `--dry-run`, would be.
    pub devices: usize,
    /// Whether a token was revoked, or would be.
    pub token_revoked: bool,
    /// The new token, and the code with which it enrols a device.
    pub token: Option<String>,
    pub expires: Option<UnixTime>,
    pub code: Option<&'a str>,
    pub code_expires: Option<UnixTime>,
    /// Why nothing was changed.
    pub error: Option<&'a str>,
}

impl<'a> AccountResult<'a> {
    pub fn of(target: &'a Target) -> Self {
        let (user, devices) = (target.name.as_str(), target.count());
        Self { user, devices, token_revoked: target.which == Which::Token, ..Self::default() }
    }
}

/// One JSON object, written account by account, so that no code waits for the others.
struct Json {
    /// Its beginning, until that is written.
    head: String,
    list: JsonList,
}

impl Json {
    fn new(verb: &str, dry_run: bool) -> Self {
        let head = format!("{{\"version\":1,\"action\":\"{verb}\",\"dry_run\":{dry_run},\"accounts\":");
        Self { head, list: JsonList::part() }
    }

    fn account(&mut self, view: &AccountResult<'_>, out: &mut File) -> io::Result<()> {
        let Self { head, list } = self;
        put_json(out, |text| {
            text.write_all(std::mem::take(head).as_bytes())?;
            list.item(text, view)
        })
    }

    fn end(&self, outcome: &BulkCounts, all_read: bool, out: &mut File) -> io::Result<()> {
        out.write_all(self.head.as_bytes())?;
        self.list.end(out)?;
        let BulkCounts { done, failed, .. } = outcome;
        writeln!(out, ",\"changed\":{done},\"failed\":{failed},\"all_read\":{all_read}}}")
    }
}

/// Says what became of accounts: in lines, or as JSON.
pub struct BulkReport {
    json: Option<Json>,
    out: File,
}

impl BulkReport {
    /// `verb` is what happens to the devices.
    ///
    /// # Errors
    /// There is no standard output.
    pub fn new(verb: &str, bulk: &Bulk) -> io::Result<Self> {
        // A code may pass through, and std's own standard output would keep it in its buffer.
        let out = unbuffered_stdout()?;
        Ok(Self { json: bulk.json.then(|| Json::new(verb, bulk.dry_run)), out })
    }

    /// Changes each account and says what became of it. What fails for one stops no other. The host's chain
    /// gets a line of this `kind` at the end, and one before: the run may be killed.
    pub fn change<C: Changed, E: Display>(
        &mut self,
        (context, kind, bulk): (&Context, &str, &Bulk),
        targets: &[Target],
        mut change: impl FnMut(&Target) -> Result<C, E>,
    ) -> BulkCounts {
        let log = |reason, count: &str, detail: &str| {
            context.host_chain().log_new(&HostEvent { kind, reason, facts: &[("count", count)] }, detail);
        };
        log("begun", &targets.len().to_string(), &bulk.to_string());
        let mut outcome = BulkCounts::default();
        for target in targets {
            match change(target) {
                Ok(changed) => {
                    outcome.done += 1;
                    if let Err(error) = self.put(target, &changed) {
                        outcome.fail(&target.name, &changed.not_shown(target, &error));
                    }
                }
                Err(error) => self.fail(target, &error.to_string(), &mut outcome),
            }
        }
        log("", &outcome.done.to_string(), &outcome.detail(bulk));
        outcome
    }

    /// Says what became of one account.
    ///
    /// # Errors
    /// The output failed.
    pub fn put(&mut self, target: &Target, changed: &impl Changed) -> io::Result<()> {
        match &mut self.json {
            Some(json) => json.account(&changed.view(target), &mut self.out),
            None => changed.put(target, &mut self.out),
        }
    }

    fn fail(&mut self, target: &Target, error: &str, outcome: &mut BulkCounts) {
        let view = AccountResult {
            devices: 0,
            token_revoked: false,
            error: Some(error),
            ..AccountResult::of(target)
        };
        let shown = self.json.as_mut().is_some_and(|json| json.account(&view, &mut self.out).is_ok());
        if shown {
            outcome.failed += 1;
        } else {
            outcome.fail(&target.name, &error);
        }
    }

    /// Ends it. `text`: the last line, if it is not JSON.
    ///
    /// # Errors
    /// The output failed.
    pub fn end(&mut self, outcome: &BulkCounts, all_read: bool, text: &str) -> io::Result<()> {
        let ended = match &self.json {
            Some(json) => json.end(outcome, all_read, &mut self.out),
            None => self.out.write_all(text.as_bytes()),
        };
        // A reader that went away early missed results: standard error names them, and the exit code says so.
        if outcome.failed > 0 { Ok(()) } else { ended }
    }
}

/// Counts of a bulk command: accounts that it changed, and failures.
#[derive(Default)]
pub struct BulkCounts {
    pub done: u32,
    failed: u32,
}

impl BulkCounts {
    /// One account was changed.
    pub fn one() -> Self {
        Self { done: 1, ..Self::default() }
    }

    /// Names an account that something failed for; the command goes on with the others.
    fn fail(&mut self, name: &Name, what: &dyn Display) {
        self.failed += 1;
        let _ = writeln!(io::stderr(), "qrtotp: {}: {what}", clean(name.as_str(), 64));
    }

    /// The end line's detail.
    fn detail(&self, bulk: &Bulk) -> String {
        if self.failed == 0 { bulk.to_string() } else { format!("{bulk}; {} failed", self.failed) }
    }

    pub fn exit(&self, targets: &Targets) -> Exit {
        if targets.unread || self.failed > 0 { Exit::Error } else { Exit::Done }
    }
}

/// Shows what would happen, or that there is nothing to do. True: that was all.
pub fn is_over(bulk: &Bulk, targets: &Targets, verb: &str, report: &mut BulkReport) -> Result<bool, Failure> {
    let is_over = bulk.dry_run || targets.all.is_empty();
    if let (true, Some(json)) = (is_over, &mut report.json) {
        for target in &targets.all {
            json.account(&AccountResult::of(target), &mut report.out)?;
        }
        json.end(&BulkCounts::default(), !targets.unread, &mut report.out)?;
        return Ok(true);
    }
    let out = &mut report.out;
    if bulk.dry_run {
        for target in &targets.all {
            writeln!(out, "{} {}", target.column(), target.what())?;
        }
        writeln!(out, "Would {verb} {}.", targets.count())?;
    } else if is_over {
        writeln!(out, "No device matches; nothing was changed.")?;
    }
    Ok(is_over)
}

fn day(text: &str) -> Result<UnixTime, Failure> {
    let micros = parse_time(text, SystemClock.now().saturating_mul(1_000_000)).ok_or_else(|| {
        Failure::Error(format!(
            "{} is no day; write 2026-11-29 (UTC), or how long ago, such as 90d",
            clean(text, 64)
        ))
    })?;
    Ok(micros.div_euclid(1_000_000))
}
