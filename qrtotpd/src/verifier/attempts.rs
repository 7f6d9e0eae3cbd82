//! The verdicts of the last minute: a relay that lost an answer sends the same request again, and the code
//! must not be checked twice. The account's turn makes a repeated request wait until
//! the first one is decided.

use qrtotp_clock::Deadline;
use qrtotp_fleet_tls::KeyHash;
use qrtotp_frames::{ATTEMPT_LEN, Tag};
use qrtotp_values::Verdict;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a verdict is kept, and how many are.
const PERIOD: Duration = Duration::from_secs(60);
const MOST: usize = 16_384;

/// A host, and the id of its attempt.
pub type AttemptKey = (KeyHash, [u8; ATTEMPT_LEN]);

/// The kept verdicts.
#[derive(Default)]
pub struct Attempts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// With the request's tag.
    verdicts: HashMap<AttemptKey, (Tag, Verdict)>,
    /// The newest last.
    order: VecDeque<(Deadline, AttemptKey)>,
}

/// An attempt's earlier verdict.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    New,
    /// The same request had this verdict.
    Decided(Verdict),
    /// Another request had this id.
    Other,
}

impl Attempts {
    /// The earlier verdict on a request with this tag.
    pub fn find(&self, attempt: &AttemptKey, request: &Tag) -> Known {
        match self.kept().verdicts.get(attempt) {
            None => Known::New,
            Some((tag, verdict)) if tag == request => Known::Decided(*verdict),
            Some(_) => Known::Other,
        }
    }

    /// Keeps a verdict.
    pub fn keep(&self, attempt: AttemptKey, request: Tag, verdict: Verdict) {
        let mut kept = self.kept();
        while let Some((until, oldest)) = kept.order.front()
            && (until.left().is_zero() || kept.order.len() >= MOST)
        {
            let oldest = *oldest;
            kept.verdicts.remove(&oldest);
            kept.order.pop_front();
        }
        kept.verdicts.insert(attempt, (request, verdict));
        kept.order.push_back((Deadline::after(PERIOD), attempt));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // at worst an entry outlives its period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_gets_the_same_verdict_and_no_other_request_does() {
        let attempts = Attempts::default();
        let (host, other) = (([1; 32], [7; 16]), ([2; 32], [7; 16]));
        assert_eq!(attempts.find(&host, &[5; 32]), Known::New);
        attempts.keep(host, [5; 32], Verdict::Accepted);
        assert_eq!(attempts.find(&host, &[5; 32]), Known::Decided(Verdict::Accepted));
        assert_eq!(attempts.find(&host, &[6; 32]), Known::Other);
        assert_eq!(attempts.find(&other, &[5; 32]), Known::New, "another host's");
    }

    #[test]
    fn a_limited_number_is_kept() {
        let attempts = Attempts::default();
        for number in 0..2 * MOST as u128 {
            attempts.keep(([1; 32], number.to_le_bytes()), [5; 32], Verdict::Denied);
        }
        let kept = attempts.kept();
        assert_eq!((kept.order.len(), kept.verdicts.len()), (MOST, MOST));
    }
}
