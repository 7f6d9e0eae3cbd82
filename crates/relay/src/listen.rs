//! Opens the socket, and serves root: the PAM module and the broker.

use crate::arguments::Arguments;
use crate::breaker::Breaker;
use crate::identity::HostIdentity;
use crate::keeper::{keep, probe};
use crate::pool::{Pool, PoolPermit};
use crate::relay::{Relay, in_order};
use crate::session::{SESSIONS, carry};
use listenfd::ListenFd;
use qrtotp_clock::Deadline;
use qrtotp_frames::{Connection, FRAME_TIME, FleetRequest, FleetResponse, FrameError, Unavailable};
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

/// Serves until the process ends.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let listener = match &arguments.listen {
        Some(path) => UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => passed()?,
    };
    let advice = "; `qrtotp fleet join` makes these files";
    let list = arguments.dir.join("verifiers");
    let lines = fs::read_to_string(&list).map_err(|error| format!("{}: {error}{advice}", list.display()))?;
    let identity = HostIdentity::read(&arguments.dir, arguments.state.as_deref());
    let identity = identity.map_err(|error| format!("{error}{advice}"))?;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let verifiers = in_order(&lines, &host.to_string_lossy());
    if verifiers.is_empty() {
        return Err(format!("{} names no verifier{advice}", list.display()));
    }
    let relay = Arc::new(Relay {
        verifiers,
        last: AtomicUsize::new(0),
        identity,
        breaker: Breaker::default(),
        sessions: Arc::default(),
        unanswered: arguments.runtime.as_ref().map(|directory| directory.join("unanswered")),
    });
    relay.note_unanswered(); // while the relay did not run
    relay.verifiers.iter().for_each(|verifier| verifier.look_up());
    let kept = Arc::clone(&relay);
    thread::Builder::new().spawn(move || keep(&kept)).map_err(|error| error.to_string())?;
    let serve = move |stream| serve(stream, &relay);
    Pool::new(listener, serve).run().map_err(|error| error.to_string())
}

/// The socket that systemd passes (sd_listen_fds(3)).
fn passed() -> Result<UnixListener, String> {
    let none = "no socket was passed by systemd; start it with `systemctl start qrtotp-relay.socket`, or use --listen PATH";
    let passed = ListenFd::from_env().take_unix_listener(0);
    passed.map_err(|error| format!("{none}: {error}"))?.ok_or_else(|| none.to_owned())
}

/// Answers one request, or carries a session. Only root is served: any user could have a stolen code checked,
/// or an account's failures counted.
fn serve(stream: UnixStream, relay: &Arc<Relay>) {
    let mut line = Connection::new(stream.into(), Deadline::after(FRAME_TIME));
    if !matches!(line.peer(), Ok(0)) {
        let _ = line.send(&FleetResponse::Refused("the relay serves only root".into()));
        return;
    }
    let response = match line.receive::<FleetRequest>() {
        // The module has given up and denied: a right code must not be used up for it.
        Ok(FleetRequest::Verify(_) | FleetRequest::Session(_)) if line.is_gone() => return,
        Ok(request @ FleetRequest::Verify(_)) => {
            let response = ask(relay, || Err(relay.ask(&request)));
            if matches!(&response, Err(response) if is_unanswered(response)) {
                relay.note_unanswered();
            }
            response
        }
        Ok(request @ FleetRequest::Session(_)) => match PoolPermit::take(&relay.sessions, SESSIONS) {
            None => Err(FleetResponse::Unavailable(Unavailable::Busy)),
            Some(place) => ask(relay, || Ok((relay.open(&request)?, place))),
        },
        // Not through the breaker: nobody waits for it.
        Ok(request @ FleetRequest::OfflineUse(_)) => Err(relay.ask(&request)),
        Ok(_) => {
            let text = "the relay passes on only what this host's root has signed";
            Err(FleetResponse::Refused(text.into()))
        }
        Err(FrameError::Closed) => return,
        Err(error) => Err(FleetResponse::Refused(error.to_string())),
    };
    line.last(FRAME_TIME);
    match response {
        Ok((session, _place)) => carry(&mut line, session),
        Err(response) => drop(line.send(&response)), // a module that is gone has denied
    }
}

/// Asks the verifiers, unless none could be reached just now.
fn ask<T>(relay: &Arc<Relay>, ask: impl FnOnce() -> Result<T, FleetResponse>) -> Result<T, FleetResponse> {
    if !relay.breaker.admits() {
        return Err(FleetResponse::Unavailable(Unavailable::NoVerifier));
    }
    let asked = ask();
    if matches!(&asked, Err(response) if is_unanswered(response)) {
        let probing = Arc::clone(relay);
        if relay.breaker.failed() && thread::Builder::new().spawn(move || probe(&probing)).is_err() {
            relay.breaker.end_probe();
        }
    }
    asked
}

/// No verifier was reached, or none has the store.
fn is_unanswered(response: &FleetResponse) -> bool {
    matches!(response, FleetResponse::Unavailable(Unavailable::NoVerifier | Unavailable::Store))
}
