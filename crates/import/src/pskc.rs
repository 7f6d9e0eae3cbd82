//! PSKC (RFC 6030), in which vendors deliver hardware tokens: XML, keys in base64. Encrypted keys are
//! refused.

use crate::text;
use crate::{Entry, FileError, Refusal, Settings, bounded, device};
use crate::{Foreign, Note};
use base64ct::{Base64, Encoding};
use qrtotp_otp::{MAX_CLOCK_OFFSET, Strength};
use qrtotp_values::Date;
use qrtotp_values::UnixTime;
use roxmltree::{Document, Node};
use zeroize::Zeroizing;

const WRONG_NUMBER: Refusal = Refusal::Form("digits, a time, a period or a drift that are no number");

/// Reads a file. Its label is the key's id or the device's serial number, its user is `UserId`, if it is no
/// more than a name or has a UID or CN. A key that has expired by `now` is refused.
///
/// # Errors
/// Not XML, or no PSKC.
pub fn parse(bytes: &[u8], now: UnixTime, strength: Strength) -> Result<Vec<Entry>, FileError> {
    let text = &*text(bytes)?;
    // The parser compares each attribute of a tag with all others.
    let is_comment = |tag: &str| tag.starts_with('!');
    if text.split('<').any(|tag| !is_comment(tag) && tag.bytes().filter(|byte| *byte == b'=').count() > 100) {
        return Err("a tag has more than 100 attributes, so this is no PSKC file: give another".into());
    }
    // The error's own text may quote the file. Document types, and with them entities, are not read.
    let document = Document::parse(text)
        .map_err(|_| FileError::from("the file is not XML, or has a document type; PSKC has none"))?;
    if document.root_element().tag_name().name() != "KeyContainer" {
        return Err("this is no PSKC file: it has no KeyContainer".into());
    }
    if named(document.root_element(), "KeyPackage").next().is_none() {
        return Err(
            "it has no KeyPackage, as in drafts before RFC 6030: have it exported as RFC 6030 says".into()
        );
    }
    let packages = named(document.root_element(), "KeyPackage");
    let entries = packages.zip(1..).map(|(package, number)| entry(package, number, now, strength));
    bounded(entries.collect())
}

fn entry(package: Node<'_, '_>, number: u32, now: UnixTime, strength: Strength) -> Entry {
    let (mut name, mut user) = (String::new(), None);
    let found = (|| {
        let key = child(package, "Key")?.ok_or(Refusal::Form("there is no Key"))?;
        let info = child(package, "DeviceInfo")?;
        let of_info = |name| info.map_or(Ok(None), |info| content(info, &[name]));
        key.attribute("Id").unwrap_or_default().clone_into(&mut name);
        if let Some(serial) = of_info("SerialNo")?.filter(|serial| !serial.is_empty()) {
            name.clone_from(&serial);
        }
        let id = content(key, &["UserId"])?.map_or_else(|| of_info("UserId"), |id| Ok(Some(id)))?;
        user = id.and_then(|id| user_of(&id));
        found(key, now, strength)
    })();
    Entry { place: format!("entry {number}"), label: name.clone(), name, user, found }
}

fn found(key: Node<'_, '_>, now: UnixTime, strength: Strength) -> Result<Foreign, Refusal> {
    let algorithm = key.attribute("Algorithm").unwrap_or_default().to_ascii_lowercase();
    let kind = match algorithm.rsplit([':', '#', '/']).next().unwrap_or_default() {
        "totp" => "totp",
        "hotp" => return Err(Refusal::Counter),
        _ => return Err(Refusal::Kind),
    };
    let data = child(key, "Data")?.ok_or(Refusal::Form("there is no Data"))?;
    let secret = child(data, "Secret")?.ok_or(Refusal::Form("there is no Secret"))?;
    let format = child(key, "AlgorithmParameters")?.map_or(Ok(None), |of| child(of, "ResponseFormat"))?;
    let format = |name| format.and_then(|format| format.attribute(name));
    if !format("Encoding").unwrap_or("DECIMAL").eq_ignore_ascii_case("DECIMAL") {
        return Err(Refusal::Form("its codes are not decimal"));
    }
    if format("CheckDigits").is_some_and(|set| set != "false" && set != "0") {
        return Err(Refusal::Form("its codes have a check digit"));
    }
    let expires = child(key, "Policy")?.map_or(Ok(None), |policy| allowed(policy, now))?;
    let length = format("Length").map(|text| text.parse().map_err(|_| WRONG_NUMBER)).transpose()?;
    // Seconds at which the steps begin to count.
    if value::<u64>(data, "Time")?.unwrap_or(0) != 0 {
        return Err(Refusal::Form("its steps do not begin in 1970"));
    }
    let suite = content(key, &["AlgorithmParameters", "Suite"])?.unwrap_or_default();
    let settings =
        Settings { kind, algorithm: suite.as_str(), digits: length, period: value(data, "TimeInterval")? };
    let text = plain(secret)?.ok_or(Refusal::Form("there is no key"))?;
    let text: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    // Base64 would read them as another key; no base64 of that length is made of those characters alone.
    let base32 = text.trim_end_matches('=').bytes().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
    if text.len() >= 20 && (base32 || text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(Refusal::Form("a key in hexadecimal or base32: PSKC has base64, have it exported anew"));
    }
    let bytes = Base64::decode_vec(&text);
    let bytes = bytes.map(Zeroizing::new).map_err(|_| Refusal::Form("a key that is not base64"))?;
    let found = device(&bytes, expires.map(Note::Expires).into_iter().collect(), &settings, strength)?;
    // Steps by which its clock is ahead, as the last server knew it.
    let drift: i32 = value(data, "TimeDrift")?.unwrap_or(0);
    if (i64::from(drift) * i64::from(found.params.period())).abs() > MAX_CLOCK_OFFSET {
        return Err(Refusal::Form(
            "its TimeDrift is more than ten minutes; set its clock right, and take that out",
        ));
    }
    Ok(Foreign { drift, ..found })
}

/// Whether the key may be used at `now` without what we don't ask for, and its last day.
fn allowed(policy: Node<'_, '_>, now: UnixTime) -> Result<Option<Date>, Refusal> {
    let pin = child(policy, "PINPolicy")?.and_then(|pin| pin.attribute("PINUsageMode"));
    if pin.is_some_and(|mode| mode != "Local") {
        return Err(Refusal::Form(
            "its codes come with a PIN or depend on one, which this system does not ask for",
        ));
    }
    if child(policy, "NumberOfTransactions")?.is_some() {
        return Err(Refusal::Form(
            "it may be used a limited number of times, which this system does not count",
        ));
    }
    let usages: Vec<_> = named(policy, "KeyUsage").filter_map(|usage| usage.text()).collect();
    if !usages.is_empty() && !usages.iter().any(|usage| usage.trim() == "OTP") {
        return Err(Refusal::Form("its Policy does not allow one-time passwords (KeyUsage)"));
    }
    let day = |name| {
        let text = content(policy, &[name])?;
        let day = text.map(|text| text.get(..10).unwrap_or_default().parse::<Date>());
        day.transpose().map_err(|_| Refusal::Form("a StartDate or ExpiryDate that is no date"))
    };
    if day("StartDate")?.is_some_and(|day| day.first_second() > now) {
        return Err(Refusal::Form("its StartDate is in the future"));
    }
    let last = day("ExpiryDate")?;
    if last.is_some_and(|day| day.first_second() <= now) {
        return Err(Refusal::Form("its ExpiryDate is over; enrol another device"));
    }
    Ok(last)
}

fn named<'a, 'i>(node: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The only child of that name: of two, nobody can tell which one holds.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Result<Option<Node<'a, 'i>>, Refusal> {
    let mut children = named(node, name);
    match (children.next(), children.next()) {
        (_, Some(_)) => Err(Refusal::Twice(name)),
        (first, None) => Ok(first),
    }
}

/// The text at the end of a path.
fn content(node: Node<'_, '_>, path: &[&'static str]) -> Result<Option<Zeroizing<String>>, Refusal> {
    let mut end = node;
    for name in path {
        let Some(next) = child(end, name)? else { return Ok(None) };
        end = next;
    }
    // A comment in it makes it several texts.
    let texts: Vec<&str> = end.children().filter(Node::is_text).filter_map(|text| text.text()).collect();
    let whole = Zeroizing::new(texts.concat());
    Ok((!texts.is_empty()).then(|| Zeroizing::new(whole.trim().to_owned())))
}

/// The value of an element of `Data`.
fn plain(node: Node<'_, '_>) -> Result<Option<Zeroizing<String>>, Refusal> {
    match child(node, "EncryptedValue")? {
        Some(_) => {
            let why = "the key is encrypted: have the file delivered or exported without encryption";
            Err(Refusal::Form(why))
        }
        None => content(node, &["PlainValue"]),
    }
}

/// A number of `Data`.
fn value<T: std::str::FromStr>(data: Node<'_, '_>, name: &'static str) -> Result<Option<T>, Refusal> {
    let Some(node) = child(data, name)? else { return Ok(None) };
    let text = plain(node)?.ok_or(WRONG_NUMBER)?;
    text.parse().map(Some).map_err(|_| WRONG_NUMBER)
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
#[path = "pskc_tests.rs"]
mod tests;
