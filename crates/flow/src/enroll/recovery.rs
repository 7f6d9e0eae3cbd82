//! Handing over recovery codes. They become valid only once the user had the chance to keep them.

use super::commit::AccountSnapshot;
use super::dialog::{CodesDelivery, EnrollDialog};
use crate::{Ctx, NoAnswer};
use qrtotp_account::{EnrolmentStatus, Name, Record, RecoveryCode, RecoverySet};
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_messages::{Message, text};
use qrtotp_store::{Account, StoreError, StoreExt};

/// Wrong answers after which the codes are given up.
const TRIES: u32 = 3;

/// The state of the recovery codes after an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// None were owed; the account's are unchanged.
    Unchanged,
    /// Handed over: valid from now on.
    Kept,
    /// Not confirmed; they are not valid, and the next login makes new ones.
    Lost,
}

impl Codes {
    /// A sentence for the user, unless they were handed over.
    #[must_use]
    pub fn sentence(self) -> Option<Message> {
        match self {
            Self::Kept => None,
            Self::Unchanged => Some(text::CODES_UNCHANGED),
            Self::Lost => Some(text::CODES_NOT_CONFIRMED),
        }
    }
}

/// Hands over a fresh set if `account` is owed one. Exactly one event reports the result.
///
/// `account` is the account at the time of the proof. If its devices or owner have changed by the end, the
/// set is not stored.
pub(crate) fn hand_over(
    ctx: &mut Ctx<'_>,
    account: Result<Account, StoreError>,
    dialog: &mut dyn EnrollDialog,
) -> Codes {
    let kept = match account {
        Ok(account) if !account.record.recovery_due => return Codes::Unchanged,
        Ok(account) => attempt(ctx, &account, dialog, Wanted::WhereOwed),
        Err(error) => Err(error.reason()),
    };
    match kept {
        Ok(lines) => {
            lines.emit(ctx.audit);
            Codes::Kept
        }
        Err(reason) => {
            Event::new(Kind::RecoveryLost, &ctx.subject).reason(reason).emit(ctx.audit);
            Codes::Lost
        }
    }
}

/// Hands over a fresh set to replace the account's set, which stays valid until then.
pub(crate) fn replace_codes(ctx: &mut Ctx<'_>, name: &Name, dialog: &mut dyn EnrollDialog) -> Codes {
    let Ok(Some(account)) = ctx.store.load(name) else { return Codes::Unchanged };
    match attempt(ctx, &account, dialog, Wanted::Instead) {
        Ok(lines) => {
            lines.emit(ctx.audit);
            Codes::Kept
        }
        Err(_) => Codes::Unchanged,
    }
}

/// The reason for a set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The account is owed one.
    WhereOwed,
    /// The user asked for a new one.
    Instead,
}

/// Shows a fresh set, and stores it once the user typed the last group of one of them, or declined to.
/// `account` is its owner: if its devices or uid have changed by the end, the set is not stored.
fn attempt(
    ctx: &Ctx<'_>,
    account: &Account,
    dialog: &mut dyn EnrollDialog,
    wanted: Wanted,
) -> Result<ChainedLines, &'static str> {
    let (set, codes) = RecoverySet::generate(ctx.now()).map_err(|_| "not_generated")?;
    let shown: Vec<_> = codes.iter().map(RecoveryCode::display).collect();
    let how = acknowledged(&codes, |note| dialog.recovery_codes(&shown, note))?;
    let (seen, id) = (AccountSnapshot::of(account), account.record.id);
    let kind = if wanted == Wanted::Instead { Kind::RecoveryRegenerated } else { Kind::RecoveryIssued };
    let event = Event::new(kind, &ctx.subject).reason(how).left(u32::try_from(codes.len()).unwrap_or(0));
    let (now, mut lines) = (ctx.now(), ChainedLines::default());
    let kept = ctx.store.update_account(&account.record.name, |slot| {
        lines.clear();
        if slot.as_ref().is_none_or(|now| AccountSnapshot::of(now) != seen || now.record.id != id) {
            return false;
        }
        let may = |record: &Record| {
            let wanted = record.recovery_due || wanted == Wanted::Instead;
            wanted && record.enrolment_status() == EnrolmentStatus::Enrolled
        };
        let Some(Account { record, state }) = slot.as_mut().filter(|account| may(&account.record)) else {
            return false;
        };
        record.recovery = Some(set.clone());
        record.recovery_due = false;
        lines.add(&event, now, state);
        true
    });
    match kept {
        Ok(true) => Ok(lines),
        Ok(false) | Err(_) => {
            dialog.show(match wanted {
                Wanted::WhereOwed => text::CODES_NOT_KEPT,
                Wanted::Instead => text::CODES_NOT_REPLACED,
            });
            Err(kept.err().map_or("changed_meanwhile", |error| error.reason()))
        }
    }
}

fn acknowledged(
    codes: &[RecoveryCode],
    mut ask: impl FnMut(Option<&Message>) -> Result<CodesDelivery, NoAnswer>,
) -> Result<&'static str, &'static str> {
    let mut note = None;
    for _ in 0..TRIES {
        let typed = match ask(note.as_ref()).map_err(|NoAnswer| "no_answer")? {
            CodesDelivery::Shown => return Ok("shown"),
            CodesDelivery::Typed(typed) => typed,
        };
        if typed.trim_ascii().eq_ignore_ascii_case(b"skip") {
            return Ok("skipped");
        }
        if codes.iter().any(|code| code.ends_with(&typed)) {
            return Ok("acknowledged");
        }
        note = Some(text::NO_SUCH_GROUP);
    }
    Err("not_acknowledged")
}
