//! Administration of everything beside accounts: lists, hosts, tokens to join, the policy.

use crate::attempts::Tag;
use crate::change::Swapped;
use crate::engine::{Op, Page, Stored, Txn, gets, revision_of};
use crate::error::FleetError;
use crate::fleet::FleetStore;
use crate::guard::{NO_STORE, of_read, open_meta};
use crate::keys::{self, HostName};
use crate::limit::{EACH, Limit};
use crate::renewed::renewed;
use crate::ring::local;
use crate::values::{Host, HostFailures, Meta, RecordValue, Tagged, Value, Witness};
use crate::view::{damaged, open_tagged};
use qrtotp_account::Name;
use qrtotp_otp::random_bytes;

/// Keys of one request for a list.
const PAGE: u32 = 500;
/// How often a change is repeated because the value changed in between.
const RETRIES: usize = 8;
/// Most bytes of the policy.
pub const MAX_POLICY: usize = 16 * 1024;

impl FleetStore {
    /// The accounts that have a record, in order: at most 250 that come after `after`.
    ///
    /// # Errors
    /// etcd does not answer.
    pub fn some_names(&self, after: Option<&Name>) -> Result<Vec<Name>, FleetError> {
        self.meta()?; // in a store that is not the right one there are no names
        let after = after.map_or_else(String::new, keys::state);
        let page = self.page(&keys::accounts(), &after)?;
        Ok(page.entries.iter().filter_map(|(key, _)| keys::account_of_record(key)).collect())
    }

    fn page(&self, prefix: &str, after: &str) -> Result<Page, FleetError> {
        self.engine.list(prefix, after, PAGE, EACH).map_err(of_read)
    }

    /// Every key below a prefix, without the prefix, with the bytes under the seal.
    pub(crate) fn all(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, FleetError> {
        let meta = self.meta()?;
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.page(prefix, &after)?;
            for (key, stored) in &page.entries {
                let (plain, _) = self.ring.open(&meta.store, key, &stored.value)?;
                let name = key.strip_prefix(prefix).unwrap_or_default();
                found.push((name.to_owned(), plain.to_vec()));
            }
            match page.entries.last() {
                Some((last, _)) if page.more => last.clone_into(&mut after),
                _ => return Ok(found),
            }
        }
    }

    /// All hosts, with their names.
    ///
    /// # Errors
    /// etcd does not answer, or a value is damaged.
    pub fn hosts(&self) -> Result<Vec<(HostName, Host)>, FleetError> {
        let read = |(name, bytes): (String, Vec<u8>)| {
            let bad = |()| damaged(format!("{}{name}", keys::hosts()), "not a host of a known version");
            let tagged = Tagged::from_bytes(&bytes).map_err(|_| bad(()))?;
            let host = Host::from_bytes(&tagged.bytes).map_err(|_| bad(()))?;
            Ok((HostName::new(&name).map_err(|_| bad(()))?, host))
        };
        self.all(&keys::hosts())?.into_iter().map(read).collect()
    }

    /// The failures that each verifier counted at each host.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn host_failures(&self) -> Result<Vec<(HostName, HostName, HostFailures)>, FleetError> {
        let read = |(name, bytes): (String, Vec<u8>)| {
            let (host, verifier) = name.split_once('/')?;
            let value = HostFailures::from_bytes(&bytes).ok()?;
            Some((HostName::new(host).ok()?, HostName::new(verifier).ok()?, value))
        };
        Ok(self.all(&keys::failures())?.into_iter().filter_map(read).collect())
    }

    /// What each verifier last said of itself.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn witnesses(&self) -> Result<Vec<(HostName, Witness)>, FleetError> {
        let read = |(name, bytes): (String, Vec<u8>)| {
            Some((HostName::new(&name).ok()?, Witness::from_bytes(&bytes).ok()?))
        };
        Ok(self.all(&keys::witnesses())?.into_iter().filter_map(read).collect())
    }

    /// Writes a value that nothing compares and no restore brings back.
    pub(crate) fn put_alone(&self, key: &str, plain: &[u8]) -> Result<(), FleetError> {
        let limit = Limit::Each(EACH);
        let left = limit.start();
        let reply = self.read(&[&keys::meta()], &left)?;
        let stored = reply.values.first().and_then(Option::as_ref).ok_or(FleetError::NotMade)?;
        let meta = open_meta(&self.ring, stored)?;
        let put = Op::Put(key.to_owned(), self.ring.seal(&meta.store, key, plain)?);
        let compare = vec![(keys::meta(), stored.revision)];
        self.swap(&Txn { compare, then: vec![put], otherwise: Vec::new() }, &left).map(|_| ())
    }

    /// The verifiers whose last sign of life was not sealed with our current key.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn verifiers_with_other_keys(&self) -> Result<Vec<HostName>, FleetError> {
        let meta = self.meta()?;
        let prefix = keys::witnesses();
        let mut found = Vec::new();
        for (key, stored) in self.page(&prefix, "")?.entries {
            let (_, sealed_with) = self.ring.open(&meta.store, &key, &stored.value)?;
            if sealed_with.id() != self.ring.current().id() {
                found.extend(HostName::new(key.strip_prefix(&prefix).unwrap_or_default()));
            }
        }
        Ok(found)
    }

    /// Removes the signs of life of a verifier that is gone for good.
    ///
    /// # Errors
    /// etcd does not answer.
    pub fn forget_verifier(&self, name: &HostName) -> Result<(), FleetError> {
        let (limit, meta, witness) = (Limit::Each(EACH), keys::meta(), keys::witness(name));
        let left = limit.start();
        let reply = self.read(&[&meta], &left)?;
        let compare = vec![(meta, revision_of(reply.values.first().and_then(Option::as_ref)))];
        self.swap(&Txn { compare, then: vec![Op::Delete(witness)], otherwise: Vec::new() }, &left).map(|_| ())
    }

    /// Changes, makes or removes a host; once this returns, it holds for every decision. `f` may run more
    /// than once.
    ///
    /// # Errors
    /// etcd does not answer, or the host was changed again and again in between.
    pub fn change_host(
        &self,
        name: &HostName,
        f: &mut dyn FnMut(&mut Option<Host>),
    ) -> Result<(), FleetError> {
        let key = keys::host(name);
        self.change_value(&key, &mut |bytes| {
            let read = |bytes: &[u8]| Host::from_bytes(bytes);
            let bad = |_| damaged(key.clone(), "not a host of a known version");
            let mut host = bytes.as_deref().map(read).transpose().map_err(bad)?;
            f(&mut host);
            *bytes = host.map(|host| host.to_bytes());
            Ok(())
        })
    }

    /// The tokens to join, each with the bytes that [`FleetStore::change_token`] gave it.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn tokens(&self) -> Result<Vec<(String, Vec<u8>)>, FleetError> {
        let read = |(name, bytes): (String, Vec<u8>)| Some((name, Tagged::from_bytes(&bytes).ok()?.bytes));
        Ok(self.all(&keys::tokens())?.into_iter().filter_map(read).collect())
    }

    /// Changes, makes or removes a token to join, whose name is its id: letters and digits. Each use is
    /// counted once, whatever fails: `f` may run more than once, but one run of it is kept.
    ///
    /// # Errors
    /// As [`FleetStore::change_host`].
    pub fn change_token(&self, id: &str, f: &mut dyn FnMut(&mut Option<Vec<u8>>)) -> Result<(), FleetError> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(FleetError::Local("a token's id has letters and digits only".to_owned()));
        }
        self.change_value(&keys::token(id), &mut |bytes| {
            f(bytes);
            Ok(())
        })
    }

    /// The fleet's policy in its applied form; none was set yet: `None`.
    ///
    /// # Errors
    /// As [`FleetStore::hosts`].
    pub fn policy(&self) -> Result<Option<Vec<u8>>, FleetError> {
        let key = keys::policy();
        let reply = self.read(&[&keys::meta(), &key], &Limit::Each(EACH).start())?;
        let value = |at: usize| reply.values.get(at).and_then(Option::as_ref);
        let meta = open_meta(&self.ring, value(0).ok_or(FleetError::NotMade)?)?;
        value(1).map(|stored| Ok(open_tagged(&self.ring, &meta, &key, stored)?.bytes)).transpose()
    }

    /// Replaces the policy.
    ///
    /// # Errors
    /// It is longer than [`MAX_POLICY`]; as [`FleetStore::change_host`].
    pub fn set_policy(&self, policy: &[u8]) -> Result<(), FleetError> {
        if policy.len() > MAX_POLICY {
            return Err(FleetError::Local(format!("a policy has at most {MAX_POLICY} bytes")));
        }
        self.change_value(&keys::policy(), &mut |bytes| {
            *bytes = Some(policy.to_vec());
            Ok(())
        })
    }

    /// Sets the groups of hosts that may speak about an account; none: every host. False: there is no record.
    ///
    /// # Errors
    /// As [`FleetStore::change_host`].
    pub fn set_groups(&self, name: &Name, groups: &[String]) -> Result<bool, FleetError> {
        let mut is_there = false;
        let key = keys::record(name);
        self.change_sealed(&key, &mut |_, plain| {
            let bad = |_| damaged(key.clone(), "not a record of a known version");
            let record = plain.as_deref().map(RecordValue::from_bytes).transpose().map_err(bad)?;
            is_there = record.is_some();
            *plain = record.map(|value| RecordValue { groups: groups.to_vec(), ..value }.to_bytes());
            Ok(())
        })?;
        Ok(is_there)
    }

    /// Removes an account. False: there was no record.
    ///
    /// # Errors
    /// As [`FleetStore::change_host`].
    pub fn remove(&self, name: &Name) -> Result<bool, FleetError> {
        let keys = [keys::meta(), keys::record(name), keys::state(name)];
        let [meta, record, state] = keys.each_ref().map(String::as_str);
        let limit = Limit::Each(EACH);
        let (left, mut was_sent) = (limit.start(), false);
        for _ in 0..=RETRIES {
            let reply = self.read(&[meta, record, state], &left)?;
            let found = |at: usize| revision_of(reply.values.get(at).and_then(Option::as_ref));
            if found(1) == 0 && found(2) == 0 {
                return Ok(was_sent);
            }
            let compare = keys.iter().enumerate().map(|(at, key)| (key.clone(), found(at))).collect();
            let then = vec![Op::Delete(record.to_owned()), Op::Delete(state.to_owned())];
            match self.swap(&Txn { compare, then, otherwise: Vec::new() }, &left) {
                Ok(Swapped::Done(revision)) => {
                    self.journal_removed(&[record, state], revision)?;
                    return Ok(true);
                }
                Ok(Swapped::Differs(_)) => {}
                Err(FleetError::Unclear(_)) => was_sent = true,
                Err(error) => return Err(error),
            }
        }
        Err(FleetError::Busy)
    }

    /// Changes a value that has no history of attempts.
    fn change_value(&self, key: &str, f: &mut ChangeBytes<'_>) -> Result<(), FleetError> {
        let tag: Tag = random_bytes().map_err(|error| local(&error))?;
        let mut is_sent = false;
        self.change_sealed(key, &mut |is_unclear, plain| {
            let bad = |_| damaged(key.to_owned(), "not a value of a known version");
            let tagged = plain.as_deref().map(Tagged::from_bytes).transpose().map_err(bad)?;
            if is_unclear && is_sent && tagged.as_ref().is_some_and(|found| found.tag == tag) {
                return Ok(()); // ours, carried out
            }
            is_sent = true;
            let mut bytes = tagged.map(|tagged| tagged.bytes);
            f(&mut bytes)?;
            *plain = bytes.map(|bytes| Tagged { tag, bytes }.to_bytes());
            Ok(())
        })
    }

    /// Reads, changes and swaps a sealed value. `f` is told whether an earlier try may have been carried out;
    /// if it changes nothing, nothing is written.
    fn change_sealed(&self, key: &str, f: &mut ChangeSealed<'_>) -> Result<(), FleetError> {
        let limit = Limit::Each(EACH);
        let (left, mut unclear) = (limit.start(), None);
        let meta_key = keys::meta();
        for _ in 0..=RETRIES {
            let reply =
                self.read(&[&meta_key, key], &left).map_err(|error| unclear.clone().unwrap_or(error))?;
            let value = |at: usize| reply.values.get(at).and_then(Option::as_ref);
            let meta = open_meta(&self.ring, value(0).ok_or(FleetError::NotMade)?)?;
            let before = value(1).map(|stored| self.open_renewed(&meta, key, stored)).transpose()?;
            let mut after = before.clone();
            f(unclear.is_some(), &mut after)?;
            if after == before {
                return self.journal_change(key, after, revision_of(value(1)));
            }
            let txn = self.swap_of(&meta, key, after.as_deref(), [0, 1].map(|at| revision_of(value(at))))?;
            match self.swap(&txn, &left) {
                Ok(Swapped::Done(revision)) => return self.journal_change(key, after, revision),
                Ok(Swapped::Differs(_)) => {}
                Err(error @ FleetError::Unclear(_)) => unclear = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(unclear.unwrap_or(FleetError::Busy))
    }

    fn open_renewed(&self, meta: &Meta, key: &str, stored: &Stored) -> Result<Vec<u8>, FleetError> {
        let (plain, sealed_with) = self.ring.open(&meta.store, key, &stored.value)?;
        Ok(renewed(&self.ring, key, plain, sealed_with)?.to_vec())
    }

    /// Seals with the current fleet key some values that an older one sealed: those after the key `after`, or
    /// the first ones if it is empty. Returns the key to go on after; `None`: these were the last ones. Once
    /// every verifier has the new key, go through all of them; then the old key can go.
    ///
    /// # Errors
    /// etcd does not answer, or a value is damaged.
    pub fn renew(&self, after: &str) -> Result<Option<String>, FleetError> {
        let limit = Limit::Each(EACH);
        let page = self.page(keys::PREFIX, after)?;
        for (key, stored) in &page.entries {
            let meta_key = keys::meta();
            let reply = self.read(&[&meta_key], &limit.start())?;
            let stored_meta = reply.values.first().and_then(Option::as_ref).ok_or(FleetError::NotMade)?;
            let meta = open_meta(&self.ring, stored_meta)?;
            let store = if *key == meta_key { NO_STORE } else { meta.store };
            let (plain, sealed_with) = self.ring.open(&store, key, &stored.value)?;
            if sealed_with.id() == self.ring.current().id() {
                continue;
            }
            let plain = renewed(&self.ring, key, plain, sealed_with)?;
            let then = vec![Op::Put(key.clone(), self.ring.seal(&store, key, &plain)?)];
            let mut compare = vec![(key.clone(), stored.revision)];
            if *key != meta_key {
                compare.push((meta_key, stored_meta.revision));
            }
            // A value that was changed meanwhile is sealed with the current key already.
            self.swap(&Txn { compare, then, otherwise: Vec::new() }, &limit.start())?;
        }
        Ok(page.entries.last().filter(|_| page.more).map(|(key, _)| key.clone()))
    }

    fn swap_of(
        &self,
        meta: &Meta,
        key: &str,
        plain: Option<&[u8]>,
        [meta_revision, revision]: [i64; 2],
    ) -> Result<Txn, FleetError> {
        let op = match plain {
            Some(plain) => Op::Put(key.to_owned(), self.ring.seal(&meta.store, key, plain)?),
            None => Op::Delete(key.to_owned()),
        };
        let compare = vec![(keys::meta(), meta_revision), (key.to_owned(), revision)];
        Ok(Txn { compare, then: vec![op], otherwise: gets(&[]) })
    }

    fn journal_change(&self, key: &str, plain: Option<Vec<u8>>, revision: i64) -> Result<(), FleetError> {
        match plain {
            Some(plain) => self.write_journal(&[(key.to_owned(), plain)], revision),
            None => self.journal_removed(&[key], revision),
        }
    }
}

/// Changes bytes, or makes or removes them.
type ChangeBytes<'f> = dyn FnMut(&mut Option<Vec<u8>>) -> Result<(), FleetError> + 'f;
/// The same, told whether an earlier try may have been carried out.
type ChangeSealed<'f> = dyn FnMut(bool, &mut Option<Vec<u8>>) -> Result<(), FleetError> + 'f;
