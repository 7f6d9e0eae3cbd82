//! The sshd recipes of docs/SERVICES.md, with Debian's sshd and ssh. (The connection opened by hand is in
//! clients.rs.)

use qrtotp_tests::{Output, Phone, Sandbox, openssh::System, recipes::Recipe, users::PASSWORD};

const INSIDE: &str = "logged in";
const CODE_PROMPT: &str = "Verification code: ";
const KEY_AND_CODE: &str = "AuthenticationMethods publickey,keyboard-interactive";

/// A host with alice, who has a device and a key, and the blocks of one section that are whole files.
fn host(section: &str, addresses: &[&str]) -> (Sandbox, Phone, Recipe) {
    let sandbox = Sandbox::new();
    sandbox.without_delays();
    for address in addresses {
        sandbox.run(&["ip", "address", "add", address, "dev", "lo"]).success();
    }
    for group in ["students", "sudo"] {
        sandbox.run(&["groupadd", "--force", group]).success();
    }
    sandbox.add_user("alice");
    sandbox.authorize_key("alice");
    let phone = sandbox.import("alice");
    let recipe = Recipe::of(section);
    recipe.write(&sandbox);
    (sandbox, phone, recipe)
}

/// Whether a login from `from` succeeds with `answers`, one for each question. `options` are ssh's.
fn logs_in(sandbox: &Sandbox, user: &str, options: &[&str], answers: &[(&str, &str)]) -> bool {
    let mut client = sandbox.ssh_with(user, options, &format!("echo {INSIDE}"));
    for (question, answer) in answers {
        let before = client.expect(question);
        assert!(!before.contains(": "), "another question: {before}");
        client.send(answer);
    }
    let (status, shown) = client.finish();
    assert_eq!(status.success(), shown.contains(INSIDE), "{shown}");
    status.success()
}

#[test]
fn a_key_or_the_password_then_a_code() {
    let (sandbox, phone, recipe) = host("sshd: key or password, then a code", &[]);
    sandbox.run(&["sh", "-ec", &recipe.commands()]).success();
    let _sshd = sandbox.start_debians_sshd();
    sandbox.add_user("bobby");
    let bobby = sandbox.import("bobby");
    let without_key = |answers: &[(&str, &str)]| logs_in(&sandbox, "bobby", &[], answers);
    let with_key = |code: &str| logs_in(&sandbox, "alice", &[], &[(CODE_PROMPT, code)]);
    assert!(!with_key(&phone.wrong_code()));
    assert!(with_key(&phone.code()));
    assert!(!without_key(&[("assword: ", "not the password")]));
    assert!(!without_key(&[("assword: ", PASSWORD), (CODE_PROMPT, &bobby.wrong_code())]));
    assert!(without_key(&[("assword: ", PASSWORD), (CODE_PROMPT, &bobby.code())]));
}

#[test]
fn groups_and_networks_without_a_code() {
    let (sandbox, phone, _) =
        host("sshd: groups and networks without a code", &["198.51.100.7/32", "203.0.113.9/32"]);
    sandbox.password_and_code("sshd", "");
    let _sshd = sandbox.start_sshd("");
    for (user, group) in [("student", "students"), ("admin", "sudo")] {
        sandbox.add_user(user);
        sandbox.run(&["usermod", "--append", "--groups", group, user]).success();
    }
    let admin = sandbox.import("admin");
    let (office, elsewhere) = ("BindAddress=198.51.100.7", "BindAddress=203.0.113.9");
    let password = ("assword: ", PASSWORD);
    let no_key = "PubkeyAuthentication=no";
    for (user, from, code, gets_in) in [
        ("alice", office, None, true),
        ("alice", elsewhere, Some(phone.wrong_code()), false),
        ("alice", elsewhere, Some(phone.code()), true),
        ("student", elsewhere, None, true),
        ("admin", office, Some(admin.wrong_code()), false),
        ("admin", office, Some(admin.code()), true),
    ] {
        let code = code.as_deref().map(|code| (CODE_PROMPT, code));
        let answers: Vec<_> = [password].into_iter().chain(code).collect();
        assert_eq!(logs_in(&sandbox, user, &[from, no_key], &answers), gets_in, "{user} {from} {code:?}");
    }
}

#[test]
fn automation_asks_nothing_with_its_key_from_its_network() {
    let (sandbox, ..) = host("sshd: accounts for SFTP, rsync, Ansible and CI", &["10.20.0.5/32"]);
    sandbox.add_user("svc-copy");
    sandbox.authorize_key("svc-copy");
    sandbox.key_and_code("sshd", "");
    sandbox.ship_sshd_config(true);
    let _sshd = sandbox.start_debians_sshd();
    let block = sandbox.read("/etc/ssh/sshd_config.d/50-automation.conf");
    let printed = sandbox.run(&["qrtotp", "config", "sshd"]).success().stdout;
    assert!(printed.contains(&block), "{printed}");
    sandbox.overwrite("/tmp/original", "what is copied\n");
    let run = |user: &str, from: &str, command: &str| -> Output {
        let config = format!("BatchMode yes\nUser {user}\nBindAddress {from}\n");
        sandbox.overwrite("/etc/ssh/ssh_config", &config);
        sandbox.run(&["setsid", "--wait", "sh", "-c", command])
    };
    let sftp = "echo put /tmp/original sftp | sftp -b - localhost";
    for command in [
        sftp,
        "rsync /tmp/original localhost:rsync",
        "ansible all -i localhost, -m raw -a 'cp rsync ansible'",
        "ssh localhost cmp sftp ansible",
    ] {
        run("svc-copy", "10.20.0.5", command).success();
    }
    for (user, from) in [("svc-copy", "127.0.0.1"), ("alice", "10.20.0.5")] {
        assert!(!run(user, from, sftp).status.success(), "{user} {from}");
    }
    let authorized = "/home/svc-copy/.ssh/authorized_keys";
    sandbox
        .overwrite(authorized, &format!("restrict,command=\"internal-sftp\" {}", sandbox.read(authorized)));
    run("svc-copy", "10.20.0.5", sftp).success();
    run("svc-copy", "10.20.0.5", "timeout 20 ssh localhost touch no </dev/null");
    assert!(!sandbox.exists("/home/svc-copy/no"));
}

#[test]
fn behind_a_jump_host_a_key_is_enough() {
    let (sandbox, alice, _) = host("sshd: jump hosts", &["10.20.0.2/32"]);
    sandbox.add_user("bobby");
    sandbox.authorize_key("bobby");
    let bobby = sandbox.import("bobby");
    sandbox.key_and_code("sshd", "");
    // One host plays both: a connection from its own address comes from the jump host.
    let _sshd = sandbox.start_sshd(&format!("ListenAddress 10.20.0.2:22\n{KEY_AND_CODE}"));
    let known = sandbox.read("/etc/ssh/ssh_known_hosts").replace("localhost", "localhost,10.20.0.2");
    sandbox.overwrite("/etc/ssh/ssh_known_hosts", &known);
    sandbox.overwrite("/etc/ssh/ssh_config", "NumberOfPasswordPrompts 1\n");
    let jump = |code: &str| {
        let argv = ["ssh", "-J", "alice@localhost", "bobby@10.20.0.2", "echo", "logged", "in"];
        let mut client = sandbox.pty(None, &argv);
        client.expect(CODE_PROMPT);
        client.send(code);
        client.finish().1.contains(INSIDE)
    };
    assert!(!jump(&alice.wrong_code()));
    assert!(jump(&alice.code()));
    let _ = sandbox.log.wait(&["result=ignored", "user=bobby", "rhost=10.20.0.2", "rule=jump-host"]);
    assert!(!logs_in(&sandbox, "bobby", &[], &[(CODE_PROMPT, &bobby.wrong_code())]), "past the jump host");
}

#[test]
fn at_a_jump_host_and_the_host_behind_it_each_code_is_of_the_device_enrolled_there() {
    const BEHIND: &str = "10.20.0.3";
    let jump = Sandbox::new();
    jump.run(&["ip", "address", "add", &format!("{BEHIND}/32"), "dev", "lo"]).success();
    let behind = System::this_machine().sandbox(Some(&jump));
    let [at_jump, at_behind] = [&jump, &behind].map(|host| {
        host.without_delays();
        host.add_user("alice");
        host.password_and_code("sshd", "");
        host.import("alice")
    });
    let (_jump, _behind) = (jump.start_sshd(""), behind.start_sshd_at(BEHIND, ""));
    let known = "/etc/ssh/ssh_known_hosts";
    jump.append(known, &behind.read(known).replace("localhost", BEHIND));
    jump.overwrite("/etc/ssh/ssh_config", "NumberOfPasswordPrompts 1\nPubkeyAuthentication no\n");
    let login = |codes: &[String]| {
        let argv = ["ssh", "-J", "alice@localhost", &format!("alice@{BEHIND}"), "echo", "logged", "in"];
        let mut client = jump.pty(None, &argv);
        for code in codes {
            for (question, answer) in [("assword: ", PASSWORD), (CODE_PROMPT, code)] {
                client.expect(question);
                client.send(answer);
            }
        }
        client.finish().1.contains(INSIDE)
    };
    assert!(!login(&[at_behind.code()]), "it is wrong at the jump host");
    assert!(!login(&[at_jump.previous_code(), at_jump.code()]), "it is wrong at the host behind");
    assert!(login(&[at_jump.code(), at_behind.code()]));
    for (host, rhost) in [(&jump, "rhost=127.0.0.1"), (&behind, &*format!("rhost={BEHIND}"))] {
        let _ = host.log.wait(&["result=accepted reason=code user=alice service=sshd", rhost]);
    }
}
