//! Our own JSON, and the schema of docs/audit.schema.json, by which a line is one of ours or not. Anyone can
//! write lines that begin as ours do.

use crate::event::{Entry, Event, parse_link};
use crate::time::rfc3339_of;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::LazyLock;

/// The published schema.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/audit.schema.json")).unwrap_or_default()
});

/// Properties that the reader adds. No line has such a key.
const ADDED: [&str; 11] = [
    "version",
    "time",
    "login_host",
    "country",
    "as_number",
    "as_organization",
    "source",
    "forged",
    "proven",
    "malformed",
    "line",
];

/// The name that an event without values has in other schemas.
pub(crate) const MALFORMED: &str = "malformed";

/// An entry as an object of docs/audit.schema.json.
#[must_use]
pub fn plain(entry: &Entry) -> Map<String, Value> {
    let event = &entry.event;
    let is_ours = is_well_formed(event);
    let mut object = if is_ours { event.to_json() } else { Map::new() };
    let mut add = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if !is_ours {
        add(MALFORMED, true.into());
        add("line", event.line.as_str().into());
    }
    // A verifier's line: the host that asked it.
    if let Some(host) = event.get("host").filter(|_| is_ours) {
        add("login_host", host.into());
    }
    add("version", 1.into());
    add("host", entry.host.as_str().into());
    add("source", if entry.journal { "journal" } else { "file" }.into());
    let received = if entry.time == 0 { entry.stamp } else { entry.time };
    if received != 0 {
        add("time", rfc3339_of(received).into());
    }
    if entry.is_forged() {
        add("forged", true.into());
    }
    if entry.is_unproven() {
        add("proven", false.into());
    }
    object
}

/// Whether there are events of this kind.
#[must_use]
pub fn is_kind(kind: &str) -> bool {
    is_of(&SCHEMA["properties"]["event"], &kind.into())
}

/// The event, for other schemas: one without values if its line has not the form of ours.
pub(crate) fn shown(event: &Event) -> Cow<'_, Event> {
    match is_well_formed(event) {
        true => Cow::Borrowed(event),
        false => Cow::Owned(event.without_values(MALFORMED)),
    }
}

/// Whether the line has the form of one of ours, as the schema describes it.
fn is_well_formed(event: &Event) -> bool {
    let object = event.to_json();
    let fits = |(key, value): (&String, &Value)| {
        !ADDED.contains(&key.as_str()) && SCHEMA["properties"].get(key).is_some_and(|of| is_of(of, value))
    };
    let has_those = |key: &str| {
        let others = SCHEMA["dependentRequired"].get(key).and_then(Value::as_array);
        others.into_iter().flatten().filter_map(Value::as_str).all(|other| object.contains_key(other))
    };
    !event.has_extra_keys && object.iter().all(fits) && object.keys().all(|key| has_those(key))
}

/// Whether the schema of a property allows the value.
fn is_of(property: &Value, value: &Value) -> bool {
    let bound = |key: &str| property.get(key).and_then(Value::as_i64);
    if let Some(Value::Array(allowed)) = property.get("enum") {
        return allowed.contains(value);
    }
    match (property["type"].as_str(), value) {
        (Some("integer"), Value::Number(number)) => number.as_i64().is_some_and(|number| {
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
        }),
        (Some("string"), Value::String(text)) => {
            property["pattern"].as_str().is_none_or(|pattern| matches(pattern, text) == Some(true))
        }
        _ => false,
    }
}

/// Whether the text matches. `None` for a pattern that the schema does not have.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let is_id = |prefix: &str| {
        let id = text.strip_prefix(prefix).unwrap_or_default().as_bytes();
        id.len() == 6
            && id.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() && !b"ILOU".contains(c))
    };
    Some(match pattern {
        "^[a-z_-]+$" => {
            !text.is_empty() && text.bytes().all(|c| c.is_ascii_lowercase() || matches!(c, b'_' | b'-'))
        }
        "^[0-9a-f]{40}$" => parse_link(text).is_some(),
        "^SHA256:[A-Za-z0-9+/]{43}$" => text.strip_prefix("SHA256:").is_some_and(|hash| {
            let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
            hash.len() == 43 && hash.bytes().all(base64)
        }),
        "^c-[0-9A-HJKMNP-TV-Z]{6}$" => is_id("c-"),
        "^t-[0-9A-HJKMNP-TV-Z]{6}$" => is_id("t-"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::{Writer, from_syslog};
    use serde_json::json;

    const LINE: &str = "event=login result=accepted reason=code user=alice service=sshd credential=c-7F3K2M label=x \
                        policy=7 rule=office with=publickey seq=4 at=1795878245 \
                        chain=3f786850e387550fdab836ed7e6dc881de23001b";

    fn object(line: &str) -> Map<String, Value> {
        plain(
            &from_syslog(&format!("2026-11-29T10:00:00Z h sshd[1]: pam_qrtotp(sshd:auth): {line}")).unwrap(),
        )
    }

    #[test]
    fn each_pattern_of_the_schema_is_known() {
        let properties = SCHEMA["properties"].as_object().unwrap();
        assert!(properties.len() > 30 && ADDED.iter().all(|key| properties.contains_key(*key)));
        for pattern in properties.values().filter_map(|property| property["pattern"].as_str()) {
            assert!(matches(pattern, "").is_some(), "{pattern}");
        }
    }

    #[test]
    fn a_line_of_ours_has_its_keys_and_one_that_can_not_be_ours_only_its_text() {
        let ours = object(LINE);
        assert_eq!((&ours["seq"], &ours["user"], ours.get(MALFORMED)), (&json!(4), &json!("alice"), None));
        for (from, to) in [
            ("seq=4", "seq=99999999999999999999"),
            ("seq=4", "seq=-4"),
            ("at=1795878245", "at=abc"),
            ("at=1795878245", "at=-5"),
            ("at=1795878245", "at=999999999999999"),
            ("seq=4 at=1795878245 ", ""),
            ("policy=7", "policy="),
            ("reason=code", "reason=two words"),
            ("reason=code", "reason=\"\""),
            ("event=login", "event=logged_in"),
            ("result=accepted", "result=maybe"),
            ("credential=c-7F3K2M", "credential=c-7F3K2I"),
            ("credential=c-7F3K2M ", ""),
            ("rule=office", "rule=office version=2"),
            ("rule=office", "rule=office forged=true"),
            ("rule=office", "rule=office because=me"),
            ("user=alice", "user=alice user=root"),
        ] {
            let Some(entry) = from_syslog(&format!("- h qrtotp: {}", LINE.replace(from, to))) else {
                continue;
            };
            let keys: Vec<String> = plain(&entry).keys().cloned().collect();
            assert_eq!(keys, ["host", "line", MALFORMED, "source", "version"], "{to}");
        }
    }

    #[test]
    fn of_a_key_that_comes_twice_the_first_value_holds() {
        let event = Event::parse(&format!("{LINE} user=mallory")).unwrap();
        assert_eq!((event.has_extra_keys, &event.to_json()["user"]), (true, &json!("alice")));
        assert!(!Event::parse(LINE).unwrap().has_extra_keys);
    }

    #[test]
    fn no_key_of_a_line_replaces_what_the_reader_says() {
        let entry = from_syslog("- h qrtotp: event=login host=login1 user=alice").unwrap();
        let object = plain(&Entry { writer: Writer::User(7), ..entry });
        assert_eq!((&object["host"], &object["login_host"]), (&json!("h"), &json!("login1")));
        assert_eq!((&object["forged"], &object["source"]), (&json!(true), &json!("file")));
    }
}
