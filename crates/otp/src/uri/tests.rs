#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::super::{Algorithm, Strength};
use super::*;
use proptest::prelude::*;

/// "12345678901234567890" of the RFCs.
const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn key(issuer: &str, account: &str, params: Params) -> KeyUri {
    let secret = Secret::from_bytes(b"12345678901234567890", Strength::Normal).unwrap();
    KeyUri { issuer: issuer.to_owned(), account: account.to_owned(), secret, params }
}

fn parse(uri: &str) -> Result<KeyUri, UriError> {
    KeyUri::parse(&uri.replace("KEY", KEY), Strength::Normal)
}

fn names(uri: &str) -> (String, String) {
    let key = parse(uri).unwrap();
    (key.issuer, key.account)
}

#[test]
fn a_uri_with_default_parameters_is_short() {
    let uri = key("Example", "alice@web1", Params::default()).to_uri();
    assert_eq!(*uri, format!("otpauth://totp/Example:alice@web1?secret={KEY}&issuer=Example"));
    assert_eq!(*key("", "alice", Params::default()).to_uri(), format!("otpauth://totp/alice?secret={KEY}"));
}

#[test]
fn a_short_uri_names_the_issuer_once_and_reads_back_the_same() {
    let long = key("Example", "alice@web1", Params::default());
    assert_eq!(*long.to_short_uri(), format!("otpauth://totp/Example:alice@web1?secret={KEY}"));
    assert_eq!(KeyUri::parse(&long.to_short_uri(), Strength::Normal).unwrap(), long);
}

#[test]
fn other_parameters_are_written_out() {
    let uri = key("E", "a", Params::new(Algorithm::Sha512, 8, 60).unwrap()).to_uri();
    assert!(uri.ends_with("&issuer=E&algorithm=SHA512&digits=8&period=60"));
}

#[test]
fn names_are_percent_encoded_as_utf_8() {
    let uri = key("Bücher & Co@home", "a:b/c?d#e%f+g", Params::default()).to_uri();
    assert_eq!(
        *uri,
        format!(
            "otpauth://totp/B%C3%BCcher%20%26%20Co@home:a%3Ab%2Fc%3Fd%23e%25f%2Bg?secret={KEY}\
             &issuer=B%C3%BCcher%20%26%20Co%40home"
        )
    );
}

#[test]
fn the_issuer_comes_from_the_label_or_the_parameter() {
    let expected = ("Big Corp".to_owned(), "alice@x.org".to_owned());
    for uri in [
        "otpauth://totp/Big%20Corp:alice@x.org?secret=KEY&issuer=Big%20Corp",
        "otpauth://totp/Big%20Corp%3A%20alice%40x.org?secret=KEY",
        "otpauth://totp/Big%20Corp%3aalice@x.org?secret=KEY&issuer=",
        "otpauth://totp/Big Corp: alice@x.org?secret=KEY",
        "otpauth://totp/alice@x.org?secret=KEY&issuer=Big%20Corp",
        "OTPAuth://TOTP/:alice@x.org?issuer=Big%20Corp&secret=KEY",
    ] {
        assert_eq!(names(uri), expected, "{uri}");
    }
    assert_eq!(names("otpauth://totp/alice?secret=KEY"), (String::new(), "alice".to_owned()));
    assert_eq!(names("otpauth://totp/?secret=KEY"), (String::new(), String::new()));
}

#[test]
fn a_secret_may_be_written_as_people_type_it() {
    for secret in ["gezdgnbvgy3tqojqgezdgnbvgy3tqojq", "GEZD%20GNBV-GY3T QOJQGEZDGNBVGY3TQOJQ"] {
        let key = KeyUri::parse(&format!("otpauth://totp/a?secret={secret}"), Strength::Normal).unwrap();
        assert_eq!(key.secret.as_bytes(), b"12345678901234567890");
    }
}

#[test]
fn a_secret_copied_from_a_web_page_is_whole_or_refused() {
    let (start, end) = KEY.split_at(28);
    for blank in [
        "+",
        "&nbsp;",
        "&#160;",
        "&#xA0;",
        "&shy;",
        "&amp;nbsp;",
        "\u{200e}",
        "\u{2060}",
        "\u{202a}",
        "%E2%81%A6",
        "\u{ad}",
    ] {
        let uri = format!("\u{200f}otpauth://totp/a?secret={start}{blank}{end}&digits=8\u{202c}");
        let key = KeyUri::parse(&uri, Strength::Normal)
            .map(|key| (key.secret.as_bytes().to_vec(), key.params.digits()));
        assert_eq!(key, Ok((b"12345678901234567890".to_vec(), 8)), "{blank:?}");
    }
    for stray in ["&", "&ensp;", "&;"] {
        assert!(parse(&format!("otpauth://totp/a?secret={start}{stray}{end}")).is_err(), "{stray}");
    }
}

#[test]
fn steam_s_keys_are_refused_by_their_issuer_too() {
    for uri in [
        "Steam:alice?secret=KEY",
        "alice?secret=KEY&issuer=steam",
        "Steam:alice?secret=KEY&issuer=Steam&digits=5",
    ] {
        assert_eq!(parse(&format!("otpauth://totp/{uri}")), Err(UriError::Steam), "{uri}");
    }
}

#[test]
fn a_secret_with_left_over_bits_is_taken_without_them() {
    for (secret, dropped_bits) in [("KEY", false), ("KEY====", false), ("KEYA", true), ("KEYMZ", true)] {
        let uri = format!("otpauth://totp/a?secret={}", secret.replace("KEY", KEY));
        let read = KeyUri::read(&uri, Strength::Normal).unwrap();
        assert!(read.key.secret.as_bytes().starts_with(b"12345678901234567890"), "{secret}");
        assert_eq!(read.dropped_bits, dropped_bits, "{secret}");
    }
}

#[test]
fn decorating_parameters_are_ignored() {
    let uri = "otpauth://totp/a?image=https%3A%2F%2Fx&secret=KEY&color=f00&image=2&&lock&=&lock=1&icon=x&codeDisplay=y&counter=0";
    assert_eq!(parse(uri), Ok(key("", "a", Params::default())));
}

#[test]
fn parameters_are_read() {
    let params = |query: &str| parse(&format!("otpauth://totp/a?secret=KEY{query}")).map(|key| key.params);
    let all = Ok(Params::new(Algorithm::Sha256, 8, 60).unwrap());
    assert_eq!(params("&algorithm=SHA1&digits=6&period=30"), Ok(Params::default()));
    for query in [
        "&algorithm=sha256&digits=8&period=60",
        // Copied from the source of a web page, once or twice too often.
        "&amp;digits=8&amp;algorithm=SHA256&amp;period=60",
        "&amp;amp;digits=8&#38;algorithm=SHA256&#x26;period=60",
        "&#038;digits&#61;8&#x026;algorithm=SHA256&#x0026;period=60",
        "&\u{200e}digits\u{2060}=8&algorithm=SHA256\u{feff}&period=\u{202d}60",
        "&DIGITS=8&Algorithm=HmacSHA256&pERIOD=60",
        "&digits=%208%20&algorithm=SHA-256&period= 60 ",
        "&digits=8&digits=8&algorithm=SHA256&algorithm=sha256&period=60",
    ] {
        assert_eq!(params(query), all, "{query}");
    }
    assert_eq!(params("&algorithm=&digits=&period="), Ok(Params::default()));
    assert_eq!(
        params("&algorithm=MD5").unwrap_err().to_string(),
        "unknown algorithm \"MD5\": use SHA1, SHA256 or SHA512"
    );
    assert_eq!(params("&digits=5"), Err(UriError::Params(ParamsError::Digits { digits: 5 })));
    assert_eq!(params("&period=10"), Err(UriError::Params(ParamsError::Period { period: 10 })));
    for (query, name) in [
        ("&digits=six", "digits"),
        ("&digits=%2B6", "digits"),
        ("&digits=+6", "digits"),
        ("&digits=262", "digits"),
        ("&period=-30", "period"),
        ("&period=30s", "period"),
        ("&period=4294967326", "period"),
    ] {
        assert_eq!(params(query), Err(UriError::NotANumber { name }), "{query}");
    }
}

#[test]
fn a_parameter_that_could_change_the_codes_is_refused_by_name_with_what_to_write() {
    for (query, said) in [
        ("encoder=steam", "Steam"),
        ("algo=SHA256", "\"algo\" is not known here: write it as \"algorithm\""),
        ("Digest=SHA256", "write it as \"algorithm\""),
        ("interval=60", "write it as \"period\""),
        ("amp;step=60", "write it as \"period\""),
        ("length=8", "write it as \"digits\""),
        ("t0=100", "the parameter \"t0\" is not known here"),
        ("offset=30", "\"offset\""),
        ("GEZDGNBVGY3TQOJQGEZDGNBV=1", "the parameter number 2 is not known here"),
        ("a%0Ab c:d=1", "\"a?b c:d\""),
        ("algorithm%3DSHA256", "\"algorithm=sha256\" has no value"),
        ("digits%3D8", "\"digits=8\" has no value"),
        ("digits:8", "\"digits:8\" has no value"),
        ("digits8", "\"digits8\" has no value"),
        ("steam", "\"steam\" has no value"),
        ("encoder%3Dsteam", "\"encoder=steam\" has no value"),
        ("issuer=A & B", "\"b\" has no value"),
        ("GEZDGNBVGY3TQOJQGEZDGNBV", "the parameter number 2 has no value"),
    ] {
        let error = parse(&format!("otpauth://totp/a?secret=KEY&{query}")).unwrap_err().to_string();
        assert!(error.contains(said), "{query}: {error}");
    }
}

#[test]
fn names_are_taken_however_they_disagree() {
    for (uri, issuer, account) in [
        ("Some+Company%3ame%40x.example?secret=KEY&issuer=Microsoft", "Microsoft", "me@x.example"),
        ("Some+Company%3ame%40x.example?secret=KEY", "Some Company", "me@x.example"),
        ("I:a?secret=KEY&issuer=i", "i", "a"),
        ("A:B:c?secret=KEY&issuer=A:B", "A:B", "c"),
        ("A%3AB%3Ac?secret=KEY&issuer=A%3AB", "A:B", "c"),
        ("I:a?secret=KEY&issuer=I&issuer=J", "I", "a"),
        ("C#:a#b?secret=KEY&issuer=C#", "C#", "a#b"),
        ("100%:a%2?secret=KEY", "100%", "a%2"),
        ("a+tag@x?secret=KEY", "", "a+tag@x"),
        ("a%FF?secret=KEY", "", "a\u{fffd}"),
        ("I%00:a%1B[2J\n?secret=KEY&issuer=%0A", "I\u{fffd}", "a\u{fffd}[2J"),
    ] {
        let names = names(&format!("otpauth://totp/{uri}"));
        assert_eq!(names, (issuer.to_owned(), account.to_owned()), "{uri}");
    }
}

#[test]
fn what_is_copied_with_a_uri_is_left_out() {
    let uri = "otpauth://totp/a?secret=KEY";
    for (before, after) in [
        ("QR-Code:", ""),
        ("qr-code: ", "\r"),
        ("\u{feff}", ""),
        ("\u{feff}QR-Code:\"", "\""),
        ("  \t", " \r\n"),
        ("\"", "\""),
        ("'", "'"),
        ("\u{201c}", "\u{201d}"),
        ("<", ">"),
        ("`", "`"),
    ] {
        assert_eq!(parse(&format!("{before}{uri}{after}")), parse(uri), "{before}");
    }
}

#[test]
fn each_defect_is_named() {
    let cases: Vec<(&str, UriError)> = vec![
        ("", UriError::NotOtpauth),
        ("otpauth:/", UriError::NotOtpauth),
        ("https://example.org/?secret=KEY", UriError::NotOtpauth),
        ("otpauth-migration://offline?data=KEY", UriError::Migration),
        ("otpauth:/ü/totp/a?secret=KEY", UriError::NotOtpauth),
        ("otpauth://hotp/a?secret=KEY&counter=1", UriError::Hotp),
        ("otpauth://HOTP/a?secret=KEY", UriError::Hotp),
        ("otpauth://steam/a?secret=KEY", UriError::NotTotp),
        ("otpauth://?secret=KEY", UriError::NotTotp),
        ("otpauth://totp/a?secret=KEY&counter=1", UriError::Counter),
        ("otpauth://totp/a?secret=KEY&c%6Funter=1", UriError::Counter),
        ("otpauth://totp/a", UriError::SecretMissing),
        ("otpauth://totp/a?secret", UriError::SecretMissing),
        ("otpauth://totp/a?secret=", UriError::SecretMissing),
        ("otpauth://totp/a?secret=91", UriError::Base32(Base32Error::Character { position: 1 })),
        ("otpauth://totp/a?secret==KEY", UriError::Base32(Base32Error::Padding)),
        (
            "otpauth://totp/a?secret=MZXW6YTB",
            UriError::Secret(SecretError::TooShort { bits: 40, needed: 128 }),
        ),
        ("otpauth://totp/a?secret=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", UriError::Secret(SecretError::Repeated)),
        ("otpauth://totp/a?secret=KEY#x", UriError::Base32(Base32Error::Character { position: 33 })),
        ("otpauth://totp/a?secret=KEY%2", UriError::Base32(Base32Error::Character { position: 33 })),
        ("otpauth://totp/a?secret=%C3%28KEY", UriError::Base32(Base32Error::Character { position: 1 })),
    ];
    for (uri, error) in cases {
        assert_eq!(parse(uri), Err(error), "{uri}");
    }
}

#[test]
fn a_known_parameter_may_not_stand_there_with_two_values() {
    for (name, value, other) in [
        ("secret", KEY, "MZXW6YTBOI"),
        ("algorithm", "SHA1", "SHA256"),
        ("digits", "6", "8"),
        ("period", "30", "60"),
    ] {
        let uri = format!("otpauth://totp/a?{name}={value}&{name}={other}&secret=KEY&algorithm=SHA1");
        assert_eq!(parse(&uri), Err(UriError::Duplicate { name }));
    }
    assert_eq!(
        parse("otpauth://totp/a?secret=KEY&s%65cret=MZXW6YTBOI"),
        Err(UriError::Duplicate { name: "secret" })
    );
    assert!(parse("otpauth://totp/a?secret=KEY&amp;Secret=KEY").is_ok());
}

#[test]
fn weak_keys_need_to_be_allowed() {
    let uri = "otpauth://totp/a?secret=JBSWY3DPEHPK3PXP";
    assert!(KeyUri::parse(uri, Strength::AllowWeak).is_ok());
    assert!(matches!(
        KeyUri::parse(uri, Strength::Normal),
        Err(UriError::Secret(SecretError::TooShort { .. }))
    ));
}

#[test]
fn more_than_2048_bytes_are_refused() {
    let uri = |length: usize| {
        let start = format!("otpauth://totp/a?secret={KEY}&image=");
        format!("{start}{}", "x".repeat(length - start.len()))
    };
    assert!(parse(&uri(2048)).is_ok());
    assert_eq!(parse(&uri(2049)), Err(UriError::TooLong));
}

#[test]
fn debug_output_shows_nothing_of_the_secret() {
    let shown = format!("{:?}", parse("otpauth://totp/I:a?secret=KEY"));
    assert!(shown.contains("Secret(redacted)") && !shown.contains(&KEY[..8]), "{shown}");
}

proptest! {
    #[test]
    fn a_written_uri_reads_back_as_the_same_key(
        issuer in r"\PC{0,20}",
        account in r"\PC{0,40}",
        bytes in prop::collection::vec(any::<u8>(), 16..=64),
        algorithm in prop::sample::select(vec![Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]),
        digits in 6u8..=8,
        period in 15u32..=120,
    ) {
        let (issuer, account) = (issuer.trim().to_owned(), account.trim().to_owned());
        prop_assume!(!issuer.is_empty() || !account.contains(':'));
        let Ok(secret) = Secret::from_bytes(&bytes, Strength::Normal) else { return Ok(()) };
        let key = KeyUri { issuer, account, secret, params: Params::new(algorithm, digits, period).unwrap() };
        let uri = key.to_uri();
        prop_assert!(uri.is_ascii());
        prop_assert_eq!(KeyUri::parse(&uri, Strength::Normal), Ok(key));
    }

    #[test]
    fn no_error_contains_the_secret_wherever_the_uri_is_damaged(
        template in prop::sample::select(vec![
            "otpauth://totp/I:a?secret=KEY&issuer=I&algorithm=SHA1&digits=6&period=30",
            "otpauth://totp/KEY?secret=&issuer=KEY",
            "otpauth://KEY/a?secret=KEY",
            "otpauth://totp/KEY:a?KEY=KEY&algorithm=KEY&digits=KEY&period=KEY&issuer=KEY&secret=KEY",
        ]),
        cut in any::<prop::sample::Index>(),
        noise in any::<String>(),
    ) {
        let mut uri = template.replace("KEY", KEY);
        uri.insert_str(cut.index(uri.len()), &noise);
        if let Err(error) = parse(&uri) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!KEY.as_bytes().windows(8).any(|part| shown.contains(std::str::from_utf8(part).unwrap())), "{}", shown);
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}
