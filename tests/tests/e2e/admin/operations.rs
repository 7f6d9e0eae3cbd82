//! docs/OPERATIONS.md: each block is run, and does what its page says.

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    recipes::Recipe,
};

/// alice and bobby of the group staff, alice with a device and the right to become root; sudo asks for codes.
fn host() -> (Sandbox, Phone) {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    sandbox.run(&["usermod", "-aG", "staff", "bobby"]).success();
    let phone = sandbox.import("alice");
    sandbox.run(&["qrtotp", "setup", "sudo", "--apply", "--no-timer"]).success();
    (sandbox, phone)
}

/// Runs a section's blocks, and gives what they print.
fn run(sandbox: &Sandbox, title: &str) -> String {
    let commands = Recipe::in_document("OPERATIONS.md", title).all_commands();
    assert!(!commands.is_empty(), "{title}");
    sandbox.run(&["sh", "-ec", &commands]).success().stdout
}

#[test]
fn every_section_with_commands_is_tested_here() {
    let document = std::fs::read_to_string(artefacts::sources().join("../docs/OPERATIONS.md")).unwrap();
    let sections = document.split("\n## ").skip(1).filter(|section| section.contains("\n    "));
    let titles: Vec<&str> = sections.map(|section| section.lines().next().unwrap()).collect();
    let source = include_str!("operations.rs");
    for title in titles {
        assert!(source.contains(&format!("run(&sandbox, \"{title}\")")), "{title}");
    }
}

#[test]
fn roll_out_and_lost_phone() {
    let (sandbox, phone) = host();
    let said = run(&sandbox, "Roll-out");
    assert!(said.contains("bobby"), "{said}");
    run(&sandbox, "Lost phone");
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_AUTH_ERR);
}

#[test]
fn locked_out_and_offboarding() {
    let (sandbox, phone) = host();
    for _ in 0..12 {
        let _ = sandbox.answer("alice", &phone.wrong_code());
    }
    assert!(run(&sandbox, "Locked out after wrong codes").contains("alice (uid "));
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    run(&sandbox, "Offboarding");
    assert!(!sandbox.exists("/var/lib/qrtotp/accounts/alice"));
}

#[test]
fn a_backup_restores_the_accounts_also_after_a_disaster() {
    let (sandbox, phone) = host();
    run(&sandbox, "Backup");
    run(&sandbox, "Disaster");
    assert_ne!(sandbox.answer("alice", &phone.previous_code()), PAM_SUCCESS);
    assert!(run(&sandbox, "Restore").contains("alice"));
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn upgrade_break_glass_and_uninstall() {
    let (sandbox, _) = host();
    let before = sandbox.read("/etc/pam.d/sudo");
    sandbox.proves_passwords();
    assert!(run(&sandbox, "Upgrade").contains(" 0 failed, "));
    run(&sandbox, "Break-glass");
    assert_ne!(sandbox.read("/etc/pam.d/sudo"), before);
    sandbox.run(&["qrtotp", "setup", "sudo", "--apply", "--no-timer"]).success();
    run(&sandbox, "Uninstall");
    assert!(!sandbox.read("/etc/pam.d/sudo").contains("qrtotp"));
}
