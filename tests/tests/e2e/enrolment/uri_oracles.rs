//! The key URIs that `qrtotp enroll` offers, read by independent programs.

use qrtotp_tests::{
    Sandbox,
    oracles::{Read, Readings, otpauth, pyotp, ykman},
};

/// Names with every character that has a meaning in a URI, a form, a shell, HTML or a terminal, and letters
/// of all sizes.
const NAMES: [&str; 42] = [
    "Example Corp",
    "x",
    "a/b",
    "//host/path",
    "../..",
    "a@b",
    "@",
    "a;b",
    "a=b",
    "secret=AAAA",
    "a,b",
    "a'b",
    "a\"b",
    "a\\b",
    "$x`y`",
    "|",
    "^",
    "a*b",
    "(c)",
    "!",
    "<b>",
    "[1]",
    "~-._",
    "totp/x",
    "Bücher",
    "e\u{301}",
    "日本語",
    "😀",
    "עברית",
    "İi",
    "1234567890123456789012345678901234567890123456789012345678901234",
    "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé",
    "a?b",
    "a&b=c",
    "&issuer=other",
    "C#",
    "a+b",
    "100%",
    "a%20b",
    "%41",
    "a%3Ab",
    "%zz",
];
/// `config check` warns of these, because some apps decode a URI before they split it. pyotp is one.
const WARNED_OF: [char; 5] = ['?', '&', '#', '%', '+'];

/// The offer with `name` as the issuer and after the user's name: the URI, and the expected reading.
fn offered(sandbox: &Sandbox, name: &str) -> (String, Read) {
    let account = if name.chars().count() < 60 { format!("alice {name}") } else { "alice".to_owned() };
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let configuration = format!(
        "state_dir = \"/var/lib/qrtotp\"\nissuer = \"{}\"\n[enroll]\naccount_label = \"{}\"\n",
        quoted(name),
        quoted(&account).replace("alice", "{user}")
    );
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml", &configuration);
    let checked = sandbox.run(&["qrtotp", "config", "check"]).stdout;
    assert_eq!(checked.contains("decode a key URI"), name.contains(WARNED_OF), "{name}: {checked}");
    sandbox.apply_configuration().success();
    let (_pty, phone, uri) = sandbox.start_enrolment("alice", &["--qr", "none"]);
    (uri, Read { issuer: name.to_owned(), account, secret: phone.key })
}

#[test]
fn hostile_names_are_read_as_they_are_by_pyotp_ykman_and_otpauth() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    let (mut uris, expected): (Vec<String>, Vec<Read>) =
        NAMES.iter().map(|name| offered(&sandbox, name)).unzip();
    // A small QR code holds the URI without its issuer parameter: the output has both forms, one after the
    // other.
    let short = |uri: &String| uri.split("&issuer=").next().unwrap().to_owned();
    uris.extend(uris.iter().map(short).collect::<Vec<_>>());
    let check = |reader: &str, readings: &Readings, misread: &[char]| {
        for ((reading, uri), expected) in readings.iter().zip(&uris).zip(expected.iter().cycle()) {
            if !expected.issuer.contains(misread) {
                assert_eq!(reading.as_ref(), Some(expected), "{reader} of {uri}");
            }
        }
    };
    check("ykman", &ykman(&uris), &[]);
    check("pyotp", &pyotp(&uris), &WARNED_OF);
    if let Some(readings) = otpauth(&uris) {
        check("otpauth", &readings, &[]);
    }
}

#[test]
fn a_name_with_a_colon_is_refused_because_the_format_allows_none() {
    let sandbox = Sandbox::new();
    for names in ["issuer = \"a:b\"", "issuer = \"a\"\n[enroll]\naccount_label = \"{user}:b\""] {
        sandbox.overwrite("/etc/qrtotp/qrtotp.toml", &format!("state_dir = \"/var/lib/qrtotp\"\n{names}\n"));
        let refused = sandbox.apply_configuration();
        assert!(!refused.status.success() && refused.stderr.contains("without a colon"), "{refused:?}");
    }
}
