//! What tests want of others and some machine can't have: the tests go on without it there, and whoever
//! started them is told. Where `CI` is set, as the services for that do, nothing may be left out.

use anyhow::{Result, bail};

use crate::step::say;

#[derive(Default)]
pub struct MissingTools {
    names: Vec<&'static str>,
    said: Vec<String>,
}

impl MissingTools {
    /// Remembers `name` if it could not be had, and `without`, which says what is not tested then.
    ///
    /// # Errors
    /// It could not be had, and `CI` is set.
    pub fn note(&mut self, name: &'static str, without: &str, had: Result<()>) -> Result<()> {
        let Err(error) = had else { return Ok(()) };
        if std::env::var_os("CI").is_some() {
            bail!("CI is set, so nothing may be left out, but {without}: {error:#}");
        }
        self.names.push(name);
        self.said.push(format!("LEFT OUT: {without}: {error:#}"));
        self.say();
        Ok(())
    }

    /// Remembers what can't be tested on this machine, whatever it has. No error where `CI` is set: nothing
    /// could be done about it.
    pub fn can_not(&mut self, without: &str) {
        self.said.push(format!("LEFT OUT: {without}"));
        self.say();
    }

    /// Says all of it, at the latest at the end, where it is read.
    pub fn say(&self) {
        self.said.iter().for_each(|said| say(said));
    }

    /// How the tests learn of it.
    pub fn variable(&self) -> (&'static str, String) {
        ("QRTOTP_LACKS", self.names.join(","))
    }
}
