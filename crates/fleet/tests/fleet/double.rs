//! Two verifiers on the double, and alice.

use crate::accounts::{Fleet, enrol, name};
use crate::memory::Memory;
use qrtotp_account::{Decision, Name};
use qrtotp_fleet::{AttemptId, Engine, FleetError, FleetStore};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

pub struct World {
    pub memory: Arc<Memory>,
    pub fleet: Fleet,
}

impl World {
    /// Two verifiers, the hosts h1 and h2, and alice.
    pub fn new() -> Self {
        let memory = Arc::new(Memory::default());
        let engines = [0, 1].map(|_| Arc::clone(&memory) as Arc<dyn Engine>);
        let fleet = Fleet::create(&engines, &["h1", "h2"]);
        enrol(&fleet.verifiers[0].admin(), &alice());
        Self { memory, fleet }
    }

    pub fn verifier(&self, number: usize) -> &FleetStore {
        &self.fleet.verifiers[number]
    }

    pub fn requests(&self) -> u64 {
        self.memory.requests.load(SeqCst)
    }

    /// Puts a backup in place: etcd starts anew, and all connections end.
    pub fn restore(&self, backup: &crate::memory::Data, bump: i64) {
        let mut data = self.memory.data.lock().unwrap();
        *data = backup.clone();
        data.revision += bump;
        self.memory.connection.fetch_add(1, SeqCst);
    }

    /// A second opening of verifier 0's directory.
    pub fn options_again(&self) -> qrtotp_fleet::Options {
        crate::accounts::options(&self.fleet.key, "v0", self.fleet.directories[0].path())
    }

    pub fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.memory) as Arc<dyn Engine>
    }
}

pub fn alice() -> Name {
    name("alice")
}

pub fn id() -> AttemptId {
    AttemptId::generate().unwrap()
}

pub const ACCEPTED: Result<Option<Decision>, FleetError> = Ok(Some(Decision::Accepted));
pub const REFUSED: Result<Option<Decision>, FleetError> = Ok(Some(Decision::Refused));
