//! The `state` file: two slots, each in its own block, written in turn. After any power failure, one of them
//! is whole.
//!
//! After the state, a slot holds the audit lines of the last updates that were written to it, for `qrtotp
//! audit`. No login reads them. The slot's checksum covers the lines of the newest update; the chain proves
//! each older one.

use qrtotp_account::{State, lines_at_end, split_line};
use qrtotp_values::checksum_on;
use thiserror::Error;

/// Bytes of a slot. Each has its own block, so a torn write of one never touches the other.
pub const SLOT: usize = 4096;
/// Bytes of the whole file.
pub const FILE: usize = 2 * SLOT;
const MAGIC: [u8; 4] = *b"QRTS";
const VERSION: u16 = 6;
const HEADER: usize = 20;
/// The end of a slot's lines: an empty line.
const LINES_END: [u8; 2] = [0; 2];

/// Neither slot holds a state.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("the state file holds no whole slot of a version that this program knows")]
pub struct SlotError;

/// A state and its place in the sequence of states.
#[derive(Debug)]
pub struct Loaded {
    /// The newest whole state.
    pub state: State,
    /// The revision of the record that it belongs to.
    pub revision: u64,
    /// False if the other slot is torn or damaged.
    pub both_whole: bool,
    sequence: u64,
    /// The next slot's bytes, with room reserved at the start.
    next: Vec<u8>,
    /// Audit lines of the next slot, and of the one after it.
    kept: [Vec<u8>; 2],
    /// Bytes of those of the newest slot that its update added, or repeated.
    added: usize,
}

impl Loaded {
    /// The offset of the slot after the last one in the file, and its bytes with `state`. Allocates nothing.
    pub fn succeed(&mut self, state: &State) -> (u64, &[u8]) {
        self.sequence += 1;
        encode(state, self.revision, self.sequence, &mut self.next);
        // A slot without new lines repeats what the last update added: the write after it may tear that slot.
        if !state.chain.has_new_lines() {
            append_lines(&mut self.next, self.kept[1].get(..self.added).unwrap_or(&self.kept[1]));
        }
        append_lines(&mut self.next, &self.kept[0]);
        self.next.extend_from_slice(&LINES_END);
        self.kept.swap(0, 1);
        (offset(self.sequence), &self.next)
    }
}

/// Appends as many of these lines as there is room for.
fn append_lines(slot: &mut Vec<u8>, lines: &[u8]) {
    let room = SLOT.saturating_sub(slot.len() + LINES_END.len());
    slot.extend_from_slice(whole_lines(lines.get(..room).unwrap_or(lines)));
}

fn offset(sequence: u64) -> u64 {
    (sequence % 2) * SLOT as u64
}

/// Puts a slot into `out`, replacing its contents.
fn encode(state: &State, revision: u64, sequence: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&revision.to_le_bytes());
    state.encode(out);
    // Below the length of a slot, which fits a u16.
    let length = u16::try_from(out.len() - HEADER).unwrap_or(u16::MAX);
    out[6..8].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(VERSION, &out[..16], &out[HEADER..]);
    out[16..HEADER].copy_from_slice(&sum.to_le_bytes());
}

/// The lower half of [`qrtotp_values::checksum`], up to version 3 a CRC-32. Later versions keep it, so that
/// an older program tells them from a torn slot.
fn checksum(version: u16, header: &[u8], payload: &[u8]) -> u32 {
    if version < 4 {
        return crc_32(header, payload);
    }
    // Its upper half is part of the lower one already; folding it once more would cancel that.
    checksum_on(qrtotp_values::checksum(header), payload) as u32
}

/// CRC-32 (IEEE 802.3), a byte at a time.
fn crc_32(header: &[u8], payload: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    let shift = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 255) as usize];
    !payload.iter().fold(header.iter().fold(!0, shift), shift)
}

/// The effect on the sum of shifting out eight bits.
const fn table() -> [u32; 256] {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < table.len() {
        let (mut sum, mut bits) = (byte as u32, 0);
        while bits < 8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
            bits += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

/// The whole file of a new record. Both slots hold the state, so damage to one is harmless from the start.
/// Neither block is all zeros: a copy might leave such a block out (`cp --sparse`), and a full disk could
/// then not take it.
#[must_use]
pub fn first(state: &State) -> Vec<u8> {
    let (mut file, mut slot) = (Vec::with_capacity(FILE), Vec::with_capacity(SLOT));
    for sequence in [0, 1] {
        encode(state, 0, sequence, &mut slot);
        slot.resize(SLOT, 0);
        file.append(&mut slot);
    }
    file
}

/// A slot that is whole.
#[derive(Clone, Copy)]
struct Whole<'s> {
    version: u16,
    sequence: u64,
    payload: &'s [u8],
    /// The lines of earlier updates, and the bytes after them.
    behind: &'s [u8],
}

impl<'s> Whole<'s> {
    /// The revision of its record, and the state in it; none of a later version.
    fn content(&self) -> Option<(u64, State)> {
        let (revision, payload) = match self.version {
            VERSION => {
                self.payload.split_first_chunk().map(|(first, rest)| (u64::from_le_bytes(*first), rest))?
            }
            _ => (0, self.payload),
        };
        let read = match self.version {
            1 => State::from_version_1,
            2 => State::from_version_2,
            3 | 4 => State::from_version_4,
            5 | VERSION => State::from_bytes,
            _ => return None,
        };
        Some((revision, read(payload).ok()?))
    }

    /// The audit lines in it, each with its length before it.
    fn lines(&self) -> [&'s [u8]; 2] {
        if !matches!(self.version, 3..=VERSION) {
            return [&[]; 2];
        }
        [lines_at_end(self.payload), whole_lines(self.behind)]
    }
}

/// The lines at the beginning of `bytes`.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((_, behind)) = split_line(rest) {
        rest = behind;
    }
    bytes.get(..bytes.len() - rest.len()).unwrap_or_default()
}

fn decode(slot: &[u8]) -> Option<Whole<'_>> {
    let (header, rest) = slot.split_first_chunk::<HEADER>()?;
    let version = u16::from_le_bytes([header[4], header[5]]);
    if header[..4] != MAGIC || version == 0 {
        return None;
    }
    let (payload, behind) = rest.split_at_checked(u16::from_le_bytes([header[6], header[7]]).into())?;
    let sequence = u64::from_le_bytes(*header[8..].first_chunk()?);
    let sum = u32::from_le_bytes(*header[16..].first_chunk()?);
    (checksum(version, &header[..16], payload) == sum).then_some(Whole { version, sequence, payload, behind })
}

/// Reads the newest whole one of the two slots.
///
/// # Errors
/// No slot is whole, or the newest whole one holds no state: the other one would have codes accepted again.
pub fn load(first: &[u8], second: &[u8]) -> Result<Loaded, SlotError> {
    let slots = [decode(first), decode(second)];
    let newest = match slots {
        [Some(first), Some(second)] if first.sequence > second.sequence => first,
        [first, second] => second.or(first).ok_or(SlotError)?,
    };
    let (revision, state) = newest.content().ok_or(SlotError)?;
    let (both_whole, sequence) = (slots.iter().all(Option::is_some), newest.sequence);
    let kept = [sequence.wrapping_add(1), sequence].map(|sequence| {
        let slot = slots[usize::from(sequence % 2 == 1)].as_ref();
        slot.map_or_else(Vec::new, |slot| slot.lines().concat())
    });
    let added = lines_at_end(newest.payload).len();
    let next = Vec::with_capacity(SLOT);
    let added = if added == 0 { kept[1].len() } else { added };
    Ok(Loaded { state, revision, both_whole, sequence, next, kept, added })
}

/// The audit lines that the two slots hold, in no order: those of the last updates of either slot. Some come
/// twice.
#[must_use]
pub fn lines(first: &[u8], second: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in [first, second].into_iter().filter_map(decode).flat_map(|slot| slot.lines()) {
        let mut rest = part;
        while let Some((line, behind)) = split_line(rest) {
            lines.extend(String::from_utf8(line.to_owned()));
            rest = behind;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{CredentialId, KEPT_LEN, PlaceId, RecordId, Side, ThrottleRules};

    fn state(step: u64) -> State {
        let mut state = State::new(RecordId([1; 16]));
        state.raise(CredentialId::from_random([1; 6]), step, Some(9));
        state
    }

    fn load(file: &[u8]) -> Result<Loaded, SlotError> {
        super::load(&file[..SLOT], &file[SLOT..])
    }

    fn write(file: &mut [u8], offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).unwrap();
        file[start..start + bytes.len()].copy_from_slice(bytes);
    }

    #[test]
    fn the_checksum_of_older_versions_is_the_crc_32_of_everybody_else() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc_32(b"1234", b"56789"), 0xcbf4_3926);
        assert_eq!(crc_32(b"", b""), 0);
    }

    #[test]
    fn the_newest_slot_counts() {
        let mut file = first(&state(0));
        for step in 1..10 {
            let mut loaded = load(&file).unwrap();
            let (offset, bytes) = loaded.succeed(&state(step));
            write(&mut file, offset, bytes);
            assert_eq!(load(&file).unwrap().state, state(step));
        }
    }

    #[test]
    fn a_write_torn_at_any_byte_leaves_the_old_or_the_new_state() {
        let mut file = first(&state(1));
        let mut loaded = load(&file).unwrap();
        let (offset, bytes) = loaded.succeed(&state(2));
        write(&mut file, offset, bytes);
        let (offset, bytes) = loaded.succeed(&state(3));
        for cut in 0..=bytes.len() {
            let mut torn = file.clone();
            write(&mut torn, offset, &bytes[..cut]);
            let found = load(&torn).unwrap().state;
            assert!(found == state(2) || found == state(3), "cut at {cut}");
            assert!(cut < bytes.len() || found == state(3));
        }
    }

    #[test]
    fn every_byte_of_a_payload_of_any_length_makes_a_difference() {
        for length in 30..46 {
            let mut payload = vec![0x5a; length];
            let sum = checksum(VERSION, &[7; 16], &payload);
            for at in 0..length {
                payload[at] ^= 0xff;
                assert_ne!(checksum(VERSION, &[7; 16], &payload), sum, "byte {at} of {length}");
                payload[at] ^= 0xff;
            }
        }
    }

    #[test]
    fn any_changed_bit_of_a_slot_is_noticed() {
        let file = first(&state(1));
        assert!(load(&file).unwrap().both_whole);
        let mut slot = Vec::new();
        encode(&state(1), 0, 0, &mut slot);
        let used = slot.len(); // behind it are lines, which prove themselves
        for bit in 0..used * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let left = load(&bad).unwrap();
            assert_eq!((left.both_whole, left.state), (false, state(1)), "bit {bit}");
            bad[SLOT] ^= 1;
            assert!(load(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newest_slot_that_is_no_state_denies_instead_of_going_back() {
        let mut file = first(&state(1));
        let (offset, bytes) = {
            let mut loaded = load(&file).unwrap();
            let (offset, bytes) = loaded.succeed(&state(2));
            (offset, bytes.to_vec())
        };
        write(&mut file, offset, &bytes);
        let slot = usize::try_from(offset).unwrap();
        let length = usize::from(u16::from_le_bytes([file[slot + 6], file[slot + 7]]));
        file[slot + HEADER + 8 + 16 + 20 + 20 + 12 + 36] = 7; // neither with nor without used recovery codes
        let sum = checksum(VERSION, &file[slot..slot + 16], &file[slot + HEADER..slot + HEADER + length]);
        write(&mut file, offset + 16, &sum.to_le_bytes());
        assert!(load(&file).is_err());
    }

    #[test]
    fn a_newest_slot_of_a_later_version_denies_instead_of_going_back() {
        for (at, changed, is_denied) in [(4, 7, true), (5, 1, true), (4, 0, false), (0, b'X', false)] {
            let mut file = first(&state(1));
            let mut payload = vec![0; 8];
            state(1).encode(&mut payload);
            file[SLOT + at] = changed;
            let sum = checksum(VERSION, &file[SLOT..SLOT + 16], &payload);
            write(&mut file, SLOT as u64 + 16, &sum.to_le_bytes());
            assert_eq!(load(&file).is_err(), is_denied, "byte {at}");
            assert!(is_denied || !load(&file).unwrap().both_whole, "byte {at}");
        }
    }

    /// The payload of version 1 of a state with one mark.
    fn version_1(step: u64) -> Vec<u8> {
        let mark = [b"0000000000".as_slice(), &step.to_le_bytes(), &9_i64.to_le_bytes(), &[0; 4]].concat();
        let id = CredentialId::from_random([1; 6]).to_bytes();
        [[1; 16].as_slice(), &[0; 24], &[0], &[1], &id, &mark[10..]].concat()
    }

    fn slot_of_version_1(sequence: u64, step: u64) -> Vec<u8> {
        let payload = version_1(step);
        let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
        let mut slot =
            [MAGIC.as_slice(), &[1, 0], &length, &sequence.to_le_bytes(), &[0; 4], &payload].concat();
        let sum = crc_32(&slot[..16], &payload);
        slot[16..HEADER].copy_from_slice(&sum.to_le_bytes());
        slot.resize(SLOT, 0);
        slot
    }

    /// The files that a power cut can leave of a write: cut at any byte, or with any of its sectors missing.
    fn torn(file: &[u8], offset: u64, bytes: &[u8]) -> Vec<Vec<u8>> {
        const SECTOR: usize = 512;
        let sectors: Vec<&[u8]> = bytes.chunks(SECTOR).collect();
        let cuts = (0..=bytes.len()).map(|cut| {
            let mut left = file.to_vec();
            write(&mut left, offset, &bytes[..cut]);
            left
        });
        let subsets = (0..1_u32 << sectors.len()).map(|kept| {
            let mut left = file.to_vec();
            for (number, sector) in sectors.iter().enumerate().filter(|(number, _)| kept >> number & 1 == 1) {
                write(&mut left, offset + (number * SECTOR) as u64, sector);
            }
            left
        });
        cuts.chain(subsets).collect()
    }

    #[test]
    fn over_slots_of_version_1_and_2_a_write_torn_anywhere_leaves_the_old_or_the_new_state() {
        let mut new = first(&state(1));
        let mut loaded = load(&new).unwrap();
        let (offset, bytes) = loaded.succeed(&state(2));
        write(&mut new, offset, bytes);
        let version_1 = [slot_of_version_1(0, 1), slot_of_version_1(1, 2)].concat();
        for mut file in [version_1, of_version_2(&new)] {
            assert_eq!(load(&file).unwrap().state, state(2));
            // The first write goes over the older slot, the second one over the other.
            for step in [3, 4] {
                let mut loaded = load(&file).unwrap();
                let before = loaded.state.clone();
                let mut next = with_line(&before, &"x".repeat(1000));
                next.raise(CredentialId::from_random([1; 6]), step, Some(9));
                let (offset, bytes) = loaded.succeed(&next);
                let mut whole = file.clone();
                write(&mut whole, offset, bytes);
                let after = load(&whole).unwrap().state;
                assert!(after != before && bytes.len() > 2 * 512, "{} bytes", bytes.len());
                for torn in torn(&file, offset, bytes) {
                    let found = load(&torn).unwrap().state;
                    assert!(found == after || found == before && torn != whole);
                }
                file = whole;
            }
        }
    }

    #[test]
    fn no_block_of_a_new_file_that_will_be_written_to_is_all_zeros() {
        let file = first(&state(1));
        for slot in [0, SLOT] {
            assert!(file[slot..slot + 512].iter().any(|byte| *byte != 0));
        }
    }

    /// A state with a line more than `state`.
    fn with_line(state: &State, text: &str) -> State {
        let mut state = state.with_room();
        state.chain.add(&mut text.to_owned(), 0, 9);
        state
    }

    /// The bytes of a payload's revision, of its signs of an attack if there are none, and of a chain with
    /// these lines.
    const REVISION: usize = 8;
    const SIGNS: usize = 49;
    fn chain_of(payload: &[u8]) -> usize {
        8 + 20 + lines_at_end(payload).len() + 2
    }

    /// The file, with `old` made of each payload, in slots of this version.
    fn of_version(version: u8, file: &[u8], old: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut all = Vec::new();
        for slot in [&file[..SLOT], &file[SLOT..]] {
            let length = usize::from(u16::from_le_bytes([slot[6], slot[7]]));
            let payload = old(&slot[HEADER..HEADER + length]);
            let mut slot = [&slot[..HEADER], &payload].concat();
            slot[4] = version;
            slot[6..8].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_le_bytes());
            let sum = checksum(version.into(), &slot[..16], &payload);
            slot[16..HEADER].copy_from_slice(&sum.to_le_bytes());
            slot.resize(SLOT, 0);
            all.extend(slot);
        }
        all
    }

    fn of_version_2(file: &[u8]) -> Vec<u8> {
        of_version(2, file, |payload| {
            payload[REVISION..payload.len() - chain_of(payload) - SIGNS - 1].to_vec() // nor remembered codes
        })
    }

    #[test]
    fn a_file_of_version_2_is_read_and_begins_a_chain() {
        let mut file = of_version_2(&first(&state(1)));
        let mut loaded = load(&file).unwrap();
        assert_eq!((&loaded.state, lines(&file[..SLOT], &file[SLOT..])), (&state(1), vec![]));
        let (offset, bytes) = loaded.succeed(&with_line(&state(1), "event=login"));
        write(&mut file, offset, bytes);
        assert_eq!(load(&file).unwrap().state.chain.number(), 1);
    }

    #[test]
    fn a_file_of_version_3_to_5_is_read_and_its_chain_goes_on() {
        let new = first(&with_line(&state(1), "event=login"));
        for (version, signs) in [(3, 0), (4, 0), (5, SIGNS)] {
            let mut file = of_version(version, &new, |payload| {
                let (state, chain) = payload.split_at(payload.len() - chain_of(payload));
                [&state[REVISION..state.len() - SIGNS + signs], chain].concat()
            });
            let mut loaded = load(&file).unwrap();
            let begun = load(&new).unwrap().state;
            assert_eq!(loaded.state, begun);
            assert_eq!(lines(&file[..SLOT], &file[SLOT..]), lines(&new[..SLOT], &new[SLOT..]));
            let (offset, bytes) = loaded.succeed(&with_line(&begun, "event=login"));
            write(&mut file, offset, bytes);
            let next = load(&file).unwrap().state.chain.number();
            assert_eq!(next, begun.chain.number() + 1);
            file[4] ^= 7;
            file[SLOT + 4] ^= 7;
            assert!(load(&file).is_err(), "a version that is not the checksum's");
        }
    }

    #[test]
    fn the_last_lines_are_in_the_file_and_the_chain_goes_on() {
        let mut file = first(&state(0));
        for n in 1..=40_u64 {
            let mut loaded = load(&file).unwrap();
            let next = with_line(&loaded.state, &format!("event=login {}", "x".repeat(300)));
            let (offset, bytes) = loaded.succeed(&next);
            assert!(bytes.len() <= SLOT);
            write(&mut file, offset, bytes);
            // An update without a line keeps the existing ones.
            if n % 5 == 0 {
                let mut loaded = load(&file).unwrap();
                let next = loaded.state.clone();
                let (offset, bytes) = loaded.succeed(&next);
                write(&mut file, offset, bytes);
            }
            let mut seen: Vec<_> = lines(&file[..SLOT], &file[SLOT..])
                .iter()
                .map(|line| {
                    line.split(" seq=").nth(1).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap()
                })
                .collect();
            seen.sort_unstable();
            seen.dedup();
            let last = n.min(8);
            assert!(seen.ends_with(&(n + 1 - last..=n).collect::<Vec<_>>()), "{n}: {seen:?}");
        }
    }

    #[test]
    fn the_largest_state_fits_into_a_slot_and_is_written_without_an_allocation() {
        let mut state = state(1);
        for n in 0..32 {
            state.raise(CredentialId::from_random([n; 6]), 1, None);
        }
        for n in 0..16 {
            let _ = state.throttle.right(Side::Place(PlaceId([n; 8])), 1, &ThrottleRules::default());
        }
        for n in 0..9 {
            let (origin, credential) = ([n; 8], CredentialId::from_random([n; 6]));
            state.throttle.remembered.remember(origin, Side::Own, credential, n.into());
        }
        state.use_recovery(qrtotp_account::SetId::from_random([1; 6]), 3);
        (1..9).for_each(|at| state.signs.wrong(Side::Nowhere, at));
        state.signs.take_found().for_each(drop);
        let mut file = first(&with_line(&state, &"x".repeat(KEPT_LEN - 100)));
        let mut loaded = load(&file).unwrap();
        let (offset, bytes) = loaded.succeed(&state);
        write(&mut file, offset, bytes);
        let mut loaded = load(&file).unwrap();
        let room = loaded.next.capacity();
        let state = with_line(&loaded.state, &"x".repeat(KEPT_LEN - 100));
        let mut alone = Vec::new();
        encode(&loaded.state, 0, 0, &mut alone);
        assert!(alone.len() + KEPT_LEN <= SLOT, "{}", alone.len());
        assert!(loaded.succeed(&state).1.len() <= SLOT);
        assert_eq!(loaded.next.capacity(), room, "it was allocated while it was written");
    }
}
