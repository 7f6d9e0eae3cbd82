//! Plain values that every crate needs: Unix times, dates, durations as people write them, and text from
//! outside made safe to show; verdicts, and a checksum.
//!
//! Never reads a clock, a file or the environment; never decides anything. Begin with [`text::clean`].
//!
//! ```
//! use qrtotp_values::{ConfigDuration, text};
//! let ten_minutes: ConfigDuration = "10m".parse()?;
//! assert_eq!(ten_minutes.as_seconds(), 600);
//! assert_eq!(text::clean("alice\u{1b}[31m", 64), "alice?[31m");
//! # Ok::<(), qrtotp_values::DurationError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod checksum;
mod date;
mod duration;
pub mod text;
mod verdict;

pub use checksum::{checksum, checksum_on};
pub use date::{Date, DateError};
pub use duration::{ConfigDuration, DurationError};
pub use verdict::Verdict;

/// Seconds since 1970-01-01 00:00:00 UTC.
pub type UnixTime = i64;

/// 2020-01-01: a host whose clock is before this has no working clock, and codes can't be verified.
pub const EARLIEST_PLAUSIBLE: UnixTime = 1_577_836_800;
