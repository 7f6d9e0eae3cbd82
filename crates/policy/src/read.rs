//! Reads settings from a document, strictly: an unknown key, or a value of another type, is a fault with its
//! position. (Derived deserialisers took an eighth of the module's size.)

use super::Brand;
use super::FirstLogin;
use super::bytes::{Bytes, Damaged, put_part};
use super::config::{
    Audit, Broker, Config, Defaults, Enroll, Fleet, Require, Services, StateDir, Throttle, Unasked, Verify,
    Watch,
};
use super::document::{Fault, Is, Table, Value};
use super::error::ConfigError;
use super::file_text::Text;
use super::stored::{put_setting, take_setting};
use qrtotp_values::{ConfigDuration, Date};
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::str::FromStr;

impl Config {
    /// Parses the settings in the text of the file `path`, which is only used in messages.
    ///
    /// # Errors
    /// Not UTF-8, not TOML, an unknown key, a value out of bounds.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let text = Text::of(path, bytes)?;
        let document = Table::from_toml(text.as_str()).map_err(|fault| text.error(&fault))?;
        Self::read(&text, &document)
    }

    /// Reads the settings of a document.
    pub(super) fn read(text: &Text<'_>, document: &Table) -> Result<Self, ConfigError> {
        let config = read(document).map_err(|fault| text.error(&fault))?;
        match config.problem() {
            None => Ok(config),
            Some((key, problem)) => {
                Err(text.error(&Fault { at: document.place(key), message: format!("`{key}` {problem}") }))
            }
        }
    }
}

/// Reads the settings of a whole configuration.
pub(super) fn read(document: &Table) -> Result<Config, Fault> {
    let mut config = Config::default();
    let before = &["networks", "policy", "rule", "test"];
    config.fill(&mut Section { before, ..Section::of(document) })?;
    Ok(config)
}

/// A table that is being read. It remembers the keys that were asked for, to find unknown ones.
pub(super) struct Section<'t> {
    table: &'t Table,
    asked: Vec<&'static str>,
    /// Keys that were read before, for the message about an unknown one.
    before: &'static [&'static str],
}

impl<'t> Section<'t> {
    pub(super) fn of(table: &'t Table) -> Self {
        Self { table, asked: Vec::with_capacity(8), before: &[] }
    }

    fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// Stores the key's value in `setting` if the key is there.
    pub(super) fn setting<T: Setting>(&mut self, key: &'static str, setting: &mut T) -> Result<(), Fault> {
        if let Some(value) = self.value(key) {
            *setting = T::read(value)?;
        }
        Ok(())
    }

    fn table(&mut self, key: &'static str, settings: &mut impl Settings) -> Result<(), Fault> {
        let Some(value) = self.value(key) else { return Ok(()) };
        settings.fill(&mut Section::of(table(value)?))
    }

    /// Refuses unknown keys; call it last.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let known = |key: &str| self.asked.contains(&key);
        let Some(unknown) = self.table.0.iter().find(|entry| !known(&entry.key)) else { return Ok(()) };
        let mut message = format!("unknown field `{}`, expected one of", unknown.key);
        for (place, known) in self.asked.iter().chain(self.before).enumerate() {
            let _ = write!(message, "{} `{known}`", if place == 0 { "" } else { "," });
        }
        Err(Fault { at: unknown.at, message })
    }
}

/// The value as a table.
pub(super) fn table(value: &Value) -> Result<&Table, Fault> {
    match &value.is {
        Is::Table(table) => Ok(table),
        _ => Err(unfit(value, "a table")),
    }
}

/// A group of settings, which is a table.
pub(super) trait Settings: Default {
    /// Reads them from TOML.
    fn fill(&mut self, section: &mut Section<'_>) -> Result<(), Fault>;
    /// Appends the binary form: a part with the group's own settings, then its tables.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads the binary form.
    fn take(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Damaged>;
}

// The order is that of the binary form. To add a setting, append it to its group, or a new group to the
// tables: a file of an older version then still has the meaning that it had.
macro_rules! settings {
    ($group:ty: $($key:ident)* $(, tables $($table:ident)*)? $(; not $other:ident)?) => {
        impl Settings for $group {
            fn fill(&mut self, section: &mut Section<'_>) -> Result<(), Fault> {
                let Self { $($key,)* $($($table,)*)? $($other: _,)? } = self; // all of them, or it does not compile
                $(section.setting(stringify!($key), $key)?;)*
                $($(section.table(stringify!($table), $table)?;)*)?
                section.finish()
            }

            fn put(&self, out: &mut Vec<u8>) {
                let (usual, mut own) = (Self::default(), Vec::new());
                $(put_setting(&self.$key, &usual.$key, &mut own);)*
                put_part(&own, out);
                $($(self.$table.put(out);)*)?
            }

            fn take(&mut self, bytes: &mut Bytes<'_>) -> Result<(), Damaged> {
                let mut own = bytes.part()?;
                $(take_setting(&mut self.$key, &mut own)?;)*
                if !own.is_empty() {
                    return Err(Damaged);
                }
                $($(if !bytes.is_empty() {
                    self.$table.take(bytes)?;
                })*)?
                Ok(())
            }
        }
    };
}

settings!(Config: state_dir issuer, tables verify throttle enroll audit broker brand defaults fleet watch; not rules);
settings!(Verify: window_back window_ahead resync);
settings!(Throttle: free_failures max_wait disable_after familiar);
settings!(Enroll: time_limit token_lifetime max_shows max_devices account_label code_lifetime services key_is_enough key_services);
settings!(Audit: debug);
settings!(Broker: services);
settings!(Brand: contact accent accent_text dark light logo logo_size correction);
settings!(Fleet: name local groups verifier etcd self_service remember);
settings!(Watch: spray_accounts enrollments enrollments_by_admin hours);
settings!(Defaults: require first_login allow_until unasked);

/// A type that a key's value can have.
pub(super) trait Setting: Sized {
    fn read(value: &Value) -> Result<Self, Fault>;
}

fn unfit(value: &Value, expected: &str) -> Fault {
    Fault::new(value, format!("invalid type: {}, expected {expected}", value.kind()))
}

fn text(value: &Value) -> Result<&str, Fault> {
    match &value.is {
        Is::Text(text) => Ok(text),
        _ => Err(unfit(value, "a string")),
    }
}

/// A value that is text with its own syntax.
pub(super) fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<T, Fault> {
    text(value)?.parse().map_err(|error: T::Err| Fault::new(value, error.to_string()))
}

fn integer<T: TryFrom<i64>>(value: &Value, most: u32) -> Result<T, Fault> {
    let Is::Integer(number) = value.is else { return Err(unfit(value, "an integer")) };
    T::try_from(number)
        .map_err(|_| Fault::new(value, format!("invalid value: integer `{number}`, expected 0 to {most}")))
}

/// The items of a list.
pub(super) fn list(value: &Value) -> Result<&[Value], Fault> {
    match &value.is {
        Is::List(list) => Ok(list),
        _ => Err(unfit(value, "an array")),
    }
}

impl Setting for String {
    fn read(value: &Value) -> Result<Self, Fault> {
        text(value).map(str::to_owned)
    }
}

impl Setting for StateDir {
    fn read(value: &Value) -> Result<Self, Fault> {
        text(value).map(|path| Self(path.into()))
    }
}

impl Setting for bool {
    fn read(value: &Value) -> Result<Self, Fault> {
        match value.is {
            Is::Boolean(is) => Ok(is),
            _ => Err(unfit(value, "a boolean")),
        }
    }
}

impl Setting for u8 {
    fn read(value: &Value) -> Result<Self, Fault> {
        integer(value, Self::MAX.into())
    }
}

impl Setting for u32 {
    fn read(value: &Value) -> Result<Self, Fault> {
        integer(value, Self::MAX)
    }
}

impl Setting for ConfigDuration {
    fn read(value: &Value) -> Result<Self, Fault> {
        parsed(value)
    }
}

impl Setting for Date {
    fn read(value: &Value) -> Result<Self, Fault> {
        parsed(value)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value) -> Result<Self, Fault> {
        T::read(value).map(Some)
    }
}

impl Setting for Cow<'static, str> {
    fn read(value: &Value) -> Result<Self, Fault> {
        String::read(value).map(Cow::Owned)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Value) -> Result<Self, Fault> {
        list(value)?.iter().map(T::read).collect()
    }
}

impl Setting for Services {
    fn read(value: &Value) -> Result<Self, Fault> {
        let entries = table(value)?.0.iter();
        entries.map(|entry| Ok((entry.key.clone(), Setting::read(&entry.value)?))).collect()
    }
}

/// A value out of a few words.
pub(super) fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> Result<T, Fault> {
    let text = text(value)?;
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let words = words.join("`, `");
        Fault::new(value, format!("unknown variant `{text}`, expected one of `{words}`"))
    })
}

impl Setting for Require {
    fn read(value: &Value) -> Result<Self, Fault> {
        word(value, &[("code", Self::Code), ("nothing", Self::Nothing)])
    }
}

impl Setting for Unasked {
    fn read(value: &Value) -> Result<Self, Fault> {
        word(value, &[("log", Self::Log), ("deny", Self::Deny)])
    }
}

impl Setting for FirstLogin {
    fn read(value: &Value) -> Result<Self, Fault> {
        let words =
            [("deny", Self::Deny), ("enroll", Self::Enroll), ("token", Self::Token), ("allow", Self::Allow)];
        word(value, &words)
    }
}
