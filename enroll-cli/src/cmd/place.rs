//! `qrtotp place`, and `qrtotp unlock --from`.

use crate::cli::Places;
use crate::context::{Context, syslog};
use crate::error::{Exit, Failure};
use qrtotp_account::{Name, PlaceId};
use qrtotp_clock::{Clock as _, SystemClock};
use qrtotp_flow::NamedPlace;
use qrtotp_frontend::{Table, local};
use qrtotp_store::AccountStore;
use std::io::Write;

pub fn run(context: &Context, what: Places) -> Result<Exit, Failure> {
    let store = context.store()?;
    match what {
        Places::List { user } => list(context, &*store, &context.record_name(&user, &*store)?),
        Places::Forget { user, place } => {
            forget(context, &*store, &context.record_name(&user, &*store)?, place.as_deref())
        }
    }
}

fn list(context: &Context, store: &dyn AccountStore, name: &Name) -> Result<Exit, Failure> {
    let (now, rules) = (SystemClock.now(), context.config.throttle.rules());
    let mut throttle = store.load(name)?.map(|account| account.state.throttle).unwrap_or_default();
    throttle.advance(now, &rules);
    let mut places = throttle.all_places().to_vec();
    places.sort_by_key(|place| std::cmp::Reverse(place.last_right));
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(["PLACE", "FAMILIAR", "UNTIL", "WRONG CODES SINCE"]);
    for place in places {
        let (PlaceId(id), end) = (place.id, place.last_right + i64::from(rules.familiar));
        let (id, familiar) =
            (format!("{:016x}", u64::from_be_bytes(id)), if end > now { "yes" } else { "no" });
        table.row(&mut out, [id, familiar.into(), local(end), place.lane.failures.to_string()])?;
    }
    if !table.end(&mut out)? {
        writeln!(out, "{name} has no familiar place.")?;
    }
    Ok(Exit::Done)
}

fn forget(
    context: &Context,
    store: &dyn AccountStore,
    name: &Name,
    place: Option<&str>,
) -> Result<Exit, Failure> {
    let (mut log, named) = (syslog(), place.map(parse).transpose()?);
    let gone = qrtotp_flow::forget_places(&mut context.flow(store, name.as_str(), &mut log), name, named)
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    if let (0, Some(place)) = (gone, place) {
        return Err(unknown(name, place));
    }
    writeln!(std::io::stdout(), "Forgot {gone} of {name}'s places.")?;
    Ok(Exit::Done)
}

/// Makes a place familiar for a day.
pub fn trust(context: &Context, store: &dyn AccountStore, name: &Name, place: &str) -> Result<(), Failure> {
    let (mut log, named) = (syslog(), parse(place)?);
    let mut ctx = context.flow(store, name.as_str(), &mut log);
    let done = qrtotp_flow::trust_place(&mut ctx, name, (named, place))
        .map_err(|error| Failure::admin(&error, name.as_str()))?;
    if !done {
        return Err(unknown(name, place));
    }
    writeln!(std::io::stdout(), "Codes from {place} count as from a familiar place for a day.")?;
    Ok(())
}

pub fn parse(place: &str) -> Result<NamedPlace, Failure> {
    NamedPlace::parse(place).map_err(|why| Failure::Error(format!("{place:?} is no place: {why}")))
}

fn unknown(name: &Name, place: &str) -> Failure {
    Failure::Refused(format!("{name} has no place {place}; `qrtotp place list {name}` shows those there are"))
}
