//! Whether an administrator is left who can give a code.

use super::host::Accounts;
use super::login_end::gets_in_at_all;
use crate::cmd::doctor::Ways;
use crate::error::Failure;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Config, Damaged};
use qrtotp_store::AccountStore;
use std::collections::BTreeSet;

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

/// Whether this account has a device and can become root, and no other.
pub fn is_last_admin(store: &dyn AccountStore, name: &str) -> bool {
    let accounts = Accounts { store: Some(store), now: SystemClock.now() };
    let admins = accounts.admins().filter(|admin| admin.device).map(|admin| admin.name);
    admins.collect::<BTreeSet<_>>().into_iter().eq([name.to_owned()])
}
