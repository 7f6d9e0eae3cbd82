//! Rules with `remember`: when a login asks for a code again.

use super::rules::policed;
use super::*;
use crate::{Selection, regenerate_recovery, revoke};
use qrtotp_store::Store;

const HOME: &str = "198.51.100.7";
const KEY: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox\n";

/// A host whose rule remembers a code for an hour, and alice's secret.
fn host() -> (World, Secret) {
    let from = "from = ['local', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '64:ff9b::/32']";
    let mut w = policed("", &format!("[[rule]]\nname = 'one'\n{from}\nthen = 'code'\nremember = '1h'"));
    let secret = w.import(Params::default());
    (w, secret)
}

fn from(address: &str) -> Subject {
    Subject { rhost: address.into(), ..World::subject("alice") }
}

/// `su` from one of alice's terminals.
fn su(tty: &str) -> Subject {
    Subject { by: "alice".into(), service: "su".into(), tty: tty.into(), ..World::subject("alice") }
}

impl World {
    /// A login that asks for a code and gets the right one.
    fn gives_code(&mut self, secret: &Secret, subject: Subject, mut human: Human) {
        self.pass(60);
        human.script.push_back(say(&self.code(secret, 0)));
        assert_eq!(self.login_of(subject, &Options::default(), &mut human), Outcome::Accepted);
        assert_eq!(human.prompts.len(), 1, "asked");
    }

    /// Whether a login asks for a code. If it does, the user gives none.
    fn asks(&mut self, subject: Subject, mut human: Human) -> bool {
        let outcome = self.login_of(subject, &Options::default(), &mut human);
        assert_eq!(outcome == Outcome::Accepted, human.prompts.is_empty());
        !human.prompts.is_empty()
    }

    fn asks_from(&mut self, address: &str) -> bool {
        self.asks(from(address), Human::default())
    }
}

#[test]
fn a_code_is_asked_for_once_in_the_time_and_the_login_after_it_names_the_credential() {
    let (mut w, secret) = host();
    assert!(w.asks_from(HOME));
    w.gives_code(&secret, from(HOME), Human::default());
    w.pass(3599);
    assert!(!w.asks_from(HOME));
    let line = w.log.0.last().unwrap();
    assert!(
        line.starts_with("event=login result=accepted reason=remembered user=alice service=sshd"),
        "{line}"
    );
    assert!(line.contains(" rule=one ") && line.contains(" credential=c-"), "{line}");
    w.pass(1);
    assert!(w.asks_from(HOME), "a login that was not asked does not prolong it");
}

#[test]
fn another_address_key_service_policy_or_an_earlier_clock_is_asked() {
    let key = || Human { ssh_auth_info: Some(KEY), ..Human::default() };
    let (mut w, secret) = host();
    w.gives_code(&secret, from(HOME), key());
    assert!(!w.asks(from(HOME), key()));
    assert!(!w.asks(from("::ffff:198.51.100.7"), key()));
    assert!(w.asks(from(HOME), Human::default()), "without the key");
    assert!(w.asks(from("198.51.100.8"), key()));
    assert!(w.asks(from("home.example"), key()));
    assert!(w.asks(Subject { service: "cockpit".into(), ..from(HOME) }, key()));
    w.config.rules.generation += 1;
    assert!(w.asks(from(HOME), key()), "another policy");
    w.config.rules.generation -= 1;
    w.pass(-1);
    assert!(w.asks(from(HOME), key()), "an earlier clock");
    w.gives_code(&secret, from("2001:db8:1:2::3"), Human::default());
    assert!(!w.asks_from("2001:db8:1:2:ffff::1"));
    assert!(w.asks_from("2001:db8:1:3::3"));
    w.gives_code(&secret, from("64:ff9b::198.51.100.7"), Human::default());
    assert!(!w.asks_from("64:ff9b::198.51.100.7"));
    assert!(w.asks_from("64:ff9b::203.0.113.9"), "another host behind NAT64");
}

#[test]
fn a_wrong_code_from_there_a_recovery_code_unlock_and_a_revocation_end_it() {
    type End = (&'static str, bool, fn(&mut World));
    let ends: [End; 5] = [
        ("a wrong code from elsewhere", false, |w| {
            w.login_of(from("203.0.113.9"), &Options::default(), &mut Human::says([say("000000")]));
        }),
        ("a wrong code from the same network", true, |w| {
            w.login_of(from("198.51.100.9"), &Options::default(), &mut Human::says([say("000000")]));
        }),
        ("unlock", true, |w| {
            w.unlock("alice", &World::name()).unwrap();
        }),
        ("the revocation of another device", true, |w| {
            let record = w.store.load(&World::name()).unwrap().unwrap().record;
            let newest = record.credentials.last().unwrap().id;
            revoke(&mut w.ctx("alice"), &World::name(), Selection::One(newest)).unwrap();
        }),
        ("a recovery code", true, |w| {
            let codes = regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
            assert_eq!(w.answer(&codes[0]), Outcome::Accepted);
        }),
    ];
    for (what, ended, end) in ends {
        let (mut w, secret) = host();
        w.import_secret(Secret::generate().unwrap(), Params::default());
        w.gives_code(&secret, from(HOME), Human::default());
        end(&mut w);
        assert_eq!(w.asks_from(HOME), ended, "{what}");
    }
}

#[test]
fn on_this_host_it_holds_for_one_terminal_of_one_login_session() {
    let within = |session| Human { session, ..Human::default() };
    let (mut w, secret) = host();
    w.gives_code(&secret, su("pts/1"), within(Some("7 boot")));
    assert!(!w.asks(su("pts/1"), within(Some("7 boot"))));
    assert!(w.asks(su("pts/2"), within(Some("7 boot"))));
    assert!(w.asks(su("pts/1"), within(Some("8 boot"))));
    assert!(w.asks(su("pts/1"), within(None)));
    assert!(w.asks(Subject { by: "bob".into(), ..su("pts/1") }, within(Some("7 boot"))));
    for subject in [su(""), Subject { by: String::new(), ..su("pts/1") }] {
        w.gives_code(&secret, subject.clone(), within(Some("7 boot")));
        assert!(w.asks(subject, within(Some("7 boot"))), "the absence of a PAM item is no session");
    }
}

#[test]
fn behind_forward_pass_the_password_alone_is_enough_then_and_only_the_right_one() {
    let (mut w, secret) = host();
    let options = Options { first_pass: FirstPass::Forward, ..Options::default() };
    let login = |w: &mut World, typed: &str| {
        let mut human = Human { right_password: Some(b"secret"), ..Human::says([say(typed)]) };
        let outcome = w.login_of(from(HOME), &options, &mut human);
        (outcome, human.forwarded)
    };
    assert_eq!(login(&mut w, "secret").0, Outcome::Denied);
    let code = w.code(&secret, 0);
    assert_eq!(login(&mut w, &format!("secret{code}")), (Outcome::Accepted, Some(b"secret".to_vec())));
    assert_eq!(login(&mut w, "secret"), (Outcome::Accepted, Some(b"secret".to_vec())));
    assert_eq!(w.reason(), "remembered");
    assert_eq!(login(&mut w, "wrong"), (Outcome::Denied, None));
    assert_eq!(login(&mut w, "secret000000").0, Outcome::Denied);
    assert_eq!(login(&mut w, "secret").0, Outcome::Denied, "a wrong code ended it");
}

#[test]
fn an_unknown_user_is_asked() {
    let (mut w, _) = host();
    assert!(w.asks(Subject { user: "nobody-knows".into(), ..from(HOME) }, Human::default()));
}

#[test]
fn a_wrong_code_ends_it_also_if_the_place_counts_as_a_strangers_today() {
    let (mut w, secret) = host();
    w.gives_code(&secret, from(HOME), Human::default());
    for _ in 0..10 {
        w.pass(60);
        w.login_of(from(HOME), &Options::default(), &mut Human::says([say("000000")]));
    }
    w.pass(60);
    let codes = format!("{} {}", w.code(&secret, -1), w.code(&secret, 0));
    let mut human = Human::says([say("000000"), say(&codes)]);
    assert_eq!(w.login_of(from(HOME), &Options::default(), &mut human), Outcome::Accepted);
    assert!(!w.asks_from(HOME));
    let options = Options { first_pass: FirstPass::Forward, ..Options::default() };
    let mut human = Human { right_password: Some(b"secret"), ..Human::says([say("secret000000")]) };
    assert_eq!(w.login_of(from(HOME), &options, &mut human), Outcome::Denied);
    assert!(w.asks_from(HOME));
}

#[test]
fn without_its_groups_nobody_is_remembered() {
    let mut w = policed(
        "",
        "[[rule]]\nname = 'one'\ngroup = ['wheel']\nfrom = ['198.51.100.0/24']\nthen = 'code'\nremember = '1h'",
    );
    let secret = w.import(Params::default());
    w.gives_code(&secret, from(HOME), Human::default());
    assert!(w.asks_from(HOME));
}
