//! A caller's messages: one request, then answers to questions.

use super::VERSION;
use qrtotp_account::CredentialId;
use qrtotp_flow::Typed;
use qrtotp_frames::{Fields, FrameError, Message, Writer};
use zeroize::Zeroizing;

/// Longest user name, label, service or terminal, in bytes.
const NAME: usize = 256;
/// Longest answer, in bytes.
const ANSWER: usize = 4096;

/// A caller's request, for its own account; only `Verify` may be about another one.
#[derive(PartialEq, Eq)]
pub enum Request {
    /// Enrol a device.
    Enroll {
        /// The device's label.
        label: String,
    },
    /// Report the enrolled devices.
    Status {
        /// As JSON.
        json: bool,
    },
    /// Verify an answer that the caller has asked for: PAM modules without root.
    Verify {
        /// The user that the application logs in, as typed: the caller, or anyone if the caller is a listed
        /// service.
        user: String,
        /// The PAM service, as the caller says.
        service: String,
        /// The terminal, as the caller says.
        tty: String,
        /// The module's argument `nullok`.
        nullok: bool,
        /// The module's argument `forward_pass`: the answer is the password followed by the code.
        forward: bool,
        /// The caller's id of this request: repeated with the same answer, it gets the same verdict. Empty:
        /// none.
        id: String,
        /// The typed answer.
        answer: Typed,
    },
    /// New recovery codes.
    Regenerate,
    /// Revoke devices.
    Revoke {
        /// The devices.
        which: Devices,
    },
    /// List the devices.
    Devices {
        /// As JSON.
        json: bool,
    },
    /// Give a device another label.
    Rename {
        /// Which one; `None`: the only one.
        id: Option<CredentialId>,
        /// Its new label.
        label: String,
    },
    /// Measure how far a device's clock is off.
    Resync,
}

/// A caller's first message. Callers who read English send their request at once.
#[derive(PartialEq, Eq)]
pub enum Opening {
    /// The language of messages, such as `nl` or `de_AT`; the request follows.
    Language(String),
    /// The request.
    Request(Request),
}

impl Message for Opening {
    const VERSION: u8 = VERSION;

    // 9 to 14 are kinds of a fleet's messages.
    fn kind(&self) -> u8 {
        match self {
            Self::Language(_) => 15,
            Self::Request(request) => request.kind(),
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Language(language) => to.cut(language, NAME),
            Self::Request(request) => request.put(to),
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        match kind {
            15 => Ok(Self::Language(from.line(NAME, "language")?.to_owned())),
            kind => Request::take(kind, from).map(Self::Request),
        }
    }
}

/// A selection of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// The only one.
    Only,
    /// This one.
    One(CredentialId),
    /// All of them.
    All,
}

impl Request {
    /// Whether the broker asks no questions.
    #[must_use]
    pub fn asks_nothing(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Devices { .. } | Self::Verify { .. })
    }
}

impl Message for Request {
    const VERSION: u8 = VERSION;

    fn kind(&self) -> u8 {
        match self {
            Self::Enroll { .. } => 1,
            Self::Status { .. } => 2,
            Self::Verify { .. } => 3,
            Self::Regenerate => 4,
            Self::Revoke { .. } => 5,
            Self::Devices { .. } => 6,
            Self::Rename { .. } => 7,
            Self::Resync => 8,
        }
    }

    fn put(&self, to: &mut Writer) {
        match self {
            Self::Enroll { label } => to.bytes(label.as_bytes()),
            Self::Status { json } | Self::Devices { json } => to.byte((*json).into()),
            Self::Verify { user, service, tty, nullok, forward, id, answer } => {
                to.bytes(user.as_bytes());
                to.cut(service, NAME);
                to.cut(tty, NAME);
                to.byte((*nullok).into());
                to.byte((*forward).into());
                to.bytes(id.as_bytes());
                to.bytes(answer);
            }
            Self::Regenerate | Self::Resync => {}
            Self::Rename { id, label } => {
                to.option(*id, |to, id| to.bytes(&id.to_bytes()));
                to.bytes(label.as_bytes());
            }
            Self::Revoke { which } => match which {
                Devices::Only => to.byte(0),
                Devices::One(id) => {
                    to.byte(1);
                    to.bytes(&id.to_bytes());
                }
                Devices::All => to.byte(2),
            },
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        let name = |from: &mut Fields<'_>, field| from.line(NAME, field).map(str::to_owned);
        Ok(match kind {
            1 => Self::Enroll { label: name(from, "label")? },
            2 => Self::Status { json: from.bool("json")? },
            3 => Self::Verify {
                user: name(from, "user")?,
                service: name(from, "service")?,
                tty: name(from, "tty")?,
                nullok: from.bool("nullok")?,
                forward: from.bool("forward")?,
                id: name(from, "id")?,
                answer: Zeroizing::new(from.bytes(ANSWER, "answer")?.to_vec()),
            },
            4 => Self::Regenerate,
            5 => Self::Revoke { which: devices(from)? },
            6 => Self::Devices { json: from.bool("json")? },
            7 => Self::Rename {
                id: from.option("id", |from| credential(from, "id"))?,
                label: name(from, "label")?,
            },
            8 => Self::Resync,
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

/// The user's answer to a question.
#[derive(PartialEq, Eq)]
pub enum CallerAnswer {
    /// A typed answer.
    Typed(Typed),
    /// Another QR code, please.
    Fresh,
    /// The user stops.
    GiveUp,
}

impl Message for CallerAnswer {
    const VERSION: u8 = VERSION;

    fn kind(&self) -> u8 {
        match self {
            Self::Typed(_) => 16,
            Self::Fresh => 17,
            Self::GiveUp => 18,
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
            other => return Err(FrameError::Kind(other)),
        })
    }
}
