//! `qrtotp fleet invite`.

use super::verifier::{config_path, directory, files};
use crate::cli::Invite;
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet::Invitation;
use qrtotp_fleet_tls::{Token, ca_hash, read_certificate};
use qrtotp_otp::random_bytes;
use std::io::Write;
use std::path::Path;

pub fn run(named: &Path, args: &Invite) -> Result<Exit, Failure> {
    let (context, files) = files(named)?;
    if !context.config.fleet.groups.iter().any(|(group, _)| *group == args.group) {
        let text =
            format!("[fleet.groups] has no group {}; add it, and run `qrtotp config apply`", args.group);
        return Err(Failure::Refused(text));
    }
    let ca = read_certificate(&directory(&config_path(named)).join("ca.der"))?;
    let secret = random_bytes().map_err(|error| Failure::Error(error.to_string()))?;
    let token = Token::new(&context.issuer(), secret, ca_hash(&ca));
    let until = SystemClock.now().saturating_add(args.valid.as_seconds());
    let invitation = Invitation { groups: vec![args.group.clone()], uses: args.count, until };
    files.open_beside()?.invite(&token.secret, &invitation)?;
    writeln!(std::io::stdout(), "{}", *token.text())?;
    Ok(Exit::Done)
}
