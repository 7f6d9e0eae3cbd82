//! Errors as the user reads them: one sentence, then what to do next. Never holds a secret or a code.

use crate::language::say;
use nix::errno::Errno;
use nix::unistd::geteuid;
use qrtotp_fleet::FleetError;
use qrtotp_flow::{AdminError, EnrollError, LookupError, ResyncError};
use qrtotp_messages::text;
use qrtotp_policy::ConfigError;
use qrtotp_store::{StoreError, TrustError};
use qrtotp_values::text::clean;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Most characters of a path or of a sentence with one.
pub const LONGEST_PATH: usize = 4096;

/// A path as it is shown: names in it may be such as somebody else chose.
pub fn shown(path: &Path) -> String {
    clean(&path.display().to_string(), LONGEST_PATH)
}

/// How a command ended; a later one is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0
    #[default]
    Done,
    /// 1
    Refused,
    /// 2
    Error,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Error => 2,
        })
    }
}

/// The reason a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The request was understood, and the answer is no.
    Refused(String),
    /// Something is broken, missing or mistyped.
    Error(String),
    /// Our output has nowhere to go.
    Output(io::Error),
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Error(_) | Self::Output(_) => Exit::Error,
        }
    }

    /// The same for a program.
    pub fn json(&self) -> serde_json::Value {
        let result = if self.exit() == Exit::Refused { "refused" } else { "error" };
        serde_json::json!({"version": 1, "result": result, "reason": self.to_string()})
    }

    /// True if the reader of our output closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// A secret would go where nobody may be looking.
    pub fn not_on_a_pipe() -> Self {
        Self::Refused(say(&text::NOT_ON_A_PIPE))
    }

    /// --no-verify of somebody else.
    pub fn only_root_skips() -> Self {
        Self::Refused(say(&text::ONLY_ROOT_SKIPS))
    }

    /// Why an enrolment or import for `user` ended.
    pub fn enroll(error: &EnrollError, user: &str) -> Self {
        let text = match error {
            EnrollError::Token(_) => say(&text::step_revoke_token(&say(&error.message()), &user)),
            EnrollError::NotProven(_) => say(&text::step_enrolled_device(&say(&error.message()))),
            EnrollError::NoAnswer => say(&text::step_start_again(&say(&error.message()))),
            EnrollError::Known(_) => format!(
                "{error}; `qrtotp status {user}` shows it; if it was imported from here before, nothing is left to do, \
                 else have another key made"
            ),
            EnrollError::Store(error) => store_failure(error),
            EnrollError::Seal(_) | EnrollError::Random(_) => {
                with_step(error, "nothing was changed; try again")
            }
            EnrollError::TooManyDevices(_)
            | EnrollError::WrongCodes
            | EnrollError::TimeUp
            | EnrollError::GivenUp
            | EnrollError::NotAllowed(_)
            | EnrollError::UidChanged
            | EnrollError::Changed => say(&error.message()),
        };
        if error.is_refusal() { Self::Refused(text) } else { Self::Error(text) }
    }

    /// Why a device was not resynchronised.
    pub fn resync(error: &ResyncError) -> Self {
        match error {
            ResyncError::Store(error) => Self::Error(store_failure(error)),
            refused => Self::Refused(say(&refused.message())),
        }
    }

    /// Why a change of `user`'s account was not made.
    pub fn admin(error: &AdminError, user: &str) -> Self {
        let step = match error {
            AdminError::Enroll(error) => return Self::enroll(error, user),
            AdminError::Token(_) => {
                // The text tells users to ask an administrator, who is here.
                let text = say(&error.message());
                let why = text.split_once(';').map_or(text.as_str(), |(why, _)| why);
                return Self::Refused(format!("{why}; `qrtotp token issue {user}` issues a new one"));
            }
            AdminError::Store(error) => store_step(error),
            AdminError::Generate(_) => "nothing was changed; try again",
            AdminError::HasDevices(_) => "if this is to be one more, import it by the account's name",
            AdminError::WasRevoked(..) => &format!(
                "`qrtotp token issue {user}` has a new key made; --revoked-too (not with --all-homes) takes this one all the \
                 same"
            ),
            AdminError::NotEnrolled(_)
            | AdminError::NoRecord(_)
            | AdminError::NameTaken(_)
            | AdminError::StillUser(..)
            | AdminError::NoCredential(..)
            | AdminError::NoLabel
            | AdminError::KeyKnown(..)
            | AdminError::NoRoomForKey(_)
            | AdminError::SeveralDevices(..)
            | AdminError::GivenTwice
            | AdminError::NoRoom { .. }
            | AdminError::NoToken(_)
            | AdminError::TokenLive(..)
            | AdminError::TooManyKeys(_)
            | AdminError::CodesNotConfirmed
            | AdminError::UidChanged(..) => "",
        };
        let text = if step.is_empty() { say(&error.message()) } else { with_step(error, step) };
        if error.is_refusal() { Self::Refused(text) } else { Self::Error(text) }
    }
}

fn with_step(error: &impl fmt::Display, step: &str) -> String {
    if step.is_empty() { error.to_string() } else { format!("{error}; {step}") }
}

/// A store's error, with what to do about it.
pub fn store_failure(error: &StoreError) -> String {
    with_step(error, store_step(error))
}

/// What to do about a store's error, where its own text does not say so.
fn store_step(error: &StoreError) -> &'static str {
    match error {
        StoreError::Trust(error) => trust_step(error),
        StoreError::Io { errno, .. } => io_step(*errno),
        StoreError::Unsure { .. } => {
            "look what is there with `qrtotp status`; the kernel's log (dmesg) may say more"
        }
        StoreError::FileSizeLimit => "lift it with `ulimit -f unlimited` and try again",
        StoreError::Random(_) => "nothing was changed; try again",
        StoreError::Missing(_)
        | StoreError::Emptied(..)
        | StoreError::MarkerLost(_)
        | StoreError::Marker(_)
        | StoreError::WrongKey { .. }
        | StoreError::KeyMissing(_)
        | StoreError::KeyDamaged(_)
        | StoreError::FileSystem(_)
        | StoreError::Incomplete(_)
        | StoreError::Damaged { .. }
        | StoreError::Busy
        | StoreError::Shared { .. } => "",
    }
}

fn trust_step(error: &TrustError) -> &'static str {
    match error {
        TrustError::Missing(_) => "create it, or mount what belongs there",
        TrustError::TooLarge(_) => "restore it from its backup",
        TrustError::Cut(_) => "try again, or restore it from its backup",
        TrustError::Form(_) => "give the path from / without . and ..",
        TrustError::Io { errno, .. } => io_step(*errno),
        TrustError::Link(_) | TrustError::Untrusted { .. } | TrustError::NoFile { .. } => "",
    }
}

/// The next step after a system error.
pub fn io_step(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => "nothing was changed; free some space there and try again",
        Errno::EROFS => "nothing was changed; mount it read-write and try again",
        Errno::EACCES | Errno::EPERM if geteuid().is_root() => {
            "nothing was changed; root may not do that there: look for an immutable flag (lsattr), SELinux or AppArmor (dmesg)"
        }
        Errno::EACCES | Errno::EPERM => "run it as root",
        Errno::EAGAIN => {
            "nothing was changed; another program has it for itself (a lease), or the system is at a limit: try again"
        }
        _ => "nothing was changed; the kernel's log (dmesg) may say more",
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::Error(text) => f.write_str(text),
            Self::Output(error) => f.write_str(&say(&text::output_failed(error))),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Error(store_failure(&error))
    }
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        Self::from(StoreError::from(error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let step = match &error {
            ConfigError::Missing(_) | ConfigError::TooLong(_) => "",
            ConfigError::Trust(error) => trust_step(error),
            ConfigError::NotApplied(_) | ConfigError::Damaged(_) => "",
            ConfigError::Syntax { .. } | ConfigError::Value { .. } => {
                "correct it and run `qrtotp config check`"
            }
        };
        Self::Error(with_step(&error, step))
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self::Error(with_step(&error, "check it with `getent passwd` and try again"))
    }
}
