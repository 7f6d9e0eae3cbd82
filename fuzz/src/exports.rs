//! Exports of authenticator apps and seed files of hardware tokens.

use qrtotp_import::{
    Entry, FileError, MAX_ENTRIES, parse_csv, parse_json, parse_migration, parse_pskc, parse_uris,
};
use qrtotp_otp::{Params, Secret, Strength};

type Parse = fn(&[u8], Strength) -> Result<Vec<Entry>, FileError>;

pub(crate) fn json(data: &[u8]) {
    check(data, parse_json);
}

pub(crate) fn csv(data: &[u8]) {
    check(data, parse_csv);
}

pub(crate) fn pskc(data: &[u8]) {
    // 2026-09-21: some tokens have expired by then.
    check(data, |file, strength| parse_pskc(file, 1_790_000_010, strength));
}

pub(crate) fn uris(data: &[u8]) {
    check(data, parse_uris);
}

/// The first byte says whether the rest is a file, or a message, to which we add the base64 that would hide
/// it from the fuzzer.
pub(crate) fn migration(data: &[u8]) {
    match data.split_first() {
        Some((b'm', message)) => {
            let uri = format!("otpauth-migration://offline?data={}", base64(message));
            check(uri.as_bytes(), parse_migration);
        }
        Some((_, file)) => check(file, parse_migration),
        None => {}
    }
}

fn check(file: &[u8], parse: Parse) {
    let entries = match (parse(file, Strength::AllowWeak), parse(file, Strength::Normal)) {
        (Ok(weak), Ok(normal)) => {
            assert_eq!(weak.len(), normal.len());
            for (weak, normal) in weak.iter().zip(&normal) {
                match (&weak.found, &normal.found) {
                    (Ok(weak), Ok(normal)) => {
                        assert!(weak.secret == normal.secret && weak.params == normal.params)
                    }
                    (Ok(_), Err(refusal)) => {
                        assert!(refusal.is_weak(), "refused, but not as weak: {refusal}")
                    }
                    (Err(weak), normal) => assert!(normal.is_err(), "only its strong form is taken: {weak}"),
                }
            }
            weak
        }
        (Err(weak), Err(normal)) => {
            assert_eq!(weak, normal);
            return quotes_nothing(file, &weak.to_string());
        }
        (weak, normal) => panic!("a file is one for weak keys alone: {weak:?}, {normal:?}"),
    };
    assert!((1..=MAX_ENTRIES).contains(&entries.len()));
    for entry in &entries {
        match &entry.found {
            Err(refusal) => quotes_nothing(file, &refusal.to_string()),
            Ok(found) => {
                let bytes = found.secret.as_bytes();
                assert!((Secret::WEAK_MIN_BITS as usize / 8..=Secret::MAX_BYTES).contains(&bytes.len()));
                assert!(found.used.is_none() && found.scratch.is_none());
                assert!(
                    i64::from(found.drift).abs() * i64::from(found.params.period()) <= 600,
                    "{}",
                    found.drift
                );
                let params = if crate::planted() && found.params.digits() == 8 {
                    Params::default()
                } else {
                    found.params
                };
                let (algorithm, digits, period) = (params.algorithm(), params.digits(), params.period());
                // In base32, a key without G to Z would be read as hexadecimal.
                let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let row = format!("secret,algorithm,digits,period\n{key},{algorithm},{digits},{period}\n");
                let again = parse_csv(row.as_bytes(), Strength::AllowWeak)
                    .expect("what it says, written anew")
                    .remove(0);
                let again = again.found.expect("what it says, written anew, is refused");
                assert!(again.secret == found.secret && again.params == found.params, "read differently");
            }
        }
    }
}

/// No message holds a long word of the file, which may be a key.
fn quotes_nothing(file: &[u8], message: &str) {
    assert!(!message.contains(char::is_control), "{message:?}");
    let words = file.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| word.len() >= 16);
    for word in words.filter_map(|word| std::str::from_utf8(word).ok()) {
        assert!(!message.contains(word), "{message}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..=chunk.len() {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}
