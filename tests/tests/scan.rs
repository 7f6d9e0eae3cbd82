//! The QR codes, read off a terminal by a scanner.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Sandbox,
    screen::{Background, scan},
};

const DARK: (&[&str], Background) = (&[], Background::Dark);
const LIGHT: (&[&str], Background) = (&[], Background::Light);
const LIGHT_INVERTED: (&[&str], Background) = (&["--invert"], Background::Light);

fn a_scanner_reads_the_uri(style: &str, cases: &[(&[&str], Background)]) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    for (inverted, background) in cases {
        let arguments = [&["--qr", style], *inverted].concat();
        let (pty, _, uri) = sandbox.start_enrolment("alice", &arguments);
        assert!(uri.starts_with("otpauth://totp/Tests:alice?secret="), "{uri}");
        assert_eq!(
            scan(&pty.transcript(), *background).as_deref(),
            Some(&*uri),
            "{arguments:?} {background:?}"
        );
    }
}

#[test]
fn half_blocks_can_be_scanned_off_a_dark_and_inverted_off_a_light_terminal() {
    a_scanner_reads_the_uri("utf8", &[DARK, LIGHT_INVERTED]);
}

#[test]
fn plain_ascii_can_be_scanned_off_a_dark_and_inverted_off_a_light_terminal() {
    a_scanner_reads_the_uri("ascii", &[DARK, LIGHT_INVERTED]);
}

#[test]
fn ansi_colours_can_be_scanned_off_either_terminal_whatever_is_asked() {
    a_scanner_reads_the_uri("ansi", &[DARK, LIGHT, LIGHT_INVERTED]);
}
