//! A second import: what is here already, what was revoked meanwhile, and what is one key for two accounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Sandbox,
    foreign::{TIME_BASED, devices, google, google_authenticator},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const FILE: &str = "/home/alice/.google_authenticator";

#[test]
fn a_key_that_was_revoked_comes_back_only_if_that_is_asked_for() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let (phone, _) = google_authenticator(&sandbox, "alice", &TIME_BASED);
    google(&sandbox, &["alice"]).success();
    sandbox.run(&["qrtotp", "revoke", "alice"]).success();
    let before = sandbox.read(FILE);
    for again in [&["alice"][..], &["alice", "--shred"], &["alice", "--dry-run"], &["--all-homes"]] {
        let refused = google(&sandbox, again).exited(1);
        for why in ["a device of alice was revoked on 20", "`qrtotp token issue alice`", "--revoked-too"] {
            assert!(refused.stderr.contains(why), "{again:?}: {refused:?}");
        }
    }
    assert_eq!((devices(&sandbox, "alice"), sandbox.read(FILE)), (0, before));
    google(&sandbox, &["--all-homes", "--revoked-too"]).exited(2);
    let uri = format!("otpauth://totp/x?secret={}&period=60\n", phone.key);
    let typed = sandbox.run_with_input(&["qrtotp", "import", "uri", "alice"], &uri).exited(1);
    assert!(typed.stderr.contains("--revoked-too"), "{typed:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);

    google(&sandbox, &["alice", "--revoked-too"]).success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}
