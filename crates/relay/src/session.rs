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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::breaker::Breaker;
    use crate::identity::HostIdentity;
    use crate::relay::in_order;
    use qrtotp_fleet_tls::{
        Authority, ServerStream, accept, new_key, public_key_of, server_config, write_private,
    };
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    const LIMIT: Duration = Duration::from_secs(5);

    fn say(stream: &mut ServerStream, frame: &SessionFrame) {
        send(stream, frame).unwrap();
        stream.flush().unwrap();
    }

    /// A relay with two verifiers. The first one's store does not answer; the second one is `verifier`.
    fn relay(ca: &Authority, verifier: impl FnOnce(ServerStream) + Send + 'static) -> Relay {
        let dir = tempfile::tempdir().unwrap();
        let key = new_key().unwrap();
        write_private(&dir.path().join("host.key"), &key).unwrap();
        let certificate = ca.host("web1", &public_key_of(&key).unwrap()).unwrap();
        write_private(&dir.path().join("host.der"), &certificate).unwrap();
        write_private(&dir.path().join("ca.der"), ca.certificate()).unwrap();
        let config = server_config(std::slice::from_ref(ca.certificate()), ca.verifier().unwrap()).unwrap();
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let lines =
            listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string()).join("\n");
        thread::spawn(move || {
            let greet = |listener: &TcpListener| {
                let mut stream = accept(listener.accept().unwrap().0, &config, LIMIT).unwrap();
                stream.sock.last(LIMIT);
                assert!(matches!(receive(&mut stream), Ok(FleetRequest::Session(_))));
                stream
            };
            let no_store = FleetResponse::Unavailable(Unavailable::Store);
            say(&mut greet(&listeners[0]), &SessionFrame::Ended(no_store));
            verifier(greet(&listeners[1]));
        });
        let mut verifiers = in_order(&lines, "web1");
        verifiers.sort_by_key(|verifier| !lines.starts_with(verifier.name()));
        verifiers.iter().for_each(crate::verifier::Verifier::look_up);
        let identity = HostIdentity::read(dir.path(), None).unwrap();
        let (last, breaker) = (AtomicUsize::new(0), Breaker::default());
        Relay { verifiers, last, identity, breaker, sessions: Default::default(), unanswered: None }
    }

    fn open() -> FleetRequest {
        let open =
            qrtotp_frames::OpenSession { attempt: [1; 16], account: "alice".into(), uid: 1, tag: [0; 32] };
        FleetRequest::Session(Box::new(open))
    }

    #[test]
    fn a_session_stays_with_the_verifier_that_takes_part_and_ends_with_it() {
        let (ca, _) = Authority::generate().unwrap();
        let relay = relay(&ca, |mut stream| {
            say(&mut stream, &SessionFrame::Opened([2; 32]));
            // Several frames at once: no poll of the socket tells of the later ones.
            for part in 0..3 {
                send(&mut stream, &SessionFrame::Sealed(vec![part; 900])).unwrap();
            }
            stream.flush().unwrap();
            stream.sock.last(LIMIT);
            assert_eq!(receive::<SessionFrame>(&mut stream).unwrap(), SessionFrame::Sealed(vec![9]));
        });
        let session = relay.open(&open()).ok().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let carried = thread::spawn(move || {
            carry(&mut Connection::new(theirs.into(), Deadline::after(LIMIT)), session);
        });
        let mut broker = Connection::new(ours.into(), Deadline::after(LIMIT));
        assert_eq!(broker.receive::<SessionFrame>().unwrap(), SessionFrame::Opened([2; 32]));
        for part in 0..3 {
            assert_eq!(broker.receive::<SessionFrame>().unwrap(), SessionFrame::Sealed(vec![part; 900]));
        }
        broker.send(&SessionFrame::Sealed(vec![9])).unwrap();
        assert_eq!(broker.receive::<SessionFrame>(), Err(FrameError::Closed), "the verifier has ended");
        carried.join().unwrap();
    }
}
