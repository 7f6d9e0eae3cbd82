//! The values in etcd: docs/FLEET.md describes the bytes.

use crate::attempts::Attempts;
use crate::bytes::{Malformed, Reader, put_bytes, put_hashes, put_texts};
use crate::ring::StoreId;
use qrtotp_account::{Record, State, lines_at_end, split_line};
use qrtotp_values::UnixTime;
use std::fmt;
use zeroize::Zeroizing;

/// Version of each value.
const VERSION: u8 = 1;
/// Most bytes of an account's state with its attempts and audit lines. A longer state has no room for lines
/// of earlier updates.
const STATE_ROOM: usize = 4000;

/// A value that etcd holds.
pub(crate) trait Value: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.encode(&mut out);
        out
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Reader(bytes);
        if bytes.byte()? != VERSION {
            return Err(Malformed);
        }
        let value = Self::read(&mut bytes)?;
        bytes.end()?;
        Ok(value)
    }
}

/// The store as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Made at random with the store.
    pub store: StoreId,
    /// Rises by one with every accepted restore.
    pub generation: u64,
    /// No step that began before is accepted.
    pub fence: UnixTime,
    /// The generation that the last accepted restore brought back; 0: there was none.
    pub restored_generation: u64,
    /// The store's revision when that restore was accepted.
    pub restored_revision: i64,
}

impl Value for Meta {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.fence.to_le_bytes());
        out.extend_from_slice(&self.restored_generation.to_le_bytes());
        out.extend_from_slice(&self.restored_revision.to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            store: bytes.array()?,
            generation: bytes.unsigned()?,
            fence: bytes.signed()?,
            restored_generation: bytes.unsigned()?,
            restored_revision: bytes.signed()?,
        })
    }
}

/// Whether a login host may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostState {
    /// It may.
    Active,
    /// Not until an admin releases it.
    Held,
    /// Never again.
    Revoked,
}

/// A login host.
#[derive(Clone, PartialEq, Eq)]
pub struct Host {
    /// Whether it may ask.
    pub state: HostState,
    /// SHA-256 of its certificate's public key.
    pub key: [u8; 32],
    /// The key that its root shares with the verifiers.
    pub verdict_key: Zeroizing<[u8; 32]>,
    /// The groups that it is in. It may speak about accounts of these groups, and about accounts without any.
    pub groups: Vec<String>,
    /// The services that it may name; none: each.
    pub services: Vec<String>,
    /// When it joined.
    pub joined: UnixTime,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({:?}, groups {:?})", self.state, self.groups)
    }
}

impl Value for Host {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.state {
            HostState::Active => 0,
            HostState::Held => 1,
            HostState::Revoked => 2,
        });
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&*self.verdict_key);
        put_texts(out, &self.groups);
        put_texts(out, &self.services);
        out.extend_from_slice(&self.joined.to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let state = match bytes.byte()? {
            0 => HostState::Active,
            1 => HostState::Held,
            2 => HostState::Revoked,
            _ => return Err(Malformed),
        };
        let (key, verdict_key) = (bytes.array()?, Zeroizing::new(bytes.array()?));
        let (groups, services) = (bytes.texts()?, bytes.texts()?);
        Ok(Self { state, key, verdict_key, groups, services, joined: bytes.signed()? })
    }
}

/// The failures of one host that one verifier counted. No decision reads them; `fleet status` and alerts do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFailures {
    /// The hour, since the epoch.
    pub hour: i64,
    /// Failures in it.
    pub failures: u32,
    /// The ten minutes, since the epoch.
    pub ten_minutes: i64,
    /// Different accounts with a failure in them.
    pub accounts: u32,
}

impl HostFailures {
    /// Failures in an hour, and accounts with failures in ten minutes, above which a host is reported.
    pub const LIMITS: (u32, u32) = (300, 20);

    /// Whether the host should be looked at.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.failures > Self::LIMITS.0 || self.accounts >= Self::LIMITS.1
    }
}

impl Value for HostFailures {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hour.to_le_bytes());
        out.extend_from_slice(&self.failures.to_le_bytes());
        out.extend_from_slice(&self.ten_minutes.to_le_bytes());
        out.extend_from_slice(&self.accounts.to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = |reader: &mut Reader<'_>| Ok(u32::from_le_bytes(reader.array()?));
        let (hour, failures) = (bytes.signed()?, number(bytes)?);
        Ok(Self { hour, failures, ten_minutes: bytes.signed()?, accounts: number(bytes)? })
    }
}

/// A host's relay as a verifier last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    /// When.
    pub seen: UnixTime,
    /// Its version.
    pub version: String,
    /// Hashes of the CAs that it trusts; the first one made its certificate.
    pub authorities: Vec<[u8; 32]>,
}

impl Value for HostReport {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seen.to_le_bytes());
        put_bytes(out, self.version.as_bytes());
        put_hashes(out, &self.authorities);
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { seen: bytes.signed()?, version: bytes.text()?, authorities: bytes.hashes()? })
    }
}

/// A verifier's report on itself, for `fleet status`. No decision reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Seconds by which its clock is ahead of the median of all.
    pub ahead: i64,
    /// Hashes of the CAs whose hosts it serves; the first one makes certificates.
    pub authorities: Vec<[u8; 32]>,
}

/// A verifier's last sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Made at random each time.
    pub random: [u8; 16],
    /// Its clock.
    pub clock: UnixTime,
    /// Its version of qrtotp.
    pub version: String,
    /// Its report on itself.
    pub condition: Condition,
}

impl Value for Witness {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.random);
        out.extend_from_slice(&self.clock.to_le_bytes());
        put_bytes(out, self.version.as_bytes());
        out.extend_from_slice(&self.condition.ahead.to_le_bytes());
        put_hashes(out, &self.condition.authorities);
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (random, clock, version) = (bytes.array()?, bytes.signed()?, bytes.text()?);
        let condition = Condition { ahead: bytes.signed()?, authorities: bytes.hashes()? };
        Ok(Self { random, clock, version, condition })
    }
}

/// The cold part of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordValue {
    /// Groups of hosts that may speak about it; none: each.
    pub groups: Vec<String>,
    pub record: Record,
}

impl Value for RecordValue {
    fn encode(&self, out: &mut Vec<u8>) {
        put_texts(out, &self.groups);
        out.extend_from_slice(self.record.to_toml().as_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let groups = bytes.texts()?;
        let text = std::str::from_utf8(std::mem::take(&mut bytes.0)).map_err(|_| Malformed)?;
        Ok(Self { groups, record: Record::from_toml(text).map_err(|_| Malformed)? })
    }
}

/// The hot part of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateValue {
    pub attempts: Attempts,
    pub state: State,
    /// Audit lines of earlier updates, the newest update first, each with its length before it.
    pub lines: Vec<u8>,
}

impl Value for StateValue {
    fn encode(&self, out: &mut Vec<u8>) {
        self.attempts.encode(out);
        let mut state = Vec::new();
        self.state.encode(&mut state);
        put_bytes(out, &state);
        let room = STATE_ROOM.saturating_sub(out.len());
        out.extend_from_slice(whole_lines(self.lines.get(..room).unwrap_or(&self.lines)));
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let attempts = Attempts::read(bytes)?;
        let payload = bytes.bytes()?;
        // Before states had signs of an attack. No bytes have both forms: each ends with the length of what
        // follows a fixed part.
        let state = State::from_bytes(payload).or_else(|_| State::from_version_4(payload));
        let state = state.map_err(|_| Malformed)?;
        let lines = [lines_at_end(payload), std::mem::take(&mut bytes.0)].concat();
        Ok(Self { attempts, state, lines })
    }
}

impl StateValue {
    /// The account's last audit lines.
    pub fn audit_lines(&self) -> Vec<String> {
        let (mut found, mut rest) = (Vec::new(), self.lines.as_slice());
        while let Some((line, behind)) = split_line(rest) {
            found.extend(String::from_utf8(line.to_owned()));
            rest = behind;
        }
        found
    }
}

/// The lines at the beginning of `bytes` that are not cut off.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((_, behind)) = split_line(rest) {
        rest = behind;
    }
    bytes.get(..bytes.len() - rest.len()).unwrap_or_default()
}

/// A value that admins change, with the tag of the transaction that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub tag: crate::attempts::Tag,
    pub bytes: Vec<u8>,
}

impl Value for Tagged {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(&self.bytes);
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { tag: bytes.array()?, bytes: std::mem::take(&mut bytes.0).to_vec() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{Name, RecordId};
    use std::fmt::Debug;

    fn reads_back<V: Value + PartialEq + Debug>(value: &V) {
        let bytes = value.to_bytes();
        assert_eq!(V::from_bytes(&bytes).as_ref(), Ok(value));
        for cut in 0..bytes.len() {
            let _ = V::from_bytes(&bytes[..cut]); // no panic
        }
        assert!(V::from_bytes(&[&[9], &bytes[1..]].concat()).is_err(), "an unknown version");
    }

    #[test]
    fn values_read_back() {
        let (generation, restored_generation) = (3, 2);
        reads_back(&Meta {
            store: [7; 16],
            generation,
            fence: -1,
            restored_generation,
            restored_revision: 9,
        });
        let (groups, services) = (vec!["web".to_owned(), "db".to_owned()], vec!["sshd".to_owned()]);
        let verdict_key = Zeroizing::new([6; 32]);
        let (state, groups_too) = (HostState::Held, groups.clone());
        reads_back(&Host { state, key: [5; 32], verdict_key, groups: groups_too, services, joined: 8 });
        reads_back(&HostReport { seen: 9, version: "0.1.0".to_owned(), authorities: vec![[3; 32]] });
        reads_back(&HostFailures { hour: 1, failures: 2, ten_minutes: 3, accounts: 4 });
        let condition = Condition { ahead: -3, authorities: vec![[1; 32], [2; 32]] };
        reads_back(&Witness { random: [1; 16], clock: 5, version: "0.1.0".to_owned(), condition });
        let record = Record::new(Name::new("alice").unwrap(), 1000, RecordId([7; 16]));
        reads_back(&RecordValue { groups, record });
    }

    #[test]
    fn a_state_keeps_the_audit_lines_of_earlier_updates_as_far_as_there_is_room() {
        let mut value = StateValue {
            attempts: Attempts::default(),
            state: State::new(RecordId([1; 16])),
            lines: Vec::new(),
        };
        for number in 1..100 {
            let mut line = format!("event=login user=alice n={number:0100}");
            value.state.chain.add(&mut line, 0, 1000);
            let bytes = value.to_bytes();
            assert!(bytes.len() <= STATE_ROOM + 1);
            value = StateValue::from_bytes(&bytes).unwrap();
            let lines = value.audit_lines();
            assert!(lines[0].contains(&format!("n={number:0100} seq={number} ")), "the newest one is first");
            assert_eq!(lines.len(), number.min(lines.len()).max(number.min(10)), "ten lines have room");
        }
    }
}
