//! `qrtotp doctor --fix`: a fault is planted, doctor names it, the fix shows and then makes the change,
//! doctor is silent about it, and `setup --undo` brings the fault back.

use qrtotp_tests::{Phone, Sandbox, clock};
use std::{fmt::Debug, time::Duration};

/// sshd with a password and a code, sudo with a code, alice with a device and the right to become root.
fn host() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox.proves_passwords();
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    let phone = sandbox.import("alice");
    sandbox.run(&["qrtotp", "setup", "sshd", "sudo", "su", "--apply", "--no-timer"]).success();
    (sandbox, phone)
}

/// Ids of what doctor does not call OK.
fn found(sandbox: &Sandbox) -> Vec<String> {
    let said = sandbox.run(&["qrtotp", "doctor"]).stdout;
    let findings =
        said.lines().filter(|line| ["FAIL  ", "WARN  ", "INFO  "].iter().any(|word| line.starts_with(word)));
    findings.map(|line| line.rsplit('[').next().unwrap().trim_end_matches(']').to_owned()).collect()
}

fn state(sandbox: &Sandbox) -> String {
    let list = "find /etc/pam.d /etc/ssh /etc/qrtotp /var/lib/qrtotp -printf '%p %m %u\\n' | sort; cat /etc/pam.d/* /etc/ssh/sshd_config.d/*";
    sandbox.run(&["sh", "-c", list]).success().stdout
}

// By id, what plants the fault.
const NOT_COVERED: &[(&str, &str)] = &[
    ("sibling-not-covered", "sed -i /pam_qrtotp/d /etc/pam.d/sudo-i"),
    ("not-in-use", "sed -i /pam_qrtotp/d /etc/pam.d/sshd /etc/pam.d/sudo /etc/pam.d/sudo-i /etc/pam.d/su"),
    ("nobody-asked", "sed -i 's/^auth.*pam_qrtotp.so/account required pam_qrtotp.so/' /etc/pam.d/sudo"),
    ("asked-twice", "echo 'auth required pam_qrtotp.so' >>/etc/pam.d/sudo"),
];
const PAM_LINES: &[(&str, &str)] = &[
    ("pam-line-odd", "sed -i 's/$/\\r/' /etc/pam.d/sudo"),
    ("code-not-needed", "sed -i 's/required *pam_qrtotp/optional pam_qrtotp/' /etc/pam.d/sudo"),
    (
        "error-lets-in",
        "sed -i 's/required *pam_qrtotp/[success=ok authinfo_unavail=ignore default=die] pam_qrtotp/' /etc/pam.d/sudo",
    ),
];
const SSHD: &[(&str, &str)] = &[
    ("sshd-not-covered", "sed -i /pam_qrtotp/d /etc/pam.d/sshd"),
    (
        "exempt-denied",
        "printf '[[rule]]\\nname = \"x\"\\nuser = [\"robot\"]\\nthen = \"skip\"\\n' >>/etc/qrtotp/qrtotp.toml; qrtotp config apply
         printf 'auth required pam_qrtotp.so\\n@include common-account\\n' >/etc/pam.d/sshd
         sed -i 's/^AuthenticationM.*/AuthenticationMethods publickey,keyboard-interactive/' /etc/ssh/sshd_config.d/00-qrtotp.conf",
    ),
    ("sshd-no-pam", "sed -i 's/^UsePAM.*/UsePAM no/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
    ("sshd-never-asks", "sed -i 's/^Kbd.*/KbdInteractiveAuthentication no/; s/^AuthenticationM/#&/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
    ("sshd-key-alone", "sed -i 's/^AuthenticationM/#&/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
    ("sshd-without-code", "sed -i 's/^AuthenticationM.*/AuthenticationMethods publickey/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
    ("sshd-nobody-gets-in", "sed -i 's/^AuthenticationM.*/AuthenticationMethods password/; s/^PasswordA.*/PasswordAuthentication yes/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
    ("sshd-password-method", "sed -i 's/^PasswordA.*/PasswordAuthentication yes/; s/^AuthenticationM.*/AuthenticationMethods password keyboard-interactive/' /etc/ssh/sshd_config.d/00-qrtotp.conf"),
];
const FILES: &[(&str, &str)] = &[
    ("store", "chmod 644 /etc/qrtotp/seal.key"),
    ("configuration", "chmod 666 /etc/qrtotp/qrtotp.toml.applied; chown 1 /etc/qrtotp"),
    ("proof-service-missing", "rm /etc/pam.d/qrtotp"),
];

/// Plants a fault, has it shown and mended, and undoes that.
fn mended(id: &str, plant: &str) -> Result<(), String> {
    let (sandbox, _) = host();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.run(&["sh", "-ec", plant]).success();
    let planted = state(&sandbox);
    let is = |holds: bool, what: &dyn Debug| if holds { Ok(()) } else { Err(format!("{id}: {what:?}")) };
    let (named, as_planted) = (|| found(&sandbox).contains(&id.to_owned()), || state(&sandbox) == planted);
    is(named(), &found(&sandbox))?;
    let shown = sandbox.run(&["qrtotp", "doctor", "--fix", id]);
    is(shown.stdout.contains("Nothing was changed") && as_planted(), &shown)?;
    let made = sandbox.run(&["qrtotp", "doctor", "--fix", id, "--apply", "--no-timer"]);
    is(made.status.success() && !named(), &(made, found(&sandbox)))?;
    let undone = sandbox.run(&["qrtotp", "setup", "--undo"]);
    is(undone.status.success() && as_planted(), &undone)
}

fn all_mended(faults: &[(&str, &str)]) {
    let failed: Vec<String> = faults.iter().filter_map(|(id, plant)| mended(id, plant).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_service_without_our_line_is_shown_mended_and_can_be_planted_again_by_undo() {
    all_mended(NOT_COVERED);
}

#[test]
fn a_faulty_line_in_a_pam_file_is_shown_mended_and_can_be_planted_again_by_undo() {
    all_mended(PAM_LINES);
}

#[test]
fn a_fault_of_sshds_configuration_is_shown_mended_and_can_be_planted_again_by_undo() {
    all_mended(SSHD);
}

#[test]
fn files_that_are_missing_or_writable_are_shown_mended_and_can_be_planted_again_by_undo() {
    all_mended(FILES);
}

#[test]
fn a_change_that_was_not_applied_is_applied_and_goes_back_by_rollback() {
    let (sandbox, _) = host();
    sandbox.edit_configuration("[defaults]\nfirst_login = \"enroll\"\n");
    let fix = ["qrtotp", "doctor", "--fix", "configuration-not-applied"];
    let shown = sandbox.run(&fix).success().stdout;
    assert!(shown.contains("first_login") && shown.contains("Nothing was changed"), "{shown}");
    assert!(found(&sandbox).contains(&"configuration-not-applied".to_owned()));
    sandbox.run(&[&fix[..], &["--apply", "--no-timer"]].concat()).success();
    assert!(!found(&sandbox).contains(&"configuration-not-applied".to_owned()));
    sandbox.run(&["qrtotp", "config", "rollback"]).success();
    assert!(found(&sandbox).contains(&"configuration-not-applied".to_owned()));
}

#[test]
fn sshd_reads_its_files_again_but_not_while_another_failure_would_hold_then() {
    let (sandbox, _) = host();
    let _sshd = sandbox.start_debians_sshd();
    // In a later second than sshd's start: times of processes and files are compared in seconds.
    sandbox.run(&["sh", "-c", "sleep 1.1; touch /etc/ssh/sshd_config.d/00-qrtotp.conf"]).success();
    let fix = ["qrtotp", "doctor", "--fix", "sshd-not-reloaded", "--apply"];
    assert!(found(&sandbox).contains(&"sshd-not-reloaded".to_owned()), "{:?}", found(&sandbox));
    sandbox.run(&["sed", "-i", "/pam_qrtotp/d", "/etc/pam.d/sudo-i"]).success();
    let refused = sandbox.run(&fix).exited(1);
    assert!(refused.stderr.contains("first mend this"), "{refused:?}");
    sandbox.run(&["qrtotp", "doctor", "--fix", "sibling-not-covered", "--apply", "--no-timer"]).success();
    sandbox.run(&fix).success();
    let is_read_again = || (!found(&sandbox).contains(&"sshd-not-reloaded".to_owned())).then_some(());
    assert!(clock::poll(Duration::from_secs(10), is_read_again).is_some(), "{:?}", found(&sandbox));
}

#[test]
fn what_can_t_be_undone_surely_is_left_to_the_admin() {
    let (sandbox, _) = host();
    sandbox.run(&["chmod", "666", "/etc/pam.d/sudo"]).success();
    let refused =
        sandbox.run(&["qrtotp", "doctor", "--fix", "pam-file-writable", "--apply", "--no-timer"]).exited(1);
    assert!(refused.stderr.contains("do it by hand") && refused.stderr.contains("chmod go-w"), "{refused:?}");
}
