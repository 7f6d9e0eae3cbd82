//! Applications in a state that no module would like to find: each login is decided rightly or denied, in bounded time, the
//! application goes on, and the next normal login works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use qrtotp_tests::{
    Output, Phone, Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, value},
};

fn host() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.configure("[throttle]\nfree_failures = 20\n");
    sandbox.stack("");
    sandbox.add_user("alice");
    sandbox.add_user("bobby");
    let phone = sandbox.import("alice");
    (sandbox, phone)
}

fn hostile(sandbox: &Sandbox, condition: &str, user: &str, answer: &str) -> Output {
    under(sandbox, &[], condition, user, answer)
}

fn under(sandbox: &Sandbox, starter: &[&str], condition: &str, user: &str, answer: &str) -> Output {
    let program = sandbox.install_c("hostile_host.c", &["-lpam", "-pthread"]);
    let start = Instant::now();
    let output = sandbox.run(&[starter, &[program.as_str(), condition, user, answer]].concat());
    assert_eq!(output.signal(), None, "{condition}: {output:?}");
    assert!(start.elapsed() < Duration::from_secs(12), "{condition} took {:?}", start.elapsed());
    output
}

fn decision(output: &Output) -> i32 {
    value(&output.stdout, "authenticate").unwrap_or_else(|| panic!("{output:?}")).parse().unwrap()
}

/// Codes of each of these steps are right, once.
fn wide(sandbox: &Sandbox) {
    sandbox
        .configure("[verify]\nwindow_back = 10\n[enroll]\nmax_devices = 1\n[throttle]\nfree_failures = 20\n");
}

#[test]
fn a_login_works_whatever_it_finds_in_the_process() {
    let (sandbox, phone) = host();
    wide(&sandbox);
    // The harness looks ten steps back; each condition uses up one.
    let conditions = [
        "many-descriptors",
        "closed-standard",
        "all-signals-blocked",
        "all-signals-ignored",
        "alarm-storm",
        "no-mlock2",
        "no-openat2",
        "tiny-stack",
        "user-and-back",
    ];
    let first = phone.step() - 9;
    for (step, condition) in (first..).zip(conditions) {
        let wrong = hostile(&sandbox, condition, "alice", &phone.wrong_code()).success();
        assert_eq!(decision(&wrong), PAM_AUTH_ERR, "{condition}");
        let right = hostile(&sandbox, condition, "alice", &phone.code_of_step(step)).success();
        assert_eq!(decision(&right), PAM_SUCCESS, "{condition}: {right:?}");
        assert_eq!(value(&right.stdout, "descriptors_left"), Some("0"), "{condition}");
        let alarms: u32 = value(&right.stdout, "alarms").unwrap().parse().unwrap();
        assert_eq!(alarms > 0, condition == "alarm-storm", "{alarms} alarms came: {condition}");
    }
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn where_the_process_may_not_do_what_a_login_needs_it_is_denied_and_the_code_stays_good() {
    let (sandbox, phone) = host();
    wide(&sandbox);
    for condition in ["no-descriptors", "no-flock"] {
        let denied = hostile(&sandbox, condition, "alice", &phone.previous_code());
        assert_ne!(decision(&denied), PAM_SUCCESS, "{condition}: {denied:?}");
    }
    // A login with a code needs no random numbers.
    let output = hostile(&sandbox, "no-getrandom", "alice", &phone.code_of_step(phone.step() - 5));
    assert_eq!(decision(&output), PAM_SUCCESS, "{output:?}");
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn a_code_that_could_not_be_made_durable_is_denied_and_not_accepted_later() {
    let (sandbox, phone) = host();
    let denied = hostile(&sandbox, "no-fdatasync", "alice", &phone.previous_code());
    assert_eq!(decision(&denied), PAM_AUTH_ERR, "{denied:?}");
    let _ = sandbox.log.wait(&["event=login result=denied reason=may_be_kept"]);
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn of_an_application_that_forks_at_the_prompt_only_one_gets_in() {
    let (sandbox, phone) = host();
    let output = hostile(&sandbox, "fork", "alice", &phone.previous_code()).success();
    let got_in = output.stdout.matches("authenticate=0\n").count();
    let denied = output.stdout.matches("authenticate=7\n").count();
    assert_eq!((got_in, denied), (1, 1), "{output:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn without_a_system_log_a_login_is_decided_all_the_same() {
    let (sandbox, phone) = host();
    sandbox.run(&["mv", "/dev/log", "/dev/log.away"]).success();
    assert_eq!(decision(&hostile(&sandbox, "plain", "alice", &phone.wrong_code())), PAM_AUTH_ERR);
    assert_eq!(decision(&hostile(&sandbox, "closed-standard", "alice", &phone.previous_code())), PAM_SUCCESS);
    sandbox.run(&["mv", "/dev/log.away", "/dev/log"]).success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

/// The sandbox's own files, but for an empty /dev.
const JAIL: &str =
    "mkdir -p /run/jail /run/empty && mount --rbind / /run/jail && mount -t tmpfs none /run/jail/dev";

#[test]
fn in_a_chroot_without_any_device_a_login_is_decided_all_the_same() {
    let (sandbox, phone) = host();
    sandbox.run(&["sh", "-c", JAIL]).success();
    let jailed = |answer: &str| under(&sandbox, &["chroot", "/run/jail"], "plain", "alice", answer);
    assert!(!sandbox.exists("/run/jail/dev/log") && sandbox.exists("/dev/log"));
    let seen = sandbox.log.lines().len();
    assert_eq!(decision(&jailed(&phone.wrong_code())), PAM_AUTH_ERR);
    assert_eq!(decision(&jailed(&phone.previous_code())), PAM_SUCCESS);
    assert_eq!(decision(&jailed(&phone.previous_code())), PAM_AUTH_ERR);
    assert_eq!(sandbox.log.lines().len(), seen, "its log was not out of reach");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn an_application_that_moves_to_an_empty_root_at_the_prompt_gets_a_decision_that_holds() {
    let (sandbox, phone) = host();
    sandbox.run(&["sh", "-c", JAIL]).success();
    let output = hostile(&sandbox, "chroot-at-the-prompt", "alice", &phone.previous_code()).success();
    let expected = match decision(&output) {
        PAM_SUCCESS => PAM_AUTH_ERR,
        _ => PAM_SUCCESS,
    };
    assert_eq!(sandbox.answer("alice", &phone.previous_code()), expected, "{output:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

/// What seccomp(2) kills with.
const SIGSYS: i32 = 31;

#[test]
fn where_asking_for_random_numbers_is_death_a_login_asks_for_none() {
    let (sandbox, phone) = host();
    let codes = sandbox.new_recovery_codes("alice");
    let killed = |answer: &str| decision(&hostile(&sandbox, "getrandom-kills", "alice", answer));
    assert_eq!(killed(&phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(killed(&phone.previous_code()), PAM_SUCCESS);
    sandbox.keep_secret(&codes[0]);
    assert_eq!(killed(&codes[0]), PAM_SUCCESS);
    assert_eq!(killed(&codes[0]), PAM_AUTH_ERR);
    let program = sandbox.install_c("hostile_host.c", &["-lpam", "-pthread"]);
    let asks = sandbox.run(&[&program, "getrandom-kills-us", "alice", ""]);
    assert_eq!(asks.signal(), Some(SIGSYS), "nobody is killed: {asks:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn in_64_threads_a_code_is_accepted_once() {
    let (sandbox, phone) = host();
    let output = hostile(&sandbox, "threads", "alice!", &phone.previous_code()).success();
    assert_eq!(value(&output.stdout, "accepted"), Some("1"), "{output:?}");
    sandbox.run(&["qrtotp", "unlock", "alice"]).success(); // the other 63 were failures
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn in_64_threads_everybody_gets_in_with_their_own_code() {
    let (sandbox, _) = host();
    let phones: Vec<Phone> = (0..64)
        .map(|number| {
            let name = format!("user{number}");
            sandbox.add_user(&name);
            let phone = Phone::random();
            let uri = format!("{}\n", phone.uri(&name));
            sandbox.run_with_input(&["qrtotp", "import", "uri", &name], &uri).success();
            phone
        })
        .collect();
    phones[0].settle(20);
    let codes: Vec<String> = phones.iter().map(Phone::code).collect();
    let output = hostile(&sandbox, "threads", "user", &codes.join(",")).success();
    assert_eq!(value(&output.stdout, "accepted"), Some("64"), "{output:?}");
}

#[test]
fn su_and_sudo_under_the_limits_of_whoever_starts_them_are_right_or_deny() {
    let (sandbox, phone) = host();
    wide(&sandbox);
    sandbox.without_delays();
    sandbox.key_and_code("su", "");
    sandbox.key_and_code("sudo", "");
    sandbox.append("/etc/sudoers.d/tests", "Defaults passwd_tries=1\n");
    let first = phone.step() - 9;
    let mut got_in = 0;
    for (step, limit) in
        (first..).zip(["-n 9", "-n 5", "-v 40000", "-v 12000", "-f 0", "-s 64", "-s 200", "-l 0"])
    {
        let code = phone.code_of_step(step);
        let run = |program: &str, code: &str| {
            // su's own record of failures would kill it where files may have no size.
            sandbox.run(&["rm", "-f", "/var/log/btmp"]).success();
            let script = format!("ulimit {limit} || exit 1; exec {program}");
            let output = sandbox
                .finish(sandbox.command(Some("alice"), &["bash", "-c", &script]), &format!("{code}\n"));
            assert!(
                ![Some(6), Some(7), Some(11)].contains(&output.signal()),
                "{limit} {program}: {output:?}"
            );
            output.stdout.contains("inside")
        };
        assert!(!run("sudo -S echo inside", &phone.wrong_code()), "{limit}");
        sandbox.keep_secret(&code);
        let inside = run("su alice -c 'echo inside'", &code);
        got_in += u32::from(inside);
        let expected = if inside { PAM_AUTH_ERR } else { PAM_SUCCESS };
        assert_eq!(sandbox.answer("alice", &code), expected, "{limit}: inside {inside}");
    }
    assert!(got_in >= 3, "hardly anybody got in, so this proves little: {got_in}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

/// Many whole logins, each of which loads and unloads the module: what the process has more of after them.
fn growth(condition: &str, count: u32) -> [(&'static str, i64); 4] {
    let (sandbox, _) = host();
    sandbox.stack("nullok");
    let program = sandbox.install_c("hostile_host.c", &["-lpam", "-pthread"]);
    let mut command = sandbox.command(None, &[&program, condition, "bobby", &count.to_string()]);
    command.stdin(std::process::Stdio::null());
    let output = sandbox.finish(command, "").success();
    let number = |name| value(&output.stdout, name).unwrap().parse::<i64>().unwrap();
    assert_eq!(number("passed"), i64::from(count), "{output:?}");
    ["mappings", "keys", "descriptors", "kib"].map(|name| (name, number(name)))
}

fn has_grown((what, by): (&'static str, i64)) -> bool {
    by > if what == "kib" { 512 } else { 0 }
}

#[test]
fn what_an_application_leaks_with_its_loads_is_seen() {
    let grown = growth("leaky-loads", 400);
    let seen = grown.map(|(what, by)| (what, has_grown((what, by))));
    assert_eq!(seen.map(|(_, seen)| seen), [true; 4], "{grown:?}");
}

#[test]
fn a_thousand_loads_leave_no_mapping_key_or_descriptor() {
    let grown = growth("loads", 1000);
    assert!(!grown.into_iter().any(has_grown), "{grown:?}");
}

/// `cargo xtask proof hosts`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_loads_leave_no_mapping_key_or_descriptor() {
    let grown = growth("loads", 100_000);
    let [mappings, keys, descriptors, kib] = grown.map(|(_, by)| by);
    println!("100,000 loads: {mappings} | {keys} | {descriptors} | {kib}");
    assert!(!grown.into_iter().any(has_grown), "{grown:?}");
}
