//! Why a frame is refused.

use std::io::ErrorKind;
use thiserror::Error;

/// The longest frame with its header, in bytes.
pub const MAX_FRAME: usize = 16 * 1024;

/// Why a frame was not sent or not understood. Never quotes received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The other end is gone.
    #[error("the connection was closed")]
    Closed,
    /// Nothing was received or sent in time.
    #[error("the other end is too slow")]
    Timeout,
    /// The system reported an error.
    #[error("the connection failed: {0}")]
    Io(ErrorKind),
    /// Another version than ours.
    #[error("the other end speaks version {0} of the protocol; install the same version of qrtotp on both")]
    Version(u8),
    /// Longer than a frame may be.
    #[error("a frame is too long")]
    TooLong,
    /// Not a kind that is allowed here.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// A field is truncated, too long or malformed, or bytes follow the last one.
    #[error("a frame with a wrong `{0}`")]
    Field(&'static str),
}

impl From<std::io::Error> for FrameError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::Closed,
            ErrorKind::TimedOut => Self::Timeout,
            kind => Self::Io(kind),
        }
    }
}
