//! A booted Debian system that stays up, in a network namespace, and commands that root types there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{clock, pty::child_of};

use crate::{proof::booted, step::run as step};

/// Keeps the system up.
const WAITS: &str = "sleep infinity\n";
/// The packages under test, as a repository of apt's.
const SOURCE: &str = "deb [trusted=yes] file:/srv/packages ./\n";

pub struct Machine {
    pub name: &'static str,
    root: PathBuf,
    nspawn: Child,
}

impl Machine {
    /// A fresh system of that release, booted.
    ///
    /// # Errors
    /// It can't be unpacked, or does not boot.
    pub fn boot(
        name: &'static str,
        release: &str,
        packages: &str,
        debs: &[PathBuf],
        network: &Path,
    ) -> Result<Self> {
        let kind = if packages.contains("etcd") { "verifier" } else { "host" };
        let root =
            booted::copy(release, &format!("newcomer-{kind}"), &format!("newcomer-{name}"), packages, WAITS)?;
        offer(&root, debs)?;
        fs::write(root.join("etc/hostname"), format!("{name}\n"))?;
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"]);
        nspawn
            .arg(format!("--machine={name}"))
            .arg(format!("--network-namespace-path={}", network.display()));
        let console = fs::File::create(root.with_extension("console"))?;
        nspawn
            .arg("--directory")
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console);
        let nspawn = nspawn.spawn().context("systemd-nspawn is needed")?;
        let machine = Self { name, root, nspawn };
        let is_up = || {
            machine
                .run("systemctl is-active basic.target sshd.socket ssh.service | grep -q ^active")
                .is_ok()
                .then_some(())
        };
        clock::poll(Duration::from_secs(120), is_up).with_context(|| format!("{name} does not boot"))?;
        Ok(machine)
    }

    /// Its first process. While it starts, nspawn has other children.
    fn init(&self) -> Result<String> {
        let init = child_of(self.nspawn.id()).context("nspawn runs nothing")?;
        Ok(init.as_raw_pid().to_string())
    }

    /// The output of a command that root types.
    ///
    /// # Errors
    /// It fails.
    pub fn run(&self, command: &str) -> Result<String> {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.init()?, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]);
        enter.args([
            "--",
            "env",
            "-i",
            "-C",
            "/root",
            "HOME=/root",
            "USER=root",
            "TERM=xterm",
            "LANG=C.UTF-8",
        ]);
        enter.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let output = enter.args(["timeout", "300", "bash", "-c", command]).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {text}{errors}", output.status);
        Ok(text)
    }

    /// Writes a file that only root reads.
    ///
    /// # Errors
    /// It can't.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        self.run(&format!("umask 077; mkdir -p $(dirname {path}); cat >{path} <<'END'\n{content}END\n"))
            .map(|_| ())
    }
}

/// Lets apt find the packages, and nothing else.
fn offer(root: &Path, debs: &[PathBuf]) -> Result<()> {
    let place = root.join("srv/packages");
    fs::create_dir_all(&place)?;
    for deb in debs {
        fs::copy(deb, place.join(deb.file_name().unwrap_or_default()))?;
    }
    let index = Command::new("apt-ftparchive").args(["packages", "."]).current_dir(&place).output()?;
    ensure!(index.status.success(), "apt-ftparchive: {}", String::from_utf8_lossy(&index.stderr));
    fs::write(place.join("Packages"), index.stdout)?;
    let apt = root.join("etc/apt");
    for old in ["sources.list", "sources.list.d/debian.sources", "sources.list.d/0000debian.list"] {
        let _ = fs::remove_file(apt.join(old));
    }
    fs::write(apt.join("sources.list"), SOURCE)?;
    // The answer that a newcomer gives to apt, and no questions by debconf.
    fs::write(apt.join("apt.conf.d/99newcomer"), "APT::Get::Assume-Yes \"true\";\n")?;
    step(Command::new("chroot").arg(root).args(["apt-get", "update", "-qq"]))
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process takes all others with it.
        if let Ok(init) = self.init() {
            let _ = Command::new("kill").args(["-KILL", &init]).status();
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}
