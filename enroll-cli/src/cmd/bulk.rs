//! The accounts and devices that `qrtotp revoke` and `qrtotp reissue` are about if there are many, and the
//! question before.

use super::token::whom::in_group;
use crate::cli::Bulk;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::input;
use nix::unistd::Group;
use qrtotp_account::{CredentialId, Name, Record};
use qrtotp_audit_log::parse_time;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_policy::Conditions;
use qrtotp_store::{FileStore, Store};
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// The parts of an account that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These devices; all: no other is left.
    Devices { ids: Vec<CredentialId>, all: bool },
    /// There is no device, but a token that would enrol one.
    Token,
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
        if self.which == Which::Token { "a token".to_owned() } else { format!("{} devices", self.count()) }
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
    pub fn find(context: &Context, store: &FileStore, bulk: &Bulk, tokens: bool) -> Result<Self, Failure> {
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

    pub fn devices(&self) -> usize {
        self.all.iter().map(Target::count).sum()
    }

    fn say(&mut self, name: &Name, error: &str) {
        self.unread = true;
        let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {error}");
    }

    fn members(&mut self, store: &FileStore, group: &str) -> Result<BTreeSet<Name>, Failure> {
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
        store: &FileStore,
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
pub fn confirm(given: Option<usize>, targets: &Targets, verb: &str, then: &str) -> Result<(), Failure> {
    let (devices, accounts) = (targets.devices(), targets.all.len());
    let typed = match given {
        Some(given) => Some(given),
        None if std::io::stdin().is_terminal() => {
            let mut out = std::io::stdout();
            write!(
                out,
                "This {verb}s {devices} devices of {accounts} accounts, and {then}.\n\
                 Type the number of accounts to go on: "
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
    Err(Failure::Refused(format!(
        "{devices} devices of {accounts} accounts match; nothing was changed. To {verb} them: --confirm {accounts}"
    )))
}

/// Counts of a bulk command: accounts that it changed, and failures.
#[derive(Default)]
pub struct Outcome {
    pub done: u32,
    failed: u32,
}

impl Outcome {
    /// Names an account that something failed for; the command goes on with the others.
    pub fn fail(&mut self, name: &Name, what: &dyn Display) {
        self.failed += 1;
        let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {what}");
    }

    /// The end line's detail.
    pub fn detail(&self, bulk: &Bulk) -> String {
        if self.failed == 0 { bulk.to_string() } else { format!("{bulk}; {} failed", self.failed) }
    }

    pub fn exit(&self, targets: &Targets) -> Exit {
        if targets.unread || self.failed > 0 { Exit::Error } else { Exit::Done }
    }
}

/// Shows what would happen, or that there is nothing to do. True: that was all.
pub fn is_over(bulk: &Bulk, targets: &Targets, verb: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout();
    if bulk.dry_run {
        for target in &targets.all {
            writeln!(out, "{:<20} {}", target.name.as_str(), target.what())?;
        }
        writeln!(out, "Would {verb} {} devices of {} accounts.", targets.devices(), targets.all.len())?;
    } else if targets.all.is_empty() {
        writeln!(out, "No device matches; nothing was changed.")?;
    }
    Ok(bulk.dry_run || targets.all.is_empty())
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
