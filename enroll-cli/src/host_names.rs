//! What the names of a configuration mean on this host: groups, users, time zones.

use nix::unistd::{Group, User};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::Names;
use qrtotp_values::UnixTime;
use std::path::{Component, Path};
use tz::TimeZone;

/// Resolves group and time zone names on this host.
pub struct HostNames;

impl Names for HostNames {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        let group =
            Group::from_name(group).map_err(|errno| format!("the user database failed: {}", errno.desc()))?;
        Ok(group.map(|group| group.gid.as_raw()))
    }

    fn has_user(&self, name: &str) -> bool {
        !matches!(User::from_name(name), Ok(None))
    }

    fn zone(&self, name: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        // POSIX strings have the opposite sign: "UTC+2" is two hours behind UTC.
        let no_zone = || {
            format!(
                "there is no time zone {name} on this host; write a name of tzdata, such as Europe/Berlin, which \
                 `timedatectl list-timezones` prints"
            )
        };
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let is_file = |dir: &str| Path::new(dir).join(name).is_file();
        let known = plain && ZONES.iter().any(|dir| is_file(dir)) && name != "localtime";
        let zone = TimeZone::from_posix_tz(name).ok().filter(|_| known).ok_or_else(no_zone)?;
        Ok(offsets(&zone, SystemClock.now()))
    }
}

/// Where time zones are, as `tz` looks for them.
const ZONES: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];
const DAY: i64 = 86_400;
/// How long the offsets of a time zone are known after an apply: two years.
const ZONE_DAYS: i64 = 2 * 366;

/// The time at which the offsets of an applied time zone end; `None`: it has one offset all the time.
pub fn zone_end(offsets: &[(UnixTime, i32)]) -> Option<UnixTime> {
    let (start, _) = offsets.first().filter(|_| offsets.len() > 1)?;
    Some(start + ZONE_DAYS * DAY)
}

/// The offsets of the two years from `now` on. Samples each day, because no zone changes its offset twice in
/// one.
fn offsets(zone: &TimeZone, now: UnixTime) -> Vec<(UnixTime, i32)> {
    const MOST: usize = 8;
    let at = |time| zone.find_local_time_type(time).map_or(0, |kind| kind.ut_offset());
    let start = now - DAY; // a test or an explanation may be about yesterday
    let mut found = vec![(start, at(start))];
    for day in 0..ZONE_DAYS {
        let (mut before, mut after) = (start + day * DAY, start + (day + 1) * DAY);
        if at(before) == at(after) || found.len() == MOST {
            continue;
        }
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if at(middle) == at(before) { before = middle } else { after = middle }
        }
        found.push((after, at(after)));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_zone_is_known_for_two_years_with_its_summer_times() {
        let zone = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let offsets = offsets(&zone, 1_764_374_400); // 2025-11-29
        assert_eq!(offsets.first(), Some(&(1_764_288_000, 3600)));
        assert_eq!(offsets.get(1), Some(&(1_774_746_000, 7200)), "2026-03-29, 01:00 UTC");
        assert_eq!(offsets.len(), 5);
        assert_eq!(zone_end(&offsets), Some(1_827_532_800), "2027-11-30");
        assert_eq!(zone_end(&super::offsets(&TimeZone::utc(), 1_764_374_400)), None);
    }

    #[test]
    fn a_zone_is_a_name_of_tzdata_and_no_posix_string() {
        for zone in ["UTC+2", "GMT-5", "XXX5", "../zoneinfo/UTC", "/etc/localtime", ":UTC", "localtime", ""] {
            assert!(HostNames.zone(zone).is_err(), "{zone}");
        }
    }
}
