//! Whether PAM_AUTHTOK is a sign of a right password. PAM sets it before the password's module has judged it, so a stack
//! that forgets that module's failure would let anybody enrol.

use super::pam_file::{Entry, MODULE};

/// What a module that takes a password is called; the usual ones.
const PASSWORD_MODULES: [&str; 11] = [
    "pam_himmelblau.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_unix.so",
    "pam_userdb.so",
    "pam_winbind.so",
];

/// What becomes of a stack after an entry's failure, the worse the later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AfterFailure {
    /// It fails, at once or at its end.
    Fails,
    /// It goes on as if nothing had happened.
    GoesOn,
    /// Something else.
    Unclear,
}

/// Whether a password that an earlier module took is known to be right where our auth entry comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Password {
    /// By no entry of this file so far; what an include does is the admin's to know.
    Unasked,
    /// By an entry whose failure is forgotten.
    MayBeWrong,
    /// We came, and it did not matter.
    Behind,
}

impl Password {
    /// Goes past one entry of the auth part.
    pub fn pass(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let after_failure = entry.after_failure();
        if entry.control.to_ascii_lowercase().contains("=reset") {
            return Err("it makes PAM forget a wrong password".into());
        }
        match self {
            Self::Behind if entry.module_name() == "pam_permit.so" => {
                return Err(format!("with pam_permit behind {MODULE}, a wrong password could get this far"));
            }
            Self::MayBeWrong if entry.is_ours() => {
                return Err("a wrong password could get this far; make its module requisite".into());
            }
            Self::Unasked if entry.is_ours() => *self = Self::Behind,
            Self::Unasked if entry.takes_a_password() && after_failure != AfterFailure::Fails => {
                if after_failure == AfterFailure::Unclear {
                    return Err("what follows a wrong password here is not understood".into());
                }
                *self = Self::MayBeWrong;
            }
            // Debian's way: a right password jumps over this one.
            Self::MayBeWrong
                if entry.module_name() == "pam_deny.so" && after_failure == AfterFailure::Fails =>
            {
                *self = Self::Unasked;
            }
            Self::Unasked | Self::MayBeWrong | Self::Behind => {}
        }
        Ok(())
    }
}

impl Entry<'_> {
    pub fn takes_a_password(&self) -> bool {
        PASSWORD_MODULES.contains(&self.module_name())
    }

    pub fn after_failure(&self) -> AfterFailure {
        let control = self.control.to_ascii_lowercase();
        let Some(actions) = control.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            return match control.as_str() {
                "required" | "requisite" => AfterFailure::Fails,
                "sufficient" | "optional" => AfterFailure::GoesOn,
                _ => AfterFailure::Unclear, // include, substack
            };
        };
        if !actions.contains("default=") {
            return AfterFailure::Unclear;
        }
        let after = actions.split_ascii_whitespace().filter_map(|action| match action.split_once('=') {
            Some(("success" | "new_authtok_reqd" | "ignore", _)) => None,
            Some((_, "bad" | "die")) => Some(AfterFailure::Fails),
            Some((_, "ignore")) => Some(AfterFailure::GoesOn),
            _ => Some(AfterFailure::Unclear),
        });
        after.max().unwrap_or(AfterFailure::Unclear)
    }
}
