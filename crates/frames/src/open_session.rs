//! How a host's broker opens a session: a user's conversation with a verifier about their own account.

use super::{ATTEMPT_LEN, FLEET_VERSION, Fields, FrameError, Message, NAME, Signed, Tag, VerdictKey, Writer};

/// The kind of [`OpenSession`].
pub(super) const OPEN: u8 = 40;

/// The wish of a user to speak to a verifier, from the broker of a host. [`Signed::sign`] signs it.
#[derive(PartialEq, Eq)]
pub struct OpenSession {
    /// Random.
    pub attempt: [u8; ATTEMPT_LEN],
    /// The user's canonical name.
    pub account: String,
    /// Their uid, as the kernel reports it.
    pub uid: u32,
    /// Made by [`Signed::sign`].
    pub tag: Tag,
}

impl Signed for OpenSession {
    fn put_signed(&self, to: &mut Writer) {
        to.fixed(&self.attempt);
        to.bytes(self.account.as_bytes());
        to.number(self.uid);
    }

    fn tag_of(key: &VerdictKey, signed: &[u8]) -> Tag {
        key.session_tag(signed)
    }

    fn tag(&self) -> &Tag {
        &self.tag
    }

    fn set_tag(&mut self, tag: Tag) {
        self.tag = tag;
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
