//! Runs the demo that the README promises.

use std::process::{Command, Stdio};

use qrtotp_tests::{artefacts, decoders};

fn demo(arguments: &[&str]) -> String {
    let output = Command::new(artefacts::xtask())
        .arg("demo")
        .args(arguments)
        // The artefacts are built; a second cargo would only wait for the first.
        .env("QRTOTP_DEMO_READY", "1")
        .env("QRTOTP_MODULE", artefacts::module())
        .env("QRTOTP_BIN", artefacts::command())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    shown
}

#[test]
fn the_demo_without_a_terminal_goes_through_by_itself() {
    let shown = demo(&["--auto"]);
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

#[test]
fn the_picture_of_a_first_login_shows_a_qr_code_that_can_be_scanned_and_four_screens() {
    let directory = std::env::temp_dir().join(format!("qrtotp-picture-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let (svg, png) = (directory.join("login.svg"), directory.join("login.png"));
    demo(&["--svg", svg.to_str().unwrap()]);
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(drawn.matches("<g class").count(), 4);
    let converted =
        Command::new("rsvg-convert").arg("--width=960").arg("--output").args([&png, &svg]).status();
    assert!(converted.unwrap().success());
    let uri = decoders::agreed(&decoders::read_png(&std::fs::read(&png).unwrap())).expect("a QR code");
    assert!(uri.starts_with("otpauth://totp/Example:alice@"), "{uri}");
    std::fs::remove_dir_all(&directory).unwrap();
}
