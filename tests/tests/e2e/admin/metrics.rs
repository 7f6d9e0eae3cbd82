//! `qrtotp metrics` counts what the log says, from run to run.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use std::collections::HashSet;

const FILE: &str = "/tmp/qrtotp.prom";

/// Writes the events so far into the host's log, as of a minute ago.
fn write_log(sandbox: &Sandbox) {
    let time = sandbox.run(&["date", "-u", "-d", "-1 minute", "+%FT%TZ"]).success().stdout;
    let lines = sandbox.log.events();
    let line = |event: &String| format!("{} host sshd[7]: pam_qrtotp(sshd:auth): {event}\n", time.trim());
    let _ = sandbox.run(&["rm", "-rf", "/var/log/journal"]).success(); // this machine's
    sandbox.overwrite("/var/log/auth.log", &lines.iter().map(line).collect::<String>());
}

/// Runs the command, and gives the counters that it wrote, but for those of 0.
fn counters(sandbox: &Sandbox) -> Vec<String> {
    let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", FILE]).success();
    let text = sandbox.read(FILE);
    assert!(!text.contains("alice") && !text.contains("203.0.113"), "{text}");
    text.lines()
        .filter(|line| line.starts_with("qrtotp_") && line.contains("_total{") && !line.ends_with(" 0"))
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

/// A refused su of alice to bob, and a line that she forged from it, as the journal gives them.
fn journal_of_su(sandbox: &Sandbox) {
    let line = sandbox.log.wait(&["event=login result=denied reason=wrong_code", "user=bob", " seq="]);
    let line = &line[line.find("event=").unwrap()..];
    let entry = |line: &str| {
        let message = format!("pam_qrtotp(su:auth): {line}").replace('\\', "\\\\").replace('"', "\\\"");
        let time = line.split(" at=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        format!(
            "{{\"MESSAGE\":\"{message}\",\"SYSLOG_IDENTIFIER\":\"su\",\"_UID\":\"1000\",\"_EXE\":\"/usr/bin/su\",\
             \"_CAP_EFFECTIVE\":\"1ffffffffff\",\"_SOURCE_REALTIME_TIMESTAMP\":\"{time}000000\"}}\n"
        )
    };
    let forged = line.replace("result=denied reason=wrong_code", "result=accepted reason=code");
    sandbox.overwrite("/tmp/journal.json", &(entry(line) + &entry(&forged)));
    sandbox.run(&["mount", "-t", "tmpfs", "tmpfs", "/var/log"]).success();
    sandbox.run(&["mkdir", "-p", "/var/log/journal", "/tmp/bin"]).success();
    sandbox.overwrite("/tmp/bin/journalctl", "#!/bin/sh\nexec cat /tmp/journal.json\n");
    sandbox.run(&["chmod", "755", "/tmp/bin/journalctl"]).success();
}

#[test]
fn a_line_of_su_alone_in_a_run_is_counted_if_the_store_has_it_and_a_forged_one_is_not() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("bob");
    let phone = sandbox.import("bob");
    assert_eq!(sandbox.answer("bob", &phone.wrong_code()), PAM_AUTH_ERR);
    journal_of_su(&sandbox);
    qrtotp_tests::clock::pause(std::time::Duration::from_secs(4)); // lines may come late
    sandbox.overwrite(FILE, "qrtotp_log_read_timestamp_seconds 1000\n");
    let run = ["sh", "-c", "PATH=/tmp/bin:$PATH exec qrtotp metrics --textfile /tmp/qrtotp.prom"];
    sandbox.run(&run).success();
    let text = sandbox.read(FILE);
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("qrtotp_logins_total{")).collect();
    assert_eq!(
        counted,
        ["qrtotp_logins_total{service=\"tests\",result=\"denied\",reason=\"wrong_code\"} 1"],
        "{text}"
    );
}

/// The faults of a text as OpenMetrics 1.0, as far as gauges and counters without time stamps go: a family's
/// lines stand together behind its TYPE and HELP, samples have the name that the type demands, each once, and
/// the end is marked.
fn faults_as_open_metrics(text: &str) -> Vec<String> {
    let (mut faults, mut family, mut seen) = (Vec::new(), (String::new(), ""), HashSet::new());
    let Some(lines) = text.strip_suffix("# EOF\n") else { return vec!["no # EOF at the end".to_owned()] };
    for line in lines.split_terminator('\n') {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let is_right = match words[..] {
            ["#", "HELP", name, help] => {
                family = (name.to_owned(), "");
                seen.insert(format!("family {name}")) && !help.is_empty()
            }
            ["#", "TYPE", name, kind @ ("gauge" | "counter")] => {
                let is_first = std::mem::replace(&mut family.1, kind).is_empty();
                is_first && family.0 == name && !name.ends_with("_total")
            }
            [_, _] => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.find('{').map_or((series, ""), |at| series.split_at(at));
                let total = if family.1 == "counter" { "_total" } else { "" };
                let is_label = |label: &str| {
                    label.split_once("=\"").is_some_and(|(key, value)| {
                        key.bytes().all(|c| c.is_ascii_lowercase())
                            && value.strip_suffix('"').is_some_and(|value| !value.contains(['"', '\\']))
                    })
                };
                let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                let are_labels =
                    labels.is_empty() || inner.is_some_and(|inner| inner.split(',').all(is_label));
                let is_of_family = name == format!("{}{total}", family.0) && !family.1.is_empty();
                is_of_family && are_labels && value.parse::<f64>().is_ok() && seen.insert(series.to_owned())
            }
            _ => false,
        };
        if !is_right {
            faults.push(line.to_owned());
        }
    }
    faults
}

#[test]
fn standard_output_is_open_metrics_and_a_file_is_the_text_form() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    write_log(&sandbox);
    sandbox.overwrite("/tmp/state", "qrtotp_log_read_timestamp_seconds 1000\n");
    for (argv, counts) in
        [(&["qrtotp", "metrics"][..], false), (&["qrtotp", "metrics", "--state", "/tmp/state"], true)]
    {
        let said = sandbox.run(argv).success().stdout;
        assert_eq!(faults_as_open_metrics(&said), [""; 0], "{said}");
        let accepted = "\nqrtotp_logins_total{service=\"tests\",result=\"accepted\",reason=\"code\"} 1\n";
        assert_eq!(said.contains(accepted), counts, "{said}");
        assert_eq!(said.contains("# TYPE qrtotp_logins counter\n"), counts, "{said}");
    }
    let again = sandbox.run(&["qrtotp", "metrics", "--state", "/tmp/state"]).success().stdout;
    assert!(again.contains("reason=\"code\"} 1\n"), "each line counts once: {again}");
    let text = counters(&sandbox);
    assert_eq!(text, [""; 0], "another file has counts of its own");
    let text = sandbox.read(FILE);
    assert!(text.contains("# TYPE qrtotp_logins_total counter\n") && !text.contains("# EOF"), "{text}");
    assert_ne!(faults_as_open_metrics(&format!("{text}# EOF\n")), [""; 0]);
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

#[test]
fn a_changed_line_is_counted_as_a_broken_chain_by_the_checkpoint_that_verifies_first() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.log.wait(&["event=login result=accepted", "user=alice", " seq="]);
    let checkpoint = || sandbox.run(&["qrtotp", "audit", "checkpoint", "--verify"]);
    let broken = || {
        let text = sandbox.run(&["qrtotp", "metrics"]).success().stdout;
        text.lines().find_map(|line| line.strip_prefix("qrtotp_chain_broken ")).map(str::to_owned)
    };
    assert_eq!(broken(), None, "never verified");
    write_log(&sandbox);
    assert!(checkpoint().success().stdout.contains("verified: 0 changed, missing or added, 0 lost"));
    assert_eq!(broken().as_deref(), Some("0"));
    let _ = sandbox.log.wait(&["event=checkpoint", " seq="]);
    write_log(&sandbox);
    let _ = sandbox
        .run(&["sed", "-i", "s/ with=unknown seq/ with=publickey seq/", "/var/log/auth.log"])
        .success();
    let said = checkpoint();
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert_eq!(broken().as_deref(), Some("1"), "{said:?}");
    let _ = sandbox.run(&["rm", "/var/log/auth.log"]).success();
    assert_eq!(checkpoint().status.code(), Some(2), "without a log nothing is verified");
    assert_eq!(broken().as_deref(), Some("1"), "the last result stays");
}

#[test]
fn applying_a_configuration_makes_a_checkpoint_that_names_the_one_before() {
    let sandbox = Sandbox::new();
    let _ = sandbox.run(&["qrtotp", "init"]).success();
    let count = || sandbox.log.events().iter().filter(|line| line.starts_with("event=checkpoint ")).count();
    let before = count();
    for number in [2, 3] {
        sandbox.edit_configuration(&format!("[throttle]\nfree_failures = {number}\n"));
        let said = sandbox.apply_configuration().success();
        assert_eq!(said.stderr, "", "{said:?}");
    }
    let _ = sandbox.log.wait(&["event=checkpoint", " prev=", " seq="]);
    assert_eq!(count(), before + 2);
    let _ = sandbox.run(&["qrtotp", "config", "apply", "--if-changed"]).success();
    assert_eq!(count(), before + 2, "nothing was applied");
    let lines: Vec<String> =
        sandbox.log.events().into_iter().filter(|line| line.starts_with("event=checkpoint ")).collect();
    let value = |line: &str, key: &str| {
        line.split(key).nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned()
    };
    let [.., first, second] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(value(second, " prev="), value(first, " root="));
}
