//! Logins from several places: which failures delay which logins, and the notices for the owner.

use super::*;
use crate::{NamedPlace, Selection, forget_places, revoke, trust_place};
use qrtotp_account::{FactorKind, Throttle};
use qrtotp_store::Store;

pub(super) const HOME: &str = "198.51.100.7";
pub(super) const ABROAD: &str = "203.0.113.9";

/// An account with a device, and a right code from home.
pub(super) fn owner() -> (World, Secret) {
    let mut w = World::new();
    let secret = w.import(Params::default());
    assert_eq!(w.right_from(&secret, HOME), Outcome::Accepted);
    (w, secret)
}

impl World {
    /// A login at sshd from an address, or at sudo by a process of that account.
    pub(super) fn from(&mut self, from: &str, human: &mut Human) -> Outcome {
        self.login_from(&Options::default(), from, human)
    }

    pub(super) fn login_from(&mut self, options: &Options, from: &str, human: &mut Human) -> Outcome {
        let subject = match from.parse::<std::net::IpAddr>() {
            Ok(_) => Subject { rhost: from.into(), ..World::subject("alice") },
            Err(_) => Subject { by: from.into(), service: "sudo".into(), ..World::subject("alice") },
        };
        self.login_of(subject, options, human)
    }

    /// The messages of a login with a right code from home.
    fn shown_at_home(&mut self, secret: &Secret) -> String {
        self.pass(60);
        let code = self.code(secret, 0);
        let mut human = Human::says([say(&code)]);
        assert_eq!(self.from(HOME, &mut human), Outcome::Accepted);
        human.shown.join("\n")
    }

    pub(super) fn right_from(&mut self, secret: &Secret, from: &str) -> Outcome {
        self.pass(60);
        let code = self.code(secret, 0);
        self.from(from, &mut Human::says([say(&code)]))
    }

    /// As many guesses as a tireless stranger has.
    pub(super) fn guess_from(&mut self, from: &str, times: u32) {
        for _ in 0..times {
            self.pass(900);
            self.from(from, &mut Human::says([say("000000")]));
        }
    }

    fn throttle(&self) -> Throttle {
        self.store.load(&World::name()).unwrap().unwrap().state.throttle
    }
}

#[test]
fn a_stranger_keeps_the_owner_out_nowhere_but_at_new_places() {
    let (mut w, secret) = owner();
    w.guess_from(ABROAD, 60);
    assert_eq!(w.reason(), "throttled");
    assert!(w.log.0.iter().any(|line| line.contains("event=throttle_engaged reason=closed")));
    assert_eq!(w.right_from(&secret, "198.51.100.200"), Outcome::Accepted, "the same network");
    assert_eq!(w.right_from(&secret, "alice"), Outcome::Accepted, "sudo");
    assert_eq!(w.right_from(&secret, "192.0.2.1"), Outcome::Denied);
    assert_eq!(w.throttle().failures_of(FactorKind::Code), 40, "nothing of the stranger's was forgotten");
}

#[test]
fn a_place_that_an_admin_names_is_familiar_for_a_day_and_one_that_is_forgotten_is_a_strangers() {
    let (mut w, secret) = owner();
    w.guess_from(ABROAD, 60);
    assert_eq!(w.right_from(&secret, "192.0.2.1"), Outcome::Denied);
    let (name, place) = (World::name(), |text| NamedPlace::parse(text).unwrap());
    for (text, done) in [("192.0.2.0/24", true), ("0123456789abcdef", false)] {
        assert_eq!(trust_place(&mut w.ctx("alice"), &name, (place(text), text)).unwrap(), done, "{text}");
    }
    assert!(w.log.0.iter().any(|line| line.contains("event=place_trusted") && line.contains("192.0.2.0/24")));
    assert_eq!(w.right_from(&secret, "192.0.2.1"), Outcome::Accepted);
    let forget = |w: &mut World, place| forget_places(&mut w.ctx("alice"), &name, place).unwrap();
    assert_eq!(forget(&mut w, Some(place("192.0.2.77"))), 1);
    assert_eq!(w.right_from(&secret, "192.0.2.1"), Outcome::Denied);
    assert_eq!(w.right_from(&secret, HOME), Outcome::Accepted);
    assert_eq!([forget(&mut w, None), forget(&mut w, None)], [1, 0]);
    assert_eq!(w.right_from(&secret, HOME), Outcome::Denied);
    assert_eq!(w.log.0.iter().filter(|line| line.contains("event=places_forgotten")).count(), 2);
}

#[test]
fn a_place_is_named_by_an_address_a_network_in_one_place_or_its_digest() {
    for text in ["192.0.2.7", "192.0.2.64/26", "2001:db8:7::1", "2001:db8:7::/56", "00ff00ff00ff00ff"] {
        assert!(NamedPlace::parse(text).is_ok(), "{text}");
    }
    for text in ["", "192.0.2", "10.0.0.0/8", "192.0.0.0/23", "2001:db8::/55", "home", "00ff"] {
        assert!(NamedPlace::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_owner_is_told_once_of_wrong_codes_from_elsewhere() {
    let (mut w, secret) = owner();
    w.guess_from("2001:db8:7:8::9", 2);
    w.guess_from(ABROAD, 1);
    w.from(HOME, &mut Human::says([say("000000")]));
    let notice = w.shown_at_home(&secret);
    assert!(
        notice.contains("4 wrong codes since ")
            && notice.contains(", 3 of them from elsewhere, the last from"),
        "{notice}"
    );
    assert!(notice.contains("198.51.100.0/24."), "{notice}");
    assert_eq!(w.shown_at_home(&secret), "");
}

#[test]
fn two_codes_that_the_owner_mistypes_are_not_worth_telling() {
    let (mut w, secret) = owner();
    for _ in 0..2 {
        w.from(HOME, &mut Human::says([say("000000")]));
    }
    assert_eq!(w.shown_at_home(&secret), "");
}

#[test]
fn after_ten_wrong_codes_from_home_two_codes_are_asked_for_there() {
    let (mut w, secret) = owner();
    w.guess_from(HOME, 10);
    w.pass(60);
    let (first, second) = (w.code(&secret, -1), w.code(&secret, 0));
    let mut human = Human::says([say(&second), say(&format!("{first} {second}"))]);
    assert_eq!(w.from(HOME, &mut human), Outcome::Accepted);
    assert!(human.prompts[1].starts_with("Two codes in a row"), "{:?}", human.prompts);
    w.pass(120);
    let code = w.code(&secret, 0);
    assert_eq!(w.from(HOME, &mut Human::says([say(&code), say("123456")])), Outcome::Denied);
    assert_eq!(w.reason(), "wrong_code");
    let failures = w.throttle().failures();
    w.guess_from(ABROAD, 40 - w.throttle().strangers.lane.failures);
    let closed = w.throttle().failures();
    assert!(closed > failures);
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(w.from(HOME, &mut Human::says([say(&code), say(&code)])), Outcome::Denied);
    assert_eq!(
        (w.reason().as_str(), w.throttle().failures()),
        ("throttled", closed),
        "a client that repeats itself"
    );
    w.pass(24 * 3600);
    assert_eq!(w.right_from(&secret, HOME), Outcome::Accepted);
}

#[test]
fn where_there_is_no_room_for_two_codes_such_a_place_is_a_strangers_for_the_day() {
    let (mut w, secret) = owner();
    w.guess_from(HOME, 10);
    let options = Options { first_pass: FirstPass::Forward, ..Options::default() };
    let one_field = |w: &mut World, code: &str| {
        let mut human =
            Human { right_password: Some(b"hunter2"), ..Human::says([say(&format!("hunter2{code}"))]) };
        w.login_from(&options, HOME, &mut human)
    };
    w.pass(60);
    one_field(&mut w, "000000");
    assert_eq!(w.throttle().strangers.lane.failures, 1);
    w.pass(60);
    let code = w.code(&secret, 0);
    assert_eq!(one_field(&mut w, &code), Outcome::Accepted);
}

#[test]
fn who_lacks_the_password_closes_nothing_in_one_field() {
    let (mut w, secret) = owner();
    let options = Options { first_pass: FirstPass::Forward, ..Options::default() };
    for _ in 0..50 {
        w.pass(900);
        let mut human = Human { right_password: Some(b"hunter2"), ..Human::says([say("guess000000")]) };
        w.login_as("alice", &options, &mut human);
    }
    assert_eq!(w.throttle().failures(), 0);
    w.pass(60);
    let code = w.code(&secret, 0);
    let mut human =
        Human { right_password: Some(b"hunter2"), ..Human::says([say(&format!("hunter2{code}"))]) };
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted);
}

#[test]
fn a_code_that_was_accepted_is_refused_uncounted_however_often_it_is_repeated() {
    let (mut w, secret) = owner();
    w.pass(60);
    let yesterdays = w.code(&secret, 0);
    assert_eq!(w.answer(&yesterdays), Outcome::Accepted);
    for _ in 0..10 {
        assert_eq!(w.right_from(&secret, "alice"), Outcome::Accepted, "sudo meanwhile");
    }
    w.pass(24 * 3600);
    for _ in 0..140 {
        w.pass(300);
        assert_eq!(w.answer(&yesterdays), Outcome::Denied);
        assert_eq!(w.reason(), "replayed_code");
    }
    assert_eq!(w.throttle().failures(), 0);
    let fresh = w.code(&secret, 0);
    assert_eq!(w.answer(&fresh), Outcome::Accepted);
}

#[test]
fn an_accepted_key_is_the_place_wherever_it_is() {
    const LAPTOP: &str =
        "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n";
    const OTHER: &str =
        "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n";
    let (mut w, secret) = owner();
    let with_key = |w: &mut World, key, from: &str| {
        w.pass(60);
        let code = w.code(&secret, 0);
        w.from(from, &mut Human { ssh_auth_info: Some(key), ..Human::says([say(&code)]) })
    };
    assert_eq!(with_key(&mut w, LAPTOP, HOME), Outcome::Accepted);
    w.guess_from(ABROAD, 60);
    assert_eq!(with_key(&mut w, LAPTOP, "192.0.2.1"), Outcome::Accepted, "the laptop in a hotel");
    assert_eq!(with_key(&mut w, OTHER, HOME), Outcome::Denied, "somebody else's key at home");
    assert_eq!(w.reason(), "throttled");
}

#[test]
fn a_revoked_account_forgets_its_places() {
    let (mut w, _) = owner();
    assert_eq!(w.throttle().places(w.clock.now(), &w.config.throttle.rules()), 1);
    let now = w.clock.now();
    revoke(&mut w.ctx("alice"), &World::name(), Selection::All).unwrap();
    assert_eq!(w.throttle().places(now, &w.config.throttle.rules()), 0);
}

#[test]
fn a_rule_can_ask_for_two_codes_at_new_places_only() {
    let (mut w, secret) = owner();
    let rules = "[[rule]]\nname = 'away'\nplace = 'new'\nthen = 'two-codes'\n";
    w.config = super::rules::policed("", rules).config;
    assert_eq!(w.right_from(&secret, HOME), Outcome::Accepted);
    assert_eq!(w.right_from(&secret, ABROAD), Outcome::Denied);
    assert!(w.log.0.iter().rev().any(|line| line.contains("rule=away")));
    w.pass(120);
    let pair = format!("{} {}", w.code(&secret, -1), w.code(&secret, 0));
    assert_eq!(w.from(ABROAD, &mut Human::says([say(&pair)])), Outcome::Accepted);
    assert_eq!(w.right_from(&secret, ABROAD), Outcome::Accepted, "familiar from now on");
    let mut human = Human::says([say("123456")]);
    assert_eq!(w.login_as("mallory", &Options::default(), &mut human), Outcome::Denied);
    assert!(human.prompts[0].starts_with("Two codes"), "an unknown account is asked as one at a new place");
}

#[test]
fn a_recovery_code_tells_the_owner_of_others_and_not_of_itself() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    w.guess_from(ABROAD, 5);
    w.pass(60);
    let mut owner = Human::says([say(&human.codes[0])]);
    assert_eq!(w.from(HOME, &mut owner), Outcome::Accepted);
    let notice = owner.shown.join("\n");
    assert!(
        notice.contains("5 wrong codes since ") && notice.contains("the last from 203.0.113.0/24"),
        "{notice}"
    );
}
