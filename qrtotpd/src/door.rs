//! Who comes in. Nothing that a caller sends is looked at here.

use crate::PROGRAM;
use crate::seats::Seats;
use crate::session;
use crate::turns::{Checks, Turns};
use qrtotp_core::audit::{Event, Kind, Subject};
use qrtotp_core::clock::Deadline;
use qrtotp_core::wire::{FRAME_TIME, Line, Say};
use qrtotp_face::Syslog;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Bytes of stack of a connection's thread: twice what was seen to be used.
const STACK: usize = 512 * 1024;

/// What every connection needs.
pub struct Door {
    /// Where the configuration is; it is read anew for each request.
    pub config: PathBuf,
    /// How long a check of the primary factor may take.
    pub pam_time: Duration,
    /// Who is being served.
    pub seats: Arc<Seats>,
    /// Who is at work.
    pub turns: Arc<Turns>,
    /// Whose primary factor is being checked.
    pub checks: Checks,
}

/// Starts serving a caller in a thread of its own, or sends them away. Never waits for them.
pub fn greet(door: &Arc<Door>, stream: UnixStream) {
    let mut line = Line::new(stream.into(), Deadline::after(FRAME_TIME));
    let Ok(uid) = line.peer() else { return };
    if !is_mapped(uid) {
        send_away(&mut line, "this user is not known on the broker's host");
        return;
    }
    let Some(arrived) = door.seats.arrive(uid) else {
        send_away(&mut line, "too many callers at once; try again");
        return;
    };
    let door = Arc::clone(door);
    let serve = move || {
        if catch_unwind(AssertUnwindSafe(|| session::serve(&mut line, uid, arrived, &door))).is_err() {
            let subject = Subject { by: uid.to_string(), service: PROGRAM.into(), ..Subject::default() };
            Event::new(Kind::InternalError, &subject).reason("panic").emit(&mut Syslog::open(PROGRAM));
        }
    };
    // Where there are no more threads, the caller finds the connection closed.
    let _ = thread::Builder::new().stack_size(STACK).spawn(serve);
}

/// A user namespace that does not know a uid shows it as 65534, whoever it is; nobody may be served as that.
fn is_mapped(uid: u32) -> bool {
    uid != 65534 && uid != u32::MAX
}

fn send_away(line: &mut Line, why: &str) {
    let _ = line.send(&Say::Refused(why.into())); // goes into an empty buffer, so at once
}
