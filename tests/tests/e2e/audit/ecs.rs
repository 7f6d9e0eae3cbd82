//! `qrtotp audit --json=ecs` and `--json=ocsf`, judged by the schemas as they are published.

use super::trail::{logged_in, written};
use qrtotp_tests::{
    Sandbox, artefacts,
    oracles::{not_ecs, not_ocsf},
};

/// What `qrtotp audit` prints of a log in which each kind of event comes with each result.
fn documents(sandbox: &Sandbox, form: &str) -> String {
    let schema = std::fs::read_to_string(artefacts::sources().join("../docs/audit.schema.json")).unwrap();
    sandbox.overwrite("/tmp/schema.json", &schema);
    let kinds =
        "import json; [print(k) for k in json.load(open('/tmp/schema.json'))['properties']['event']['enum']]";
    let kinds = sandbox.run(&["python3", "-c", kinds]).success().stdout;
    let fields = "user=alice service=sshd rhost=2001:db8::7 tty=ssh by=root policy=7 rule=office credential=c-7F3K2M \
                  label=\"my phone\" token=t-7F3K2M failures=2 wait=4 left=3 count=9 keys=1 was=bob place=familiar with=publickey \
                  key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM seq=4 at=1795878245 chain=3f786850e387550fdab836ed7e6dc881de23001b detail=\"a sentence\"";
    written(sandbox, |lines| {
        for kind in kinds.lines() {
            for result in ["accepted", "denied", "ignored"] {
                let event = format!("event={kind} severity=alert result={result} reason=code {fields}");
                lines.push(format!("2026-11-29T10:00:00Z web1 sshd[7]: pam_qrtotp(sshd:auth): {event}"));
            }
            lines.push(format!("Nov 29 10:00:00 web1 qrtotp[7]: event={kind} rhost=\"a name\""));
        }
    });
    let form = format!("--json={form}");
    let documents = sandbox.run(&["qrtotp", "audit", &form, "--file", "/tmp/auth.log"]).success().stdout;
    let (kinds, documented) = (kinds.lines().count(), documents.lines().count());
    assert!(kinds > 50 && documented >= 4 * kinds, "{kinds} kinds, {documented} documents");
    documents
}

#[test]
fn elastic_s_published_schema_has_each_field_of_each_event_and_allows_its_value() {
    let documents = documents(&logged_in().0, "ecs");
    if let Some(wrong) = not_ecs(&documents) {
        assert_eq!(wrong, "");
        let planted = documents.replace("\"outcome\":\"failure\"", "\"outcome\":\"maybe\"");
        assert!(not_ecs(&planted).is_some_and(|wrong| wrong.contains("event.outcome: maybe")));
    }
}

#[test]
fn the_published_ocsf_schema_has_each_field_of_each_event_allows_its_value_and_misses_none() {
    let documents = documents(&logged_in().0, "ocsf");
    if let Some(wrong) = not_ocsf(&documents) {
        assert_eq!(wrong, "");
        for (right, planted, told) in [
            ("\"severity_id\":2,", "", "no severity_id"),
            ("\"class_uid\":3002", "\"class_uid\":3001", "no such attribute"),
            ("\"type_id\":0", "\"type_id\":55", "type_id: 55"),
            ("\"is_mfa\":true", "\"is_mfa\":1", "is no boolean_t"),
        ] {
            let wrong = not_ocsf(&documents.replace(right, planted)).unwrap();
            assert!(documents.contains(right) && wrong.contains(told), "{planted}: {wrong}");
        }
    }
}
