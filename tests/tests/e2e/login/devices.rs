//! Several devices on an account, and phones whose clock is off.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    broker::DEVICE_QUESTION,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const INSIDE: &str = "logged in";

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    sandbox.password_and_code("sshd", "");
    sandbox
}

/// A phone whose next code comes soon.
fn half_minute_phone(sandbox: &Sandbox) -> Phone {
    sandbox.import_phone("alice", Phone { period: 30, ..Phone::random() })
}

fn at_the_code_prompt(sandbox: &Sandbox) -> Pty {
    sandbox.ssh_at_the_code_prompt("alice", &format!("echo {INSIDE}"))
}

/// Whether a login by ssh with this code succeeds.
fn enters(sandbox: &Sandbox, code: &str) -> bool {
    let mut client = at_the_code_prompt(sandbox);
    client.send(code);
    let (status, shown) = client.finish();
    assert_eq!(status.success(), shown.contains(INSIDE), "{shown}");
    status.success()
}

/// Ids and labels in the order of enrolment.
fn ids(sandbox: &Sandbox) -> Vec<String> {
    let json = sandbox.run(&["qrtotp", "device", "list", "alice", "--json"]).success().stdout;
    let ids = json.split("\"id\": \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    ids.collect()
}

/// The first number with that name in alice's status.
fn number(sandbox: &Sandbox, name: &str) -> i64 {
    let json = sandbox.run(&["qrtotp", "status", "alice", "--json"]).success().stdout;
    let value = json.split(&format!("\"{name}\": ")).nth(1).expect("status tells it");
    value.split([',', '\n', '}']).next().unwrap().trim().parse().unwrap()
}

fn clock(sandbox: &Sandbox) -> i64 {
    number(sandbox, "clock_ahead_seconds")
}

fn failures(sandbox: &Sandbox) -> i64 {
    number(sandbox, "failures")
}

#[test]
fn of_two_devices_each_has_its_own_codes_and_revoking_one_leaves_the_other() {
    let sandbox = host();
    let [first, second] = [half_minute_phone(&sandbox), half_minute_phone(&sandbox)];
    let _sshd = sandbox.start_sshd("");
    first.wait_for_seconds_left(20);
    assert!(enters(&sandbox, &first.code()));
    assert!(enters(&sandbox, &second.code()), "the first one's code of this step burns not the second one's");
    assert!(!enters(&sandbox, &second.code()), "but each counts once");
    let [one, two] = &ids(&sandbox)[..] else { panic!("two devices") };
    sandbox
        .run(&[
            "qrtotp",
            "device",
            "rename",
            "alice",
            "--credential",
            &one.to_lowercase(),
            "--label",
            "Old phone",
        ])
        .success();
    let list = sandbox.run(&["qrtotp", "device", "list", "alice"]).success().stdout;
    assert!(list.lines().any(|line| line.contains(one.as_str()) && line.contains("\"Old phone\"")), "{list}");
    let which = sandbox.run(&["qrtotp", "device", "revoke", "alice"]).exited(1).stderr;
    assert!(which.contains(one.as_str()) && which.contains(two.as_str()), "{which}");
    sandbox.run(&["qrtotp", "device", "revoke", "alice", "--credential", one]).success();
    assert_eq!(ids(&sandbox), std::slice::from_ref(two));
    let fresh = second.wait_for_next_code();
    assert!(!enters(&sandbox, &first.code()));
    assert!(enters(&sandbox, &fresh));
    let _ = sandbox.log.wait(&["event=credential_revoked", one, "label=\"Old phone\"", "user=alice"]);
}

#[test]
fn the_same_code_in_two_sessions_at_once_counts_once() {
    let sandbox = host();
    let phones = [sandbox.import("alice"), sandbox.import("alice")];
    let _sshd = sandbox.start_sshd("");
    for phone in &phones {
        let mut clients = [at_the_code_prompt(&sandbox), at_the_code_prompt(&sandbox)];
        phone.wait_for_seconds_left(10);
        let code = phone.code();
        for client in &mut clients {
            client.send(&code);
        }
        let entered = clients.each_mut().map(|client| client.finish().0.success());
        assert_eq!(entered.iter().filter(|entered| **entered).count(), 1);
    }
}

#[test]
fn an_account_has_five_devices_at_most() {
    let sandbox = host();
    for _ in 0..5 {
        sandbox.import("alice");
    }
    let uri = Phone::random().uri("alice");
    let refused =
        sandbox.run_with_input(&["qrtotp", "import", "uri", "alice"], &format!("{uri}\n")).exited(1);
    assert!(refused.stderr.contains('5'), "{refused:?}");
    let enrol = sandbox.run(&["qrtotp", "enroll", "alice", "--no-verify", "--qr", "none"]).exited(1);
    assert!(enrol.stderr.contains('5') && !enrol.stdout.contains("otpauth"), "{enrol:?}");
    assert_eq!(ids(&sandbox).len(), 5);
}

/// The codes of this step and of the one before it, on a phone whose clock is `ahead` steps ahead.
fn pair(phone: &Phone, step: u64, ahead: i64) -> [String; 2] {
    let step = step.checked_add_signed(ahead).unwrap();
    [phone.code_of_step(step - 1), phone.code_of_step(step)]
}

/// A step that lasts at least this many seconds longer.
fn settled(phone: &Phone, seconds: u64) -> u64 {
    phone.wait_for_seconds_left(seconds);
    phone.step()
}

fn resync(mut pty: Pty, codes: &[String; 2]) -> (bool, String) {
    for (question, code) in ["shows now: ", "shows it: "].iter().zip(codes) {
        pty.expect(question);
        pty.send(code);
    }
    let (status, shown) = pty.finish();
    (status.success(), shown)
}

#[test]
fn a_phone_four_minutes_off_is_resynchronised_by_root_with_two_codes() {
    let sandbox = host();
    sandbox.configure("[throttle]\nfree_failures = 20\n");
    let phone = half_minute_phone(&sandbox);
    let now = settled(&phone, 26);
    let behind = pair(&phone, now, -8);
    assert_eq!(sandbox.answer("alice", &behind[1]), PAM_AUTH_ERR);
    assert_eq!(clock(&sandbox), 0);
    let by_root = |codes: &[String; 2]| resync(sandbox.pty_unrecorded(&["qrtotp", "resync", "alice"]), codes);
    let apart = [pair(&phone, now, -9)[0].clone(), behind[1].clone()];
    assert!(!by_root(&apart).0, "not consecutive");
    assert!(!by_root(&pair(&phone, now, -24)).0, "twelve minutes off");
    let guesses = failures(&sandbox);
    for other in [["no code".to_owned(), behind[1].clone()], [behind[0].clone(), "x".to_owned()]] {
        assert!(!by_root(&other).0);
    }
    assert_eq!(failures(&sandbox), guesses + 2, "whatever is given is a guess");
    let (done, shown) = by_root(&behind);
    assert!(done && shown.contains("240 s"), "{shown}");
    assert!(!by_root(&behind).0, "both are used up");
    assert_eq!(sandbox.answer("alice", &behind[1]), PAM_AUTH_ERR);
    assert_eq!(clock(&sandbox), -240);
    let status = sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(status.contains("240 s behind"), "{status}");
    let _ = sandbox.log.wait(&["event=credential_resynchronized", "user=alice"]);
    let step = phone.step();
    phone.wait_for_next_code();
    assert_eq!(sandbox.answer("alice", &phone.code_of_step(step + 1 - 8)), PAM_SUCCESS);
}

#[test]
fn a_login_takes_the_two_codes_where_the_configuration_says_so() {
    let sandbox = host();
    sandbox.configure("[verify]\nresync = true\n");
    let phone = sandbox.import("alice");
    let _sshd = sandbox.start_sshd("");
    let codes = pair(&phone, settled(&phone, 60), -2);
    assert!(!enters(&sandbox, &codes[1]));
    for (text, guesses) in [(codes.concat() + "0", 2), ("no codes".into(), 2)] {
        assert!(!enters(&sandbox, &text));
        assert_eq!(failures(&sandbox), guesses, "what may be two codes is a guess");
    }
    assert!(enters(&sandbox, &codes.join(" ")));
    assert!(!enters(&sandbox, &codes.join(" ")), "both are used up");
    assert_eq!(clock(&sandbox), -240);
}

#[test]
fn owners_list_rename_and_resynchronise_their_devices_through_the_broker() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    let _broker = sandbox.start_broker();
    let listed = sandbox.own_output("alice", &["device", "list"]).success().stdout;
    assert!(listed.contains(&ids(&sandbox)[0]), "{listed}");
    // Refused before the code is asked for.
    let empty = sandbox.own_output("alice", &["device", "rename", "--label", " "]).exited(1);
    assert!(empty.stderr.contains("the new label is empty"), "{empty:?}");
    let mut pty = sandbox.own("alice", &["device", "rename", "--label", "Mine"]);
    pty.expect(DEVICE_QUESTION);
    pty.send(&phone.previous_code());
    pty.success();
    let listed = sandbox.own_output("alice", &["device", "list"]).success().stdout;
    assert!(listed.contains("\"Mine\""), "{listed}");
    for (answers, guesses) in [(["no code", "x"], 1), (["", ""], 1)] {
        let (done, shown) = resync(sandbox.own("alice", &["resync"]), &answers.map(str::to_owned));
        assert!(!done && shown.contains("not two consecutive codes"), "{shown}");
        assert_eq!(failures(&sandbox), guesses);
    }
    let codes = pair(&phone, settled(&phone, 60), 2);
    let (done, shown) = resync(sandbox.own("alice", &["resync"]), &codes);
    assert!(done && shown.contains("240 s"), "{shown}");
    assert_eq!(clock(&sandbox), 240);
    let _ = sandbox.log.wait(&["event=credential_resynchronized", "user=alice", "service=qrtotpd"]);
}
