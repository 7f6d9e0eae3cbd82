//! The parameters that a credential's codes are computed with: algorithm, digits, period. Bounded here, once.

use std::fmt;
use std::str::FromStr;

/// Number of a time step: floor(Unix time / period) (RFC 6238 §4.2).
pub type Step = u64;

/// The HMAC's hash function (RFC 6238 §1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Algorithm {
    /// HMAC-SHA-1: the only one that every authenticator app computes. Collisions don't matter to HMAC.
    #[default]
    Sha1,
    /// HMAC-SHA-256; several apps silently compute SHA-1 instead.
    Sha256,
    /// HMAC-SHA-512; several apps silently compute SHA-1 instead.
    Sha512,
}

impl Algorithm {
    /// The name as otpauth URIs write it: `SHA1`, `SHA256`, `SHA512`.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
        }
    }
}

impl Algorithm {
    /// Reads the spellings of other systems: any case, `SHA-1`, `HmacSHA256`, `HMAC-SHA-512`.
    ///
    /// # Errors
    /// [`ParamsError::Algorithm`].
    pub fn from_spelling(text: &str) -> Result<Self, ParamsError> {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_uppercase();
        let name = plain.strip_prefix("HMAC").unwrap_or(&plain);
        name.parse().map_err(|_| ParamsError::Algorithm { quoted: quote(text) })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ParamsError;

    /// Reads [`Algorithm::as_str`]'s names in any case.
    fn from_str(name: &str) -> Result<Self, ParamsError> {
        [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.as_str()))
            .ok_or_else(|| ParamsError::Algorithm { quoted: quote(name) })
    }
}

/// Parameters of a credential, always within our bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    algorithm: Algorithm,
    digits: u8,
    period: u32,
}

impl Params {
    /// `digits` is 6 to 8 (RFC 4226 §5.3); `period` is 15 to 120 seconds: shorter ones leave too little time
    /// to type, longer ones keep an observed code valid for too long (RFC 6238 §5.2).
    ///
    /// # Errors
    /// [`ParamsError::Digits`] or [`ParamsError::Period`] outside of these bounds.
    pub fn new(algorithm: Algorithm, digits: u8, period: u32) -> Result<Params, ParamsError> {
        if !(6..=8).contains(&digits) {
            return Err(ParamsError::Digits { digits });
        }
        if !(15..=120).contains(&period) {
            return Err(ParamsError::Period { period });
        }
        Ok(Params { algorithm, digits, period })
    }

    /// The HMAC's hash function.
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// Digits of a code, 6 to 8.
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// Length of a step in seconds, 15 to 120.
    pub fn period(self) -> u32 {
        self.period
    }

    /// Whether these are SHA1 / 6 / 30. Several apps silently ignore anything else.
    pub fn is_default(self) -> bool {
        self == Params::default()
    }

    /// The step at a Unix time in seconds (RFC 6238 §4.2). A clock before 1970 gives step 0.
    pub fn step_at(self, unix_seconds: i64) -> Step {
        u64::try_from(unix_seconds).unwrap_or(0) / u64::from(self.period)
    }

    /// The Unix time at which a step ends, in seconds.
    pub fn end_of(self, step: Step) -> i64 {
        let end = step.saturating_add(1).saturating_mul(self.period.into());
        i64::try_from(end).unwrap_or(i64::MAX)
    }
}

impl Default for Params {
    /// SHA1, 6 digits, 30 seconds: the parameters that every authenticator app supports.
    fn default() -> Self {
        Params { algorithm: Algorithm::Sha1, digits: 6, period: 30 }
    }
}

/// Why parameters are refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParamsError {
    /// Not one of the three algorithms.
    #[error("unknown algorithm{quoted}: use SHA1, SHA256 or SHA512")]
    Algorithm {
        /// Empty, or a space and the name in quotes: at most 10 characters, harmless to print.
        quoted: String,
    },
    /// Digits outside of 6 to 8.
    #[error("{digits} digits are not supported: use 6, 7 or 8")]
    Digits {
        /// The requested number of digits.
        digits: u8,
    },
    /// Period outside of 15 to 120 seconds.
    #[error("a period of {period} s is not supported: use 15 to 120 seconds (30 is usual)")]
    Period {
        /// The requested period in seconds.
        period: u32,
    },
}

/// Quotes a name only if it is as short as one ("SHA-384"): a longer text may be part of a key that slipped
/// into the wrong place, and anything but letters, digits and dashes may be an escape sequence.
fn quote(name: &str) -> String {
    let plausible =
        (1..=7).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plausible { format!(" \"{name}\"") } else { String::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn algorithm_names_are_read_in_any_case_and_written_in_upper_case() {
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(algorithm.to_string().to_lowercase().parse(), Ok(algorithm));
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn the_spellings_of_other_systems_are_read() {
        for (text, algorithm) in [
            ("SHA-1", Algorithm::Sha1),
            ("HmacSHA256", Algorithm::Sha256),
            ("sha256", Algorithm::Sha256),
            ("HMAC-SHA-512", Algorithm::Sha512),
            ("hmac_sha1", Algorithm::Sha1),
            (" Sha 512 ", Algorithm::Sha512),
        ] {
            assert_eq!(Algorithm::from_spelling(text), Ok(algorithm), "{text}");
        }
        for text in ["MD5", "SHA", "SHA384", "SHA3-256", "HMAC", "SHA11", ""] {
            assert!(Algorithm::from_spelling(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_algorithm_is_quoted_only_if_it_can_be_a_name() {
        let message = |name: &str| name.parse::<Algorithm>().unwrap_err().to_string();
        assert!(message("MD5").starts_with("unknown algorithm \"MD5\": use"));
        for name in ["", "\u{1b}[31m", "JBSWY3DP", "SHA1&secret=A", "ＳＨＡ"] {
            assert!(message(name).starts_with("unknown algorithm: use"), "{name}");
        }
    }

    #[test]
    fn digits_and_period_outside_of_the_bounds_are_refused() {
        let new = |digits, period| Params::new(Algorithm::Sha1, digits, period);
        for (digits, period) in [(6, 15), (7, 60), (8, 120)] {
            let params = new(digits, period).unwrap();
            assert_eq!((params.digits(), params.period()), (digits, period));
        }
        for digits in [0, 5, 9, 10, 255] {
            assert_eq!(new(digits, 30), Err(ParamsError::Digits { digits }));
        }
        for period in [0, 1, 14, 121, u32::MAX] {
            assert_eq!(new(6, period), Err(ParamsError::Period { period }));
        }
    }

    #[test]
    fn only_sha1_6_30_is_the_default() {
        assert!(Params::new(Algorithm::Sha1, 6, 30).unwrap().is_default());
        for (algorithm, digits, period) in
            [(Algorithm::Sha256, 6, 30), (Algorithm::Sha1, 8, 30), (Algorithm::Sha1, 6, 60)]
        {
            assert!(!Params::new(algorithm, digits, period).unwrap().is_default());
        }
    }

    #[test]
    fn a_step_ends_where_the_next_one_begins() {
        let params = Params::default();
        for (step, end) in [(0, 30), (1, 60), (u64::MAX, i64::MAX)] {
            assert_eq!(params.end_of(step), end, "{step}");
        }
        assert_eq!(params.step_at(params.end_of(7)), 8);
    }

    #[test]
    fn a_step_begins_with_its_first_second_and_time_before_1970_is_step_0() {
        let params = Params::default();
        for (time, step) in [(i64::MIN, 0), (-1, 0), (0, 0), (29, 0), (30, 1), (59, 1), (60, 2)] {
            assert_eq!(params.step_at(time), step, "{time}");
        }
        assert_eq!(params.step_at(i64::MAX), 0x7fff_ffff_ffff_ffff / 30);
    }
}
