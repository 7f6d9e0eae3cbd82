//! The protocol between `qrtotp` or the PAM module and the broker `qrtotpd`: frames on a stream
//! (docs/BROKER.md).
//!
//! The other end may send anything: every length is bounded before use, every field is checked, and memory
//! that held a frame is wiped. Decides nothing. Begin with [`Request`] and [`Response`].
//!
//! ```
//! use qrtotp_wire::{FrameError, Request, receive};
//! let unknown_kind = [1, 255, 0, 0];
//! assert!(matches!(receive::<Request>(&mut &unknown_kind[..]), Err(FrameError::Kind(255))));
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod broker;
mod caller;
mod client;
mod connection;
mod error;
mod fields;
#[cfg(test)]
mod tests;

pub use broker::Response;
pub use caller::{CallerAnswer, Devices, Opening, Request};
pub use client::{ConnectError, VerifyError, connect, verify};
pub use connection::{Connection, FRAME_TIME};
pub use error::{FrameError, MAX_FRAME};

use fields::{Fields, Writer};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// The broker's socket.
pub const DEFAULT_SOCKET: &str = "/run/qrtotp/socket";
/// The protocol's version. Both ends come from the same package, so there is only one.
pub const VERSION: u8 = 1;
/// Version, kind, length of the body (big endian).
const HEADER: usize = 4;
const MAX_BODY: usize = MAX_FRAME - HEADER;

/// The contents of one frame.
pub trait Message: Sized {
    /// The message's kind.
    fn kind(&self) -> u8;

    /// Writes the fields.
    fn put(&self, to: &mut Writer);

    /// Reads the fields of the message `kind`.
    ///
    /// # Errors
    /// No such message, or an invalid field.
    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError>;
}

/// Sends one frame.
///
/// # Errors
/// It would be too long, or the other end does not receive it.
pub fn send(to: &mut impl Write, message: &impl Message) -> Result<(), FrameError> {
    let mut frame = Writer::new(&[VERSION, message.kind(), 0, 0]);
    message.put(&mut frame);
    let mut frame = frame.finish()?;
    let length = u16::try_from(frame.len() - HEADER).map_err(|_| FrameError::TooLong)?;
    frame[2..HEADER].copy_from_slice(&length.to_be_bytes());
    to.write_all(&frame)?;
    Ok(())
}

/// Receives one frame.
///
/// # Errors
/// See [`FrameError`]; then read no more.
pub fn receive<M: Message>(from: &mut impl Read) -> Result<M, FrameError> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let [version, kind, high, low] = header;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BODY {
        return Err(FrameError::TooLong);
    }
    let mut body = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut body)?;
    let mut fields = Fields::new(&body);
    let message = M::take(kind, &mut fields)?;
    fields.end()?;
    Ok(message)
}
