//! `qrtotp doctor --json` on a private instance: what programs may rely on. Of the host itself nothing is
//! expected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::Instance;
use qrtotp_account::{Label, Name};
use qrtotp_clock::Deadline;
use qrtotp_flow::Import;
use qrtotp_otp::{Params, Secret};
use qrtotp_store::FileStore;
use serde_json::{Value, json};
use std::time::Duration;

fn diagnosis(instance: &Instance) -> (Option<i32>, Value) {
    let ended = instance.run(&["doctor", "--json"]);
    (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
}

fn found<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    report["findings"].as_array().unwrap().iter().filter(|found| found["id"] == id).collect()
}

#[test]
fn the_json_has_the_documented_form_and_the_exit_code_follows_its_verdict() {
    let instance = Instance::new();
    instance.import("nobody");
    let (code, report) = diagnosis(&instance);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["accounts", "findings", "summary", "time", "verdict", "version"]);
    assert_eq!(report["version"], 1);
    assert_eq!(code, Some(i32::from(report["verdict"] == "fail")));
    let all = report["findings"].as_array().unwrap();
    for severity in ["ok", "info", "warn", "fail"] {
        assert_eq!(report["summary"][severity], all.iter().filter(|one| one["severity"] == severity).count());
    }
    for finding in all {
        let keys: Vec<&str> = finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["fix", "id", "severity", "subject", "what", "why"]);
        let id = finding["id"].as_str().unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{id}");
    }
    for id in ["configuration", "store", "records", "accounts", "clock", "broker", "log"] {
        assert!(!found(&report, id).is_empty(), "{id}: {report}");
    }
    let problems = instance.run(&["doctor", "--json", "--problems"]);
    let problems: Value = serde_json::from_str(&problems.stdout).unwrap();
    let bad = |one: &&Value| ["warn", "fail"].contains(&one["severity"].as_str().unwrap());
    assert_eq!(problems["findings"].as_array().unwrap().len(), all.iter().filter(bad).count());
}

#[test]
fn accounts_are_counted_by_their_standing_and_tokens_by_their_state() {
    let instance = Instance::new();
    instance.import("nobody");
    instance.import("daemon");
    instance.run(&["revoke", "daemon", "--all"]).ok();
    instance.run(&["token", "issue", "daemon"]).ok();
    instance.run(&["token", "issue", "bin", "--expires", "1s"]).ok();
    let mut patience = Deadline::after(Duration::from_secs(10));
    while instance.json(&["token", "show", "bin", "--json"])["state"] != "expired" {
        assert!(patience.pause(), "the token does not run out");
    }
    let (_, report) = diagnosis(&instance);
    let expected = json!({
        "enrolled": 1, "unenrolled": 1, "revoked": 1, "unreadable": 0, "disabled": 0, "devices": 1,
        "devices_clock_off": 0, "pending": 0, "tokens_live": 1, "tokens_expired": 1,
    });
    assert_eq!(report["accounts"], expected);
    let warned: Vec<_> =
        found(&report, "token-expired").into_iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(warned, ["their token ran out before a device was enrolled: bin"]);
}

#[test]
fn a_device_whose_clock_is_taken_to_be_more_than_ten_minutes_off_is_named_with_its_account() {
    let instance = Instance::new();
    instance.import("daemon");
    let store = FileStore::open(&instance.state(), instance.path("").as_path()).unwrap();
    for (name, drift) in [("bin", 20), ("nobody", -21)] {
        let (name, label) = (Name::new(name).unwrap(), Label::default());
        let secret = Secret::generate().unwrap();
        let what = Import { drift, ..Import::new(&name, 4711, &label, &secret, Params::default()) };
        instance::add(&store, what);
    }
    let (_, report) = diagnosis(&instance);
    assert_eq!(report["accounts"]["devices_clock_off"], 2);
    let warned: Vec<_> =
        found(&report, "device-clock-off").into_iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(warned, ["a device's clock is taken to be more than 600 s off: nobody"]);
}

#[test]
fn a_damaged_record_is_named_and_counted_and_hides_no_other() {
    let instance = Instance::new();
    instance.import("nobody");
    instance.import("daemon");
    std::fs::write(instance.state().join("accounts/nobody/account.toml"), "x").unwrap();
    let before = instance.snapshot();
    let (code, report) = diagnosis(&instance);
    assert!(code == Some(1) && report["verdict"] == "fail");
    let records = found(&report, "record-damaged");
    assert_eq!(
        (records[0]["subject"].as_str(), records[0]["severity"].as_str()),
        (Some("nobody"), Some("fail"))
    );
    assert_eq!((&report["accounts"]["unreadable"], &report["accounts"]["enrolled"]), (&json!(1), &json!(1)));
    assert_eq!(instance.snapshot(), before);
}

#[test]
fn without_a_store_none_is_made_and_without_a_configuration_the_rest_is_looked_at() {
    let instance = Instance::new();
    let severity = |report: &Value, id: &str| found(report, id)[0]["severity"].as_str().unwrap().to_owned();
    let (_, report) = diagnosis(&instance);
    // Never applied: that denies logins as soon as a PAM file names the module.
    assert!(["warn", "fail"].contains(&severity(&report, "configuration").as_str()));
    instance.run(&["config", "apply"]).ok();
    let (_, report) = diagnosis(&instance);
    assert!(["warn", "fail"].contains(&severity(&report, "store").as_str()));
    assert!(!instance.state().exists() && report["accounts"].is_null());
    std::fs::write(instance.path("qrtotp.toml"), "nonsense").unwrap();
    let (_, report) = diagnosis(&instance);
    let what = found(&report, "configuration-faulty")[0]["what"].as_str().unwrap();
    assert!(what.contains("can't be applied") && what.contains("line 1"), "{what}");
    std::fs::write(instance.path("qrtotp.toml.applied"), "nonsense").unwrap();
    let (_, report) = diagnosis(&instance);
    assert!(["warn", "fail"].contains(&severity(&report, "configuration").as_str()));
    assert!(found(&report, "store").is_empty() && !found(&report, "clock").is_empty());
}
