//! `qrtotp audit`: the log, read and proven. All that is known of its form is in the crate
//! `qrtotp-audit-log`.

pub mod checkpoint;
mod geo;
mod heads;
pub mod kept_checkpoints;
mod paper;
pub mod records;
mod report;
pub mod sources;
mod summary;
mod verify;

use crate::cli::{Audit, AuditForm, AuditWhat, Show};
use crate::context::Context;
use crate::error::{Exit, Failure};
use geo::Geo;
use nix::unistd::Group;
use qrtotp_audit_log::{Entry, Filter, Writer, ecs, is_kind, is_place, ocsf, parse_time, plain};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_frontend::local;
use qrtotp_values::text::clean;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Most characters of a line that is shown.
const LONGEST: usize = 8192;

pub fn run(config: &Path, args: Audit) -> Result<Exit, Failure> {
    let context = || Context::load(config);
    let exit = match args.what {
        None => show(args.show),
        Some(AuditWhat::Verify { against, json, sources }) => {
            verify::run(&context()?, &sources, against.as_deref(), json)
        }
        Some(AuditWhat::Repair { sources }) => verify::repair(&context()?, &sources),
        Some(AuditWhat::Heads) => verify::heads(&context()?),
        Some(AuditWhat::Checkpoint { verify, print }) => checkpoint::run(&context()?, verify, print),
        Some(AuditWhat::Summary { days, sources }) => summary::run(&context()?, days, &sources),
        Some(AuditWhat::Report { html, days, pseudonyms, sources }) => {
            report::run(&context()?, &html, days, pseudonyms, &sources)
        }
    }?;
    Ok(if sources::were_cut() { Exit::Error } else { exit })
}

/// Refuses values that no event has: an empty answer would look as if nothing had happened.
fn refuse_slips(args: &Show) -> Result<(), Failure> {
    let wrong = |text: &str, what: &str| Err(Failure::Error(format!("`{}` {what}", clean(text, 64))));
    if let Some(from) = args.from.iter().find(|from| !is_place(from)) {
        return wrong(
            from,
            "is no address, network or host name; write 192.0.2.7, 192.0.2.0/24 or host.example.net",
        );
    }
    // As of a variable of the shell that is not set.
    if [&args.user, &args.service, &args.reason, &args.rule].into_iter().flatten().any(String::is_empty) {
        return Err(Failure::Error("a filter's value is empty; write one, or leave the filter out".into()));
    }
    match args.event.iter().find(|kind| !is_kind(kind)) {
        Some(kind) => wrong(kind, "is no event; docs/AUDIT.md lists them"),
        None => Ok(()),
    }
}

fn show(args: Show) -> Result<Exit, Failure> {
    refuse_slips(&args)?;
    let now = SystemClock.now().saturating_mul(1_000_000);
    let time = |text: Option<String>| {
        text.map(|text| {
            let why = "write 2026-11-29, \"2026-11-29 10:00\" (UTC), or how long ago, such as 90d or 12h";
            parse_time(&text, now)
                .ok_or_else(|| Failure::Error(format!("{} is no time; {why}", clean(&text, 64))))
        })
        .transpose()
    };
    let (since, until) = (time(args.since)?, time(args.until)?);
    let filter = Filter {
        users: args.user,
        services: args.service,
        events: args.event,
        results: args.result,
        reasons: args.reason,
        rules: args.rule,
        from: args.from,
        since,
        until,
    };
    let mut members = Members::of(&args.group)?;
    let geo = Geo::open(&args.geo)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let entries = if args.follow { sources::follow()? } else { sources::open(&args.sources, since)? };
    for entry in entries {
        if filter.wants(&entry) && members.has(&entry) {
            put(&entry, args.json, &geo, &mut out)?;
            if args.follow {
                out.flush()?;
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Members of some groups.
struct Members {
    gids: Vec<u32>,
    /// Accounts that were looked up.
    known: HashMap<String, bool>,
}

impl Members {
    fn of(groups: &[String]) -> Result<Self, Failure> {
        let gid = |name: &String| match Group::from_name(name) {
            Ok(Some(group)) => Ok(group.gid.as_raw()),
            Ok(None) => Err(Failure::Error(format!("there is no group {}", clean(name, 64)))),
            Err(errno) => Err(Failure::Error(format!("group {}: {errno}", clean(name, 64)))),
        };
        Ok(Self { gids: groups.iter().map(gid).collect::<Result<_, _>>()?, known: HashMap::new() })
    }

    /// Whether the event is of a member; without groups every event is.
    fn has(&mut self, entry: &Entry) -> bool {
        let Self { gids, known } = self;
        let look_up = |user: &str| {
            let groups = HostDirectory.groups(user).unwrap_or_default();
            groups.iter().any(|gid| gids.contains(gid))
        };
        gids.is_empty()
            || entry
                .event
                .get("user")
                .is_some_and(|user| *known.entry(user.to_owned()).or_insert_with(|| look_up(user)))
    }
}

fn put(entry: &Entry, form: Option<AuditForm>, geo: &Geo, out: &mut impl Write) -> std::io::Result<()> {
    let origin = geo.origin(entry);
    match form {
        None => {
            let when = entry.when();
            let time = if when == 0 { "-".to_owned() } else { local(when.div_euclid(1_000_000)) };
            let forged = match entry.writer {
                Writer::User(uid) if entry.is_forged() => format!("FORGED by a process of uid {uid}: "),
                Writer::Setuid(uid) if entry.event.link.is_none() => {
                    format!("not proven, by a setuid program of uid {uid}: ")
                }
                Writer::Ended(uid) if entry.event.link.is_none() => {
                    format!("not proven, by a process of uid {uid} that had ended: ")
                }
                _ => String::new(),
            };
            let origin = origin.map(|origin| format!("[{origin}] ")).unwrap_or_default();
            let (host, line) = (clean(&entry.host, 255), clean(&entry.event.line, LONGEST));
            writeln!(out, "{time} {host} {origin}{forged}{line}")
        }
        Some(AuditForm::Ecs) => {
            let mut document = ecs(entry);
            origin.into_iter().for_each(|origin| origin.put_ecs(&mut document));
            writeln!(out, "{document}")
        }
        Some(AuditForm::Ocsf) => {
            let mut document = ocsf(entry);
            origin.into_iter().for_each(|origin| origin.put_ocsf(&mut document));
            writeln!(out, "{document}")
        }
        Some(AuditForm::Plain) => {
            let mut object = plain(entry);
            origin.into_iter().for_each(|origin| origin.put_plain(&mut object));
            writeln!(out, "{}", Value::Object(object))
        }
    }
}
