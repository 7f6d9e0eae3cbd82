//! The commands that show and change many accounts, on one verifier of a fleet.

use qrtotp_tests::{
    fleet::{CONFIG, Fleet, UID},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

use crate::audit::top::step_of;

const BOTH: [&str; 4] = ["--file", "/tmp/v1.log", "--file", "/tmp/v2.log"];

/// Gives the first verifier its own lines as its log, and those of both as files.
fn keep_logs(fleet: &Fleet) {
    let first = fleet.verifier();
    first
        .run(&["sh", "-c", "mountpoint -q /var/log || mount -t tmpfs tmpfs /var/log; rm -rf /run/log"])
        .success();
    let time = first.run(&["date", "-u", "+%FT%TZ"]).success().stdout;
    let own_name = first.run(&["uname", "-n"]).success().stdout;
    for (number, file, host) in [(0, "/tmp/v1.log", own_name.trim()), (1, "/tmp/v2.log", "v2.example.org")] {
        let lines = fleet.verifiers[number].sandbox.log.lines();
        // "<84>Nov 30 19:22:11 qrtotpd[73]: event=…"
        let line = |line: &String| Some(format!("{} {host} {}\n", time.trim(), line.get(20..)?));
        first.overwrite(file, &lines.iter().filter_map(line).collect::<String>());
    }
    first
        .run(&["sh", "-c", "cp /tmp/v1.log /var/log/auth.log; chmod 644 /tmp/v?.log /var/log/auth.log"])
        .success();
}

#[test]
fn on_one_verifier_accounts_are_the_fleets_and_logins_are_its_own_unless_more_logs_are_named() {
    let fleet = Fleet::of(3, "");
    for verifier in &fleet.verifiers {
        verifier.sandbox.add_user("bobby");
    }
    let (alice, bobby) = (fleet.import("alice"), fleet.import("bobby"));
    let (one, two) = (fleet.host_at("web1", "all", &[0]), fleet.host_at("web2", "all", &[1]));
    assert_eq!(one.sandbox.answer("alice", &alice.code_of_step(alice.step() - 1)), PAM_SUCCESS);
    assert_eq!(two.sandbox.answer("bobby", &bobby.code_of_step(bobby.step() - 1)), PAM_SUCCESS);
    assert_eq!(two.sandbox.answer("alice", "000000"), PAM_AUTH_ERR);
    let _ = fleet.verifier().log.wait(&["result=accepted", "user=alice", "host=web1"]);
    let _ = fleet.verifiers[1].sandbox.log.wait(&["reason=wrong_code user=alice", "host=web2"]);
    keep_logs(&fleet);

    let list = fleet.administer(&["list"], "").success().stdout;
    assert!(list.contains("alice") && list.contains("bobby"), "{list}");

    let summary =
        |files: &[&str]| fleet.administer(&[&["audit", "summary"][..], files].concat(), "").success().stdout;
    let (own, all) = (summary(&[]), summary(&BOTH));
    assert!(own.starts_with("The last 7 days, decisions of this verifier\n"), "{own}");
    assert!(all.starts_with("The last 7 days, decisions of the verifiers whose logs were named\n"), "{all}");
    for text in [&own, &all] {
        assert!(text.contains("Accounts of the fleet\n") && text.contains("         2  records"), "{text}");
    }
    let accepted = |text: &str| text.lines().filter(|line| line.contains("accepted")).collect::<String>();
    assert_ne!(accepted(&own), accepted(&all), "{own}{all}");

    let report = |files: &[&str]| {
        fleet.administer(&[&["audit", "report", "--html", "-"][..], files].concat(), "").stdout
    };
    let (own, all) = (report(&[]), report(&BOTH));
    assert!(own.contains(", decisions of this verifier</h1>"), "{own}");
    assert!(all.contains("<li><b>2</b>logins accepted</li>\n<li><b>1</b>logins denied</li>"), "{all}");
    let verify = fleet.administer(&[&["audit", "verify"][..], &BOTH].concat(), "");
    assert!(verify.stdout.contains("Nothing was changed, removed or added."), "{verify:?}");
    assert!(all.contains("Nothing in the log was changed, removed or added."), "{all}");

    fleet.verifiers[0].fleet(&["host", "hold", "web2"]).success();
    let metrics = fleet.administer(&["metrics"], "").success().stdout;
    for line in [
        "qrtotp_accounts{standing=\"enrolled\"} 2",
        "qrtotp_fleet_quorum 1",
        "qrtotp_fleet_hosts{state=\"active\"} 1",
        "qrtotp_fleet_hosts{state=\"held\"} 1",
        "qrtotp_fleet_hosts_noisy 0",
    ] {
        assert!(metrics.lines().any(|exported| exported == line), "{line}: {metrics}");
    }
    fleet.verifiers[0].fleet(&["host", "release", "web2"]).success();

    let verifier = format!("setpriv --reuid {UID} --regid {UID} --clear-groups qrtotp --config {CONFIG}");
    let top = |wanted: &str, keys: &[&str]| step_of(fleet.verifier(), &verifier, wanted, keys);
    let events = top("events of the last hour and since, decisions of this verifier", &[]);
    assert!(events.contains("alice") && !events.contains("host=web2"), "{events}");
    let accounts = top("> alice", &["2"]);
    assert!(accounts.contains("  bobby "), "{accounts}");
    top("ended", &["q"]);
}

#[test]
fn a_group_is_revoked_and_reissued_in_the_whole_fleet_from_one_verifier() {
    let fleet = Fleet::of(3, "");
    let members = "useradd -m bobby; groupadd leavers; usermod -aG leavers alice; usermod -aG leavers bobby";
    fleet.verifier().run(&["sh", "-ec", members]).success();
    let phones = ["alice", "bobby"].map(|user| (user, fleet.import(user)));
    let hosts = [fleet.host_at("web1", "all", &[0]), fleet.host_at("web2", "all", &[1])];
    let revoke = ["revoke", "--group", "leavers"];
    let refused = fleet.administer(&revoke, "");
    assert!(refused.status.code() == Some(1) && refused.stderr.contains("--confirm 2"), "{refused:?}");
    let reissued = fleet.administer(&["reissue", "--everyone", "--confirm", "2"], "");
    assert!(reissued.status.success(), "{reissued:?}");
    for (host, (user, phone)) in hosts.iter().zip(&phones) {
        assert_eq!(host.sandbox.answer(user, &phone.code()), PAM_AUTH_ERR, "{user} has to enrol anew");
    }
    let _ = fleet.verifiers[1].sandbox.log.wait(&["result=denied reason=revoked user=bobby", "host=web2"]);
    let done = fleet.administer(&[&revoke[..], &["--confirm", "2"]].concat(), "").success().stdout;
    assert!(done.contains("2 accounts"), "{done}");
    let list = fleet.verifiers[2].administer(&["list", "--json"], "").success().stdout;
    assert!(list.matches("revoked").count() >= 2, "{list}");
}

#[test]
fn without_a_quorum_metrics_say_so_and_keep_their_counters() {
    let mut fleet = Fleet::of(1, "");
    let file = "/var/lib/qrtotp-verifier/qrtotp.prom";
    let log = "mount -t tmpfs tmpfs /var/log && rm -rf /run/log && touch /var/log/auth.log";
    fleet.verifier().run(&["sh", "-ec", log]).success();
    fleet.administer(&["metrics", "--textfile", file], "").success();
    assert!(fleet.verifier().read(file).contains("\nqrtotp_fleet_quorum 1\n"));
    fleet.stop(0);
    let said = fleet.administer(&["metrics", "--textfile", file], "");
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    let text = fleet.verifier().read(file);
    assert!(text.contains("\nqrtotp_fleet_quorum 0\n") && text.contains("qrtotp_logins_total"), "{text}");
}
