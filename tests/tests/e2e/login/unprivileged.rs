//! PAM applications that do not run as root, such as screen lockers.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Sandbox, clock,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, SERVICE},
    recipes::Recipe,
    users::PASSWORD,
};

/// The broker answers within 3 s; starting a process takes its time, too.
const DEADLINE: Duration = Duration::from_secs(4);
/// Words that run the rest as alice.
const AS_ALICE: [&str; 6] = ["setpriv", "--reuid", "alice", "--regid", "alice", "--clear-groups"];

#[test]
fn without_a_broker_nobody_is_let_in_and_the_log_says_how_to_start_it() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let phone = sandbox.import("alice");
    let begun = Instant::now();
    let report = sandbox.login("alice").answer(&phone.code()).under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    let _ = sandbox.log.wait(&["event=login result=denied reason=broker user=alice", "qrtotpd.socket"]);
}

#[test]
fn nobody_has_the_code_of_another_account_verified() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("mallory");
    let _broker = sandbox.start_broker();
    let report = sandbox.login("mallory").answer(&phone.code()).under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    let _ =
        sandbox.log.wait(&["event=login result=denied reason=broker user=mallory", "only your own account"]);
    assert_eq!(sandbox.answer("mallory", &phone.code()), PAM_SUCCESS, "it was not used up");
}

#[test]
fn a_socket_that_never_answers_denies_within_the_deadline() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let phone = sandbox.import("alice");
    sandbox.run(&["install", "-d", "-m", "755", "/run/qrtotp"]).success();
    let silent = std::os::unix::net::UnixListener::bind(sandbox.path("/run/qrtotp/socket")).unwrap();
    sandbox.run(&["chmod", "666", "/run/qrtotp/socket"]).success();
    let begun = Instant::now();
    let report = sandbox.login("alice").answer(&phone.code()).under(&AS_ALICE).run();
    assert_eq!(report.authenticate(), PAM_AUTH_ERR);
    let took = begun.elapsed();
    assert!((Duration::from_secs(3)..DEADLINE).contains(&took), "{took:?}");
    let _ = sandbox.log.wait(&["event=login result=denied reason=broker user=alice"]);
    drop(silent);
}

/// A screen locker with one field passes on the password, and the code after it.
const ONE_FIELD: &str =
    "auth required pam_qrtotp.so forward_pass\nauth required pam_unix.so use_first_pass nodelay\n";

#[test]
fn password_and_code_in_one_field_are_judged_by_the_broker() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    sandbox.enrolling(SERVICE, ONE_FIELD);
    let _broker = sandbox.start_broker();
    let answered = |text: &str| sandbox.login("alice").answer(text).under(&AS_ALICE).run().authenticate();
    phone.wait_for_seconds_left(10);
    let code = phone.code();
    for wrong in [PASSWORD.to_owned(), format!("wrong{code}"), format!("{PASSWORD}{}", phone.wrong_code())] {
        assert_eq!(answered(&wrong), PAM_AUTH_ERR, "{wrong}");
    }
    assert_eq!(answered(&format!("{PASSWORD}{code}")), PAM_SUCCESS, "a wrong password uses up no code");
    assert_eq!(answered(&format!("{PASSWORD}{code}")), PAM_AUTH_ERR, "it is used up");
    let _ = sandbox.log.wait(&["event=login result=denied reason=primary_factor user=alice"]);
}

#[test]
fn i3lock_unlocks_by_password_and_code() {
    let sandbox = Sandbox::with_broker("");
    let phone = sandbox.import("alice");
    Recipe::of("Screen lockers").write(&sandbox);
    sandbox.proves_passwords();
    let _broker = sandbox.start_broker();
    let start = |argv: &[&str]| {
        let argv = [&["env", "DISPLAY=:9"], argv].concat();
        let mut program = sandbox.command(None, &argv);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let done = |argv: &[&str]| {
        let status = sandbox.run(&[&["env", "DISPLAY=:9", "xdotool"], argv].concat()).status;
        status.success().then_some(())
    };
    let wait_for =
        |argv: &[&str]| clock::poll(Duration::from_secs(20), || done(argv)).expect("X does not answer");
    let enter = |text: &str| done(&["type", "--delay", "20", text]).and_then(|()| done(&["key", "Return"]));
    let mut display = start(&["Xvfb", ":9", "-nolisten", "tcp", "-screen", "0", "640x480x24"]);
    wait_for(&["getmouselocation"]);
    let mut locker = start(&[&AS_ALICE[..], &["i3lock", "--nofork"]].concat());
    wait_for(&["search", "--onlyvisible", "--class", "i3lock"]);
    phone.wait_for_seconds_left(15);
    enter(&format!("{PASSWORD}{}", phone.wrong_code())).expect("it can be typed into");
    let _ = sandbox.log.wait(&["event=login result=denied reason=wrong_code user=alice"]);
    assert!(locker.try_wait().unwrap().is_none(), "a wrong code unlocks it");
    // It takes no keys while it checks the first text.
    let right = format!("{PASSWORD}{}", phone.code());
    let ended = clock::poll(Duration::from_secs(20), || {
        let status = locker.try_wait().unwrap();
        if status.is_none() {
            enter(&right);
        }
        status
    });
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let _ = sandbox.log.wait(&["event=login result=accepted reason=code user=alice service=qrtotpd:i3lock"]);
    display.kill().unwrap();
    display.wait().unwrap();
}
