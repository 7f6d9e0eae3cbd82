//! Real shells complete users and devices: what TAB adds makes the line right, and then it is run.

use qrtotp_tests::Sandbox;

/// alice and bobby with a device each, and the scripts where the packages put them.
fn host() -> Sandbox {
    let sandbox = Sandbox::with_alice_and_bobby();
    for user in ["alice", "bobby"] {
        let _ = sandbox.import(user);
    }
    for (shell, file) in [
        ("bash", "bash-completion/completions/qrtotp"),
        ("zsh", "zsh/site-functions/_qrtotp"),
        ("fish", "fish/vendor_completions.d/qrtotp.fish"),
    ] {
        let put = format!("install -D /dev/stdin /usr/local/share/{file}");
        let script = sandbox.run(&["qrtotp", "completions", shell]).success().stdout;
        sandbox.run_with_input(&["sh", "-c", &put], &script).success();
    }
    sandbox
}

/// Types lines into root's shell and gives all that was shown.
fn typed(sandbox: &Sandbox, shell: &[&str], lines: &[&str]) -> String {
    let mut pty = sandbox.pty(None, shell);
    for line in lines.iter().chain(&["exit 0"]) {
        pty.expect("# ");
        pty.send(line);
    }
    pty.success()
}

const BASH: [&str; 3] = ["bash", "--norc", "-i"];
const BASH_STARTS: &str = ". /usr/share/bash-completion/bash_completion";

#[test]
fn bash_completes_users_and_the_devices_of_the_user_that_was_typed() {
    let sandbox = host();
    let rename = "qrtotp device rename al\t--credential \t--label Tablet";
    typed(&sandbox, &BASH, &[BASH_STARTS, rename]);
    assert!(sandbox.run(&["qrtotp", "device", "list", "alice"]).stdout.contains("Tablet"));
    let both = typed(&sandbox, &BASH, &[BASH_STARTS, "qrtotp revoke \t\t--nothing"]);
    assert!(both.contains("alice") && both.contains("bobby"), "{both}");
    typed(&sandbox, &BASH, &[BASH_STARTS, "qrtotp revo\tbo\t--al\t--yes"]);
    assert!(sandbox.run(&["qrtotp", "status", "bobby"]).stdout.contains("revoked"));
}

#[test]
fn zsh_completes_at_the_first_tab_and_fish_does() {
    let sandbox = host();
    let lines =
        ["autoload -U compinit; compinit -u -D", "qrtotp device rename al\t--credential \t--label Tablet"];
    let shown = typed(&sandbox, &["zsh", "-f", "-i"], &lines);
    assert!(sandbox.run(&["qrtotp", "device", "list", "alice"]).stdout.contains("Tablet"), "{shown}");
    let fish = |line: &str| {
        let own = "XDG_DATA_DIRS=/usr/local/share:/usr/share";
        sandbox.run(&["env", own, "fish", "-c", &format!("complete -C '{line}'")]).success().stdout
    };
    assert_eq!(fish("qrtotp unlock a"), "alice\n");
    assert!(fish("qrtotp device rename alice --credential ").starts_with("c-"));
}

#[test]
fn a_user_without_root_is_told_no_names_and_no_error_comes_into_the_line() {
    let sandbox = host();
    let ask = |words: &[&str]| {
        let index = format!("_CLAP_COMPLETE_INDEX={}", words.len());
        let before = ["env", "QRTOTP_COMPLETE=bash", &index, "qrtotp", "--", "qrtotp"];
        [&before[..], words].concat().join(" ")
    };
    for words in [
        &["status", "''"][..],
        &["--config", "/nowhere", "revoke", "''"],
        &["revoke", "bobby", "--credential", "''"],
    ] {
        let said = sandbox.run_as("alice", &["sh", "-c", &ask(words)]).success();
        assert!(said.stderr.is_empty(), "{words:?}: {said:?}");
        assert!(said.stdout.lines().all(|line| line.starts_with("--")), "{words:?}: {said:?}");
    }
    let as_root = || sandbox.run(&["sh", "-c", &ask(&["status", "al"])]).success();
    assert_eq!(as_root().stdout, "alice");
    sandbox.run(&["sh", "-c", "echo nonsense >/etc/qrtotp/seal.key"]).success();
    assert!(!as_root().stdout.contains("alice") && as_root().stderr.is_empty());
}
