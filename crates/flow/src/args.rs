//! The module's arguments in a PAM file. An invalid argument denies every login.

use super::{FirstPass, Options};
use qrtotp_messages::candidates;
use qrtotp_policy::DEFAULT_PATH;
use qrtotp_values::text::clean;
use std::ffi::CStr;
use std::path::PathBuf;

const KNOWN: [&str; 9] = [
    "config=",
    "nullok",
    "prompt=",
    "echo_code",
    "language=",
    "try_first_pass",
    "use_first_pass",
    "forward_pass",
    "debug",
];

/// The arguments, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// The configuration file.
    pub config: PathBuf,
    /// Log the facts that a login is decided by, for debugging.
    pub debug: bool,
    /// The language of messages, if not that of the environment.
    pub language: Option<String>,
    /// The options of a login.
    pub options: Options,
}

/// An invalid argument, as a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgError(pub String);

impl Args {
    /// # Errors
    /// An unknown, malformed, repeated or contradicting argument.
    pub fn parse(words: &[&CStr]) -> Result<Self, ArgError> {
        let (config, options) = (PathBuf::from(DEFAULT_PATH), Options::default());
        let mut args = Self { config, debug: false, language: None, options };
        let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str().ok()).collect();
        let words = words.ok_or_else(|| ArgError("an argument is not UTF-8".into()))?;
        let unknown: Vec<_> = words.iter().filter(|word| !is_known(word)).map(|word| quoted(word)).collect();
        if !unknown.is_empty() {
            let plural = if unknown.len() == 1 { "" } else { "s" };
            let (unknown, known) = (unknown.join(", "), KNOWN.join(", "));
            return Err(ArgError(format!("unknown argument{plural} {unknown}; known are {known}")));
        }
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            let (key, value) = parts(word);
            if seen.contains(&key) {
                return Err(ArgError(format!("argument `{key}` is given twice")));
            }
            seen.push(key);
            match (key, value) {
                ("config", Some(path)) if path.starts_with('/') => args.config = PathBuf::from(path),
                ("prompt", Some(text)) if !text.is_empty() && !text.chars().any(char::is_control) => {
                    args.options.prompt = Some(text.to_owned());
                }
                ("language", Some(name)) if candidates(name).is_some() => {
                    args.language = Some(name.to_owned());
                }
                ("language", _) => {
                    return Err(ArgError(
                        "`language=` takes the name of a language such as nl or pt_BR".into(),
                    ));
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
                _ => return Err(ArgError(format!("`{key}` takes no value"))),
            }
        }
        Ok(args)
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

fn parts(word: &str) -> (&str, Option<&str>) {
    word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)))
}

fn is_known(word: &str) -> bool {
    let (key, _) = parts(word);
    KNOWN.iter().any(|name| name.trim_end_matches('=') == key)
}

/// An argument, cut so that all arguments of a PAM line fit into the log.
fn quoted(word: &str) -> String {
    format!("`{}`", clean(word, 24))
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
        let words = [
            c"config=/x/y.toml",
            c"nullok",
            c"debug",
            c"prompt=Code? ",
            c"forward_pass",
            c"echo_code",
            c"language=nl_BE",
        ];
        let args = Args::parse(&words).unwrap();
        assert_eq!(args.config, PathBuf::from("/x/y.toml"));
        assert!(args.debug && args.options.nullok && args.options.echo_code);
        assert_eq!(args.options.prompt.as_deref(), Some("Code? "));
        assert_eq!(args.language.as_deref(), Some("nl_BE"));
        assert_eq!(args.options.first_pass, FirstPass::Forward);
        for word in words.iter().chain(&[c"try_first_pass", c"use_first_pass"]) {
            let key = word.to_str().unwrap().split_inclusive('=').next().unwrap();
            assert!(KNOWN.contains(&key), "{key}");
        }
    }

    #[test]
    fn the_manual_page_names_every_argument_and_no_other() {
        let page = include_str!("../../../docs/pam_qrtotp.8");
        let options = page.split(".SH OPTIONS").nth(1).unwrap().split(".SH ").next().unwrap();
        let terms = options.split(".TP\n").skip(1).map(|term| term.lines().next().unwrap());
        let mut named: Vec<_> = terms.map(|line| line.split(' ').nth(1).unwrap()).collect();
        let mut known = KNOWN.to_vec();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for word in [
            c"nullOK",
            c"nullok=1",
            c"",
            c"config",
            c"config=etc",
            c"prompt=",
            c"prompt=a\nb",
            c"\xff",
            c"language=",
            c"language",
            c"language=../x",
            c"language=nl_NL.UTF-8",
        ] {
            assert!(Args::parse(&[word]).is_err(), "{word:?}");
        }
        let why = |word| Args::parse(&[word]).unwrap_err().0;
        assert!(why(c"secret=/x").contains("secret=/x"));
        let all = Args::parse(&[c"secret=/x", c"nullok", c"window=3", c"noskewadj"]).unwrap_err().0;
        let known = KNOWN.join(", ");
        assert_eq!(all, format!("unknown arguments `secret=/x`, `window=3`, `noskewadj`; known are {known}"));
        // Even if something else is wrong.
        let other = Args::parse(&[c"debug", c"debug", c"config=x", c"window=3", c"window=3"]).unwrap_err().0;
        assert!(other.starts_with("unknown arguments `window=3`, `window=3`;"), "{other}");
        assert!(why(c"nullok=1").contains("takes no value"));
        assert!(why(c"config=etc").contains("an absolute path"));
        assert!(why(c"prompt=a\nb").contains("without control characters"));
    }

    #[test]
    fn all_arguments_of_another_module_are_named_in_the_log() {
        let words = [
            c"secret=/var/lib/google-authenticator/${USER}/.google_authenticator",
            c"authtok_prompt=Your secret token: ",
            c"user=root",
            c"allowed_perm=0600",
            c"no_strict_owner",
            c"noskewadj",
            c"no_increment_hotp",
            c"allow_readonly",
            c"echo_verification_code",
            c"grace_period=86400",
        ];
        let error = Args::parse(&words).unwrap_err().0;
        let mut line = String::new();
        qrtotp_values::text::logfmt(&mut line, "detail", &error);
        for word in words.iter().map(|word| word.to_str().unwrap()).chain(KNOWN) {
            let name = word.split_inclusive('=').next().unwrap();
            assert!(line.contains(name), "{name}: {line}");
        }
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
