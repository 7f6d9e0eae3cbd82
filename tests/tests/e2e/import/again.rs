//! A second import: known keys, keys revoked in the meantime, and one key for two accounts.

use qrtotp_tests::{
    Phone, Sandbox,
    foreign::{TIME_BASED, devices, google, google_authenticator, import},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const FILE: &str = "/home/alice/.google_authenticator";

#[test]
fn once_logins_work_the_same_command_with_shred_deletes_the_file_and_burns_what_was_used_there_since() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, scratch) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let said = google(&sandbox, &["alice"]).success().stdout;
    assert!(said.contains("give this command again with --shred"), "{said}");
    // Until the old line is removed from /etc/pam.d, users log in through it.
    let used = phone.code();
    sandbox.log_in_there("pam_google_authenticator.so", "alice", &used);
    sandbox.log_in_there("pam_google_authenticator.so", "alice", &scratch[4]);
    let again = google(&sandbox, &["alice"]).exited(1);
    assert!(again.stderr.contains("enrolled already") && sandbox.exists(FILE), "{again:?}");

    sandbox.run(&["ln", FILE, "/home/alice/second"]).success();
    let said = google(&sandbox, &["alice", "--shred"]).success().stdout;
    assert!(said.contains("alice: enrolled already as c-") && said.contains("(scratch codes: 1)"), "{said}");
    assert!(said.contains("overwritten and the file deleted") && !sandbox.exists(FILE), "{said}");
    assert!(sandbox.read("/home/alice/second").bytes().all(|byte| byte == b'#'));
    assert_eq!(devices(&sandbox, "alice"), 1);
    let _ = sandbox.log.wait(&["event=import_repeated", "user=alice", "credential=c-"]);
    for used in [&used, &scratch[4]] {
        assert_eq!(sandbox.answer("alice", used), PAM_AUTH_ERR, "used there");
    }
    assert_eq!(sandbox.answer("alice", &scratch[0]), PAM_SUCCESS);
}

#[test]
fn a_file_with_another_key_than_the_enrolled_one_is_neither_taken_nor_deleted() {
    let sandbox = Sandbox::with_alice_and_bobby();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    google_authenticator(&sandbox, "bobby", &TIME_BASED);
    let all = google(&sandbox, &["--all-homes"]).success();
    assert!(all.stdout.contains("2 imported, 0 refused"), "{all:?}");
    sandbox.run(&["rm", "-f", FILE]).success();
    google_authenticator(&sandbox, "alice", &TIME_BASED);
    let before = sandbox.read(FILE);
    let all = google(&sandbox, &["--all-homes", "--shred"]).exited(1);
    assert!(all.stdout.contains("0 imported, 1 enrolled already, 1 refused;"), "{all:?}");
    assert!(all.stderr.contains("alice: alice has devices already"), "{all:?}");
    assert_eq!(sandbox.read(FILE), before);
    assert!(!sandbox.exists("/home/bobby/.google_authenticator"));
    assert_eq!([devices(&sandbox, "alice"), devices(&sandbox, "bobby")], [1, 1]);
}

#[test]
fn a_file_that_can_not_be_deleted_leaves_an_account_imported_and_is_told() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    // alice may write to it, but only root may delete it.
    sandbox.run(&["sh", "-c", &format!("mkdir -m 755 /var/ga && mv {FILE} /var/ga/alice")]).success();
    let all = google(&sandbox, &["--all-homes", "--path", "/var/ga/%u", "--shred"]).exited(2);
    assert!(all.stdout.contains("1 imported, 0 refused, 1 not overwritten and deleted;"), "{all:?}");
    assert!(
        all.stderr.contains("alice: /var/ga/alice is overwritten, so that no key is in it, but not deleted"),
        "{all:?}"
    );
    assert!(sandbox.read("/var/ga/alice").bytes().all(|byte| byte == b'#'));
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn lines_of_users_oath_that_were_imported_before_are_overwritten_and_those_of_revoked_keys_are_not() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let hexadecimal = |phone: &Phone| {
        let script = "base32 -d | od -An -tx1 | tr -d ' \\n'";
        sandbox.keep_secret(&phone.key);
        sandbox.run_with_input(&["sh", "-c", script], &phone.key).success().stdout
    };
    let (alice, bobby) = (Phone::random(), Phone::random());
    let lines = [("alice", hexadecimal(&alice)), ("bobby", hexadecimal(&bobby))]
        .map(|(name, key)| format!("HOTP/T30 {name} - {key}\n"));
    let file = "/etc/users.oath";
    sandbox.overwrite(file, &lines.concat());
    sandbox.run(&["chmod", "600", file]).success();
    let said = import(&sandbox, &["oath", file]).success().stdout;
    assert!(said.contains("give this command again with --shred"), "{said}");
    import(&sandbox, &["oath", file]).exited(1);
    sandbox.run(&["qrtotp", "revoke", "bobby"]).success();

    let said = import(&sandbox, &["oath", file, "--shred"]).exited(1);
    assert!(said.stdout.contains("lines imported: 0, enrolled already: 1, refused: 1"), "{said:?}");
    assert!(said.stderr.contains("line 2, bobby: a device of bobby was revoked on"), "{said:?}");
    let left = sandbox.read(file);
    assert!(!left.contains(lines[0].trim()) && left.ends_with(&lines[1]), "{left}");
    assert_eq!([devices(&sandbox, "alice"), devices(&sandbox, "bobby")], [1, 0]);
}

#[test]
fn a_key_that_was_revoked_comes_back_only_if_that_is_asked_for() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    google(&sandbox, &["alice"]).success();
    sandbox.run(&["qrtotp", "revoke", "alice"]).success();
    let before = sandbox.read(FILE);
    for again in [&["alice"][..], &["alice", "--shred"], &["alice", "--dry-run"], &["--all-homes"]] {
        let refused = google(&sandbox, again).exited(1);
        for why in ["a device of alice was revoked on 20", "`qrtotp token issue alice`", "--revoked-too"] {
            assert!(refused.stderr.contains(why), "{again:?}: {refused:?}");
        }
    }
    assert_eq!((devices(&sandbox, "alice"), sandbox.read(FILE)), (0, before));
    google(&sandbox, &["--all-homes", "--revoked-too"]).exited(2);
    let uri = format!("otpauth://totp/x?secret={}&period=60\n", phone.key);
    let typed = sandbox.run_with_input(&["qrtotp", "import", "uri", "alice"], &uri).exited(1);
    assert!(typed.stderr.contains("--revoked-too"), "{typed:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);

    google(&sandbox, &["alice", "--revoked-too"]).success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn of_all_homes_one_key_is_one_account_s_whatever_became_of_it() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    // A second name of alice's, alice again, and a copy of bobby's.
    let twice = format!(
        "sed -n '/^alice:/p; s/^alice:/anna:/p' /etc/passwd >/tmp/more; cat /tmp/more >>/etc/passwd
         install -m 600 -o bobby {FILE} /home/bobby/.google_authenticator"
    );
    sandbox.run(&["sh", "-c", &twice]).success();
    for (arguments, imported) in [
        (&["--all-homes", "--dry-run"][..], "1 would be imported, 2 "),
        (&["--all-homes"], "1 imported, 2 "),
        (&["--all-homes"], "0 imported, 3 "),
    ] {
        let all = google(&sandbox, arguments).exited(1);
        assert!(all.stdout.contains(imported), "{all:?}");
        for name in ["anna", "bobby"] {
            let why = format!(
                "qrtotp: {name}: /home/{}/.google_authenticator has the same key as alice's",
                if name == "anna" { "alice" } else { name }
            );
            assert!(all.stderr.contains(&why), "{why}: {all:?}");
        }
    }
    assert_eq!(
        [devices(&sandbox, "alice"), devices(&sandbox, "anna"), devices(&sandbox, "bobby")],
        [1, 0, 0]
    );
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}
