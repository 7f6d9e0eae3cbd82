//! The one-time code of a token: asked for before its QR code is shown.

use super::error::EnrollError;
use super::request::{Enrolment, TRIES};
use crate::ctx::update_chained;
use crate::{Ctx, Echo, NoAnswer};
use qrtotp_account::{Name, Token, TokenCode, TokenId, TokenRefusal, hash_code};
use qrtotp_audit::{Event, Kind};
use qrtotp_messages::text;
use qrtotp_store::{Account, StoreExt};
use std::time::Duration;

impl Enrolment<'_, '_> {
    /// If the live token has a code, it must be typed before a QR code is shown. Root need not type it.
    pub(super) fn ask_token_code(&mut self) -> Result<(), EnrollError> {
        let name = self.request.name;
        let now = self.ctx.now();
        let account = self.ctx.store.load(name)?.filter(|account| account.record.uid == self.request.uid);
        let token = account.and_then(|account| account.record.token).filter(|token| token.is_live(now));
        let Some((id, binding)) = token.and_then(|token| Some((token.id, token.binding?))) else {
            return Ok(());
        };
        if self.is_admin() || self.progress.bound == Some(id) {
            return Ok(());
        }
        binding.check(now)?;
        let mut refusal = TokenRefusal::CodeWrong;
        for _ in 0..TRIES {
            let typed =
                self.dialog.ask(text::ASK_TOKEN_CODE, Echo::On).map_err(|NoAnswer| EnrollError::NoAnswer)?;
            let dialog = &mut *self.dialog;
            let wait = |seconds| {
                dialog.show(text::wait_for_check(&seconds));
                dialog.wait(Duration::from_secs(u64::from(seconds)));
            };
            match try_token_code(self.ctx, name, id, &typed, wait) {
                Ok(()) => {
                    self.progress.bound = Some(id);
                    return Ok(());
                }
                Err(EnrollError::Token(TokenRefusal::CodeWrong)) => self.dialog.show(text::NOT_RIGHT),
                Err(EnrollError::Token(other)) => {
                    refusal = other;
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        Err(refusal.into())
    }
}

/// One guess at the code of the token `id`: it is counted, hashed without the lock after its wait, then
/// compared. A wrong one is logged. `wait` sleeps for the given seconds.
///
/// # Errors
/// Not the code; the token has ended; the store.
pub(crate) fn try_token_code(
    ctx: &mut Ctx<'_>,
    name: &Name,
    id: TokenId,
    typed: &[u8],
    wait: impl FnOnce(u32),
) -> Result<(), EnrollError> {
    let (store, now) = (ctx.store, ctx.now());
    let refused = Event::new(Kind::TokenCodeRefused, &ctx.subject);
    let refused = refused.reason(TokenRefusal::CodeWrong.as_str()).token(id);
    let Some(code) = TokenCode::parse(typed) else {
        refused.emit(ctx.audit); // not counted
        return Err(TokenRefusal::CodeWrong.into());
    };
    let on_token = |slot: &mut Option<Account>, f: &dyn Fn(&mut Token) -> Result<(), TokenRefusal>| {
        let token = slot.as_mut().and_then(|account| account.record.token.as_mut());
        f(token.filter(|token| token.id == id).ok_or(TokenRefusal::Revoked)?)
    };
    let (salt, seconds) = store.update_account(name, |slot| {
        on_token(slot, &|token| token.refuse_ended(now))?;
        let binding = slot.as_mut().and_then(|account| account.record.token.as_mut()?.binding.as_mut());
        let binding = binding.ok_or(TokenRefusal::Revoked)?;
        let seconds = binding.guess(now)?;
        Ok::<_, EnrollError>((binding.salt, seconds))
    })??;
    if seconds > 0 {
        wait(seconds);
    }
    let now = ctx.clock.now();
    let hash = hash_code(&code, &salt).map_err(|error| EnrollError::Seal(error.to_string()))?;
    let (compared, lines) = update_chained(store, name, |slot, lines| {
        let compared = on_token(slot, &|token| {
            let binding = token.binding.as_mut().ok_or(TokenRefusal::Revoked)?;
            binding.check_guess(&hash, now)
        });
        if let (Err(TokenRefusal::CodeWrong), Some(account)) = (&compared, slot) {
            lines.add(&refused, now, &mut account.state);
        }
        Ok::<_, EnrollError>(compared)
    })?;
    lines.emit(ctx.audit);
    Ok(compared?)
}
