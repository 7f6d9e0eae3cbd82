//! Logs in the traditional form, whose lines have neither year nor time zone.

use crate::audit::trail::logged_in;
use qrtotp_tests::Sandbox;

/// The host's zone, so the log daemon's.
const ZONE: &str = "Asia/Kolkata";

/// Some events of today, and one of each fourth day before them, each with its time as `date` takes it.
fn events(sandbox: &Sandbox) -> Vec<(String, String)> {
    let refused = |user: u32| {
        format!("event=login result=denied reason=throttled user=u{user} service=sshd rhost=192.0.2.7 wait=1")
    };
    let now = sandbox.run(&["date", "+%s"]).success().stdout;
    let now: i64 = now.trim_end().parse().unwrap();
    let old = (1..8).rev().map(|n| (format!("@{}", now - 4 * 86_400 * i64::from(n)), refused(n)));
    let numbered = sandbox.log.events();
    let at = |line: &str| line.split(" at=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let numbered = numbered.into_iter().filter(|line| line.contains(" at="));
    let numbered = numbered.map(|line| (format!("@{}", at(&line)), line));
    let alert =
        "event=login result=accepted reason=not_required user=alice service=sshd rule=vip audience=security";
    // Metrics leave lines that may not be whole yet to the next run.
    let new = [refused(9), alert.to_owned()].map(|line| (format!("@{}", now - 120), line));
    old.chain(new).chain(numbered).collect()
}

/// The output of each command for these events in a log whose stamps have this form.
fn said(sandbox: &Sandbox, events: &[(String, String)], form: &str) -> Vec<String> {
    let zone = format!("TZ={ZONE}");
    let line = |(time, text): &(String, String)| {
        let stamp = sandbox.run(&["env", &zone, "LC_ALL=C", "date", "-d", time, form]).success().stdout;
        format!("{} host sshd[7]: pam_qrtotp(sshd:auth): {text}\n", stamp.trim_end())
    };
    let log: String = events.iter().map(line).collect();
    sandbox.overwrite("/var/log/auth.log", &log);
    sandbox.overwrite("/tmp/state.prom", "qrtotp_log_read_timestamp_seconds 1000\n");
    let run = |command: &str| {
        // An admin may work in another zone than the host.
        let said = sandbox.run(&["sh", "-c", &format!("export TZ=America/New_York; {command}")]).stdout;
        // The times at which these commands ran.
        let is_of_now = |line: &&str| !line.contains("timestamp_seconds") && !line.contains("until ");
        format!("{command}\n{}", said.lines().filter(is_of_now).collect::<Vec<_>>().join("\n"))
    };
    [
        "qrtotp audit --file /var/log/auth.log",
        "qrtotp audit --since 10d --file /var/log/auth.log",
        "qrtotp audit --until 10d --json --file /var/log/auth.log",
        "qrtotp audit summary --days 7 --file /var/log/auth.log",
        "qrtotp audit report --html - --file /var/log/auth.log",
        "qrtotp metrics --textfile /tmp/state.prom; cat /tmp/state.prom",
        "qrtotp watch --file /var/log/auth.log",
    ]
    .map(run)
    .into()
}

#[test]
fn each_command_counts_and_dates_lines_without_a_year_as_those_with_one() {
    let (sandbox, _) = logged_in();
    let _ = sandbox.run(&["rm", "-rf", "/var/log/journal"]).success(); // this machine's
    let _ = sandbox.run(&["ln", "-sf", &format!("/usr/share/zoneinfo/{ZONE}"), "/etc/localtime"]).success();
    let events = events(&sandbox);
    let with_years = said(&sandbox, &events, "+%FT%T%:z");
    let without = said(&sandbox, &events, "+%b %e %H:%M:%S");
    for (with, without) in with_years.iter().zip(&without) {
        assert_eq!(without, with);
    }
    let lines = |n: usize| with_years[n].lines().count() - 1;
    let of_ten_days = 2 + events.len() - 7 + 2 - 2;
    assert_eq!((lines(0), lines(1), lines(2)), (events.len(), of_ten_days, events.len() - of_ten_days));
    let counted = "result=\"denied\",reason=\"throttled\"} 8";
    assert!(with_years[5].contains(counted), "{}", with_years[5]);
    assert_eq!(lines(6), 0, "refusals of a month are no spray: {}", with_years[6]);
}
