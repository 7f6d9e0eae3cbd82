//! The chain of an account's audit lines: each line carries a hash of itself and of the line before. The
//! newest hash is part of the state, so a line that is changed, removed or added anywhere in a log no longer
//! fits. docs/AUDIT.md describes the form.

use super::RecordId;
use super::bytes::{StateError, take};
use blake2::Blake2b;
use blake2::digest::{Digest, consts::U20};
use qrtotp_values::UnixTime;

/// Bytes of a link.
pub const LINK_LEN: usize = 20;
/// The hash of a line and of the link before it.
pub type Link = [u8; LINK_LEN];

/// Most bytes of new lines that one update leaves in the state; if there are more, the last ones stay. Six
/// lines of a login have about 1,400.
pub const KEPT_LEN: usize = 1800;

/// The end of an account's chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    number: u64,
    head: Link,
    /// Lines that were added since the state was read, each with its length before it.
    fresh: Vec<u8>,
}

impl Chain {
    /// A chain without a line.
    #[must_use]
    pub fn new(record: RecordId) -> Self {
        Self { number: 0, head: origin(record), fresh: Vec::new() }
    }

    /// A copy that takes new lines without an allocation.
    #[must_use]
    pub fn with_room(&self) -> Self {
        Self { fresh: Vec::with_capacity(KEPT_LEN), ..*self }
    }

    /// How many lines there are.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The last line's hash; for an empty chain, its [`origin`].
    #[must_use]
    pub fn head(&self) -> Link {
        self.head
    }

    /// Whether lines were added since the state was read.
    #[must_use]
    pub fn has_new_lines(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Adds the line that `text` holds from `start` on, and completes it there.
    pub fn add(&mut self, text: &mut String, start: usize, at: UnixTime) {
        self.number = self.number.saturating_add(1);
        text.push_str(" seq=");
        push_number(text, self.number);
        text.push_str(" at=");
        if at < 0 {
            text.push('-');
        }
        push_number(text, at.unsigned_abs());
        self.head = link(self.head, text.as_bytes().get(start..).unwrap_or_default());
        text.push_str(" chain=");
        text.push_str(str::from_utf8(&hex(self.head)).unwrap_or_default());
        self.keep(text.as_bytes().get(start..).unwrap_or_default());
    }

    fn keep(&mut self, line: &[u8]) {
        let Ok(length) = u16::try_from(line.len()) else { return };
        if line.len() + 2 > KEPT_LEN {
            return;
        }
        while self.fresh.len() + 2 + line.len() > KEPT_LEN {
            let oldest = split_line(&self.fresh).map_or(self.fresh.len(), |(first, _)| 2 + first.len());
            self.fresh.drain(..oldest);
        }
        self.fresh.extend_from_slice(&length.to_le_bytes());
        self.fresh.extend_from_slice(line);
    }

    /// Appends the binary form: the end of a slot's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.fresh);
        out.extend_from_slice(&u16::try_from(self.fresh.len()).unwrap_or(0).to_le_bytes());
    }

    /// Reads the binary form, without the lines in it.
    ///
    /// # Errors
    /// Not a chain.
    pub fn take(rest: &mut &[u8]) -> Result<Self, StateError> {
        let (number, head) = (u64::from_le_bytes(take(rest)?), take(rest)?);
        let (lines, length) = rest.split_last_chunk().ok_or(StateError)?;
        if lines.len() != usize::from(u16::from_le_bytes(*length)) {
            return Err(StateError);
        }
        *rest = &[];
        Ok(Self { number, head, fresh: Vec::new() })
    }
}

/// The bytes of the lines at the end of a payload that [`Chain::encode`] ended; none if it did not.
#[must_use]
pub fn lines_at_end(payload: &[u8]) -> &[u8] {
    let Some((lines, length)) = payload.split_last_chunk() else { return &[] };
    let start = lines.len().checked_sub(u16::from_le_bytes(*length).into());
    start.and_then(|start| lines.get(start..)).unwrap_or_default()
}

/// The first line in `bytes`, and the rest. `None` at the end, and if there is no line.
#[must_use]
pub fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into()).filter(|(line, _)| !line.is_empty())
}

/// The hash that the first line of a record's chain follows.
#[must_use]
pub fn origin(record: RecordId) -> Link {
    hash(b"qrtotp chain 1", qrtotp_otp::base32_encode(&record.0).as_bytes())
}

/// The hash of a line's covered part, which ends before ` chain=`, and of the link before it.
#[must_use]
pub fn link(before: Link, covered: &[u8]) -> Link {
    hash(&hex(before), covered)
}

fn hash(first: &[u8], second: &[u8]) -> Link {
    let mut hash = Blake2b::<U20>::new();
    for part in [first, b" ", second] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Appends a number. `write!` would bring code into a login that nothing else there needs.
fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// A link as lines show it.
#[must_use]
pub fn hex(link: Link) -> [u8; 2 * LINK_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 2 * LINK_LEN];
    for (pair, byte) in out.chunks_exact_mut(2).zip(link) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const RECORD: RecordId = RecordId([7; 16]);

    fn added(chain: &mut Chain, line: &str) -> String {
        let mut text = line.to_owned();
        chain.add(&mut text, 0, 1_795_878_245);
        text
    }

    fn bytes(chain: &Chain) -> Vec<u8> {
        let mut out = Vec::new();
        chain.encode(&mut out);
        out
    }

    fn lines(mut bytes: &[u8]) -> Vec<String> {
        std::iter::from_fn(|| {
            let (line, rest) = split_line(bytes)?;
            bytes = rest;
            Some(String::from_utf8(line.to_owned()).unwrap())
        })
        .collect()
    }

    #[test]
    fn links_are_what_b2sum_computes() {
        // printf 'qrtotp chain 1 %s' A4DQOBYHA4DQOBYHA4DQOBYHA4 | b2sum -l 160, and so on as in docs/AUDIT.md
        let mut chain = Chain::new(RECORD);
        assert_eq!(hex(chain.head()), *b"b9e2ef5ebda36759639333f565ba24436f2f341a");
        let line = added(&mut chain, "event=login");
        assert_eq!(line, "event=login seq=1 at=1795878245 chain=ce5ff967d26698d2502583ea61732ce420185a04");
        assert_eq!(chain.number(), 1);
    }

    #[test]
    fn numbers_are_written_in_full() {
        for (number, at) in [(0, 0), (9, 10), (u64::MAX, i64::MAX), (100, -1_000)] {
            let mut chain = Chain { number, ..Chain::new(RECORD) };
            let mut text = String::new();
            chain.add(&mut text, 0, at);
            let expected = format!(" seq={} at={at} chain=", number.saturating_add(1));
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn the_newest_lines_are_kept_and_none_that_is_too_long() {
        let mut chain = Chain::new(RECORD).with_room();
        let room = chain.fresh.capacity();
        let all: Vec<_> =
            (0..20).map(|n| added(&mut chain, &format!("event={n} {}", "x".repeat(200)))).collect();
        added(&mut chain, &"y".repeat(KEPT_LEN));
        let kept = lines(&chain.fresh);
        assert!(kept.len() >= 6 && all.ends_with(&kept), "{kept:?}");
        assert_eq!((chain.number(), chain.fresh.capacity()), (21, room));
    }

    #[test]
    fn what_is_read_has_the_head_and_no_new_lines() {
        let mut chain = Chain::new(RECORD);
        let line = added(&mut chain, "event=login");
        let bytes = bytes(&chain);
        assert_eq!(lines(lines_at_end(&bytes)), [line]);
        let read = Chain::take(&mut &*bytes).unwrap();
        assert_eq!(read, Chain { fresh: Vec::new(), ..chain });
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (Chain::take(&mut &*bytes), lines_at_end(&bytes), split_line(&bytes));
        }

        #[test]
        fn no_cut_or_longer_form_is_a_chain(cut in 0_usize..40, more in 1_usize..40) {
            let mut chain = Chain::new(RECORD);
            added(&mut chain, "event=login");
            let mut whole = bytes(&chain);
            prop_assert_eq!(Chain::take(&mut &whole[..cut]), Err(StateError));
            whole.extend(std::iter::repeat_n(0, more));
            prop_assert_eq!(Chain::take(&mut &*whole), Err(StateError));
        }
    }
}
