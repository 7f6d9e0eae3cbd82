//! The trial login at the end of `setup`: the admin logs in over loopback, through the running sshd, with the
//! ordinary ssh client. We see neither password nor code.

use super::plan::{Change, DROP_IN};
use crate::caller::acting_uid;
use crate::cli::Setup;
use crate::cli::With;
use crate::context::{Context, record_name};
use crate::error::Failure;
use crate::sshd::{Settings, program};
use nix::unistd::User;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::StatusView;
use qrtotp_store::Store;
use qrtotp_values::text::clean;
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CLIENT: &str = "/usr/bin/ssh";

/// The trial to make, or the reason for none.
pub enum Trial {
    /// A login of this user at this address.
    Login(String, SocketAddr),
    Skipped(String),
}

/// Whether sshd changes, and so whether there is anything to try.
pub fn concerns(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.file == Path::new(DROP_IN) || change.file.ends_with("pam.d/sshd"))
}

/// Before anything is changed. sshd is asked where it listens.
pub fn prepare(context: &Context, args: &Setup) -> Result<Trial, Failure> {
    let skipped = |why: &str| Ok(Trial::Skipped(why.to_owned()));
    if args.no_trial {
        return skipped("as --no-trial says");
    }
    if !std::io::stdin().is_terminal() {
        return skipped("there is no terminal to ask for a code on");
    }
    let me = User::from_uid(acting_uid()).ok().flatten().map(|user| user.name);
    let Some(user) = args.trial.clone().or(me.filter(|name| name != "root")) else {
        return skipped("root does not log in by itself; give --trial USER");
    };
    let store = context.store()?;
    let name = record_name(&user, &store)?;
    let account = store.load(&name)?;
    if !StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now()).is_enrolled() {
        return skipped(&format!("{name} has no device; give --trial USER for somebody who has one"));
    }
    if args.with == With::Key && std::env::var_os("SSH_AUTH_SOCK").is_none() {
        return skipped("it would need a key, and there is no ssh agent (SSH_AUTH_SOCK)");
    }
    if !Path::new(CLIENT).exists() {
        return skipped("no ssh client is installed: apt install openssh-client");
    }
    let settings = program().and_then(|program| Settings::ask(program, None).ok());
    let listening = settings.iter().flat_map(|settings| addresses(&settings.0));
    let answers = |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok();
    match listening.into_iter().find(answers) {
        Some(address) => Ok(Trial::Login(name.to_string(), address)),
        None => skipped("no sshd listens here"),
    }
}

/// Where sshd can be met from this host, of what `sshd -T` prints.
fn addresses(settings: &str) -> Vec<SocketAddr> {
    let lines = settings.lines().filter_map(|line| line.trim().strip_prefix("listenaddress "));
    let parsed = lines.filter_map(|address| address.parse::<SocketAddr>().ok());
    let local = |mut address: SocketAddr| {
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
            if let Ok(ip) = loopback.parse() {
                address.set_ip(ip);
            }
        }
        address
    };
    parsed.map(local).collect()
}

/// Makes it, or says why not.
///
/// # Errors
/// It failed.
pub fn run(trial: &Trial) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let (user, address) = match trial {
        Trial::Login(user, address) => (user, address),
        Trial::Skipped(why) => {
            writeln!(out, "No trial login was made: {}.", clean(why, 200))?;
            return Ok(());
        }
    };
    writeln!(out, "Trial login of {user} through sshd; answer as at any login:")?;
    let mut ssh = Command::new(CLIENT);
    ssh.args(["-F", "/dev/null", "-o", "LogLevel=ERROR", "-o", "ControlPath=none"]);
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "ConnectTimeout=10",
    ]);
    // sshd starts anew when it is told to read its files.
    ssh.args(["-o", "ConnectionAttempts=10"]);
    ssh.args(["-p", &address.port().to_string(), "-l", user, &address.ip().to_string(), "true"]);
    let status = ssh.status().map_err(|error| Failure::Error(format!("{CLIENT}: {error}")))?;
    if !status.success() {
        return Err(Failure::Refused(format!("the trial login of {user} failed")));
    }
    writeln!(out, "{user} got in.")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_is_met_at_loopback_where_it_listens_everywhere_and_at_its_address_where_not() {
        let printed = "port 22\nlistenaddress 0.0.0.0:2222\nlistenaddress [::]:22\nlistenaddress 192.0.2.1:22\nlistenaddress nonsense\n";
        let met: Vec<String> = addresses(printed).iter().map(ToString::to_string).collect();
        assert_eq!(met, ["127.0.0.1:2222", "[::1]:22", "192.0.2.1:22"]);
    }
}
