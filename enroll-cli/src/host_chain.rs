//! The host's chain of audit lines: configurations, changes of many accounts, records made and removed,
//! checkpoints. Only commands that root runs add to it, so it is a file of its own, and no login waits for
//! it.

use crate::caller::{subject, syslog};
use qrtotp_account::{LINK_LEN, Link, RecordId, chain_origin, link, link_hex};
use qrtotp_audit::{Event, Priority};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_otp::{base32_decode, base32_encode, random_bytes};
use qrtotp_store::FileStore;
use qrtotp_values::text::logfmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Its name in the store's directory.
const FILE: &str = "host-chain";
/// How its first line begins; the id that the chain's origin is made of follows.
const HEADER: &str = "qrtotp host chain 1 ";
/// So many of the last lines are kept, and the last checkpoint's line before them if it is older.
const KEPT: usize = 64;

/// How long a command waits for another one that adds a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    id: RecordId,
    pub seq: u64,
    pub head: Link,
    /// The last lines, word for word.
    pub lines: Vec<String>,
    /// The line of the last checkpoint that is older than those.
    pub checkpoint: Option<String>,
}

impl HostEnd {
    fn new(id: RecordId) -> Self {
        Self { id, seq: 0, head: chain_origin(id), lines: Vec::new(), checkpoint: None }
    }

    pub fn origin(&self) -> Link {
        chain_origin(self.id)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let id = base32_decode(lines.next()?.strip_prefix(HEADER)?).ok()?;
        let id = RecordId(id.as_slice().try_into().ok()?);
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        let is_apart = lines.len() > KEPT && lines.first().is_some_and(|line| is_checkpoint(line));
        let checkpoint = is_apart.then(|| lines.remove(0));
        let Some(last) = lines.last() else { return Some(Self::new(id)) };
        let (covered, shown) = last.rsplit_once(" chain=")?;
        let seq = covered.rsplit_once(" seq=")?.1.split(' ').next()?.parse().ok()?;
        let mut head = [0; LINK_LEN];
        for (at, byte) in head.iter_mut().enumerate() {
            *byte = u8::from_str_radix(shown.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self { id, seq, head, lines, checkpoint })
    }

    fn text(&self) -> String {
        let lines: String =
            self.checkpoint.iter().chain(&self.lines).map(|line| format!("{line}\n")).collect();
        format!("{HEADER}{}\n{lines}", base32_encode(&self.id.0))
    }

    fn add(&mut self, line: &str, at: i64) -> String {
        self.seq += 1;
        let covered = format!("{line} seq={} at={at}", self.seq);
        self.head = link(self.head, covered.as_bytes());
        let whole = format!("{covered} chain={}", String::from_utf8_lossy(&link_hex(self.head)));
        self.lines.push(whole.clone());
        let mut old = self.lines.drain(..self.lines.len().saturating_sub(KEPT));
        if let Some(line) = old.rfind(|line| is_checkpoint(line)) {
            self.checkpoint = Some(line);
        }
        drop(old);
        whole
    }
}

fn is_checkpoint(line: &str) -> bool {
    line.starts_with("event=checkpoint ")
}

/// The chain of a store.
pub struct HostChain {
    state_dir: PathBuf,
    key_dir: PathBuf,
}

impl HostChain {
    pub fn of(state_dir: &Path, key_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned(), key_dir: key_dir.to_owned() }
    }

    /// Adds an event, which has no `detail`, makes it durable and logs it. Without a store, or if it can't be
    /// made durable, it is logged without a number.
    pub fn log(&self, event: &Event<'_>, detail: &str) {
        self.log_line(event.priority(), &event.line(), detail);
    }

    /// The same with an event that only this chain has.
    pub fn log_new(&self, kind: &str, facts: &[(&str, &str)], detail: &str) {
        let (mut line, subject) = (format!("event={kind}"), subject(""));
        let who = [("service", &*subject.service), ("tty", &*subject.tty), ("by", &*subject.by)];
        for (key, value) in who.iter().chain(facts).filter(|(_, value)| !value.is_empty()) {
            logfmt(&mut line, key, value);
        }
        self.log_line(Priority::Notice, &line, detail);
    }

    fn log_line(&self, priority: Priority, line: &str, detail: &str) {
        let with_detail = |mut line: String| {
            if !detail.is_empty() {
                logfmt(&mut line, "detail", detail);
            }
            line
        };
        if !self.has_store() {
            return syslog().write(priority, &with_detail(line.to_owned()));
        }
        match self.add(line) {
            Ok(line) => syslog().write(priority, &with_detail(line)),
            Err(error) => {
                let file = self.file();
                let _ = writeln!(io::stderr(), "qrtotp: cannot write {}: {error}", file.display());
                syslog().write(priority, &with_detail(line.to_owned()));
            }
        }
    }

    /// Runs a change of an account. If it has a record then and had none before, the chain tells it.
    pub fn noting<T>(&self, store: &FileStore, name: &qrtotp_account::Name, change: impl FnOnce() -> T) -> T {
        let was_there = store.has_record(name).unwrap_or(true);
        let changed = change();
        if !was_there && let Some(record) = record_of(store, name) {
            self.log_new("record_made", &[("record", &record)], "");
        }
        changed
    }

    /// Where the chain ends; `None`: it has not begun.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn end(&self) -> io::Result<Option<HostEnd>> {
        let text = match std::fs::read_to_string(self.file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged; move it away to begin another");
        HostEnd::parse(&text).map(Some).ok_or_else(damaged)
    }

    pub fn file(&self) -> PathBuf {
        self.state_dir.join(FILE)
    }

    /// Whether the store is there and ours.
    fn has_store(&self) -> bool {
        FileStore::open(&self.state_dir, &self.key_dir).is_ok_and(|store| store.check_marker().is_ok())
    }

    /// Adds a line under the lock of the store's directory, which only root can open. Gives it whole.
    fn add(&self, line: &str) -> io::Result<String> {
        let _locked = lock(&self.state_dir)?;
        let mut end = match self.end()? {
            Some(end) => end,
            None => {
                let id = RecordId(random_bytes().map_err(|error| io::Error::other(error.to_string()))?);
                HostEnd::new(id)
            }
        };
        let whole = end.add(line, SystemClock.now());
        replace(&self.file(), end.text().as_bytes())?;
        Ok(whole)
    }
}

/// Locks a directory that only root can open, until the result is dropped.
///
/// # Errors
/// Another process holds the lock for longer than [`PATIENCE`], or the directory can't be opened.
pub fn lock(dir: &Path) -> io::Result<File> {
    let dir = File::open(dir)?;
    let mut deadline = Deadline::after(PATIENCE);
    loop {
        match dir.try_lock() {
            Ok(()) => return Ok(dir),
            Err(TryLockError::WouldBlock) if deadline.pause() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes a file of root's durably: after a crash it is the old or the new one.
///
/// # Errors
/// As the system says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The id of an account's record, as account.toml shows it; `None` if it can't be read.
pub fn record_of(store: &FileStore, name: &qrtotp_account::Name) -> Option<String> {
    let account = qrtotp_store::Store::load(store, name).ok()??;
    Some(base32_encode(&account.record.id.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_chain_reads_back_and_keeps_its_last_lines() {
        let id = RecordId([7; 16]);
        let mut end = HostEnd::new(id);
        assert_eq!(HostEnd::parse(&end.text()).unwrap().lines, [""; 0]);
        let first = end.add("event=checkpoint count=3", 1_795_878_245);
        assert!(first.starts_with("event=checkpoint count=3 seq=1 at=1795878245 chain="), "{first}");
        for n in 0..100 {
            end.add(&format!("event=bulk_revoked label=\" seq=9\" count={n}"), 1_795_878_246);
        }
        let read = HostEnd::parse(&end.text()).unwrap();
        assert_eq!((read.seq, read.lines.len()), (101, KEPT));
        assert_eq!(read, end);
        assert_eq!(read.checkpoint, Some(first), "the last checkpoint outlives the lines behind it");
        let second = end.add("event=checkpoint count=4", 1_795_878_247);
        for n in 0..65 {
            end = HostEnd::parse(&end.text()).unwrap();
            end.add(&format!("event=record_made record={n}"), 1_795_878_248);
        }
        assert_eq!((end.checkpoint, end.lines.len()), (Some(second), KEPT));
        for damaged in
            ["", "x", "qrtotp host chain 1 A", "qrtotp host chain 1 A4DQOBYHA4DQOBYHA4DQOBYHA4\nx\n"]
        {
            assert_eq!(HostEnd::parse(damaged), None, "{damaged}");
        }
    }
}
