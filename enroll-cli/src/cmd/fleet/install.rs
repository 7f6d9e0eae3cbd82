//! Makes this host a verifier: directories, certificates, keys and configurations. It starts nothing.

use super::ca_change::{FORMER, NEXT};
use super::etcd_files;
use super::shared::Shared;
use super::verifier::{become_user, directory};
use crate::cli::VerifierUsers;
use crate::error::Failure;
use crate::fleet_member::Member;
use nix::unistd::{Gid, Group, User, chown, geteuid};
use qrtotp_fleet_tls::write_private;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The verifier's own files, which must survive a reboot.
pub const STATE: &str = "/var/lib/qrtotp-verifier";

/// Where a verifier will be, and whose files it will have.
pub struct InstallTarget {
    config: PathBuf,
    user: User,
    etcd: Gid,
}

impl InstallTarget {
    /// Checks that there are such users, and no verifier yet.
    pub fn new(config: PathBuf, users: &VerifierUsers) -> Result<Self, Failure> {
        if directory(&config).join("ca.der").exists() {
            let text =
                format!("{} is a verifier's already; nothing was changed", directory(&config).display());
            return Err(Failure::Refused(text));
        }
        Self::with(config, users)
    }

    /// The same for a verifier that is there.
    pub fn of_verifier(config: PathBuf, users: &VerifierUsers) -> Result<Self, Failure> {
        if !directory(&config).join("ca.der").exists() {
            let text = format!("{} is no verifier's; leave out --renew", directory(&config).display());
            return Err(Failure::Refused(text));
        }
        Self::with(config, users)
    }

    fn with(config: PathBuf, users: &VerifierUsers) -> Result<Self, Failure> {
        if !geteuid().is_root() {
            return Err(Failure::Error("a verifier is made by root; run this with sudo".into()));
        }
        let user = User::from_name(&users.user).ok().flatten().ok_or_else(|| {
            Failure::Error(format!(
                "there is no user {}; `systemd-sysusers` makes it from the package's file, or use --user",
                users.user
            ))
        })?;
        if user.uid.is_root() {
            return Err(Failure::Error("a verifier does not run as root; give another --user".into()));
        }
        let etcd = Group::from_name(&users.etcd_group).ok().flatten().ok_or_else(|| {
            let text = "install etcd first: apt install etcd-server etcd-client";
            Failure::Error(format!("there is no group {}; {text}", users.etcd_group))
        })?;
        Ok(Self { config, user, etcd: etcd.gid })
    }

    /// The directory above all that is written.
    pub fn parent(&self) -> &Path {
        directory(&self.config).parent().unwrap_or(Path::new("/"))
    }

    /// Writes the files of `own`; the process is the verifier's user from then on.
    pub fn install(self, shared: &Shared, own: &Member, joins: bool) -> Result<(), Failure> {
        let directory = directory(&self.config);
        make_directory(directory, &self.user)?;
        make_directory(Path::new(STATE), &self.user)?;
        etcd_files::write(&self.parent().join("etcd"), self.etcd, shared, own, joins)?;
        become_user(self.user.uid, self.user.gid)?;
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            write_private(&path, bytes)
                .map_err(|error| Failure::Error(format!("{}: {error}", path.display())))
        };
        if !self.config.exists() {
            write_private(&self.config, configuration(shared, own).as_bytes())?;
        }
        let (authority, ca_key) = shared.authority()?;
        let verifier = authority.verifier()?;
        let client = qrtotp_fleet_tls::EtcdAuthority::load(&shared.etcd_ca_key)?.client()?;
        write("verifier.der", &verifier.certificate)?;
        write("verifier.key", verifier.key.secret_der())?;
        write("fleet.keys", shared.keys.as_bytes())?;
        write("etcd-ca.pem", shared.etcd_ca.as_bytes())?;
        write("etcd-ca.key", shared.etcd_ca_key.as_bytes())?;
        write("etcd-client.pem", client.certificate.as_bytes())?;
        write("etcd-client.key", client.key.as_bytes())?;
        write("ca.key", &ca_key)?;
        for name in [FORMER, NEXT, "next-ca.key"] {
            let _ = std::fs::remove_file(directory.join(name)); // of a change that a theft has ended
        }
        write("ca.der", authority.certificate()) // the last: with it, all is there
    }
}

fn configuration(shared: &Shared, own: &Member) -> String {
    format!(
        "# The verifier {verifier} of the fleet {fleet}. See qrtotp.toml(5).\n\
         state_dir = \"{STATE}\"\n\
         issuer = \"{fleet}\"\n\n\
         [fleet]\n\
         verifier = \"{verifier}\"\n\n\
         [fleet.groups]\n\
         # The accounts that the hosts of each group may ask about; \"*\" stands for all.\n\
         all = [\"*\"]\n",
        verifier = own.name,
        fleet = shared.fleet,
    )
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
