//! Accepts connections. Never looks at the bytes that a caller sends.

use crate::PROGRAM;
use crate::admission::{Arrival, Lookup};
use crate::broker::{Broker, send_away};
use crate::caller::Away;
use crate::log::Log;
use crate::session;
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::Deadline;
use qrtotp_wire::{Connection, FRAME_TIME};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

/// Stack size of a connection's thread in bytes: twice the measured use.
const STACK: usize = 512 * 1024;

/// Takes a caller in, or sends them away. Never blocks.
pub fn greet(broker: &Arc<Broker>, stream: UnixStream) {
    let mut line = Connection::new(stream.into(), Deadline::after(FRAME_TIME));
    let Ok(uid) = line.peer() else { return };
    if !is_mapped(uid) {
        return send_away(&mut line, uid, Away::Unmapped, broker);
    }
    let each = broker.connections_of(uid);
    if broker.connections.are_taken(uid, each) {
        return send_away(&mut line, uid, Away::TooManyConnections, broker);
    }
    match broker.admission.arrive(uid, each, line) {
        Arrival::Lookup(lookup, line) => start(broker, lookup, uid, line),
        Arrival::Waits => {}
        Arrival::Full(mut line) => send_away(&mut line, uid, Away::TooManyCallers, broker),
    }
}

/// Starts a thread that looks up callers.
fn start(broker: &Arc<Broker>, lookup: Lookup<Connection>, uid: u32, line: Connection) {
    let broker = Arc::clone(broker);
    // If no thread can start, the caller finds the connection closed.
    let _ = thread::Builder::new().stack_size(STACK).spawn(move || attend(&broker, lookup, uid, line));
}

/// Admits one caller after the other, until it serves one.
fn attend(broker: &Arc<Broker>, mut lookup: Lookup<Connection>, mut uid: u32, mut line: Connection) {
    loop {
        // A caller that has hung up need not be looked up.
        let admitted = match line.is_gone() {
            true => Some(Err(Away::HungUp)),
            false => guarded(uid, broker, || session::admit(uid, broker)),
        };
        if let Some(Err(why)) = admitted {
            send_away(&mut line, uid, why, broker);
        }
        let next = lookup.next();
        if let Some(Ok((caller, seat))) = admitted {
            if let Some((next, line)) = next {
                start(broker, lookup, next, line);
            }
            guarded(uid, broker, || session::serve(&mut line, &caller, &seat, broker));
            return;
        }
        let Some(next) = next else { return };
        (uid, line) = next;
    }
}

/// Turns a panic into the end of one connection, and logs it.
fn guarded<T>(uid: u32, broker: &Broker, f: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(f));
    if done.is_err() {
        let subject = Subject { by: uid.to_string(), service: PROGRAM.into(), ..Subject::default() };
        let mut log = Log::open(&broker.refusals, None, subject.by.clone());
        Event::new(Kind::InternalError, &subject).reason("panic").emit(&mut log);
    }
    done.ok()
}

/// Whether the kernel knows the uid. It shows any uid unknown to a user namespace as 65534, which must not be
/// served.
fn is_mapped(uid: u32) -> bool {
    uid != 65534 && uid != u32::MAX
}
