//! Three actors at one account, and a fourth after them, in every order of their reads, writes and syncs,
//! with a kill of any of them and a power cut anywhere. The flows are the real ones; the disk is a model: a
//! write is visible at once, and lost with the power unless it was synced.

mod actors;
mod explore;
mod store;

use super::*;
use actors::{Actor, ActorResult, Fixture};
use explore::{Explored, Model, Moment};
use store::{Disk, Fault};

/// The code that an actor types, from any place.
fn code_of(actor: Actor) -> Actor {
    if let Actor::LoginAbroad(ahead) = actor { Actor::Login(ahead) } else { actor }
}

/// The invariants of every meeting.
fn holds(fixture: &Fixture, actors: &[Actor], before: &Moment, now: &Moment) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{what}: {actors:?} were told {:?}", now.answered()));
    let disks = [before.durable(), now.durable(), now.cache()].map(|disk| fixture.shelf.account(disk));
    let [Some(old), Some(new), Some(_)] = disks else { return fail("the account does not open") };
    for id in [fixture.first, fixture.second] {
        let mark =
            |account: &qrtotp_store::Account| account.state.credential_state(id).map(|mark| mark.watermark);
        if mark(&new) < mark(&old) && new.record.credential(id).is_some() {
            return fail("a watermark fell");
        }
    }
    let of =
        |answer| now.answered().iter().filter(move |(_, answered)| *answered == answer).map(|(who, _)| *who);
    for who in of(ActorResult::Accepted) {
        if of(ActorResult::Accepted)
            .any(|other| other != who && code_of(actors[other]) == code_of(actors[who]))
        {
            return fail("one code was accepted twice");
        }
        if of(ActorResult::Revoked).any(|revoked| now.follows(who, revoked)) {
            return fail("a revoked device let somebody in");
        }
    }
    if of(ActorResult::Enrolled).count() > 1 {
        return fail("one token enrolled twice");
    }
    if of(ActorResult::Enrolled).next().is_some()
        && of(ActorResult::Revoked).any(|who| actors[who] == Actor::RevokeToken)
    {
        return fail("a token was consumed and taken back");
    }
    if of(ActorResult::Revoked).any(|who| actors[who] == Actor::Revoke) && !new.record.credentials.is_empty()
    {
        return fail("a revocation was lost");
    }
    let burnt = new.state.credential_state(fixture.second).map_or(0, |mark| mark.watermark);
    if new.record.credential(fixture.second).is_some() && burnt < fixture.present() {
        return fail("the code that confirmed a device is good again");
    }
    let wrong = of(ActorResult::Wrong).count();
    let lifted =
        new.state.credential_state(fixture.first).is_some() || new.state.recovery_used(fixture.set) > 0;
    if !lifted && (new.state.throttle.failures() as usize) < wrong {
        return fail("a failure was forgotten");
    }
    let guesses = of(ActorResult::Wrong).filter(|who| actors[*who] == Actor::Guess).count();
    let recovered = new.state.recovery_used(fixture.set) > 0;
    // Also after a login whose program was killed before it had the result.
    let familiar = new.state.throttle.places(START, &qrtotp_account::ThrottleRules::default()) > 0;
    if !recovered && !familiar && (new.state.throttle.strangers.lane.failures as usize) < guesses {
        return fail("a login elsewhere made a stranger's failure forgotten");
    }
    // After every accepted login its code is burnt on the disk.
    for who in of(ActorResult::Accepted) {
        let kept = match actors[who] {
            Actor::Login(ahead) | Actor::LoginAbroad(ahead) => {
                let mark = new.state.credential_state(fixture.first);
                mark.is_some_and(|mark| mark.watermark >= fixture.present() + ahead)
            }
            _ => new.state.recovery_used(fixture.set) == 1,
        };
        if !kept && !new.record.credentials.is_empty() {
            return fail("an accepted code is not burnt on the disk");
        }
    }
    Ok(())
}

fn explore(fixture: &Fixture, fault: Fault, start: Disk, actors: [Actor; 4]) -> Explored {
    let check = |before: &Moment, now: &Moment| holds(fixture, &actors, before, now);
    Model { fixture, fault, actors: actors.to_vec(), holds: &check }.explore(start)
}

/// The meetings to explore. The fourth actor comes last.
fn meetings(fixture: &Fixture) -> Vec<(Disk, [Actor; 4])> {
    use Actor::{Enroll, Guess, Login, LoginAbroad, Recovery, Revoke, RevokeToken, Wrong};
    let (enrolled, invited) = (fixture.enrolled(), fixture.invited());
    let mut found: Vec<(Disk, [Actor; 4])> = [
        [Login(0), Login(0), Login(0), Login(0)],
        [Login(0), Login(1), Login(2), Login(0)],
        [Login(0), Login(0), Wrong, Login(0)],
        [Login(0), Wrong, Wrong, Wrong],
        [Wrong, Wrong, Wrong, Wrong],
        [Login(0), Login(1), Revoke, Login(2)],
        [Login(0), Revoke, Revoke, Login(0)],
        [Wrong, Recovery, Revoke, Recovery],
        [Recovery, Recovery, Recovery, Recovery],
        [Recovery, Recovery, Login(0), Recovery],
        [Recovery, Wrong, Login(0), Login(0)],
        [Guess, Guess, Login(0), Guess],
        [Guess, Login(0), LoginAbroad(1), Login(2)],
        [LoginAbroad(0), LoginAbroad(1), Guess, Login(1)],
    ]
    .map(|actors| (enrolled, actors))
    .into();
    found.extend(
        [
            [Enroll, Enroll, RevokeToken, Enroll],
            [Enroll, RevokeToken, RevokeToken, Revoke],
            [Enroll, Enroll, Revoke, Enroll],
        ]
        .map(|actors| (invited, actors)),
    );
    found
}

#[test]
#[ignore = "takes a minute: `cargo xtask proof model`"]
fn of_four_who_confirm_one_device_in_any_order_one_does() {
    let fixture = Fixture::new();
    let explored = explore(&fixture, Fault::None, fixture.invited(), [Actor::Enroll; 4]);
    println!("{:?}: {} moments", [Actor::Enroll; 4], explored.moments);
    assert_eq!(explored.broken, None);
}

#[test]
fn in_no_order_of_three_and_with_no_kill_or_power_cut_is_anything_accepted_twice_or_lost() {
    let fixture = Fixture::new();
    for (start, actors) in meetings(&fixture) {
        let explored = explore(&fixture, Fault::None, start, actors);
        println!("{actors:?}: {} moments", explored.moments);
        assert_eq!(explored.broken, None, "{actors:?}");
    }
}

#[test]
fn a_store_that_lacks_its_lock_or_a_sync_or_keeps_another_order_is_found_out() {
    let fixture = Fixture::new();
    for fault in [Fault::NoLock, Fault::NoSync, Fault::StateFirst, Fault::RenameFirst] {
        let broken = meetings(&fixture)
            .into_iter()
            .find_map(|(start, actors)| explore(&fixture, fault, start, actors).broken)
            .unwrap_or_else(|| panic!("{fault:?} is not found out"));
        println!("{fault:?} is found out: {broken}");
    }
}
