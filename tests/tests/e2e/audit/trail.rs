//! The audit trail of real logins.

use qrtotp_tests::{
    Phone, Sandbox, artefacts, clock,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    oracles::not_of_our_schema,
    screen::{self, Background},
};
use std::time::Duration;

/// A host after some logins of alice, and her phone.
pub fn logged_in() -> (Sandbox, Phone) {
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
pub fn written(sandbox: &Sandbox, change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
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

/// The output of docs/AUDIT.md's program and command for a log of these lines.
fn check(sandbox: &Sandbox, lines: &[String]) -> String {
    let document = std::fs::read_to_string(artefacts::sources().join("../docs/AUDIT.md")).unwrap();
    let program = document.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    sandbox.overwrite("/tmp/check-chain", program);
    let log: String = lines.iter().map(|line| format!("Dec  1 10:00:00 host su[7]: {line}\n")).collect();
    sandbox.overwrite("/tmp/auth.log", &log);
    let commands = document.lines().skip_while(|line| !line.starts_with("    record=$(")).take(2);
    let commands = commands.collect::<Vec<_>>().join("\n").replace("/var/log/", "/tmp/");
    sandbox.run(&["sh", "-c", &format!("cd /tmp\n{commands}")]).stdout
}

#[test]
fn b2sum_alone_proves_the_lines_of_real_logins_and_finds_each_that_was_tampered_with() {
    let (sandbox, _) = logged_in();
    sandbox.add_user("bob");
    sandbox.import("bob");
    for (user, label) in [("alice", "my event=phone user=bob "), ("bob", "x user=alice chain=y")] {
        let _ = sandbox.run(&["qrtotp", "device", "rename", user, "--label", label]).success();
    }
    let _ = sandbox.log.wait(&["event=credential_renamed user=bob"]);
    let events = sandbox.log.events();
    let whole = check(&sandbox, &events);
    let is_alices = |line: &str| line.split('"').next().unwrap().contains(" user=alice ");
    let chained: Vec<usize> = (0..events.len()).filter(|n| is_alices(&events[*n])).collect();
    let last = events[chained[4]].split_once(" chain=").unwrap().1;
    assert_eq!((chained.len(), whole), (5, format!("all fit; the last link is {last}\n")), "{events:#?}");
    for (n, number) in chained.iter().enumerate() {
        let mut without = events.clone();
        let line = without.remove(*number);
        if n + 1 < chained.len() {
            assert!(check(&sandbox, &without).starts_with("does not fit"), "without {line}");
        }
        let mut changed = events.clone();
        changed[*number] = line.replacen("event=", "event=x", 1);
        assert!(check(&sandbox, &changed).starts_with("does not fit"), "{:?}", changed[*number]);
    }
}

pub fn verify(sandbox: &Sandbox) -> qrtotp_tests::Output {
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
    sandbox.run(&["groupadd", "staff-only"]).success();
    assert_eq!(audit(&["--group", "staff-only"]), "");
    sandbox.run(&["usermod", "--append", "--groups", "staff-only", "alice"]).success();
    assert_eq!(audit(&["--group", "staff-only", "--user", "alice"]), audit(&["--user", "alice"]));
    let unknown = sandbox.run(&["qrtotp", "audit", "--group", "nobody-s"]);
    assert!(unknown.status.code() == Some(2) && unknown.stderr.contains("no group"), "{}", unknown.stderr);
    assert_eq!(audit(&["--until", "1d", "--event", "login"]), "");
    let events = audit(&["--json"]);
    assert_eq!(not_of_our_schema(&events), "");
    assert!(events.contains("\"event\":\"login\"") && !events.contains("malformed"), "{events}");
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

/// The time in a line, 0 without one.
fn at_of(line: &str) -> u64 {
    line.split(" at=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Six kinds of tampering with the line at `at`. `None`: the line has no number, or nothing would change.
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
        // An old line to the end, a new one to the beginning.
        "move" => {
            let line = lines.remove(at);
            let is_new = at_of(&line) > lines.iter().map(|line| at_of(line)).filter(|at| *at != 0).min()? + 5;
            lines.insert(if is_new { 1 } else { lines.len() }, line);
        }
        _ => lines.push(line),
    }
    Some(lines)
}

#[test]
fn each_kind_of_tampering_is_found_at_every_line_of_a_real_log() {
    let (sandbox, _) = logged_in();
    sandbox.configure("[throttle]\nfree_failures = 4\n");
    clock::pause(Duration::from_secs(7)); // lines of the same few seconds may come in another order
    sandbox.configure("[throttle]\nfree_failures = 5\n");
    let _ = sandbox.run(&["qrtotp", "token", "issue", "alice"]).success();
    let _ = sandbox.run(&["qrtotp", "revoke", "alice"]).success();
    let _ = sandbox.log.wait(&["event=token_revoked reason=account_revoked"]);
    let other = "2020-11-29T10:00:00Z host sshd[3]: Server listening";
    let untouched = written(&sandbox, |lines| lines.insert(0, other.to_owned()));
    let _ = verify(&sandbox).success();
    for at in 0..untouched.len() {
        for kind in ["change", "remove", "insert", "cut", "move", "repeat"] {
            let Some(lines) = tampered(&untouched, at, kind) else { continue };
            sandbox.overwrite("/tmp/auth.log", &format!("{}\n", lines.join("\n")));
            let found = verify(&sandbox);
            assert_eq!(found.status.code(), Some(1), "{kind} {}:\n{}", untouched[at], found.stdout);
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
    fail(&sandbox, "alice", &phone, 30);
    let _ = sandbox.log.wait(&["reason=unlock user=alice", " seq=65 "]);
    let lines = written(&sandbox, |_| ());
    let _ = against().success();
    // Nothing to compare with is no success.
    sandbox.overwrite("/tmp/empty", "");
    let none = ["qrtotp", "audit", "verify", "--against", "/tmp/empty", "--file", "/tmp/auth.log"];
    assert_eq!(sandbox.run(&none).status.code(), Some(2));
    let last = lines.iter().filter(|line| line.contains(" seq=")).cloned().collect::<Vec<_>>().split_off(58);
    sandbox.overwrite("/tmp/auth.log", &format!("{}\n", last.join("\n")));
    assert!(!verify(&sandbox).stdout.contains("MISSING"), "the store does not know");
    assert!(against().stdout.contains("alice seq 5: MISSING"), "{}", against().stdout);
    sandbox.overwrite("/tmp/auth.log", "Nov 29 10:00:00 host sshd[3]: Server listening\n");
    assert_eq!(verify(&sandbox).status.code(), Some(2));
    sandbox.overwrite("/tmp/auth.log", "2020-11-29T10:00:00Z host sshd[3]: Server listening\n");
    assert_eq!(verify(&sandbox).status.code(), Some(1));
}

/// `audit verify` of the log as it is now, or against a file.
pub fn verified(sandbox: &Sandbox, against: &[&str]) -> qrtotp_tests::Output {
    let other = "2020-11-29T10:00:00Z host sshd[3]: Server listening";
    written(sandbox, |lines| lines.insert(0, other.to_owned()));
    sandbox.run(&[&["qrtotp", "audit", "verify", "--file", "/tmp/auth.log"], against].concat())
}

#[test]
fn a_checkpoint_shows_an_account_that_is_gone_and_the_hosts_chain_proves_its_lines() {
    let (sandbox, phone) = logged_in();
    sandbox.configure("[throttle]\nfree_failures = 4\n");
    let made = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success().stdout;
    assert!(made.starts_with("2 chains, root "), "{made}");
    assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["reason=wrong_code", "user=alice", " seq=5 "]);
    let whole = verified(&sandbox, &[]);
    assert!(
        whole.status.success() && whole.stdout.contains("1 accounts"),
        "{}{}",
        whole.stdout,
        whole.stderr
    );
    for kind in ["record_made", "policy_applied", "checkpoint"] {
        let line = sandbox.log.events().into_iter().rfind(|line| line.starts_with(&format!("event={kind} ")));
        assert!(line.is_some_and(|line| line.contains(" seq=") && !line.contains("alice")), "{kind}");
    }
    let text = sandbox.read("/tmp/auth.log");
    sandbox.overwrite("/tmp/auth.log", &text.replace("event=checkpoint", "event=checkpoinx"));
    let changed = verify(&sandbox);
    let said = format!("{}{}", changed.stdout, changed.stderr);
    assert!(said.contains("the host seq ") && said.contains("CHANGED"), "{said}");
    // The account's directory and all of its lines are gone.
    let _ = sandbox.run(&["rm", "-r", "/var/lib/qrtotp/accounts/alice"]).success();
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("user=alice")).collect();
    sandbox.overwrite("/tmp/auth.log", &format!("{}\n", text.join("\n")));
    let gone = verify(&sandbox);
    assert!(gone.stdout.contains("GONE"), "{}{}", gone.stdout, gone.stderr);
    let _ = sandbox.run(&["sh", "-c", "sed -i s/seq=4/seq=3/ /var/lib/qrtotp/checkpoints/*"]).success();
    assert!(verify(&sandbox).stdout.contains("CHECKPOINT"), "{}", verify(&sandbox).stdout);
}

#[test]
fn a_checkpoint_on_paper_can_be_scanned_and_proves_the_log_up_to_it() {
    let (sandbox, _) = logged_in();
    let sheet = sandbox.run(&["qrtotp", "audit", "checkpoint", "--print"]).success().stdout;
    let _ = sandbox.log.wait(&["event=checkpoint", " seq="]);
    let (root, line) = (
        sheet.split("root ").nth(1).unwrap().split(':').next().unwrap(),
        sheet.lines().find(|line| line.starts_with("event=checkpoint ")).unwrap(),
    );
    assert!(line.contains(&format!(" root={root} ")), "{sheet}");
    let words = sheet.lines().find(|line| line.replace(' ', "") == root).unwrap();
    assert_eq!(words.split(' ').count(), 8);
    let picture = sheet.split(words).nth(1).unwrap();
    let scanned = screen::scan_off(picture, Background::Light, "80x40");
    assert_eq!(scanned.as_deref(), Some(line), "{sheet}");
    let against = |line: &str| {
        sandbox.overwrite("/tmp/paper", &format!("{line}\n"));
        verified(&sandbox, &["--against", "/tmp/paper"])
    };
    let _ = against(line).success();
    let (rest, last) = line.split_at(line.len() - 1);
    let other = against(&format!("{rest}{}", if last == "0" { '1' } else { '0' }));
    assert!(other.stdout.contains("OTHER"), "{}{}", other.stdout, other.stderr);
}

#[test]
fn a_line_that_only_says_a_record_was_removed_hides_no_account_that_is_gone() {
    let (sandbox, _) = logged_in();
    let record = sandbox.read("/var/lib/qrtotp/accounts/alice/account.toml");
    let record = record.split("record = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    let _ = sandbox.log.wait(&["event=checkpoint", " seq="]);
    let _ = sandbox.run(&["rm", "-r", "/var/lib/qrtotp/accounts/alice"]).success();
    let host_line = sandbox.log.events().into_iter().rfind(|line| line.starts_with("event=checkpoint "));
    let (_, chain) = host_line.as_deref().unwrap().split_once(" seq=").unwrap();
    let stamp = "2026-11-29T10:00:00Z host qrtotp[3]:";
    for forged in [
        format!("{stamp} event=record_removed record={record}"),
        format!("{stamp} event=record_removed record={record} seq={chain}"),
        format!(
            "{stamp} event=record_removed user=bobby record={record} seq=1 at=1 chain={}",
            "0".repeat(40)
        ),
    ] {
        written(&sandbox, |lines| {
            lines.retain(|line| !line.contains("user=alice"));
            lines.insert(0, "2020-11-29T10:00:00Z host sshd[3]: Server listening".to_owned());
            lines.push(forged.clone());
        });
        let found = verify(&sandbox);
        assert!(found.stdout.contains("GONE"), "{forged}\n{}{}", found.stdout, found.stderr);
    }
}

#[test]
fn a_checkpoint_is_compared_with_after_many_other_lines_and_verify_says_if_there_is_none() {
    let (sandbox, _) = logged_in();
    let none = "No checkpoint to compare with";
    assert!(verified(&sandbox, &[]).success().stdout.contains(none));
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    (0..65).for_each(|n| sandbox.configure(&format!("[throttle]\nfree_failures = {}\n", 3 + n % 2)));
    let applied =
        || sandbox.log.events().iter().filter(|line| line.starts_with("event=policy_applied ")).count();
    clock::poll(Duration::from_secs(10), || (applied() >= 65).then_some(())).unwrap();
    let whole = verified(&sandbox, &[]).success().stdout;
    assert!(!whole.contains(none), "{whole}");
    let _ = sandbox.run(&["rm", "-r", "/var/lib/qrtotp/accounts/alice"]).success();
    let gone = verified(&sandbox, &[]);
    assert!(gone.stdout.contains("GONE"), "{}{}", gone.stdout, gone.stderr);
}

#[test]
fn an_account_that_root_removed_since_the_checkpoint_is_no_finding() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    let _ = sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
    let _ = sandbox.log.wait(&["event=record_removed", " seq="]);
    let whole = verified(&sandbox, &[]);
    assert!(whole.status.success(), "{}{}", whole.stdout, whole.stderr);
}

#[test]
fn saved_heads_that_were_cut_are_refused_and_old_ones_taken_with_a_warning() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.log.wait(&["reason=unlock", " seq="]);
    let heads = sandbox.run(&["qrtotp", "audit", "heads"]).success().stdout;
    assert!(heads.contains("user=alice") && heads.lines().any(|line| !line.contains("user=")), "{heads}");
    let against = |text: &str| {
        sandbox.overwrite("/tmp/heads", text);
        verified(&sandbox, &["--against", "/tmp/heads"])
    };
    let _ = against(&heads).success();
    let lines: Vec<&str> = heads.lines().collect();
    for cut in 1..lines.len() {
        let found = against(&lines[..cut].join("\n"));
        assert_eq!(found.status.code(), Some(2), "{}", found.stdout);
        assert!(found.stderr.contains("was cut or changed"), "{}", found.stderr);
    }
    let old: Vec<String> =
        lines[..lines.len() - 1].iter().map(|line| line.replace(" count=", " left=")).collect();
    let old = against(&old.join("\n")).success();
    assert!(old.stderr.contains("nothing tells whether it was cut"), "{}", old.stderr);
}

/// Failures of an account that root forgives: two lines each, and one for an anomaly.
fn fail(sandbox: &Sandbox, user: &str, phone: &Phone, times: usize) {
    for _ in 0..times {
        assert_eq!(sandbox.answer(user, &phone.wrong_code()), PAM_AUTH_ERR);
        let _ = sandbox.run(&["qrtotp", "unlock", user]).success();
    }
}

/// `audit verify` of a log that lacks the first lines of an account, up to number `first`.
fn verified_from(sandbox: &Sandbox, user: &str, first: u64, against: &[&str]) -> qrtotp_tests::Output {
    let user = format!(" user={user} ");
    let is_gone = |line: &String| {
        let seq = line.split(" seq=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        line.contains(&user) && seq.is_some_and(|seq| seq < first)
    };
    written(sandbox, |lines| {
        lines.retain(|line| !is_gone(line));
        lines.insert(0, "2020-11-29T10:00:00Z host sshd[3]: Server listening".to_owned());
    });
    sandbox.run(&[&["qrtotp", "audit", "verify", "--file", "/tmp/auth.log"], against].concat())
}

#[test]
fn a_rotated_log_is_whole_against_a_checkpoint_file_and_a_line_behind_the_checkpoint_is_missed() {
    let (sandbox, phone) = logged_in();
    let made = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success().stdout;
    let file = made.trim().rsplit(": ").next().unwrap();
    let _ = sandbox.run(&["cp", file, "/tmp/checkpoint"]).success();
    fail(&sandbox, "alice", &phone, 30);
    let _ = sandbox.log.wait(&["reason=unlock user=alice", " seq=65 "]);
    let against = ["--against", "/tmp/checkpoint"];
    for first in [1, 3, 5] {
        let whole = verified_from(&sandbox, "alice", first, &against).success();
        assert!(whole.stdout.contains("Nothing was changed"), "{first}: {}", whole.stdout);
    }
    let missed = verified_from(&sandbox, "alice", 7, &against);
    assert!(missed.stdout.contains("alice seq 5: MISSING up to 6"), "{}{}", missed.stdout, missed.stderr);
    let _ = sandbox.run(&["rm", "-r", "/var/lib/qrtotp/checkpoints"]).success();
    let gone = verified_without_alice_against(&sandbox, &against);
    assert!(gone.stdout.contains("GONE"), "{}{}", gone.stdout, gone.stderr);
    let _ = sandbox.run(&["sed", "-i", "$d", "/tmp/checkpoint"]).success();
    assert_eq!(verified(&sandbox, &against).status.code(), Some(2), "its last line is gone");
}

#[test]
fn the_first_line_of_an_account_is_missed_if_the_account_was_made_after_the_last_checkpoint() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    sandbox.add_user("bob");
    let phone = sandbox.import("bob");
    fail(&sandbox, "bob", &phone, 30); // the store does not have the first line any more
    let _ = sandbox.log.wait(&["reason=unlock user=bob", " seq=62 "]);
    let _ = verified(&sandbox, &[]).success();
    let missed = verified_from(&sandbox, "bob", 2, &[]);
    assert!(missed.stdout.contains("bob seq 1: MISSING"), "{}{}", missed.stdout, missed.stderr);
}

#[test]
fn a_removed_account_that_a_backup_brings_back_is_told() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.run(&["cp", "-a", "/var/lib/qrtotp/accounts/alice", "/tmp/backup"]).success();
    let _ = sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
    let _ = sandbox.log.wait(&["event=record_removed", " seq="]);
    let _ = written(&sandbox, |_| ());
    assert!(!verify(&sandbox).success().stdout.contains("note"));
    let _ = sandbox.run(&["cp", "-a", "/tmp/backup", "/var/lib/qrtotp/accounts/alice"]).success();
    let said = verify(&sandbox);
    assert!(said.stdout.contains("alice: note: the host's chain tells of its removal"), "{}", said.stdout);
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    let _ = sandbox.log.wait(&["event=checkpoint", " seq="]);
    let _ = written(&sandbox, |_| ());
    assert!(!verify(&sandbox).stdout.contains("note"));
}

#[test]
fn lines_from_between_two_checkpoints_are_missed_if_the_log_goes_back_to_the_first() {
    let (sandbox, phone) = logged_in();
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    fail(&sandbox, "alice", &phone, 30);
    let _ = sandbox.log.wait(&["reason=unlock user=alice", " seq=65 "]);
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    for first in [1, 3, 5] {
        let _ = verified_from(&sandbox, "alice", first, &[]).success();
    }
    for first in [7, 66] {
        let missed = verified_from(&sandbox, "alice", first, &[]);
        assert!(missed.stdout.contains("alice seq 5: MISSING up to"), "{}{}", missed.stdout, missed.stderr);
    }
}

/// `audit verify` after the directory of alice's account and all lines of it are gone.
pub fn verified_without_alice(sandbox: &Sandbox) -> qrtotp_tests::Output {
    verified_without_alice_against(sandbox, &[])
}

fn verified_without_alice_against(sandbox: &Sandbox, against: &[&str]) -> qrtotp_tests::Output {
    let _ = sandbox.run(&["rm", "-rf", "/var/lib/qrtotp/accounts/alice"]).success();
    written(sandbox, |lines| {
        lines.retain(|line| !line.contains("user=alice"));
        lines.insert(0, "2020-11-29T10:00:00Z host sshd[3]: Server listening".to_owned());
    });
    sandbox.run(&[&["qrtotp", "audit", "verify", "--file", "/tmp/auth.log"], against].concat())
}

#[test]
fn an_account_that_a_command_made_since_the_checkpoint_is_missed_if_it_is_gone_with_its_lines() {
    let (sandbox, _) = logged_in();
    let gone = verified_without_alice(&sandbox);
    assert!(gone.stdout.contains("GONE"), "{}{}", gone.stdout, gone.stderr);
    sandbox.import("alice"); // another record
    let _ = sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
    let _ = sandbox.log.wait(&["event=record_removed", " seq="]);
    let gone = verify(&sandbox).stdout;
    assert_eq!(gone.matches("GONE").count(), 1, "removed by root's command: {gone}");
}

#[test]
fn checkpoints_of_the_same_second_have_a_file_each_and_the_last_one_is_whole() {
    let (sandbox, _) = logged_in();
    let all = "for n in 1 2 3 4 5; do qrtotp audit checkpoint & done; wait; ls /var/lib/qrtotp/checkpoints";
    let said = sandbox.run(&["sh", "-c", all]).success().stdout;
    assert_eq!(said.lines().filter(|line| line.parse::<u64>().is_ok()).count(), 5, "{said}");
    let _ = sandbox.log.wait(&["event=checkpoint", " seq=6 "]);
    let whole = verified(&sandbox, &[]).success().stdout;
    assert!(!whole.contains("No checkpoint to compare with"), "{whole}");
}

#[test]
fn a_process_that_keeps_the_lock_of_the_hosts_chain_stops_no_command_for_long() {
    let (sandbox, _) = logged_in();
    let steps =
        "flock --no-fork /var/lib/qrtotp sleep 60 & lock=$!; sleep 1; qrtotp audit checkpoint; kill $lock";
    let said = sandbox.run(&["timeout", "40", "sh", "-c", steps]).success();
    assert!(said.stderr.contains("cannot write /var/lib/qrtotp/host-chain"), "{said:?}");
    let line = sandbox.log.wait(&["event=checkpoint", "count="]);
    assert!(!line.contains(" seq="), "{line}");
}

/// `qrtotp audit verify` of logs that rsyslogd wrote with both of its templates. The rotation is what
/// logrotate's postrotate does: rename, SIGHUP, gzip.
#[test]
fn lines_are_proven_after_rsyslog_wrote_them_with_either_template_to_files_that_were_renamed_and_packed() {
    let (sandbox, phone) = logged_in();
    for _ in 0..5 {
        assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
    }
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    sandbox.overwrite("/tmp/datagrams", &format!("{}\n", sandbox.log.lines().join("\n")));
    for template in ["RSYSLOG_TraditionalFileFormat", "RSYSLOG_FileFormat"] {
        sandbox.overwrite("/tmp/rsyslog.conf", &RSYSLOG_CONF.replace("TEMPLATE", template));
        sandbox.overwrite("/tmp/rsyslog.sh", RSYSLOG);
        let said = sandbox.run(&["sh", "/tmp/rsyslog.sh"]).success();
        assert!(said.stdout.contains("Nothing was changed"), "{template}: {}{}", said.stdout, said.stderr);
        let first = sandbox.run(&["sh", "-c", "gzip -dc /tmp/out.log.1.gz | head -n 1"]).stdout;
        assert_eq!(first.starts_with("20"), template == "RSYSLOG_FileFormat", "{first}");
    }
}

const RSYSLOG_CONF: &str = "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
    input(type=\"imuxsock\" Socket=\"/tmp/rsyslog.sock\" RateLimit.Interval=\"0\")\n\
    authpriv.* action(type=\"omfile\" file=\"/tmp/out.log\" template=\"TEMPLATE\")\n";

/// Sends the datagrams, half of them before a rotation.
const RSYSLOG: &str = r#"
rm -f /tmp/out.log* /tmp/rsyslog.pid; : >/tmp/out.log; chmod 666 /tmp/out.log
rsyslogd -n -f /tmp/rsyslog.conf -i /tmp/rsyslog.pid & daemon=$!
for n in $(seq 100); do [ -S /tmp/rsyslog.sock ] && [ -s /tmp/rsyslog.pid ] && break; sleep 0.1; done
send() { python3 -c 'import socket,sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect("/tmp/rsyslog.sock")
for line in sys.stdin.buffer.read().splitlines(): s.send(line)'; }
arrived() { for n in $(seq 100); do [ "$(cat /tmp/out.log* | wc -l)" -ge "$1" ] && return; sleep 0.1; done; return 1; }
all=$(wc -l </tmp/datagrams)
head -n 4 /tmp/datagrams | send && arrived 4
mv /tmp/out.log /tmp/out.log.1 && kill -HUP $daemon
for n in $(seq 100); do ls -l /proc/$daemon/fd | grep -q out.log.1 || break; sleep 0.1; done
tail -n +5 /tmp/datagrams | send && arrived "$all"
kill $daemon; wait $daemon
gzip /tmp/out.log.1
qrtotp audit verify --file /tmp/out.log.1.gz --file /tmp/out.log; code=$?
[ $code = 0 ] || head /tmp/out.log >&2
exit $code
"#;

#[test]
fn a_lost_line_just_before_a_restart_is_told_as_such() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_ne!(sandbox.answer("alice", &phone.wrong_code()), 0);
    let last = sandbox.log.wait(&["event=login result=denied reason=wrong_code", "user=alice", " seq="]);
    let at: i64 = last.split(" at=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let lines = sandbox.log.events();
    let stamp = sandbox.run(&["date", "-u", "-d", "-1 minute", "+%FT%TZ"]).success().stdout;
    let line = |event: &String| format!("{} host sshd[7]: pam_qrtotp(sshd:auth): {event}\n", stamp.trim());
    let kept = lines.iter().filter(|line| !line.contains("reason=wrong_code")).map(line);
    sandbox.overwrite("/tmp/auth.log", &kept.collect::<String>());
    sandbox.run(&["mount", "-t", "tmpfs", "tmpfs", "/var/log"]).success();
    sandbox.run(&["mkdir", "-p", "/var/log/journal", "/tmp/bin"]).success();
    let verify = ["sh", "-c", "PATH=/tmp/bin:$PATH exec qrtotp audit verify --file /tmp/auth.log"];
    for (last, first, is_lost) in
        [(at - 20, at + 40, true), (at - 20, at - 10, false), (at + 900, at + 950, false)]
    {
        let boot = |n: i64, from: i64, to: i64| {
            format!(r#"{{"index":{n},"boot_id":"b","first_entry":{from}000000,"last_entry":{to}000000}}"#)
        };
        let boots = format!("[{},{}]", boot(-1, at - 9000, last), boot(0, first, first + 5000));
        sandbox.overwrite("/tmp/bin/journalctl", &format!("#!/bin/sh\nexec echo '{boots}'\n"));
        sandbox.run(&["chmod", "755", "/tmp/bin/journalctl"]).success();
        let said = sandbox.run(&verify).stdout;
        assert!(said.contains("lost") && said.contains("reason=wrong_code"), "{said}");
        assert_eq!(said.contains("lost just before the restart of "), is_lost, "{said}");
    }
    sandbox.run(&["rmdir", "/var/log/journal"]).success();
    assert!(!sandbox.run(&verify).stdout.contains("restart"), "without a journal nothing tells");
}
