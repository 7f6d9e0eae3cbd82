//! Setuid callers: an ordinary user starts them, and may do to them whatever the kernel allows.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use qrtotp_tests::{
    Sandbox, State, clock,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, value},
    users::PASSWORD,
};

fn host() -> Sandbox {
    host_on(State::Tmpfs("size=4m"))
}

fn host_on(state: State) -> Sandbox {
    let sandbox = Sandbox::with_state(state);
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    sandbox
}

#[test]
fn sudo_asks_for_the_callers_password_and_code() {
    let sandbox = host();
    sandbox.password_and_code("sudo", "");
    let phone = sandbox.import("alice");
    for (code, works) in [(phone.wrong_code(), false), (phone.code(), true)] {
        let mut sudo = sandbox.pty(Some("alice"), &["sudo", "id", "-un"]);
        sudo.expect("password for alice: ");
        sudo.send(PASSWORD);
        sudo.expect("Verification code: ");
        sudo.send(&code);
        if works {
            assert!(sudo.success().contains("root"));
        } else {
            sudo.expect("try again");
            drop(sudo);
        }
    }
    let _ = sandbox.log.wait(&["event=login result=accepted", "user=alice service=sudo", "tty=pts/"]);
}

#[test]
fn su_asks_for_the_code_of_whom_one_becomes() {
    let sandbox = host();
    sandbox.password_and_code("su", "");
    let phone = sandbox.import("bobby");
    let mut su = sandbox.pty(Some("alice"), &["su", "bobby", "-c", "id -un"]);
    su.expect("Password: ");
    su.send(PASSWORD);
    su.expect("Verification code: ");
    su.send(&phone.code());
    assert!(su.success().ends_with("bobby\r\n"));
    let _ = sandbox.log.wait(&["event=login result=accepted", "user=bobby service=su", "by=alice"]);
}

#[test]
fn a_file_size_limit_of_zero_neither_kills_su_nor_leaves_anything_behind() {
    let sandbox = host();
    sandbox.stack("");
    sandbox.key_and_code("su", "");
    let phone = sandbox.import("bobby");
    // su's own write to it would exceed the limit and kill it, with any module.
    sandbox.run(&["rm", "-f", "/var/log/btmp"]).success();
    let files = || sandbox.run(&["find", "/var/lib/qrtotp"]).success().stdout;
    let before = files();
    let mut su =
        sandbox.pty(Some("alice"), &["bash", "-c", "ulimit -f 0; su bobby -c 'id -un'; echo status=$?"]);
    su.expect("Verification code: ");
    su.send(&phone.code());
    su.expect("status=");
    let shown = su.finish().1;
    // 128 + SIGXFSZ would be 153.
    let may_lift = sandbox.run(&["bash", "-c", "ulimit -f 0; ulimit -f 100"]).status.success();
    if may_lift {
        assert!(shown.contains("bobby\r\nstatus=0\r\n"), "{shown}");
        assert_eq!(sandbox.answer("bobby", &phone.code()), PAM_AUTH_ERR, "the code was used up");
    } else {
        // A machine whose root lacks CAP_SYS_RESOURCE: no file can be written, so no code is accepted.
        assert!(shown.contains("status=1\r\n"), "{shown}");
        let _ = sandbox.log.wait(&["event=login result=denied", "reason=file_size_limit"]);
        assert_eq!(sandbox.answer("bobby", &phone.code()), PAM_SUCCESS, "the code was not used up");
    }
    assert_eq!(files(), before);
}

#[test]
fn a_user_who_stops_their_own_su_while_it_holds_the_lock_never_holds_up_the_owner() {
    // On a disk with a journal the lock is held long enough to be seen.
    let sandbox = host_on(State::Ext4("16m"));
    sandbox
        .configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n[throttle]\nfree_failures = 20\n");
    sandbox.stack("");
    sandbox.key_and_code("su", "");
    let phone = sandbox.import("bobby");
    let stopper = sandbox.install_c("stopper.c", &[]);
    let mut storm = sandbox.command(Some("alice"), &[&stopper, "12", "bobby"]);
    let storm = storm.stdout(Stdio::piped()).spawn().unwrap();
    let mut logins = 0;
    for step in phone.step() - 9..=phone.step() {
        // The storm's wrong codes are counted; this test is about locks, not about the throttle.
        sandbox.run(&["qrtotp", "unlock", "bobby"]).success();
        let start = Instant::now();
        if sandbox.answer("bobby", &phone.code_of_step(step)) == PAM_SUCCESS {
            logins += 1;
        }
        assert!(start.elapsed() < Duration::from_secs(6), "held up for {:?}", start.elapsed());
        clock::pause(Duration::from_millis(900));
    }
    let report = String::from_utf8(storm.wait_with_output().unwrap().stdout).unwrap();
    let busy: Vec<String> =
        sandbox.log.events().into_iter().filter(|event| event.contains("reason=store_busy")).collect();
    assert!(busy.is_empty(), "somebody froze the lock: {busy:?}");
    assert!(logins >= 5, "the owner got in only {logins} times");
    let number = |name| value(&report, name).unwrap().parse::<u32>().unwrap();
    // Between seeing and stopping, it may have released the lock; then there is nothing to refuse.
    assert!(number("refused") > number("seen") / 2, "su can be stopped while it holds the lock: {report}");
    assert!(number("seen") >= 10, "the lock was hardly ever seen, so this proves nothing: {report}");
}
