//! `qrtotp fleet join`.

use crate::applied::AppliedFile;
use crate::cli::Join;
use crate::cmd::init::write_defaults;
use crate::context::config_file;
use crate::error::{Exit, Failure};
use crate::host_names::HostNames;
use crate::replaced_file::replace;
use nix::sys::stat::Mode;
use qrtotp_fleet_tls::{Token, addresses, connect, join_config, new_key, public_key_of, write_private};
use qrtotp_flow::host_name;
use qrtotp_frames::{FleetRequest, FleetResponse, JoinRequest, Renewal, VERDICT_KEY_LEN, receive, send};
use qrtotp_otp::random_bytes;
use qrtotp_policy::{Compiled, ConfigFile, compile};
use std::fs::DirBuilder;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long one verifier may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest invitation, in bytes.
const LONGEST: u64 = 1024;

pub fn run(named: &Path, args: &Join) -> Result<Exit, Failure> {
    let path = config_file(named)?;
    write_defaults(&path)?;
    let token =
        Token::parse(&token_text(&args.token_file)?).map_err(|error| Failure::Error(error.to_string()))?;
    let (text, compiled) = with_fleet(&path, &token.fleet)?;
    let (key, verdict_key) = (new_key()?, verdict_key()?);
    let request = FleetRequest::Join(Box::new(JoinRequest {
        token: token.secret.to_string(),
        host: args.name.clone().unwrap_or_else(host_name),
        public_key: public_key_of(&key)?,
        verdict_key: verdict_key.clone(),
    }));
    let (certificate, ca) = joined(&args.verifiers, &token, &request)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let relay = directory.join("relay");
    match DirBuilder::new().mode(0o700).create(&relay) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    write_private(&relay.join("host.key"), &key)?;
    write_private(&relay.join("host.der"), &certificate)?;
    write_private(&relay.join("ca.der"), &ca)?;
    write_private(&relay.join("verifiers"), format!("{}\n", args.verifiers.join("\n")).as_bytes())?;
    write_private(&directory.join("verdict.key"), &verdict_key)?;
    if let Some(text) = text {
        replace(&path, text.as_bytes(), Mode::from_bits_truncate(0o644))?;
    }
    AppliedFile::locked(&path)?.apply(&compiled, None, "")?;
    writeln!(
        std::io::stdout(),
        "This host is a login host of the fleet {} now. Start its relay and, for its users, the broker:\n\
         systemctl enable --now qrtotp-relay.socket qrtotpd.socket\n\
         Then run `qrtotp fleet status`, and log in from a second terminal before you close this one.",
        token.fleet
    )?;
    Ok(Exit::Done)
}

fn token_text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(LONGEST).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(LONGEST).read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::Error(format!("{}: {error}; write the invitation there", file.display())))?;
    Ok(text)
}

fn verdict_key() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bytes = random_bytes::<VERDICT_KEY_LEN>().map_err(|error| Failure::Error(error.to_string()))?;
    Ok(Zeroizing::new(bytes.to_vec()))
}

/// The main file with the table `[fleet]` (`None`: it has it), and what it means.
fn with_fleet(path: &Path, fleet: &str) -> Result<(Option<String>, Compiled), Failure> {
    let mut files = ConfigFile::files(path)?;
    let compiled = compile(&files, &HostNames)?;
    match compiled.config.fleet.name.as_deref() {
        Some(name) if name == fleet => return Ok((None, compiled)),
        Some(name) => {
            let text = format!("{} is of the fleet {name}; remove [fleet] there first", path.display());
            return Err(Failure::Refused(text));
        }
        None => {}
    }
    let main =
        files.last_mut().map(|file| &mut file.bytes).ok_or(Failure::Error("no configuration".into()))?;
    main.extend_from_slice(format!("\n[fleet]\nname = \"{fleet}\"\n").as_bytes());
    let text = String::from_utf8_lossy(main).into_owned();
    let compiled = compile(&files, &HostNames)?;
    Ok((Some(text), compiled))
}

/// The host's certificate, and the CA's, from the first verifier that answers.
fn joined(
    verifiers: &[String],
    token: &Token,
    request: &FleetRequest,
) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let mut problems = Vec::new();
    for verifier in verifiers {
        let asked = || {
            let (config, ca) = join_config(token.ca)?;
            let address = addresses(verifier)?.next().ok_or(std::io::Error::from(ErrorKind::NotFound))?;
            let mut stream = connect(address, &config, LIMIT)?;
            stream.sock.last(LIMIT);
            send(&mut stream, request).map_err(std::io::Error::other)?;
            stream.flush()?;
            let response = receive::<FleetResponse>(&mut stream).map_err(std::io::Error::other)?;
            Ok::<_, qrtotp_fleet_tls::TlsError>((response, ca.certificate()))
        };
        match asked() {
            Ok((FleetResponse::Certificates(certificates), Some(ca))) => {
                let renewal = Renewal::from_bytes(&certificates);
                let renewal = renewal.map_err(|error| Failure::Error(format!("{verifier}: {error}")))?;
                return Ok((renewal.certificate, ca.to_vec()));
            }
            Ok((FleetResponse::Refused(text), _)) => {
                return Err(Failure::Refused(format!("{verifier}: {text}")));
            }
            Ok(_) => problems.push(format!("{verifier}: it cannot decide now")),
            Err(error) => problems.push(format!("{verifier}: {error}")),
        }
    }
    Err(Failure::Error(format!("no verifier took this host in: {}", problems.join("; "))))
}
