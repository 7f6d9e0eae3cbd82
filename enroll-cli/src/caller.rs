//! The caller of the command, for the log: user, terminal, and the person behind sudo.

use nix::unistd::{Uid, User, getuid, ttyname};
use qrtotp_audit::Subject;
use qrtotp_frontend::Syslog;
use qrtotp_frontend::host_chain::HostChain;
use qrtotp_policy::Config;
use std::path::Path;

/// AUDIT_UID_UNSET: a process that no login started.
const NO_LOGIN: u32 = u32::MAX;

/// The account and the caller's terminal, for the log.
pub fn subject(user: &str) -> Subject {
    Subject {
        user: user.to_owned(),
        service: "qrtotp".into(),
        tty: terminal_name(),
        by: acting_user(),
        ..Subject::default()
    }
}

/// The system log, as this command writes to it.
pub fn syslog() -> Syslog {
    Syslog::open("qrtotp")
}

/// The host's chain in the store of a configuration, as this command adds to it.
pub fn host_chain(config: &Config, key_dir: &Path) -> HostChain {
    let key_dir = config.fleet.verifier.is_none().then_some(key_dir);
    HostChain::of(&config.state_dir.0, key_dir, "qrtotp", subject(""))
}

/// The terminal of standard input, without /dev/.
pub fn terminal_name() -> String {
    let path = ttyname(std::io::stdin()).unwrap_or_default();
    path.strip_prefix("/dev/").unwrap_or(&path).display().to_string()
}

/// The person behind sudo and su if the kernel knows one, else the caller.
fn acting_user() -> String {
    let uid = acting_uid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// The uid of [`acting_user`].
pub fn acting_uid() -> Uid {
    login_uid().unwrap_or_else(getuid)
}

/// The login UID, which the kernel keeps through sudo and su; `None` if no login started this process.
pub fn login_uid() -> Option<Uid> {
    let login = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    login.trim().parse().ok().filter(|uid| *uid != NO_LOGIN).map(Uid::from_raw)
}
