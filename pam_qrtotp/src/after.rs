//! What comes after the auth part: the account part, in which people enrol, and the session part, its last bar.

use crate::host::{self, Host, Log};
use crate::{mark, refuse, subject_now};
use nix::unistd::{geteuid, getuid};
use pam::constants::{PAM_SILENT, PamFlag};
use pam::module::PamHandle;
use qrtotp_core::account::Name;
use qrtotp_core::audit::{AuditSink, Event, Kind, Subject, Verdict};
use qrtotp_core::clock::{Clock, SystemClock};
use qrtotp_core::flow::{
    self, AccountPart, Args, Directory, Due, HostDirectory, Mark, Outcome, Person, host_name,
};
use qrtotp_core::policy::Source;
use qrtotp_core::store::{FileStore, Store, StoreError};
use std::ffi::CStr;

/// Who needs no other way in.
const ROOT: &str = "root";
/// Services of util-linux's su and runuser, which keep the caller's uid.
const SU: [&str; 4] = ["su", "su-l", "runuser", "runuser-l"];

/// The account part. Nearly always there is nothing to do.
pub(crate) fn account(pamh: &mut PamHandle, words: &[&CStr], flags: PamFlag) -> Outcome {
    let unasked = goes_by_memory(pamh);
    mark::remember_us(pamh);
    let due = mark::is_enrollment_due(pamh);
    let mark = mark::read(pamh);
    if mark.is_none() && !due {
        return if unasked { look_back(pamh, words) } else { Outcome::Ignored };
    }
    let remembers = !host::is_sshd(pamh);
    let mut log = Log::new(pamh);
    let subject = subject_now(pamh);
    let mut host = Host::new(pamh, flags & PAM_SILENT != 0, &subject.user);
    let Some(mark) = mark else {
        let detail = "the mark of an enrolment is in the PAM environment only";
        return refuse(&mut host, &mut log, &subject, "internal_error", detail);
    };
    let opened = match mark.due {
        // sudo-rs remembers who was let pass before it comes here, sudo whoever this part was left out for.
        Due::Enrollment if remembers => open_and_note(words, &mark),
        Due::Enrollment | Due::RecoveryCodes => open(words),
    };
    let outcome = match opened {
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

/// Whether no part of ours came by before this one, so that the application may go by what it remembers, as sudo does by
/// a time stamp. sshd does not: it authenticates in a process of its own, or by a key alone where that is enough for it.
/// What runs without root gives nobody more than they have, and can't look.
fn goes_by_memory(pamh: &mut PamHandle) -> bool {
    geteuid().is_root() && !mark::came_by(pamh) && !host::is_sshd(pamh)
}

/// Nobody became root to be here: root called, or root's own job runs (cron names no caller). An older su of util-linux names
/// whoever logged in, but is run by the caller.
fn is_roots(subject: &Subject) -> bool {
    let su = SU.contains(&&*subject.service) && getuid().is_root();
    su || subject.by == ROOT || (subject.by.is_empty() && subject.user == ROOT)
}

/// The account part of somebody whom the auth part did not ask. Says nothing: sudo is silent here.
fn look_back(pamh: &mut PamHandle, words: &[&CStr]) -> Outcome {
    let subject = subject_now(pamh);
    if is_roots(&subject) {
        return Outcome::Ignored;
    }
    let (reason, detail) = match open(words)
        .and_then(|(source, store)| was_led_past(&source, &store, &subject.user))
    {
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
    deny(pamh, &subject, reason, &detail)
}

/// Notes who still owes an enrolment: what the application remembers of them now may be good for something that does
/// run the account part. The auth part has made room for it. What fails denies nobody here, for libpam takes no notice of the
/// setcred of a module whose auth part was ignored: the session part bars whoever is marked.
pub(crate) fn note(pamh: &mut PamHandle, words: &[&CStr]) {
    let Some(mark) = mark::of_enrollment(pamh).filter(|_| !host::is_sshd(pamh)) else { return };
    let Err((reason, why)) = open_and_note(words, &mark) else { return };
    let subject = Subject { user: mark.user, ..subject_now(pamh) };
    let detail = format!("the owed enrolment could not be noted, so run `sudo -K` as the user: {why}");
    let event = Event::new(Kind::ConfigurationRefused, &subject).reason(reason).detail(&detail);
    event.emit(&mut Log::new(pamh));
}

/// The session part. Refuses whoever still carries the mark of an enrolment, and those of whom it would be left out.
pub(crate) fn session(pamh: &mut PamHandle, words: &[&CStr]) -> Outcome {
    let mut subject = subject_now(pamh);
    if mark::is_enrollment_due(pamh) {
        note(pamh, words); // not every application has come by setcred; denied they are in any case
        if let Some(mark) = mark::of_enrollment(pamh) {
            subject.user = mark.user; // sudo names whom it becomes by now
        }
    } else {
        // With its account part left out, sudo's time stamp keeps the auth part away, too, the second time.
        if !goes_by_memory(pamh) || is_roots(&subject) {
            return Outcome::Ignored;
        }
        match who_owes(words, &subject) {
            Ok(None) => return Outcome::Ignored,
            Ok(Some(user)) => subject.user = user,
            Err((reason, detail)) => return deny(pamh, &subject, reason, &detail),
        }
    }
    let detail = "the account part of pam_qrtotp.so was left out; see docs/INSTALL.md";
    deny(pamh, &subject, "enrollment_due", detail)
}

/// Refuses without a word to the person.
fn deny(pamh: &mut PamHandle, subject: &Subject, reason: &str, detail: &str) -> Outcome {
    Event::login(subject, Verdict::Denied, reason).detail(detail).emit(&mut Log::new(pamh));
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

/// Who bars somebody that comes by an application's memory alone: they themselves, or whoever may have been asked in their
/// place and was led past an enrolment. PAM no longer knows whom that was: sudo has had the caller's password, the
/// target's (`targetpw`) or root's (`rootpw`, `runaspw`).
fn who_owes(words: &[&CStr], subject: &Subject) -> Result<Option<String>, Fault> {
    let (source, store) = open(words)?;
    let callers = Some(&*subject.by).filter(|caller| !caller.is_empty());
    if let Some(caller) = callers
        && flow::owes_enrollment(&source.config, &store, find(caller)?.as_ref()).map_err(store_failed)?
    {
        return Ok(Some(caller.to_owned()));
    }
    for user in callers.into_iter().chain([&*subject.user, ROOT]) {
        if was_led_past(&source, &store, user)? {
            return Ok(Some(user.to_owned()));
        }
    }
    Ok(None)
}

fn was_led_past(source: &Source, store: &FileStore, user: &str) -> Result<bool, Fault> {
    let Some(person) = find(user)? else { return Ok(false) };
    // Who can't be looked up may be there.
    let there = |name: &Name| {
        find(name.as_str()).map_or(true, |found| found.is_some_and(|found| found.uid == person.uid))
    };
    flow::was_led_past(&source.config, store, Some(&person), there, SystemClock.now()).map_err(store_failed)
}

fn open_and_note(words: &[&CStr], mark: &Mark) -> Result<(Source, FileStore), Fault> {
    let (source, store) = open(words)?;
    let name = Name::new(&mark.user).map_err(|error| ("internal_error", error.to_string()))?;
    store.note_due(&name, mark.uid).map_err(store_failed)?;
    Ok((source, store))
}
