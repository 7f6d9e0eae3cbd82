#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use qrtotp_otp::{Algorithm, Params};

const NOW: UnixTime = 1_790_000_010; // 2026-09-21

/// After the example of RFC 6030, section 4.
fn file(key: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<pskc:KeyContainer Version="1.0" xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc">
  <pskc:KeyPackage>
    <pskc:DeviceInfo><pskc:Manufacturer>Maker</pskc:Manufacturer><pskc:SerialNo>987654321</pskc:SerialNo></pskc:DeviceInfo>
    {key}
  </pskc:KeyPackage>
</pskc:KeyContainer>"#
    )
}

fn key() -> String {
    r#"<pskc:Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp">
      <pskc:Issuer>Issuer</pskc:Issuer>
      <pskc:AlgorithmParameters><pskc:Suite>HMAC-SHA256</pskc:Suite><pskc:ResponseFormat Length="8" Encoding="DECIMAL"/></pskc:AlgorithmParameters>
      <pskc:Data>
        <pskc:Secret><pskc:PlainValue>MTIzNDU2Nzg5MDEyMzQ1
           Njc4OTA=</pskc:PlainValue></pskc:Secret>
        <pskc:Time><pskc:PlainValue>0</pskc:PlainValue></pskc:Time>
        <pskc:TimeInterval><pskc:PlainValue>60</pskc:PlainValue></pskc:TimeInterval>
      </pskc:Data>
      <pskc:UserId>CN=alice,O=Corp</pskc:UserId>
    </pskc:Key>"#
        .to_owned()
}

#[test]
fn a_token_is_read_with_its_settings_and_its_user() {
    let entries = parse(file(&key()).as_bytes(), NOW, Strength::Normal).unwrap();
    let [entry] = entries.as_slice() else { unreachable!() };
    assert_eq!((entry.name.as_str(), entry.user.as_deref()), ("987654321", Some("alice")));
    let found = entry.found.as_ref().unwrap();
    assert_eq!(found.secret.as_bytes(), b"12345678901234567890");
    assert_eq!(found.params, Params::new(Algorithm::Sha256, 8, 60).unwrap());
    // Without a name space, and with a name alone.
    let plain =
        file(&key().replace("CN=alice,O=Corp", "bob")).replace("pskc:", "").replace("xmlns:pskc", "x");
    let entries = parse(plain.as_bytes(), NOW, Strength::Normal).unwrap();
    assert!(entries[0].user.as_deref() == Some("bob") && entries[0].found.is_ok(), "{entries:?}");
}

#[test]
fn what_can_not_be_taken_is_refused_by_what_it_is() {
    for (from, to, why) in [
        ("pskc:totp", "pskc:hotp", "HOTP"),
        ("pskc:totp", "pskc:pin", "not supported"),
        ("<pskc:PlainValue>MTIz", "<pskc:EncryptedValue/><pskc:PlainValue>MTIz", "encrypted"),
        ("MTIz", "!MTIz", "not base64"),
        (
            "MTIzNDU2Nzg5MDEyMzQ1\n           Njc4OTA=",
            "1f40fc92da241694750979ee6cf582f2d5d7d28e",
            "hexadecimal or base32",
        ),
        (
            "MTIzNDU2Nzg5MDEyMzQ1\n           Njc4OTA=",
            "D5APZEW2EQLJI5IJPHXGZ5MC6LK5PUUO",
            "hexadecimal or base32",
        ),
        ("DECIMAL", "HEXADECIMAL", "not decimal"),
        ("Length=\"8\"", "Length=\"x\"", "no number"),
        ("Length=\"8\"", "Length=\"8\" CheckDigits=\"true\"", "check digit"),
        (
            "</pskc:Data>",
            "</pskc:Data><pskc:Policy><pskc:PINPolicy PINUsageMode=\"Algorithmic\"/></pskc:Policy>",
            "a PIN",
        ),
        (">60<", ">5<", "5 s"),
        (">0<", ">100<", "1970"),
        ("HMAC-SHA256", "MD5", "MD5"),
        ("<pskc:PlainValue>60<", "<pskc:EncryptedValue/><pskc:PlainValue>60<", "encrypted"),
        ("<pskc:PlainValue>0</pskc:PlainValue>", "", "no number"),
        ("<pskc:Data>", "<pskc:Data/><pskc:Data>", "two Data"),
        ("<pskc:Secret>", "<pskc:Secret/><pskc:Secret>", "two Secret"),
        ("<pskc:UserId>", "<pskc:UserId>bob</pskc:UserId><pskc:UserId>", "two UserId"),
        ("<pskc:Key ", "<pskc:Key Algorithm=\"x:totp\"/><pskc:Key ", "two Key"),
        (
            "</pskc:Data>",
            "<pskc:TimeDrift><pskc:PlainValue>21</pskc:PlainValue></pskc:TimeDrift></pskc:Data>",
            "ten minutes",
        ),
        (
            "</pskc:Data>",
            "<pskc:TimeDrift><pskc:PlainValue>x</pskc:PlainValue></pskc:TimeDrift></pskc:Data>",
            "no number",
        ),
    ] {
        let text = file(&key().replacen(from, to, 1));
        let refusal =
            parse(text.as_bytes(), NOW, Strength::Normal).unwrap()[0].found.as_ref().unwrap_err().to_string();
        assert!(refusal.contains(why), "{to}: {refusal}");
    }
    for text in ["", "<a/>", "<KeyContainer/>", "<!DOCTYPE x [<!ENTITY e \"e\">]><KeyContainer/>"] {
        assert!(parse(text.as_bytes(), NOW, Strength::Normal).is_err(), "{text}");
    }
}

#[test]
fn an_older_draft_s_file_is_called_that() {
    let error =
        parse(b"<KeyContainer><Device><Key/></Device></KeyContainer>", NOW, Strength::Normal).unwrap_err();
    assert!(error.to_string().contains("no KeyPackage"), "{error}");
}

#[test]
fn a_tag_with_more_attributes_than_any_has_is_refused_before_it_takes_time() {
    let attributes: String = (0..300_000).map(|n| format!(" a{n}='>'")).collect();
    for many in [format!("<KeyContainer{attributes}/>"), file(&format!("<pskc:Key{attributes}/>"))] {
        let error = parse(many.as_bytes(), NOW, Strength::Normal).unwrap_err().to_string();
        assert!(error.contains("more than 100 attributes"), "{error}");
    }
    let comment = format!("<!-- {} -->", "=".repeat(200));
    assert!(parse(file(&format!("{comment}{}", key())).as_bytes(), NOW, Strength::Normal).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(cut in any::<prop::sample::Index>(), noise in ".{0,8}") {
        let mut text = file(&key());
        let at = cut.index(text.len());
        text.insert_str(at, &noise);
        let _ = parse(text.as_bytes(), NOW, Strength::AllowWeak);
    }
}

fn with_policy(policy: &str) -> Result<Foreign, Refusal> {
    let text =
        file(&key()).replace("</pskc:Key>", &format!("<pskc:Policy>{policy}</pskc:Policy></pskc:Key>"));
    parse(text.as_bytes(), NOW, Strength::Normal).unwrap().remove(0).found
}

#[test]
fn a_policy_that_can_not_be_kept_is_refused_and_a_last_day_is_told() {
    for (policy, why) in [
        ("<pskc:ExpiryDate>2026-09-20T00:00:00Z</pskc:ExpiryDate>", "is over"),
        ("<pskc:ExpiryDate>2006-05-31T00:00:00Z</pskc:ExpiryDate>", "is over"),
        ("<pskc:ExpiryDate>soon</pskc:ExpiryDate>", "no date"),
        ("<pskc:StartDate>2026-09-22T00:00:00Z</pskc:StartDate>", "in the future"),
        ("<pskc:PINPolicy PINUsageMode=\"Prepend\"/>", "a PIN"),
        ("<pskc:KeyUsage>CR</pskc:KeyUsage>", "KeyUsage"),
        ("<pskc:NumberOfTransactions>4</pskc:NumberOfTransactions>", "number of times"),
    ] {
        let refusal = with_policy(policy).unwrap_err().to_string();
        assert!(refusal.contains(why), "{policy}: {refusal}");
    }
    let fine = with_policy(
        "<pskc:StartDate>2006-05-01T00:00:00Z</pskc:StartDate><pskc:ExpiryDate>2030-01-31T00:00:00Z</pskc:ExpiryDate>\
         <pskc:PINPolicy MinLength=\"4\" PINUsageMode=\"Local\"/><pskc:KeyUsage>OTP</pskc:KeyUsage>",
    );
    assert!(fine.unwrap().notes[0].to_string().contains("2030-01-31"));
}

#[test]
fn a_clock_that_is_known_to_be_off_is_so_here() {
    for drift in [-10, 10] {
        let text = format!(
            "<pskc:TimeDrift><pskc:PlainValue>{drift}</pskc:PlainValue></pskc:TimeDrift></pskc:Data>"
        );
        let text = file(&key()).replace("</pskc:Data>", &text);
        let entries = parse(text.as_bytes(), NOW, Strength::Normal).unwrap();
        assert_eq!(entries[0].found.as_ref().unwrap().drift, drift);
    }
}
