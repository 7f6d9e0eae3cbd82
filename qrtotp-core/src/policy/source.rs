//! Where the configuration comes from: a file of root's that nobody else may write to.

use super::Config;
use crate::store::{FileStore, Readers, StoreError, TrustError, open_dir, open_file, read_all};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A configuration is a page, not a book, in bytes.
const LIMIT: usize = 16 * 1024;

/// Why there is no usable configuration. A login is denied then.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there.
    #[error("{0} does not exist; an empty file is enough to begin with")]
    Missing(PathBuf),
    /// The file can't be trusted or read.
    #[error(transparent)]
    Trust(TrustError),
    /// Not the TOML that we know.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value out of its bounds.
    #[error("{path}: `{key}` {problem}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it should be.
        problem: &'static str,
    },
}

impl ConfigError {
    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "config_missing",
            Self::Trust(TrustError::Io { .. } | TrustError::Cut(_)) => "config_unreadable",
            Self::Trust(_) => "config_untrusted",
            Self::Syntax { .. } | Self::Value { .. } => "config_invalid",
        }
    }
}

/// A configuration and where it came from: the sealing key lies beside it.
#[derive(Debug)]
pub struct Source {
    /// What it says.
    pub config: Config,
    /// Its directory.
    pub dir_path: PathBuf,
    dir: OwnedFd,
}

impl Source {
    /// Reads the configuration in `path`.
    ///
    /// # Errors
    /// Missing, writable by others, not what we know.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (Some(dir_path), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
            return Err(ConfigError::Trust(TrustError::Form(path.to_owned())));
        };
        let trust = |error| match error {
            TrustError::Missing(_) => ConfigError::Missing(path.to_owned()),
            other => ConfigError::Trust(other),
        };
        let dir = open_dir(dir_path).map_err(trust)?;
        let file = open_file(&dir, name, path, false, Readers::Anybody).map_err(trust)?;
        let bytes = read_all(&file, path, LIMIT).map_err(trust)?;
        let config = Config::parse(path, &bytes)?;
        Ok(Self { config, dir_path: dir_path.to_owned(), dir })
    }

    /// The store that it names, with the key beside it.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_store(&self) -> Result<FileStore, StoreError> {
        FileStore::open_beside(&self.config.state_dir.0, &self.dir, &self.dir_path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::errno::Errno;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    fn scratch() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_configuration_that_can_not_be_used_is_called_by_its_kind() {
        let dir = scratch();
        let path = dir.path().join("qrtotp.toml");
        let reason = || Source::load(&path).map(|_| ()).unwrap_err().reason();
        assert_eq!(reason(), "config_missing");
        for text in ["what", "[verify]\nwindow_back = 11"] {
            write(&path, text).unwrap();
            assert_eq!(reason(), "config_invalid", "{text}");
        }
        write(&path, "").unwrap();
        set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        assert_eq!(reason(), "config_untrusted");
        for error in [TrustError::Io { path: path.clone(), errno: Errno::EIO }, TrustError::Cut(path.clone())]
        {
            assert_eq!(ConfigError::Trust(error).reason(), "config_unreadable");
        }
    }

    #[test]
    fn a_configuration_of_sixteen_kibibytes_is_read_and_no_longer_one() {
        let dir = scratch();
        let path = dir.path().join("qrtotp.toml");
        write(&path, format!("issuer = 'Us'\n#{}", " ".repeat(16 * 1024 - 15))).unwrap();
        let source = Source::load(&path).unwrap();
        assert_eq!((source.config.issuer.as_deref(), source.dir_path.as_path()), (Some("Us"), dir.path()));
        write(&path, " ".repeat(16 * 1024 + 1)).unwrap();
        assert!(matches!(Source::load(&path), Err(ConfigError::Trust(TrustError::TooLarge(_)))));
    }
}
