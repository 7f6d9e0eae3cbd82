//! Files of the real google-authenticator command and of the real pam_oath, imported: users who could log in
//! there can log in here.

use qrtotp_tests::{
    Phone, Sandbox,
    foreign::{TIME_BASED, devices, google, google_authenticator, import},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const FILE: &str = "/home/alice/.google_authenticator";

#[test]
fn who_used_google_authenticator_logs_in_with_the_next_code_and_the_scratch_codes_but_no_used_one() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, scratch) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    assert_eq!(scratch.len(), 5);
    let used = phone.previous_code();
    assert_eq!(sandbox.log_in_there("pam_google_authenticator.so", "alice", &used), PAM_SUCCESS);
    assert_eq!(sandbox.log_in_there("pam_google_authenticator.so", "alice", &scratch[4]), PAM_SUCCESS);

    let said = google(&sandbox, &["alice"]).success().stdout;
    assert!(said.contains("4 scratch codes") && said.contains("26 bits"), "{said}");
    assert!(said.contains(FILE), "{said}");
    let event = sandbox.log.wait(&["event=credential_imported", "user=alice"]);
    assert!(event.contains("label=google-authenticator left=4"), "{event}");

    assert_eq!(sandbox.answer("alice", &used), PAM_AUTH_ERR, "used there");
    let _ = sandbox.log.wait(&["event=login result=denied reason=replayed_code", "user=alice"]);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR, "a code works once");
    assert_eq!(sandbox.answer("alice", &scratch[4]), PAM_AUTH_ERR, "used there");
    for code in &scratch[..2] {
        assert_eq!(sandbox.answer("alice", code), PAM_SUCCESS);
        assert_eq!(sandbox.answer("alice", code), PAM_AUTH_ERR, "a scratch code works once");
    }
    let again = google(&sandbox, &["alice"]).exited(1);
    assert!(again.stderr.contains("enrolled already"), "{again:?}");
}

/// Whether codes of these steps from now are accepted, tried in this order.
fn accepted<const N: usize>(
    steps: [i64; N],
    phone: &Phone,
    mut answer: impl FnMut(&str) -> i32,
) -> [bool; N] {
    let now = phone.step();
    let took =
        steps.map(|step| answer(&phone.code_of_step(now.checked_add_signed(step).unwrap())) == PAM_SUCCESS);
    assert_eq!(phone.step(), now, "too slow for the phone");
    took
}

#[test]
fn a_google_authenticator_window_becomes_the_devices_own_be_it_wider_or_narrower_than_the_hosts() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.add_user("carol");
    let steps = [-2, -1, 0, 2, 3];
    // Reuse is allowed, so no code is used up before the import; of four steps two lie ahead.
    let (alice, _) = google_authenticator(&sandbox, "alice", &["-t", "-D", "-w4", "-S", "60"]);
    let there =
        accepted(steps, &alice, |code| sandbox.log_in_there("pam_google_authenticator.so", "alice", code));
    let said = google(&sandbox, &["alice", "--unused"]).success().stdout;
    assert!(
        said.contains("codes from 1 back to 2 ahead, in steps; the host's is 1 back to 0 ahead"),
        "{said}"
    );
    assert_eq!(accepted(steps, &alice, |code| sandbox.answer("alice", code)), there);
    assert_eq!(there, [false, true, true, true, false]);

    let (bobby, _) = google_authenticator(&sandbox, "bobby", &["-t", "-D", "-w1", "-S", "60"]);
    google(&sandbox, &["bobby", "--unused"]).success();
    assert_eq!(accepted([-1, 1, 0], &bobby, |code| sandbox.answer("bobby", code)), [false, false, true]);

    let carol = sandbox.import("carol");
    carol.wait_for_seconds_left(20);
    assert_eq!(
        accepted(steps, &carol, |code| sandbox.answer("carol", code)),
        [false, true, true, false, false]
    );
}

#[test]
fn a_window_wider_than_a_device_may_have_is_bounded_which_is_told_and_shown() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (alice, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let said = google(&sandbox, &["alice"]).success().stdout;
    assert!(
        said.contains("codes from 3 back to 3 ahead") && said.contains("It was 8 back to 8 ahead"),
        "{said}"
    );
    let took = accepted([-4, -3, 3, 4], &alice, |code| sandbox.answer("alice", code));
    assert_eq!(took, [false, true, true, false]);
    let status = sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(status.contains(", own window 3 back to 3 ahead\n"), "{status}");
    let json = sandbox.run(&["qrtotp", "device", "list", "--json"]).success().stdout;
    assert!(json.contains("\"window_back\": 3") && json.contains("\"window_ahead\": 3"), "{json}");

    google_authenticator(&sandbox, "bobby", &TIME_BASED);
    let said = google(&sandbox, &["bobby", "--window", "0"]).success().stdout;
    assert!(said.contains("codes from 0 back to 0 ahead") && !said.contains("It was"), "{said}");
}

#[test]
fn a_clock_that_google_authenticator_knew_to_be_off_is_known_here() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    sandbox.append(FILE, "\" TIME_SKEW -5\n");
    let theirs = phone.code_of_step(phone.step() - 6);
    assert_eq!(sandbox.log_in_there("pam_google_authenticator.so", "alice", &theirs), PAM_SUCCESS);
    let said = google(&sandbox, &["alice"]).success().stdout;
    assert!(said.contains("300 s behind"), "{said}");
    assert_eq!(sandbox.answer("alice", &theirs), PAM_AUTH_ERR, "used there");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code_of_step(phone.step() - 5)), PAM_SUCCESS);
}

#[test]
fn a_clock_that_is_further_off_than_resynchronisation_would_find_is_refused_and_a_right_one_is_not() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let right = sandbox.read(FILE);
    sandbox.append(FILE, "\" TIME_SKEW 11\n");
    let line = right.lines().count() + 1;
    let refused = google(&sandbox, &["alice"]).exited(1);
    let expected = format!("alice: {FILE}, line {line}: the device's clock is 660 s ahead");
    assert!(refused.stderr.contains(&expected), "{refused:?}");
    let all = google(&sandbox, &["--all-homes"]).exited(1);
    assert!(all.stderr.contains(&format!("qrtotp: {expected}")), "{all:?}");
    sandbox.overwrite(FILE, &right);
    google(&sandbox, &["alice"]).success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn a_dry_run_changes_nothing_and_a_shredded_file_is_overwritten_and_gone() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let before = sandbox.read(FILE);
    let said = google(&sandbox, &["alice", "--dry-run"]).success().stdout;
    assert!(said.contains("would be imported") && said.contains("Nothing was changed"), "{said}");
    assert!(
        !sandbox.exists("/etc/qrtotp/seal.key") && sandbox.read(FILE) == before,
        "a dry run changed something"
    );

    // A second name of the file shows whether its bytes were erased.
    sandbox.run(&["ln", FILE, "/home/alice/second"]).success();
    let said = google(&sandbox, &["alice", "--shred"]).success().stdout;
    assert!(said.contains("copy-on-write"), "{said}");
    assert!(!sandbox.exists(FILE));
    let bytes = sandbox.read("/home/alice/second");
    assert!(bytes.len() == before.len() && bytes.bytes().all(|byte| byte == b'#'), "{bytes}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn files_that_are_kept_outside_of_homes_are_found_by_their_pattern() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (alice, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    let (bobby, _) = google_authenticator(&sandbox, "bobby", &TIME_BASED);
    let script = "mkdir -m 755 /var/ga && mv /home/alice/.google_authenticator /var/ga/alice && mkdir -m 700 /var/roots && \
                  mv /home/bobby/.google_authenticator /var/roots/bobby && chown root: /var/roots/bobby";
    sandbox.run(&["sh", "-c", script]).success();
    let none = google(&sandbox, &["alice"]).exited(1);
    assert!(none.stderr.contains("has no /home/alice/.google_authenticator"), "{none:?}");
    google(&sandbox, &["alice", "--path", "/var/ga/${USER}"]).success();
    google(&sandbox, &["bobby", "--path", "/var/roots/%u", "--shred"]).success();
    assert!(!sandbox.exists("/var/roots/bobby"));
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("bobby", &bobby.code()), PAM_SUCCESS);
}

#[test]
fn of_all_homes_a_bad_file_stops_its_owner_only_and_nobody_gets_a_second_device() {
    let sandbox = Sandbox::with_alice_and_bobby();
    for user in ["carol", "dave", "erin"] {
        sandbox.add_user(user);
    }
    let enrolled = sandbox.import("dave");
    let (alice, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    google_authenticator(&sandbox, "bobby", &["-c", "-w5"]);
    google_authenticator(&sandbox, "carol", &TIME_BASED);
    let (intruder, _) = google_authenticator(&sandbox, "dave", &TIME_BASED);
    sandbox.append("/home/carol/.google_authenticator", "1234567\n");

    let all = google(&sandbox, &["--all-homes"]).exited(1);
    assert!(
        all.stdout.contains("alice: imported as c-") && all.stdout.contains("1 imported, 3 refused"),
        "{all:?}"
    );
    for why in [
        "bobby: /home/bobby/.google_authenticator, line 3: it counts (HOTP)",
        "carol: /home/carol/.google_authenticator, line 11:",
        "dave: dave has devices already",
    ] {
        assert!(all.stderr.contains(why), "{why}: {all:?}");
    }
    assert_eq!([devices(&sandbox, "alice"), devices(&sandbox, "dave")], [1, 1]);
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("dave", &intruder.code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("dave", &enrolled.code()), PAM_SUCCESS);
}

#[test]
fn of_all_homes_those_of_users_who_are_not_listed_are_found_and_a_home_of_no_user_is_named() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (alice, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    google_authenticator(&sandbox, "bobby", &TIME_BASED);
    // Like SSSD: it does not list users, but finds them by name.
    sandbox.overwrite("/usr/local/bin/getent", "#!/bin/sh\n/usr/bin/getent \"$@\" | grep -v ':/home/'\n");
    sandbox.run(&["sh", "-c", "chmod 755 /usr/local/bin/getent; mkdir /home/kim /home/lost+found"]).success();
    let all = google(&sandbox, &["--all-homes"]).exited(0).stdout;
    assert!(all.contains("2 imported, 0 refused"), "{all}");
    assert!(
        all.ends_with("/home/kim: no user has this name; import its owner's file by user name.\n"),
        "{all}"
    );
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
}

/// A key for pam_oath, in hexadecimal, and the phone with it.
fn oath_key(sandbox: &Sandbox, digits: u8) -> (Phone, String) {
    let phone = Phone { period: 60, digits, ..Phone::random() };
    let output =
        sandbox.run_with_input(&["sh", "-c", "base32 -d | od -An -tx1 | tr -d ' \\n'"], &phone.key).success();
    sandbox.keep_secret(&phone.key);
    (phone, output.stdout)
}

#[test]
fn who_used_pam_oath_logs_in_with_the_next_code_but_no_used_one() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let ((alice, alice_key), (bobby, bobby_key)) = (oath_key(&sandbox, 6), oath_key(&sandbox, 8));
    let lines = format!("HOTP/T60 alice - {alice_key}\nHOTP/T60/8 bobby - {bobby_key}\n");
    sandbox.overwrite("/etc/users.oath", &lines);
    sandbox.run(&["chmod", "600", "/etc/users.oath"]).success();
    alice.wait_for_seconds_left(20);
    let used = alice.previous_code();
    let module = "pam_oath.so usersfile=/etc/users.oath window=5 digits=6";
    assert_eq!(sandbox.log_in_there(module, "alice", &used), PAM_SUCCESS);
    assert!(sandbox.read("/etc/users.oath").contains(&used), "pam_oath keeps the last code");

    let said = import(&sandbox, &["oath", "/etc/users.oath", "--unused", "--shred"]).success().stdout;
    assert!(said.contains("lines imported: 2, refused: 0") && !sandbox.exists("/etc/users.oath"), "{said}");
    assert_eq!(sandbox.answer("alice", &used), PAM_AUTH_ERR, "used there");
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("bobby", &bobby.code()[2..]), PAM_AUTH_ERR, "six digits of eight");
    assert_eq!(sandbox.answer("bobby", &bobby.code()), PAM_SUCCESS);
}

#[test]
fn a_window_of_pam_oath_is_given_with_the_file_and_the_hosts_holds_otherwise() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let ((alice, alice_key), (bobby, bobby_key)) = (oath_key(&sandbox, 6), oath_key(&sandbox, 6));
    let file = "/etc/users.oath";
    let write = |line: &str| {
        sandbox.overwrite(file, line);
        sandbox.run(&["chmod", "600", file]).success();
    };
    let line = format!("HOTP/T60 alice - {alice_key}\n");
    write(&line);
    alice.wait_for_seconds_left(20);
    let steps = [-3, -2, 2, 3];
    let module = "pam_oath.so usersfile=/etc/users.oath window=2 digits=6";
    let there = accepted(steps, &alice, |code| sandbox.log_in_there(module, "alice", code));
    write(&line); // without used codes
    let said = import(&sandbox, &["oath", file, "--unused", "--window", "2"]).success().stdout;
    assert!(said.contains("codes from 2 back to 2 ahead") && !said.contains("does not tell"), "{said}");
    assert_eq!(accepted(steps, &alice, |code| sandbox.answer("alice", code)), there);
    assert_eq!(there, [false, true, true, false]);

    write(&format!("HOTP/T60 bobby - {bobby_key}\n"));
    let said = import(&sandbox, &["oath", file, "--unused"]).success().stdout;
    assert!(
        said.contains("does not tell pam_oath's window=, so theirs is this host's: codes from 1 back to 0"),
        "{said}"
    );
    assert_eq!(accepted([-2, -1, 1], &bobby, |code| sandbox.answer("bobby", code)), [false, true, false]);
}

#[test]
fn lines_of_users_oath_that_can_not_be_imported_are_named_and_left() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let ((alice, good), (_, other)) = (oath_key(&sandbox, 6), oath_key(&sandbox, 6));
    let bad = [
        format!("HOTP bobby - {other}"),
        format!("HOTP/T30 bobby 8711 {other}"),
        format!("HOTP/T30 no-such-user - {other}"),
        format!("HOTP/T30 bobby - {}", &other[..20]),
    ];
    let file = "/etc/users.oath";
    sandbox.overwrite(file, &format!("# ours\n{}\nHOTP/T60 alice - {good}\n", bad.join("\n")));
    let open = import(&sandbox, &["oath", file]).exited(1);
    assert!(open.stderr.contains("may be read by others"), "{open:?}");
    sandbox.run(&["chmod", "600", file]).success();
    let dry = import(&sandbox, &["oath", file, "--dry-run"]).exited(1);
    assert!(dry.stdout.contains("lines that would be imported: 1, refused: 4"), "{dry:?}");

    let said = import(&sandbox, &["oath", file, "--unused", "--shred"]).exited(1);
    for why in [
        "line 2, bobby: it counts (HOTP)",
        "line 3, bobby: it has a PIN",
        "line 4, no-such-user: there is no user",
        "line 5, bobby: the key has only 80 bits",
        "--weak",
    ] {
        assert!(said.stderr.contains(why), "{why}: {said:?}");
    }
    assert!(!said.stderr.contains(&other[..20]) && !said.stderr.contains("8711"), "{said:?}");
    let left = sandbox.read(file);
    assert!(!left.contains(&good) && bad.iter().all(|line| left.contains(line.as_str())), "{left}");
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    import(&sandbox, &["oath", file, "--weak"]).exited(1);
    assert_eq!(devices(&sandbox, "bobby"), 1);
}
