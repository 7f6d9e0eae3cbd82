//! A session: a user's conversation with a verifier about their own account, through host and relay. After
//! [`super::OpenSession`], both ends send what the broker's protocol says, sealed with keys that the relay
//! does not have.

use super::{FLEET_VERSION, Fields, FleetResponse, FrameError, MAX_BODY, Message, SESSION_NONCE_LEN, Writer};

/// Longest sealed message, in bytes: a frame without its header and the length of this field.
const SEALED: usize = MAX_BODY - 2;

/// A message after [`super::OpenSession`], in either direction.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionFrame {
    /// A sealed message of the broker's protocol.
    Sealed(Vec<u8>),
    /// The verifier takes part. Random, for [`super::VerdictKey::session_key`].
    Opened([u8; SESSION_NONCE_LEN]),
    /// The verifier or the relay does not, and why. Nobody has signed this.
    Ended(FleetResponse),
}

impl Message for SessionFrame {
    const VERSION: u8 = FLEET_VERSION;

    fn kind(&self) -> u8 {
        match self {
            Self::Sealed(_) => 41,
            Self::Opened(_) => 42,
            Self::Ended(response) => response.kind(),
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Sealed(sealed) => to.bytes(sealed),
            Self::Opened(nonce) => to.fixed(nonce),
            Self::Ended(response) => response.put(to),
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        Ok(match kind {
            41 => Self::Sealed(from.bytes(SEALED, "sealed")?.to_vec()),
            42 => Self::Opened(from.array("opened")?),
            kind => Self::Ended(FleetResponse::take(kind, from)?),
        })
    }
}
