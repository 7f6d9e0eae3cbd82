//! The applied configuration: the form that a login reads. `qrtotp config apply` makes it from the admin's
//! files.
//!
//! The file is at most 64 KiB, little-endian: `QRTP`, u16 version, u64 checksum of the rest, u64 generation,
//! i64 applied_at, u32 uid, 32 bytes digest of the sources, i64 confirm_by (0: no need); then, as one part
//! each, the settings, the rules, and the settings as they were written; and, while a confirmation is
//! awaited, the whole file that was in force before. A checksum, not a seal: only root can write there, and
//! root could write the sources as well.

use super::Config;
use super::bytes::{Bytes, Damaged};
use super::document::Table;
use super::read::Settings;
use super::rules::RuleSet;
use qrtotp_values::{UnixTime, checksum};

pub(super) const MAGIC: &[u8] = b"QRTP";
/// A setting that the file leaves out has the program's default, so a changed default needs a new version,
/// whose reader gives files of this one the old default: no login changes without an apply.
const VERSION: u16 = 2;
/// The longest file, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// A configuration that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Settings and rules.
    pub config: Config,
    /// Its number.
    pub generation: u64,
    /// When it was applied.
    pub applied_at: UnixTime,
    /// The uid of the admin who applied it.
    pub by: u32,
    /// BLAKE2b-256 of the sources.
    pub digest: [u8; 32],
    /// The time limit for confirming it; 0: no confirmation is needed.
    pub confirm_by: UnixTime,
    /// The file that was in force before, while a confirmation is awaited.
    pub previous: Vec<u8>,
}

/// The parts of a file whose checksum is right.
pub(super) struct Parts<'f> {
    generation: u64,
    applied_at: UnixTime,
    by: u32,
    digest: [u8; 32],
    confirm_by: UnixTime,
    settings: Bytes<'f>,
    rules: &'f [u8],
    /// The settings as they were written.
    pub source: Bytes<'f>,
    previous: &'f [u8],
}

impl<'f> Parts<'f> {
    pub fn of(file: &'f [u8]) -> Result<Self, Damaged> {
        let rest = file.strip_prefix(MAGIC).ok_or(Damaged)?;
        let mut bytes = Bytes::new(rest);
        let (version, sum) = (bytes.u16()?, bytes.u64()?);
        if version != VERSION || sum != checksum(bytes.rest()) {
            return Err(Damaged);
        }
        let parts = Self {
            generation: bytes.u64()?,
            applied_at: bytes.i64()?,
            by: bytes.u32()?,
            digest: bytes.take(32)?.try_into().map_err(|_| Damaged)?,
            confirm_by: bytes.i64()?,
            settings: bytes.part()?,
            rules: bytes.part()?.rest(),
            source: bytes.part()?,
            previous: bytes.rest(),
        };
        if parts.previous.is_empty() == (parts.confirm_by == 0) { Ok(parts) } else { Err(Damaged) }
    }

    /// As [`Parts::of`] for the configuration that is in force at `now`; see [`Applied::in_force`].
    fn in_force(file: &'f [u8], now: UnixTime) -> Result<Self, Damaged> {
        let newest = Self::of(file)?;
        if is_in_force(newest.applied_at, newest.confirm_by, now) {
            Ok(newest)
        } else {
            Self::of(newest.previous)
        }
    }

    /// The settings, without rules.
    fn config(&self) -> Result<Config, Damaged> {
        let (mut config, mut settings) = (Config::default(), self.settings);
        config.take(&mut settings)?;
        if settings.is_empty() { Ok(config) } else { Err(Damaged) }
    }

    fn applied(&self) -> Result<Applied, Damaged> {
        let rules = RuleSet::from_bytes(self.generation, self.rules.to_vec());
        let Self { generation, applied_at, by, digest, confirm_by, previous, .. } = *self;
        let config = Config { rules, ..self.config()? };
        Ok(Applied { config, generation, applied_at, by, digest, confirm_by, previous: previous.to_vec() })
    }
}

fn is_in_force(applied_at: UnixTime, confirm_by: UnixTime, now: UnixTime) -> bool {
    confirm_by == 0 || (applied_at..=confirm_by).contains(&now)
}

impl Config {
    /// The settings and rules of [`Applied::in_force`], for a login. They keep the file's memory: a copy of a
    /// hundred rules, and wiping it, would cost a login 17,000 instructions.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn in_force(mut file: Vec<u8>, now: UnixTime) -> Result<Self, Damaged> {
        let parts = Parts::in_force(&file, now)?;
        let (config, generation, length) = (parts.config()?, parts.generation, parts.rules.len());
        // What follows the rules ends with the file.
        let end = file.len() - parts.source.rest().len() - 2 - parts.previous.len();
        file.truncate(end);
        file.drain(..end - length);
        Ok(Self { rules: RuleSet::from_bytes(generation, file), ..config })
    }
}

impl Applied {
    /// Reads the newest configuration in a file, in force or not.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn newest(file: &[u8]) -> Result<Self, Damaged> {
        Parts::of(file)?.applied()
    }

    /// Reads the configuration that is in force at `now`: the newest, unless it had to be confirmed and was
    /// not. If `now` is outside the time for confirming, before or after it, the previous one is in force.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn in_force(file: &[u8], now: UnixTime) -> Result<Self, Damaged> {
        Parts::in_force(file, now)?.applied()
    }

    /// Whether it needs no confirmation, or still has time for it.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        is_in_force(self.applied_at, self.confirm_by, now)
    }
}

/// Generation, time and author of an applied configuration.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// Its number.
    pub generation: u64,
    /// The time.
    pub applied_at: UnixTime,
    /// The uid.
    pub by: u32,
    /// Until when it has to be confirmed, and the file that is in force before.
    pub confirm: Option<(UnixTime, Vec<u8>)>,
}

impl Stamp {
    pub(super) fn file(self, digest: &[u8; 32], parts: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.generation.to_le_bytes());
        body.extend_from_slice(&self.applied_at.to_le_bytes());
        body.extend_from_slice(&self.by.to_le_bytes());
        body.extend_from_slice(digest);
        let (confirm_by, previous) = self.confirm.unwrap_or_default();
        body.extend_from_slice(&confirm_by.to_le_bytes());
        body.extend_from_slice(parts);
        body.extend_from_slice(&previous);
        sealed(&body)
    }
}

/// The newest configuration of `file` with another stamp: confirmed, or applied again.
///
/// # Errors
/// The file is damaged.
pub fn restamped(file: &[u8], stamp: Stamp) -> Result<Vec<u8>, Damaged> {
    const SETTINGS: usize = 8 + 8 + 4 + 32 + 8;
    let newest = Applied::newest(file)?;
    let body = file.get(MAGIC.len() + 2 + 8..file.len() - newest.previous.len()).ok_or(Damaged)?;
    let parts = body.get(SETTINGS..).ok_or(Damaged)?;
    Ok(stamp.file(&newest.digest, parts))
}

/// The settings of the newest configuration of `file`, as [`crate::Compiled::settings`].
///
/// # Errors
/// The file is damaged.
pub fn settings(file: &[u8]) -> Result<Vec<(String, String)>, Damaged> {
    Ok(Table::decode(&mut Parts::of(file)?.source)?.flat())
}

/// The body after its header.
pub(super) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(body.len() + 14);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&checksum(body).to_le_bytes());
    file.extend_from_slice(body);
    file
}
