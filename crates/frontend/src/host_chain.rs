//! The host's chain of audit lines: configurations, changes of many accounts, records made and removed,
//! checkpoints. Commands that root runs and the broker add to it, never a login: users can freeze a login of
//! their own, for example su, and whatever it locks. So it is a file of its own.

use crate::Syslog;
use qrtotp_account::{LINK_LEN, Link, Name, RecordId, chain_origin, link, link_hex};
use qrtotp_audit::{Event, Priority, Subject};
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_otp::{base32_decode, base32_encode, random_bytes};
use qrtotp_store::{FileStore, Store};
use qrtotp_values::text::logfmt;
use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Its name in the store's directory.
const FILE: &str = "host-chain";
/// How its first line begins; the id that the chain's origin is made of follows.
const HEADER: &str = "qrtotp host chain 1 ";
/// A checkpoint keeps at least so many of the last lines.
const KEPT: usize = 64;

/// How long a program waits for another one that adds a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    id: RecordId,
    /// The number of the last line.
    pub seq: u64,
    /// Its link.
    pub head: Link,
    /// The last lines, word for word: at least all since the last checkpoint but one.
    pub lines: Vec<String>,
}

impl HostEnd {
    fn new(id: RecordId) -> Self {
        Self { id, seq: 0, head: chain_origin(id), lines: Vec::new() }
    }

    /// The hash that the chain's first line follows.
    #[must_use]
    pub fn origin(&self) -> Link {
        chain_origin(self.id)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let id = base32_decode(lines.next()?.strip_prefix(HEADER)?).ok()?;
        let id = RecordId(id.as_slice().try_into().ok()?);
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let Some(last) = lines.last() else { return Some(Self::new(id)) };
        let (covered, shown) = last.rsplit_once(" chain=")?;
        let seq = covered.rsplit_once(" seq=")?.1.split(' ').next()?.parse().ok()?;
        let mut head = [0; LINK_LEN];
        for (at, byte) in head.iter_mut().enumerate() {
            *byte = u8::from_str_radix(shown.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self { id, seq, head, lines })
    }

    fn text(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        format!("{HEADER}{}\n{lines}", base32_encode(&self.id.0))
    }

    /// Adds a line, and gives it whole.
    fn add(&mut self, line: &str, at: i64) -> String {
        let seq = self.seq + 1;
        let covered = format!("{line} seq={seq} at={at}");
        let head = link(self.head, covered.as_bytes());
        let whole = format!("{covered} chain={}", String::from_utf8_lossy(&link_hex(head)));
        (self.seq, self.head) = (seq, head);
        self.lines.push(whole.clone());
        whole
    }

    /// Whether no line, or another one, is the last about the event's record.
    fn needs(&self, event: &HostEvent<'_>) -> bool {
        let Some((_, record)) = event.facts.first() else { return true };
        let named = format!(" record={record} ");
        let is_made = |line: &str| line.starts_with("event=record_made ");
        let last = self.lines.iter().rfind(|line| line.contains(&named));
        last.is_none_or(|last| is_made(last) != (event.kind == "record_made"))
    }
}

/// An event that only this chain has.
#[derive(Clone, Copy, Debug)]
pub struct HostEvent<'a> {
    /// Its word.
    pub kind: &'a str,
    /// One word, or none.
    pub reason: &'a str,
    /// Further keys, in the order of docs/AUDIT.md.
    pub facts: &'a [(&'a str, &'a str)],
}

impl<'a> HostEvent<'a> {
    /// One about the record with this id.
    #[must_use]
    pub fn about(kind: &'a str, record: &'a [(&'a str, &'a str); 1]) -> Self {
        Self { kind, reason: "", facts: record }
    }

    fn line(&self, subject: &Subject) -> String {
        let mut line = format!("event={}", self.kind);
        let who = [
            ("reason", self.reason),
            ("service", &subject.service),
            ("tty", &subject.tty),
            ("by", &subject.by),
        ];
        for (key, value) in who.iter().chain(self.facts).filter(|(_, value)| !value.is_empty()) {
            logfmt(&mut line, key, value);
        }
        line
    }
}

/// The chain of a store, as one program adds to it.
pub struct HostChain {
    state_dir: PathBuf,
    /// Where a file store's key is; `None`: the accounts are in a fleet's store.
    key_dir: Option<PathBuf>,
    program: &'static str,
    /// Service, terminal and person of each line.
    subject: Subject,
}

impl HostChain {
    /// `key_dir`: where a file store's key is, `None` on a verifier; `subject`: who acts.
    #[must_use]
    pub fn of(state_dir: &Path, key_dir: Option<&Path>, program: &'static str, subject: Subject) -> Self {
        Self { state_dir: state_dir.to_owned(), key_dir: key_dir.map(Path::to_owned), program, subject }
    }

    /// Adds an event, which has no `detail`, makes it durable and logs it. Without a store, or if it can't be
    /// made durable, it is logged without a number.
    pub fn log(&self, event: &Event<'_>, detail: &str) {
        let line = self.added(&event.line());
        self.write(event.priority(), &with_detail(line, detail));
    }

    /// The same with an event that only this chain has.
    pub fn log_new(&self, event: &HostEvent<'_>, detail: &str) {
        let line = self.added(&event.line(&self.subject));
        self.write(Priority::Notice, &with_detail(line, detail));
    }

    /// The same, for an event that `change` makes true: its line is durable before the change begins, and
    /// logged when the change has ended. So no crash leaves the change without its line. A crash, or an
    /// error, can leave the line without its change.
    ///
    /// # Errors
    /// That of `change`, which the logged line names.
    pub fn log_ahead<T, E: Display>(
        &self,
        event: &Event<'_>,
        detail: &str,
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let line = self.added(&event.line());
        let changed = change();
        let failed = changed.as_ref().err().map(|error| format!("it failed: {error}"));
        self.write(event.priority(), &with_detail(line, failed.as_deref().unwrap_or(detail)));
        changed
    }

    /// The line, with its number if there is a store and it can be made durable.
    fn added(&self, line: &str) -> String {
        let added = if self.has_store() { self.change(|chain| chain.add(line)) } else { Ok(line.to_owned()) };
        added.unwrap_or_else(|error| {
            self.warn(&error);
            line.to_owned()
        })
    }

    fn write(&self, priority: Priority, line: &str) {
        Syslog::open(self.program).write(priority, line);
    }

    fn warn(&self, error: &io::Error) {
        let file = self.file();
        let _ = writeln!(io::stderr(), "{}: cannot write {}: {error}", self.program, file.display());
    }

    /// Runs a change of an account. If it has a record then and had none before, the chain tells it. If the
    /// process ends before that, the next checkpoint does.
    pub fn noting<T>(&self, store: &dyn Store, name: &Name, change: impl FnOnce() -> T) -> T {
        let was_there = store.load(name).map_or(true, |account| account.is_some());
        let changed = change();
        if !was_there && let Some(record) = record_of(store, name) {
            self.note(&[HostEvent::about("record_made", &[("record", &record)])]);
        }
        changed
    }

    /// Removes a record: adds the line of it, runs `remove`, and logs the line, all under the same lock, so
    /// that a checkpoint never meets one without the other. A crash or an error can leave the line without
    /// the removal: the next removal adds no other one, and the next checkpoint tells of the record again.
    ///
    /// # Errors
    /// That of `remove`, which does not tell whether the record is still there.
    pub fn removing<T, E>(&self, record: &str, remove: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let facts = [("record", record)];
        let removed = HostEvent::about("record_removed", &facts);
        let line = removed.line(&self.subject);
        let added = self.open().and_then(|chain| chain.with_due(&removed, &line));
        let done = remove();
        match (added, &done) {
            (Ok((_locked, lines)), _) => lines.iter().for_each(|line| self.write(Priority::Notice, line)),
            (Err(error), Ok(_)) => {
                self.warn(&error);
                self.write(Priority::Notice, &line);
            }
            (Err(_), Err(_)) => {}
        }
        done
    }

    /// Adds these events about records, but for those that the chain tells already.
    pub fn note(&self, events: &[HostEvent<'_>]) {
        let line = |event: &HostEvent<'_>| event.line(&self.subject);
        let added = self.change(|chain| {
            let due = events.iter().filter(|event| chain.end.needs(event));
            let due: Vec<String> = due.map(line).collect();
            chain.add_all(&due)
        });
        let lines = added.unwrap_or_else(|error| {
            self.warn(&error);
            events.iter().map(line).collect()
        });
        for line in &lines {
            let is_gone = line.starts_with("event=record_gone ");
            self.write(if is_gone { Priority::Warning } else { Priority::Notice }, line);
        }
    }

    /// Where the chain ends; `None`: it has not begun.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn end(&self) -> io::Result<Option<HostEnd>> {
        Ok(self.read()?.map(|(end, _)| end))
    }

    /// The same, and how many bytes of the file that is: a crash may have left a part of a line behind them.
    fn read(&self) -> io::Result<Option<(HostEnd, usize)>> {
        let bytes = match std::fs::read(self.file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged; move it away to begin another");
        // A disk that kept the file's new length, and not all that was written there, shows zeros. Behind
        // zeros within the chain there are whole lines, which must not be cut off.
        let zeros = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (kept, behind) = bytes.split_at(zeros);
        if behind.windows(7).any(|part| part == b"\nevent=") {
            return Err(damaged());
        }
        let length = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = bytes.get(..length).and_then(|whole| std::str::from_utf8(whole).ok());
        text.and_then(HostEnd::parse).map(|end| Some((end, length))).ok_or_else(damaged)
    }

    /// The file's path.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.state_dir.join(FILE)
    }

    /// Whether the store is there and ours.
    fn has_store(&self) -> bool {
        let Some(key_dir) = &self.key_dir else { return true };
        FileStore::open(&self.state_dir, key_dir).is_ok_and(|store| store.check_marker().is_ok())
    }

    fn change<T>(&self, f: impl FnOnce(&mut OpenChain<'_>) -> io::Result<T>) -> io::Result<T> {
        f(&mut self.open()?)
    }

    /// Takes the lock of the store's directory, which only root can open, and reads the chain.
    fn open(&self) -> io::Result<OpenChain<'_>> {
        let lock = lock(&self.state_dir)?;
        let (end, length) = match self.read()? {
            Some(read) => read,
            None => {
                let id = random_bytes().map_err(|error| io::Error::other(error.to_string()))?;
                let end = HostEnd::new(RecordId(id));
                let text = end.text();
                replace(&self.file(), text.as_bytes())?;
                (end, text.len())
            }
        };
        Ok(OpenChain { chain: self, _lock: lock, end, length })
    }
}

/// The chain, while nobody else can add to it.
struct OpenChain<'c> {
    chain: &'c HostChain,
    _lock: File,
    end: HostEnd,
    /// Bytes of the file up to the end of its last whole line.
    length: usize,
}

impl OpenChain<'_> {
    /// Adds a line and makes it durable. Gives it whole.
    fn add(&mut self, line: &str) -> io::Result<String> {
        let mut added = self.add_all(&[line.to_owned()])?;
        if line.starts_with("event=checkpoint ") {
            self.forget();
        }
        added.pop().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Adds this line of an event, unless the chain tells of it already. Gives the added line, too.
    fn with_due(mut self, event: &HostEvent<'_>, line: &str) -> io::Result<(Self, Vec<String>)> {
        let lines = if self.end.needs(event) { vec![self.add(line)?] } else { Vec::new() };
        Ok((self, lines))
    }

    /// The same with several lines.
    fn add_all(&mut self, lines: &[String]) -> io::Result<Vec<String>> {
        let now = SystemClock.now();
        let whole: Vec<String> = lines.iter().map(|line| self.end.add(line, now)).collect();
        let text: String = whole.iter().map(|line| format!("{line}\n")).collect();
        let file = OpenOptions::new().write(true).open(self.chain.file())?;
        if file.metadata()?.len() != self.length as u64 {
            // A part of a line that a crash left must be gone before another one takes its place.
            file.set_len(self.length as u64)?;
            file.sync_all()?;
        }
        let written = file.write_all_at(text.as_bytes(), self.length as u64).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // It is logged without a number, so no other line may follow it.
            let _ = file.set_len(self.length as u64);
            return Err(error);
        }
        self.length += text.len();
        Ok(whole)
    }

    /// Forgets lines before the last checkpoint but one. If that fails, the next checkpoint does it.
    fn forget(&mut self) {
        let lines = &mut self.end.lines;
        let before = lines.iter().rev().skip(1).position(|line| line.starts_with("event=checkpoint "));
        let kept = before.map_or(lines.len(), |at| at + 2).max(KEPT);
        lines.drain(..lines.len().saturating_sub(kept));
        let text = self.end.text();
        if replace(&self.chain.file(), text.as_bytes()).is_ok() {
            self.length = text.len();
        }
    }
}

fn with_detail(mut line: String, detail: &str) -> String {
    if !detail.is_empty() {
        logfmt(&mut line, "detail", detail);
    }
    line
}

/// Locks a directory that only root can open, until the result is dropped.
///
/// # Errors
/// Another process holds the lock for longer than ten seconds, or the directory can't be opened.
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
fn record_of(store: &dyn Store, name: &Name) -> Option<String> {
    Some(base32_encode(&store.load(name).ok()??.record.id.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn store() -> (tempfile::TempDir, HostChain) {
        let dir = tempfile::tempdir().unwrap();
        let chain = HostChain::of(dir.path(), Some(dir.path()), "qrtotp", Subject::default());
        (dir, chain)
    }

    fn added(chain: &HostChain, lines: &[&str]) -> HostEnd {
        chain.change(|open| lines.iter().try_for_each(|line| open.add(line).map(drop))).unwrap();
        chain.end().unwrap().unwrap()
    }

    #[test]
    fn a_chain_reads_back_and_forgets_old_lines_at_a_checkpoint_only() {
        let (_dir, chain) = store();
        assert_eq!(chain.end().unwrap(), None);
        let end = added(&chain, &["event=checkpoint count=3"]);
        assert!(end.lines[0].starts_with("event=checkpoint count=3 seq=1 at="), "{end:?}");
        for n in 0..100 {
            added(&chain, &[&format!("event=bulk_revoked label=\" seq=9\" count={n}")]);
        }
        let end = added(&chain, &["event=record_made record=A"]);
        assert_eq!((end.seq, end.lines.len()), (102, 102));
        let end = added(&chain, &["event=checkpoint count=4"]);
        assert_eq!((end.seq, end.lines.len()), (103, 103), "all since the checkpoint before");
        let end = added(&chain, &["event=record_made record=B", "event=checkpoint count=5"]);
        assert_eq!((end.seq, end.lines.len()), (105, KEPT));
        assert_eq!(added(&chain, &["event=record_made record=C"]).lines.len(), KEPT + 1);
        let (_dir, chain) = store();
        let end = added(&chain, &["event=a", "event=b"]);
        let covered = |n: usize| end.lines[n].rsplit_once(" chain=").unwrap().0.as_bytes();
        assert_eq!(end.head, link(link(end.origin(), covered(0)), covered(1)));
    }

    #[test]
    fn part_of_a_line_that_a_crash_left_goes_and_anything_else_is_damage() {
        let (_dir, chain) = store();
        let end = added(&chain, &["event=policy_applied", "event=bulk_revoked"]);
        let whole = std::fs::read(chain.file()).unwrap();
        let torn = "\0\0\0\0 seq=3 at=17 chain=0123456789abcdef0123456789abcdef01234567\n";
        for part in ["event=record_made record=A seq=3 at=17", "\0\0\0\0", torn] {
            std::fs::write(chain.file(), [&whole, part.as_bytes()].concat()).unwrap();
            assert_eq!(chain.end().unwrap().unwrap(), end);
            let after = added(&chain, &["event=checkpoint"]);
            assert_eq!((after.seq, &after.lines[..2]), (3, &end.lines[..]));
            std::fs::write(chain.file(), &whole).unwrap();
        }
        let mut zeroed = whole.clone();
        zeroed[whole.windows(6).position(|part| part == b"event=").unwrap()] = 0;
        std::fs::write(chain.file(), &zeroed).unwrap();
        assert!(chain.end().is_err() && chain.change(|chain| chain.add("event=checkpoint")).is_err());
        assert_eq!(std::fs::read(chain.file()).unwrap(), zeroed, "lines behind it stay");
        let origin = std::str::from_utf8(&whole).unwrap().lines().next().unwrap();
        for damaged in ["", "x\n", "qrtotp host chain 1 A\n", &format!("{origin}\nx\n")] {
            std::fs::write(chain.file(), damaged).unwrap();
            assert_eq!(chain.end().unwrap_err().kind(), io::ErrorKind::InvalidData, "{damaged}");
        }
    }

    #[test]
    fn what_the_chain_tells_already_is_not_noted_again() {
        let (_dir, chain) = store();
        let made = [HostEvent::about("record_made", &[("record", "A")])];
        let gone = [HostEvent::about("record_gone", &[("record", "A")])];
        for (events, seq) in [(&made, 1), (&made, 1), (&gone, 2), (&gone, 2), (&made, 3)] {
            chain.note(events);
            assert_eq!(chain.end().unwrap().unwrap().seq, seq);
        }
    }
}
