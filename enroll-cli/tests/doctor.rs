//! `qrtotp doctor --json` on a private instance: what programs may rely on. Of the host itself nothing is expected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::Instance;
use qrtotp_core::account::{Label, Name};
use qrtotp_core::audit::Subject;
use qrtotp_core::clock::{Clock, Deadline, SystemClock};
use qrtotp_core::flow::{Import, import};
use qrtotp_core::otp::{Params, Secret};
use qrtotp_core::policy::Config;
use qrtotp_core::store::FileStore;
use serde_json::{Value, json};
use std::time::Duration;

fn diagnosis(instance: &Instance) -> (Option<i32>, Value) {
    let ended = instance.run(&["doctor", "--json"]);
    (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
}

fn checks<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    report["checks"].as_array().unwrap().iter().filter(|found| found["check"] == check).collect()
}

#[test]
fn the_json_has_the_documented_form_and_the_exit_code_follows_its_result() {
    let instance = Instance::new();
    instance.import("nobody");
    let (code, report) = diagnosis(&instance);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["accounts", "checks", "result", "summary", "time", "version"]);
    assert_eq!(report["version"], 1);
    assert_eq!(code, Some(i32::from(report["result"] == "fail")));
    for status in ["ok", "warn", "fail", "skip"] {
        let all = report["checks"].as_array().unwrap();
        assert_eq!(report["summary"][status], all.iter().filter(|check| check["status"] == status).count());
    }
    for check in report["checks"].as_array().unwrap() {
        let keys: Vec<&str> = check.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["advice", "check", "finding", "status", "subject"]);
        assert!(["ok", "warn", "fail", "skip"].contains(&check["status"].as_str().unwrap()), "{check}");
    }
    for check in ["configuration", "store", "records", "disk", "accounts", "module", "clock", "broker", "log"]
    {
        assert!(!checks(&report, check).is_empty(), "{check}: {report}");
    }
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
    let warned = checks(&report, "accounts").into_iter().filter(|check| check["status"] == "warn");
    let warned: Vec<_> = warned.map(|check| check["finding"].as_str().unwrap()).collect();
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
        let (now, subject) = (SystemClock.now(), Subject::default());
        import(&store, &Config::default(), &what, now, &subject, &mut Vec::new()).unwrap();
    }
    let (_, report) = diagnosis(&instance);
    assert_eq!(report["accounts"]["devices_clock_off"], 2);
    let warned = checks(&report, "accounts").into_iter().filter(|check| check["status"] == "warn");
    let warned: Vec<_> = warned.map(|check| check["finding"].as_str().unwrap()).collect();
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
    assert!(code == Some(1) && report["result"] == "fail");
    let records = checks(&report, "records");
    assert_eq!(
        (records[0]["subject"].as_str(), records[0]["status"].as_str()),
        (Some("nobody"), Some("fail"))
    );
    assert_eq!((&report["accounts"]["unreadable"], &report["accounts"]["enrolled"]), (&json!(1), &json!(1)));
    assert_eq!(instance.snapshot(), before);
}

#[test]
fn without_a_store_none_is_made_and_without_a_configuration_the_rest_is_looked_at() {
    let instance = Instance::new();
    let (code, report) = diagnosis(&instance);
    assert_eq!(
        (code, checks(&report, "configuration")[0]["status"].as_str()),
        (Some(1), Some("fail")),
        "never applied"
    );
    instance.run(&["config", "apply"]).ok();
    let (_, report) = diagnosis(&instance);
    assert!(["warn", "fail"].contains(&checks(&report, "store")[0]["status"].as_str().unwrap()));
    assert!(!instance.state().exists() && report["accounts"].is_null());
    std::fs::write(instance.path("qrtotp.toml"), "nonsense").unwrap();
    let (_, report) = diagnosis(&instance);
    let found = checks(&report, "configuration")
        .into_iter()
        .map(|check| check["finding"].as_str().unwrap().to_owned());
    let found: Vec<String> = found.collect();
    assert!(
        found.iter().any(|text| text.contains("can't be applied") && text.contains("line 1")),
        "{found:?}"
    );
    std::fs::write(instance.path("qrtotp.toml.applied"), "nonsense").unwrap();
    let (code, report) = diagnosis(&instance);
    assert_eq!((code, checks(&report, "configuration")[0]["status"].as_str()), (Some(1), Some("fail")));
    assert!(checks(&report, "store").is_empty() && !checks(&report, "clock").is_empty());
}
