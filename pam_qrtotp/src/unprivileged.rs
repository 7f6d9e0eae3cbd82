//! PAM applications without root: they can't read the records, so the broker verifies. It does so for the
//! caller's own account (screen lockers), and for services that `[broker.services]` lists (databases, web
//! servers).

use crate::host::{Host, Log};
use nix::errno::Errno;
use nix::unistd::{geteuid, getuid};
use qrtotp_audit::{Event, Subject, Verdict};
use qrtotp_flow::{
    Dialog, Echo, FirstPass, HostDirectory, LoginHost, Options, Outcome, UNAVAILABLE, logged_name,
};
use qrtotp_policy::ConfigError;
use qrtotp_store::{StoreError, TrustError};
use qrtotp_wire::{DEFAULT_SOCKET, Request, verify};
use std::path::Path;
use std::time::Duration;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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
    let subject = &Subject { user: logged_name(&HostDirectory, &subject.user), ..subject.clone() };
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
    let answer = match (options.first_pass, password) {
        (FirstPass::Use, None) => {
            return deny(host, "no_password", "use_first_pass, but no module before set one");
        }
        (FirstPass::Use | FirstPass::Forward, Some(password)) => password,
        (FirstPass::Ask | FirstPass::Try | FirstPass::Forward, password) => {
            let usual = if forward { "Password & verification code: " } else { "Verification code: " };
            let echo = if options.echo_code { Echo::On } else { Echo::Off };
            let prompt = options.prompt.as_deref().unwrap_or(usual);
            let Ok(answer) = host.ask(prompt, echo) else { return deny(host, "no_answer", "") };
            if password.is_some_and(|password| bool::from(password.ct_eq(&answer))) {
                return deny(host, "password_repeated", "");
            }
            answer
        }
    };
    let Subject { service, tty, .. } = subject.clone();
    let request = Request::Verify {
        user: typed,
        service,
        tty,
        nullok: options.nullok,
        forward,
        id: String::new(),
        answer: Zeroizing::new(answer.to_vec()),
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
