//! Hours of the week: `mon-fri 08:00-18:00`. Hours that end before they begin span midnight, and belong to
//! the day on which they begin.

use crate::bytes::{Bytes, Damaged};
use std::fmt;
use std::str::FromStr;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;

/// Hours of some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    first: u8,
    last: u8,
    /// The first minute of the day.
    from: u16,
    /// The minute at which they end.
    until: u16,
}

impl Hours {
    /// Whether a minute of the week, from Monday's first on, is among them.
    #[must_use]
    pub fn contain(self, minute_of_week: u16) -> bool {
        let (day, minute) = ((minute_of_week / DAY % 7) as u8, minute_of_week % DAY);
        if self.from < self.until {
            return self.has_day(day) && (self.from..self.until).contains(&minute);
        }
        (self.has_day(day) && minute >= self.from) || (self.has_day((day + 6) % 7) && minute < self.until)
    }

    /// Whether `earlier` has each minute of `later`. No hours are all hours.
    pub(super) fn include(earlier: &[Self], later: &[Self]) -> bool {
        let has = |hours: &[Self], minute| hours.is_empty() || hours.iter().any(|one| one.contain(minute));
        earlier.is_empty() || (0..7 * DAY).all(|minute| !has(later, minute) || has(earlier, minute))
    }

    fn has_day(self, day: u8) -> bool {
        match self.first <= self.last {
            true => (self.first..=self.last).contains(&day),
            false => day >= self.first || day <= self.last,
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.first, self.last]);
        out.extend_from_slice(&self.from.to_le_bytes());
        out.extend_from_slice(&self.until.to_le_bytes());
    }

    pub(crate) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        let hours = Self { first: bytes.u8()?, last: bytes.u8()?, from: bytes.u16()?, until: bytes.u16()? };
        let whole = hours.first < 7 && hours.last < 7 && hours.from < DAY && hours.until <= DAY;
        if whole { Ok(hours) } else { Err(Damaged) }
    }
}

/// The minute of the week, from Monday's first on, `offset` seconds east of UTC.
#[must_use]
pub fn minute_of_week(now: i64, offset: i32) -> u16 {
    const WEEK: i64 = 7 * 86_400;
    // 1970-01-01 was a Thursday.
    let second = now.saturating_add(i64::from(offset)).saturating_add(3 * 86_400).rem_euclid(WEEK);
    u16::try_from(second / 60).unwrap_or(0)
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "not hours; write days and times, such as \"mon-fri 08:00-18:00\" or \"sat 22:00-06:00\"";
        let (days, times) = text.split_once(' ').ok_or(FORM)?;
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let day =
            |name: &str| DAYS.iter().position(|day| *day == name).and_then(|day| u8::try_from(day).ok());
        let (from, until) = times.split_once('-').ok_or(FORM)?;
        let hours = Self {
            first: day(first).ok_or(FORM)?,
            last: day(last).ok_or(FORM)?,
            from: minute(from).filter(|minute| *minute < DAY).ok_or(FORM)?,
            until: minute(until).ok_or(FORM)?,
        };
        if hours.from == hours.until {
            return Err("begin and end at the same time; all of a day is \"00:00-24:00\"");
        }
        Ok(hours)
    }
}

/// `08:30`, `24:00` at most.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok())
    };
    let (hour, minute) = (two(hour)??, two(minute)??);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: u8| DAYS[usize::from(day) % 7];
        f.write_str(day(self.first))?;
        if self.first != self.last {
            write!(f, "-{}", day(self.last))?;
        }
        let Self { from, until, .. } = self;
        write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn minute_on(day: u16, hour: u16, minute: u16) -> u16 {
        day * DAY + hour * 60 + minute
    }

    #[test]
    fn hours_have_their_minutes_and_no_others() {
        for (hours, inside, outside) in [
            ("mon-fri 08:00-18:00", minute_on(4, 17, 59), minute_on(4, 18, 0)),
            ("mon-fri 08:00-18:00", minute_on(0, 8, 0), minute_on(0, 7, 59)),
            ("mon-fri 08:00-18:00", minute_on(2, 12, 0), minute_on(5, 12, 0)),
            ("fri 22:00-06:00", minute_on(5, 5, 59), minute_on(5, 6, 0)),
            ("fri 22:00-06:00", minute_on(4, 22, 0), minute_on(4, 5, 0)),
            ("sun 22:00-06:00", minute_on(0, 1, 0), minute_on(1, 1, 0)),
            ("sat-mon 00:00-24:00", minute_on(0, 23, 59), minute_on(1, 0, 0)),
            ("sun-sun 00:00-00:01", minute_on(6, 0, 0), minute_on(6, 0, 1)),
        ] {
            let parsed: Hours = hours.parse().unwrap();
            assert!(parsed.contain(inside), "{hours}");
            assert!(!parsed.contain(outside), "{hours}");
        }
    }

    #[test]
    fn what_is_no_hours_is_refused() {
        for text in [
            "",
            "mon",
            "mon-fri",
            "08:00-18:00",
            "mon 8:00-18:00",
            "mon 08:00-18",
            "mon 24:00-25:00",
            "mon 08:60-09:00",
            "mon 08:00-08:00",
            "Mon 08:00-18:00",
            "mon-fri-sun 08:00-18:00",
            "mon  08:00-18:00",
            "mon 24:00-06:00",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_week_begins_on_monday_in_the_zone() {
        assert_eq!(minute_of_week(0, 0), minute_on(3, 0, 0));
        assert_eq!(minute_of_week(4 * 86_400, 0), 0, "1970-01-05 was a Monday");
        assert_eq!(minute_of_week(4 * 86_400 - 1, 0), minute_on(6, 23, 59));
        assert_eq!(minute_of_week(4 * 86_400 - 1, 3600), 59);
        assert_eq!(minute_of_week(4 * 86_400, -60), minute_on(6, 23, 59));
    }

    #[test]
    fn hours_are_the_same_after_their_text_and_their_binary_form() {
        for text in ["mon-fri 08:00-18:00", "sat 22:00-06:00", "sun 00:00-24:00"] {
            let (hours, mut bytes) = (text.parse::<Hours>().unwrap(), Vec::new());
            hours.encode(&mut bytes);
            assert_eq!((Hours::decode(&mut Bytes::new(&bytes)), hours.to_string()), (Ok(hours), text.into()));
        }
    }
}
