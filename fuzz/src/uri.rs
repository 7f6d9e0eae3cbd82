//! otpauth URIs of other systems.

use qrtotp_otp::{KeyUri, Secret, Strength, UriError};

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let weak = parse(text, Strength::AllowWeak);
    let normal = parse(text, Strength::Normal);
    match (&weak, normal) {
        (Ok(weak), Ok(normal)) => assert_eq!(*weak, normal),
        (Ok(weak), Err(error)) => assert!(
            weak.secret.as_bytes().len() * 8 < Secret::MIN_BITS as usize,
            "refused, but not as weak: {error}"
        ),
        (Err(_), normal) => assert!(normal.is_err(), "only its strong form is accepted"),
    }
    match weak {
        Ok(uri) => sound(text, &uri),
        Err(error) => quotes_nothing(text, &error),
    }
}

fn parse(text: &str, strength: Strength) -> Result<KeyUri, UriError> {
    let mut uri = KeyUri::parse(text, strength)?;
    if crate::planted() && uri.params.digits() == 8 {
        uri.issuer.push('\n');
    }
    Ok(uri)
}

fn sound(text: &str, uri: &KeyUri) {
    assert!(text.len() <= 2048 && text.to_ascii_lowercase().contains("otpauth://totp"));
    assert!(![&uri.issuer, &uri.account].iter().any(|text| text.contains(char::is_control)));
    let bytes = uri.secret.as_bytes().len();
    assert!((Secret::WEAK_MIN_BITS as usize / 8..=Secret::MAX_BYTES).contains(&bytes));
    // As documented: without an issuer, the text before a colon in the account is one.
    if uri.issuer.is_empty() && uri.account.contains(':') {
        return;
    }
    for written in [uri.to_uri(), uri.to_short_uri()] {
        if written.len() <= 2048 {
            assert_eq!(KeyUri::parse(&written, Strength::AllowWeak).as_ref(), Ok(uri), "{}", *written);
        }
    }
}

fn quotes_nothing(text: &str, error: &UriError) {
    let message = error.to_string();
    assert!(!message.contains(char::is_control));
    let secrets = text.split("secret=").skip(1).map(|rest| rest.split('&').next().unwrap_or(rest));
    for secret in
        secrets.filter(|secret| secret.len() >= 16 && secret.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        assert!(!message.contains(secret), "{message}");
    }
}
