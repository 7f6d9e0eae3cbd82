//! The child that proves a password. PAM modules are third-party code, sometimes slow and not made for a
//! process that serves many users, so they run in a separate process (see `primary.rs`). It reads a user name
//! and a password from the socket at its standard input, and answers with one frame.
//!
//! The broker's only unsafe code is the attribute that exports a function.
#![allow(unsafe_code)]

use inner_pam::{Context, Unproven};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use qrtotp_audit::Verdict;
use qrtotp_clock::Deadline;
use qrtotp_flow::Typed;
use qrtotp_values::text::clean;
use qrtotp_wire::{CallerAnswer, Connection, FRAME_TIME, FrameError, Response};
use std::ffi::{CString, c_int};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Tells pam_qrtotp.so, which finds this function by its name, whether a transaction of the service `qrtotp`
/// is ours. It denies all others there.
#[unsafe(no_mangle)]
pub extern "C" fn qrtotpd_is_inner_transaction(handle: *const inner_pam::libpam::Handle) -> c_int {
    inner_pam::is_ours(handle).into()
}

/// Proves one password.
pub fn child() -> ExitCode {
    // Our parent waits for us. If the broker is killed, a hanging module must end, too. The signal covers
    // only later deaths; the socket reveals an earlier one.
    if nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_err() || broker_is_gone() {
        return ExitCode::FAILURE;
    }
    // Other modules may drop capabilities.
    qrtotp_frontend::unlock_memory();
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut line = Connection::new(socket, Deadline::after(FRAME_TIME));
    let (Ok(user), Ok(password)) = (typed(&mut line), typed(&mut line)) else { return ExitCode::FAILURE };
    match line.send(&prove(&user, &password)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn broker_is_gone() -> bool {
    let stdin = std::io::stdin();
    let mut sockets = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    poll(&mut sockets, PollTimeout::ZERO) != Ok(0)
}

fn typed(line: &mut Connection) -> Result<Typed, FrameError> {
    match line.receive()? {
        CallerAnswer::Typed(typed) => Ok(typed),
        CallerAnswer::Fresh | CallerAnswer::GiveUp => Err(FrameError::Closed),
    }
}

fn prove(user: &[u8], password: &[u8]) -> Response {
    let Ok(user) = CString::new(user) else { return Response::Verdict(Verdict::Denied) };
    match inner_pam::prove_password(&user, password, &Context::by(&user)) {
        Ok(()) => Response::Verdict(Verdict::Accepted),
        Err(Unproven::Wrong) => Response::Verdict(Verdict::Denied),
        Err(Unproven::Account(why)) => Response::Refused(clean(&why, 200)),
        Err(Unproven::NotAsked(why)) => Response::Failed(format!(
            "the PAM service qrtotp proves nothing: {why}; compare /etc/pam.d/qrtotp with the one that the package ships"
        )),
        Err(Unproven::Unavailable(why)) => Response::Failed(clean(&why, 200)),
    }
}
