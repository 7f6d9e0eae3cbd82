//! The harness's only reads of the clock and its only pauses.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
#[allow(clippy::disallowed_methods)] // the harness is not the product; this is its one place for the time
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[allow(clippy::disallowed_methods)] // the harness's one place for pauses
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Calls `done` every few milliseconds until it returns a value or the time is over.
pub fn poll<T>(limit: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if start.elapsed() > limit {
            return None;
        }
        pause(Duration::from_millis(5));
    }
}
