//! The possible results of modules, given the facts of a login.

use crate::code::PamCode;
use crate::tree::PamLine;
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
const FIXED: [(&str, &[PamCode]); 19] = [
    ("pam_cap.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_debug.so", &[PamCode::SUCCESS]),
    ("pam_deny.so", &[PamCode::AUTH_ERR]),
    ("pam_echo.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_ecryptfs.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_env.so", &[PamCode::IGNORE]),
    ("pam_faildelay.so", &[PamCode::IGNORE]),
    ("pam_gnome_keyring.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_group.so", &[PamCode::IGNORE]),
    ("pam_issue.so", &[PamCode::IGNORE]),
    ("pam_keyinit.so", &[PamCode::IGNORE]),
    ("pam_kwallet5.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_lastlog.so", &[PamCode::SUCCESS]),
    ("pam_mail.so", &[PamCode::IGNORE]),
    ("pam_mount.so", &[PamCode::SUCCESS, PamCode::IGNORE]),
    ("pam_nologin.so", &[PamCode::IGNORE, PamCode::SUCCESS]),
    ("pam_permit.so", &[PamCode::SUCCESS]),
    ("pam_selinux.so", &[PamCode::AUTH_ERR]),
    ("pam_warn.so", &[PamCode::IGNORE]),
];
/// The results of a selector that refuses.
const REFUSALS: [PamCode; 3] = [PamCode::AUTH_ERR, PamCode::PERM_DENIED, PamCode::IGNORE];
/// The results of a module after a wrong password.
const WRONG_PASSWORD: [PamCode; 4] =
    [PamCode::AUTH_ERR, PamCode::USER_UNKNOWN, PamCode::AUTHINFO_UNAVAIL, PamCode::MAXTRIES];

/// Arguments with which a password module has no opinion of some users: PAM_IGNORE.
const NO_OPINION: [&str; 4] =
    ["ignore_unknown_user", "ignore_authinfo_unavail", "ignore_unknown_principals", "unknown_ok"];

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
    pub(crate) fn after(self, entry: &PamLine, code: PamCode) -> Self {
        let asked = match entry.kind() {
            _ if entry.module.is_none() || entry.missing || entry.without_function => Asked::No,
            Kind::Password if !entry.has("use_first_pass") => Asked::Yes,
            Kind::Ours if entry.has("forward_pass") => Asked::Yes,
            Kind::OtherCode | Kind::Proof | Kind::Selector => Asked::Maybe,
            _ => Asked::No,
        };
        let spent = self.spent || (entry.is_ours() && code == PamCode::SUCCESS);
        Self { spent, asked: self.asked.max(asked) }
    }
}

/// The facts of a login.
#[derive(Clone, Copy, Debug)]
pub struct ModuleFacts {
    /// Our module's result. Only the first of our lines that runs can succeed, because a code is valid once.
    pub ours: PamCode,
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

impl PamLine {
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

    fn fixed(&self) -> Vec<PamCode> {
        // pam_nologin(8): without the file it is PAM_IGNORE.
        if self.name() == "pam_nologin.so" && !self.has("successok") {
            return vec![PamCode::IGNORE];
        }
        // pam_faillock(8): each of its lines reports whether the account is locked; `authfail` also writes,
        // and its result is ignored.
        if self.name() == "pam_faillock.so" {
            return vec![if self.has("authfail") { PamCode::IGNORE } else { PamCode::SUCCESS }];
        }
        let of = FIXED.iter().find(|(known, _)| *known == self.name());
        of.map_or_else(Vec::new, |(_, codes)| codes.to_vec())
    }
}

impl ModuleFacts {
    /// A right code and a right password, and nothing else.
    pub const RIGHT: Self = Self {
        ours: PamCode::SUCCESS,
        code_twice: false,
        password: true,
        selectors: Selectors::Any,
        proofs: true,
        other_codes: true,
        root: false,
    };

    /// The possible results of an entry's module.
    #[must_use]
    pub fn of(&self, entry: &PamLine, part: Part, past: Past) -> Vec<PamCode> {
        if entry.module.is_none() {
            return vec![PamCode::PERM_DENIED];
        }
        if entry.missing || entry.without_function {
            return vec![PamCode::MODULE_UNKNOWN];
        }
        match part {
            Part::Auth => self.auth(entry, past),
            _ => self.rest(entry, part),
        }
    }

    fn auth(&self, entry: &PamLine, past: Past) -> Vec<PamCode> {
        let maybe =
            |may: bool, no: &[PamCode]| if may { [&[PamCode::SUCCESS], no].concat() } else { no.to_vec() };
        match entry.kind() {
            Kind::Ours if self.ours != PamCode::SUCCESS => vec![self.ours],
            Kind::Ours => {
                // The password would be taken as the code; and without one there is nothing to take.
                let misplaced = (entry.has("forward_pass") && past.asked == Asked::Yes)
                    || (entry.has("use_first_pass") && past.asked != Asked::Maybe);
                let refused = misplaced
                    || (past.spent && !self.code_twice)
                    || (entry.has("forward_pass") && !self.password);
                vec![if refused { PamCode::AUTH_ERR } else { PamCode::SUCCESS }]
            }
            Kind::Password if entry.has("use_first_pass") && past.asked == Asked::No => {
                vec![PamCode::AUTH_ERR]
            }
            Kind::Password if NO_OPINION.iter().any(|argument| entry.has(argument)) => {
                maybe(self.password, &[&WRONG_PASSWORD[..], &[PamCode::IGNORE]].concat())
            }
            Kind::Password => maybe(self.password, &WRONG_PASSWORD),
            // Without its own key, `nullok` succeeds.
            Kind::OtherCode if entry.has("nullok") => maybe(true, &[PamCode::IGNORE, PamCode::AUTH_ERR]),
            Kind::OtherCode => maybe(self.other_codes, &[PamCode::AUTH_ERR]),
            Kind::Selector => match self.selectors {
                Selectors::Yes => vec![PamCode::SUCCESS],
                Selectors::No => REFUSALS.to_vec(),
                Selectors::Any => maybe(true, &REFUSALS),
            },
            Kind::RootOnly => vec![if self.root { PamCode::SUCCESS } else { PamCode::AUTH_ERR }],
            Kind::Fixed => entry.fixed(),
            Kind::Proof => {
                maybe(self.proofs, &[PamCode::AUTH_ERR, PamCode::AUTHINFO_UNAVAIL, PamCode::IGNORE])
            }
        }
    }

    /// The other parts: our module ignores them, and an unknown module may succeed.
    fn rest(&self, entry: &PamLine, part: Part) -> Vec<PamCode> {
        match entry.name() {
            OURS => vec![PamCode::IGNORE],
            "pam_deny.so" if part == Part::Session => vec![PamCode::SESSION_ERR],
            "pam_deny.so" => vec![PamCode::AUTH_ERR],
            "pam_permit.so" => vec![PamCode::SUCCESS],
            _ => vec![PamCode::SUCCESS, PamCode::IGNORE, PamCode::PERM_DENIED, PamCode::USER_UNKNOWN],
        }
    }
}
