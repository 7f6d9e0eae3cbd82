//! PAM applications without root: they can't read the records, so the broker verifies. It does so for the
//! caller's own account (screen lockers), and for services that `[broker.services]` lists (databases, web
//! servers).

use crate::host::{Host, Log};
use nix::errno::Errno;
use nix::unistd::{geteuid, getuid};
use qrtotp_audit::{Event, Subject, Verdict};
use qrtotp_flow::{
    Dialog, FirstPass, LoginHost, Options, Outcome, QUESTION, UNAVAILABLE, ask_code, looked_up,
};
use qrtotp_policy::ConfigError;
use qrtotp_store::{StoreError, TrustError};
use qrtotp_wire::{DEFAULT_SOCKET, Request, verify};
use std::path::Path;
use std::time::Duration;

/// How long the broker may take for a verdict: users do not wait longer at a locked screen.
const LIMIT: Duration = Duration::from_secs(3);
/// The same with a password, which the host's modules check first.
const LIMIT_WITH_PASSWORD: Duration = Duration::from_secs(10);

/// True if only permissions are missing, so root could read the configuration.
pub(crate) fn config_is_roots(error: &ConfigError) -> bool {
    matches!(error, ConfigError::Trust(error) if is_denied(error))
}

/// True if only permissions are missing, so root could open the store.
pub(crate) fn store_is_roots(error: &StoreError) -> bool {
    matches!(error, StoreError::Trust(error) if is_denied(error))
}

fn is_denied(error: &TrustError) -> bool {
    !geteuid().is_root() && matches!(error, TrustError::Io { errno: Errno::EACCES | Errno::EPERM, .. })
}

/// Asks for a code and has the broker verify it. The broker records the `login` event; if it gives no
/// verdict, we do.
pub(crate) fn authenticate(
    host: &mut Host<'_>,
    log: &mut Log,
    subject: &Subject,
    options: &Options,
) -> Outcome {
    let typed = subject.user.clone();
    let subject = &looked_up(subject);
    let mut deny = |host: &mut Host<'_>, reason, detail: &str| {
        host.show(UNAVAILABLE);
        Event::login(subject, Verdict::Denied, reason).detail(detail).emit(log);
        Outcome::Denied
    };
    // The broker uses the effective uid. If the real one differs, it is not clear whose application this is.
    if getuid() != geteuid() {
        return deny(host, "not_own_account", "real and effective uid of the application differ");
    }
    let password = host.password();
    let forward = options.first_pass == FirstPass::Forward;
    let answer = match ask_code(host, options, QUESTION, password.as_ref()) {
        Ok(answer) => answer,
        Err(why) => return deny(host, why.reason, &why.detail),
    };
    let request = Request::Verify {
        user: typed,
        service: subject.service.clone(),
        tty: subject.tty.clone(),
        nullok: options.nullok,
        forward,
        id: String::new(),
        answer: answer.clone(),
    };
    let limit = if forward { LIMIT_WITH_PASSWORD } else { LIMIT };
    if forward {
        host.withhold_password(); // a refusal leaves none for later modules
    }
    match verify(Path::new(DEFAULT_SOCKET), &request, limit) {
        Ok((Verdict::Accepted, password)) if host.is_same_user() => {
            let forwarded = !forward
                || answer.get(..password).is_some_and(|password| host.forward_password(password).is_ok());
            if forwarded { Outcome::Accepted } else { deny(host, "password_not_forwarded", "") }
        }
        Ok((Verdict::Ignored, _)) if host.is_same_user() => Outcome::Ignored,
        Ok((Verdict::Denied, _)) => Outcome::Denied,
        Ok(_) => deny(host, "user_changed", "the application replaced PAM_USER"),
        Err(error) => deny(host, "broker", &error.to_string()),
    }
}
