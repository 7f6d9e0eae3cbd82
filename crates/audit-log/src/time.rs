//! Times of the log: RFC 3339 to microseconds since 1970, and back, and times without year and time zone.

use qrtotp_values::UnixTime;

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// Unix seconds of times that RFC 3339 can write, from 1970 on.
pub(crate) const TIMES: std::ops::Range<i64> = 0..253_402_300_800;

/// Whether RFC 3339 can write this time, in microseconds since 1970.
pub(crate) fn is_time(micros: &i64) -> bool {
    TIMES.contains(&micros.div_euclid(SECOND))
}

/// Microseconds since 1970 as RFC 3339, UTC.
#[must_use]
pub fn rfc3339_of(micros: i64) -> String {
    let seconds = qrtotp_values::text::utc(micros.div_euclid(1_000_000));
    let seconds = seconds.trim_end_matches('Z').replacen(' ', "T", 1);
    format!("{seconds}.{:06}Z", micros.rem_euclid(1_000_000))
}

/// Microseconds since 1970 of an RFC 3339 time; seconds and offset may be missing.
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone)?;
    let mut clock = clock.splitn(3, ':');
    let (hours, minutes) = (clock.next()?.parse::<i64>().ok()?, clock.next()?.parse::<i64>().ok()?);
    let seconds = clock.next().unwrap_or("0");
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let seconds = seconds.parse::<i64>().ok()?;
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = micros.parse::<i64>().ok()?;
    if !(0..24).contains(&hours) || !(0..60).contains(&minutes) || !(0..61).contains(&seconds) || micros < 0 {
        return None;
    }
    let offset = offset(zone)?;
    let all = days(year, month, day) * 86_400 + hours * 3600 + minutes * 60 + seconds - offset;
    Some(all * SECOND + micros).filter(is_time)
}

/// Furthest behind and ahead of UTC that a time zone is, in seconds.
pub(crate) const ZONES: [i64; 2] = [12 * 3600, 14 * 3600];

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// The latest time that `Nov 29 10:00:00` at the beginning of a line can mean at `now`, in microseconds since
/// 1970: it lacks the year and the time zone.
pub(crate) fn traditional(line: &str, now: i64) -> Option<i64> {
    let [behind, ahead] = ZONES;
    Some((latest_local(line, now.div_euclid(SECOND), ahead)? + behind) * SECOND)
}

/// Such a time in seconds, as if its time zone were UTC. Its year is the latest with which it is at most
/// `slack` seconds after `now`.
pub(crate) fn latest_local(line: &str, now: UnixTime, slack: i64) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = line.split_ascii_whitespace();
    let (month, day, clock) = (words.next()?, words.next()?, words.next()?);
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let day = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok().filter(|part| *part < 61));
    let seconds = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    let this_year: i64 = qrtotp_values::text::utc(now).get(..4)?.parse().ok()?;
    // 29 February may be eight years back.
    let years = (this_year - 8..=this_year + 1).rev().filter(|year| day <= days_of(*year, month));
    let local = |year| days(year, month, day) * DAY + seconds;
    years.map(local).find(|local| local - slack <= now)
}

fn days_of(year: i64, month: i64) -> i64 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days(next.0, next.1, 1) - days(year, month, 1)
}

fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => return Some(0),
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        Some(_) => return None,
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let part = |text: &str| text.parse::<u32>().ok().filter(|part| *part < 60).map(i64::from);
    Some(sign * (part(hours)? * 3600 + part(minutes)? * 60))
}

/// Days since 1970-01-01 (proleptic Gregorian), counting years from March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_moves_no_time_out_of_the_years_that_a_stamp_can_have() {
        assert!(rfc3339("9999-12-31T23:59:59Z").is_some() && rfc3339("1970-01-01T00:00:00Z").is_some());
        for text in ["9999-12-31T23:59:59-00:01", "1970-01-01T00:00:00+00:01"] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_traditional_stamp_means_the_latest_time_that_is_not_in_the_future() {
        let at = |text| rfc3339(text).unwrap_or(0);
        let now = at("2026-11-29T15:00:00Z");
        let latest = |line| traditional(line, now).map(rfc3339_of);
        assert_eq!(latest("Nov 29 10:00:00 h sshd[1]: x").as_deref(), Some("2026-11-29T22:00:00.000000Z"));
        assert_eq!(latest("Dec  1 10:00:00 h sshd[1]: x").as_deref(), Some("2025-12-01T22:00:00.000000Z"));
        for line in ["", "Nov", "Nov 32 10:00:00", "Foo 1 10:00:00", "Nov 1 10:00", "Nov 1 99:00:00"] {
            assert_eq!(latest(line), None, "{line}");
        }
    }
}
