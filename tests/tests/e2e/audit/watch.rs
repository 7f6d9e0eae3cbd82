//! `qrtotp watch` over lines that the module wrote.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// A host at which alice got in from home, and then somebody who knows her password guesses from elsewhere
/// and gives her code again. Its log is /tmp/auth.log.
fn attacked() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let code = phone.code();
    let login = |host: &str, code: &str| {
        sandbox.login("alice").answer(code).arguments(&["--rhost", host]).run().authenticate()
    };
    assert_eq!(login("192.0.2.7", &code), PAM_SUCCESS);
    (0..6).for_each(|_| assert_eq!(login("203.0.113.9", &phone.wrong_code()), PAM_AUTH_ERR));
    assert_eq!(login("203.0.113.9", &code), PAM_AUTH_ERR);
    let lines = sandbox.log.events();
    let line = |line: &String| format!("host sshd[7]: pam_qrtotp(sshd:auth): {line}\n");
    let log: Vec<String> = lines.iter().map(|one| format!("{} {}", now(&sandbox), line(one))).collect();
    sandbox.overwrite("/tmp/auth.log", &log.concat());
    sandbox
}

fn now(sandbox: &Sandbox) -> String {
    sandbox.run(&["date", "-u", "+%FT%TZ"]).success().stdout.trim().to_owned()
}

#[test]
fn a_code_that_two_people_know_and_guesses_from_a_new_place_are_named_with_the_reason() {
    let sandbox = attacked();
    let said = sandbox.run(&["qrtotp", "watch", "--file", "/tmp/auth.log"]).success().stdout;
    let rules: Vec<&str> = said.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(rules, ["rule=codes-guessed", "rule=intercepted"], "{said}");
    assert!(
        said.contains(" user=alice from=203.0.113.0/24 because=\"the last accepted code was given again"),
        "{said}"
    );
}

#[test]
fn a_hook_gets_each_anomaly_as_json_on_standard_input_and_its_own_arguments_only() {
    let sandbox = attacked();
    let hook = "#!/bin/sh\necho \"$# $1|$(env | grep -c ALICE)\" >>/tmp/told; cat >>/tmp/told\n";
    sandbox.overwrite("/tmp/hook", hook);
    let _ = sandbox.run(&["chmod", "755", "/tmp/hook"]).success();
    let watch = [
        "env",
        "ALICE=1",
        "qrtotp",
        "watch",
        "--file",
        "/tmp/auth.log",
        "--",
        "/tmp/hook",
        "--channel=$(id) ops",
    ];
    let _ = sandbox.run(&watch).success();
    let alerts = sandbox.read("/tmp/told");
    let lines: Vec<&str> = alerts.lines().collect();
    assert_eq!(
        (lines.len(), lines[0], lines[2]),
        (4, "1 --channel=$(id) ops|0", "1 --channel=$(id) ops|0"),
        "{alerts}"
    );
    assert!(
        lines[1].contains("\"user\":\"alice\"") && lines[3].contains("\"rule\":\"intercepted\""),
        "{alerts}"
    );
}

#[test]
fn what_a_hook_started_is_killed_with_it_after_ten_seconds() {
    let sandbox = attacked();
    let hook = "#!/bin/sh\necho >/tmp/ran; sleep 300 & sh -c 'sleep 300; :' & wait\n";
    sandbox.overwrite("/tmp/hook", hook);
    let _ = sandbox.run(&["chmod", "755", "/tmp/hook"]).success();
    let watch =
        ["qrtotp", "watch", "--file", "/tmp/auth.log", "--expect", "codes-guessed", "--", "/tmp/hook"];
    let watch = sandbox.run(&watch).success();
    assert!(watch.stderr.contains("it takes too long"), "{}", watch.stderr);
    assert!(sandbox.exists("/tmp/ran"));
    let left = sandbox.run(&["pgrep", "sleep"]);
    assert_eq!((left.status.code(), left.stdout.as_str()), (Some(1), ""), "{}", left.stderr);
}

#[test]
fn a_hook_is_run_once_an_hour_for_the_same_anomaly() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    for user in ["alice", "bobby", "carol", "david", "ellen"] {
        sandbox.add_user(user);
        let phone = sandbox.import(user);
        let login = sandbox.login(user).answer(&phone.wrong_code()).arguments(&["--rhost", "203.0.113.9"]);
        assert_eq!(login.run().authenticate(), PAM_AUTH_ERR);
    }
    // The same again at other times, without numbers: those of a chain come once.
    let refused: Vec<_> =
        sandbox.log.events().into_iter().filter(|line| line.contains("result=denied")).collect();
    let at = |time: &str| {
        let line = |line: &String| line.split(" seq=").next().map(str::to_owned);
        let lines = refused.iter().filter_map(line);
        lines.map(|line| format!("{time} host sshd[7]: pam_qrtotp(sshd:auth): {line}\n")).collect::<String>()
    };
    let log = ["2026-11-29T10:00:00Z", "2026-11-29T10:30:00Z", "2026-11-29T11:01:00Z"].map(at).concat();
    sandbox.overwrite("/tmp/auth.log", &log);
    sandbox.overwrite("/tmp/hook", "#!/bin/sh\ncat >>/tmp/told\n");
    let _ = sandbox.run(&["chmod", "755", "/tmp/hook"]).success();
    let _ = sandbox.run(&["qrtotp", "watch", "--file", "/tmp/auth.log", "--", "/tmp/hook"]).success();
    let alerts = sandbox.read("/tmp/told");
    let lines: Vec<&str> = alerts.lines().collect();
    assert!(lines.iter().all(|line| line.contains("\"rule\":\"spray\"")), "{alerts}");
    assert!(lines.len() == 2 && lines[0].contains("T10:00:00") && lines[1].contains("T11:01:00"), "{alerts}");
}

#[test]
fn a_hook_that_fails_or_hangs_ends_nothing() {
    let sandbox = attacked();
    sandbox.overwrite(
        "/tmp/hook",
        "#!/bin/sh\necho >>/tmp/told; grep -q intercepted && exec sleep 100; exit 3\n",
    );
    let _ = sandbox.run(&["chmod", "755", "/tmp/hook"]).success();
    let watch =
        sandbox.run(&["qrtotp", "watch", "--json", "--file", "/tmp/auth.log", "--", "/tmp/hook"]).success();
    assert_eq!((watch.stdout.lines().count(), sandbox.read("/tmp/told").len()), (2, 2), "{}", watch.stderr);
    assert!(
        watch.stderr.contains("it takes too long") && watch.stderr.contains("says nothing"),
        "{}",
        watch.stderr
    );
}

#[test]
fn thresholds_and_hours_of_the_applied_configuration_hold() {
    let sandbox = attacked();
    for user in ["bobby", "carol"] {
        sandbox.add_user(user);
        sandbox.import(user);
    }
    let line = |line: &String| format!("{} host qrtotp[7]: {line}\n", now(&sandbox));
    let log: String = sandbox.log.events().iter().map(line).collect();
    sandbox.overwrite("/tmp/auth.log", &log);
    let watch = || sandbox.run(&["qrtotp", "watch", "--file", "/tmp/auth.log"]).success();
    assert!(!watch().stdout.contains("many-enrolments"));
    // It is another minute of the week nearly always.
    sandbox.configure("[watch]\nenrollments_by_admin = 2\nhours = ['sat 03:00-03:01']\n");
    let said = watch();
    let found =
        "severity=warning rule=many-enrolments user=root because=\"root enrolled devices of 2 accounts";
    assert!(said.stdout.contains(found) && said.stderr.is_empty(), "{said:?}");
    let _ = sandbox.run(&["sh", "-c", "echo x >>/etc/qrtotp/qrtotp.toml.applied"]).success();
    let damaged = watch();
    assert!(damaged.stderr.contains("the thresholds are the defaults"), "{damaged:?}");
    assert!(!damaged.stdout.contains("many-enrolments"), "{damaged:?}");
}

#[test]
fn the_log_is_read_on_while_a_hook_runs() {
    let sandbox = attacked();
    sandbox.overwrite("/tmp/hook", "#!/bin/sh\nsleep 3; cat >>/tmp/told\n");
    let _ = sandbox.run(&["chmod", "755", "/tmp/hook"]).success();
    let script = "qrtotp watch --file /tmp/auth.log -- /tmp/hook >/tmp/out & watch=$!\n\
                  for n in $(seq 40); do [ \"$(wc -l </tmp/out)\" = 2 ] && break; sleep 0.05; done\n\
                  wc -l </tmp/out; [ -e /tmp/told ] || echo 'no hook has ended'; wait $watch; wc -l </tmp/told";
    let said = sandbox.run(&["sh", "-c", script]).success().stdout;
    assert_eq!(said, "2\nno hook has ended\n2\n");
}
