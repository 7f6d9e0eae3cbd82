//! `qrtotp verify --stdin-json`: a portal without PAM has a code verified by the broker, which decides by the
//! caller's uid.

use super::broker::absent;
use crate::error::{Exit, Failure};
use crate::input;
use qrtotp_audit::Verdict;
use qrtotp_wire::{Request, VerifyError, verify};
use serde::Deserialize;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longer than the broker takes for an answer.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    user: String,
    service: String,
    code: String,
    /// Of this request: sent again with the same id and code within a minute, it gets the same answer.
    #[serde(default)]
    id: String,
}

/// One line of JSON in, one out. Exit code 0 only for an accepted code.
pub fn run(socket: &Path) -> Result<Exit, Failure> {
    // serde's own message may quote the code.
    let misread = || {
        let form = r#"{"user":"alice","service":"portal","code":"123456"}"#;
        Failure::Error(format!("standard input must hold one line of JSON such as {form}"))
    };
    let line = input::line(std::io::stdin()).map_err(|_| misread())?;
    let Question { user, service, code, id } = serde_json::from_slice(&line).map_err(|_| misread())?;
    let answer = Zeroizing::new(code.into_bytes());
    let request =
        Request::Verify { user, service, tty: String::new(), nullok: false, forward: false, id, answer };
    let accepted = match verify(socket, &request, LIMIT) {
        Ok((verdict, _)) => verdict == Verdict::Accepted,
        Err(VerifyError::Connect(error)) => return Err(absent(error, socket)),
        Err(VerifyError::Refused(text)) => {
            let advice = "list this user and the service under [broker.services] in qrtotp.toml(5)";
            return Err(Failure::Error(format!("the broker refused: {text}; {advice}")));
        }
        Err(error) => return Err(Failure::Error(format!("{error}; start again"))),
    };
    writeln!(std::io::stdout(), r#"{{"version":1,"accepted":{accepted}}}"#)?;
    Ok(if accepted { Exit::Done } else { Exit::Refused })
}
