//! The protocol between `qrtotp` or the PAM module and the broker `qrtotpd` (docs/BROKER.md), and a host's
//! request to the fleet's relay (docs/FLEET.md). The frames themselves are those of `qrtotp_frames`.
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
#[cfg(test)]
mod tests;

pub use broker::Response;
pub use caller::{CallerAnswer, Devices, Opening, Request};
pub use client::{ConnectError, VerifyError, ask_relay, connect, connect_relay, verify};
pub use qrtotp_frames::{
    Connection, FRAME_TIME, Facts, FleetRequest, FleetResponse, FrameError, MAX_FRAME, Message, OfflineUse,
    SessionFrame, Signed, Unavailable, VERDICT_KEY_LEN, VerdictKey, VerifyForHost, receive, send,
};

/// The broker's socket.
pub const DEFAULT_SOCKET: &str = "/run/qrtotp/socket";
/// The relay's socket.
pub const RELAY_SOCKET: &str = "/run/qrtotp/relay";
/// The broker protocol's version. Both ends come from the same package, so there is only one.
pub const VERSION: u8 = 1;
