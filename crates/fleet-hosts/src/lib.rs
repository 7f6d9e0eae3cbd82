//! The login hosts of a fleet and the invitations to it, for a verifier with a file store.
//!
//! A host is known by the key of its certificate. A change is durable before it is told, and a verifier reads
//! the host anew for each request, so a revocation holds from the moment it is acknowledged. Decides nothing
//! about logins. Begin with [`Hosts`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod form;
mod host;
#[cfg(test)]
mod tests;

pub use host::Host;

use form::Invitation;
use qrtotp_fleet_tls::{Authority, KeyHash, hex, write_private};
use qrtotp_frames::{JoinRequest, VerdictKey};
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest host name, in bytes.
const NAME: usize = 64;

/// Why the hosts can't be read or changed.
#[derive(Debug, Error)]
pub enum HostsError {
    /// The system reported an error.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// A file has another form.
    #[error("{0} is damaged; restore it from its backup")]
    Damaged(PathBuf),
    /// A host can't join, or be revoked.
    #[error("{0}")]
    Refused(&'static str),
}

/// The hosts and invitations in a verifier's directory.
#[derive(Clone, Debug)]
pub struct Hosts {
    dir: PathBuf,
}

impl Hosts {
    /// Those of the verifier with this state directory.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("fleet") }
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// The state directory can't be written to.
    pub fn create(&self) -> Result<(), HostsError> {
        for directory in [self.dir.clone(), self.path(HOSTS), self.path(INVITATIONS), self.path(SEEN)] {
            match DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(HostsError::Io(directory, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn host_path(&self, key: &KeyHash) -> PathBuf {
        self.path(HOSTS).join(hex(key))
    }

    /// Invitations are found by a hash of their secret, which is not kept.
    fn invitation_path(&self, secret: &str) -> PathBuf {
        self.path(INVITATIONS).join(hex(&Sha256::digest(secret)))
    }

    /// The host whose public key has this hash, revoked or not.
    ///
    /// # Errors
    /// Its file can't be read.
    pub fn find(&self, key: &KeyHash) -> Result<Option<Host>, HostsError> {
        let path = self.host_path(key);
        read(&path)?.map(|text| form::host(&text).ok_or(HostsError::Damaged(path))).transpose()
    }

    /// All hosts, by name.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn all(&self) -> Result<Vec<Host>, HostsError> {
        let directory = self.path(HOSTS);
        let failed = |error| HostsError::Io(directory.clone(), error);
        let mut hosts = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // A file that is being written has an extension.
            if path.extension().is_none()
                && let Some(text) = read(&path)?
            {
                hosts.push(form::host(&text).ok_or(HostsError::Damaged(path))?);
            }
        }
        hosts.sort_by(|a, b| (&a.name, a.joined).cmp(&(&b.name, b.joined)));
        Ok(hosts)
    }

    /// Notes that the host's relay is connected. Best effort.
    pub fn note_seen(&self, key: &KeyHash, version: &str) {
        let _ = fs::write(self.path(SEEN).join(hex(key)), clean(version, NAME));
    }

    /// When the host's relay was last connected, and its version.
    #[must_use]
    pub fn seen(&self, key: &KeyHash) -> Option<(UnixTime, String)> {
        let path = self.path(SEEN).join(hex(key));
        let at = fs::metadata(&path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((i64::try_from(at.as_secs()).ok()?, fs::read_to_string(&path).ok()?))
    }

    /// Adds an invitation: `uses` hosts may join `groups` with this secret, until `until`.
    ///
    /// # Errors
    /// It can't be made durable.
    pub fn invite(
        &self,
        secret: &str,
        groups: &[String],
        uses: u32,
        until: UnixTime,
    ) -> Result<(), HostsError> {
        let _lock = self.lock()?;
        let invitation = Invitation { groups: groups.to_vec(), uses, until };
        write(&self.invitation_path(secret), &invitation.text())
    }

    /// Adds a host that has an invitation, and uses that up.
    ///
    /// # Errors
    /// The invitation is unknown, used up or too old; the name or a key can't be used; the name is taken.
    pub fn join(&self, request: &JoinRequest, now: UnixTime) -> Result<Host, HostsError> {
        let _lock = self.lock()?;
        let path = self.invitation_path(&request.token);
        let unknown = HostsError::Refused("the invitation is unknown, used up or too old; make another one");
        let invitation = read(&path)?.as_deref().and_then(|text| Invitation::parse(text));
        let Some(invitation) = invitation.filter(|known| known.uses > 0 && now < known.until) else {
            return Err(unknown);
        };
        let verdict_key = VerdictKey::new(Zeroizing::new(request.verdict_key.to_vec()));
        let verdict_key = verdict_key.ok_or(HostsError::Refused("the verdict key has a wrong length"))?;
        if !is_name(&request.host) || request.public_key.len() != 32 {
            return Err(HostsError::Refused("the host's name or public key can't be used"));
        }
        let key = Authority::key_hash(&request.public_key);
        if self.find(&key)?.is_some()
            || self.all()?.iter().any(|host| host.name == request.host && host.revoked.is_none())
        {
            let text = "a host of this name is there already; revoke it first, or give another name";
            return Err(HostsError::Refused(text));
        }
        let host = Host {
            name: request.host.clone(),
            public_key: request.public_key.clone(),
            verdict_key,
            groups: invitation.groups.clone(),
            joined: now,
            revoked: None,
        };
        // First the use: a crash in between costs one use, and never gives a second one.
        write(&path, &Invitation { uses: invitation.uses - 1, ..invitation }.text())?;
        write(&self.host_path(&key), &form::text(&host))?;
        Ok(host)
    }

    /// Revokes the host of this name; returns whether there was one that was not revoked.
    ///
    /// # Errors
    /// The change can't be made durable.
    pub fn revoke(&self, name: &str, now: UnixTime) -> Result<bool, HostsError> {
        let _lock = self.lock()?;
        let mut found = false;
        for mut host in self.all()?.into_iter().filter(|host| host.name == name && host.revoked.is_none()) {
            host.revoked = Some(now);
            write(&self.host_path(&Authority::key_hash(&host.public_key)), &form::text(&host))?;
            found = true;
        }
        Ok(found)
    }

    /// Held until it is dropped.
    fn lock(&self) -> Result<File, HostsError> {
        let failed = |error| HostsError::Io(self.dir.clone(), error);
        let directory = File::open(&self.dir).map_err(failed)?;
        directory.lock().map_err(failed)?;
        Ok(directory)
    }
}

const HOSTS: &str = "hosts";
const INVITATIONS: &str = "invitations";
const SEEN: &str = "seen";

/// A name that no log or path misreads.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, HostsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HostsError::Io(path.to_owned(), error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), HostsError> {
    write_private(path, text.as_bytes()).map_err(|error| HostsError::Io(path.to_owned(), error))
}
