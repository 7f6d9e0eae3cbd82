//! The key that a host's root and the verifiers share. The relay never has it: it can delay and drop requests
//! and verdicts, but not make them.
//!
//! A shared key instead of signatures: the module has BLAKE2b anyway, and Ed25519 would add some 50 kB to it.
//! The price: a verifier's list of hosts holds keys with which verdicts can be made; but a verifier decides
//! all logins anyway. A host's key makes verdicts for that host only.

use blake2::Blake2bMac;
use blake2::digest::{KeyInit, Mac, consts::U32};
use qrtotp_values::Verdict;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const VERDICT_KEY_LEN: usize = 32;
/// Bytes of a verifier's part of a session's keys.
pub const SESSION_NONCE_LEN: usize = 32;
/// Keyed BLAKE2b-256 (RFC 7693).
pub type Tag = [u8; 32];

/// An end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The host's broker.
    Host,
    /// The verifier.
    Verifier,
}

/// The key of one host. Wiped when dropped, never shown.
pub struct VerdictKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for VerdictKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerdictKey")
    }
}

impl VerdictKey {
    /// A key of [`VERDICT_KEY_LEN`] bytes; `None` if it has another length.
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == VERDICT_KEY_LEN).then_some(Self(bytes))
    }

    /// Its bytes, to store them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn tag(&self, what: u8, parts: [&[u8]; 2]) -> Tag {
        // Fails only for keys of more than 64 bytes.
        let Ok(mut mac) = <Blake2bMac<U32> as KeyInit>::new_from_slice(&self.0) else {
            return Tag::default();
        };
        mac.update(&[what]);
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// Signs the fields of a request.
    #[must_use]
    pub(super) fn request_tag(&self, fields: &[u8]) -> Tag {
        self.tag(b'q', [fields, &[]])
    }

    /// Signs the fields of a message that opens a session.
    #[must_use]
    pub(super) fn session_tag(&self, fields: &[u8]) -> Tag {
        self.tag(b's', [fields, &[]])
    }

    /// The key that seals what one end of a session sends. `opened` is the tag of the message that opened it
    /// and `nonce` the verifier's reply, so each session has keys of its own.
    #[must_use]
    pub fn session_key(
        &self,
        opened: &Tag,
        nonce: &[u8; SESSION_NONCE_LEN],
        from: SessionEnd,
    ) -> Zeroizing<Tag> {
        let from = match from {
            SessionEnd::Host => b'h',
            SessionEnd::Verifier => b'r',
        };
        Zeroizing::new(self.tag(from, [opened, nonce]))
    }

    /// Signs the use of a break-glass code.
    #[must_use]
    pub(super) fn offline_tag(&self, fields: &[u8]) -> Tag {
        self.tag(b'o', [fields, &[]])
    }

    /// Signs the verdict on the request that has the tag `request`. That one covers the attempt's id, the
    /// account and all else, so the verdict is good for nothing else.
    #[must_use]
    pub fn verdict_tag(&self, request: &Tag, verdict: Verdict) -> Tag {
        self.tag(b'v', [request, &[verdict.to_byte()]])
    }

    /// Whether the key has signed this verdict on this request.
    #[must_use]
    pub fn has_signed(&self, request: &Tag, verdict: Verdict, tag: &Tag) -> bool {
        self.verdict_tag(request, verdict).ct_eq(tag).into()
    }
}
