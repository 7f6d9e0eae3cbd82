//! Typing without echo. The terminal gets its echo back whatever ends the question.

use crate::interrupt::{ENDING, Interrupts};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use qrtotp_flow::NoAnswer;
use std::os::fd::AsFd;

/// A terminal without echo, until dropped. Begin before the question is shown: what is typed from then on is
/// not shown.
pub struct NoEcho<F: AsFd> {
    terminal: F,
    before: Termios,
    /// Dropped after the echo is back.
    interrupts: Interrupts,
}

impl<F: AsFd> NoEcho<F> {
    /// Switches the echo off. `None`: it is no terminal, so nothing is shown anyhow.
    ///
    /// # Errors
    /// The terminal does not do it.
    pub fn begin(terminal: F) -> nix::Result<Option<Self>> {
        if !nix::unistd::isatty(&terminal)? {
            return Ok(None);
        }
        let before = tcgetattr(&terminal)?;
        let interrupts = Interrupts::hold(ENDING.into_iter().chain([Signal::SIGTSTP]))?;
        let no_echo = Self { terminal, before, interrupts };
        let mut quiet = no_echo.before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&no_echo.terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Some(no_echo))
    }

    /// Waits until a line was typed; a terminal hands out whole ones.
    ///
    /// # Errors
    /// A signal came, which does its work once this is dropped.
    pub fn wait(&self) -> Result<(), NoAnswer> {
        self.interrupts.wait_for(&self.terminal)
    }
}

impl<F: AsFd> Drop for NoEcho<F> {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
