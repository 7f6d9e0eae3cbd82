//! The location of everything that is measured: one directory on the machine's own disk, and the accounts in
//! it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use qrtotp_account::{Credential, CredentialId, Label, Name, Origin, Record, RecordId, State};
use qrtotp_otp::{Params, Secret, Strength, base32_decode, random_bytes};
use qrtotp_store::{Account, FileStore, Store, StoreExt};
use qrtotp_tests::Phone;

use crate::step::run;

/// A directory that is removed when dropped.
pub struct Place {
    pub path: PathBuf,
}

impl Place {
    /// On the disk, below directories that belong to root.
    pub fn on_disk() -> Result<Self> {
        Self::below(Path::new("/var/tmp"))
    }

    /// In memory, where a sync costs nothing.
    pub fn in_memory() -> Result<Self> {
        Self::below(Path::new("/dev/shm"))
    }

    fn below(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("qrtotp-bench-{}", std::process::id()));
        let place = Self { path };
        place.make("")?;
        Ok(place)
    }

    /// A private directory in it.
    pub fn make(&self, inside: &str) -> Result<PathBuf> {
        let path = if inside.is_empty() { self.path.clone() } else { self.path.join(inside) };
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A hundred thousand accounts, each of which waits for the disk: many at once. Leftovers are removed
        // below.
        let accounts = "find \"$0\" -mindepth 3 -maxdepth 3 -print0 | xargs -0 -r -P 16 -n 50 rm -rf";
        let _ = Command::new("sh").args(["-c", accounts]).arg(&self.path).status();
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

/// Makes a store named `name` in `place` with an account for each of `people`, and `more` that never log in;
/// its key is beside it in `NAME.key`. The store is made in memory, where a sync costs nothing, and copied.
pub fn fill(place: &Place, name: &str, phone: &Phone, people: &[String], more: usize) -> Result<()> {
    let memory = Place::in_memory()?;
    let keys = place.make(&format!("{name}.key"))?;
    let made = memory.path.join(name);
    let store = FileStore::open_or_create(&made, &keys)?;
    let rest = (0..more).map(|number| format!("filler{number}"));
    for (number, user) in people.iter().cloned().chain(rest).enumerate() {
        add(&store, &user, u32::try_from(number)?, phone)?;
    }
    run(Command::new("cp").arg("-a").arg(&made).arg(&place.path))?;
    run(Command::new("sync").arg("-f").arg(&place.path))
}

/// The uid of the first of the people; the others follow.
pub const FIRST_UID: u32 = 3000;

fn add(store: &FileStore, user: &str, number: u32, phone: &Phone) -> Result<()> {
    let name = Name::new(user)?;
    let mut record = Record::new(name.clone(), FIRST_UID + number, RecordId(random_bytes()?));
    let (id, params) = (CredentialId::from_random(random_bytes()?), Params::default());
    let secret = Secret::from_bytes(&base32_decode(&phone.key)?, Strength::Normal)?;
    let sealed = store.key().seal_secret(&record, id, params, &secret)?;
    let (label, origin) = (Label::new("phone"), Origin::Imported);
    record.credentials.push(Credential { id, label, params, created: 0, origin, window: None, sealed });
    let account = Account { state: State::new(record.id), record };
    store.update_account(&name, |slot| *slot = Some(account.clone()))?;
    Ok(())
}
