//! `qrtotp metrics --textfile` counts what the log says, from run to run.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

const FILE: &str = "/tmp/qrtotp.prom";

/// Writes the events so far into the host's log, as of a minute ago.
fn write_log(sandbox: &Sandbox) {
    let time = sandbox.run(&["date", "-u", "-d", "-1 minute", "+%FT%TZ"]).success().stdout;
    let lines = sandbox.log.events();
    let line = |event: &String| format!("{} host sshd[7]: pam_qrtotp(sshd:auth): {event}\n", time.trim());
    let _ = sandbox.run(&["rm", "-rf", "/var/log/journal"]).success(); // this machine's
    sandbox.overwrite("/var/log/auth.log", &lines.iter().map(line).collect::<String>());
}

/// Runs the command, and gives the counters that it wrote.
fn counters(sandbox: &Sandbox) -> Vec<String> {
    let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", FILE]).success();
    let text = sandbox.read(FILE);
    assert!(!text.contains("alice") && !text.contains("203.0.113"), "{text}");
    text.lines()
        .filter(|line| line.starts_with("qrtotp_") && line.contains("_total{"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn logins_and_anomalies_are_counted_once_and_the_next_run_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let login = |host: &str, code: &str| {
        sandbox.login("alice").answer(code).arguments(&["--rhost", host]).run().authenticate()
    };
    let code = phone.code();
    assert_eq!(login("192.0.2.7", &code), PAM_SUCCESS);
    assert_eq!(login("203.0.113.9", &code), PAM_AUTH_ERR);
    assert_eq!(counters(&sandbox), [""; 0], "the log counts from now on");
    write_log(&sandbox);
    assert_eq!(counters(&sandbox), [""; 0], "older lines do not");
    sandbox.overwrite(FILE, "qrtotp_logins_total{service=\"tests\",result=\"accepted\",reason=\"code\"} 41\nqrtotp_log_read_timestamp_seconds 1000\n");
    let expected = [
        "qrtotp_logins_total{service=\"tests\",result=\"accepted\",reason=\"code\"} 42",
        "qrtotp_logins_total{service=\"tests\",result=\"denied\",reason=\"replayed_code\"} 1",
        "qrtotp_anomalies_total{rule=\"intercepted\"} 1",
    ];
    assert_eq!(counters(&sandbox), expected);
    assert_eq!(counters(&sandbox), expected, "each line counts once");
    let text = sandbox.read(FILE);
    for line in [
        "qrtotp_accounts_intercepted 1\n",
        "qrtotp_lanes_closed{lane=\"strangers\"} 0\n",
        "qrtotp_policy_generation 1\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_link_or_a_pipe_in_place_of_the_file_is_not_read() {
    let sandbox = Sandbox::new();
    let _ = sandbox.run(&["qrtotp", "init"]).success();
    sandbox.overwrite("/tmp/other", "qrtotp_logins_total{service=\"x\",result=\"y\",reason=\"z\"} 7\nqrtotp_log_read_timestamp_seconds 1000\n");
    for made in [&["ln", "-sf", "/tmp/other", FILE][..], &["mkfifo", FILE]] {
        let _ = sandbox.run(&["rm", "-f", FILE]).success();
        let _ = sandbox.run(made).success();
        assert_eq!(counters(&sandbox), [""; 0]);
        assert!(sandbox.read("/tmp/other").contains("} 7"), "not written through a link");
    }
}
