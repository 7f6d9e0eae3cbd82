//! A session of a user of a host: this verifier is their broker. The host says who the user is, and that
//! proves nothing: they prove themselves by a token's code, a device or a recovery code.

use super::hosts::{Caller as Host, refuse, unsigned, verdict_key};
use super::log::RequestLog;
use super::state::Verifier;
use super::verify::{alert, failed, policy, unavailable};
use crate::PROGRAM;
use crate::caller::Caller;
use crate::remote::{Remote, UserChannel};
use crate::served::{Ended, Served, broken, unusable};
use crate::tunnel::Tunnel;
use crate::work_limits::WorkPermit;
use qrtotp_account::{Label, Name, Place};
use qrtotp_audit::{Event, Kind, Subject};
use qrtotp_clock::Deadline;
use qrtotp_fleet::FleetError;
use qrtotp_fleet_tls::{ServerStream, wait};
use qrtotp_flow::{Authority, catalogue_of, host_name};
use qrtotp_frames::{
    FRAME_TIME, FleetResponse, FrameError, Message, OpenSession, SESSION_NONCE_LEN, SessionEnd, SessionFrame,
    Signed as _, Unavailable, VerdictKey, receive, send,
};
use qrtotp_messages::text;
use qrtotp_otp::random_bytes;
use qrtotp_policy::Config;
use qrtotp_store::{Store, StoreError};
use qrtotp_wire::{CallerAnswer, Opening, Request, Response};
use std::io::Write;
use std::time::Duration;

/// A session that may go on.
struct Admitted {
    key: VerdictKey,
    nonce: [u8; SESSION_NONCE_LEN],
    caller: Caller,
    /// The fleet's.
    config: Config,
}

/// Serves the session on `stream` until it ends.
pub fn serve(mut stream: ServerStream, verifier: &Verifier, host: &Host, open: &OpenSession) {
    let mut log = RequestLog::of_session(host.name(), &open.attempt, &open.account, &verifier.refusals);
    let of_account = (host.name().to_owned(), open.account.clone());
    let places = (verifier.sessions.begin(&of_account.0), verifier.sessions_of_account.begin(&of_account));
    let admitted = match places {
        (Some(_), Some(_)) => admit(verifier, host, open, &mut log),
        _ => Err(FleetResponse::Unavailable(Unavailable::Busy)),
    };
    let mut line = SessionLine { stream: &mut stream, tunnel: None, all: Deadline::after(FRAME_TIME) };
    match admitted {
        Err(response) => drop(line.send(&SessionFrame::Ended(response))),
        Ok(admitted) => {
            if line.send(&SessionFrame::Opened(admitted.nonce)).is_ok() {
                line.seal(Tunnel::new(&admitted.key, &open.tag, &admitted.nonce, SessionEnd::Verifier));
                converse(verifier, host, &admitted, &mut line, &mut log);
            }
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// Whether the host may speak for the account, by its key and groups.
fn admit(
    verifier: &Verifier,
    host: &Host,
    open: &OpenSession,
    log: &mut RequestLog,
) -> Result<Admitted, FleetResponse> {
    let no_store = || FleetResponse::Unavailable(Unavailable::Store);
    if let Some(why) = verifier.clocks.objection() {
        unavailable("clock", &why, host, log);
        return Err(no_store());
    }
    let name = Name::new(&open.account)
        .map_err(|_| FleetResponse::Refused("the account's name can't be used".into()))?;
    let store = verifier.store.session(host.id.clone());
    let begun = store.begin(&name).map_err(|error| failed(&error, host, log))?;
    let known = begun.host.as_ref().ok_or_else(no_store)?;
    let key = verdict_key(known).ok_or_else(no_store)?;
    if !open.is_signed_by(&key) {
        return Err(unsigned(host, log));
    }
    let subject = subject_of_user(&name);
    let config = policy(verifier, begun.policy.as_deref()).map_err(|error| {
        unusable(&subject, error.reason(), &error.to_string(), log);
        no_store()
    })?;
    let uid = store.load(&name).ok().flatten().map_or(open.uid, |account| account.record.uid);
    let refusal = if !begun.may_ask || !config.fleet.may_ask(&known.groups, name.as_str()) {
        Some(("host_group", "this account is not of this host's groups"))
    } else if !config.fleet.serves_users(&known.groups) {
        Some(("no_self_service", "[fleet] self_service names no group of this host"))
    } else if uid != open.uid {
        Some(("uid_changed", "this host's uid of the account is not the one that the verifiers have"))
    } else {
        None
    };
    if let Some((reason, text)) = refusal {
        Event::new(Kind::CallerRefused, &subject).reason(reason).emit(log);
        return Err(FleetResponse::Refused(text.into()));
    }
    let nonce = random_bytes().map_err(|_| no_store())?;
    Ok(Admitted { key, nonce, caller: Caller { name, uid: open.uid, can_log_in: true }, config })
}

/// The user is known only by what the host says.
fn subject_of_user(name: &Name) -> Subject {
    let name = name.as_str().to_owned();
    Subject { user: name.clone(), service: PROGRAM.into(), by: name, ..Subject::default() }
}

/// Serves the user's request.
fn converse(
    verifier: &Verifier,
    host: &Host,
    admitted: &Admitted,
    line: &mut SessionLine<'_>,
    log: &mut RequestLog,
) {
    let opening = line.receive::<Opening>().and_then(|opening| match opening {
        Opening::Request(request) => Ok((String::new(), request)),
        Opening::Language(language) => Ok((language, line.receive()?)),
    });
    let last = match opening {
        Ok((language, request)) => {
            let last = answer(verifier, host, admitted, line, (&language, request), log);
            alert(verifier, host, log);
            last
        }
        Err(FrameError::Closed) => return,
        Err(error) => Response::Refused(error.to_string()),
    };
    let _ = line.say(&last); // a host that is gone misses it
}

fn answer(
    verifier: &Verifier,
    host: &Host,
    Admitted { caller, config, .. }: &Admitted,
    line: &mut SessionLine<'_>,
    (language, request): (&str, Request),
    log: &mut RequestLog,
) -> Response {
    let (catalogue, turn) = (&catalogue_of(language), WorkPermit::wait(&verifier.work));
    let subject = subject_of_user(&caller.name);
    let store = verifier.store.session(host.id.clone());
    let person = Remote { line, turn: &turn, catalogue, place: Place::caller(host.name()) };
    let mut served = Served { caller, config, store: &store, person, subject: &subject, log };
    served.person.line.last(served.time_for(&request));
    let done = match request {
        // Nothing else proves anything here: no password of the host's, and never a uid.
        Request::Enroll { label } => {
            let place = config.issuer_on(&self::host_name());
            served.enroll(&Label::new(&label), Authority::TokenCode, &place)
        }
        request => served.look_after(request),
    };
    match done {
        Ok(done) => return done,
        Err(Ended::Refused(why)) => return Response::Refused(catalogue.text(&why).into()),
        Err(Ended::Logged) => {}
        Err(Ended::Broken(error)) => report(&error, host, &subject, log),
        Err(Ended::Other(detail)) => unusable(&subject, "internal_error", &detail, log),
    }
    Response::Failed(catalogue.text(&text::UNAVAILABLE).into())
}

fn report(error: &StoreError, host: &Host, subject: &Subject, log: &mut RequestLog) {
    match FleetError::of(error) {
        Some(error @ (FleetError::HostUnknown(_) | FleetError::HostHeld(_) | FleetError::HostRevoked(_))) => {
            refuse(host.name(), error.reason(), log);
        }
        Some(error) => unavailable(error.reason(), &error.to_string(), host, log),
        None => broken(subject, error, log),
    }
}

/// The way to the user, through the relay and the broker of their host.
struct SessionLine<'a> {
    stream: &'a mut ServerStream,
    tunnel: Option<Tunnel>,
    all: Deadline,
}

impl SessionLine<'_> {
    /// From now on all messages are sealed.
    fn seal(&mut self, tunnel: Tunnel) {
        self.tunnel = Some(tunnel);
    }

    fn send(&mut self, frame: &SessionFrame) -> Result<(), FrameError> {
        self.stream.sock.last(FRAME_TIME);
        send(self.stream, frame)?;
        Ok(self.stream.flush()?)
    }

    fn receive<M: Message>(&mut self) -> Result<M, FrameError> {
        if !wait(self.stream, self.all.left()) {
            return Err(FrameError::Timeout);
        }
        self.stream.sock.last(FRAME_TIME);
        let frame = receive(self.stream)?;
        self.tunnel.as_mut().ok_or(FrameError::Closed)?.open(frame)
    }
}

impl UserChannel for SessionLine<'_> {
    fn say(&mut self, response: &Response) -> Result<(), FrameError> {
        let sealed = self.tunnel.as_mut().ok_or(FrameError::Closed)?.seal(response)?;
        self.send(&sealed)
    }

    fn hear(&mut self) -> Result<CallerAnswer, FrameError> {
        self.receive()
    }

    fn last(&mut self, limit: Duration) {
        self.all = Deadline::after(limit);
    }
}
