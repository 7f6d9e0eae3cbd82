//! What `qrtotp audit --json`, `--json=ecs` and `--json=ocsf` print, judged by the schemas as they are
//! published: of each kind of event, and of lines that only look like ours.

use super::trail::{logged_in, written};
use qrtotp_tests::{
    Sandbox, artefacts,
    oracles::{not_ecs, not_ocsf, not_of_our_schema},
};

/// What `qrtotp audit` prints of a log in which each kind of event comes with each result.
fn documents(sandbox: &Sandbox, form: &str) -> String {
    let schema = std::fs::read_to_string(artefacts::sources().join("../docs/audit.schema.json")).unwrap();
    sandbox.overwrite("/tmp/schema.json", &schema);
    let kinds =
        "import json; [print(k) for k in json.load(open('/tmp/schema.json'))['properties']['event']['enum']]";
    let kinds = sandbox.run(&["python3", "-c", kinds]).success().stdout;
    let fields = "user=alice service=sshd rhost=2001:db8::7 tty=ssh by=root policy=7 rule=office record=AB credential=c-7F3K2M \
                  root=3f786850e387550fdab836ed7e6dc881de23001b prev=3f786850e387550fdab836ed7e6dc881de23001b label=\"my phone\" token=t-7F3K2M failures=2 wait=4 left=3 count=9 keys=1 was=bob place=new with=unknown key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM \
                  seq=4 at=1795878245 chain=3f786850e387550fdab836ed7e6dc881de23001b detail=\"a sentence\" host=login1";
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
    assert!(!documents.contains("malformed"), "{documents}");
    documents
}

#[test]
fn our_published_schema_takes_each_event_and_no_value_that_a_key_can_not_have() {
    let documents = documents(&logged_in().0, "plain");
    assert_eq!(not_of_our_schema(&documents), "");
    for (right, planted, expected) in [
        ("\"seq\":4", "\"seq\":\"4\"", "'4' is not of type 'integer'"),
        ("\"time\":\"2026-11-29T", "\"time\":\"2026-11-31T", "is not a 'date-time'"),
        ("\"event\":\"login\",", "", "is not valid under any"),
    ] {
        let wrong = not_of_our_schema(&documents.replace(right, planted));
        assert!(documents.contains(right) && wrong.contains(expected), "{planted}: {wrong}");
    }
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
        for (right, planted, expected) in [
            ("\"severity_id\":2,", "", "no severity_id"),
            ("\"class_uid\":3002", "\"class_uid\":3001", "no such attribute"),
            ("\"type_id\":0", "\"type_id\":55", "type_id: 55"),
            ("\"is_mfa\":true", "\"is_mfa\":1", "is no boolean_t"),
        ] {
            let wrong = not_ocsf(&documents.replace(right, planted)).unwrap();
            assert!(documents.contains(right) && wrong.contains(expected), "{planted}: {wrong}");
        }
    }
}

/// Lines that only look like ours, as bytes. All but the first can't be lines of ours, the last one has too
/// many keys to be read.
fn look_alikes() -> Vec<Vec<u8>> {
    let ours = "event=login result=accepted user=root service=su rhost=192.0.2.7 seq=4 at=1795878245 \
                chain=3f786850e387550fdab836ed7e6dc881de23001b";
    let odd = |(from, to): &(&str, &str)| ours.replace(from, to).into_bytes();
    let changes = [
        ("", ""),
        ("seq=4", "seq=99999999999999999999"),
        ("seq=4", "seq=18446744073709551614"),
        ("seq=4", "seq="),
        ("at=1795878245", "at=-5"),
        ("at=1795878245", "at=abc"),
        ("at=1795878245", "at=9223372036854775807"),
        ("result=accepted", "result="),
        ("user=root", "user=root user=alice"),
        ("user=root", "user=root forged=true proven=yes version=9 source=x written_by_uid=0"),
        ("event=login", "event=anomaly severity=4"),
        ("rhost=192.0.2.7", "rhost=\"\u{1b}[2J\u{202e}\u{7}\" x=y"),
        ("event=login", "event=\"\" policy=1e400 failures=-1 wait=0x10 keys=NaN"),
    ];
    let mut lines: Vec<Vec<u8>> = changes.iter().map(odd).collect();
    lines.push(b"event=login user=\xff\xfe rhost=\xc3 policy=\xf0\x9f".to_vec());
    lines.push(format!("event=login policy={}", "7".repeat(100_000)).into_bytes());
    lines.push(format!("event=login{}", " a=b".repeat(30_000)).into_bytes());
    lines
}

/// Checks what the three forms of JSON, with `---` behind each, make of the look-alikes; the number of lines
/// that are marked as malformed.
fn judged(documents: &str) -> usize {
    let forms: Vec<&str> = documents.split("---\n").collect();
    assert_eq!(not_of_our_schema(forms[0]), "");
    assert_eq!(not_ecs(forms[1]).unwrap_or_default(), "");
    assert_eq!(not_ocsf(forms[2]).unwrap_or_default(), "");
    let marks = ["\"malformed\":true", "\"qrtotp_malformed\":\"true\"", "\"malformed\":true"];
    let marked =
        [0, 1, 2].map(|form: usize| forms[form].lines().filter(|line| line.contains(marks[form])).count());
    assert!(marked.iter().all(|number| *number == marked[0]), "{marked:?}: {documents}");
    marked[0]
}

const EACH_FORM: &str = "for form in plain ecs ocsf; do qrtotp audit --json=$form $0 || exit; echo ---; done";

#[test]
fn odd_values_in_look_alikes_of_a_file_are_marked_and_keep_to_each_schema() {
    let sandbox = Sandbox::new();
    let before = b"2026-11-29T10:00:00Z h su[7]: pam_qrtotp(su:auth): ".as_slice();
    let log: Vec<u8> = look_alikes().iter().flat_map(|line| [before, line, b"\n"].concat()).collect();
    std::fs::write(sandbox.path("/tmp/auth.log"), log).unwrap();
    let said = sandbox.run(&["sh", "-c", EACH_FORM, "--file=/tmp/auth.log"]).success().stdout;
    assert_eq!(judged(&said), look_alikes().len() - 2, "{said}");
}

#[test]
fn odd_values_in_look_alikes_that_a_user_wrote_to_the_journal_are_forged_and_keep_to_each_schema() {
    let sandbox = Sandbox::new();
    let before = b"<86>Nov 29 10:00:00 su[7]: pam_qrtotp(su:auth): ".as_slice();
    let log: Vec<u8> = look_alikes().iter().flat_map(|line| [before, line, b"\n"].concat()).collect();
    std::fs::write(sandbox.path("/tmp/forged"), log).unwrap();
    sandbox.overwrite("/tmp/lines", "");
    let said = sandbox.in_journal(&["sh", "-c", EACH_FORM, "--since=2026-11-01"]).success().stdout;
    let objects: Vec<&str> = said.split("---\n").next().unwrap().lines().collect();
    assert!(objects.len() > 9 && objects.iter().all(|line| line.contains("\"forged\":true")), "{said}");
    assert_eq!(judged(&said), objects.len() - 1, "{said}");
}
