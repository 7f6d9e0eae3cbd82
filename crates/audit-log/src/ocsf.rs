//! Events in the Open Cybersecurity Schema Framework, version 1.5.

use crate::ecs::put;
use crate::event::{Entry, Event, Writer};
use crate::schema::{MALFORMED, shown};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The schema's version, and what it says that we use of its profiles.
const VERSION: &str = "1.5.0";
const PROFILES: [&str; 2] = ["host", "security_control"];

/// The schema's number for what its enumerations do not have.
const OTHER: u32 = 99;

/// Our keys that the document has elsewhere; the others are in `unmapped`.
const MAPPED: [&str; 15] = [
    "event", "result", "reason", "detail", "severity", "user", "by", "service", "rhost", "policy", "rule",
    "key", "seq", "at", "chain",
];

/// A class of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// An event of no other class.
    Base = 0,
    DetectionFinding = 2004,
    AccountChange = 3001,
    Authentication = 3002,
}

impl Class {
    fn of(event: &Event) -> Self {
        match event.get("event") {
            Some("login" | "device_proof" | "password_tried") if event.get("user").is_some() => {
                Self::Authentication
            }
            Some("anomaly") => Self::DetectionFinding,
            _ if event.get("user").is_some() => Self::AccountChange,
            _ => Self::Base,
        }
    }

    /// The number of what happened, among those of the class.
    fn activity(self, kind: &str, reason: &str) -> u32 {
        match (self, kind) {
            (Self::Authentication, "login") | (Self::DetectionFinding, _) => 1,
            (Self::AccountChange, "account_imported") => 1,
            (Self::AccountChange, "account_removed") => 6,
            (Self::AccountChange, "throttle_engaged") if reason.ends_with("disabled") => 9,
            (Self::AccountChange, "enrollment_confirmed" | "credential_imported" | "key_registered") => 10,
            (Self::AccountChange, "credential_revoked") => 11,
            (Self::AccountChange, "throttle_lifted") => 12,
            _ => OTHER,
        }
    }
}

/// An entry as an OCSF event. `time` is 0 if the log does not say when it was.
#[must_use]
pub fn ocsf(entry: &Entry) -> Value {
    let event = &*shown(&entry.event);
    let kind = event.get("event").unwrap_or_default();
    let class = Class::of(event);
    let (class_uid, activity) = (class as u32, class.activity(kind, event.get("reason").unwrap_or_default()));
    let is_alert = entry.is_forged() || class == Class::DetectionFinding;
    let mut document = json!({
        "metadata": {
            "version": VERSION,
            "profiles": PROFILES,
            "product": { "name": "pam_qrtotp", "vendor_name": "pam_qrtotp" },
            "log_name": "authpriv",
            "event_code": kind,
        },
        "category_uid": class_uid / 1000,
        "class_uid": class_uid,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
        "time": entry.when().div_euclid(1000),
        "severity_id": severity(entry, event),
        "is_alert": is_alert,
        "message": event.line,
        "raw_data": event.line,
    });
    let mut set = |path: &[&str], value: Value| put(&mut document, path, value);
    if activity == OTHER {
        set(&["activity_name"], kind.into());
        set(&["type_name"], kind.into());
    }
    if let Some(seq) = event.seq() {
        set(&["metadata", "sequence"], seq.into());
    }
    let copies: [(&str, &[&str]); 7] = [
        ("chain", &["metadata", "uid"]),
        ("reason", &["status_code"]),
        ("reason", &["status_detail"]),
        ("detail", &["status_detail"]),
        ("by", &["actor", "user", "name"]),
        ("policy", &["policy", "uid"]),
        ("rule", &["policy", "name"]),
    ];
    for (key, path) in copies {
        if let Some(value) = event.get(key) {
            set(path, value.into());
        }
    }
    if let Some((id, status, action)) = status(event) {
        set(&["status_id"], id.into());
        set(&["status"], status.into());
        set(&["action_id"], action.into());
    }
    if !entry.host.is_empty() {
        set(&["device"], json!({ "name": entry.host, "type_id": 0 }));
    }
    of_class(class, event, &mut set);
    let unmapped = unmapped(entry, event, class);
    if !unmapped.is_empty() {
        set(&["unmapped"], Value::Object(unmapped));
    }
    document
}

/// What only events of this class have.
fn of_class(class: Class, event: &Event, set: &mut impl FnMut(&[&str], Value)) {
    let user = || {
        let mut user = json!({ "name": event.get("user") });
        if let Some(credential) = event.get("credential") {
            put(&mut user, &["credential_uid"], credential.into());
        }
        user
    };
    match class {
        Class::Base => {}
        Class::DetectionFinding => {
            let title = event.get("reason").or(event.get("rule")).or(event.get("event"));
            let id = event.get("chain").unwrap_or(&event.line);
            set(&["finding_info"], json!({ "uid": id, "title": title }));
            let mut evidence = Map::new();
            evidence.extend(event.get("user").map(|_| ("user".to_owned(), user())));
            evidence.extend(source(event).map(|source| ("src_endpoint".to_owned(), source)));
            if !evidence.is_empty() {
                set(&["evidences"], json!([evidence]));
            }
        }
        Class::AccountChange | Class::Authentication => {
            set(&["user"], user());
            if let Some(source) = source(event) {
                set(&["src_endpoint"], source);
            }
        }
    }
    if class == Class::Authentication {
        set(&["service", "name"], event.get("service").unwrap_or("?").into());
        set(&["is_remote"], event.get("rhost").is_some().into());
        let factors = factors(event);
        if !factors.is_empty() {
            set(&["auth_factors"], Value::Array(factors));
        }
        match (event.get("result"), event.get("reason")) {
            (Some("accepted"), reason) => set(&["is_mfa"], (reason != Some("remembered")).into()),
            (Some("ignored"), _) => set(&["is_mfa"], false.into()),
            _ => {}
        }
    }
}

/// `status_id` and `status`, and `action_id` of the profile `security_control`.
fn status(event: &Event) -> Option<(u32, &'static str, u32)> {
    match event.get("result")? {
        "accepted" => Some((1, "Success", 1)),
        "denied" => Some((2, "Failure", 2)),
        "ignored" => Some((OTHER, "ignored", 3)),
        _ => None,
    }
}

fn severity(entry: &Entry, event: &Event) -> u32 {
    match (event.get("severity"), event.get("result")) {
        _ if entry.is_forged() => 4,
        (Some("alert"), _) => 4,
        (Some("warning"), _) => 3,
        (Some("notice"), _) | (None, Some("denied")) => 2,
        _ => 1,
    }
}

fn source(event: &Event) -> Option<Value> {
    let host = event.get("rhost")?;
    Some(match host.parse::<IpAddr>() {
        Ok(address) => json!({ "ip": address.to_string() }),
        Err(_) => json!({ "name": host }),
    })
}

/// The factors that are known to be proven or that were given.
fn factors(event: &Event) -> Vec<Value> {
    let mut factors = Vec::new();
    if event.get("with") == Some("password") {
        factors.push(json!({ "factor_type_id": 11 }));
    }
    match (event.get("with"), event.get("key")) {
        (_, Some(key)) => {
            let device = json!({ "uid": key, "type_id": 0 });
            factors.push(json!({ "factor_type_id": OTHER, "factor_type": "ssh key", "device": device }));
        }
        (Some("publickey"), None) => {
            factors.push(json!({ "factor_type_id": OTHER, "factor_type": "ssh key" }));
        }
        _ => {}
    }
    match event.get("reason") {
        Some("recovery_code" | "offline_code") => {
            factors.push(json!({ "factor_type_id": OTHER, "factor_type": "recovery code" }));
        }
        reason => {
            if let Some(credential) = event.get("credential") {
                let is_key = reason == Some("hardware_key");
                let mut device = json!({ "uid": credential, "type_id": 0 });
                if let Some(label) = event.get("label") {
                    put(&mut device, &["name"], label.into());
                }
                let kind = if is_key { 9 } else { 7 };
                factors.push(json!({ "factor_type_id": kind, "is_totp": !is_key, "device": device }));
            }
        }
    }
    factors
}

fn unmapped(entry: &Entry, event: &Event, class: Class) -> Map<String, Value> {
    let mut rest = event.to_json();
    if event.get("event") == Some(MALFORMED) {
        rest.insert(MALFORMED.into(), true.into());
    }
    rest.retain(|key, _| {
        let is_elsewhere = match key.as_str() {
            "service" => class == Class::Authentication,
            "rhost" => class != Class::Base,
            key => MAPPED.contains(&key),
        };
        !is_elsewhere
    });
    if let Writer::User(uid) = entry.writer {
        rest.insert("written_by_uid".into(), uid.into());
    }
    if entry.is_unproven() {
        rest.insert("proven".into(), false.into());
    }
    rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::event::from_syslog;

    fn document(event: &str) -> Value {
        let line = format!("2026-11-29T10:00:00Z web1 sshd[1]: pam_qrtotp(sshd:auth): {event}");
        ocsf(&from_syslog(&line).unwrap())
    }

    #[test]
    fn an_accepted_login_is_an_authentication_with_its_factors_and_its_source() {
        let (chain, key) = ("0".repeat(40), format!("SHA256:{}", "K".repeat(43)));
        let document = document(&format!(
            "event=login result=accepted reason=code user=alice service=sshd rhost=2001:db8::7 tty=ssh credential=c-7F3K2M \
             label=\"my phone\" policy=7 rule=office place=new with=publickey key={key} seq=4 at=1795878245 chain={chain}"
        ));
        let numbers = ["category_uid", "class_uid", "activity_id", "type_uid", "status_id", "severity_id"]
            .map(|key| document[key].as_u64().unwrap());
        assert_eq!(numbers, [3, 3002, 1, 300_201, 1, 1]);
        assert_eq!(document["time"], 1_795_878_245_000_u64);
        assert_eq!((&document["is_mfa"], &document["is_remote"]), (&json!(true), &json!(true)));
        assert_eq!(document["user"], json!({ "name": "alice", "credential_uid": "c-7F3K2M" }));
        assert_eq!(document["src_endpoint"], json!({ "ip": "2001:db8::7" }));
        assert_eq!(document["policy"], json!({ "uid": "7", "name": "office" }));
        let [first, code] = &document["auth_factors"].as_array().unwrap()[..] else { panic!("{document}") };
        assert_eq!((&first["factor_type"], &first["device"]["uid"]), (&json!("ssh key"), &json!(key)));
        assert_eq!((&code["factor_type_id"], &code["device"]["name"]), (&json!(7), &json!("my phone")));
        assert_eq!(
            (&document["metadata"]["sequence"], &document["metadata"]["uid"]),
            (&json!(4), &json!(chain))
        );
        assert_eq!(
            (&document["unmapped"]["tty"], &document["unmapped"]["place"]),
            (&json!("ssh"), &json!("new"))
        );
    }

    #[test]
    fn changes_of_an_account_and_anomalies_and_events_of_the_host_have_classes_of_their_own() {
        for (event, class, activity) in [
            ("event=login result=denied reason=wrong_code user=alice", 3002, 1),
            ("event=device_proof result=denied reason=wrong_code user=alice", 3002, 99),
            ("event=credential_revoked user=alice by=root credential=c-7F3K2M", 3001, 11),
            ("event=enrollment_confirmed user=alice", 3001, 10),
            ("event=password_tried result=denied reason=wrong_code user=alice", 3002, 99),
            ("event=throttle_engaged reason=closed user=alice", 3001, 99),
            ("event=throttle_engaged reason=disabled user=alice", 3001, 9),
            ("event=token_issued user=alice", 3001, 99),
            ("event=anomaly severity=alert reason=intercepted user=alice", 2004, 1),
            ("event=policy_applied policy=7", 0, 99),
        ] {
            let document = document(event);
            assert_eq!(
                (&document["class_uid"], &document["activity_id"]),
                (&json!(class), &json!(activity)),
                "{event}"
            );
        }
    }

    #[test]
    fn a_line_that_nothing_proves_is_marked_in_both_schemas() {
        let line = "2026-11-29T10:00:00Z h su[1]: pam_qrtotp(su:auth): event=login result=denied user=root";
        for (writer, marked) in [(Writer::Setuid(7), true), (Writer::Ended(7), true), (Writer::Root, false)] {
            let entry = Entry { writer, ..from_syslog(line).unwrap() };
            assert_eq!(ocsf(&entry)["unmapped"]["proven"] == json!(false), marked, "{writer:?}");
            assert_eq!(crate::ecs(&entry)["labels"]["qrtotp_proven"] == json!("false"), marked, "{writer:?}");
        }
    }

    #[test]
    fn a_line_that_a_user_wrote_is_an_alert_that_names_the_uid() {
        let line = "2026-11-29T10:00:00Z h su[1]: pam_qrtotp(su:auth): event=login result=accepted user=root";
        let entry = Entry { writer: Writer::User(1000), ..from_syslog(line).unwrap() };
        let document = ocsf(&entry);
        assert_eq!((&document["is_alert"], &document["severity_id"]), (&json!(true), &json!(4)));
        assert_eq!(document["unmapped"]["written_by_uid"], 1000);
    }

    #[test]
    fn each_event_of_the_schema_has_what_its_class_requires() {
        let schema: Value = serde_json::from_str(include_str!("../../../docs/audit.schema.json")).unwrap();
        for kind in schema["properties"]["event"]["enum"].as_array().unwrap() {
            for facts in ["", " result=ignored", " user=alice", " result=denied reason=wrong_code user=alice"]
            {
                let document = document(&format!("event={}{facts}", kind.as_str().unwrap()));
                for key in ["category_uid", "class_uid", "activity_id", "type_uid", "time", "severity_id"] {
                    assert!(document[key].is_u64(), "{key}: {document}");
                }
                assert!(document["metadata"]["product"]["name"].is_string());
                let of_class: &[&str] = match document["class_uid"].as_u64().unwrap() {
                    3002 => &["/user/name", "/service/name"],
                    3001 => &["/user/name"],
                    2004 => &["/finding_info/uid"],
                    _ => &[],
                };
                assert!(of_class.iter().all(|path| document.pointer(path).is_some()), "{document}");
            }
        }
    }
}
