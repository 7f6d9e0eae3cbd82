//! The primary factor: the broker asks for the password, counts the guess, and has libpam check it in a
//! child, a new process of this program behind a socket (see `pam.rs`).

use crate::PROGRAM;
use crate::remote::Remote;
use crate::served::Ended;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use qrtotp_account::Gate;
use qrtotp_audit::{AuditSink, Event, Kind, Subject, Verdict};
use qrtotp_clock::{Answered, Clock, Deadline, SystemClock};
use qrtotp_flow::{Dialog, Echo, Guess, NoAnswer, PrimaryThrottle, REFUSAL_PERIOD, Typed, Unproven};
use qrtotp_messages::text;
use qrtotp_policy::check_proof_service;
use qrtotp_store::StoreError;
use qrtotp_wire::{CallerAnswer, Connection, Response};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// Why the primary factor is not proven.
enum Refusal {
    /// The password is wrong.
    Wrong,
    /// The password is right, but the account may not log in, and why.
    Account(String),
    /// The caller gave no answer.
    NoAnswer,
    /// PAM failed, or its result proves nothing.
    Unavailable(String),
    /// Too many wrong passwords before.
    Barred(Gate, u32),
    Store(StoreError),
}

/// A child that is killed with its own children when dropped.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Its pid, and so its group's id, can't be reused before the wait.
        if let Ok(group) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// A check of the primary factor of `throttle.name`.
pub struct Check<'a, 'line> {
    throttle: PrimaryThrottle<'a>,
    time: Duration,
    person: &'a mut Remote<'line>,
    answered: Option<Answered>,
    /// The account's failures with this one; `None`: this one was not counted.
    failures: Option<u32>,
}

impl<'a, 'line> Check<'a, 'line> {
    /// The user may take `time` for the answer, and PAM as long for the check.
    pub fn new(throttle: PrimaryThrottle<'a>, time: Duration, person: &'a mut Remote<'line>) -> Self {
        Self { throttle, time, person, answered: None, failures: None }
    }

    /// Asks for the password and has it checked. A refusal is logged at once, but reported at a fixed time
    /// after the answer.
    pub fn run(mut self, subject: &Subject, log: &mut dyn AuditSink) -> Result<(), Ended> {
        let proven = self.prove();
        let ended = match proven {
            Ok(()) => self.throttle.lift(subject, log).map_err(Ended::from),
            Err(refusal) => Err(self.refuse(refusal, subject, log)),
        };
        if let (Err(_), Some(answered)) = (&ended, self.answered) {
            self.person.wait(answered.until_multiple_of(REFUSAL_PERIOD));
        }
        ended
    }

    fn prove(&mut self) -> Result<(), Refusal> {
        if let (gate @ (Gate::Wait(_) | Gate::Disabled), failures) = self.throttle.gate(SystemClock.now())? {
            return Err(Refusal::Barred(gate, failures)); // before the user types a password for nothing
        }
        check_proof_service().map_err(|error| Refusal::Unavailable(error.to_string()))?;
        self.person.line.last(self.time);
        let password =
            self.person.ask(text::ASK_PASSWORD, Echo::Off).map_err(|NoAnswer| Refusal::NoAnswer)?;
        self.answered = Some(Answered::now());
        self.prove_answer(password)
    }

    /// Has a password checked that is already here, as part of the caller's login.
    pub fn run_with(
        mut self,
        password: &[u8],
        subject: &Subject,
        log: &mut dyn AuditSink,
    ) -> Result<(), Unproven> {
        let proven = check_proof_service()
            .map_err(|error| Refusal::Unavailable(error.to_string()))
            .and_then(|()| self.prove_answer(Zeroizing::new(password.to_vec())));
        let proven = proven.and_then(|()| Ok(self.throttle.lift(subject, log)?));
        if let (Err(_), Some(failures)) = (&proven, self.failures) {
            self.throttle.report(failures, subject, log);
        }
        proven.map_err(Unproven::from)
    }

    fn prove_answer(&mut self, password: Typed) -> Result<(), Refusal> {
        // Counted before it is checked, even if the caller or the broker goes away in between.
        match self.throttle.count(SystemClock.now())? {
            Guess::Counted(failures) => self.failures = Some(failures),
            Guess::Barred(gate, failures) => return Err(Refusal::Barred(gate, failures)),
        }
        // Some services accept an empty password as an anonymous login.
        if password.is_empty() {
            return Err(Refusal::Wrong);
        }
        match self.ask_modules(password) {
            Ok(Response::Verdict(Verdict::Accepted)) => Ok(()),
            Ok(Response::Verdict(_)) => Err(Refusal::Wrong),
            Ok(Response::Refused(why)) => {
                Err(Refusal::Account(format!("the account part of the PAM service qrtotp: {why}")))
            }
            Ok(Response::Failed(why)) => Err(Refusal::Unavailable(why)),
            Ok(_) => Err(Refusal::Unavailable("the child's answer makes no sense".into())),
            Err(why) => Err(Refusal::Unavailable(why)),
        }
    }

    /// Has a child check the password.
    fn ask_modules(&self, password: Typed) -> Result<Response, String> {
        let (_child, mut line) =
            start(self.time).map_err(|error| format!("the child can't be started: {error}"))?;
        let name = Zeroizing::new(self.throttle.name.as_str().as_bytes().to_vec());
        let answer = self.person.turn.away(|| {
            line.send(&CallerAnswer::Typed(name))?;
            line.send(&CallerAnswer::Typed(password))?;
            line.receive()
        });
        answer.map_err(|error| format!("the modules of the PAM service qrtotp gave no verdict: {error}"))
    }

    /// Logs a refusal. The caller gets the same reply to a wrong password as to a right one that was not
    /// enough.
    fn refuse(&self, refusal: Refusal, subject: &Subject, log: &mut dyn AuditSink) -> Ended {
        let mut event = Event::new(Kind::EnrollmentRefused, subject);
        if let Some(failures) = self.failures {
            self.throttle.report(failures, subject, log);
            event = event.failures(failures);
        }
        match refusal {
            Refusal::Store(error) => return Ended::Broken(error),
            Refusal::Barred(Gate::Wait(seconds), failures) => {
                event.reason("primary_factor_throttled").failures(failures).wait(seconds).emit(log);
                return Ended::Refused(text::wrong_passwords_wait(&seconds));
            }
            Refusal::Barred(_, failures) => {
                event.reason("primary_factor_disabled").failures(failures).emit(log);
                return Ended::Refused(text::WRONG_PASSWORDS_DISABLED);
            }
            Refusal::Wrong => event.reason("primary_factor").emit(log),
            Refusal::Account(why) => event.reason("account_refused").detail(&why).emit(log),
            Refusal::NoAnswer => event.reason("no_answer").emit(log),
            Refusal::Unavailable(why) => event.reason("primary_factor_unavailable").detail(&why).emit(log),
        }
        Ended::Refused(text::NEEDS_PASSWORD_OR_TOKEN)
    }
}

impl From<Refusal> for Unproven {
    fn from(refusal: Refusal) -> Self {
        let (reason, detail) = match refusal {
            Refusal::Wrong | Refusal::NoAnswer => ("primary_factor", String::new()),
            Refusal::Account(why) => ("account_refused", why),
            Refusal::Unavailable(why) => ("primary_factor_unavailable", why),
            Refusal::Barred(Gate::Wait(seconds), _) => {
                ("primary_factor_throttled", format!("the next one is checked in {seconds} s"))
            }
            Refusal::Barred(..) => ("primary_factor_disabled", "`qrtotp unlock` lifts it".into()),
            Refusal::Store(error) => (error.reason(), error.to_string()),
        };
        Self { reason, detail }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Starts the child and returns our end of the socket to it. It leads a process group, which includes any
/// process that its modules start.
fn start(time: Duration) -> std::io::Result<(Reaped, Connection)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg0(PROGRAM) // the name that PAM modules log
        .arg("--primary-factor")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((Reaped(child), Connection::new(ours.into(), Deadline::after(time))))
}
