//! sshd and sudo as they are installed: a real login with their own PAM files, accepted and refused.

use super::accounts::{self, PASSWORD, SSHD, SUDO};
use super::dialogue::{INSIDE, SAY};
use super::phone::Phone;
use super::report::SelftestReport;
use super::world::World;
use crate::cmd::doctor::Files;
use crate::error::Failure;
use crate::sshd::{SshdSettings, program};
use qrtotp_clock::Deadline;
use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PORT: u16 = 2222;
/// Answers a question that comes as its argument, and notes which one it was. In a directory that both
/// clients may enter.
const ASKPASS: &str = "/tmp/selftest/askpass";
const NOTES: &str = "/tmp/selftest/asked";
const SCRIPT: &str = "#!/bin/sh\ncase $1 in\n*assword*) echo password >>/tmp/selftest/asked; echo \"$PASSWORD\" ;;\n*) echo code >>/tmp/selftest/asked; echo \"$CODE\" ;;\nesac\n";
/// A login is slow if a PAM module waits after a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// The texts about one service.
struct Words {
    right: (&'static str, &'static str),
    wrong: (&'static str, &'static str),
    twice: (&'static str, &'static str),
    password: (&'static str, &'static str),
}

const OF_SSHD: Words = Words {
    right: ("sshd-accepts", "sshd lets in with a correct code"),
    wrong: ("sshd-wrong-code", "sshd refuses a wrong code"),
    twice: ("sshd-code-twice", "sshd refuses the same code the second time"),
    password: ("sshd-code-alone", "sshd refuses a correct code without the password or key"),
};
const OF_SUDO: Words = Words {
    right: ("sudo-accepts", "sudo lets in with a correct code"),
    wrong: ("sudo-wrong-code", "sudo refuses a wrong code"),
    twice: ("sudo-code-twice", "sudo refuses the same code the second time"),
    password: ("sudo-code-alone", "sudo refuses a correct code without the password"),
};

/// One attempt to get in.
struct Attempt<'a> {
    password: &'a str,
    code: &'a str,
    /// With the ssh key that the account has.
    key: bool,
}

pub fn check_sshd(world: &World, report: &mut SelftestReport) -> Result<(), Failure> {
    let reason = match (program(), Path::new("/usr/bin/ssh").exists(), sshd_names_users()) {
        (None, _, _) => Some("sshd is not installed"),
        (_, false, _) => Some("no ssh client is installed: apt install openssh-client"),
        (_, _, true) => Some("sshd lets in named users or groups only (AllowUsers, AllowGroups)"),
        _ if !loopback()? => Some("there is no `ip` to bring the private network up: apt install iproute2"),
        _ => None,
    };
    let Some(sshd) = program().filter(|_| reason.is_none()) else {
        report.not_tried(OF_SSHD.right.0, "sshd accepts and refuses", reason.unwrap_or_default());
        return Ok(());
    };
    key(world.uids[1])?;
    let Some(mut server) = start(sshd)? else {
        report.check(OF_SSHD.right.0, OF_SSHD.right.1, false, "sshd does not start with its own files");
        return Ok(());
    };
    let done = try_service(world, report, ("sshd", SSHD, &OF_SSHD), &|attempt| ssh(attempt));
    let _ = server.kill();
    done
}

pub fn check_sudo(world: &World, report: &mut SelftestReport) -> Result<(), Failure> {
    if !Path::new("/usr/bin/sudo").exists() {
        report.not_tried(OF_SUDO.right.0, "sudo accepts and refuses", "sudo is not installed");
        return Ok(());
    }
    let uid = world.uids[2];
    accounts::append("/etc/sudoers", &format!("{SUDO} ALL=(ALL:ALL) ALL\nDefaults:{SUDO} passwd_tries=1"))?;
    try_service(world, report, ("sudo", SUDO, &OF_SUDO), &|attempt| sudo(attempt, uid))
}

type Login<'a> = &'a dyn Fn(&Attempt) -> Command;

fn try_service(
    world: &World,
    report: &mut SelftestReport,
    (service, account, words): (&str, &str, &Words),
    login: Login,
) -> Result<(), Failure> {
    let Some(line) = Files::read().asks(service) else {
        let why = format!("its PAM file does not name the module: qrtotp setup {service}");
        report.not_tried(words.right.0, words.right.1, &why);
        return Ok(());
    };
    fs::create_dir_all("/tmp/selftest")?;
    fs::write(ASKPASS, SCRIPT)?;
    fs::set_permissions(ASKPASS, Permissions::from_mode(0o755))?;
    let mut phone = Phone::new()?;
    world.qrtotp(&["import", "uri", account, "--unused"], &phone.uri(account)?)?;
    let both = |password: &str, code: &str| match line.forwards() {
        true => (format!("{password}{code}"), String::new()),
        false => (password.to_owned(), code.to_owned()),
    };
    let attempt = |password: &str, code: &str, key: bool| {
        let (password, code) = both(password, code);
        attempt(world, login(&Attempt { password: &password, code: &code, key }))
    };
    // `reason`: of the module's refusal, if it is the one that refuses.
    let mut refused = |(id, what): (&'static str, &'static str), reason: &str, seen: (bool, String)| {
        report.check(id, what, !seen.0 && seen.1.contains(reason), &seen.1);
    };
    refused(words.wrong, "reason=wrong_code ", attempt(PASSWORD, &phone.wrong(), true)?);
    let code = phone.next();
    let (inside, seen) = attempt(PASSWORD, &code, true)?;
    refused(words.twice, "reason=replayed_code ", attempt(PASSWORD, &code, true)?);
    refused(words.password, "", attempt("not the password", &phone.next(), false)?);
    report.check(words.right.0, words.right.1, inside, &seen);
    Ok(())
}

/// Whether it got in, and its output.
fn attempt(world: &World, mut command: Command) -> Result<(bool, String), Failure> {
    fs::write(NOTES, "")?;
    fs::set_permissions(NOTES, Permissions::from_mode(0o666))?;
    world.logged();
    let (mut reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command);
    let mut deadline = Deadline::after(PATIENCE);
    while child.try_wait()?.is_none() && deadline.pause() {}
    let _ = child.kill();
    let mut shown = Vec::new();
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
        .map_err(std::io::Error::from)?;
    let _ = std::io::Read::read_to_end(&mut reader, &mut shown);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let asked = fs::read_to_string(NOTES)?.split_whitespace().collect::<Vec<_>>().join(", ");
    let seen = format!("asked for: {asked}; {}; log: {}", shown.trim(), world.logged());
    Ok((shown.contains(INSIDE), seen))
}

fn answering(command: &mut Command, attempt: &Attempt) {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.env("PASSWORD", attempt.password).env("CODE", attempt.code);
}

fn ssh(attempt: &Attempt) -> Command {
    let mut command = Command::new("/usr/bin/ssh");
    answering(&mut command, attempt);
    command.env("SSH_ASKPASS", ASKPASS).env("SSH_ASKPASS_REQUIRE", "force").env("HOME", "/root");
    command.args(["-F", "/dev/null", "-p", &PORT.to_string(), "-l", SSHD, "-o", "LogLevel=ERROR"]);
    let key = if attempt.key { "yes" } else { "no" };
    command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    command.args(["-o", "NumberOfPasswordPrompts=1", "-o", &format!("PubkeyAuthentication={key}")]);
    command.args(["127.0.0.1", SAY]);
    command
}

fn sudo(attempt: &Attempt, uid: u32) -> Command {
    let mut command = Command::new("/usr/bin/sudo");
    answering(&mut command, attempt);
    command.env("SUDO_ASKPASS", ASKPASS).current_dir("/").uid(uid).gid(uid);
    command.args(["-k", "-A", "/bin/sh", "-c", SAY]);
    command
}

/// sshd would refuse the throwaway account, whatever its code.
fn sshd_names_users() -> bool {
    let settings = program().and_then(|program| SshdSettings::ask(program, None).ok());
    settings.is_some_and(|settings| ["allowusers", "allowgroups"].iter().any(|of| settings.get(of).is_some()))
}

fn loopback() -> Result<bool, Failure> {
    let mut ip = Command::new("ip");
    ip.args(["link", "set", "lo", "up"]).stdin(Stdio::null()).stderr(Stdio::null());
    match ip.status() {
        Ok(status) => Ok(status.success()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// An ssh key of root's that lets into the account.
fn key(uid: u32) -> Result<(), Failure> {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"]);
    fs::create_dir("/root/.ssh")?;
    if !keygen.stdin(Stdio::null()).status()?.success() {
        return Err(Failure::Error("ssh-keygen makes no key".into()));
    }
    let directory = format!("/home/{SSHD}/.ssh");
    let file = format!("{directory}/authorized_keys");
    fs::create_dir(&directory)?;
    fs::copy("/root/.ssh/id_ed25519.pub", &file)?;
    for path in [&directory, &file] {
        chown(path, Some(uid), Some(uid))?;
    }
    Ok(())
}

/// sshd with its own files, once it listens. `None`: it does not.
fn start(sshd: &str) -> Result<Option<Child>, Failure> {
    let mut command = Command::new(sshd);
    command.args(["-D", "-p", &PORT.to_string(), "-o", "PidFile=none", "-o"]);
    command.arg(format!("ListenAddress=127.0.0.1:{PORT}"));
    command.args(["-o", &format!("AuthorizedKeysFile=/home/{SSHD}/.ssh/authorized_keys")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = command.spawn()?;
    let mut deadline = Deadline::after(Duration::from_secs(10));
    loop {
        if TcpStream::connect(("127.0.0.1", PORT)).is_ok() {
            return Ok(Some(server));
        }
        if server.try_wait()?.is_some() || !deadline.pause() {
            let _ = server.kill();
            return Ok(None);
        }
    }
}
