//! `qrtotp audit verify`, `repair` and `heads`.

use super::heads::{By, Check, unreadable};
use super::kept_checkpoints::{self, Checkpoint, Found, checkpoints_of, misplaced};
use super::sources::{self, any_form};
use crate::cli::Sources;
use crate::cmd::list::each_account;
use crate::context::{Context, syslog};
use crate::error::{Exit, Failure, store_failure};
use qrtotp_account::{Link, Name, chain_origin};
use qrtotp_audit::Priority;
use qrtotp_audit_log::{Entry, Event, Fault, Finding, Head, RECOVERED, Verifier, rfc3339_of};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::host_chain::{HostChain, HostEnd};
use qrtotp_frontend::local;
use qrtotp_otp::{base32_decode, base32_encode};
use qrtotp_store::{AccountStore, StoreError};
use qrtotp_values::UnixTime;
use qrtotp_values::text::{clean, logfmt};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

/// Most characters of a line that is shown.
const LONGEST: usize = 8192;
/// So many of the last lines of the host's chain are compared with the log.
const COMPARED: usize = 4096;
/// So many seconds before the last line of a boot, journald may have had lines that it had not yet written:
/// it syncs every five minutes.
const UNSYNCED: UnixTime = 300;
/// Seconds that a line may take to reach the log.
const ON_ITS_WAY: UnixTime = 10;

/// Result of a verification.
#[derive(Default)]
pub struct Count {
    pub accounts: usize,
    pub events: u64,
    pub proven: u64,
    pub first: u64,
    pub forged: u64,
    pub lost: u64,
    pub other: u64,
    /// Facts that are worth knowing, but no findings.
    pub notes: u64,
    /// Whether there is a checkpoint to compare with.
    pub checkpoint: bool,
    /// Whether all accounts could be read.
    pub exit: Exit,
}

pub fn run(
    context: &Context,
    sources: &Sources,
    against: Option<&Path>,
    json: bool,
) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut restarts = Restarts::default();
    let each = |finding: &Finding| {
        if json {
            let (fault, until) = word(&finding.fault);
            let line = if let Fault::Lost(line) = &finding.fault { line } else { &finding.line };
            let restart =
                restarts.behind(&finding.fault).map(|time| rfc3339_of(time.saturating_mul(1_000_000)));
            let object = json!({ "version": 1, "user": finding.user, "seq": finding.seq, "until": until, "fault": fault,
                "restart": restart, "line": line });
            writeln!(out, "{object}")
        } else {
            writeln!(out, "{}", text(finding, restarts.behind(&finding.fault)))
        }
    };
    let count = verify(context, sources, against, each, |_| Ok(()))?;
    let Count { accounts, events, proven, first, forged, lost, other, notes, checkpoint, exit } = count;
    if json {
        let object = json!({ "version": 1, "accounts": accounts, "events": events, "proven": proven, "first": first,
            "forged": forged, "lost": lost, "found": other, "notes": notes, "checkpoint": checkpoint });
        writeln!(out, "{object}")?;
    } else {
        writeln!(
            out,
            "{accounts} accounts, {events} events: {proven} proven, {first} taken on trust (the first of a chain in this log)."
        )?;
        if forged > 0 {
            writeln!(out, "{forged} look-alikes: written by processes without root's rights.")?;
        }
        if !checkpoint && against.is_none() {
            let text =
                "No checkpoint to compare with: an account that is gone with its lines would not be noticed.";
            writeln!(out, "{text} `qrtotp audit checkpoint` keeps one.")?;
        }
        if notes > 0 {
            writeln!(out, "{notes} notes, which are no findings: see above.")?;
        }
        match (lost, other) {
            (0, 0) if exit == Exit::Done => writeln!(out, "Nothing was changed, removed or added.")?,
            (0, 0) => writeln!(out, "NOT ALL ACCOUNTS COULD BE READ: see above.")?,
            (lost, 0) => writeln!(out, "{lost} lost; `qrtotp audit repair` logs them again.")?,
            (lost, other) => writeln!(out, "{other} CHANGED, MISSING OR ADDED, {lost} lost: see above.")?,
        }
    }
    out.flush()?;
    Ok(if lost + other > 0 { Exit::Refused } else { exit })
}

/// Logs lost lines again, word for word.
pub fn repair(context: &Context, sources: &Sources) -> Result<Exit, Failure> {
    let (mut log, mut again, mut young, mut left) = (syslog(), 0_u64, 0_u64, 0_u64);
    let now = SystemClock.now();
    let each = |finding: &Finding| {
        match &finding.fault {
            Fault::Lost(line) if at(line).is_some_and(|at| at >= now - ON_ITS_WAY) => young += 1,
            Fault::Lost(line) if !sources::were_cut() => {
                let mut line = line.clone();
                logfmt(&mut line, "detail", &format!("{RECOVERED} by qrtotp audit repair"));
                log.write(Priority::Notice, &line);
                again += 1;
            }
            fault => left += u64::from(!fault.is_note()),
        }
        Ok(())
    };
    let exit = verify(context, sources, None, each, |_| Ok(()))?.exit;
    writeln!(
        std::io::stdout(),
        "{again} lines logged again; {left} findings are left for `qrtotp audit verify`."
    )?;
    if young > 0 {
        let text = "are not in the log yet, but less than 10 s old: look again in 10 s.";
        writeln!(std::io::stdout(), "{young} lines {text}")?;
    }
    Ok(if left + young > 0 { Exit::Refused } else { exit })
}

/// Prints the end of each chain as a line of the log.
pub fn heads(context: &Context) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = super::heads::write(context, By::User, &mut out)?;
    out.flush()?;
    Ok(written.exit)
}

fn at(line: &str) -> Option<UnixTime> {
    Event::parse(line)?.number("at")
}

/// Reads the log once: gives each entry to `seen` and each finding to `each`. An error of either ends it.
pub fn verify(
    context: &Context,
    sources: &Sources,
    against: Option<&Path>,
    mut each: impl FnMut(&Finding) -> std::io::Result<()>,
    mut seen: impl FnMut(&Entry) -> Result<(), Failure>,
) -> Result<Count, Failure> {
    let (store, host_chain) = (context.store()?, context.host_chain());
    let Known { heads, names, records, host, exit } = Known::read(&*store, &host_chain)?;
    let mut verifier = Verifier::new(heads).of_verifier(context.is_verifier());
    let mut unknown = BTreeSet::new();
    if let Some(path) = against {
        save(path, &records, &mut verifier, &mut unknown)?;
    }
    if let Some((time, exact)) = sources::begins(sources) {
        verifier.goes_back_to(time, exact);
    }
    let checkpoint = host.as_ref().and_then(|host| kept_checkpoints::last(context, host));
    let mut count = Count { exit, checkpoint: checkpoint.is_some(), ..Count::default() };
    if let Some(Checkpoint { found: Some(found), .. }) = &checkpoint {
        let compare = against.is_none() && verifier.has_begun(found.time);
        for entry in found.entries() {
            save_head(&entry, &records, compare, &mut verifier, &mut unknown);
        }
        if compare {
            save_earlier(context, found, &records, &mut verifier);
        }
    }
    // Each verifier's own chain is proven there: here is no end to compare it with.
    let others_logs = context.is_verifier() && !sources.file.is_empty();
    let own_name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    for entry in sources::read(sources, None)? {
        count.events += 1;
        seen(&entry)?;
        if others_logs && is_of_other_host(&entry, &own_name) {
            continue;
        }
        verifier.read(&entry);
        count.pass_on(&mut verifier, &mut each)?;
    }
    count.accounts = verifier.accounts();
    if verifier.proves_nothing() {
        let text = "the log has no line of any account, and nothing tells when it begins; was it emptied, or is it in another \
                    form than journalctl's JSON or rsyslog's files (compressed ones by name: .gz, .xz, .zst)?";
        return Err(Failure::Error(text.into()));
    }
    for name in &names {
        match end_of(&*store, name) {
            Ok((kept, now)) => verifier.end(name, &kept, now),
            Err(error) => {
                count.exit = Exit::Error;
                let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {}", store_failure(&error));
            }
        }
        count.pass_on(&mut verifier, &mut each)?;
    }
    for event in host.iter().flat_map(|host| misplaced(&checkpoints_of(host)).cloned().collect::<Vec<_>>()) {
        let (seq, line) = (event.seq().unwrap_or(0), event.line);
        verifier.find(Finding { user: String::new(), seq, fault: Fault::OtherCheckpoint, line });
    }
    if let Some(before) = host {
        end_of_host(&mut verifier, &end_of_chain(&host_chain)?.unwrap_or(before));
    }
    for name in records.names_of(|record| verifier.has_removed(record)) {
        verifier.find(Finding { user: name, seq: 0, fault: Fault::PutBack, line: String::new() });
    }
    let since = checkpoint.as_ref().map_or(0, |last| last.seq);
    unknown.extend(verifier.made(since).filter(|record| records.get(record).is_none()).map(str::to_owned));
    unknown.retain(|record| !verifier.has_removed(record));
    verifier.end_others();
    if let Some(Checkpoint { found: None, seq, line }) = checkpoint {
        verifier.find(Finding { user: String::new(), seq, fault: Fault::OtherCheckpoint, line });
    }
    for record in unknown.into_iter().filter(|_| count.exit == Exit::Done) {
        verifier.find(Finding { user: record, seq: 0, fault: Fault::SavedIsGone, line: String::new() });
    }
    count.pass_on(&mut verifier, &mut each)?;
    (count.proven, count.first, count.forged) = (verifier.proven, verifier.first, verifier.forged);
    Ok(count)
}

/// Whether a line is of the own chain of a host with another name.
fn is_of_other_host(entry: &Entry, own: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let is_of_host = entry.event.seq().is_some() && entry.event.get("user").is_none();
    is_of_host && short(&entry.host) != short(own)
}

impl Count {
    /// Counts the verifier's new findings and gives them to `each`.
    fn pass_on(
        &mut self,
        verifier: &mut Verifier,
        each: &mut impl FnMut(&Finding) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        for finding in verifier.take_findings() {
            *match &finding.fault {
                fault if fault.is_note() => &mut self.notes,
                fault if fault.is_loss() => &mut self.lost,
                _ => &mut self.other,
            } += 1;
            each(&finding)?;
        }
        Ok(())
    }
}

/// Accounts by their record's id.
#[derive(Default)]
struct Records(HashMap<[u8; 16], Rc<str>>);

impl Records {
    fn get(&self, record: &str) -> Option<&str> {
        let id: [u8; 16] = base32_decode(record).ok()?.as_slice().try_into().ok()?;
        self.0.get(&id).map(|name| &**name)
    }

    /// The names of accounts whose records' ids are wanted.
    fn names_of(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let wanted = self.0.iter().filter(|(id, _)| wanted(&base32_encode(*id)));
        wanted.map(|(_, name)| name.to_string()).collect()
    }
}

/// The store before the log was read, which may go on meanwhile.
struct Known {
    heads: Vec<(Rc<str>, Head)>,
    names: Vec<Rc<str>>,
    records: Records,
    host: Option<HostEnd>,
    /// Whether all accounts could be read.
    exit: Exit,
}

impl Known {
    /// The host's chain first, so that each record which it says was made is among the accounts.
    fn read(store: &dyn AccountStore, host_chain: &HostChain) -> Result<Self, Failure> {
        let host = end_of_chain(host_chain)?;
        let (mut heads, mut names, mut records) = (Vec::new(), Vec::new(), Records::default());
        let exit = each_account(store, |name, account| {
            let chain = &account.state.chain;
            let origin = chain_origin(account.record.id);
            let name: Rc<str> = name.as_str().into();
            heads.push((Rc::clone(&name), Head { seq: chain.number(), link: chain.head(), origin }));
            names.push(Rc::clone(&name));
            records.0.insert(account.record.id.0, name);
            Ok(())
        })?;
        if let Some(host) = &host {
            heads.push(("".into(), Head { seq: host.seq, link: host.head, origin: host.origin() }));
        }
        Ok(Self { heads, names, records, host, exit })
    }
}

fn end_of_chain(chain: &HostChain) -> Result<Option<HostEnd>, Failure> {
    chain.end().map_err(|error| unreadable(&chain.file(), &error))
}

fn end_of_host(verifier: &mut Verifier, host: &HostEnd) {
    let events = |from: usize| host.lines.iter().skip(from).filter_map(|line| Event::parse(line));
    verifier.prove_kept(host.origin(), events(0));
    // There may be a line for each account, and memory is bounded.
    let kept: Vec<Event> = events(host.lines.len().saturating_sub(COMPARED)).collect();
    verifier.end("", &kept, Some((host.seq, host.head)));
}

/// Keeps what an earlier run saved elsewhere: a log, the output of `audit heads`, or a checkpoint.
fn save(
    path: &Path,
    records: &Records,
    verifier: &mut Verifier,
    unknown: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    let (shown, mut saved, mut check) = (path.display(), false, Check::default());
    sources::check_readable(path)?;
    for line in sources::lines_of(path) {
        let Some(entry) = any_form(&line).filter(|entry| !entry.is_forged()) else { continue };
        // Heads stand alone in a line. In a log, any user can claim to be `qrtotp`.
        let is_of_heads = entry.event.get("event").is_some_and(|kind| kind.starts_with("audit_head"));
        if is_of_heads && !line.starts_with("event=") {
            continue;
        }
        saved |= entry.event.seq().is_some();
        check.read(&entry);
        save_head(&entry, records, true, verifier, unknown);
    }
    if !saved {
        return Err(Failure::Error(format!("{shown} has no line of a chain to compare with")));
    }
    if !check.is_whole() {
        let text = "was cut or changed: its last line, event=audit_heads_end, does not fit; compare with another copy";
        return Err(Failure::Error(format!("{shown} {text}")));
    }
    if check.old {
        let text = "is of a version that wrote no last line, so nothing tells whether it was cut";
        let _ = writeln!(std::io::stderr(), "qrtotp: {shown} {text}");
    }
    Ok(())
}

/// Keeps a saved line to compare with the log, if `compare`. Of a checkpoint's line of a record that the
/// store does not have, it adds the id to `unknown`.
fn save_head(
    entry: &Entry,
    records: &Records,
    compare: bool,
    verifier: &mut Verifier,
    unknown: &mut BTreeSet<String>,
) {
    if compare {
        verifier.save(entry);
    }
    let event = &entry.event;
    let Some(record) = event.get("record").filter(|_| event.get("event") == Some("audit_head")) else {
        return;
    };
    match records.get(record) {
        Some(user) if compare => verifier.save_head(user, event),
        Some(_) => {}
        None => {
            verifier.save_missing(record, event);
            unknown.insert(record.to_owned());
        }
    }
}

/// Keeps how many lines each account had at the first checkpoint to which the log goes back.
fn save_earlier(context: &Context, last: &Found, records: &Records, verifier: &mut Verifier) {
    let earliest = kept_checkpoints::earliest(context, last, |time| verifier.has_begun(time));
    for Entry { event, .. } in earliest.iter().flat_map(Found::entries) {
        // The last line of the file is a hash over the others.
        if event.get("event") != Some("audit_head") {
            continue;
        }
        let user = match event.get("record") {
            Some(record) => records.get(record),
            None => Some(event.get("user").unwrap_or_default()),
        };
        if let Some(user) = user {
            verifier.save_earlier(user, &event);
        }
    }
}

/// The last lines of an account, and the number and the link of the last one.
type End = (Vec<Event>, Option<(u64, Link)>);

/// The account's end, as its state keeps it.
fn end_of(store: &dyn AccountStore, name: &str) -> Result<End, StoreError> {
    let Ok(name) = Name::new(name) else { return Ok(End::default()) };
    Ok(store.last_lines(&name)?.map_or_else(Default::default, |(state, lines)| {
        let lines = lines.iter().filter_map(|line| Event::parse(line)).collect();
        (lines, Some((state.chain.number(), state.chain.head())))
    }))
}

fn word(fault: &Fault) -> (&'static str, Option<u64>) {
    match fault {
        Fault::Changed => ("changed", None),
        Fault::Unchained => ("unchained", None),
        Fault::Repeated => ("repeated", None),
        Fault::Moved => ("moved", None),
        Fault::Missing(until) => ("missing", Some(*until)),
        Fault::Lost(_) => ("lost", None),
        Fault::OtherHead => ("other_head", None),
        Fault::StoreIsOlder(until) => ("store_is_older", Some(*until)),
        Fault::NoAccount => ("no_account", None),
        Fault::AgainstSaved => ("against_saved", None),
        Fault::SavedIsGone => ("saved_is_gone", None),
        Fault::OtherCheckpoint => ("other_checkpoint", None),
        Fault::ClockSetBack(_) => ("clock_set_back", None),
        Fault::PutBack => ("put_back", None),
    }
}

/// A fault for people.
pub fn what(seq: u64, fault: &Fault) -> String {
    match fault {
        Fault::Changed => "CHANGED or added: it does not fit the line before".to_owned(),
        Fault::Unchained => "UNCHAINED: changed or added; such a line has a number and a hash".to_owned(),
        Fault::Repeated => "REPEATED or added: a line of this number came before".to_owned(),
        Fault::Moved => "MOVED: it stands behind later lines".to_owned(),
        Fault::Missing(until) if *until == seq => {
            "MISSING: removed, or lost too long ago for the store".to_owned()
        }
        Fault::Missing(until) => {
            format!("MISSING up to {until}: removed, or lost too long ago for the store")
        }
        Fault::Lost(line) => format!("lost; the store has it: {line}"),
        Fault::OtherHead => "OTHER: the store has another hash for this line".to_owned(),
        Fault::StoreIsOlder(until) => {
            format!("OLD STORE: the log goes on to {until}; was a backup restored?")
        }
        Fault::NoAccount => "NO ACCOUNT: the store has none, and no line tells of its removal".to_owned(),
        Fault::AgainstSaved => "OTHER: the saved log has another hash for this line".to_owned(),
        Fault::SavedIsGone if seq == 0 => {
            "GONE: the store has no such record, and no line tells of its removal".to_owned()
        }
        Fault::SavedIsGone => {
            "GONE: this line was saved, and neither the log nor the store has it".to_owned()
        }
        Fault::OtherCheckpoint => {
            "CHECKPOINT: no file in checkpoints/ has this hash, or it names another one before it; it was changed or removed".to_owned()
        }
        Fault::ClockSetBack(seconds) => {
            format!("note: its time is {seconds} s before that of the line before; was the clock set back?")
        }
        Fault::PutBack => "note: the host's chain tells of its removal, and the store has it; was a backup restored, or the removal \
                           interrupted? `qrtotp account remove` removes it, `qrtotp audit checkpoint` accepts it"
            .to_owned(),
    }
}

/// Times at which the host began again, as the journal says; it is asked when the first line is lost.
#[derive(Default)]
struct Restarts {
    known: Option<Vec<sources::Restart>>,
}

impl Restarts {
    /// The restart that a lost line was written just before, in Unix seconds: a power cut takes the lines
    /// that no log daemon had written to the disk yet.
    fn behind(&mut self, fault: &Fault) -> Option<UnixTime> {
        let Fault::Lost(line) = fault else { return None };
        let at = at(line)?;
        let restarts = self.known.get_or_insert_with(sources::restarts);
        let restart =
            restarts.iter().find(|restart| (restart.last - UNSYNCED..=restart.first).contains(&at))?;
        Some(restart.first)
    }
}

fn text(finding: &Finding, restart: Option<UnixTime>) -> String {
    let Finding { user, seq, fault, line } = finding;
    let what = match restart {
        Some(time) => what(*seq, fault).replacen(
            "lost;",
            &format!("lost just before the restart of {};", local(time)),
            1,
        ),
        None => what(*seq, fault),
    };
    let user = if user.is_empty() { "the host" } else { user };
    let place = if *seq == 0 { String::new() } else { format!(" seq {seq}") };
    let text = clean(&format!("{user}{place}: {what}"), LONGEST);
    if line.is_empty() { text } else { format!("{text}\n    {}", clean(line, LONGEST)) }
}
