//! `pam_qrtotp.so`: checks a TOTP or recovery code as one part of a PAM stack.
//!
//! A thin front end of `qrtotp_flow`: PAM's data become owned values, the outcome becomes a PAM code. It
//! starts no thread, keeps no descriptor, writes to no terminal, and a panic in it is a denial.

mod alloc;
#[cfg(not(test))] // tests print backtraces
mod backtrace;
mod fleet;
mod host;
mod unprivileged;

use alloc::{Wiping, wipe_stack};
use host::{Host, Log, subject};
use pam::constants::{PAM_SILENT, PamFlag, PamResultCode};
use pam::items::User;
use pam::module::{PamHandle, PamHooks};
use qrtotp_audit::{AuditSink, Event, Kind, Subject, Verdict};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{
    Args, Ctx, Dialog, HostDirectory, Outcome, account_part, login, looked_up, report_killed_holder,
};
use qrtotp_messages::text;
use qrtotp_policy::{ConfigFile, PROOF_SERVICE};
use std::alloc::System;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

#[global_allocator]
static ALLOCATOR: Wiping<System> = Wiping(System);

/// PAM data of a transaction: whether our auth part let the login pass.
const DECIDED: &str = "qrtotp_decided";

/// Parts of a PAM stack, as pam_syslog names them.
const AUTH: &str = "auth";
const ACCOUNT: &str = "account";

struct QrTotp;

pam::pam_hooks!(QrTotp);

impl PamHooks for QrTotp {
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        if host::is_inner_transaction(pamh) {
            return PamResultCode::PAM_IGNORE;
        }
        guarded(pamh, AUTH, |pamh| {
            // Allocated first: running out of memory after a right code would burn the code for nothing. A
            // refused attempt leaves the flag unset: sshd may try a key next in the same transaction, and
            // then the account part must decide.
            let _ = pamh.set_data(DECIDED, Box::new(AtomicBool::new(false)));
            let outcome = authenticate(pamh, &args, flags);
            host::set_flag(pamh, DECIDED, outcome != Outcome::Denied);
            match outcome {
                Outcome::Accepted => PamResultCode::PAM_SUCCESS,
                Outcome::Denied => PamResultCode::PAM_AUTH_ERR,
                Outcome::Ignored => PamResultCode::PAM_IGNORE,
            }
        })
    }

    /// We hold no credentials of the kind meant here. OpenSSH ends the connection if this fails.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }

    /// For logins in which the auth part did not run.
    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        if host::is_inner_transaction(pamh) || host::flag(pamh, DECIDED) {
            return PamResultCode::PAM_IGNORE;
        }
        guarded(pamh, ACCOUNT, |pamh| match account(pamh, &args, flags) {
            Outcome::Denied => PamResultCode::PAM_PERM_DENIED,
            Outcome::Accepted | Outcome::Ignored => PamResultCode::PAM_IGNORE,
        })
    }

    /// Passwords are not ours to change.
    fn sm_chauthtok(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }

    /// Everything is decided in the auth part.
    fn sm_open_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }

    /// Nothing was opened.
    fn sm_close_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }
}

/// Runs a hook and wipes the stack that it used. A panic becomes a denial and a log line without any of the
/// data.
fn guarded(
    pamh: &mut PamHandle,
    part: &'static str,
    hook: impl FnOnce(&mut PamHandle) -> PamResultCode,
) -> PamResultCode {
    // The usual panic hook would print into the host's terminal. Ours belongs to this image of the module
    // alone.
    std::panic::set_hook(Box::new(|_| {}));
    let code = match catch_unwind(AssertUnwindSafe(|| hook(pamh))) {
        Ok(code) => code,
        Err(payload) => {
            std::mem::forget(payload); // dropping it could panic again
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let subject = subject_now(pamh);
                let mut log = Log::new(pamh, &subject.service, part);
                Event::new(Kind::InternalError, &subject).reason("panic").emit(&mut log);
                Event::login(&subject, Verdict::Denied, "internal_error").emit(&mut log);
            }))
            .map_err(std::mem::forget);
            PamResultCode::PAM_AUTH_ERR
        }
    };
    wipe_stack();
    code
}

fn subject_now(pamh: &mut PamHandle) -> Subject {
    subject(pamh, pamh.get_item::<User<'_>>().ok().flatten().map(|user| user.0))
}

fn authenticate(pamh: &mut PamHandle, words: &[&CStr], flags: PamFlag) -> Outcome {
    let user = pamh.get_user(None);
    let subject = subject(pamh, None);
    let mut log = Log::new(pamh, &subject.service, AUTH);
    let Ok(user) = user else {
        Event::login(&subject, Verdict::Denied, "no_user").emit(&mut log);
        return Outcome::Denied;
    };
    let subject = Subject { user, ..subject };
    let silent = flags & PAM_SILENT != 0;
    let mut host = Host::new(pamh, silent, &subject.user);
    if subject.service == PROOF_SERVICE {
        // A program that lets its callers choose the service would otherwise log them in without a code.
        let detail = "the PAM service qrtotp only proves passwords for enrolments; it admits no login";
        return refuse(&mut host, &mut log, &subject, "proof_service", detail);
    }
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(error) => return refuse(&mut host, &mut log, &subject, "arguments_invalid", &error.0),
    };
    log.set_debug(args.debug);
    host.speak(args.language.as_deref());
    let source = match ConfigFile::load(&args.config, SystemClock.now()) {
        Ok(source) => source,
        Err(error) if unprivileged::config_is_roots(&error) => {
            return unprivileged::authenticate(&mut host, &mut log, &subject, &args.options);
        }
        Err(error) => return refuse(&mut host, &mut log, &subject, error.reason(), &error.to_string()),
    };
    log.set_debug(args.debug || source.config.audit.debug);
    log.debug(&format!("read {}", args.config.display()));
    if let Some(conflict) = args.options.conflict(&source.config) {
        return refuse(&mut host, &mut log, &subject, "arguments_invalid", conflict);
    }
    if let Some(person) = fleet::decides(&source, &subject) {
        return fleet::authenticate(&mut host, &mut log, &subject, &source, &args.options, person);
    }
    let store = match source.open_store() {
        Ok(store) => store,
        Err(error) if unprivileged::store_is_roots(&error) => {
            return unprivileged::authenticate(&mut host, &mut log, &subject, &args.options);
        }
        Err(error) => return refuse(&mut host, &mut log, &subject, error.reason(), &error.to_string()),
    };
    let who = subject.clone();
    let ctx = Ctx {
        config: &source.config,
        store: &store,
        directory: &HostDirectory,
        clock: &SystemClock,
        audit: &mut log,
        subject,
    };
    let outcome = login(ctx, &args.options, &mut host);
    report_killed_holder(store.take_killed_holder(), &who, &mut log);
    outcome
}

/// Applies the rules to a login in which the auth part did not run.
fn account(pamh: &mut PamHandle, words: &[&CStr], flags: PamFlag) -> Outcome {
    let subject = subject_now(pamh);
    let mut log = Log::new(pamh, &subject.service, ACCOUNT);
    let mut host = Host::new(pamh, flags & PAM_SILENT != 0, &subject.user);
    let args = match Args::parse(words) {
        Ok(args) => args,
        Err(error) => return refuse(&mut host, &mut log, &subject, "arguments_invalid", &error.0),
    };
    host.speak(args.language.as_deref());
    match ConfigFile::load(&args.config, SystemClock.now()) {
        Ok(source) => {
            account_part(&source.config, subject, &mut host, &HostDirectory, &SystemClock, &mut log)
        }
        // A program of the user's own, such as a screen locker, decides only about its user.
        Err(error) if unprivileged::config_is_roots(&error) => Outcome::Ignored,
        Err(error) => refuse(&mut host, &mut log, &subject, error.reason(), &error.to_string()),
    }
}

/// Denies because something on our side is broken; the log says what to do.
fn refuse(host: &mut Host<'_>, log: &mut Log, subject: &Subject, reason: &str, detail: &str) -> Outcome {
    host.show(text::UNAVAILABLE);
    let subject = &looked_up(subject);
    Event::new(Kind::ConfigurationRefused, subject).reason(reason).detail(detail).emit(log);
    Event::login(subject, Verdict::Denied, reason).detail(detail).emit(log);
    Outcome::Denied
}
