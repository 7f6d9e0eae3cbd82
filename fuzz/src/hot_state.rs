//! The `state` file: two slots, each perhaps torn, and their contents.

#[allow(dead_code, clippy::all)]
#[path = "../../crates/store/src/slot.rs"]
mod slot;

use crate::input::Input;
use qrtotp_account::{CredentialId, State};

pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 3 {
        0 => payload(rest),
        1 => garbage(rest),
        _ => slots(Input::new(rest)),
    }
}

/// A state has one encoding, apart from the audit lines at its end, and no step is fresh twice.
fn payload(bytes: &[u8]) {
    let Ok(mut state) = State::from_bytes(bytes) else { return };
    let mut again = Vec::new();
    state.encode(&mut again);
    let lines = qrtotp_account::lines_at_end(bytes).len();
    let without_lines = [&bytes[..bytes.len() - 2 - lines], &[0, 0]].concat();
    assert!(again == without_lines, "two spellings of one state");
    let mut input = Input::new(bytes);
    for _ in 0..4 {
        let id = CredentialId::from_random(input.array());
        let step = u64::from_le_bytes(input.array());
        let (before, fresh) =
            (state.credential_state(id).map(|mark| mark.watermark), state.is_fresh(id, step));
        assert_eq!(fresh, before.is_none_or(|known| step > known));
        state.raise(id, step, fresh.then_some(1));
        let after = state.credential_state(id).map(|mark| mark.watermark);
        assert!(after >= before && !state.is_fresh(id, step), "a watermark fell");
    }
}

/// Random bytes are a state only if their checksum is right.
fn garbage(bytes: &[u8]) {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    if slot::load(first, second).is_ok() {
        assert!([first, second].iter().any(|half| reference(half).is_some()), "no slot is whole");
    }
}

/// Two slots as a writer and a power cut leave them: the newest whole one counts.
fn slots(mut input: Input<'_>) {
    let mut written = [const { Vec::new() }; 2];
    for bytes in &mut written {
        let damage = input.byte();
        let sequence = u64::from(input.byte());
        let (at, with) = (usize::from(input.byte()), input.byte());
        *bytes = slot_of(1 + (damage / 4 % 6), sequence, input.bytes());
        match damage % 4 {
            0 => bytes.truncate(at),
            1 => {
                let place = at % bytes.len();
                bytes[place] ^= with;
            }
            _ => {}
        }
        bytes.resize(slot::SLOT, 0);
    }
    let [first, second] = &written;
    let whole = [reference(first), reference(second)];
    let newest = match (&whole[0], &whole[1]) {
        (Some(a), Some(b)) if a.sequence > b.sequence => Some(a),
        (Some(a), None) => Some(a),
        (_, b) => b.as_ref(),
    };
    let expected = newest.and_then(Whole::state);
    let loaded = load(first, second);
    assert_eq!(loaded.as_ref().map(|loaded| &loaded.state), expected.as_ref(), "not the newest whole slot");
    let (Some(mut loaded), Some(state)) = (loaded, expected) else { return };
    assert_eq!(loaded.both_whole, whole.iter().all(Option::is_some));
    // The next write is the newest, wherever it is torn; the other slot stays.
    let (offset, bytes) = loaded.succeed(&state);
    let place = usize::from(offset != 0);
    let newest = usize::from(newest.is_some_and(|newest| newest.sequence % 2 == 1));
    assert_eq!(offset % slot::SLOT as u64, 0);
    assert_ne!(place, newest, "the only state is overwritten");
    let written = reference(bytes).expect("a whole slot is written");
    assert_eq!(written.version, 6);
    assert!(whole.iter().flatten().all(|known| known.sequence < written.sequence));
}

fn load(first: &[u8], second: &[u8]) -> Option<slot::Loaded> {
    let second = if crate::planted() && second[8] == 9 { &[] } else { second };
    slot::load(first, second).ok()
}

fn slot_of(version: u8, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [b"QRTS".as_slice(), &[version, 0]].concat();
    bytes.extend(u16::try_from(payload.len()).expect("a byte's worth").to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(sum_of(version, &bytes, payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// A whole slot.
pub(crate) struct Whole {
    version: u8,
    pub(crate) sequence: u64,
    payload: Vec<u8>,
}

impl Whole {
    fn state(&self) -> Option<State> {
        let read = match self.version {
            1 => State::from_version_1,
            2 => State::from_version_2,
            3 | 4 => State::from_version_4,
            _ => State::from_bytes,
        };
        read(self.payload.get(if self.version < 6 { 0 } else { 8 }..)?).ok()
    }
}

/// A reference reader, after docs/FILEFORMAT.md.
pub(crate) fn reference(slot: &[u8]) -> Option<Whole> {
    let header = slot.get(..20)?;
    let version = header[4];
    let length = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let payload = slot.get(20..20 + length)?.to_vec();
    let sum = u32::from_le_bytes(header[16..].try_into().ok()?);
    let known = header[..4] == *b"QRTS" && matches!(version, 1..=6) && header[5] == 0;
    let sequence = u64::from_le_bytes(header[8..16].try_into().ok()?);
    (known && sum_of(version, &header[..16], &payload) == sum).then_some(Whole { version, sequence, payload })
}

fn sum_of(version: u8, header: &[u8], payload: &[u8]) -> u32 {
    if version < 4 {
        return crc32([header, payload].concat());
    }
    let sum = crate::applied::sum(crate::applied::sum(0xcbf2_9ce4_8422_2325, header), payload);
    sum as u32
}

/// CRC-32 of ISO-HDLC, a bit at a time.
fn crc32(bytes: Vec<u8>) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}
