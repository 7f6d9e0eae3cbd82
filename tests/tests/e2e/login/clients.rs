//! Other programs that log in over ssh: file copies, jump hosts, shared connections, libraries and Ansible.

use qrtotp_tests::{Phone, Sandbox, recipes::Recipe, sshd::Sshd, users::PASSWORD};

const ORIGINAL: &str = "what is copied\n";
/// A host name that matches the recipe's pattern.
const SERVER: &str = "server.example.org";
const KEY: &str = "/root/.ssh/id_ed25519";
const CODE_PROMPT: &str = "Verification code: ";

/// Shell commands that copy /tmp/original as the user `$1`, and whether they ask at the terminal or read the
/// answers from standard input. The libraries get the key's file as `$2`.
const CLIENTS: [(&str, bool, &str); 5] = [
    ("scp", true, "scp /tmp/original $1@localhost:copy"),
    ("sftp", true, "echo put /tmp/original copy | sftp $1@localhost"),
    ("rsync", true, "rsync /tmp/original $1@localhost:copy"),
    ("paramiko", false, "/usr/bin/python3 /tmp/by_paramiko.py $1 $2"),
    ("asyncssh", false, "/usr/bin/python3 /tmp/by_asyncssh.py $1 $2"),
];

/// A host with sshd that asks for a code behind `methods`, and a client's configuration on it.
fn host(methods: &str) -> (Sandbox, Sshd) {
    let sandbox = Sandbox::new();
    sandbox.without_delays();
    if methods.contains("publickey") {
        sandbox.key_and_code("sshd", "");
    } else {
        sandbox.password_and_code("sshd", "");
    }
    sandbox.overwrite("/etc/ssh/ssh_config", "StrictHostKeyChecking yes\nNumberOfPasswordPrompts 1\n");
    sandbox.overwrite("/tmp/original", ORIGINAL);
    sandbox.overwrite("/tmp/by_paramiko.py", include_str!("clients/by_paramiko.py"));
    sandbox.overwrite("/tmp/by_asyncssh.py", include_str!("clients/by_asyncssh.py"));
    let sshd = sandbox.start_sshd(&format!("Subsystem sftp internal-sftp\nAuthenticationMethods {methods}"));
    (sandbox, sshd)
}

fn enrolled(sandbox: &Sandbox, user: &str) -> Phone {
    sandbox.add_user(user);
    sandbox.import(user)
}

/// Runs a command on a terminal and answers each question; returns whether it succeeded.
fn at_terminal(sandbox: &Sandbox, argv: &[&str], answers: &[(&str, &str)]) -> bool {
    let mut pty = sandbox.pty(None, argv);
    for (question, answer) in answers {
        pty.expect(question);
        pty.send(answer);
    }
    pty.finish().0.success()
}

/// Each client copies with the right code and fails with a wrong one.
fn clients_copy(with_key: bool) {
    let (sandbox, _sshd) =
        host(if with_key { "publickey,keyboard-interactive" } else { "keyboard-interactive" });
    for (user, asks_at_terminal, command) in CLIENTS {
        let phone = enrolled(&sandbox, user);
        let mut argv = vec!["sh", "-c", command, "sh", user];
        if with_key {
            sandbox.authorize_key(user);
            argv.push(KEY);
        }
        for (code, reason) in
            [(phone.wrong_code(), "denied reason=wrong_code"), (phone.code(), "accepted reason=code")]
        {
            let mut answers = vec![("assword: ", PASSWORD), (CODE_PROMPT, &code)];
            if with_key {
                answers.remove(0);
            }
            let is_right = reason.starts_with("accepted");
            if asks_at_terminal {
                assert_eq!(at_terminal(&sandbox, &argv, &answers), is_right, "{user}: {reason}");
            } else {
                let lines: String = answers.iter().map(|(_, answer)| format!("{answer}\n")).collect();
                let output = sandbox.run_with_input(&argv, &lines);
                assert_eq!(output.status.success(), is_right, "{user}: {reason}: {output:?}");
            }
            let copy = format!("/home/{user}/copy");
            assert_eq!(sandbox.exists(&copy), is_right, "{user}: {reason}");
            if is_right {
                assert_eq!(sandbox.read(&copy), ORIGINAL, "{user}");
                sandbox.keep_secret(&code);
            }
            let _ = sandbox.log.wait(&[&format!("event=login result={reason} user={user} service=sshd")]);
        }
    }
}

#[test]
fn file_copies_and_libraries_get_in_with_password_and_code() {
    clients_copy(false);
}

#[test]
fn file_copies_and_libraries_get_in_with_key_and_code() {
    clients_copy(true);
}

#[test]
fn a_jump_host_and_the_host_behind_it_each_take_a_code() {
    let (sandbox, _sshd) = host("keyboard-interactive");
    let [alice, bobby, carol] = ["alice", "bobby", "carol"].map(|user| enrolled(&sandbox, user));
    for (jump, at_jump, at_target, gets_in) in [
        ("alice", alice.wrong_code(), None, false),
        ("alice", alice.code(), Some(bobby.wrong_code()), false),
        ("carol", carol.code(), Some(bobby.code()), true),
    ] {
        let mut answers = vec![("assword: ", PASSWORD), (CODE_PROMPT, &at_jump)];
        if let Some(code) = &at_target {
            answers.extend([("(bobby@localhost) Password: ", PASSWORD), (CODE_PROMPT, code)]);
        }
        let ssh = ["ssh", "-J", &format!("{jump}@localhost"), "bobby@localhost", "touch inside"];
        assert_eq!(at_terminal(&sandbox, &ssh, &answers), gets_in, "{jump} {at_jump} {at_target:?}");
        assert_eq!(sandbox.exists("/home/bobby/inside"), gets_in);
    }
}

#[test]
fn over_a_connection_opened_by_hand_nothing_asks_again() {
    let (sandbox, _sshd) = host("keyboard-interactive");
    let phone = enrolled(&sandbox, "alice");
    let recipe = Recipe::of("sshd: one login for many connections");
    let key = sandbox.read("/etc/ssh/ssh_known_hosts").replace("localhost", SERVER);
    sandbox.append("/etc/ssh/ssh_known_hosts", &key);
    sandbox.append("/etc/hosts", &format!("127.0.0.1 {SERVER}\n"));
    sandbox.run(&["install", "-d", "-m", "700", "/root/.ssh"]).success();
    sandbox.overwrite("/root/.ssh/config", &format!("{}    User alice\n", recipe.block("~/.ssh/config")));
    sandbox.overwrite("/root/.ansible.cfg", &recipe.block("ansible.cfg"));
    let run = |command: &str| sandbox.run(&["setsid", "--wait", "sh", "-c", command]);
    let open = |code: &str| {
        at_terminal(&sandbox, &["ssh", SERVER, "true"], &[("assword: ", PASSWORD), (CODE_PROMPT, code)])
    };
    let scp = "scp -B /tmp/original server.example.org:scp";
    assert!(!open(&phone.wrong_code()));
    assert!(!run(scp).status.success());
    assert!(open(&phone.code()));
    for (copy, command) in [
        ("scp", scp),
        ("sftp", "echo put /tmp/original sftp | sftp -b - server.example.org"),
        ("rsync", "rsync -e 'ssh -o BatchMode=yes' /tmp/original server.example.org:rsync"),
        ("ansible", "ansible all -i server.example.org, -m raw -a 'cp scp ansible'"),
    ] {
        run(command).success();
        assert_eq!(sandbox.read(&format!("/home/alice/{copy}")), ORIGINAL, "{copy}");
    }
    run("ssh -O exit server.example.org").success();
    assert!(!run(scp).status.success(), "it ends with the connection");
}
