//! The command line, for an administrator's unit file.

use std::ffi::OsString;
use std::path::PathBuf;

const HELP: &str = "\
qrtotp-relay: carries a login host's requests to the fleet's verifiers

Usage: qrtotp-relay [--listen PATH] [--dir DIR] [--state DIR] [--runtime DIR]

  --listen PATH   listen there; without it, on the socket that systemd passes (qrtotp-relay.socket)
  --dir DIR       ca.der, host.der, host.key and verifiers, as `qrtotp fleet join` writes them
                  [default: systemd's credentials]
  --state DIR     where renewed certificates are kept [default: systemd's state directory]
  --runtime DIR   where the file `unanswered` is written when a login got no verdict
                  [default: systemd's runtime directory]";

/// The task of the process.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Carry requests.
    Serve(Arguments),
    /// Print this text.
    Print(String),
}

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The socket's path, if not systemd's socket.
    pub listen: Option<PathBuf>,
    /// The host's key and certificate, the CA's certificate and the verifiers' addresses.
    pub dir: PathBuf,
    /// Where renewed certificates are kept; `None`: none are.
    pub state: Option<PathBuf>,
    /// Where a file tells that a login got no verdict; `None`: none does.
    pub runtime: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line, without the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Task, String> {
        let (mut listen, mut dir, mut state, mut runtime) = (None, None, None, None);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or("an option lacks its value; try --help".to_owned());
            match argument.to_str().unwrap_or_default() {
                "--help" | "-h" => return Ok(Task::Print(HELP.into())),
                "--version" | "-V" => {
                    return Ok(Task::Print(concat!("qrtotp-relay ", env!("CARGO_PKG_VERSION")).into()));
                }
                "--listen" => listen = Some(PathBuf::from(value()?)),
                "--dir" => dir = Some(PathBuf::from(value()?)),
                "--state" => state = Some(PathBuf::from(value()?)),
                "--runtime" => runtime = Some(PathBuf::from(value()?)),
                other => return Err(format!("{other:?} is not understood; try --help")),
            }
        }
        let of_systemd = |variable| std::env::var_os(variable).map(PathBuf::from);
        let dir = dir.or_else(|| of_systemd("CREDENTIALS_DIRECTORY"));
        let dir = dir.ok_or("no host key: start it as qrtotp-relay.service, or use --dir DIR")?;
        let state = state.or_else(|| of_systemd("STATE_DIRECTORY"));
        Ok(Task::Serve(Self {
            listen,
            dir,
            state,
            runtime: runtime.or_else(|| of_systemd("RUNTIME_DIRECTORY")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Task, String> {
        Arguments::parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let Ok(Task::Serve(read)) = parse("--listen /run/x --dir /d --state /s --runtime /r") else {
            unreachable!()
        };
        let expected = Arguments {
            listen: Some("/run/x".into()),
            dir: "/d".into(),
            state: Some("/s".into()),
            runtime: Some("/r".into()),
        };
        assert_eq!(read, expected);
        assert!(parse("--listen").is_err() && parse("start").is_err());
        assert!(matches!(parse("--help"), Ok(Task::Print(_))));
    }
}
