//! Finds the rule that decides a login. Logins, `explain`, `test`, `diff` and the lock-out guard all call it.

use super::compiled::{RuleSet, Zone, tail};
use super::{Condition, Effects, Origin, Outcome, address, minute_of_week};
use crate::FirstLogin;
use crate::bytes::{Bytes, Damaged};
use qrtotp_values::UnixTime;
use std::net::IpAddr;

/// Longer names, services and terminals match nothing, in bytes.
pub(super) const LONGEST: usize = 64;

/// The facts that a rule can test. A condition on an unknown fact does not hold.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The account's canonical name; `None`: the host knows no such user.
    pub user: Option<&'a str>,
    /// The PAM service.
    pub service: &'a str,
    /// The terminal without `/dev/`; empty: none.
    pub tty: &'a str,
    /// The caller of su or sudo; empty: none.
    pub by: &'a str,
    /// The remote host, as PAM gives it; empty: none, which is called local.
    pub rhost: &'a str,
    /// Whether sshd accepted a public key; `None`: unknown here.
    pub key: Option<bool>,
    /// The time.
    pub now: UnixTime,
}

/// Facts that need a look-up. Each is looked up at most once, and only for a rule whose cheaper conditions
/// hold.
pub trait Lookups {
    /// The account's gids; `None`: the look-up failed.
    fn groups(&mut self) -> Option<Vec<u32>>;

    /// Whether sshd accepted a hardware key that is registered for the account. False if the look-up fails.
    fn hardware_key(&mut self) -> bool;

    /// Whether the place is familiar to the account. `None`: unknown, and no rule about places holds.
    fn familiar(&mut self) -> Option<bool>;
}

/// Look-ups for a hypothetical login.
#[derive(Debug)]
pub struct Known<G> {
    /// Returns the gids.
    pub groups: G,
    /// Whether sshd accepted a registered hardware key.
    pub hardware_key: bool,
    /// Whether the place is familiar.
    pub familiar: bool,
}

impl<G: FnMut() -> Option<Vec<u32>>> Lookups for Known<G> {
    fn groups(&mut self) -> Option<Vec<u32>> {
        (self.groups)()
    }

    fn hardware_key(&mut self) -> bool {
        self.hardware_key
    }

    fn familiar(&mut self) -> Option<bool> {
        Some(self.familiar)
    }
}

/// A decision and the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'p> {
    /// The rule's name; `default`: none matched.
    pub rule: &'p str,
    /// The rule's outcome; `None`: no rule matched, and `[defaults]` apply.
    pub outcome: Option<Outcome>,
    /// The rule's other effects.
    pub effects: Effects<&'p str>,
    /// A rule needed the groups, and their look-up failed. The decision is the strictest that any groups
    /// could have led to.
    pub without_groups: bool,
    /// The rule demands a registered hardware key, and one was accepted.
    pub hardware_key: bool,
}

impl RuleSet {
    /// Finds the rule that decides. Calls `seen` for each rule that was tried, with the condition that did
    /// not hold.
    ///
    /// # Errors
    /// The rules are damaged; deny.
    pub fn decide<'p>(
        &'p self,
        facts: &Facts<'_>,
        lookups: &mut dyn Lookups,
        mut seen: Option<&mut dyn FnMut(&'p str, Option<Condition>)>,
    ) -> Result<Decision<'p>, Damaged> {
        let (zone, count, mut rules) = self.reader()?;
        let mut matching = Matching {
            facts,
            zone,
            lookups,
            gids: None,
            hardware_key: None,
            familiar: None,
            from: None,
            minute: None,
        };
        let mut possible: Option<Decision<'p>> = None;
        for _ in 0..count {
            let mut rule = rules.part()?;
            let name = rule.part()?;
            let found = matching.failing(&mut rule)?;
            if let Some(seen) = &mut seen {
                seen(name.as_text()?, found.err());
            }
            let Ok(Met { groups_missing, hardware_key }) = found else { continue };
            let decision = Decision { hardware_key, ..decision(name.as_text()?, &mut rule)? };
            if !groups_missing {
                return Ok(strictest(possible, decision));
            }
            possible = Some(strictest(possible, decision));
        }
        let default = Decision {
            rule: "default",
            outcome: None,
            effects: Effects::default(),
            without_groups: false,
            hardware_key: false,
        };
        Ok(strictest(possible, default))
    }
}

impl RuleSet {
    /// The stricter of the decisions with and without what a host of a fleet could choose itself, so a host
    /// that lies makes no login easier. Hosts can't choose the account and the time. A rule's `remember`
    /// counts all the same, unless a stricter rule decides: the host names the address of a remembered code,
    /// too.
    ///
    /// # Errors
    /// The rules are damaged; deny.
    pub fn decide_claims<'p>(
        &'p self,
        facts: &Facts<'_>,
        lookups: &mut dyn Lookups,
    ) -> Result<Decision<'p>, Damaged> {
        let certain = Facts { user: facts.user, now: facts.now, ..Facts::default() };
        let without = self.decide(&certain, &mut GroupsOnly(lookups), None)?;
        let with = self.decide(facts, lookups, None)?;
        let remember = with.effects.remember.filter(|_| strictness(&without) <= strictness(&with));
        let decision = strictest(Some(without), with);
        Ok(Decision { effects: Effects { remember, ..decision.effects }, ..decision })
    }
}

/// Look-ups without those that depend on the place.
struct GroupsOnly<'a>(&'a mut dyn Lookups);

impl Lookups for GroupsOnly<'_> {
    fn groups(&mut self) -> Option<Vec<u32>> {
        self.0.groups()
    }

    fn hardware_key(&mut self) -> bool {
        false
    }

    fn familiar(&mut self) -> Option<bool> {
        None
    }
}

/// The stricter of a decision that is not certain and the next one; the first if they are alike.
fn strictest<'p>(possible: Option<Decision<'p>>, next: Decision<'p>) -> Decision<'p> {
    let Some(possible) = possible else { return next };
    let (alert, notice) =
        (possible.effects.alert || next.effects.alert, possible.effects.notice || next.effects.notice);
    let chosen = if strictness(&next) > strictness(&possible) { next } else { possible };
    let (first_login, allow_until) = (Some(FirstLogin::Deny), None);
    let effects = Effects { first_login, allow_until, remember: None, alert, notice, ..chosen.effects };
    Decision { without_groups: true, effects, ..chosen }
}

fn strictness(decision: &Decision<'_>) -> (Outcome, bool, bool) {
    (decision.outcome.unwrap_or(Outcome::Code), decision.effects.fresh, decision.effects.no_recovery)
}

fn decision<'p>(rule: &'p str, bytes: &mut Bytes<'p>) -> Result<Decision<'p>, Damaged> {
    let (outcome, effects) = tail(bytes)?;
    Ok(Decision { rule, outcome: Some(outcome), effects, without_groups: false, hardware_key: false })
}

/// The result of a rule's conditions.
#[derive(Clone, Copy)]
struct Met {
    /// All conditions hold except those on groups, whose look-up failed.
    groups_missing: bool,
    /// One of them requires a registered hardware key.
    hardware_key: bool,
}

struct Matching<'a, 'f> {
    facts: &'a Facts<'f>,
    zone: Zone<'a>,
    lookups: &'a mut dyn Lookups,
    /// Set after the look-up: the gids, or `None` if the look-up failed.
    gids: Option<Option<Vec<u32>>>,
    /// Set after the look-up.
    hardware_key: Option<bool>,
    /// The same.
    familiar: Option<Option<bool>>,
    /// The remote address, once a condition needed it: most rules name none.
    from: Option<Option<IpAddr>>,
    /// The minute of the week, once a condition needed it.
    minute: Option<u16>,
}

impl Matching<'_, '_> {
    /// The result of all conditions, or the first one that does not hold.
    fn failing(&mut self, rule: &mut Bytes<'_>) -> Result<Result<Met, Condition>, Damaged> {
        let mut given = rule.u16()?;
        let mut met = Met { groups_missing: false, hardware_key: given & Condition::HardwareKey as u16 != 0 };
        let mut conditions = rule.part()?;
        while given != 0 {
            let condition = Condition::first_of(given).ok_or(Damaged)?;
            given &= given - 1;
            match self.holds(condition, conditions.part()?)? {
                Some(true) => {}
                Some(false) => return Ok(Err(condition)),
                None => met.groups_missing = true,
            }
        }
        Ok(Ok(met))
    }

    /// Whether a condition holds; `None`: it depends on groups, whose look-up failed.
    fn holds(&mut self, condition: Condition, mut part: Bytes<'_>) -> Result<Option<bool>, Damaged> {
        let facts = self.facts;
        let holds = match condition {
            Condition::Service => any(&mut part, |one| Ok(is(facts.service, one.part()?.rest())))?,
            // Any user can open /dev/tty, and so make su report it.
            Condition::Tty => facts.tty != "tty" && any(&mut part, |one| is_terminal(facts.tty, one))?,
            Condition::By => any(&mut part, |one| Ok(is(facts.by, one.part()?.rest())))?,
            Condition::Key => facts.key == Some(part.boolean()?),
            Condition::From => any(&mut part, |one| Ok(self.comes_from(Origin::decode(one)?)))?,
            Condition::Hours => {
                let minute = match self.minute {
                    Some(minute) => minute,
                    None => minute_of_week(facts.now, self.zone.offset(facts.now)?),
                };
                self.minute = Some(minute);
                any(&mut part, |one| Ok(super::Hours::decode(one)?.contain(minute)))?
            }
            Condition::Since => facts.now >= part.i64()?,
            Condition::Until => facts.now < part.i64()?,
            Condition::User => match facts.user {
                Some(user) => any(&mut part, |one| matches(user, one))?,
                None => false,
            },
            Condition::Group => return self.is_member(&mut part),
            Condition::HardwareKey => *self.hardware_key.get_or_insert_with(|| self.lookups.hardware_key()),
            Condition::Place => {
                let familiar = *self.familiar.get_or_insert_with(|| self.lookups.familiar());
                familiar == Some(part.boolean()?)
            }
        };
        Ok(Some(holds))
    }

    fn comes_from(&mut self, origin: Origin) -> bool {
        match origin {
            Origin::Local => self.facts.rhost.is_empty(),
            Origin::Remote => !self.facts.rhost.is_empty(),
            Origin::Network(network) => {
                let from = *self.from.get_or_insert_with(|| address(self.facts.rhost));
                from.is_some_and(|address| network.contains(address))
            }
        }
    }

    fn is_member(&mut self, part: &mut Bytes<'_>) -> Result<Option<bool>, Damaged> {
        if self.facts.user.is_none() {
            return Ok(Some(false));
        }
        let gids = self.gids.get_or_insert_with(|| self.lookups.groups());
        let Some(gids) = gids else { return Ok(None) };
        any(part, |one| Ok(gids.contains(&one.u32()?))).map(Some)
    }
}

/// Whether `item` holds for any item of a list.
fn any<'p>(
    bytes: &mut Bytes<'p>,
    mut item: impl FnMut(&mut Bytes<'p>) -> Result<bool, Damaged>,
) -> Result<bool, Damaged> {
    for _ in 0..bytes.u8()? {
        if item(bytes)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is(fact: &str, name: &[u8]) -> bool {
    fact.len() <= LONGEST && !fact.is_empty() && fact.as_bytes() == name
}

/// `tty*` matches virtual consoles only (tty1, tty2 …). Users can open some other devices, such as ttyUSB0,
/// and make su report them.
fn is_terminal(fact: &str, pattern: &mut Bytes<'_>) -> Result<bool, Damaged> {
    let (open, text) = (pattern.boolean()?, pattern.part()?.rest());
    let number = fact.strip_prefix("tty").filter(|_| open && text == b"tty");
    Ok(compare(fact, open, text) && number.is_none_or(|digits| digits.bytes().all(|b| b.is_ascii_digit())))
}

fn matches(fact: &str, pattern: &mut Bytes<'_>) -> Result<bool, Damaged> {
    Ok(compare(fact, pattern.boolean()?, pattern.part()?.rest()))
}

fn compare(fact: &str, open: bool, text: &[u8]) -> bool {
    let fact = fact.as_bytes();
    // Most names differ in their first byte, which costs less than a call of memcmp.
    let first = text.first().is_none_or(|first| fact.first() == Some(first));
    let matches = first && if open { fact.starts_with(text) } else { fact == text };
    matches && !fact.is_empty() && fact.len() <= LONGEST
}
