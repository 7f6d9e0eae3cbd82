//! Sites without passwords: an ssh key enrols the first device if an administrator bound the token to it.

use qrtotp_tests::{
    Pty, Sandbox,
    first_login::{CHOICES, ENTER, INSIDE},
    host::{PAM_AUTH_ERR, SERVICE},
    sshd::Sshd,
};

const AUTHORIZED: &str = "/home/alice/.ssh/authorized_keys";

/// A host whose sshd asks for a key, then a code; alice's client has a key that lets her in.
fn host() -> (Sandbox, Sshd) {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"token\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.key_and_enrolment("sshd");
    sandbox.authorize_key("alice");
    let sshd = sandbox.start_sshd("AuthenticationMethods publickey,keyboard-interactive");
    (sandbox, sshd)
}

/// Creates another key; returns its line for authorized_keys.
fn new_key(sandbox: &Sandbox, name: &str) -> String {
    let path = format!("/root/.ssh/{name}");
    sandbox.run(&["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", name, "-f", &path]).success();
    sandbox.read(&format!("{path}.pub"))
}

/// A client that logged in with one key, at the question for the code.
fn ssh(sandbox: &Sandbox, key: &str) -> Pty {
    let identity = format!("IdentityFile=/root/.ssh/{key}");
    let options =
        [identity.as_str(), "IdentitiesOnly=yes", "PreferredAuthentications=publickey,keyboard-interactive"];
    let mut client = sandbox.ssh_to_enrol(&[], "alice", &options, &format!("echo {INSIDE}"));
    client.expect(ENTER);
    client
}

/// Enter is refused, shows no picture and leaves the store unchanged.
fn is_refused(sandbox: &Sandbox, key: &str, why: &[&str]) {
    let (mut client, before) = (ssh(sandbox, key), sandbox.store_content());
    let seen = sandbox.log.lines().len();
    client.send("");
    let shown = client.failure();
    assert!(!shown.contains(INSIDE) && !shown.contains('█') && !shown.contains("otpauth"), "{shown}");
    let _ = sandbox.log.wait_after(
        seen,
        &[&["event=login result=denied reason=no_primary_factor user=alice"], why].concat(),
    );
    assert_eq!(sandbox.store_content(), before);
}

fn issue(sandbox: &Sandbox) -> String {
    sandbox.run(&["qrtotp", "token", "issue", "alice", "--keys-now"]).success().stdout
}

#[test]
fn a_key_only_user_enrols_with_the_bound_key_and_with_no_other() {
    let (sandbox, _sshd) = host();
    let shown = issue(&sandbox);
    assert!(shown.matches("bound to SHA256:").count() == 1 && !shown.contains("not bound"), "{shown}");
    let _ = sandbox.log.wait(&["event=token_issued user=alice service=qrtotp", " keys=1"]);
    // A process with the user's uid can add a key.
    let later = new_key(&sandbox, "later");
    sandbox.append(AUTHORIZED, &later);
    is_refused(&sandbox, "later", &["was accepted, but the token is not bound to it", "--keys-now"]);
    let mut client = ssh(&sandbox, "id_ed25519");
    client.send("");
    client.expect(CHOICES);
    let phone = client.take_key(&sandbox);
    client.confirm(&phone);
    client.expect(INSIDE);
    client.success();
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=sshd"]);
    let token = sandbox.run(&["qrtotp", "token", "show", "alice"]).success().stdout;
    assert!(token.contains(" consumed ") && token.contains("bound to SHA256:"), "{token}");
    // From now on logins need a code, with any of her keys.
    let mut client = ssh(&sandbox, "later");
    client.send(&phone.wait_for_next_code());
    client.expect(INSIDE);
    client.success();
}

#[test]
fn a_restricted_key_is_not_bound_and_enrols_nobody() {
    let (sandbox, _sshd) = host();
    let backup = new_key(&sandbox, "backup");
    let unrestricted = sandbox.read(AUTHORIZED);
    let restricted = format!("restrict,command=\"echo {INSIDE}\" {backup}");
    sandbox.overwrite(AUTHORIZED, &restricted);
    let refused = sandbox.run(&["qrtotp", "token", "issue", "alice", "--keys-now"]).exited(1);
    assert!(refused.stderr.contains("restricted (restrict,command="), "{refused:?}");
    sandbox.overwrite(AUTHORIZED, &format!("{restricted}{unrestricted}"));
    let shown = issue(&sandbox);
    assert!(shown.contains("not bound: /home/alice/.ssh/authorized_keys line 1: SHA256:"), "{shown}");
    is_refused(&sandbox, "backup", &["the token is not bound to it"]);
    let mut client = ssh(&sandbox, "id_ed25519");
    client.send("");
    client.expect(CHOICES);
}

#[test]
fn a_certificate_for_a_bound_key_enrols_nobody() {
    let (sandbox, _sshd) = host();
    issue(&sandbox);
    let authority = new_key(&sandbox, "authority");
    // sshd accepts only the certificate; otherwise the client would use the key itself.
    sandbox.overwrite(AUTHORIZED, &format!("cert-authority {authority}"));
    let sign = [
        "ssh-keygen",
        "-q",
        "-s",
        "/root/.ssh/authority",
        "-I",
        "alice",
        "-n",
        "alice",
        "/root/.ssh/id_ed25519.pub",
    ];
    sandbox.run(&sign).success();
    is_refused(&sandbox, "id_ed25519", &["no accepted key that is not a certificate"]);
}

/// pam_env sets variables from a file of the user's: not before an authentication, but before the next one
/// with the same handle.
#[test]
fn a_forged_word_of_sshd_counts_nowhere_but_at_sshd() {
    let (sandbox, _sshd) = host();
    let auth =
        "auth required pam_env.so user_readenv=1\nauth required pam_qrtotp.so\nauth required pam_permit.so\n";
    sandbox.enrolling(SERVICE, auth);
    issue(&sandbox);
    let key = sandbox.read("/root/.ssh/id_ed25519.pub");
    let key: Vec<&str> = key.split(' ').take(2).collect();
    let said = format!("publickey {}", key.join(" "));
    sandbox.overwrite("/home/alice/.pam_environment", &format!("SSH_AUTH_INFO_0 DEFAULT=\"{said}\"\n"));
    sandbox.run(&["chown", "alice:", "/home/alice/.pam_environment"]).success();
    let variable = format!("SSH_AUTH_INFO_0={said}");
    for (forged, arguments) in
        [("by pam_env", ["--phases", "aca"]), ("by the application", ["--putenv", &variable])]
    {
        for (listed, shown) in [("\"sshd\"", false), ("\"sshd\", \"tests\"", true)] {
            sandbox.configure(&format!(
                "[defaults]\nfirst_login = \"token\"\n[enroll]\nservices = [\"tests\"]\nkey_services = [{listed}]\n"
            ));
            let login = sandbox
                .login("alice")
                .arguments(&["--mode", "by-echo", "--tty", "pts/0"])
                .arguments(&arguments);
            let report = login.answer("").answer("").answer("").answer("q").run();
            let last = report.text().lines().rev().find_map(|line| line.strip_prefix("authenticate="));
            assert_eq!(last, Some(PAM_AUTH_ERR.to_string().as_str()), "{}", report.text());
            assert_eq!(
                report.text().contains("otpauth") || report.text().contains('█'),
                shown,
                "{forged}, {listed}"
            );
        }
    }
}
