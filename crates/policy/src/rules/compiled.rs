//! The form of rules that a login reads: no pointers, little-endian, each part after its length, so reading
//! of a rule ends at the first condition that does not hold.
//!
//! A set is the zone (u8 count, then for each offset i64 start and i32 seconds east of UTC) and the rules
//! (u16 count). A rule is a part of: name, u16 of its [`Condition`]s, all their parts in one part, u8
//! outcome, u8 flags, u8 first_login, i64 allow_until, message, and u32 seconds of `remember` if its flag is
//! set. A list is a u8 count and its items.

use super::{Condition, Conditions, Effects, Group, Hours, Network, Origin, Outcome, Pattern, Rule};
use crate::FirstLogin;
use crate::bytes::{Bytes, Damaged, put_part, put_text};
use qrtotp_values::UnixTime;
use qrtotp_values::{ConfigDuration, Date};

/// Rules of one policy, as a login reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// The number of the policy; 0: none was ever applied.
    pub generation: u64,
    bytes: Vec<u8>,
}

/// All of them; their places in the list are part of the form.
pub(crate) const FIRST_LOGINS: [FirstLogin; 4] =
    [FirstLogin::Deny, FirstLogin::Enroll, FirstLogin::Token, FirstLogin::Allow];
const OUTCOMES: [Outcome; 4] = [Outcome::Skip, Outcome::Code, Outcome::TwoCodes, Outcome::Deny];
const NONE: u8 = u8::MAX;

impl RuleSet {
    /// Compiles `rules`; `zone` are the offsets of the time zone, in seconds east of UTC, each with its
    /// start.
    #[must_use]
    pub fn compile(zone: &[(UnixTime, i32)], rules: &[Rule]) -> Self {
        let mut bytes = Vec::new();
        bytes.push(u8::try_from(zone.len()).unwrap_or(NONE));
        for (from, offset) in zone {
            bytes.extend_from_slice(&from.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(&u16::try_from(rules.len()).unwrap_or(u16::MAX).to_le_bytes());
        for rule in rules {
            put_part(&encode(rule), &mut bytes);
        }
        Self { generation: 0, bytes }
    }

    /// A set that was compiled before.
    pub(crate) fn from_bytes(generation: u64, bytes: Vec<u8>) -> Self {
        Self { generation, bytes }
    }

    /// The bytes for [`RuleSet::from_bytes`].
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() || matches!(self.reader(), Ok((_, 0, _)))
    }

    /// The seconds east of UTC at `now`, the number of rules, and the rules.
    pub(super) fn reader(&self) -> Result<(Zone<'_>, u16, Bytes<'_>), Damaged> {
        let mut bytes = Bytes::new(&self.bytes);
        if bytes.is_empty() {
            return Ok((Zone(bytes), 0, bytes));
        }
        let offsets = usize::from(bytes.u8()?);
        let zone = Zone(Bytes::new(bytes.take(offsets * 12)?));
        let count = bytes.u16()?;
        Ok((zone, count, bytes))
    }

    /// The local time's offset at `now`, in seconds east of UTC.
    ///
    /// # Errors
    /// The rules are damaged.
    pub fn offset(&self, now: UnixTime) -> Result<i32, Damaged> {
        self.reader()?.0.offset(now)
    }

    /// The offsets of the time zone, in seconds east of UTC, each with its start; none: UTC.
    ///
    /// # Errors
    /// The rules are damaged.
    pub fn zone(&self) -> Result<Vec<(UnixTime, i32)>, Damaged> {
        let (mut bytes, mut found) = (self.reader()?.0.0, Vec::new());
        while !bytes.is_empty() {
            found.push((bytes.i64()?, bytes.u32()?.cast_signed()));
        }
        Ok(found)
    }

    /// The time at which the zone's clocks show `local`, in seconds of local time since 1970.
    ///
    /// # Errors
    /// The rules are damaged.
    pub fn utc(&self, local: i64) -> Result<UnixTime, Damaged> {
        let guess = local - i64::from(self.offset(local)?);
        Ok(local - i64::from(self.offset(guess)?))
    }

    /// Decodes the rules.
    ///
    /// # Errors
    /// The rules are damaged.
    pub fn rules(&self) -> Result<Vec<Rule>, Damaged> {
        let (_, count, mut bytes) = self.reader()?;
        let rules = (0..count).map(|_| decode(bytes.part()?)).collect::<Result<_, _>>()?;
        if bytes.is_empty() { Ok(rules) } else { Err(Damaged) }
    }
}

/// The offsets of a time zone.
#[derive(Clone, Copy)]
pub(super) struct Zone<'p>(Bytes<'p>);

impl Zone<'_> {
    /// The last offset that began before or at `now`; before the first one, the first; without any, UTC.
    pub(super) fn offset(self, now: UnixTime) -> Result<i32, Damaged> {
        let (mut bytes, mut found) = (self.0, None);
        while !bytes.is_empty() {
            let (from, offset) = (bytes.i64()?, bytes.u32()?.cast_signed());
            if found.is_none() || from <= now {
                found = Some(offset);
            }
        }
        Ok(found.unwrap_or(0))
    }
}

fn encode(rule: &Rule) -> Vec<u8> {
    let (mut given, mut conditions) = (0_u16, Vec::new());
    for condition in Condition::ALL {
        if let Some(part) = rule.conditions.part(condition) {
            given |= condition as u16;
            put_part(&part, &mut conditions);
        }
    }
    let mut out = Vec::with_capacity(conditions.len() + 64);
    put_text(&rule.name, &mut out);
    out.extend_from_slice(&given.to_le_bytes());
    put_part(&conditions, &mut out);
    let effects = &rule.effects;
    let place = |found: Option<usize>| found.and_then(|place| u8::try_from(place).ok()).unwrap_or(NONE);
    out.push(place(OUTCOMES.iter().position(|outcome| *outcome == rule.outcome)));
    let flags =
        [effects.fresh, effects.no_recovery, effects.notice, effects.alert, effects.remember.is_some()];
    out.push(flags.iter().enumerate().fold(0, |sum, (bit, on)| sum | (u8::from(*on) << bit)));
    out.push(place(FIRST_LOGINS.iter().position(|kind| Some(*kind) == effects.first_login)));
    out.extend_from_slice(&effects.allow_until.map_or(i64::MIN, Date::first_second).to_le_bytes());
    put_text(effects.message.as_deref().unwrap_or_default(), &mut out);
    if let Some(duration) = effects.remember {
        out.extend_from_slice(&u32::try_from(duration.as_seconds()).unwrap_or(0).to_le_bytes());
    }
    out
}

/// The end of a rule: its outcome and its effects.
pub(super) fn tail<'p>(bytes: &mut Bytes<'p>) -> Result<(Outcome, Effects<&'p str>), Damaged> {
    let outcome = *OUTCOMES.get(usize::from(bytes.u8()?)).ok_or(Damaged)?;
    let flags = bytes.u8()?;
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let first_login = match bytes.u8()? {
        NONE => None,
        place => Some(*FIRST_LOGINS.get(usize::from(place)).ok_or(Damaged)?),
    };
    let allow_until = Some(bytes.i64()?).filter(|second| *second != i64::MIN).map(Date::of);
    let message = Some(bytes.text()?).filter(|text| !text.is_empty());
    let remember = if flag(4) { Some(ConfigDuration::seconds(bytes.u32()?)) } else { None };
    if flags >> 5 != 0 || !bytes.is_empty() {
        return Err(Damaged);
    }
    let effects = Effects {
        first_login,
        allow_until,
        fresh: flag(0),
        no_recovery: flag(1),
        remember,
        notice: flag(2),
        alert: flag(3),
        message,
    };
    Ok((outcome, effects))
}

fn decode(mut bytes: Bytes<'_>) -> Result<Rule, Damaged> {
    let name = bytes.text()?.to_owned();
    let given = bytes.u16()?;
    let mut parts = bytes.part()?;
    let mut conditions = Conditions::default();
    for condition in Condition::ALL {
        if given & condition as u16 != 0 {
            conditions.set(condition, parts.part()?)?;
        }
    }
    let known = Condition::ALL.iter().fold(0, |sum, condition| sum | *condition as u16);
    if given & !known != 0 || !parts.is_empty() {
        return Err(Damaged);
    }
    let (outcome, effects) = tail(&mut bytes)?;
    let effects = effects.into_owned();
    Ok(Rule { name, conditions, outcome, effects })
}

/// A list as its count and its items; `None` if it is empty.
fn list<T>(items: &[T], mut item: impl FnMut(&T, &mut Vec<u8>)) -> Option<Vec<u8>> {
    if items.is_empty() {
        return None;
    }
    let mut out = vec![u8::try_from(items.len()).unwrap_or(NONE)];
    items.iter().for_each(|one| item(one, &mut out));
    Some(out)
}

fn pattern(pattern: &Pattern, out: &mut Vec<u8>) {
    out.push(pattern.open.into());
    put_text(&pattern.text, out);
}

fn origin(origin: &Origin, out: &mut Vec<u8>) {
    match origin {
        Origin::Local => out.push(0),
        Origin::Remote => out.push(1),
        Origin::Network(network) => network.encode(out),
    }
}

impl Origin {
    pub(super) fn decode(bytes: &mut Bytes<'_>) -> Result<Self, Damaged> {
        Ok(match bytes.u8()? {
            0 => Self::Local,
            1 => Self::Remote,
            family => Self::Network(Network::decode(family, bytes)?),
        })
    }
}

impl Conditions {
    /// The compiled part of one condition, if the rule has it.
    fn part(&self, condition: Condition) -> Option<Vec<u8>> {
        let text = |text: &String, out: &mut Vec<u8>| put_text(text, out);
        let second = |second: UnixTime| second.to_le_bytes().to_vec();
        match condition {
            Condition::Service => list(&self.service, text),
            Condition::Tty => list(&self.tty, pattern),
            Condition::By => list(&self.by, text),
            Condition::Key => self.key.map(|key| vec![key.into()]),
            Condition::HardwareKey => self.hardware_key.then(Vec::new),
            Condition::Place => self.familiar.map(|familiar| vec![familiar.into()]),
            Condition::From => list(&self.from, origin),
            Condition::Hours => list(&self.hours, |hours, out| hours.encode(out)),
            Condition::Since => self.since.map(second),
            Condition::Until => self.until.map(second),
            Condition::User => list(&self.user, pattern),
            Condition::Group => {
                let mut out =
                    list(&self.group, |group, out| out.extend_from_slice(&group.gid.to_le_bytes()))?;
                self.group.iter().for_each(|group| put_text(&group.name, &mut out));
                Some(out)
            }
        }
    }

    /// Reads the compiled part of one condition.
    fn set(&mut self, condition: Condition, mut part: Bytes<'_>) -> Result<(), Damaged> {
        match condition {
            Condition::Service => self.service = items(&mut part, |one| one.text().map(str::to_owned))?,
            Condition::Tty => self.tty = items(&mut part, open_text)?,
            Condition::By => self.by = items(&mut part, |one| one.text().map(str::to_owned))?,
            Condition::Key => self.key = Some(part.boolean()?),
            Condition::HardwareKey if self.key == Some(true) => self.hardware_key = true,
            Condition::HardwareKey => return Err(Damaged),
            Condition::Place => self.familiar = Some(part.boolean()?),
            Condition::From => self.from = items(&mut part, Origin::decode)?,
            Condition::Hours => self.hours = items(&mut part, Hours::decode)?,
            Condition::Since => self.since = Some(part.i64()?),
            Condition::Until => self.until = Some(part.i64()?),
            Condition::User => self.user = items(&mut part, open_text)?,
            Condition::Group => {
                let gids = items(&mut part, Bytes::u32)?;
                let group = |gid| Ok(Group { gid, name: part.text()?.to_owned() });
                self.group = gids.into_iter().map(group).collect::<Result<_, _>>()?;
            }
        }
        if part.is_empty() { Ok(()) } else { Err(Damaged) }
    }
}

fn open_text(bytes: &mut Bytes<'_>) -> Result<Pattern, Damaged> {
    Ok(Pattern { open: bytes.boolean()?, text: bytes.text()?.to_owned() })
}

fn items<'p, T>(
    bytes: &mut Bytes<'p>,
    mut item: impl FnMut(&mut Bytes<'p>) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    match bytes.u8()? {
        0 => Err(Damaged), // the compiler leaves an empty list out
        count => (0..count).map(|_| item(bytes)).collect(),
    }
}
