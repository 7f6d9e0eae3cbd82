//! Strangers who guess neither delay nor close the places of the owner.

use super::rules::{INSIDE, addresses, ssh};
use qrtotp_tests::{Sandbox, host::PAM_SUCCESS, users::PASSWORD};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HOME: &str = "192.0.2.7";

#[test]
fn while_strangers_guess_a_thousand_times_the_owner_gets_in_at_once_from_a_familiar_place_by_ssh() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n");
    sandbox.password_and_code("sshd", "");
    sandbox.stack("");
    sandbox.without_delays();
    let phone = sandbox.import("alice");
    addresses(&sandbox, &["192.0.2.7/32"]);
    let _sshd = sandbox.start_sshd("");
    let owner = |steps_back: u64| {
        let begin = Instant::now();
        let mut client = ssh(&sandbox, "alice", HOME);
        client.expect("assword: ");
        client.send(PASSWORD);
        client.expect("Verification code: ");
        client.send(&phone.code_of_step(phone.step() - steps_back));
        client.expect(INSIDE);
        client.success();
        assert!(begin.elapsed() < Duration::from_secs(10), "{steps_back}: {:?}", begin.elapsed());
    };
    owner(9);
    let (guesses, is_in) = (AtomicUsize::new(0), AtomicBool::new(false));
    let guess = |at: usize| {
        let from = format!("203.0.{}.{}", at / 200, at % 200);
        let answered = sandbox.login("alice").answer(&phone.wrong_code()).arguments(&["--rhost", &from]);
        assert_ne!(answered.run().authenticate(), PAM_SUCCESS);
    };
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                // Until the owner is in; if they never get in, the test ends all the same.
                while (guesses.load(Ordering::Relaxed) < 1000 || !is_in.load(Ordering::Relaxed))
                    && let at @ 0..20_000 = guesses.fetch_add(1, Ordering::Relaxed)
                {
                    guess(at);
                }
            });
        }
        owner(7);
        is_in.store(true, Ordering::Relaxed);
    });
    let guesses = guesses.load(Ordering::Relaxed);
    assert!((1000..20_000).contains(&guesses), "{guesses} guesses, and the owner came among them");
    owner(5);
    let _ = sandbox.log.wait(&["event=login result=denied reason=throttled user=alice", "rhost=203.0."]);
}
