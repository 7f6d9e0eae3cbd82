//! The flows against a real file store, with a scripted user and a clock that stands still unless a test
//! moves it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod account;
mod admin;
mod anomalies;
mod enroll;
mod first_login;
mod import;
mod lanes;
mod login;
mod login_events;
mod login_throttle;
mod model;
mod month;
mod primary;
mod prompt;
mod recorder;
mod remember;
mod resume;
mod resync;
mod rules;
mod secrets;
mod self_service;
mod verify;
mod year;

use super::*;
use qrtotp_account::{Label, Name};
use qrtotp_audit::{AuditSink, Entry, Subject};
use qrtotp_clock::Clock;
use qrtotp_messages::{Message, text};
use qrtotp_otp::{Algorithm, KeyUri, Params, Secret, Strength, code_at};
use qrtotp_policy::Config;
use qrtotp_store::{FileStore, PrimaryFailures, StoreError, StoreExt};
use qrtotp_values::UnixTime;
use std::cell::Cell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::LazyLock;

pub(super) const UID: u32 = 4321;
/// The first second of a step.
pub(super) const START: UnixTime = 1_790_000_010;

pub(super) struct FakeClock(pub Cell<UnixTime>);

impl Clock for FakeClock {
    fn now(&self) -> UnixTime {
        self.0.get()
    }
}

/// Called with an event at the moment when it is logged.
type Listener = Box<dyn Fn(&str)>;

/// Events, and debug lines as well: neither may hold a secret.
#[derive(Default)]
pub(super) struct Log(pub Vec<String>, Option<Listener>);

impl AuditSink for Log {
    fn record(&mut self, entry: &Entry<'_>) {
        let line = entry.line();
        if let Some(listener) = &self.1 {
            listener(&line);
        }
        self.0.push(line);
    }
    fn debug(&mut self, line: &str) {
        self.0.push(format!("debug {line}"));
    }
}

/// A directory with alice, also found as ALICE, bob, and user0, user1 …; looking up `ghost` fails.
pub(super) struct People(pub Cell<u32>);

impl Directory for People {
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError> {
        match typed.to_lowercase().as_str() {
            "alice" => Ok(Some(Person { name: "alice".into(), uid: self.0.get() })),
            "bob" => Ok(Some(Person { name: "bob".into(), uid: 5000 })),
            "ghost" => Err(LookupError("down".into())),
            name => {
                let number = name.strip_prefix("user").and_then(|number| number.parse::<u32>().ok());
                Ok(number.map(|number| Person { name: name.into(), uid: 10_000 + number }))
            }
        }
    }
}

/// The answer: a text, or the phone's code this many steps from now.
pub(super) enum Say {
    Text(Vec<u8>),
    Phone(i64),
    Nothing,
}

pub(super) fn say(text: &str) -> Say {
    Say::Text(text.as_bytes().to_vec())
}

/// A scripted user, and what they saw.
#[derive(Default)]
pub(super) struct Human {
    pub script: VecDeque<Say>,
    pub prompts: Vec<String>,
    pub shown: Vec<String>,
    pub waits: Vec<Duration>,
    pub offers: Vec<(String, String)>,
    pub codes: Vec<String>,
    pub password: Option<Vec<u8>>,
    pub forwarded: Option<Vec<u8>>,
    pub acknowledge: Acknowledge,
    /// The password that the host can prove; `None`: it can prove none.
    pub right_password: Option<&'static [u8]>,
    /// Passwords that the host was asked to prove.
    pub proofs: Vec<Vec<u8>>,
    /// sshd's list of accepted keys.
    pub ssh_auth_info: Option<&'static str>,
    /// The login session that the kernel names.
    pub session: Option<&'static str>,
    /// Why the account part of the login's own service refuses.
    pub barred: Option<&'static str>,
    /// The login is at a host of a fleet, where nobody enrols.
    pub in_fleet: bool,
    /// How often the account part was run.
    pub rehearsals: u32,
    pub now: UnixTime,
    /// The application replaces PAM_USER while it handles the message with this number.
    pub user_changes_after: Option<usize>,
    /// Runs just before an answer is given.
    pub meanwhile: Option<Box<dyn FnMut()>>,
}

impl Human {
    pub(super) fn says(script: impl IntoIterator<Item = Say>) -> Self {
        Self { script: script.into_iter().collect(), ..Self::default() }
    }
}

impl Dialog for Human {
    fn show_text(&mut self, text: &str) {
        self.shown.push(text.to_owned());
    }
    fn ask_text(&mut self, prompt: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.prompts.push(prompt.to_owned());
        if let Some(uri) = prompt.lines().find(|line| line.starts_with("otpauth://")) {
            self.offers.push((uri.trim().to_owned(), String::new()));
        }
        if let Some(f) = &mut self.meanwhile {
            f();
        }
        match self.script.pop_front().unwrap_or(Say::Nothing) {
            Say::Text(text) => Ok(Typed::new(text)),
            Say::Phone(steps) => {
                let uri =
                    KeyUri::parse(&self.offers.last().expect("nothing offered").0, Strength::Normal).unwrap();
                let step = uri.params.step_at(self.now).saturating_add_signed(steps);
                Ok(Typed::new(code_at(&uri.secret, uri.params, step).as_str().as_bytes().to_vec()))
            }
            Say::Nothing => Err(NoAnswer),
        }
    }
    fn wait(&mut self, time: Duration) {
        self.waits.push(time);
    }
}

impl LoginHost for Human {
    fn is_same_user(&self) -> bool {
        self.user_changes_after.is_none_or(|messages| self.prompts.len() + self.shown.len() < messages)
    }
    fn password(&mut self) -> Option<Typed> {
        self.password.clone().map(Typed::new)
    }
    fn forward_password(&mut self, password: &[u8]) -> Result<(), NoAnswer> {
        self.forwarded = Some(password.to_vec());
        Ok(())
    }
    fn withhold_password(&mut self) {
        self.password = None;
        self.forwarded = None;
    }
    fn prove_password(&mut self, _: &Name, password: &[u8]) -> Result<(), Unproven> {
        self.proofs.push(password.to_vec());
        match self.right_password {
            Some(right) if right == password => Ok(()),
            Some(_) => Err(Unproven::because("primary_factor")),
            None => Err(Unproven::because("primary_factor_unavailable")),
        }
    }
    fn ssh_auth_info(&mut self) -> Option<Vec<u8>> {
        self.ssh_auth_info.map(|info| info.as_bytes().to_vec())
    }
    fn allows_enrolment(&self) -> bool {
        !self.in_fleet
    }
    fn session(&self) -> Option<String> {
        self.session.map(str::to_owned)
    }
    fn would_let_in(&mut self) -> Result<(), Unproven> {
        self.rehearsals += 1;
        self.barred.map_or(Ok(()), |why| Err(Unproven { reason: "account_refused", detail: why.into() }))
    }
}

impl EnrollDialog for Human {
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
        match scanned {
            QrState::Now(offer) if note.is_none() => {
                self.offers.push((offer.uri.to_string(), offer.key.to_string()));
            }
            QrState::Now(_) => {}
            QrState::Before { minutes } => self.shown.push(format!("scanned {minutes} minutes ago")),
        }
        let typed = self.ask_text(&note.map_or("first code".into(), ToString::to_string), Echo::On)?;
        Ok(match typed.as_slice() {
            b"n" => Reply::Fresh,
            b"q" => Reply::GiveUp,
            _ => Reply::Code(typed),
        })
    }
    fn recovery_codes(
        &mut self,
        codes: &[Zeroizing<String>],
        _: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        self.codes = codes.iter().map(|code| code.to_string()).collect();
        match self.acknowledge {
            Acknowledge::Shown => Ok(CodesDelivery::Shown),
            Acknowledge::With(word) => Ok(CodesDelivery::Typed(Typed::new(word.into()))),
            Acknowledge::First => Ok(CodesDelivery::Typed(Typed::new(self.codes[0][15..].into()))),
            Acknowledge::Whole => Ok(CodesDelivery::Typed(Typed::new(self.codes[0].clone().into_bytes()))),
            Acknowledge::Never => Err(NoAnswer),
        }
    }
}

/// The user's reaction to recovery codes.
#[derive(Clone, Copy, Default)]
pub(super) enum Acknowledge {
    #[default]
    Shown,
    With(&'static str),
    /// The last group of the first.
    First,
    /// All of the first.
    Whole,
    Never,
}

/// A host with a store.
pub(super) struct World {
    /// Removed when dropped; `None` if another world owns it.
    _dir: Option<tempfile::TempDir>,
    pub path: PathBuf,
    pub store: FileStore,
    pub config: Config,
    pub clock: FakeClock,
    pub people: People,
    pub log: Log,
    taken: secrets::Taken,
}

impl World {
    pub(super) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir =
            tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        let store = FileStore::open_or_create(&dir.path().join("state"), dir.path()).unwrap();
        let path = dir.path().join("state");
        Self { _dir: Some(dir), ..Self::with(store, path) }
    }

    /// A host on an existing store, in `path`.
    pub(super) fn with(store: FileStore, path: PathBuf) -> Self {
        Self {
            _dir: None,
            path,
            store,
            config: Config::default(),
            clock: FakeClock(Cell::new(START)),
            people: People(Cell::new(UID)),
            log: Log::default(),
            taken: secrets::Taken::default(),
        }
    }

    pub(super) fn subject(user: &str) -> Subject {
        Subject { user: user.into(), service: "sshd".into(), ..Subject::default() }
    }

    /// Another process on the same store.
    pub(super) fn elsewhere(&self) -> Self {
        let store = FileStore::open(&self.path, self.path.parent().unwrap()).unwrap();
        Self { clock: FakeClock(self.clock.0.clone()), ..Self::with(store, self.path.clone()) }
    }

    pub(super) fn ctx(&mut self, user: &str) -> Ctx<'_> {
        self.ctx_of(Self::subject(user))
    }

    pub(super) fn ctx_of(&mut self, subject: Subject) -> Ctx<'_> {
        self.with_store(subject).0
    }

    /// The store is for changes that other stores can't make.
    fn with_store(&mut self, subject: Subject) -> (Ctx<'_>, &FileStore) {
        let Self { config, store, people, clock, log, .. } = self;
        (Ctx { config, store, directory: people, clock, audit: log, subject }, store)
    }

    pub(super) fn unlock(&mut self, user: &str, name: &Name) -> Result<u32, AdminError> {
        let (mut ctx, store) = self.with_store(Self::subject(user));
        super::unlock(&mut ctx, store, name)
    }

    pub(super) fn adopt_uid(&mut self, user: &str, name: &Name, uid: u32) -> Result<u32, AdminError> {
        let (mut ctx, store) = self.with_store(Self::subject(user));
        super::adopt_uid(&mut ctx, store, name, uid)
    }

    pub(super) fn remove_account(
        &mut self,
        user: &str,
        name: &Name,
    ) -> Result<Option<StoreError>, AdminError> {
        let (mut ctx, store) = self.with_store(Self::subject(user));
        super::remove_account(&mut ctx, store, name)
    }

    pub(super) fn rename_account(
        &mut self,
        user: &str,
        old: &Name,
        old_user: Option<&Person>,
        to: (&Name, u32),
    ) -> Result<Option<StoreError>, AdminError> {
        let (mut ctx, store) = self.with_store(Self::subject(user));
        super::rename_account(&mut ctx, store, old, old_user, to)
    }

    pub(super) fn name() -> Name {
        Name::new("alice").unwrap()
    }

    pub(super) fn account_file(&self, file: &str) -> PathBuf {
        self.path.join("accounts/alice").join(file)
    }

    /// Imports a fresh secret for alice and returns it.
    pub(super) fn import(&mut self, params: Params) -> Secret {
        self.import_secret(self.secret(), params)
    }

    pub(super) fn import_secret(&mut self, secret: Secret, params: Params) -> Secret {
        self.keep(&Import { params, ..Self::to_import(&secret) }).unwrap();
        secret
    }

    /// An unused secret for alice.
    pub(super) fn to_import(secret: &Secret) -> Import<'_> {
        static WHO: LazyLock<(Name, Label)> = LazyLock::new(|| (World::name(), Label::new("phone")));
        Import { used: Some(0), ..Import::new(&WHO.0, UID, &WHO.1, secret, Params::default()) }
    }

    pub(super) fn keep(&mut self, what: &Import<'_>) -> Result<Imported, AdminError> {
        let what = Import { uid: self.people.0.get(), ..*what };
        Ok(self.keep_all(&[what])?[0])
    }

    pub(super) fn keep_all(&mut self, all: &[Import<'_>]) -> Result<Vec<Imported>, AdminError> {
        super::import(&mut self.ctx("alice"), all)
    }

    /// A device's code, `steps` from now.
    pub(super) fn code(&self, secret: &Secret, steps: i64) -> String {
        let step = Params::default().step_at(self.clock.now()).saturating_add_signed(steps);
        code_at(secret, Params::default(), step).as_str().to_owned()
    }

    pub(super) fn login_as(&mut self, user: &str, options: &Options, human: &mut Human) -> Outcome {
        self.login_of(Self::subject(user), options, human)
    }

    pub(super) fn login_of(&mut self, subject: Subject, options: &Options, human: &mut Human) -> Outcome {
        super::login(self.ctx_of(subject), options, human)
    }

    pub(super) fn answer(&mut self, text: &str) -> Outcome {
        self.login_as("alice", &Options::default(), &mut Human::says([say(text)]))
    }

    /// The reason of the last login.
    pub(super) fn reason(&self) -> String {
        let line =
            self.log.0.iter().rev().find(|line| line.starts_with("event=login ")).expect("no login event");
        line.split(' ').find_map(|word| word.strip_prefix("reason=")).unwrap().to_owned()
    }

    pub(super) fn enroll(&mut self, human: &mut Human) -> Result<Enrolled, EnrollError> {
        self.enroll_with(human, Authority::Admin(ExistingCode::Required))
    }

    pub(super) fn enroll_with(
        &mut self,
        human: &mut Human,
        authority: Authority,
    ) -> Result<Enrolled, EnrollError> {
        human.now = self.clock.now();
        let (name, label, uid) = (Self::name(), Label::new("phone"), self.people.0.get());
        let request = EnrolmentRequest { name: &name, uid, label: &label, authority, host: "host" };
        super::enroll(&mut self.ctx("alice"), human, request)
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.0.set(self.clock.0.get() + seconds);
    }
}
