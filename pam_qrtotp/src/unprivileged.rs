//! PAM applications without root: they can't read the records, so the broker verifies. It does so for the
//! caller's own account (screen lockers), and for services that `[broker.services]` lists (databases, web
//! servers).

use crate::host::{Host, Log};
use nix::errno::Errno;
use nix::unistd::{geteuid, getuid};
use qrtotp_audit::{Event, Subject, Verdict};
use qrtotp_flow::{Dialog, FirstPass, LoginHost, Options, Outcome, Unproven, ask_code, looked_up};
use qrtotp_messages::text;
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
    attempt(host, subject, options).unwrap_or_else(|Unproven { reason, detail }| {
        host.show(text::UNAVAILABLE);
        Event::login(&looked_up(subject), Verdict::Denied, reason).detail(&detail).emit(log);
        Outcome::Denied
    })
}

/// An error: the broker gave no verdict.
fn attempt(host: &mut Host<'_>, subject: &Subject, options: &Options) -> Result<Outcome, Unproven> {
    // The broker uses the effective uid. If the real one differs, it is not clear whose application this is.
    if getuid() != geteuid() {
        let detail = "real and effective uid of the application differ".into();
        return Err(Unproven { reason: "not_own_account", detail });
    }
    let password = host.password();
    let answer = ask_code(host, options, text::QUESTION, password.as_ref())?;
    let forward = options.first_pass == FirstPass::Forward;
    let request = Request::Verify {
        user: subject.user.clone(),
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
    let said = verify(Path::new(DEFAULT_SOCKET), &request, limit);
    let (verdict, password) =
        said.map_err(|error| Unproven { reason: "broker", detail: error.to_string() })?;
    match passed(host, verdict)? {
        Outcome::Accepted => {}
        other => return Ok(other),
    }
    let forwarded =
        !forward || answer.get(..password).is_some_and(|password| host.forward_password(password).is_ok());
    if forwarded {
        Ok(Outcome::Accepted)
    } else {
        Err(Unproven { reason: "password_not_forwarded", detail: String::new() })
    }
}

/// The outcome of a verdict that another process gave on the user that PAM named then.
pub(crate) fn passed(host: &Host<'_>, verdict: Verdict) -> Result<Outcome, Unproven> {
    match verdict {
        Verdict::Denied => Ok(Outcome::Denied),
        _ if !host.is_same_user() => {
            let detail = "the application replaced PAM_USER".into();
            Err(Unproven { reason: "user_changed", detail })
        }
        Verdict::Accepted => Ok(Outcome::Accepted),
        Verdict::Ignored => Ok(Outcome::Ignored),
    }
}
