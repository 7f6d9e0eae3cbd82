//! The audit trail of real logins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{
    Phone, Sandbox, artefacts,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// A host with some logins of alice behind it, and her phone.
fn logged_in() -> (Sandbox, Phone) {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let _ = sandbox.run(&["qrtotp", "unlock", "alice"]).success();
    (sandbox, phone)
}

/// What docs/AUDIT.md's program says of these lines.
fn check(sandbox: &Sandbox, lines: &[String]) -> String {
    let document = std::fs::read_to_string(artefacts::sources().join("../docs/AUDIT.md")).unwrap();
    let program = document.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    sandbox.overwrite("/tmp/check-chain", program);
    let account = sandbox.read("/var/lib/qrtotp/accounts/alice/account.toml");
    let record = account.split("record = \"").nth(1).unwrap().split('"').next().unwrap();
    sandbox.run_with_input(&["sh", "/tmp/check-chain", record], &format!("{}\n", lines.join("\n"))).stdout
}

#[test]
fn b2sum_alone_proves_the_lines_of_real_logins_and_finds_each_that_was_tampered_with() {
    let (sandbox, _) = logged_in();
    let lines: Vec<_> = sandbox.log.events().into_iter().filter(|line| line.contains(" seq=")).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    let whole = check(&sandbox, &lines);
    assert!(whole.starts_with("all fit"), "{whole}\n{lines:?}");
    for number in 0..lines.len() {
        let mut without = lines.clone();
        let line = without.remove(number);
        if number + 1 < lines.len() {
            assert!(check(&sandbox, &without).starts_with("does not fit"), "without {line}");
        }
        let mut changed = lines.clone();
        changed[number] = line.replacen("user=alice", "user=alicf", 1);
        assert!(check(&sandbox, &changed).starts_with("does not fit"), "{:?}", changed[number]);
    }
}
