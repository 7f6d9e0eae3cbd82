//! `FILE.applied`: what logins read of the configuration FILE. Beside it, `FILE.applied.d` keeps the last
//! twenty.

use crate::caller::{acting_uid, host_chain, subject};
use crate::error::Failure;
use crate::host_names::HostNames;
use nix::unistd::geteuid;
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{
    Applied, Compiled, Config, ConfigError, ConfigFile, Finding, Severity, Stamp, applied_path, compile,
    digest, restamped, upgraded,
};
use qrtotp_store::open_dir;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How many applied configurations are kept, with the present one.
const KEPT: usize = 21;

/// Reads and checks the files that people edit.
pub fn compiled(path: &Path) -> Result<Compiled, Failure> {
    Ok(compile(&ConfigFile::files(path)?, &HostNames)?)
}

/// The lock-out guard: objections to applying a configuration. A parameter, because the guard itself reads a
/// store, which needs the configuration in force.
pub type Guard = fn(&Path, &Compiled) -> Result<Vec<Finding>, Failure>;

/// The configuration in force. One that was never applied is applied now, unless the guard refuses it.
pub fn load(path: &Path, guard: Guard) -> Result<ConfigFile, Failure> {
    if let Err(ConfigError::NotApplied(_)) = read(path) {
        let place = AppliedFile::locked(path)?;
        // Another process may have applied it while we waited for the lock.
        if place.current()?.is_none() {
            let compiled = never_applied(path)?;
            check_lock_out(&guard(path, &compiled)?, path)?;
            place.apply(&compiled, None, "")?;
        }
    }
    expire(path)?;
    Ok(ConfigFile::load(path, SystemClock.now())?)
}

/// The configuration in force, from a file of any version.
pub fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    match ConfigFile::load(path, SystemClock.now()) {
        // If the lock can't be had, the file stays what it is called: damaged.
        Err(ConfigError::Damaged(_)) if AppliedFile::locked(path).is_ok() => {
            ConfigFile::load(path, SystemClock.now())
        }
        loaded => loaded,
    }
}

/// As [`load`], for a dry run: what is in force, or would be. Changes nothing.
pub fn look(path: &Path) -> Result<Config, Failure> {
    match ConfigFile::load(path, SystemClock.now()) {
        Err(ConfigError::NotApplied(_)) => Ok(never_applied(path)?.config),
        found => Ok(found?.config),
    }
}

/// The lock-out guard for an apply that nobody asked for. Before anyone has a device, a missing device is
/// only a warning, so a fresh host passes.
fn check_lock_out(objections: &[Finding], path: &Path) -> Result<(), Failure> {
    let Some(danger) = objections.iter().find(|finding| finding.severity == Severity::Danger) else {
        return Ok(());
    };
    Err(Failure::Refused(format!(
        "{} was never applied, and is not applied now: {danger}; then run `qrtotp config apply`, whose --force REASON applies it \
         all the same",
        path.display()
    )))
}

/// A configuration that was never applied, and can be.
fn never_applied(path: &Path) -> Result<Compiled, Failure> {
    let compiled = compiled(path)?;
    match compiled.failed_tests(SystemClock.now()).1.as_slice() {
        [] => Ok(compiled),
        [failed, ..] => Err(Failure::Refused(format!(
            "{}: the test expects \"{}\" and gets \"{}\"; correct it, then run `qrtotp config apply`",
            failed.place, failed.expected, failed.got
        ))),
    }
}

/// Goes back from a configuration that was not confirmed in time, so that a clock that is set back does not
/// revive it. The lock-out guard has no say here: logins use the previous configuration already, and a
/// refusal would keep the one that nobody confirmed.
pub fn expire(path: &Path) -> Result<(), Failure> {
    let expired =
        |bytes: &[u8]| Applied::newest(bytes).ok().filter(|newest| !newest.is_in_force(SystemClock.now()));
    let bytes = std::fs::read(applied_path(path)).unwrap_or_default();
    if expired(&bytes).is_none() || !geteuid().is_root() {
        return Ok(());
    }
    let place = AppliedFile::locked(path)?;
    let Some(newest) = place.current()?.and_then(|bytes| expired(&bytes)) else { return Ok(()) };
    place.keep()?;
    let subject = subject("");
    let event = Event::new(Kind::PolicyRolledBack, &subject).reason("not_confirmed");
    place.put_logged(&newest.previous, &event.policy(newest.generation), "")
}

/// Whether the files differ from what was applied.
pub fn is_pending(path: &Path) -> bool {
    let applied = std::fs::read(applied_path(path)).ok().and_then(|bytes| Applied::newest(&bytes).ok());
    let files = ConfigFile::files(path).ok();
    matches!((applied, files), (Some(applied), Some(files)) if applied.digest != digest(&files))
}

/// The applied form of a configuration, locked against other changes.
pub struct AppliedFile {
    file: PathBuf,
    dir: File,
    _lock: File,
}

impl AppliedFile {
    /// Waits for the lock, which every change takes.
    pub fn locked(path: &Path) -> Result<Self, Failure> {
        let dir_path = path.parent().unwrap_or(Path::new("/"));
        let dir = File::open(dir_path).map_err(|error| failure("open", dir_path, &error))?;
        let file = applied_path(path);
        if !path.exists() && !file.exists() {
            return Err(ConfigError::Missing(path.to_owned()).into());
        }
        let earlier = earlier_dir(&file);
        match DirBuilder::new().mode(0o700).create(&earlier) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failure("make", &earlier, &error));
            }
            _ => {}
        }
        let lock = File::from(open_dir(&earlier).map_err(ConfigError::Trust)?);
        // Any user who can open a directory can hold its lock. Only root can open this one.
        lock.set_permissions(Permissions::from_mode(0o700))
            .map_err(|error| failure("lock", &earlier, &error))?;
        lock.lock().map_err(|error| failure("lock", &earlier, &error))?;
        let place = Self { file, dir, _lock: lock };
        place.upgrade()?;
        Ok(place)
    }

    /// Rewrites files of an earlier version, which logins do not read, in today's form.
    fn upgrade(&self) -> Result<(), Failure> {
        if let Some(Ok(Some(bytes))) = self.current()?.map(|bytes| upgraded(&bytes)) {
            self.put(&bytes)?;
        }
        for number in self.earlier() {
            if let Ok(Some(bytes)) = upgraded(&self.earlier_bytes(number)?) {
                self.write(&earlier_dir(&self.file).join(number.to_string()), &bytes)?;
            }
        }
        Ok(())
    }

    /// The file as it is.
    pub fn current(&self) -> Result<Option<Vec<u8>>, Failure> {
        match std::fs::read(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.map(Some).map_err(|error| failure("read", &self.file, &error)),
        }
    }

    /// The numbers of those that are kept, the oldest first; the newest is the present one.
    pub fn earlier(&self) -> Vec<u64> {
        let entries = earlier_dir(&self.file).read_dir().into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut numbers: Vec<u64> =
            files.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The newest one with a number below `number` that needs no confirmation.
    pub fn before(&self, number: u64) -> Option<u64> {
        let confirmed = |number: &u64| {
            let bytes = self.earlier_bytes(*number).unwrap_or_default();
            Applied::newest(&bytes).is_ok_and(|earlier| earlier.confirm_by == 0)
        };
        self.earlier().into_iter().rev().find(|earlier| *earlier < number && confirmed(earlier))
    }

    /// The file of an earlier one.
    pub fn earlier_bytes(&self, number: u64) -> Result<Vec<u8>, Failure> {
        let path = earlier_dir(&self.file).join(number.to_string());
        std::fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::Refused(format!(
                "number {number} is not kept; `qrtotp config list` shows those that are"
            )),
            _ => failure("read", &path, &error),
        })
    }

    /// Makes `compiled` what logins read. `confirm`: for so many seconds, unless it is confirmed. `forced`:
    /// the reason for overruling the guard; empty: nothing was overruled. Gives its number.
    pub fn apply(&self, compiled: &Compiled, confirm: Option<i64>, forced: &str) -> Result<u64, Failure> {
        let stamp = self.stamp(confirm)?;
        let generation = stamp.generation;
        let subject = subject("");
        let event = Event::new(Kind::PolicyApplied, &subject).policy(generation);
        let reason = if confirm.is_some() { "confirmation_awaited" } else { "" };
        self.replace(&compiled.encode(stamp), &event.reason(reason), forced)?;
        Ok(generation)
    }

    /// Makes an earlier configuration, whose file is `bytes`, the newest again. Gives its new number.
    /// `forced` is the reason for overruling the guard; empty: nothing was overruled.
    pub fn apply_again(&self, bytes: &[u8], forced: &str) -> Result<u64, Failure> {
        let stamp = self.stamp(None)?;
        let generation = stamp.generation;
        let bytes = restamped(bytes, stamp).map_err(|_| damaged(&self.file))?;
        let subject = subject("");
        self.replace(&bytes, &Event::new(Kind::PolicyRolledBack, &subject).policy(generation), forced)?;
        Ok(generation)
    }

    /// Confirms the newest, which is in force. `None`: that is not awaited. Gives its number.
    pub fn confirm(&self) -> Result<Option<u64>, Failure> {
        let bytes = self.current()?.unwrap_or_default();
        let newest = Applied::newest(&bytes).map_err(|_| damaged(&self.file))?;
        if newest.confirm_by == 0 || !newest.is_in_force(SystemClock.now()) {
            return Ok(None);
        }
        let Applied { generation, applied_at, by, .. } = newest;
        let bytes = restamped(&bytes, Stamp { generation, applied_at, by, confirm: None })
            .map_err(|_| damaged(&self.file))?;
        let subject = subject("");
        self.put_logged(&bytes, &Event::new(Kind::PolicyConfirmed, &subject).policy(generation), "")?;
        self.keep_in_force();
        Ok(Some(generation))
    }

    /// The stamp of the next one. It goes back to the newest configuration that needs no confirmation.
    fn stamp(&self, confirm: Option<i64>) -> Result<Stamp, Failure> {
        let bytes = self.current()?.unwrap_or_default();
        let newest = Applied::newest(&bytes).ok();
        let numbers = self.earlier().into_iter().chain(newest.as_ref().map(|newest| newest.generation));
        let now = SystemClock.now();
        let before = match newest {
            Some(newest) if newest.confirm_by == 0 => Some(bytes),
            Some(newest) => Some(newest.previous),
            None => None,
        };
        let confirm = match (confirm, before) {
            (None, _) => None,
            (Some(seconds), Some(before)) => Some((now + seconds, before)),
            (Some(_), None) => {
                let text =
                    "nothing was applied before, so there is nothing to go back to; leave out --confirm";
                return Err(Failure::Refused(text.into()));
            }
        };
        Ok(Stamp {
            generation: numbers.max().unwrap_or(0) + 1,
            applied_at: now,
            by: acting_uid().as_raw(),
            confirm,
        })
    }

    fn replace(&self, bytes: &[u8], event: &Event<'_>, forced: &str) -> Result<(), Failure> {
        if Applied::newest(bytes).is_err() {
            let text = "what would be applied can't be read back, so nothing was changed; please report this with the files";
            return Err(Failure::Error(text.into()));
        }
        self.keep()?;
        self.put_logged(bytes, event, &forced_detail(forced))?;
        self.keep_in_force();
        Ok(())
    }

    /// Keeps a copy of what is in force already: its number is not used again, even if the file is lost.
    fn keep_in_force(&self) {
        if let Err(failure) = self.keep() {
            let _ =
                writeln!(std::io::stderr(), "qrtotp: it is in force, but no copy of it was kept: {failure}");
        }
    }

    /// Keeps a copy of the present one.
    fn keep(&self) -> Result<(), Failure> {
        let newest =
            self.current()?.and_then(|bytes| Some((Applied::newest(&bytes).ok()?.generation, bytes)));
        if let Some((generation, present)) = newest {
            let dir = earlier_dir(&self.file);
            self.write(&dir.join(generation.to_string()), &present)?;
            let numbers = self.earlier();
            for number in numbers.iter().take(numbers.len().saturating_sub(KEPT)) {
                let _ = std::fs::remove_file(dir.join(number.to_string())); // one too many does no harm
            }
        }
        Ok(())
    }

    /// Replaces the file atomically: after a crash it is the old or the new one.
    fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.put_in_place(&self.write_beside(bytes)?)
    }

    /// The same with an event of the host's chain, which is part of the store that the new configuration
    /// names. A crash leaves no new configuration without its line.
    fn put_logged(&self, bytes: &[u8], event: &Event<'_>, detail: &str) -> Result<(), Failure> {
        let new = self.write_beside(bytes)?;
        let config = Applied::newest(bytes).map(|newest| newest.config).unwrap_or_default();
        let key_dir = self.file.parent().unwrap_or(Path::new("/"));
        host_chain(&config, key_dir).log_ahead(event, detail, || self.put_in_place(&new))
    }

    fn write_beside(&self, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let mut new = self.file.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        self.write(&new, bytes)?;
        Ok(new)
    }

    fn put_in_place(&self, new: &Path) -> Result<(), Failure> {
        std::fs::rename(new, &self.file).map_err(|error| failure("write", &self.file, &error))?;
        self.dir.sync_all().map_err(|error| failure("write", &self.file, &error))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(path).and_then(|mut file| {
            file.set_permissions(Permissions::from_mode(self.mode()))?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|error| failure("write", path, &error))
    }

    /// The same users may read the source file and its applied form.
    fn mode(&self) -> u32 {
        let source = self.file.with_extension(""); // without `.applied`
        source.metadata().map_or(0o600, |metadata| 0o600 | (metadata.permissions().mode() & 0o044))
    }
}

/// Where the earlier ones of `FILE.applied` are.
fn earlier_dir(applied: &Path) -> PathBuf {
    let mut name = applied.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

fn forced_detail(forced: &str) -> String {
    if forced.is_empty() { String::new() } else { format!("forced: {forced}") }
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    let step = if geteuid().is_root() { "" } else { "; run this as root" };
    Failure::Error(format!("cannot {what} {}: {error}{step}", path.display()))
}

fn damaged(path: &Path) -> Failure {
    ConfigError::Damaged(path.to_owned()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_of_others_is_refused_and_foreign_entries_are_passed_over() {
        let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let (path, target) = (dir.path().join("qrtotp.toml"), dir.path().join("target"));
        assert!(AppliedFile::locked(&path).is_err() && !earlier_dir(&applied_path(&path)).exists());
        std::fs::write(&path, "").unwrap();
        DirBuilder::new().mode(0o755).create(&target).unwrap();
        std::os::unix::fs::symlink(&target, earlier_dir(&applied_path(&path))).unwrap();
        assert!(AppliedFile::locked(&path).is_err());
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        std::fs::remove_file(earlier_dir(&applied_path(&path))).unwrap();
        let place = AppliedFile::locked(&path).unwrap();
        std::fs::create_dir(earlier_dir(&place.file).join("9999")).unwrap();
        drop(place);
        let place = AppliedFile::locked(&path).unwrap();
        assert_eq!(place.apply(&compiled(&path).unwrap(), None, "").unwrap(), 1);
        std::fs::write(&place.file, "what").unwrap();
        assert_eq!(place.apply(&compiled(&path).unwrap(), None, "").unwrap(), 2, "a lost number");
    }

    #[test]
    fn a_configuration_is_applied_kept_confirmed_and_gone_back_to() {
        let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let path = dir.path().join("qrtotp.toml");
        let issuer = || ConfigFile::load(&path, SystemClock.now()).unwrap().config.issuer.unwrap();
        let edit = |issuer: &str| {
            std::fs::write(&path, format!("issuer = '{issuer}'")).unwrap();
            compiled(&path).unwrap()
        };
        let first = edit("A");
        let place = AppliedFile::locked(&path).unwrap();
        assert!(place.apply(&first, Some(60), "").is_err(), "there is nothing to go back to");
        assert_eq!(place.apply(&first, None, "").unwrap(), 1);
        let second = edit("B");
        assert!(is_pending(&path));
        assert_eq!(issuer(), "A");
        assert_eq!(place.apply(&second, Some(60), "").unwrap(), 2);
        assert_eq!(issuer(), "B");
        let third = edit("C");
        assert_eq!(place.apply(&third, Some(60), "").unwrap(), 3);
        let newest = Applied::newest(&place.current().unwrap().unwrap()).unwrap();
        let before = Applied::newest(&newest.previous).unwrap();
        assert_eq!(before.config.issuer.as_deref(), Some("A"), "B was never confirmed");
        assert_eq!((place.confirm().unwrap(), place.confirm().unwrap()), (Some(3), None));
        assert_eq!((issuer(), place.earlier()), ("C".to_owned(), vec![1, 2, 3]));
        let first = place.earlier_bytes(1).unwrap();
        assert_eq!(place.apply_again(&first, "").unwrap(), 4);
        assert_eq!(issuer(), "A");
    }

    #[test]
    fn the_one_before_is_neither_damaged_nor_one_that_nobody_confirmed() {
        let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let path = dir.path().join("qrtotp.toml");
        std::fs::write(&path, "").unwrap();
        let place = AppliedFile::locked(&path).unwrap();
        let compiled = compiled(&path).unwrap();
        for (confirm, number) in [(None, 1), (None, 2), (Some(60), 3), (Some(60), 4)] {
            assert_eq!(place.apply(&compiled, confirm, "").unwrap(), number);
        }
        place.confirm().unwrap();
        assert_eq!(place.before(4), Some(2), "3 was never confirmed");
        assert_eq!(place.apply(&compiled, None, "").unwrap(), 5);
        assert_eq!(place.before(5), Some(4));
        std::fs::write(earlier_dir(&place.file).join("4"), "what").unwrap();
        assert_eq!((place.before(5), place.before(2), place.before(1)), (Some(2), Some(1), None));
    }

    #[test]
    fn what_was_not_confirmed_in_time_does_not_come_back_with_the_clock() {
        let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
        let path = dir.path().join("qrtotp.toml");
        std::fs::write(&path, "issuer = 'A'").unwrap();
        let guard: Guard = |_, _| Ok(Vec::new());
        load(&path, guard).unwrap();
        std::fs::write(&path, "issuer = 'B'").unwrap();
        let place = AppliedFile::locked(&path).unwrap();
        place.apply(&compiled(&path).unwrap(), Some(-1), "").unwrap();
        drop(place);
        assert_eq!(load(&path, guard).unwrap().config.issuer.as_deref(), Some("A"));
        let left = Applied::newest(&std::fs::read(applied_path(&path)).unwrap()).unwrap();
        assert_eq!((left.generation, left.confirm_by), (1, 0));
        let place = AppliedFile::locked(&path).unwrap();
        assert_eq!(place.apply(&compiled(&path).unwrap(), None, "").unwrap(), 3, "no number is used twice");
    }
}
