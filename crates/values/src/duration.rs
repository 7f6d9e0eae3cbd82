//! Lengths of time as people write them: `90s`, `10m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Not a length of time.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("not a length of time; write a number and a unit, such as 90s, 10m, 24h or 7d, up to 366d")]
pub struct DurationError;

/// A length of time in whole seconds, from one second to 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigDuration(u32);

const DAY: u32 = 86_400;

impl ConfigDuration {
    /// A duration of this many seconds.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// In seconds.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0 as i64
    }
}

impl FromStr for ConfigDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => DAY,
            _ => return Err(DurationError),
        };
        let number = &text[..text.len() - 1];
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationError);
        }
        let number: u32 = number.parse().map_err(|_| DurationError)?;
        match number.checked_mul(unit) {
            Some(seconds) if (1..=366 * DAY).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(DurationError),
        }
    }
}

impl fmt::Display for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, letter) = [(DAY, 'd'), (3_600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(unit, _)| self.0.is_multiple_of(*unit))
            .unwrap_or((1, 's'));
        write!(f, "{}{letter}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn spans_read_back_as_written() {
        for text in ["1s", "90s", "10m", "24h", "366d"] {
            let duration: ConfigDuration = text.parse().unwrap();
            assert_eq!(duration.to_string().parse::<ConfigDuration>().unwrap(), duration);
        }
        assert_eq!("24h".parse::<ConfigDuration>().unwrap().to_string(), "1d");
        assert_eq!("90s".parse::<ConfigDuration>().unwrap().as_seconds(), 90);
    }

    #[test]
    fn numbers_without_a_unit_signs_zero_and_centuries_are_refused() {
        for text in ["", "s", "10", "+1h", "-1h", "1.5h", "0s", "367d", "99999999999d", "1 h", "1w", "١h"] {
            assert_eq!(text.parse::<ConfigDuration>(), Err(DurationError), "{text}");
        }
    }
}
