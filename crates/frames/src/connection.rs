//! A connection on which the other end can't make us wait beyond a deadline. TLS may lie over it.

use super::{FrameError, Message, receive, send};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, getsockopt, recv, send as send_to, sockopt::PeerCredentials};
use qrtotp_clock::Deadline;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Time limit of a frame once it has begun.
pub const FRAME_TIME: Duration = Duration::from_secs(5);

/// One end of a connection, and its remaining time.
pub struct Connection {
    socket: OwnedFd,
    all: Deadline,
    frame: Option<Deadline>,
}

/// To poll the connection together with other descriptors.
impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until one of two connections has something to read or is closed, at most `limit`; returns which.
/// Both are false if the time is over.
///
/// # Errors
/// The system reports one.
pub fn wait_for_either(first: &Connection, second: &Connection, limit: Duration) -> io::Result<[bool; 2]> {
    let deadline = Deadline::after(limit);
    let mut fds = [first, second].map(|connection| PollFd::new(connection.as_fd(), PollFlags::POLLIN));
    loop {
        let timeout = PollTimeout::try_from(deadline.left()).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(0) if deadline.left().is_zero() => return Ok([false; 2]),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(fds.map(|fd| fd.revents().is_some_and(|events| !events.is_empty()))),
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl Connection {
    /// A connected stream socket, with `all` as the deadline of the whole conversation.
    #[must_use]
    pub fn new(socket: OwnedFd, all: Deadline) -> Self {
        Self { socket, all, frame: None }
    }

    /// Restarts the time limit of the whole connection.
    pub fn last(&mut self, limit: Duration) {
        self.all = Deadline::after(limit);
    }

    /// The uid at the other end, according to the kernel.
    ///
    /// # Errors
    /// The kernel does not report it.
    pub fn peer(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.socket, PeerCredentials)?.uid())
    }

    /// True if the other end has closed the connection.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        polled.is_ok() && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// The other end is gone, or does not receive it within [`FRAME_TIME`].
    pub fn send(&mut self, message: &impl Message) -> Result<(), FrameError> {
        self.frame = Some(Deadline::after(FRAME_TIME));
        send(self, message)
    }

    /// Sends a caller's request. If the other end has closed its side, this is no error: its last message can
    /// still be received.
    ///
    /// # Errors
    /// As [`Connection::send`], except for a closed connection.
    pub fn request(&mut self, request: &impl Message) -> Result<(), FrameError> {
        match self.send(request) {
            Err(FrameError::Closed) => Ok(()),
            other => other,
        }
    }

    /// Waits for a frame as long as the connection may last; once it has begun it must arrive within
    /// [`FRAME_TIME`].
    ///
    /// # Errors
    /// The other end is gone, too slow, or sends an invalid frame.
    pub fn receive<M: Message>(&mut self) -> Result<M, FrameError> {
        self.frame = None;
        self.ready(PollFlags::POLLIN)?;
        self.frame = Some(Deadline::after(FRAME_TIME));
        receive(self)
    }

    /// Waits until the other end sends something or closes, at most `limit`. False: the time is over.
    ///
    /// # Errors
    /// The system reports one.
    pub fn wait(&mut self, limit: Duration) -> io::Result<bool> {
        (self.all, self.frame) = (Deadline::after(limit), None);
        match self.ready(PollFlags::POLLIN) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            done => done.map(|()| true),
        }
    }

    fn left(&self) -> Duration {
        let all = self.all.left();
        self.frame.as_ref().map_or(all, |frame| frame.left().min(all))
    }

    fn ready(&self, what: PollFlags) -> io::Result<()> {
        loop {
            let left = self.left();
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            // In whole milliseconds, rounded up.
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), what)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => self.ready(PollFlags::POLLIN)?,
                Err(Errno::EINTR) => {}
                // Otherwise one byte a second could last forever.
                Ok(_) if self.left().is_zero() => return Err(ErrorKind::TimedOut.into()),
                other => return Ok(other?),
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Inside another program's process a write must not raise SIGPIPE.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        loop {
            match send_to(self.socket.as_raw_fd(), bytes, flags) {
                Err(Errno::EAGAIN) => self.ready(PollFlags::POLLOUT)?,
                Err(Errno::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
