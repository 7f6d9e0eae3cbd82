//! README.md and docs/INSTALL.md: each block is run as it stands, from the packages to logins with codes.

use qrtotp_tests::{
    Phone, Sandbox, State, artefacts,
    recipes::Recipe,
    shipped::{INSIDE, Knowledge},
    users::PASSWORD,
};
use std::process::Command;

const README: &str = "../README.md";
const INSTALL: &str = "INSTALL.md";
/// Where the commands are typed: the sources, with packages that were built already.
const SOURCE: &str = "/root/source";
/// systemd does not run here. Units have to be there; the timer has a date.
const SYSTEMCTL: &str = r#"#!/bin/sh
case $1 in
enable) eval "unit=\$$#"; ls /etc/systemd/system/$unit /usr/lib/systemd/system/$unit 2>/dev/null | grep -q . ;;
show) echo "Sun 2026-11-29 12:00:00 UTC" ;;
esac
"#;

/// A host without our packages, with alice, who may become root, and an sshd that nobody changed.
fn host() -> Sandbox {
    let sandbox = Sandbox::bare(State::Tmpfs("size=4m"));
    sandbox.make_writable("/usr");
    sandbox.run(&["mkdir", "-p", &format!("{SOURCE}/target/deb"), "/run/systemd/system"]).success();
    for package in artefacts::packages() {
        let name = package.file_name().unwrap().display().to_string();
        sandbox.install(&package, &format!("{SOURCE}/target/deb/{name}"), 0o644);
    }
    let conf = artefacts::sources().join("../conf");
    assert!(Command::new("cp").arg("-r").args([conf, sandbox.path(SOURCE)]).status().unwrap().success());
    for (program, text) in [
        ("systemctl", SYSTEMCTL),
        ("cargo", "#!/bin/sh\n[ \"$*\" = 'xtask deb' ]\n"),
        ("editor", "#!/bin/sh\n[ -e \"$1\" ]\n"),
    ] {
        sandbox.overwrite(&format!("/usr/local/bin/{program}"), text);
        sandbox.run(&["chmod", "755", &format!("/usr/local/bin/{program}")]).success();
    }
    sandbox.add_user("alice");
    sandbox.authorize_key("alice");
    sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
    sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
    sandbox.run(&["ssh-keygen", "-A"]).success();
    sandbox
}

/// Types the lines, answers the questions of two of them, and gives the phone that was enrolled.
fn type_in(sandbox: &Sandbox, recipe: &Recipe) -> Option<Phone> {
    let commands = recipe.all_commands();
    assert!(!commands.trim().is_empty());
    let mut phone = None::<Phone>;
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line {
            "qrtotp enroll alice" => phone = Some(sandbox.enroll("alice", &[]).phone),
            "qrtotp verify alice" => {
                let code = phone.as_ref().unwrap().wait_for_next_code();
                sandbox.run_with_input(&["qrtotp", "verify", "alice"], &format!("{code}\n")).success();
            }
            _ => {
                let line = format!("cd {SOURCE}; set -e; {line}");
                sandbox.run(&["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", &line]).success();
            }
        }
    }
    phone
}

/// Whether alice gets in through sshd, and is asked for a code.
fn log_in(sandbox: &Sandbox, code: &str) -> (bool, bool) {
    sandbox.keep_secret(code);
    let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
    let seen = sandbox.ssh("alice", &remote).answer(Knowledge { password: PASSWORD, code });
    (seen.inside, seen.asked_for_code)
}

fn pam_files(sandbox: &Sandbox) -> String {
    let list = "cd /etc; find pam.d ssh -type f ! -name qrtotp ! -name 'tests_*' ! -name ssh_known_hosts -exec sha256sum {} + | sort -k2";
    sandbox.run(&["sh", "-c", list]).success().stdout
}

#[test]
fn the_commands_of_the_readme_make_sshd_and_sudo_ask_for_codes() {
    let sandbox = host();
    let phone = type_in(&sandbox, &Recipe::in_document(README, "Install")).unwrap();
    let _sshd = sandbox.start_debians_sshd();
    assert_eq!(log_in(&sandbox, &phone.wrong_code()), (false, true));
    assert_eq!(log_in(&sandbox, &phone.wait_for_next_code()), (true, true));
    assert!(sandbox.read("/etc/pam.d/sudo-i").contains("pam_qrtotp.so"));
}

#[test]
fn the_commands_of_the_installing_page_work_and_going_back_leaves_all_as_it_was() {
    let sandbox = host();
    let before = pam_files(&sandbox);
    let phone = type_in(&sandbox, &Recipe::before_sections(INSTALL)).unwrap();
    let _sshd = sandbox.start_debians_sshd();
    assert_eq!(log_in(&sandbox, &phone.wait_for_next_code()), (true, true));
    assert_ne!(pam_files(&sandbox), before);
    sandbox.run(&["qrtotp", "setup", "--undo"]).success();
    assert_eq!(pam_files(&sandbox), before);
    sandbox
        .run(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "remove", "libpam-qrtotp"])
        .success();
}

#[test]
fn the_commands_for_sshd_by_hand_make_it_take_key_and_code() {
    let sandbox = host();
    let by_hand = Recipe::in_document(INSTALL, "By hand");
    let install = format!("cd {SOURCE}; apt install ./target/deb/*.deb; qrtotp init");
    sandbox.run(&["sh", "-ec", &install]).success();
    let phone = sandbox.import("alice");
    // The first block is a line of a PAM file, the second one has the commands.
    let (line, commands) = by_hand
        .all_commands()
        .split_once('\n')
        .map(|(line, rest)| (line.to_owned(), rest.to_owned()))
        .unwrap();
    sandbox.run(&["sh", "-ec", &format!("cd {SOURCE}; {commands}")]).success();
    let _sshd = sandbox.start_debians_sshd();
    let attempt = |code: &str| {
        let options = ["PreferredAuthentications=publickey,keyboard-interactive"];
        let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
        sandbox.ssh_with("alice", &options, &remote).answer(Knowledge { password: "", code }).inside
    };
    assert!(!attempt(&phone.wrong_code()) && attempt(&phone.code()));
    for service in ["sudo", "sudo-i"] {
        let file = sandbox.read(&format!("/etc/pam.d/{service}"));
        sandbox.pam(
            service,
            &file.replace("@include common-auth\n", &format!("@include common-auth\n{line}\n")),
        );
    }
    let said = sandbox.run(&["qrtotp", "doctor"]).stdout;
    assert!(said.contains("sshd, sudo, sudo-i: asks for a code"), "{said}");
}

#[test]
fn enrolment_at_login_and_by_command_are_switched_on_as_the_page_says() {
    let sandbox = host();
    let install = format!("cd {SOURCE}; apt install ./target/deb/*.deb");
    sandbox.run(&["sh", "-ec", &install]).success();
    let block = Recipe::in_document(INSTALL, "Enrolment at login").all_commands();
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml", &block);
    let applied = sandbox.run(&["qrtotp", "config", "apply"]).success();
    let shown = sandbox.run(&["qrtotp", "config", "show"]).success();
    assert!(shown.stdout.contains("first_login = \"enroll\""), "{applied:?} {shown:?}");
    type_in(&sandbox, &Recipe::in_document(INSTALL, "Enrolment by command, without root"));
}

#[test]
fn every_section_with_a_block_is_run_here() {
    let source = include_str!("install_guide.rs");
    for document in [README, INSTALL] {
        let text = text_of(document);
        let sections = text.split("\n## ").skip(1).filter(|section| section.contains("\n    "));
        for title in sections.map(|section| section.lines().next().unwrap()) {
            // A login as it looks, and the commands of developers, which run this test and the demo.
            let elsewhere = ["A first login", "Try it"].contains(&title);
            assert!(elsewhere || source.contains(&format!("\"{title}\"")), "{document}: {title}");
        }
    }
}

fn text_of(document: &str) -> String {
    std::fs::read_to_string(artefacts::sources().join("../docs").join(document)).unwrap()
}

/// What stands for a value in the text, and a value.
const VALUES: [(&str, &str); 7] = [
    ("USER", "alice"),
    ("ID", "c-8SMKB3"),
    ("OLD", "gone"),
    ("NEW", "alice"),
    ("S", "sshd"),
    ("ADDRESS", "192.0.2.1"),
    ("FILE", "/tmp/page"),
];

#[test]
fn every_command_in_the_text_can_be_typed_and_the_other_ones_that_it_names_exist() {
    let sandbox = Sandbox::with_alice_and_bobby();
    sandbox.import("alice");
    let documents = [README, INSTALL, "OPERATIONS.md", "SERVICES.md", "FAQ.md"].map(text_of);
    let spans = documents.iter().flat_map(|text| text.split('`').skip(1).step_by(2));
    let commands: std::collections::BTreeSet<&str> =
        spans.filter(|code| code.starts_with("qrtotp ") && !code.contains('…')).collect();
    assert!(commands.len() > 30, "{commands:?}");
    let mut faults = Vec::new();
    for command in commands {
        let known = |word: &str| VALUES.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        let words: Vec<&str> = command.split_whitespace().map(|word| known(word).unwrap_or(word)).collect();
        let ran = sandbox.run(&[&["env", "EDITOR=true"], &words[..]].concat());
        // Some need a person, or something that is not there: that is said, and it is no mistake.
        let mistaken = ran.stderr.starts_with("error:") || ran.stderr.contains("panicked");
        let silent = ran.stdout.is_empty() && ran.stderr.is_empty();
        if ran.status.code().is_none_or(|code| code > 2) || mistaken || silent {
            faults.push(format!("{command}: {ran:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
