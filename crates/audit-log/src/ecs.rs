//! Events in the Elastic Common Schema, version 8.

use crate::event::{Entry, Event, Writer};
use crate::schema::{MALFORMED, shown};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

const ANOMALY: &str = "anomaly";

/// Our keys, and the ECS fields that have their values.
const FIELDS: [(&str, [&str; 2]); 9] = [
    ("reason", ["event", "reason"]),
    ("severity", ["log", "level"]),
    ("user", ["user", "name"]),
    ("service", ["service", "name"]),
    ("rhost", ["source", "address"]),
    ("rule", ["rule", "name"]),
    ("policy", ["rule", "ruleset"]),
    ("chain", ["event", "hash"]),
    ("credential", ["device", "id"]),
];

/// Our keys without a field of ECS, and the id that searches begin with: labels.
const LABELS: [&str; 19] = [
    "credential",
    "tty",
    "token",
    "place",
    "with",
    "key",
    "was",
    "failures",
    "wait",
    "left",
    "keys",
    "count",
    "record",
    "root",
    "prev",
    "detail",
    "audience",
    "host",
    "attempt",
];

/// An entry as an ECS document.
#[must_use]
pub fn ecs(entry: &Entry) -> Value {
    let event = shown(&entry.event);
    let kind = event.get("event").unwrap_or_default();
    // "An alert or notable event, triggered by a detection rule".
    let is_alert = entry.is_forged() || kind == ANOMALY;
    let mut document = json!({
        "ecs": { "version": "8.11.0" },
        "event": {
            "kind": if is_alert { "alert" } else { "event" },
            "module": "qrtotp",
            "dataset": "qrtotp.audit",
            "action": kind,
            "category": [category(kind)],
            "type": [type_of(kind)],
            "outcome": outcome(&event),
            "original": event.line,
        },
        "message": event.line,
    });
    let when = entry.when();
    if when != 0 {
        put(&mut document, &["@timestamp"], Value::from(crate::time::rfc3339_of(when)));
    }
    let mut copy = |key: &str, path: &[&str]| {
        if let Some(value) = event.get(key) {
            put(&mut document, path, Value::from(value));
        }
    };
    for (key, path) in &FIELDS {
        copy(key, path);
    }
    copy("service", &["process", "name"]);
    copy("by", &["user", "effective", "name"]);
    copy("label", &["device", "model", "name"]);
    for key in LABELS {
        copy(key, &["labels", &format!("qrtotp_{key}")]);
    }
    if let Some(seq) = event.seq() {
        put(&mut document, &["event", "sequence"], Value::from(seq));
    }
    if let Some(address) = event.get("rhost").and_then(|host| host.parse::<IpAddr>().ok()) {
        put(&mut document, &["source", "ip"], Value::from(address.to_string()));
        put(&mut document, &["related", "ip"], json!([address.to_string()]));
    }
    if !entry.host.is_empty() {
        put(&mut document, &["host", "name"], Value::from(entry.host.as_str()));
    }
    if let Writer::User(uid) = entry.writer {
        put(&mut document, &["labels", "qrtotp_written_by_uid"], Value::from(uid.to_string()));
    }
    if entry.is_unproven() {
        put(&mut document, &["labels", "qrtotp_proven"], Value::from("false"));
    }
    if kind == MALFORMED {
        put(&mut document, &["labels", "qrtotp_malformed"], Value::from("true"));
    }
    let related: Vec<&str> = ["user", "by"].iter().filter_map(|key| event.get(key)).collect();
    if !related.is_empty() {
        put(&mut document, &["related", "user"], json!(related));
    }
    document
}

/// Sets a value in an object of objects.
pub(crate) fn put(document: &mut Value, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut object = document;
    for key in parents {
        let Value::Object(map) = object else { return };
        object = map.entry(*key).or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(map) = object {
        map.insert((*last).to_owned(), value);
    }
}

fn category(kind: &str) -> &'static str {
    match kind {
        "login" | "device_proof" | "password_tried" | "throttle_engaged" | "throttle_lifted"
        | "recovery_used" => "authentication",
        "policy_applied" | "policy_confirmed" | "policy_rolled_back" | "configuration_refused" => {
            "configuration"
        }
        ANOMALY | MALFORMED => "intrusion_detection",
        _ => "iam",
    }
}

fn type_of(kind: &str) -> &'static str {
    match kind {
        "login" | "device_proof" | "password_tried" => "start",
        "credential_revoked" | "token_revoked" | "account_removed" | "record_removed" | "record_gone" => {
            "deletion"
        }
        "enrollment_confirmed"
        | "credential_imported"
        | "key_registered"
        | "token_issued"
        | "record_made" => "creation",
        _ if category(kind) == "iam" => "change",
        _ => "info",
    }
}

fn outcome(event: &Event) -> &'static str {
    match event.get("result") {
        Some("accepted") => "success",
        Some("denied") => "failure",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::from_syslog;

    #[test]
    fn a_denied_login_is_an_authentication_that_failed() {
        let line = "2026-11-29T10:00:00Z web1 sshd[1]: pam_qrtotp(sshd:auth): event=login result=denied reason=wrong_code \
                    user=alice service=sshd rhost=2001:db8::7 tty=ssh failures=2";
        let document = ecs(&from_syslog(line).unwrap());
        assert_eq!(document["@timestamp"], "2026-11-29T10:00:00.000000Z");
        assert_eq!(document["event"]["category"], json!(["authentication"]));
        assert_eq!(
            (&document["event"]["outcome"], &document["event"]["type"][0]),
            (&json!("failure"), &json!("start"))
        );
        assert_eq!(
            (&document["source"]["ip"], &document["user"]["name"]),
            (&json!("2001:db8::7"), &json!("alice"))
        );
        assert_eq!(
            (&document["related"]["ip"], &document["process"]["name"]),
            (&json!(["2001:db8::7"]), &json!("sshd"))
        );
        assert_eq!(
            (&document["labels"]["qrtotp_failures"], &document["host"]["name"]),
            (&json!("2"), &json!("web1"))
        );
    }

    #[test]
    fn an_anomaly_is_an_alert_with_a_level() {
        let line = "- h sshd: pam_qrtotp(sshd:auth): event=anomaly severity=notice reason=new-place user=alice rhost=192.0.2.7";
        let document = ecs(&from_syslog(line).unwrap());
        let event = &document["event"];
        assert_eq!((&event["kind"], &event["reason"]), (&json!("alert"), &json!("new-place")));
        assert_eq!(event["category"], json!(["intrusion_detection"]));
        assert_eq!(
            (&document["log"]["level"], &document["source"]["ip"]),
            (&json!("notice"), &json!("192.0.2.7"))
        );
    }

    /// ECS 8, "Categorization fields": a category's expected types.
    fn types(category: &str) -> &'static [&'static str] {
        match category {
            "authentication" => &["start", "end", "info"],
            "configuration" => &["access", "change", "creation", "deletion", "info"],
            "iam" => &["admin", "change", "creation", "deletion", "group", "info", "user"],
            "intrusion_detection" => &["allowed", "denied", "info"],
            _ => &[],
        }
    }

    #[test]
    fn each_event_of_the_schema_has_a_type_that_ecs_expects_in_its_category_and_labels_are_words() {
        let schema: Value = serde_json::from_str(include_str!("../../../docs/audit.schema.json")).unwrap();
        let events = schema["properties"]["event"]["enum"].as_array().unwrap();
        for (kind, result) in events.iter().flat_map(|kind| {
            let kind = kind.as_str().unwrap();
            ["", " result=accepted", " result=denied", " result=ignored"].map(|result| (kind, result))
        }) {
            let line = format!("- h qrtotp: event={kind}{result} user=alice by=root failures=2 left=3");
            let document = ecs(&from_syslog(&line).unwrap());
            let event = &document["event"];
            let (category, of) = (event["category"][0].as_str().unwrap(), event["type"][0].as_str().unwrap());
            assert!(types(category).contains(&of), "{kind}{result}: {category} {of}");
            let outcome = event["outcome"].as_str().unwrap();
            assert!(["success", "failure", "unknown"].contains(&outcome), "{kind}{result}: {outcome}");
            assert!(document["labels"].as_object().unwrap().values().all(Value::is_string), "{document}");
        }
    }
}
