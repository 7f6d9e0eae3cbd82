//! An account's record: the text beneath the seal, and the sealed file.

use crate::world::{self, World};
use qrtotp_account::{Name, Record, RecordError, RecordId, State};
use qrtotp_otp::{MAX_OWN_SIDE, Window};
use qrtotp_store::{Account, FileStore, Scope, SealKey, Store, StoreExt};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 8 {
        0 => unsealed_file(rest),
        1 => sealed_file(rest),
        2 => key_file(rest),
        _ => text(rest),
    }
}

/// A text that we read as a record means the same to a full TOML parser, and reads back after writing.
fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let record = match read(text) {
        Ok(record) => record,
        Err(error) => return assert!(!error.to_string().contains(char::is_control)),
    };
    let all: toml::Table = text.parse().expect("a record that is no TOML");
    assert_eq!(all["name"].as_str(), Some(record.name.as_str()));
    assert_eq!(all["uid"].as_integer(), Some(record.uid.into()));
    assert_eq!(all.get("revoked").and_then(toml::Value::as_integer), record.revoked);
    let list = all.get("credential").and_then(toml::Value::as_array);
    assert_eq!(list.map_or(0, Vec::len), record.credentials.len());
    for (credential, table) in record.credentials.iter().zip(list.into_iter().flatten()) {
        assert_eq!(table["id"].as_str(), Some(&*credential.id.to_string()));
        assert_eq!(table["digits"].as_integer(), Some(credential.params.digits().into()));
        assert_eq!(table["created"].as_integer(), Some(credential.created));
        let steps = |key| table.get(key).and_then(toml::Value::as_integer);
        let window = credential.window;
        assert_eq!(steps("window_back"), window.map(|window| window.back.into()));
        assert_eq!(steps("window_ahead"), window.map(|window| window.ahead.into()));
        assert!(window.is_none_or(|Window { back, ahead }| back.max(ahead) <= MAX_OWN_SIDE));
    }
    for (key, there) in [
        ("token", record.token.is_some()),
        ("recovery", record.recovery.is_some()),
        ("pending", record.pending.is_some()),
    ] {
        assert_eq!(all.contains_key(key), there, "{key}");
    }
    let written = record.to_toml();
    assert_eq!(Record::from_toml(&written).as_ref(), Ok(&record));
    assert!(written.parse::<toml::Table>().is_ok(), "no TOML is written");
}

fn read(text: &str) -> Result<Record, RecordError> {
    let mut record = Record::from_toml(text)?;
    if crate::planted() && !record.credentials.is_empty() {
        record.uid = 0;
    }
    Ok(record)
}

/// A store with one account, and the path of its record.
struct Shelf {
    store: FileStore,
    file: PathBuf,
    id: RecordId,
}

thread_local! {
    static SHELF: Shelf = {
        let world = World::new();
        let id = RecordId([7; 16]);
        let name = world::alice();
        world.store.update_account(&name, |slot| {
            *slot = Some(Account { record: Record::new(name.clone(), world::UID, id), state: State::new(id) });
        }).expect("a new account");
        let file = world.account_file("account.toml");
        Shelf { store: world.keep(), file, id }
    };
}

/// Any bytes without our seal are not a record.
fn unsealed_file(bytes: &[u8]) {
    SHELF.with(|shelf| {
        fs::write(&shelf.file, bytes).expect("the file is writable");
        assert!(shelf.store.load(&world::alice()).is_err(), "opened without a seal");
    });
}

/// Under our seal, a file is the record of its text; changed afterwards, it is none.
fn sealed_file(data: &[u8]) {
    let Some(([at, with], text)) = data.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    SHELF.with(|shelf| {
        let mut sealed =
            shelf.store.key().seal_text(Scope::Account, "alice", text).expect("sealed").into_bytes();
        let place = usize::from(*at) % sealed.len();
        sealed[place] ^= *with;
        fs::write(&shelf.file, &sealed).expect("the file is writable");
        let loaded = shelf.store.load(&world::alice()).ok().flatten().map(|account| account.record);
        let ours =
            |record: &Record| record.name == Name::new("alice").expect("a name") && record.id == shelf.id;
        let expected = Record::from_toml(text).ok().filter(|record| *with == 0 && ours(record));
        assert_eq!(loaded, expected);
    });
}

static KEY: LazyLock<SealKey> = LazyLock::new(|| SealKey::generate().expect("a key").0);

/// A key file is a key or it is not; no text opens without having been sealed.
fn key_file(data: &[u8]) {
    if let Ok(key) = SealKey::parse(data) {
        let text = key.seal_text(Scope::Marker, "", "x = 1\n").expect("sealed");
        assert_eq!(key.open_text(Scope::Marker, "", &text), Ok("x = 1\n"));
        assert!(KEY.open_text(Scope::Marker, "", &text).is_err(), "another key opens it");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(KEY.open_text(Scope::Account, "alice", text).is_err(), "a seal is forged");
    }
}
