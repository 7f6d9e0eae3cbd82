//! How a login would end by a configuration, for the guard. It calls the same `decide` that logins call.

use super::words::first_login_of;
use crate::cmd::doctor::Ways;
use qrtotp_policy::{Config, Damaged, Decision, Facts, FirstLogin, Known, Outcome, Unasked};
use qrtotp_values::UnixTime;

/// An address of nobody's network (RFC 5737), for logins from elsewhere.
pub const ELSEWHERE: &str = "203.0.113.1";

/// An account, as far as the guard looks at it.
#[derive(Clone, Debug, Default)]
pub struct GuardedPerson {
    pub name: String,
    pub is_root: bool,
    /// No password opens it, so nobody logs in with it at the console.
    pub is_locked: bool,
    /// It is past the day on which it expires.
    pub is_expired: bool,
    /// Its shell, such as nologin, ends every login.
    pub has_no_shell: bool,
    /// Its gids; `None`: they can't be had.
    pub gids: Option<Vec<u32>>,
    /// It has a device whose codes count.
    pub device: bool,
    /// It has a registered hardware ssh key.
    pub hardware_key: bool,
    /// It has an enrolment token.
    pub token: bool,
}

impl GuardedPerson {
    /// Whether a user who knows its password can become this account by su.
    fn opens_to_su(&self) -> bool {
        !self.is_locked && !self.is_expired && !self.has_no_shell
    }
}

/// An emergency account.
pub struct Emergency {
    pub name: String,
    /// `None`: the host does not know it.
    pub person: Option<GuardedPerson>,
}

/// Facts about the host that the guard needs.
pub struct GuardedHost<'h> {
    /// The person who applies; `None`: no person does.
    pub actor: Option<GuardedPerson>,
    /// The address that they come from; empty: they sit at the host.
    pub rhost: String,
    /// Their terminal.
    pub tty: String,
    pub emergency: Vec<Emergency>,
    pub root: Option<GuardedPerson>,
    /// sshd lets root in.
    pub root_at_sshd: bool,
    /// /etc/pam.d/qrtotp can be used, so passwords can be proven before an enrolment.
    pub proves_passwords: bool,
    /// Any account has a device.
    pub enrolled: bool,
    /// Whether a service's PAM file asks for a code.
    pub asks: &'h dyn Fn(&str) -> bool,
    /// Whether it does so in one field together with the password, where two codes have no room.
    pub one_field: &'h dyn Fn(&str) -> bool,
    /// How logins come in at sshd.
    pub ways: Ways,
    /// Accounts without a device that logged in lately.
    pub recent: Vec<GuardedPerson>,
}

/// A login that is tried out.
#[derive(Clone, Copy)]
pub struct Login<'l> {
    pub service: &'l str,
    pub rhost: &'l str,
    pub tty: &'l str,
}

pub const CONSOLE: Login<'static> = Login { service: "login", rhost: "", tty: "tty1" };

/// How a login that is tried out ends, the better the later.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Denied(String),
    /// A code is asked for, and there is no device to make one.
    NoDevice,
    /// The console would let in, but no password opens the account. Another module than pam_unix may.
    Locked,
    In,
}

/// Whether an admin has a device, or gets in without one at all of these services if they ask for codes.
pub fn gets_in_at_all(
    config: &Config,
    host: &GuardedHost<'_>,
    admin: &GuardedPerson,
    services: &[String],
    now: UnixTime,
) -> Result<bool, Damaged> {
    let logins = Logins { config, host, now, consoles: &[], by: "" };
    let gets_in = |service: &String| {
        let login = match service.as_str() {
            "sshd" => Login { service, rhost: ELSEWHERE, tty: "ssh" },
            _ => Login { service, rhost: "", tty: "pts/0" },
        };
        // An account without a password proves itself by a token only.
        let proves = admin.token || !admin.is_locked || logins.skips(admin, login)?;
        Ok(proves && logins.end(admin, login)? == End::In)
    };
    for service in services {
        if !admin.device && !gets_in(service)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Logins that are tried out.
#[derive(Clone, Copy)]
pub struct Logins<'g> {
    pub config: &'g Config,
    pub host: &'g GuardedHost<'g>,
    pub now: UnixTime,
    /// Terminals of the console: tty1 first, then those that rules name.
    pub consoles: &'g [String],
    /// The caller of su.
    pub by: &'g str,
}

impl<'g> Logins<'g> {
    /// The best end of the ways to a root shell: a login at the console or sshd, and from there sudo or su.
    pub fn end_to_root(&self, admin: &GuardedPerson) -> Result<End, Damaged> {
        let mut best = End::Denied(String::new());
        if admin.has_no_shell || admin.is_expired {
            return Ok(best);
        }
        for tty in self.consoles {
            best = best.max(self.end_through(admin, Login { tty, ..CONSOLE }, tty)?);
            if best == End::In {
                return Ok(best);
            }
        }
        if !admin.is_root || self.host.root_at_sshd {
            let rhost = if self.host.rhost.is_empty() { ELSEWHERE } else { &self.host.rhost };
            let sshd = Login { service: "sshd", rhost, tty: "ssh" };
            best = best.max(self.end_through(admin, sshd, "pts/0")?);
        }
        Ok(best)
    }

    /// The end of becoming root at `tty`, which `login` gives.
    fn end_through(&self, admin: &GuardedPerson, login: Login<'_>, tty: &str) -> Result<End, Damaged> {
        let end = match self.end(admin, login)? {
            End::In if login.service == CONSOLE.service && admin.is_locked => End::Locked,
            end => end,
        };
        if admin.is_root {
            return Ok(end);
        }
        let mut shell = self.end(admin, Login { service: "sudo", rhost: "", tty })?;
        // su asks for root's password and root's code.
        if let Some(root) = self.host.root.as_ref().filter(|root| root.opens_to_su()) {
            let su = Logins { by: &admin.name, ..*self };
            shell = shell.max(su.end(root, Login { service: "su", rhost: "", tty })?);
        }
        Ok(end.min(shell))
    }

    /// The best end at the console.
    pub fn end_at_console(&self, person: &GuardedPerson) -> Result<End, Damaged> {
        let mut best = self.end(person, CONSOLE)?;
        for tty in self.consoles.iter().skip(1) {
            let end = self.end(person, Login { tty, ..CONSOLE })?;
            if !matches!(end, End::Denied(_)) {
                best = best.max(end);
            }
        }
        Ok(best)
    }

    /// The best of a login without a key, with one, and with a registered hardware key, where sshd says
    /// which.
    pub fn end(&self, person: &GuardedPerson, login: Login<'_>) -> Result<End, Damaged> {
        let says_keys = self.config.enroll.key_services.iter().any(|known| *known == login.service);
        if !says_keys {
            return self.end_with(person, login, None, false);
        }
        let Ways { asks, asks_behind_key, key_alone, account_part } = self.host.ways;
        // Without our account line a key alone lets in whatever the rules say: nothing to count on.
        let unasked = key_alone && account_part;
        let mut best = if unasked { self.end_unasked(person, login)? } else { End::Denied(String::new()) };
        let nothing = !(asks || asks_behind_key || unasked);
        if asks || nothing {
            best = best.max(self.end_with(person, login, Some(false), false)?);
        }
        if asks_behind_key || nothing {
            best = best.max(self.end_with(person, login, Some(true), false)?);
            if person.hardware_key {
                best = best.max(self.end_with(person, login, Some(true), true)?);
            }
        }
        Ok(best)
    }

    /// The end of a login with a key alone, for which only the account part runs.
    fn end_unasked(&self, person: &GuardedPerson, login: Login<'_>) -> Result<End, Damaged> {
        let Login { service, rhost, tty } = login;
        let key = Some(true);
        let facts = Facts { user: Some(&person.name), service, tty, by: "", rhost, key, now: self.now };
        let mut known = Known { groups: || person.gids.clone(), hardware_key: false, familiar: false };
        let decision = self.config.rules.decide(&facts, &mut known, None)?;
        let outcome = decision.outcome.unwrap_or_else(|| self.config.default_outcome());
        let denies = match outcome {
            Outcome::Deny | Outcome::TwoCodes => true,
            Outcome::Code => decision.effects.fresh || self.config.defaults.unasked == Unasked::Deny,
            Outcome::Skip => false,
        };
        Ok(match denies {
            true => End::Denied(format!(
                "{} (sshd takes a key alone, and the account part denies what was not asked for)",
                decision.rule
            )),
            false => End::In,
        })
    }

    fn end_with(
        &self,
        person: &GuardedPerson,
        login: Login<'_>,
        key: Option<bool>,
        hardware_key: bool,
    ) -> Result<End, Damaged> {
        let mut end = self.end_at(person, login, (key, hardware_key), false)?;
        // Both may happen: a place stops being familiar, and becomes so with the first correct code.
        if person.device && !login.rhost.is_empty() {
            end = end.min(self.end_at(person, login, (key, hardware_key), true)?);
        }
        Ok(end)
    }

    fn end_at(
        &self,
        person: &GuardedPerson,
        login: Login<'_>,
        key: (Option<bool>, bool),
        familiar: bool,
    ) -> Result<End, Damaged> {
        let decision = self.decision(person, login, key, familiar)?;
        match decision.outcome.unwrap_or_else(|| self.config.default_outcome()) {
            Outcome::Deny => return Ok(End::Denied(decision.rule.to_owned())),
            Outcome::TwoCodes if (self.host.one_field)(login.service) => {
                let why = format!("{} (two codes have no room in the one field there)", decision.rule);
                return Ok(End::Denied(why));
            }
            Outcome::Code | Outcome::TwoCodes if !person.device && (self.host.asks)(login.service) => {}
            Outcome::Skip | Outcome::Code | Outcome::TwoCodes => return Ok(End::In),
        }
        let enrols = self.config.enroll.services.iter().any(|known| *known == login.service);
        let (first_login, until) = first_login_of(self.config, &decision);
        let lets_in = match first_login {
            FirstLogin::Deny => false,
            FirstLogin::Enroll => {
                enrols && (self.host.proves_passwords || self.config.enroll.key_is_enough || person.token)
            }
            FirstLogin::Token => enrols && person.token,
            FirstLogin::Allow => until.is_some_and(|until| until.days_left(self.now) > 0),
        };
        Ok(if lets_in { End::In } else { End::NoDevice })
    }

    fn decision<'d>(
        &'d self,
        person: &GuardedPerson,
        login: Login<'_>,
        (key, hardware_key): (Option<bool>, bool),
        familiar: bool,
    ) -> Result<Decision<'d>, Damaged> {
        let Login { service, rhost, tty } = login;
        let by = if service == "sudo" { person.name.as_str() } else { self.by };
        let facts = Facts { user: Some(&person.name), service, tty, by, rhost, key, now: self.now };
        let mut known = Known { groups: || person.gids.clone(), hardware_key, familiar };
        self.config.rules.decide(&facts, &mut known, None)
    }

    /// Whether no code is asked for, with a key or without one.
    fn skips(&self, person: &GuardedPerson, login: Login<'_>) -> Result<bool, Damaged> {
        for key in [None, Some(false), Some(true)] {
            if self.decision(person, login, (key, false), false)?.outcome == Some(Outcome::Skip) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
