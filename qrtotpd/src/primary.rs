//! The primary factor, checked by libpam for the service `qrtotp`. PAM modules are other people's code, slow at times
//! and not made for a process that serves many: they run in a child, this program anew, at the other end of a socket.

use crate::PROGRAM;
use crate::remote::Remote;
use crate::request::Ended;
use crate::request_store::RequestStore;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use qrtotp_core::account::{Gate, Name};
use qrtotp_core::audit::{AuditSink, Event, Kind, Subject, Verdict};
use qrtotp_core::clock::{Clock, Deadline, SystemClock};
use qrtotp_core::flow::{Dialog, Guess, PrimaryThrottle};
use qrtotp_core::policy::check_proof_service;
use qrtotp_core::store::StoreError;
use qrtotp_core::wire::{Answer, Line, Say};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Why the primary factor does not hold. Whatever it is: denied.
enum Refusal {
    /// PAM said no.
    Wrong,
    /// PAM said no, but not to the password: the account may not log in, and why. The caller hears the same.
    Account(String),
    /// The person did.
    NoAnswer,
    /// PAM could not be asked.
    Unavailable(String),
    /// Too many wrong ones before.
    Barred(Gate, u32),
    Store(StoreError),
}

/// A child that does not outlive us, nor do its children.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Its pid, and so its group's id, is nobody else's before the wait.
        if let Ok(group) = i32::try_from(self.0.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// A check of the primary factor of `throttle.name`.
pub struct Check<'a, 'line> {
    throttle: PrimaryThrottle<'a, RequestStore<'a>>,
    time: Duration,
    person: &'a mut Remote<'line>,
    /// Answers that were given to the modules, and the failures with them.
    guesses: u32,
    failures: u32,
}

impl<'a, 'line> Check<'a, 'line> {
    pub fn new(
        throttle: PrimaryThrottle<'a, RequestStore<'a>>,
        time: Duration,
        person: &'a mut Remote<'line>,
    ) -> Self {
        Self { throttle, time, person, guesses: 0, failures: 0 }
    }

    /// Asks the person what the service's modules ask, and puts what came of it into the log.
    pub fn run(mut self, subject: &Subject, log: &mut impl AuditSink) -> Result<(), Ended> {
        let outcome = self.ask();
        if self.guesses > 0 && outcome.is_err() {
            self.throttle.report(self.failures, self.guesses, subject, log);
        }
        let refused = Event::new(Kind::EnrollmentRefused, subject);
        let usual = "enrolling needs your password, or a token with a code from an administrator";
        let (event, text) = match &outcome {
            Ok(()) => return Ok(self.throttle.lift(self.guesses, subject, log)?),
            Err(Refusal::Store(_)) => return outcome.map_err(Ended::from),
            Err(Refusal::Wrong) => (refused.reason("primary_factor").failures(self.failures), usual.into()),
            Err(Refusal::Account(why)) => {
                (refused.reason("account_refused").failures(self.failures).detail(why), usual.into())
            }
            Err(Refusal::NoAnswer) => (refused.reason("no_answer"), usual.into()),
            Err(Refusal::Unavailable(why)) => {
                (refused.reason("primary_factor_unavailable").detail(why), usual.into())
            }
            Err(Refusal::Barred(Gate::Wait(seconds), failures)) => (
                refused.reason("primary_factor_throttled").failures(*failures).wait(*seconds),
                format!("too many wrong passwords; try again in {seconds} s"),
            ),
            Err(Refusal::Barred(_, failures)) => (
                refused.reason("primary_factor_disabled").failures(*failures),
                "too many wrong passwords; an administrator has to unlock that, or issue a token".into(),
            ),
        };
        event.emit(log);
        Err(Ended::Refused(text))
    }

    fn ask(&mut self) -> Result<(), Refusal> {
        if let (gate @ (Gate::Wait(_) | Gate::Disabled), failures) = self.throttle.gate(SystemClock.now())? {
            return Err(Refusal::Barred(gate, failures)); // before somebody types a password for nothing
        }
        self.person.line.last(self.time); // whoever sits at a question holds a child
        check_proof_service().map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let (_child, mut modules) = start(self.throttle.name, self.time)
            .map_err(|error| Refusal::Unavailable(format!("the child can't be started: {error}")))?;
        loop {
            match self.person.turn.away(|| modules.receive()) {
                Ok(Say::Verdict(Verdict::Accepted)) => return Ok(()),
                Ok(Say::Verdict(_)) => return Err(Refusal::Wrong),
                Ok(Say::Refused(why)) => {
                    let why = format!("the account part of the PAM service qrtotp: {why}");
                    return Err(Refusal::Account(why));
                }
                Ok(Say::Show(text)) => self.person.show(&text),
                Ok(Say::Ask { prompt, echo }) => {
                    let typed = self.person.ask(&prompt, echo).map_err(|_| Refusal::NoAnswer)?;
                    self.count()?;
                    modules.send(&Answer::Typed(typed)).map_err(|error| broken_off(error.to_string()))?;
                }
                Ok(_) => return Err(broken_off("it said what makes no sense".into())),
                Err(error) => return Err(broken_off(error.to_string())),
            }
        }
    }

    /// Whoever is gone by now is counted, too.
    fn count(&mut self) -> Result<(), Refusal> {
        match self.throttle.count(SystemClock.now(), self.guesses > 0)? {
            Guess::Counted(failures) => {
                self.guesses += 1;
                self.failures = failures;
                Ok(())
            }
            Guess::Barred(gate, failures) => Err(Refusal::Barred(gate, failures)),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => Self::Broken(error),
            _ => Self::Logged,
        }
    }
}

fn broken_off(why: String) -> Refusal {
    Refusal::Unavailable(format!("the modules of the PAM service qrtotp gave no verdict: {why}"))
}

/// The child, and our end of the socket to it. It leads a process group, for what its modules may start.
fn start(name: &Name, time: Duration) -> std::io::Result<(Reaped, Line)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg0(PROGRAM) // what PAM modules call us in the log
        .arg("--primary-factor")
        .arg(name.as_str())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((Reaped(child), Line::new(ours.into(), Deadline::after(time))))
}
