//! Logins by status of the account.

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

fn host(arguments: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox.make_store();
    sandbox.stack(arguments);
    sandbox
}

#[test]
fn an_imported_phone_logs_in_once_with_each_code() {
    let sandbox = host("");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
}

#[test]
fn every_algorithm_length_and_period_that_an_app_may_use_logs_in() {
    let sandbox = host("");
    for (user, algorithm, digits, period) in
        [("carol", "SHA256", 8, 60), ("david", "SHA512", 7, 15), ("erika", "SHA1", 6, 120)]
    {
        sandbox.add_user(user);
        let phone = Phone { algorithm, digits, period, ..Phone::random() };
        let phone = sandbox.import_phone(user, phone);
        assert_eq!(sandbox.answer(user, &phone.code()), PAM_SUCCESS, "{phone:?}");
    }
}

#[test]
fn an_enrolled_user_logs_in_with_the_next_code_and_a_recovery_code_works_once() {
    let sandbox = host("");
    let enrolment = sandbox.enroll("alice", &["--qr", "utf8"]);
    assert_eq!(sandbox.answer("alice", &enrolment.phone.code()), PAM_AUTH_ERR, "enrolling used this code up");
    let [first, second] = [&enrolment.recovery_codes[3], &enrolment.recovery_codes[7]];
    assert_eq!(sandbox.answer("alice", first), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", first), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &second.replace('-', "").to_lowercase()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=recovery_used", "user=alice"]);
    let code = enrolment.phone.wait_for_next_code();
    assert_eq!(sandbox.answer("alice", &code), PAM_SUCCESS);
}

#[test]
fn new_recovery_codes_end_the_old_ones() {
    let sandbox = host("");
    sandbox.import("alice");
    let old = sandbox.new_recovery_codes("alice");
    let new = sandbox.new_recovery_codes("alice");
    assert_eq!(sandbox.answer("alice", &old[0]), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &new[0]), PAM_SUCCESS);
}

#[test]
fn without_nullok_an_unenrolled_user_is_asked_and_denied() {
    let sandbox = host("");
    let report = sandbox.login("bobby").answer("123456").run();
    assert_eq!((report.authenticate(), report.messages(1)), (PAM_AUTH_ERR, vec!["Verification code: "]));
    let _ = sandbox.log.wait(&["event=login result=denied reason=not_enrolled user=bobby"]);
}

#[test]
fn with_nullok_an_unenrolled_user_passes_unasked_and_an_enrolled_one_does_not() {
    let sandbox = host("nullok");
    sandbox.import("alice");
    let report = sandbox.login("bobby").answer("123456").run();
    assert_eq!((report.authenticate(), report.messages(1)), (PAM_SUCCESS, vec![]));
    let _ = sandbox.log.wait(&["event=login result=ignored reason=not_enrolled user=bobby"]);
    assert_eq!(sandbox.answer("alice", "123456"), PAM_AUTH_ERR);
}

#[test]
fn with_nullok_an_unknown_user_is_denied() {
    let sandbox = host("nullok");
    assert_eq!(sandbox.answer("ghost", "123456"), PAM_AUTH_ERR);
}

#[test]
fn a_revoked_account_is_denied_at_once_also_with_nullok() {
    for arguments in ["", "nullok"] {
        let sandbox = host(arguments);
        let phone = sandbox.import("alice");
        assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
        sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
        assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
        let _ = sandbox.log.wait(&["event=login result=denied reason=revoked user=alice"]);
    }
}

#[test]
fn a_user_who_was_deleted_and_made_again_is_denied_also_with_nullok() {
    for arguments in ["", "nullok"] {
        let sandbox = host(arguments);
        let phone = sandbox.import("alice");
        sandbox.delete_user("alice");
        assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR, "deleted");
        sandbox.add_user_with_uid("alice", 4711);
        assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR, "made again");
        let _ = sandbox.log.wait(&["event=login result=denied reason=uid_changed user=alice"]);
    }
}

#[test]
fn a_name_service_that_ignores_case_gives_one_account_and_one_counter() {
    let sandbox = host("");
    let library = artefacts::compile("nss_casefold.c", "libnss_casefold.so.2", &["-shared", "-fPIC"]);
    sandbox.run(&["mkdir", "-p", "/usr/local/lib"]).success();
    sandbox.install(&library, "/usr/local/lib/libnss_casefold.so.2", 0o644);
    sandbox.run(&["ldconfig"]).success();
    sandbox.overwrite("/etc/nsswitch.conf", "passwd: files casefold\ngroup: files\nshadow: files\n");
    assert!(sandbox.run(&["getent", "passwd", "ALICE"]).success().stdout.starts_with("alice:"));

    let phone = sandbox.import("ALICE");
    assert_eq!(sandbox.answer("Alice", &phone.code()), PAM_SUCCESS);
    for name in ["alice", "ALICE", "aLICE"] {
        assert_eq!(sandbox.answer(name, &phone.code()), PAM_AUTH_ERR, "{name}");
    }
    let _ = sandbox.log.wait(&["event=login result=denied reason=replayed_code user=alice"]);
    assert_eq!(sandbox.run(&["ls", "/var/lib/qrtotp/accounts"]).stdout, "%store.toml\nalice\nkeeper\n");
}

#[test]
fn wrong_codes_cost_waits_that_end_by_themselves() {
    let sandbox = host("");
    sandbox.configure("[throttle]\nfree_failures = 3\nmax_wait = \"2s\"\n");
    let phone = sandbox.import("alice");
    // The last of these costs four seconds: enough to be too soon on a busy machine as well.
    for millis in [0, 0, 0, 1100, 2100] {
        qrtotp_tests::clock::pause(std::time::Duration::from_millis(millis));
        sandbox.answer("alice", &phone.wrong_code());
    }
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_AUTH_ERR, "a right code, too soon");
    let _ = sandbox.log.wait(&["event=login result=denied reason=throttled user=alice"]);
    let _ = sandbox.log.wait(&["event=throttle_engaged"]);
    qrtotp_tests::clock::pause(std::time::Duration::from_millis(4100));
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("bobby", "000000"), PAM_AUTH_ERR);
}

#[test]
fn what_can_not_be_a_code_is_refused_uncounted() {
    let sandbox = host("");
    let phone = sandbox.import("alice");
    for typed in ["", " ", "12345", "１２３４５６", "+123456", "12345a", "hunter2hunter2", "-1"] {
        for _ in 0..3 {
            assert_eq!(sandbox.answer("alice", typed), PAM_AUTH_ERR, "{typed}");
        }
    }
    let code = phone.code();
    assert_eq!(sandbox.answer("alice", &format!(" {}-{} ", &code[..3], &code[3..])), PAM_SUCCESS);
}

#[test]
fn too_many_wrong_codes_close_codes_to_strangers_until_a_recovery_code_or_unlock() {
    let sandbox = host("");
    sandbox.configure("[throttle]\nfree_failures = 20\ndisable_after = 10\n");
    let phone = sandbox.import("alice");
    let recovery = sandbox.new_recovery_codes("alice");
    let close = || {
        for _ in 0..4 {
            assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
        }
    };
    close();
    let _ = sandbox.log.wait(&["event=throttle_engaged reason=closed user=alice", "failures=4"]);
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["event=login result=denied reason=throttled user=alice", "wait=86"]);
    assert_eq!(sandbox.answer("alice", &recovery[0]), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
    close();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn a_stranger_with_the_password_closes_codes_to_strangers_only_and_the_owner_is_told() {
    let sandbox = host("");
    sandbox
        .configure("[throttle]\nfree_failures = 20\ndisable_after = 50\n[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n");
    let phone = sandbox.import("alice");
    let from = |address: &str, code: &str| {
        sandbox.login("alice").answer(code).arguments(&["--rhost", address]).run()
    };
    assert_eq!(from("198.51.100.7", &phone.code_of_step(phone.step() - 9)).authenticate(), PAM_SUCCESS);
    for n in 0..25 {
        from(&format!("203.0.113.{n}"), &phone.wrong_code());
    }
    let _ = sandbox.log.wait(&["event=throttle_engaged reason=closed user=alice", "rhost=203.0.113.19"]);
    assert_eq!(from("203.0.113.9", &phone.code_of_step(phone.step() - 8)).authenticate(), PAM_AUTH_ERR);
    let login = from("198.51.100.200", &phone.code_of_step(phone.step() - 7));
    assert_eq!(login.authenticate(), PAM_SUCCESS);
    let notice = "20 wrong codes since ";
    assert!(
        login.text().contains(notice) && login.text().contains("the last from 203.0.113.0/24"),
        "{}",
        login.text()
    );
    let status = sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(
        status.contains("from a new place counts in 86") && status.contains("Familiar places: 1"),
        "{status}"
    );
    assert!(!from("198.51.100.200", &phone.code_of_step(phone.step() - 6)).text().contains(notice), "once");
}

#[test]
fn a_clock_set_back_does_not_make_old_codes_new() {
    let sandbox = host("");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    for back in 0..4 {
        let step = phone.step() - back;
        let shifted = format!("-{}s", back * phone.period);
        let report = sandbox
            .login("alice")
            .answer(&phone.code_of_step(step))
            .under(&["faketime", "-f", &shifted])
            .run();
        assert_eq!(report.authenticate(), PAM_AUTH_ERR, "{back} steps back");
    }
    let _ = sandbox.log.wait(&["reason=replayed_code"]);
}

#[test]
fn a_clock_before_2020_denies_and_says_why() {
    let sandbox = host("");
    let phone = sandbox.import("alice");
    let code = phone.code_of_step(1_560_000_000 / phone.period);
    let report = sandbox.login("alice").answer(&code).under(&["faketime", "@1560000000"]).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["event=login result=denied reason=clock_implausible"]);
}

#[test]
fn forward_pass_hands_on_exactly_the_password() {
    let sandbox = host("");
    sandbox.overwrite("/usr/local/bin/dump", "#!/bin/sh\ncat >/run/forwarded\n");
    sandbox.run(&["chmod", "755", "/usr/local/bin/dump"]).success();
    sandbox.pam(
        "tests",
        "auth required pam_qrtotp.so forward_pass\nauth required pam_exec.so expose_authtok /usr/local/bin/dump\n",
    );
    let phone = sandbox.import("alice");
    sandbox.proves_passwords();
    let forwarded = || std::fs::read(sandbox.path("/run/forwarded")).unwrap_or_default();
    let exact = " pässwörd 12 345\t";
    let crypt = ["perl", "-e", "print crypt($ARGV[0], '$6$rounds=1000$forwarded')", exact];
    let hash = sandbox.run(&crypt).success().stdout;
    sandbox.run(&["usermod", "-p", &hash, "alice"]).success();
    let typed = format!("{exact}{}", phone.previous_code());
    assert_eq!(sandbox.login("alice").answer(&typed).run().authenticate(), PAM_SUCCESS);
    assert_eq!(forwarded().split(|byte| *byte == 0).next().unwrap(), exact.as_bytes());

    for (user, typed) in [
        ("alice", format!("{exact}{}", phone.wrong_code())),
        ("alice", format!("x{exact}{}", phone.code())),
        ("bobby", exact.to_owned()),
    ] {
        sandbox.run(&["rm", "-f", "/run/forwarded"]).success();
        assert_eq!(sandbox.login(user).answer(&typed).run().authenticate(), PAM_AUTH_ERR);
        assert!(forwarded().is_empty(), "{user}: nothing goes on");
    }
}

#[test]
fn unknown_arguments_deny_and_the_log_names_them_all() {
    let sandbox = host("nulok debug debug window=3 secret=/x");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
    let named = "unknown arguments `nulok`, `window=3`, `secret=/x`; known are config=, ";
    let _ = sandbox.log.wait(&["event=login result=denied reason=arguments_invalid", named]);
}

#[test]
fn prompt_and_echo_are_what_the_arguments_say() {
    let sandbox = host("prompt=PIN: echo_code");
    sandbox.import("alice");
    assert_eq!(sandbox.login("alice").answer("000000").run().messages(2).len(), 1);
    sandbox.stack("[prompt=Your code, please: ]");
    assert_eq!(sandbox.login("alice").answer("000000").run().messages(1), ["Your code, please: "]);
}
