//! Enrolments by users: what `first_login` allows, what survives a dropped connection, a token's code.
use super::*;
use qrtotp_account::{Binding, TokenCode, TokenRefusal, TokenState};
use qrtotp_policy::FirstLogin;
use qrtotp_store::{Account, Store};
use qrtotp_values::ConfigDuration;

fn world(first_login: FirstLogin) -> World {
    let mut w = World::new();
    w.config.defaults.first_login = first_login;
    w
}

fn enroll(w: &mut World, human: &mut Human) -> Result<Enrolled, EnrollError> {
    w.enroll_with(human, Authority::PrimaryFactor)
}

fn issue(w: &mut World, code: Option<ConfigDuration>) -> Option<TokenCode> {
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: ConfigDuration::seconds(86_400),
        max_shows: 3,
        code,
        keys: &[],
    };
    issue_token(&mut w.ctx("root"), &issue).unwrap().1
}

fn account(w: &World) -> Account {
    w.store.load(&World::name()).unwrap().unwrap()
}

/// The present code of the phone that scanned `offer`.
fn phone(w: &World, offer: &(String, String)) -> String {
    let uri = KeyUri::parse(&offer.0, Strength::Normal).unwrap();
    w.code(&uri.secret, 0)
}

fn logged(w: &World, start: &str) -> bool {
    w.log.0.iter().any(|line| line.starts_with(start))
}

#[test]
fn a_dropped_enrolment_is_resumed_with_the_code_of_the_scanned_qr_code() {
    let mut w = world(FirstLogin::Enroll);
    let mut first = Human::default();
    assert!(matches!(enroll(&mut w, &mut first), Err(EnrollError::NoAnswer)));
    w.pass(180);
    let mut second = Human::says([say(&phone(&w, &first.offers[0]))]);
    enroll(&mut w, &mut second).unwrap();
    assert!(second.offers.is_empty(), "it is not shown again");
    assert_eq!(second.shown[0], "scanned 3 minutes ago");
    assert!(logged(&w, "event=enrollment_resumed"));
}

#[test]
fn a_scanned_qr_code_dies_by_its_time_limit() {
    let mut w = world(FirstLogin::Enroll);
    let mut first = Human::default();
    enroll(&mut w, &mut first).unwrap_err();
    w.pass(600);
    let mut second = Human::says([say(&phone(&w, &first.offers[0]))]);
    assert!(matches!(enroll(&mut w, &mut second), Err(EnrollError::NoAnswer)));
    assert_eq!(second.offers.len(), 1, "another one is shown");
    assert_ne!(second.offers[0], first.offers[0]);
    assert!(account(&w).record.credentials.is_empty());
}

#[test]
fn a_scanned_qr_code_is_worth_nothing_once_either_its_time_or_its_token_s_is_over() {
    for (lifetime, pause, shown_again) in [(86_400, 600, 1), (60, 120, 0)] {
        let mut w = world(FirstLogin::Token);
        let (name, lifetime) = (World::name(), ConfigDuration::seconds(lifetime));
        let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 3, code: None, keys: &[] };
        issue_token(&mut w.ctx("root"), &issue).unwrap();
        let mut first = Human::default();
        assert!(matches!(enroll(&mut w, &mut first), Err(EnrollError::NoAnswer)));
        w.pass(pause);
        let mut second = Human::says([say(&phone(&w, &first.offers[0]))]);
        enroll(&mut w, &mut second).unwrap_err();
        assert!(!logged(&w, "event=enrollment_resumed"), "{pause}");
        assert_eq!(second.offers.len(), shown_again);
        assert!(account(&w).record.credentials.is_empty());
    }
}

#[test]
fn a_token_that_nobody_issued_lives_as_long_as_its_qr_code() {
    let mut w = world(FirstLogin::Enroll);
    enroll(&mut w, &mut Human::default()).unwrap_err();
    let token = account(&w).record.token.unwrap();
    assert_eq!((token.issued, token.expires), (START, START + w.config.enroll.time_limit.as_seconds()));
}

#[test]
fn a_fresh_qr_code_kills_the_one_before() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human::says([say("n")]);
    enroll(&mut w, &mut human).unwrap_err();
    let (old, new) = (phone(&w, &human.offers[0]), phone(&w, &human.offers[1]));
    let refused = enroll(&mut w, &mut Human::says([say(&old)]));
    assert!(matches!(refused, Err(EnrollError::NoAnswer)));
    enroll(&mut w, &mut Human::says([say(&new)])).unwrap();
}

#[test]
fn giving_up_and_three_wrong_codes_end_what_was_shown() {
    for answers in [vec!["q"], vec!["000000", "n", "000000", "000000"]] {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human::says(answers.into_iter().map(say));
        assert!(enroll(&mut w, &mut human).unwrap_err().is_refusal());
        let record = account(&w).record;
        assert_eq!((record.pending, record.token, record.credentials.len()), (None, None, 0));
        let mut again = Human::default();
        enroll(&mut w, &mut again).unwrap_err();
        assert_eq!(again.offers.len(), 1);
    }
}

#[test]
fn the_pending_secret_is_no_credential() {
    let mut w = world(FirstLogin::Enroll);
    let mut human = Human::default();
    enroll(&mut w, &mut human).unwrap_err();
    let code = phone(&w, &human.offers[0]);
    assert_eq!(w.answer(&code), Outcome::Denied);
    let text = std::fs::read_to_string(w.account_file("account.toml")).unwrap();
    assert!(!text.contains(&human.offers[0].1.replace(' ', "")), "it is sealed");
}

#[test]
fn two_sessions_of_one_person_enrol_one_device() {
    let mut w = world(FirstLogin::Enroll);
    let mut other = World { log: Log::default(), ..world(FirstLogin::Enroll) };
    other.store = FileStore::open(&w.path, w.path.parent().unwrap()).unwrap();
    let mut human = Human::says([Say::Phone(0)]);
    human.meanwhile = Some(Box::new(move || {
        let mut late = Human::says([say("n"), Say::Phone(0)]);
        enroll(&mut other, &mut late).unwrap();
    }));
    enroll(&mut w, &mut human).unwrap_err();
    assert_eq!(account(&w).record.credentials.len(), 1);
}

/// An administrator who revokes the token once the user was asked `questions` times, and issues another one.
pub(super) fn token_replaced_at(
    questions: u32,
    w: &World,
    first_login: FirstLogin,
    code: Option<ConfigDuration>,
) -> Option<Box<dyn FnMut()>> {
    let (mut admin, mut asked) = (elsewhere(w, first_login), 0);
    Some(Box::new(move || {
        asked += 1;
        if asked == questions {
            revoke_token(&mut admin.ctx("root"), &World::name()).unwrap();
            issue(&mut admin, code);
        }
    }))
}

/// Another process at the same store.
fn elsewhere(w: &World, first_login: FirstLogin) -> World {
    let mut other = World { log: Log::default(), ..world(first_login) };
    other.store = FileStore::open(&w.path, w.path.parent().unwrap()).unwrap();
    other
}

#[test]
fn a_parked_dialogue_adds_nothing_to_an_account_that_was_enrolled_meanwhile() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token] {
        let mut w = world(first_login);
        issue(&mut w, None);
        let mut owner = elsewhere(&w, first_login);
        let mut parked = Human::says([say("n"), Say::Phone(0)]);
        let mut once = false;
        parked.meanwhile = Some(Box::new(move || {
            if !std::mem::replace(&mut once, true) {
                enroll(&mut owner, &mut Human::says([say("n"), Say::Phone(0)])).unwrap();
            }
        }));
        assert!(matches!(enroll(&mut w, &mut parked), Err(EnrollError::Changed)), "{first_login:?}");
        assert_eq!(account(&w).record.credentials.len(), 1);
    }
}

#[test]
fn whoever_is_second_with_a_token_hears_that_it_is_used() {
    let mut w = world(FirstLogin::Token);
    issue(&mut w, None);
    let mut quicker = elsewhere(&w, FirstLogin::Token);
    let mut human = Human::says([Say::Phone(0)]);
    human.meanwhile = Some(Box::new(move || {
        enroll(&mut quicker, &mut Human::says([say("n"), Say::Phone(0)])).unwrap();
    }));
    assert!(matches!(enroll(&mut w, &mut human), Err(EnrollError::Token(TokenRefusal::Consumed))));
    assert_eq!(account(&w).record.credentials.len(), 1);
}

#[test]
fn a_token_revoked_during_a_dialogue_ends_it() {
    let mut w = world(FirstLogin::Enroll);
    issue(&mut w, None);
    let mut admin = elsewhere(&w, FirstLogin::Enroll);
    let mut human = Human::says([say("n"), Say::Phone(0)]);
    let mut once = false;
    human.meanwhile = Some(Box::new(move || {
        if !std::mem::replace(&mut once, true) {
            revoke_token(&mut admin.ctx("root"), &World::name()).unwrap();
        }
    }));
    assert_eq!(enroll(&mut w, &mut human).unwrap_err().reason(), "token_revoked");
    assert!(account(&w).record.credentials.is_empty());
}

#[test]
fn guesses_at_a_shown_qr_code_count_across_dropped_dialogues() {
    let mut w = world(FirstLogin::Enroll);
    let mut owner = Human::default();
    enroll(&mut w, &mut owner).unwrap_err();
    for _ in 0..2 {
        enroll(&mut w, &mut Human::says([say("000000")])).unwrap_err(); // and the line drops
    }
    let mut third = Human::says([say("000000")]);
    assert!(matches!(enroll(&mut w, &mut third), Err(EnrollError::NoAnswer | EnrollError::WrongCodes)));
    let right = phone(&w, &owner.offers[0]);
    let mut late = Human::says([say(&right)]);
    assert!(enroll(&mut w, &mut late).is_err(), "three guesses were made at it");
    assert!(account(&w).record.credentials.is_empty());
}

#[test]
fn without_the_tokens_code_nobody_guesses_at_or_ends_what_its_owner_was_shown() {
    let mut w = world(FirstLogin::Token);
    let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
    let mut owner = Human::says([say(&code)]);
    enroll(&mut w, &mut owner).unwrap_err(); // shown, and the line drops
    for authority in [Authority::PrimaryFactor, Authority::TokenCode] {
        for answers in [vec!["q"], vec!["000000", "000000", "000000"]] {
            let mut stranger = Human::says(answers.into_iter().map(say));
            w.enroll_with(&mut stranger, authority).unwrap_err();
            assert!(stranger.shown.iter().all(|text| !text.contains("scanned")));
        }
    }
    let right = phone(&w, &owner.offers[0]);
    let mut back = Human::says([say(&code), say(&right)]);
    let result = enroll(&mut w, &mut back);
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn recovery_codes_on_a_screen_die_with_the_device_they_were_made_for() {
    let mut w = world(FirstLogin::Enroll);
    let mut owner = elsewhere(&w, FirstLogin::Enroll);
    let first = std::rc::Rc::new(std::cell::RefCell::new(false));
    struct Parked {
        human: Human,
        at_the_codes: Box<dyn FnMut()>,
    }
    impl Dialog for Parked {
        fn show_text(&mut self, text: &str) {
            self.human.show_text(text);
        }
        fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
            self.human.ask_text(prompt, echo)
        }
    }
    impl EnrollDialog for Parked {
        fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
            self.human.first_code(scanned, note)
        }
        fn recovery_codes(
            &mut self,
            codes: &[Zeroizing<String>],
            note: Option<&Message>,
        ) -> Result<CodesDelivery, NoAnswer> {
            (self.at_the_codes)();
            self.human.recovery_codes(codes, note)
        }
    }
    let done = std::rc::Rc::clone(&first);
    let mut parked = Parked {
        human: Human { acknowledge: Acknowledge::First, now: START, ..Human::says([Say::Phone(0)]) },
        at_the_codes: Box::new(move || {
            revoke(&mut owner.ctx("root"), &World::name(), Selection::All).unwrap();
            issue(&mut owner, None);
            let mut human = Human { acknowledge: Acknowledge::Never, ..Human::says([Say::Phone(0)]) };
            enroll(&mut owner, &mut human).unwrap();
            *done.borrow_mut() = true;
        }),
    };
    let (name, label, authority) = (World::name(), Label::new("x"), Authority::PrimaryFactor);
    let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host: "host" };
    let enrolled = super::enroll(&mut w.ctx("alice"), &mut parked, request).unwrap();
    assert!(*first.borrow() && enrolled.codes == Codes::Lost);
    assert_eq!(w.answer(&parked.human.codes[0].clone()), Outcome::Denied);
    assert!(account(&w).record.recovery.is_none(), "the owner's are still owed");
}

#[test]
fn what_first_login_says_holds() {
    for (first_login, issued, allowed) in [
        (FirstLogin::Deny, false, false),
        (FirstLogin::Deny, true, false),
        (FirstLogin::Token, false, false),
        (FirstLogin::Token, true, true),
        (FirstLogin::Enroll, false, true),
        (FirstLogin::Enroll, true, true),
    ] {
        let mut w = world(first_login);
        if issued {
            issue(&mut w, None);
        }
        let result = enroll(&mut w, &mut Human::says([Say::Phone(0)]));
        assert_eq!(result.is_ok(), allowed, "{first_login:?} {issued} {result:?}");
    }
}

#[test]
fn an_ended_token_is_refused_by_name() {
    for (end, reason) in
        [("revoke", "token_revoked"), ("wait", "token_expired"), ("show", "token_shows_used_up")]
    {
        let mut w = world(FirstLogin::Token);
        issue(&mut w, None);
        match end {
            "revoke" => {
                revoke_token(&mut w.ctx("root"), &World::name()).unwrap();
            }
            "wait" => w.pass(86_400),
            _ => {
                enroll(&mut w, &mut Human::says([say("n"), say("n"), say("q")])).unwrap_err();
            }
        }
        let mut human = Human::says([Say::Phone(0)]);
        let error = enroll(&mut w, &mut human).unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(human.offers.is_empty());
        assert!(logged(&w, &format!("event=enrollment_refused reason={reason}")));
    }
}

#[test]
fn a_token_that_was_taken_back_is_not_given_again_by_the_default() {
    let mut w = world(FirstLogin::Enroll);
    issue(&mut w, None);
    revoke_token(&mut w.ctx("root"), &World::name()).unwrap();
    assert_eq!(enroll(&mut w, &mut Human::default()).unwrap_err().reason(), "token_revoked");
}

#[test]
fn a_revoked_account_enrols_only_with_an_issued_token() {
    let mut w = world(FirstLogin::Enroll);
    enroll(&mut w, &mut Human::says([Say::Phone(0)])).unwrap();
    revoke(&mut w.ctx("root"), &World::name(), Selection::All).unwrap();
    assert_eq!(enroll(&mut w, &mut Human::default()).unwrap_err().reason(), "revoked");
    issue(&mut w, None);
    enroll(&mut w, &mut Human::says([Say::Phone(0)])).unwrap();
}

#[test]
fn a_token_with_a_code_shows_nothing_before_the_code() {
    for authority in [Authority::PrimaryFactor, Authority::TokenCode] {
        let mut w = world(FirstLogin::Token);
        let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
        let mut stranger = Human::says([say("0000-0000"), say("nonsense"), say("")]);
        let refused = w.enroll_with(&mut stranger, authority).unwrap_err();
        assert_eq!(refused.reason(), "token_code_wrong");
        assert!(stranger.offers.is_empty());
        let refused = w.log.0.iter().filter(|line| line.starts_with("event=token_code_refused "));
        let is_counted: Vec<bool> = refused.map(|line| line.contains(" seq=")).collect();
        assert_eq!(is_counted, [true, true, false], "an empty line is no code, and is not counted");
        let mut human = Human::says([say(&code.to_lowercase()), say("n"), Say::Phone(0)]);
        w.enroll_with(&mut human, authority).unwrap();
        assert!(human.waits.is_empty() && human.shown.is_empty(), "two wrong ones cost no waiting");
        assert_eq!(human.offers.len(), 2, "the code is asked for once a dialogue");
    }
}

#[test]
fn wrong_token_codes_make_their_owner_wait_and_never_end_what_the_owner_types() {
    let mut w = world(FirstLogin::Token);
    let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
    for _ in 0..10 {
        let mut stranger = Human::says([say("0000-0000"), say("0000-0001"), say("0000-0002")]);
        w.enroll_with(&mut stranger, Authority::TokenCode).unwrap_err();
    }
    let mut human = Human::says([say(&code), Say::Phone(0)]);
    w.enroll_with(&mut human, Authority::TokenCode).unwrap();
    assert_eq!(human.waits, [std::time::Duration::from_secs(30)]);
    assert!(human.shown[0].contains("30 s"), "{:?}", human.shown);
}

#[test]
fn a_token_code_is_good_for_its_guesses_and_its_time() {
    let mut w = world(FirstLogin::Token);
    issue(&mut w, Some(ConfigDuration::seconds(600)));
    w.store
        .update_account(&World::name(), |slot| {
            let token = slot.as_mut().unwrap().record.token.as_mut().unwrap();
            token.binding.as_mut().unwrap().failures = Binding::TRIES - 1;
        })
        .unwrap();
    let mut last = Human::says([say("0000-0000"), say("0000-0000")]);
    assert_eq!(
        w.enroll_with(&mut last, Authority::TokenCode).unwrap_err().reason(),
        "token_code_tries_used_up"
    );
    let ended = w.enroll_with(&mut Human::default(), Authority::TokenCode).unwrap_err();
    assert_eq!(ended.reason(), "token_code_tries_used_up");
    let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
    w.pass(600);
    let late = w.enroll_with(&mut Human::says([say(&code)]), Authority::TokenCode).unwrap_err();
    assert_eq!(late.reason(), "token_code_expired");
    assert!(account(&w).record.credentials.is_empty());
}

#[test]
fn the_code_of_a_token_shows_no_qr_code_of_the_one_that_replaced_it() {
    for by_uid in [true, false] {
        let mut w = world(FirstLogin::Token);
        let code = issue(&mut w, Some(ConfigDuration::seconds(600))).unwrap().display();
        let token = account(&w).record.token.unwrap().id;
        let (authority, script) = match by_uid {
            true => (Authority::TokenCode, vec![say(&code), say("n"), Say::Phone(0)]),
            false => (Authority::ProvenTokenCode(token), vec![say("n"), Say::Phone(0)]),
        };
        let replaced = token_replaced_at(u32::from(by_uid) + 1, &w, FirstLogin::Token, None);
        let mut human = Human { meanwhile: replaced, ..Human::says(script) };
        assert!(matches!(w.enroll_with(&mut human, authority), Err(EnrollError::Changed)), "{authority:?}");
        assert_eq!(human.offers.len(), 1);
    }
}

#[test]
fn a_key_or_code_of_another_token_shows_nothing() {
    let other = qrtotp_account::TokenId::from_random([9; 6]);
    for authority in [Authority::BoundKey(other), Authority::ProvenTokenCode(other)] {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human::says([Say::Phone(0)]);
        assert_eq!(
            w.enroll_with(&mut human, authority).unwrap_err().reason().split_once('_').unwrap().0,
            "no"
        );
        issue(&mut w, None);
        w.enroll_with(&mut human, authority).unwrap_err();
        // The owner saw a QR code, and their connection dropped.
        enroll(&mut w, &mut Human::default()).unwrap_err();
        w.enroll_with(&mut human, authority).unwrap_err();
        assert!(
            human.offers.is_empty() && human.prompts.is_empty() && human.shown.is_empty(),
            "{authority:?}"
        );
    }
}

#[test]
fn by_uid_alone_nobody_enrols_without_a_token_code() {
    for first_login in [FirstLogin::Enroll, FirstLogin::Token] {
        let mut w = world(first_login);
        assert_eq!(
            w.enroll_with(&mut Human::default(), Authority::TokenCode).unwrap_err().reason(),
            "no_token_code"
        );
        issue(&mut w, None);
        let mut human = Human::says([Say::Phone(0)]);
        assert_eq!(w.enroll_with(&mut human, Authority::TokenCode).unwrap_err().reason(), "no_token_code");
        assert!(human.offers.is_empty());
    }
}

#[test]
fn a_second_device_takes_a_code_of_the_first_whoever_asks() {
    for authority in [Authority::PrimaryFactor, Authority::TokenCode] {
        let mut w = world(FirstLogin::Enroll);
        let secret = w.import(Params::default());
        let refused = w.enroll_with(&mut Human::says([say("000000"), say("1"), say("2")]), authority);
        assert!(matches!(refused, Err(EnrollError::NotProven(_))));
        let mut human = Human::says([say(&w.code(&secret, 0)), Say::Phone(0)]);
        w.enroll_with(&mut human, authority).unwrap();
        assert_eq!(account(&w).record.credentials.len(), 2);
    }
}

#[test]
fn recovery_codes_hold_once_the_last_group_of_one_was_typed_or_skipped() {
    for (acknowledge, reason) in
        [(Acknowledge::First, "acknowledged"), (Acknowledge::With(" SKIP "), "skipped")]
    {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human { acknowledge, ..Human::says([Say::Phone(0)]) };
        assert_eq!(enroll(&mut w, &mut human).unwrap().codes, Codes::Kept);
        assert!(logged(&w, &format!("event=recovery_issued reason={reason}")));
        for code in [0, 9] {
            assert_eq!(
                w.answer(&human.codes[code].clone()),
                Outcome::Accepted,
                "typing one does not use it up"
            );
        }
    }
}

#[test]
fn unconfirmed_recovery_codes_die_and_stay_owed() {
    let answers = ["0000-0000-0000-0000", "000", ""].map(Acknowledge::With);
    // A whole code would be echoed as it is typed, and stay valid.
    for acknowledge in [&[Acknowledge::Never, Acknowledge::Whole], &answers[..]].concat() {
        let mut w = world(FirstLogin::Enroll);
        let mut human = Human { acknowledge, ..Human::says([Say::Phone(0)]) };
        assert_eq!(enroll(&mut w, &mut human).unwrap().codes, Codes::Lost);
        assert!(logged(&w, "event=recovery_lost"));
        let record = account(&w).record;
        assert!(record.recovery_due && record.recovery.is_none());
        assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Denied);
    }
}

#[test]
fn every_state_of_a_token_answers_every_action_as_it_must() {
    // Show, consume, revoke; the record then holds the resulting state.
    type Action = fn(&mut qrtotp_account::Token) -> Result<(), TokenRefusal>;
    let actions: [(&str, Action); 3] =
        [("show", |t| t.show(START)), ("consume", |t| t.consume(START)), ("revoke", |t| t.revoke(START))];
    let states = [
        (TokenState::Issued, [None, Some(TokenRefusal::NotShown), None]),
        (TokenState::Shown(START - 1), [None, None, None]),
        (TokenState::Consumed(1), [Some(TokenRefusal::Consumed); 3]),
        (TokenState::Expired(1), [Some(TokenRefusal::Expired); 3]),
        (TokenState::Revoked(1), [Some(TokenRefusal::Revoked); 3]),
    ];
    let mut w = world(FirstLogin::Token);
    issue(&mut w, None);
    let issued = account(&w).record.token.unwrap();
    for (state, expected) in states {
        for ((name, action), expected) in actions.iter().zip(expected) {
            let mut token = qrtotp_account::Token { state, ..issued.clone() };
            assert_eq!(action(&mut token).err(), expected, "{name} on {state:?}");
        }
    }
}
