//! The host's chain tells which records were made and removed, by any program and after a kill at any time.

use super::trail::{logged_in, verified, verified_without_alice, verify, written};
use qrtotp_tests::{
    Phone, Sandbox,
    broker::{Broker, ENROLS},
    clock,
    users::PASSWORD,
};
use std::time::Duration;

const ACCOUNT: &str = "/var/lib/qrtotp/accounts/alice/account.toml";

/// The kinds of the lines in the host's chain that are about alice's record, or that which this text names.
fn reasons(sandbox: &Sandbox, record: &str) -> Vec<String> {
    let chain = sandbox.read("/var/lib/qrtotp/host-chain");
    let about = chain.lines().filter(|line| line.contains(&format!(" record={record} ")));
    about.map(|line| line.split([' ', '=']).nth(1).unwrap().to_owned()).collect()
}

fn record(sandbox: &Sandbox) -> String {
    let text = sandbox.read(ACCOUNT);
    text.split("record = \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn checkpoint(sandbox: &Sandbox) {
    let made = sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    let root = made.stdout.split("root ").nth(1).unwrap().split(':').next().unwrap().to_owned();
    let _ = sandbox.log.wait(&["event=checkpoint", &root]);
}

/// alice enrols at a login.
fn enrolled_at_login() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment("login");
    let mut console = sandbox.pty_unrecorded(&["login", "alice"]);
    console.at_the_picture();
    let phone = console.take_key(&sandbox);
    console.confirm(&phone);
    let _ = sandbox.log.wait(&["reason=enrolled user=alice"]);
    sandbox
}

#[test]
fn the_next_checkpoint_tells_of_an_account_that_was_made_at_a_login_and_of_one_that_is_gone() {
    let sandbox = enrolled_at_login();
    let record = record(&sandbox);
    for _ in 0..2 {
        checkpoint(&sandbox);
        assert_eq!(reasons(&sandbox, &record), ["record_made"]);
    }
    let line = sandbox.log.wait(&["event=record_made reason=noted_later ", &record]);
    assert!(line.contains(" seq=") && !line.contains("alice"), "{line}");
    let gone = verified_without_alice(&sandbox);
    assert!(gone.stdout.contains("GONE"), "{}{}", gone.stdout, gone.stderr);
    for _ in 0..2 {
        checkpoint(&sandbox);
        assert_eq!(reasons(&sandbox, &record), ["record_made", "record_gone"]);
    }
    assert!(!verified_without_alice(&sandbox).stdout.contains("GONE"), "the chain tells it now");
}

#[test]
fn an_emergency_login_without_a_code_can_not_be_removed_from_the_log_unnoticed() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    sandbox
        .configure("[[rule]]\nname = \"break-glass\"\nuser = [\"alice\"]\nthen = \"skip\"\nalert = true\n");
    sandbox.make_store();
    sandbox.run(&["qrtotp", "account", "add", "alice"]).success();
    assert_eq!(reasons(&sandbox, &record(&sandbox)), ["record_made"]);
    let again = sandbox.run(&["qrtotp", "account", "add", "alice"]);
    assert!(!again.status.success() && again.stderr.contains("has a record already"), "{}", again.stderr);
    for _ in 0..2 {
        let _ = sandbox.login("alice").output();
    }
    let _ = sandbox.log.wait(&["reason=not_required user=alice", "rule=break-glass", " seq=2 "]);
    let whole = verified(&sandbox, &[]);
    assert!(whole.status.success(), "{}{}", whole.stdout, whole.stderr);
    written(&sandbox, |lines| {
        lines.retain(|line| !(line.contains("break-glass") && line.contains(" seq=2 ")))
    });
    let removed = verify(&sandbox).stdout;
    assert!(removed.contains("alice") && removed.contains("seq 2"), "{removed}");
}

#[test]
fn neither_an_apply_nor_the_timers_checkpoint_hides_that_a_record_is_gone() {
    let (sandbox, _) = logged_in();
    checkpoint(&sandbox);
    let away = "mv /var/lib/qrtotp/accounts/alice /root/alice";
    sandbox.run(&["sh", "-c", away]).success();
    sandbox.edit_configuration("[throttle]\nfree_failures = 3\n");
    let applied = sandbox.apply_configuration().success();
    assert!(applied.stderr.contains("records are gone or were put back"), "{}", applied.stderr);
    for _ in 0..2 {
        written(&sandbox, |_| ());
        sandbox.run(&["cp", "/tmp/auth.log", "/var/log/auth.log"]).success();
        let timer = sandbox.run(&["qrtotp", "audit", "checkpoint", "--verify"]);
        assert_eq!(timer.status.code(), Some(1), "{timer:?}");
        assert!(timer.stderr.contains("no checkpoint was made"), "{timer:?}");
    }
    assert!(verified(&sandbox, &[]).stdout.contains("GONE"));
    checkpoint(&sandbox);
    assert!(!verified(&sandbox, &[]).stdout.contains("GONE"), "root has accepted it");
}

#[test]
fn the_hosts_chain_tells_at_once_of_an_account_that_the_broker_made() {
    let sandbox = Sandbox::with_broker(ENROLS);
    sandbox.keep_secret(PASSWORD);
    sandbox.pam("qrtotp", "auth required pam_unix.so nodelay\naccount required pam_unix.so\n");
    let _broker: Broker = sandbox.start_broker();
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect("assword: ");
    pty.send(PASSWORD);
    let phone = pty.read_key(&sandbox);
    pty.finish_enrolment(&sandbox, &phone);
    let line = sandbox.log.wait(&["event=record_made service=qrtotpd record=", " seq="]);
    let record = record(&sandbox);
    assert!(line.contains(&record) && !line.contains("alice"), "{line}");
    checkpoint(&sandbox);
    assert_eq!(reasons(&sandbox, &record), ["record_made"]);
}

#[test]
fn removing_a_damaged_record_is_no_finding_even_if_its_file_does_not_say_which_it_is() {
    for damage in ["s/^uid = .*/uid = 7/", "s/^record = .*/record = 1/", "d"] {
        let (sandbox, _) = logged_in();
        let record = record(&sandbox);
        checkpoint(&sandbox);
        sandbox.run(&["sed", "-i", damage, ACCOUNT]).success();
        assert_ne!(sandbox.run(&["qrtotp", "status", "alice"]).status.code(), Some(0), "{damage}");
        let _ = sandbox.run(&["qrtotp", "account", "remove", "alice", "--yes"]).success();
        let _ = sandbox.log.wait(&["event=record_removed", " seq="]);
        assert_eq!(reasons(&sandbox, &record), ["record_made", "record_removed"], "{damage}");
        let whole = verified(&sandbox, &[]);
        assert!(whole.status.success(), "{damage}: {}{}", whole.stdout, whole.stderr);
    }
}

#[test]
fn after_a_kill_at_any_call_of_a_command_the_next_checkpoint_has_told_once_what_it_made_or_removed() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    sandbox.make_store();
    let mut killed = 0;
    for call in ["rename", "renameat", "fsync", "fdatasync", "pwrite64", "flock", "sendto"] {
        for (nth, remove) in (1..12).flat_map(|nth| [(nth, false), (nth, true)]) {
            let argv: &[&str] = match remove {
                true => &["qrtotp", "account", "remove", "alice", "--yes"],
                false => &["qrtotp", "token", "issue", "alice"],
            };
            let before = sandbox.exists(ACCOUNT).then(|| record(&sandbox));
            if before.is_some() != remove {
                continue;
            }
            let killer = killer(call, nth);
            let argv = [&killer.iter().map(String::as_str).collect::<Vec<_>>(), argv].concat();
            killed += u32::from(!sandbox.run(&argv).status.success());
            checkpoint(&sandbox);
            let after = sandbox.exists(ACCOUNT).then(|| record(&sandbox));
            let of = |record: &String| reasons(&sandbox, record);
            // The line of a removal comes before it: a kill in between makes the checkpoint tell of it again.
            let is_paired = |reasons: &[String], last: &str| {
                let is_due = |(n, event): (usize, &String)| (event == "record_made") == (n % 2 == 0);
                reasons.iter().enumerate().all(is_due) && (reasons.len() % 2 == 1) == (last == "made")
            };
            assert!(after.as_ref().is_none_or(|new| is_paired(&of(new), "made")), "{call} {nth} {argv:?}");
            let gone = before.filter(|record| after.as_ref() != Some(record));
            assert!(gone.is_none_or(|old| is_paired(&of(&old), "gone")), "{call} {nth} {argv:?}");
        }
    }
    let noted = sandbox.log.events().iter().filter(|line| line.contains("reason=noted_later")).count();
    let found = verified(&sandbox, &[]).stdout;
    assert!(!found.contains("CHECKPOINT"), "more checkpoints than seconds: {found}");
    assert!(killed >= 15 && noted >= 2, "{killed} kills, {noted} records left to the checkpoint");
}

/// The words that kill a program at this call.
fn killer(call: &str, nth: u32) -> Vec<String> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).to_vec()
}

/// Sends a line to the log and waits until it is there, with all before it.
fn send(sandbox: &Sandbox, line: &str) {
    let seen = sandbox.log.lines().len();
    sandbox.run(&["logger", "-p", "authpriv.notice", "-t", "qrtotp", line]).success();
    let _ = sandbox.log.wait_after(seen, &[line]);
}

/// A login of alice that is killed at this call, and the lines of which `audit verify` says then that they
/// are lost. `None`: it was not killed.
fn lost_by_kill(sandbox: &Sandbox, phone: &Phone, call: &str, nth: u32) -> Option<Vec<String>> {
    let killer = killer(call, nth);
    let killer: Vec<&str> = killer.iter().map(String::as_str).collect();
    sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    let login = sandbox.login("alice").answer(&phone.wrong_code()).under(&killer).output();
    send(sandbox, &format!("{call} {nth}"));
    (!login.status.success()).then(|| lost(sandbox))
}

fn lost(sandbox: &Sandbox) -> Vec<String> {
    let found = verified(sandbox, &[]).stdout;
    let other = ["CHANGED", "UNCHAINED", "MISSING", "OTHER", "OLD STORE"];
    assert!(!other.iter().any(|word| found.contains(word)), "{found}");
    let lines = found.lines().filter_map(|line| line.split_once("the store has it: "));
    lines.map(|(_, line)| line.to_owned()).collect()
}

#[test]
fn lines_that_a_killed_login_did_not_log_are_in_the_store_word_for_word_and_repair_logs_them() {
    let (sandbox, phone) = logged_in();
    let mut again = 0;
    for call in ["pwrite64", "fdatasync", "flock", "close", "readlink", "socket", "sendto"] {
        for lines in (1..40).map_while(|nth| lost_by_kill(&sandbox, &phone, call, nth)) {
            again += lines.len();
            lines.iter().for_each(|line| send(&sandbox, line));
            assert_eq!(lost(&sandbox), [""; 0]);
        }
    }
    assert!(again >= 5, "{again} kills came between a change and its line");
    let lines = lost_by_kill(&sandbox, &phone, "fdatasync", 1).unwrap();
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    let repair = sandbox.run(&["qrtotp", "audit", "repair", "--file", "/tmp/auth.log"]).success();
    assert!(repair.stdout.contains("1 lines logged again; 0 findings"), "{}", repair.stdout);
    let line = sandbox.log.wait(&["recovered by qrtotp audit repair"]);
    assert!(line.contains(&lines[0]) && lost(&sandbox).is_empty(), "{line}\n{lines:?}");
}

/// Gives forty accounts a device each.
const IMPORT: &str = "for n in $(seq 10 49); do
    echo 'otpauth://totp/Tests:one?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' | qrtotp import uri leaver$n --unused || exit
done";

#[test]
fn a_bulk_revocation_that_is_killed_goes_on_in_the_next_run_and_the_hosts_chain_tells_each_run() {
    let sandbox = Sandbox::new();
    let leavers: Vec<String> = (10..50).map(|n| format!("leaver{n}")).collect();
    sandbox.add_crowd(&leavers);
    sandbox.run(&["sh", "-c", IMPORT]).success();
    let revoke = ["qrtotp", "revoke", "--everyone"];
    let left = || {
        let planned = sandbox.run(&[&revoke[..], &["--dry-run"]].concat()).success().stdout;
        planned.lines().last().unwrap().split(' ').nth(2).unwrap().to_owned()
    };
    let mut counts = Vec::new();
    // While it says what it did, and between a change and its line.
    for (call, nth) in [("write", 150), ("readlink", 10)] {
        counts.push(left());
        let killer = killer(call, nth);
        let killer: Vec<&str> = killer.iter().map(String::as_str).collect();
        let killed = sandbox.run(&[&killer, &revoke[..], &["--confirm", &counts[counts.len() - 1]]].concat());
        assert!(!killed.status.success(), "{}", killed.stdout);
    }
    counts.push(left());
    let numbers: Vec<u32> = counts.iter().map(|count| count.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|more, less| more > less) && numbers[2] > 0, "{numbers:?}");
    sandbox.run(&[&revoke[..], &["--confirm", &counts[2]]].concat()).success();
    assert_eq!(left(), "0");
    let chain = sandbox.read("/var/lib/qrtotp/host-chain");
    let runs =
        chain.lines().filter_map(|line| line.strip_prefix("event=bulk_revoked ")?.split(" seq=").next());
    let begun = counts.iter().map(|count| format!("reason=begun service=qrtotp by=root count={count}"));
    let ended = format!("service=qrtotp by=root count={}", counts[2]);
    assert_eq!(runs.collect::<Vec<_>>(), begun.chain([ended]).collect::<Vec<_>>());
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    written(&sandbox, |_| ());
    let repair = sandbox.run(&["qrtotp", "audit", "repair", "--file", "/tmp/auth.log"]).success();
    assert!(repair.stdout.contains("1 lines logged again; 0 findings"), "{}", repair.stdout);
    let _ = sandbox.log.wait(&["recovered by qrtotp audit repair"]);
    let lines = written(&sandbox, |_| ());
    assert!(verify(&sandbox).success().stdout.contains("Nothing was changed"));
    for user in leavers {
        let of_user = format!("event=credential_revoked user={user} ");
        assert_eq!(lines.iter().filter(|line| line.contains(&of_user)).count(), 1, "{user}");
    }
}

#[test]
fn an_enrolment_of_roots_has_no_finding() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    let _ = sandbox.enroll("alice", &["--qr", "utf8"]);
    checkpoint(&sandbox);
    let whole = verified(&sandbox, &[]);
    assert!(whole.status.success(), "{}{}", whole.stdout, whole.stderr);
}
