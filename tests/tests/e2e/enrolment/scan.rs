//! QR codes scanned from a terminal.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    screen::{Background, scan},
    uri_of,
};

const DARK: (&[&str], Background) = (&[], Background::Dark);
const LIGHT: (&[&str], Background) = (&[], Background::Light);
const LIGHT_INVERTED: (&[&str], Background) = (&["--invert"], Background::Light);
const DARK_INVERTED: (&[&str], Background) = (&["--invert"], Background::Dark);

fn a_scanner_reads_the_uri(style: &str, cases: &[(&[&str], Background)]) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    for (inverted, background) in cases {
        let arguments = [&["--qr", style], *inverted].concat();
        let (pty, _, uri) = sandbox.start_enrolment("alice", &arguments);
        assert!(uri.starts_with(&uri_of("alice", "")), "{uri}");
        assert_eq!(
            scan(&pty.transcript(), *background).as_deref(),
            Some(&*uri),
            "{arguments:?} {background:?}"
        );
    }
}

#[test]
fn half_blocks_can_be_scanned_off_either_terminal_whatever_is_asked() {
    a_scanner_reads_the_uri("utf8", &[DARK, LIGHT, LIGHT_INVERTED, DARK_INVERTED]);
}

#[test]
fn plain_ascii_can_be_scanned_off_a_dark_and_inverted_off_a_light_terminal() {
    a_scanner_reads_the_uri("ascii", &[DARK, LIGHT_INVERTED]);
}

#[test]
fn ansi_colours_can_be_scanned_off_either_terminal_whatever_is_asked() {
    a_scanner_reads_the_uri("ansi", &[DARK, LIGHT, LIGHT_INVERTED]);
}

#[test]
fn in_a_plain_locale_the_picture_is_ascii_can_be_scanned_and_its_code_enrols() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.stack("");
    let (mut pty, phone, _) = sandbox.start_enrolment_with(&["env", "LC_ALL=C"], "alice", &[]);
    let shown = pty.transcript();
    assert!(shown.contains("@@@@") && shown.is_ascii(), "{shown}");
    let uri = uri_of("alice", &phone.key) + "&issuer=Tests";
    assert_eq!(scan(&shown, Background::Dark), Some(uri));
    phone.wait_for_seconds_left(10);
    let code = phone.code();
    pty.send(&code);
    pty.success();
    assert_eq!(sandbox.answer("alice", &code), PAM_AUTH_ERR, "enrolling used this code up");
    assert_eq!(sandbox.answer("alice", &phone.wait_for_next_code()), PAM_SUCCESS);
}

#[test]
fn the_letters_of_a_login_do_the_same_at_the_question_of_the_command() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    let (mut pty, phone, _) = sandbox.start_enrolment("alice", &["--qr", "none"]);
    let uri = uri_of("alice", &phone.key) + "&issuer=Tests";
    for (letter, glyph) in [("i", '█'), ("a", '@'), ("h", '█')] {
        pty.send(letter);
        let shown = pty.expect("Code: ");
        assert!(shown.contains(glyph), "{letter}: {shown}");
        assert_eq!(scan(&shown, Background::Dark).as_ref(), Some(&uri), "{letter}");
    }
    pty.send("i");
    let inverted = pty.expect("Code: ");
    assert_eq!(scan(&inverted, Background::Light).as_ref(), Some(&uri));
    pty.send("k");
    assert!(pty.expect("Code: ").contains(&uri));
    pty.send("q");
    let _ = pty.failure();
}
