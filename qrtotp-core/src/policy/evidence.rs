//! Whether PAM_AUTHTOK is a sign of a right password. PAM sets it before the password's module has judged it, so a stack
//! that forgets that module's failure would let anybody enrol. Every way through an auth part is followed on which it may
//! still succeed; what is not understood is a refusal, and what an include does is the admin's to know.

use super::control::{Action, Actions};
use super::pam_file::{Entry, MODULE};
use std::collections::BTreeSet;

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

/// With these they have no opinion on a password that they took, so it may be wrong.
const FORGIVING: [&str; 4] = ["ignore_authinfo_unavail", "ignore_unknown_user", "localifdown", "unknown_ok"];

/// Modules of which none takes a password. Any other may.
const TAKE_NONE: [&str; 29] = [
    "pam_access.so",
    "pam_cap.so",
    "pam_debug.so",
    "pam_echo.so",
    "pam_env.so",
    "pam_faildelay.so",
    "pam_faillock.so",
    "pam_fprintd.so",
    "pam_group.so",
    "pam_issue.so",
    "pam_keyinit.so",
    "pam_lastlog.so",
    "pam_limits.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_loginuid.so",
    "pam_nologin.so",
    "pam_permit.so",
    "pam_rootok.so",
    "pam_securetty.so",
    "pam_selinux.so",
    "pam_sepermit.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_time.so",
    "pam_u2f.so",
    "pam_usertype.so",
    "pam_warn.so",
    "pam_wheel.so",
];

/// What is known of the password on one way through the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Password {
    /// No entry of this file took one.
    Unasked,
    /// One took it, and did not find it right.
    Wrong,
    /// One found it right; whatever others think of it.
    Right,
}

/// A way through the entries so far, on which none of them made the stack fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    /// How many of the next entries it leads over.
    over: usize,
    password: Password,
}

/// All ways.
pub(super) struct Ways {
    ways: BTreeSet<Way>,
    /// A file was included before.
    included: bool,
    /// We came.
    ours: bool,
}

impl Ways {
    /// At the beginning of an auth part.
    pub fn new() -> Self {
        let start = Way { over: 0, password: Password::Unasked };
        Self { ways: [start].into(), included: false, ours: false }
    }

    /// Goes past one entry of the auth part.
    ///
    /// # Errors
    /// It may let somebody with a wrong password come to us, or end the part well; or we can't tell.
    pub fn pass(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        match entry.control.to_ascii_lowercase().as_str() {
            "include" => return self.include(),
            "substack" => return self.substack(),
            _ => {}
        }
        let name = entry.module_name();
        if entry.is_ours() {
            self.ours = true;
            if self.come_wrong() {
                return Err("a wrong password could get this far; make its module requisite".into());
            }
        } else if self.ours && name == "pam_permit.so" {
            return Err(format!("with {name} behind {MODULE}, a wrong password could get this far"));
        }
        let unclear = "its control is not understood, or makes PAM forget a wrong password";
        let actions = entry.actions().ok_or(unclear)?;
        let mut next = BTreeSet::new();
        for way in std::mem::take(&mut self.ways) {
            if way.over > 0 {
                next.insert(Way { over: way.over - 1, ..way });
                continue;
            }
            if entry.optional_module {
                next.insert(way); // it may be missing
            }
            for (action, password) in self.results(entry, &actions, way.password) {
                match action {
                    Action::GoesOn => next.insert(Way { over: 0, password }),
                    Action::LeadsOver(over) => next.insert(Way { over, password }),
                    Action::Done if password == Password::Wrong => {
                        return Err("it could end this part well after a wrong password".into());
                    }
                    Action::Done | Action::Fails => false,
                };
            }
        }
        self.ways = next;
        Ok(())
    }

    /// What an entry may come to, and what is known of the password then.
    fn results(&self, entry: &Entry<'_>, actions: &Actions, before: Password) -> Vec<(Action, Password)> {
        let name = entry.module_name();
        let known = entry.takes_a_password();
        let may_take = known || !(self.included || entry.is_ours() || TAKE_NONE.contains(&name));
        let wrong = if may_take { before.max(Password::Wrong) } else { before };
        let forgiving = known && entry.arguments.iter().any(|argument| FORGIVING.contains(argument));
        let as_failed = |list: &[Action]| list.iter().map(|action| (*action, wrong)).collect::<Vec<_>>();
        let mut results = as_failed(&actions.failure);
        if name == "pam_deny.so" {
            return results;
        }
        let right = if known { Password::Right } else { before };
        results.extend(actions.success.iter().map(|action| (*action, right)));
        match (forgiving, known) {
            (true, _) => results.extend(as_failed(&actions.ignore)),
            (false, true) => {} // these always have an opinion
            (false, false) => results.extend(actions.ignore.iter().map(|action| (*action, before))),
        }
        results
    }

    /// Goes past the lines of another file, which are not known. We may be among them.
    ///
    /// # Errors
    /// As [`Ways::pass`].
    pub fn include(&mut self) -> Result<(), String> {
        if self.ways.iter().any(|way| way.over > 0) {
            return Err("how far a line before it leads into what is included is not understood".into());
        }
        self.substack()
    }

    fn substack(&mut self) -> Result<(), String> {
        self.included = true;
        if self.come_wrong() {
            return Err("a wrong password could get this far, and what is included is not known".into());
        }
        let past = |way: Way| Way { over: way.over.saturating_sub(1), ..way };
        self.ways = self.ways.iter().copied().map(past).collect();
        Ok(())
    }

    /// A wrong password could come to the next entry.
    fn come_wrong(&self) -> bool {
        self.ways.contains(&Way { over: 0, password: Password::Wrong })
    }

    /// At the end of the part: it could succeed after a wrong password.
    pub fn may_end_wrong(&self) -> bool {
        self.ways.iter().any(|way| way.password == Password::Wrong)
    }
}

impl Entry<'_> {
    pub fn takes_a_password(&self) -> bool {
        PASSWORD_MODULES.contains(&self.module_name())
    }
}
