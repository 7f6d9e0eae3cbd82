//! From a TOML document to settings, strictly: a key that no setting has, or a value of another kind, is a fault with its place.
//! (Derived readers were an eighth of the module.)

use super::config::{
    Audit, Broker, Config, Defaults, Enroll, FirstLogin, Require, Services, StateDir, Throttle, Verify,
};
use super::{Brand, Date, Span};
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong, and the byte at which it is.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Fault {
    fn new(value: &Value<'_>, message: String) -> Self {
        Self { at: value.span().start, message }
    }
}

type Value<'t> = Spanned<DeValue<'t>>;

/// Reads a whole configuration.
pub(super) fn read(text: &str) -> Result<Config, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
    })?;
    let mut config = Config::default();
    config.fill(&mut Section::of(document.get_ref()))?;
    Ok(config)
}

/// A table that is being read. It remembers which keys were asked for: there are no others.
struct Section<'t> {
    table: &'t DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    fn of(table: &'t DeTable<'t>) -> Self {
        Self { table, asked: Vec::with_capacity(8) }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.asked.push(key);
        self.table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
    }

    /// Where the key is there, its value goes into `setting`.
    fn setting<T: Setting>(&mut self, key: &'static str, setting: &mut T) -> Result<(), Fault> {
        if let Some(value) = self.value(key) {
            *setting = T::read(value)?;
        }
        Ok(())
    }

    fn table(&mut self, key: &'static str, settings: &mut impl Settings) -> Result<(), Fault> {
        let Some(value) = self.value(key) else { return Ok(()) };
        match value.get_ref() {
            DeValue::Table(table) => settings.fill(&mut Section::of(table)),
            _ => Err(unfit(value, "a table")),
        }
    }

    /// To be called last.
    fn finish(&self) -> Result<(), Fault> {
        let unknown = self.table.keys().filter(|key| !self.asked.iter().any(|known| known == key.get_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let mut message = format!("unknown field `{}`, expected one of", key.get_ref());
        for (place, known) in self.asked.iter().enumerate() {
            let _ = write!(message, "{} `{known}`", if place == 0 { "" } else { "," });
        }
        Err(Fault { at: key.span().start, message })
    }
}

/// A group of settings, which is a table.
trait Settings {
    fn fill(&mut self, section: &mut Section<'_>) -> Result<(), Fault>;
}

macro_rules! settings {
    ($group:ty: $($key:ident)* $(, tables $($table:ident)*)?) => {
        impl Settings for $group {
            fn fill(&mut self, section: &mut Section<'_>) -> Result<(), Fault> {
                let Self { $($key,)* $($($table,)*)? } = self; // all of them, or it does not compile
                $(section.setting(stringify!($key), $key)?;)*
                $($(section.table(stringify!($table), $table)?;)*)?
                section.finish()
            }
        }
    };
}

settings!(Config: state_dir issuer, tables verify throttle enroll audit broker brand defaults);
settings!(Verify: window_back window_ahead resync);
settings!(Throttle: free_failures max_wait disable_after);
settings!(Enroll: time_limit token_lifetime max_shows max_devices account_label code_lifetime services key_is_enough key_services);
settings!(Audit: debug);
settings!(Broker: services);
settings!(Brand: contact accent accent_text dark light logo logo_size correction);
settings!(Defaults: require first_login allow_until);

/// What a key can have.
trait Setting: Sized {
    fn read(value: &Value<'_>) -> Result<Self, Fault>;
}

fn unfit(value: &Value<'_>, expected: &str) -> Fault {
    Fault::new(value, format!("invalid type: {}, expected {expected}", value.get_ref().type_str()))
}

fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, Fault> {
    value.get_ref().as_str().ok_or_else(|| unfit(value, "a string"))
}

fn parsed<T: FromStr<Err: Display>>(value: &Value<'_>) -> Result<T, Fault> {
    text(value)?.parse().map_err(|error: T::Err| Fault::new(value, error.to_string()))
}

fn integer<T: TryFrom<i64>>(value: &Value<'_>, most: u32) -> Result<T, Fault> {
    let number = value.get_ref().as_integer().ok_or_else(|| unfit(value, "an integer"))?;
    let fits = i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| T::try_from(n).ok());
    fits.ok_or_else(|| {
        Fault::new(value, format!("invalid value: integer `{}`, expected 0 to {most}", number.as_str()))
    })
}

impl Setting for String {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        text(value).map(str::to_owned)
    }
}

impl Setting for StateDir {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        text(value).map(|path| Self(path.into()))
    }
}

impl Setting for bool {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        value.get_ref().as_bool().ok_or_else(|| unfit(value, "a boolean"))
    }
}

impl Setting for u8 {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        integer(value, Self::MAX.into())
    }
}

impl Setting for u32 {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        integer(value, Self::MAX)
    }
}

impl Setting for Span {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        parsed(value)
    }
}

impl Setting for Date {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        parsed(value)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        T::read(value).map(Some)
    }
}

impl Setting for Cow<'static, str> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        String::read(value).map(Self::Owned)
    }
}

impl Setting for Vec<Cow<'static, str>> {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let list = value.get_ref().as_array().ok_or_else(|| unfit(value, "an array"))?;
        list.iter().map(Setting::read).collect()
    }
}

impl Setting for Services {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let DeValue::Table(table) = value.get_ref() else { return Err(unfit(value, "a table")) };
        let mut listed = Self::new();
        for (account, services) in table {
            listed.push((account.get_ref().to_string(), Setting::read(services)?));
        }
        Ok(listed)
    }
}

/// One of a few words.
fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Result<T, Fault> {
    let text = text(value)?;
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let words = words.join("`, `");
        Fault::new(value, format!("unknown variant `{text}`, expected one of `{words}`"))
    })
}

impl Setting for Require {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        word(value, &[("code", Self::Code), ("nothing", Self::Nothing)])
    }
}

impl Setting for FirstLogin {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let words =
            [("deny", Self::Deny), ("enroll", Self::Enroll), ("token", Self::Token), ("allow", Self::Allow)];
        word(value, &words)
    }
}
