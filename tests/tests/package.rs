//! The Debian package: installed by dpkg, used, removed, on a private copy of /usr.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_tests::{Phone, Sandbox, State, artefacts, host::PAM_SUCCESS};

/// A host on which dpkg may write everywhere.
fn host() -> Sandbox {
    let sandbox = Sandbox::bare(State::Tmpfs("size=4m"));
    sandbox.install(&artefacts::package(), "/root/package.deb", 0o644);
    sandbox.make_writable("/usr");
    sandbox.add_user("alice");
    sandbox
}

fn dpkg(sandbox: &Sandbox, arguments: &[&str]) {
    sandbox.run(&[&["env", "DEBIAN_FRONTEND=noninteractive", "dpkg"], arguments].concat()).success();
}

#[test]
fn the_package_brings_module_command_pages_and_examples_and_switches_nothing_on() {
    let sandbox = host();
    let stacks = || sandbox.run(&["sh", "-c", "cat $(ls /etc/pam.d/* | grep -v /qrtotp)"]).success().stdout;
    let before = stacks();
    dpkg(&sandbox, &["--install", "/root/package.deb"]);
    assert_eq!(stacks(), before);
    for file in ["/etc/pam.d/qrtotp", "/usr/sbin/qrtotpd", "/usr/lib/systemd/system/qrtotpd.socket"] {
        assert!(sandbox.exists(file), "the broker's {file}");
    }
    let module = sandbox.path(&format!("{}/pam_qrtotp.so", sandbox.security_directory()));
    let [packed, tested] = [module, artefacts::module()].map(|file| std::fs::read(file).unwrap());
    assert!(packed == tested, "the package has a module that is not the one that the tests try");
    for file in [
        "man/man1/qrtotp-enroll.1.gz",
        "man/man5/qrtotp.toml.5.gz",
        "man/man8/qrtotpd.8.gz",
        "bash-completion/completions/qrtotp",
        "pam-configs/qrtotp",
    ] {
        assert!(sandbox.exists(&format!("/usr/share/{file}")), "{file}");
    }
    let modes = ["stat", "-c", "%a %U", "/etc/qrtotp", "/var/lib/qrtotp", "/etc/qrtotp/qrtotp.toml"];
    assert_eq!(sandbox.run(&modes).success().stdout, "755 root\n700 root\n644 root\n");

    sandbox.stack("");
    let phone = Phone::random();
    sandbox
        .run_with_input(
            &["qrtotp", "import", "uri", "alice", "--unused"],
            &format!("{}\n", phone.uri("alice")),
        )
        .success();
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
}

#[test]
fn removing_the_package_takes_it_out_of_the_stacks_and_leaves_key_and_records() {
    let sandbox = host();
    let before = sandbox.read("/etc/pam.d/common-auth");
    dpkg(&sandbox, &["--install", "/root/package.deb"]);
    sandbox.import("alice");
    sandbox
        .run(&["env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update", "--enable", "qrtotp"])
        .success();
    assert_ne!(sandbox.read("/etc/pam.d/common-auth"), before);
    dpkg(&sandbox, &["--purge", "libpam-qrtotp"]);
    assert_eq!(sandbox.read("/etc/pam.d/common-auth"), before);
    assert!(!sandbox.exists("/usr/bin/qrtotp"));
    for kept in ["/etc/qrtotp/seal.key", "/var/lib/qrtotp/accounts/alice/account.toml"] {
        assert!(sandbox.exists(kept), "{kept}");
    }
}
