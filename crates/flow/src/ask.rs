//! The question for a code at a login, also of an application without root.

use super::refusal::Refusal;
use super::{Echo, FirstPass, LoginHost, Options, Typed, Unproven};
use qrtotp_messages::{Message, text};
use subtle::ConstantTimeEq;

/// Detail for the log if [`is_dummy_of_sshd`].
const REFUSED_BY_SSHD: &str =
    "sshd refuses this user (PermitRootLogin, AllowUsers, DenyUsers and the like) and answers for them";

/// The answer to `usual`, or what `use_first_pass` and `forward_pass` take from the modules before us.
/// `password` is PAM_AUTHTOK.
///
/// # Errors
/// No answer, or one that can't be a code.
pub fn ask_code(
    host: &mut dyn LoginHost,
    options: &Options,
    usual: Message,
    password: Option<&Typed>,
) -> Result<Typed, Unproven> {
    let typed = match (options.first_pass, password) {
        (FirstPass::Use, None) => {
            let detail = "use_first_pass, but no module before set a password";
            return Err(Unproven { reason: "no_password", detail: detail.into() });
        }
        (FirstPass::Use | FirstPass::Forward, Some(password)) => password.clone(),
        (first_pass, _) => {
            let echo = if options.echo_code { Echo::On } else { Echo::Off };
            let typed = match &options.prompt {
                Some(prompt) => host.ask_text(prompt, echo),
                None if first_pass == FirstPass::Forward => host.ask(text::QUESTION_WITH_PASSWORD, echo),
                None => host.ask(usual, echo),
            };
            typed.map_err(|_| Unproven::because("no_answer"))?
        }
    };
    if options.first_pass != FirstPass::Forward {
        not_from_sshd(&typed)?;
    }
    let asked = !matches!(options.first_pass, FirstPass::Use | FirstPass::Forward);
    if asked && password.is_some_and(|password| bool::from(password.ct_eq(&typed))) {
        let detail = "the client or sshd answered with the password; use keyboard-interactive (sshd's \
                      KbdInteractiveAuthentication) or forward_pass";
        return Err(Unproven { reason: "password_repeated", detail: detail.into() });
    }
    Ok(typed)
}

/// Refuses the dummy text that sshd sends for a user that it refuses.
pub(super) fn not_from_sshd(typed: &[u8]) -> Result<(), Unproven> {
    if is_dummy_of_sshd(typed) {
        return Err(Unproven { reason: Refusal::Malformed.reason(), detail: REFUSED_BY_SSHD.into() });
    }
    Ok(())
}

/// It is repeated to the length of the typed answer (OpenSSH, auth-pam.c).
fn is_dummy_of_sshd(typed: &[u8]) -> bool {
    typed.len() >= 4 && typed.iter().eq(b"\x08\n\r\x7fINCORRECT".iter().cycle().take(typed.len()))
}
