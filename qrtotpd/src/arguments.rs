//! The command line: few options, for an administrator's unit file.

use qrtotp_policy::DEFAULT_PATH;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
qrtotpd: lets users without root enrol and manage their own account; in a fleet, decides the logins of its hosts

Usage: qrtotpd [--listen PATH] [--config FILE] [--idle-exit SECONDS] [--pam-time SECONDS]
       qrtotpd --role verifier [--listen ADDRESS:PORT] --config FILE

  --listen PATH         listen there; without it, on the socket that systemd passes (qrtotpd.socket)
  --role ROLE           broker or verifier [default: broker]
  --config FILE         the configuration [default: /etc/qrtotp/qrtotp.toml]
  --idle-exit SECONDS   on systemd's socket: end after so long without a connection [default: 60]
  --pam-time SECONDS    how long a user may take to type the password, and PAM to check it, 1 to 600 [default: 120]";

/// The task of the process.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Serve as the broker.
    Serve(Arguments),
    /// Prove a password, as the broker's child (see `pam.rs`).
    PrimaryFactor,
    /// Print this text.
    Print(String),
}

/// The part that the process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves the users of this host, on a socket.
    Broker,
    /// It serves the hosts of a fleet, over TLS.
    Verifier,
}

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Its part.
    pub role: Role,
    /// The socket's path, if not systemd's socket; for a verifier its address and port.
    pub listen: Option<PathBuf>,
    /// The configuration's path.
    pub config: PathBuf,
    /// How long to keep running without a connection.
    pub idle_exit: Duration,
    /// How long a check of the primary factor may take.
    pub pam_time: Duration,
}

impl Arguments {
    /// Reads the command line, without the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Task, String> {
        let mut read = Self {
            role: Role::Broker,
            listen: None,
            config: PathBuf::from(DEFAULT_PATH),
            idle_exit: Duration::from_secs(60),
            pam_time: Duration::from_secs(120),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or("an option lacks its value; try --help".to_owned());
            match argument.to_str().unwrap_or_default() {
                "--help" | "-h" => return Ok(Task::Print(HELP.into())),
                "--version" | "-V" => {
                    return Ok(Task::Print(concat!("qrtotpd ", env!("CARGO_PKG_VERSION")).into()));
                }
                "--role" => {
                    read.role = match value()?.to_str() {
                        Some("broker") => Role::Broker,
                        Some("verifier") => Role::Verifier,
                        _ => return Err("--role takes broker or verifier".into()),
                    };
                }
                "--listen" => read.listen = Some(PathBuf::from(value()?)),
                "--config" => read.config = PathBuf::from(value()?),
                "--idle-exit" => {
                    let seconds = number(&value()?).ok_or("--idle-exit takes a number of seconds")?;
                    read.idle_exit = Duration::from_secs(seconds);
                }
                "--pam-time" => {
                    let seconds = number(&value()?).filter(|seconds| (1..=600).contains(seconds));
                    let seconds = seconds.ok_or("--pam-time takes a number of seconds from 1 to 600")?;
                    read.pam_time = Duration::from_secs(seconds);
                }
                "--primary-factor" => return Ok(Task::PrimaryFactor),
                other => return Err(format!("{other:?} is not understood; try --help")),
            }
        }
        Ok(Task::Serve(read))
    }
}

fn number(text: &OsStr) -> Option<u64> {
    text.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn parse(text: &str) -> Result<Task, String> {
        Arguments::parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_manual_page_has_every_option_of_the_help_and_no_other() {
        let options = |text: &str| {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            words.filter(|word| word.starts_with("--")).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let page = include_str!("../../docs/qrtotpd.8").replace('\\', "");
        let mut known = options(HELP);
        known.extend(["--help", "--version", "--now"].map(str::to_owned)); // the last one is systemctl's
        assert_eq!(options(&page), known);
    }

    #[test]
    fn what_holds_without_options_is_what_is_told_and_the_shipped_unit_leaves_it_so() {
        let defaults = || Arguments {
            role: Role::Broker,
            listen: None,
            config: PathBuf::from("/etc/qrtotp/qrtotp.toml"),
            idle_exit: Duration::from_secs(60),
            pam_time: Duration::from_secs(120),
        };
        assert_eq!(parse(""), Ok(Task::Serve(defaults())));
        let page = include_str!("../../docs/qrtotpd.8");
        for (option, value) in [("--idle-exit", 60), ("--pam-time", 120)] {
            let help = HELP.lines().find(|line| line.trim_start().starts_with(option)).unwrap_or_default();
            assert!(help.ends_with(&format!("[default: {value}]")), "{help}");
            assert!(page.contains(&format!("; default {value}.")), "{option}");
        }
        let unit = include_str!("../../conf/systemd/qrtotpd.service");
        let started = unit.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/sbin/qrtotpd"));
        assert_eq!(started.map(parse).collect::<Vec<_>>(), [Ok(Task::Serve(defaults()))]);
        assert!(!unit.contains("RuntimeMaxSec"), "systemd would end it sooner");
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let Ok(Task::Serve(read)) = parse("--listen /run/x --idle-exit 90") else { unreachable!() };
        assert_eq!(read.listen, Some(PathBuf::from("/run/x")));
        assert_eq!((read.config, read.idle_exit), (PathBuf::from(DEFAULT_PATH), Duration::from_secs(90)));
        let Ok(Task::Serve(read)) = parse("--pam-time 5") else { unreachable!() };
        assert_eq!(read.pam_time, Duration::from_secs(5));
        let Ok(Task::Serve(read)) = parse("--role verifier --listen [::1]:4674") else { unreachable!() };
        assert_eq!((read.role, read.listen), (Role::Verifier, Some(PathBuf::from("[::1]:4674"))));
        assert!(parse("--role relay").is_err());
        assert!(parse("--pam-time 0").is_err() && parse("--pam-time 601").is_err());
        assert!(parse("--listen").is_err() && parse("--idle-exit soon").is_err() && parse("start").is_err());
        assert_eq!(parse("--primary-factor"), Ok(Task::PrimaryFactor));
    }
}
