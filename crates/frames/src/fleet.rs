//! The messages between a login host and a fleet's verifier. The relay passes on those of kinds 9 and 40 as
//! they are.

use super::open_session::{OPEN, OpenSession};
use super::{
    ATTEMPT_LEN, FLEET_VERSION, Fields, FrameError, Message, NAME, Signed, Tag, VERDICT_KEY_LEN, VerdictKey,
    Writer,
};
use qrtotp_values::Verdict;
use zeroize::Zeroizing;

/// The kind of [`VerifyForHost`].
const VERIFY: u8 = 9;
/// Longest answer and longest list of accepted ssh keys, in bytes.
const ANSWER: usize = 4096;
/// Longest public key, longest certificate, and longest list of certificates, in bytes.
const PUBLIC_KEY: usize = 128;
const CERTIFICATE: usize = 4096;
const CERTIFICATES: usize = 12 * 1024;
/// Longest text for an administrator, in bytes.
const TEXT: usize = 1024;
/// Most CAs that a host trusts at a time: two while the fleet changes its CA.
const AUTHORITIES: usize = 4;

/// A login host's request.
#[derive(PartialEq, Eq)]
pub enum FleetRequest {
    /// Verify an answer.
    Verify(Box<VerifyForHost>),
    /// Become a login host; the only request on a connection without a certificate.
    Join(Box<JoinRequest>),
    /// A new certificate for the same key.
    Renew,
    /// A break-glass code was used while no verifier answered.
    OfflineUse(Box<OfflineUse>),
    /// The relay is here.
    Report {
        /// Its version.
        version: String,
        /// SHA-256 of the certificates of the CAs that it trusts; the first one made its own certificate.
        authorities: Vec<[u8; 32]>,
    },
    /// A user of the host wants to speak to a verifier; [`super::SessionFrame`]s follow.
    Session(Box<OpenSession>),
}

/// An answer to verify, with what the host says about the login. [`Signed::sign`] signs all of it.
#[derive(PartialEq, Eq)]
pub struct VerifyForHost {
    /// Random. The same request, sent again, gets the same verdict.
    pub attempt: [u8; ATTEMPT_LEN],
    /// The account's canonical name; empty: the host knows no such user.
    pub account: String,
    /// The account's uid on the host.
    pub uid: u32,
    /// The host's claims about the login.
    pub facts: Facts,
    /// The typed answer.
    pub answer: Zeroizing<Vec<u8>>,
    /// Made by [`Signed::sign`].
    pub tag: Tag,
}

/// A host's claims about a login.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The PAM service.
    pub service: String,
    /// The terminal.
    pub tty: String,
    /// The remote host.
    pub rhost: String,
    /// The module's argument `nullok`.
    pub nullok: bool,
    /// A PAM module before ours took a password.
    pub password: bool,
    /// sshd's list of the keys that it accepted.
    pub keys: Vec<u8>,
}

/// The use of a break-glass code at a host, told later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineUse {
    /// The same each time this use is told.
    pub id: [u8; ATTEMPT_LEN],
    /// The account's canonical name.
    pub account: String,
    /// When it was noticed, by the host's clock.
    pub at: u32,
    /// How many of the account's codes are left at the host.
    pub left: u32,
    /// Made by [`Signed::sign`].
    pub tag: Tag,
}

impl Signed for OfflineUse {
    fn put_signed(&self, to: &mut Writer) {
        to.fixed(&self.id);
        to.bytes(self.account.as_bytes());
        to.number(self.at);
        to.number(self.left);
    }

    fn tag_of(key: &VerdictKey, signed: &[u8]) -> Tag {
        key.offline_tag(signed)
    }

    fn tag(&self) -> &Tag {
        &self.tag
    }

    fn set_tag(&mut self, tag: Tag) {
        self.tag = tag;
    }
}

/// The wish to become a login host.
#[derive(PartialEq, Eq)]
pub struct JoinRequest {
    /// The secret part of an invitation.
    pub token: String,
    /// The host's name.
    pub host: String,
    /// Its public key; the private one never leaves it.
    pub public_key: Vec<u8>,
    /// The key that its root and the verifiers share.
    pub verdict_key: Zeroizing<Vec<u8>>,
}

impl Signed for VerifyForHost {
    fn put_signed(&self, to: &mut Writer) {
        let Facts { service, tty, rhost, nullok, password, keys } = &self.facts;
        to.fixed(&self.attempt);
        to.bytes(self.account.as_bytes());
        to.number(self.uid);
        for text in [service, tty, rhost] {
            to.cut(text, NAME);
        }
        to.byte((*nullok).into());
        to.byte((*password).into());
        to.bytes(keys);
        to.bytes(&self.answer);
    }

    fn tag_of(key: &VerdictKey, signed: &[u8]) -> Tag {
        key.request_tag(signed)
    }

    fn tag(&self) -> &Tag {
        &self.tag
    }

    fn set_tag(&mut self, tag: Tag) {
        self.tag = tag;
    }
}

/// The host's module sends nothing else, so it need not know the other requests.
impl Message for VerifyForHost {
    const VERSION: u8 = FLEET_VERSION;

    fn kind(&self) -> u8 {
        VERIFY
    }

    fn put(&self, to: &mut Writer) {
        self.put_signed(to);
        to.fixed(&self.tag);
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        if kind != VERIFY {
            return Err(FrameError::Kind(kind));
        }
        let line = |from: &mut Fields<'_>, field| from.line(NAME, field).map(str::to_owned);
        Ok(Self {
            attempt: from.array("attempt")?,
            account: line(from, "account")?,
            uid: from.number("uid")?,
            facts: Facts {
                service: line(from, "service")?,
                tty: line(from, "tty")?,
                rhost: line(from, "rhost")?,
                nullok: from.bool("nullok")?,
                password: from.bool("password")?,
                keys: from.bytes(ANSWER, "keys")?.to_vec(),
            },
            answer: Zeroizing::new(from.bytes(ANSWER, "answer")?.to_vec()),
            tag: from.array("tag")?,
        })
    }
}

impl Message for FleetRequest {
    const VERSION: u8 = FLEET_VERSION;

    // 13 and 14 are reserved for a confirmation on a phone.
    fn kind(&self) -> u8 {
        match self {
            Self::Verify(request) => request.kind(),
            Self::Join(_) => 10,
            Self::Renew => 11,
            Self::Report { .. } => 12,
            Self::Session(open) => open.kind(),
            Self::OfflineUse(_) => 15,
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Verify(request) => request.put(to),
            Self::Join(request) => {
                to.bytes(request.token.as_bytes());
                to.bytes(request.host.as_bytes());
                to.bytes(&request.public_key);
                to.bytes(&request.verdict_key);
            }
            Self::Renew => {}
            Self::Session(open) => open.put(to),
            Self::OfflineUse(used) => {
                used.put_signed(to);
                to.fixed(&used.tag);
            }
            Self::Report { version, authorities } => {
                to.cut(version, NAME);
                let known = authorities.get(..AUTHORITIES).unwrap_or(authorities);
                to.bytes(known.as_flattened());
            }
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        Ok(match kind {
            VERIFY => Self::Verify(Box::new(VerifyForHost::take(kind, from)?)),
            10 => Self::Join(Box::new(JoinRequest {
                token: from.line(NAME, "token")?.to_owned(),
                host: from.line(NAME, "host")?.to_owned(),
                public_key: from.bytes(PUBLIC_KEY, "public_key")?.to_vec(),
                verdict_key: Zeroizing::new(from.bytes(VERDICT_KEY_LEN, "verdict_key")?.to_vec()),
            })),
            11 => Self::Renew,
            OPEN => Self::Session(Box::new(OpenSession::take(kind, from)?)),
            12 => Self::Report {
                version: from.line(NAME, "version")?.to_owned(),
                authorities: hashes(from.bytes(AUTHORITIES * 32, "authorities")?)?,
            },
            15 => Self::OfflineUse(Box::new(OfflineUse {
                id: from.array("id")?,
                account: from.line(NAME, "account")?.to_owned(),
                at: from.number("at")?,
                left: from.number("left")?,
                tag: from.array("tag")?,
            })),
            other => return Err(FrameError::Kind(other)),
        })
    }
}

/// A verifier's response, or the relay's if no verifier responded.
#[derive(Debug, PartialEq, Eq)]
pub enum FleetResponse {
    /// Done.
    Done,
    /// Understood, but refused, with the reason for the administrator.
    Refused(String),
    /// The verdict, with [`VerdictKey::verdict_tag`].
    Verdict(Verdict, Tag),
    /// A certificate for the host's key, and those of CAs: [`Renewal::from_bytes`] reads them.
    Certificates(Vec<u8>),
    /// No verdict, and why. The request may have been carried out.
    Unavailable(Unavailable),
}

/// A host's certificate, and the CAs that it is to trust from now on. All of them are X.509 DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The CAs' certificates; the first one made the host's.
    pub authorities: Vec<Vec<u8>>,
}

impl Renewal {
    /// The certificates, each with its length before it.
    ///
    /// # Errors
    /// They are too long for a frame.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrameError> {
        let mut all = Writer::new(&[]);
        all.bytes(&self.certificate);
        self.authorities.iter().for_each(|authority| all.bytes(authority));
        Ok(all.finish()?.to_vec())
    }

    /// Reads them.
    ///
    /// # Errors
    /// There are fewer than two, more than the CAs that a host trusts at a time, or others than certificates
    /// of the usual length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut from = Fields::new(bytes);
        let certificate = from.bytes(CERTIFICATE, "certificate")?.to_vec();
        let mut authorities = Vec::new();
        while authorities.is_empty() || from.end().is_err() {
            authorities.push(from.bytes(CERTIFICATE, "authorities")?.to_vec());
        }
        if authorities.len() > AUTHORITIES {
            return Err(FrameError::Field("authorities"));
        }
        Ok(Self { certificate, authorities })
    }
}

fn hashes(bytes: &[u8]) -> Result<Vec<[u8; 32]>, FrameError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(hashes.to_vec()) } else { Err(FrameError::Field("authorities")) }
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Too many requests for this account wait already.
    Busy,
    /// The verifier's store does not answer. Another verifier may know more.
    Store,
    /// No verifier was reached in time.
    NoVerifier,
}

impl Message for FleetResponse {
    const VERSION: u8 = FLEET_VERSION;

    fn kind(&self) -> u8 {
        match self {
            Self::Done => 49,
            Self::Refused(_) => 50,
            Self::Verdict(..) => 52,
            Self::Certificates(_) => 53,
            Self::Unavailable(_) => 54,
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Done => {}
            Self::Refused(text) => to.cut(text, TEXT),
            Self::Verdict(verdict, tag) => {
                to.byte(verdict.to_byte());
                to.fixed(tag);
            }
            Self::Certificates(certificates) => to.bytes(certificates),
            Self::Unavailable(why) => to.byte(match why {
                Unavailable::Busy => 0,
                Unavailable::Store => 1,
                Unavailable::NoVerifier => 2,
            }),
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        Ok(match kind {
            49 => Self::Done,
            50 => Self::Refused(from.text(TEXT, "text")?.to_owned()),
            52 => {
                let verdict = Verdict::from_byte(from.byte("verdict")?);
                Self::Verdict(verdict.ok_or(FrameError::Field("verdict"))?, from.array("tag")?)
            }
            53 => Self::Certificates(from.bytes(CERTIFICATES, "certificates")?.to_vec()),
            54 => Self::Unavailable(match from.byte("why")? {
                0 => Unavailable::Busy,
                1 => Unavailable::Store,
                2 => Unavailable::NoVerifier,
                _ => return Err(FrameError::Field("why")),
            }),
            other => return Err(FrameError::Kind(other)),
        })
    }
}
