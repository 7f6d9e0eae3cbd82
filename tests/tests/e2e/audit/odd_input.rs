//! `qrtotp audit` given slips, damaged logs and odd places to write to.

use super::trail::{logged_in, written};
use qrtotp_tests::Sandbox;

/// A host with a log of some thousand lines in /tmp/auth.log.
fn with_a_log() -> Sandbox {
    let (sandbox, _) = logged_in();
    let event = "event=login result=denied reason=throttled user=alice service=sshd rhost=192.0.2.7";
    written(&sandbox, |lines| {
        lines.resize(3000, format!("2026-11-29T10:00:00Z h sshd[7]: pam_qrtotp(sshd:auth): {event}"));
    });
    sandbox
}

#[test]
fn a_slip_in_a_filter_is_refused_instead_of_showing_nothing() {
    let sandbox = with_a_log();
    let audit =
        |filter: &[&str]| sandbox.run(&[&["qrtotp", "audit", "--file", "/tmp/auth.log"], filter].concat());
    for (filter, expected) in [
        (["--since", "tomorrow"], "is no time"),
        (["--from", "300.1.1.1"], "is no address, network or host name"),
        (["--from", "192.0.2.0/33"], "is no address, network or host name"),
        (["--user", ""], "value is empty"),
        (["--group", "nosuch"], "there is no group"),
        (["--event", "logins"], "is no event"),
        (["--json", "--json=ecs"], "cannot be used multiple times"),
    ] {
        let said = audit(&filter);
        assert_eq!((said.status.code(), said.stdout.contains("event=")), (Some(2), false), "{filter:?}");
        assert!((said.stderr.clone() + &said.stdout).contains(expected), "{filter:?}: {}", said.stderr);
    }
    assert_eq!(audit(&["--since", "4294967295d"]).success().stdout.lines().count(), 3000);
}

#[test]
fn a_log_that_can_not_be_read_to_its_end_is_named_and_the_exit_code_says_so() {
    let sandbox = with_a_log();
    let make =
        "cd /tmp; gzip -k auth.log; head -c 300 auth.log.gz >cut.gz; : >empty.gz; echo x >no.gz; mkdir dir
        head -c 100000 /dev/urandom >binary; : >empty";
    let _ = sandbox.run(&["sh", "-ec", make]).success();
    for (file, code) in [
        ("auth.log.gz", 0),
        ("empty", 0),
        ("binary", 0),
        ("cut.gz", 2),
        ("empty.gz", 2),
        ("no.gz", 2),
        ("dir", 2),
        ("none", 2),
    ] {
        let file = format!("/tmp/{file}");
        let said = sandbox.run(&["qrtotp", "audit", "--file", &file]);
        assert_eq!(said.status.code(), Some(code), "{file}: {}", said.stderr);
        assert_eq!(said.stderr.contains(&file), code == 2, "{file}: {}", said.stderr);
        let summary = sandbox.run(&["qrtotp", "audit", "summary", "--file", &file]);
        assert_eq!(summary.status.code(), Some(code), "{file}: {}", summary.stderr);
    }
}

#[test]
fn a_reader_that_wants_no_more_is_no_error_and_a_full_disk_is_one() {
    let sandbox = with_a_log();
    let steps = "for form in '' --json --json=ecs --json=ocsf; do
        { qrtotp audit $form --file /tmp/auth.log; echo $? >/tmp/code; } | head -n 1 >/tmp/first
        echo $(cat /tmp/code) $(wc -l </tmp/first); done
        qrtotp audit --file /tmp/auth.log >/dev/full || echo full $?";
    let said = sandbox.run(&["sh", "-c", steps]).stdout;
    assert_eq!(said, "0 1\n0 1\n0 1\n0 1\nfull 2\n");
}

#[test]
fn a_report_takes_the_place_of_no_device_and_says_where_it_can_not_be_written() {
    let sandbox = with_a_log();
    for (to, expected) in [
        ("/dev/null", "no plain file"),
        ("/dev/stdout", "no plain file"),
        ("/tmp", "no plain file"),
        ("/none/page.html", "No such file"),
        ("/proc/page.html", "cannot write"),
    ] {
        let said = sandbox.run(&["qrtotp", "audit", "report", "--html", to, "--file", "/tmp/auth.log"]);
        assert_eq!(said.status.code(), Some(2), "{to}: {}", said.stderr);
        assert!(
            said.stderr.contains("cannot write") && said.stderr.contains(expected),
            "{to}: {}",
            said.stderr
        );
    }
    let _ = sandbox
        .run(&["sh", "-c", "[ -c /dev/null ] && [ ! -e /dev/null.new ] && [ ! -e /tmp.new ]"])
        .success();
}

#[test]
fn a_copy_of_the_log_is_compared_whatever_a_user_wrote_to_it_and_so_is_a_compressed_one() {
    let (sandbox, _) = logged_in();
    let log = written(&sandbox, |_| ()).join("\n").into_bytes();
    let end = format!("event=audit_head user=alice count=1 seq=99 at=7 chain={}", "0".repeat(40));
    let mut copy =
        [&log[..], b"\nNov 29 10:00:00 h su[1]: pam_qrtotp(su:auth): event=login user=\xff\n"].concat();
    copy.extend(
        format!("Nov 29 10:00:00 h qrtotp[1]: {end}\nNov 29 10:00:00 h qrtotp[1]: event=audit_heads_end\n")
            .bytes(),
    );
    std::fs::write(sandbox.path("/tmp/copy"), copy).unwrap();
    let _ = sandbox.run(&["gzip", "--keep", "/tmp/copy"]).success();
    for copy in ["/tmp/copy", "/tmp/copy.gz"] {
        let verify = ["qrtotp", "audit", "verify", "--against", copy, "--file", "/tmp/auth.log"];
        let said = sandbox.run(&verify).success();
        assert!(said.stdout.contains("Nothing was changed"), "{copy}: {}{}", said.stdout, said.stderr);
    }
}

#[test]
fn a_log_and_a_copy_can_come_through_pipes() {
    let (sandbox, _) = logged_in();
    let _ = written(&sandbox, |_| ());
    let steps = "cd /tmp; mkfifo log copy; cat auth.log >log & cat auth.log >copy &
        qrtotp audit verify --file log --against copy
        bash -c 'qrtotp audit verify --file <(cat auth.log) --against <(cat auth.log)'";
    let said = sandbox.run(&["timeout", "20", "sh", "-ec", steps]).success().stdout;
    assert_eq!(said.matches("Nothing was changed").count(), 2, "{said}");
    assert_eq!(said.matches("0 lost").count() + said.matches("proven").count(), 2, "{said}");
}

#[test]
fn nothing_is_logged_again_from_a_log_that_can_not_be_read_to_its_end() {
    let (sandbox, _) = logged_in();
    let _ = written(&sandbox, |_| ());
    let cut =
        "cd /tmp; { head -n 2 auth.log; seq 30000; tail -n +3 auth.log; } | gzip | head -c 20000 >cut.gz
        qrtotp audit repair --file cut.gz";
    let said = sandbox.run(&["sh", "-c", cut]);
    assert!(said.stdout.starts_with("0 lines logged again; "), "{said:?}");
    assert!(said.status.code() == Some(2) && said.stderr.contains("cannot read all of cut.gz"), "{said:?}");
}
