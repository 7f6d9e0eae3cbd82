//! Break-glass codes of a fleet's login host. Each is known to one host, which keeps only hashes, so no two
//! hosts can accept it. They are taken while no verifier answers.

use super::admin::generate_failed;
use super::answer::Answer;
use super::answer_place::AnswerPlace;
use super::ctx::update_chained;
use super::verification::{Rules, Verification};
use super::verify::verify_and_record;
use super::{AdminError, Ctx, LoginHost, Person};
use qrtotp_account::{Decision, Name, Record, RecordId, RecoveryCode, RecoverySet, SetKind, State};
use qrtotp_audit::{ChainedLines, Event, Kind};
use qrtotp_otp::random_bytes;
use qrtotp_store::{Account, StoreError};
use zeroize::Zeroizing;

/// Verifies a break-glass code, and logs the decision. `None`: the answer is not shaped like one, or the
/// account has no record here; nothing was logged. The latter takes as long as a wrong code.
///
/// # Errors
/// The host's own store could not answer; deny.
pub fn verify_offline(
    ctx: &mut Ctx<'_>,
    host: &dyn LoginHost,
    person: &Person,
    typed: &[u8],
) -> Result<Option<bool>, StoreError> {
    let answer = Answer::code(typed);
    let Ok(name) = Name::new(&person.name) else { return Ok(None) };
    if !matches!(answer, Answer::Recovery(_)) {
        return Ok(None);
    }
    let place = AnswerPlace::with(None, &ctx.subject, host, true);
    let rules = Rules { offline: true, ..Rules::of(ctx, person.uid, Kind::Login, place) };
    let recorded = verify_and_record(ctx.store, &name, &rules, &answer)?;
    if recorded.lines.is_empty() {
        return Ok(None);
    }
    recorded.report_changes(Kind::Login, &ctx.subject, "", ctx.audit);
    Ok(Some(matches!(recorded.verification, Verification::Accepted { .. })))
}

/// Makes new break-glass codes for an account; older ones are worth nothing any more. They replace recovery
/// codes that the account has in this host's own store.
///
/// # Errors
/// The store; no random numbers.
pub fn issue_offline(ctx: &mut Ctx<'_>, name: &Name, uid: u32) -> Result<Vec<Zeroizing<String>>, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (set, codes) = RecoverySet::offline(now).map_err(generate_failed)?;
    let id = RecordId(random_bytes().map_err(generate_failed)?);
    let left = u32::try_from(codes.len()).unwrap_or(0);
    let ((), lines) = update_chained(ctx.store, name, |slot, lines| {
        let new = || Account { record: Record::new(name.clone(), uid, id), state: State::new(id) };
        let Account { record, state } = slot.get_or_insert_with(new);
        record.uid = uid;
        record.recovery = Some(set.clone());
        lines.add(&Event::new(Kind::OfflineCodesIssued, subject).left(left), now, state);
        Ok::<(), AdminError>(())
    })?;
    lines.emit(ctx.audit);
    Ok(codes.iter().map(RecoveryCode::display).collect())
}

/// Ends the break-glass codes of an account. False: it has none.
///
/// # Errors
/// The store.
pub fn remove_offline(ctx: &mut Ctx<'_>, name: &Name) -> Result<bool, AdminError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let (removed, lines) = update_chained(ctx.store, name, |slot, lines| {
        let Some(Account { record, state }) = slot else { return Ok(false) };
        if record.recovery.as_ref().is_none_or(|set| set.kind != SetKind::Offline) {
            return Ok(false);
        }
        record.recovery = None;
        lines.add(&Event::new(Kind::OfflineCodesRemoved, subject), now, state);
        Ok::<_, AdminError>(true)
    })?;
    lines.emit(ctx.audit);
    Ok(removed)
}

/// Notes at a verifier that a host took a break-glass code while no verifier answered. It is a decision, so
/// the fleet's store keeps it once. False: the fleet has no such account, and only the log says it.
///
/// # Errors
/// The store; [`Ctx::subject`]'s `by` is the host.
pub fn note_offline_use(ctx: &mut Ctx<'_>, name: &Name, left: u32, detail: &str) -> Result<bool, StoreError> {
    let (now, subject) = (ctx.now(), &ctx.subject);
    let event = Event::new(Kind::RecoveryUsed, subject).reason("offline_code").left(left);
    let mut lines = ChainedLines::default();
    let known = ctx.store.change_state(name, &mut |_, state| {
        lines.clear();
        lines.add(&event, now, state);
        state.decision = Some(Decision::Accepted);
    })?;
    if known {
        lines.emit_with(Kind::RecoveryUsed, detail, ctx.audit);
    } else {
        event.detail(detail).emit(ctx.audit);
    }
    Ok(known)
}
