//! Guesses at the primary factor, as the broker counts them.
use super::*;
use qrtotp_account::{Gate, ThrottleRules};

const RULES: ThrottleRules =
    ThrottleRules { free_failures: 2, max_wait: 30, disable_after: 10, familiar: 86_400 };

fn throttle<'a>(w: &'a World, name: &'a Name) -> PrimaryThrottle<'a> {
    PrimaryThrottle { name, rules: RULES, store: &w.store }
}

#[test]
fn a_guess_counts_before_it_is_looked_at_and_waits_like_a_code() {
    let (w, name) = (World::new(), World::name());
    let throttle = throttle(&w, &name);
    assert_eq!(throttle.count(1000).unwrap(), Guess::Counted(1));
    assert_eq!(throttle.count(1000).unwrap(), Guess::Counted(2));
    assert_eq!(throttle.count(1000).unwrap(), Guess::Barred(Gate::Wait(1), 2), "not counted");
    assert_eq!(throttle.gate(1000).unwrap(), (Gate::Wait(1), 2));
    assert_eq!(throttle.count(1001).unwrap(), Guess::Counted(3));
    assert_eq!(throttle.gate(1003).unwrap(), (Gate::Open, 3));
    for at in 1..8 {
        let _ = throttle.count(1003 + at * 30).unwrap();
    }
    assert_eq!(throttle.gate(1_000_000).unwrap(), (Gate::Disabled, 10));
    assert_eq!(throttle.count(1_000_000).unwrap(), Guess::Barred(Gate::Disabled, 10));
}

#[test]
fn a_clock_that_was_ahead_holds_nobody_up_for_long() {
    let (w, name) = (World::new(), World::name());
    let throttle = throttle(&w, &name);
    for _ in 0..2 {
        throttle.count(1_000_000).unwrap();
    }
    assert_eq!(throttle.gate(1000).unwrap(), (Gate::Wait(1), 2));
    assert_eq!(throttle.gate(1001).unwrap(), (Gate::Open, 2));
}

#[test]
fn success_and_unlock_forget_and_say_so_where_it_was_slow() {
    let (mut w, name, subject) = (World::new(), World::name(), World::subject("alice"));
    let refused = w.unlock("alice", &name);
    assert!(matches!(refused, Err(AdminError::NotEnrolled(_))), "{refused:?}");
    for lift in [false, true] {
        for at in 0..3 {
            let _ = throttle(&w, &name).count(1000 + at * 30).unwrap();
        }
        if lift {
            PrimaryThrottle { name: &name, rules: RULES, store: &w.store }
                .lift(&subject, &mut w.log)
                .unwrap();
        } else {
            assert_eq!(w.unlock("alice", &name).unwrap(), 3);
        }
        assert_eq!(throttle(&w, &name).gate(1060).unwrap(), (Gate::Open, 0));
    }
    assert!(w.log.0[0].starts_with("event=throttle_lifted reason=unlock user=alice"), "{:?}", w.log.0);
    assert!(w.log.0[1].starts_with("event=throttle_lifted reason=right_primary_factor user=alice"));
    assert!(w.log.0[1].ends_with("failures=2"), "its own guess was no failure: {:?}", w.log.0);
}

#[test]
fn failures_that_come_to_where_they_cost_waiting_or_to_their_end_are_told_once() {
    let (mut w, name, subject) = (World::new(), World::name(), World::subject("alice"));
    let throttle = PrimaryThrottle { name: &name, rules: RULES, store: &w.store };
    for failures in 1..=11 {
        throttle.report(failures, &subject, &mut w.log);
    }
    let expected = [("primary_factor_waiting", 2), ("primary_factor_disabled", 10)];
    assert_eq!(w.log.0.len(), expected.len(), "{:?}", w.log.0);
    for (line, (reason, failures)) in w.log.0.iter().zip(expected) {
        assert!(line.starts_with(&format!("event=throttle_engaged reason={reason} user=alice")), "{line}");
        assert!(line.ends_with(&format!("failures={failures}")), "{line}");
    }
}
