//! Rules: which factor a login needs, by user, service, place and time. The first rule whose conditions all
//! hold decides; if there is none, `[defaults]` do.
//!
//! [`Rule`] is the source form, [`compiled`] the form that a login reads; [`decide`] evaluates it.

mod compiled;
mod decide;
mod hours;
#[cfg(test)]
mod naive;
mod network;
mod sense;
mod source;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
mod values;
#[cfg(test)]
pub(super) use tests::NoNames;

pub(super) use compiled::FIRST_LOGINS;
pub use compiled::RuleSet;
pub use decide::{Decision, Facts, Known, Lookups};
pub use hours::{Hours, minute_of_week};
pub use network::{Network, address};
pub use source::{Names, Test};
pub(super) use source::{Part, enrols_at, read};
pub use values::local_time;

use super::FirstLogin;
use qrtotp_values::UnixTime;
use qrtotp_values::{ConfigDuration, Date};
use std::fmt;

/// Rules in one policy, at most.
pub const MAX_RULES: usize = 256;
/// Items of one list, at most.
pub const MAX_ITEMS: usize = 64;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its name in every event: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// All its conditions must hold.
    pub conditions: Conditions,
    /// Its decision.
    pub outcome: Outcome,
    /// Its other effects, such as how long an account may stay unenrolled.
    pub effects: Effects<String>,
}

/// The conditions that must all hold for a rule to decide. An empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// PAM services.
    pub service: Vec<String>,
    /// Terminals without `/dev/`.
    pub tty: Vec<Pattern>,
    /// The callers of su and sudo.
    pub by: Vec<String>,
    /// Whether sshd accepted a public key before.
    pub key: Option<bool>,
    /// Requires a registered hardware key. Goes with `key: Some(true)`.
    pub hardware_key: bool,
    /// Whether the place is familiar: a right code came from there in the last `throttle.familiar`.
    pub familiar: Option<bool>,
    /// The origin of the login.
    pub from: Vec<Origin>,
    /// Hours in the policy's time zone.
    pub hours: Vec<Hours>,
    /// The first second of the first day.
    pub since: Option<UnixTime>,
    /// The second after the last day.
    pub until: Option<UnixTime>,
    /// Accounts, by their canonical names.
    pub user: Vec<Pattern>,
    /// Groups, primary or supplementary.
    pub group: Vec<Group>,
}

/// One kind of condition. They are tried in this order, the most expensive last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the fields of [`Conditions`]
#[repr(u16)]
pub enum Condition {
    Service = 1,
    Tty = 2,
    By = 4,
    Key = 8,
    From = 16,
    User = 32,
    Hours = 64,
    Since = 128,
    Until = 256,
    Group = 512,
    HardwareKey = 1024,
    Place = 2048,
}

impl Condition {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 12] = [
        Self::Service,
        Self::Tty,
        Self::By,
        Self::Key,
        Self::From,
        Self::User,
        Self::Hours,
        Self::Since,
        Self::Until,
        Self::Group,
        Self::HardwareKey,
        Self::Place,
    ];

    /// The first one of a set of bits, in that order.
    fn first_of(bits: u16) -> Option<Self> {
        Self::ALL.get(usize::try_from(bits.trailing_zeros()).ok()?).copied()
    }

    /// The key of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Tty => "tty",
            Self::By => "by",
            Self::Key | Self::HardwareKey => "key",
            Self::Place => "place",
            Self::From => "from",
            Self::Hours => "hours",
            Self::Since => "since",
            Self::Until => "until",
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// A name, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// All of the name, or its beginning.
    pub text: String,
    /// Whether any text may follow: written as `*` at the end.
    pub open: bool,
}

impl Pattern {
    /// Whether it is this name's.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.text) } else { name == self.text }
    }

    /// Whether it is `tty*`, which as a terminal means the virtual consoles tty1, tty2 … only.
    fn is_any_console(&self) -> bool {
        self.open && self.text == "tty"
    }

    /// A console that matches it, if nothing but consoles does.
    #[must_use]
    pub fn console(&self) -> Option<String> {
        let other = ["ttyS", "hvc"].iter().any(|name| self.text.starts_with(name));
        let end = match self.open {
            true if self.is_any_console() => "1",
            true => "0",
            false => "",
        };
        (self.is_console() || other).then(|| format!("{}{end}", self.text))
    }

    /// Whether only virtual consoles match it, as a terminal.
    fn is_console(&self) -> bool {
        let digits = self.text.strip_prefix("tty").unwrap_or("?");
        digits.bytes().all(|b| b.is_ascii_digit()) && (self.is_any_console() || !digits.is_empty())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.open { "*" } else { "" })
    }
}

/// The origin of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// PAM names no remote host.
    Local,
    /// PAM names one.
    Remote,
    /// PAM names an address of this network.
    Network(Network),
}

impl Origin {
    /// Whether so many hosts share it that an address says little.
    fn is_wide(&self) -> bool {
        match self {
            Self::Local => false,
            Self::Remote => true,
            Self::Network(network) => network.prefix() < if network.first().is_ipv4() { 16 } else { 32 },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Remote => f.write_str("remote"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// A group, with the gid that it had when the configuration was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// A rule's decision, from the laxest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No second factor: PAM_IGNORE.
    Skip,
    /// A code.
    #[default]
    Code,
    /// Two consecutive codes of one device.
    TwoCodes,
    /// No login.
    Deny,
}

/// The words of outcomes in the configuration.
pub const OUTCOMES: [(&str, Outcome); 4] = [
    ("code", Outcome::Code),
    ("two-codes", Outcome::TwoCodes),
    ("skip", Outcome::Skip),
    ("deny", Outcome::Deny),
];

impl Outcome {
    /// The word of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        OUTCOMES.iter().find(|(_, outcome)| *outcome == self).map_or("", |(word, _)| word)
    }
}

/// A rule's effects besides its outcome; the message owned or borrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects<M> {
    /// Replaces `defaults.first_login`.
    pub first_login: Option<FirstLogin>,
    /// Goes with `first_login = "allow"`.
    pub allow_until: Option<Date>,
    /// Only a code of the current step counts.
    pub fresh: bool,
    /// Recovery codes don't count.
    pub no_recovery: bool,
    /// How long after a right code the same origin is not asked again.
    pub remember: Option<ConfigDuration>,
    /// Logs with priority notice, even if nothing was asked.
    pub notice: bool,
    /// The same with priority alert.
    pub alert: bool,
    /// Shown if the outcome is [`Outcome::Deny`]: at most 200 characters.
    pub message: Option<M>,
}

impl Effects<&str> {
    fn into_owned(self) -> Effects<String> {
        let Self { first_login, allow_until, fresh, no_recovery, remember, notice, alert, message } = self;
        let message = message.map(str::to_owned);
        Effects { first_login, allow_until, fresh, no_recovery, remember, notice, alert, message }
    }
}
