//! Typed texts: codes, recovery codes, names, durations.

use qrtotp_account::{Label, Name, RecoveryCode, ScratchCode};
use qrtotp_otp::Code;
use qrtotp_values::{ConfigDuration, Date};

pub(crate) fn check(data: &[u8]) {
    let code = parse(data);
    assert_eq!(code, by_the_book(data), "what is a code");
    if let Some(digits) = &code {
        assert_eq!(parse(digits.as_bytes()).as_ref(), Some(digits));
        assert!(RecoveryCode::parse(data).is_none(), "a code of an app is no recovery code");
    }
    letters::<16>(data);
    letters::<8>(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(duration) = text.parse::<ConfigDuration>() {
        assert!((1..=366 * 86_400).contains(&duration.as_seconds()));
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    if let Ok(date) = text.parse::<Date>() {
        assert_eq!(date.to_string(), text);
    }
    if let Ok(name) = Name::new(text) {
        let file = name.file_name();
        assert!(file.is_ascii() && !file.contains('/') && !file.starts_with('.') && !file.is_empty());
        assert_eq!(Name::from_file_name(&file), Some(name));
    }
    if let Some(name) = Name::from_file_name(text) {
        assert_eq!(name.file_name(), text, "two file names for one account");
    }
    let label = Label::new(text); // of 64 characters and the sign of a cut
    assert_eq!(Label::new(label.as_str()), label);
    assert!(label.as_str().chars().count() <= 65 && !label.as_str().contains(char::is_control));
}

fn parse(typed: &[u8]) -> Option<String> {
    let single: Vec<u8>;
    let typed = if crate::planted() {
        // Planted: two dashes count as one.
        single = String::from_utf8_lossy(typed).replace("--", "-").into();
        &single
    } else {
        typed
    };
    Code::parse(typed).map(|code| code.as_str().to_owned())
}

/// Reference: 6 to 8 digits, with single spaces or dashes between them, and white space around.
fn by_the_book(typed: &[u8]) -> Option<String> {
    let typed = std::str::from_utf8(typed).ok()?;
    let groups: Vec<&str> = typed.trim_matches([' ', '\t', '\n', '\r', '\x0c']).split([' ', '-']).collect();
    let digits = groups.concat();
    let whole = groups.iter().all(|group| !group.is_empty());
    (whole && (6..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(digits)
}

/// Crockford's base 32: a code that was read displays as a text that reads as the same code.
fn letters<const LETTERS: usize>(typed: &[u8]) {
    let read = qrtotp_account::RecoveryCode::parse(typed).map(|code| code.display().to_string());
    let short = ScratchCode::parse(typed).map(|code| code.display().to_string());
    let shown = if LETTERS == 16 { read } else { short };
    let kept = typed.iter().filter(|byte| !b" -\t\r\n".contains(byte)).count();
    match shown {
        None => assert!(kept != LETTERS || !typed.iter().all(is_crockford), "a code is not taken"),
        Some(shown) => {
            assert!(kept == LETTERS && typed.iter().all(is_crockford), "no code is taken for one");
            let again = match LETTERS {
                16 => RecoveryCode::parse(shown.as_bytes()).map(|code| code.display().to_string()),
                _ => ScratchCode::parse(shown.as_bytes()).map(|code| code.display().to_string()),
            };
            assert_eq!(again, Some(shown));
        }
    }
}

fn is_crockford(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() && !b"uU".contains(byte) || b" -\t\r\n".contains(byte)
}
