//! Which rule decides a login.

use super::ending::Ending;
use crate::ruling::{Part, Ruling, ruling};
use crate::{Ctx, LoginHost, LookupError, Person};
use qrtotp_account::Name;
use qrtotp_policy::Config;
use qrtotp_values::EARLIEST_PLAUSIBLE;
use std::borrow::Cow;

/// The ruling, and the settings under it.
pub(super) fn decide<'c>(
    ctx: &mut Ctx<'c>,
    host: &mut dyn LoginHost,
    person: &Result<Option<Person>, LookupError>,
) -> Result<(Ruling, Cow<'c, Config>), Box<Ending>> {
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
    let decided = ruling(
        ctx.config,
        known.map(|person| person.name.as_str()),
        &ctx.subject,
        host,
        ctx.directory,
        ctx.now(),
        Part::Auth(&mut account, ctx.store.key()),
    );
    let (ruling, config, by) =
        decided.map_err(|_| Ending::broken("policy_damaged", "run `qrtotp config apply`"))?;
    ctx.subject.rule = by;
    Ok((ruling, config))
}
