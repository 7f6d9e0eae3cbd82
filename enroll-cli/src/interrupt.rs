//! Ctrl-C, a hang-up or a kill in the middle of a question: what was begun is put in order before they do
//! their work.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use qrtotp_flow::NoAnswer;
use std::os::fd::AsFd;

/// The signals by which people and systems end a program.
pub const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];

/// Signals that wait. They do their work when this is dropped.
pub struct Interrupts {
    before: SigSet,
    arrived: SignalFd,
}

impl Interrupts {
    pub fn hold(signals: impl IntoIterator<Item = Signal>) -> nix::Result<Self> {
        let signals: SigSet = signals.into_iter().collect();
        let arrived = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?, arrived })
    }

    /// The signals that were held before these.
    pub const fn before(&self) -> &SigSet {
        &self.before
    }

    /// Whether one of them arrived.
    pub fn came(&self) -> bool {
        let mut arrived = [PollFd::new(self.arrived.as_fd(), PollFlags::POLLIN)];
        poll(&mut arrived, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    /// Has those that arrived do nothing.
    pub fn forget(&self) {
        while let Ok(Some(_)) = self.arrived.read_signal() {}
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// A signal came first.
    pub fn wait_for(&self, input: impl AsFd) -> Result<(), NoAnswer> {
        loop {
            let mut ready =
                [input.as_fd(), self.arrived.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(_) => return Err(NoAnswer),
                Ok(_) if ready[1].any() == Some(true) => return Err(NoAnswer),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
