//! Rules, decisions and what they look at, in words.

use qrtotp_policy::{
    Condition, Conditions, Config, Decision, Effects, Facts, FirstLogin, Outcome, Rule, address,
    minute_of_week,
};
use qrtotp_values::Date;
use qrtotp_values::UnixTime;
use qrtotp_values::text::{clean, utc};
use std::fmt::Debug;
use std::fmt::Display;

const HALF_A_DAY: i64 = 12 * 3600;
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The requirement of a condition; empty if the rule lacks it. `offset` of the zone, in seconds east of UTC.
pub fn demanded(conditions: &Conditions, condition: Condition, offset: i32) -> String {
    // The day may have another offset than now: its noon is in it all the same.
    let day_at = |noon: UnixTime| Date::of(noon + i64::from(offset)).to_string();
    match condition {
        Condition::Service => list(&conditions.service),
        Condition::Tty => list(&conditions.tty),
        Condition::By => list(&conditions.by),
        Condition::Key if conditions.hardware_key => "hardware".into(),
        Condition::Key => conditions.key.map_or_else(String::new, |key| key.to_string()),
        Condition::HardwareKey => String::new(), // shown as the key
        Condition::Place => conditions.familiar.map_or("", place).into(),
        Condition::From => list(&conditions.from),
        Condition::Hours => list(&conditions.hours),
        Condition::Since => conditions.since.map_or_else(String::new, |since| day_at(since + HALF_A_DAY)),
        Condition::Until => conditions.until.map_or_else(String::new, |until| day_at(until - HALF_A_DAY)),
        Condition::User => list(&conditions.user),
        Condition::Group => {
            let names: Vec<&str> = conditions.group.iter().map(|group| group.name.as_str()).collect();
            list(&names)
        }
    }
}

/// A place, as rules call it.
pub const fn place(familiar: bool) -> &'static str {
    if familiar { "familiar" } else { "new" }
}

/// Why a condition does not hold for a login.
pub fn mismatch(facts: &Facts<'_>, conditions: &Conditions, condition: Condition, offset: i32) -> String {
    let (found, demanded) = (found(facts, condition, offset), demanded(conditions, condition, offset));
    match condition {
        Condition::Key | Condition::HardwareKey => found,
        Condition::Place => format!("the place is not {demanded}"),
        Condition::Since => format!("{found} is before {demanded}"),
        Condition::Until => format!("{found} is after {demanded}"),
        Condition::Group => format!("is not in {demanded}"),
        _ => format!("{found}, not {demanded}"),
    }
}

/// All that the rules can look at, but the groups.
pub fn login(facts: &Facts<'_>, offset: i32) -> String {
    let mut words: Vec<String> = [Condition::User, Condition::Service, Condition::From, Condition::Tty]
        .map(|condition| found(facts, condition, offset))
        .into();
    words
        .extend((!facts.by.is_empty()).then(|| format!("called by {}", found(facts, Condition::By, offset))));
    words.extend(facts.key.map(|_| found(facts, Condition::Key, offset)));
    let (date, hour) = (found(facts, Condition::Since, offset), found(facts, Condition::Hours, offset));
    words.push(format!("{hour} on {date}"));
    words.join(", ")
}

fn found(facts: &Facts<'_>, condition: Condition, offset: i32) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { clean(text, 64) };
    match condition {
        Condition::Service => or(facts.service, "no service"),
        Condition::Tty => or(facts.tty, "no terminal"),
        Condition::By => or(facts.by, "no caller"),
        Condition::Key => match facts.key {
            Some(true) => "a key was accepted".into(),
            Some(false) => "no key was accepted".into(),
            None => "only sshd knows of keys".into(),
        },
        Condition::HardwareKey => "the key is no registered hardware key".into(),
        Condition::From if !facts.rhost.is_empty() && address(facts.rhost).is_none() => {
            format!("the name {}", clean(facts.rhost, 64))
        }
        Condition::From => or(facts.rhost, "local"),
        Condition::Hours => {
            let minute = minute_of_week(facts.now, offset);
            let day = DAYS[usize::from(minute / (24 * 60)) % 7];
            format!("{day} {:02}:{:02}", minute / 60 % 24, minute % 60)
        }
        Condition::Since | Condition::Until => Date::of(facts.now + i64::from(offset)).to_string(),
        Condition::User => {
            facts.user.map_or_else(|| "no account of this host".into(), |user| clean(user, 64))
        }
        Condition::Group | Condition::Place => String::new(),
    }
}

/// The outcome of a decision with all that the rule adds; `first_login`: for an account without a device,
/// too.
pub fn outcome(config: &Config, decision: &Decision<'_>, first_login: bool) -> String {
    let outcome = decision.outcome.unwrap_or_else(|| config.default_outcome());
    let asks = first_login && matches!(outcome, Outcome::Code | Outcome::TwoCodes);
    let (first_login, until) = first_login_of(config, decision);
    let effects = Effects {
        first_login: asks.then_some(first_login),
        allow_until: until.filter(|_| asks),
        ..decision.effects.clone()
    };
    with_effects(outcome, &effects)
}

/// The effects of a rule.
pub fn then(rule: &Rule) -> String {
    with_effects(rule.outcome, &rule.effects)
}

fn with_effects(outcome: Outcome, effects: &Effects<impl Debug>) -> String {
    let mut words = vec![outcome.as_str().to_owned()];
    words.extend(
        effects.first_login.map(|first_login| format!("first_login = {}", first_login_word(first_login))),
    );
    words.extend(effects.allow_until.map(|until| format!("allow_until = {until}")));
    words.extend(effects.remember.map(|duration| format!("remember = {duration}")));
    for (is, word) in [
        (effects.fresh, "fresh"),
        (effects.no_recovery, "recovery = false"),
        (effects.notice && !effects.alert, "notice"),
        (effects.alert, "alert"),
    ] {
        words.extend(is.then(|| word.to_owned()));
    }
    words.extend(effects.message.as_ref().map(|message| format!("{message:?}")));
    words.join(", ")
}

/// The setting `first_login`, with the last day if it has one.
pub fn first_login_of(config: &Config, decision: &Decision<'_>) -> (FirstLogin, Option<Date>) {
    match decision.effects.first_login {
        Some(first_login) => (first_login, decision.effects.allow_until),
        None => (config.defaults.first_login, config.defaults.allow_until),
    }
}

pub fn first_login_word(first_login: FirstLogin) -> &'static str {
    match first_login {
        FirstLogin::Deny => "deny",
        FirstLogin::Enroll => "enroll",
        FirstLogin::Token => "token",
        FirstLogin::Allow => "allow",
    }
}

/// A time to the minute, UTC.
pub fn time(time: UnixTime) -> String {
    let text = utc(time);
    format!("{} UTC", text.get(..16).unwrap_or(&text))
}

/// `1 rule`, `2 rules`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn list<T: Display>(items: &[T]) -> String {
    const MOST: usize = 8;
    let mut texts: Vec<String> = items.iter().take(MOST).map(ToString::to_string).collect();
    if items.len() > MOST {
        texts.push(format!("{} more", items.len() - MOST));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_summer_is_shown_as_it_was_written_in_winter_too() {
        // The first of July 2027 in Amsterdam.
        let (since, until) = (Some(1_814_392_800), Some(1_814_479_200));
        let conditions = Conditions { since, until, ..Conditions::default() };
        for offset in [3600, 7200] {
            for condition in [Condition::Since, Condition::Until] {
                assert_eq!(demanded(&conditions, condition, offset), "2027-07-01", "{condition:?}");
            }
        }
    }
}
