//! The start of every command: configuration, store, caller and account.

use crate::applied;
use crate::caller::host_chain;
pub use crate::caller::{login_uid, subject, syslog, terminal_name};
use crate::cli::Sources;
use crate::error::{Failure, store_failure};
use crate::language::say;
use nix::unistd::{User, geteuid, getuid};
use qrtotp_account::{Name, NameError};
use qrtotp_clock::SystemClock;
use qrtotp_fleet::{FleetError, VerifierFiles};
use qrtotp_flow::{Ctx, Directory, HostDirectory, host_name};
use qrtotp_frontend::Syslog;
use qrtotp_frontend::host_chain::HostChain;
use qrtotp_messages::text;
use qrtotp_policy::{Compiled, Config, ConfigFile, DEFAULT_PATH};
use qrtotp_store::{AccountStore, FileStore, Store, StoreError};
use qrtotp_values::text::clean;
use std::path::{Path, PathBuf};

/// A loaded configuration.
pub struct Context {
    pub config: Config,
    /// Where the sealing key lies.
    pub key_dir: PathBuf,
}

impl Context {
    /// That of a configuration which is not applied yet.
    pub fn before_applying(path: &Path, compiled: &Compiled) -> Self {
        let key_dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        Self { config: compiled.config.clone(), key_dir }
    }

    /// As `Context::load` (`cmd/load.rs`), for a dry run: a configuration that was never applied stays so.
    pub fn look(path: &Path) -> Result<Self, Failure> {
        let path = config_file(path)?;
        let key_dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { config: applied::look(&path)?, key_dir })
    }

    /// The context of a loaded configuration.
    pub fn of(source: ConfigFile) -> Self {
        Self { config: source.config, key_dir: source.dir_path }
    }

    /// The store for commands that enrol somebody: made if this is the first one. A fleet's is never made.
    pub fn store_or_new(&self) -> Result<Box<dyn AccountStore>, Failure> {
        if self.is_verifier() {
            return self.store();
        }
        Ok(Box::new(FileStore::open_or_create(&self.config.state_dir.0, &self.key_dir)?))
    }

    /// The store for all other commands. Never makes one: a store that is not mounted must not look empty.
    pub fn store(&self) -> Result<Box<dyn AccountStore>, Failure> {
        if let Some(files) = self.verifier_files()? {
            return Ok(Box::new(files.open_beside()?));
        }
        let store = FileStore::open(&self.config.state_dir.0, &self.key_dir);
        Ok(Box::new(store.map_err(|error| Failure::Error(self.store_failure(&error)))?))
    }

    /// The store for commands that change nothing: `None` if none was made yet.
    pub fn store_if_made(&self) -> Result<Option<Box<dyn AccountStore>>, Failure> {
        let is_made = self.is_verifier() || FileStore::is_made(&self.config.state_dir.0, &self.key_dir)?;
        is_made.then(|| self.store()).transpose()
    }

    /// Whether the store is there, and the right one.
    pub fn check_store(&self) -> Result<(), StoreError> {
        match self.verifier_files()? {
            Some(files) => Ok(files.open_beside()?.meta().map(|_| ())?),
            None => FileStore::open(&self.config.state_dir.0, &self.key_dir)?.check_marker(),
        }
    }

    /// Refuses an account of the fleet on a login host, whose own store no login of that account reads.
    pub fn refuse_fleets(&self, name: &Name) -> Result<(), Failure> {
        if !self.config.fleet.decides(name.as_str()) {
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "{name} is an account of the fleet: run the command at a verifier. To enrol, they run `qrtotp enroll` \
             here themselves, with the code that `token issue {name}` prints there"
        )))
    }

    /// As [`record_name`]. Says where the account is kept if it is the fleet's and `store` has none.
    pub fn record_name(&self, typed: &str, store: &dyn Store) -> Result<Name, Failure> {
        let name = record_name(typed, store)?;
        if matches!(store.load(&name), Ok(None)) {
            self.refuse_fleets(&name)?;
        }
        Ok(name)
    }

    /// Whether this is the configuration of a fleet's verifier.
    pub fn is_verifier(&self) -> bool {
        self.config.fleet.verifier.is_some()
    }

    /// The end of a heading above numbers from the log: each verifier of a fleet logs its own decisions.
    pub fn log_scope(&self, sources: &Sources) -> &'static str {
        match (self.is_verifier(), sources.file.is_empty()) {
            (true, true) => ", decisions of this verifier",
            (true, false) => ", decisions of the verifiers whose logs were named",
            (false, _) => "",
        }
    }

    /// A verifier's files; `None`: this is none.
    pub fn verifier_files(&self) -> Result<Option<VerifierFiles>, FleetError> {
        let (fleet, state) = (&self.config.fleet, &self.config.state_dir.0);
        let files = |name: &String| VerifierFiles::new(&self.key_dir, state, name, fleet.etcd.as_deref());
        fleet.verifier.as_ref().map(files).transpose()
    }

    /// Why the store can't be opened, and what to do about it.
    pub fn store_failure(&self, error: &StoreError) -> String {
        if self.has_no_store_yet(error) && self.config.fleet.name.is_some() {
            return "the fleet's accounts are at its verifiers, and this host has no store for local ones; \
                    `qrtotp init` makes it"
                .into();
        }
        if self.has_no_store_yet(error) {
            return "there is no store yet; `qrtotp init` makes it, and so does `qrtotp enroll USER`".into();
        }
        store_failure(error)
    }

    /// True if the error means that no store was ever made: no key, and no records.
    pub fn has_no_store_yet(&self, error: &StoreError) -> bool {
        let path = &self.config.state_dir.0;
        let untouched = || path.read_dir().map_or(!path.exists(), |mut entries| entries.next().is_none());
        matches!(error, StoreError::KeyMissing(_)) && untouched()
    }

    /// The host's chain of audit lines.
    pub fn host_chain(&self) -> HostChain {
        host_chain(&self.config, &self.key_dir)
    }

    /// The issuer that the app shows.
    pub fn issuer(&self) -> String {
        self.config.issuer_on(&host_name())
    }

    /// The name of `user`'s account in the app.
    pub fn account_label(&self, user: &str) -> String {
        self.config.account_on(&host_name(), user)
    }

    /// The context of a flow on the account `user`, from the caller's terminal.
    pub fn flow<'f>(&'f self, store: &'f dyn Store, user: &str, log: &'f mut Syslog) -> Ctx<'f> {
        Ctx {
            config: &self.config,
            store,
            directory: &HostDirectory,
            clock: &SystemClock,
            audit: log,
            subject: subject(user),
        }
    }
}

/// The whole path of a configuration that the caller may use: the host's own needs root.
pub fn config_file(path: &Path) -> Result<PathBuf, Failure> {
    if path == Path::new(DEFAULT_PATH) && !geteuid().is_root() {
        return Err(Failure::Error(say(&text::RUN_AS_ROOT)));
    }
    std::path::absolute(path)
        .map_err(|error| Failure::Error(format!("{}: {error}; give another file", path.display())))
}

/// The account that a command is about, if it was not named: the caller's, but for root, who has to say.
pub fn named_or_self(user: Option<String>, command: &str) -> Result<String, Failure> {
    match user {
        Some(user) => Ok(user),
        None if geteuid().is_root() => {
            Err(Failure::Error(format!("whose account? Give a name: qrtotp {command} USER")))
        }
        None => match User::from_uid(getuid()) {
            Ok(Some(user)) => Ok(user.name),
            _ => Err(Failure::Error(format!("you have no name here; give one: qrtotp {command} USER"))),
        },
    }
}

/// A user in the host's user database.
pub struct HostUser {
    pub name: Name,
    pub uid: u32,
}

/// The user that was typed, under the canonical name.
pub fn known_user(typed: &str) -> Result<HostUser, Failure> {
    let person = HostDirectory.find(typed)?.ok_or_else(|| unknown(typed))?;
    Ok(HostUser { name: Name::new(&person.name).map_err(bad_name)?, uid: person.uid })
}

/// The account's entry in the user database.
pub fn person(account: &HostUser) -> Result<User, Failure> {
    let user = User::from_name(account.name.as_str()).ok().flatten();
    user.filter(|user| user.uid.as_raw() == account.uid).ok_or_else(|| {
        Failure::Error(format!("the user database does not tell the home of {}; try again", account.name))
    })
}

/// The name of a record: of a user in the user database, or of a deleted one whose record remains.
pub fn record_name(typed: &str, store: &dyn Store) -> Result<Name, Failure> {
    let found = HostDirectory.find(typed);
    if let Ok(Some(person)) = found {
        return Name::new(&person.name).map_err(bad_name);
    }
    let name = Name::new(typed).map_err(bad_name)?;
    match (store.load(&name), found) {
        // Name a damaged record, too: its error says what to do.
        (Ok(Some(_)), _) => Ok(name),
        (Err(error), _) => Err(error.into()),
        (Ok(None), Err(error)) => Err(error.into()),
        (Ok(None), Ok(_)) => Err(unknown(typed)),
    }
}

/// The name of a record that need not be readable: the typed name if it has a record, else the user's name in
/// the user database.
pub fn any_record_name(typed: &str, store: &dyn AccountStore) -> Result<Name, Failure> {
    let name = Name::new(typed).map_err(bad_name)?;
    if store.has_record(&name)? {
        return Ok(name);
    }
    match HostDirectory.find(typed)? {
        Some(person) => Name::new(&person.name).map_err(bad_name),
        None => Ok(name),
    }
}

fn unknown(typed: &str) -> Failure {
    if typed.is_empty() {
        return Failure::Error(
            "the name of the user is empty; give one that `getent passwd` lists".to_owned(),
        );
    }
    let typed = clean(typed, 64);
    Failure::Refused(format!("there is no user {typed} on this host; `getent passwd` lists the names"))
}

fn bad_name(error: NameError) -> Failure {
    Failure::Refused(format!("{error}; give the name as `getent passwd` prints it"))
}
