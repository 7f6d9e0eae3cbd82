//! `qrtotp revoke` for many accounts. A failure does not stop the others, and a second run continues where
//! the first one ended.

use super::token::whom::in_group;
use crate::cli::Bulk;
use crate::context::{Context, subject, syslog};
use crate::error::{Exit, Failure};
use crate::input;
use nix::unistd::Group;
use qrtotp_account::{CredentialId, Name, Record};
use qrtotp_audit::{Event, Kind};
use qrtotp_audit_log::parse_time;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{AdminError, Directory, HostDirectory, Selection};
use qrtotp_store::{FileStore, Store};
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};

/// The parts of an account to revoke.
enum Which {
    All,
    Devices(Vec<CredentialId>),
    /// There is no device, but a token that would enrol one.
    Token,
}

struct Target {
    name: Name,
    which: Which,
    count: usize,
}

impl Target {
    fn what(&self, devices: usize) -> String {
        if matches!(self.which, Which::Token) { "a token".to_owned() } else { format!("{devices} devices") }
    }
}

pub fn run(context: &Context, bulk: &Bulk) -> Result<Exit, Failure> {
    let store = context.store()?;
    let before = bulk.enrolled_before.as_deref().map(day).transpose()?;
    let (targets, unread) = targets(&store, bulk, before)?;
    let devices: usize = targets.iter().map(|target| target.count).sum();
    let mut out = std::io::stdout();
    if bulk.dry_run {
        for target in &targets {
            writeln!(out, "{:<20} {}", target.name.as_str(), target.what(target.count))?;
        }
        writeln!(out, "Would revoke {devices} devices of {} accounts.", targets.len())?;
        return Ok(if unread { Exit::Error } else { Exit::Done });
    }
    if targets.is_empty() {
        writeln!(out, "No device matches; nothing was changed.")?;
        return Ok(if unread { Exit::Error } else { Exit::Done });
    }
    confirm(bulk.confirm, devices, targets.len())?;
    let (mut log, mut done, mut exit) = (syslog(), 0_u32, if unread { Exit::Error } else { Exit::Done });
    for target in &targets {
        match revoke(context, &store, target) {
            Ok(gone) => {
                done += 1;
                writeln!(out, "{:<20} {} revoked", target.name.as_str(), target.what(gone))?;
            }
            Err(error) => {
                exit = Exit::Error;
                let _ = writeln!(std::io::stderr(), "qrtotp: {}: {error}", target.name);
            }
        }
    }
    let detail = bulk.to_string();
    Event::new(Kind::BulkRevoked, &subject("")).count(done).detail(&detail).emit(&mut log);
    writeln!(out, "Revoked devices of {done} accounts.")?;
    Ok(exit)
}

/// The accounts that have devices to revoke, and whether any could not be read.
fn targets(store: &FileStore, bulk: &Bulk, before: Option<UnixTime>) -> Result<(Vec<Target>, bool), Failure> {
    let mut unread = false;
    let names: BTreeSet<Name> = match &bulk.group {
        Some(group) => {
            let listed = in_group(group)?.collect::<Result<BTreeSet<_>, _>>()?;
            let gid = Group::from_name(group).ok().flatten().map(|group| group.gid.as_raw());
            // sssd lists nobody unless told to, and only answers for names.
            let mut is_member = |name: &str| {
                let Some(gid) = gid.filter(|_| !listed.contains(name)) else { return listed.contains(name) };
                let groups = HostDirectory.groups(name);
                if groups.is_none() && !matches!(HostDirectory.find(name), Ok(None)) {
                    unread = true;
                    let _ = writeln!(
                        std::io::stderr(),
                        "qrtotp: {name}: the groups can't be looked up; revoke it by name"
                    );
                }
                groups.is_some_and(|groups| groups.contains(&gid))
            };
            store.names()?.filter(|name| is_member(name.as_str())).collect()
        }
        None => store.names()?.collect(),
    };
    let mut targets = Vec::new();
    for name in names {
        match store.load(&name) {
            Ok(found) => targets
                .extend(found.and_then(|account| target(name, &account.record, before, SystemClock.now()))),
            Err(error) => {
                unread = true;
                let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {error}");
            }
        }
    }
    Ok((targets, unread))
}

fn target(name: Name, record: &Record, before: Option<UnixTime>, now: UnixTime) -> Option<Target> {
    let all = record.ids().count();
    let apps = record.credentials.iter().map(|device| (device.id, device.created));
    let keys = record.ssh_keys.iter().map(|key| (key.id, key.created));
    // The keys first: the last app takes them along.
    let old = keys.chain(apps).filter(|(_, created)| before.is_none_or(|before| *created < before));
    let old: Vec<CredentialId> = old.map(|(id, _)| id).collect();
    let count = old.len();
    let which = if count > 0 {
        if count < all { Which::Devices(old) } else { Which::All }
    } else if before.is_none() && record.token.as_ref().is_some_and(|token| token.is_live(now)) {
        Which::Token
    } else {
        return None;
    };
    Some(Target { name, which, count })
}

fn revoke(context: &Context, store: &FileStore, target: &Target) -> Result<usize, AdminError> {
    let mut log = syslog();
    let mut ctx = context.flow(store, target.name.as_str(), &mut log);
    let mut one = |which| qrtotp_flow::revoke(&mut ctx, &target.name, which).map(|gone| gone.len());
    match &target.which {
        Which::All => one(Selection::All),
        Which::Token => qrtotp_flow::revoke_token(&mut ctx, &target.name).map(|_| 0),
        Which::Devices(ids) => ids.iter().try_fold(0, |gone, id| Ok(gone + one(Selection::One(*id))?)),
    }
}

/// The number has to be typed: of accounts, so that a slip in the conditions is seen.
fn confirm(given: Option<usize>, devices: usize, accounts: usize) -> Result<(), Failure> {
    let typed = match given {
        Some(given) => Some(given),
        None if std::io::stdin().is_terminal() => {
            let mut out = std::io::stdout();
            write!(
                out,
                "This revokes {devices} devices of {accounts} accounts, and their logins are denied until they enrol again.\n\
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
        "{devices} devices of {accounts} accounts match; nothing was changed. To revoke them: --confirm {accounts}"
    )))
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
