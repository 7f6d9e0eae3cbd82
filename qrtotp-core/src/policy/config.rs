//! `/etc/qrtotp/qrtotp.toml`. All keys optional, unknown ones refused, every value bounded.

use super::Span;
use crate::account::ThrottleRules;
use crate::otp::{MAX_TARGETS, Window};
use crate::store::{Readers, TrustError, open_dir, open_file, read_all};
use serde::Deserialize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where the configuration is unless the admin says otherwise.
pub const DEFAULT_PATH: &str = "/etc/qrtotp/qrtotp.toml";
/// A configuration is a page, not a book, in bytes.
const LIMIT: usize = 16 * 1024;

/// Why there is no usable configuration. A login is denied then.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there.
    #[error("{0} does not exist; an empty file is enough to begin with")]
    Missing(PathBuf),
    /// The file can't be trusted or read.
    #[error(transparent)]
    Trust(TrustError),
    /// Not the TOML that we know.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value out of its bounds.
    #[error("{path}: `{key}` {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it should be.
        problem: &'static str,
    },
}

impl ConfigError {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "config_missing",
            Self::Trust(TrustError::Io { .. }) => "config_unreadable",
            Self::Trust(_) => "config_untrusted",
            Self::Syntax { .. } | Self::Value { .. } => "config_invalid",
        }
    }
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where records live. Default `/var/lib/qrtotp`.
    pub state_dir: StateDir,
    /// Who the authenticator app says the code is for. Default: the host's name.
    pub issuer: Option<String>,
    /// How codes are judged.
    pub verify: Verify,
    /// Limits on guessing.
    pub throttle: Throttle,
    /// Enrolment.
    pub enroll: Enroll,
    /// The audit log.
    pub audit: Audit,
    /// What people see of the organisation.
    pub brand: Brand,
    /// What holds for everybody.
    pub defaults: Defaults,
}

/// `state_dir`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StateDir(pub PathBuf);

impl Default for StateDir {
    fn default() -> Self {
        Self(PathBuf::from("/var/lib/qrtotp"))
    }
}

/// `[verify]`: the accepted steps around the current one (RFC 6238 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// Steps back, 0–10. Default 1.
    pub window_back: u8,
    /// Steps ahead, 0–10. Default 0.
    pub window_ahead: u8,
}

impl Default for Verify {
    fn default() -> Self {
        let Window { back, ahead } = Window::default();
        Self { window_back: back, window_ahead: ahead }
    }
}

impl Verify {
    /// The accepted steps.
    #[must_use]
    pub fn window(self) -> Window {
        Window { back: self.window_back, ahead: self.window_ahead }
    }
}

/// `[throttle]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Consecutive failures that cost no waiting, 1–20. Default 5.
    pub free_failures: u32,
    /// The longest wait, 1–30 s.
    pub max_wait: Span,
    /// Consecutive failures after which app codes are disabled, 10–100. Default 100.
    pub disable_after: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        let ThrottleRules { free_failures, max_wait, disable_after } = ThrottleRules::default();
        Self { free_failures, max_wait: Span::seconds(max_wait), disable_after }
    }
}

impl Throttle {
    /// The rules for the state machine.
    #[must_use]
    pub fn rules(self) -> ThrottleRules {
        ThrottleRules {
            free_failures: self.free_failures,
            max_wait: u32::try_from(self.max_wait.as_seconds()).unwrap_or(30),
            disable_after: self.disable_after,
        }
    }
}

/// `[enroll]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enroll {
    /// How long a shown QR code may wait for its first code. Default `10m`, at most `1h`.
    pub time_limit: Span,
    /// How long an issued token lives. Default `24h`.
    pub token_lifetime: Span,
    /// How often a token's QR code may be shown, 1–10. Default 3.
    pub max_shows: u8,
    /// Devices per account, 1–10. Default 5.
    pub max_devices: u8,
}

impl Default for Enroll {
    fn default() -> Self {
        Self {
            time_limit: Span::seconds(600),
            token_lifetime: Span::seconds(86_400),
            max_shows: 3,
            max_devices: 5,
        }
    }
}

/// `[audit]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Log what the module looks at, as its argument `debug` does.
    pub debug: bool,
}

/// `[brand]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brand {
    /// Whom to ask for help, shown at enrolment: a telephone number, an address. At most 100 characters.
    pub contact: Option<String>,
}

/// `[defaults]`: what rules by user, group and service will be able to override.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// What a login takes.
    pub require: Require,
    /// What happens to an account without a credential.
    pub first_login: FirstLogin,
}

/// What a login takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// A code of an enrolled device, or a recovery code.
    #[default]
    Code,
    /// Nothing from us: PAM_IGNORE for everybody.
    Nothing,
}

/// What happens to an account without a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstLogin {
    /// Denied, at the same prompt as everybody.
    #[default]
    Deny,
}

/// A configuration and where it came from: the sealing key lies beside it.
#[derive(Debug)]
pub struct Source {
    /// What it says.
    pub config: Config,
    /// Its directory.
    pub dir_path: PathBuf,
    _dir: OwnedFd,
}

impl Source {
    /// Reads the configuration in `path`.
    ///
    /// # Errors
    /// Missing, writable by others, not what we know.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (Some(dir_path), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
            return Err(ConfigError::Trust(TrustError::Form(path.to_owned())));
        };
        let trust = |error| match error {
            TrustError::Missing(_) => ConfigError::Missing(path.to_owned()),
            other => ConfigError::Trust(other),
        };
        let dir = open_dir(dir_path).map_err(trust)?;
        let file = open_file(&dir, name, path, false, Readers::Anybody).map_err(trust)?;
        let bytes = read_all(file, path, LIMIT).map_err(trust)?;
        let config = Config::parse(path, &bytes)?;
        Ok(Self { config, dir_path: dir_path.to_owned(), _dir: dir })
    }
}

impl Config {
    /// Parses the text of the file `path`, which is only used in messages.
    ///
    /// # Errors
    /// Not UTF-8, not TOML, an unknown key, a value out of bounds.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let syntax = |line, message| ConfigError::Syntax { path: path.to_owned(), line, message };
        let text = std::str::from_utf8(bytes).map_err(|e| {
            syntax(1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count(), "not UTF-8".into())
        })?;
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..before].iter().filter(|b| **b == b'\n').count();
            syntax(line, crate::text::clean(error.message(), 200))
        })?;
        match config.problem() {
            None => Ok(config),
            Some((key, problem)) => Err(ConfigError::Value { path: path.to_owned(), key, problem }),
        }
    }

    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let Verify { window_back, window_ahead } = self.verify;
        let printable = |text: &str, max| {
            (1..=max).contains(&text.chars().count()) && crate::text::clean(text, max) == text
        };
        let devices = usize::from(self.enroll.max_devices);
        [
            (!self.state_dir.0.is_absolute(), "state_dir", "must be an absolute path"),
            (
                self.issuer.as_ref().is_some_and(|i| !printable(i, 64) || i.contains(':')),
                "issuer",
                "must be 1 to 64 printable characters without a colon",
            ),
            (window_back > 10, "verify.window_back", "must be 0 to 10 steps"),
            (window_ahead > 10, "verify.window_ahead", "must be 0 to 10 steps"),
            (!(1..=20).contains(&self.throttle.free_failures), "throttle.free_failures", "must be 1 to 20"),
            (self.throttle.max_wait > Span::seconds(30), "throttle.max_wait", "must be 1s to 30s"),
            (
                !(10..=100).contains(&self.throttle.disable_after),
                "throttle.disable_after",
                "must be 10 to 100 (NIST SP 800-63B-4 §3.2.2 allows no more)",
            ),
            (self.enroll.time_limit > Span::seconds(3_600), "enroll.time_limit", "must be at most 1h"),
            (!(1..=10).contains(&self.enroll.max_shows), "enroll.max_shows", "must be 1 to 10"),
            (!(1..=10).contains(&devices), "enroll.max_devices", "must be 1 to 10"),
            (
                self.verify.window().steps() * devices > MAX_TARGETS,
                "verify",
                "accepts too much: (window_back + 1 + window_ahead) × enroll.max_devices must be at most 15, \
                 or guessing becomes too easy",
            ),
            (
                self.brand.contact.as_ref().is_some_and(|c| !printable(c, 100)),
                "brand.contact",
                "must be 1 to 100 printable characters",
            ),
        ]
        .into_iter()
        .find_map(|(wrong, key, problem)| wrong.then_some((key, problem)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("/etc/qrtotp/qrtotp.toml"), text.as_bytes())
    }

    #[test]
    fn an_empty_file_is_the_default_configuration() {
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(Config::default().verify.window(), Window { back: 1, ahead: 0 });
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let message = parse("state_dir = \"/x\"\n\n[verify]\nwindow = 3\n").unwrap_err().to_string();
        assert!(message.contains("line 4") && message.contains("window"), "{message}");
    }

    #[test]
    fn values_out_of_bounds_are_refused_by_key() {
        for (text, key) in [
            ("state_dir = \"relative\"", "state_dir"),
            ("issuer = \"a:b\"", "issuer"),
            ("issuer = \"\"", "issuer"),
            ("[verify]\nwindow_back = 11", "verify.window_back"),
            ("[throttle]\ndisable_after = 101", "throttle.disable_after"),
            ("[throttle]\nmax_wait = \"1h\"", "throttle.max_wait"),
            ("[enroll]\nmax_shows = 0", "enroll.max_shows"),
            ("[enroll]\ntime_limit = \"2h\"", "enroll.time_limit"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(&format!("`{key}`")), "{text}");
        }
    }

    #[test]
    fn steps_times_devices_above_fifteen_is_refused() {
        assert!(parse("[verify]\nwindow_back = 2").is_ok(), "3 steps × 5 devices");
        assert!(parse("[verify]\nwindow_back = 3").is_err(), "4 steps × 5 devices");
        assert!(parse("[verify]\nwindow_back = 10\nwindow_ahead = 4\n[enroll]\nmax_devices = 1").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in "(\\[?[a-z_.]{0,12}\\]? ?=? ?\"?[a-z0-9]{0,6}\"?\n?){0,6}") {
            let _ = parse(&text);
        }
    }
}
