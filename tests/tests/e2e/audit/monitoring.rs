//! The files of conf/ for fail2ban, CrowdSec, Prometheus and Grafana, tested with real lines of the module
//! and real numbers of the command.

use qrtotp_tests::{
    Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use std::path::PathBuf;

/// Remote hosts, the second one forged to match the files' patterns.
const HOSTS: [&str; 3] = ["192.0.2.7", "x rhost=198.51.100.9 ", "2001:db8::7"];

fn conf(file: &str) -> String {
    std::fs::read_to_string(artefacts::sources().join("../conf").join(file)).unwrap()
}

/// A Debian package that `cargo xtask proof monitoring` unpacked.
fn unpacked(package: &str) -> PathBuf {
    artefacts::target_directory().join("tools/debian").join(package)
}

/// A host with a refused login from each of [`HOSTS`], one by an unknown user, and an accepted one. Its log
/// is /tmp/auth.log.
fn refused() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let login = |user: &str, host: &str, code: &str| {
        sandbox.login(user).answer(code).arguments(&["--rhost", host]).run().authenticate()
    };
    HOSTS.iter().for_each(|host| assert_eq!(login("alice", host, &phone.wrong_code()), PAM_AUTH_ERR));
    assert_ne!(login("nobody rhost=198.51.100.8", "203.0.113.5", "271828"), PAM_SUCCESS);
    let code = phone.code();
    assert_eq!(login("alice", "192.0.2.8", &code), PAM_SUCCESS);
    // An anomaly, which is no refused login.
    assert_eq!(login("alice", "203.0.113.6", &code), PAM_AUTH_ERR);
    let stamped = |line: &String| format!("2026-11-29T10:00:00+00:00 host sshd[7]: {line}\n");
    let line = |line: &String| line.find("pam_qrtotp(").map(|at| stamped(&line[at..].to_owned()));
    let log: String = sandbox.log.lines().iter().filter_map(line).collect();
    sandbox.overwrite("/tmp/auth.log", &log);
    sandbox
}

#[test]
fn fail2ban_finds_the_addresses_that_were_refused_and_no_other() {
    let sandbox = refused();
    sandbox.run(&["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).success();
    sandbox.run(&["cp", "-r", "/etc/fail2ban", "/mnt/fail2ban"]).success();
    sandbox.overwrite("/mnt/fail2ban/filter.d/qrtotp.conf", &conf("fail2ban/filter.conf"));
    let filter = "/mnt/fail2ban/filter.d/qrtotp.conf";
    let regex = ["fail2ban-regex", "-c", "/mnt/fail2ban", "-o", "<ip>", "/tmp/auth.log", filter];
    let found = sandbox.run(&regex).success().stdout;
    let found: Vec<&str> = found.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(found, ["192.0.2.7", "2001:db8::7", "203.0.113.5"]);
}

/// The fields that a file has the journal demand.
fn journal_fields(file: &str, line: &str) -> Vec<String> {
    let text = conf(file);
    let rest = text.split_once(&format!("\n{line}")).expect("no such line").1;
    let fields = rest.split_whitespace().map(|word| word.trim_matches('"')).filter(|word| *word != "-");
    fields.take_while(|word| word.contains('=')).map(str::to_owned).collect()
}

#[test]
fn bans_come_from_lines_that_root_wrote_and_never_from_look_alikes_of_a_user() {
    let sandbox = refused();
    let lines = sandbox.log.lines();
    let forged: String = lines.iter().map(|line| line.replace("192.0.2.7", "192.0.2.66") + "\n").collect();
    sandbox.overwrite("/tmp/lines", &format!("{}\n", lines.join("\n")));
    sandbox.overwrite("/tmp/forged", &forged);
    for (file, line) in
        [("fail2ban/filter.conf", "journalmatch ="), ("crowdsec/acquis.yaml", "journalctl_filter:")]
    {
        let fields = journal_fields(file, line);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let read = sandbox.in_journal(&[&["journalctl", "--output", "cat"], fields.as_slice()].concat());
        let read = read.success().stdout;
        assert!(read.contains("rhost=192.0.2.7 ") && !read.contains("192.0.2.66"), "{file}: {read}");
    }
    // A line of a file, which anybody may have written, is none that CrowdSec's parser takes.
    let (acquisition, parser) = (conf("crowdsec/acquis.yaml"), conf("crowdsec/parser.yaml"));
    assert!(
        acquisition.contains("  type: qrtotp\n")
            && parser.contains("filter: \"evt.Parsed.program == 'qrtotp'\"")
    );
}

/// The metrics for node_exporter, with a login and an anomaly in them.
fn metrics(sandbox: &Sandbox) -> String {
    let _ = sandbox.run(&["rm", "-rf", "/var/log/journal"]).success(); // this machine's
    let _ = sandbox.run(&["cp", "/tmp/auth.log", "/var/log/auth.log"]).success();
    let _ = sandbox.run(&["qrtotp", "audit", "checkpoint", "--verify"]);
    sandbox.configure("[[rule]]\nname = \"watched\"\nuser = [\"alice\"]\nthen = \"code\"\nalert = true\n");
    let counters = "qrtotp_logins_total{service=\"sshd\",result=\"denied\",reason=\"wrong_code\"} 3\n\
                    qrtotp_anomalies_total{rule=\"spray\"} 1\nqrtotp_log_read_timestamp_seconds 1000\n";
    sandbox.overwrite("/tmp/qrtotp.prom", counters);
    let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", "/tmp/qrtotp.prom"]).success();
    sandbox.read("/tmp/qrtotp.prom")
}

/// Names of our metrics in a text.
fn metrics_in(text: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = text.split(|c| !word(c)).filter(|name| name.starts_with("qrtotp_"));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are_and_the_dashboard_shows_nearly_all() {
    let there = metrics_in(&metrics(&refused()));
    let (dashboard, alerts) =
        (metrics_in(&conf("grafana/qrtotp.json")), metrics_in(&conf("prometheus/qrtotp.rules.yml")));
    for name in dashboard.iter().chain(&alerts) {
        assert!(there.contains(name), "{name} is not in {there:?}");
    }
    let is_left_out = |name: &&String| !dashboard.contains(name) && !alerts.contains(name);
    let elsewhere: Vec<&String> = there.iter().filter(is_left_out).collect();
    assert_eq!(elsewhere, ["qrtotp_log_read_timestamp_seconds", "qrtotp_policy_generation"]);
    let sandbox = Sandbox::new();
    let read = "import json,sys; d=json.load(sys.stdin); p=d['panels']; assert len({x['id'] for x in p})==len(p)==13";
    sandbox.run_with_input(&["python3", "-c", read], &conf("grafana/qrtotp.json")).success();
}

/// A host whose metrics begin with our zeros, and that has its first anomaly, and its first login by a rule
/// with an alert, ten minutes later.
const FIRST_ONES: &str = r#"
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: qrtotp_anomalies_total{rule="intercepted",instance="host"}
        values: 0x9 1x30
      - series: qrtotp_anomalies_total{rule="new-place",instance="host"}
        values: 0x9 1x30
    alert_rule_test:
      - { eval_time: 9m, alertname: QrtotpAttack }
      - eval_time: 11m
        alertname: QrtotpAttack
        exp_alerts:
          - exp_labels: { severity: warning, instance: host, rule: intercepted }
            exp_annotations:
              summary: "host: anomaly intercepted"
              description: "qrtotp audit --event anomaly, or journalctl -u qrtotp-watch, shows whose account; docs/AUDIT.md, Anomalies, says what to do."
      - { eval_time: 30m, alertname: QrtotpAttack }
  - interval: 1m
    input_series:
      - series: qrtotp_alerts_total{rule="breakglass",instance="host"}
        values: 0x9 1x30
      - series: qrtotp_alerts_total{rule="root",instance="host"}
        values: 0x40
    alert_rule_test:
      - { eval_time: 9m, alertname: QrtotpRuleAlert }
      - eval_time: 11m
        alertname: QrtotpRuleAlert
        exp_alerts:
          - exp_labels: { severity: warning, instance: host, rule: breakglass }
            exp_annotations:
              summary: "host: a login by the rule breakglass, which has alert = true"
              description: "qrtotp audit --rule breakglass shows whose login it was, and whether it was let in."
      - { eval_time: 30m, alertname: QrtotpRuleAlert }
  # An account is removed.
  - interval: 1m
    input_series:
      - series: qrtotp_audit_lines{instance="host",job="node"}
        values: 50x60 40x60
      - series: qrtotp_accounts{instance="host",job="node",standing="enrolled"}
        values: 5x60 4x60
    alert_rule_test:
      - { eval_time: 70m, alertname: QrtotpAuditLinesLost }
  # An old store is restored.
  - interval: 1m
    input_series:
      - series: qrtotp_audit_lines{instance="host",job="node"}
        values: 50x60 40x60
      - series: qrtotp_accounts{instance="host",job="node",standing="enrolled"}
        values: 5x120
    alert_rule_test:
      - eval_time: 70m
        alertname: QrtotpAuditLinesLost
        exp_alerts:
          - exp_labels: { severity: warning, instance: host, job: node }
            exp_annotations:
              summary: "host: the audit chains have fewer lines than an hour ago"
              description: "An old store was restored, or accounts were removed and others made. Run qrtotp audit verify there."
"#;

#[test]
fn the_command_writes_what_the_alert_about_anomalies_asks_for_before_there_is_one() {
    let sandbox = Sandbox::new();
    let _ = sandbox.run(&["qrtotp", "init"]).success();
    let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", "/tmp/qrtotp.prom"]).success();
    let text = sandbox.read("/tmp/qrtotp.prom");
    let alerts = conf("prometheus/qrtotp.rules.yml");
    let rules = alerts.split("rule=~\"").nth(1).unwrap().split('"').next().unwrap();
    for rule in rules.split('|') {
        assert!(text.contains(&format!("qrtotp_anomalies_total{{rule=\"{rule}\"}} 0\n")), "{rule}: {text}");
    }
}

#[test]
fn a_login_by_a_rule_with_an_alert_is_counted_under_the_rules_name() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let rule = |name: &str, user: &str| {
        format!("[[rule]]\nname = \"{name}\"\nuser = [\"{user}\"]\nthen = \"code\"\nalert = true\n")
    };
    sandbox.configure(&(rule("watched", "alice") + &rule("root", "root")));
    let metrics = |sandbox: &Sandbox| {
        let _ = sandbox.run(&["qrtotp", "metrics", "--textfile", "/tmp/qrtotp.prom"]).success();
        sandbox.read("/tmp/qrtotp.prom")
    };
    sandbox.overwrite("/tmp/qrtotp.prom", "qrtotp_log_read_timestamp_seconds 1000\n");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let line = sandbox.log.wait(&["event=login", "rule=watched"]);
    let line = format!("2026-11-29T10:00:00Z host sshd[7]: {}\n", &line[line.find("pam_qrtotp(").unwrap()..]);
    let _ = sandbox.run(&["rm", "-rf", "/var/log/journal"]).success(); // this machine's
    sandbox.overwrite("/var/log/auth.log", &line);
    let text = metrics(&sandbox);
    let alerts: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("qrtotp_alerts_total")).collect();
    assert_eq!(alerts, ["{rule=\"root\"} 0", "{rule=\"watched\"} 1"], "{text}");
}

#[test]
#[ignore = "`cargo xtask proof monitoring` unpacks prometheus_client"]
fn prometheus_own_parser_of_open_metrics_takes_standard_output() {
    let sandbox = refused();
    sandbox.overwrite("/tmp/state", "qrtotp_log_read_timestamp_seconds 1000\n");
    let said = sandbox.run(&["qrtotp", "metrics", "--state", "/tmp/state"]).success().stdout;
    let parser =
        unpacked("python3-prometheus-client").join("usr/lib/python3/dist-packages/prometheus_client");
    let mut copy = std::process::Command::new("cp");
    assert!(
        copy.arg("-r").args([&parser, &sandbox.path("/tmp/prometheus_client")]).status().unwrap().success()
    );
    // Only metrics of Python programs need the package `decorator`.
    let read = "import sys, types; sys.path.insert(0, '/tmp')\n\
        sys.modules['decorator'] = types.SimpleNamespace(decorate=None)\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n\
        print({f.name: f.type for f in families(sys.stdin.read())})";
    let families = sandbox.run_with_input(&["python3", "-c", read], &said).success().stdout;
    assert!(families.contains("'qrtotp_anomalies': 'counter'"), "{families}");
}

#[test]
#[ignore = "`cargo xtask proof monitoring` unpacks Prometheus"]
fn promtool_takes_the_alerts_and_the_metrics() {
    let sandbox = refused();
    sandbox.install(&unpacked("prometheus").join("usr/bin/promtool"), "/tmp/promtool", 0o755);
    sandbox.overwrite("/tmp/rules.yml", &conf("prometheus/qrtotp.rules.yml"));
    let rules = sandbox.run(&["/tmp/promtool", "check", "rules", "/tmp/rules.yml"]).success().stdout;
    assert!(rules.contains("12 rules found"), "{rules}");
    sandbox.run_with_input(&["/tmp/promtool", "check", "metrics"], &metrics(&sandbox)).success();
    // Of one that was never seen before, too, as the command writes each with 0 from its first run on.
    sandbox.overwrite("/tmp/rules.test.yml", FIRST_ONES);
    let tested = sandbox.run(&["/tmp/promtool", "test", "rules", "/tmp/rules.test.yml"]);
    assert!(tested.success().stdout.contains("SUCCESS"));
}

/// Starts CrowdSec with our parser and scenarios, and without a network, and has it explain /tmp/auth.log.
const CROWDSEC: &str = r#"
set -e; package=$1; hub=$package/usr/share/crowdsec/hub; d=/tmp/cs; PATH=$package/usr/bin:$PATH
mkdir -p $d/parsers/s00-raw $d/parsers/s01-parse $d/scenarios $d/data $d/hub $d/acquis.d $d/notifications $d/postoverflows
cp $hub/parsers/s00-raw/crowdsecurity/syslog-logs.yaml $d/parsers/s00-raw/
cp /tmp/parser.yaml $d/parsers/s01-parse/; cp /tmp/scenario.yaml $d/scenarios/
cp -r $package/etc/crowdsec/patterns $package/etc/crowdsec/simulation.yaml $package/etc/crowdsec/profiles.yaml $d/
echo --- >$d/acquis.yaml; cp $hub/.index.json $d/hub/; : >$d/local_api_credentials.yaml
sed -e "s|/etc/crowdsec/|$d/|; s|/var/lib/crowdsec/hub/|$d/hub/|; s|/var/lib/crowdsec/data/|$d/data/|; s|/var/log/|$d/|" \
    -e '/online_client:/,+1d; s/  enabled: true/  enabled: false/' $package/etc/crowdsec/config.yaml >$d/config.yaml
cscli -c $d/config.yaml machines add --auto --force -f $d/local_api_credentials.yaml 2>/dev/null
crowdsec -no-cs -c $d/config.yaml >$d/api.log 2>&1 & api=$!
trap 'kill $api' EXIT
for n in 1 2 3 4 5 6 7 8 9; do grep -q . $d/api.log && break; sleep 0.3; done; sleep 1
# As journalctl prints them.
sed 's/^2026-11-29T10:00:00+00:00/Nov 29 10:00:00/' /tmp/auth.log >/tmp/journal.log
cscli -c $d/config.yaml explain --file /tmp/journal.log --type qrtotp -v
"#;

#[test]
#[ignore = "`cargo xtask proof monitoring` unpacks CrowdSec"]
fn crowdsec_finds_the_addresses_that_were_refused_and_no_other() {
    let sandbox = refused();
    for file in ["parser", "scenario"] {
        sandbox.overwrite(&format!("/tmp/{file}.yaml"), &conf(&format!("crowdsec/{file}.yaml")));
    }
    sandbox.overwrite("/tmp/explain", CROWDSEC);
    let mut copy = std::process::Command::new("cp");
    assert!(
        copy.arg("-r").args([unpacked("crowdsec"), sandbox.path("/tmp/package")]).status().unwrap().success()
    );
    let said = sandbox.run(&["bash", "/tmp/explain", "/tmp/package"]).success().stdout;
    let address = |line: &str| line.split("evt.Meta.source_ip : ").nth(1).map(str::to_owned);
    let mut found: Vec<String> = said.lines().filter_map(address).collect();
    found.sort();
    assert_eq!(found, ["192.0.2.7", "2001:db8::7", "203.0.113.5"], "{said}");
    assert_eq!(said.matches("🟢 pam_qrtotp/qrtotp-guessing").count(), 3, "{said}");
}
