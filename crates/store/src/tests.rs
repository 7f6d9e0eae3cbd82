//! The file store in a temporary directory: crashes between its writes, and concurrent users.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use qrtotp_account::{Credential, CredentialId, Label, Origin, RecordId};
use qrtotp_otp::{Params, Secret};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let builder = &mut tempfile::Builder::new();
        Self(builder.permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap())
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn open_or_create(&self) -> Result<FileStore, StoreError> {
        FileStore::open_or_create(&self.path("state"), self.0.path())
    }

    /// A store with alice, whose device has used step 500.
    fn with_alice() -> (Self, FileStore) {
        let place = Self::new();
        let store = place.open_or_create().unwrap();
        let account = account(&store, 1000, 1, 500);
        store.update_account(&alice(), |slot| *slot = Some(account.clone())).unwrap();
        (place, store)
    }
}

/// A new store in a temporary directory.
pub(super) fn empty_store() -> (tempfile::TempDir, FileStore) {
    let place = Place::new();
    let store = place.open_or_create().unwrap();
    (place.0, store)
}

fn alice() -> Name {
    Name::new("alice").unwrap()
}

fn device(number: u8) -> CredentialId {
    CredentialId::from_random([number; 6])
}

fn account(store: &FileStore, uid: u32, number: u8, step: u64) -> Account {
    let mut record = Record::new(alice(), uid, RecordId([7; 16]));
    let (id, params) = (device(number), Params::default());
    let sealed = store.key().seal_secret(&record, id, params, &Secret::generate().unwrap()).unwrap();
    let (label, origin) = (Label::default(), Origin::Enrolled);
    record.credentials.push(Credential { id, label, params, created: 0, origin, window: None, sealed });
    let mut state = State::new(record.id);
    state.raise(id, step, Some(9));
    Account { record, state }
}

#[test]
fn a_store_whose_accounts_alone_are_gone_is_not_an_empty_one() {
    for again in [false, true] {
        let (place, store) = Place::with_alice();
        drop(store);
        fs::remove_dir_all(place.path("state/accounts")).unwrap();
        fs::create_dir(place.path("state/accounts")).unwrap();
        fs::set_permissions(place.path("state/accounts"), fs::Permissions::from_mode(0o700)).unwrap();
        let opened = if again {
            place.open_or_create()
        } else {
            FileStore::open(&place.path("state"), place.0.path())
        };
        let error = opened.and_then(|store| store.load(&alice())).unwrap_err();
        assert_eq!(error.reason(), "store_missing", "{error}");
    }
}

#[test]
fn accounts_of_another_store_are_not_this_ones() {
    let (one, store) = Place::with_alice();
    let other = Place::new();
    drop(other.open_or_create().unwrap());
    let marker = "state/accounts/%store.toml";
    fs::copy(other.path(marker), one.path(marker)).unwrap();
    let bob = Name::new("bob").unwrap();
    assert_eq!(store.load(&bob).unwrap_err().reason(), "store_damaged");
    assert!(store.names().is_err());
    assert!(store.load(&alice()).unwrap().is_some(), "who has a record needs no marker");
}

#[test]
fn making_a_store_goes_on_from_wherever_it_was_cut_off() {
    let place = Place::new();
    drop(place.open_or_create().unwrap());
    let (outer, inner) = (place.path("state/store.toml"), place.path("state/accounts/%store.toml"));
    let waiting = place.path("state/.store.toml.new");
    // Backwards: before the last rename, with a torn marker among the accounts, without one, without a key.
    fs::rename(&outer, &waiting).unwrap();
    for cut in [500, 20, 0] {
        let text = fs::read(&inner).unwrap();
        fs::write(&inner, &text[..cut.min(text.len())]).unwrap();
        assert!(FileStore::open(&place.path("state"), place.0.path()).unwrap().load(&alice()).is_err());
        assert!(!FileStore::is_made(&place.path("state"), place.0.path()).unwrap());
        assert_eq!(place.open_or_create().unwrap().load(&alice()).unwrap(), None);
        fs::rename(&outer, &waiting).unwrap();
    }
    fs::remove_file(&inner).unwrap();
    assert_eq!(place.open_or_create().unwrap().load(&alice()).unwrap(), None);
    fs::rename(&outer, &waiting).unwrap();
    fs::remove_file(place.path("seal.key")).unwrap();
    assert_eq!(place.open_or_create().unwrap().load(&alice()).unwrap(), None);
}

#[test]
fn the_marker_is_no_account() {
    let (_place, store) = Place::with_alice();
    assert_eq!(store.names().unwrap().collect::<Vec<_>>(), [alice()]);
}

#[test]
fn a_record_that_could_not_be_replaced_keeps_the_watermarks_of_whom_it_belonged_to() {
    let (place, store) = Place::with_alice();
    // The state after a power cut between the two files: the record is not replaced.
    fs::create_dir(place.path("state/accounts/alice/account.toml.new")).unwrap();
    let new = account(&store, 2000, 2, 600);
    assert!(store.update_account(&alice(), |slot| *slot = Some(new.clone())).is_err());
    let left = store.load(&alice()).unwrap().unwrap();
    assert_eq!(left.record.uid, 1000);
    assert!(!left.state.is_fresh(device(1), 500), "a used code would work again");
    fs::remove_dir(place.path("state/accounts/alice/account.toml.new")).unwrap();
    store.update_account(&alice(), |slot| *slot = Some(new.clone())).unwrap();
    assert_eq!(store.load(&alice()).unwrap().unwrap(), new);
}

#[test]
fn a_command_on_a_store_that_is_there_needs_no_lock_of_it() {
    let (place, store) = Place::with_alice();
    drop(store);
    let held = fs::File::open(place.path("state")).unwrap();
    held.lock().unwrap();
    let start = std::time::Instant::now();
    place.open_or_create().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_reader_that_meets_a_writer_waits_instead_of_crying_damage() {
    let (place, store) = Place::with_alice();
    let state = place.path("state/accounts/alice/state");
    let whole = fs::read(&state).unwrap();
    let writer = fs::File::open(place.path("state/accounts/alice")).unwrap();
    writer.lock().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&state).unwrap();
    file.write_all_at(&[0; 8192], 0).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| store.load(&alice()));
        let mut pause = qrtotp_clock::Deadline::after(Duration::from_millis(200));
        while pause.pause() {}
        file.write_all_at(&whole, 0).unwrap();
        writer.unlock().unwrap();
        assert!(reader.join().unwrap().unwrap().is_some());
    });
}

#[test]
fn a_store_that_is_at_fault_is_named_at_once_whoever_is_at_work_on_a_record() {
    let (place, store) = Place::with_alice();
    let writer = fs::File::open(place.path("state/accounts/alice")).unwrap();
    writer.lock().unwrap();
    fs::write(place.path("state/accounts/alice/account.toml"), "sealed with another key").unwrap();
    fs::remove_file(place.path("state/accounts/%store.toml")).unwrap();
    let error = store.load(&alice()).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)), "{error:?}");
}

#[test]
fn damage_is_told_with_its_place() {
    let (place, store) = Place::with_alice();
    let record = place.path("state/accounts/alice/account.toml");
    fs::write(&record, "nothing of ours").unwrap();
    let Err(StoreError::Damaged { path, .. }) = store.load(&alice()) else { panic!("it is read") };
    assert_eq!(path, record);
}

#[test]
fn a_torn_slot_is_made_whole_by_the_next_login_whatever_it_decides() {
    let (place, store) = Place::with_alice();
    let state = place.path("state/accounts/alice/state");
    let file = fs::OpenOptions::new().read(true).write(true).open(&state).unwrap();
    for (torn, other) in [(0, 4096), (4096, 0)] {
        file.write_all_at(&[0xff; 100], torn).unwrap();
        store.update_state(&alice(), |_, _| ()).unwrap();
        // Then the disk loses the only whole slot.
        file.write_all_at(&[0xff; 100], other).unwrap();
        assert!(!store.load(&alice()).unwrap().unwrap().state.is_fresh(device(1), 500));
        store.update_state(&alice(), |_, _| ()).unwrap();
    }
}

#[test]
fn a_change_of_an_account_keeps_its_state_whether_or_not_its_record_changes() {
    let (place, store) = Place::with_alice();
    let again =
        || FileStore::open(&place.path("state"), place.0.path()).unwrap().load(&alice()).unwrap().unwrap();
    let change = |step: u64, label: Option<&str>| {
        let done = store.update_account(&alice(), |slot| {
            let account = slot.as_mut().unwrap();
            account.state.raise(device(1), step, Some(10));
            if let Some(label) = label {
                account.record.credentials[0].label = Label::new(label);
            }
        });
        done.unwrap();
    };
    change(501, None);
    assert_eq!(again().state.credential_state(device(1)).unwrap().watermark, 501);
    change(502, Some("phone"));
    assert_eq!(again().state.credential_state(device(1)).unwrap().watermark, 502);
    assert_eq!(again().record.credentials[0].label, Label::new("phone"));
}

/// What `update` leaves in alice's directory if it is cut off: before the state is written, before the new
/// record is renamed, and afterwards.
fn cut_off(update: impl Fn(&FileStore)) -> [(Place, FileStore); 3] {
    [0, 1, 2].map(|steps| {
        let (place, store) = Place::with_alice();
        let file = |name: &str| place.path("state/accounts/alice").join(name);
        let before = ["account.toml", "state"].map(|name| fs::read(file(name)).unwrap());
        update(&store);
        let record = fs::read(file("account.toml")).unwrap();
        if steps < 2 {
            fs::rename(file("account.toml"), file("account.toml.new")).unwrap();
            fs::write(file("account.toml"), &before[0]).unwrap();
            fs::set_permissions(file("account.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        }
        if steps < 1 {
            fs::write(file("state"), &before[1]).unwrap();
        }
        assert_ne!(record, before[0]);
        (place, store)
    })
}

fn revoke(store: &FileStore) {
    store
        .update_account(&alice(), |slot| {
            let Account { record, state } = slot.as_mut().unwrap();
            record.revoke(state, |_| true, 50);
            state.chain.add(&mut "event=credential_revoked".to_owned(), 0, 50);
        })
        .unwrap();
}

#[test]
fn a_change_that_is_cut_off_is_there_with_its_line_or_not_at_all() {
    for (cut, (place, store)) in cut_off(revoke).into_iter().enumerate() {
        let found = store.load(&alice()).unwrap().unwrap();
        let (lines, devices) = (found.state.chain.number(), found.record.credentials.len());
        assert_eq!((lines, devices), if cut == 0 { (0, 1) } else { (1, 0) }, "cut {cut}");
        // A login sees the same, and the next change finishes it.
        let seen = store.update_state(&alice(), |record, _| record.credentials.len());
        assert_eq!(seen.unwrap(), Some(devices), "cut {cut}");
        store.update_account(&alice(), |slot| slot.as_mut().unwrap().record.burnt_until = 77).unwrap();
        let changed = store.load(&alice()).unwrap().unwrap();
        assert_eq!(
            (changed.record.credentials.len(), changed.record.burnt_until),
            (devices, 77),
            "cut {cut}"
        );
        assert!(!place.path("state/accounts/alice/account.toml.new").exists());
    }
}

#[test]
fn a_uid_that_is_adopted_changes_with_its_line_or_not_at_all() {
    let adopt = |store: &FileStore| {
        let add_line =
            &mut |_: u32, state: &mut State| state.chain.add(&mut "event=adopted".to_owned(), 0, 50);
        store.rename_account(&alice(), (&alice(), 2000), add_line).unwrap();
    };
    for (cut, (_place, store)) in cut_off(adopt).into_iter().enumerate() {
        let found = store.load(&alice()).unwrap().unwrap();
        let expected = if cut == 0 { (0, 1000) } else { (1, 2000) };
        assert_eq!((found.state.chain.number(), found.record.uid), expected, "cut {cut}");
    }
}

#[test]
fn an_older_record_beside_a_newer_state_is_damage() {
    let (place, store) = Place::with_alice();
    let record = place.path("state/accounts/alice/account.toml");
    let enrolled = fs::read(&record).unwrap();
    revoke(&store);
    let revoked = fs::read(&record).unwrap();
    fs::write(&record, enrolled).unwrap();
    let error = store.load(&alice()).unwrap_err();
    assert_eq!(error.reason(), "record_damaged", "the revoked device is back");
    // Nor does it count if an even older one waits beside it.
    fs::copy(&record, place.path("state/accounts/alice/account.toml.new")).unwrap();
    assert!(store.load(&alice()).is_err());
    fs::write(&record, revoked).unwrap();
    assert!(store.load(&alice()).is_ok());
}

#[test]
fn a_reader_that_meets_a_change_between_its_two_files_sees_it_whole() {
    let (_place, store) = Place::with_alice();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..200 {
                let changed = store.update_account(&alice(), |slot| {
                    let Account { record, state } = slot.as_mut().unwrap();
                    record.burnt_until = number;
                    state.raise(device(1), 1000 + number.unsigned_abs(), None);
                });
                changed.unwrap();
            }
        });
        while !writer.is_finished() {
            let Account { record, state } = store.load(&alice()).unwrap().unwrap();
            let (of_record, of_state) =
                (record.burnt_until.unsigned_abs(), state.credential_state(device(1)).unwrap());
            assert!(of_record == 0 || of_state.watermark == 1000 + of_record);
        }
    });
}
