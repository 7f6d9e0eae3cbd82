//! `qrtotp selftest` on good hosts and on broken ones, with real sshd, sudo and su; and that nothing of the
//! host changes.

use std::collections::BTreeSet;

use qrtotp_tests::{
    Output, Sandbox, artefacts,
    openssh::{NEWEST, unpacked},
};

/// A host as Debian makes it, with an admin who has a device, and these services set up.
fn host(services: &[&str]) -> Sandbox {
    set_up(Sandbox::new(), services)
}

fn set_up(sandbox: Sandbox, services: &[&str]) -> Sandbox {
    sandbox.add_user("alice");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox.proves_passwords();
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    let _ = sandbox.import("alice");
    if !services.is_empty() {
        let setup = [&["qrtotp", "setup"], services, &["--apply", "--no-timer"]].concat();
        sandbox.run(&setup).success();
    }
    sandbox
}

fn selftest(sandbox: &Sandbox) -> Output {
    sandbox.run(&["qrtotp", "selftest"])
}

/// The ids of what failed.
fn failed(output: &Output) -> Vec<String> {
    let lines = output.stdout.lines().filter(|line| line.starts_with("FAIL"));
    lines.map(|line| line.rsplit('[').next().unwrap().trim_end_matches(']').to_owned()).collect()
}

#[test]
fn a_good_host_passes_everything_and_nothing_of_it_changes() {
    let sandbox = host(&["sshd", "sudo"]);
    // Of /var what logins write; the machine itself goes on living below the rest of it.
    let content = "find /etc /var/lib/qrtotp /var/lib/sudo /var/log /var/mail /home /root /run /dev -path /run/sandbox -prune -o \
                   -printf '%p %T@ %C@ %m %u\\n'; cat /proc/mounts; ip -o link";
    let content = || -> BTreeSet<String> {
        sandbox.run(&["sh", "-c", content]).success().stdout.lines().map(str::to_owned).collect()
    };
    let (before, logged) = (content(), sandbox.log.lines().len());
    let tested = selftest(&sandbox).exited(0);
    assert!(tested.stdout.ends_with(" 0 failed, 0 not tried.\n"), "{tested:?}");
    assert_eq!(tested.stdout.lines().filter(|line| line.starts_with("ok  ")).count(), 18, "{tested:?}");
    let after = content();
    let changed: Vec<&String> = after.symmetric_difference(&before).take(9).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert_eq!(sandbox.log.lines().len(), logged);
}

#[test]
fn a_log_directory_elsewhere_a_strict_umask_and_a_configuration_not_applied_stay_as_they_are() {
    let sandbox = host(&["sshd", "sudo"]);
    let elsewhere = "mount -t tmpfs tmpfs /srv && cp -a /var/log /srv/log && touch /srv/log/wtmp /srv/log/btmp /srv/log/lastlog && \
                     rm -rf /var/log && ln -s /srv/log /var/log && mkdir '/srv/a b' && mount -t tmpfs tmpfs '/srv/a b'";
    sandbox.run(&["sh", "-c", elsewhere]).success();
    sandbox.run(&["sh", "-c", "rm -r /etc/qrtotp/qrtotp.toml.applied*"]).success();
    let content = ["find", "/srv", "/etc/qrtotp", "-printf", "%p %T@ %C@ %m %s\n"];
    let before = sandbox.run(&content).success().stdout;
    let tested = sandbox.run(&["sh", "-c", "umask 027; qrtotp selftest"]).exited(0);
    assert!(tested.stdout.ends_with(" 0 failed, 0 not tried.\n"), "{tested:?}");
    assert_eq!(sandbox.run(&content).success().stdout, before);
}

#[test]
fn an_account_file_that_is_a_link_elsewhere_is_not_written() {
    let sandbox = host(&[]);
    sandbox
        .run(&["sh", "-c", "mount -t tmpfs tmpfs /srv && mv /etc/shadow /srv && ln -s /srv/shadow /etc"])
        .success();
    let before = sandbox.read("/srv/shadow");
    let refused = selftest(&sandbox).exited(2);
    assert!(refused.stderr.contains("can't add to /etc/shadow"), "{refused:?}");
    assert_eq!(sandbox.read("/srv/shadow"), before);
}

#[test]
fn debian_13_passes_and_without_a_reader_the_qr_code_is_not_tried() {
    let Ok(root) = unpacked(NEWEST).canonicalize() else {
        assert!(artefacts::is_missing(NEWEST), "run `cargo xtask test`, which unpacks Debian {NEWEST}");
        return;
    };
    let newest = Sandbox::on_root(Some(&root), None, &artefacts::module(), &artefacts::command());
    let tested = selftest(&set_up(newest, &["sshd", "sudo"])).exited(0);
    let qr = "-     the QR code scans and has the key: not tried, no reader is installed: apt install zbar-tools\n";
    assert!(
        tested.stdout.contains(qr) && tested.stdout.ends_with("17 passed, 0 failed, 1 not tried.\n"),
        "{tested:?}"
    );
}

#[test]
fn what_is_not_set_up_is_not_tried_and_that_is_no_failure() {
    let sandbox = host(&[]);
    let tested = selftest(&sandbox).exited(0);
    for line in [
        "-     sshd lets in with a correct code: not tried, its PAM file does not name the module: qrtotp setup sshd",
        "-     sudo lets in with a correct code: not tried, its PAM file does not name the module: qrtotp setup sudo",
    ] {
        assert!(tested.stdout.contains(line), "{tested:?}");
    }
    assert!(tested.stdout.ends_with("10 passed, 0 failed, 2 not tried.\n"), "{tested:?}");
}

#[test]
fn a_host_that_lets_in_whom_it_should_not_fails() {
    let sandbox = host(&["sshd", "sudo"]);
    // sudo passes everybody by a line before ours, sshd asks for the code alone.
    let sudo = sandbox.read("/etc/pam.d/sudo");
    sandbox.pam("sudo", &format!("auth sufficient pam_permit.so\n{sudo}"));
    let sshd = sandbox.read("/etc/pam.d/sshd");
    sandbox.pam("sshd", &sshd.replace("@include common-auth\n", ""));
    let tested = selftest(&sandbox).exited(1);
    assert_eq!(
        failed(&tested),
        ["sshd-code-alone", "sudo-wrong-code", "sudo-code-twice", "sudo-code-alone"],
        "{tested:?}"
    );
}

#[test]
fn a_module_that_is_another_one_or_not_there_fails() {
    let sandbox = host(&["sudo"]);
    let directory = sandbox.security_directory();
    let replace = format!("cp {directory}/pam_permit.so {directory}/pam_qrtotp.so");
    sandbox.run(&["sh", "-c", &replace]).success();
    let tested = selftest(&sandbox).exited(1);
    assert_eq!(failed(&tested)[..2], ["first-login", "typed-key"], "{tested:?}");
    assert!(failed(&tested).contains(&"sudo-wrong-code".to_owned()), "{tested:?}");
    sandbox.run(&["rm", &format!("{directory}/pam_qrtotp.so")]).success();
    let json = sandbox.run(&["qrtotp", "selftest", "--json"]).exited(1).stdout;
    for part in ["\"version\": 1", "\"failed\": 5", "\"id\": \"sudo-accepts\"", "\"result\": \"failed\""] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn it_refuses_where_it_would_meet_a_real_account_and_without_root() {
    let sandbox = host(&[]);
    sandbox.add_user("qrtotp-test-2");
    let refused = selftest(&sandbox).exited(1);
    assert!(refused.stderr.contains("this host has an account qrtotp-test-2"), "{refused:?}");
    let refused = sandbox.run_as("alice", &["qrtotp", "selftest"]).exited(2);
    assert!(refused.stderr.contains("run it as root"), "{refused:?}");
}
