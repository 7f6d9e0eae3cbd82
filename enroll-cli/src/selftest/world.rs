//! The private copy of the host: /etc and /var as they are, with all writes kept in memory;
//! empty /home, /root, /run, /tmp and store; a network of its own, no system log. All else is read-only, so
//! that a link out of these directories leads to nothing that can be written.

use super::accounts;
use crate::error::Failure;
use crate::private::{bind, call, directory, overlay, read_only, tmpfs};
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

const LAYERS: &str = "/run/selftest";
/// The command itself, where nothing that is mounted hides it.
pub const COMMAND: &str = "/run/selftest/qrtotp";
/// Logins read it. Only tokens let anybody enrol at a login.
const CONFIGURATION: &str = "issuer = \"selftest\"\n[defaults]\nfirst_login = \"token\"\n";

pub struct World {
    pub uids: [u32; 3],
    /// In place of the system log.
    log: UnixDatagram,
}

/// Makes it, in the namespaces that this process is the first one of.
///
/// # Errors
/// It can't be made.
pub fn enter(state_dir: &Path) -> Result<World, Failure> {
    // In the host's own namespaces it would mount over the host's directories.
    if std::process::id() != 1 {
        return Err(Failure::Error("only `qrtotp selftest` starts this, in namespaces of its own".into()));
    }
    set_pdeathsig(Signal::SIGKILL).map_err(|error| Failure::Error(error.to_string()))?;
    let program = std::env::current_exe()?;
    read_only()?;
    call("/proc", mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>))?;
    tmpfs("/run", "mode=755")?;
    directory(&format!("{LAYERS}/dev"), 0o755)?;
    File::create(COMMAND)?;
    bind(&program, COMMAND)?;
    for path in ["/etc", "/var"] {
        overlay(LAYERS, path)?;
    }
    devices()?;
    for (path, options) in [("/tmp", "mode=1777"), ("/home", "mode=755"), ("/root", "mode=700")] {
        tmpfs(path, options)?;
    }
    for path in ["/run/lock", "/run/sshd", "/run/sudo"] {
        directory(path, 0o755)?;
    }
    store(state_dir)?;
    let log = UnixDatagram::bind("/dev/log")?;
    log.set_nonblocking(true)?;
    fs::set_permissions("/dev/log", Permissions::from_mode(0o666))?;
    let world = World { uids: accounts::add()?, log };
    world.qrtotp(&["init"], "")?;
    Ok(world)
}

impl World {
    /// Runs the command with `input` on standard input and returns its output.
    ///
    /// # Errors
    /// It fails.
    pub fn qrtotp(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let mut command = Command::new(COMMAND);
        let mut dialogue = super::dialogue::Dialogue::start({
            command.args(arguments);
            command
        })?;
        if !input.is_empty() {
            dialogue.send(input);
        }
        match dialogue.end() {
            (true, shown) => Ok(shown),
            (false, shown) => {
                Err(Failure::Error(format!("qrtotp {}: {}", arguments.join(" "), shown.trim())))
            }
        }
    }

    /// The log lines since the last call, without priority and time.
    pub fn logged(&self) -> String {
        let mut lines = Vec::new();
        let mut bytes = [0; 8192];
        while let Ok(count) = self.log.recv(&mut bytes) {
            let line = String::from_utf8_lossy(&bytes[..count]);
            // "<86>Nov 29 12:00:00 sshd[7]: text"
            lines.push(line.get(20..).unwrap_or_default().trim().to_owned());
        }
        lines.join("; ")
    }
}

/// Without the host's log, terminals and disks.
fn devices() -> Result<(), Failure> {
    let new = format!("{LAYERS}/dev");
    let none = None::<&str>;
    call("/dev", mount(Some("tmpfs"), new.as_str(), Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755")))?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        File::create(format!("{new}/{name}"))?;
        bind(&PathBuf::from("/dev").join(name), &format!("{new}/{name}"))?;
    }
    directory(&format!("{new}/pts"), 0o755)?;
    directory(&format!("{new}/shm"), 0o1777)?;
    let options = Some("newinstance,ptmxmode=0666,mode=620,gid=5");
    call(
        "/dev/pts",
        mount(Some("devpts"), format!("{new}/pts").as_str(), Some("devpts"), MsFlags::empty(), options),
    )?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (to, name) in links {
        symlink(to, format!("{new}/{name}"))?;
    }
    call("/dev", mount(Some(new.as_str()), "/dev", none, MsFlags::MS_MOVE, none))
}

/// Sets up an empty store in place of the host's, an empty directory for the key, and a configuration without
/// rules, because rules could exempt accounts.
fn store(state_dir: &Path) -> Result<(), Failure> {
    let path = state_dir.display().to_string();
    // Elsewhere a directory would be made on the host.
    if !state_dir.is_dir() && !state_dir.starts_with("/var") {
        return Err(Failure::Refused(format!("{path} is not there yet: qrtotp init makes it")));
    }
    fs::create_dir_all(state_dir)?;
    for path in [path.as_str(), "/etc/qrtotp"] {
        tmpfs(path, "mode=755")?;
    }
    fs::set_permissions(state_dir, Permissions::from_mode(0o700))?;
    Ok(fs::write("/etc/qrtotp/qrtotp.toml", format!("state_dir = {path:?}\n{CONFIGURATION}"))?)
}
