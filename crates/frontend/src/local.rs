//! Times for people, in the zone of the process: `TZ`, or /etc/localtime. Programs get Unix seconds.

use qrtotp_values::UnixTime;
use qrtotp_values::text::utc;
use std::sync::OnceLock;
use tz::TimeZone;

/// `2026-11-29 13:00:00+01:00`; in UTC, or if the zone is not known, `2026-11-29 12:00:00Z`.
#[must_use]
pub fn local(time: UnixTime) -> String {
    zone().map_or_else(|| utc(time), |zone| in_zone(time, zone))
}

/// Seconds by which the host's zone, that of its daemons, is ahead of UTC at this time: /etc/localtime.
#[must_use]
pub fn host_zone_offset(time: UnixTime) -> i64 {
    static ZONE: OnceLock<Option<TimeZone>> = OnceLock::new();
    ZONE.get_or_init(|| TimeZone::local().ok()).as_ref().map_or(0, |zone| offset_in(time, zone))
}

fn offset_in(time: UnixTime, zone: &TimeZone) -> i64 {
    zone.find_local_time_type(time).map_or(0, |kind| kind.ut_offset().into())
}

fn zone() -> Option<&'static TimeZone> {
    static ZONE: OnceLock<Option<TimeZone>> = OnceLock::new();
    // The texts of this crate's tests don't depend on where they run.
    ZONE.get_or_init(|| if cfg!(test) { None } else { read_zone() }).as_ref()
}

fn read_zone() -> Option<TimeZone> {
    match std::env::var("TZ") {
        Ok(name) if !name.is_empty() => TimeZone::from_posix_tz(&name).ok(),
        _ => TimeZone::local().ok(),
    }
}

fn in_zone(time: UnixTime, zone: &TimeZone) -> String {
    let offset = offset_in(time, zone);
    if offset == 0 {
        return utc(time);
    }
    let shown = utc(time.saturating_add(offset));
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    format!("{}{sign}{:02}:{:02}", shown.trim_end_matches('Z'), minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_has_the_offset_that_holds_then() {
        let zone = |rule| TimeZone::from_posix_tz(rule).unwrap();
        let central_europe = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(in_zone(1_795_953_600, &central_europe), "2026-11-29 13:00:00+01:00");
        assert_eq!(in_zone(1_782_907_200, &central_europe), "2026-07-01 14:00:00+02:00");
        assert_eq!(in_zone(1_795_953_600, &zone("NST3:30")), "2026-11-29 08:30:00-03:30");
        assert_eq!(in_zone(1_795_953_600, &zone("UTC0")), "2026-11-29 12:00:00Z");
    }
}
