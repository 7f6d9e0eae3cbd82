//! The records that the host's chain and the last checkpoint tell of, compared with those in the store.

use super::heads::unreadable;
use super::kept_checkpoints::{self, Checkpoint};
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_account::{Name, RecordId};
use qrtotp_audit_log::Event;
use qrtotp_frontend::host_chain::{HostChain, HostEvent};
use qrtotp_otp::base32_encode;
use qrtotp_store::AccountStore;
use std::collections::BTreeSet;
use std::io::Write;

type Ids = BTreeSet<String>;

/// The records that the chain tells of, as its lines since the last checkpoint and that checkpoint say.
pub fn named(context: &Context, chain: &HostChain) -> Result<Ids, Failure> {
    let Some(host) = chain.end().map_err(|error| unreadable(&chain.file(), &error))? else {
        return Ok(Ids::new());
    };
    let (mut named, mut since) = (Ids::new(), 0);
    if let Some(Checkpoint { seq, found: Some(found), .. }) = kept_checkpoints::last(context, &host) {
        named.extend(found.entries().filter_map(|entry| entry.event.get("record").map(str::to_owned)));
        since = seq;
    }
    for event in host.lines.iter().filter_map(|line| Event::parse(line)) {
        let Some(record) = event.get("record").filter(|_| event.seq().is_some_and(|seq| seq > since)) else {
            continue;
        };
        if event.get("event") == Some("record_made") {
            named.insert(record.to_owned());
        } else {
            named.remove(record);
        }
    }
    Ok(named)
}

/// Has the chain tell of records that it does not tell of, such as those made at a login, and of those that
/// are gone although no command removed them. `there`: the records in the store; the exit code says whether
/// all accounts could be read.
pub fn note(chain: &HostChain, named: &Ids, there: &Ids, exit: Exit) {
    let made = there.difference(named).map(|record| ("record_made", "noted_later", record));
    let gone =
        named.difference(there).filter(|_| exit == Exit::Done).map(|record| ("record_gone", "", record));
    let all: Vec<_> =
        made.chain(gone).map(|(kind, reason, record)| (kind, reason, [("record", &**record)])).collect();
    let events: Vec<HostEvent<'_>> =
        all.iter().map(|(kind, reason, facts)| HostEvent { kind, reason, facts }).collect();
    if !events.is_empty() {
        chain.note(&events);
    }
}

/// The id of an account's record. One that can't be read must be a record of which the chain tells and that
/// no other account has; if there are several, the account's file says which, though nothing proves it.
pub fn id_of(context: &Context, store: &dyn AccountStore, name: &Name) -> Result<String, Failure> {
    let text = |id: RecordId| base32_encode(&id.0);
    if let Ok(Some(account)) = store.load(name) {
        return Ok(text(account.record.id));
    }
    let mut left = named(context, &context.host_chain())?;
    for other in store.names()? {
        if let Ok(Some(account)) = store.load(&other) {
            left.remove(&text(account.record.id));
        }
    }
    let shown = store.unproven_id(name).map(text);
    if let Some(shown) = shown.filter(|shown| left.contains(shown) || left.len() != 1) {
        return Ok(shown);
    }
    if left.len() > 1 {
        let text = "its file does not say which record it is: `qrtotp audit verify` will miss one, up to the next checkpoint";
        let _ = writeln!(std::io::stderr(), "qrtotp: {name}: {text}");
        left.clear();
    }
    Ok(left.pop_first().unwrap_or_default())
}
