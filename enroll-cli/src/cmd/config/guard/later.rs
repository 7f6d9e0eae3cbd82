//! When other rules begin to hold, for lock-outs that are not one yet.

use qrtotp_policy::{Compiled, Damaged, Hours, minute_of_week};
use qrtotp_values::UnixTime;
use std::collections::BTreeSet;
use std::iter::once;

const WEEK: u16 = 7 * 24 * 60;
/// Most times that are tried, so that many hours and days together take no minutes. The days are tried in any
/// case.
const MOST: usize = 4_000;

/// The times at which accounts without a device no longer get in.
fn grace_ends(compiled: &Compiled) -> impl Iterator<Item = UnixTime> {
    let of_rules = compiled.rules.iter().filter_map(|rule| rule.effects.allow_until);
    of_rules.chain(compiled.config.defaults.allow_until).map(|day| day.first_second() + 86_400)
}

/// The times after `now` at which a condition on days or hours begins or ceases to hold, or `allow_until`
/// ends. Hours count in the week after `now` and after each of the days.
pub fn later(compiled: &Compiled, now: UnixTime) -> Result<Vec<UnixTime>, Damaged> {
    let conditions = || compiled.rules.iter().map(|rule| &rule.conditions);
    let days = conditions().flat_map(|one| [one.since, one.until]).flatten().chain(grace_ends(compiled));
    let days: Vec<UnixTime> = days.filter(|day| *day > now).collect();
    let hours: Vec<Hours> = conditions().flat_map(|one| one.hours.iter().copied()).collect();
    let changes = |minute: &u16| {
        let before = (minute + WEEK - 1) % WEEK;
        hours.iter().any(|hours| hours.contain(*minute) != hours.contain(before))
    };
    let minutes: Vec<u16> = (0..WEEK).filter(changes).collect();
    let mut found = BTreeSet::new();
    for start in once(now).chain(days.iter().copied()) {
        found.insert(start);
        let first = minute_of_week(start, compiled.config.rules.offset(start)?);
        for minute in &minutes {
            let ahead = i64::from((minute + WEEK - first) % WEEK);
            found.insert(start - start.rem_euclid(60) + ahead * 60);
        }
    }
    let mut kept: BTreeSet<UnixTime> = found.into_iter().filter(|time| *time > now).take(MOST).collect();
    kept.extend(days);
    Ok(kept.into_iter().collect())
}
