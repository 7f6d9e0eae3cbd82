//! The only crate that reads the clock and sleeps: the host's time, how it is kept right, deadlines. Never
//! decides anything.
//!
//! Begin with [`Clock`]: flows take one, so that tests can set the time.
//!
//! ```
//! use qrtotp_clock::{Clock, SystemClock};
//! assert!(SystemClock.now() > qrtotp_values::EARLIEST_PLAUSIBLE);
//! ```
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[allow(unsafe_code, reason = "adjtimex(2) and prctl(2), which no crate has in a safe form")]
mod kernel;

pub use kernel::Discipline;
use qrtotp_values::UnixTime;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where time comes from. A trait, so that tests can set it.
pub trait Clock {
    /// Seconds since the Unix epoch; negative if the host's clock is before it.
    fn now(&self) -> UnixTime;

    /// How the clock is kept right. `None`: unknown.
    fn discipline(&self) -> Option<Discipline> {
        None
    }
}

/// The host's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the one place
    fn now(&self) -> UnixTime {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        }
    }

    fn discipline(&self) -> Option<Discipline> {
        kernel::read()
    }
}

/// Lets time pass.
#[allow(clippy::disallowed_methods)] // this is the one place
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// When an answer came in, on the monotonic clock. A refusal that must not reveal what was done ends at a
/// fixed time after it.
#[derive(Clone, Copy, Debug)]
pub struct Answered(Instant);

impl Answered {
    /// An answer that came in just now.
    #[must_use]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// How long it is until the next multiple of `period` after the answer.
    #[must_use]
    pub fn until_multiple_of(self, period: Duration) -> Duration {
        rest_of(self.0.elapsed(), period)
    }
}

fn rest_of(elapsed: Duration, period: Duration) -> Duration {
    let over = elapsed.as_nanos() % period.as_nanos().max(1);
    period.saturating_sub(Duration::from_nanos(u64::try_from(over).unwrap_or(0)))
}

/// A bounded wait on the monotonic clock, for polling a lock.
#[derive(Debug)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
    pause: Duration,
}

impl Deadline {
    /// A deadline `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { start: Instant::now(), limit, pause: Duration::from_micros(200) }
    }

    /// How long it has been going on.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long it may still go on.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    /// Pauses a little, longer each time up to 5 ms. False once the deadline has passed.
    #[allow(clippy::disallowed_methods)] // this is the one place
    pub fn pause(&mut self) -> bool {
        if self.waited() >= self.limit {
            return false;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_millis(5));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_at_the_period_and_a_later_one_at_its_next_multiple() {
        let millis = Duration::from_millis;
        for (elapsed, rest) in [(0, 2000), (1, 1999), (1999, 1), (2000, 2000), (4500, 1500)] {
            assert_eq!(rest_of(millis(elapsed), millis(2000)), millis(rest), "{elapsed}");
        }
    }
}
