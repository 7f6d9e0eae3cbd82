//! The place and the ssh key of a login, in its line of the audit log.

use super::trail::written;
use qrtotp_tests::{Phone, Sandbox, sshd::Sshd};

/// A host whose sshd asks for a key and a code; alice has both.
fn host() -> (Sandbox, Phone, Sshd) {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.key_and_code("sshd", "");
    sandbox.authorize_key("alice");
    let phone = sandbox.import("alice");
    let sshd = sandbox.start_sshd("AuthenticationMethods publickey,keyboard-interactive");
    (sandbox, phone, sshd)
}

fn log_in(sandbox: &Sandbox, code: &str) {
    let mut client = sandbox.ssh_with("alice", &["PasswordAuthentication=no"], "echo logged in");
    client.expect("Verification code: ");
    client.send(code);
    let _ = client.finish();
}

#[test]
fn the_key_in_a_login_s_line_is_the_one_that_ssh_keygen_names_and_its_place_is_new_once() {
    let (sandbox, phone, _sshd) = host();
    let shown = sandbox.run(&["ssh-keygen", "-lf", "/root/.ssh/id_ed25519.pub"]).success().stdout;
    let fingerprint = shown.split(' ').nth(1).unwrap();
    for (code, place) in [
        (phone.wrong_code(), "place=new"),
        (phone.previous_code(), "place=new with=publickey"),
        (phone.code(), "place=familiar with=publickey"),
    ] {
        let seen = sandbox.log.lines().len();
        log_in(&sandbox, &code);
        let expected = format!("{place} key={fingerprint} seq=");
        let _ = sandbox.log.wait_after(seen, &["event=login", "service=sshd", &expected]);
    }
    let _ = written(&sandbox, |_| {});
    let proven = sandbox.run(&["qrtotp", "audit", "verify", "--file", "/tmp/auth.log"]).success().stdout;
    assert!(proven.contains("Nothing was changed"), "{proven}");
}
