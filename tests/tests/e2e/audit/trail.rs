//! The audit trail of real logins.

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// A host after some logins of alice, and her phone.
fn logged_in() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    let _ = sandbox.log.wait(&["by=root", " seq=4 "]);
    (sandbox, phone)
}

/// The log as a log daemon would write it, after `change` to its lines.
fn written(sandbox: &Sandbox, change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let line = |datagram: &String| {
        let (_, text) = datagram.split_once('>')?;
        let (stamp, rest) = text.split_at_checked(16)?;
        Some(format!("{stamp}host {}", rest.trim_end()))
    };
    let mut lines: Vec<_> = sandbox.log.lines().iter().filter_map(line).collect();
    change(&mut lines);
    sandbox.overwrite("/tmp/auth.log", &format!("{}\n", lines.join("\n")));
    lines
}

/// The output of docs/AUDIT.md's program for these lines.
fn check(sandbox: &Sandbox, lines: &[String]) -> String {
    let document = std::fs::read_to_string(artefacts::sources().join("../docs/AUDIT.md")).unwrap();
    let program = document.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    sandbox.overwrite("/tmp/check-chain", program);
    let account = sandbox.read("/var/lib/qrtotp/accounts/alice/account.toml");
    let record = account.split("record = \"").nth(1).unwrap().split('"').next().unwrap();
    sandbox.run_with_input(&["sh", "/tmp/check-chain", record], &format!("{}\n", lines.join("\n"))).stdout
}

#[test]
fn b2sum_alone_proves_the_lines_of_real_logins_and_finds_each_that_was_tampered_with() {
    let (sandbox, _) = logged_in();
    let lines: Vec<_> = sandbox.log.events().into_iter().filter(|line| line.contains(" seq=")).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    let whole = check(&sandbox, &lines);
    assert!(whole.starts_with("all fit"), "{whole}\n{lines:?}");
    for number in 0..lines.len() {
        let mut without = lines.clone();
        let line = without.remove(number);
        if number + 1 < lines.len() {
            assert!(check(&sandbox, &without).starts_with("does not fit"), "without {line}");
        }
        let mut changed = lines.clone();
        changed[number] = line.replacen("user=alice", "user=alicf", 1);
        assert!(check(&sandbox, &changed).starts_with("does not fit"), "{:?}", changed[number]);
    }
}

fn verify(sandbox: &Sandbox) -> qrtotp_tests::Output {
    sandbox.run(&["qrtotp", "audit", "verify", "--file", "/tmp/auth.log"])
}

#[test]
fn audit_verify_proves_untouched_lines_and_names_changed_removed_and_lost_ones() {
    let (sandbox, _) = logged_in();
    let lines = written(&sandbox, |_| ());
    let whole = verify(&sandbox).success();
    assert!(whole.stdout.contains("Nothing was changed"), "{}\n{lines:?}", whole.stdout);
    written(&sandbox, |lines| {
        let denied = lines.iter_mut().find(|line| line.contains("result=denied")).unwrap();
        *denied = denied.replace("result=denied reason=wrong_code", "result=accepted reason=code");
    });
    let changed = verify(&sandbox);
    assert_eq!(changed.status.code(), Some(1), "{}", changed.stdout);
    assert!(changed.stdout.contains("alice seq 2: CHANGED"), "{}", changed.stdout);
    // A line that did not reach the log, in the middle or at the end, is in the store, word for word.
    for number in [2, 4] {
        let mut gone = String::new();
        written(&sandbox, |lines| {
            let at = lines.iter().position(|line| line.contains(&format!(" seq={number} "))).unwrap();
            let line = lines.remove(at);
            gone = line[line.find("event=").unwrap()..].split(" detail=").next().unwrap().to_owned();
        });
        let lost = verify(&sandbox);
        assert_eq!(lost.status.code(), Some(1), "{}", lost.stdout);
        assert!(lost.stdout.contains(&gone) && lost.stdout.contains("1 lost;"), "{gone}\n{}", lost.stdout);
    }
}

#[test]
fn audit_shows_what_filters_ask_for_as_text_and_as_json_of_the_schema() {
    let (sandbox, _) = logged_in();
    written(&sandbox, |_| ());
    let audit = |more: &[&str]| {
        let base = ["qrtotp", "audit", "--file", "/tmp/auth.log"];
        sandbox.run(&[&base, more].concat()).success().stdout
    };
    let denied = audit(&["--user", "alice", "--result", "denied"]);
    assert!(denied.lines().count() == 1 && denied.contains("reason=wrong_code"), "{denied}");
    assert_eq!(audit(&["--user", "bob"]), "");
    assert_eq!(audit(&["--until", "1d", "--event", "login"]), "");
    let schema = std::fs::read_to_string(artefacts::sources().join("../docs/audit.schema.json")).unwrap();
    sandbox.overwrite("/tmp/schema.json", &schema);
    sandbox.overwrite("/tmp/events.json", &audit(&["--json"]));
    let program = "import json; s=json.load(open('/tmp/schema.json'))['properties']\n\
        for line in open('/tmp/events.json'):\n  e=json.loads(line)\n  assert set(e) <= set(s), set(e)-set(s)\n  \
        assert e['event'] in s['event']['enum'] and e['schema'] == 1, e\n  print(e['event'])";
    let events = sandbox.run(&["python3", "-c", program]).success().stdout;
    assert!(events.contains("login\n") && events.contains("throttle_lifted\n"), "{events}");
    let ecs = audit(&["--json=ecs", "--event", "login", "--result", "accepted"]);
    assert!(ecs.contains("\"outcome\":\"success\"") && ecs.contains("\"name\":\"alice\""), "{ecs}");
    assert!(
        sandbox
            .run(&["qrtotp", "audit", "summary", "--file", "/tmp/auth.log"])
            .success()
            .stdout
            .contains("wrong_code")
    );
}

/// Five kinds of tampering with the line at `at`. `None`: the line has no number, or nothing would change.
fn tampered(lines: &[String], at: usize, kind: &str) -> Option<Vec<String>> {
    let mut lines = lines.to_vec();
    if !lines[at].contains(" seq=") {
        return None;
    }
    let line = lines[at].clone();
    match kind {
        "change" => lines[at] = line.replacen("service=", "service=x", 1),
        "remove" => drop(lines.remove(at)),
        "insert" => lines.insert(at, line.replacen("user=alice", "user=alice rhost=192.0.2.9", 1)),
        "cut" => lines.truncate(at),
        _ => lines.push(line),
    }
    Some(lines)
}

#[test]
fn each_kind_of_tampering_is_found_at_every_line_of_a_real_log() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.run(&["qrtotp", "token", "issue", "alice"]).success();
    let _ = sandbox.run(&["qrtotp", "revoke", "alice"]).success();
    let other = "2020-11-29T10:00:00Z host sshd[3]: Server listening";
    let untouched = written(&sandbox, |lines| lines.insert(0, other.to_owned()));
    let _ = verify(&sandbox).success();
    for at in 0..untouched.len() {
        for kind in ["change", "remove", "insert", "cut", "repeat"] {
            let Some(lines) = tampered(&untouched, at, kind) else { continue };
            sandbox.overwrite("/tmp/auth.log", &format!("{}\n", lines.join("\n")));
            let found = verify(&sandbox);
            assert!(!found.status.success(), "{kind} {}:\n{}", untouched[at], found.stdout);
        }
    }
}

#[test]
fn a_log_without_our_lines_is_no_proof_and_saved_heads_show_a_removed_beginning() {
    let (sandbox, phone) = logged_in();
    let heads = sandbox.run(&["qrtotp", "audit", "heads"]).success().stdout;
    sandbox.overwrite("/tmp/heads", &heads);
    let against =
        || sandbox.run(&["qrtotp", "audit", "verify", "--against", "/tmp/heads", "--file", "/tmp/auth.log"]);
    for _ in 0..20 {
        assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
        let _ = sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    }
    let lines = written(&sandbox, |_| ());
    let _ = against().success();
    // Nothing to compare with is no success.
    sandbox.overwrite("/tmp/empty", "");
    let none = ["qrtotp", "audit", "verify", "--against", "/tmp/empty", "--file", "/tmp/auth.log"];
    assert_eq!(sandbox.run(&none).status.code(), Some(2));
    let last = lines.iter().filter(|line| line.contains(" seq=")).cloned().collect::<Vec<_>>().split_off(38);
    sandbox.overwrite("/tmp/auth.log", &format!("{}\n", last.join("\n")));
    assert!(!verify(&sandbox).stdout.contains("MISSING"), "the store does not know");
    assert!(against().stdout.contains("alice seq 5: MISSING"), "{}", against().stdout);
    sandbox.overwrite("/tmp/auth.log", "Nov 29 10:00:00 host sshd[3]: Server listening\n");
    assert_eq!(verify(&sandbox).status.code(), Some(2));
    sandbox.overwrite("/tmp/auth.log", "2020-11-29T10:00:00Z host sshd[3]: Server listening\n");
    assert_eq!(verify(&sandbox).status.code(), Some(1));
}
