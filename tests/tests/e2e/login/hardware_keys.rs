//! Hardware ssh keys: registered by a signature, then accepted as second factor if a rule says so. The
//! security key is a program (`c/sk_provider.c`), which also proves that only attestation could tell it from
//! a real one.

use qrtotp_tests::{
    Phone, Pty, Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS, SERVICE},
    sshd::Sshd,
};

const INSIDE: &str = "I-am-inside";
const CODE: &str = "Verification code: ";
const RULE: &str = "[[rule]]\nname = 'token'\nkey = 'hardware'\nthen = 'skip'\n";
const ACCEPTED: &str = "event=login result=accepted reason=hardware_key user=alice service=sshd";

/// A host whose sshd asks for a key, then asks PAM. alice has a phone; `plain`, `token` and `other` in her
/// home let her in.
struct Host {
    sandbox: Sandbox,
    provider: String,
    phone: Phone,
    _sshd: Sshd,
}

impl Host {
    fn new(rules: &str) -> Self {
        Self::with_sshd(rules, "")
    }

    /// The same, with `more` lines in sshd_config.
    fn with_sshd(rules: &str, more: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox.add_user("alice");
        sandbox.overwrite("/etc/ssh/sshd_config", "PubkeyAuthOptions verify-required\n");
        let provider = sandbox.install_c("sk_provider.c", &["-shared", "-fPIC", "-lcrypto"]);
        sandbox.key_and_code("sshd", "");
        let phone = sandbox.import("alice");
        sandbox.configure(rules);
        let sshd = sandbox.start_sshd(&format!(
            "AuthenticationMethods publickey,keyboard-interactive\nPubkeyAuthOptions verify-required\nAcceptEnv *\n{more}"
        ));
        let host = Self { sandbox, provider, phone, _sshd: sshd };
        host.sandbox.run_as("alice", &["mkdir", "-m", "700", "/home/alice/.ssh"]).success();
        for (name, kind) in [("plain", "ed25519"), ("token", "ed25519-sk"), ("other", "ed25519-sk")] {
            host.new_key(name, kind);
        }
        host
    }

    fn new_key(&self, name: &str, kind: &str) {
        let path = path(name);
        let make = ["ssh-keygen", "-q", "-t", kind, "-w", &self.provider, "-N", "", "-f", &path];
        self.sandbox.run_as("alice", &make).success();
        let line = self.sandbox.read(&format!("{path}.pub"));
        self.sandbox.append("/home/alice/.ssh/authorized_keys", &line);
    }

    /// The words with which `sshd` logs an accepted key.
    fn accepted(&self, name: &str) -> String {
        let line = self.sandbox.read(&format!("{}.pub", path(name)));
        let words: Vec<&str> = line.split(' ').take(2).collect();
        format!("publickey {}", words.join(" "))
    }

    /// The output of `ssh-keygen -Y sign` on the machine with the key.
    fn sign(&self, key: &str, challenge: &str, namespace: &str) -> String {
        let provider = format!("SSH_SK_PROVIDER={}", self.provider);
        let sign = ["env", &provider, "ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", &path(key)];
        let signed = self.sandbox.run_with_input(&sign, &format!("{challenge}\n")).success().stdout;
        signed.trim_end().to_owned()
    }

    /// Registers a key whose private half is here. Returns the credential's id.
    fn register(&self, name: &str) -> String {
        let label = format!("alice's {name}");
        let add = ["qrtotp", "key", "add", "alice", "--no-verify", "--yes", "--label", &label];
        let mut client = self.sandbox.pty_unrecorded(&add);
        let challenge = challenge_of(&mut client);
        client.send(&self.sign(name, &challenge, "qrtotp-key"));
        let shown = client.success();
        shown.split([' ', ',']).find(|word| word.starts_with("c-")).unwrap().to_owned()
    }

    fn ssh(&self, key: &str, more: &[&str]) -> Pty {
        self.ssh_as("alice", key, more)
    }

    fn ssh_as(&self, user: &str, key: &str, more: &[&str]) -> Pty {
        let identity = format!("IdentityFile={}", path(key));
        let provider = format!("SecurityKeyProvider={}", self.provider);
        let options = [
            identity.as_str(),
            &provider,
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey,keyboard-interactive",
        ];
        self.sandbox.ssh_with(user, &[&options, more].concat(), &format!("echo {INSIDE}"))
    }

    fn gets_in_unasked(&self, key: &str) {
        let mut client = self.ssh(key, &[]);
        client.expect(INSIDE);
        assert!(!client.success().contains(CODE));
    }

    fn is_asked(&self, key: &str, more: &[&str]) {
        let mut client = self.ssh(key, more);
        client.expect(CODE);
        client.send(&self.phone.wrong_code());
        assert!(!client.failure().contains(INSIDE), "{key}");
    }
}

/// The challenge to sign.
fn challenge_of(client: &mut Pty) -> String {
    client.expect("echo ");
    let challenge = client.expect(" | ssh-keygen -Y sign -n qrtotp-key ");
    client.expect("Signature: ");
    challenge
}

fn path(name: &str) -> String {
    format!("/home/alice/.ssh/{name}")
}

#[test]
fn a_registered_hardware_key_is_the_second_factor_and_no_other_key_is() {
    let host = Host::new(&format!("[throttle]\nfree_failures = 10\n{RULE}"));
    host.is_asked("token", &[]);
    let id = host.register("token");
    let _ = host.sandbox.log.wait(&[
        "event=key_registered reason=existing_code_skipped user=alice service=qrtotp",
        &format!("credential={id} label=\"alice's token\""),
        "detail=\"sk-ssh-ed25519@openssh.com SHA256:",
    ]);
    host.gets_in_unasked("token");
    let _ =
        host.sandbox.log.wait(&[ACCEPTED, &format!("rule=token credential={id} label=\"alice's token\"")]);
    host.is_asked("plain", &[]);
    host.is_asked("other", &[]);
    // A client can set variables of its session, but not of PAM.
    host.is_asked("plain", &[&format!("SetEnv=SSH_AUTH_INFO_0=\"{}\"", host.accepted("token"))]);
    let shown = host.sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    let key = format!("ssh key {id} \"alice's token\": sk-ssh-ed25519@openssh.com, SHA256:");
    assert!(shown.contains(&key), "{shown}");
    let shown = host.sandbox.run(&["qrtotp", "device", "list", "alice"]).success().stdout;
    assert!(shown.contains(&format!("{id}  ssh key sk-ssh-ed25519@openssh.com  ")), "{shown}");
    assert!(shown.contains("  \"alice's token\"  SHA256:"), "{shown}");
    let list = host.sandbox.run(&["qrtotp", "list"]).success().stdout;
    assert!(list.contains("SSH KEYS") && list.contains("enrolled  1        1  "), "{list}");
    let unnamed = host.sandbox.run(&["qrtotp", "revoke", "alice"]).exited(1);
    assert!(unnamed.stderr.contains("has several devices"), "{unnamed:?}");
    host.sandbox
        .run(&["qrtotp", "device", "rename", "alice", "--credential", &id, "--label", "blue"])
        .success();
    host.sandbox.run(&["qrtotp", "revoke", "alice", "--credential", &id]).success();
    let _ = host.sandbox.log.wait(&["event=credential_revoked user=alice", "label=blue"]);
    host.is_asked("token", &[]);
}

#[test]
fn a_key_of_the_other_type_is_taken_too() {
    let host = Host::new(RULE);
    host.new_key("ecdsa", "ecdsa-sk");
    host.is_asked("ecdsa", &[]);
    let id = host.register("ecdsa");
    host.gets_in_unasked("ecdsa");
    let _ = host.sandbox.log.wait(&[ACCEPTED, &format!("rule=token credential={id}")]);
    let shown = host.sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(shown.contains("sk-ecdsa-sha2-nistp256@openssh.com, SHA256:"), "{shown}");
}

#[test]
fn a_key_whose_signatures_a_browser_makes_is_taken_too() {
    let more = "PubkeyAcceptedAlgorithms +webauthn-sk-ecdsa-sha2-nistp256@openssh.com";
    let host = Host::with_sshd(RULE, more);
    host.sandbox.overwrite("/root/webauthn.py", include_str!("clients/webauthn.py"));
    let browser = |task: &str, input: &str| {
        host.sandbox.run_with_input(&["/usr/bin/python3", "/root/webauthn.py", task], input)
    };
    let line = browser("key", "").success().stdout;
    host.sandbox.append("/home/alice/.ssh/authorized_keys", &line);
    assert!(!browser("login", &host.phone.wrong_code()).status.success());
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=wrong_code user=alice"]);
    let mut client = host.sandbox.pty_unrecorded(&["qrtotp", "key", "add", "alice", "--no-verify", "--yes"]);
    let challenge = challenge_of(&mut client);
    client.send(browser("sign", &format!("{challenge}\n")).success().stdout.trim_end());
    client.expect("Done: alice has the hardware ssh key c-");
    client.success();
    assert!(browser("login", "").success().stdout.contains(INSIDE));
    let _ = host.sandbox.log.wait(&[ACCEPTED, "rule=token credential=c-"]);
}

/// A certificate can restrict the use of its key, so it counts neither as the registered key nor as a key.
#[test]
fn a_certificate_for_a_registered_key_is_asked_for_a_code() {
    let host = Host::new(&format!("{RULE}[[rule]]\nname = 'key'\nkey = true\nthen = 'skip'\n"));
    let _ = host.register("token");
    host.gets_in_unasked("token");
    host.new_key("authority", "ed25519");
    let authority = host.sandbox.read(&format!("{}.pub", path("authority")));
    // sshd accepts only the certificate; otherwise the client would use the key itself.
    host.sandbox.overwrite("/home/alice/.ssh/authorized_keys", &format!("cert-authority {authority}"));
    let (signer, key) = (path("authority"), format!("{}.pub", path("token")));
    let sign = ["ssh-keygen", "-q", "-s", &signer, "-I", "alice", "-n", "alice", &key];
    host.sandbox.run_as("alice", &sign).success();
    host.is_asked("token", &[]);
    let _ = host.sandbox.log.wait(&["Partial publickey for alice", "ED25519-SK-CERT"]);
    let mut client = host.ssh("token", &[]);
    client.expect(CODE);
    client.send(&host.phone.code());
    client.expect(INSIDE);
    client.success();
    let _ = host.sandbox.log.wait(&["event=login result=accepted reason=code user=alice", "rule=default"]);
}

#[test]
fn the_users_agent_signs_for_the_registration() {
    let host = Host::new(RULE);
    let (agent, provider) = ("/home/alice/agent", format!("SSH_SK_PROVIDER={}", host.provider));
    let (socket, file) = (format!("SSH_AUTH_SOCK={agent}"), format!("{}.pub", path("token")));
    host.sandbox.run_as("alice", &["ssh-agent", "-P", &host.provider, "-a", agent]).success();
    host.sandbox.run_as("alice", &["env", &socket, &provider, "ssh-add", "-q", &path("token")]).success();
    let mut client = host.sandbox.pty_unrecorded(&["qrtotp", "key", "add", "alice", "--no-verify", "--yes"]);
    let challenge = format!("{}\n", challenge_of(&mut client));
    let sign = ["env", &socket, "ssh-keygen", "-q", "-Y", "sign", "-n", "qrtotp-key", "-f", &file];
    client.send(host.sandbox.run_with_input(&sign, &challenge).success().stdout.trim_end());
    client.expect("Done: alice has the hardware ssh key c-");
    client.success();
    host.gets_in_unasked("token");
}

#[test]
fn a_key_of_another_account_is_not_taken() {
    let host = Host::new(RULE);
    let _ = host.register("token");
    host.sandbox.add_user("bob");
    let bob = host.sandbox.import("bob");
    let keys = host.sandbox.read("/home/alice/.ssh/authorized_keys");
    host.sandbox.run_as("bob", &["mkdir", "-m", "700", "/home/bob/.ssh"]).success();
    host.sandbox.append("/home/bob/.ssh/authorized_keys", &keys);
    let mut client = host.ssh_as("bob", "token", &[]);
    client.expect(CODE);
    client.send(&bob.wrong_code());
    assert!(!client.failure().contains(INSIDE));
}

#[test]
fn a_revoked_account_has_no_key() {
    let host = Host::new(RULE);
    let _ = host.register("token");
    host.gets_in_unasked("token");
    host.sandbox.run(&["qrtotp", "revoke", "alice", "--all"]).success();
    host.is_asked("token", &[]);
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=revoked user=alice"]);
    let status = host.sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(status.contains("revoked") && !status.contains("ssh key"), "{status}");
    let refused = host.sandbox.run(&["qrtotp", "key", "add", "alice", "--no-verify"]).exited(1);
    assert!(refused.stderr.contains("is not enrolled"), "{refused:?}");
}

#[test]
fn a_word_of_sshd_that_is_forged_at_another_service_is_not_taken() {
    let host = Host::new(RULE);
    host.sandbox.stack("");
    let _ = host.register("token");
    let variable = format!("SSH_AUTH_INFO_0={}", host.accepted("token"));
    let login = |answer: &str| {
        let login = host.sandbox.login("alice").answer(answer);
        login.arguments(&["--rhost", "192.0.2.1", "--putenv", &variable]).run().authenticate()
    };
    assert_eq!(login(&host.phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(login(&host.phone.code()), PAM_SUCCESS);
    // The list of such services decides.
    host.sandbox.configure(&format!("[enroll]\nkey_services = [\"{SERVICE}\"]\n{RULE}"));
    assert_eq!(login(""), PAM_SUCCESS);
    let _ = host.sandbox.log.wait(&["event=login result=accepted reason=hardware_key user=alice"]);
}

#[test]
fn a_damaged_record_makes_no_key_count() {
    let host = Host::new(RULE);
    let _ = host.register("token");
    host.sandbox.append("/var/lib/qrtotp/accounts/alice/account.toml", "x = 1\n");
    assert!(
        !{
            let mut client = host.ssh("token", &[]);
            client.expect(CODE);
            client.send("123456");
            client.failure()
        }
        .contains(INSIDE)
    );
    let _ = host.sandbox.log.wait(&["event=login result=denied reason=record_damaged user=alice"]);
}

#[test]
fn a_key_is_registered_by_a_code_and_its_own_signature_over_a_new_challenge() {
    let host = Host::new(RULE);
    let begin = |code: &str| {
        let mut client = host.sandbox.pty_unrecorded(&["qrtotp", "key", "add", "alice"]);
        client.expect("(or a recovery code): ");
        client.send(code);
        client
    };
    let mut client = begin(&host.phone.wrong_code());
    client.expect("That was not right.");
    drop(client);
    let mut codes = host.sandbox.new_recovery_codes("alice").into_iter();
    let mut signed_before = String::new();
    for (key, other_challenge, namespace, why) in [
        ("plain", false, "qrtotp-key", "the key is no hardware key"),
        ("token", true, "qrtotp-key", "the signature is not right"),
        ("token", false, "git", "the signature is not right"),
        ("token", false, "qrtotp-key", "answer y, or add --yes"),
        ("", false, "", "the signature is not right"),
    ] {
        let mut client = begin(&codes.next().unwrap());
        let challenge = challenge_of(&mut client);
        let signed = if other_challenge { "qrtotp-key-AAAA" } else { challenge.as_str() };
        if !key.is_empty() {
            signed_before = host.sign(key, signed, namespace);
        }
        client.send(&signed_before);
        if why.starts_with("answer") {
            client.expect("This key signed: sk-ssh-ed25519@openssh.com SHA256:");
            client.expect("Register it for alice? [y/N] ");
            client.send("");
        }
        client.expect(why);
        client.failure();
    }
    let status = host.sandbox.run(&["qrtotp", "status", "alice"]).success().stdout;
    assert!(!status.contains("ssh key"), "{status}");
    for (code, expected) in
        codes.zip(["Done: alice has the hardware ssh key c-", "registered for alice already"])
    {
        let mut client = begin(&code);
        let challenge = challenge_of(&mut client);
        client.send(&host.sign("token", &challenge, "qrtotp-key"));
        client.expect("[y/N] ");
        client.send("y");
        client.expect(expected);
        drop(client);
    }
    let _ = host.sandbox.log.wait(&["event=key_registered user=alice service=qrtotp"]);
    host.gets_in_unasked("token");
}

#[test]
fn a_rule_for_hardware_keys_needs_an_sshd_that_demands_their_pin() {
    let host = Host::new("");
    host.sandbox.run(&["ssh-keygen", "-A"]).success();
    host.sandbox.edit_configuration(RULE);
    let check = || host.sandbox.run(&["qrtotp", "config", "check"]);
    let fine = check().success().stdout;
    assert!(fine.contains("can't be told from it without attestation"), "{fine}");
    host.sandbox.overwrite("/etc/ssh/sshd_config", "");
    let refused = check().exited(1).stdout;
    assert!(
        refused.contains("danger: sshd: rule token: ")
            && refused.contains("PubkeyAuthOptions touch-required verify-required"),
        "{refused}"
    );
    host.sandbox.run(&["qrtotp", "config", "apply"]).exited(1);
    host.sandbox.run(&["qrtotp", "config", "apply", "--force", "touch is enough"]).success();
    let doctor = host.sandbox.run(&["qrtotp", "doctor"]).stdout;
    assert!(
        doctor.lines().any(|line| line.starts_with("FAIL") && line.contains("verify-required")),
        "{doctor}"
    );
    host.sandbox.overwrite("/etc/ssh/sshd_config", "PubkeyAuthOptions touch-required verify-required\n");
    let doctor = host.sandbox.run(&["qrtotp", "doctor"]).stdout;
    assert!(doctor.contains("a software key can't be told from a real one"), "{doctor}");
    let explained = |key: &[&str]| {
        host.sandbox
            .run(&[&["qrtotp", "config", "explain", "--user", "alice"], key].concat())
            .success()
            .stdout
    };
    assert!(explained(&["--key", "hardware"]).contains("outcome: skip"));
    assert!(explained(&["--key"]).contains("the key is no registered hardware key\n"));
    assert!(explained(&[]).contains("no key was accepted\n"));
    let blocks = host.sandbox.run(&["qrtotp", "config", "sshd"]).success().stdout;
    assert!(blocks.contains("No block") && !blocks.contains("Match"), "{blocks}");
}
