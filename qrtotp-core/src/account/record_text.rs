//! The text form of a record's cold part: TOML, see docs/FILEFORMAT.md.

use super::record::{Credential, Label, Origin, Pending, Record, RecordError};
use super::state::MAX_MARKS;
use super::{Binding, Name, RecordId, RecoverySet, SALT_LEN, Token, TokenState};
use crate::clock::UnixTime;
use crate::otp::{Params, base32_decode, base32_encode};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    version: u32,
    name: String,
    uid: u32,
    record: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<UnixTime>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recovery_due: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credential: Vec<CredentialText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<PendingText>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_by: Option<String>,
    expires: UnixTime,
    shows: u8,
    max_shows: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<BindingText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BindingText {
    kdf: String,
    salt: String,
    hash: String,
    expires: UnixTime,
    failures: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingText {
    token: String,
    guesses: u32,
    credential: CredentialText,
}

/// What [`super::hash_code`] does, by name, so that another one can follow.
const KDF: &str = "argon2id-19456-2-1";

impl Text {
    pub(super) fn from_record(record: &Record) -> Self {
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
            recovery_due: record.recovery_due,
            token: record.token.as_ref().map(TokenText::from_token),
            pending: record.pending.as_ref().map(|pending| PendingText {
                token: pending.token.to_string(),
                guesses: pending.guesses,
                credential: CredentialText::from_credential(&pending.credential),
            }),
        }
    }

    pub(super) fn into_record(self) -> Result<Record, RecordError> {
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
        if self
            .pending
            .as_ref()
            .is_some_and(|p| credentials.iter().any(|c| c.id.to_string() == p.credential.id))
        {
            return Err(Value("pending.credential.id"));
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
            recovery_due: self.recovery_due,
            token: self.token.map(TokenText::into_token).transpose()?,
            pending: self.pending.map(PendingText::into_pending).transpose()?,
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
    fn from_token(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            state: token.state.as_str().to_owned(),
            at: token.state.at(),
            issued: token.issued,
            issued_by: token.issued_by.clone(),
            expires: token.expires,
            shows: token.shows,
            max_shows: token.max_shows,
            code: token.binding.as_ref().map(|binding| BindingText {
                kdf: KDF.to_owned(),
                salt: base32_encode(&binding.salt),
                hash: base32_encode(&binding.hash),
                expires: binding.expires,
                failures: binding.failures,
            }),
        }
    }

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
            binding: self.code.map(BindingText::into_binding).transpose()?,
        })
    }
}

impl BindingText {
    fn into_binding(self) -> Result<Binding, RecordError> {
        use RecordError::Value;
        if self.kdf != KDF {
            return Err(Value("token.code.kdf"));
        }
        Ok(Binding {
            salt: bytes(&self.salt).ok_or(Value("token.code.salt"))?,
            hash: bytes(&self.hash).ok_or(Value("token.code.hash"))?,
            expires: self.expires,
            failures: self.failures,
        })
    }
}

impl PendingText {
    fn into_pending(self) -> Result<Pending, RecordError> {
        let token = self.token.parse().map_err(|_| RecordError::Value("pending.token"))?;
        Ok(Pending { credential: self.credential.into_credential()?, token, guesses: self.guesses })
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    base32_decode(text).ok()?.as_slice().try_into().ok()
}
