//! Applications in a broken state: each login is decided rightly or denied, in bounded time, the application
//! goes on unchanged, and the next normal login works. Each test also runs a module that is known to break,
//! and must notice it.

use qrtotp_tests::{
    Phone, Sandbox, figures,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, SERVICE, value},
    hostile::{Module, Right, Seen, Stage, compare, compare_on, killed},
};

/// The condition's name in hostile_host.c, a description, and the expected result of a right code.
type Condition = (&'static str, &'static str, Right);

fn each(conditions: &[Condition]) {
    let (ours, naive) = (Stage::new(Module::Ours), Stage::new(Module::Naive));
    for &(condition, words, right) in conditions {
        compare_on(&ours, &naive, words, |stage| stage.log_in(&[], condition, None, right));
    }
}

#[test]
fn in_an_ordinary_application_the_naive_module_is_right() {
    let seen = Stage::new(Module::Naive).log_in(&[], "plain", None, Right::Accepted);
    assert!(seen.wrong.is_empty(), "{:#?}", seen.wrong);
    assert_eq!((seen.accepted, seen.denied), (1, 1));
}

#[test]
fn a_login_works_whatever_it_finds_in_the_process() {
    each(&[
        ("many-descriptors", "1,024 descriptors are open", Right::Accepted),
        ("closed-standard", "descriptors 0 to 2 are closed", Right::Accepted),
        ("all-signals-blocked", "all signals are blocked", Right::Accepted),
        ("all-signals-ignored", "all signals are ignored", Right::Accepted),
        ("alarm-storm", "SIGALRM comes every millisecond", Right::Accepted),
        ("tiny-stack", "RLIMIT_STACK is 64 KiB", Right::Accepted),
        ("no-getrandom", "seccomp: no getrandom (ENOSYS)", Right::Accepted),
        ("getrandom-kills", "seccomp: getrandom kills", Right::Accepted),
        ("no-openat2", "seccomp: no openat2", Right::Accepted),
    ]);
}

#[test]
fn where_the_process_may_not_do_what_a_login_needs_it_is_denied_and_the_code_stays_good() {
    each(&[
        ("no-file-size", "RLIMIT_FSIZE is 0", Right::Decided),
        ("no-flock", "seccomp: no flock", Right::Kept),
    ]);
}

#[test]
fn however_few_descriptors_there_are_a_login_is_decided() {
    compare("RLIMIT_NOFILE from 3 to 12", |stage| {
        let mut seen = Seen::default();
        for most in 3..=12 {
            seen.add(stage.log_in(&[], &format!("descriptors-{most}"), None, Right::Decided));
        }
        assert!(seen.accepted > 0, "nobody got in, so this proves little");
        seen
    });
}

#[test]
fn a_code_that_could_not_be_made_durable_is_denied_and_not_accepted_later() {
    let (ours, naive) = (Stage::new(Module::Ours), Stage::new(Module::Naive));
    let check = |stage: &Stage| stage.log_in(&[], "no-fdatasync", None, Right::Burnt);
    compare_on(&ours, &naive, "seccomp: no fdatasync", check);
    let _ = ours.sandbox.log.wait(&["event=login result=denied reason=may_be_kept"]);
}

#[test]
fn an_application_that_changes_the_user_at_the_prompt_gets_nobody_in() {
    compare("PAM_USER becomes somebody else at the prompt", |stage| {
        // Neither user's code is accepted.
        let other = stage.fresh("bobby");
        let mut seen = stage.log_in(&[], "user-changed", Some(&other.code()), Right::Kept);
        let kept = stage.sandbox.answer("bobby", &other.code()) == PAM_SUCCESS;
        seen.expect(kept, || "the other's code was burnt".to_owned());
        seen
    });
    let back = |stage: &Stage| stage.log_in(&[], "user-and-back", None, Right::Accepted);
    compare("PAM_USER becomes somebody else at the prompt, and back", back);
}

#[test]
fn of_an_application_that_forks_at_the_prompt_only_one_gets_in() {
    compare("it forks at the prompt, and both go on", |stage| {
        let phone = stage.fresh("alice");
        let output = stage.host(&[], "fork", "alice", &phone.previous_code());
        let count = |code: i32| {
            let text = format!("authenticate={code}\n");
            u32::try_from(output.stdout.matches(&text).count()).unwrap()
        };
        let (accepted, denied) = (count(PAM_SUCCESS), count(PAM_AUTH_ERR));
        let mut seen = Seen { accepted, denied, wrong: killed(&output).into_iter().collect() };
        seen.expect((accepted, denied) == (1, 1), || format!("{accepted} of two got in with one code"));
        stage.check_decision(&phone, &phone.previous_code(), true, Right::Accepted, &mut seen);
        seen
    });
}

#[test]
fn without_a_system_log_a_login_is_decided_all_the_same() {
    compare("there is no /dev/log", |stage| {
        stage.sandbox.run(&["mv", "/dev/log", "/dev/log.away"]).success();
        let mut seen = stage.log_in(&[], "plain", None, Right::Accepted);
        seen.add(stage.log_in(&[], "closed-standard", None, Right::Accepted));
        seen
    });
}

/// The sandbox's own files, with an empty /dev.
const JAIL: &str =
    "mkdir -p /run/jail /run/empty && mount --rbind / /run/jail && mount -t tmpfs none /run/jail/dev";

#[test]
fn in_a_chroot_without_any_device_a_login_is_decided_all_the_same() {
    compare("in a chroot with an empty /dev", |stage| {
        stage.sandbox.run(&["sh", "-c", JAIL]).success();
        assert!(!stage.sandbox.exists("/run/jail/dev/log") && stage.sandbox.exists("/dev/log"));
        stage.log_in(&["chroot", "/run/jail"], "plain", None, Right::Accepted)
    });
}

#[test]
fn an_application_that_moves_to_an_empty_root_at_the_prompt_gets_a_decision_that_holds() {
    compare("it changes to an empty root at the prompt", |stage| {
        stage.sandbox.run(&["mkdir", "-p", "/run/empty"]).success();
        stage.log_in(&[], "chroot-at-the-prompt", None, Right::Decided)
    });
}

/// The signal with which seccomp(2) kills.
const SIGSYS: i32 = 31;

#[test]
fn where_asking_for_random_numbers_is_death_a_recovery_code_asks_for_none() {
    let stage = Stage::new(Module::Ours);
    let sandbox = &stage.sandbox;
    let phone = stage.fresh("alice");
    let codes = sandbox.new_recovery_codes("alice");
    sandbox.keep_secret(&codes[0]);
    for expected in [PAM_SUCCESS, PAM_AUTH_ERR] {
        let output = stage.host(&[], "getrandom-kills", "alice", &codes[0]).success();
        assert_eq!(value(&output.stdout, "authenticate"), Some(expected.to_string().as_str()), "{output:?}");
    }
    let asks = stage.host(&[], "getrandom-kills-us", "alice", "");
    assert_eq!(asks.signal(), Some(SIGSYS), "nobody is killed: {asks:?}");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

const THREADS: u32 = 64;

/// How many of 64 threads, each with a handle, get in.
fn threads(stage: &Stage, users: &str, codes: &str) -> Seen {
    let output = stage.host(&[], "threads", users, codes);
    let accepted = value(&output.stdout, "accepted").map_or(0, |count| count.parse().unwrap());
    Seen { accepted, denied: THREADS - accepted, wrong: killed(&output).into_iter().collect() }
}

#[test]
fn in_64_threads_a_code_is_accepted_once() {
    compare("64 threads with a handle each, one code", |stage| {
        let phone = stage.fresh("alice");
        let mut seen = threads(stage, "alice!", &phone.previous_code());
        let accepted = seen.accepted;
        seen.expect(accepted == 1, || format!("{accepted} of 64 got in with one code"));
        stage.sandbox.run(&["qrtotp", "unlock", "alice"]); // the other 63 were failures
        let next = stage.sandbox.answer("alice", &phone.code());
        seen.expect(next == PAM_SUCCESS, || format!("the next login does not work: {next}"));
        seen
    });
}

#[test]
fn in_64_threads_everybody_gets_in_with_their_own_code() {
    compare("64 threads with a handle each, each another user", |stage| {
        let name = |number: u32| format!("user{number}");
        let phone = |number| {
            stage.sandbox.add_user(&name(number));
            stage.fresh(&name(number))
        };
        let phones: Vec<Phone> = (0..THREADS).map(phone).collect();
        phones[0].wait_for_seconds_left(20);
        let codes: Vec<String> = phones.iter().map(Phone::code).collect();
        let mut seen = threads(stage, "user", &codes.join(","));
        let accepted = seen.accepted;
        seen.expect(accepted == THREADS, || format!("{accepted} of 64 got in"));
        seen
    });
}

#[test]
fn threads_that_end_after_the_module_was_unloaded_do_no_harm() {
    const LOADS: u32 = 3_000;
    compare("a thread for each login, which ends after dlclose", |stage| {
        stage.sandbox.stack(if stage.module == Module::Naive { "thread-key" } else { "" });
        // The answer is not shaped like a code: the whole path is run, and nothing is counted.
        let repeat = ["--answer", "none", "--quiet", "--in-thread", "--repeat", &LOADS.to_string()];
        let output = stage.sandbox.login("alice").arguments(&repeat).output();
        let mut seen = Seen { wrong: killed(&output).into_iter().collect(), ..Seen::default() };
        if seen.wrong.is_empty() {
            let denied = format!("tally code={PAM_AUTH_ERR} count={LOADS}\n");
            seen.expect(output.stdout.contains(&denied), || format!("{output:?}"));
            seen.denied = LOADS;
            let grown: i64 = value(&output.stdout, "grown_kib").unwrap().parse().unwrap();
            seen.expect(grown < 512, || format!("grown by {grown} KiB"));
        }
        seen
    });
}

/// Many whole logins, each of which loads and unloads the module: the growth of the process.
fn growth(condition: &str, count: u32) -> [(&'static str, i64); 4] {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.make_store();
    sandbox.stack("nullok");
    growth_on(&sandbox, condition, count)
}

fn growth_on(sandbox: &Sandbox, condition: &str, count: u32) -> [(&'static str, i64); 4] {
    let program = sandbox.install_c("hostile_host.c", &["-lpam", "-pthread"]);
    let mut command = sandbox.command(None, &[&program, condition, "bobby", &count.to_string()]);
    command.stdin(std::process::Stdio::null());
    let output = sandbox.finish(command, "").success();
    let number = |name| value(&output.stdout, name).unwrap().parse::<i64>().unwrap();
    assert_eq!(number("passed"), i64::from(count), "{output:?}");
    ["mappings", "keys", "descriptors", "kib"].map(|name| (name, number(name)))
}

fn tell(logins: &str, grown: [(&'static str, i64); 4]) {
    figures::print("loads", &[&[logins.to_owned()], &grown.map(|(_, by)| by.to_string())[..]].concat());
}

fn has_grown((what, by): (&'static str, i64)) -> bool {
    by > if what == "kib" { 512 } else { 0 }
}

#[test]
fn what_an_application_leaks_with_its_loads_is_seen() {
    let grown = growth("leaky-loads", 400);
    tell("400, planted", grown);
    let seen = grown.map(|(what, by)| (what, has_grown((what, by))));
    assert_eq!(seen.map(|(_, seen)| seen), [true; 4], "{grown:?}");
}

#[test]
fn a_thousand_loads_leave_no_mapping_key_or_descriptor() {
    let grown = growth("loads", 1000);
    assert!(!grown.into_iter().any(has_grown), "{grown:?}");
}

/// Each proves a password by an inner transaction, runs the account part, and shows a picture.
#[test]
fn a_thousand_first_logins_in_one_process_leave_no_mapping_key_or_descriptor() {
    let sandbox = Sandbox::with_alice_and_bobby();
    let services = format!("[enroll]\nservices = [\"{SERVICE}\"]\n");
    sandbox.configure(&format!("[defaults]\nfirst_login = \"enroll\"\n{services}"));
    sandbox.make_store();
    sandbox.enrolling(SERVICE, "auth required pam_unix.so nodelay\nauth required pam_qrtotp.so\n");
    let grown = growth_on(&sandbox, "first-logins", 1000);
    tell("1,000 first logins", grown);
    assert!(!grown.into_iter().any(has_grown), "{grown:?}");
}

/// Run by `cargo xtask proof hosts`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_loads_leave_no_mapping_key_or_descriptor() {
    let grown = growth("loads", 100_000);
    tell("100,000", grown);
    assert!(!grown.into_iter().any(has_grown), "{grown:?}");
}
