//! kill -9 at any instant: the next right code works, nothing is damaged, no lock is left, no code works
//! twice.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use qrtotp_tests::{
    Sandbox, clock,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    pty::child_of,
};
use rustix::process::{Signal, kill_process};

/// A random pause of at most `most`; the kernel's random numbers need no seed.
fn random_pause(most: Duration) {
    let mut byte = [0; 2];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut byte).unwrap();
    clock::pause(most.mul_f64(f64::from(u16::from_ne_bytes(byte)) / 65536.0));
}

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox
        .configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n[throttle]\nfree_failures = 20\n");
    sandbox.stack("");
    sandbox
}

fn nothing_is_damaged(sandbox: &Sandbox) {
    let events = sandbox.log.events();
    let bad: Vec<_> =
        events.iter().filter(|event| event.contains("damaged") || event.contains("busy")).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn after_two_hundred_kills_at_login_the_next_right_code_works() {
    let sandbox = host();
    let (mut answered, mut cut_short) = (0, 0);
    for account in 0..40 {
        let user = format!("user{account}");
        sandbox.add_user(&user);
        let phone = sandbox.import(&user);
        let now = phone.step();
        // Ten codes: five typed into a login that is killed, five to see which still work.
        for back in [9, 7, 5, 3, 1] {
            let code = phone.code_of_step(now - back);
            let mut login = sandbox.login(&user).answer(&code).hold();
            let mut lines = BufReader::new(login.stdout.take().unwrap());
            let mut report = String::new();
            lines.read_line(&mut report).unwrap(); // it has reached the prompt
            let program = child_of(login.id()).unwrap();
            drop(login.stdin.take());
            random_pause(Duration::from_micros(600));
            let _ = kill_process(program, Signal::KILL);
            lines.read_to_string(&mut report).unwrap();
            let _ = login.wait();
            let accepted = report.contains("authenticate=0\n");
            if accepted {
                answered += 1
            } else {
                cut_short += 1
            }
            if accepted {
                assert_eq!(sandbox.answer(&user, &code), PAM_AUTH_ERR, "a code worked twice");
            } else {
                // Burnt or not: it may work now only if it was not accepted before, and never again.
                sandbox.answer(&user, &code);
                assert_eq!(sandbox.answer(&user, &code), PAM_AUTH_ERR, "a code worked twice");
            }
            let next = phone.code_of_step(now - back + 1);
            assert_eq!(sandbox.answer(&user, &next), PAM_SUCCESS, "the next right code");
        }
    }
    nothing_is_damaged(&sandbox);
    assert!(
        answered > 0 && cut_short > 20,
        "the kills came at the wrong times: {answered} late, {cut_short} early"
    );
}

#[test]
fn after_fifty_kills_at_enrolment_the_account_is_old_or_new_and_usable() {
    kill_enrolments(50);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_two_hundred_kills_at_enrolment_the_account_is_old_or_new_and_usable() {
    kill_enrolments(200);
}

fn kill_enrolments(kills: u32) {
    let sandbox = host();
    let (mut enrolled, mut number) = (0, 0);
    // Hashing the recovery codes takes most of it, and its time depends on the machine.
    sandbox.add_user("usual");
    let (mut pty, phone, _) = sandbox.start_enrolment("usual", &["--qr", "utf8"]);
    phone.wait_for_seconds_left(5);
    let began = std::time::Instant::now();
    pty.send(&phone.code());
    pty.success();
    let usual = began.elapsed();
    for round in 0..kills {
        let user = format!("user{number}");
        if !sandbox.read("/etc/passwd").contains(&format!("{user}:")) {
            sandbox.add_user(&user);
        }
        if round % 4 == 0 {
            // At any time before the code is typed.
            let pty = sandbox.pty_unrecorded(&["qrtotp", "enroll", &user, "--qr", "utf8"]);
            random_pause(Duration::from_millis(80));
            pty.signal(Signal::KILL);
        } else {
            // While the record is made.
            let (mut pty, phone, _) = sandbox.start_enrolment(&user, &["--qr", "utf8"]);
            pty.send(&phone.code());
            random_pause(if round % 4 == 1 { Duration::from_millis(10) } else { usual * 3 / 2 });
            pty.signal(Signal::KILL);
        }
        let status = sandbox.run(&["qrtotp", "status", &user, "--json"]).success();
        assert_eq!(sandbox.answer(&user, "000000"), PAM_AUTH_ERR);
        if status.stdout.contains("c-") {
            // It succeeded in spite of the kill: then the record must be whole.
            enrolled += 1;
            number += 1;
            let codes = sandbox.new_recovery_codes(&user);
            assert_eq!(sandbox.answer(&user, &codes[0]), PAM_SUCCESS);
        }
    }
    let last = format!("user{number}");
    if !sandbox.read("/etc/passwd").contains(&format!("{last}:")) {
        sandbox.add_user(&last);
    }
    let enrolment = sandbox.enroll(&last, &["--qr", "utf8"]);
    assert_eq!(sandbox.answer(&last, &enrolment.recovery_codes[0]), PAM_SUCCESS);
    nothing_is_damaged(&sandbox);
    assert!(
        enrolled > 1 && enrolled < kills - 5,
        "the kills came at the wrong times: {enrolled} of {kills} came through"
    );
}
