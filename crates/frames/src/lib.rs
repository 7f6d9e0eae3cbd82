//! Frames on a stream, a connection with deadlines, and the messages of a fleet (docs/FLEET.md).
//!
//! The other end may send anything: every length is bounded before use, every field is checked, and memory
//! that held a frame is wiped. Decides nothing, and knows no network: a TLS stream lies over a [`Connection`]
//! and carries the same frames. Begin with [`Message`]; a fleet's are [`FleetRequest`],
//! [`FleetResponse`] and [`SessionFrame`].
//!
//! ```
//! use qrtotp_frames::{FleetRequest, receive, send};
//! let mut stream = Vec::new();
//! send(&mut stream, &FleetRequest::Renew)?;
//! assert!(matches!(receive(&mut &stream[..])?, FleetRequest::Renew));
//! # Ok::<(), qrtotp_frames::FrameError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connection;
mod error;
mod fields;
mod fleet;
mod open_session;
mod session;
mod signed;
#[cfg(test)]
mod tests;
mod verdict_key;

pub use connection::{Connection, FRAME_TIME, wait_for_either};
pub use error::{FrameError, MAX_FRAME};
pub use fields::{Fields, Writer};
pub use fleet::{
    Facts, FleetRequest, FleetResponse, JoinRequest, OfflineUse, Renewal, Unavailable, VerifyForHost,
};
pub use open_session::OpenSession;
pub use session::SessionFrame;
pub use signed::Signed;
pub use verdict_key::{SESSION_NONCE_LEN, SessionEnd, Tag, VERDICT_KEY_LEN, VerdictKey};

use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Version, kind, length of the body (big endian).
const HEADER: usize = 4;
const MAX_BODY: usize = MAX_FRAME - HEADER;
/// Version of a fleet's protocol.
const FLEET_VERSION: u8 = 2;
/// Bytes of an attempt's id.
pub const ATTEMPT_LEN: usize = 16;
/// Longest account, service, terminal, remote host, token or host name of a fleet's message, in bytes.
const NAME: usize = 256;

/// The contents of one frame.
pub trait Message: Sized {
    /// The version of the protocol that the message belongs to.
    const VERSION: u8;

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
pub fn send<M: Message>(to: &mut impl Write, message: &M) -> Result<(), FrameError> {
    let mut frame = Writer::new(&[M::VERSION, message.kind(), 0, 0]);
    message.put(&mut frame);
    send_frame(to, frame)
}

/// Once for all messages.
#[inline(never)]
fn send_frame(to: &mut impl Write, mut frame: Writer) -> Result<(), FrameError> {
    let frame = frame.finish()?;
    let length = u16::try_from(frame.len() - HEADER).map_err(|_| FrameError::TooLong)?;
    frame[2..HEADER].copy_from_slice(&length.to_be_bytes());
    to.write_all(frame)?;
    Ok(())
}

/// Receives one frame.
///
/// # Errors
/// See [`FrameError`]; then read no more.
pub fn receive<M: Message>(from: &mut impl Read) -> Result<M, FrameError> {
    let (kind, body) = receive_frame(from, M::VERSION)?;
    let mut fields = Fields::new(&body);
    let message = M::take(kind, &mut fields)?;
    fields.end()?;
    Ok(message)
}

/// The kind and body of a frame; once for all messages.
#[inline(never)]
fn receive_frame(from: &mut impl Read, expected: u8) -> Result<(u8, Zeroizing<Vec<u8>>), FrameError> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let [version, kind, high, low] = header;
    if version != expected {
        return Err(FrameError::Version(version));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_BODY {
        return Err(FrameError::TooLong);
    }
    let mut body = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut body)?;
    Ok((kind, body))
}
