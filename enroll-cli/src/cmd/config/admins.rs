//! Whether an administrator is left who can give a code.

use super::host::Accounts;
use super::login_end::gets_in_at_all;
use crate::cmd::doctor::Ways;
use crate::error::Failure;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Config, Damaged};
use qrtotp_store::AccountStore;

/// Whether anybody who can become root has a device, or gets in without one at each of these services once
/// they ask for codes: by a rule, or by enrolling there.
pub fn an_admin_gets_in(
    config: &Config,
    store: &dyn AccountStore,
    services: &[String],
) -> Result<bool, Failure> {
    let now = SystemClock.now();
    let accounts = Accounts { store: Some(store), now };
    let host = accounts.host(&[], &|_| true, &|_| false, Ways::default());
    let found = accounts.admins().map(|admin| gets_in_at_all(config, &host, &admin, services, now));
    let found: Result<Vec<bool>, Damaged> = found.collect();
    let damaged = |Damaged| Failure::Error("the rules are damaged; run `qrtotp config apply`".into());
    Ok(found.map_err(damaged)?.contains(&true))
}

/// Whether some account that can become root has a device, and each of those loses its last one.
pub fn no_admin_is_left(store: &dyn AccountStore, loses: impl Fn(&str) -> bool) -> bool {
    let accounts = Accounts { store: Some(store), now: SystemClock.now() };
    let mut admins = accounts.admins().filter(|admin| admin.device).peekable();
    admins.peek().is_some() && admins.all(|admin| loses(&admin.name))
}
