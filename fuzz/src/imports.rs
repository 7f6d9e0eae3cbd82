//! Files of google-authenticator and pam_oath.

use qrtotp_account::ScratchCode;
use qrtotp_import::{Foreign, LineError, parse_google, parse_oath};
use qrtotp_otp::{Algorithm, Secret, Strength, Window, base32_encode};
use std::fmt::Write;

const NOW: i64 = 1_790_000_010;

pub(crate) fn check(data: &[u8]) {
    let Some((kind, file)) = data.split_first() else { return };
    if kind % 2 == 0 { google(file) } else { oath(file) }
}

fn read(file: &[u8]) -> Result<Foreign, LineError> {
    let mut found = parse_google(file, NOW, Strength::AllowWeak)?;
    if crate::planted() && found.params.period() == 15 {
        found.scratch.as_mut().map(Vec::pop);
    }
    Ok(found)
}

fn google(file: &[u8]) {
    let lines = file.split(|byte| *byte == b'\n');
    match read(file) {
        Err(error) => {
            assert!((1..=lines.count()).contains(&error.line), "{error}");
            assert!(!error.to_string().contains(char::is_control));
        }
        Ok(found) => {
            sound(&found);
            let says = |word: &[u8]| {
                let option =
                    |line: &[u8]| line.strip_prefix(b"\" ").map(|rest| rest.trim_ascii().starts_with(word));
                lines.clone().any(|line| option(line) == Some(true))
            };
            assert!(says(b"TOTP_AUTH") && !says(b"HOTP_COUNTER"), "not what it says it is");
            let digits = |line: &&[u8]| {
                line.trim_ascii().len() == 8
                    && line.iter().all(|b| b.is_ascii_digit() || b.is_ascii_whitespace())
            };
            let scratch =
                lines.clone().filter(|line| !line.trim_ascii().is_empty()).skip(1).filter(digits).count();
            assert!(codes(&found).len() >= scratch.min(32), "a scratch code is lost");
            let again = read(written(&found).as_bytes()).expect("what it says, written anew, is refused");
            assert!(same(&again, &found), "read differently when written anew");
        }
    }
}

fn codes(found: &Foreign) -> &[ScratchCode] {
    found.scratch.as_deref().unwrap_or_default()
}

fn sound(found: &Foreign) {
    assert_eq!(found.params.algorithm(), Algorithm::Sha1);
    assert!(
        (Secret::WEAK_MIN_BITS as usize / 8..=Secret::MAX_BYTES).contains(&found.secret.as_bytes().len())
    );
    assert!(codes(found).len() <= 32 && found.drift.unsigned_abs() <= 1500);
    if let Some((back, ahead)) = found.window {
        assert!(back + ahead < 100);
        let own = Window::own(back, ahead);
        assert_eq!((u32::from(own.back), u32::from(own.ahead)), (back.min(3), ahead.min(3)));
    }
    // A watermark in the future locks the owner out until then.
    let most = found.params.step_at(NOW + 600).saturating_add(60);
    assert!(found.used.is_none_or(|step| step <= most), "{:?}", found.used);
}

fn written(found: &Foreign) -> String {
    let mut text = base32_encode(found.secret.as_bytes());
    let _ = write!(
        text,
        "\n\" STEP_SIZE {}\n\" TIME_SKEW {}\n\" TOTP_AUTH\n",
        found.params.period(),
        found.drift
    );
    if let Some((back, ahead)) = found.window {
        let _ = writeln!(text, "\" WINDOW_SIZE {}", back + ahead + 1);
    }
    if let Some(step) = found.used {
        let _ = writeln!(text, "\" DISALLOW_REUSE {step}");
    }
    for code in codes(found) {
        let _ = writeln!(text, "{}", code.display().replace('-', ""));
    }
    text
}

fn same(a: &Foreign, b: &Foreign) -> bool {
    let scratch =
        codes(a).len() == codes(b).len() && codes(a).iter().zip(codes(b)).all(|(a, b)| a.is_same(b));
    scratch
        && (&a.secret, a.params, a.used, a.drift, a.window)
            == (&b.secret, b.params, b.used, b.drift, b.window)
}

fn oath(file: &[u8]) {
    let mut last = 0;
    let end = if file.contains(&b'\n') { b'\n' } else { b'\r' };
    for line in parse_oath(file, NOW, Strength::AllowWeak) {
        assert!(line.number > last, "lines out of order");
        last = line.number;
        let bytes = &file[line.range.clone()];
        assert!(!bytes.contains(&end) && !bytes.trim_ascii().is_empty());
        assert_eq!(file[..line.range.start].iter().filter(|byte| **byte == end).count() + 1, line.number);
        match line.found {
            Err(error) => assert_eq!(error.line, line.number),
            Ok(found) => {
                sound(&found);
                let user = line.user.expect("somebody's");
                let plain = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
                assert!(!user.is_empty() && plain.trim_ascii().starts_with(b"HOTP/T"));
                let hex: String = found.secret.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let (period, digits) = (found.params.period(), found.params.digits());
                let again = format!("HOTP/T{period}/{digits} {user} - {hex}");
                let again = parse_oath(again.as_bytes(), NOW, Strength::AllowWeak).remove(0);
                let again = again.found.expect("what it says, written anew, is refused");
                assert!((&again.secret, again.params) == (&found.secret, found.params));
            }
        }
    }
}
