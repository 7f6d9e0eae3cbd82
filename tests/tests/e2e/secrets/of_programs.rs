//! Secrets in the memory of the broker once all callers are served, and of the command once it is done: none.
//! Before then, memory with secrets is neither swapped out nor dumped.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use qrtotp_tests::{
    Phone, Sandbox,
    broker::{ENROLS, TOKEN_QUESTION},
    clock,
    enrol::recovery_codes,
    memory::{Found, Patterns, forms_of_code, forms_of_key, from_base32, search},
    searches::Searches,
};

fn secret_of(phone: &Phone) -> Patterns {
    forms_of_key("the secret", &from_base32(&phone.key))
}

#[test]
fn no_secret_of_an_enrolment_stays_in_the_broker() {
    let sandbox = Sandbox::with_broker(ENROLS);
    let broker = sandbox.start_broker();
    let token = sandbox.token_code("alice");
    let mut pty = sandbox.own("alice", &["enroll"]);
    pty.expect(TOKEN_QUESTION);
    pty.send(&token);
    let phone = pty.read_key(&sandbox);
    let mut patterns = [sandbox.forms_of_sealing_key(), secret_of(&phone)].concat();
    patterns.extend(forms_of_code("the token's code", &token));
    let place = broker.memory();
    let mut searches = Searches::of("broker, enrolment");
    let during = searches.look("while the first code is waited for", &place, &patterns);
    assert!(
        during.iter().any(|found| found.what.starts_with("the secret")),
        "the search finds nothing: {during:#?}"
    );
    assert!(during.iter().all(Found::is_shielded), "{during:#?}");
    phone.wait_for_seconds_left(5);
    let code = phone.code();
    sandbox.keep_secret(&code);
    pty.send(&code);
    let codes = pty.keep_recovery_codes(&sandbox);
    patterns.extend(codes.iter().flat_map(|code| forms_of_code("a recovery code", code)));
    pty.success();
    let left = searches.look("once nobody is served", &place, &patterns);
    assert!(left.is_empty(), "{left:#?}");
    searches.tell(&patterns);
}

/// The words that make a program wait for a minute before it ends.
const SLOW_END: [&str; 7] = [
    "strace",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=exit_group",
    "-einject=exit_group:delay_enter=60000000",
];
const EXIT_GROUP: &str = "231 ";

/// The command's directory in /proc.
fn memory_of_command(sandbox: &Sandbox) -> PathBuf {
    let pid = sandbox.run(&["pgrep", "--exact", "qrtotp"]).success().stdout;
    sandbox.path(&format!("/proc/{}", pid.trim()))
}

fn wait_for_its_end(place: &Path) {
    let ends =
        || std::fs::read_to_string(place.join("syscall")).is_ok_and(|call| call.starts_with(EXIT_GROUP));
    clock::poll(Duration::from_secs(30), || ends().then_some(())).expect("it does not end");
}

#[test]
fn no_secret_is_left_in_the_command_when_an_enrolment_is_done() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.make_store();
    let (mut pty, phone, _) = sandbox.start_enrolment_with(&SLOW_END, "alice", &[]);
    let mut patterns = [sandbox.forms_of_sealing_key(), secret_of(&phone)].concat();
    let place = memory_of_command(&sandbox);
    let mut searches = Searches::of("command, enrolment");
    let during = searches.look("while the first code is waited for", &place, &patterns);
    assert!(!during.is_empty(), "the search finds nothing");
    assert!(during.iter().all(Found::is_shielded), "{during:#?}");
    phone.wait_for_seconds_left(5);
    let code = phone.code();
    sandbox.keep_secret(&code);
    pty.send(&code);
    wait_for_its_end(&place);
    // Its output may still be on its way through the terminal.
    let all = || Some(recovery_codes(&pty.transcript())).filter(|codes| codes.len() == 10);
    let codes = clock::poll(Duration::from_secs(5), all).unwrap_or_else(|| panic!("{}", pty.transcript()));
    patterns.extend(codes.iter().flat_map(|code| forms_of_code("a recovery code", code)));
    let left = searches.look("right before its end", &place, &patterns);
    assert!(left.is_empty(), "{left:#?}");
    searches.tell(&patterns);
}

#[test]
fn a_limit_of_locked_memory_keeps_nobody_from_enrolling() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.make_store();
    // Room for the command, but not for hashing its recovery codes.
    let limited = ["prlimit", "--memlock=8388608:8388608", "setpriv", "--bounding-set=-ipc_lock"];
    let (mut pty, phone, _) = sandbox.start_enrolment_with(&limited, "alice", &[]);
    let during = search(&memory_of_command(&sandbox), &secret_of(&phone)).found;
    assert!(!during.is_empty() && during.iter().all(|found| found.in_undumped), "{during:#?}");
    phone.wait_for_seconds_left(5);
    let code = phone.code();
    sandbox.keep_secret(&code);
    pty.send(&code);
    let codes = recovery_codes(&pty.success());
    assert_eq!(codes.len(), 10);
    codes.iter().for_each(|code| sandbox.keep_secret(code));
}
