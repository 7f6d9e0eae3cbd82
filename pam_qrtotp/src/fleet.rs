//! Logins at a host of a fleet: the verifiers decide, and the relay carries the request there. This host's
//! store is opened only for break-glass codes, while no verifier answers.

use crate::host::{Host, Log};
use crate::unprivileged::passed;
use qrtotp_audit::{Event, Subject, Verdict};
use qrtotp_clock::SystemClock;
use qrtotp_flow::{
    Ctx, Dialog, Directory, FirstPass, HostDirectory, LoginHost, NOBODY, Options, Outcome, Person, Typed,
    Unproven, ask_code, verify_offline,
};
use qrtotp_messages::text;
use qrtotp_otp::random_bytes;
use qrtotp_policy::ConfigFile;
use qrtotp_wire::{
    ConnectError, Facts, FleetResponse, RELAY_SOCKET, Signed as _, Unavailable, VERDICT_KEY_LEN, VerdictKey,
    VerifyError, VerifyForHost, ask_relay,
};
use std::path::Path;
use std::time::Duration;

/// How long a verdict may take.
const LIMIT: Duration = Duration::from_secs(3);
/// The key that this host's root shares with the verifiers, beside the configuration.
const KEY_FILE: &str = "verdict.key";
/// Longest list of accepted ssh keys that is passed on, in bytes.
const KEYS: usize = 4096;
const WAY_OUT: &str = "`qrtotp fleet status` says which verifiers can be reached; break-glass codes and accounts of [fleet] local need none";
const ATTEMPT: &str = "attempt ";
/// The reason if no verifier answers.
const TIMEOUT: &str = "fleet_timeout";

/// Whether the fleet decides, and the user as this host knows them.
pub(crate) fn decides(source: &ConfigFile, subject: &Subject) -> Option<Result<Option<Person>, Unproven>> {
    let fleet = &source.config.fleet;
    fleet.name.as_ref()?;
    match HostDirectory.find(&subject.user) {
        Ok(person) if person.as_ref().is_none_or(|person| fleet.decides(&person.name)) => Some(Ok(person)),
        Ok(_) => None,
        Err(error) => Some(Err(Unproven { reason: "lookup_failed", detail: error.to_string() })),
    }
}

/// Asks for a code and has a verifier decide. The verifier records the account's `login` event with the
/// attempt's id, and we do for this host.
pub(crate) fn authenticate(
    host: &mut Host<'_>,
    log: &mut Log,
    subject: &Subject,
    source: &ConfigFile,
    options: &Options,
    person: Result<Option<Person>, Unproven>,
) -> Outcome {
    let user = match &person {
        Ok(Some(person)) => person.name.clone(),
        _ => NOBODY.to_owned(),
    };
    let subject = &Subject { user, ..subject.clone() };
    let (mut attempt, mut typed) = (String::from(ATTEMPT), None);
    let known = person.as_ref().ok().cloned().flatten();
    let decided =
        person.and_then(|person| ask(host, subject, source, options, person, (&mut attempt, &mut typed)));
    let is_alone = matches!(&decided, Err(Unproven { reason: TIMEOUT, .. }));
    if let (true, Some(person), Some(typed)) = (is_alone, known, typed)
        && let Some(outcome) = break_glass(host, log, subject, source, &person, &typed)
    {
        return outcome;
    }
    let decided = decided.and_then(|verdict| Ok((verdict, passed(host, verdict)?)));
    let (verdict, outcome, reason, detail) = match decided {
        Ok((verdict, outcome)) => (verdict, outcome, "fleet", attempt),
        Err(Unproven { reason, detail }) => {
            host.show(if is_alone { text::NO_VERIFIER } else { text::UNAVAILABLE });
            (Verdict::Denied, Outcome::Denied, reason, detail)
        }
    };
    Event::login(subject, verdict, reason).detail(&detail).emit(log);
    outcome
}

/// Takes a break-glass code of this host. `None`: the answer is none, and nothing was logged.
fn break_glass(
    host: &Host<'_>,
    log: &mut Log,
    subject: &Subject,
    source: &ConfigFile,
    person: &Person,
    typed: &[u8],
) -> Option<Outcome> {
    let store = Some(source.open_store().ok()?).filter(|_| host.is_same_user())?;
    let mut ctx = Ctx {
        config: &source.config,
        store: &store,
        directory: &HostDirectory,
        clock: &SystemClock,
        audit: log,
        subject: subject.clone(),
    };
    let accepted = verify_offline(&mut ctx, host, person, typed).ok()??;
    Some(if accepted { Outcome::Accepted } else { Outcome::Denied })
}

/// An error: no verdict.
fn ask(
    host: &mut Host<'_>,
    subject: &Subject,
    source: &ConfigFile,
    options: &Options,
    person: Option<Person>,
    (shown, typed): (&mut String, &mut Option<Typed>),
) -> Result<Verdict, Unproven> {
    if options.first_pass == FirstPass::Forward {
        let detail = "a verifier can't prove this host's passwords; leave out forward_pass".into();
        return Err(Unproven { reason: "arguments_invalid", detail });
    }
    let key = source.read_key_beside(KEY_FILE, VERDICT_KEY_LEN).ok().and_then(VerdictKey::new).ok_or_else(
        || {
            let detail = "root's verdict.key is missing or open to others; run `qrtotp fleet join`".into();
            Unproven { reason: "fleet_key", detail }
        },
    )?;
    let password = host.password();
    let has_keys = source.config.enroll.key_services.iter().any(|service| *service == subject.service);
    let keys = if has_keys { host.ssh_auth_info() } else { None };
    let facts = Facts {
        service: subject.service.clone(),
        tty: subject.tty.clone(),
        rhost: subject.rhost.clone(),
        nullok: options.nullok,
        password: password.is_some(),
        keys: keys.filter(|keys| keys.len() <= KEYS).unwrap_or_default(),
    };
    let (account, uid) = person.map_or((String::new(), u32::MAX), |person| (person.name, person.uid));
    let answer = Typed::new(Vec::new());
    let mut request = VerifyForHost { attempt: [0; 16], account, uid, facts, answer, tag: [0; 32] };
    // An earlier code may be enough.
    if source.config.fleet.remember
        && let Ok(verdict @ (Verdict::Accepted | Verdict::Ignored)) = decide(&mut request, &key, shown)
    {
        return Ok(verdict);
    }
    request.answer = ask_code(host, options, text::QUESTION, password.as_ref())?;
    *typed = Some(request.answer.clone());
    decide(&mut request, &key, shown)
}

/// The verifiers' verdict on a request, as a new attempt.
fn decide(request: &mut VerifyForHost, key: &VerdictKey, shown: &mut String) -> Result<Verdict, Unproven> {
    request.attempt = random_bytes::<16>().map_err(|error| broken(error.to_string()))?;
    shown.truncate(ATTEMPT.len());
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('?');
    request.attempt.iter().for_each(|byte| shown.extend([digit(byte >> 4), digit(byte & 15)]));
    request.sign(key).map_err(|error| broken(error.to_string()))?;
    let tag = request.tag;
    let response = ask_relay(Path::new(RELAY_SOCKET), request, LIMIT);
    match response {
        Ok(FleetResponse::Verdict(verdict, signature)) if key.has_signed(&tag, verdict, &signature) => {
            Ok(verdict)
        }
        Ok(FleetResponse::Verdict(..)) => {
            let detail = "the relay passed on a verdict that no verifier has signed; take this host off the network, and look into qrtotp-relay";
            Err(Unproven { reason: "fleet_forged", detail: detail.into() })
        }
        Ok(FleetResponse::Refused(text)) => Err(Unproven { reason: "fleet_refused", detail: text }),
        Ok(FleetResponse::Unavailable(Unavailable::Busy)) => {
            let detail = "too many logins of this account at once".into();
            Err(Unproven { reason: "fleet_busy", detail })
        }
        Ok(_) => Err(timeout("no verifier can decide now")),
        Err(VerifyError::Connect(ConnectError::Absent)) => {
            Err(timeout("qrtotp-relay does not run: systemctl enable --now qrtotp-relay.socket"))
        }
        Err(_) => Err(timeout("no verdict came in time")),
    }
}

fn timeout(why: &str) -> Unproven {
    Unproven { reason: TIMEOUT, detail: format!("{why}; {WAY_OUT}") }
}

fn broken(detail: String) -> Unproven {
    Unproven { reason: "internal_error", detail }
}
