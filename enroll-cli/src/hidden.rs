//! Typing without echo. The terminal gets its echo back whatever ends the question.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use qrtotp_core::flow::NoAnswer;
use std::os::fd::AsFd;

/// A terminal without echo, until dropped. Begin before the question is shown: what is typed from then on is not shown.
pub struct Hidden<F: AsFd> {
    terminal: F,
    before: Termios,
    mask: SigSet,
    interrupts: SignalFd,
}

impl<F: AsFd> Hidden<F> {
    /// Switches the echo off. `None`: it is no terminal, so nothing is shown anyhow.
    ///
    /// # Errors
    /// The terminal does not do it.
    pub fn begin(terminal: F) -> nix::Result<Option<Self>> {
        if !nix::unistd::isatty(&terminal)? {
            return Ok(None);
        }
        let signals: SigSet =
            [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP]
                .into_iter()
                .collect();
        let interrupts = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let before = tcgetattr(&terminal)?;
        let mask = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let hidden = Self { terminal, before, mask, interrupts };
        let mut quiet = hidden.before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&hidden.terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Some(hidden))
    }

    /// Waits until a line was typed; a terminal hands out whole ones.
    ///
    /// # Errors
    /// A signal came, which does its work once this is dropped.
    pub fn wait(&self) -> Result<(), NoAnswer> {
        loop {
            let mut ready = [
                PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.interrupts.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(_) => return Err(NoAnswer),
                Ok(_) if ready[1].any() == Some(true) => return Err(NoAnswer),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl<F: AsFd> Drop for Hidden<F> {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
        let _ = self.mask.thread_set_mask();
    }
}
