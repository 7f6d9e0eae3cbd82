//! Whole hosts as files: PAM and sshd files of tests/tests/e2e/data/layouts, and the result of `setup`.

use std::process::Command;

use crate::{
    Phone, Sandbox, artefacts,
    openssh::{NEWEST, unpacked},
};

/// Modules of directory services and of U2F, for `QRTOTP_MISSING_TOOLS`.
pub const MODULES: &str = "PAM modules of directory services";

/// One file of the directory: a header of `name: value` lines, then `--- PATH` in front of each file.
pub struct Layout {
    pub name: String,
    text: String,
}

impl Layout {
    #[must_use]
    pub fn all() -> Vec<Self> {
        let directory = artefacts::sources().join("tests/e2e/data/layouts");
        let mut all: Vec<Self> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| Self {
                name: entry.file_name().into_string().unwrap(),
                text: std::fs::read_to_string(entry.path()).unwrap(),
            })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn head(&self, name: &str) -> Option<&str> {
        let header = self.text.split("\n--- ").next().unwrap();
        header.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The words of the refusal; `None`: it protects.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.head("result").unwrap().strip_prefix("refused: ")
    }

    /// Whether sshd takes a key and a code then.
    #[must_use]
    pub fn takes_key(&self) -> bool {
        self.head("factor") == Some("key") || self.head("options") == Some("--with key")
    }

    /// The arguments of `setup`.
    #[must_use]
    pub fn arguments(&self) -> Vec<&str> {
        let options = self.head("options").unwrap_or_default().split_whitespace();
        let services = self.head("services").unwrap_or("sshd sudo").split_whitespace();
        services.chain(options).collect()
    }

    /// Debian packages with modules that it names, unpacked but not installed: their services would start.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.head("packages").unwrap_or_default().split_whitespace()
    }

    /// Such a host, with alice, who has a device and may become root. `None`: its release, or a module, is
    /// missing, as this run's output says.
    #[must_use]
    pub fn host(&self) -> Option<(Sandbox, Phone)> {
        if self.packages().next().is_some() && artefacts::is_missing(MODULES) {
            return None;
        }
        let sandbox = match self.head("release") {
            None => Sandbox::new(),
            Some(release) => {
                assert_eq!(release, "13");
                let Ok(root) = unpacked(NEWEST).canonicalize() else {
                    assert!(artefacts::is_missing(NEWEST), "run `cargo xtask test`, which unpacks Debian 13");
                    return None;
                };
                Sandbox::on_root(Some(&root), None, &artefacts::module(), &artefacts::command())
            }
        };
        sandbox.add_user("alice");
        sandbox.authorize_key("alice");
        sandbox.overwrite("/etc/ssh/sshd_config", "Include /usr/share/openssh/sshd_config\n");
        sandbox.run(&["ssh-keygen", "-A"]).success();
        for part in self.text.split("\n--- ").skip(1) {
            let (path, content) = part.split_once('\n').unwrap();
            sandbox.overwrite(path, &format!("{}\n", content.trim_end_matches('\n')));
        }
        for package in self.packages() {
            let modules = artefacts::unpacked_package(package).join("lib");
            let copy = "cp --target-directory=\"$1\" \"$0\"/*/security/*.so";
            let security = sandbox.path(sandbox.security_directory());
            let copied = Command::new("sh").args(["-ec", copy]).arg(modules).arg(security).status();
            assert!(copied.unwrap().success(), "{package}");
        }
        sandbox.proves_passwords();
        sandbox.run(&["usermod", "-aG", "sudo", "alice"]).success();
        let phone = sandbox.import("alice");
        Some((sandbox, phone))
    }
}
