//! The cold part of a record: credentials, recovery hashes, token. Its text form is TOML, see
//! docs/FILEFORMAT.md.

use super::{
    CredentialId, HardwareKeyType, KeyFingerprint, Name, RecordId, RecoverySet, State, Token, TokenId,
};
use qrtotp_otp::{Params, Window};
use qrtotp_values::ConfigDuration;
use qrtotp_values::UnixTime;
use std::sync::Arc;
use thiserror::Error;

/// Why a text is not a record. Never quotes the text.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum RecordError {
    /// Not TOML, or not the keys of a record.
    #[error("the record can't be parsed")]
    Syntax,
    /// A version that this program does not know.
    #[error("the record has a version that this program does not know")]
    Version,
    /// A value that a record can't have, with its key.
    #[error("the record's value of `{0}` is not valid")]
    Value(&'static str),
}

/// A device label from its owner: at most 64 characters, with `…` if it was longer, and no character that
/// could forge output.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
// Shared: a login clones it between a decision and its write, where it must not allocate.
pub struct Label(Arc<str>);

impl Label {
    /// Takes a label: unsafe characters become `?`, and text beyond 64 characters is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(qrtotp_values::text::clean(text.trim(), 64).into())
    }

    /// The label as text, maybe empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The origin of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We showed its QR code, and a first code confirmed it.
    Enrolled,
    /// Its secret was imported.
    Imported,
}

impl Origin {
    /// Its word in records and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Imported => "imported",
        }
    }
}

/// One enrolled authenticator app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its public name.
    pub id: CredentialId,
    /// The owner's name for the device.
    pub label: Label,
    /// Algorithm, digits and period.
    pub params: Params,
    /// When it was activated.
    pub created: UnixTime,
    /// Its origin.
    pub origin: Origin,
    /// The window of its codes, if it was imported with one; otherwise the host's.
    pub window: Option<Window>,
    /// The secret, sealed for this account and credential.
    pub sealed: Vec<u8>,
}

/// A registered hardware ssh key. Only the record, which is root's, makes a key count as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    /// Its public name, unlike that of any other credential of the account.
    pub id: CredentialId,
    /// The owner's name for it.
    pub label: Label,
    /// Its type.
    pub kind: HardwareKeyType,
    /// The SHA-256 of its public key.
    pub fingerprint: KeyFingerprint,
    /// When it was registered.
    pub created: UnixTime,
}

/// A credential whose QR code was shown and not confirmed yet. No login accepts its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The credential to be; `created` is when its QR code was shown.
    pub credential: Credential,
    /// The token that it was shown for.
    pub token: TokenId,
    /// First codes that were tried; counted before they are checked.
    pub guesses: u32,
}

impl Pending {
    /// True while it may be confirmed. A clock that was set back also ends it.
    #[must_use]
    pub fn is_live(&self, now: UnixTime, limit: ConfigDuration) -> bool {
        (0..limit.as_seconds()).contains(&now.saturating_sub(self.credential.created))
    }
}

/// The account's status at a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentStatus {
    /// It has credentials.
    Enrolled,
    /// It never had any, but may have a token.
    Unenrolled,
    /// It had some, and they were revoked: denied until an admin issues a token.
    Revoked,
}

/// The cold part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account's name.
    pub name: Name,
    /// The uid of the name when the record was made. Any other uid denies.
    pub uid: u32,
    /// Ties the record to its state.
    pub id: RecordId,
    /// When a credential was last revoked. Kept beside later ones: one of their keys may be the revoked one.
    pub revoked: Option<UnixTime>,
    /// Unix time up to which removed credentials had burnt their codes, 0 for never: a key that is enrolled
    /// again starts there.
    pub burnt_until: UnixTime,
    /// Enrolled apps.
    pub credentials: Vec<Credential>,
    /// Registered hardware ssh keys. There are none without an enrolled app.
    pub ssh_keys: Vec<SshKey>,
    /// Recovery codes, as hashes.
    pub recovery: Option<RecoverySet>,
    /// Recovery codes are owed: the last set was not acknowledged, or none could be shown.
    pub recovery_due: bool,
    /// The enrolment token, live or ended.
    pub token: Option<Token>,
    /// The credential last shown for the token.
    pub pending: Option<Pending>,
}

impl Record {
    /// Most ssh keys of an account.
    pub const MAX_SSH_KEYS: usize = 8;

    /// A record without credentials.
    #[must_use]
    pub fn new(name: Name, uid: u32, id: RecordId) -> Self {
        Self {
            name,
            uid,
            id,
            revoked: None,
            burnt_until: 0,
            credentials: Vec::new(),
            ssh_keys: Vec::new(),
            recovery: None,
            recovery_due: false,
            token: None,
            pending: None,
        }
    }

    /// The account's status at a login.
    #[must_use]
    pub fn enrolment_status(&self) -> EnrolmentStatus {
        match (self.credentials.is_empty(), self.revoked) {
            (false, _) => EnrolmentStatus::Enrolled,
            (true, None) => EnrolmentStatus::Unenrolled,
            (true, Some(_)) => EnrolmentStatus::Revoked,
        }
    }

    /// The app with that id.
    #[must_use]
    pub fn credential(&self, id: CredentialId) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// The ids of all credentials: apps, then ssh keys.
    pub fn ids(&self) -> impl Iterator<Item = CredentialId> {
        self.credentials.iter().map(|app| app.id).chain(self.ssh_keys.iter().map(|key| key.id))
    }

    /// Whether a credential of any kind has that id.
    #[must_use]
    pub fn has_credential(&self, id: CredentialId) -> bool {
        self.ids().any(|known| known == id)
    }

    /// The registered hardware key among those that sshd accepted in a login of the account, if there is one.
    #[must_use]
    pub fn hardware_key(&self, accepted: &[KeyFingerprint]) -> Option<&SshKey> {
        let enrolled = self.enrolment_status() == EnrolmentStatus::Enrolled;
        self.ssh_keys.iter().find(|key| enrolled && accepted.contains(&key.fingerprint))
    }

    /// The label of a credential of any kind.
    pub fn label_mut(&mut self, id: CredentialId) -> Option<&mut Label> {
        let apps = self.credentials.iter_mut().map(|app| (app.id, &mut app.label));
        let keys = self.ssh_keys.iter_mut().map(|key| (key.id, &mut key.label));
        apps.chain(keys).find_map(|(known, label)| (known == id).then_some(label))
    }

    /// Removes credentials at once. Removing the last app also removes the ssh keys, the recovery codes and
    /// any live token, and the account is revoked. `state` is the record's own: its burnt codes stay burnt if
    /// a key is enrolled again.
    pub fn revoke(
        &mut self,
        state: &mut State,
        which: impl Fn(CredentialId) -> bool,
        now: UnixTime,
    ) -> Vec<(CredentialId, Label)> {
        state.throttle.remembered.clear();
        let apps = std::mem::take(&mut self.credentials).into_iter();
        let (gone, kept): (Vec<_>, _) = apps.partition(|app| which(app.id));
        self.credentials = kept;
        let all_keys = self.credentials.is_empty();
        let keys = std::mem::take(&mut self.ssh_keys).into_iter();
        let (gone_keys, kept): (Vec<_>, _) = keys.partition(|key| all_keys || which(key.id));
        self.ssh_keys = kept;
        if !gone.is_empty() {
            self.revoked = Some(now);
        }
        self.burnt_until = self.burnt_without(&gone, state);
        if self.credentials.is_empty() {
            self.recovery = None;
            self.recovery_due = false;
            self.pending = None;
            if let Some(token) = &mut self.token {
                let _ = token.revoke(now); // an ended token keeps its state
            }
        }
        let apps = gone.into_iter().map(|app| (app.id, app.label));
        apps.chain(gone_keys.into_iter().map(|key| (key.id, key.label))).collect()
    }

    /// The value of [`Record::burnt_until`] after removing these credentials.
    #[must_use]
    pub fn burnt_without(&self, gone: &[Credential], state: &State) -> UnixTime {
        let ends = gone
            .iter()
            .filter_map(|gone| Some(gone.params.end_of(state.credential_state(gone.id)?.watermark)));
        ends.fold(self.burnt_until, UnixTime::max)
    }
}
