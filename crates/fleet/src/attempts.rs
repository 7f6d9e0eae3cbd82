//! Attempts: one answer of one person, under an id that the login host made. The last ones are kept beside
//! the account's state, in the same transaction, so that a lost answer is found by reading.

use crate::bytes::{Malformed, Reader};
use crate::keys::HostName;
use qrtotp_account::Decision;
use qrtotp_otp::{RandomError, random_bytes};
use sha2::{Digest, Sha256};

/// How many attempts an account keeps.
const KEPT: usize = 8;

/// The id of an attempt, made at random by the login host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId(pub [u8; 16]);

impl AttemptId {
    /// A new id.
    ///
    /// # Errors
    /// No random numbers.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(random_bytes()?))
    }
}

/// A digest of an answer, which tells whether a repeated attempt has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerDigest([u8; 8]);

impl AnswerDigest {
    /// The digest of an answer in this attempt. It stays inside sealed values: a short code could be guessed
    /// from it.
    #[must_use]
    pub fn of(attempt: AttemptId, answer: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(attempt.0).chain_update(answer).finalize();
        let mut digest = [0; 8];
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(digest)
    }
}

/// Names one transaction, so that whether it was carried out can be seen.
pub(crate) type Tag = [u8; 8];

/// An attempt as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub id: AttemptId,
    /// The digest of the host's name.
    pub host: [u8; 6],
    pub answer: AnswerDigest,
    /// None as long as another update of the attempt is to come (a recovery code counts as wrong until it is
    /// hashed), and for an answer that was not looked at but is a sign of an attack.
    pub decision: Option<Decision>,
    pub tag: Tag,
}

/// The last attempts of an account, the newest one last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts(Vec<Kept>);

impl Attempts {
    pub fn find(&self, id: AttemptId) -> Option<&Kept> {
        self.0.iter().find(|kept| kept.id == id)
    }

    /// The same with this attempt as the newest one.
    pub fn with(&self, new: Kept) -> Self {
        let mut list: Vec<Kept> = self.0.iter().filter(|kept| kept.id != new.id).copied().collect();
        list.push(new);
        list.drain(..list.len().saturating_sub(KEPT));
        Self(list)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(0)); // at most KEPT
        for kept in &self.0 {
            out.extend_from_slice(&kept.id.0);
            out.extend_from_slice(&kept.host);
            out.extend_from_slice(&kept.answer.0);
            out.push(match kept.decision {
                None => 0,
                Some(Decision::Accepted) => 1,
                Some(Decision::Refused) => 2,
            });
            out.extend_from_slice(&kept.tag);
        }
    }

    pub fn read(bytes: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::from(bytes.byte()?);
        if count > KEPT {
            return Err(Malformed);
        }
        let kept = |bytes: &mut Reader<'_>| {
            Ok(Kept {
                id: AttemptId(bytes.array()?),
                host: bytes.array()?,
                answer: AnswerDigest(bytes.array()?),
                decision: match bytes.byte()? {
                    0 => None,
                    1 => Some(Decision::Accepted),
                    2 => Some(Decision::Refused),
                    _ => return Err(Malformed),
                },
                tag: bytes.array()?,
            })
        };
        (0..count).map(|_| kept(bytes)).collect::<Result<_, _>>().map(Self)
    }
}

/// The digest of a host's name. No host: zeros.
pub(crate) fn host_digest(host: Option<&HostName>) -> [u8; 6] {
    let mut digest = [0; 6];
    if let Some(host) = host {
        let hash = Sha256::digest(host.as_str());
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    }
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(id: u8, decision: Option<Decision>) -> Kept {
        let id = AttemptId([id; 16]);
        Kept { id, host: [1; 6], answer: AnswerDigest::of(id, b"123456"), decision, tag: [id.0[0]; 8] }
    }

    #[test]
    fn the_last_eight_attempts_are_kept_and_read_back() {
        let mut attempts = Attempts::default();
        for id in 0..20 {
            let decision = [None, Some(Decision::Accepted), Some(Decision::Refused)][usize::from(id % 3)];
            attempts = attempts.with(kept(id, decision));
            let mut bytes = Vec::new();
            attempts.encode(&mut bytes);
            assert_eq!(Attempts::read(&mut Reader(&bytes)), Ok(attempts.clone()));
        }
        let ids: Vec<u8> = attempts.0.iter().map(|kept| kept.id.0[0]).collect();
        assert_eq!(ids, (12..20).collect::<Vec<u8>>());
    }

    #[test]
    fn an_attempt_that_is_decided_later_is_kept_once() {
        let attempts = Attempts::default().with(kept(1, None)).with(kept(2, None));
        let attempts = attempts.with(kept(1, Some(Decision::Accepted)));
        assert_eq!(attempts.0.len(), 2);
        assert_eq!(attempts.find(AttemptId([1; 16])).unwrap().decision, Some(Decision::Accepted));
    }
}
