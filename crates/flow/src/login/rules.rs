//! Which rule decides a login.

use super::ending::Ending;
use crate::ruling::{Decided, Part, ruling};
use crate::{Ctx, LoginHost, LookupError, Person};
use qrtotp_account::Name;
use qrtotp_values::EARLIEST_PLAUSIBLE;

/// Decides, and gives the rule to the log.
pub(super) fn decide(
    ctx: &mut Ctx<'_>,
    host: &mut dyn LoginHost,
    person: &Result<Option<Person>, LookupError>,
) -> Result<Decided, Box<Ending>> {
    if !ctx.config.rules.is_empty() {
        // A failed look-up hides rules for this user, and a reset clock revives expired ones. Neither may
        // skip a code.
        if let Err(error) = person {
            return Err(Ending::lookup_failed(error));
        }
        if ctx.now() < EARLIEST_PLAUSIBLE {
            return Err(Ending::clock_implausible());
        }
    }
    let known = person.as_ref().ok().and_then(Option::as_ref);
    let mut account = || {
        let Person { name, uid } = known?;
        let account = ctx.store.load(&Name::new(name).ok()?).ok()??;
        Some(account).filter(|account| account.record.uid == *uid)
    };
    let Ok(mut decided) = ruling(
        ctx.config,
        known.map(|person| person.name.as_str()),
        &ctx.subject,
        host,
        ctx.directory,
        ctx.now(),
        Part::Auth(&mut account, ctx.store.key()),
    ) else {
        return Err(Ending::broken("policy_damaged", "run `qrtotp config apply`"));
    };
    ctx.subject.rule = decided.by.take();
    Ok(decided)
}
