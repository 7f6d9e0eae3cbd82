//! Codes that a rule with `remember` need not ask for again: recent right codes, their origins, and when they
//! end.

use super::{CredentialId, Side};
use qrtotp_values::UnixTime;

/// Most origins that an account remembers. A new one replaces the oldest.
pub const MAX_REMEMBERED: usize = 8;

/// The keyed digest of an [`super::ExactOrigin`].
pub type OriginDigest = [u8; 8];

/// A right code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Origin, service and policy of the code.
    pub origin: OriginDigest,
    /// The place of that origin: a wrong answer from there ends it. All zeros: the account's own processes.
    pub place: [u8; 8],
    /// The credential.
    pub credential: CredentialId,
    /// When it was used.
    pub at: UnixTime,
}

/// The right codes of an account that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RememberedCodes(pub(super) Vec<Remembered>);

impl RememberedCodes {
    /// A copy that can take all of them without an allocation.
    pub(super) fn with_room(&self) -> Self {
        let mut room = Vec::with_capacity(MAX_REMEMBERED);
        room.extend_from_slice(&self.0);
        Self(room)
    }

    /// Remembers a right code, unless its origin can't be identified.
    pub fn remember(&mut self, origin: OriginDigest, side: Side, credential: CredentialId, now: UnixTime) {
        let Some(place) = place_of(side) else { return };
        let new = Remembered { origin, place, credential, at: now };
        if let Some(known) = self.0.iter_mut().find(|known| known.origin == origin) {
            *known = new;
        } else if self.0.len() < MAX_REMEMBERED {
            self.0.push(new);
        } else if let Some(oldest) = self.0.iter_mut().min_by_key(|known| known.at) {
            *oldest = new;
        }
    }

    /// The credential whose code came from `origin` less than `seconds` ago. A code from the future is not
    /// remembered: the clock was set back.
    #[must_use]
    pub fn credential(&self, origin: OriginDigest, now: UnixTime, seconds: i64) -> Option<CredentialId> {
        let known = self.0.iter().find(|known| known.origin == origin)?;
        (0..seconds).contains(&now.saturating_sub(known.at)).then_some(known.credential)
    }

    /// Ends those of a place after a wrong answer from there.
    pub fn end_at(&mut self, side: Side) {
        let place = place_of(side);
        self.0.retain(|known| Some(known.place) != place);
    }

    /// Ends all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn place_of(side: Side) -> Option<[u8; 8]> {
    match side {
        Side::Own => Some([0; 8]),
        Side::Place(id) => Some(id.0),
        Side::Nowhere => None,
    }
}
