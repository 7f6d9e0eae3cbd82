//! Changes of a user's name or uid, and users who leave.

use super::*;
use qrtotp_store::{Store, StoreError};

fn bob() -> Name {
    Name::new("bob").unwrap()
}

/// Renames alice to bob.
fn rename(w: &mut World, old_user: Option<&Person>) -> Result<Option<StoreError>, AdminError> {
    let to = (&bob(), 5000);
    w.rename_account("bob", &World::name(), old_user, to)
}

fn person(name: &str, uid: u32) -> Person {
    Person { name: name.into(), uid }
}

#[test]
fn a_renamed_account_keeps_its_devices_and_accepts_no_code_of_its_former_name_again() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let (used, next) = (w.code(&secret, 0), w.code(&secret, 1));
    assert_eq!(w.answer(&used), Outcome::Accepted);
    rename(&mut w, None).unwrap();
    let renamed = "event=account_renamed user=bob service=sshd was=alice seq=3 at=";
    assert!(w.log.0.last().unwrap().starts_with(renamed), "the chain goes on: {:?}", w.log.0);
    w.pass(30);
    assert_eq!(w.answer(&next), Outcome::Denied);
    assert_eq!(w.reason(), "not_enrolled");
    let as_bob =
        |w: &mut World, code: &str| w.login_as("bob", &Options::default(), &mut Human::says([say(code)]));
    assert_eq!(as_bob(&mut w, &used), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
    assert_eq!(as_bob(&mut w, &next), Outcome::Accepted);
    assert_eq!(as_bob(&mut w, &next), Outcome::Denied);
}

#[test]
fn a_rename_replaces_no_record_and_takes_none_from_a_user_who_is_still_there() {
    let mut w = World::new();
    assert!(matches!(rename(&mut w, None), Err(AdminError::NoRecord(_))));
    let secret = w.import(Params::default());
    let still = person("alice", UID);
    assert!(matches!(rename(&mut w, Some(&still)), Err(AdminError::StillUser(_, UID, _))));
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    // Another person has the name now.
    rename(&mut w, Some(&person("alice", UID + 1))).unwrap();
    w.import(Params::default());
    let before = w.store.load(&bob()).unwrap();
    assert!(matches!(rename(&mut w, None), Err(AdminError::NameTaken(_))));
    assert_eq!(w.store.load(&bob()).unwrap(), before);
}

#[test]
fn a_rename_that_was_cut_off_before_its_last_step_is_finished_by_the_next_change() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let accounts = w.path.join("accounts");
    let file = |name: &str, file: &str| accounts.join(name).join(file);
    let old = std::fs::read(file("alice", "account.toml")).unwrap();
    rename(&mut w, None).unwrap();
    std::fs::copy(file("bob", "account.toml"), file("bob", "account.toml.new")).unwrap(); // with its mode
    std::fs::write(file("bob", "account.toml"), old).unwrap();
    let code = w.code(&secret, 0);
    let mut human = Human::says([say(&code)]);
    assert_eq!(w.login_as("bob", &Options::default(), &mut human), Outcome::Accepted);
    let id = w.store.load(&bob()).unwrap().unwrap().record.credentials[0].id;
    rename_device(&mut w.ctx("bob"), &bob(), id, &Label::new("new")).unwrap();
    assert!(!file("bob", "account.toml.new").exists());
    let mut human = Human::says([say(&code)]);
    assert_eq!(w.login_as("bob", &Options::default(), &mut human), Outcome::Denied);
    assert_eq!(w.reason(), "replayed_code");
}

#[test]
fn what_lies_beside_a_record_is_read_only_if_the_record_is_whole_and_that_of_another_name_of_the_account() {
    let mut w = World::new();
    w.import(Params::default());
    let accounts = w.path.join("accounts");
    let file = |name: &str, file: &str| accounts.join(name).join(file);
    let alices = std::fs::read(file("alice", "account.toml")).unwrap();
    rename(&mut w, None).unwrap();
    let bobs = std::fs::read(file("bob", "account.toml")).unwrap();
    w.import(Params::default());
    let others = std::fs::read(file("alice", "account.toml")).unwrap();
    std::fs::copy(file("bob", "account.toml"), file("bob", "account.toml.new")).unwrap(); // with its mode
    let cut = |text: &[u8]| text[..text.len() - 9].to_vec();
    for (what, record, whole) in [
        ("a former name's", alices.clone(), true),
        ("a former name's, damaged", cut(&alices), false),
        ("its own, damaged", cut(&bobs), false),
        ("another account's", others, false),
        ("empty", Vec::new(), false),
    ] {
        std::fs::write(file("bob", "account.toml"), record).unwrap();
        assert_eq!(w.store.load(&bob()).is_ok(), whole, "{what}");
    }
}

#[test]
fn a_rename_or_removal_that_leaves_a_count_of_passwords_behind_is_done_and_says_so() {
    for removed in [true, false] {
        let mut w = World::new();
        w.import(Params::default());
        w.store.update_primary(&World::name(), &mut |lane| lane.fail(START)).unwrap();
        let count = w.path.join("primary/alice");
        std::fs::remove_file(&count).unwrap();
        std::fs::create_dir(&count).unwrap();
        let (left, event) = match removed {
            true => (w.remove_account("alice", &World::name()), "account_removed"),
            false => (rename(&mut w, None), "account_renamed"),
        };
        assert!(left.unwrap().unwrap().to_string().contains("primary/alice"));
        assert!(w.log.0.last().unwrap().starts_with(&format!("event={event} ")), "{:?}", w.log.0);
        assert_eq!(w.store.load(&World::name()).unwrap(), None);
    }
}

#[test]
fn an_adopted_uid_lets_the_same_devices_in_and_keeps_what_is_used() {
    let mut w = World::new();
    let secret = w.import(Params::default());
    let used = w.code(&secret, 0);
    assert_eq!(w.answer(&used), Outcome::Accepted);
    w.people.0.set(UID + 1);
    w.pass(30);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Denied);
    assert_eq!(w.reason(), "uid_changed");
    let name = World::name();
    assert_eq!(w.adopt_uid("alice", &name, UID + 1).unwrap(), UID);
    let adopted = "event=account_uid_adopted user=alice service=sshd was=4321 seq=3 at=";
    assert!(w.log.0.last().unwrap().starts_with(adopted), "{:?}", w.log.0);
    let events = w.log.0.len();
    assert_eq!(w.adopt_uid("alice", &name, UID + 1).unwrap(), UID + 1);
    assert_eq!(w.log.0.len(), events, "nothing was changed");
    assert_eq!(w.answer(&used), Outcome::Denied);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    assert!(matches!(w.adopt_uid("alice", &bob(), 1), Err(AdminError::NoRecord(_))));
}

#[test]
fn a_qr_code_that_waits_for_its_first_code_survives_a_change_of_uid() {
    let mut w = World::new();
    let mut human = Human::says([Say::Nothing]);
    w.config.defaults.first_login = qrtotp_policy::FirstLogin::Enroll;
    assert!(w.enroll_with(&mut human, Authority::PrimaryFactor).is_err());
    let pending = |w: &World| {
        let record = w.store.load(&World::name()).unwrap().unwrap().record;
        let secret =
            w.store.key().open_secret(&record, &record.pending.as_ref().unwrap().credential).unwrap();
        secret.as_bytes().to_vec()
    };
    let before = pending(&w);
    w.adopt_uid("alice", &World::name(), UID + 1).unwrap();
    assert_eq!(pending(&w), before);
}

#[test]
fn a_removed_account_leaves_nothing_behind_whether_or_not_its_record_can_be_read() {
    for damaged in [false, true] {
        let mut w = World::new();
        let files = |w: &World| {
            let dirs = ["accounts", "tmp", "primary"].map(|dir| w.path.join(dir));
            let entries = dirs.iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten());
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        w.import(Params::default());
        w.store.update_primary(&World::name(), &mut |lane| lane.fail(START)).unwrap();
        assert_eq!(files(&w).iter().filter(|file| *file == "alice").count(), 2);
        if damaged {
            std::fs::write(w.account_file("account.toml"), "no record").unwrap();
            std::fs::write(w.account_file("account.toml.new"), "no record").unwrap();
        }
        w.remove_account("alice", &World::name()).unwrap();
        let line = w.log.0.last().unwrap();
        assert!(line.starts_with("event=account_removed user=alice service=sshd"), "{line}");
        assert_eq!(line.contains(" chain="), !damaged, "{line}");
        assert_eq!(files(&w), ["%store.toml"]);
        assert_eq!(w.store.load(&World::name()).unwrap(), None);
        let again = w.remove_account("alice", &World::name());
        assert!(matches!(again, Err(AdminError::NoRecord(_))));
    }
}
