//! sudo remembers in a time stamp who has authenticated, and can be told to leave parts of a PAM file out: together they
//! make up for no enrolment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    first_login::{CHOICES, INSIDE},
    host::PAM_SUCCESS,
    sudo::{
        CONFIGURATION, ONE_WITHOUT, SUDOERS, ask_nothing, gets_in, host, is_led_past, is_noted, run,
        stays_outside,
    },
    users::PASSWORD,
};

#[test]
fn sudo_remembers_nobody_who_gave_up() {
    let (sandbox, _) = host("sudo", "");
    let mut twice = run(&sandbox, "alice", "sudo echo logged in; sudo echo logged in; exit 7");
    for _ in 0..2 {
        twice.give_password(PASSWORD);
        twice.send("");
        twice.expect(CHOICES);
        twice.send("q");
    }
    stays_outside(twice);
}

#[test]
fn a_time_stamp_of_a_sudo_without_its_account_part_leads_nowhere() {
    let (sandbox, phone) = host("sudo", "Defaults !pam_acct_mgmt\n");
    // sudo takes the first for authenticated, and asks nothing the second time.
    let twice = "sudo echo logged in; sudo echo logged in; exit 7";
    stays_outside(is_led_past(&sandbox, twice));
    let _ = sandbox.log.wait(&["pam_qrtotp(sudo:session)", "result=denied reason=enrollment_due user=alice"]);
    let mut bobby = run(&sandbox, "bobby", twice);
    bobby.give_password(PASSWORD);
    bobby.send(&phone.code());
    assert_eq!(bobby.failure().matches(INSIDE).count(), 2, "somebody with a device keeps the time stamp");
    // Whom the admin lets in unasked are none of our business, but for what was refused them before.
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    ask_nothing(&sandbox);
    gets_in(run(&sandbox, "alice", "sudo echo logged in"));
}

#[test]
fn a_time_stamp_left_by_a_command_without_the_account_part_leads_no_other_command_in() {
    for service in ["sudo", "sudo2"] {
        let (sandbox, _) = host(service, ONE_WITHOUT);
        stays_outside(is_led_past(&sandbox, "sudo /usr/bin/true; sudo echo logged in; exit 7"));
        let _ = sandbox.log.wait(&[
            &format!("pam_qrtotp({service}:account)"),
            "result=denied reason=enrollment_due user=alice",
            "qrtotp unlock alice",
        ]);
        // What was refused stays so where the admin asks nothing ...
        ask_nothing(&sandbox);
        sandbox.append(SUDOERS, &format!("Defaults pam_service={service}\n"));
        stays_outside(run(&sandbox, "alice", "sudo echo logged in; exit 7"));
        // ... until they say otherwise, or somebody enrolled.
        sandbox.run(&["qrtotp", "unlock", "alice"]).success();
        gets_in(run(&sandbox, "alice", "sudo echo logged in"));
    }
}

#[test]
fn an_enrolment_pays_what_a_command_without_the_account_part_left_owed() {
    let (sandbox, _) = host("sudo", &format!("{ONE_WITHOUT}Defaults timestamp_timeout=0\n"));
    is_led_past(&sandbox, "sudo /usr/bin/true").failure();
    assert!(is_noted(&sandbox));
    let mut alice = run(&sandbox, "alice", "sudo echo logged in");
    alice.at_the_picture();
    let phone = alice.take_key(&sandbox);
    alice.confirm(&phone);
    alice.success();
    sandbox.run(&["qrtotp", "revoke", "alice"]).success();
    ask_nothing(&sandbox);
    gets_in(run(&sandbox, "alice", "sudo echo logged in"));
}

#[test]
fn a_time_stamp_left_by_a_command_without_any_other_part_leads_no_other_command_in() {
    for without in ["!pam_acct_mgmt, !pam_session", "!pam_acct_mgmt, !pam_setcred"] {
        let (sandbox, _) = host("sudo", &format!("Defaults!/usr/bin/true {without}\n"));
        stays_outside(is_led_past(&sandbox, "sudo /usr/bin/true; sudo echo logged in; exit 7"));
        assert!(is_noted(&sandbox));
        let denied = "result=denied reason=enrollment_due user=alice";
        let _ = sandbox.log.wait(&["pam_qrtotp(sudo:account)", denied]);
    }
}

#[test]
fn a_time_stamp_by_somebody_elses_password_leads_nowhere_either() {
    for (whose, sudo) in
        [("rootpw", "sudo"), ("rootpw", "sudo -u alice"), ("runaspw", "sudo"), ("targetpw", "sudo -u alice")]
    {
        let (sandbox, _) = host("sudo", &format!("Defaults !pam_acct_mgmt, {whose}\n"));
        let shadow = sandbox.read("/etc/shadow");
        let line = |user: &str| shadow.lines().find(|line| line.starts_with(user)).unwrap();
        sandbox.overwrite(
            "/etc/shadow",
            &shadow.replace(line("root:"), &line("alice:").replace("alice", "root")),
        );
        let twice = format!("{sudo} echo logged in; {sudo} echo logged in; exit 7");
        // Bobby has a device; those whose password sudo asks for have none.
        let mut bobby = run(&sandbox, "bobby", &twice);
        bobby.give_password(PASSWORD);
        bobby.send("");
        stays_outside(bobby);
        let asked = if whose == "targetpw" { "alice" } else { "root" };
        let denied = format!("result=denied reason=enrollment_due user={asked} service=sudo");
        let lines = sandbox.log.lines();
        assert_eq!(lines.iter().filter(|line| line.contains(&denied)).count(), 2, "{whose}: {lines:?}");
    }
}

#[test]
fn what_is_owed_elsewhere_bars_neither_a_key_at_sshd_nor_root() {
    let (sandbox, _) = host("sudo", ONE_WITHOUT);
    is_led_past(&sandbox, "sudo /usr/bin/true").failure();
    assert!(is_noted(&sandbox));
    // Here a key alone is enough for sshd, which does not ask our auth part then.
    sandbox.password_and_enrolment("sshd");
    sandbox.authorize_key("alice");
    let _sshd = sandbox.start_sshd("");
    gets_in(sandbox.ssh_with("alice", &["PreferredAuthentications=publickey"], "echo logged in"));
    let auth = "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_qrtotp.so\n";
    sandbox.enrolling("su", auth);
    gets_in(sandbox.pty_unrecorded(&["su", "alice", "-c", "echo logged in"]));
}

#[test]
fn who_gets_a_name_anew_owes_nothing_and_nobody_does_where_all_may_come_without_a_code() {
    let (sandbox, _) = host("sudo", ONE_WITHOUT);
    is_led_past(&sandbox, "sudo /usr/bin/true").failure();
    ask_nothing(&sandbox);
    let configuration = sandbox.read(CONFIGURATION);
    let again = "sudo echo logged in; exit 7";
    stays_outside(run(&sandbox, "alice", again));
    let allow = "first_login = \"allow\"\nallow_until = \"2199-12-31\"";
    let configuration = configuration.replace("first_login = \"enroll\"", allow);
    sandbox.overwrite(CONFIGURATION, &configuration);
    assert!(run(&sandbox, "alice", again).failure().contains(INSIDE));
    sandbox.overwrite(CONFIGURATION, &configuration.replace("2199", "2019"));
    stays_outside(run(&sandbox, "alice", again));
    sandbox.delete_user("alice");
    sandbox.add_user_with_uid("alice", 4321);
    ask_nothing(&sandbox);
    assert!(run(&sandbox, "alice", again).failure().contains(INSIDE));
}

#[test]
fn a_su_that_root_runs_is_roots_whoever_logged_in_there() {
    let (sandbox, _) = host("su", "");
    for (service, uid, passes) in
        [("su", "0", true), ("su", "3000", false), ("sudo", "0", false), ("runuser", "0", true)]
    {
        sandbox.password_and_enrolment(service);
        // As util-linux's su did before 2.39: named is who logged in, Alice.
        let arguments = ["--service", service, "--ruser", "alice", "--phases", "o"];
        let report = sandbox.login("bobby").arguments(&arguments).under(&["setpriv", "--ruid", uid]).run();
        assert_eq!(report.value("open_session") == PAM_SUCCESS.to_string(), passes, "{service} {uid}");
    }
}

#[test]
fn a_time_stamp_of_one_name_of_a_uid_leads_no_other_name_in() {
    for (of, second) in [("root", "toor"), ("alice", "second")] {
        let (sandbox, _) = host("sudo", &format!("Defaults targetpw\n{ONE_WITHOUT}"));
        for file in ["/etc/passwd", "/etc/shadow"] {
            let content = sandbox.read(file);
            let like = if file == "/etc/shadow" { "alice" } else { of };
            let line = content.lines().find(|line| line.starts_with(&format!("{like}:"))).unwrap();
            sandbox.append(file, &format!("{}\n", line.replacen(like, second, 1)));
        }
        let commands =
            format!("sudo -u {second} /usr/bin/true; sudo -n -u {of} sh -c 'echo logged in'; exit 7");
        let mut bobby = run(&sandbox, "bobby", &commands);
        bobby.give_password(PASSWORD);
        bobby.send("");
        stays_outside(bobby);
        let _ =
            sandbox.log.wait(&["pam_qrtotp(sudo:account)", &format!("user={of}"), "reason=enrollment_due"]);
    }
}

#[test]
fn what_a_name_that_is_gone_owed_is_owed_by_who_has_its_uid_until_they_enrol_or_root_says_otherwise() {
    let again = "sudo echo logged in; exit 7";
    for enrolled in [true, false] {
        let (sandbox, _) = host("sudo", ONE_WITHOUT);
        is_led_past(&sandbox, "sudo /usr/bin/true").failure();
        let uid = sandbox.run(&["id", "-u", "alice"]).success().stdout.trim_end().parse().unwrap();
        sandbox.delete_user("alice");
        sandbox.add_user_with_uid("anna", uid);
        sandbox.overwrite(SUDOERS, "anna ALL=(ALL) NOPASSWD: ALL\n");
        stays_outside(run(&sandbox, "anna", again));
        let _ = sandbox.log.wait(&["reason=enrollment_due user=anna", "qrtotp unlock anna"]);
        if enrolled {
            let _phone = sandbox.import("anna");
        } else {
            sandbox.run(&["qrtotp", "unlock", "anna"]).success();
        }
        assert!(run(&sandbox, "anna", again).failure().contains(INSIDE), "{enrolled}");
    }
}
