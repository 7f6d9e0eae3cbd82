//! An ordinary user starts setuid programs under limits that no login can run with: accepted logins are
//! right, and the program is not killed. Each test also runs a module that is known to break, and must notice
//! it.

use qrtotp_tests::hostile::{Module, Right, Seen, Stage, compare_on, killed};

/// A code only, for su and sudo, without waits after a refusal.
fn setuid(module: Module) -> Stage {
    let stage = Stage::new(module);
    stage.sandbox.without_delays();
    stage.sandbox.key_and_code("su", "");
    stage.sandbox.key_and_code("sudo", "");
    stage.sandbox.append("/etc/sudoers.d/tests", "Defaults passwd_tries=1\n");
    stage
}

/// Alice's login through a setuid program under limits that she has set.
fn under_limits(stage: &Stage, limits: &[&str], program: &str) -> Seen {
    let sandbox = &stage.sandbox;
    let mut seen = Seen::default();
    for limit in limits {
        let phone = stage.fresh("alice");
        let mut enters = |code: &str| {
            // su's own write to it would exceed the limit and kill it.
            sandbox.run(&["rm", "-f", "/var/log/btmp"]).success();
            let script = format!("ulimit {limit} || exit 1; exec {program}");
            let command = sandbox.command(Some("alice"), &["bash", "-c", &script]);
            let output = sandbox.finish(command, &format!("{code}\n"));
            // Without memory a login may end the program (tests/no_memory.rs tests when it may not).
            let may_abort = limit.starts_with("-v");
            let end = killed(&output).filter(|end| !(may_abort && end.contains("SIGABRT")));
            seen.wrong.extend(end.map(|end| format!("ulimit {limit}: {end}")));
            output.stdout.contains("inside")
        };
        let refused = !enters(&phone.wrong_code());
        let accepted = enters(&phone.previous_code());
        sandbox.keep_secret(&phone.previous_code());
        seen.expect(refused, || format!("ulimit {limit}: a wrong code was accepted"));
        stage.check_decision(&phone, &phone.previous_code(), accepted, Right::Decided, &mut seen);
        seen.accepted += u32::from(accepted);
        seen.denied += 1 + u32::from(!accepted);
    }
    seen
}

/// The limits, as arguments of bash's ulimit.
const LIMITS: [(&str, &[&str]); 4] = [
    ("RLIMIT_NOFILE", &["-n 4", "-n 5", "-n 6", "-n 7", "-n 8", "-n 9", "-n 16"]),
    ("RLIMIT_AS", &["-v 8000", "-v 10000", "-v 12000", "-v 16000", "-v 20000", "-v 30000", "-v 40000"]),
    ("RLIMIT_FSIZE", &["-f 0", "-f 1", "-f 8"]),
    ("RLIMIT_STACK and RLIMIT_MEMLOCK", &["-s 64", "-s 128", "-s 200", "-s 256", "-l 0"]),
];

/// `for_naive`: the limits with which the naive module must be caught, chosen from the given ones.
fn is_right_or_denies(
    name: &str,
    program: &str,
    for_naive: impl Fn(&'static [&'static str]) -> Vec<&'static str>,
) {
    let (ours, naive) = (setuid(Module::Ours), setuid(Module::Naive));
    let mut got_in = 0;
    for (limit, values) in LIMITS {
        let words = format!("{name} with {limit}: ulimit {}", values.join(", "));
        got_in += compare_on(&ours, &naive, &words, |stage| match stage.module {
            Module::Ours => under_limits(stage, values, program),
            Module::Naive => under_limits(stage, &for_naive(values), program),
        });
    }
    assert!(got_in >= 3, "hardly anybody got in, so this proves little: {got_in}");
}

#[test]
fn su_under_the_limits_of_whoever_starts_it_is_right_or_denies() {
    is_right_or_denies("su", "su alice -c 'echo inside'", <[_]>::to_vec);
}

/// sudo lifts some limits, and fails by itself under others, before it calls PAM: not every kind of limit has
/// a telling value.
#[test]
fn sudo_under_the_limits_of_whoever_starts_it_is_right_or_denies() {
    is_right_or_denies("sudo", "sudo -S echo inside", |_| LIMITS.map(|(_, values)| values).concat());
}
