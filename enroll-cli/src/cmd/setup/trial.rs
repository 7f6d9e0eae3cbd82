//! The trial login at the end of `setup`: the admin logs in over loopback, through the running sshd, with the
//! ordinary ssh client. We see neither password nor code.

use super::plan::Change;
use crate::caller::acting_uid;
use crate::cli::Setup;
use crate::cli::With;
use crate::context::{Context, record_name};
use crate::error::Failure;
use crate::interrupt::Interrupts;
use crate::sshd::{SshdSettings, program};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use qrtotp_account::Name;
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_frontend::StatusView;
use qrtotp_store::{Account, AccountStore};
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const CLIENT: &str = "/usr/bin/ssh";

/// How long it may take, or half of the time until everything is undone if that is less.
const LIMIT: Duration = Duration::from_secs(180);
/// How long ssh may take to put the terminal in order.
const TO_END: Duration = Duration::from_secs(2);

/// The trial to make, or the reason for none.
pub enum Trial {
    Login(Box<Attempt>),
    Skipped(String),
}

/// A login of this user.
pub struct Attempt {
    user: Name,
    address: SocketAddr,
    /// One of these host keys must answer: ssh's known_hosts.
    keys: String,
    limit: Duration,
    store: Box<dyn AccountStore>,
    /// The codes that the account had used up before.
    used: Used,
}

/// When a code was last accepted, and how many recovery codes were.
type Used = (UnixTime, u32);

fn used(account: Option<&Account>) -> Used {
    let Some(Account { record, state }) = account else { return (0, 0) };
    let apps = record
        .credentials
        .iter()
        .filter_map(|credential| Some(state.credential_state(credential.id)?.last_used));
    (apps.max().unwrap_or(0), record.recovery.as_ref().map_or(0, |set| state.recovery_used(set.id)))
}

/// Whether sshd changes, and so whether there is anything to try.
pub fn concerns(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.file.starts_with("/etc/ssh") || change.file.ends_with("pam.d/sshd"))
}

/// Before anything is changed. sshd is asked where it listens.
pub fn prepare(context: &Context, args: &Setup, with: With) -> Result<Trial, Failure> {
    let skipped = |why: &str| Ok(Trial::Skipped(why.to_owned()));
    if args.no_trial {
        return skipped("as --no-trial says");
    }
    if !std::io::stdin().is_terminal() {
        return skipped("there is no terminal to ask for a code on");
    }
    if context.config.fleet.name.is_some() {
        return skipped("the fleet's verifiers have the devices");
    }
    let me = User::from_uid(acting_uid()).ok().flatten().map(|user| user.name);
    let Some(user) = args.trial.clone().or(me.filter(|name| name != "root")) else {
        return skipped("root does not log in by itself; give --trial USER");
    };
    let store = context.store()?;
    let name = record_name(&user, &*store)?;
    let account = store.load(&name)?;
    if !StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now()).is_enrolled() {
        return skipped(&format!("{name} has no device; give --trial USER for somebody who has one"));
    }
    if with == With::Key && std::env::var_os("SSH_AUTH_SOCK").is_none() {
        return skipped("it would need a key, and there is no ssh agent (SSH_AUTH_SOCK)");
    }
    if !Path::new(CLIENT).exists() {
        return skipped("no ssh client is installed: apt install openssh-client");
    }
    let settings = program().and_then(|program| SshdSettings::ask(program, None).ok());
    let listening = settings.iter().flat_map(|settings| addresses(&settings.0));
    let answers = |address: &SocketAddr| TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok();
    match listening.into_iter().find(answers) {
        Some(address) => {
            let keys = settings.map(|settings| known_hosts(&settings.0, address)).unwrap_or_default();
            let half = u64::try_from(args.confirm.as_seconds() / 2).map(Duration::from_secs).unwrap_or(LIMIT);
            let limit = if args.no_timer { LIMIT } else { LIMIT.min(half) };
            let used = used(account.as_ref());
            Ok(Trial::Login(Box::new(Attempt { user: name, address, keys, limit, store, used })))
        }
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

/// The host's own keys as lines of known_hosts: without them, a local user who listens in sshd's place would
/// be given the password and the code.
fn known_hosts(settings: &str, address: SocketAddr) -> String {
    let files = settings.lines().filter_map(|line| line.trim().strip_prefix("hostkey "));
    let keys = files.filter_map(|file| std::fs::read_to_string(format!("{file}.pub")).ok());
    let host = match address.port() {
        22 => address.ip().to_string(),
        port => format!("[{}]:{port}", address.ip()),
    };
    keys.map(|key| format!("{host} {}\n", key.trim())).collect()
}

/// Makes it, or says why not.
///
/// # Errors
/// It failed, or got in without a code, or was ended by one of the signals.
pub fn run(trial: &Trial, interrupts: &Interrupts) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let attempt = match trial {
        Trial::Login(attempt) => attempt,
        Trial::Skipped(why) => {
            writeln!(out, "No trial login was made: {}.", clean(why, 200))?;
            return Ok(());
        }
    };
    let user = &attempt.user;
    writeln!(out, "Trial login of {user} through sshd; answer as at any login:")?;
    let mut known =
        File::from(memfd_create("known_hosts", MFdFlags::MFD_CLOEXEC).map_err(std::io::Error::from)?);
    known.write_all(attempt.keys.as_bytes())?;
    let mut ssh = ssh(attempt, &known);
    let child = ssh.spawn().map_err(|error| Failure::Error(format!("{CLIENT}: {error}")))?;
    let got_in = ended(child, attempt.limit, interrupts)?;
    if !got_in {
        return Err(Failure::Refused(format!("the trial login of {user} failed")));
    }
    if used(attempt.store.load(user)?.as_ref()) == attempt.used {
        let text = format!(
            "{user} got in, but no code was asked for; if a rule says so, give another user (--trial USER) or --no-trial"
        );
        return Err(Failure::Refused(text));
    }
    writeln!(out, "{user} got in, with a code.")?;
    Ok(())
}

fn ssh(attempt: &Attempt, known: &File) -> Command {
    // By our own descriptor: ssh closes those that it inherits.
    let known_hosts = format!("/proc/{}/fd/{}", std::process::id(), known.as_raw_fd());
    let mut ssh = Command::new(CLIENT);
    ssh.args(["-F", "/dev/null", "-o", "LogLevel=ERROR", "-o", "ControlPath=none"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null"]);
    ssh.args(["-o", &format!("UserKnownHostsFile={known_hosts}"), "-o", "ConnectTimeout=10"]);
    // sshd starts anew when it is told to read its files.
    ssh.args(["-o", "ConnectionAttempts=10"]);
    let (port, host) = (attempt.address.port().to_string(), attempt.address.ip().to_string());
    ssh.args(["-p", &port, "-l", attempt.user.as_str(), &host, "true"]);
    ssh
}

/// Whether it succeeded.
///
/// # Errors
/// A signal came, or it took too long.
fn ended(mut child: Child, limit: Duration, interrupts: &Interrupts) -> Result<bool, Failure> {
    let mut deadline = Deadline::after(limit);
    let why = loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if interrupts.came() {
            break "the trial login was interrupted".to_owned();
        }
        if !deadline.pause() {
            break format!("the trial login took more than {} s", limit.as_secs());
        }
    };
    // At a hidden question it shows typed text again before it ends.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let mut deadline = Deadline::after(TO_END);
    while child.try_wait()?.is_none() && deadline.pause() {}
    let _ = child.kill();
    Err(Failure::Refused(why))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_trial_that_takes_too_long_or_meets_a_signal_is_ended() {
        let mut sleep = Command::new("sleep");
        let mut ends = |limit: Duration, interrupts: &Interrupts| {
            ended(sleep.arg("60").spawn().unwrap(), limit, interrupts).unwrap_err().to_string()
        };
        let interrupts = Interrupts::hold([Signal::SIGUSR2]).unwrap();
        assert!(ends(Duration::from_millis(100), &interrupts).contains("took more than"));
        nix::sys::signal::raise(Signal::SIGUSR2).unwrap();
        assert!(ends(LIMIT, &interrupts).contains("interrupted"));
        interrupts.forget();
    }

    #[test]
    fn only_the_hosts_own_keys_are_known_and_a_port_of_its_own_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("host_key");
        std::fs::write(directory.path().join("host_key.pub"), "ssh-ed25519 AAAA root@host\n").unwrap();
        let settings = format!("port 22\nhostkey {}\nhostkey /nowhere/key\n", file.display());
        let known = |address: &str| known_hosts(&settings, address.parse().unwrap());
        assert_eq!(known("127.0.0.1:22"), "127.0.0.1 ssh-ed25519 AAAA root@host\n");
        assert_eq!(known("[::1]:2222"), "[::1]:2222 ssh-ed25519 AAAA root@host\n");
    }

    #[test]
    fn sshd_is_met_at_loopback_where_it_listens_everywhere_and_at_its_address_where_not() {
        let printed = "port 22\nlistenaddress 0.0.0.0:2222\nlistenaddress [::]:22\nlistenaddress 192.0.2.1:22\nlistenaddress nonsense\n";
        let met: Vec<String> = addresses(printed).iter().map(ToString::to_string).collect();
        assert_eq!(met, ["127.0.0.1:2222", "[::1]:22", "192.0.2.1:22"]);
    }
}
