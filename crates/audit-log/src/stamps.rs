//! Times of lines whose log writes neither year nor time zone.

use crate::event::Entry;
use crate::time::{DAY, SECOND, ZONES, latest_local};
use qrtotp_values::UnixTime;
use std::fmt;

/// Seconds by which the log daemon's time of a line may differ from the line's own.
const ON_ITS_WAY: i64 = 60;
/// Offsets of time zones are multiples of so many seconds.
const QUARTER: i64 = 900;

/// Dates lines whose time stamp has neither year nor time zone. The year is the latest that is not in the
/// future. The zone is that of this host; or, in a log that may be another host's, that of the last line of a
/// chain, which has its time in it.
pub struct Stamps {
    now: fn() -> UnixTime,
    /// Seconds by which this host's zone is ahead of UTC at a time.
    zone: fn(UnixTime) -> i64,
    /// Seconds by which the log's zone is ahead of this host's.
    apart: i64,
    /// Whether lines of a chain can tell the zone.
    learns: bool,
}

impl fmt::Debug for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamps").field("apart", &self.apart).finish_non_exhaustive()
    }
}

impl Stamps {
    /// For a log that may be of a host in another zone.
    #[must_use]
    pub fn new(now: fn() -> UnixTime, zone: fn(UnixTime) -> i64) -> Self {
        Self { now, zone, apart: 0, learns: true }
    }

    /// For this host's log: in its zone, whatever time any user writes into a line.
    #[must_use]
    pub fn of_this_host(now: fn() -> UnixTime, zone: fn(UnixTime) -> i64) -> Self {
        Self { learns: false, ..Self::new(now, zone) }
    }

    /// Dates the entry that was read from this line, if the line has such a stamp.
    pub fn date(&mut self, line: &str, entry: &mut Entry) {
        if entry.time != 0 {
            return;
        }
        let Some(local) = latest_local(line, (self.now)(), DAY) else { return };
        let ahead = (self.zone)(local - (self.zone)(local));
        if let Some(at) = entry.at().filter(|_| self.learns && !entry.event.is_recovered()) {
            let seen = local - at.div_euclid(SECOND);
            let offset = (seen + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
            let [behind, most] = ZONES;
            if (-behind..=most).contains(&offset) && (seen - offset).abs() <= ON_ITS_WAY {
                self.apart = offset - ahead;
            }
        }
        entry.stamp = (local - ahead - self.apart) * SECOND;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{rfc3339, rfc3339_of};

    #[test]
    fn a_stamp_near_a_change_of_the_clock_has_the_offset_of_its_own_time() {
        // 2026-11-01 06:00 UTC: New York goes from -4 h to -5 h. Its 01:10 came twice; the first is meant.
        let zone = |time| if time < 1_793_512_800 { -4 * 3600 } else { -5 * 3600 };
        let mut stamps = Stamps::of_this_host(|| 1_795_964_400, zone);
        for (stamp, expected) in [
            ("00:50:00", "04:50:00"),
            ("01:10:00", "05:10:00"),
            ("02:10:00", "07:10:00"),
            ("08:00:00", "13:00:00"),
        ] {
            let line = format!("Nov  1 {stamp} h sshd[1]: pam_qrtotp(sshd:auth): event=login user=alice");
            let mut entry = crate::event::from_syslog(&line).unwrap_or_else(|| unreachable!());
            stamps.date(&line, &mut entry);
            assert_eq!(rfc3339_of(entry.when()), format!("2026-11-01T{expected}.000000Z"), "{stamp}");
        }
    }

    #[test]
    fn a_line_without_a_year_has_the_time_of_its_stamp_in_this_host_s_zone_or_in_the_log_s() {
        const CHAIN: &str = "chain=00112233445566778899aabbccddeeff00112233";
        let now = || 1_795_964_400; // 2026-11-29 15:00 UTC
        let mut stamps = Stamps::new(now, |_| 3600);
        let mut when = |stamp: &str, rest: &str| {
            let line = format!("{stamp} h sshd[1]: pam_qrtotp(sshd:auth): event=login user=alice {rest}");
            let mut entry = crate::event::from_syslog(&line)?;
            stamps.date(&line, &mut entry);
            Some(rfc3339_of(entry.when()))
        };
        let at = |time: &str| format!("seq=1 at={} {CHAIN}", rfc3339(time).unwrap_or(0) / SECOND);
        for (stamp, rest, expected) in [
            ("Nov 29 10:00:00", String::new(), "2026-11-29T09:00:00.000000Z"),
            ("Nov 30 02:00:00", String::new(), "2026-11-30T01:00:00.000000Z"), // a clock that is ahead
            ("Dec  1 10:00:00", String::new(), "2025-12-01T09:00:00.000000Z"),
            ("Feb 29 10:00:00", String::new(), "2024-02-29T09:00:00.000000Z"),
            // The log is of a host in another zone.
            ("Nov 29 18:00:02", at("2026-11-29T12:30:00Z"), "2026-11-29T12:30:00.000000Z"),
            ("Nov 29 18:10:00", String::new(), "2026-11-29T12:40:00.000000Z"),
            // Times that no zone explains tell nothing.
            ("Nov 29 18:11:00", at("2020-01-01T00:00:00Z"), "2020-01-01T00:00:00.000000Z"),
            ("Nov 29 18:12:00", String::new(), "2026-11-29T12:42:00.000000Z"),
            ("2026-11-29T10:00:00Z", String::new(), "2026-11-29T10:00:00.000000Z"),
        ] {
            assert_eq!(when(stamp, &rest).as_deref(), Some(expected), "{stamp}");
        }
    }
}
