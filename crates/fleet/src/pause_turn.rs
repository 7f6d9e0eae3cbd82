//! The turn of a verifier to pause its etcd member: one verifier at a time has it.

use crate::bytes::{Malformed, Reader, put_bytes};
use crate::change::Swapped;
use crate::engine::{Op, Txn, revision_of};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::guard::open_meta;
use crate::keys::{self, HostName};
use crate::limit::{EACH, Limit};
use crate::values::Value;
use qrtotp_values::UnixTime;

/// A verifier's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PauseTurn {
    verifier: String,
    until: UnixTime,
}

impl Value for PauseTurn {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.verifier.as_bytes());
        out.extend_from_slice(&self.until.to_le_bytes());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { verifier: bytes.text()?, until: bytes.signed()? })
    }
}

impl FleetStore {
    /// Takes the turn for so many seconds. The verifier that has it, if it is another one.
    ///
    /// # Errors
    /// etcd does not answer.
    pub fn take_turn(&self, now: UnixTime, seconds: i64) -> Result<Option<HostName>, FleetError> {
        let own = PauseTurn { verifier: self.verifier.to_string(), until: now.saturating_add(seconds) };
        self.swap_turn(|present| match present {
            Some(other) if other.verifier != own.verifier && other.until > now => Err(other),
            _ => Ok(Some(own.clone())),
        })
    }

    /// Gives the turn back.
    ///
    /// # Errors
    /// etcd does not answer.
    pub fn end_turn(&self) -> Result<(), FleetError> {
        self.swap_turn(|present| match present {
            Some(other) if other.verifier != self.verifier.as_str() => Err(other),
            _ => Ok(None),
        })
        .map(|_| ())
    }

    /// Puts another turn in the place of the present one, or returns the verifier that keeps it.
    fn swap_turn(
        &self,
        next: impl Fn(Option<PauseTurn>) -> Result<Option<PauseTurn>, PauseTurn>,
    ) -> Result<Option<HostName>, FleetError> {
        let (limit, key, meta_key) = (Limit::Each(EACH), keys::turn(), keys::meta());
        let left = limit.start();
        loop {
            let reply = self.read(&[&meta_key, &key], &left)?;
            let value = |at: usize| reply.values.get(at).and_then(Option::as_ref);
            let meta = open_meta(&self.ring, value(0).ok_or(FleetError::NotMade)?)?;
            // A value that can't be read is nobody's turn.
            let open = |stored: &crate::engine::Stored| {
                let (plain, _) = self.ring.open(&meta.store, &key, &stored.value).ok()?;
                PauseTurn::from_bytes(&plain).ok()
            };
            let op = match next(value(1).and_then(open)) {
                Err(kept) => return Ok(HostName::new(&kept.verifier).ok()),
                Ok(Some(turn)) => Op::Put(key.clone(), self.ring.seal(&meta.store, &key, &turn.to_bytes())?),
                Ok(None) => Op::Delete(key.clone()),
            };
            let compare =
                vec![(meta_key.clone(), revision_of(value(0))), (key.clone(), revision_of(value(1)))];
            if let Swapped::Done(_) =
                self.swap(&Txn { compare, then: vec![op], otherwise: Vec::new() }, &left)?
            {
                return Ok(None);
            }
        }
    }
}
