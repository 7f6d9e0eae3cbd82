//! A day of the calendar as people write it: `2027-01-31`. Always UTC.

use crate::UnixTime;
use crate::text::utc;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const DAY: i64 = 86_400;

/// Not a date.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not a date; write year, month and day in quotes, such as \"2027-01-31\"")]
pub struct DateError;

/// A day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Days since 1970-01-01.
    days: i64,
}

impl Date {
    /// The day of `second`, UTC.
    #[must_use]
    pub fn of(second: UnixTime) -> Self {
        Self { days: second.div_euclid(DAY) }
    }

    /// Its first second, UTC.
    #[must_use]
    pub fn first_second(self) -> UnixTime {
        self.days * DAY
    }

    /// Days that are left at `now`, this one included; 0 once it is over.
    #[must_use]
    pub fn days_left(self, now: UnixTime) -> i64 {
        (self.days + 1 - now.div_euclid(DAY)).max(0)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let bytes = text.as_bytes();
        let form = |(i, b): (usize, &u8)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() };
        if bytes.len() != 10 || !bytes.iter().enumerate().all(form) {
            return Err(DateError);
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().map_err(|_| DateError);
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if !(1970..=2999).contains(&year) {
            return Err(DateError);
        }
        // Years from March, so that the leap day comes last.
        let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = shifted / 4 - shifted / 100 + shifted / 400;
        let days = shifted * 365 + leap_days + (153 * from_march + 2) / 5 + day - 1 - 719_468;
        let date = Self { days };
        // A month that no year and a day that no month has would be another day.
        if date.to_string() == text { Ok(date) } else { Err(DateError) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = utc(self.days * DAY);
        f.write_str(text.split(' ').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_have_their_numbers() {
        for (text, days) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-11-24", 20_781)] {
            assert_eq!(text.parse::<Date>().unwrap().days, days, "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "2027-02-29",
            "2027-13-01",
            "2027-99-01",
            "2027-00-10",
            "2027-01-00",
            "2027-1-1",
            "27-01-01",
            "",
            "2027-01-32",
            "2027-01-99",
            "2027/01/01",
            "2027-01-é1",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn years_from_1970_to_2999_are_taken() {
        for (text, taken) in
            [("1969-12-31", false), ("1970-01-01", true), ("2999-12-31", true), ("3000-01-01", false)]
        {
            assert_eq!(text.parse::<Date>().is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn the_last_day_counts_as_one_and_then_none_is_left() {
        let date: Date = "1970-01-03".parse().unwrap();
        assert_eq!([0, DAY, 3 * DAY - 1, 3 * DAY, 90 * DAY].map(|now| date.days_left(now)), [3, 2, 1, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_date_reads_back_from_what_it_shows(days in 0_i64..376_000) {
            let date = Date { days };
            prop_assert_eq!(date.to_string().parse::<Date>(), Ok(date));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,12}") {
            let _ = text.parse::<Date>();
        }
    }
}
