//! kill -9 before each call of a login, an enrolment and changes of a record. Afterwards the log has each
//! line of each chain once, or `audit repair` logs it word for word from the store.

use crate::audit::trail::verified;
use qrtotp_tests::{
    Sandbox,
    actions::COMMAND,
    clock,
    faults::{Fault, Place, WATCH, calls},
    person,
};
use std::{collections::BTreeMap, time::Duration};

/// Where [`WATCH`] and [`Fault`] leave strace's output.
const TRACE: &str = "/tmp/trace";
/// A mark of the module's first call in the trace of a PAM application.
const MODULE: &str = "pam_qrtotp.so";
/// Calls that change, lock or sync files, or send lines.
const CHANGES: [&str; 14] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "renameat",
    "renameat2",
    "rename",
    "linkat",
    "unlinkat",
    "mkdirat",
    "flock",
    "socket",
    "connect",
    "sendto",
    "sendmsg",
];

/// Something that adds lines to an account's chain.
struct Action {
    /// The mark in its trace at which our part begins.
    start: &'static str,
    /// Prepares the account. Returns the user's answer.
    before: fn(&Sandbox, &str) -> String,
    /// Does it with this answer, under other programs.
    act: fn(&Sandbox, &str, &str, &[&str]),
    /// The beginning of the line that tells of it.
    event: &'static str,
    /// Whether it was done, in the words of `qrtotp status --json`.
    is_done: fn(&str) -> bool,
    /// It must have been killed so often, and so often between a change and its lines.
    least: [usize; 2],
}

const LOGIN: Action = Action {
    start: MODULE,
    before: with_code,
    act: log_in,
    event: "event=login result=accepted ",
    is_done: |status| !status.contains("\"last_used\": null"),
    least: [10, 4],
};
const RECOVERY: Action = Action {
    start: MODULE,
    before: with_recovery_code,
    act: log_in,
    event: "event=recovery_used ",
    is_done: |status| status.contains("\"recovery_codes_left\": 9"),
    least: [15, 8],
};
const ENROLMENT: Action = Action {
    start: COMMAND,
    before: |_, _| String::new(),
    act: enroll,
    event: "event=enrollment_confirmed ",
    is_done: |status| status.contains("\"standing\": \"enrolled\""),
    least: [28, 8],
};
const REVOCATION: Action = Action {
    start: COMMAND,
    before: with_code,
    act: revoke,
    event: "event=credential_revoked ",
    is_done: |status| status.contains("\"standing\": \"revoked\""),
    least: [14, 3],
};

const LABEL: Action = Action {
    start: COMMAND,
    before: with_code,
    act: label,
    event: "event=credential_renamed ",
    is_done: |status| status.contains("\"label\": \"renamed\""),
    least: [14, 3],
};
const TOKEN: Action = Action {
    start: COMMAND,
    before: with_code,
    act: issue,
    event: "event=token_issued ",
    is_done: |status| status.contains("\"state\": \"issued\""),
    least: [14, 3],
};

fn with_code(sandbox: &Sandbox, user: &str) -> String {
    sandbox.import(user).code()
}

fn with_recovery_code(sandbox: &Sandbox, user: &str) -> String {
    let _ = sandbox.import(user);
    sandbox.new_recovery_codes(user).remove(0)
}

fn log_in(sandbox: &Sandbox, user: &str, answer: &str, under: &[&str]) {
    let _ = sandbox.login(user).answer(answer).under(under).output();
}

fn enroll(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    let argv = [under, &["qrtotp", "enroll", user, "--qr", "none"]].concat();
    let _ = person::enrol(sandbox, sandbox.pty_unrecorded(&argv));
}

fn revoke(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    let _ = sandbox.run(&[under, &["qrtotp", "revoke", user, "--all"]].concat());
}

fn label(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    let _ = sandbox.run(&[under, &["qrtotp", "device", "rename", user, "--label", "renamed"]].concat());
}

fn issue(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    let _ = sandbox.run(&[under, &["qrtotp", "token", "issue", user]].concat());
}

/// Leaves only what comes up to the last change in the trace: kills after that change nothing.
fn cut_after_the_last_change(sandbox: &Sandbox) {
    let trace = sandbox.read(TRACE);
    let lines: Vec<&str> = trace.lines().collect();
    let last = lines.iter().rposition(|line| is_change(line)).unwrap();
    sandbox.overwrite(TRACE, &lines[..=last].join("\n"));
}

/// Does it once for each of its calls that `wanted` selects by strace's text, each time for another account,
/// and kills it just before that call. Returns the number of kills.
fn kill_at_calls(sandbox: &Sandbox, action: &Action, wanted: impl Fn(&str) -> bool) -> usize {
    let act = |user: &str, under: &[&str]| {
        sandbox.add_user(user);
        let answer = (action.before)(sandbox, user);
        (action.act)(sandbox, user, &answer, under);
    };
    act("watched", &WATCH);
    cut_after_the_last_change(sandbox);
    let mut kills = 0;
    for (call, places) in calls(sandbox, action.start, wanted) {
        for Place { nth, .. } in places.into_iter().filter(|place| !place.libpams) {
            let killer = Fault { call: call.clone(), nth, effect: "signal=KILL" }.injector(sandbox);
            act(&format!("user{kills}"), &killer.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(sandbox.read(TRACE).trim_end().ends_with(" = ?"), "{call} {nth}: no kill");
            kills += 1;
        }
    }
    kills
}

/// Has lines logged again that only the store has, and checks that they are. Returns their number.
fn repaired(sandbox: &Sandbox) -> usize {
    let found = verified(sandbox, &[]).stdout;
    let findings = found.lines().filter(|line| line.contains(" seq ")).count();
    let lost: Vec<_> = found.lines().filter_map(|line| line.split_once("the store has it: ")).collect();
    assert_eq!(findings, lost.len(), "{found}");
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    let _ = sandbox.run(&["qrtotp", "audit", "repair", "--file", "/tmp/auth.log"]).success();
    let events = sandbox.log.events();
    for (_, line) in &lost {
        let again = format!("{line} detail=\"recovered by qrtotp audit repair\"");
        assert_eq!(events.iter().filter(|event| event.starts_with(line)).collect::<Vec<_>>(), [&again]);
    }
    let whole = verified(sandbox, &[]);
    assert!(whole.status.success(), "{}{}", whole.stdout, whole.stderr);
    lost.len()
}

/// The value of a key in a line; empty: it has none.
fn value<'l>(line: &'l str, key: &str) -> &'l str {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
}

/// The log has each line up to the head of each chain in the store once, and no other.
fn each_number_is_there_once(sandbox: &Sandbox) {
    let mut numbers = BTreeMap::<String, Vec<u64>>::new();
    for line in sandbox.log.events().iter().filter(|line| line.contains(" chain=")) {
        let number = value(line, "seq").parse().unwrap();
        numbers.entry(value(line, "user").to_owned()).or_default().push(number);
    }
    numbers.values_mut().for_each(|numbers| numbers.sort_unstable());
    let heads = sandbox.run(&["qrtotp", "audit", "heads"]).success().stdout;
    let heads = heads.lines().filter(|line| line.starts_with("event=audit_head "));
    let last = |line: &str| value(line, "seq").parse::<u64>().unwrap();
    let heads = heads.map(|line| (value(line, "user").to_owned(), (1..=last(line)).collect()));
    assert_eq!(numbers, heads.collect());
}

/// The number of accounts for which it was done and no line tells of it. A line that tells of it is never
/// there if it was not done.
fn unlogged(sandbox: &Sandbox, action: &Action, kills: usize) -> usize {
    let events = sandbox.log.events();
    let is_told =
        |user: &str| events.iter().any(|line| line.starts_with(action.event) && value(line, "user") == user);
    let unlogged = (0..kills).map(|number| format!("user{number}")).filter(|user| {
        let status = sandbox.run(&["qrtotp", "status", user, "--json"]).success().stdout;
        let (done, is_logged) = ((action.is_done)(&status), is_told(user));
        assert!(done || !is_logged, "{user}: {status}");
        done && !is_logged
    });
    unlogged.count()
}

fn kill(action: &Action, wanted: impl Fn(&str) -> bool) {
    let sandbox = Sandbox::new();
    sandbox.configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n");
    sandbox.stack("");
    sandbox.make_store();
    let kills = kill_at_calls(&sandbox, action, wanted);
    let lost = repaired(&sandbox);
    each_number_is_there_once(&sandbox);
    let unlogged = unlogged(&sandbox, action, kills);
    println!("{kills} kills, {lost} lines were only in the store, {unlogged} changes have no line");
    assert_eq!(unlogged, 0, "changes without a line");
    assert!(kills >= action.least[0] && lost >= action.least[1], "the kills came at the wrong times");
}

/// Whether a call in strace's words changes, locks or syncs a file, opens an account's state, or sends a
/// line.
fn is_change(call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    CHANGES.contains(&name) || (name == "openat" && call.contains("\"state\""))
}

#[test]
fn after_a_kill_at_a_change_of_an_accepted_login_each_line_is_logged_once() {
    kill(&LOGIN, is_change);
}

#[test]
fn after_a_kill_at_a_change_of_a_login_with_a_recovery_code_each_line_is_logged_once() {
    kill(&RECOVERY, is_change);
}

#[test]
fn after_a_kill_at_a_change_of_an_enrolment_each_line_is_logged_once() {
    kill(&ENROLMENT, is_change);
}

#[test]
fn after_a_kill_at_a_change_of_a_revocation_each_line_is_logged_once() {
    kill(&REVOCATION, is_change);
}

#[test]
fn after_a_kill_at_a_change_of_a_label_or_a_token_each_line_is_logged_once() {
    for action in [&LABEL, &TOKEN] {
        kill(action, is_change);
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_kill_at_any_call_of_a_login_an_enrolment_or_a_revocation_each_line_is_logged_once() {
    for action in [&LOGIN, &RECOVERY, &ENROLMENT, &REVOCATION, &LABEL, &TOKEN] {
        kill(action, |_| true);
    }
}
