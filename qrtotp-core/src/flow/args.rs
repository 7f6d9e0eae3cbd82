//! The words behind the module's name in a PAM file. Anything that is not understood denies.

use super::{FirstPass, Options};
use crate::policy::DEFAULT_PATH;
use std::ffi::CStr;
use std::path::PathBuf;

const KNOWN: &str =
    "known are config=, nullok, prompt=, echo_code, try_first_pass, use_first_pass, forward_pass and debug";

/// The arguments, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// The configuration file.
    pub config: PathBuf,
    /// Log what is looked at, for somebody who looks for a mistake.
    pub debug: bool,
    /// What a login is asked with.
    pub options: Options,
}

/// An argument at fault, in words for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgError(pub String);

impl Args {
    /// # Errors
    /// An unknown, malformed, repeated or contradicting argument.
    pub fn parse(words: &[&CStr]) -> Result<Self, ArgError> {
        let mut args =
            Self { config: PathBuf::from(DEFAULT_PATH), debug: false, options: Options::default() };
        let mut seen: Vec<&str> = Vec::new();
        let mut unknown = Vec::new();
        for word in words {
            let word = word.to_str().map_err(|_| ArgError("an argument is not UTF-8".into()))?;
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            if seen.contains(&key) {
                return Err(ArgError(format!("argument `{key}` is given twice")));
            }
            seen.push(key);
            match (key, value) {
                ("config", Some(path)) if path.starts_with('/') => args.config = PathBuf::from(path),
                ("prompt", Some(text)) if !text.is_empty() && !text.chars().any(char::is_control) => {
                    args.options.prompt = Some(text.to_owned());
                }
                ("config", _) => return Err(ArgError("`config=` takes an absolute path".into())),
                ("prompt", _) => {
                    return Err(ArgError("`prompt=` takes a text without control characters".into()));
                }
                ("nullok", None) => args.options.nullok = true,
                ("debug", None) => args.debug = true,
                ("echo_code", None) => args.options.echo_code = true,
                ("try_first_pass", None) => args.first_pass(FirstPass::Try)?,
                ("use_first_pass", None) => args.first_pass(FirstPass::Use)?,
                ("forward_pass", None) => args.first_pass(FirstPass::Forward)?,
                _ => unknown.push(format!("`{word}`")),
            }
        }
        if unknown.is_empty() {
            return Ok(args);
        }
        let plural = if unknown.len() == 1 { "" } else { "s" };
        Err(ArgError(format!("unknown argument{plural} {}; {KNOWN}", unknown.join(", "))))
    }

    fn first_pass(&mut self, mode: FirstPass) -> Result<(), ArgError> {
        if self.options.first_pass != FirstPass::Ask {
            let text = "only one of try_first_pass, use_first_pass and forward_pass can hold";
            return Err(ArgError(text.into()));
        }
        self.options.first_pass = mode;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_arguments_are_the_defaults() {
        let args = Args::parse(&[]).unwrap();
        assert_eq!(args.config, PathBuf::from("/etc/qrtotp/qrtotp.toml"));
        assert_eq!(args.options, Options::default());
    }

    #[test]
    fn every_argument_is_understood() {
        let words =
            [c"config=/x/y.toml", c"nullok", c"debug", c"prompt=Code? ", c"forward_pass", c"echo_code"];
        let args = Args::parse(&words).unwrap();
        assert_eq!(args.config, PathBuf::from("/x/y.toml"));
        assert!(args.debug && args.options.nullok && args.options.echo_code);
        assert_eq!(args.options.prompt.as_deref(), Some("Code? "));
        assert_eq!(args.options.first_pass, FirstPass::Forward);
        for word in words.iter().chain(&[c"try_first_pass", c"use_first_pass"]) {
            let key = word.to_str().unwrap().split_inclusive('=').next().unwrap();
            assert!(KNOWN.contains(key), "{key}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for word in
            [c"nullOK", c"nullok=1", c"", c"config", c"config=etc", c"prompt=", c"prompt=a\nb", c"\xff"]
        {
            assert!(Args::parse(&[word]).is_err(), "{word:?}");
        }
        let why = |word| Args::parse(&[word]).unwrap_err().0;
        assert!(why(c"secret=/x").contains("secret=/x"));
        let all = Args::parse(&[c"secret=/x", c"nullok", c"window=3", c"noskewadj"]).unwrap_err().0;
        assert_eq!(all, format!("unknown arguments `secret=/x`, `window=3`, `noskewadj`; {KNOWN}"));
        assert!(why(c"config=etc").contains("an absolute path"));
        assert!(why(c"prompt=a\nb").contains("without control characters"));
    }

    #[test]
    fn each_way_to_take_a_password_is_its_own() {
        for (word, mode) in [
            (c"try_first_pass", FirstPass::Try),
            (c"use_first_pass", FirstPass::Use),
            (c"forward_pass", FirstPass::Forward),
        ] {
            assert_eq!(Args::parse(&[word]).unwrap().options.first_pass, mode);
        }
    }

    #[test]
    fn repeated_and_contradicting_arguments_are_refused() {
        assert!(Args::parse(&[c"debug", c"debug"]).is_err());
        assert!(Args::parse(&[c"try_first_pass", c"forward_pass"]).is_err());
    }
}
