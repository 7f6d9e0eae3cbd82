//! Messages that a host signs, so that its relay can neither make nor change one.

use super::{FrameError, Tag, VerdictKey, Writer};
use subtle::ConstantTimeEq;

/// A message with a tag over all that it says.
pub trait Signed {
    /// Writes what the tag covers.
    fn put_signed(&self, to: &mut Writer);

    /// The key's tag of this kind of message over these bytes.
    fn tag_of(key: &VerdictKey, signed: &[u8]) -> Tag;

    /// Its tag.
    fn tag(&self) -> &Tag;

    /// Sets its tag.
    fn set_tag(&mut self, tag: Tag);

    /// Signs it with the host's key.
    ///
    /// # Errors
    /// It is too long for a frame.
    fn sign(&mut self, key: &VerdictKey) -> Result<(), FrameError> {
        self.set_tag(tag_by(self, key).ok_or(FrameError::TooLong)?);
        Ok(())
    }

    /// Whether the key has signed it as it is.
    #[must_use]
    fn is_signed_by(&self, key: &VerdictKey) -> bool {
        tag_by(self, key).is_some_and(|tag| tag.ct_eq(self.tag()).into())
    }
}

fn tag_by<M: Signed + ?Sized>(message: &M, key: &VerdictKey) -> Option<Tag> {
    let mut signed = Writer::new(&[]);
    message.put_signed(&mut signed);
    Some(M::tag_of(key, signed.so_far()?))
}
