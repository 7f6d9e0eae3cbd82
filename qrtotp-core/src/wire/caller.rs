//! What a caller says: one request, then answers to questions.

use super::{Fields, FrameError, Message, Writer};
use crate::account::CredentialId;
use crate::flow::Typed;
use zeroize::Zeroizing;

/// Longest user name, label, service or terminal, in bytes.
const NAME: usize = 256;
/// Longest answer, in bytes.
const ANSWER: usize = 4096;

/// What a caller wants. `user` is whose account it is about; empty: the caller's own.
#[derive(PartialEq, Eq)]
pub enum Request {
    /// Enrol a device.
    Enroll {
        /// Whose.
        user: String,
        /// What the device is called.
        label: String,
    },
    /// Tell what is enrolled.
    Status {
        /// Whose.
        user: String,
        /// As JSON.
        json: bool,
    },
    /// Judge an answer that the caller asked for: PAM modules that don't run as root.
    Verify {
        /// Whom the application logs in; must be the caller.
        user: String,
        /// The PAM service, as the caller says.
        service: String,
        /// The terminal, as the caller says.
        tty: String,
        /// The module's argument `nullok`.
        nullok: bool,
        /// What was typed.
        answer: Typed,
    },
    /// New recovery codes.
    Regenerate {
        /// Whose.
        user: String,
    },
    /// Revoke devices.
    Revoke {
        /// Whose.
        user: String,
        /// Which.
        which: Devices,
    },
    /// Tell which devices there are.
    Devices {
        /// Whose.
        user: String,
        /// As JSON.
        json: bool,
    },
    /// Give a device another label.
    Rename {
        /// Whose.
        user: String,
        /// Which; the only one where it is not said.
        id: Option<CredentialId>,
        /// What it is called from now on.
        label: String,
    },
    /// Learn how far a device's clock is off.
    Resync {
        /// Whose.
        user: String,
    },
}

/// Which devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// The one that there is.
    Only,
    /// This one.
    One(CredentialId),
    /// All of them.
    All,
}

impl Request {
    /// True where the broker asks the person nothing.
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Devices { .. } | Self::Verify { .. })
    }

    /// Whose account it is about; empty: the caller's own.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Enroll { user, .. }
            | Self::Status { user, .. }
            | Self::Verify { user, .. }
            | Self::Regenerate { user }
            | Self::Revoke { user, .. }
            | Self::Devices { user, .. }
            | Self::Rename { user, .. }
            | Self::Resync { user } => user,
        }
    }
}

impl Message for Request {
    fn kind(&self) -> u8 {
        match self {
            Self::Enroll { .. } => 1,
            Self::Status { .. } => 2,
            Self::Verify { .. } => 3,
            Self::Regenerate { .. } => 4,
            Self::Revoke { .. } => 5,
            Self::Devices { .. } => 6,
            Self::Rename { .. } => 7,
            Self::Resync { .. } => 8,
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Enroll { user, label } => {
                to.bytes(user.as_bytes());
                to.bytes(label.as_bytes());
            }
            Self::Status { user, json } | Self::Devices { user, json } => {
                to.bytes(user.as_bytes());
                to.byte((*json).into());
            }
            Self::Verify { user, service, tty, nullok, answer } => {
                to.bytes(user.as_bytes());
                to.cut(service, NAME);
                to.cut(tty, NAME);
                to.byte((*nullok).into());
                to.bytes(answer);
            }
            Self::Regenerate { user } | Self::Resync { user } => to.bytes(user.as_bytes()),
            Self::Rename { user, id, label } => {
                to.bytes(user.as_bytes());
                to.option(*id, |to, id| to.bytes(&id.to_bytes()));
                to.bytes(label.as_bytes());
            }
            Self::Revoke { user, which } => {
                to.bytes(user.as_bytes());
                match which {
                    Devices::Only => to.byte(0),
                    Devices::One(id) => {
                        to.byte(1);
                        to.bytes(&id.to_bytes());
                    }
                    Devices::All => to.byte(2),
                }
            }
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        let name = |from: &mut Fields<'_>, field| from.line(NAME, field).map(str::to_owned);
        Ok(match kind {
            1 => Self::Enroll { user: name(from, "user")?, label: name(from, "label")? },
            2 => Self::Status { user: name(from, "user")?, json: from.bool("json")? },
            3 => Self::Verify {
                user: name(from, "user")?,
                service: name(from, "service")?,
                tty: name(from, "tty")?,
                nullok: from.bool("nullok")?,
                answer: Zeroizing::new(from.bytes(ANSWER, "answer")?.to_vec()),
            },
            4 => Self::Regenerate { user: name(from, "user")? },
            5 => Self::Revoke { user: name(from, "user")?, which: devices(from)? },
            6 => Self::Devices { user: name(from, "user")?, json: from.bool("json")? },
            7 => Self::Rename {
                user: name(from, "user")?,
                id: from.option("id", |from| credential(from, "id"))?,
                label: name(from, "label")?,
            },
            8 => Self::Resync { user: name(from, "user")? },
            other => return Err(FrameError::Kind(other)),
        })
    }
}

fn credential(from: &mut Fields<'_>, field: &'static str) -> Result<CredentialId, FrameError> {
    let letters = from.bytes(6, field)?.try_into().map_err(|_| FrameError::Field(field))?;
    CredentialId::from_bytes(letters).map_err(|_| FrameError::Field(field))
}

fn devices(from: &mut Fields<'_>) -> Result<Devices, FrameError> {
    match from.byte("which")? {
        0 => Ok(Devices::Only),
        1 => credential(from, "which").map(Devices::One),
        2 => Ok(Devices::All),
        _ => Err(FrameError::Field("which")),
    }
}

/// What a person answers to a question.
#[derive(PartialEq, Eq)]
pub enum Answer {
    /// This was typed.
    Typed(Typed),
    /// Another QR code, please.
    Fresh,
    /// No more.
    GiveUp,
    /// The recovery codes were shown, where nobody is asked to type one.
    Shown,
}

impl Message for Answer {
    fn kind(&self) -> u8 {
        match self {
            Self::Typed(_) => 16,
            Self::Fresh => 17,
            Self::GiveUp => 18,
            Self::Shown => 19,
        }
    }

    fn put(&self, to: &mut Writer) {
        if let Self::Typed(typed) = self {
            to.bytes(typed);
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        Ok(match kind {
            16 => Self::Typed(Zeroizing::new(from.bytes(ANSWER, "answer")?.to_vec())),
            17 => Self::Fresh,
            18 => Self::GiveUp,
            19 => Self::Shown,
            other => return Err(FrameError::Kind(other)),
        })
    }
}
