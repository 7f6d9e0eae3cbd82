//! Help, man pages and completions: all there, and in agreement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod instance;

use instance::Instance;

const COMMANDS: [&[&str]; 102] = [
    &[],
    &["enroll"],
    &["status"],
    &["list"],
    &["verify"],
    &["import"],
    &["import", "uri"],
    &["import", "google-authenticator"],
    &["import", "oath"],
    &["import", "otpauth-migration"],
    &["import", "json"],
    &["import", "csv"],
    &["import", "pskc"],
    &["recovery"],
    &["recovery", "regenerate"],
    &["device"],
    &["device", "list"],
    &["device", "rename"],
    &["device", "revoke"],
    &["resync"],
    &["revoke"],
    &["reissue"],
    &["unlock"],
    &["place"],
    &["place", "list"],
    &["place", "forget"],
    &["token"],
    &["token", "issue"],
    &["token", "list"],
    &["token", "show"],
    &["token", "revoke"],
    &["config"],
    &["config", "check"],
    &["config", "diff"],
    &["config", "apply"],
    &["config", "confirm"],
    &["config", "rollback"],
    &["config", "list"],
    &["config", "show"],
    &["config", "edit"],
    &["config", "explain"],
    &["config", "test"],
    &["config", "sshd"],
    &["doctor"],
    &["doctor", "last"],
    &["doctor", "login"],
    &["init"],
    &["setup"],
    &["selftest"],
    &["completions"],
    &["key"],
    &["key", "add"],
    &["account"],
    &["account", "add"],
    &["account", "rename"],
    &["account", "adopt-uid"],
    &["account", "remove"],
    &["fleet"],
    &["fleet", "init"],
    &["fleet", "join-verifier"],
    &["fleet", "bundle"],
    &["fleet", "add-verifier"],
    &["fleet", "compromise"],
    &["fleet", "create-store"],
    &["fleet", "import"],
    &["fleet", "invite"],
    &["fleet", "join"],
    &["fleet", "leave"],
    &["fleet", "offline-codes"],
    &["fleet", "status"],
    &["fleet", "report-offline"],
    &["fleet", "defrag"],
    &["fleet", "rotate"],
    &["fleet", "rotate", "key"],
    &["fleet", "rotate", "key", "begin"],
    &["fleet", "rotate", "key", "add"],
    &["fleet", "rotate", "key", "use"],
    &["fleet", "rotate", "key", "finish"],
    &["fleet", "rotate", "ca"],
    &["fleet", "rotate", "ca", "begin"],
    &["fleet", "rotate", "ca", "add"],
    &["fleet", "rotate", "ca", "use"],
    &["fleet", "rotate", "ca", "finish"],
    &["fleet", "backup"],
    &["fleet", "restore"],
    &["fleet", "accept-restore"],
    &["fleet", "host"],
    &["fleet", "host", "list"],
    &["fleet", "host", "hold"],
    &["fleet", "host", "release"],
    &["fleet", "host", "revoke"],
    &["audit"],
    &["audit", "verify"],
    &["audit", "repair"],
    &["audit", "heads"],
    &["audit", "checkpoint"],
    &["audit", "summary"],
    &["audit", "report"],
    &["metrics"],
    &["watch"],
    &["top"],
    &["man"],
];

#[test]
fn every_command_has_help_and_a_man_page_that_names_every_option() {
    let instance = Instance::new();
    let dir = instance.path("man");
    std::fs::create_dir(&dir).unwrap();
    instance.run(&["man", dir.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), COMMANDS.len(), "all are looked at");
    for command in COMMANDS {
        let help = instance.run(&[command, &["--help"]].concat()).ok().stdout;
        let name = [&["qrtotp"], command].concat().join("-");
        let page = ["1", "8"]
            .iter()
            .find_map(|section| std::fs::read_to_string(dir.join(format!("{name}.{section}"))).ok());
        let page = page.unwrap_or_else(|| panic!("{name} has no page"));
        for heading in ["EXAMPLES\n.TP", "EXIT STATUS", "FILES", "SEE ALSO"] {
            assert!(page.contains(heading), "{name}: {heading}");
        }
        let page = page.replace("\\-", "-");
        let options: Vec<&str> = help
            .split(|c: char| c.is_whitespace() || "[]<>,.`".contains(c))
            .filter(|word| word.starts_with("--") && word.len() > 3)
            .collect();
        assert!(options.contains(&"--config"), "{command:?}: {help}");
        let in_order =
            help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_whitespace().next());
        let in_order: Vec<&str> = in_order.collect();
        assert!(in_order.ends_with(&["config", "socket"]), "{command:?}: {in_order:?}");
        for option in options {
            assert!(page.contains(option), "{command:?}: {option} is not in its man page");
        }
    }
}

#[test]
fn completions_ask_the_command_which_knows_its_options_and_the_users_of_the_store() {
    let instance = Instance::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = instance.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("QRTOTP_COMPLETE"), "{shell}");
    }
    instance.import("daemon");
    let config = instance.path("qrtotp.toml");
    let ask = |words: &[&str]| {
        let line = [&["--", "qrtotp", "--config", config.to_str().unwrap()], words].concat();
        instance.run_under(&["env", "QRTOTP_COMPLETE=fish"], &line).ok().stdout
    };
    assert!(ask(&["enr"]).starts_with("enroll\t") && ask(&["enroll", "--no-v"]).starts_with("--no-verify"));
    assert_eq!(ask(&["unlock", "d"]), "daemon\n");
    assert!(ask(&["revoke", "daemon", "--credential", "c-"]).starts_with("c-"));
    assert_eq!(ask(&["revoke", "nobody", "--credential", "c-"]), "");
}

#[test]
fn pages_of_commands_for_root_are_in_section_8() {
    let instance = Instance::new();
    let dir = instance.path("man");
    std::fs::create_dir(&dir).unwrap();
    instance.run(&["man", dir.to_str().unwrap()]).ok();
    for page in ["qrtotp.1", "qrtotp-enroll.1", "qrtotp-revoke.1", "qrtotp-setup.8", "qrtotp-token-issue.8"] {
        assert!(dir.join(page).exists(), "{page}");
    }
    let index = std::fs::read_to_string(dir.join("qrtotp.1")).unwrap();
    let token = index.split_once("qrtotp\\-token").unwrap().1.lines().next().unwrap();
    assert!(token.contains("(8)"), "{token}");
}
