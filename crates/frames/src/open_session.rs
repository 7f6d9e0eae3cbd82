//! How a host's broker opens a session: a user's conversation with a verifier about their own account.

use super::{ATTEMPT_LEN, FLEET_VERSION, Fields, FrameError, Message, NAME, Tag, VerdictKey, Writer};
use subtle::ConstantTimeEq;

/// The kind of [`OpenSession`].
pub(super) const OPEN: u8 = 40;

/// The wish of a user to speak to a verifier, from the broker of a host. [`OpenSession::sign`] signs it.
#[derive(PartialEq, Eq)]
pub struct OpenSession {
    /// Random.
    pub attempt: [u8; ATTEMPT_LEN],
    /// The user's canonical name.
    pub account: String,
    /// Their uid, as the kernel reports it.
    pub uid: u32,
    /// Made by [`OpenSession::sign`].
    pub tag: Tag,
}

impl OpenSession {
    fn put_signed(&self, to: &mut Writer) {
        to.fixed(&self.attempt);
        to.bytes(self.account.as_bytes());
        to.number(self.uid);
    }

    fn tag_by(&self, key: &VerdictKey) -> Option<Tag> {
        let mut signed = Writer::new(&[]);
        self.put_signed(&mut signed);
        Some(key.session_tag(signed.so_far()?))
    }

    /// Signs it with the host's key, so that a relay can't open a session.
    ///
    /// # Errors
    /// It is too long for a frame.
    pub fn sign(&mut self, key: &VerdictKey) -> Result<(), FrameError> {
        self.tag = self.tag_by(key).ok_or(FrameError::TooLong)?;
        Ok(())
    }

    /// Whether the key has signed it as it is.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerdictKey) -> bool {
        self.tag_by(key).is_some_and(|tag| tag.ct_eq(&self.tag).into())
    }
}

impl Message for OpenSession {
    const VERSION: u8 = FLEET_VERSION;

    fn kind(&self) -> u8 {
        OPEN
    }

    fn put(&self, to: &mut Writer) {
        self.put_signed(to);
        to.fixed(&self.tag);
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        if kind != OPEN {
            return Err(FrameError::Kind(kind));
        }
        Ok(Self {
            attempt: from.array("attempt")?,
            account: from.line(NAME, "account")?.to_owned(),
            uid: from.number("uid")?,
            tag: from.array("tag")?,
        })
    }
}
