use super::*;
use proptest::prelude::*;

const RULES: ThrottleRules =
    ThrottleRules { free_failures: 3, max_wait: 30, disable_after: 100, familiar: FAMILIAR };
const HOME: Side = Side::Place(PlaceId([1; 8]));
const ABROAD: Side = Side::Place(PlaceId([2; 8]));
const NOON: UnixTime = 1_000_000_000;
const HOUR: i64 = 3600;

fn failed(times: u32, side: Side) -> Throttle {
    let mut throttle = Throttle::default();
    for _ in 0..times {
        let _ = throttle.fail(FactorKind::Code, side, NOON, &RULES);
    }
    throttle
}

fn at_home() -> Throttle {
    let mut throttle = Throttle::default();
    let _ = throttle.right(HOME, NOON, &RULES);
    throttle
}

fn code(throttle: &Throttle, side: Side, now: UnixTime) -> Gate {
    throttle.gate(FactorKind::Code, side, now, &RULES)
}

#[test]
fn the_first_failures_cost_no_waiting() {
    for side in [Side::Own, Side::Nowhere, HOME] {
        assert_eq!(code(&failed(2, side), side, NOON), Gate::Open);
    }
}

#[test]
fn waits_double_up_to_the_cap_which_is_higher_for_strangers() {
    let waits = |side| -> Vec<u32> {
        (3..16).map(|n| failed(n, side).wait(FactorKind::Code, side, NOON, &RULES)).collect()
    };
    assert_eq!(waits(Side::Own), [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30, 30]);
    assert_eq!(waits(ABROAD), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    assert_eq!(code(&failed(8, Side::Own), Side::Own, NOON + 29), Gate::Wait(1));
    assert_eq!(code(&failed(8, Side::Own), Side::Own, NOON + 30), Gate::Open);
}

#[test]
fn all_strangers_share_a_lane_which_closes_at_forty_and_forgets_one_a_day() {
    let mut throttle = failed(39, ABROAD);
    assert_eq!(code(&throttle, Side::Nowhere, NOON + HOUR), Gate::Open);
    assert_eq!(throttle.fail(FactorKind::Code, Side::Nowhere, NOON + HOUR, &RULES), Some(Engaged::Closed));
    assert_eq!(code(&throttle, HOME, NOON + 2 * HOUR), Gate::Wait(22 * 3600));
    let _ = throttle.right(Side::Nowhere, NOON + 2 * HOUR, &RULES);
    throttle.advance(NOON + 24 * HOUR, &RULES);
    assert_eq!((throttle.failures(), code(&throttle, HOME, NOON + 24 * HOUR)), (39, Gate::Open));
}

#[test]
fn own_processes_have_a_lane_that_closes_at_twenty_for_a_quarter_of_an_hour() {
    let mut throttle = failed(20, Side::Own);
    assert_eq!(code(&throttle, Side::Own, NOON + 60), Gate::Wait(840));
    throttle.advance(NOON + 900, &RULES);
    assert_eq!(code(&throttle, Side::Own, NOON + 900), Gate::Open);
    assert_eq!(code(&throttle, ABROAD, NOON), Gate::Open, "strangers have their own");
    assert_eq!(throttle.right(Side::Own, NOON + 900, &RULES).failures, 19);
    assert_eq!(throttle.failures(), 0);
}

#[test]
fn a_stranger_delays_nobody_at_a_familiar_place_and_a_right_code_there_forgets_no_strangers() {
    let mut throttle = at_home();
    for _ in 0..1000 {
        if code(&throttle, ABROAD, NOON) != Gate::Open {
            break;
        }
        let _ = throttle.fail(FactorKind::Code, ABROAD, NOON, &RULES);
    }
    for _ in 0..40 {
        let _ = throttle.fail(FactorKind::Code, Side::Nowhere, NOON, &RULES);
    }
    assert_eq!(code(&throttle, HOME, NOON), Gate::Open);
    let strangers = throttle.strangers;
    let forgiven = throttle.right(HOME, NOON, &RULES);
    assert_eq!((throttle.strangers, forgiven.failures), (strangers, 0));
    assert_eq!((forgiven.since.count, forgiven.elsewhere), (43, 43));
    assert_eq!(throttle.right(HOME, NOON, &RULES).since.count, 0, "the owner is told once");
}

#[test]
fn after_ten_wrong_codes_in_a_day_a_familiar_place_takes_two_codes_until_the_day_is_over() {
    let mut throttle = at_home();
    for n in 1..=10 {
        let engaged = throttle.fail(FactorKind::Code, HOME, NOON + i64::from(n) * 60, &RULES);
        assert_eq!(engaged == Some(Engaged::TwoCodes), n == 10);
        let _ = throttle.right(HOME, NOON + i64::from(n) * 60, &RULES);
    }
    assert_eq!(code(&throttle, HOME, NOON + HOUR), Gate::TwoCodes);
    assert_eq!(code(&throttle, HOME, NOON + 60 + 24 * HOUR), Gate::Open);
    assert_eq!(throttle.fail(FactorKind::Code, HOME, NOON + 60 + 24 * HOUR, &RULES), None, "a new day");
}

#[test]
fn a_hundred_failures_of_all_lanes_disable_codes_until_they_are_lifted() {
    let mut throttle = at_home();
    for side in [Side::Nowhere, Side::Own, HOME] {
        let times = if side == HOME {
            40
        } else if side == Side::Own {
            20
        } else {
            40
        };
        for n in 1..=times {
            let engaged = throttle.fail(FactorKind::Code, side, NOON, &RULES);
            assert_eq!(engaged == Some(Engaged::Disabled), side == HOME && n == times);
        }
    }
    assert!(throttle.is_disabled(&RULES));
    assert_eq!(code(&throttle, HOME, NOON + HOUR), Gate::Disabled);
    throttle.advance(NOON + 30 * 24 * HOUR, &RULES);
    assert_eq!(code(&throttle, HOME, NOON + 30 * 24 * HOUR), Gate::Disabled, "time does not lift it");
    assert_eq!(throttle.gate(FactorKind::Recovery, HOME, NOON, &RULES), Gate::Open);
    throttle.lift();
    assert_eq!((throttle.failures(), code(&throttle, HOME, NOON)), (0, Gate::Open));
    assert!(throttle.is_familiar(HOME, NOON, &RULES), "the places stay");
}

#[test]
fn strangers_and_own_processes_can_not_disable_an_account() {
    for disable_after in 10..=100 {
        let rules = ThrottleRules { disable_after, ..RULES };
        let closed = [Leak::of_strangers(&rules), Leak::of_own(&rules)].map(|leak| leak.closes_at);
        assert!(closed.iter().sum::<u32>() < disable_after && !closed.contains(&0), "{disable_after}");
    }
}

#[test]
fn a_mistyped_recovery_code_at_a_familiar_place_is_no_wrong_code_from_elsewhere() {
    for (side, reported) in [(HOME, (0, 0)), (Side::Own, (0, 0)), (ABROAD, (1, 1)), (Side::Nowhere, (1, 1))] {
        let mut throttle = at_home();
        let _ = throttle.fail(FactorKind::Recovery, side, NOON, &RULES);
        assert_eq!(throttle.failures_of(FactorKind::Recovery), 1, "it waits all the same");
        let forgiven = throttle.right(HOME, NOON, &RULES);
        assert_eq!((forgiven.since.count, forgiven.elsewhere), reported, "{side:?}");
    }
}

#[test]
fn a_failure_that_was_no_guess_is_left_in_no_counter() {
    for side in [HOME, Side::Own, ABROAD, Side::Nowhere] {
        let mut throttle = at_home();
        for _ in 0..12 {
            let _ = throttle.fail(FactorKind::Code, side, NOON, &RULES);
            let reported = throttle.right_after_try(side, NOON, &RULES);
            assert_eq!((reported.since.count, reported.elsewhere), (0, 0), "{side:?}");
            assert_eq!((throttle.failures(), code(&throttle, side, NOON)), (0, Gate::Open), "{side:?}");
        }
    }
}

#[test]
fn the_owner_is_told_of_each_guess_of_a_stranger_though_a_failure_of_theirs_was_no_guess() {
    for side in [HOME, Side::Own, ABROAD, Side::Nowhere] {
        let mut throttle = at_home();
        let _ = throttle.fail(FactorKind::Code, Side::Nowhere, NOON, &RULES);
        let _ = throttle.fail(FactorKind::Code, side, NOON, &RULES);
        let reported = throttle.right_after_try(side, NOON, &RULES);
        assert_eq!((reported.since.count, reported.elsewhere), (1, 1), "{side:?}");
    }
}

#[test]
fn a_place_that_an_admin_vouches_for_is_familiar_for_a_day_and_never_for_less_than_it_was() {
    let mut throttle = failed(40, ABROAD);
    throttle.trust(PlaceId([2; 8]), NOON, &RULES);
    assert_eq!(code(&throttle, ABROAD, NOON), Gate::Open);
    assert!(
        throttle.is_familiar(ABROAD, NOON + DAY - 1, &RULES)
            && !throttle.is_familiar(ABROAD, NOON + DAY, &RULES)
    );
    let _ = throttle.right(ABROAD, NOON, &RULES);
    throttle.trust(PlaceId([2; 8]), NOON + HOUR, &RULES);
    assert!(throttle.is_familiar(ABROAD, NOON + 29 * DAY, &RULES));
    throttle.forget_place(ABROAD);
    assert!(!throttle.is_familiar(ABROAD, NOON, &RULES) && throttle.all_places().is_empty());
}

#[test]
fn recovery_codes_wait_for_their_own_failures_only_and_are_never_disabled() {
    let mut throttle = failed(40, ABROAD);
    assert_eq!(throttle.gate(FactorKind::Recovery, ABROAD, NOON, &RULES), Gate::Open);
    for _ in 0..1000 {
        let _ = throttle.fail(FactorKind::Recovery, ABROAD, NOON, &RULES);
    }
    assert_eq!(throttle.gate(FactorKind::Recovery, HOME, NOON, &RULES), Gate::Wait(30));
    assert_eq!(throttle.gate(FactorKind::Recovery, HOME, NOON + 30, &RULES), Gate::Open);
    assert!(!throttle.is_disabled(&RULES));
    assert_eq!(throttle.recovered(ABROAD, NOON, &RULES).failures, 1040);
    assert_eq!((throttle.failures(), throttle.is_familiar(ABROAD, NOON, &RULES)), (0, true));
}

#[test]
fn a_place_is_familiar_after_a_right_code_for_as_long_as_the_rules_say() {
    let throttle = at_home();
    for days in [1, 30, 90] {
        let (rules, end) = (ThrottleRules { familiar: days * 86_400, ..RULES }, NOON + i64::from(days) * DAY);
        assert!(throttle.is_familiar(HOME, end - 1, &rules) && !throttle.is_familiar(HOME, end, &rules));
        assert_eq!([throttle.places(end - 1, &rules), throttle.places(end, &rules)], [1, 0]);
    }
    for side in [ABROAD, Side::Nowhere] {
        assert!(!throttle.is_familiar(side, NOON, &RULES));
    }
}

#[test]
fn only_right_codes_make_places_and_the_one_longest_without_goes() {
    let place = |n| Side::Place(PlaceId([n; 8]));
    let mut throttle = Throttle::default();
    for n in 0..16 {
        let _ = throttle.right(place(n), NOON + i64::from(n), &RULES);
    }
    let _ = throttle.right(place(0), NOON + 100, &RULES);
    for n in 100..200 {
        let _ = throttle.fail(FactorKind::Code, place(n), NOON + 101, &RULES);
    }
    assert_eq!(throttle.places(NOON + 101, &RULES), 16);
    let _ = throttle.right(place(16), NOON + 102, &RULES);
    assert_eq!(
        [0, 1, 2, 16].map(|n| throttle.is_familiar(place(n), NOON + 102, &RULES)),
        [true, false, true, true]
    );
}

#[test]
fn a_clock_that_goes_back_holds_nobody_up_and_forgets_nothing() {
    let mut throttle = failed(8, Side::Own);
    throttle.advance(1000, &RULES);
    assert_eq!(code(&throttle, Side::Own, 1000), Gate::Wait(30));
    throttle.advance(1030, &RULES);
    assert_eq!((code(&throttle, Side::Own, 1030), throttle.failures()), (Gate::Open, 8));
    let mut throttle = at_home();
    throttle.advance(1000, &RULES);
    assert!(throttle.is_familiar(HOME, 1000, &RULES) && !throttle.is_familiar(HOME, 1000 + 30 * DAY, &RULES));
}

/// The attacker and owner of a simulated year, and their places.
struct Year {
    attacker: Side,
    owner: Side,
    logins_per_day: i64,
}

/// The result of a simulated year.
#[derive(Debug, Default)]
struct Sum {
    guesses: u32,
    refused: u32,
    pairs: u32,
}

impl Year {
    /// An attacker who has the password guesses whenever a guess is checked. The owner logs in through the
    /// working day.
    fn run(&self) -> Sum {
        let (mut throttle, mut sum) = (Throttle::default(), Sum::default());
        let rules = ThrottleRules::default();
        let _ = throttle.right(self.owner, NOON, &rules);
        let mut now = NOON + 1;
        for login in 0..365 * self.logins_per_day {
            let (day, nth) = (login / self.logins_per_day, login % self.logins_per_day);
            let at = NOON + day * 24 * HOUR + 8 * HOUR + nth * 9 * HOUR / self.logins_per_day;
            while now < at {
                throttle.advance(now, &rules);
                match throttle.gate(FactorKind::Code, self.attacker, now, &rules) {
                    Gate::Open => {
                        let _ = throttle.fail(FactorKind::Code, self.attacker, now, &rules);
                        sum.guesses += 1;
                        now += 1;
                    }
                    Gate::Wait(seconds) => now += i64::from(seconds),
                    // Two codes can't be guessed, so the attacker waits.
                    Gate::TwoCodes | Gate::Disabled => now += HOUR / 4,
                }
            }
            throttle.advance(at, &rules);
            match throttle.gate(FactorKind::Code, self.owner, at, &rules) {
                gate @ (Gate::Open | Gate::TwoCodes) => {
                    sum.pairs += u32::from(gate == Gate::TwoCodes);
                    let _ = throttle.right(self.owner, at, &rules);
                }
                Gate::Wait(_) | Gate::Disabled => sum.refused += 1,
            }
        }
        sum
    }
}

#[test]
fn in_a_year_a_stranger_who_never_rests_gets_under_500_guesses_and_the_owner_is_never_refused() {
    for owner in [HOME, Side::Own] {
        for logins_per_day in [1, 8] {
            for attacker in [ABROAD, Side::Nowhere] {
                let sum = Year { attacker, owner, logins_per_day }.run();
                assert!(sum.guesses > 300 && sum.guesses <= 500 && sum.refused == 0, "{sum:?}");
                assert_eq!(sum.pairs, 0);
            }
        }
    }
}

#[test]
fn in_a_year_somebody_in_the_owners_own_network_gets_ten_guesses_a_day_and_the_owner_types_two_codes() {
    for logins_per_day in [1, 8] {
        let sum = Year { attacker: HOME, owner: HOME, logins_per_day }.run();
        assert!(sum.guesses <= 3_700 && sum.pairs > 300, "{sum:?}");
        assert!(sum.refused <= 4, "only where a wait of 30 s is met: {sum:?}");
    }
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Own), Just(Side::Nowhere), (0_u8..20).prop_map(|n| Side::Place(PlaceId([n; 8])))]
}

proptest! {
    #[test]
    fn whatever_happens_no_more_than_a_hundred_failures_count_at_once_and_no_wait_is_longer_than_a_day(
        actions in proptest::collection::vec((sides(), 0_u8..8, 0_i64..3 * 86_400), 0..400)
    ) {
        let (mut throttle, mut now) = (Throttle::default(), NOON);
        for (side, action, pause) in actions {
            now += pause / if action < 4 { 1000 } else { 1 };
            throttle.advance(now, &RULES);
            match (throttle.gate(FactorKind::Code, side, now, &RULES), action) {
                (Gate::Open | Gate::TwoCodes, 0) => drop(throttle.right(side, now, &RULES)),
                (Gate::Open | Gate::TwoCodes, _) => drop(throttle.fail(FactorKind::Code, side, now, &RULES)),
                (Gate::Wait(seconds), _) => prop_assert!(seconds <= 86_400),
                (Gate::Disabled, _) => {}
            }
            prop_assert!(throttle.failures() <= RULES.disable_after && throttle.places.len() <= MAX_PLACES);
        }
    }

    #[test]
    fn no_stored_time_ever_costs_more_than_the_longest_wait(
        failures in 0_u32..1000, last in any::<i64>(), now in 0_i64..i64::MAX / 2
    ) {
        let lane = FailureCounter { failures, last_failure: last };
        prop_assert!(lane.wait(now, &RULES) <= RULES.max_wait);
        let leaky = LeakyLane { lane, since: last };
        let mut throttle = Throttle { strangers: leaky, own: leaky, ..Throttle::default() };
        throttle.advance(now, &RULES);
        prop_assert!(throttle.wait(FactorKind::Code, ABROAD, now, &RULES) <= 86_400);
        prop_assert!(throttle.wait(FactorKind::Code, Side::Own, now, &RULES) <= 900);
    }
}
