use super::*;
use qrtotp_account::ScratchCode;
use qrtotp_otp::Algorithm;
use qrtotp_policy::Require;
use qrtotp_store::Store;

fn forward() -> Options {
    Options { first_pass: FirstPass::Forward, ..Options::default() }
}

fn nullok() -> Options {
    Options { nullok: true, ..Options::default() }
}

#[test]
fn a_right_code_is_accepted_once() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    assert_eq!(w.answer(&code), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
}

#[test]
fn the_current_and_the_prior_step_are_accepted_and_no_other() {
    for (steps, expected) in
        [(-2, Outcome::Denied), (-1, Outcome::Accepted), (0, Outcome::Accepted), (1, Outcome::Denied)]
    {
        let mut w = World::new();
        let secret = w.import(Params::default());
        let code = w.code(&secret, steps);
        assert_eq!(w.answer(&code), expected, "{steps} steps");
    }
}

#[test]
fn an_older_code_is_refused_after_a_newer_one() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let (old, new) = (w.code(&secret, -1), w.code(&secret, 0));
    assert_eq!(w.answer(&new), Outcome::Accepted);
    assert_eq!(w.answer(&old), Outcome::Denied);
}

#[test]
fn a_clock_set_back_does_not_bring_a_code_back() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    w.pass(-150);
    let earlier = w.code(&secret, 0);
    assert_eq!(w.answer(&earlier), Outcome::Denied);
    w.pass(150);
    assert_eq!(w.answer(&code), Outcome::Denied);
}

#[test]
fn a_code_that_was_used_elsewhere_while_the_prompt_stood_is_refused() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    let elsewhere = FileStore::open(&w.path, w.path.parent().unwrap()).unwrap();
    let mut human = Human::says([say(&code)]);
    human.meanwhile = Some(Box::new(move || {
        elsewhere
            .update_state(&World::name(), |record, state| {
                state.raise(record.credentials[0].id, Params::default().step_at(START), None);
            })
            .unwrap();
    }));
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
}

#[test]
fn a_code_that_two_devices_show_burns_the_step_of_both() {
    let mut w = World::new();
    // Found by search: their codes of the step at START are equal, those of the step before are not.
    let [first, second] = [b"12345678901234567890", b"00000000000001603060"]
        .map(|key| w.import_secret(Secret::from_bytes(key, Strength::Normal).unwrap(), Params::default()));
    let code = w.code(&first, 0);
    assert_eq!(code, w.code(&second, 0));
    assert_eq!(w.answer(&code), Outcome::Accepted);
    let account = w.store.load(&World::name()).unwrap().unwrap();
    let used = account
        .record
        .credentials
        .iter()
        .map(|known| account.state.credential_state(known.id).unwrap().last_used);
    assert_eq!(used.collect::<Vec<_>>(), [START, 0], "it was the first one that was used");
    for secret in [&first, &second] {
        let older = w.code(secret, -1);
        assert_eq!(w.answer(&older), Outcome::Denied);
        assert_eq!(w.reason(), "replayed_code");
    }
}

#[test]
fn everybody_sees_the_same_prompt() {
    let mut w = World::new();
    w.import(Params::default());
    let mut seen = Vec::new();
    for user in ["alice", "bob", "nobody-knows"] {
        let mut human = Human::says([say("123456")]);
        assert_eq!(w.login_as(user, &Options::default(), &mut human), Outcome::Denied);
        seen.push((human.prompts, human.shown));
    }
    assert_eq!(seen[0], (vec!["Verification code: ".to_owned()], vec![]), "nobody enrols here");
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn two_spellings_of_a_name_share_one_record_and_one_counter() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    assert_eq!(w.login_as("ALICE", &Options::default(), &mut Human::says([say(&code)])), Outcome::Accepted);
    assert_eq!(w.answer(&code), Outcome::Denied);
    assert!(w.log.0.iter().all(|line| !line.contains("user=ALICE")));
}

#[test]
fn nullok_ignores_the_un_enrolled_without_a_prompt_and_nobody_else() {
    let mut w = World::new();
    let mut human = Human::default();
    assert_eq!(w.login_as("alice", &nullok(), &mut human), Outcome::Ignored);
    assert!(human.prompts.is_empty());
    w.import(Params::default());
    revoke(&mut w.ctx("alice"), &World::name(), Selection::All).unwrap();
    let mut human = Human::says([say("123456")]);
    assert_eq!(w.login_as("alice", &nullok(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "revoked");
    assert_eq!(w.login_as("stranger", &nullok(), &mut Human::says([say("123456")])), Outcome::Denied);
}

#[test]
fn a_recreated_user_is_denied_also_with_nullok() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    w.people.0.set(UID + 1);
    let code = w.code(&secret, 0);
    for options in [Options::default(), nullok()] {
        assert_eq!(w.login_as("alice", &options, &mut Human::says([say(&code)])), Outcome::Denied);
        assert_eq!(w.reason(), "uid_changed");
    }
}

#[test]
fn wrong_codes_cost_growing_waits() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let wrong = w.code(&secret, 40);
    for _ in 0..5 {
        assert_eq!(w.answer(&wrong), Outcome::Denied);
        assert_eq!(w.reason(), "wrong_code");
    }
    let right = w.code(&secret, 0);
    assert_eq!(w.answer(&right), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    w.pass(1);
    assert_eq!(w.answer(&right), Outcome::Accepted);
    assert!(w.log.0.iter().any(|line| line.starts_with("event=throttle_engaged reason=waiting")));
}

#[test]
fn after_forty_wrong_codes_of_strangers_only_a_recovery_code_helps() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    for _ in 0..40 {
        w.pass(900);
        assert_eq!(w.answer("000000"), Outcome::Denied);
        assert_eq!(w.reason(), "wrong_code");
    }
    assert!(w.log.0.iter().any(|line| line.starts_with("event=throttle_engaged reason=closed")));
    w.pass(900);
    assert_eq!(w.answer("000000"), Outcome::Denied);
    assert_eq!(w.reason(), "throttled");
    assert_eq!(w.answer(&human.codes[0].clone()), Outcome::Accepted);
    assert_eq!(w.reason(), "recovery_code");
}

#[test]
fn a_recovery_code_works_once_and_a_wrong_one_is_counted() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let code = human.codes[3].clone();
    assert_eq!(w.answer(&code.to_lowercase()), Outcome::Accepted);
    assert_eq!(w.answer(&code), Outcome::Denied);
    assert_eq!(w.answer("0000-0000-0000-0000"), Outcome::Denied);
    let account = w.store.load(&World::name()).unwrap().unwrap();
    assert_eq!(account.state.throttle.failures(), 2);
    assert!(w.log.0.iter().any(|line| line.starts_with("event=recovery_used") && line.contains("left=9")));
}

#[test]
fn what_can_not_be_a_code_is_refused_uncounted() {
    let mut w = World::new();
    w.import(Params::default());
    for text in ["", "hunter2", "12345", "123456789", "１２３４５６", "+12345", "12345é"] {
        assert_eq!(w.answer(text), Outcome::Denied);
        assert_eq!(w.reason(), "malformed", "{text}");
    }
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state.throttle.failures(), 0);
}

#[test]
fn the_host_repeating_the_password_is_named_and_not_counted() {
    let mut w = World::new();
    w.import(Params::default());
    let mut human = Human::says([say("123456")]);
    human.password = Some(b"123456".to_vec());
    assert_eq!(w.login_as("alice", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "password_repeated");
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state.throttle.failures(), 0);
}

#[test]
fn use_first_pass_never_asks() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let options = Options { first_pass: FirstPass::Use, ..Options::default() };
    let mut human = Human::says([say(&w.code(&secret, 0))]);
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Denied);
    assert!(human.prompts.is_empty());
    human.password = Some(w.code(&secret, 0).into_bytes());
    assert_eq!(w.login_as("alice", &options, &mut human), Outcome::Accepted);
}

/// A user who types `text` in one field, with `password` as the right password.
fn in_one_field(text: impl Into<Vec<u8>>, password: &'static [u8]) -> Human {
    Human { right_password: Some(password), ..Human::says([Say::Text(text.into())]) }
}

#[test]
fn forward_pass_cuts_the_code_off_and_forwards_the_rest_exactly() {
    for password in [b"secret".as_slice(), b" with spaces ", b"caf\xe9 latin-1", b"ends in digits 12"] {
        let mut w = World::new();
        let secret = w.import(Params::default());
        let mut human = in_one_field([password, w.code(&secret, 0).as_bytes()].concat(), password);
        assert_eq!(w.login_as("alice", &forward(), &mut human), Outcome::Accepted);
        assert_eq!(human.forwarded.as_deref(), Some(password));
        assert_eq!(human.prompts, ["Password & verification code: "]);
        assert!(human.waits.is_empty());
    }
}

#[test]
fn forward_pass_looks_at_no_code_behind_a_wrong_password() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let code = w.code(&secret, 0);
    for (typed, reason, failures) in [
        (format!("wrong{code}"), "primary_factor", 0),
        ("wrong000000".to_owned(), "primary_factor", 0),
        ("secret".to_owned(), "malformed", 0),
        (code.clone(), "no_primary_factor", 0),
        ("secret000000".to_owned(), "wrong_code", 1),
    ] {
        let mut human = in_one_field(typed.clone(), b"secret");
        assert_eq!(w.login_as("alice", &forward(), &mut human), Outcome::Denied, "{typed}");
        assert_eq!(w.reason(), reason, "{typed}");
        let state = w.store.load(&World::name()).unwrap().unwrap().state;
        assert_eq!(state.throttle.failures(), failures, "{typed}");
        assert_eq!(human.waits.len(), 1, "a fixed end: {typed}");
        assert_eq!(human.forwarded, None, "the modules behind fail for every refusal: {typed}");
    }
    assert_eq!(
        w.login_as("alice", &forward(), &mut in_one_field(format!("secret{code}"), b"secret")),
        Outcome::Accepted
    );
}

#[test]
fn forward_pass_tries_the_lengths_of_the_accounts_credentials() {
    let mut w = World::new();
    w.import(Params::default());
    let eight = Params::new(Algorithm::Sha256, 8, 30).unwrap();
    let secret = w.import(eight);
    let mut human = in_one_field("pw99999999", b"pw");
    assert_eq!(w.login_as("alice", &forward(), &mut human), Outcome::Denied);
    assert_eq!(human.proofs, [b"pw".to_vec()]);
    assert_eq!(w.store.load(&World::name()).unwrap().unwrap().state.throttle.failures(), 1);
    let code = code_at(&secret, eight, eight.step_at(START));
    let mut human = in_one_field(format!("pw{}", code.as_str()), b"pw");
    assert_eq!(w.login_as("alice", &forward(), &mut human), Outcome::Accepted);
    assert_eq!(human.forwarded.as_deref(), Some(b"pw".as_slice()));
}

#[test]
fn forward_pass_takes_letters_for_no_digits_of_a_scratch_code() {
    let mut w = World::new();
    let secret = w.secret();
    let scratch = [ScratchCode::parse(b"10151623").unwrap()];
    w.keep(&Import { scratch: Some(&scratch), ..World::to_import(&secret) }).unwrap();
    for (typed, outcome) in [("pwlo151623", Outcome::Denied), ("pw10151623", Outcome::Accepted)] {
        assert_eq!(w.login_as("alice", &forward(), &mut in_one_field(typed, b"pw")), outcome, "{typed}");
    }
}

#[test]
fn forward_pass_takes_a_recovery_code_as_we_show_it() {
    let mut w = World::new();
    let mut human = Human::says([Say::Phone(0)]);
    w.enroll(&mut human).unwrap();
    let mut login = in_one_field(format!("my password{}", human.codes[0]), b"my password");
    assert_eq!(w.login_as("alice", &forward(), &mut login), Outcome::Accepted);
    assert_eq!(login.forwarded.as_deref(), Some(b"my password".as_slice()));
}

#[test]
fn forward_pass_refuses_all_kinds_of_people_at_the_same_time_and_forwards_the_same() {
    let mut w = World::new();
    w.import(Params::default());
    let mut seen = Vec::new();
    for (user, typed) in [
        ("alice", "wrong000000"),
        ("alice", "pw000000"),
        ("bob", "pw"),
        ("bob", "pw123456"),
        ("nobody-knows", "pw123456"),
    ] {
        let mut human = in_one_field(typed, b"pw");
        assert_eq!(w.login_as(user, &forward(), &mut human), Outcome::Denied);
        seen.push((human.forwarded, human.shown, human.waits.len()));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
}

#[test]
fn no_answer_is_a_denial() {
    let mut w = World::new();
    w.import(Params::default());
    assert_eq!(w.login_as("alice", &Options::default(), &mut Human::default()), Outcome::Denied);
}

#[test]
fn a_clock_before_2020_and_a_dead_directory_deny() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let mut human = Human::says([say(&w.code(&secret, 0))]);
    assert_eq!(w.login_as("ghost", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "lookup_failed");
    w.clock.0.set(1_000_000_000);
    assert_eq!(w.answer("123456"), Outcome::Denied);
    assert_eq!(w.reason(), "clock_implausible");
    w.clock.0.set(1_577_836_800); // the first second of 2020
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
}

#[test]
fn require_nothing_ignores_everybody_without_a_prompt() {
    let mut w = World::new();
    w.config.defaults.require = Require::Nothing;
    assert_eq!(w.login_as("alice", &Options::default(), &mut Human::default()), Outcome::Ignored);
}

#[test]
fn a_damaged_record_denies_that_account_with_nullok_too_and_names_the_file() {
    for file in ["account.toml", "state"] {
        for damage in ["missing", "empty", "garbage"] {
            let mut w = World::new();
            let secret = w.import(Params::default());
            let path = w.account_file(file);
            match damage {
                "missing" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, b"").unwrap(),
                _ => {
                    let bytes = std::fs::read(&path).unwrap().iter().map(|b| b ^ 1).collect::<Vec<_>>();
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            let code = w.code(&secret, 0);
            for options in [Options::default(), nullok()] {
                let outcome = w.login_as("alice", &options, &mut Human::says([say(&code)]));
                assert_eq!(outcome, Outcome::Denied, "{file} {damage}");
            }
            assert!(
                w.log.0.iter().any(|line| line.starts_with("event=record_damaged") && line.contains(file))
            );
        }
    }
}

#[test]
fn a_record_copied_to_another_name_denies() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    std::fs::rename(w.path.join("accounts/alice"), w.path.join("accounts/bob")).unwrap();
    let mut human = Human::says([say(&w.code(&secret, 0))]);
    assert_eq!(w.login_as("bob", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "record_damaged");
}

#[test]
fn an_emptied_store_denies_also_with_nullok() {
    let mut w = World::new();
    std::fs::remove_file(w.path.join("store.toml")).unwrap();
    assert_eq!(w.login_as("alice", &nullok(), &mut Human::says([say("123456")])), Outcome::Denied);
    assert_eq!(w.reason(), "store_missing");
}

#[test]
fn every_login_leaves_exactly_one_login_event_and_no_code_in_the_log() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    for text in [w.code(&secret, 0), w.code(&secret, 0), "hunter2".into(), "0000-0000-0000-0000".into()] {
        w.log.0.clear();
        w.answer(&text);
        assert_eq!(w.log.0.iter().filter(|line| line.starts_with("event=login ")).count(), 1);
        assert!(!w.log.0.join("\n").contains(&text));
    }
}
