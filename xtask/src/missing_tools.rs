//! Third-party tools that a machine may be unable to install: the tests run without them, and the output says
//! so. If `CI` is set, nothing may be left out.

use anyhow::{Result, bail};

use crate::step::say;

#[derive(Default)]
pub struct MissingTools {
    names: Vec<&'static str>,
    said: Vec<String>,
}

impl MissingTools {
    /// Records `name` if it could not be installed, with `without`, which says what is then not tested.
    ///
    /// # Errors
    /// It could not be installed, and `CI` is set.
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

    /// Records a test that this machine can't run with any tools. No error under `CI`, which could not change
    /// that.
    pub fn can_not(&mut self, without: &str) {
        self.said.push(format!("LEFT OUT: {without}"));
        self.say();
    }

    /// Prints all of it; call it at the end, where users read it.
    pub fn say(&self) {
        self.said.iter().for_each(|said| say(said));
    }

    /// The environment variable that tells the tests.
    pub fn variable(&self) -> (&'static str, String) {
        ("QRTOTP_LACKS", self.names.join(","))
    }
}
