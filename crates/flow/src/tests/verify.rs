//! Concurrent changes between the two parts of a verification, and the disk I/O of a refusal.
use super::*;
use qrtotp_account::{Record, State};
use qrtotp_store::{Account, SealKey, Store, StoreError, StoreExt};
use std::cell::RefCell;

/// A store that records its calls. `meanwhile` runs before its state is changed by the second one.
struct Watched<'a> {
    store: &'a FileStore,
    visits: RefCell<Vec<&'static str>>,
    meanwhile: fn(&FileStore),
}

impl Store for Watched<'_> {
    fn key(&self) -> &SealKey {
        self.store.key()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.store.load(name)
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        let is_claim = self.visits.borrow().contains(&"verify");
        if is_claim {
            (self.meanwhile)(self.store);
        }
        self.visits.borrow_mut().push(if is_claim { "claim" } else { "verify" });
        self.store.change_state(name, f)
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        self.visits.borrow_mut().push("simulate");
        self.store.simulate(f);
    }

    fn change_account(&self, _: &Name, _: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        unreachable!("a login changes no record")
    }
}

/// A login with `answer`, and its calls of the store.
fn watched(
    w: &mut World,
    user: &str,
    answer: &str,
    meanwhile: fn(&FileStore),
) -> (Outcome, Vec<&'static str>) {
    let (ctx, store) = w.with_store(World::subject(user));
    let store = Watched { store, visits: RefCell::default(), meanwhile };
    let mut human = Human::says([say(answer)]);
    let outcome = login(Ctx { store: &store, ..ctx }, &Options::default(), &mut human);
    (outcome, store.visits.take())
}

fn nothing(_: &FileStore) {}

#[test]
fn a_recovery_code_of_somebody_whom_nobody_knows_costs_the_store_a_second_visit_too() {
    let mut w = World::new();
    w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
    for (user, answer, visits) in [
        ("alice", "0000-0000-0000-0000", &["verify", "claim"][..]),
        ("mallory", "0000-0000-0000-0000", &["simulate", "simulate"]),
        ("bob", "0000-0000-0000-0000", &["verify", "simulate", "simulate"]),
        ("alice", "000000", &["verify"]),
        ("mallory", "000000", &["simulate"]),
        ("bob", "000000", &["verify", "simulate"]),
    ] {
        let (outcome, paid) = watched(&mut w, user, answer, nothing);
        assert_eq!((outcome, paid.as_slice()), (Outcome::Denied, visits), "{user} {answer}");
    }
}

#[test]
fn a_recovery_code_opens_no_account_that_went_to_another_uid_while_it_was_hashed() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let recreated = |store: &FileStore| {
        store.update_account(&World::name(), |slot| slot.as_mut().unwrap().record.uid += 1).unwrap();
    };
    let (outcome, _) = watched(&mut w, "alice", &human.codes[0], recreated);
    assert_eq!((outcome, w.reason().as_str()), (Outcome::Denied, "wrong_code"));
    let used = w.store.load(&World::name()).unwrap().unwrap();
    assert_eq!(used.state.recovery_used(used.record.recovery.unwrap().id), 0);
}

#[test]
fn a_recovery_code_opens_no_account_whose_codes_were_replaced_while_it_was_hashed() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let replaced = |store: &FileStore| {
        // The same codes under another id: the id decides.
        let other = qrtotp_account::SetId::from_random([9; 6]);
        store
            .update_account(&World::name(), |slot| {
                slot.as_mut().unwrap().record.recovery.as_mut().unwrap().id = other;
            })
            .unwrap();
    };
    let (outcome, _) = watched(&mut w, "alice", &human.codes[0], replaced);
    assert_eq!((outcome, w.reason().as_str()), (Outcome::Denied, "wrong_code"));
}

/// A shared store, which commits by comparing: the record is removed elsewhere between the first run of the
/// function and the commit, and the repetition finds no record. It does all that [`Store`] demands.
struct RemovedMeanwhile<'a>(&'a FileStore);

impl Store for RemovedMeanwhile<'_> {
    fn key(&self) -> &SealKey {
        self.0.key()
    }

    fn load(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.0.load(name)
    }

    fn change_state(&self, name: &Name, f: &mut dyn FnMut(&Record, &mut State)) -> Result<bool, StoreError> {
        if let Some(Account { record, mut state }) = self.0.load(name)? {
            f(&record, &mut state);
            self.0.remove_account(name)?; // another host; so the commit fails
        }
        self.0.change_state(name, f) // finds no record, so `f` does not run
    }

    fn simulate(&self, f: &mut dyn FnMut(&Record, &mut State)) {
        self.0.simulate(f);
    }

    fn change_account(&self, _: &Name, _: &mut dyn FnMut(&mut Option<Account>)) -> Result<(), StoreError> {
        unreachable!("a login changes no record")
    }
}

#[test]
fn what_a_store_did_not_commit_admits_nobody() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    w.log.0.clear();
    let (ctx, store) = w.with_store(World::subject("alice"));
    let store = RemovedMeanwhile(store);
    let outcome = login(Ctx { store: &store, ..ctx }, &Options::default(), &mut Human::says([say(&code)]));
    assert!(w.store.load(&World::name()).unwrap().is_none());
    assert_eq!(outcome, Outcome::Denied, "{:?}", w.log.0);
    assert!(!w.log.0.iter().any(|line| line.contains("result=accepted")), "{:?}", w.log.0);
}
