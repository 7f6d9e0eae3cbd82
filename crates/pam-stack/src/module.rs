//! The possible results of modules, given the facts of a login.

use crate::code::Code;
use crate::tree::Entry;
use crate::{OURS, Part};

/// A module's purpose, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our module.
    Ours,
    /// It takes a password.
    Password,
    /// It takes one-time codes of another system.
    OtherCode,
    /// It checks the user's name or place, or something else that proves nothing.
    Selector,
    /// It exempts root.
    RootOnly,
    /// Its result does not depend on the login.
    Fixed,
    /// Not known, or it takes another proof, such as a security key.
    Proof,
}

const PASSWORDS: [&str; 13] = [
    "pam_himmelblau.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_tacplus.so",
    "pam_unix.so",
    "pam_userdb.so",
    "pam_winbind.so",
    "pam_authd.so",
];
const OTHER_CODES: [&str; 6] = [
    "pam_google_authenticator.so",
    "pam_oath.so",
    "pam_duo.so",
    "pam_otpw.so",
    "pam_yubico.so",
    "pam_linotp.so",
];
const SELECTORS: [&str; 16] = [
    "pam_access.so",
    "pam_exec.so",
    "pam_geoip.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_rhosts.so",
    "pam_script.so",
    "pam_securetty.so",
    "pam_sepermit.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_tally2.so",
    "pam_time.so",
    "pam_timestamp.so",
    "pam_usertype.so",
    "pam_wheel.so",
];
/// Results of modules in the auth part, as observed with Linux-PAM 1.5.2.
const FIXED: [(&str, &[Code]); 19] = [
    ("pam_cap.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_debug.so", &[Code::SUCCESS]),
    ("pam_deny.so", &[Code::AUTH_ERR]),
    ("pam_echo.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_ecryptfs.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_env.so", &[Code::IGNORE]),
    ("pam_faildelay.so", &[Code::IGNORE]),
    ("pam_gnome_keyring.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_group.so", &[Code::IGNORE]),
    ("pam_issue.so", &[Code::IGNORE]),
    ("pam_keyinit.so", &[Code::IGNORE]),
    ("pam_kwallet5.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_lastlog.so", &[Code::SUCCESS]),
    ("pam_mail.so", &[Code::IGNORE]),
    ("pam_mount.so", &[Code::SUCCESS, Code::IGNORE]),
    ("pam_nologin.so", &[Code::IGNORE, Code::SUCCESS]),
    ("pam_permit.so", &[Code::SUCCESS]),
    ("pam_selinux.so", &[Code::AUTH_ERR]),
    ("pam_warn.so", &[Code::IGNORE]),
];
/// The results of a selector that refuses.
const REFUSALS: [Code; 3] = [Code::AUTH_ERR, Code::PERM_DENIED, Code::IGNORE];
/// The results of a module after a wrong password.
const WRONG_PASSWORD: [Code; 4] =
    [Code::AUTH_ERR, Code::USER_UNKNOWN, Code::AUTHINFO_UNAVAIL, Code::MAXTRIES];

/// The assumption about selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selectors {
    /// All succeed.
    Yes,
    /// All refuse.
    No,
    /// Any of them may succeed or refuse.
    Any,
}

/// Whether a module asked for the password, so that libpam keeps it for the next ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// No.
    #[default]
    No,
    /// A module that is not known may have asked.
    Maybe,
    /// Yes.
    Yes,
}

/// The effects of the lines that ran before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// Our module succeeded: a code is valid once.
    pub spent: bool,
    /// The password was asked for.
    pub asked: Asked,
}

impl Past {
    pub(crate) fn after(self, entry: &Entry, code: Code) -> Self {
        let asked = match entry.kind() {
            _ if entry.module.is_none() || entry.missing || entry.without_function => Asked::No,
            Kind::Password if !entry.has("use_first_pass") => Asked::Yes,
            Kind::Ours if entry.has("forward_pass") => Asked::Yes,
            Kind::OtherCode | Kind::Proof | Kind::Selector => Asked::Maybe,
            _ => Asked::No,
        };
        let spent = self.spent || (entry.is_ours() && code == Code::SUCCESS);
        Self { spent, asked: self.asked.max(asked) }
    }
}

/// The facts of a login.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Our module's result. Only the first of our lines that runs can succeed, because a code is valid once.
    pub ours: Code,
    /// Whether a second line of ours may succeed nevertheless.
    pub code_twice: bool,
    /// The password is right.
    pub password: bool,
    /// The selectors' results.
    pub selectors: Selectors,
    /// Other proofs, and unknown modules, may succeed.
    pub proofs: bool,
    /// Codes of other systems are available.
    pub other_codes: bool,
    /// The program that calls PAM has root's real uid.
    pub root: bool,
}

impl Entry {
    /// The module's purpose.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let name = self.name();
        match name {
            OURS => Kind::Ours,
            "pam_rootok.so" => Kind::RootOnly,
            "pam_faillock.so" => Kind::Fixed,
            _ if FIXED.iter().any(|(known, _)| *known == name) => Kind::Fixed,
            _ if PASSWORDS.contains(&name) => Kind::Password,
            _ if OTHER_CODES.contains(&name) => Kind::OtherCode,
            _ if SELECTORS.contains(&name) => Kind::Selector,
            _ => Kind::Proof,
        }
    }

    /// Whether the line has this argument.
    #[must_use]
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|known| known == argument)
    }

    fn fixed(&self) -> Vec<Code> {
        // pam_nologin(8): without the file it is PAM_IGNORE.
        if self.name() == "pam_nologin.so" && !self.has("successok") {
            return vec![Code::IGNORE];
        }
        // pam_faillock(8): each of its lines reports whether the account is locked; `authfail` also writes,
        // and its result is ignored.
        if self.name() == "pam_faillock.so" {
            return vec![if self.has("authfail") { Code::IGNORE } else { Code::SUCCESS }];
        }
        let of = FIXED.iter().find(|(known, _)| *known == self.name());
        of.map_or_else(Vec::new, |(_, codes)| codes.to_vec())
    }
}

impl Facts {
    /// A right code and a right password, and nothing else.
    pub const RIGHT: Self = Self {
        ours: Code::SUCCESS,
        code_twice: false,
        password: true,
        selectors: Selectors::Any,
        proofs: true,
        other_codes: true,
        root: false,
    };

    /// The possible results of an entry's module.
    #[must_use]
    pub fn of(&self, entry: &Entry, part: Part, past: Past) -> Vec<Code> {
        if entry.module.is_none() {
            return vec![Code::PERM_DENIED];
        }
        if entry.missing || entry.without_function {
            return vec![Code::MODULE_UNKNOWN];
        }
        match part {
            Part::Auth => self.auth(entry, past),
            _ => self.rest(entry, part),
        }
    }

    fn auth(&self, entry: &Entry, past: Past) -> Vec<Code> {
        let maybe = |may: bool, no: &[Code]| if may { [&[Code::SUCCESS], no].concat() } else { no.to_vec() };
        match entry.kind() {
            Kind::Ours if self.ours != Code::SUCCESS => vec![self.ours],
            Kind::Ours => {
                // The password would be taken as the code; and without one there is nothing to take.
                let misplaced = (entry.has("forward_pass") && past.asked == Asked::Yes)
                    || (entry.has("use_first_pass") && past.asked != Asked::Maybe);
                let refused = misplaced
                    || (past.spent && !self.code_twice)
                    || (entry.has("forward_pass") && !self.password);
                vec![if refused { Code::AUTH_ERR } else { Code::SUCCESS }]
            }
            Kind::Password if entry.has("use_first_pass") && past.asked == Asked::No => vec![Code::AUTH_ERR],
            Kind::Password => maybe(self.password, &WRONG_PASSWORD),
            // Without its own key, `nullok` succeeds.
            Kind::OtherCode if entry.has("nullok") => maybe(true, &[Code::IGNORE, Code::AUTH_ERR]),
            Kind::OtherCode => maybe(self.other_codes, &[Code::AUTH_ERR]),
            Kind::Selector => match self.selectors {
                Selectors::Yes => vec![Code::SUCCESS],
                Selectors::No => REFUSALS.to_vec(),
                Selectors::Any => maybe(true, &REFUSALS),
            },
            Kind::RootOnly => vec![if self.root { Code::SUCCESS } else { Code::AUTH_ERR }],
            Kind::Fixed => entry.fixed(),
            Kind::Proof => maybe(self.proofs, &[Code::AUTH_ERR, Code::AUTHINFO_UNAVAIL, Code::IGNORE]),
        }
    }

    /// The other parts: our module ignores them, and an unknown module may succeed.
    fn rest(&self, entry: &Entry, part: Part) -> Vec<Code> {
        match entry.name() {
            OURS => vec![Code::IGNORE],
            "pam_deny.so" if part == Part::Session => vec![Code::SESSION_ERR],
            "pam_deny.so" => vec![Code::AUTH_ERR],
            "pam_permit.so" => vec![Code::SUCCESS],
            _ => vec![Code::SUCCESS, Code::IGNORE, Code::PERM_DENIED, Code::USER_UNKNOWN],
        }
    }
}
