#![allow(clippy::unwrap_used)]
use super::*;
use crate::otp::Window;
use proptest::prelude::*;
use std::path::Path;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/qrtotp/qrtotp.toml"), text.as_bytes())
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().verify.window(), Window { back: 1, ahead: 0 });
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let message = parse("state_dir = \"/x\"\n\n[verify]\nwindow = 3\n").unwrap_err().to_string();
    assert!(message.contains("line 4") && message.contains("window"), "{message}");
}

#[test]
fn values_out_of_bounds_are_refused_by_key() {
    for (text, key) in [
        ("state_dir = \"relative\"", "state_dir"),
        ("issuer = \"a:b\"", "issuer"),
        ("issuer = \"\"", "issuer"),
        ("[verify]\nwindow_back = 11", "verify.window_back"),
        ("[throttle]\ndisable_after = 101", "throttle.disable_after"),
        ("[throttle]\nmax_wait = \"1h\"", "throttle.max_wait"),
        ("[enroll]\nmax_shows = 0", "enroll.max_shows"),
        ("[enroll]\ntime_limit = \"2h\"", "enroll.time_limit"),
        ("[enroll]\ncode_lifetime = \"2h\"", "enroll.code_lifetime"),
        ("[enroll]\nservices = [\"../x\"]", "enroll.services"),
        ("[enroll]\nservices = [\"other\"]", "enroll.services"),
        ("[defaults]\nfirst_login = \"allow\"", "defaults.allow_until"),
        ("[defaults]\nallow_until = \"2027-01-31\"", "defaults.allow_until"),
    ] {
        assert!(parse(text).unwrap_err().to_string().contains(&format!("`{key}`")), "{text}");
    }
}

#[test]
fn steps_times_devices_above_fifteen_is_refused() {
    assert!(parse("[verify]\nwindow_back = 2").is_ok(), "3 steps × 5 devices");
    assert!(parse("[verify]\nwindow_back = 3").is_err(), "4 steps × 5 devices");
    assert!(parse("[verify]\nwindow_back = 10\nwindow_ahead = 4\n[enroll]\nmax_devices = 1").is_ok());
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_a_panic(text in "(\\[?[a-z_.]{0,12}\\]? ?=? ?\"?[a-z0-9]{0,6}\"?\n?){0,6}") {
        let _ = parse(&text);
    }
}
