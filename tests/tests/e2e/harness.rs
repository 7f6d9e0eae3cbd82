//! Tests of the harness itself, without our module: if these fail, no other result means anything.

use std::{path::Path, time::Instant};

use qrtotp_tests::{
    Phone, Sandbox, State, artefacts,
    decoders::{self, FROM_PYPI, Reading},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    screen::{Background, photograph, scan},
    users::PASSWORD,
};

#[test]
fn a_real_sshd_asks_a_real_client_for_the_password() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.add_user("alice");
    let _sshd = sandbox.start_sshd("");

    let mut right = sandbox.ssh("alice", "echo inside as $USER");
    right.expect("assword: ");
    right.send(PASSWORD);
    right.expect("inside as alice");
    right.success();

    let mut wrong = sandbox.ssh("alice", "echo inside as $USER");
    wrong.expect("assword: ");
    wrong.send("not the password");
    wrong.expect("Permission denied");
    assert!(!wrong.failure().contains("inside as"));
    let _ = sandbox.log.wait(&["authentication failure", "user=alice"]);
}

#[test]
fn sudo_and_su_run_setuid_on_the_sandboxs_own_terminal() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.add_user("alice");
    sandbox.add_user("bob");

    let mut sudo = sandbox.pty(Some("alice"), &["sudo", "sh", "-c", "id -u; tty"]);
    sudo.expect("alice: ");
    sudo.send(PASSWORD);
    let shown = sudo.success();
    assert!(shown.contains("\r\n0\r\n/dev/pts/"), "{shown}");

    let mut su = sandbox.pty(Some("alice"), &["su", "bob", "-c", "id -un"]);
    su.expect("Password: ");
    su.send(PASSWORD);
    assert!(su.success().ends_with("bob\r\n"));
    let _ = sandbox.log.wait(&["(to bob)", "on pts/"]);
}

#[test]
fn a_directory_of_the_machine_is_written_on_its_own_disk() {
    let directory = format!("/var/tmp/qrtotp-harness-{}", std::process::id());
    std::fs::create_dir(&directory).unwrap();
    let sandbox = Sandbox::bare(State::Directory(directory.clone().leak()));
    sandbox.overwrite("/var/lib/qrtotp/probe", "inside");
    let written = std::fs::read_to_string(Path::new(&directory).join("probe"));
    drop(sandbox);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(written.unwrap_or_default(), "inside");
}

#[test]
fn the_machine_is_left_as_it_was() {
    let before = machine();
    let start = Instant::now();
    let sandbox = Sandbox::bare(State::Ext4("8m"));
    sandbox.add_user("alice");
    let took = start.elapsed();
    sandbox.overwrite("/var/lib/qrtotp/probe", "inside");
    sandbox.overwrite("/tmp/qrtotp-probe", "inside");
    sandbox.overwrite(&format!("{}/pam_qrtotp.so", sandbox.security_directory()), "inside");
    assert!(sandbox.read("/etc/passwd").contains("alice"));
    drop(sandbox);
    assert_eq!(before, machine());
    assert!(!Path::new("/var/lib/qrtotp/probe").exists() && !Path::new("/tmp/qrtotp-probe").exists());
    assert!(took.as_secs() < 5, "a sandbox took {took:?}");
}

fn machine() -> [String; 3] {
    ["/etc/passwd", "/etc/pam.d/sshd", "/proc/self/mounts"].map(|file| std::fs::read_to_string(file).unwrap())
}

#[test]
fn the_phone_gives_the_codes_of_rfc_6238() {
    // The RFC's key, "12345678901234567890", and its first and second SHA1 rows.
    let phone = Phone { digits: 8, ..Phone::new("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ") };
    assert_eq!(phone.code_of_step(59 / 30), "94287082");
    assert_eq!(phone.code_of_step(1_111_111_109 / 30), "07081804");
}

#[test]
#[should_panic(expected = "424242 is in the log")]
fn a_secret_in_the_log_is_noticed() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.keep_secret("424242");
    sandbox.run(&["logger", "-p", "authpriv.info", "event=login code=424242"]).success();
    let _ = sandbox.log.wait(&["event=login"]);
    sandbox.assert_nothing_leaked();
}

#[test]
fn the_pam_application_reports_prompts_and_codes() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.add_user("alice");
    sandbox.pam("tests", "auth required pam_unix.so\naccount required pam_permit.so\n");
    let right =
        sandbox.login("alice").answer(PASSWORD).arguments(&["--phases", "am", "--rhost", "192.0.2.7"]).run();
    assert_eq!(right.messages(1), ["Password: "]);
    assert_eq!(
        (right.authenticate(), right.value("acct_mgmt"), right.value("user")),
        (PAM_SUCCESS, "0", "alice")
    );
    assert_eq!(sandbox.answer("alice", "wrong"), PAM_AUTH_ERR);
    let _ = sandbox.log.wait(&["authentication failure", "user=alice"]);
}

#[test]
fn the_pam_application_asks_from_many_processes_at_once() {
    let sandbox = Sandbox::bare(State::Tmpfs("size=1m"));
    sandbox.add_user("alice");
    sandbox.pam("tests", "auth required pam_unix.so\n");
    let report =
        sandbox.login("alice").answer(PASSWORD).answer("wrong").arguments(&["--processes", "16"]).run();
    assert_eq!((report.count(PAM_SUCCESS), report.count(PAM_AUTH_ERR)), (8, 8), "{report:?}");
}

/// A picture known to be right, drawn by another implementation (libqrencode).
const KNOWN: &str = include_str!("data/known-qr.txt");
const KNOWN_TEXT: Option<&str> = Some("the scanner works");

#[test]
fn the_decoders_read_a_terminal_and_only_what_is_there() {
    assert_eq!(scan(KNOWN, Background::Dark).as_deref(), KNOWN_TEXT);
    assert_eq!(scan("no code here\n", Background::Dark), None);
}

#[test]
fn there_are_three_decoders_and_none_inverts_by_itself() {
    let photo = photograph(KNOWN, Background::Dark, "80x24");
    let inverted = decoders::inverted(&photo);
    let all_read = |png: &[u8], text| {
        let readings = decoders::read_png(png);
        assert_eq!(readings.len(), if artefacts::is_missing(FROM_PYPI) { 1 } else { 3 }, "{readings:?}");
        assert!(readings.iter().all(|reading| reading.text.as_deref() == text), "{readings:?}");
    };
    all_read(&photo, KNOWN_TEXT);
    all_read(&inverted, None);
    all_read(&photograph(KNOWN, Background::Light, "80x24"), None);
    // The control: only the inversion keeps them from reading it.
    all_read(&decoders::inverted(&inverted), KNOWN_TEXT);
}

#[test]
#[should_panic(expected = "the decoders differ")]
fn a_picture_that_one_decoder_cannot_read_is_noticed() {
    let reading = |decoder: &str, text| Reading { decoder: decoder.to_owned(), text };
    let _ = decoders::agreed(&[reading("one", Some("a text".to_owned())), reading("another", None)]);
}
