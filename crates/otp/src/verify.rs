//! Finds the step that a code belongs to. It does not know which steps were used: the caller compares the
//! step with the credential's watermark (RFC 6238 §5.2: a code is accepted once).

use std::fmt::Write;

use subtle::{Choice, ConditionallySelectable};
use totp_rs::{Builder, Totp};

use super::{Algorithm, Code, Params, Secret, Step};

/// Most (accepted steps × devices) of an account: the number of codes that one guess can hit.
pub const MAX_TARGETS: usize = 15;

/// How far a device's clock may be off, in seconds either way, for resynchronisation and for imports.
pub const MAX_CLOCK_OFFSET: i64 = 600;

/// Most steps on either side of a device's own window: 7 in all, so that four devices with the default window
/// fit beside it in [`MAX_TARGETS`]. A clock that is further off needs a drift instead.
pub const MAX_OWN_SIDE: u8 = 3;

/// Steps around the present one whose codes are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Steps back, for the time between reading and sending a code and for slow phone clocks.
    pub back: u8,
    /// Steps ahead, for fast phone clocks.
    pub ahead: u8,
}

impl Window {
    /// Number of steps in the window, the present one included: the number of codes that one guess can hit.
    pub fn steps(self) -> usize {
        usize::from(self.back) + 1 + usize::from(self.ahead)
    }

    /// The window cut to the size that a single device may have ([`MAX_OWN_SIDE`]).
    #[must_use]
    pub fn own(back: u32, ahead: u32) -> Self {
        let most = |steps| u8::try_from(steps).unwrap_or(MAX_OWN_SIDE).min(MAX_OWN_SIDE);
        Window { back: most(back), ahead: most(ahead) }
    }

    /// The window cut to the size that an account with this many devices may have ([`MAX_TARGETS`]): steps
    /// ahead go first, the present one stays.
    #[must_use]
    pub fn for_devices(mut self, devices: usize) -> Self {
        let most = MAX_TARGETS / devices.max(1);
        while self.steps() > most {
            match (self.ahead, self.back) {
                (1.., _) => self.ahead -= 1,
                (0, 1..) => self.back -= 1,
                (0, 0) => break,
            }
        }
        self
    }
}

impl Default for Window {
    /// One step back, none ahead (RFC 6238 §5.2: at most one step for network delay).
    fn default() -> Self {
        Window { back: 1, ahead: 0 }
    }
}

/// Compares codes with those of one secret. Only making a verifier allocates, so a login can't run out of
/// memory between the first comparison and the write of its result.
pub struct Verifier {
    totp: Totp,
    params: Params,
}

impl Verifier {
    /// A verifier for the codes of this secret.
    pub fn new(secret: &Secret, params: Params) -> Self {
        Self { totp: totp(secret, params), params }
    }

    /// The highest step in `now - back ..= now + ahead` whose code is `code`. Always computes every step of
    /// the window, so timing does not reveal which one matched. A code with another number of digits than the
    /// parameters say matches nothing.
    pub fn matching_step(&self, code: &Code, now: Step, window: Window) -> Option<Step> {
        if code.len() != usize::from(self.params.digits()) {
            return None;
        }
        let first = now.saturating_sub(window.back.into());
        let last = now.saturating_add(window.ahead.into());
        let (mut found, mut highest) = (Choice::from(0), 0);
        for step in first..=last {
            let hit = Choice::from(u8::from(self.totp.check(code.as_str(), step).is_some()));
            highest.conditional_assign(&step, hit);
            found |= hit;
        }
        bool::from(found).then_some(highest)
    }
}

/// [`Verifier::matching_step`] for a single comparison.
pub fn matching_step(
    secret: &Secret,
    params: Params,
    code: &Code,
    now: Step,
    window: Window,
) -> Option<Step> {
    Verifier::new(secret, params).matching_step(code, now, window)
}

/// The code of `step` (RFC 6238 §4.2; with 6 digits and `step` as the counter, RFC 4226 §5.3). For tests and
/// for the demo's phone; a login only ever compares.
pub fn code_at(secret: &Secret, params: Params, step: Step) -> Code {
    let mut code = Code::empty();
    // Can't fail: 6 to 8 digits fit. A shorter code would match nothing.
    let _ = write!(code, "{}", totp(secret, params).generate(step));
    code
}

/// Steps are counted by [`Params::step_at`]: with a duration of 1, totp-rs's time is our step, and no
/// multiplication can overflow. A skew of 0 makes its `check` test exactly that step. (`build` would refuse
/// the 80-bit keys that [`super::Strength::AllowWeak`] accepts; we check all bounds ourselves.)
fn totp(secret: &Secret, params: Params) -> Totp {
    let algorithm = match params.algorithm() {
        Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
        Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
        Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
    };
    Builder::new()
        .with_algorithm(algorithm)
        .with_digits(params.digits())
        .with_step_duration(1)
        .with_skew(0)
        .with_secret(totp_rs::Secret::new(secret.as_bytes().into()))
        .build_noncompliant()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::Strength;
    use super::*;
    use proptest::prelude::*;

    const SEED: &[u8] = b"1234567890123456789012345678901234567890123456789012345678901234";

    fn secret(bytes: &[u8]) -> Secret {
        Secret::from_bytes(bytes, Strength::Normal).unwrap()
    }

    #[test]
    fn the_18_vectors_of_rfc_6238_appendix_b_hold() {
        let vectors: [(i64, [&str; 3]); 6] = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        let kinds = [(Algorithm::Sha1, 20), (Algorithm::Sha256, 32), (Algorithm::Sha512, 64)];
        for (time, codes) in vectors {
            for ((algorithm, length), expected) in kinds.into_iter().zip(codes) {
                let secret = secret(&SEED[..length]);
                let params = Params::new(algorithm, 8, 30).unwrap();
                let step = params.step_at(time);
                assert_eq!(code_at(&secret, params, step).as_str(), expected, "{algorithm} at {time}");
                let typed = Code::parse(expected.as_bytes()).unwrap();
                assert_eq!(matching_step(&secret, params, &typed, step, Window::default()), Some(step));
            }
        }
    }

    #[test]
    fn the_10_vectors_of_rfc_4226_appendix_d_hold() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        let secret = secret(&SEED[..20]);
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(code_at(&secret, Params::default(), counter).as_str(), expected, "counter {counter}");
        }
    }

    #[test]
    fn by_default_the_previous_code_is_taken_and_the_next_is_not() {
        let (secret, params) = (secret(&SEED[..20]), Params::default());
        let found =
            |step| matching_step(&secret, params, &code_at(&secret, params, step), 1000, Window::default());
        assert_eq!([998, 999, 1000, 1001].map(found), [None, Some(999), Some(1000), None]);
        assert_eq!(Window::default().steps(), 2);
        assert_eq!(Window { back: 255, ahead: 255 }.steps(), 511);
    }

    #[test]
    fn many_devices_narrow_the_window_ahead_first() {
        let wide = Window { back: 3, ahead: 2 };
        let narrowed = |devices| {
            let Window { back, ahead } = wide.for_devices(devices);
            (back, ahead)
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 7, 8, 15, 32].map(narrowed),
            [(3, 2), (3, 2), (3, 2), (3, 1), (2, 0), (2, 0), (1, 0), (0, 0), (0, 0), (0, 0)]
        );
    }

    #[test]
    fn a_window_of_a_devices_own_has_at_most_three_steps_to_each_side() {
        let own = |back, ahead| (Window::own(back, ahead).back, Window::own(back, ahead).ahead);
        assert_eq!(
            [own(0, 0), own(1, 2), own(3, 3), own(8, 2), own(0, 4), own(256, u32::MAX)],
            [(0, 0), (1, 2), (3, 3), (3, 2), (0, 3), (3, 3)]
        );
    }

    #[test]
    fn a_code_with_another_number_of_digits_never_matches() {
        let secret = secret(&SEED[..20]);
        for digits in 6..=8 {
            let params = Params::new(Algorithm::Sha1, digits, 30).unwrap();
            for typed_digits in 6..=8 {
                let typed = code_at(&secret, Params::new(Algorithm::Sha1, typed_digits, 30).unwrap(), 7);
                let found = matching_step(&secret, params, &typed, 7, Window::default());
                assert_eq!(found, (digits == typed_digits).then_some(7));
            }
        }
    }

    #[test]
    fn of_two_steps_with_the_same_code_the_later_is_returned() {
        let (params, window) = (Params::default(), Window { back: 255, ahead: 0 });
        let (secret, earlier, later) = (0u32..)
            .find_map(|n| {
                let secret = secret(format!("collision seed {n:05}").as_bytes());
                let mut seen = std::collections::HashMap::new();
                (0..=255)
                    .find_map(|step| {
                        let code = code_at(&secret, params, step).as_str().to_owned();
                        seen.insert(code, step).map(|earlier| (earlier, step))
                    })
                    .map(|(earlier, later)| (secret, earlier, later))
            })
            .unwrap();
        let code = code_at(&secret, params, earlier);
        assert_eq!(matching_step(&secret, params, &code, 255, window), Some(later));
    }

    #[test]
    fn the_ends_of_the_number_range_do_not_overflow() {
        let (secret, params) = (secret(&SEED[..20]), Params::default());
        for step in [0, u64::MAX] {
            let code = code_at(&secret, params, step);
            assert_eq!(
                matching_step(&secret, params, &code, step, Window { back: 255, ahead: 255 }),
                Some(step)
            );
        }
    }

    proptest! {
        #[test]
        fn every_step_in_the_window_is_found_and_none_outside(
            key in prop::collection::vec(any::<u8>(), 16..=64),
            algorithm in prop::sample::select(vec![Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]),
            digits in 6u8..=8,
            now in 0u64..1 << 40,
            (back, ahead) in (0u8..4, 0u8..4),
        ) {
            let Ok(secret) = Secret::from_bytes(&key, Strength::Normal) else { return Ok(()) };
            let params = Params::new(algorithm, digits, 30).unwrap();
            let inside = now.saturating_sub(back.into())..=now + u64::from(ahead);
            for step in now.saturating_sub(6)..=now + 6 {
                let code = code_at(&secret, params, step);
                // Another step may have the same code by chance, so compute each step's code.
                let expected = inside.clone().rev().find(|&s| code_at(&secret, params, s).as_str() == code.as_str());
                prop_assert!(expected.is_some() || !inside.contains(&step));
                prop_assert_eq!(matching_step(&secret, params, &code, now, Window { back, ahead }), expected);
            }
        }
    }
}
