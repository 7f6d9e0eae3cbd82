//! The cold part of a record: credentials, recovery hashes, token. Its text form is TOML, see docs/FILEFORMAT.md.

use super::state::MAX_MARKS;
use super::{CredentialId, Name, RecordId, RecoverySet, SALT_LEN, Token, TokenState};
use crate::clock::UnixTime;
use crate::otp::{Params, base32_decode, base32_encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the text is no record. Never quotes the text.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum RecordError {
    /// Not TOML, or not the keys of a record.
    #[error("the record can't be parsed")]
    Syntax,
    /// A version that this program does not know.
    #[error("the record has a version that this program does not know")]
    Version,
    /// A value that a record can't have; the key is named.
    #[error("the record's value of `{0}` is not valid")]
    Value(&'static str),
}

/// A device label as the person gave it: at most 64 characters, none of them able to forge output.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Label(String);

impl Label {
    /// Takes a label; unsafe characters become `?`, the rest beyond 64 characters is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(crate::text::clean(text.trim(), 64))
    }

    /// The label as text, maybe empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a credential came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Its QR code was shown by us and confirmed with a first code.
    Enrolled,
    /// It came from elsewhere with its secret.
    Imported,
}

/// One enrolled authenticator app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its public name.
    pub id: CredentialId,
    /// What the owner calls the device.
    pub label: Label,
    /// Algorithm, digits and period.
    pub params: Params,
    /// When it was activated.
    pub created: UnixTime,
    /// How it came to be.
    pub origin: Origin,
    /// The secret, sealed for this account and credential.
    pub sealed: Vec<u8>,
}

/// What an account is to a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has credentials.
    Enrolled,
    /// It never had any; at most a token waits for it.
    Unenrolled,
    /// It had some, and they were revoked: denied until an admin issues a token.
    Revoked,
}

/// The cold part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account.
    pub name: Name,
    /// The uid that the name had when the record was made. Another one denies.
    pub uid: u32,
    /// Ties the record to its state.
    pub id: RecordId,
    /// When the last credential was revoked.
    pub revoked: Option<UnixTime>,
    /// Enrolled apps.
    pub credentials: Vec<Credential>,
    /// Recovery codes, as hashes.
    pub recovery: Option<RecoverySet>,
    /// The enrolment token, live or ended.
    pub token: Option<Token>,
}

impl Record {
    /// A record without credentials.
    #[must_use]
    pub fn new(name: Name, uid: u32, id: RecordId) -> Self {
        Self { name, uid, id, revoked: None, credentials: Vec::new(), recovery: None, token: None }
    }

    /// What the account is to a login.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.credentials.is_empty(), self.revoked) {
            (false, _) => Standing::Enrolled,
            (true, None) => Standing::Unenrolled,
            (true, Some(_)) => Standing::Revoked,
        }
    }

    /// The credential of that id.
    #[must_use]
    pub fn credential(&self, id: CredentialId) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// Removes credentials at once; with the last one go the recovery codes and any live token, and the account is revoked.
    pub fn revoke(&mut self, which: impl Fn(&Credential) -> bool, now: UnixTime) -> Vec<Credential> {
        let (gone, kept) = std::mem::take(&mut self.credentials).into_iter().partition(which);
        self.credentials = kept;
        if self.credentials.is_empty() {
            self.revoked = Some(now);
            self.recovery = None;
            if let Some(token) = &mut self.token {
                let _ = token.revoke(now); // an ended token stays as it ended
            }
        }
        gone
    }

    /// The text form.
    ///
    /// # Errors
    /// A value that can't be written, which is a defect of this program.
    pub fn to_toml(&self) -> Result<String, RecordError> {
        toml::to_string(&Text::from_record(self)).map_err(|_| RecordError::Syntax)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// Not a record of a known version, with the key at fault where there is one.
    pub fn from_toml(text: &str) -> Result<Self, RecordError> {
        toml::from_str::<Text>(text).map_err(|_| RecordError::Syntax)?.into_record()
    }
}

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    name: String,
    uid: u32,
    record: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credential: Vec<CredentialText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialText {
    id: String,
    label: String,
    algorithm: String,
    digits: u8,
    period: u32,
    created: UnixTime,
    origin: Origin,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryText {
    id: String,
    created: UnixTime,
    kdf: String,
    salt: String,
    hashes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenText {
    id: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<UnixTime>,
    issued: UnixTime,
    issued_by: String,
    expires: UnixTime,
    shows: u8,
    max_shows: u8,
}

/// What [`super::hash_recovery_code`] does, by name, so that another one can follow.
const KDF: &str = "argon2id-19456-2-1";

impl Text {
    fn from_record(record: &Record) -> Self {
        Self {
            version: VERSION,
            name: record.name.as_str().to_owned(),
            uid: record.uid,
            record: base32_encode(&record.id.0),
            revoked: record.revoked,
            credential: record.credentials.iter().map(CredentialText::from_credential).collect(),
            recovery: record.recovery.as_ref().map(|set| RecoveryText {
                id: set.id.to_string(),
                created: set.created,
                kdf: KDF.to_owned(),
                salt: base32_encode(&set.salt),
                hashes: base32_encode(&set.hashes.concat()),
            }),
            token: record.token.as_ref().map(|token| TokenText {
                id: token.id.to_string(),
                state: token.state.as_str().to_owned(),
                at: token.state.at(),
                issued: token.issued,
                issued_by: token.issued_by.clone(),
                expires: token.expires,
                shows: token.shows,
                max_shows: token.max_shows,
            }),
        }
    }

    fn into_record(self) -> Result<Record, RecordError> {
        use RecordError::Value;
        if self.version != VERSION {
            return Err(RecordError::Version);
        }
        let mut credentials: Vec<Credential> = Vec::with_capacity(self.credential.len());
        for text in self.credential {
            let credential = text.into_credential()?;
            if credentials.iter().any(|known| known.id == credential.id) {
                return Err(Value("credential.id"));
            }
            credentials.push(credential);
        }
        if credentials.len() > MAX_MARKS {
            return Err(Value("credential"));
        }
        if !credentials.is_empty() && self.revoked.is_some() {
            return Err(Value("revoked"));
        }
        Ok(Record {
            name: Name::new(&self.name).map_err(|_| Value("name"))?,
            uid: self.uid,
            id: RecordId(bytes(&self.record).ok_or(Value("record"))?),
            revoked: self.revoked,
            credentials,
            recovery: self.recovery.map(RecoveryText::into_set).transpose()?,
            token: self.token.map(TokenText::into_token).transpose()?,
        })
    }
}

impl CredentialText {
    fn from_credential(credential: &Credential) -> Self {
        Self {
            id: credential.id.to_string(),
            label: credential.label.as_str().to_owned(),
            algorithm: credential.params.algorithm().as_str().to_owned(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            created: credential.created,
            origin: credential.origin,
            sealed: base32_encode(&credential.sealed),
        }
    }

    fn into_credential(self) -> Result<Credential, RecordError> {
        use RecordError::Value;
        let algorithm = self.algorithm.parse().map_err(|_| Value("credential.algorithm"))?;
        Ok(Credential {
            id: self.id.parse().map_err(|_| Value("credential.id"))?,
            label: Label::new(&self.label),
            params: Params::new(algorithm, self.digits, self.period)
                .map_err(|_| Value("credential.digits"))?,
            created: self.created,
            origin: self.origin,
            sealed: base32_decode(&self.sealed).map_err(|_| Value("credential.sealed"))?.to_vec(),
        })
    }
}

impl RecoveryText {
    fn into_set(self) -> Result<RecoverySet, RecordError> {
        use RecordError::Value;
        if self.kdf != KDF {
            return Err(Value("recovery.kdf"));
        }
        let hashes = base32_decode(&self.hashes).map_err(|_| Value("recovery.hashes"))?;
        let (hashes, rest) = hashes.as_chunks();
        if !rest.is_empty() || hashes.len() > 32 {
            return Err(Value("recovery.hashes"));
        }
        Ok(RecoverySet {
            id: self.id.parse().map_err(|_| Value("recovery.id"))?,
            created: self.created,
            salt: bytes::<SALT_LEN>(&self.salt).ok_or(Value("recovery.salt"))?,
            hashes: hashes.to_vec(),
        })
    }
}

impl TokenText {
    fn into_token(self) -> Result<Token, RecordError> {
        use RecordError::Value;
        let state = match (self.state.as_str(), self.at) {
            ("issued", None) => TokenState::Issued,
            ("shown", Some(at)) => TokenState::Shown(at),
            ("consumed", Some(at)) => TokenState::Consumed(at),
            ("expired", Some(at)) => TokenState::Expired(at),
            ("revoked", Some(at)) => TokenState::Revoked(at),
            _ => return Err(Value("token.state")),
        };
        Ok(Token {
            id: self.id.parse().map_err(|_| Value("token.id"))?,
            issued: self.issued,
            expires: self.expires,
            shows: self.shows,
            max_shows: self.max_shows,
            state,
            issued_by: self.issued_by,
        })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    base32_decode(text).ok()?.as_slice().try_into().ok()
}
