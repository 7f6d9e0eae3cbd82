//! `qrtotp setup` on the files of whole hosts: it protects them and can be undone, or refuses and
//! leaves all as it was; and if the trial login fails, all is as before.

use qrtotp_tests::{
    Phone, Sandbox,
    layouts::Layout,
    shipped::{INSIDE, Knowledge},
    users::PASSWORD,
};
use std::time::Duration;

fn files(sandbox: &Sandbox) -> String {
    let list = "cd /etc; find pam.d ssh ! -name 'tests_*' ! -name ssh_known_hosts -type f -printf '%p %m %u %g ' -exec sha256sum {} \\; | sort";
    sandbox.run(&["sh", "-c", list]).success().stdout
}

fn of(protected: bool) -> Vec<Layout> {
    Layout::all().into_iter().filter(|layout| layout.refused().is_none() == protected).collect()
}

/// Whether alice gets in through sshd.
fn gets_in(sandbox: &Sandbox, layout: &Layout, code: &str) -> bool {
    sandbox.keep_secret(code);
    let methods = match layout.takes_key() {
        true => "PreferredAuthentications=publickey,keyboard-interactive",
        false => "PubkeyAuthentication=no",
    };
    let remote = format!("echo {}", INSIDE.replace(' ', "' '"));
    sandbox.ssh_with("alice", &[methods], &remote).answer(Knowledge { password: PASSWORD, code }).inside
}

fn protects(layout: &Layout, sandbox: &Sandbox, phone: &Phone) {
    let name = &layout.name;
    let before = files(sandbox);
    let setup = [&["qrtotp", "setup"], &layout.arguments()[..], &["--apply", "--no-timer"]].concat();
    let done = sandbox.run(&setup);
    assert!(done.status.success(), "{name}: {done:?}");
    let doctor = sandbox.run(&["qrtotp", "doctor", "--problems"]);
    assert!(doctor.status.success() && !doctor.stdout.contains("FAIL"), "{name}: {doctor:?}");
    {
        let _sshd = sandbox.start_hosts_sshd();
        assert!(!gets_in(sandbox, layout, &phone.wrong_code()), "{name}: a wrong code got in");
        assert!(gets_in(sandbox, layout, &phone.code()), "{name}: a right code did not get in");
    }
    sandbox.run(&["qrtotp", "setup", "--undo"]).success();
    assert_eq!(files(sandbox), before, "{name}");
}

#[test]
fn layouts_that_setup_understands_are_protected_and_undone_byte_for_byte() {
    let layouts = of(true);
    assert!(layouts.len() >= 20, "{}", layouts.len());
    for layout in layouts {
        let Some((sandbox, phone)) = layout.host() else { continue };
        protects(&layout, &sandbox, &phone);
    }
}

#[test]
fn layouts_that_setup_does_not_understand_are_named_and_left() {
    let layouts = of(false);
    assert!(layouts.len() >= 9, "{}", layouts.len());
    for layout in layouts {
        let Some((sandbox, _)) = layout.host() else { continue };
        let before = files(&sandbox);
        let setup = [&["qrtotp", "setup"], &layout.arguments()[..], &["--apply", "--no-timer"]].concat();
        let refused = sandbox.run(&setup);
        let words = layout.refused().unwrap();
        assert!(
            refused.status.code() == Some(1) && refused.stderr.contains(words),
            "{}: {refused:?}",
            layout.name
        );
        assert_eq!(files(&sandbox), before, "{}", layout.name);
    }
}

#[test]
fn on_each_layout_a_trial_login_that_fails_takes_everything_back() {
    let layouts = of(true);
    assert!(layouts.len() >= 20, "{}", layouts.len());
    for layout in layouts {
        let Some((sandbox, phone)) = layout.host() else { continue };
        let _sshd = sandbox.start_hosts_sshd();
        sandbox.overwrite("/etc/ssh/ssh_host_ed25519_key.pub", &sandbox.read("/etc/ssh/tests_host_key.pub"));
        let agent = "ssh-agent -a /run/agent >/dev/null 2>&1; SSH_AUTH_SOCK=/run/agent ssh-add -q /root/.ssh/id_ed25519";
        sandbox.run(&["sh", "-c", agent]).success();
        // Password and code are right, and the account part refuses.
        sandbox.run(&["chage", "--expiredate", "1", "alice"]).success();
        let before = files(&sandbox);
        let setup = ["env", "SSH_AUTH_SOCK=/run/agent", "qrtotp", "setup"];
        let more = ["--apply", "--no-timer", "--trial", "alice"];
        let mut pty = sandbox.pty(None, &[&setup[..], &layout.arguments(), &more].concat());
        while let Some(which) = pty.meet(&["assword: ", "Verification code: "], Duration::from_secs(20)) {
            let code = phone.code();
            sandbox.keep_secret(&code);
            pty.send(if which == 0 { PASSWORD } else { &code });
        }
        let said = pty.failure();
        assert!(
            said.contains("the trial login of alice failed; everything is as it was"),
            "{}: {said}",
            layout.name
        );
        assert_eq!(files(&sandbox), before, "{}", layout.name);
    }
}
