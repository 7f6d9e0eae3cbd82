//! Accounts, hosts and answers of the tests.

use qrtotp_account::{Credential, CredentialId, Decision, Label, Name, Origin, Record, RecordId, State};
use qrtotp_clock::Deadline;
use qrtotp_fleet::{
    Access, AnswerDigest, Asked, AttemptId, Engine, FleetError, FleetStore, Host, HostId, HostName,
    HostState, Options, Ring,
};
use qrtotp_otp::{Params, Secret};
use qrtotp_store::{Account, SealKey, Store, StoreError, StoreExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn host(text: &str) -> HostName {
    HostName::new(text).unwrap()
}

/// The key of every host in tests.
const KEY: [u8; 32] = [7; 32];

pub fn host_id(name: &HostName) -> HostId {
    HostId { name: name.clone(), key: KEY }
}

/// The fleet's key, as a file's text.
pub fn key_text() -> String {
    SealKey::generate().unwrap().1.to_string()
}

pub fn options(key: &str, verifier: &str, directory: &Path) -> Options {
    let ring = Ring::new(SealKey::parse(key.as_bytes()).unwrap(), Vec::new());
    Options { ring, verifier: host(verifier), directory: directory.to_owned() }
}

/// A store of three verifiers, with these hosts.
pub struct Fleet {
    pub key: String,
    pub verifiers: Vec<Arc<FleetStore>>,
    pub directories: Vec<tempfile::TempDir>,
}

impl Fleet {
    /// `engines`: one for each verifier.
    pub fn create(engines: &[Arc<dyn Engine>], hosts: &[&str]) -> Self {
        Self::create_in(engines, hosts, || tempfile::tempdir().unwrap())
    }

    pub fn create_in(
        engines: &[Arc<dyn Engine>],
        hosts: &[&str],
        directory: impl Fn() -> tempfile::TempDir,
    ) -> Self {
        let (key, mut verifiers, mut directories) = (key_text(), Vec::new(), Vec::new());
        for (number, engine) in engines.iter().enumerate() {
            let directory = directory();
            let options = options(&key, &format!("v{number}"), directory.path());
            if number == 0 {
                FleetStore::create(&**engine, &options.ring).unwrap();
            }
            verifiers.push(Arc::new(FleetStore::open(Arc::clone(engine), options).unwrap()));
            directories.push(directory);
        }
        for name in hosts {
            join(&verifiers[0], name);
        }
        Self { key, verifiers, directories }
    }
}

/// Makes a host active in the group `web`.
pub fn join(store: &FleetStore, name: &str) {
    set_host(store, name, HostState::Active).unwrap();
}

/// A host in the group `web`.
pub fn new_host(state: HostState) -> Host {
    let (groups, services) = (vec!["web".to_owned()], Vec::new());
    Host { state, key: KEY, verdict_key: [8; 32].into(), groups, services, joined: 0 }
}

pub fn set_host(store: &FleetStore, name: &str, state: HostState) -> Result<(), FleetError> {
    store.change_host(&host(name), &mut |value| *value = Some(new_host(state)))
}

fn device() -> CredentialId {
    CredentialId::from_random([1; 6])
}

/// Makes an account with one device.
pub fn enrol(store: &dyn Store, name: &Name) {
    try_enrol(store, name).unwrap();
}

pub fn try_enrol(store: &dyn Store, name: &Name) -> Result<(), StoreError> {
    let mut record = Record::new(name.clone(), 1000, RecordId([9; 16]));
    let params = Params::default();
    let sealed = store.key().seal_secret(&record, device(), params, &Secret::generate().unwrap()).unwrap();
    let (label, origin) = (Label::new("phone"), Origin::Enrolled);
    let credential = Credential { id: device(), label, params, created: 0, origin, window: None, sealed };
    record.credentials.push(credential);
    let state = State::new(record.id);
    store.change_account(name, &mut |account| {
        *account = Some(Account { record: record.clone(), state: state.clone() });
    })
}

/// Revokes all devices.
pub fn revoke(store: &dyn Store, name: &Name) -> Result<(), StoreError> {
    store.change_account(name, &mut |account| {
        let account = account.as_mut().expect("it is enrolled");
        account.record.revoke(&mut account.state, |_| true, 1000);
    })
}

/// The decision about a code of this step, as the flows decide: only a step above the watermark is right.
pub fn verify(record: &Record, state: &mut State, step: u64) {
    let is_right = record.credential(device()).is_some() && state.is_fresh(device(), step);
    let reason = if is_right { "accepted" } else { "refused" };
    if is_right {
        state.raise(device(), step, Some(1000));
    }
    state.chain.add(&mut format!("event=login result={reason} step={step}"), 0, 1000);
    state.decision = Some(if is_right { Decision::Accepted } else { Decision::Refused });
}

/// The result of an attempt, as its host is told.
pub type AttemptResult = Result<Option<Decision>, FleetError>;

/// One attempt with a code of this step, as a verifier's daemon makes it.
pub fn log_in(
    store: &FleetStore,
    at: &HostName,
    attempt: AttemptId,
    name: &Name,
    step: u64,
) -> AttemptResult {
    let access = attempt_at(store, at, attempt, step);
    let decide = || access.update_state(name, |record, state| verify(record, state, step));
    if access.guess(name).is_some() {
        let done = decide();
        if !access.is_guess() {
            return result_of(&access, done);
        }
    }
    access.begin(name)?;
    result_of(&access, decide())
}

pub fn attempt_at<'a>(store: &'a FleetStore, at: &HostName, attempt: AttemptId, step: u64) -> Access<'a> {
    let asked = Asked { attempt, host: host_id(at), answer: AnswerDigest::of(attempt, &step.to_le_bytes()) };
    store.attempt(asked, Deadline::after(Duration::from_secs(3)))
}

/// The decision that goes to the host, after a change of the state.
pub fn result_of(access: &Access<'_>, done: Result<Option<()>, StoreError>) -> AttemptResult {
    match (access.decision(), done) {
        (Some(decision), _) => Ok(Some(decision)),
        (None, Ok(_)) => Ok(None),
        (None, Err(error)) => Err(FleetError::of(&error).unwrap_or_else(|| panic!("{error}")).clone()),
    }
}

/// The step up to which codes are burnt.
pub fn watermark(store: &FleetStore, name: &Name) -> u64 {
    let account = store.admin().load(name).unwrap().unwrap();
    account.state.credential_state(device()).map_or(0, |mark| mark.watermark)
}

/// Whether the account has a device.
pub fn has_device(store: &FleetStore, name: &Name) -> bool {
    store.admin().load(name).unwrap().is_some_and(|account| !account.record.credentials.is_empty())
}
