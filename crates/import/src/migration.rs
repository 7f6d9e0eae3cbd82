//! Google Authenticator's export: `otpauth-migration://offline?data=…`, a QR code for every ten keys or so.
//! The data is a Protocol Buffers message in base64.

use crate::protobuf::{Value, fields};
use crate::text;
use crate::{Entry, FileError, Refusal, Settings, account_of, bounded, device, full_name};
use base64ct::{Base64Unpadded, Encoding};
use qrtotp_otp::{Strength, percent_decode};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORM: &str =
    "this is no export of Google Authenticator, or a part of it is missing: scan its QR code again";

/// Reads all parts of an export, one a line.
///
/// # Errors
/// A line that is no such part, or a part that is missing.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    let mut entries = Vec::new();
    let mut batches: Vec<(u64, u64, BTreeMap<u64, usize>)> = Vec::new();
    let text = text(bytes)?;
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || FileError(format!("line {number}: {FORM}"));
        if line.to_ascii_lowercase().contains("otpauth://") {
            return Err(FileError(format!(
                "line {number}: this is a key URI: give it to `qrtotp import uri`"
            )));
        }
        let message = message(line).ok_or_else(wrong)?;
        let (mut size, mut index, mut id) = (1, 0, 0);
        for (field, value) in fields(&message).ok_or_else(wrong)? {
            match (field, value) {
                (1, Value::Bytes(parameters)) => {
                    let place = format!("line {number}, entry {}", entries.len() + 1);
                    entries.push(entry(place, parameters, strength).ok_or_else(wrong)?);
                }
                (3, Value::Number(value)) => size = value,
                (4, Value::Number(value)) => index = value,
                (5, Value::Number(value)) => id = value,
                _ => {}
            }
        }
        if index >= size {
            return Err(wrong());
        }
        let known = batches.iter().position(|(known, ..)| *known == id).unwrap_or(batches.len());
        if known == batches.len() {
            batches.push((id, size, BTreeMap::new()));
        }
        let batch = batches.get_mut(known).filter(|(_, expected, _)| *expected == size);
        let (_, _, seen) = batch.ok_or_else(wrong)?;
        if let Some(before) = seen.insert(index, number) {
            return Err(FileError(format!(
                "line {number} is the same QR code of an export as line {before}: give each once"
            )));
        }
    }
    for (_, size, seen) in &batches {
        let have = seen.len() as u64;
        if have < *size {
            return Err(FileError(format!(
                "the export has {size} QR codes, and {have} are here: give them all, each on a line of its own"
            )));
        }
    }
    bounded(entries)
}

/// The message of a URI.
fn message(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let start = line.to_ascii_lowercase().find("otpauth-migration://")?;
    let (_, query) = line.get(start..)?.split_once('?')?;
    let data = query.split('&').find_map(|pair| pair.strip_prefix("data="))?;
    let data = percent_decode(data);
    // A blank is a `+` that somebody decoded once too often, `-` and `_` are of the alphabet for URLs.
    let plain: Zeroizing<String> = Zeroizing::new(
        data.trim_matches(|c: char| "\"' \r=".contains(c))
            .chars()
            .map(|c| match c {
                ' ' | '-' => '+',
                '_' => '/',
                c => c,
            })
            .collect(),
    );
    Base64Unpadded::decode_vec(&plain).ok().map(Zeroizing::new)
}

/// One `OtpParameters`.
fn entry(place: String, message: &[u8], strength: Strength) -> Option<Entry> {
    let (mut secret, mut name, mut issuer) = (&[][..], String::new(), String::new());
    let (mut algorithm, mut digits, mut kind) = (0, 0, 0);
    for (field, value) in fields(message)? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => secret = bytes,
            (2, Value::Bytes(bytes)) => name = String::from_utf8_lossy(bytes).into_owned(),
            (3, Value::Bytes(bytes)) => issuer = String::from_utf8_lossy(bytes).into_owned(),
            (4, Value::Number(value)) => algorithm = value,
            (5, Value::Number(value)) => digits = value,
            (6, Value::Number(value)) => kind = value,
            _ => {}
        }
    }
    let found = (|| {
        let settings = Settings {
            kind: match kind {
                0 | 2 => "totp",
                1 => "hotp",
                _ => return Err(Refusal::Kind),
            },
            algorithm: match algorithm {
                0 | 1 => "SHA1",
                2 => "SHA256",
                3 => "SHA512",
                4 => "MD5",
                _ => return Err(Refusal::Form("an algorithm that is not known")),
            },
            digits: match digits {
                0 | 1 => None,
                2 => Some(8),
                _ => return Err(Refusal::Form("a number of digits that is not known")),
            },
            period: None,
        };
        device(secret, Vec::new(), &settings, strength)
    })();
    let label = account_of(&issuer, &name).to_owned();
    Some(Entry { place, name: full_name(&issuer, &label), label, user: None, found })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64ct::Base64;
    use proptest::prelude::*;
    use qrtotp_otp::{Algorithm, Params};

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn key(name: &str, issuer: &str, numbers: [u8; 3]) -> Vec<u8> {
        let [algorithm, digits, kind] = numbers;
        let of = [field(1, b"12345678901234567890"), field(2, name.as_bytes()), field(3, issuer.as_bytes())]
            .concat();
        field(1, &[of, vec![4 << 3, algorithm, 5 << 3, digits, 6 << 3, kind]].concat())
    }

    fn uri(content: &[Vec<u8>], size: u8, index: u8) -> String {
        let batch = vec![2 << 3, 1, 3 << 3, size, 4 << 3, index, 5 << 3, 7];
        let data = Base64::encode_string(&[content.concat(), batch].concat());
        format!(
            "otpauth-migration://offline?data={}\n",
            data.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        )
    }

    #[test]
    fn every_key_of_an_export_is_read_with_its_settings() {
        let all = uri(
            &[
                key("Corp:alice@x", "Corp", [1, 1, 2]),
                key("bob", "", [2, 2, 2]),
                key("carol", "I", [1, 1, 1]),
                key("dave", "I", [4, 1, 2]),
            ],
            1,
            0,
        );
        for text in [all.clone(), format!("QR-Code:{all}"), all.replace("%2B", " ").replace("%3D", "")] {
            let entries = parse(text.as_bytes(), Strength::Normal).unwrap();
            let names: Vec<_> =
                entries.iter().map(|entry| (entry.name.as_str(), entry.label.as_str())).collect();
            assert_eq!(
                names,
                [("Corp:alice@x", "alice@x"), ("bob", "bob"), ("I:carol", "carol"), ("I:dave", "dave")]
            );
            let [alice, bob, carol, dave] = entries.as_slice() else { unreachable!() };
            assert_eq!(alice.found.as_ref().unwrap().params, Params::default());
            assert_eq!(alice.found.as_ref().unwrap().secret.as_bytes(), b"12345678901234567890");
            assert_eq!(bob.found.as_ref().unwrap().params, Params::new(Algorithm::Sha256, 8, 30).unwrap());
            assert_eq!(*carol.found.as_ref().unwrap_err(), Refusal::Counter);
            assert!(matches!(dave.found, Err(Refusal::Params(_))));
        }
    }

    #[test]
    fn an_export_of_which_a_part_is_missing_is_refused() {
        let (first, second) = (uri(&[key("a", "", [1, 1, 2])], 2, 0), uri(&[key("b", "", [1, 1, 2])], 2, 1));
        let error = parse(first.as_bytes(), Strength::Normal).unwrap_err().to_string();
        assert!(error.contains("2 QR codes, and 1 are here"), "{error}");
        for (twice, why) in [
            (format!("{first}{first}"), "line 2 is the same QR code of an export as line 1"),
            (format!("{first}{second}\n{first}"), "line 4 is the same QR code of an export as line 1"),
            (uri(&[key("a", "", [1, 1, 2])], 2, 2), "line 1: this is no export"),
            (uri(&[key("a", "", [1, 1, 2])], 0, 0), "line 1: this is no export"),
            (
                "otpauth://totp/a?secret=A\n".to_owned(),
                "line 1: this is a key URI: give it to `qrtotp import uri`",
            ),
            (format!("{first}{}", uri(&[key("b", "", [1, 1, 2])], 3, 1)), "line 2: this is no export"),
        ] {
            let error = parse(twice.as_bytes(), Strength::Normal).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        assert_eq!(parse(format!("{second}\n{first}").as_bytes(), Strength::Normal).unwrap().len(), 2);
        for bad in [
            "",
            "otpauth://totp/a?secret=A",
            "otpauth-migration://offline?data=Ch",
            "otpauth-migration://offline",
        ] {
            assert!(parse(bad.as_bytes(), Strength::Normal).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = format!("otpauth-migration://offline?data={}", Base64Unpadded::encode_string(&bytes));
            let _ = parse(text.as_bytes(), Strength::AllowWeak);
        }
    }
}
