//! The lock-out guard: whether those who look after this host still get in. It simulates logins and calls the
//! same `decide` that logins call. L1: the person who applies. L2: anyone who can become root. L3: the
//! emergency accounts.

use super::words::first_login_of;
use crate::cmd::doctor::Ways;
use qrtotp_policy::{
    Compiled, Config, Damaged, Decision, Facts, Finding, FirstLogin, Known, Outcome, Severity, Unasked,
};
use qrtotp_values::UnixTime;

/// An address of nobody's network (RFC 5737), for logins from elsewhere.
pub const ELSEWHERE: &str = "203.0.113.1";

/// An account, as far as the guard looks at it.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub name: String,
    pub is_root: bool,
    /// No password opens it, so nobody logs in with it at the console.
    pub is_locked: bool,
    /// Its gids; `None`: they can't be had.
    pub gids: Option<Vec<u32>>,
    /// It has a device whose codes count.
    pub device: bool,
    /// It has a registered hardware ssh key.
    pub hardware_key: bool,
    /// It has an enrolment token.
    pub token: bool,
}

/// An emergency account.
pub struct Emergency {
    pub name: String,
    /// `None`: the host does not know it.
    pub person: Option<Person>,
    pub expired: bool,
}

/// Facts about the host that the guard needs.
pub struct Host<'h> {
    /// The person who applies; `None`: no person does.
    pub actor: Option<Person>,
    /// The address that they come from; empty: they sit at the host.
    pub rhost: String,
    /// Their terminal.
    pub tty: String,
    pub emergency: Vec<Emergency>,
    /// Any account has a device.
    pub enrolled: bool,
    /// Whether a service's PAM file asks for a code.
    pub asks: &'h dyn Fn(&str) -> bool,
    /// How logins come in at sshd.
    pub ways: Ways,
    /// Accounts without a device that logged in lately.
    pub recent: Vec<Person>,
}

/// A login that is tried out.
#[derive(Clone, Copy)]
struct Login<'l> {
    service: &'l str,
    rhost: &'l str,
    tty: &'l str,
}

const CONSOLE: Login<'static> = Login { service: "login", rhost: "", tty: "tty1" };

/// How a login that is tried out ends, the better the later.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Denied(String),
    /// A code is asked for, and there is no device to make one.
    NoDevice,
    In,
}

/// Ways in which the configuration would lock somebody out, with severity danger if `apply` must refuse it.
/// `admins` can become root; the search through them ends with the first that gets in.
pub fn findings(
    compiled: &Compiled,
    host: &Host<'_>,
    admins: impl Iterator<Item = Person>,
    now: UnixTime,
) -> Result<Vec<Finding>, Damaged> {
    let mut guard = Guard { config: &compiled.config, host, now, found: Vec::new() };
    if !compiled.rules.is_empty() || compiled.config.defaults.unasked == Unasked::Deny {
        guard.actor()?;
        guard.admins(admins)?;
        guard.emergency()?;
        guard.recent()?;
    }
    Ok(guard.found)
}

/// Whether an admin has a device, or gets in without one at all of these services if they ask for codes.
pub fn gets_in_at_all(
    config: &Config,
    host: &Host<'_>,
    admin: &Person,
    services: &[String],
    now: UnixTime,
) -> Result<bool, Damaged> {
    let guard = Guard { config, host, now, found: Vec::new() };
    let gets_in = |service: &String| {
        let login = match service.as_str() {
            "sshd" => Login { service, rhost: ELSEWHERE, tty: "ssh" },
            _ => Login { service, rhost: "", tty: "pts/0" },
        };
        // An account without a password proves itself by a token only.
        let proves = admin.token || !admin.is_locked || guard.skips(admin, login)?;
        Ok(proves && guard.end(admin, login)? == End::In)
    };
    for service in services {
        if !admin.device && !gets_in(service)? {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Guard<'g> {
    config: &'g Config,
    host: &'g Host<'g>,
    now: UnixTime,
    found: Vec<Finding>,
}

impl Guard<'_> {
    fn refuse(&mut self, key: &'static str, reason: String) {
        self.found.push(Finding { severity: Severity::Danger, key, reason });
    }

    /// Somebody has no device: that is a reason to refuse only once anyone has one.
    fn no_device(&mut self, key: &'static str, reason: String) {
        let severity = if self.host.enrolled { Severity::Danger } else { Severity::Warning };
        self.found.push(Finding { severity, key, reason });
    }

    fn actor(&mut self) -> Result<(), Damaged> {
        let Some(actor) = &self.host.actor else { return Ok(()) };
        let Host { rhost, tty, .. } = self.host;
        let console = if tty.starts_with("tty") { tty } else { CONSOLE.tty };
        let mut logins = vec![match rhost.is_empty() {
            true => Login { tty: console, ..CONSOLE },
            false => Login { service: "sshd", rhost, tty: "ssh" },
        }];
        if !actor.is_root {
            logins.push(Login { service: "sudo", rhost: "", tty });
        }
        for login in logins {
            let Login { service, .. } = login;
            let from = if login.rhost.is_empty() { String::new() } else { format!(" from {rhost}") };
            let name = &actor.name;
            match self.end(actor, login)? {
                End::In => {}
                End::Denied(rule) => self.refuse(
                    "L1",
                    format!("rule {rule} would deny you ({name}) at {service}{from}; put a rule that lets you in above it"),
                ),
                End::NoDevice => self.no_device(
                    "L1",
                    format!(
                        "you ({name}) would need a code at {service}{from}, and you have no device; run `qrtotp enroll {name}` first"
                    ),
                ),
            }
        }
        Ok(())
    }

    fn admins(&mut self, admins: impl Iterator<Item = Person>) -> Result<(), Damaged> {
        let rhost = if self.host.rhost.is_empty() { ELSEWHERE } else { &self.host.rhost };
        let sshd = Login { service: "sshd", rhost, tty: "ssh" };
        let sudo = Login { service: "sudo", rhost: "", tty: "pts/0" };
        let (mut lacks_device, mut locked) = (false, None);
        for admin in admins {
            let logins = [CONSOLE, sshd, sudo];
            for (at, login) in logins[..if admin.is_root { 2 } else { 3 }].iter().enumerate() {
                match self.end(&admin, *login)? {
                    // Another module than pam_unix may let it in.
                    End::In if at == 0 && admin.is_locked => locked = Some(admin.name.clone()),
                    End::In => return Ok(()),
                    End::NoDevice => lacks_device = true,
                    End::Denied(_) => {}
                }
            }
        }
        if let Some(name) = locked {
            let reason = format!(
                "of those who can become root only {name} gets in, at the console, and no password opens that account; let another \
                 one in at sshd, or give it a password"
            );
            self.found.push(Finding { severity: Severity::Warning, key: "L2", reason });
        } else if lacks_device {
            let text = "nobody who can become root gets in at sshd, login or sudo: those who are not denied need a code and have no \
                        device; enrol one of them first with `qrtotp enroll`";
            self.no_device("L2", text.into());
        } else {
            let text = "nobody who can become root gets in at sshd, login or sudo: rules or `unasked` deny them all; put a rule \
                        that lets one of them in above those";
            self.refuse("L2", text.into());
        }
        Ok(())
    }

    fn emergency(&mut self) -> Result<(), Damaged> {
        for Emergency { name, person, expired } in &self.host.emergency {
            let Some(person) = person else {
                self.refuse(
                    "L3",
                    format!(
                        "the emergency account {name} does not exist; create it, or take it out of [policy]"
                    ),
                );
                continue;
            };
            if *expired {
                self.refuse(
                    "L3",
                    format!(
                        "the emergency account {name} is expired; `chage --expiredate -1 {name}` ends that"
                    ),
                );
            }
            match self.end(person, CONSOLE)? {
                _ if person.is_locked => self.refuse(
                    "L3",
                    format!("the emergency account {name} is locked, so nobody logs in with it at the console; `passwd {name}` gives it a password"),
                ),
                End::In => {}
                End::Denied(rule) => self.refuse(
                    "L3",
                    format!("rule {rule} would deny the emergency account {name} at the console; put a rule that lets it in above it"),
                ),
                End::NoDevice => self.found.push(Finding {
                    severity: Severity::Warning,
                    key: "L3",
                    reason: format!("the emergency account {name} needs a code at the console and has no device"),
                }),
            }
        }
        Ok(())
    }

    /// L5: users of the last weeks without a device, who would be asked for a code.
    fn recent(&mut self) -> Result<(), Damaged> {
        let login = Login { service: "sshd", rhost: ELSEWHERE, tty: "ssh" };
        let mut caught = Vec::new();
        for person in &self.host.recent {
            if self.end(person, login)? == End::NoDevice {
                caught.push(person.name.as_str());
            }
        }
        if !caught.is_empty() {
            let (count, more) = (caught.len(), if caught.len() > 5 { " …" } else { "" });
            let names = caught[..count.min(5)].join(", ");
            let reason = format!(
                "{count} who logged in within 30 days have no device, and would need a code at sshd: {names}{more}; let them enrol there \
                 (first_login = \"enroll\"), or enrol them first"
            );
            self.found.push(Finding { severity: Severity::Warning, key: "L5", reason });
        }
        Ok(())
    }

    /// The best of a login without a key, with one, and with a registered hardware key, where sshd says
    /// which.
    fn end(&self, person: &Person, login: Login<'_>) -> Result<End, Damaged> {
        let says_keys = self.config.enroll.key_services.iter().any(|known| *known == login.service);
        if !says_keys {
            return self.end_with(person, login, None, false);
        }
        let Ways { asks, key_alone, account_part } = self.host.ways;
        // Without our account line a key alone lets in whatever the rules say: nothing to count on.
        let unasked = key_alone && account_part;
        let mut best = if unasked { self.end_unasked(person, login)? } else { End::Denied(String::new()) };
        if asks || !unasked {
            best = best.max(self.end_with(person, login, Some(false), false)?);
            best = best.max(self.end_with(person, login, Some(true), false)?);
            if person.hardware_key {
                best = best.max(self.end_with(person, login, Some(true), true)?);
            }
        }
        Ok(best)
    }

    /// The end of a login with a key alone, for which only the account part runs.
    fn end_unasked(&self, person: &Person, login: Login<'_>) -> Result<End, Damaged> {
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
        person: &Person,
        login: Login<'_>,
        key: Option<bool>,
        hardware_key: bool,
    ) -> Result<End, Damaged> {
        let decision = self.decision(person, login, key, hardware_key)?;
        match decision.outcome.unwrap_or_else(|| self.config.default_outcome()) {
            Outcome::Deny => return Ok(End::Denied(decision.rule.to_owned())),
            Outcome::Code | Outcome::TwoCodes if !person.device && (self.host.asks)(login.service) => {}
            Outcome::Skip | Outcome::Code | Outcome::TwoCodes => return Ok(End::In),
        }
        let enrols = self.config.enroll.services.iter().any(|known| *known == login.service);
        let (first_login, until) = first_login_of(self.config, &decision);
        let lets_in = match first_login {
            FirstLogin::Deny => false,
            FirstLogin::Enroll => enrols,
            FirstLogin::Token => enrols && person.token,
            FirstLogin::Allow => until.is_some_and(|until| until.days_left(self.now) > 0),
        };
        Ok(if lets_in { End::In } else { End::NoDevice })
    }

    fn decision<'d>(
        &'d self,
        person: &Person,
        login: Login<'_>,
        key: Option<bool>,
        hardware_key: bool,
    ) -> Result<Decision<'d>, Damaged> {
        let Login { service, rhost, tty } = login;
        let by = if service == "sudo" { person.name.as_str() } else { "" };
        let facts = Facts { user: Some(&person.name), service, tty, by, rhost, key, now: self.now };
        // Nobody has a familiar place before the first right code.
        let mut known = Known { groups: || person.gids.clone(), hardware_key, familiar: false };
        self.config.rules.decide(&facts, &mut known, None)
    }

    /// Whether no code is asked for, with a key or without one.
    fn skips(&self, person: &Person, login: Login<'_>) -> Result<bool, Damaged> {
        for key in [None, Some(false), Some(true)] {
            if self.decision(person, login, key, false)?.outcome == Some(Outcome::Skip) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use qrtotp_policy::{Names, SourceFile, compile};

    struct Groups;

    impl Names for Groups {
        fn gid(&self, group: &str) -> Result<Option<u32>, String> {
            Ok(["wheel", "staff", "guests"]
                .iter()
                .position(|name| *name == group)
                .and_then(|at| u32::try_from(at).ok()))
        }

        fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
            Ok(vec![(0, 0)])
        }
    }

    /// 2026-11-29 12:00 UTC, a Sunday.
    const NOW: UnixTime = 1_795_953_600;

    fn person(name: &str, gids: &[u32], device: bool) -> Person {
        Person {
            name: name.into(),
            is_root: name == "root",
            gids: Some(gids.to_vec()),
            device,
            ..Person::default()
        }
    }

    /// anna of wheel and staff applies over ssh from 198.51.100.7. Everything asks for codes.
    fn host() -> Host<'static> {
        Host {
            actor: Some(person("anna", &[0, 1], true)),
            rhost: "198.51.100.7".into(),
            tty: "pts/0".into(),
            emergency: Vec::new(),
            enrolled: true,
            asks: &|_| true,
            ways: Ways::default(),
            recent: Vec::new(),
        }
    }

    fn breakglass(person: Option<Person>, expired: bool) -> Vec<Emergency> {
        vec![Emergency { name: "breakglass".into(), person, expired }]
    }

    fn found(text: &str, host: &Host<'_>) -> Vec<(&'static str, bool)> {
        let compiled = compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &Groups);
        let compiled = compiled.unwrap_or_else(|error| panic!("{text}: {error}"));
        let admins = [person("root", &[9], false), host.actor.clone().unwrap(), person("bob", &[0], true)];
        let found = findings(&compiled, host, admins.into_iter(), NOW).unwrap();
        found.iter().map(|finding| (finding.key, finding.severity == Severity::Danger)).collect()
    }

    fn refused(text: &str, host: &Host<'_>) -> Vec<&'static str> {
        let mut keys: Vec<_> =
            found(text, host).into_iter().filter(|(_, danger)| *danger).map(|(key, _)| key).collect();
        keys.dedup();
        keys
    }

    /// Rules in short: `CONDITIONS -> OUTCOME`, one a line.
    fn rules(short: &str) -> String {
        let mut text = String::new();
        for (number, line) in short.split(" | ").enumerate() {
            let (conditions, outcome) = line.split_once("->").unwrap();
            let conditions = conditions.trim().replace("; ", "\n");
            let (outcome, more) = outcome.trim().split_once("; ").unwrap_or((outcome.trim(), ""));
            let more = more.replace("; ", "\n");
            text.push_str(&format!(
                "[[rule]]\nname = \"r{number}\"\n{conditions}\nthen = \"{outcome}\"\n{more}\n"
            ));
        }
        text
    }

    #[test]
    fn a_registered_hardware_key_lets_its_owner_in() {
        let text = rules("key = 'hardware' -> skip | service = ['sshd'] -> deny");
        let mut host = host();
        assert_eq!(refused(&text, &host), ["L1"]);
        host.actor.as_mut().unwrap().hardware_key = true;
        assert!(refused(&text, &host).is_empty());
    }

    #[test]
    fn planted_lock_outs_of_the_person_who_applies_are_refused() {
        for (short, keys) in [
            // everybody
            ("-> deny", "L1 L2"),
            ("from = ['remote', 'local'] -> deny", "L1 L2"),
            ("user = ['*'] -> deny", "L1 L2"),
            ("hours = ['mon-sun 00:00-24:00'] -> deny", "L1 L2"),
            ("since = '2026-01-01' -> deny", "L1 L2"),
            ("until = '2027-01-01' -> deny", "L1 L2"),
            ("user = ['x'] -> code | -> deny", "L1 L2"),
            ("group = ['guests'] -> code | -> deny", "L1 L2"),
            ("service = ['su'] -> code | -> deny", "L1 L2"),
            ("user = ['root']; service = ['sshd'] -> deny | user = ['anna', 'bob'] -> deny", "L1 L2"),
            // at sshd
            ("service = ['sshd'] -> deny", "L1"),
            ("service = ['sshd']; from = ['remote'] -> deny", "L1"),
            ("service = ['sshd']; from = ['198.51.100.0/24'] -> deny", "L1"),
            ("service = ['sshd']; from = ['192.0.2.0/24'] -> code | service = ['sshd'] -> deny", "L1"),
            ("service = ['sshd']; user = ['an*'] -> deny", "L1"),
            ("service = ['sshd']; group = ['staff'] -> deny", "L1"),
            ("service = ['sshd']; group = ['guests', 'wheel'] -> deny", "L1"),
            ("service = ['sshd']; hours = ['sun 08:00-18:00'] -> deny", "L1"),
            (
                "service = ['sshd']; hours = ['mon-fri 08:00-18:00'] -> code | service = ['sshd'] -> deny",
                "L1",
            ),
            ("service = ['sshd']; hours = ['sat 22:00-13:00'] -> deny", "L1"),
            ("from = ['198.51.100.7/32'] -> deny", "L1"),
            ("from = ['remote'] -> deny", "L1"),
            ("tty = ['ssh'] -> deny", "L1"),
            ("key = true -> deny | key = false -> deny", "L1"),
            ("service = ['sshd']; until = '2026-11-29' -> deny", "L1"),
            ("service = ['sshd']; user = ['bob'] -> code | service = ['sshd'] -> deny", "L1"),
            ("user = ['anna'] -> deny", "L1"),
            // at sudo
            ("service = ['sudo'] -> deny", "L1"),
            ("service = ['sudo']; group = ['wheel'] -> deny", "L1"),
            ("service = ['sudo']; from = ['local'] -> deny", "L1"),
            ("service = ['sudo']; tty = ['pts/*'] -> deny", "L1"),
            ("service = ['sudo']; tty = ['tty*'] -> code | service = ['sudo'] -> deny", "L1"),
            ("service = ['sudo']; by = ['anna'] -> deny", "L1"),
            ("service = ['sudo']; user = ['root'] -> code | service = ['sudo'] -> deny", "L1"),
            ("from = ['local'] -> deny", "L1"),
        ] {
            assert_eq!(refused(&rules(short), &host()).join(" "), keys, "{short}");
        }
    }

    #[test]
    fn planted_lock_outs_of_those_without_a_device_are_refused_once_anyone_has_one() {
        let mut host = host();
        host.actor = Some(person("anna", &[0, 1], false));
        for (short, keys) in [
            ("user = ['x'] -> skip; notice = true", "L1"),
            ("service = ['sshd'] -> code", "L1"),
            ("service = ['sshd'] -> two-codes", "L1"),
            ("service = ['sshd', 'sudo'] -> code; first_login = 'token'", "L1"),
            ("service = ['sshd', 'sudo'] -> code; first_login = 'allow'; allow_until = '2026-11-28'", "L1"),
            ("user = ['bob'] -> deny", "L1 L2"),
            ("user = ['bob'] -> deny | user = ['anna'] -> code; first_login = 'deny'", "L1 L2"),
        ] {
            assert_eq!(refused(&rules(short), &host).join(" "), keys, "{short}");
            let warned = Host { enrolled: false, actor: host.actor.clone(), ..self::host() };
            assert!(!found(&rules(short), &warned).is_empty(), "{short}");
            assert_eq!(refused(&rules(short), &warned), Vec::<&str>::new(), "{short}: a fresh host");
        }
        for short in [
            "service = ['sshd', 'sudo'] -> code; first_login = 'enroll'",
            "service = ['sshd', 'sudo'] -> code; first_login = 'allow'; allow_until = '2026-11-29'",
            "user = ['anna']; from = ['198.51.100.0/24'] -> skip | service = ['sudo'] -> code; first_login = 'enroll'",
        ] {
            assert_eq!(refused(&rules(short), &host), Vec::<&str>::new(), "{short}");
        }
        let with_token = Person { token: true, ..host.actor.clone().unwrap() };
        let with_token = Host { actor: Some(with_token), ..self::host() };
        let short = "service = ['sshd', 'sudo'] -> code; first_login = 'token'";
        assert_eq!(refused(&rules(short), &with_token), Vec::<&str>::new());
        let unasked = Host { actor: host.actor.clone(), asks: &|_| false, ..self::host() };
        assert_eq!(
            refused(&rules("service = ['sshd'] -> code"), &unasked),
            Vec::<&str>::new(),
            "PAM does not ask"
        );
        assert_eq!(refused(&rules("service = ['sshd'] -> deny"), &unasked), ["L1"], "it may ask tomorrow");
        let where_none_enrols = "[enroll]\nservices = ['su']\n[defaults]\nfirst_login = 'enroll'\n[[rule]]\nname = 'a'\nuser = ['x']\nthen = 'code'";
        assert_eq!(refused(where_none_enrols, &host), ["L1"]);
    }

    #[test]
    fn planted_lock_outs_of_an_emergency_account_are_refused() {
        let host = |person, expired| Host { emergency: breakglass(person, expired), ..host() };
        let there = || Some(person("breakglass", &[5], false));
        for short in [
            "user = ['breakglass'] -> deny",
            "user = ['break*'] -> deny",
            "tty = ['tty1'] -> deny",
            "tty = ['tty*']; from = ['local'] -> deny",
            "service = ['login'] -> deny",
            "user = ['breakglass']; service = ['login']; tty = ['tty2'] -> skip | service = ['login'] -> deny",
        ] {
            assert_eq!(refused(&rules(short), &host(there(), false)), ["L3"], "{short}");
        }
        let fine = rules("user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip; alert = true");
        assert_eq!(refused(&fine, &host(there(), false)), Vec::<&str>::new());
        assert_eq!(refused(&fine, &host(there(), true)), ["L3"]);
        assert_eq!(refused(&fine, &host(None, false)), ["L3"]);
        let needs_code = found(&rules("user = ['x'] -> code"), &host(there(), false));
        assert_eq!(needs_code, [("L3", false)]);
    }

    #[test]
    fn a_locked_root_at_the_console_is_warned_about_and_a_locked_emergency_account_refused() {
        let locked = |name| Person { is_locked: true, ..person(name, &[9], true) };
        let text = "[[rule]]\nname = 'a'\nservice = ['sshd', 'sudo']\nthen = 'deny'";
        let compiled = compile(&[SourceFile { path: "x".into(), bytes: text.into() }], &Groups).unwrap();
        for (admin, warned) in [(person("root", &[9], true), false), (locked("root"), true)] {
            let host = Host { actor: None, ..host() };
            let found = findings(&compiled, &host, [admin].into_iter(), NOW).unwrap();
            let said = found.iter().find(|finding| finding.key == "L2").map(|finding| finding.severity);
            assert_eq!(said, warned.then_some(Severity::Warning));
        }
        let emergency = breakglass(Some(locked("breakglass")), false);
        let fine = rules("user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip; alert = true");
        assert_eq!(refused(&fine, &Host { emergency, ..host() }), ["L3"]);
    }

    #[test]
    fn a_key_alone_that_the_account_part_denies_lets_nobody_in() {
        let deny = "[defaults]\nunasked = 'deny'";
        let ways = |asks, account_part| Host { ways: Ways { asks, key_alone: true, account_part }, ..host() };
        assert_eq!(refused(deny, &ways(false, true)), ["L1"]);
        assert!(refused(deny, &ways(true, true)).is_empty(), "a password and a code let in");
        assert!(refused(deny, &ways(false, false)).is_empty(), "our account line is not there");
        assert!(refused(deny, &host()).is_empty());
        let skip = format!("{deny}\n{}", rules("service = ['sshd']; key = true -> skip"));
        assert!(refused(&skip, &ways(false, true)).is_empty());
        let two_codes = rules("service = ['sshd'] -> two-codes");
        assert_eq!(refused(&two_codes, &ways(false, true)), ["L1"]);
    }

    #[test]
    fn those_who_logged_in_lately_and_have_no_device_are_told() {
        let recent: Vec<Person> = (0..7).map(|n| person(&format!("user{n}"), &[5], false)).collect();
        let host = Host { recent, ..host() };
        for (short, told) in [
            ("user = ['x'] -> code", true),
            ("user = ['user*'] -> skip; notice = true", false),
            ("service = ['sshd'] -> code; first_login = 'enroll'", false),
        ] {
            let found = found(&rules(short), &host);
            assert_eq!(found.contains(&("L5", false)), told, "{short}");
        }
    }

    #[test]
    fn the_person_at_the_console_is_judged_there() {
        let at = |tty: &str| Host { rhost: String::new(), tty: tty.into(), ..host() };
        for (short, tty, keys) in [
            ("service = ['login'] -> deny", "tty2", vec!["L1"]),
            ("tty = ['tty2'] -> deny", "tty2", vec!["L1"]),
            ("tty = ['tty2'] -> deny", "tty3", vec![]),
            ("service = ['login'] -> deny", "pts/1", vec!["L1"]),
            ("service = ['sshd'] -> deny", "tty1", vec![]),
        ] {
            assert_eq!(refused(&rules(short), &at(tty)), keys, "{short} {tty}");
        }
    }

    #[test]
    fn root_has_no_need_of_sudo_and_groups_that_can_not_be_had_are_the_strictest() {
        let root = Host { actor: Some(person("root", &[9], true)), ..host() };
        assert_eq!(refused(&rules("service = ['sudo'] -> deny"), &root), Vec::<&str>::new());
        let gids = None;
        let unknown = Host { actor: Some(Person { gids, ..person("anna", &[], true) }), ..host() };
        assert_eq!(refused(&rules("group = ['guests'] -> deny"), &unknown), ["L1"]);
    }

    #[test]
    fn harmless_policies_pass() {
        let host = Host { emergency: breakglass(Some(person("breakglass", &[5], true)), false), ..host() };
        for short in [
            "user = ['x'] -> deny",
            "group = ['guests'] -> deny",
            "service = ['su', 'su-l'] -> deny",
            "service = ['sshd']; from = ['192.0.2.0/24'] -> deny",
            "service = ['sshd']; user = ['root'] -> deny",
            "service = ['sshd']; hours = ['mon-sat 00:00-24:00'] -> deny",
            "service = ['sshd']; since = '2026-11-30' -> deny",
            "service = ['sshd']; until = '2026-11-28' -> deny",
            "service = ['sshd']; from = ['198.51.100.0/24'] -> code | service = ['sshd'] -> deny",
            "group = ['wheel'] -> two-codes | service = ['sshd'] -> deny",
            "key = true -> code | service = ['sshd'] -> deny",
            "service = ['sudo'] -> two-codes",
            "service = ['sudo']; tty = ['pts/*'] -> code | service = ['sudo'] -> deny",
            "user = ['svc-*']; key = true; from = ['10.0.0.0/8'] -> skip | user = ['svc-*'] -> deny",
            "-> code; first_login = 'deny'",
            "-> two-codes; fresh = true; recovery = false",
            "user = ['breakglass']; from = ['local']; tty = ['tty*'] -> skip | user = ['breakglass'] -> deny",
            "service = ['sshd']; group = ['staff'] -> code | service = ['sshd'] -> deny",
            "by = ['deploy'] -> deny",
            "tty = ['ttyS0'] -> deny",
        ] {
            assert_eq!(refused(&rules(short), &host), Vec::<&str>::new(), "{short}");
        }
    }

    #[test]
    fn without_a_rule_nothing_is_refused() {
        let host =
            Host { actor: Some(person("anna", &[], false)), emergency: breakglass(None, false), ..host() };
        assert_eq!(found("[policy]\nemergency = ['breakglass']", &host), []);
    }

    #[test]
    fn an_admin_without_a_device_gets_in_only_at_services_that_let_them_enrol_or_ask_for_no_code() {
        let text = |more: &str| format!("{more}\n[[rule]]\nname = 'a'\nuser = ['robot']\nthen = 'skip'\n");
        let enrols = text("[defaults]\nfirst_login = 'enroll'\n[enroll]\nservices = ['sshd']");
        let tokens = text("[defaults]\nfirst_login = 'token'");
        let anna = || person("anna", &[0], false);
        let locked = |token| Person { is_locked: true, token, ..anna() };
        for (text, admin, services, gets_in) in [
            (text(""), person("anna", &[0], true), &["sshd", "sudo"][..], true),
            (text(""), anna(), &["sshd"], false),
            (text(""), Person { is_locked: true, ..person("robot", &[0], false) }, &["sshd", "sudo"], true),
            (enrols.clone(), anna(), &["sshd"], true),
            (enrols.clone(), anna(), &["sshd", "sudo"], false),
            (enrols, locked(false), &["sshd"], false),
            (tokens.clone(), anna(), &["sshd"], false),
            (tokens, locked(true), &["sshd"], true),
        ] {
            let source = SourceFile { path: "x".into(), bytes: text.clone().into() };
            let config = compile(&[source], &Groups).unwrap().config;
            let services: Vec<String> = services.iter().map(|name| (*name).to_owned()).collect();
            let found = gets_in_at_all(&config, &host(), &admin, &services, NOW).unwrap();
            assert_eq!(found, gets_in, "{admin:?} at {services:?}: {text}");
        }
    }
}
