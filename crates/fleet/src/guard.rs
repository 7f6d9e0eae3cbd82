//! Notices a restored backup: a store that is older than what this verifier knows of it.
//!
//! Every reply is compared with the highest revision that was known before its request. On each new
//! connection, which a restored cluster makes necessary, the guard also reads its own witness and its last
//! change: these are older even if the revision was raised (`etcdutl snapshot restore --bump-revision`).
//!
//! The daemon writes down what it has seen. A command beside it reads that again before each check.

use crate::directory::OwnDirectory;
use crate::engine::{Engine, EngineError, Reply, Stored, Txn, revision_of};
use crate::error::FleetError;
use crate::keys::{self, HostName};
use crate::ring::{Ring, StoreId};
use crate::seen::Seen;
use crate::values::{Condition, Meta, Value, Witness};
use qrtotp_otp::random_bytes;
use qrtotp_values::UnixTime;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Meta is sealed before the store's id is known.
pub(crate) const NO_STORE: StoreId = [0; 16];
/// How often a command checks again because the daemon wrote another witness meanwhile.
const CHECKS: usize = 4;
/// Longest time for one request to etcd.
pub(crate) const TRY: Duration = Duration::from_millis(800);

/// The knowledge before a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    revision: i64,
    connection: u64,
    generation: u64,
}

/// The result of a check of the store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoreCheck {
    Same,
    /// A restore was accepted, and what was known before is void.
    Restored(Meta),
}

pub(crate) struct Guard {
    engine: Arc<dyn Engine>,
    verifier: HostName,
    directory: OwnDirectory,
    seen: Mutex<Known>,
    /// Held while looking at the store or writing the witness.
    checking: Mutex<()>,
    /// This verifier's condition, for its next witness.
    condition: Mutex<Condition>,
}

struct Known {
    seen: Seen,
    /// The connection that was looked at.
    connection: u64,
    refusal: Option<&'static str>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the store's meta value.
pub(crate) fn open_meta(ring: &Ring, stored: &Stored) -> Result<Meta, FleetError> {
    let (plain, _) = ring.open(&NO_STORE, &keys::meta(), &stored.value)?;
    let damaged = |_| FleetError::Damaged { key: keys::meta(), why: "not a value of a known version" };
    Meta::from_bytes(&plain).map_err(damaged)
}

impl Guard {
    pub fn new(
        engine: Arc<dyn Engine>,
        verifier: HostName,
        directory: OwnDirectory,
    ) -> Result<Self, FleetError> {
        let known = Known { seen: Seen::load(&directory.path)?, connection: 0, refusal: None };
        let (seen, checking, condition) = (Mutex::new(known), Mutex::default(), Mutex::default());
        Ok(Self { engine, verifier, directory, seen, checking, condition })
    }

    /// Sets what the next witnesses say of this verifier.
    pub fn describe(&self, condition: Condition) {
        *lock(&self.condition) = condition;
    }

    /// The present knowledge; to be asked before a request.
    pub fn floor(&self) -> Floor {
        let known = lock(&self.seen);
        let Seen { revision, generation, .. } = known.seen;
        Floor { revision, connection: known.connection, generation }
    }

    /// The connection that was looked at, unless the store is refused.
    pub fn trusted_connection(&self) -> Option<u64> {
        let known = lock(&self.seen);
        Some(known.connection).filter(|_| known.refusal.is_none())
    }

    /// Whether a reply needs no check of the store. `generation`: the one in it, if it was read.
    pub fn admits(&self, reply: &Reply, floor: Floor, generation: Option<u64>) -> bool {
        let mut known = lock(&self.seen);
        let same = reply.connection == floor.connection && known.refusal.is_none();
        let is_new_enough = reply.revision >= floor.revision;
        let admits = same && is_new_enough && generation.is_none_or(|found| found == floor.generation);
        if admits {
            known.seen.revision = known.seen.revision.max(reply.revision);
        }
        admits
    }

    /// Notes a change of ours.
    pub fn note_change(&self, key: &str, revision: i64) {
        let mut known = lock(&self.seen);
        if known.seen.written.as_ref().is_none_or(|(_, before)| *before < revision) {
            known.seen.written = Some((key.to_owned(), revision));
        }
    }

    pub fn store(&self) -> Option<StoreId> {
        lock(&self.seen).seen.store
    }

    pub fn revision(&self) -> i64 {
        lock(&self.seen).seen.revision
    }

    pub fn generation(&self) -> u64 {
        lock(&self.seen).seen.generation
    }

    /// Looks whether the store is the one that we know.
    ///
    /// # Errors
    /// It is older, or another one; or it does not answer.
    pub fn check(&self, ring: &Ring, limit: Duration) -> Result<StoreCheck, FleetError> {
        let _checking = lock(&self.checking);
        self.reread()?;
        for _ in 1..CHECKS {
            match self.check_once(ring, limit) {
                Err(FleetError::RolledBack(_)) if self.reread()? => {}
                checked => return checked,
            }
        }
        self.check_once(ring, limit)
    }

    /// Takes over what the daemon has written down since, if this is a command. True: it has.
    fn reread(&self) -> Result<bool, FleetError> {
        if self.directory.user.is_daemon() {
            return Ok(false);
        }
        let found = Seen::load(&self.directory.path)?;
        let mut known = lock(&self.seen);
        let is_older = found.store.is_none() || found.generation < known.seen.generation;
        if is_older || found.is_same_witness(&known.seen) {
            return Ok(false);
        }
        let revision = match found.generation == known.seen.generation {
            true => found.revision.max(known.seen.revision),
            false => found.revision,
        };
        known.seen = Seen { revision, ..found };
        Ok(true)
    }

    fn save(&self, seen: &Seen) -> Result<(), FleetError> {
        if self.directory.user.is_daemon() { seen.save(&self.directory.path) } else { Ok(()) }
    }

    fn check_once(&self, ring: &Ring, limit: Duration) -> Result<StoreCheck, FleetError> {
        let seen = lock(&self.seen).seen.clone(); // before the request, which can only find newer values
        let written = seen.written.as_ref().map_or_else(keys::meta, |(key, _)| key.clone());
        let read = Txn::read(&[&keys::meta(), &keys::witness(&self.verifier), &written]);
        let reply = self.engine.transact(&read, limit).map_err(of_read)?;
        let [meta, witness, written] = three(&reply)?;
        let witness =
            witness.map(|stored| open_witness(ring, &seen, meta, stored, &self.verifier)).transpose();
        let comparison = compare(ring, &seen, &reply, meta, witness, written);
        let mut known = lock(&self.seen);
        match comparison {
            Err(error) => {
                if let FleetError::RolledBack(why) = error {
                    known.refusal = Some(why);
                }
                Err(error)
            }
            Ok(Comparison::Same) => {
                known.refusal = None;
                known.connection = reply.connection;
                Ok(StoreCheck::Same)
            }
            Ok(Comparison::Adopt { meta, witness }) => {
                // The connection stays unknown until the caller has done what a restore asks for.
                let is_first = known.seen.store.is_none();
                if !is_first {
                    return Ok(StoreCheck::Restored(meta));
                }
                known.seen = adopted(&meta, witness, reply.revision);
                self.save(&known.seen)?;
                (known.refusal, known.connection) = (None, reply.connection);
                Ok(StoreCheck::Same)
            }
        }
    }

    /// Takes the store as it is from now on: a restore was accepted.
    pub fn adopt(&self, ring: &Ring, meta: &Meta) -> Result<(), FleetError> {
        let _checking = lock(&self.checking);
        let read = Txn::read(&[&keys::witness(&self.verifier)]);
        let reply = self.engine.transact(&read, TRY).map_err(of_read)?;
        let witness = reply.values.first().and_then(Option::as_ref);
        let seen = Seen { store: Some(meta.store), ..Seen::default() };
        let witness = witness.and_then(|stored| open_witness(ring, &seen, None, stored, &self.verifier).ok());
        let mut known = lock(&self.seen);
        known.seen = adopted(meta, witness.map(|witness| witness.random), reply.revision);
        self.save(&known.seen)?;
        (known.refusal, known.connection) = (None, reply.connection);
        Ok(())
    }

    /// Makes what is known durable, and writes a new witness. To be called every few seconds.
    pub fn keep_witness(&self, ring: &Ring, now: UnixTime) -> Result<StoreCheck, FleetError> {
        if !self.directory.user.is_daemon() {
            return Err(FleetError::Local("only the verifier's daemon writes its witness".to_owned()));
        }
        let _checking = lock(&self.checking);
        if let check @ StoreCheck::Restored(_) = self.check_once(ring, TRY)? {
            return Ok(check);
        }
        let key = keys::witness(&self.verifier);
        let read = Txn::read(&[&key, &keys::meta()]);
        let reply = self.engine.transact(&read, TRY).map_err(of_read)?;
        let found = |at: usize| revision_of(reply.values.get(at).and_then(Option::as_ref));
        let (store, random) = {
            let mut known = lock(&self.seen);
            // An unclear write of the last time may still be carried out: it must not surprise us.
            let random = match known.seen.next_witness {
                Some(next) => next,
                None => random_bytes().map_err(|error| FleetError::Local(error.to_string()))?,
            };
            known.seen.next_witness = Some(random);
            self.save(&known.seen)?;
            (known.seen.store.unwrap_or(NO_STORE), random)
        };
        let (version, condition) = (env!("CARGO_PKG_VERSION").to_owned(), lock(&self.condition).clone());
        let value = Witness { random, clock: now, version, condition };
        let put = crate::engine::Op::Put(key.clone(), ring.seal(&store, &key, &value.to_bytes())?);
        let compare = vec![(key, found(0)), (keys::meta(), found(1))];
        let reply = self.engine.transact(&Txn { compare, then: vec![put], otherwise: Vec::new() }, TRY)?;
        if reply.equal {
            let mut known = lock(&self.seen);
            (known.seen.witness, known.seen.next_witness) = (Some(random), None);
            known.seen.revision = known.seen.revision.max(reply.revision);
            self.save(&known.seen)?; // until then the witness before counts as well
        }
        Ok(StoreCheck::Same)
    }
}

/// The meaning of an error of a read: nothing was changed, whatever it is.
pub(crate) fn of_read(error: EngineError) -> FleetError {
    match error {
        EngineError::Unknown(why) => FleetError::NoQuorum(why),
        other => other.into(),
    }
}

enum Comparison {
    Same,
    Adopt { meta: Meta, witness: Option<[u8; 16]> },
}

fn adopted(meta: &Meta, witness: Option<[u8; 16]>, revision: i64) -> Seen {
    let (store, generation) = (Some(meta.store), meta.generation);
    Seen { store, generation, revision, witness, next_witness: None, written: None }
}

fn three(reply: &Reply) -> Result<[Option<&Stored>; 3], FleetError> {
    match reply.values.as_slice() {
        [a, b, c] => Ok([a.as_ref(), b.as_ref(), c.as_ref()]),
        _ => Err(FleetError::NoQuorum("etcd's answer is not of this request".to_owned())),
    }
}

fn open_witness(
    ring: &Ring,
    seen: &Seen,
    meta: Option<&Stored>,
    stored: &Stored,
    verifier: &HostName,
) -> Result<Witness, FleetError> {
    let store = match (seen.store, meta) {
        (Some(store), _) => store,
        (None, Some(meta)) => open_meta(ring, meta)?.store,
        (None, None) => NO_STORE,
    };
    let key = keys::witness(verifier);
    let (plain, _) = ring.open(&store, &key, &stored.value)?;
    Witness::from_bytes(&plain).map_err(|_| FleetError::Damaged { key, why: "not a witness" })
}

/// Compares what was read with what was known before.
fn compare(
    ring: &Ring,
    seen: &Seen,
    reply: &Reply,
    meta: Option<&Stored>,
    witness: Result<Option<Witness>, FleetError>,
    written: Option<&Stored>,
) -> Result<Comparison, FleetError> {
    let Some(meta) = meta else {
        return Err(match seen.store {
            None => FleetError::NotMade,
            Some(_) => FleetError::RolledBack("etcd no longer holds the store"),
        });
    };
    let meta = open_meta(ring, meta)?;
    if seen.store.is_some_and(|known| known != meta.store) {
        return Err(FleetError::RolledBack("etcd holds another store"));
    }
    if seen.store.is_none() || meta.generation > seen.generation {
        let witness = witness.ok().flatten().map(|witness| witness.random);
        return Ok(Comparison::Adopt { meta, witness });
    }
    if meta.generation < seen.generation {
        return Err(FleetError::RolledBack("the store is of an earlier generation"));
    }
    if reply.revision < seen.revision {
        return Err(FleetError::RolledBack("the store's revision is lower than it was"));
    }
    let found = witness?.map(|witness| witness.random);
    if found != seen.witness && (found.is_none() || found != seen.next_witness) {
        return Err(FleetError::RolledBack("etcd does not hold this verifier's last witness"));
    }
    match (&seen.written, written) {
        // A key that is gone was removed by an admin.
        (Some((_, at)), Some(stored)) if stored.revision < *at => {
            Err(FleetError::RolledBack("etcd does not hold this verifier's last change"))
        }
        _ => Ok(Comparison::Same),
    }
}
