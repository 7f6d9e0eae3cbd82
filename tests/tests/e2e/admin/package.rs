//! The Debian packages: installed by dpkg and apt, used, upgraded and removed, on a private copy of /usr and
//! on Debian 13.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use qrtotp_tests::{
    Output, Phone, Sandbox, State, artefacts,
    host::PAM_SUCCESS,
    openssh::{NEWEST, unpacked},
};

/// A host on which dpkg may write wherever a package goes, with the packages in /root.
fn host() -> Sandbox {
    let sandbox = Sandbox::bare(State::Tmpfs("size=4m"));
    sandbox.make_writable("/usr");
    furnished(sandbox)
}

fn furnished(sandbox: Sandbox) -> Sandbox {
    for package in artefacts::packages() {
        sandbox.install(&package, &format!("/root/{}", package.file_name().unwrap().display()), 0o644);
    }
    sandbox.add_user("alice");
    sandbox
}

/// This machine and Debian 13: the same packages go onto both.
fn hosts() -> Vec<Sandbox> {
    let newest = unpacked(NEWEST).canonicalize().ok();
    assert!(
        newest.is_some() || artefacts::is_missing(NEWEST),
        "run `cargo xtask test`, which unpacks Debian {NEWEST}"
    );
    let newest = newest.map(|root| furnished(Sandbox::bare_on(&root)));
    [Some(host()), newest].into_iter().flatten().collect()
}

fn shell(sandbox: &Sandbox, command: &str) -> Output {
    sandbox.run(&["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", command])
}

fn install(sandbox: &Sandbox) {
    shell(sandbox, "dpkg --install /root/*.deb").success();
}

/// Has sudo ask for codes, as an admin with a device.
fn set_up_sudo(sandbox: &Sandbox) -> Phone {
    let phone = sandbox.import("alice");
    shell(sandbox, "usermod --append --groups sudo alice").success();
    shell(sandbox, "qrtotp setup sudo --apply --no-timer").success();
    phone
}

#[test]
fn the_packages_bring_module_command_pages_and_examples_and_switch_nothing_on() {
    for sandbox in hosts() {
        let stacks = || shell(&sandbox, "cat $(ls /etc/pam.d/* | grep -v /qrtotp)").success().stdout;
        let before = stacks();
        install(&sandbox);
        assert_eq!(stacks(), before);
        let enabled = shell(&sandbox, "ls /etc/systemd/system/*.wants/ | grep qrtotp").exited(1);
        assert_eq!(enabled.stdout, "", "a unit is on");
        for file in ["/etc/pam.d/qrtotp", "/usr/sbin/qrtotpd", "/usr/lib/systemd/system/qrtotpd.socket"] {
            assert!(sandbox.exists(file), "the broker's {file}");
        }
        for file in ["bash-completion/completions/qrtotp", "pam-configs/qrtotp"] {
            assert!(sandbox.exists(&format!("/usr/share/{file}")), "{file}");
        }
        let modes = ["stat", "-c", "%a %U", "/etc/qrtotp", "/var/lib/qrtotp", "/etc/qrtotp/qrtotp.toml"];
        assert_eq!(sandbox.run(&modes).success().stdout, "755 root\n700 root\n644 root\n");

        sandbox.stack("");
        let phone = Phone::random();
        let import = ["qrtotp", "import", "uri", "alice", "--unused"];
        sandbox.run_with_input(&import, &format!("{}\n", phone.uri("alice"))).success();
        assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    }
}

#[test]
fn the_packages_have_the_module_that_is_tested_and_all_pages() {
    let sandbox = host();
    install(&sandbox);
    let module = sandbox.path(&format!("{}/pam_qrtotp.so", sandbox.security_directory()));
    let [packed, tested] = [module, artefacts::module()].map(|file| std::fs::read(file).unwrap());
    assert!(packed == tested, "the package has a module that is not the one that the tests try");
    for page in
        ["man1/qrtotp-enroll.1.gz", "man5/qrtotp.toml.5.gz", "man8/qrtotpd.8.gz", "man8/pam_qrtotp.8.gz"]
    {
        assert!(sandbox.exists(&format!("/usr/share/man/{page}")), "{page}");
    }
}

#[test]
fn no_path_of_the_machine_that_built_them_is_in_the_packages() {
    let sandbox = host();
    install(&sandbox);
    let module = format!("{}/pam_qrtotp.so", sandbox.security_directory());
    let sources = artefacts::sources().join("..").canonicalize().unwrap();
    let crates = std::env::home_dir().unwrap().join(".cargo");
    for file in [module.as_str(), "/usr/bin/qrtotp", "/usr/sbin/qrtotpd"] {
        let bytes = std::fs::read(sandbox.path(file)).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(has("/cargo/registry/src/"), "{file}: no path at all");
        let places = [sources.to_str().unwrap(), crates.to_str().unwrap(), "/mnt/crates", "/mnt/build"];
        for place in places {
            assert!(!has(place), "{file} names {place}");
        }
    }
}

#[test]
fn lintian_finds_neither_errors_nor_warnings() {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--pedantic", "--fail-on", "error,warning"]).args(artefacts::packages());
    let output = lintian.output().expect("lintian is missing: run `cargo xtask test`, which installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !said.contains("O: "), "{said}");
    let overrides = std::fs::read_dir(artefacts::sources().join("../debian")).unwrap();
    assert!(overrides.flatten().all(|file| !file.path().display().to_string().contains("overrides")));
}

#[test]
fn the_package_s_own_test_logs_in_through_sshd() {
    for sandbox in hosts() {
        install(&sandbox);
        sandbox.install(&artefacts::sources().join("../debian/tests/login"), "/root/login", 0o755);
        // sshd's own files, as a host has them that nobody changed.
        let ran = sandbox.run(&["/root/login"]);
        assert!(ran.stdout.ends_with("OK\n"), "{ran:?}");
    }
}

#[test]
fn removing_the_package_takes_its_profile_out_of_the_stacks_and_leaves_key_and_records() {
    for sandbox in hosts() {
        let before = sandbox.read("/etc/pam.d/common-auth");
        install(&sandbox);
        sandbox.import("alice");
        shell(&sandbox, "pam-auth-update --enable qrtotp").success();
        assert_ne!(sandbox.read("/etc/pam.d/common-auth"), before);
        let purged = shell(&sandbox, "dpkg --purge qrtotp libpam-qrtotp").success();
        assert_eq!(sandbox.read("/etc/pam.d/common-auth"), before);
        assert!(!sandbox.exists("/usr/bin/qrtotp"));
        for kept in ["/etc/qrtotp/seal.key", "/var/lib/qrtotp/accounts/alice/account.toml"] {
            assert!(sandbox.exists(kept), "{kept}");
        }
        let erase =
            purged.stderr.lines().find_map(|line| line.strip_prefix("To erase them for ever: ")).unwrap();
        assert_eq!(erase, "rm -r /etc/qrtotp/seal.key /var/lib/qrtotp");
    }
}

#[test]
fn while_a_pam_file_names_the_module_the_package_stays_and_so_does_its_profile() {
    for sandbox in hosts() {
        install(&sandbox);
        let _ = set_up_sudo(&sandbox);
        shell(&sandbox, "pam-auth-update --enable qrtotp").success();
        let stacks = || shell(&sandbox, "cat /etc/pam.d/*").success().stdout;
        let before = stacks();
        for command in
            ["dpkg --remove qrtotp libpam-qrtotp", "dpkg --purge libpam-qrtotp", "apt-get -y remove qrtotp"]
        {
            let refused = shell(&sandbox, command);
            assert!(!refused.status.success(), "{command}: {refused:?}");
            // apt runs dpkg on a terminal of its own.
            let said = format!("{}{}", refused.stdout, refused.stderr).replace('\r', "");
            for words in ["    /etc/pam.d/sudo\n", "nobody could log in without it", "qrtotp setup --undo"] {
                assert!(said.contains(words), "{command}: {said}");
            }
            assert_eq!(stacks(), before);
            assert!(sandbox.exists(&format!("{}/pam_qrtotp.so", sandbox.security_directory())));
        }
        assert_eq!(shell(&sandbox, "dpkg --audit").success().stdout, "");
    }
}

#[test]
fn with_the_answer_yes_removing_undoes_the_setups_but_no_file_that_was_edited_by_hand() {
    for sandbox in hosts() {
        install(&sandbox);
        let before = sandbox.read("/etc/pam.d/sudo");
        let _ = set_up_sudo(&sandbox);
        shell(&sandbox, "qrtotp setup su --apply --no-timer").success();
        let answer = "echo libpam-qrtotp libpam-qrtotp/undo-setup boolean true | debconf-set-selections; ";
        sandbox.append("/etc/pam.d/chsh", "auth required pam_qrtotp.so\n");
        let set_up = sandbox.read("/etc/pam.d/sudo");
        let refused = shell(&sandbox, &format!("{answer} dpkg --remove libpam-qrtotp")).exited(1);
        assert!(refused.stderr.contains("    /etc/pam.d/chsh\n"), "{refused:?}");
        assert_eq!(sandbox.read("/etc/pam.d/sudo"), set_up, "undone for a package that stays");
        shell(&sandbox, "sed -i /qrtotp/d /etc/pam.d/chsh").success();
        shell(&sandbox, &format!("{answer} dpkg --remove libpam-qrtotp")).success();
        assert_eq!(sandbox.read("/etc/pam.d/sudo"), before);
        assert!(!sandbox.exists(&format!("{}/pam_qrtotp.so", sandbox.security_directory())));
    }
}

#[test]
fn an_answer_is_for_one_removal_only() {
    let sandbox = host();
    install(&sandbox);
    let _ = set_up_sudo(&sandbox);
    let answer = "echo libpam-qrtotp libpam-qrtotp/undo-setup boolean true | debconf-set-selections; ";
    shell(&sandbox, &format!("{answer} dpkg --remove libpam-qrtotp")).success();
    shell(&sandbox, "dpkg --install /root/*.deb && qrtotp setup sudo --apply --no-timer").success();
    let refused = shell(&sandbox, "dpkg --remove libpam-qrtotp").exited(1);
    assert!(refused.stderr.contains("    /etc/pam.d/sudo\n"), "{refused:?}");
}

#[test]
fn a_removal_that_is_refused_late_leaves_the_profile_on() {
    let sandbox = host();
    install(&sandbox);
    sandbox.import("alice");
    shell(&sandbox, "pam-auth-update --enable qrtotp").success();
    // Behind the block that pam-auth-update writes, so that it does not take the line out.
    sandbox.append("/etc/pam.d/common-auth", "auth optional pam_qrtotp.so\n");
    let before = sandbox.read("/etc/pam.d/common-auth");
    let refused = shell(&sandbox, "dpkg --remove libpam-qrtotp").exited(1);
    assert!(refused.stderr.contains("    /etc/pam.d/common-auth\n"), "{refused:?}");
    assert_eq!(sandbox.read("/etc/pam.d/common-auth"), before);
    assert!(!sandbox.exists("/run/libpam-qrtotp.profile"));
}

#[test]
fn purge_names_the_records_also_in_a_directory_of_the_admins_own() {
    let sandbox = host();
    install(&sandbox);
    shell(&sandbox, "echo 'state_dir = \"/srv/totp\"' >/etc/qrtotp/qrtotp.toml && mount -t tmpfs tmpfs /srv && qrtotp config apply && qrtotp init")
        .success();
    let purged = shell(&sandbox, "dpkg --purge qrtotp libpam-qrtotp").success();
    assert!(purged.stderr.contains("rm -r /etc/qrtotp/seal.key /srv/totp\n"), "{purged:?}");
    assert!(!sandbox.exists("/etc/qrtotp/removed.state_dir"));
}

#[test]
fn on_a_terminal_removing_asks_and_does_what_is_answered() {
    let sandbox = host();
    install(&sandbox);
    let _ = set_up_sudo(&sandbox);
    let remove = |answer: &str| {
        let mut pty =
            sandbox.pty(None, &["env", "DEBIAN_FRONTEND=readline", "dpkg", "--remove", "libpam-qrtotp"]);
        pty.expect("Undo \"qrtotp setup\" when the package is removed?");
        pty.send(answer);
        pty
    };
    assert!(remove("no").failure().contains("nobody could log in without it"));
    remove("yes").success();
    assert!(!sandbox.read("/etc/pam.d/sudo").contains("qrtotp"));
}

const SIGNER: &str = "Tests <tests@tests.example>";

/// The output of gpg with keys of its own.
fn gpg(home: &Path, arguments: &[&str]) -> String {
    let mut gpg = Command::new("gpg");
    let output = gpg.env("GNUPGHOME", home).args(["--batch", "--quiet"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Two keys of one address; we can sign with the first only.
fn signing_keys(home: &Path) {
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir(home).unwrap();
    let make =
        || gpg(home, &["--passphrase", "", "--yes", "--quick-gen-key", SIGNER, "default", "sign", "never"]);
    make();
    let fingerprint = |what: &str| {
        let listed = gpg(home, &["--with-colons", what, SIGNER]);
        listed.lines().find_map(|line| Some(line.strip_prefix("fpr:")?.trim_matches(':').to_owned())).unwrap()
    };
    let stranger = fingerprint("--list-secret-keys");
    gpg(home, &["--yes", "--delete-secret-keys", &stranger]);
    make();
}

/// Runs `cargo xtask repo` with these keys.
fn repository(home: &Path) -> std::process::Output {
    let mut repo = Command::new(artefacts::xtask());
    repo.args(["repo", SIGNER]).env("GNUPGHOME", home).output().unwrap()
}

/// Held by a test as long as it uses target/repo.
pub static REPOSITORY: Mutex<()> = Mutex::new(());

fn keys_of_tests() -> PathBuf {
    artefacts::target_directory().canonicalize().unwrap().join("gnupg-of-tests")
}

fn forget_keys(home: &Path) {
    let _ = Command::new("gpgconf").env("GNUPGHOME", home).args(["--kill", "gpg-agent"]).status();
    std::fs::remove_dir_all(home).unwrap();
}

/// Makes target/repo, signed by a key of its own.
pub fn signed_repository() {
    let home = keys_of_tests();
    signing_keys(&home);
    let made = repository(&home);
    forget_keys(&home);
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn a_host_installs_from_the_repository_and_refuses_one_that_was_changed() {
    let _one_at_a_time = REPOSITORY.lock().unwrap_or_else(PoisonError::into_inner);
    let home = keys_of_tests();
    signing_keys(&home);
    let made = repository(&home);
    let exported = artefacts::target_directory().join("repo/qrtotp.gpg");
    let exported = gpg(&home, &["--with-colons", "--show-keys", exported.to_str().unwrap()]);
    gpg(&home, &["--passphrase", "", "--yes", "--quick-gen-key", SIGNER, "default", "sign", "never"]);
    let ambiguous = repository(&home);
    forget_keys(&home);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(exported.matches("pub:").count(), 1, "one key only: {exported}");
    let said = String::from_utf8_lossy(&ambiguous.stderr);
    assert!(!ambiguous.status.success() && said.contains("2 secret keys for"), "{said}");
    let release = artefacts::target_directory().join("repo/dists/stable/Release");
    assert!(std::fs::read_to_string(release).unwrap().contains("\nValid-Until: "));
    let sandbox = host();
    let repo = artefacts::target_directory().join("repo");
    let copied = Command::new("cp").arg("--recursive").arg(repo).arg(sandbox.path("/var/repo")).status();
    assert!(copied.unwrap().success());
    let source = "deb [signed-by=/var/repo/qrtotp.gpg] file:/var/repo stable main\n";
    sandbox.overwrite("/etc/apt/sources.list", source);
    shell(&sandbox, "rm -rf /etc/apt/sources.list.d /var/lib/apt/lists/* && apt-get update --error-on=any")
        .success();
    shell(&sandbox, "apt-get --assume-yes install qrtotp").success();
    assert!(sandbox.exists(&format!("{}/pam_qrtotp.so", sandbox.security_directory())));
    shell(&sandbox, "sed -i s/Suite/suite/ /var/repo/dists/stable/InRelease").success();
    let refused = shell(&sandbox, "apt-get update --error-on=any").exited(100);
    assert!(refused.stderr.contains("BADSIG"), "{refused:?}");
}

/// The package as it was when there was one: all files of both, an older version.
fn one_package(sandbox: &Sandbox) {
    let script = "mkdir /tmp/old && cd /tmp/old && for deb in /root/libpam-qrtotp_*.deb /root/qrtotp_*.deb; do \
         dpkg-deb --extract $deb . && dpkg-deb --control $deb /tmp/control-$(basename $deb); done && mkdir DEBIAN && \
         cp /tmp/control-libpam*/conffiles DEBIAN && printf '%s\n' 'Package: libpam-qrtotp' 'Version: 0.1.0' \
         \"Architecture: $(dpkg --print-architecture)\" 'Maintainer: Tests <tests@tests.example>' 'Description: before' >DEBIAN/control && \
         dpkg-deb --build . /root/before.deb && dpkg --install /root/before.deb && rm /root/before.deb";
    shell(sandbox, script).success();
}

/// An applied configuration as version 1 of its form had it, which the module does not read.
fn version_1(file: &[u8]) -> Vec<u8> {
    let (start, mut rest) = file[14..].split_at(60);
    let mut parts = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (part, behind) = behind.split_at(u16::from_le_bytes(*length).into());
        parts.push([length, part].concat());
        rest = behind;
    }
    let [_settings, rules, source] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    let body = [start, source, rules].concat();
    let words = body.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    let last = (body.len() % 8 == 0).then_some(0); // one more word, even if it is empty
    let start = 0xcbf2_9ce4_8422_2325 ^ body.len() as u64;
    let sum = words.chain(last).fold(start, |sum, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3));
    [b"QRTP".as_slice(), &1_u16.to_le_bytes(), &sum.to_le_bytes(), &body].concat()
}

#[test]
fn an_upgrade_from_the_time_of_one_package_keeps_configuration_accounts_and_logins() {
    for sandbox in hosts() {
        one_package(&sandbox);
        shell(&sandbox, "sed -i '1i issuer = \"Edited\"' /etc/qrtotp/qrtotp.toml && qrtotp config apply")
            .success();
        let phone = set_up_sudo(&sandbox);
        sandbox.stack("");
        let edited = sandbox.read("/etc/qrtotp/qrtotp.toml");
        let sudo = sandbox.read("/etc/pam.d/sudo");
        let applied = sandbox.path("/etc/qrtotp/qrtotp.toml.applied");
        std::fs::write(&applied, version_1(&std::fs::read(&applied).unwrap())).unwrap();
        shell(&sandbox, "apt-get --assume-yes install /root/*.deb").success();
        assert_eq!(sandbox.read("/etc/qrtotp/qrtotp.toml"), edited);
        assert_eq!(sandbox.read("/etc/pam.d/sudo"), sudo);
        assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
        let owner = shell(&sandbox, "dpkg --search /usr/bin/qrtotp").success().stdout;
        assert_eq!(owner, "qrtotp: /usr/bin/qrtotp\n");
        shell(&sandbox, "dpkg --audit && dpkg --install --force-confask --force-confold /root/*.deb")
            .success();
    }
}
