//! Concurrent changes between the two parts of a verification, and the disk I/O of a refusal.
use super::*;
use qrtotp_account::{FailureCounter, Record, State};
use qrtotp_store::{Account, SealKey, Store, StoreError};
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

    fn update_state<T>(
        &self,
        name: &Name,
        f: impl FnMut(&Record, &mut State) -> T,
    ) -> Result<Option<T>, StoreError> {
        let is_claim = self.visits.borrow().contains(&"verify");
        if is_claim {
            (self.meanwhile)(self.store);
        }
        self.visits.borrow_mut().push(if is_claim { "claim" } else { "verify" });
        self.store.update_state(name, f)
    }

    fn simulate(&self, f: impl FnOnce(&Record, &mut State)) {
        self.visits.borrow_mut().push("simulate");
        self.store.simulate(f);
    }

    fn update_account<T>(&self, _: &Name, _: impl FnMut(&mut Option<Account>) -> T) -> Result<T, StoreError> {
        unreachable!("a login changes no record")
    }

    fn update_primary<T>(&self, _: &Name, _: impl FnMut(&mut FailureCounter) -> T) -> Result<T, StoreError> {
        unreachable!("a login checks no password")
    }
}

/// A login with `answer`, and its calls of the store.
fn watched(
    w: &mut World,
    user: &str,
    answer: &str,
    meanwhile: fn(&FileStore),
) -> (Outcome, Vec<&'static str>) {
    let store = Watched { store: &w.store, visits: RefCell::default(), meanwhile };
    let outcome = Login {
        config: &w.config,
        options: &Options::default(),
        store: &store,
        directory: &w.people,
        host: &mut Human::says([say(answer)]),
        clock: &w.clock,
        audit: &mut w.log,
        subject: World::subject(user),
        ruling: Ruling::default(),
    }
    .run();
    (outcome, store.visits.into_inner())
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
