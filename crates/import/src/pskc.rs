//! PSKC (RFC 6030), in which vendors deliver hardware tokens: XML, keys in base64. Encrypted keys are refused.

use crate::Foreign;
use crate::text;
use crate::{Entry, FileError, Refusal, Settings, bounded, device};
use base64ct::{Base64, Encoding};
use qrtotp_otp::Strength;
use roxmltree::{Document, Node};
use zeroize::Zeroizing;

/// Reads a file. Its label is the key's id or the device's serial number, its user is `UserId`, if it is no more than a name or has
/// a UID or CN.
///
/// # Errors
/// Not XML, or no PSKC.
pub fn parse(bytes: &[u8], strength: Strength) -> Result<Vec<Entry>, FileError> {
    // The error's own text may quote the file. Document types, and with them entities, are not read.
    let document = Document::parse(text(bytes)?)
        .map_err(|_| FileError::from("the file is not XML, or has a document type; PSKC has none"))?;
    if document.root_element().tag_name().name() != "KeyContainer" {
        return Err("this is no PSKC file: it has no KeyContainer".into());
    }
    let packages = document.root_element().children().filter(|node| node.tag_name().name() == "KeyPackage");
    let entries = packages.zip(1..).map(|(package, number)| entry(package, number, strength));
    bounded(entries.collect())
}

fn entry(package: Node<'_, '_>, number: u32, strength: Strength) -> Entry {
    let key = child(package, "Key");
    let serial =
        child(package, "DeviceInfo").and_then(|info| content(info, &["SerialNo"])).unwrap_or_default();
    let id = key.and_then(|key| key.attribute("Id")).unwrap_or_default();
    let name = if serial.is_empty() { id } else { serial.as_str() };
    let user = key
        .and_then(|key| content(key, &["UserId"]))
        .or_else(|| child(package, "DeviceInfo").and_then(|info| content(info, &["UserId"])));
    Entry {
        place: format!("entry {number}"),
        name: name.to_owned(),
        label: name.to_owned(),
        user: user.and_then(|user| user_of(&user)),
        found: key.ok_or(Refusal::Form("there is no Key")).and_then(|key| found(key, strength)),
    }
}

fn found(key: Node<'_, '_>, strength: Strength) -> Result<Foreign, Refusal> {
    let algorithm = key.attribute("Algorithm").unwrap_or_default().to_ascii_lowercase();
    let kind = match algorithm.rsplit([':', '#', '/']).next().unwrap_or_default() {
        "totp" => "totp",
        "hotp" => return Err(Refusal::Counter),
        _ => return Err(Refusal::Kind),
    };
    let data = child(key, "Data").ok_or(Refusal::Form("there is no Data"))?;
    let secret = child(data, "Secret").ok_or(Refusal::Form("there is no Secret"))?;
    if child(secret, "EncryptedValue").is_some() {
        return Err(Refusal::Form(
            "the key is encrypted: have the file delivered or exported without encryption",
        ));
    }
    let format = child(key, "AlgorithmParameters").and_then(|parameters| child(parameters, "ResponseFormat"));
    let encoding = format.and_then(|format| format.attribute("Encoding")).unwrap_or("DECIMAL");
    if !encoding.eq_ignore_ascii_case("DECIMAL") {
        return Err(Refusal::Form("its codes are not decimal"));
    }
    if format
        .and_then(|format| format.attribute("CheckDigits"))
        .is_some_and(|set| set != "false" && set != "0")
    {
        return Err(Refusal::Form("its codes have a check digit"));
    }
    let pin = child(key, "Policy").and_then(|policy| child(policy, "PINPolicy"));
    if pin.and_then(|pin| pin.attribute("PINUsageMode")) == Some("Algorithmic") {
        return Err(Refusal::Form("its codes depend on a PIN"));
    }
    let number = |text: Option<&str>| text.map(str::parse).transpose();
    let inside = |path: &[&str]| content(data, path);
    let wrong = |_| Refusal::Form("digits, a time or a period that are no number");
    // Seconds at which the steps begin to count.
    if number(inside(&["Time", "PlainValue"]).as_deref().map(String::as_str)).map_err(wrong)?.unwrap_or(0_u64)
        != 0
    {
        return Err(Refusal::Form("its steps do not begin in 1970"));
    }
    let suite = content(key, &["AlgorithmParameters", "Suite"]).unwrap_or_default();
    let settings = Settings {
        kind,
        algorithm: suite.as_str(),
        digits: number(format.and_then(|format| format.attribute("Length"))).map_err(wrong)?,
        period: number(inside(&["TimeInterval", "PlainValue"]).as_deref().map(String::as_str))
            .map_err(wrong)?,
    };
    let value = content(secret, &["PlainValue"]).ok_or(Refusal::Form("there is no key"))?;
    let plain: String = value.split_ascii_whitespace().collect();
    let bytes = Base64::decode_vec(&Zeroizing::new(plain));
    let bytes = bytes.map(Zeroizing::new).map_err(|_| Refusal::Form("a key that is not base64"))?;
    device(&bytes, Vec::new(), &settings, strength)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The text at the end of a path.
fn content(node: Node<'_, '_>, path: &[&str]) -> Option<Zeroizing<String>> {
    let end = path.iter().try_fold(node, |node, name| child(node, name))?;
    // A comment in it makes it several texts.
    let texts: Vec<&str> = end.children().filter(Node::is_text).filter_map(|text| text.text()).collect();
    let whole = Zeroizing::new(texts.concat());
    (!texts.is_empty()).then(|| Zeroizing::new(whole.trim().to_owned()))
}

/// `UserId` is a distinguished name (RFC 4514), or in practice often a name alone.
fn user_of(id: &str) -> Option<String> {
    let part = |name: &str| {
        id.split(',').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let name = if id.contains('=') { part("UID").or_else(|| part("CN"))? } else { id };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use qrtotp_otp::{Algorithm, Params};

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
        let entries = parse(file(&key()).as_bytes(), Strength::Normal).unwrap();
        let [entry] = entries.as_slice() else { unreachable!() };
        assert_eq!((entry.name.as_str(), entry.user.as_deref()), ("987654321", Some("alice")));
        let found = entry.found.as_ref().unwrap();
        assert_eq!(found.secret.as_bytes(), b"12345678901234567890");
        assert_eq!(found.params, Params::new(Algorithm::Sha256, 8, 60).unwrap());
        // Without a name space, and with a name alone.
        let plain =
            file(&key().replace("CN=alice,O=Corp", "bob")).replace("pskc:", "").replace("xmlns:pskc", "x");
        let entries = parse(plain.as_bytes(), Strength::Normal).unwrap();
        assert!(entries[0].user.as_deref() == Some("bob") && entries[0].found.is_ok(), "{entries:?}");
    }

    #[test]
    fn what_can_not_be_taken_is_refused_by_what_it_is() {
        for (from, to, why) in [
            ("pskc:totp", "pskc:hotp", "HOTP"),
            ("pskc:totp", "pskc:pin", "not supported"),
            ("<pskc:PlainValue>MTIz", "<pskc:EncryptedValue/><pskc:PlainValue>MTIz", "encrypted"),
            ("MTIz", "!MTIz", "not base64"),
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
        ] {
            let text = file(&key().replacen(from, to, 1));
            let refusal =
                parse(text.as_bytes(), Strength::Normal).unwrap()[0].found.as_ref().unwrap_err().to_string();
            assert!(refusal.contains(why), "{to}: {refusal}");
        }
        for text in ["", "<a/>", "<KeyContainer/>", "<!DOCTYPE x [<!ENTITY e \"e\">]><KeyContainer/>"] {
            assert!(parse(text.as_bytes(), Strength::Normal).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(cut in any::<prop::sample::Index>(), noise in ".{0,8}") {
            let mut text = file(&key());
            let at = cut.index(text.len());
            text.insert_str(at, &noise);
            let _ = parse(text.as_bytes(), Strength::AllowWeak);
        }
    }
}
