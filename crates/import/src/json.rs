//! Exports of apps as JSON, in the clear: Aegis, 2FAS, andOTP, FreeOTP+. The reader detects the format.

use crate::Foreign;
use crate::text;
use crate::{
    Entry, FileError, Refusal, Settings, account_of, bounded, device, device_of_text, full_name, is_steam,
};
use qrtotp_otp::Strength;
use serde_json::Value;
use zeroize::Zeroizing;

/// Reads one item of an app's list.
type Reader = fn(&Value, Strength) -> Result<Read<'_>, Refusal>;

const ENCRYPTED: &str = "the export is encrypted: export without a password";
const UNKNOWN: &str = "this is no export of Aegis, 2FAS, andOTP or FreeOTP+ as JSON";

/// Reads a file.
///
/// # Errors
/// Not JSON, encrypted, or no export that is known.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    // The error's own text may quote the file.
    let file: Value =
        serde_json::from_str(&text(bytes)?).map_err(|_| FileError::from("the file is not JSON"))?;
    if file["db"].is_string() || file["servicesEncrypted"].is_string() || file["encryptedData"].is_string() {
        return Err(ENCRYPTED.into());
    }
    let (list, read): (&Value, Reader) = if file.is_array() {
        (&file, and_otp)
    } else if file["db"]["entries"].is_array() {
        (&file["db"]["entries"], aegis)
    } else if file["services"].is_array() {
        (&file["services"], two_fas)
    } else if file["tokens"].is_array() {
        (&file["tokens"], free_otp_plus)
    } else {
        return Err(UNKNOWN.into());
    };
    let entries = list.as_array().into_iter().flatten().zip(1..).map(|(item, number)| {
        let place = format!("entry {number}");
        match read(item, strength) {
            Ok(Read { issuer, label, found }) => {
                let found = if is_steam(issuer) { Err(Refusal::Kind) } else { found };
                let label = account_of(issuer, label).to_owned();
                Entry { place, name: full_name(issuer, &label), label, user: None, found }
            }
            Err(refusal) => {
                let (name, label) = (String::new(), String::new());
                Entry { place, name, label, user: None, found: Err(refusal) }
            }
        }
    });
    bounded(entries.collect())
}

/// The content of one item.
struct Read<'a> {
    issuer: &'a str,
    label: &'a str,
    found: Result<Foreign, Refusal>,
}

/// A text; empty if there is none.
fn string<'a>(item: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    match &item[name] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text),
        _ => Err(Refusal::Form("a value that is no text where its name, type, algorithm or key should be")),
    }
}

/// A number, which some apps write as a text.
fn number(item: &Value, name: &str) -> Result<Option<u64>, Refusal> {
    match &item[name] {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_| ()),
        value => value.as_u64().map(Some).ok_or(()),
    }
    .map_err(|()| Refusal::Form("digits or a period that are no number"))
}

/// `settings` are the item's texts for kind and algorithm, `of` is where key, digits and period are.
fn with_text(
    of: &Value,
    kind: &str,
    algorithm: &str,
    key: &str,
    strength: Strength,
) -> Result<Foreign, Refusal> {
    if key.trim().is_empty() {
        return Err(Refusal::Form("there is no key"));
    }
    let settings = Settings { kind, algorithm, digits: number(of, "digits")?, period: number(of, "period")? };
    device_of_text(key, &settings, strength)
}

fn aegis(item: &Value, strength: Strength) -> Result<Read<'_>, Refusal> {
    let (info, kind) = (&item["info"], string(item, "type")?);
    let found = if kind.is_empty() {
        Err(Refusal::Form("there is no type"))
    } else {
        with_text(info, kind, string(info, "algo")?, string(info, "secret")?, strength)
    };
    Ok(Read { issuer: string(item, "issuer")?, label: string(item, "name")?, found })
}

fn two_fas(item: &Value, strength: Strength) -> Result<Read<'_>, Refusal> {
    let otp = &item["otp"];
    let (kind, algorithm) = (string(otp, "tokenType")?, string(otp, "algorithm")?);
    let found = with_text(otp, kind, algorithm, string(item, "secret")?, strength);
    let issuer = first(string(otp, "issuer")?, string(item, "name")?);
    Ok(Read { issuer, label: first(string(otp, "account")?, string(otp, "label")?), found })
}

fn and_otp(item: &Value, strength: Strength) -> Result<Read<'_>, Refusal> {
    let (kind, algorithm) = (string(item, "type")?, string(item, "algorithm")?);
    let found = if kind.is_empty() {
        // Another app's list, such as Raivo's. The names of its settings are unknown, so we can't tell
        // whether skipping one is safe.
        Err(Refusal::Form("no entry of andOTP: it has no `type`; export key URIs (otpauth://) instead"))
    } else {
        with_text(item, kind, algorithm, string(item, "secret")?, strength)
    };
    Ok(Read { issuer: string(item, "issuer")?, label: string(item, "label")?, found })
}

/// Its keys are lists of signed bytes.
fn free_otp_plus(item: &Value, strength: Strength) -> Result<Read<'_>, Refusal> {
    let byte = |value: &Value| match value.as_i64() {
        Some(number @ -128..=255) => Some(number.to_le_bytes()[0]),
        _ => None,
    };
    let list = item["secret"].as_array();
    let key: Option<Vec<u8>> = list.and_then(|list| list.iter().map(byte).collect());
    let key = key.map(Zeroizing::new).ok_or(Refusal::Form("a key that is no list of bytes"))?;
    let settings = Settings {
        kind: string(item, "type")?,
        algorithm: string(item, "algo")?,
        digits: number(item, "digits")?,
        period: number(item, "period")?,
    };
    let issuer = first(string(item, "issuerExt")?, string(item, "issuerInt")?);
    Ok(Read { issuer, label: string(item, "label")?, found: device(&key, Vec::new(), &settings, strength) })
}

/// The first of two texts that is not empty.
fn first<'a>(one: &'a str, other: &'a str) -> &'a str {
    if one.is_empty() { other } else { one }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use qrtotp_otp::{Algorithm, Params};

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    /// The same two entries as four apps write them.
    fn exports() -> [(&'static str, String); 4] {
        let bytes: Vec<String> = b"12345678901234567890".iter().map(u8::to_string).collect();
        let bytes = bytes.join(",");
        [
            (
                "Aegis",
                format!(
                    r#"{{"version":1,"header":{{"slots":null,"params":null}},"db":{{"version":3,"entries":[
                    {{"type":"totp","name":"alice","issuer":"Corp","info":{{"secret":"{KEY}","algo":"SHA256","digits":8,"period":60}}}},
                    {{"type":"hotp","name":"bob","issuer":"","info":{{"secret":"{KEY}","algo":"SHA1","digits":6,"counter":3}}}}]}}}}"#
                ),
            ),
            (
                "2FAS",
                format!(
                    r#"{{"schemaVersion":4,"services":[
                    {{"name":"Corp","secret":"{KEY}","otp":{{"account":"alice","issuer":"Corp","digits":8,"period":60,"algorithm":"SHA256","tokenType":"TOTP"}}}},
                    {{"name":"","secret":"{KEY}","otp":{{"label":"bob","digits":6,"tokenType":"HOTP","counter":1}}}}],"groups":[]}}"#
                ),
            ),
            (
                "andOTP",
                format!(
                    r#"[{{"secret":"{KEY}","issuer":"Corp","label":"alice","digits":8,"type":"TOTP","algorithm":"SHA256","thumbnail":"Default","period":60}},
                    {{"secret":"{KEY}","issuer":"","label":"bob","digits":6,"type":"HOTP","algorithm":"SHA1","counter":1}}]"#
                ),
            ),
            (
                "FreeOTP+",
                format!(
                    r#"{{"tokenOrder":["Corp:alice","bob"],"tokens":[
                    {{"algo":"SHA256","counter":0,"digits":8,"issuerExt":"Corp","issuerInt":"Corp","label":"alice","period":60,"secret":[{bytes}],"type":"TOTP"}},
                    {{"algo":"SHA1","counter":3,"digits":6,"label":"bob","period":30,"secret":[-1,{bytes}],"type":"HOTP"}}]}}"#
                ),
            ),
        ]
    }

    #[test]
    fn a_list_of_another_app_is_not_andotps() {
        let raivo = format!(
            r#"[{{"issuer":"Corp","account":"a","secret":"{KEY}","digits":"6","kind":"TOTP","timer":"60"}}]"#
        );
        assert!(parse(raivo.as_bytes(), Strength::Normal).unwrap()[0].found.is_err());
        let without_type = exports()[0].1.replacen("\"type\":\"totp\",", "", 1);
        let entries = parse(without_type.as_bytes(), Strength::Normal).unwrap();
        assert_eq!(*entries[0].found.as_ref().unwrap_err(), Refusal::Form("there is no type"));
    }

    #[test]
    fn every_app_s_export_is_known_by_its_form() {
        for (app, text) in exports() {
            let entries = parse(text.as_bytes(), Strength::Normal).unwrap();
            let names: Vec<_> =
                entries.iter().map(|e| (e.place.as_str(), e.name.as_str(), e.label.as_str())).collect();
            assert_eq!(names, [("entry 1", "Corp:alice", "alice"), ("entry 2", "bob", "bob")], "{app}");
            let found = entries[0].found.as_ref().unwrap();
            assert_eq!(found.params, Params::new(Algorithm::Sha256, 8, 60).unwrap(), "{app}");
            assert_eq!(found.secret.as_bytes(), b"12345678901234567890", "{app}");
            assert_eq!(*entries[1].found.as_ref().unwrap_err(), Refusal::Counter, "{app}");
        }
    }

    #[test]
    fn steam_s_keys_are_refused_by_their_issuer_too() {
        for (app, text) in exports() {
            let entries = parse(text.replace("\"Corp\"", "\"Steam\"").as_bytes(), Strength::Normal).unwrap();
            assert_eq!(*entries[0].found.as_ref().unwrap_err(), Refusal::Kind, "{app}");
        }
    }

    #[test]
    fn other_kinds_and_bad_values_are_refused_by_what_they_are() {
        for (from, to, why) in [
            ("\"TOTP\"", "\"STEAM\"", "not supported"),
            ("\"SHA256\"", "\"MD5\"", "MD5"),
            ("\"digits\":8", "\"digits\":10", "10 digits"),
            ("\"digits\":8", "\"digits\":\"x\"", "no number"),
            ("\"period\":60", "\"period\":-1", "no number"),
            ("\"period\":60", "\"period\":5", "5 s"),
            (KEY, "GEZDGNBVGY3TQOJ9", "character 16"),
            (KEY, "", "no key"),
            ("\"SHA256\"", "256", "no text"),
            ("\"SHA256\"", "[\"SHA256\"]", "no text"),
            ("\"TOTP\"", "2", "no text"),
            ("\"TOTP\"", "null", "no `type`"),
            ("\"alice\"", "{\"x\":1}", "no text"),
            ("\"digits\":8", "\"digits\":8.5", "no number"),
            ("\"digits\":8", "\"digits\":true", "no number"),
            ("\"period\":60", "\"period\":[60]", "no number"),
            (KEY, "GEZDGNBVGY3TQOJQ", "80 bits"),
        ] {
            let text = exports()[2].1.replacen(from, to, 1);
            let entries = parse(text.as_bytes(), Strength::Normal).unwrap();
            let refusal = entries[0].found.as_ref().unwrap_err().to_string();
            assert!(refusal.contains(why), "{to}: {refusal}");
        }
    }

    #[test]
    fn what_is_encrypted_or_something_else_is_said_to_be_that() {
        for (text, why) in [
            (r#"{"version":1,"header":{},"db":"c2VjcmV0"}"#, ENCRYPTED),
            (r#"{"services":[],"servicesEncrypted":"x:y:z"}"#, ENCRYPTED),
            (r#"{"version":1,"kdfParams":{},"encryptedData":"x"}"#, ENCRYPTED),
            (r#"{"items":[]}"#, UNKNOWN),
            ("3", UNKNOWN),
            ("[]", "there is no key in the file"),
            ("{", "the file is not JSON"),
            ("", "the file is not JSON"),
        ] {
            assert_eq!(parse(text.as_bytes(), Strength::Normal).unwrap_err().to_string(), why, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(app in 0_usize..4, cut in any::<prop::sample::Index>(), noise in ".{0,8}") {
            let mut text = exports()[app].1.clone();
            let at = (0..=cut.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            text.insert_str(at, &noise);
            let _ = parse(text.as_bytes(), Strength::AllowWeak);
        }
    }
}
