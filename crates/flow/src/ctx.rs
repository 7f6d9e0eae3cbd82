//! The context that every flow takes.

use super::Directory;
use qrtotp_account::Name;
use qrtotp_audit::{AuditSink, ChainedLines, Subject};
use qrtotp_clock::Clock;
use qrtotp_policy::Config;
use qrtotp_store::{Account, Store, StoreError, StoreExt};
use qrtotp_values::UnixTime;

/// The host as a flow sees it, and what the flow is about.
pub struct Ctx<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Where records are.
    pub store: &'a dyn Store,
    /// The user database.
    pub directory: &'a dyn Directory,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Where events go.
    pub audit: &'a mut dyn AuditSink,
    /// Account, service and origin, for the log. For a login, `user` is the typed name.
    pub subject: Subject,
}

impl<'c> Ctx<'c> {
    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The same under the settings of a rule.
    pub(super) fn under<'r>(self, config: &'r Config) -> Ctx<'r>
    where
        'c: 'r,
    {
        let Self { store, directory, clock, audit, subject, .. } = self;
        Ctx { config, store, directory, clock, audit, subject }
    }
}

/// Changes an account, and returns the lines of its chain that the change added: log them afterwards.
pub(super) fn update_chained<T, E: From<StoreError>>(
    store: &dyn Store,
    name: &Name,
    mut f: impl FnMut(&mut Option<Account>, &mut ChainedLines) -> Result<T, E>,
) -> Result<(T, ChainedLines), E> {
    let mut lines = ChainedLines::default();
    let done = store.update_account(name, |account| {
        lines.clear();
        f(account, &mut lines)
    })??;
    Ok((done, lines))
}
