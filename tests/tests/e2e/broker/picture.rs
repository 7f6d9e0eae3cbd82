//! A saved picture of an enrolment through the broker, which may hang.

use qrtotp_tests::{
    Sandbox,
    broker::{ENROLS, TOKEN_QUESTION},
};
use rustix::process::Signal;
use std::time::Duration;

const FILE: &str = "/home/alice/code.svg";

#[test]
fn a_signal_ends_the_waiting_for_a_broker_that_is_stuck_and_the_picture_goes() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let broker = sandbox.start_broker();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let code = sandbox.token_code("alice");
        let mut pty = sandbox.own("alice", &["enroll", "--qr", "none", "--save", FILE, "--ephemeral"]);
        pty.expect(TOKEN_QUESTION);
        pty.send(&code);
        pty.expect("i, n, q) Code: ");
        assert!(sandbox.exists(FILE));
        broker.signal(Signal::STOP);
        pty.send("000000");
        pty.expect("000000");
        pty.signal(signal);
        assert!(pty.ended(Duration::from_secs(20)).is_some(), "{signal:?} is not heeded");
        assert!(pty.failure().contains("was deleted"), "{signal:?}");
        assert!(!sandbox.exists(FILE), "{signal:?}");
        broker.signal(Signal::CONT);
        sandbox.run(&["qrtotp", "token", "revoke", "alice"]).success();
    }
}
