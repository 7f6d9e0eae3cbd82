use super::*;
use qrtotp_account::{EnrolmentStatus, ScratchCode};
use qrtotp_otp::{Step, Window};
use qrtotp_store::Store;
use qrtotp_values::ConfigDuration;

const SCRATCH: [&str; 2] = ["48151623", "90210042"];

fn scratch() -> Vec<ScratchCode> {
    SCRATCH.map(|code| ScratchCode::parse(code.as_bytes()).unwrap()).into()
}

/// alice with an imported device and two scratch codes.
fn imported(w: &mut World) -> Secret {
    let (secret, codes) = (w.secret(), scratch());
    let imported = w.keep(&Import { scratch: Some(&codes), ..World::to_import(&secret) }).unwrap();
    assert!(imported.scratch);
    secret
}

#[test]
fn a_step_that_was_used_elsewhere_and_those_before_it_are_refused_here() {
    let mut w = World::new();
    w.config.verify.window_back = 2;
    let secret = w.secret();
    let used: Step = Params::default().step_at(START) - 1;
    w.keep(&Import { used: Some(used), ..World::to_import(&secret) }).unwrap();
    for (steps, outcome) in [(-2, Outcome::Denied), (-1, Outcome::Denied), (0, Outcome::Accepted)] {
        let code = w.code(&secret, steps);
        assert_eq!(w.answer(&code), outcome, "{steps}");
    }
}

/// The steps from -1 to 4 whose codes are accepted, each tried with a fresh account.
fn taken(prepare: impl Fn(&mut World) -> Secret) -> Vec<i64> {
    let accepted = |steps: &i64| {
        let mut w = World::new();
        w.config.throttle.free_failures = 20;
        let secret = prepare(&mut w);
        let code = w.code(&secret, *steps);
        w.pass((*steps).max(0) * 30);
        w.answer(&code) == Outcome::Accepted
    };
    (-1..=4).filter(accepted).collect()
}

#[test]
fn where_the_last_use_is_not_known_any_code_that_is_good_now_may_be_used_up() {
    let import = |window: Option<Window>, drift: i32| {
        taken(|w| {
            let secret = w.secret();
            w.keep(&Import { used: None, window, drift, ..World::to_import(&secret) }).unwrap();
            secret
        })
    };
    assert_eq!(import(None, 0), [1, 2, 3, 4]);
    assert_eq!(import(Some(Window::own(1, 2)), 0), [3, 4]);
    assert_eq!(import(Some(Window::own(3, 0)), 1), [2, 3, 4]);
}

#[test]
fn a_repeated_import_of_which_the_last_use_is_not_known_uses_up_what_is_good_now() {
    let again_without = |window: Option<Window>| {
        taken(|w| {
            let secret = w.secret();
            w.keep(&Import { window, ..World::to_import(&secret) }).unwrap();
            let again = Import { used: None, ..World::to_import(&secret) };
            super::import::again(w, &again).unwrap().unwrap();
            secret
        })
    };
    assert_eq!(again_without(None), [1, 2, 3, 4]);
    assert_eq!(again_without(Some(Window::own(0, 1))), [2, 3, 4]);
}

#[test]
fn no_code_is_good_again_once_its_key_comes_back() {
    let own = Some(Window::own(3, 3));
    let back = |w: &mut World, what: &Import<'_>| w.keep(&Import { revoked_too: true, ..*what }).unwrap();
    // The last use in the file is older than the use here.
    for used in [Some(0), None] {
        for between in 0..4 {
            let mut w = World::new();
            let secret = w.secret();
            let what = Import { window: own, ..World::to_import(&secret) };
            let first = w.keep(&what).unwrap().credential;
            let codes = [w.code(&secret, 3), w.code(&secret, 4)];
            assert_eq!(w.answer(&codes[0]), Outcome::Accepted);
            match between {
                0 => revoke_at(&mut w, Selection::All, START),
                1 => {
                    w.import(Params::default());
                    revoke_at(&mut w, Selection::One(first), START);
                    revoke_at(&mut w, Selection::All, START);
                }
                2 => {
                    revoke_at(&mut w, Selection::One(first), START);
                    for _ in 0..2 {
                        back(&mut w, &what);
                        revoke_at(&mut w, Selection::All, START);
                    }
                }
                // The name belongs to another user now.
                _ => w.people.0.set(UID + 1),
            }
            back(&mut w, &Import { used, window: None, ..what });
            w.pass(90);
            assert_eq!(w.answer(&codes[0]), Outcome::Denied, "{used:?}, {between}");
            assert_eq!(w.reason(), "replayed_code");
            w.pass(30);
            assert_eq!(w.answer(&codes[1]), Outcome::Accepted, "{used:?}, {between}");
        }
    }
}

#[test]
fn a_clock_known_to_be_off_is_taken_as_it_is() {
    let mut w = World::new();
    let secret = w.secret();
    w.keep(&Import { drift: -7, ..World::to_import(&secret) }).unwrap();
    let (here, there) = (w.code(&secret, 0), w.code(&secret, -7));
    assert_eq!(w.answer(&here), Outcome::Denied);
    assert_eq!(w.answer(&there), Outcome::Accepted);
}

/// The answers to the codes of the steps, in this order.
fn answers<const N: usize>(w: &mut World, secret: &Secret, steps: [i64; N]) -> [&'static str; N] {
    steps.map(|steps| {
        let code = w.code(secret, steps);
        match w.answer(&code) {
            Outcome::Accepted => "yes",
            _ => {
                if w.reason() == "replayed_code" {
                    "used"
                } else {
                    "no"
                }
            }
        }
    })
}

#[test]
fn a_devices_own_window_holds_in_place_of_the_hosts_be_it_wider_or_narrower() {
    for (host, own, expected) in [
        ((1, 0), None, ["no", "no", "no", "yes", "yes", "no", "no", "no", "no"]),
        ((1, 0), Some((3, 3)), ["no", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "no"]),
        ((1, 0), Some((1, 2)), ["no", "no", "no", "yes", "yes", "yes", "yes", "no", "no"]),
        ((3, 3), Some((0, 0)), ["no", "no", "no", "no", "yes", "no", "no", "no", "no"]),
    ] {
        let mut w = World::new();
        (w.config.verify.window_back, w.config.verify.window_ahead) = host;
        w.config.enroll.max_devices = 1;
        w.config.throttle.free_failures = 20;
        let secret = w.secret();
        let window = own.map(|(back, ahead)| Window { back, ahead });
        w.keep(&Import { window, ..World::to_import(&secret) }).unwrap();
        assert_eq!(answers(&mut w, &secret, [-4, -3, -2, -1, 0, 1, 2, 3, 4]), expected, "{own:?}");
    }
}

#[test]
fn a_code_that_is_ahead_in_a_wide_window_uses_up_all_before_it() {
    let mut w = World::new();
    let secret = w.secret();
    w.keep(&Import { window: Some(Window::own(3, 3)), ..World::to_import(&secret) }).unwrap();
    assert_eq!(answers(&mut w, &secret, [2, 1, 0, -3, 2, 3]), ["yes", "used", "used", "used", "used", "yes"]);
    w.pass(30);
    assert_eq!(answers(&mut w, &secret, [2, 3]), ["used", "yes"]);
}

#[test]
fn all_devices_windows_together_give_a_guess_no_more_chances_than_the_hosts_may() {
    let own = Some(Window::own(3, 3));
    let wide = |w: &mut World| {
        let secret = w.secret();
        w.keep(&Import { window: own, ..World::to_import(&secret) }).unwrap();
        secret
    };
    // One device with a wide window beside four with the host's default window: 15 chances.
    let mut w = World::new();
    let secret = wide(&mut w);
    for _ in 0..4 {
        w.import(Params::default());
    }
    assert_eq!(answers(&mut w, &secret, [-3, 3]), ["yes", "yes"]);
    // Three such devices: 5 steps for each.
    let mut w = World::new();
    let secret = wide(&mut w);
    wide(&mut w);
    assert_eq!(answers(&mut w, &secret, [-3, 3]), ["yes", "yes"]);
    w.pass(300);
    wide(&mut w);
    assert_eq!(answers(&mut w, &secret, [-4, 3, 2]), ["no"; 3]);
    assert!(w.log.0.iter().any(|line| line.starts_with("debug fewer steps")));
    assert_eq!(answers(&mut w, &secret, [-3, 1]), ["yes", "yes"]);
}

#[test]
fn a_scratch_code_works_once_beside_the_device() {
    let mut w = World::new();
    let secret = imported(&mut w);
    assert_eq!(w.answer("4815 1623"), Outcome::Accepted);
    assert_eq!(w.reason(), "recovery_code");
    assert!(w.log.0.iter().any(|line| line.contains("event=recovery_used") && line.contains("left=1")));
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
    assert_eq!(w.answer("11111111"), Outcome::Denied);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    assert_eq!(w.answer(SCRATCH[1]), Outcome::Accepted);
}

#[test]
fn a_scratch_code_works_behind_a_password_and_is_not_forwarded_with_it() {
    let mut w = World::new();
    imported(&mut w);
    let options = Options { first_pass: FirstPass::Forward, ..Options::default() };
    let mut human = Human { right_password: Some(b"hunter2"), ..Human::says([say("hunter290210042")]) };
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted);
    assert_eq!(human.forwarded.as_deref(), Some(b"hunter2".as_slice()));
}

#[test]
fn guesses_at_scratch_codes_count_and_wait_as_codes_of_apps_and_end_with_them() {
    let mut w = World::new();
    let secret = imported(&mut w);
    for guess in 0..5 {
        assert_eq!(w.answer(&format!("1000000{guess}")), Outcome::Denied);
        assert_eq!(w.reason(), "wrong_code");
    }
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    for _ in 5..40 {
        w.pass(900);
        w.answer("10000009");
    }
    w.pass(900);
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    w.unlock("alice", &World::name()).unwrap();
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Accepted);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn a_scratch_code_that_was_accepted_is_refused_uncounted_however_often_a_client_repeats_it() {
    let mut w = World::new();
    let secret = imported(&mut w);
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Accepted);
    for _ in 0..140 {
        w.pass(900);
        assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
        assert_eq!(w.reason(), "replayed_code");
    }
    let account = w.store.load(&World::name()).unwrap().unwrap();
    assert_eq!(account.state.throttle.failures(), 0);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn a_right_scratch_code_forgets_the_failures_before_it() {
    let mut w = World::new();
    imported(&mut w);
    for _ in 0..3 {
        w.answer("000000");
    }
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Accepted);
    let account = w.store.load(&World::name()).unwrap().unwrap();
    assert_eq!(account.state.throttle.failures(), 0);
}

#[test]
fn eight_digits_are_no_recovery_code_where_the_set_is_ours() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let (secret, codes) = (w.secret(), scratch());
    let imported = w.keep(&Import { scratch: Some(&codes), ..World::to_import(&secret) }).unwrap();
    assert!(!imported.scratch, "ours are stronger, and stay");
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
    assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Accepted);
}

#[test]
fn new_recovery_codes_end_the_scratch_codes() {
    let mut w = World::new();
    imported(&mut w);
    let new = regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
    assert_eq!(w.answer(&new[0]), Outcome::Accepted);
}

#[test]
fn an_import_that_may_only_be_the_first_device_is_refused_beside_others() {
    let mut w = World::new();
    let secret = w.secret();
    w.keep(&Import { only_first: true, ..World::to_import(&secret) }).unwrap();
    let other = w.secret();
    assert!(matches!(
        w.keep(&Import { only_first: true, ..World::to_import(&other) }),
        Err(AdminError::HasDevices(_))
    ));
}

/// Revokes one of alice's devices, or all.
fn revoke_at(w: &mut World, which: Selection, now: UnixTime) {
    let clock = FakeClock(Cell::new(now));
    revoke(&mut Ctx { clock: &clock, ..w.ctx("alice") }, &World::name(), which).unwrap();
}

#[test]
fn no_import_brings_a_key_back_that_may_be_a_revoked_ones_unless_that_is_asked_for() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    revoke_at(&mut w, Selection::All, START);
    for only_first in [false, true] {
        let what = Import { only_first, ..World::to_import(&secret) };
        assert!(matches!(w.keep(&what), Err(AdminError::WasRevoked(_, START))));
        let would = would_import(Some(&w.store), &w.config, &what, &[], START);
        assert!(matches!(would, Err(AdminError::WasRevoked(_, START))));
    }
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    assert_eq!(record.enrolment_status(), EnrolmentStatus::Revoked);
    w.keep(&Import { revoked_too: true, ..World::to_import(&secret) }).unwrap();
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn a_revocation_is_remembered_beside_other_devices_and_after_a_new_enrolment() {
    let mut w = World::new();
    let (stolen, other) = (w.secret(), w.secret());
    let first = w.keep(&World::to_import(&stolen)).unwrap().credential;
    w.keep(&World::to_import(&other)).unwrap();
    revoke_at(&mut w, Selection::One(first), START + 60);
    assert!(
        matches!(w.keep(&World::to_import(&stolen)), Err(AdminError::WasRevoked(_, at)) if at == START + 60)
    );
    // A device that exists is not reported as revoked.
    let again = w.keep(&World::to_import(&other));
    assert!(matches!(again, Err(AdminError::Enroll(EnrollError::Known(_)))));

    revoke_at(&mut w, Selection::All, START + 120);
    w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
    assert!(
        matches!(w.keep(&World::to_import(&stolen)), Err(AdminError::WasRevoked(_, at)) if at == START + 120)
    );
}

#[test]
fn an_import_that_may_only_be_the_first_device_leaves_an_account_to_whoever_has_its_token() {
    let mut w = World::new();
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: ConfigDuration::seconds(86_400),
        max_shows: 3,
        code: Some(ConfigDuration::seconds(3600)),
        keys: &[],
    };
    issue_token(&mut w.ctx("root"), &issue).unwrap();
    let secret = w.secret();
    let what = Import { only_first: true, ..World::to_import(&secret) };
    assert!(matches!(
        would_import(Some(&w.store), &w.config, &what, &[], START),
        Err(AdminError::TokenLive(..))
    ));
    assert!(matches!(w.keep(&what), Err(AdminError::TokenLive(..))));
    w.pass(86_400);
    w.keep(&what).unwrap();
}

#[test]
fn a_dry_run_tells_what_an_import_would_do_and_changes_nothing() {
    let mut w = World::new();
    let (secret, codes) = (w.secret(), scratch());
    let what = Import { scratch: Some(&codes), ..World::to_import(&secret) };
    let would = |w: &World, before: &[&Secret]| would_import(Some(&w.store), &w.config, &what, before, START);
    assert!(would(&w, &[]).unwrap());
    assert_eq!(w.store.load(&World::name()).unwrap(), None);
    w.keep(&World::to_import(&secret)).unwrap();
    assert!(matches!(would(&w, &[]), Err(AdminError::Enroll(EnrollError::Known(_)))));
}

#[test]
fn a_dry_run_reckons_with_what_would_have_been_imported_before() {
    let mut w = World::new();
    let secrets: Vec<Secret> = (0..6).map(|_| w.secret()).collect();
    let all: Vec<&Secret> = secrets.iter().collect();
    let what = World::to_import(all[5]);
    let would = |store, before: &[&Secret]| would_import(store, &w.config, &what, before, START);
    for store in [None, Some(&w.store as &dyn Store)] {
        assert!(matches!(would(store, &[all[5]]), Err(AdminError::GivenTwice)));
        assert!(would(store, &all[..4]).is_ok());
        let many = would(store, &all[..5]);
        assert!(matches!(many, Err(AdminError::NoRoom { enrolled: 0, before: 5 })));
    }
    w.keep(&World::to_import(all[0])).unwrap();
    let many = would_import(Some(&w.store), &w.config, &what, &all[1..5], START);
    assert!(matches!(many, Err(AdminError::NoRoom { enrolled: 1, before: 4 })));
    for secret in &all[1..5] {
        w.keep(&World::to_import(secret)).unwrap();
    }
    let many = would_import(Some(&w.store), &w.config, &what, &[], START);
    assert!(matches!(many, Err(AdminError::Enroll(EnrollError::TooManyDevices(5)))));
}

/// Imports `what` again, with its file to be deleted.
fn again(w: &mut World, what: &Import<'_>) -> Result<Option<Reimported>, AdminError> {
    reimport(&mut w.ctx("alice"), what)
}

#[test]
fn a_repeated_import_adds_nothing_and_burns_what_was_used_elsewhere_since() {
    let mut w = World::new();
    let secret = imported(&mut w);
    let used = Some(Params::default().step_at(START));
    let codes = scratch();
    let what = Import { used, scratch: Some(&codes[1..]), ..World::to_import(&secret) };
    let before = w.store.load(&World::name()).unwrap().unwrap().record;
    let done = again(&mut w, &what).unwrap().unwrap();
    assert_eq!(done, Reimported { credential: before.credentials[0].id, scratch: 1 });
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().record, before);
    assert!(w.log.0.last().unwrap().starts_with("event=import_repeated user=alice"), "{:?}", w.log.0);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Denied, "used there since");
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied, "used there since");
    assert_eq!(w.answer(SCRATCH[1]), Outcome::Accepted);

    // An older file lowers nothing, and burnt codes are not counted again.
    let older = Import { used: used.map(|step| step - 5), ..what };
    assert_eq!(again(&mut w, &older).unwrap().unwrap().scratch, 0);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Denied);
}

#[test]
fn a_repeated_import_burns_no_scratch_codes_that_came_from_elsewhere() {
    let mut w = World::new();
    imported(&mut w);
    let second = w.import(Params::default());
    let theirs = [ScratchCode::parse(b"10000009").unwrap()];
    for left in [2, 1] {
        for codes in [Some(&theirs[..]), None] {
            let done = again(&mut w, &Import { scratch: codes, ..World::to_import(&second) }).unwrap();
            assert_eq!(done.unwrap().scratch, 0, "{left} devices");
        }
        let first = w.store.load(&World::name()).unwrap().unwrap().record.credentials[0].id;
        if left == 2 {
            revoke_at(&mut w, Selection::One(first), START);
        }
    }
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Accepted);
}

#[test]
fn a_repeated_import_burns_all_scratch_codes_where_all_were_used_elsewhere() {
    let mut w = World::new();
    let first = imported(&mut w);
    w.import(Params::default());
    let done = again(&mut w, &Import { scratch: Some(&[]), ..World::to_import(&first) }).unwrap();
    assert_eq!(done.unwrap().scratch, SCRATCH.len());
    assert_eq!(w.answer(SCRATCH[0]), Outcome::Denied);
}

#[test]
fn a_key_is_not_here_already_where_another_was_enrolled_or_its_device_revoked() {
    let mut w = World::new();
    let (secret, other) = (w.secret(), w.secret());
    assert_eq!(again(&mut w, &World::to_import(&secret)).unwrap(), None, "nobody is enrolled");
    let id = w.keep(&World::to_import(&secret)).unwrap().credential;
    let slower = Params::new(qrtotp_otp::Algorithm::Sha1, 6, 60).unwrap();
    for no in [
        World::to_import(&other),
        Import { params: slower, ..World::to_import(&secret) },
        Import { uid: UID + 1, ..World::to_import(&secret) },
    ] {
        assert_eq!(again(&mut w, &no).unwrap(), None);
    }
    assert!(again(&mut w, &World::to_import(&secret)).unwrap().is_some());
    w.keep(&World::to_import(&other)).unwrap();
    revoke_at(&mut w, Selection::One(id), START);
    assert_eq!(again(&mut w, &World::to_import(&secret)).unwrap(), None, "revoked meanwhile");
}

#[test]
fn all_keys_of_an_account_are_imported_in_one_update_or_none_is() {
    let mut w = World::new();
    let (first, second, third) = (w.secret(), w.secret(), w.secret());
    let known = w.import_secret(w.secret(), Params::default());
    let before = w.store.load(&World::name()).unwrap();
    let twice = [World::to_import(&first), World::to_import(&second), World::to_import(&known)];
    assert!(matches!(w.keep_all(&twice), Err(AdminError::Enroll(EnrollError::Known(_)))));
    assert_eq!(w.store.load(&World::name()).unwrap(), before);

    let lines = w.log.0.len();
    let codes = scratch();
    let with_codes = |secret| Import { scratch: Some(&codes), ..World::to_import(secret) };
    let imported = w.keep_all(&[with_codes(&first), with_codes(&second), World::to_import(&third)]).unwrap();
    assert_eq!(imported.iter().map(|done| done.scratch).collect::<Vec<_>>(), [true, false, false]);
    let account = w.store.load(&World::name()).unwrap().unwrap();
    let ids: Vec<_> = account.record.credentials[1..].iter().map(|credential| credential.id).collect();
    assert_eq!(imported.iter().map(|done| done.credential).collect::<Vec<_>>(), ids);
    assert_eq!(w.log.0.len(), lines + 3, "an event for each: {:?}", w.log.0);
    for secret in [&first, &second, &third, &known] {
        let code = w.code(secret, 0);
        assert_eq!(w.answer(&code), Outcome::Accepted);
    }
}
