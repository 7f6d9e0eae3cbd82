//! `qrtotp fleet init`.

use super::verifier::{become_user, config_path, directory};
use crate::cli::Init;
use crate::context::Context;
use crate::error::{Exit, Failure};
use nix::unistd::{User, chown, geteuid};
use qrtotp_fleet_hosts::Hosts;
use qrtotp_fleet_tls::{Authority, TlsError, write_private};
use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const STATE: &str = "/var/lib/qrtotp-verifier";

pub fn run(named: &Path, args: &Init) -> Result<Exit, Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if args.name.is_empty() || !args.name.chars().all(plain) || args.name.starts_with('.') {
        return Err(Failure::Error("--name takes small letters, digits, dots and dashes".into()));
    }
    let config = config_path(named);
    let directory = directory(&config);
    let file = |name: &str| directory.join(name);
    if file("ca.der").exists() {
        return Err(Failure::Refused(format!(
            "{} has a CA already; nothing was changed",
            directory.display()
        )));
    }
    let user = verifiers_user(&args.user)?;
    make_directory(directory, &user)?;
    make_directory(Path::new(STATE), &user)?;
    become_user(user.uid, user.gid)?;
    if !config.exists() {
        let text = format!(
            "# The verifier of the fleet {name}. See qrtotp.toml(5).\nstate_dir = \"{STATE}\"\nissuer = \"{name}\"\n\n\
             [fleet.groups]\n# The accounts that the hosts of each group may ask about; \"*\" stands for all.\nall = [\"*\"]\n",
            name = args.name
        );
        write_private(&config, text.as_bytes())?;
    }
    let context = Context::load(&config)?;
    context.store_or_new()?;
    Hosts::of(&context.config.state_dir.0).create()?;
    let (authority, key) = Authority::generate()?;
    let verifier = authority.verifier()?;
    write_private(&file("verifier.der"), &verifier.certificate)?;
    write_private(&file("verifier.key"), verifier.key.secret_der())?;
    write_private(&file("ca.key"), &key)?;
    write_private(&file("ca.der"), authority.certificate())?; // the last: with it, all is there
    writeln!(
        std::io::stdout(),
        "Made the fleet {} in {} and {STATE}. Back up ca.key and seal.key now, apart from the store.\nThen start the \
         verifier: systemctl enable --now qrtotpd-verifier",
        args.name,
        directory.display()
    )?;
    Ok(Exit::Done)
}

fn verifiers_user(name: &str) -> Result<User, Failure> {
    if !geteuid().is_root() {
        return Err(Failure::Error("run it as root, for example: sudo qrtotp fleet init …".into()));
    }
    let user = User::from_name(name).ok().flatten().ok_or_else(|| {
        Failure::Error(format!(
            "there is no user {name}; `systemd-sysusers` makes it from the package's file, or use --user"
        ))
    })?;
    if user.uid.is_root() {
        return Err(Failure::Error("a verifier does not run as root; give another --user".into()));
    }
    Ok(user)
}

/// Made by root, in a directory where only root can write.
fn make_directory(path: &Path, user: &User) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", path.display()));
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(failed)?,
    }
    chown(path, Some(user.uid), Some(user.gid)).map_err(|errno| failed(errno.into()))
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Error(error.to_string())
    }
}
