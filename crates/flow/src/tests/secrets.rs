//! Devices with distinct codes.

use super::{START, World};
use qrtotp_otp::{Params, Secret, Strength, code_at};
use std::cell::RefCell;
use std::collections::HashSet;

/// Steps before and after the first second of a test whose codes are checked.
const BEFORE: u64 = 60;
const AFTER: u64 = 240;
/// The wrong codes that tests type.
const WRONG: [&str; 3] = ["000000", "000001", "123456"];

/// The codes in use by any device.
pub(super) struct Taken(RefCell<HashSet<String>>);

impl Default for Taken {
    fn default() -> Self {
        Self(RefCell::new(WRONG.map(str::to_owned).into()))
    }
}

impl Taken {
    /// Takes the codes of the secret, unless one of them is taken, or two are the same.
    fn take(&self, secret: &Secret) -> bool {
        let (params, mut new) = (Params::default(), HashSet::new());
        let first = params.step_at(START);
        let mut taken = self.0.borrow_mut();
        let fresh = (first - BEFORE..first + AFTER).all(|step| {
            let code = code_at(secret, params, step).as_str().to_owned();
            !taken.contains(&code) && new.insert(code)
        });
        if fresh {
            taken.extend(new);
        }
        fresh
    }
}

impl World {
    /// A fresh secret: its codes differ from each other, from other devices' and from wrong ones. Six-digit
    /// codes of any two steps coincide once in a million, and a test that compares them would then fail.
    pub(super) fn secret(&self) -> Secret {
        loop {
            let secret = Secret::generate().unwrap();
            if self.taken.take(&secret) {
                return secret;
            }
        }
    }
}

#[test]
fn a_secret_is_passed_over_if_two_of_its_codes_are_the_same_or_one_is_taken() {
    let w = World::new();
    let secret = w.secret();
    assert!(!w.taken.take(&secret));
    assert_eq!(w.taken.0.borrow().len(), WRONG.len() + 300);
    // Among 300 codes two coincide in about one of twenty secrets.
    let other = (0_u32..)
        .map(|n| Secret::from_bytes(format!("secret number {n:06}").as_bytes(), Strength::Normal).unwrap());
    assert!(other.take(1000).any(|secret| !Taken(RefCell::default()).take(&secret)));
}
