//! A verifier's files, which belong to its user. Root becomes that user before touching them, because root
//! must not follow links in somebody else's directories.

use crate::context::Context;
use crate::error::{Failure, shown};
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use qrtotp_fleet::VerifierFiles;
use qrtotp_frontend::unlock_memory;
use qrtotp_policy::DEFAULT_PATH;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const CONFIG: &str = "/etc/qrtotp/verifier/qrtotp.toml";

/// The verifier's configuration: its own, unless another one was named.
pub fn config_path(named: &Path) -> PathBuf {
    if named == Path::new(DEFAULT_PATH) { CONFIG.into() } else { named.to_owned() }
}

/// Where its files are.
pub fn directory(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new("/"))
}

/// The uid of the verifier on this host, if there is one: the owner of its directory, which lies in one of
/// root's. The same for the whole run.
pub fn uid() -> Option<u32> {
    static UID: LazyLock<Option<u32>> = LazyLock::new(|| {
        let about = directory(Path::new(CONFIG)).symlink_metadata().ok()?;
        let is_verifier = about.is_dir() && about.uid() != 0 && Path::new(CONFIG).exists();
        is_verifier.then_some(about.uid())
    });
    *UID
}

/// Where its etcd member has its files.
pub fn etcd_directory(named: &Path) -> PathBuf {
    directory(&config_path(named)).parent().unwrap_or(Path::new("/")).join("etcd")
}

/// A verifier on this host, and its files. The process is its user from now on.
pub fn files(named: &Path) -> Result<(Context, VerifierFiles), Failure> {
    let context = context(named)?;
    let files = context.verifier_files()?.ok_or_else(|| {
        let text = "[fleet] there has no verifier; run this on a verifier, see `qrtotp fleet init`";
        Failure::Refused(format!("{}: {text}", shown(&config_path(named))))
    })?;
    Ok((context, files))
}

fn context(named: &Path) -> Result<Context, Failure> {
    let config = config_path(named);
    let directory = directory(&config);
    let meta = std::fs::metadata(directory).map_err(|error| {
        Failure::Error(format!(
            "{}: {error}; run this on a verifier, see `qrtotp fleet init`",
            directory.display()
        ))
    })?;
    become_user(Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()))?;
    Context::load(&config)
}

/// Gives up root.
pub fn become_user(uid: Uid, gid: Gid) -> Result<(), Failure> {
    if !geteuid().is_root() || uid.is_root() {
        return Ok(());
    }
    unlock_memory(); // the capability that lifts its limit ends, and new threads need memory
    let done = setgroups(&[]).and_then(|()| setgid(gid)).and_then(|()| setuid(uid));
    done.map_err(|errno| Failure::Error(format!("cannot become uid {uid}: {errno}; run this as root")))
}
