//! One connection, from its request to its last word.

use crate::PROGRAM;
use crate::caller::Caller;
use crate::remote::Remote;
use crate::request::{Ended, Served};
use qrtotp_core::audit::{AuditSink, Event, Kind, Subject};
use qrtotp_core::flow::UNAVAILABLE;
use qrtotp_core::policy::Source;
use qrtotp_core::store::{FileStore, StoreError};
use qrtotp_core::wire::{FrameError, Line, Request, Say};
use qrtotp_face::Syslog;
use std::path::Path;
use std::time::Duration;

/// Serves whoever the kernel says is `uid`. The request must come at once; then the person has time.
pub fn serve(line: &mut Line, uid: u32, config: &Path, pam_time: Duration) {
    let last = match line.receive::<Request>() {
        Ok(request) => answer(line, uid, config, pam_time, request),
        Err(FrameError::Closed) => return,
        Err(error) => Say::Refused(error.to_string()),
    };
    let _ = line.send(&last); // who is gone does not want to know
}

fn answer(line: &mut Line, uid: u32, config: &Path, pam_time: Duration, request: Request) -> Say {
    let caller = match Caller::identify(uid) {
        Ok(caller) => caller,
        Err(why) => return Say::Refused(why.into()),
    };
    let account = match caller.account(request.user()) {
        Ok(account) => account,
        Err(why) => return Say::Refused(why),
    };
    let subject = Subject {
        user: account.name.as_str().to_owned(),
        service: PROGRAM.into(),
        by: caller.name.as_str().to_owned(),
        ..Subject::default()
    };
    let mut log = Syslog::open(PROGRAM);
    let source = match Source::load(config) {
        Ok(source) => source,
        Err(error) => return unusable(&subject, error.reason(), &error.to_string(), &mut log),
    };
    // Never made here: what is missing may be a disk that is not mounted.
    let store = match FileStore::open(&source.config.state_dir.0, &source.dir_path) {
        Ok(store) => store,
        Err(error) => return broken(&subject, &error, &mut log),
    };
    let served = Served {
        caller: &caller,
        account: &account,
        config: &source.config,
        pam_time,
        store: &store,
        person: Remote(line),
        subject: &subject,
        log: &mut log,
    };
    match served.handle(request) {
        Ok(done) => done,
        Err(Ended::Refused(text)) => Say::Refused(text),
        Err(Ended::Logged) => Say::Failed(UNAVAILABLE.into()),
        Err(Ended::Broken(error)) => broken(&subject, &error, &mut log),
        Err(Ended::Other(detail)) => unusable(&subject, "internal_error", &detail, &mut log),
    }
}

fn broken(subject: &Subject, error: &StoreError, log: &mut impl AuditSink) -> Say {
    if error.is_record_fault() {
        Event::new(Kind::RecordDamaged, subject).reason(error.reason()).detail(&error.to_string()).emit(log);
        return Say::Failed(UNAVAILABLE.into());
    }
    unusable(subject, error.reason(), &error.to_string(), log)
}

/// The administrator reads why in the log; everybody else only hears that it is so.
fn unusable(subject: &Subject, reason: &str, detail: &str, log: &mut impl AuditSink) -> Say {
    Event::new(Kind::ConfigurationRefused, subject).reason(reason).detail(detail).emit(log);
    Say::Failed(UNAVAILABLE.into())
}
