//! Commands that a user runs on a terminal, including sudo.

use crate::{Pty, Sandbox, first_login::INSIDE};

#[must_use]
pub fn run(sandbox: &Sandbox, user: &str, commands: &str) -> Pty {
    sandbox.pty_unrecorded_as(Some(user), &["sh", "-c", commands])
}

pub fn stays_outside(mut pty: Pty) {
    let shown = pty.failure();
    assert!(!shown.contains(INSIDE), "{shown}");
}
