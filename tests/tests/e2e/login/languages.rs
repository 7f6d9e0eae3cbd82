//! Messages in the user's language, at logins and in the command.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    broker::ENROLS,
    enrol::{last_group, recovery_codes},
    first_login::{CHOICES, INSIDE},
    screen::{Background, scan_off},
    users::PASSWORD,
};

/// A host with catalogues, whose users enrol at sshd.
fn host(module: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(ENROLS);
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.install_catalogues();
    sandbox.enrolling("sshd", &format!("@include common-auth\nauth required pam_qrtotp.so {module}\n"));
    sandbox
}

/// A first login in which these texts are shown one after the other.
fn enrols(sandbox: &Sandbox, client: &mut Pty, [enter, scan, keep, done]: [&str; 4]) {
    client.expect("assword");
    client.send(PASSWORD);
    client.expect(enter);
    client.send("");
    client.expect(scan);
    client.expect(CHOICES);
    let uri = scan_off(&client.transcript(), Background::Dark, "80x24").expect("80 by 24 is enough");
    let phone = Phone::scanned(&uri);
    sandbox.keep_secret(&phone.key);
    phone.wait_for_seconds_left(10);
    client.send(&phone.code());
    client.expect(keep);
    let codes = recovery_codes(&client.expect("skip: "));
    client.send(last_group(&codes[3]));
    client.expect(done);
    client.expect(INSIDE);
}

const DUTCH: [&str; 4] =
    ["Verificatiecode (Enter: nog geen): ", "Scan de QR-code met een", "Herstelcodes: elk", "Geregistreerd."];
const GERMAN: [&str; 4] = [
    "Bestätigungscode (Enter: noch keiner): ",
    "QR-Code mit Authenticator-App",
    "Wiederherstellungscodes: Jeder",
    "Eingerichtet.",
];

#[test]
fn a_user_enrols_at_their_first_ssh_login_in_dutch_or_german() {
    for (module, texts) in [("language=nl", DUTCH), ("language=de_AT", GERMAN)] {
        let sandbox = host(module);
        let _sshd = sandbox.start_sshd("");
        let options = ["PubkeyAuthentication=no"];
        let mut client = sandbox.ssh_to_enrol(&[], "alice", &options, "echo logged in");
        enrols(&sandbox, &mut client, texts);
        client.success();
        let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=sshd"]);
    }
}

/// A host with catalogues, whose sudo asks for a code.
fn host_with_sudo(module: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.install_catalogues();
    sandbox.password_and_code("sudo", module);
    sandbox
}

/// The question that sudo asks alice under these variables, in place of the code.
fn question_of_sudo(sandbox: &Sandbox, variables: &[&str]) -> String {
    let mut sudo = sandbox.pty(Some("alice"), &[&["env"], variables, &["sudo", "true"]].concat());
    sudo.expect("alice: ");
    sudo.send(PASSWORD);
    sudo.expect("\r\n");
    sudo.expect("code: ");
    sudo.transcript().lines().last().unwrap().to_owned()
}

#[test]
fn sudo_asks_in_the_language_of_its_caller() {
    let sandbox = host_with_sudo("");
    for (variables, question) in [
        (&["LANG=de_DE.UTF-8"][..], "Bestätigungscode: "),
        (&["LANG=C", "LC_MESSAGES=nl_NL.utf8"], "Verificatiecode: "),
        (&["LANG=nl_NL.UTF-8", "LC_ALL=de_DE.UTF-8"], "Bestätigungscode: "),
        (&["LANG=nl_NL.UTF-8", "LC_ALL=C"], "Verification code: "),
        (&["LANG=de_DE.ISO-8859-1"], "Verification code: "),
        (&["LANG=fr_FR.UTF-8"], "Verification code: "),
    ] {
        assert_eq!(question_of_sudo(&sandbox, variables), question, "{variables:?}");
    }
    sandbox.password_and_code("sudo", "language=en");
    assert_eq!(question_of_sudo(&sandbox, &["LANG=de_DE.UTF-8"]), "Verification code: ");
}

#[test]
fn no_variable_of_a_caller_leads_to_a_catalogue_of_their_own() {
    let sandbox = host_with_sudo("");
    let own = "/home/alice/de/LC_MESSAGES";
    sandbox.run_as("alice", &["mkdir", "-p", own]).success();
    sandbox.install(&qrtotp_tests::languages::catalogue("de"), &format!("{own}/qrtotp.mo"), 0o644);
    let path = "../../../home/alice/de.UTF-8";
    for variables in [
        &[&*format!("LANG={path}")][..],
        &["LC_ALL=/home/alice/de.UTF-8"],
        &["LANG=C.UTF-8", "LANGUAGE=de", "TEXTDOMAINDIR=/home/alice", "NLSPATH=/home/alice/%L/%N"],
        &["LANG=de_DE%s%n.UTF-8"],
        &["LANG=\u{1b}[2Jde.UTF-8"],
        &[&*format!("LANG={}.UTF-8", "de".repeat(20_000))],
    ] {
        assert_eq!(question_of_sudo(&sandbox, variables), "Verification code: ");
    }
}

#[test]
fn a_catalogue_that_others_may_write_to_or_that_is_none_is_not_read() {
    let sandbox = host_with_sudo("");
    let file = "/usr/share/locale/de/LC_MESSAGES/qrtotp.mo";
    let question = || question_of_sudo(&sandbox, &["LANG=de_DE.UTF-8"]);
    assert_eq!(question(), "Bestätigungscode: ");
    for harm in [
        format!("chmod o+w {file}"),
        format!("chmod 644 {file}; chown alice {file}"),
        format!("cp --remove-destination {file} /tmp/copy; ln -sf /tmp/copy {file}"),
        format!("rm {file}; mkdir {file}"),
        format!("rmdir {file}; mkfifo {file}"),
        format!("rm {file}; head -c 100 /dev/urandom >{file}"),
        format!(": >{file}"),
        format!("truncate -s 1G {file}"),
    ] {
        sandbox.run(&["sh", "-c", &harm]);
        assert_eq!(question(), "Verification code: ", "{harm}");
    }
}

#[test]
fn a_user_without_root_reads_status_refusals_and_questions_in_their_language() {
    let sandbox = Sandbox::with_broker("");
    sandbox.install_catalogues();
    let _broker = sandbox.start_broker();
    let as_dutch = |arguments: &[&str]| {
        sandbox.run_as("alice", &[&["env", "LANG=nl_NL.UTF-8", "qrtotp"], arguments].concat())
    };
    let none = as_dutch(&["status"]).success().stdout;
    assert!(none.contains("alice: niet geregistreerd\n") && none.contains("  Token: geen\n"), "{none}");
    sandbox.import("alice");
    let status = as_dutch(&["status"]).success().stdout;
    assert!(status.contains("): geregistreerd\n  Apparaat c-"), "{status}");
    let devices = as_dutch(&["device", "list"]).stdout;
    assert!(devices.contains("LAATST GEBRUIKT") && devices.contains("  nooit  "), "{devices}");
    let refused = as_dutch(&["device", "rename", "--label", ""]).stderr;
    assert!(refused.starts_with("qrtotp: de nieuwe naam is leeg;"), "{refused}");
    let json = as_dutch(&["status", "--json"]).success().stdout;
    assert!(json.contains(r#""standing": "enrolled""#), "{json}");
    let mut resync = sandbox.pty(Some("alice"), &["env", "LANG=de_DE.UTF-8", "qrtotp", "resync"]);
    resync.expect("Der Code, den die App jetzt anzeigt: ");
}

#[test]
fn the_broker_takes_no_language_that_is_a_path() {
    let sandbox = Sandbox::with_broker("");
    sandbox.install_catalogues();
    let _broker = sandbox.start_broker();
    let frame = |language: &str| {
        let length = u8::try_from(language.len()).unwrap();
        let opening = [&[1, 15, 0, length + 2, 0, length][..], language.as_bytes()].concat();
        let rename = [1, 7, 0, 3, 0, 0, 0]; // the only device, with an empty label
        sandbox.send_raw("alice", &[&opening[..], &rename].concat(), std::time::Duration::ZERO)
    };
    sandbox.import("alice");
    assert!(frame("de").contains("der neue Name ist leer"), "{}", frame("de"));
    for language in ["", "../de", "/usr/share/locale/de", "de_DE.UTF-8", "xx", "de\n"] {
        let said = frame(language);
        assert!(!said.contains("Name ist leer") && !said.contains("naam is leeg"), "{said}");
    }
}

#[test]
fn logins_and_commands_work_under_a_turkish_locale() {
    let sandbox = host("");
    sandbox.password_and_code("su", "");
    let phone = sandbox.import("alice");
    let [path, all] = sandbox.make_locale("tr_TR");
    let variables = ["env", &path, &all];
    let mut su = sandbox.pty(None, &[&variables[..], &["su", "alice", "-c", "echo logged in"]].concat());
    su.expect("Parola: "); // su speaks Turkish
    su.send(PASSWORD);
    su.expect("Verification code (Enter: none yet): ");
    su.send(&phone.code());
    su.expect(INSIDE);
    let run = |arguments: &[&str]| sandbox.run(&[&variables[..], arguments].concat()).success().stdout;
    assert!(run(&["qrtotp", "status", "alice"]).contains("alice (uid"));
    let id = run(&["qrtotp", "device", "list", "alice"]);
    let id = id.split_whitespace().find(|word| word.starts_with("c-")).unwrap().to_ascii_lowercase();
    run(&["qrtotp", "device", "rename", "alice", "--credential", &id, "--label", "İIıi"]);
    run(&["qrtotp", "config", "check"]);
    assert!(run(&["qrtotp", "revoke", "alice", "--all"]).contains("Revoked c-"));
}
