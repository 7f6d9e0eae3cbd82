use super::*;
use qrtotp_account::{TokenRefusal, TokenState};
use qrtotp_store::Store;
use qrtotp_values::ConfigDuration;

fn token(w: &mut World) -> qrtotp_account::TokenId {
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: w.config.enroll.token_lifetime,
        max_shows: w.config.enroll.max_shows,
        code: None,
        keys: &[],
    };
    issue_token(&mut w.ctx("alice"), &issue).unwrap().0.id
}

fn snapshot(w: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![w.path.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_enrolled_device_logs_in_but_not_with_the_code_that_enrolled_it() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    assert_eq!(human.codes.len(), 10);
    let uri = KeyUri::parse(&human.offers[0].0, Strength::Normal).unwrap();
    let code = w.code(&uri.secret, 0);
    assert_eq!(w.answer(&code), Outcome::Denied);
    w.pass(30);
    let code = w.code(&uri.secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn three_wrong_codes_or_no_answer_leave_everything_as_it_was() {
    for script in [vec!["000000", "hunter2", ""], vec!["000000"], vec![]] {
        let mut w = World::new();
        let before = snapshot(&w);
        let mut human = Human::says(script.into_iter().map(say));
        assert!(w.enroll(&mut human).unwrap_err().is_refusal());
        assert_eq!(snapshot(&w), before);
        assert!(w.log.0.iter().any(|line| line.starts_with("event=enrollment_abandoned")));
    }
}

#[test]
fn an_answer_without_a_digit_is_no_wrong_code() {
    let mut w = World::new();
    let no_codes = ["", " ", "?", "help", "000000", "", "yes"].map(say);
    w.enroll(&mut Human::says(no_codes.into_iter().chain([Say::Phone(0)]))).unwrap();
    // After ten questions, an empty answer counts as one of three wrong codes.
    let mut stubborn = Human::says((0..50).map(|_| say("")));
    let refused = w.enroll_with(&mut stubborn, Authority::Admin(ExistingCode::Skipped));
    assert!(matches!(refused, Err(EnrollError::WrongCodes)));
    assert_eq!(stubborn.script.len(), 50 - 13);
}

#[test]
fn a_wrong_code_may_be_followed_by_a_right_one() {
    let mut w = World::new();
    w.enroll(&mut Human::says([say("000000"), say("123"), Say::Phone(-1)])).unwrap();
}

#[test]
fn a_qr_code_that_waited_too_long_is_worth_nothing() {
    let mut w = World::new();
    w.config.enroll.time_limit = qrtotp_values::ConfigDuration::seconds(1);
    let clock = std::rc::Rc::new(Cell::new(0));
    let mut human = Human::says([Say::Phone(0)]);
    let ticks = std::rc::Rc::clone(&clock);
    human.meanwhile = Some(Box::new(move || ticks.set(ticks.get() + 2)));
    // A clock that runs while the user types.
    struct Running(UnixTime, std::rc::Rc<Cell<UnixTime>>);
    impl Clock for Running {
        fn now(&self) -> UnixTime {
            self.0 + self.1.get()
        }
    }
    human.now = START;
    let (name, label, authority) = (World::name(), Label::new("x"), Authority::Admin(ExistingCode::Required));
    let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host: "host" };
    let running = Running(START, clock);
    let mut ctx = Ctx { clock: &running, ..w.ctx("alice") };
    let result = super::enroll(&mut ctx, &mut human, request);
    assert!(matches!(result, Err(EnrollError::TimeUp)));
    assert!(w.log.0.last().is_some_and(|line| line.starts_with("event=enrollment_expired")), "{:?}", w.log.0);
    assert!(w.store.load(&name).unwrap().is_none());
}

#[test]
fn a_second_device_takes_a_code_of_the_first_and_makes_no_new_recovery_codes() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let refused = w.enroll(&mut Human::says([say("000000"), say("000000"), say("000000")]));
    assert!(matches!(refused, Err(EnrollError::NotProven(_))));
    let mut human = Human::says([say(&w.code(&secret, 0)), Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    assert_eq!((record.credentials.len(), record.recovery_due), (2, false));
    w.pass(30);
    let again = w.enroll(&mut Human::says([say(&human.codes[0].clone()), Say::Phone(0)]));
    assert!(again.is_ok(), "a recovery code serves wherever a code is asked for");
}

#[test]
fn root_may_skip_the_existing_code_and_that_is_in_the_log() {
    let mut w = World::new();
    w.import(Params::default());
    w.enroll_with(&mut Human::says([Say::Phone(0)]), Authority::Admin(ExistingCode::Skipped)).unwrap();
    assert!(w.log.0.iter().any(|l| l.starts_with("event=enrollment_started reason=existing_code_skipped")));
}

#[test]
fn nothing_is_said_to_be_skipped_where_nothing_was_to_be_asked_or_it_was_asked() {
    let mut w = World::new();
    w.enroll_with(&mut Human::says([Say::Phone(0)]), Authority::Admin(ExistingCode::Skipped)).unwrap();
    let secret = w.import(Params::default());
    w.pass(30);
    let asked = [say(&w.code(&secret, 0)), Say::Phone(0)];
    w.enroll_with(&mut Human::says(asked), Authority::Admin(ExistingCode::Required)).unwrap();
    let started = w.log.0.iter().filter(|line| line.starts_with("event=enrollment_started"));
    assert_eq!(started.filter(|line| !line.contains("reason=")).count(), 2, "{:?}", w.log.0);
}

#[test]
fn a_token_that_an_enrolment_makes_itself_is_in_the_log_once_and_an_issued_one_is_not_again() {
    for is_issued in [false, true] {
        let mut w = World::new();
        if is_issued {
            token(&mut w);
        }
        w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
        let issued = w.log.0.iter().filter(|line| line.starts_with("event=token_issued"));
        assert_eq!(issued.count(), 1, "{is_issued}: {:?}", w.log.0);
    }
}

#[test]
fn there_are_never_more_devices_than_allowed() {
    let mut w = World::new();
    for _ in 0..5 {
        w.import(Params::default());
    }
    let result = w.enroll_with(&mut Human::says([Say::Phone(0)]), Authority::Admin(ExistingCode::Skipped));
    assert!(matches!(result, Err(EnrollError::TooManyDevices(5))));
}

#[test]
fn an_issued_token_is_consumed_by_the_first_right_code() {
    let mut w = World::new();
    let id = token(&mut w);
    w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    let token = record.token.unwrap();
    assert_eq!((token.id, token.state), (id, TokenState::Consumed(START)));
    assert!(w.log.0.iter().any(|line| line.starts_with("event=token_consumed")));
}

#[test]
fn an_issued_token_counts_its_shows_and_then_refuses() {
    let mut w = World::new();
    token(&mut w);
    let mut secrets = std::collections::HashSet::new();
    for _ in 0..3 {
        let mut human = Human::default();
        w.enroll(&mut human).unwrap_err();
        secrets.insert(human.offers[0].0.clone());
    }
    assert_eq!(secrets.len(), 3, "each show makes a fresh secret");
    let mut human = Human::default();
    let refused = w.enroll(&mut human);
    assert!(matches!(refused, Err(EnrollError::Token(TokenRefusal::ShowsUsedUp))));
    assert!(human.offers.is_empty());
}

#[test]
fn a_token_revoked_while_the_qr_code_is_on_the_screen_enrols_nobody() {
    let mut w = World::new();
    token(&mut w);
    let mut elsewhere = w.elsewhere();
    let mut human = Human::says([Say::Phone(0)]);
    human.meanwhile = Some(Box::new(move || {
        revoke_token(&mut elsewhere.ctx("alice"), &World::name()).unwrap();
    }));
    assert!(matches!(w.enroll(&mut human), Err(EnrollError::Token(TokenRefusal::Revoked))));
    assert!(w.store.load(&World::name()).unwrap().unwrap().record.credentials.is_empty());
}

#[test]
fn a_token_issued_while_root_enrols_is_the_one_to_use_unless_its_time_is_over() {
    for (age, is_used) in [(0, true), (2 * 86_400, false)] {
        let mut w = World::new();
        w.import(Params::default());
        let mut elsewhere = w.elsewhere();
        elsewhere.pass(-age);
        let (name, lifetime) = (World::name(), ConfigDuration::seconds(86_400));
        let mut human = Human::says([Say::Phone(0)]);
        human.meanwhile = Some(Box::new(move || {
            let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[] };
            issue_token(&mut elsewhere.ctx("root"), &issue).unwrap();
        }));
        let result = w.enroll_with(&mut human, Authority::Admin(ExistingCode::Skipped));
        assert_eq!(matches!(result, Err(EnrollError::Changed)), is_used, "{result:?}");
        assert_eq!(result.is_err(), is_used);
        let record = w.store.load(&World::name()).unwrap().unwrap().record;
        assert_eq!(record.credentials.len(), if is_used { 1 } else { 2 });
        assert_eq!(matches!(record.token.unwrap().state, TokenState::Consumed(_)), !is_used);
    }
}

#[test]
fn a_shown_qr_code_dies_with_the_next_show() {
    let mut w = World::new();
    token(&mut w);
    let mut other = World { log: Log::default(), ..World::new() };
    other.store = FileStore::open(&w.path, w.path.parent().unwrap()).unwrap();
    let mut human = Human::says([Say::Phone(0)]);
    human.meanwhile = Some(Box::new(move || {
        other.enroll(&mut Human::default()).unwrap_err(); // shown again, and left
    }));
    assert!(matches!(w.enroll(&mut human), Err(EnrollError::Token(TokenRefusal::ShownAgain))));
    assert!(w.store.load(&World::name()).unwrap().unwrap().record.credentials.is_empty());
}

#[test]
fn two_people_with_one_token_make_one_credential() {
    let mut w = World::new();
    token(&mut w);
    let mut other = World { log: Log::default(), ..World::new() };
    other.store = FileStore::open(&w.path, w.path.parent().unwrap()).unwrap();
    let first = std::rc::Rc::new(Cell::new(false));
    let done = std::rc::Rc::clone(&first);
    let mut human = Human::says([Say::Phone(0)]);
    human.meanwhile = Some(Box::new(move || {
        done.set(other.enroll(&mut Human::says([Say::Phone(0)])).is_ok());
    }));
    assert!(matches!(w.enroll(&mut human), Err(EnrollError::Token(TokenRefusal::Consumed))));
    assert!(first.get());
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().record.credentials.len(), 1);
}

#[test]
fn a_recreated_user_is_enrolled_anew_and_the_former_ones_devices_are_gone() {
    let mut w = World::new();
    let old = w.import(Params::default());
    w.people.0.set(UID + 1);
    w.enroll(&mut Human::says([Say::Phone(0)])).unwrap();
    let record = w.store.load(&World::name()).unwrap().unwrap().record;
    assert_eq!((record.uid, record.credentials.len()), (UID + 1, 1));
    let code = w.code(&old, 0);
    assert_eq!(w.answer(&code), Outcome::Denied);
}

#[test]
fn nothing_of_an_enrolment_is_in_the_log() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let log = w.log.0.join("\n");
    let key = human.offers[0].1.replace(' ', "");
    assert!(!log.contains(&key) && human.codes.iter().all(|code| !log.contains(code.as_str())));
}
