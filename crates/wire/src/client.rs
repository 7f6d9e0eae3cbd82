//! A caller's end: connecting without ever hanging, and a single request for a verdict, of the broker or of a
//! fleet's relay.

use super::{Connection, FleetResponse, FrameError, Message, Request, Response};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::unistd::geteuid;
use qrtotp_audit::Verdict;
use qrtotp_clock::Deadline;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

/// Why the broker can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// No process listens there.
    #[error("the broker is not running; `systemctl enable --now qrtotpd.socket` starts it")]
    Absent,
    /// Too many callers.
    #[error("the broker is too busy; try again")]
    Busy,
    /// The process that listens there is not root.
    #[error("the process that listens there is not root, so it is not the broker")]
    Untrusted,
    /// The system reported an error.
    #[error("the broker can't be reached: {0}")]
    Io(Errno),
}

/// Connects to the broker at `path`; everything together may take `limit`.
///
/// # Errors
/// No process listens or accepts the connection in time, or it is not root.
pub fn connect(path: &Path, limit: Duration) -> Result<Connection, ConnectError> {
    let line = connect_relay(path, limit)?;
    match line.peer() {
        Ok(uid) if uid == 0 || uid == geteuid().as_raw() => Ok(line),
        _ => Err(ConnectError::Untrusted),
    }
}

/// Connects to a fleet's relay at `path`, which is not root; everything together may take `limit`.
///
/// # Errors
/// No process listens or accepts the connection in time.
pub fn connect_relay(path: &Path, limit: Duration) -> Result<Connection, ConnectError> {
    let mut deadline = Deadline::after(limit);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket =
        socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(ConnectError::Io)?;
    let address = UnixAddr::new(path).map_err(ConnectError::Io)?;
    loop {
        match socket::connect(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            // Its queue is full. A blocking connect would wait here forever.
            Err(Errno::EAGAIN | Errno::EINTR) if deadline.pause() => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return Err(ConnectError::Busy),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Err(ConnectError::Absent),
            Err(errno) => return Err(ConnectError::Io(errno)),
        }
    }
    Ok(Connection::new(socket, deadline))
}

/// Why there is no verdict; deny.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It broke off, or took too long.
    #[error("the broker gave no verdict: {0}")]
    Frame(#[from] FrameError),
    /// The broker does not serve the caller.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// An unexpected response.
    #[error("the broker gave no verdict")]
    Nonsense,
}

/// Has the caller's own answer verified, within `limit`. With the verdict comes the length of the password in
/// bytes, if the answer was a password and a code.
///
/// # Errors
/// See [`VerifyError`].
pub fn verify(path: &Path, request: &Request, limit: Duration) -> Result<(Verdict, usize), VerifyError> {
    let mut line = connect(path, limit)?;
    line.request(request)?;
    let mut password = 0;
    loop {
        match line.receive()? {
            Response::Verdict(verdict) => return Ok((verdict, password)),
            Response::PasswordLength(bytes) => password = usize::try_from(bytes).unwrap_or(usize::MAX),
            Response::Show(_) => {} // best effort
            Response::Refused(text) | Response::Failed(text) => return Err(VerifyError::Refused(text)),
            _ => return Err(VerifyError::Nonsense),
        }
    }
}

/// Sends a request to the verifiers through the relay, and waits for the response until `limit` is over. The
/// relay is not root and is not trusted: requests and verdicts are signed.
///
/// # Errors
/// No connection, or it broke off or took too long.
pub fn ask_relay(path: &Path, request: &impl Message, limit: Duration) -> Result<FleetResponse, VerifyError> {
    let mut line = connect_relay(path, limit)?;
    line.request(request)?;
    Ok(line.receive()?)
}
