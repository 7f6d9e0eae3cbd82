//! Devices whose clock is off.
use super::*;
use qrtotp_account::{CredentialId, State};
use qrtotp_store::Store;

fn resync_with(w: &mut World, answers: [&str; 2]) -> Result<Resynchronized, ResyncError> {
    let mut human = Human::says(answers.map(say));
    let result =
        SelfService { ctx: &mut w.ctx("alice"), name: &World::name(), uid: UID, dialog: &mut human }.resync();
    assert_eq!(human.prompts.len(), 2, "both codes are always asked for");
    result
}

fn state(w: &World) -> State {
    w.store.load(&World::name()).unwrap().unwrap().state
}

#[test]
fn two_consecutive_codes_of_a_clock_that_is_off_are_taken_and_its_drift_is_kept() {
    for steps in [8, -8, 20, -20, 0] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        w.pass(3600);
        let codes = [w.code(&secret, steps - 1), w.code(&secret, steps)];
        if steps != 0 {
            assert_eq!(w.answer(&codes[1]), Outcome::Denied, "it is off by {steps} steps");
        }
        let found = resync_with(&mut w, [&codes[0], &codes[1]]).unwrap();
        assert_eq!(found.ahead, steps * 30);
        assert_eq!(
            state(&w).credential_state(found.credential).unwrap().drift,
            i32::try_from(steps).unwrap()
        );
        for code in &codes {
            assert_eq!(w.answer(code), Outcome::Denied, "both are used up");
        }
        w.pass(30);
        let next = w.code(&secret, steps);
        assert_eq!(w.answer(&next), Outcome::Accepted);
        assert!(w.log.0.iter().any(|line| line.starts_with("event=credential_resynchronized")));
    }
}

#[test]
fn where_no_device_is_enrolled_nothing_is_asked() {
    let mut w = World::new();
    let asked = |w: &mut World| {
        let mut human = Human::says([say("123456"), say("123456")]);
        let uid = w.people.0.get();
        let (ctx, name) = (&mut w.ctx("alice"), &World::name());
        let result = SelfService { ctx, name, uid, dialog: &mut human }.resync();
        assert!(matches!(result, Err(ResyncError::NotEnrolled(_))) || !human.prompts.is_empty());
        human.prompts.len()
    };
    assert_eq!(asked(&mut w), 0, "no record");
    w.import(Params::default());
    assert_eq!(asked(&mut w), 2);
    w.people.0.set(UID + 1);
    assert_eq!(asked(&mut w), 0, "the devices of a former user of the name");
    w.people.0.set(UID);
    revoke(&mut w.ctx("root"), &World::name(), Selection::All).unwrap();
    assert_eq!(asked(&mut w), 0, "revoked");
}

#[test]
fn whose_clock_is_how_far_off_is_said() {
    let credential = CredentialId::from_random([1; 6]);
    for (ahead, words) in [(240, "240 s ahead of this host's"), (-30, "30 s behind this host's")] {
        let said = Resynchronized { credential, ahead }.message().to_string();
        assert!(said.starts_with(&format!("Done: the clock of {credential} is {words}.")), "{said}");
    }
}

#[test]
fn codes_that_are_not_consecutive_in_order_or_in_reach_are_one_wrong_guess() {
    for steps in [[8, 10], [9, 8], [8, 8], [20, 21], [-22, -21], [40, 41]] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        w.pass(3600);
        let codes = steps.map(|step| w.code(&secret, step));
        assert!(matches!(
            resync_with(&mut w, [&codes[0], &codes[1]]),
            Err(ResyncError::Refused("wrong_code"))
        ));
        assert_eq!(state(&w).throttle.failures(), 1, "{steps:?}");
    }
}

#[test]
fn a_used_code_resynchronises_nothing() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    w.pass(3600);
    let codes = [w.code(&secret, 0), w.code(&secret, 1)];
    assert_eq!(w.answer(&codes[0]), Outcome::Accepted);
    assert!(matches!(
        resync_with(&mut w, [&codes[0], &codes[1]]),
        Err(ResyncError::Refused("replayed_code"))
    ));
}

#[test]
fn a_device_with_a_window_of_its_own_is_resynchronised_within_it_and_before_the_two_codes_all_are_used_up() {
    let mut w = World::new();
    let secret = w.secret();
    let window = Some(qrtotp_otp::Window::own(3, 3));
    w.keep(&Import { window, ..World::to_import(&secret) }).unwrap();
    w.pass(3600);
    let codes = [w.code(&secret, 7), w.code(&secret, 8)];
    assert_eq!(resync_with(&mut w, [&codes[0], &codes[1]]).unwrap().ahead, 240);
    for (steps, outcome) in
        [(5, Outcome::Denied), (8, Outcome::Denied), (12, Outcome::Denied), (11, Outcome::Accepted)]
    {
        let code = w.code(&secret, steps);
        assert_eq!(w.answer(&code), outcome, "{steps}");
    }
}

#[test]
fn what_can_not_be_two_codes_is_a_wrong_guess_like_two_wrong_codes_and_only_nothing_is_none() {
    let mut w = World::new();
    w.config.throttle.free_failures = 20;
    w.import(Params::default());
    for (failures, answers) in (1..).zip([
        ["000000", "000001"],
        ["000000", "q"],
        ["hunter2", "000001"],
        ["q", "q"],
        ["00000", "000001"],
        ["000000000000", "x"],
        ["0000-0000-0000-0000", "000001"],
    ]) {
        assert!(matches!(resync_with(&mut w, answers), Err(ResyncError::Refused("wrong_code"))));
        assert_eq!(state(&w).throttle.failures(), failures, "{answers:?}");
    }
    for answers in [["", ""], ["000000", " "], ["", "000001"]] {
        assert!(matches!(resync_with(&mut w, answers), Err(ResyncError::Refused("malformed"))));
        assert_eq!(state(&w).throttle.failures(), 7, "{answers:?}");
    }
}

#[test]
fn what_can_not_be_two_codes_waits_like_all_guesses_and_brings_the_next_ones_to_wait() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..5 {
        resync_with(&mut w, ["q", "q"]).unwrap_err();
    }
    assert!(matches!(resync_with(&mut w, ["q", "q"]), Err(ResyncError::Throttled(1..))));
    let codes = [w.code(&secret, 7), w.code(&secret, 8)];
    assert!(matches!(resync_with(&mut w, [&codes[0], &codes[1]]), Err(ResyncError::Throttled(1..))));
}

#[test]
fn at_a_login_that_takes_two_codes_more_digits_than_one_code_has_are_a_guess_and_other_text_is_none() {
    let mut w = World::new();
    w.import(Params::default());
    for resync in [false, true] {
        w.config.verify.resync = resync;
        for text in ["", "hunter2", "12345", "000000 00000", "000000 0000000", "000000 x00000", "000000000"] {
            let before = state(&w).throttle.failures();
            assert_eq!(w.answer(text), Outcome::Denied);
            let guess = resync && text.starts_with('0') && !text.contains('x');
            assert_eq!(w.reason(), if guess { "wrong_code" } else { "malformed" }, "{text}");
            assert_eq!(state(&w).throttle.failures() - before, u32::from(guess), "{text}");
        }
    }
}

#[test]
fn guesses_at_resynchronisation_wait_like_all_others() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for _ in 0..5 {
        resync_with(&mut w, ["000000", "000001"]).unwrap_err();
    }
    let codes = [w.code(&secret, 7), w.code(&secret, 8)];
    assert!(matches!(resync_with(&mut w, [&codes[0], &codes[1]]), Err(ResyncError::Throttled(1..))));
}

#[test]
fn a_login_takes_two_codes_in_one_line_where_the_configuration_says_so() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    w.pass(3600);
    let line = format!("{} {}", w.code(&secret, 7), w.code(&secret, 8));
    assert_eq!(w.answer(&line), Outcome::Denied);
    assert_eq!(w.reason(), "malformed");
    w.config.verify.resync = true;
    assert_eq!(w.answer(&line), Outcome::Accepted);
    assert_eq!(w.reason(), "two_codes");
    assert_eq!(w.answer(&line), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
}
