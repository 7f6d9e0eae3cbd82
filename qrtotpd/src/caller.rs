//! Identifies callers: the kernel gives a uid, the user database a name.

use nix::unistd::{Uid, User};
use qrtotp_account::Name;
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_messages::{Message, text};
use std::fs;
use std::path::Path;

/// The caller at the other end.
pub struct Caller {
    pub name: Name,
    pub uid: u32,
    /// Whether it has a login shell. Without one it is served only as a service of `[broker.services]`.
    pub can_log_in: bool,
}

/// Why a caller is sent away before any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// A user namespace hides the real uid.
    Unmapped,
    /// Not an account that could log in.
    NoAccount,
    /// The user database does not answer.
    NoAnswer,
    /// They did not wait until it was their turn.
    HungUp,
    /// Too many callers wait for admission.
    TooManyCallers,
    /// Too many connections of this user.
    TooManyConnections,
    /// Too many passwords are being asked for.
    TooManyPasswords,
    /// The account is locked by another process, or by too many requests of this user.
    AccountBusy,
}

impl Away {
    /// The message to the caller.
    pub fn message(self) -> Message {
        match self {
            Self::Unmapped => text::USER_NOT_KNOWN,
            Self::NoAccount => text::USER_CANNOT_LOG_IN,
            Self::NoAnswer => text::USERS_NOT_ANSWERED,
            Self::HungUp => Message::default(), // the caller is gone
            Self::TooManyCallers => text::TOO_MANY_CALLERS,
            Self::TooManyConnections => text::TOO_MANY_CONNECTIONS,
            Self::TooManyPasswords => text::TOO_MANY_PASSWORDS,
            Self::AccountBusy => text::ACCOUNT_BUSY,
        }
    }

    /// The reason's word in the audit log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped_uid",
            Self::NoAccount => "no_account",
            Self::NoAnswer => "lookup_failed",
            Self::HungUp => "hung_up",
            Self::TooManyCallers => "too_many_callers",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyPasswords => "too_many_passwords",
            Self::AccountBusy => "store_busy",
        }
    }
}

impl Caller {
    /// The user `uid`, under the canonical name. uid 0 is no exception: a sandboxed
    /// daemon or a container has it, too, so it gives no right here beyond root's own account.
    pub fn identify(uid: u32) -> Result<Self, Away> {
        let user = User::from_uid(Uid::from_raw(uid)).map_err(|_| Away::NoAnswer)?.ok_or(Away::NoAccount)?;
        let can_log_in = is_login_shell(&user.shell, fs::read_to_string("/etc/shells").ok().as_deref());
        let person = HostDirectory.find(&user.name).map_err(|_| Away::NoAnswer)?;
        let person = person.filter(|person| person.uid == uid).ok_or(Away::NoAccount)?;
        let name = Name::new(&person.name).map_err(|_| Away::NoAccount)?;
        Ok(Self { name, uid, can_log_in })
    }
}

/// Whether users with this shell can log in, see shells(5). Shells that only print a refusal do not count,
/// even if the file lists them.
fn is_login_shell(shell: &Path, shells: Option<&str>) -> bool {
    let shell = if shell.as_os_str().is_empty() { Path::new("/bin/sh") } else { shell };
    let closed = matches!(shell.file_name().and_then(|name| name.to_str()), Some("nologin" | "false") | None);
    let shells = shells.unwrap_or("/bin/sh\n/bin/bash\n");
    !closed
        && shells.lines().any(|line| Path::new(line.split('#').next().unwrap_or_default().trim()) == shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_a_login_shell_can_log_in() {
        let shells = "# shells\n/bin/sh\n/bin/bash # usual\n/usr/sbin/nologin\n";
        for (shell, yes) in [
            ("/bin/bash", true),
            ("", true),
            ("/bin/sh", true),
            ("/usr/sbin/nologin", false),
            ("/bin/false", false),
            ("/usr/bin/git-shell", false),
            ("bash", false),
        ] {
            assert_eq!(is_login_shell(Path::new(shell), Some(shells)), yes, "{shell}");
        }
        assert!(is_login_shell(Path::new("/bin/sh"), None) && !is_login_shell(Path::new("/opt/fish"), None));
    }
}
