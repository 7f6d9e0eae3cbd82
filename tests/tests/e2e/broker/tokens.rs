//! Tokens that have ended, and users who come to the broker with them.

use qrtotp_tests::{Sandbox, broker::TOKEN_QUESTION};

/// `alice` is told the state of her token, asked nothing, and the log names it.
fn is_refused(sandbox: &Sandbox, expected: &str, reason: &str) {
    let seen = sandbox.log.lines().len();
    let shown = sandbox.own("alice", &["enroll"]).failure();
    assert!(shown.contains(expected), "{reason}: {shown}");
    assert!(!shown.contains("assword: ") && !shown.contains(TOKEN_QUESTION), "{reason}: {shown}");
    let refused = format!("event=enrollment_refused reason={reason} user=alice service=qrtotpd");
    let _ = sandbox.log.wait_after(seen, &[&refused, "by=alice"]);
}

/// An expired token and a revoked one.
fn ended_ones_are_named(sandbox: &Sandbox) {
    sandbox.let_token_run_out("alice");
    is_refused(sandbox, "token has expired", "token_expired");
    sandbox.take_token_back("alice");
    is_refused(sandbox, "token was revoked", "token_revoked");
}

#[test]
fn a_consumed_expired_or_revoked_token_is_refused_by_name_and_logged() {
    for first_login in ["deny", "token"] {
        let sandbox = Sandbox::with_broker(&format!("[defaults]\nfirst_login = \"{first_login}\"\n"));
        let _broker = sandbox.start_broker();
        ended_ones_are_named(&sandbox);
        let (mut pty, phone) = sandbox.enrol_by_token("alice");
        pty.finish_enrolment(&sandbox, &phone);
        // A used token is named, too, even after its device was revoked.
        sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
        is_refused(&sandbox, "token was already used", "token_consumed");
        ended_ones_are_named(&sandbox);
        let (mut pty, phone) = sandbox.enrol_by_token("alice");
        pty.finish_enrolment(&sandbox, &phone);
    }
}

#[test]
fn whoever_never_had_a_token_is_told_to_ask_for_one() {
    let sandbox = Sandbox::with_broker("");
    let _broker = sandbox.start_broker();
    is_refused(&sandbox, "ask for an enrolment token", "not_enrolled");
    sandbox.import("alice");
    sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
    is_refused(&sandbox, "ask for an enrolment token", "revoked");
}
