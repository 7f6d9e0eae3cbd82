//! Callers whose account is a fleet's: a verifier is their broker. This host's says who they are, and carries
//! the conversation to it through the relay.

use crate::caller::{Away, Caller};
use crate::log::Log;
use crate::tunnel::Tunnel;
use qrtotp_audit::{Event, Kind, Subject, Verdict};
use qrtotp_fleet_tls::hex;
use qrtotp_frames::{
    FleetResponse, FrameError, OpenSession, SessionEnd, SessionFrame, Signed as _, Unavailable,
    VERDICT_KEY_LEN, VerdictKey, wait_for_either,
};
use qrtotp_messages::{Catalogue, Message, text};
use qrtotp_otp::random_bytes;
use qrtotp_policy::ConfigFile;
use qrtotp_wire::{
    CallerAnswer, ConnectError, Connection, Opening, RELAY_SOCKET, Request, Response, connect_relay,
};
use std::path::Path;
use std::time::Duration;

/// How long a verifier may take to take part: the relay tries one after the other.
const OPEN: Duration = Duration::from_secs(3);
/// How long a conversation may take in all. The verifier, which knows the fleet's policy, ends it earlier.
const ALL: Duration = Duration::from_secs(2 * 3600);

/// A caller whose account is the fleet's.
pub struct OfFleet<'a> {
    pub caller: &'a Caller,
    pub source: &'a ConfigFile,
    pub catalogue: &'a Catalogue,
    pub subject: &'a Subject,
}

/// Why there was no conversation, or only a part of one.
struct Broken {
    reason: &'static str,
    detail: String,
    /// For the caller. Texts that no verifier has sealed are for the log only.
    message: Message,
}

impl Broken {
    fn new(reason: &'static str, detail: &str, message: Message) -> Self {
        Self { reason, detail: detail.to_owned(), message }
    }

    fn lost(error: FrameError) -> Self {
        Self::new("fleet_lost", &error.to_string(), text::FLEET_LOST)
    }
}

impl OfFleet<'_> {
    /// Carries the conversation about `request` to a verifier; returns the caller's last message.
    pub fn carry(&self, line: &mut Connection, language: &str, request: Request, log: &mut Log) -> Response {
        if !self.caller.can_log_in {
            return Response::Refused(self.catalogue.text(&Away::NoAccount.message()).into());
        }
        if matches!(request, Request::Verify { .. }) {
            let text = "the broker verifies no codes of a fleet's account; an application that runs as root asks the fleet";
            return Response::Refused(text.into());
        }
        let (word, is_quiet) = (word_of(&request), request.asks_nothing());
        let mut attempt = String::new();
        let response = self.session(line, language, request, &mut attempt);
        if !(is_quiet && matches!(response, Ok(Response::Done(_)))) {
            self.report(word, &attempt, &response, log);
        }
        response.unwrap_or_else(|broken| {
            let text = self.catalogue.text(&broken.message).into();
            if broken.reason == "fleet_refused" { Response::Refused(text) } else { Response::Failed(text) }
        })
    }

    /// Logs the end of a conversation. The verifier has logged its steps with the same attempt.
    fn report(&self, word: &str, attempt: &str, response: &Result<Response, Broken>, log: &mut Log) {
        let (verdict, reason, why) = match response {
            Ok(Response::Done(_)) => (Verdict::Accepted, "done", String::new()),
            Ok(Response::Refused(_)) => (Verdict::Denied, "refused", String::new()),
            Ok(_) => (Verdict::Denied, "failed", String::new()),
            Err(broken) => (Verdict::Denied, broken.reason, format!(": {}", broken.detail)),
        };
        let detail = format!("{word}, attempt {attempt}{why}");
        Event::decision(Kind::FleetRequest, self.subject, verdict, reason).detail(&detail).emit(log);
    }

    fn session(
        &self,
        line: &mut Connection,
        language: &str,
        request: Request,
        attempt: &mut String,
    ) -> Result<Response, Broken> {
        let (mut relay, mut tunnel) = self.open(attempt)?;
        relay.last(ALL);
        line.last(ALL);
        if !language.is_empty() {
            pass(&mut relay, &mut tunnel, &Opening::Language(language.to_owned()))?;
        }
        pass(&mut relay, &mut tunnel, &Opening::Request(request))?;
        loop {
            let ready = wait_for_either(&relay, line, ALL).map_err(|error| Broken::lost(error.into()))?;
            let [relay_ready, caller_ready] = ready;
            if relay_ready {
                let frame = relay.receive::<SessionFrame>().map_err(Broken::lost)?;
                let response = tunnel.open::<Response>(frame).map_err(Broken::lost)?;
                if is_last(&response) {
                    return Ok(response);
                }
                // If the caller is gone, the end of its connection is seen next.
                let _ = line.send(&response);
            } else if caller_ready {
                let gone =
                    |error: FrameError| Broken::new("caller_gone", &error.to_string(), Message::default());
                let answer = line.receive::<CallerAnswer>().map_err(gone)?;
                pass(&mut relay, &mut tunnel, &answer)?;
            } else {
                return Err(Broken::lost(FrameError::Timeout));
            }
        }
    }

    /// Reaches a verifier that takes part.
    fn open(&self, shown: &mut String) -> Result<(Connection, Tunnel), Broken> {
        let unavailable = |reason, detail: &str| Broken::new(reason, detail, text::UNAVAILABLE);
        let absent = |detail: &str| Broken::new("fleet_timeout", detail, text::FLEET_NOT_REACHED);
        let attempt = random_bytes().map_err(|error| unavailable("internal_error", &error.to_string()))?;
        *shown = hex(&attempt);
        let key = self.source.read_key_beside("verdict.key", VERDICT_KEY_LEN).ok().and_then(VerdictKey::new);
        let key = key.ok_or_else(|| {
            let detail = "root's verdict.key is missing or open to others; run `qrtotp fleet join`";
            unavailable("fleet_key", detail)
        })?;
        let account = self.caller.name.as_str().to_owned();
        let mut open = OpenSession { attempt, account, uid: self.caller.uid, tag: [0; 32] };
        open.sign(&key).map_err(|error| unavailable("internal_error", &error.to_string()))?;
        let relay = connect_relay(Path::new(RELAY_SOCKET), OPEN);
        let mut relay = relay.map_err(|error| match error {
            ConnectError::Absent => {
                absent("qrtotp-relay does not run: systemctl enable --now qrtotp-relay.socket")
            }
            other => absent(&other.to_string()),
        })?;
        relay.request(&open).map_err(|error| absent(&error.to_string()))?;
        match relay.receive().map_err(|error| absent(&error.to_string()))? {
            SessionFrame::Opened(nonce) => {
                let tunnel = Tunnel::new(&key, &open.tag, &nonce, SessionEnd::Host);
                Ok((relay, tunnel))
            }
            SessionFrame::Ended(FleetResponse::Refused(why)) => {
                Err(Broken::new("fleet_refused", &why, text::FLEET_REFUSES))
            }
            SessionFrame::Ended(FleetResponse::Unavailable(Unavailable::Busy)) => {
                Err(Broken::new("fleet_busy", "too many conversations at once", text::TOO_MANY_CALLERS))
            }
            _ => Err(absent("no verifier takes part; `qrtotp fleet status` says which can be reached")),
        }
    }
}

fn pass(
    relay: &mut Connection,
    tunnel: &mut Tunnel,
    message: &impl qrtotp_frames::Message,
) -> Result<(), Broken> {
    tunnel.seal(message).and_then(|sealed| relay.send(&sealed)).map_err(Broken::lost)
}

fn is_last(response: &Response) -> bool {
    matches!(response, Response::Done(_) | Response::Refused(_) | Response::Failed(_) | Response::Verdict(_))
}

/// The request's word in the log.
fn word_of(request: &Request) -> &'static str {
    match request {
        Request::Enroll { .. } => "enroll",
        Request::Status { .. } => "status",
        Request::Verify { .. } => "verify",
        Request::Regenerate => "recovery",
        Request::Revoke { .. } => "revoke",
        Request::Devices { .. } => "list",
        Request::Rename { .. } => "rename",
        Request::Resync => "resync",
    }
}
