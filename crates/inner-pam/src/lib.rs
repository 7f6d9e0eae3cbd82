//! Separate PAM transactions inside another program's login. Before an account without a device may enrol,
//! its primary factor must be proven, and only libpam knows how this host checks it.
//!
//! Begin with [`prove_password`], which authenticates a password with the PAM service [`SERVICE`];
//! [`would_let_in`] runs the account part of the login's own service. Neither ever shows anything, prompts
//! the user, or waits after a failure. The module recognises these transactions with [`is_ours`] and ignores
//! them.
//!
//! ```no_run
//! use inner_pam::{Context, prove_password, would_let_in};
//! let context = Context::by(c"alice");
//! prove_password(c"alice", b"correct horse", &context)?;
//! would_let_in(c"sshd", c"alice", &context)?;
//! # Ok::<(), inner_pam::Unproven>(())
//! ```
#![allow(unsafe_code)]

pub mod libpam;
mod ours;
mod transaction;
mod unproven;

pub use ours::{EXPORTED, is_ours, is_ours_or_the_brokers};
pub use transaction::{Context, text_item, variable};
pub use unproven::Unproven;

use libpam::{
    PAM_DISALLOW_NULL_AUTHTOK, PAM_NEW_AUTHTOK_REQD, PAM_SILENT, PAM_SUCCESS, pam_acct_mgmt, pam_authenticate,
};
use std::ffi::CStr;
use transaction::Transaction;

/// The PAM service that proves passwords: /etc/pam.d/qrtotp.
pub const SERVICE: &CStr = c"qrtotp";

/// Authenticates `password` for `user` (the canonical account name) with the service [`SERVICE`], then runs
/// its account part. An expired password (PAM_NEW_AUTHTOK_REQD) still counts as right.
///
/// # Errors
/// See [`Unproven`]; the password then proves nothing.
pub fn prove_password(user: &CStr, password: &[u8], context: &Context) -> Result<(), Unproven> {
    let transaction = Transaction::start(SERVICE, user, context, Some(password))?;
    // SAFETY: the handle is live, and only this thread uses it.
    let status = unsafe { pam_authenticate(transaction.handle(), PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK) };
    transaction.exactly_one_hidden_question(status == PAM_SUCCESS)?;
    if status != PAM_SUCCESS {
        return Err(Unproven::Wrong);
    }
    transaction.account(PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK)?;
    transaction.is_still(user)
}

/// Whether the account part of `service`, the login's own, lets `user` in. The login itself changes an
/// expired password, after us.
///
/// # Errors
/// It does not ([`Unproven::Account`]), or it can't be run.
pub fn would_let_in(service: &CStr, user: &CStr, context: &Context) -> Result<(), Unproven> {
    let transaction = Transaction::start(service, user, context, None)?;
    transaction.account(PAM_SILENT)?;
    transaction.is_still(user)
}

impl Transaction<'_> {
    fn account(&self, flags: std::ffi::c_int) -> Result<(), Unproven> {
        // SAFETY: the handle is live, and only this thread uses it.
        match unsafe { pam_acct_mgmt(self.handle(), flags) } {
            PAM_SUCCESS | PAM_NEW_AUTHTOK_REQD => Ok(()),
            status => Err(Unproven::Account(self.error_text(status))),
        }
    }
}
