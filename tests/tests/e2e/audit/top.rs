//! `qrtotp top` in a real terminal: tmux, 80x24, one that has no colours.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// Types these keys, one argument of `tmux send-keys` each, and gives the picture once it has `wanted`.
const STEP: &str = r#"
command=$1
tmux() { command tmux -S /tmp/tmux "$@"; }
[ -S /tmp/tmux ] || tmux -f /dev/null new-session -d -x 80 -y 24 -e TERM=vt220 "$command top 2>/tmp/said; echo ended; sleep 60"
wanted=$2; shift 2; [ $# = 0 ] || tmux send-keys "$@"
for n in $(seq 100); do tmux capture-pane -p >/tmp/picture; grep -q -- "$wanted" /tmp/picture && break; sleep 0.1; done
cat /tmp/picture; cat /tmp/said >&2
"#;

fn step(sandbox: &Sandbox, wanted: &str, keys: &[&str]) -> String {
    step_of(sandbox, "qrtotp", wanted, keys)
}

/// The same of a console that `command` starts: words of a shell in front of `top`.
pub fn step_of(sandbox: &Sandbox, command: &str, wanted: &str, keys: &[&str]) -> String {
    sandbox.overwrite("/tmp/step", STEP);
    let said = sandbox.run(&[&["sh", "/tmp/step", command, wanted], keys].concat()).success();
    assert!(said.stdout.contains(wanted), "{wanted}:\n{}{}", said.stdout, said.stderr);
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{}", said.stdout);
    said.stdout
}

#[test]
fn a_new_event_appears_and_counts_for_the_rule_that_decided_it() {
    let sandbox = Sandbox::new();
    sandbox.configure("[[rule]]\nname = 'staff'\nuser = ['alice']\nthen = 'code'\n");
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    let log = "mount -t tmpfs tmpfs /var/log && rm -rf /run/log && touch /var/log/auth.log";
    sandbox.run(&["sh", "-c", log]).success();
    step(&sandbox, "0 events of the last hour and since", &[]);
    step(&sandbox, &decided(0), &["4"]);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let line = sandbox.log.wait(&["event=login result=accepted", " rule=staff "]);
    let line = &line[line.find("pam_qrtotp(").unwrap()..];
    let at = line.split_once(" at=").unwrap().1.split(' ').next().unwrap();
    let time = sandbox.run(&["date", "-u", "-d", &format!("@{at}"), "+%FT%TZ"]).success().stdout;
    sandbox.append("/var/log/auth.log", &format!("{} host tests[7]: {line}\n", time.trim()));
    step(&sandbox, &decided(1), &[]);
    let shown = format!("{} login result=accepted reason=code user=alice", &time[11..19]);
    step(&sandbox, &shown, &["1"]);
    step(&sandbox, "ended", &["q"]);
}

/// The line of the rule `staff`.
fn decided(accepted: u32) -> String {
    format!("  {:<32} {accepted:>9} {:>9} {:>9} ", "staff", 0, 0)
}

#[test]
fn events_accounts_and_tokens_are_shown_and_unlock_and_revoke_work_as_the_commands_do() {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    sandbox.add_user("bob");
    let (alice, bob) = (sandbox.import("alice"), sandbox.import("bob"));
    assert_eq!(sandbox.answer("bob", &bob.wrong_code()), PAM_AUTH_ERR);
    let _ = sandbox.run(&["qrtotp", "token", "issue", "alice"]).success();
    step(&sandbox, "1 Events", &[]);
    let accounts = step(&sandbox, "> alice", &["2"]);
    assert!(accounts.contains("  bob ") && accounts.contains("strangers places own"), "{accounts}");
    step(&sandbox, "> bob", &["Down"]);
    sandbox.overwrite("/etc/sudoers.d/tests", "bob ALL=(ALL) ALL\n");
    step(&sandbox, "bob is the only account with a device that can become root.", &["r"]);
    step(&sandbox, "Nothing was changed.", &["Escape"]);
    step(&sandbox, "Type y: y_", &["u", "y"]);
    step(&sandbox, "Unlocked bob: 1 failures", &["Enter"]);
    let _ = sandbox.log.wait(&["event=throttle_lifted reason=unlock user=bob"]);
    step(&sandbox, "Nothing was changed.", &["r", "a", "l", "Enter"]);
    assert_eq!(sandbox.answer("bob", &bob.code()), PAM_SUCCESS);
    step(&sandbox, "Type its name: bob_", &["r", "b", "o", "b"]);
    step(&sandbox, "Revoked 1 devices of bob", &["Enter"]);
    assert_eq!(sandbox.answer("bob", &bob.code_of_step(bob.step() + 1)), PAM_AUTH_ERR);
    step(&sandbox, "> alice", &["3"]);
    step(&sandbox, "Revoked the token of alice", &["r", "a", "l", "i", "c", "e", "Enter"]);
    step(&sandbox, "No open token", &["g"]);
    assert_eq!(sandbox.answer("alice", &alice.code()), PAM_SUCCESS);
    step(&sandbox, "The configuration has no rule", &["4"]);
    step(&sandbox, "> alice", &["2", "Up"]);
    let reissued = step(&sandbox, "then press Enter", &["i", "a", "l", "i", "c", "e", "Enter"]);
    assert!(reissued.starts_with("The code with which alice enrols a new device, shown only now:\n"));
    let code = reissued.lines().nth(2).unwrap().trim().to_owned();
    assert!(code.len() >= 8 && code.contains('-'), "{reissued}");
    let after = step(&sandbox, "Revoked 1 devices of alice.", &["Enter"]);
    assert!(!after.contains(&code), "{after}");
    let _ = sandbox.log.wait(&["event=token_issued reason=with_code user=alice", " seq="]);
    step(&sandbox, "ended", &["q"]);
    assert_ne!(sandbox.answer("alice", &alice.code_of_step(alice.step() + 1)), PAM_SUCCESS);
}
