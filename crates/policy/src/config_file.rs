//! Where the configuration comes from: root's files that no other user may write to.

use super::applied::LONGEST;
use super::compile::SourceFile;
use super::error::ConfigError;
use super::{Config, Damaged};
use nix::errno::Errno;
use qrtotp_store::{FileStore, Readers, StoreError, TrustError, open_dir, open_file, read_all};
use qrtotp_values::UnixTime;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest configuration file, in bytes.
pub const LIMIT: usize = 64 * 1024;

/// An applied configuration and its directory, which also holds the sealing key.
#[derive(Debug)]
pub struct ConfigFile {
    /// Its contents.
    pub config: Config,
    /// Its directory.
    pub dir_path: PathBuf,
    dir: OwnedFd,
}

/// Path of the applied form of `path`.
#[must_use]
pub fn applied_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".applied");
    name.into()
}

impl ConfigFile {
    /// Reads the applied form of the configuration in `path` that is in force at `now`. Does not read `path`
    /// itself.
    ///
    /// # Errors
    /// Never applied, writable by others, damaged.
    pub fn load(path: &Path, now: UnixTime) -> Result<Self, ConfigError> {
        let applied = applied_path(path);
        let (dir, bytes) = read_trusted(&applied, LONGEST).map_err(|error| match error {
            TrustError::Missing(_) => ConfigError::NotApplied(applied.clone()),
            other => ConfigError::Trust(other),
        })?;
        let config = Config::in_force(bytes, now).map_err(|Damaged| ConfigError::Damaged(applied.clone()))?;
        Ok(Self { config, dir_path: applied.parent().unwrap_or(Path::new("/")).to_owned(), dir })
    }

    /// Reads the configuration files: those of `conf.d` beside `path`, in the order of their names, and
    /// `path` last.
    ///
    /// # Errors
    /// Missing, writable by others.
    pub fn files(path: &Path) -> Result<Vec<SourceFile>, ConfigError> {
        let missing = |error| match error {
            ConfigError::Trust(TrustError::Missing(_)) => ConfigError::Missing(path.to_owned()),
            other => other,
        };
        let bytes = source(path).map_err(missing)?;
        let mut files = Vec::new();
        let beside = path.parent().unwrap_or(Path::new("/")).join("conf.d");
        let all = entries(&beside).map_err(ConfigError::Trust)?;
        for path in all.into_iter().filter(|path| is_toml(path)) {
            let bytes = source(&path)?;
            files.push(SourceFile { path, bytes });
        }
        files.push(SourceFile { path: path.to_owned(), bytes });
        Ok(files)
    }

    /// The files of `conf.d` beside `path` that are not read, because their names don't end in `.toml`.
    #[must_use]
    pub fn not_read(path: &Path) -> Vec<PathBuf> {
        let all = entries(&path.parent().unwrap_or(Path::new("/")).join("conf.d")).unwrap_or_default();
        all.into_iter().filter(|path| !is_toml(path) && !path.ends_with("README")).collect()
    }

    /// The bytes of a key file beside it, which only its owner may read.
    ///
    /// # Errors
    /// Missing, longer than `limit`, or open to others.
    pub fn read_key_beside(&self, name: &str, limit: usize) -> Result<Zeroizing<Vec<u8>>, TrustError> {
        let path = self.dir_path.join(name);
        let file = open_file(&self.dir, name, &path, false, Readers::OwnerOnly)?;
        Ok(Zeroizing::new(read_all(&file, &path, limit)?))
    }

    /// The store that it names, with the key beside it.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_store(&self) -> Result<FileStore, StoreError> {
        FileStore::open_beside(&self.config.state_dir.0, &self.dir, &self.dir_path)
    }
}

/// A configuration file's text.
fn source(path: &Path) -> Result<Vec<u8>, ConfigError> {
    match read_trusted(path, LIMIT) {
        Ok((_, bytes)) => Ok(bytes),
        Err(TrustError::TooLarge(path)) => Err(ConfigError::TooLong(path)),
        Err(error) => Err(ConfigError::Trust(error)),
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "toml")
}

/// The files of a directory whose names don't begin with a dot (as editors' do), in the order of their names;
/// none if there is no such directory.
///
/// Anyone who may write to it could take rules away, so it is checked even if it is empty.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, TrustError> {
    match open_dir(dir) {
        Err(TrustError::Missing(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let unreadable = |error: io::Error| TrustError::Io {
        path: dir.to_owned(),
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32)),
    };
    let mut paths = Vec::new();
    for entry in dir.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (name, path) = (entry.file_name(), entry.path());
        if !name.as_encoded_bytes().starts_with(b".") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The directory and the bytes of a file that only its owner and root may write to.
fn read_trusted(path: &Path, limit: usize) -> Result<(OwnedFd, Vec<u8>), TrustError> {
    let (Some(dir_path), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Err(TrustError::Form(path.to_owned()));
    };
    let dir = open_dir(dir_path)?;
    let file = open_file(&dir, name, path, false, Readers::Anybody)?;
    let bytes = read_all(&file, path, limit)?;
    Ok((dir, bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    fn scratch() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    fn apply(path: &Path, text: &str) {
        let file = SourceFile { path: path.to_owned(), bytes: text.into() };
        let compiled = crate::compile(&[file], &crate::rules::NoNames).unwrap();
        write(applied_path(path), compiled.encode(crate::Stamp::default())).unwrap();
    }

    #[test]
    fn a_configuration_that_can_not_be_used_is_called_by_its_kind() {
        let dir = scratch();
        let path = dir.path().join("qrtotp.toml");
        let reason = || ConfigFile::load(&path, 0).map(|_| ()).unwrap_err().reason();
        assert_eq!(ConfigFile::files(&path).unwrap_err().reason(), "config_missing");
        write(&path, "issuer = 'Us'").unwrap();
        assert_eq!(reason(), "policy_missing", "it is not read from the file that people edit");
        write(applied_path(&path), "issuer = 'Us'").unwrap();
        assert_eq!(reason(), "policy_damaged");
        apply(&path, "");
        set_permissions(applied_path(&path), Permissions::from_mode(0o622)).unwrap();
        assert_eq!(reason(), "config_untrusted");
        set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        assert_eq!(ConfigFile::files(&path).unwrap_err().reason(), "config_untrusted");
        for error in [TrustError::Io { path: path.clone(), errno: Errno::EIO }, TrustError::Cut(path.clone())]
        {
            assert_eq!(ConfigError::Trust(error).reason(), "config_unreadable");
        }
    }

    #[test]
    fn what_was_applied_is_read_and_nothing_that_was_edited_since() {
        let dir = scratch();
        let path = dir.path().join("qrtotp.toml");
        apply(&path, "issuer = 'Us'");
        write(&path, "what").unwrap();
        let source = ConfigFile::load(&path, 0).unwrap();
        assert_eq!((source.config.issuer.as_deref(), source.dir_path.as_path()), (Some("Us"), dir.path()));
    }

    #[test]
    fn files_beside_the_main_one_come_first_in_the_order_of_their_names() {
        let dir = scratch();
        let path = dir.path().join("qrtotp.toml");
        write(&path, "").unwrap();
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        for name in ["20-b.toml", "10-a.toml", "30-c.toml.bak", "README", ".10-a.toml"] {
            write(dir.path().join("conf.d").join(name), "").unwrap();
        }
        let names = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = ConfigFile::files(&path).unwrap();
        let files: Vec<String> = files.iter().map(|file| names(&file.path)).collect();
        assert_eq!(files, ["10-a.toml", "20-b.toml", "qrtotp.toml"]);
        let ignored: Vec<String> = ConfigFile::not_read(&path).iter().map(|path| names(path)).collect();
        assert_eq!(ignored, ["30-c.toml.bak"]);
        write(&path, vec![b'#'; LIMIT + 1]).unwrap();
        assert!(ConfigFile::files(&path).unwrap_err().to_string().contains("64 KiB"));
    }

    #[test]
    fn a_directory_from_which_others_could_have_removed_rules_is_refused() {
        let dir = scratch();
        let (path, beside) = (dir.path().join("qrtotp.toml"), dir.path().join("conf.d"));
        write(&path, "").unwrap();
        std::fs::create_dir(&beside).unwrap();
        set_permissions(&beside, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(ConfigFile::files(&path).unwrap_err().reason(), "config_untrusted");
        std::fs::remove_dir(&beside).unwrap();
        std::os::unix::fs::symlink("/etc", &beside).unwrap();
        assert_eq!(ConfigFile::files(&path).unwrap_err().reason(), "config_untrusted");
        std::fs::remove_file(&beside).unwrap();
        assert_eq!(ConfigFile::files(&path).unwrap().len(), 1);
    }
}
