//! Carries a session between a user's broker and one verifier, for as long as it lasts. Their messages are
//! sealed, so the relay only copies frames.

use crate::relay::Relay;
use crate::verifier::Verifier;
use nix::sys::socket::{setsockopt, sockopt};
use qrtotp_clock::Deadline;
use qrtotp_fleet_tls::{ClientStream, is_readable, read_some};
use qrtotp_frames::{
    Connection, FRAME_TIME, FleetRequest, FleetResponse, FrameError, SessionFrame, Unavailable, receive,
    send, wait_for_either,
};
use std::io::Write;
use std::time::Duration;

/// Sessions at a time, so that users can't take the places of logins.
pub const SESSIONS: usize = 64;
/// How long a session may last. Both ends have shorter limits of their own.
const ALL: Duration = Duration::from_secs(2 * 3600);
/// A verifier that is lost without a word is noticed after about 25 s: so many seconds of silence, then three
/// probes with so many between them.
const SILENCE: u32 = 10;
const BETWEEN: u32 = 5;

/// A session that a verifier takes part in.
pub struct Session {
    pub stream: ClientStream,
    /// Its first message.
    pub opened: SessionFrame,
}

impl Relay {
    /// Finds a verifier that takes part.
    ///
    /// # Errors
    /// None does; the response for the broker.
    pub fn open(&self, request: &FleetRequest) -> Result<Session, FleetResponse> {
        let ask = |verifier: &Verifier, limit| {
            let mut stream = verifier.connect(&self.identity.config(), limit).ok()?;
            stream.sock.last(limit);
            send(&mut stream, request).ok()?;
            stream.flush().ok()?;
            let opened = receive(&mut stream).ok()?;
            Some(Session { stream, opened })
        };
        let is_store = |session: &Session| {
            matches!(session.opened, SessionFrame::Ended(FleetResponse::Unavailable(Unavailable::Store)))
        };
        match self.first(ask, is_store).map_err(FleetResponse::Unavailable)? {
            Session { opened: SessionFrame::Ended(response), .. } => Err(response),
            session => Ok(session),
        }
    }
}

/// Copies frames until one end closes.
pub fn carry(line: &mut Connection, session: Session) {
    let Session { mut stream, opened } = session;
    for set in [
        setsockopt(&stream.sock, sockopt::KeepAlive, &true),
        setsockopt(&stream.sock, sockopt::TcpKeepIdle, &SILENCE),
        setsockopt(&stream.sock, sockopt::TcpKeepInterval, &BETWEEN),
        setsockopt(&stream.sock, sockopt::TcpKeepCount, &3),
    ] {
        let _ = set; // without them a lost verifier is noticed later
    }
    line.last(ALL);
    // An error means that one end is gone; closing both tells the other.
    let _ = line.send(&opened).and_then(|()| copy(line, &mut stream));
    stream.sock.last(FRAME_TIME);
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn copy(line: &mut Connection, stream: &mut ClientStream) -> Result<(), FrameError> {
    let end = Deadline::after(ALL);
    loop {
        if is_readable(stream)? {
            stream.sock.last(FRAME_TIME);
            line.send(&receive::<SessionFrame>(stream)?)?;
            continue;
        }
        let [of_verifier, of_user] = wait_for_either(&stream.sock, line, end.left())?;
        if of_user {
            let frame = line.receive::<SessionFrame>()?;
            stream.sock.last(FRAME_TIME);
            send(stream, &frame)?;
            stream.flush()?;
        }
        if of_verifier {
            stream.sock.last(FRAME_TIME);
            read_some(stream)?;
        } else if !of_user {
            return Err(FrameError::Timeout);
        }
    }
}
