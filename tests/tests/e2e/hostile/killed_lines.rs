//! kill -9 before each call of a login, an enrolment and whatever else adds lines to a chain; for some, then
//! a power cut. Afterwards the log has each line of each chain once, or `audit repair` logs it word for word
//! from the store, and the same command finishes the work.

use crate::audit::trail::verified;
use qrtotp_tests::{
    Phone, Sandbox, State,
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

/// Something that adds lines to an account's chain, or to the host's.
struct Action {
    /// The mark in its trace at which our part begins.
    start: &'static str,
    /// Prepares the account. Returns the user's answer.
    before: fn(&Sandbox, &str) -> String,
    /// Does it with this answer, under other programs.
    act: fn(&Sandbox, &str, &str, &[&str]),
    /// The beginning of the line that tells of it. Empty: it is about no account.
    event: &'static str,
    /// Whether it was done, in the words of [`facts`].
    is_done: fn(&str) -> bool,
    /// It must have been killed so often, and so often between a change and its lines.
    least: [usize; 2],
}

/// A command that is about one account.
const fn command(
    before: fn(&Sandbox, &str) -> String,
    act: fn(&Sandbox, &str, &str, &[&str]),
    event: &'static str,
    is_done: fn(&str) -> bool,
) -> Action {
    Action { start: COMMAND, before, act, event, is_done, least: [12, 2] }
}

const IS_REVOKED: fn(&str) -> bool = |facts| facts.contains("\"standing\": \"revoked\"");

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
    is_done: IS_REVOKED,
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

/// Changes of one account by root's commands.
const ADMINISTRATION: [Action; 5] = [
    command(with_code, reissue, "event=token_issued ", IS_REVOKED),
    command(with_failure, unlock, "event=throttle_lifted ", |facts| !facts.contains("\"failures\": 1")),
    command(with_device, resync, "event=credential_resynchronized ", |facts| {
        facts.contains("\"clock_ahead_seconds\": -")
    }),
    command(with_place, forget, "event=places_forgotten ", |facts| facts.contains("\"familiar_places\": 0")),
    command(with_token, revoke_token, "event=token_revoked ", |facts| {
        !facts.contains("\"state\": \"issued\"")
    }),
];
/// What makes and removes a record.
const RECORDS: [Action; 2] = [
    command(|_, _| String::new(), add, "event=record_made ", |facts| facts.contains(" record=")),
    command(with_code, remove, "event=account_removed ", |facts| !facts.contains(" record=")),
];
/// Each is about two accounts.
const BULK: [Action; 2] = [
    command(with_group, revoke_group, "event=credential_revoked ", IS_REVOKED),
    command(with_group, reissue_group, "event=token_issued ", IS_REVOKED),
];
/// Only lines of the host's chain.
const HOSTS: [Action; 2] = [
    command(|_, _| String::new(), checkpoint, "", |_| true),
    command(|_, _| String::new(), apply, "", |_| true),
];

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

fn with_failure(sandbox: &Sandbox, user: &str) -> String {
    let _ = sandbox.login(user).answer(&sandbox.import(user).wrong_code()).output();
    String::new()
}

/// The answer is the device's key.
fn with_device(sandbox: &Sandbox, user: &str) -> String {
    sandbox.import(user).key
}

fn with_place(sandbox: &Sandbox, user: &str) -> String {
    let code = with_code(sandbox, user);
    let _ = sandbox.login(user).arguments(&["--rhost", "198.51.100.7"]).answer(&code).output();
    String::new()
}

fn with_token(sandbox: &Sandbox, user: &str) -> String {
    issue(sandbox, user, "", &[]);
    String::new()
}

/// A group of the user and another one.
fn with_group(sandbox: &Sandbox, user: &str) -> String {
    let other = format!("{user}-2");
    sandbox.add_user(&other);
    sandbox.append(
        "/etc/group",
        &format!("g-{user}:x:{}:{user},{other}\n", sandbox.read("/etc/group").len() + 5000),
    );
    let _ = [user, &other].map(|user| sandbox.import(user));
    String::new()
}

fn root(sandbox: &Sandbox, under: &[&str], command: &[&str]) {
    let _ = sandbox.run(&[under, &["qrtotp"], command].concat());
}

fn reissue(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["reissue", user]);
}

fn unlock(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["unlock", user]);
}

fn resync(sandbox: &Sandbox, user: &str, key: &str, under: &[&str]) {
    let phone = Phone { key: key.to_owned(), ..Phone::any() };
    // Minutes behind: other steps than any before of the same account.
    let step = phone.step() - 2;
    let mut pty = sandbox.pty_unrecorded(&[under, &["qrtotp", "resync", user]].concat());
    for (question, step) in [("shows now: ", step - 1), ("shows it: ", step)] {
        if pty.meet(&[question], Duration::from_secs(6)).is_some() {
            pty.send(&phone.code_of_step(step));
        }
    }
    let _ = pty.ended(Duration::from_secs(20));
}

fn forget(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["place", "forget", user]);
}

fn revoke_token(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["token", "revoke", user]);
}

fn add(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["account", "add", user]);
}

fn remove(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["account", "remove", user, "--yes"]);
}

fn revoke_group(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    of_group(sandbox, "revoke", user, under);
}

fn reissue_group(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    of_group(sandbox, "reissue", user, under);
}

/// For the accounts of the group that are left.
fn of_group(sandbox: &Sandbox, verb: &str, user: &str, under: &[&str]) {
    let group = format!("g-{user}");
    let planned = sandbox.run(&["qrtotp", verb, "--group", &group, "--dry-run"]).success().stdout;
    let left = planned.lines().filter(|line| line.starts_with(user)).count().to_string();
    root(sandbox, under, &[verb, "--group", &group, "--confirm", &left]);
}

fn checkpoint(sandbox: &Sandbox, _: &str, _: &str, under: &[&str]) {
    root(sandbox, under, &["audit", "checkpoint"]);
    let files = sandbox.run(&["ls", "/var/lib/qrtotp/checkpoints"]).stdout;
    for file in files.lines().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
        let whole = verified(sandbox, &["--against", &format!("/var/lib/qrtotp/checkpoints/{file}")]);
        assert!(matches!(whole.status.code(), Some(0 | 1)), "{file}: {whole:?}");
        assert!(!whole.stdout.contains("CHECKPOINT"), "{file}: {whole:?}");
    }
}

/// Applies another configuration than before. The one in force has its line in the host's chain.
fn apply(sandbox: &Sandbox, user: &str, _: &str, under: &[&str]) {
    let rule = format!("[[rule]]\nname = \"{user}\"\nuser = [\"x\"]\nthen = \"deny\"\n");
    sandbox.edit_configuration(&rule);
    root(sandbox, under, &["config", "apply"]);
    let shown = sandbox.run(&["qrtotp", "config", "show"]).success().stdout;
    let number = shown.strip_prefix("policy ").and_then(|rest| rest.split(',').next()).unwrap();
    let line = format!(" policy={number} ");
    let chain = sandbox.read("/var/lib/qrtotp/host-chain");
    assert!(chain.lines().any(|told| told.contains(&line)), "{line} is not in {chain}");
}

/// Leaves only what comes up to the last change in the trace: kills after that change nothing.
fn cut_after_the_last_change(sandbox: &Sandbox) {
    let trace = sandbox.read(TRACE);
    let lines: Vec<&str> = trace.lines().collect();
    let last = lines.iter().rposition(|line| is_change(line)).unwrap();
    sandbox.overwrite(TRACE, &lines[..=last].join("\n"));
}

/// Does it once for each of its calls that `wanted` selects by strace's text, each time for another account,
/// and kills it just before that call; `cut`: then the power fails, too. Returns the answers of the accounts,
/// and how many lines only the store had.
fn kill_at_calls(
    sandbox: &Sandbox,
    action: &Action,
    cut: bool,
    wanted: impl Fn(&str) -> bool,
) -> (Vec<String>, usize) {
    let act = |user: &str, under: &[&str]| {
        sandbox.add_user(user);
        let answer = (action.before)(sandbox, user);
        (action.act)(sandbox, user, &answer, under);
        answer
    };
    act("first", &[]); // it may make a directory that later ones find
    act("watched", &WATCH);
    cut_after_the_last_change(sandbox);
    let (mut answers, mut misses, mut lost) = (Vec::new(), 0, 0);
    for (call, places) in calls(sandbox, action.start, wanted) {
        for Place { nth, .. } in places.into_iter().filter(|place| !place.libpams) {
            let killer = Fault { call: call.clone(), nth, effect: "signal=KILL" }.injector(sandbox);
            let user = format!("user{}", answers.len());
            answers.push(act(&user, &killer.iter().map(String::as_str).collect::<Vec<_>>()));
            // A call that waits for another process may be made less often.
            misses += usize::from(!sandbox.read(TRACE).trim_end().ends_with(" = ?"));
            if cut {
                sandbox.cut_power();
            }
            if answers.len() % 40 == 0 {
                lost += repaired(sandbox); // the log remembers a limited number of gaps
            }
        }
    }
    assert!(misses * 20 <= answers.len(), "{misses} of {} were not killed", answers.len());
    (answers, lost)
}

/// Has lines logged again that only the store has, and checks that they are. Returns their number.
fn repaired(sandbox: &Sandbox) -> usize {
    let found = verified(sandbox, &[]).stdout;
    let findings = found.lines().filter(|line| line.contains(" seq ")).count();
    let lost: Vec<_> = found.lines().filter_map(|line| line.split_once("the store has it: ")).collect();
    assert_eq!(findings, lost.len(), "{found}");
    if lost.is_empty() && !found.contains("GONE") {
        return 0;
    }
    clock::pause(Duration::from_secs(11)); // a later line may be on its way
    let repair = sandbox.run(&["qrtotp", "audit", "repair", "--file", "/tmp/auth.log"]);
    assert!(repair.status.success(), "{found}{}{}", repair.stdout, repair.stderr);
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
        let user = value(line, "user");
        numbers.entry(user.to_owned()).or_default().push(number);
    }
    numbers.values_mut().for_each(|numbers| numbers.sort_unstable());
    let heads = sandbox.run(&["qrtotp", "audit", "heads"]).success().stdout;
    let heads = heads.lines().filter(|line| line.starts_with("event=audit_head "));
    let last = |line: &str| value(line, "seq").parse::<u64>().unwrap();
    let heads = heads.map(|line| (value(line, "user").to_owned(), (1..=last(line)).collect()));
    let heads: BTreeMap<String, Vec<u64>> = heads.collect();
    // The chain of a removed account ends with the line of that.
    let is_gone = |user: &str| {
        let told = |line: &String| line.starts_with(&format!("event=account_removed user={user} "));
        !heads.contains_key(user) && sandbox.log.events().iter().any(told)
    };
    numbers.retain(|user, numbers| !is_gone(user) || !(1..).zip(&*numbers).all(|(n, number)| n == *number));
    assert_eq!(numbers, heads);
}

/// The account in words: its status, and the id of its record.
fn facts(sandbox: &Sandbox, user: &str) -> String {
    let status = sandbox.run(&["qrtotp", "status", user, "--json"]).stdout;
    let record = record(sandbox, user).map(|id| format!(" record={id} ")).unwrap_or_default();
    status + &record
}

fn record_path(sandbox: &Sandbox, user: &str) -> Option<String> {
    Some(format!("/var/lib/qrtotp/accounts/{user}/account.toml")).filter(|path| sandbox.exists(path))
}

/// The id of the account's record.
fn record(sandbox: &Sandbox, user: &str) -> Option<String> {
    let text = sandbox.read(&record_path(sandbox, user)?);
    Some(
        text.lines().find_map(|line| line.strip_prefix("record = \"")?.strip_suffix('"')).unwrap().to_owned(),
    )
}

/// The number of accounts for which it was done and no line tells of it. A line that tells of it is never
/// there if it was not done, but for a removal.
fn unlogged(sandbox: &Sandbox, action: &Action, users: &[String]) -> usize {
    let events = sandbox.log.events();
    let unlogged = users.iter().filter(|user| {
        let facts = facts(sandbox, user);
        let is_about = |line: &&String| {
            value(line, "user") == user.as_str()
                || facts.contains(&format!(" record={} ", value(line, "record")))
        };
        let told = events.iter().filter(|line| line.starts_with(action.event)).any(|line| is_about(&line));
        let done = (action.is_done)(&facts);
        assert!(done || !told || action.event == "event=account_removed ", "{user}: {facts}");
        done && !told
    });
    unlogged.count()
}

/// Checks the account again after the same command, and that the log is whole then.
fn finished(sandbox: &Sandbox, action: &Action, users: &[String], answers: &[String]) {
    for (user, answer) in users.iter().zip(answers) {
        if !(action.is_done)(&facts(sandbox, user)) {
            (action.act)(sandbox, user, answer, &[]);
            assert!((action.is_done)(&facts(sandbox, user)), "{user}: {}", facts(sandbox, user));
        }
    }
    sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    let _ = repaired(sandbox);
}

fn kill(action: &Action, wanted: impl Fn(&str) -> bool) {
    kill_and(false, action, wanted);
}

/// `cut`: each kill is followed by a power cut.
fn kill_and(cut: bool, action: &Action, wanted: impl Fn(&str) -> bool) {
    // Room for an account, or two, for each call.
    let sandbox = Sandbox::with_state(if cut { State::Ext4("64m") } else { State::Tmpfs("size=128m") });
    sandbox.configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n");
    sandbox.stack("");
    sandbox.make_store();
    let (answers, mut lost) = kill_at_calls(&sandbox, action, cut, wanted);
    if action.event == "event=record_made " {
        // A record that a killed command made gets its line from the next checkpoint.
        sandbox.run(&["qrtotp", "audit", "checkpoint"]).success();
    }
    lost += repaired(&sandbox);
    each_number_is_there_once(&sandbox);
    let kills = answers.len();
    let mut users: Vec<String> = (0..kills).map(|number| format!("user{number}")).collect();
    let others: Vec<String> = users.iter().map(|user| format!("{user}-2")).collect();
    users.extend(others.into_iter().filter(|user| record_path(&sandbox, user).is_some()));
    let unlogged = if action.event.is_empty() { 0 } else { unlogged(&sandbox, action, &users) };
    println!(
        "{} {kills} kills, {lost} lines were only in the store, {unlogged} changes have no line",
        action.event
    );
    assert_eq!(unlogged, 0, "changes without a line");
    if action.start == COMMAND {
        finished(&sandbox, action, &users[..kills], &answers);
    }
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
fn after_a_kill_at_a_change_of_a_removal_each_line_is_logged_once() {
    kill(&RECORDS[1], is_change);
}

#[test]
fn after_a_power_cut_at_a_change_of_an_unlocking_each_line_is_logged_once() {
    kill_and(true, &ADMINISTRATION[1], is_change);
}

#[test]
fn after_a_kill_at_a_change_of_a_checkpoint_none_is_half_written() {
    kill(&HOSTS[0], is_change);
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_kill_at_any_call_of_a_login_an_enrolment_or_a_revocation_each_line_is_logged_once() {
    for action in [&LOGIN, &RECOVERY, &ENROLMENT, &REVOCATION, &LABEL, &TOKEN] {
        kill(action, |_| true);
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_kill_at_any_call_of_what_changes_an_account_each_line_is_logged_once() {
    for action in ADMINISTRATION.iter().chain(&RECORDS) {
        kill(action, |_| true);
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_kill_at_any_call_of_what_changes_many_accounts_or_the_host_s_chain_each_line_is_logged_once() {
    for action in BULK.iter().chain(&HOSTS) {
        kill(action, |_| true);
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask proof kills`"]
fn after_a_power_cut_at_a_change_of_any_command_each_line_is_logged_once() {
    // The configuration is not on the disk whose power fails: `cargo xtask proof apply`.
    for action in ADMINISTRATION.iter().chain(&RECORDS).chain(&BULK).chain(&HOSTS[..1]) {
        kill_and(true, action, is_change);
    }
}
