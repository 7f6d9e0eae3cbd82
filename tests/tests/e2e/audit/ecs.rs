//! `qrtotp audit --json=ecs`, judged by Elastic's own schema.

use super::trail::{logged_in, written};
use qrtotp_tests::{artefacts, oracles::not_ecs};

#[test]
fn elastic_s_published_schema_has_each_field_of_each_event_and_allows_its_value() {
    let (sandbox, _) = logged_in();
    let schema = std::fs::read_to_string(artefacts::sources().join("../docs/audit.schema.json")).unwrap();
    sandbox.overwrite("/tmp/schema.json", &schema);
    let kinds =
        "import json; [print(k) for k in json.load(open('/tmp/schema.json'))['properties']['event']['enum']]";
    let kinds = sandbox.run(&["python3", "-c", kinds]).success().stdout;
    let fields = "user=alice service=sshd rhost=2001:db8::7 tty=ssh by=root policy=7 rule=office credential=c-7F3K2M \
                  label=\"my phone\" token=t-7F3K2M failures=2 wait=4 left=3 count=9 keys=1 was=bob with=unknown \
                  seq=4 at=1795878245 chain=3f786850e387550fdab836ed7e6dc881de23001b detail=\"a sentence\"";
    written(&sandbox, |lines| {
        for kind in kinds.lines() {
            for result in ["accepted", "denied", "ignored"] {
                let event = format!("event={kind} severity=alert result={result} reason=code {fields}");
                lines.push(format!("2026-11-29T10:00:00Z web1 sshd[7]: pam_qrtotp(sshd:auth): {event}"));
            }
        }
    });
    let documents =
        sandbox.run(&["qrtotp", "audit", "--json=ecs", "--file", "/tmp/auth.log"]).success().stdout;
    let (kinds, documented) = (kinds.lines().count(), documents.lines().count());
    assert!(kinds > 50 && documented >= 3 * kinds, "{kinds} kinds, {documented} documents");
    if let Some(wrong) = not_ecs(&documents) {
        assert_eq!(wrong, "");
        let planted = documents.replace("\"outcome\":\"failure\"", "\"outcome\":\"maybe\"");
        assert!(not_ecs(&planted).is_some_and(|wrong| wrong.contains("event.outcome: maybe")));
    }
}
