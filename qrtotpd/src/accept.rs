//! Accepts connections. Never looks at the bytes that a caller sends.

use crate::PROGRAM;
use crate::admission::{Admission, Arrival, Look};
use crate::caller::Away;
use crate::connection_limits::{self, ConnectionLimits};
use crate::log::{Log, Refusals};
use crate::services::Services;
use crate::session;
use crate::work_limits::{Limit, WorkLimits};
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::Deadline;
use qrtotp_wire::{Connection, FRAME_TIME, Response};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Stack size of a connection's thread in bytes: twice the measured use.
const STACK: usize = 512 * 1024;

/// State shared by all connections.
pub struct Acceptor {
    /// Path of the configuration, which is read anew for each request.
    pub config: PathBuf,
    /// How long a check of the primary factor may take.
    pub pam_time: Duration,
    /// Callers waiting for admission.
    pub lobby: Arc<Admission<Connection>>,
    /// Callers being served.
    pub seats: Arc<ConnectionLimits>,
    /// Requests being worked on.
    pub turns: Arc<WorkLimits>,
    /// Users whose password is being checked.
    pub checks: Limit,
    /// Users who wait for their account's lock.
    pub waits: Limit,
    /// The services of `[broker.services]`.
    pub services: Services,
    /// The refusals that the log leaves out.
    pub refusals: Arc<Refusals>,
}

impl Acceptor {
    /// True if no caller is here, and no count has to be kept.
    pub fn is_empty(&self) -> bool {
        self.lobby.is_empty() && self.seats.is_empty() && self.services.is_quiet()
    }

    /// How many connections of `uid` are served at a time.
    pub fn seats_of(&self, uid: u32) -> usize {
        if self.services.knows(uid) { connection_limits::SERVICE } else { connection_limits::EACH }
    }
}

/// Takes a caller in, or sends them away. Never blocks.
pub fn greet(door: &Arc<Acceptor>, stream: UnixStream) {
    let mut line = Connection::new(stream.into(), Deadline::after(FRAME_TIME));
    let Ok(uid) = line.peer() else { return };
    if !is_mapped(uid) {
        return send_away(&mut line, uid, Away::Unmapped, door);
    }
    let each = door.seats_of(uid);
    if door.seats.are_taken(uid, each) {
        return send_away(&mut line, uid, Away::TooManyConnections, door);
    }
    match door.lobby.arrive(uid, each, line) {
        Arrival::Look(look, line) => start(door, look, uid, line),
        Arrival::Waits => {}
        Arrival::Full(mut line) => send_away(&mut line, uid, Away::TooManyCallers, door),
    }
}

/// Starts a thread that looks up callers.
fn start(door: &Arc<Acceptor>, look: Look<Connection>, uid: u32, line: Connection) {
    let door = Arc::clone(door);
    // If no thread can start, the caller finds the connection closed.
    let _ = thread::Builder::new().stack_size(STACK).spawn(move || attend(&door, look, uid, line));
}

/// Admits one caller after the other, until it serves one.
fn attend(door: &Arc<Acceptor>, mut look: Look<Connection>, mut uid: u32, mut line: Connection) {
    loop {
        // A caller that has hung up need not be looked up.
        let admitted = match line.is_gone() {
            true => Some(Err(Away::HungUp)),
            false => guarded(uid, door, || session::admit(uid, door)),
        };
        if let Some(Err(why)) = admitted {
            send_away(&mut line, uid, why, door);
        }
        let next = look.next();
        if let Some(Ok((caller, seat))) = admitted {
            if let Some((next, line)) = next {
                start(door, look, next, line);
            }
            guarded(uid, door, || session::serve(&mut line, &caller, &seat, door));
            return;
        }
        let Some(next) = next else { return };
        (uid, line) = next;
    }
}

/// Turns a panic into the end of one connection, and logs it.
fn guarded<T>(uid: u32, door: &Acceptor, f: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(f));
    if done.is_err() {
        let subject = Subject { by: uid.to_string(), service: PROGRAM.into(), ..Subject::default() };
        let mut log = Log::open(&door.refusals, None, subject.by.clone());
        Event::new(Kind::InternalError, &subject).reason("panic").emit(&mut log);
    }
    done.ok()
}

/// Whether the kernel knows the uid. It shows any uid unknown to a user namespace as 65534, which must not be
/// served.
fn is_mapped(uid: u32) -> bool {
    uid != 65534 && uid != u32::MAX
}

/// Refuses to serve a caller.
pub fn send_away(line: &mut Connection, uid: u32, why: Away, door: &Acceptor) {
    let _ = line.send(&Response::Refused(why.text().into())); // the send buffer is empty, so this does not block
    let subject = Subject { by: uid.to_string(), service: PROGRAM.into(), ..Subject::default() };
    // Only an identified user can have used up their connections.
    let who = (why == Away::TooManyConnections).then_some(uid);
    door.refusals.caller(who, &subject, why.reason());
}
