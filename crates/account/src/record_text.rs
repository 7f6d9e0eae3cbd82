//! The text form of a record's cold part, see docs/FILEFORMAT.md.

use super::record::{Credential, Label, Origin, Pending, Record, RecordError, SshKey};
use super::state::MAX_CREDENTIAL_STATES;
use super::toml_subset::{Document, NotPlain, Table, Writer};
use super::{
    Binding, HardwareKeyType, KeyFingerprint, Name, RecordId, RecoverySet, SALT_LEN, SetKind, Token,
    TokenState,
};
use RecordError::Value;
use qrtotp_otp::{MAX_OWN_SIDE, Params, Window, base32_decode, base32_encode};

const VERSION: u32 = 1;

/// The parameters of [`super::hash_code`], named so that others can follow.
const KDF: &str = "argon2id-19456-2-1";
/// The kind of a recovery set from another system. Ours is not written.
const IMPORTED: &str = "imported";
const OFFLINE: &str = "offline";
/// The kind of a credential that is not an app. An app's kind is not written. `passkey` is reserved.
const SSH_KEY: &str = "ssh-key";

impl Record {
    /// The text form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write(self)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// Not a record of a known version; names the key at fault if there is one.
    pub fn from_toml(text: &str) -> Result<Self, RecordError> {
        read(text)
    }
}

impl From<NotPlain> for RecordError {
    fn from(NotPlain: NotPlain) -> Self {
        Self::Syntax
    }
}

fn write(record: &Record) -> String {
    let mut out = Writer::default();
    out.number("version", VERSION);
    out.text("name", record.name.as_str());
    out.number("uid", record.uid);
    out.text("record", &base32_encode(&record.id.0));
    if let Some(time) = record.revoked {
        out.number("revoked", time);
    }
    if record.burnt_until != 0 {
        out.number("burnt_until", record.burnt_until);
    }
    if record.recovery_due {
        out.truth("recovery_due");
    }
    for credential in &record.credentials {
        out.table("[credential]");
        write_credential(&mut out, credential);
    }
    for key in &record.ssh_keys {
        out.table("[credential]");
        out.text("id", &key.id.to_string());
        out.text("kind", SSH_KEY);
        out.text("label", key.label.as_str());
        out.text("type", key.kind.as_str());
        out.text("fingerprint", &key.fingerprint.to_string());
        out.number("created", key.created);
    }
    if let Some(set) = &record.recovery {
        out.table("recovery");
        out.text("id", &set.id.to_string());
        match set.kind {
            SetKind::Ours => {}
            SetKind::Imported => out.text("kind", IMPORTED),
            SetKind::Offline => out.text("kind", OFFLINE),
        }
        out.number("created", set.created);
        out.text("kdf", KDF);
        out.text("salt", &base32_encode(&set.salt));
        out.text("hashes", &base32_encode(&set.hashes.concat()));
    }
    if let Some(token) = &record.token {
        write_token(&mut out, token);
    }
    if let Some(pending) = &record.pending {
        out.table("pending");
        out.text("token", &pending.token.to_string());
        out.number("guesses", pending.guesses);
        out.table("pending.credential");
        write_credential(&mut out, &pending.credential);
    }
    out.finish()
}

fn write_credential(out: &mut Writer, credential: &Credential) {
    out.text("id", &credential.id.to_string());
    out.text("label", credential.label.as_str());
    out.text("algorithm", credential.params.algorithm().as_str());
    out.number("digits", credential.params.digits());
    out.number("period", credential.params.period());
    out.number("created", credential.created);
    out.text("origin", credential.origin.as_str());
    if let Some(Window { back, ahead }) = credential.window {
        out.number("window_back", back);
        out.number("window_ahead", ahead);
    }
    out.text("sealed", &base32_encode(&credential.sealed));
}

fn write_token(out: &mut Writer, token: &Token) {
    out.table("token");
    out.text("id", &token.id.to_string());
    out.text("state", token.state.as_str());
    if let Some(time) = token.state.at() {
        out.number("at", time);
    }
    out.number("issued", token.issued);
    if let Some(who) = &token.issued_by {
        out.text("issued_by", who);
    }
    out.number("expires", token.expires);
    out.number("shows", token.shows);
    out.number("max_shows", token.max_shows);
    if !token.keys.is_empty() {
        let keys: Vec<String> = token.keys.iter().map(ToString::to_string).collect();
        out.text("keys", &keys.join(" "));
    }
    if let Some(binding) = &token.binding {
        out.table("token.code");
        out.text("kdf", KDF);
        out.text("salt", &base32_encode(&binding.salt));
        out.text("hash", &base32_encode(&binding.hash));
        out.number("expires", binding.expires);
        out.number("failures", binding.failures);
    }
}

fn read(text: &str) -> Result<Record, RecordError> {
    let mut document = Document::parse(text)?;
    let mut root = document.table("").ok_or(RecordError::Syntax)?;
    if root.number::<u32>("version")? != VERSION {
        return Err(RecordError::Version);
    }
    let revoked = root.optional_number("revoked")?;
    let burnt_until = root.optional_number("burnt_until")?.unwrap_or(0);
    let (mut credentials, mut ssh_keys) = (Vec::<Credential>::new(), Vec::<SshKey>::new());
    while let Some(mut table) = document.table("[credential]") {
        match table.optional_text("kind")?.as_deref() {
            None => credentials.push(read_credential(table)?),
            Some(SSH_KEY) => ssh_keys.push(read_ssh_key(table)?),
            Some(_) => return Err(Value("credential.kind")),
        }
    }
    if credentials.len() > MAX_CREDENTIAL_STATES || ssh_keys.len() > Record::MAX_SSH_KEYS {
        return Err(Value("credential"));
    }
    if !ssh_keys.is_empty() && credentials.is_empty() {
        return Err(Value("credential.kind"));
    }
    let ids = || credentials.iter().map(|app| app.id).chain(ssh_keys.iter().map(|key| key.id));
    if ids().enumerate().any(|(at, id)| ids().take(at).any(|known| known == id)) {
        return Err(Value("credential.id"));
    }
    let record = Record {
        name: Name::new(&root.text("name")?).map_err(|_| Value("name"))?,
        uid: root.number("uid")?,
        id: RecordId(bytes(&root.text("record")?).ok_or(Value("record"))?),
        revoked,
        burnt_until,
        recovery_due: root.truth("recovery_due")?,
        recovery: document.table("recovery").map(read_recovery).transpose()?,
        token: read_token(&mut document)?,
        pending: read_pending(&mut document)?,
        credentials,
        ssh_keys,
    };
    if record.pending.as_ref().is_some_and(|pending| record.has_credential(pending.credential.id)) {
        return Err(Value("pending.credential.id"));
    }
    root.finish()?;
    document.finish()?;
    Ok(record)
}

fn read_credential(mut table: Table<'_>) -> Result<Credential, RecordError> {
    let algorithm = table.text("algorithm")?.parse().map_err(|_| Value("credential.algorithm"))?;
    let credential = Credential {
        id: table.text("id")?.parse().map_err(|_| Value("credential.id"))?,
        label: Label::new(&table.text("label")?),
        params: Params::new(algorithm, table.number("digits")?, table.number("period")?)
            .map_err(|_| Value("credential.digits"))?,
        created: table.number("created")?,
        origin: match &*table.text("origin")? {
            "enrolled" => Origin::Enrolled,
            "imported" => Origin::Imported,
            _ => return Err(Value("credential.origin")),
        },
        window: match (table.optional_number("window_back")?, table.optional_number("window_ahead")?) {
            (None, None) => None,
            (Some(back @ 0..=MAX_OWN_SIDE), Some(ahead @ 0..=MAX_OWN_SIDE)) => Some(Window { back, ahead }),
            _ => return Err(Value("credential.window_back")),
        },
        sealed: base32_decode(&table.text("sealed")?).map_err(|_| Value("credential.sealed"))?.to_vec(),
    };
    table.finish()?;
    Ok(credential)
}

fn read_ssh_key(mut table: Table<'_>) -> Result<SshKey, RecordError> {
    let key = SshKey {
        id: table.text("id")?.parse().map_err(|_| Value("credential.id"))?,
        label: Label::new(&table.text("label")?),
        kind: HardwareKeyType::named(&table.text("type")?).ok_or(Value("credential.type"))?,
        fingerprint: table.text("fingerprint")?.parse().map_err(|_| Value("credential.fingerprint"))?,
        created: table.number("created")?,
    };
    table.finish()?;
    Ok(key)
}

fn read_recovery(mut table: Table<'_>) -> Result<RecoverySet, RecordError> {
    check_kdf(&mut table, "recovery.kdf")?;
    let hashes = base32_decode(&table.text("hashes")?).map_err(|_| Value("recovery.hashes"))?;
    let (hashes, rest) = hashes.as_chunks();
    if !rest.is_empty() || hashes.len() > 32 {
        return Err(Value("recovery.hashes"));
    }
    let set = RecoverySet {
        id: table.text("id")?.parse().map_err(|_| Value("recovery.id"))?,
        kind: match table.optional_text("kind")?.as_deref() {
            None => SetKind::Ours,
            Some(IMPORTED) => SetKind::Imported,
            Some(OFFLINE) => SetKind::Offline,
            Some(_) => return Err(Value("recovery.kind")),
        },
        created: table.number("created")?,
        salt: bytes::<SALT_LEN>(&table.text("salt")?).ok_or(Value("recovery.salt"))?,
        hashes: hashes.to_vec(),
    };
    table.finish()?;
    Ok(set)
}

fn read_token(document: &mut Document<'_>) -> Result<Option<Token>, RecordError> {
    let Some(mut table) = document.table("token") else { return Ok(None) };
    let state = match (&*table.text("state")?, table.optional_number("at")?) {
        ("issued", None) => TokenState::Issued,
        ("shown", Some(at)) => TokenState::Shown(at),
        ("consumed", Some(at)) => TokenState::Consumed(at),
        ("expired", Some(at)) => TokenState::Expired(at),
        ("revoked", Some(at)) => TokenState::Revoked(at),
        _ => return Err(Value("token.state")),
    };
    let token = Token {
        id: table.text("id")?.parse().map_err(|_| Value("token.id"))?,
        issued: table.number("issued")?,
        expires: table.number("expires")?,
        shows: table.number("shows")?,
        max_shows: table.number("max_shows")?,
        state,
        issued_by: table.optional_text("issued_by")?.map(Into::into),
        keys: table.optional_text("keys")?.map_or(Ok(Vec::new()), |keys| read_keys(&keys))?,
        binding: document.table("token.code").map(read_binding).transpose()?,
    };
    table.finish()?;
    Ok(Some(token))
}

fn read_keys(text: &str) -> Result<Vec<KeyFingerprint>, RecordError> {
    let keys: Result<Vec<_>, _> = text.split(' ').map(str::parse).collect();
    keys.ok().filter(|keys| keys.len() <= Token::MAX_KEYS).ok_or(Value("token.keys"))
}

fn read_binding(mut table: Table<'_>) -> Result<Binding, RecordError> {
    check_kdf(&mut table, "token.code.kdf")?;
    let binding = Binding {
        salt: bytes(&table.text("salt")?).ok_or(Value("token.code.salt"))?,
        hash: bytes(&table.text("hash")?).ok_or(Value("token.code.hash"))?,
        expires: table.number("expires")?,
        failures: table.number("failures")?,
    };
    table.finish()?;
    Ok(binding)
}

fn read_pending(document: &mut Document<'_>) -> Result<Option<Pending>, RecordError> {
    let Some(mut table) = document.table("pending") else { return Ok(None) };
    let token = table.text("token")?.parse().map_err(|_| Value("pending.token"))?;
    let guesses = table.number("guesses")?;
    let credential = document.table("pending.credential").ok_or(RecordError::Syntax)?;
    table.finish()?;
    Ok(Some(Pending { credential: read_credential(credential)?, token, guesses }))
}

fn check_kdf(table: &mut Table<'_>, key: &'static str) -> Result<(), RecordError> {
    if table.text("kdf")? == KDF { Ok(()) } else { Err(Value(key)) }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    base32_decode(text).ok()?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests;
