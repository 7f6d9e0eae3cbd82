//! The QR codes, read off a terminal by a scanner.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Sandbox,
    screen::{Background, scan},
};

fn a_scanner_reads_the_uri(style: &str) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    for (inverted, background) in [(&[][..], Background::Dark), (&["--invert"][..], Background::Light)] {
        let arguments = [&["--qr", style], inverted].concat();
        let (pty, _, uri) = sandbox.start_enrolment("alice", &arguments);
        assert!(uri.starts_with("otpauth://totp/Tests:alice?secret="), "{uri}");
        assert_eq!(scan(&pty.transcript(), background).as_deref(), Some(&*uri), "{style} {background:?}");
    }
}

#[test]
fn half_blocks_can_be_scanned_off_a_dark_and_inverted_off_a_light_terminal() {
    a_scanner_reads_the_uri("utf8");
}

#[test]
fn plain_ascii_can_be_scanned_off_a_dark_and_inverted_off_a_light_terminal() {
    a_scanner_reads_the_uri("ascii");
}

#[test]
fn ansi_colours_can_be_scanned_off_either_terminal() {
    a_scanner_reads_the_uri("ansi");
}
