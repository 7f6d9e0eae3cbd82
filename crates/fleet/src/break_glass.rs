//! Break-glass codes that hosts took while no verifier answered, as they told later.

use crate::bytes::{Malformed, Reader, put_bytes};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::guard::open_meta;
use crate::keys::{self, HostName};
use crate::limit::{EACH, Limit};
use crate::values::Value;
use crate::view::damaged;
use qrtotp_values::UnixTime;

/// How many uses of one host are kept.
const KEPT: usize = 32;

/// The use of a break-glass code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlassUse {
    /// Made by the host, the same each time it tells this use.
    pub id: [u8; 16],
    /// The account.
    pub account: String,
    /// When, by the host's clock.
    pub at: UnixTime,
    /// How many of the account's codes are left at the host.
    pub left: u32,
}

/// The last uses at one host, the newest one last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses(pub Vec<BreakGlassUse>);

impl Value for Uses {
    fn encode(&self, out: &mut Vec<u8>) {
        let last = self.0.get(self.0.len().saturating_sub(KEPT)..).unwrap_or_default();
        out.push(u8::try_from(last.len()).unwrap_or(0)); // at most KEPT
        for one in last {
            out.extend_from_slice(&one.id);
            put_bytes(out, one.account.as_bytes());
            out.extend_from_slice(&one.at.to_le_bytes());
            out.extend_from_slice(&one.left.to_le_bytes());
        }
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let one = |bytes: &mut Reader<'_>| {
            let (id, account, at) = (bytes.array()?, bytes.text()?, bytes.signed()?);
            Ok(BreakGlassUse { id, account, at, left: u32::from_le_bytes(bytes.array()?) })
        };
        Ok(Self((0..bytes.byte()?).map(|_| one(bytes)).collect::<Result<_, Malformed>>()?))
    }
}

impl FleetStore {
    /// Notes a use that a host tells. One that is noted already stays as it is.
    ///
    /// # Errors
    /// etcd does not answer, or the value is damaged.
    pub fn note_break_glass(&self, host: &HostName, new: &BreakGlassUse) -> Result<(), FleetError> {
        let key = keys::break_glass_of(host);
        let reply = self.read(&[&keys::meta(), &key], &Limit::Each(EACH).start())?;
        let value = |at: usize| reply.values.get(at).and_then(Option::as_ref);
        let meta = open_meta(&self.ring, value(0).ok_or(FleetError::NotMade)?)?;
        let mut uses = Uses::default();
        if let Some(stored) = value(1) {
            let (plain, _) = self.ring.open(&meta.store, &key, &stored.value)?;
            uses = Uses::from_bytes(&plain).map_err(|_| damaged(key.clone(), "not a list of uses"))?;
        }
        if uses.0.iter().any(|known| known.id == new.id) {
            return Ok(());
        }
        uses.0.push(new.clone());
        self.put_alone(&key, &uses.to_bytes())
    }

    /// The uses that hosts told, with the host of each.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn break_glass(&self) -> Result<Vec<(HostName, BreakGlassUse)>, FleetError> {
        let mut found = Vec::new();
        for (name, bytes) in self.all(&keys::break_glass())? {
            if let (Ok(host), Ok(uses)) = (HostName::new(&name), Uses::from_bytes(&bytes)) {
                found.extend(uses.0.into_iter().map(|one| (host.clone(), one)));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_uses_of_a_host_are_kept() {
        let one = |id| BreakGlassUse { id: [id; 16], account: "alice".to_owned(), at: 7, left: 4 };
        let bytes = Uses((0..40).map(one).collect()).to_bytes();
        assert_eq!(Uses::from_bytes(&bytes).unwrap(), Uses((8..40).map(one).collect()));
        for cut in 0..bytes.len() {
            assert!(Uses::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
