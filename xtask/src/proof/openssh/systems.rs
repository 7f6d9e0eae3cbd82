//! The systems whose OpenSSH the proof uses: this machine, and Debian releases that mmdebstrap unpacks into `target/`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use qrtotp_tests::Sandbox;

use crate::{
    build::{self, Artefacts},
    proof::debian,
};

/// A system with an OpenSSH of its own.
pub struct System {
    /// As it calls itself, and its OpenSSH.
    pub name: String,
    pub openssh: String,
    root: Option<PathBuf>,
}

impl System {
    pub fn this_machine(artefacts: &Artefacts) -> Result<Self> {
        Self::of(None, artefacts)
    }

    /// A Debian release, unpacked once; remove its directory to have it anew.
    ///
    /// # Errors
    /// It can't be had.
    pub fn debian(release: &str, artefacts: &Artefacts) -> Result<Self> {
        let root = build::target().join("proof").join(release);
        if !root.is_dir() {
            debian::unpack(release, "openssh-server,openssh-client,sudo,iproute2", &root)?;
        }
        Self::of(Some(root.canonicalize()?), artefacts)
    }

    fn of(root: Option<PathBuf>, artefacts: &Artefacts) -> Result<Self> {
        let mut system = Self { name: String::new(), openssh: String::new(), root };
        let sandbox = system.sandbox(None, artefacts);
        let release = sandbox.run(&["sh", "-c", ". /etc/os-release; echo \"$PRETTY_NAME\""]).success().stdout;
        release.trim().clone_into(&mut system.name);
        let version = sandbox.run(&["ssh", "-V"]).success().stderr;
        let version = version.split([' ', ',']).next().and_then(|word| word.strip_prefix("OpenSSH_"));
        version.context("`ssh -V` names no version")?.clone_into(&mut system.openssh);
        Ok(system)
    }

    /// A private host with this system's programs, in the network of `beside`.
    pub fn sandbox(&self, beside: Option<&Sandbox>, artefacts: &Artefacts) -> Sandbox {
        Sandbox::on_root(self.root.as_deref(), beside, &artefacts.module, &artefacts.command)
    }

    /// Major and minor.
    pub fn version(&self) -> (u32, u32) {
        let mut numbers =
            self.openssh.split(|c: char| !c.is_ascii_digit()).map_while(|word| word.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}
