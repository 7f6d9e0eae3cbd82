//! What comes after the auth part: the account part, in which people enrol, and the session part, its last bar.

use crate::host::{Host, Log};
use crate::{mark, refuse, subject_now};
use pam::constants::{PAM_SILENT, PamFlag};
use pam::module::PamHandle;
use qrtotp_core::account::Name;
use qrtotp_core::audit::{AuditSink, Event, Verdict};
use qrtotp_core::clock::SystemClock;
use qrtotp_core::flow::{self, AccountPart, Args, Directory, Due, HostDirectory, Outcome, Person, host_name};
use qrtotp_core::policy::Source;
use qrtotp_core::store::{FileStore, Store, StoreError};
use std::ffi::CStr;

/// Services that ask nothing while a time stamp of theirs holds.
const ASKS_SOMETIMES: [&str; 2] = ["sudo", "sudo-i"];

/// The account part. Nearly always there is nothing to do.
pub(crate) fn account(pamh: &mut PamHandle, words: &[&CStr], flags: PamFlag) -> Outcome {
    let asked = mark::came_by(pamh);
    mark::remember_us(pamh);
    let due = mark::is_enrollment_due(pamh);
    let mark = mark::read(pamh);
    if mark.is_none() && !due {
        return if asked { Outcome::Ignored } else { unasked(pamh, words) };
    }
    let mut log = Log::new(pamh);
    let subject = subject_now(pamh);
    let mut host = Host::new(pamh, flags & PAM_SILENT != 0, &subject.user);
    let Some(mark) = mark else {
        let detail = "the mark of an enrolment is in the PAM environment only";
        return refuse(&mut host, &mut log, &subject, "internal_error", detail);
    };
    let outcome = match open(words) {
        // The code was right; the codes stay owed.
        Err((_, detail)) if mark.due == Due::RecoveryCodes => {
            log.debug(&detail);
            Outcome::Ignored
        }
        Err((reason, detail)) => refuse(&mut host, &mut log, &subject, reason, &detail),
        Ok((source, store)) => AccountPart {
            mark: &mark,
            config: &source.config,
            store: &store,
            directory: &HostDirectory,
            host: &mut host,
            host_name: &host_name(),
            clock: &SystemClock,
            audit: &mut log,
            subject,
        }
        .run(),
    };
    match outcome {
        Outcome::Denied if mark.due == Due::Enrollment => Outcome::Denied,
        _ if mark::clear(pamh).is_err() => Outcome::Denied,
        outcome => outcome,
    }
}

/// The account part of somebody whom the auth part did not ask. Says nothing: sudo is silent here.
fn unasked(pamh: &mut PamHandle, words: &[&CStr]) -> Outcome {
    let subject = subject_now(pamh);
    if !ASKS_SOMETIMES.contains(&&*subject.service) {
        return Outcome::Ignored;
    }
    let mut log = Log::new(pamh);
    let (reason, detail) = match open(words).and_then(|(_, store)| {
        flow::was_led_past(&store, find(&subject.user)?.as_ref()).map_err(store_failed)
    }) {
        Ok(false) => return Outcome::Ignored,
        Ok(true) => {
            let detail = format!(
                "an earlier command was let pass to enrol and ran without our account part, see docs/INSTALL.md; `sudo -k` \
                 makes sudo ask again, `qrtotp unlock {}` forgets it",
                subject.user
            );
            ("enrollment_due", detail)
        }
        Err(fault) => fault,
    };
    Event::login(&subject, Verdict::Denied, reason).detail(&detail).emit(&mut log);
    Outcome::Denied
}

/// The session part. Refuses whoever still carries the mark of an enrolment, and those of whom it would be left out.
pub(crate) fn session(pamh: &mut PamHandle, words: &[&CStr]) -> Outcome {
    let mut subject = subject_now(pamh);
    if let Some(mark) = mark::read(pamh) {
        subject.user = mark.user; // sudo names whom it becomes by now
    }
    let leaves_stamps = ASKS_SOMETIMES.contains(&&*subject.service);
    let mut log = Log::new(pamh);
    if !mark::is_enrollment_due(pamh) {
        // With its account part left out, sudo's time stamp keeps the auth part away, too, the second time.
        if !leaves_stamps || mark::came_by(pamh) {
            return Outcome::Ignored;
        }
        subject.user.clone_from(&subject.by);
        match owes_enrollment(words, &subject.by) {
            Ok(false) => return Outcome::Ignored,
            Ok(true) => {}
            Err((reason, detail)) => {
                Event::login(&subject, Verdict::Denied, reason).detail(&detail).emit(&mut log);
                return Outcome::Denied;
            }
        }
    }
    let mut detail = "the account part of pam_qrtotp.so was left out; see docs/INSTALL.md".to_owned();
    // The time stamp of this command may be good for one that does run the account part.
    if leaves_stamps && let Err((_, why)) = note_due(words, &subject.user) {
        detail.push_str("; this could not be noted, so run `sudo -K` as the user: ");
        detail.push_str(&why);
    }
    Event::login(&subject, Verdict::Denied, "enrollment_due").detail(&detail).emit(&mut log);
    Outcome::Denied
}

/// A word for the log, and what there is to know.
type Fault = (&'static str, String);

fn open(words: &[&CStr]) -> Result<(Source, FileStore), Fault> {
    let args = Args::parse(words).map_err(|error| ("arguments_invalid", error.0))?;
    let source = Source::load(&args.config).map_err(|error| (error.reason(), error.to_string()))?;
    let store = source.open_store().map_err(store_failed)?;
    Ok((source, store))
}

fn store_failed(error: StoreError) -> Fault {
    (error.reason(), error.to_string())
}

fn find(user: &str) -> Result<Option<Person>, Fault> {
    HostDirectory.find(user).map_err(|error| ("lookup_failed", error.to_string()))
}

fn owes_enrollment(words: &[&CStr], user: &str) -> Result<bool, Fault> {
    let (source, store) = open(words)?;
    flow::owes_enrollment(&source.config, &store, find(user)?.as_ref()).map_err(store_failed)
}

fn note_due(words: &[&CStr], user: &str) -> Result<(), Fault> {
    let (_, store) = open(words)?;
    let Some(name) = find(user)?.and_then(|person| Name::new(&person.name).ok()) else { return Ok(()) };
    store.set_due(&name, true).map_err(store_failed)
}
