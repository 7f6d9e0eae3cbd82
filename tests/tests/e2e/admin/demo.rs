//! Runs the demo that the README promises.

use std::process::{Command, Stdio};

use qrtotp_tests::artefacts;

#[test]
fn the_demo_without_a_terminal_goes_through_by_itself() {
    let output = Command::new(artefacts::xtask())
        .args(["demo", "--auto"])
        // The artefacts are built; a second cargo would only wait for the first.
        .env("QRTOTP_DEMO_READY", "1")
        .env("QRTOTP_MODULE", artefacts::module())
        .env("QRTOTP_BIN", artefacts::command())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "logged in as demo",
        "sudo",
        "refused",
        "event=login result=accepted",
        "event=recovery_used",
        "ssh from the office",
        "result=ignored reason=not_required user=demo",
        "rule=office",
        "event=credential_imported user=veteran",
        "logged in as veteran",
    ] {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
}
