//! A host for logins: a real store in memory, a clock, a user database, and a scripted user.

use qrtotp_account::Name;
use qrtotp_audit::{AuditSink, Entry};
use qrtotp_clock::Clock;
use qrtotp_flow::{
    CodesDelivery, Dialog, Directory, Echo, EnrollDialog, LoginHost, LookupError, NoAnswer, Person, QrState,
    Reply, Typed, Unproven,
};
use qrtotp_messages::Message;
use qrtotp_store::FileStore;
use qrtotp_values::UnixTime;
use std::cell::Cell;
use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const UID: u32 = 4321;
/// The first second of a step.
pub(crate) const START: UnixTime = 1_790_000_010;

pub(crate) fn alice() -> Name {
    Name::new("alice").expect("a name")
}

pub(crate) struct World {
    dir: TempDir,
    path: PathBuf,
    pub(crate) store: FileStore,
}

impl World {
    /// A new store, in memory if possible, where syncing costs nothing.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new()
            .prefix("qrtotp-fuzz-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(base)
            .expect("a directory");
        let path = dir.path().join("state");
        let store = FileStore::open_or_create(&path, dir.path()).expect("a store");
        Self { dir, path, store }
    }

    pub(crate) fn account_file(&self, file: &str) -> PathBuf {
        self.path.join("accounts/alice").join(file)
    }

    /// Removes all accounts.
    pub(crate) fn empty(&self) {
        let _ = std::fs::remove_dir_all(self.path.join("accounts/alice"));
    }

    /// The store, for as long as the process lives.
    pub(crate) fn keep(self) -> FileStore {
        let _ = self.dir.keep();
        self.store
    }
}

pub(crate) struct FakeClock(pub(crate) Cell<UnixTime>);

impl Clock for FakeClock {
    fn now(&self) -> UnixTime {
        self.0.get()
    }
}

/// The only user, alice.
pub(crate) struct People(pub(crate) Cell<u32>);

impl Directory for People {
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError> {
        Ok((typed == "alice").then(|| Person { name: "alice".into(), uid: self.0.get() }))
    }
}

/// Events, and debug lines as well: neither may hold a secret.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Vec<String>);

impl AuditSink for Log {
    fn record(&mut self, entry: &Entry<'_>) {
        self.0.push(entry.line());
    }
    fn debug(&mut self, line: &str) {
        self.0.push(format!("debug {line}"));
    }
}

/// Computes the answer when the question comes.
pub(crate) type Answer<'a> = Box<dyn FnOnce() -> Option<Vec<u8>> + 'a>;

#[derive(Default)]
pub(crate) struct Host<'a> {
    pub(crate) script: VecDeque<Answer<'a>>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) refuses_password: bool,
    /// It proves every password, or none.
    pub(crate) proves: bool,
    /// Whether the account part of the login's own service lets users in.
    pub(crate) lets_in: bool,
    /// PAM_USER changes after this many questions.
    pub(crate) user_changes: Option<usize>,
    pub(crate) asked: usize,
}

impl Dialog for Host<'_> {
    fn show_text(&mut self, _: &str) {}
    fn ask_text(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.asked += 1;
        let answer = self.script.pop_front().ok_or(NoAnswer)?;
        answer().map(Typed::new).ok_or(NoAnswer)
    }
    fn wait(&mut self, _: Duration) {}
}

impl EnrollDialog for Host<'_> {
    fn first_code(&mut self, _: QrState<'_>, _: Option<&Message>) -> Result<Reply, NoAnswer> {
        Err(NoAnswer)
    }
    fn recovery_codes(
        &mut self,
        _: &[zeroize::Zeroizing<String>],
        _: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        Err(NoAnswer)
    }
}

impl LoginHost for Host<'_> {
    fn is_same_user(&self) -> bool {
        self.user_changes.is_none_or(|questions| self.asked < questions)
    }
    fn password(&mut self) -> Option<Typed> {
        self.password.clone().map(Typed::new)
    }
    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        if self.refuses_password { Err(NoAnswer) } else { Ok(()) }
    }
    fn withhold_password(&mut self) {}
    fn prove_password(&mut self, _: &Name, _: &[u8]) -> Result<(), Unproven> {
        yes(self.proves, "primary_factor")
    }
    fn would_let_in(&mut self) -> Result<(), Unproven> {
        yes(self.lets_in, "account_refused")
    }
}

fn yes(yes: bool, reason: &'static str) -> Result<(), Unproven> {
    if yes { Ok(()) } else { Err(Unproven { reason, detail: String::new() }) }
}
