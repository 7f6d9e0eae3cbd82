//! Anomalies that logins find in the account's state, and two codes after one that was intercepted.

use super::lanes::{ABROAD, HOME, owner};
use super::*;
use qrtotp_store::Store;

const NEW: &str = "192.0.2.1";

impl World {
    /// The rules of the anomalies so far, and forgets them.
    fn anomalies(&mut self) -> Vec<String> {
        let lines = std::mem::take(&mut self.log.0);
        let rule = |line: &String| {
            let rest = line.strip_prefix("event=anomaly severity=")?;
            assert!(rest.contains(" seq=") && rest.contains(" detail="), "{line}");
            Some(rest.split(' ').nth(1)?.strip_prefix("reason=")?.to_owned())
        };
        lines.iter().filter_map(rule).collect()
    }

    /// The owner's code from home, given again from abroad.
    fn intercept(&mut self, secret: &Secret) {
        self.pass(60);
        let code = self.code(secret, 0);
        assert_eq!(self.from(HOME, &mut Human::says([say(&code)])), Outcome::Accepted);
        assert_eq!(self.from(ABROAD, &mut Human::says([say(&code)])), Outcome::Denied);
        assert_eq!(self.reason(), "replayed_code");
    }

    /// Adds a device; a code of the old one is asked for if there is a secret.
    fn add_device(&mut self, by: &str, authority: Authority, proof: Option<&Secret>) {
        self.pass(60);
        let proof = proof.map(|secret| say(&self.code(secret, 0)));
        let mut human = Human::says(proof.into_iter().chain([Say::Phone(0)]));
        human.now = self.clock.now();
        let (name, label) = (World::name(), Label::new("new phone"));
        let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host: "host" };
        let subject = Subject { by: by.into(), ..World::subject("alice") };
        crate::enroll(&mut self.ctx_of(subject), &mut human, request).unwrap();
    }

    /// Whether a login with one code from there asks for two, which are then given.
    fn asks_for_two(&mut self, secret: &Secret, from: &str) -> bool {
        self.pass(90);
        let (first, second) = (self.code(secret, -1), self.code(secret, 0));
        let mut human = Human::says([say(&second), say(&format!("{first} {second}"))]);
        assert_eq!(self.from(from, &mut human), Outcome::Accepted, "{:?}", human.shown);
        human.prompts.len() == 2 && human.prompts[1].starts_with("Two codes in a row")
    }
}

#[test]
fn after_an_intercepted_code_new_places_give_two_codes_for_a_day_and_familiar_ones_do_not() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    assert_eq!(w.anomalies(), ["intercepted"]);
    assert!(!w.asks_for_two(&secret, HOME));
    assert!(!w.asks_for_two(&secret, "alice"), "sudo");
    assert!(w.asks_for_two(&secret, ABROAD));
    assert!(!w.asks_for_two(&secret, ABROAD), "it is familiar now");
    assert!(w.asks_for_two(&secret, NEW));
    w.pass(86_400);
    assert!(!w.asks_for_two(&secret, "192.0.3.1"));
}

#[test]
fn one_code_typed_twice_is_no_pair_and_uncounted() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    w.pass(60);
    let code = w.code(&secret, 0);
    let before = w.store.load(&World::name()).unwrap().unwrap().state;
    assert_eq!(w.from(NEW, &mut Human::says([say(&code), say(&code)])), Outcome::Denied);
    assert_eq!(w.reason(), "two_codes_due");
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state, before);
}

#[test]
fn a_place_that_an_intercepted_code_made_familiar_is_no_longer() {
    let (mut w, secret) = owner();
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(w.from(ABROAD, &mut Human::says([say(&code)])), Outcome::Accepted, "the phisher is faster");
    assert_eq!(w.from(HOME, &mut Human::says([say(&code)])), Outcome::Denied);
    assert_eq!(w.anomalies(), ["new-place", "intercepted"]);
    assert!(!w.asks_for_two(&secret, HOME));
    assert!(w.asks_for_two(&secret, ABROAD));
}

#[test]
fn a_code_that_comes_with_a_key_and_without_from_one_network_is_not_intercepted() {
    let (mut w, secret) = owner();
    w.pass(60);
    w.anomalies();
    let code = w.code(&secret, 0);
    let key = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBX0n0A2sUKZ8fGUKqhNoyHkTpJ4pgvX8yZ1wIUWdI9h";
    let mut human = Human { ssh_auth_info: Some(key), ..Human::says([say(&code)]) };
    assert_eq!(w.from(HOME, &mut human), Outcome::Accepted);
    assert_eq!(w.from("198.51.100.99", &mut Human::says([say(&code)])), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
    assert_eq!(w.anomalies(), ["new-place"], "the key");
}

#[test]
fn a_login_that_must_give_two_codes_is_told_why_and_one_code_is_neither_looked_at_nor_counted() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    let before = w.store.load(&World::name()).unwrap().unwrap().state;
    w.pass(60);
    let code = w.code(&secret, 0);
    let mut human = Human::says([say(&code)]);
    assert_eq!(w.from(NEW, &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "two_codes_due");
    assert!(human.shown[0].contains("at two places"), "{:?}", human.shown);
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state, before);
    let one = Human::says([say(&code), say("123456")]);
    assert_eq!(w.from(NEW, &mut { one }), Outcome::Denied);
    assert_eq!(w.reason(), "wrong_code", "a guess");
    assert_eq!(w.from(HOME, &mut Human::says([say(&code)])), Outcome::Accepted);
}

#[test]
fn unlock_ends_the_demand_for_two_codes_and_a_recovery_code_needs_none() {
    let (mut w, secret) = owner();
    let codes = crate::regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
    w.intercept(&secret);
    assert_eq!(w.from(NEW, &mut Human::says([say(&codes[0])])), Outcome::Accepted);
    assert!(w.asks_for_two(&secret, ABROAD), "a recovery code ends nothing");
    w.unlock("alice", &World::name()).unwrap();
    assert!(!w.asks_for_two(&secret, "192.0.3.1"));
}

#[test]
fn a_program_with_one_field_is_not_asked_for_two_codes() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    w.pass(60);
    let code = w.code(&secret, 0);
    let options = Options { first_pass: FirstPass::Use, ..Options::default() };
    let mut human = Human { password: Some(code.into_bytes()), ..Human::default() };
    assert_eq!(w.login_from(&options, NEW, &mut human), Outcome::Accepted);
    assert!(w.asks_for_two(&secret, NEW), "one code made no place familiar");
}

#[test]
fn codes_of_eight_digits_which_make_no_pair_need_none_and_make_no_place_familiar() {
    let mut w = World::new();
    let params = Params::new(Algorithm::Sha1, 8, 30).unwrap();
    let secret = w.import(params);
    let code = |w: &World| {
        let step = params.step_at(w.clock.now());
        code_at(&secret, params, step).as_str().to_owned()
    };
    for from in [HOME, HOME, ABROAD, NEW, NEW] {
        if from != ABROAD {
            w.pass(60);
        }
        let outcome = w.from(from, &mut Human::says([say(&code(&w))]));
        assert_eq!(outcome == Outcome::Accepted, from != ABROAD, "{from}");
    }
    assert!(w.anomalies().contains(&"intercepted".to_owned()));
    let throttle = w.store.load(&World::name()).unwrap().unwrap().state.throttle;
    assert_eq!(throttle.all_places().len(), 1, "home");
}

#[test]
fn a_pair_that_somebody_else_was_faster_with_makes_their_place_familiar_no_more() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    w.pass(90);
    let (first, second) = (w.code(&secret, -1), w.code(&secret, 0));
    let pair = format!("{first} {second}");
    let both = |human: &mut Human| human.script = [say(&second), say(&pair)].into();
    let mut human = Human::default();
    both(&mut human);
    assert_eq!(w.from(ABROAD, &mut human), Outcome::Accepted);
    both(&mut human);
    assert_eq!(w.from(NEW, &mut human), Outcome::Denied);
    assert!(w.asks_for_two(&secret, ABROAD));
}

#[test]
fn a_code_from_two_places_that_were_familiar_before_is_the_owners() {
    let (mut w, secret) = owner();
    assert_eq!(w.right_from(&secret, NEW), Outcome::Accepted);
    w.anomalies();
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(w.from(HOME, &mut Human::says([say(&code)])), Outcome::Accepted);
    assert_eq!(w.from(NEW, &mut Human::says([say(&code)])), Outcome::Denied);
    assert_eq!(w.anomalies(), [""; 0]);
}

#[test]
fn a_code_that_comes_twice_from_one_network_or_at_sudo_is_not_intercepted() {
    let (mut w, secret) = owner();
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(w.from(HOME, &mut Human::says([say(&code)])), Outcome::Accepted);
    for from in ["198.51.100.99", "alice"] {
        assert_eq!(w.from(from, &mut Human::says([say(&code)])), Outcome::Denied);
    }
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(w.from("alice", &mut Human::says([say(&code)])), Outcome::Accepted);
    assert_eq!(w.from(ABROAD, &mut Human::says([say(&code)])), Outcome::Denied, "accepted at sudo");
    assert_eq!(w.anomalies(), [""; 0]);
}

#[test]
fn a_loser_who_repeats_an_intercepted_code_writes_once() {
    let (mut w, secret) = owner();
    w.intercept(&secret);
    let code = w.code(&secret, 0);
    w.anomalies();
    let before = w.store.load(&World::name()).unwrap().unwrap().state;
    for _ in 0..3 {
        assert_eq!(w.from(ABROAD, &mut Human::says([say(&code)])), Outcome::Denied);
    }
    assert_eq!(w.anomalies(), [""; 0]);
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state, before);
}

#[test]
fn guesses_a_success_after_them_a_new_place_and_a_long_silence_are_named() {
    let (mut w, secret) = owner();
    w.anomalies();
    for _ in 0..5 {
        w.pass(100);
        w.from(ABROAD, &mut Human::says([say("000000")]));
    }
    assert_eq!(w.anomalies(), ["codes-guessed"]);
    assert_eq!(w.right_from(&secret, ABROAD), Outcome::Accepted);
    assert_eq!(w.anomalies(), ["failed-then-in", "new-place"]);
    w.pass(91 * 86_400);
    assert_eq!(w.right_from(&secret, HOME), Outcome::Accepted);
    assert_eq!(w.anomalies(), ["dormant"]);
}

#[test]
fn a_recovery_code_is_no_guess_if_it_is_right_and_one_if_it_is_wrong() {
    let (mut w, _) = owner();
    let codes = crate::regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
    w.anomalies();
    let wrong = "ABCD-EFGH-JKLM-NPQR";
    for _ in 0..4 {
        w.pass(100);
        w.from(ABROAD, &mut Human::says([say(wrong)]));
        assert_eq!(w.reason(), "wrong_code");
    }
    w.pass(100);
    assert_eq!(w.from(NEW, &mut Human::says([say(&codes[0])])), Outcome::Accepted);
    assert_eq!(w.anomalies(), ["new-place"]);
    w.from(ABROAD, &mut Human::says([say(wrong)]));
    assert_eq!(w.anomalies(), ["codes-guessed"]);
}

#[test]
fn a_device_that_the_owner_adds_after_a_recovery_code_is_named_and_one_of_an_admin_is_not() {
    for (by, expected) in [("", vec!["enrolled-after-recovery"]), ("root", vec![])] {
        let (mut w, _) = owner();
        let codes = crate::regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
        assert_eq!(w.from(HOME, &mut Human::says([say(&codes[0])])), Outcome::Accepted);
        w.anomalies();
        w.add_device(by, Authority::Admin(ExistingCode::Skipped), None);
        assert_eq!(w.anomalies(), expected, "{by}");
    }
}

#[test]
fn a_device_that_the_owner_adds_after_a_login_from_a_new_place_is_named_and_one_of_an_admin_is_not() {
    let named = ["enrolled-after-recovery"].as_slice();
    for (from, by, expected) in [(ABROAD, "", named), (HOME, "", &[]), (ABROAD, "root", &[])] {
        let (mut w, secret) = owner();
        assert_eq!(w.right_from(&secret, from), Outcome::Accepted);
        w.anomalies();
        w.add_device(by, Authority::Admin(ExistingCode::Required), Some(&secret));
        assert_eq!(w.anomalies(), expected, "{from} {by}");
    }
}

#[test]
fn a_device_that_the_owner_adds_after_the_first_login_ever_is_no_anomaly() {
    let (mut w, secret) = owner();
    w.anomalies();
    w.add_device("", Authority::Admin(ExistingCode::Required), Some(&secret));
    assert_eq!(w.anomalies(), [""; 0]);
}
