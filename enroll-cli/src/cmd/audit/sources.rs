//! Where the lines are: the journal and /var/log/auth.log*, or files that were named.

use crate::cli::Sources;
use crate::cmd::fleet::verifiers_uid;
use crate::error::Failure;
use crate::progress::Progress;
use qrtotp_audit_log::{Entry, Merge, Stamps, from_journal, from_syslog, time_of, verifier_in_journal};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::host_zone_offset;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::string::FromUtf8Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Where log daemons put AUTHPRIV: Debian's place, and Red Hat's.
const LOGS: [(&str, &str); 2] = [("/var/log", "auth.log"), ("/var/log", "secure")];
/// Most bytes of a line; of a longer one the rest is left out.
const LONGEST: u64 = 64 * 1024;

/// Whether a file or the journal was not read to its end.
static WERE_CUT: AtomicBool = AtomicBool::new(false);

pub type Entries = Box<dyn Iterator<Item = Entry>>;

/// All entries in the order of time; those of the journal from about `since` on.
///
/// # Errors
/// A file that was named can't be read, or there is no log.
pub fn open(sources: &Sources, since: Option<i64>) -> Result<Entries, Failure> {
    if !sources.file.is_empty() && verifiers_uid().is_some() {
        // The logs of several verifiers, each of which has a part of every account's lines.
        let logs = sources.file.iter().map(|path| log_of_verifier(path));
        return Ok(Box::new(Merge::new(logs.collect::<Result<Vec<_>, _>>()?)));
    }
    if !sources.file.is_empty() {
        let lines = lines_in(sources.file.clone())?;
        return Ok(Box::new(dated(lines, any_stamps(), any_form)));
    }
    let (journal, logs) = (journal(&["--no-tail"], since), rotated());
    if journal.is_none() && logs.is_empty() {
        let text = "there is no journalctl and no /var/log/auth.log; name the log with --file";
        return Err(Failure::Error(text.into()));
    }
    let mut all: Vec<Entries> = Vec::new();
    all.extend(journal);
    all.push(Box::new(files(logs)?));
    Ok(Box::new(Merge::new(all)))
}

/// Whether a file or the journal could not be read to its end, so that lines may be missing.
pub fn were_cut() -> bool {
    WERE_CUT.load(Ordering::Relaxed)
}

/// The same, for a command that prints nothing until it has read all.
pub fn read(sources: &Sources, since: Option<i64>) -> Result<impl Iterator<Item = Entry>, Failure> {
    let mut progress = Progress::of("lines of the log");
    let mut entries = open(sources, since)?;
    Ok(std::iter::from_fn(move || {
        let entry = entries.next();
        if entry.is_some() {
            progress.one_more()
        } else {
            progress.end()
        }
        entry
    }))
}

/// When the logs begin, in microseconds since 1970, and whether exactly, as the first lines of any program
/// say: a log whose lines of ours were all removed tells it all the same.
pub fn begins(sources: &Sources) -> Option<(i64, bool)> {
    let named = !sources.file.is_empty();
    let now = SystemClock.now().saturating_mul(1_000_000);
    let files = if named { sources.file.clone() } else { rotated() };
    let of_files = files
        .iter()
        .filter(|path| can_be_read_twice(path))
        .filter_map(|path| lines_of(path).take(100).find_map(|line| time_of(&line, now)));
    let journal = if named { None } else { journal_lines(&["--no-tail"], None) };
    of_files.chain(journal.and_then(|mut lines| lines.find_map(|line| time_of(&line, now)))).min()
}

/// A restart of the host, in Unix seconds.
#[derive(Debug, PartialEq, Eq)]
pub struct Restart {
    /// When the journal's last entry before it came.
    pub last: i64,
    /// When its first one after it came.
    pub first: i64,
}

/// The restarts that the journal knows; none without a journal.
pub fn restarts() -> Vec<Restart> {
    if !has_journal() {
        return Vec::new();
    }
    let mut journalctl = Command::new("journalctl");
    journalctl.args(["--list-boots", "--output=json", "--no-pager", "--quiet"]).stderr(Stdio::null());
    restarts_in(&printed(journalctl).into_iter().flatten().collect::<String>())
}

/// Those in the output of `journalctl --list-boots --output=json`. Versions before 252 print no JSON.
fn restarts_in(text: &str) -> Vec<Restart> {
    let Ok(serde_json::Value::Array(mut boots)) = serde_json::from_str(text) else { return Vec::new() };
    let time = |boot: &serde_json::Value, key| Some(boot.get(key)?.as_i64()?.div_euclid(1_000_000));
    boots.sort_by_key(|boot| time(boot, "first_entry"));
    let pairs = boots.iter().zip(boots.iter().skip(1));
    pairs
        .filter_map(|(before, after)| {
            Some(Restart { last: time(before, "last_entry")?, first: time(after, "first_entry")? })
        })
        .collect()
}

/// Whether the journal has a place on this host.
fn has_journal() -> bool {
    ["/run/log/journal", "/var/log/journal"].iter().any(|place| Path::new(place).is_dir())
}

/// Entries as they come, until the process is interrupted.
///
/// # Errors
/// Nothing can be followed.
pub fn follow() -> Result<Entries, Failure> {
    if let Some(journal) = follow_journal("--lines=0", None) {
        return Ok(journal);
    }
    let mut tail = Command::new("tail");
    tail.args(["--follow=name", "--retry", "--lines=0", "/var/log/auth.log"]);
    let lines =
        printed(tail).ok_or_else(|| Failure::Error("neither journalctl nor tail can be run".into()))?;
    Ok(Box::new(dated(lines, own_stamps(), from_syslog)))
}

/// Entries from `since` on, and then as they come.
///
/// # Errors
/// Nothing can be followed.
pub fn since_and_follow(since: i64) -> Result<Entries, Failure> {
    if let Some(journal) = follow_journal("--no-tail", Some(since)) {
        return Ok(journal);
    }
    let before = files(rotated())?.filter(move |entry| entry.when() >= since);
    Ok(Box::new(before.chain(follow()?)))
}

/// The journal's entries as they come. `--follow` leaves out what was before this boot, unless `--merge`
/// takes the journals of all machines.
fn follow_journal(from: &str, since: Option<i64>) -> Option<Entries> {
    let this = std::fs::read_to_string("/etc/machine-id").ok()?;
    journal(&["--follow", "--merge", &format!("_MACHINE_ID={}", this.trim()), from], since)
}

/// Entries from about `since` on, in microseconds since 1970: of the journal, or else of the log files that
/// were written since.
///
/// # Errors
/// A file can't be read.
pub fn since(since: i64) -> Result<Entries, Failure> {
    if let Some(journal) = journal(&["--no-tail"], Some(since)) {
        return Ok(journal);
    }
    let is_new = |path: &PathBuf| {
        let changed = path.metadata().and_then(|about| about.modified()).ok();
        let age = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        age.is_some_and(|age| i64::try_from(age.as_micros()).is_ok_and(|time| time >= since))
    };
    Ok(Box::new(files(rotated().into_iter().filter(is_new).collect())?))
}

/// The journal's entries of AUTHPRIV, if the journal has a place on this host.
fn journal(how: &[&str], since: Option<i64>) -> Option<Entries> {
    let lines = journal_lines(how, since)?;
    Some(Box::new(lines.filter_map(|line| from_journal(&line, verifiers_uid(), is_setuid))))
}

/// The same as lines of JSON, other programs' too.
fn journal_lines(how: &[&str], since: Option<i64>) -> Option<impl Iterator<Item = String> + use<>> {
    if !has_journal() {
        return None;
    }
    let mut journalctl = Command::new("journalctl");
    let fields = "MESSAGE,SYSLOG_IDENTIFIER,_UID,_EXE,_CAP_EFFECTIVE,_HOSTNAME,_SOURCE_REALTIME_TIMESTAMP";
    journalctl.args(["--output=json", "--no-pager", "--quiet", "SYSLOG_FACILITY=10"]).args(how);
    journalctl.arg(format!("--output-fields={fields}"));
    if let Some(since) = since {
        // The line's own time may be a little before the log's.
        journalctl.arg(format!("--since=@{}", since.div_euclid(1_000_000).saturating_sub(60).max(0)));
    }
    let mut lines = printed(journalctl)?;
    lines.path = Some("the journal".into());
    Some(lines)
}

/// Whether this program is setuid root.
fn is_setuid(program: &str) -> bool {
    std::fs::metadata(program).is_ok_and(|about| about.uid() == 0 && about.mode() & 0o4000 != 0)
}

/// The log daemon's files, rotated ones included, oldest first.
fn rotated() -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for (directory, name) in LOGS {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let is_log = entry.file_name().to_str().is_some_and(|file| {
                file.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            });
            if let (true, Ok(about)) = (is_log, entry.metadata()) {
                found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// The entries of this host's log files, one behind the other. Each is opened when it is its turn, but the
/// first ones' existence is looked at now.
fn files(paths: Vec<PathBuf>) -> Result<impl Iterator<Item = Entry>, Failure> {
    Ok(dated(lines_in(paths)?, own_stamps(), any_form))
}

/// Their lines.
fn lines_in(paths: Vec<PathBuf>) -> Result<impl Iterator<Item = String>, Failure> {
    paths.iter().try_for_each(|path| check_readable(path))?;
    Ok(paths.into_iter().flat_map(|path| lines_of(&path)))
}

/// # Errors
/// The file can't be opened, or a file of this name does not exist.
pub fn check_readable(path: &Path) -> Result<(), Failure> {
    let opened = match path {
        _ if path.as_os_str() == "-" => Ok(()),
        // A pipe's writer goes away if it is closed again.
        _ if can_be_read_twice(path) => File::open(path).map(drop),
        _ => path.metadata().map(drop),
    };
    opened.map_err(|error| Failure::Error(format!("cannot read {}: {error}", path.display())))
}

/// Standard input and pipes, also those of a shell's `<(command)`, can be read once only.
fn can_be_read_twice(path: &Path) -> bool {
    path.as_os_str() != "-" && path.is_file()
}

/// The entries of one verifier's log. Its user may have another uid there than here.
fn log_of_verifier(path: &Path) -> Result<impl Iterator<Item = Entry> + use<>, Failure> {
    let lines = lines_in(vec![path.to_owned()])?;
    let uid = can_be_read_twice(path).then(|| lines_of(path).find_map(|line| verifier_in_journal(&line)));
    let uid = uid.flatten().or_else(verifiers_uid);
    Ok(dated(lines, any_stamps(), move |line| entry_in(line, uid)))
}

fn own_stamps() -> Stamps {
    Stamps::of_this_host(|| SystemClock.now(), host_zone_offset)
}

fn any_stamps() -> Stamps {
    Stamps::new(|| SystemClock.now(), host_zone_offset)
}

/// The entries of a log's lines, also with their times if the log has no years.
fn dated(
    lines: impl Iterator<Item = String>,
    mut stamps: Stamps,
    read: impl Fn(&str) -> Option<Entry>,
) -> impl Iterator<Item = Entry> {
    lines.filter_map(move |line| {
        let mut entry = read(&line)?;
        stamps.date(&line, &mut entry);
        Some(entry)
    })
}

/// A line of a log file, of `journalctl -o json`, or an event alone.
pub fn any_form(line: &str) -> Option<Entry> {
    entry_in(line, verifiers_uid())
}

/// The same; `verifier`: the uid of the verifier on the host of the log.
fn entry_in(line: &str, verifier: Option<u32>) -> Option<Entry> {
    if line.starts_with('{') {
        return from_journal(line, verifier, is_setuid);
    }
    if line.starts_with("event=") {
        return from_syslog(&format!("- - qrtotp: {line}"));
    }
    from_syslog(line)
}

/// The lines of a file, unpacked if it is compressed; of one that can't be read, none, and that is told.
pub fn lines_of(path: &Path) -> Box<dyn Iterator<Item = String>> {
    if path.as_os_str() == "-" {
        return Box::new(Lines::of(std::io::stdin(), path));
    }
    let unpack = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Some("gzip"),
        Some("xz") => Some("xz"),
        Some("zst") => Some("zstd"),
        _ => None,
    };
    let lines = match unpack {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(["-dc", "--"]).arg(path);
            printed(command).map(|mut lines| {
                lines.path = Some(path.to_owned());
                Box::new(lines) as Box<dyn Iterator<Item = String>>
            })
        }
        None => File::open(path)
            .ok()
            .map(|file| Box::new(Lines::of(file, path)) as Box<dyn Iterator<Item = String>>),
    };
    lines.unwrap_or_else(|| {
        cut(path, "it can't be opened or unpacked");
        Box::new(std::iter::empty())
    })
}

/// Tells that lines of a file are left out.
fn cut(path: &Path, why: &str) {
    WERE_CUT.store(true, Ordering::Relaxed);
    let text = format!("cannot read all of {}: {why}; lines are left out", path.display());
    let _ = writeln!(std::io::stderr(), "qrtotp: {text}");
}

/// The lines that a program prints, as they come.
fn printed(mut program: Command) -> Option<Lines<BufReader<std::process::ChildStdout>>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.env_clear().env("PATH", path).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = program.spawn().ok()?;
    let reader = BufReader::new(child.stdout.take()?);
    Some(Lines { reader, child: Some(child), path: None })
}

struct Lines<R> {
    reader: R,
    child: Option<Child>,
    /// What these lines are of, if it is to be told that some are left out; taken at the end.
    path: Option<PathBuf>,
}

impl<R: Read> Lines<BufReader<R>> {
    fn of(reader: R, path: &Path) -> Self {
        Self { reader: BufReader::new(reader), child: None, path: Some(path.to_owned()) }
    }
}

impl<R: BufRead> Lines<R> {
    /// Appends at most [`LONGEST`] bytes of a line. 0 at the end.
    fn more(&mut self, line: &mut Vec<u8>) -> usize {
        let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', line);
        let why = match read {
            Ok(length @ 1..) => return length,
            Ok(_) if self.child.as_mut().is_none_or(|child| child.wait().is_ok_and(|end| end.success())) => {
                None
            }
            Ok(_) => Some("the program that reads it failed".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let (Some(path), Some(why)) = (self.path.take(), why) {
            cut(&path, &why);
        }
        0
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut line = Vec::with_capacity(512);
        let length = self.more(&mut line);
        if length == 0 {
            return None;
        }
        let mut rest = line.last() != Some(&b'\n') && length as u64 == LONGEST;
        while rest {
            let mut more = Vec::new();
            let length = self.more(&mut more);
            rest = length as u64 == LONGEST && more.last() != Some(&b'\n');
        }
        let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
        Some(String::from_utf8(line).unwrap_or_else(lossy))
    }
}

impl<R> Drop for Lines<R> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_audit_log::Writer;

    #[test]
    fn each_verifiers_log_has_an_uid_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v2.json");
        let line = |unit: &str, program: &str, uid: u32| {
            let message = "event=credential_revoked user=alice by=bob";
            format!(
                r#"{{"_SYSTEMD_UNIT":"{unit}","_UID":"{uid}","_CAP_EFFECTIVE":"0","SYSLOG_IDENTIFIER":"{program}","MESSAGE":"{message}"}}"#
            )
        };
        let command = line("session-1.scope", "qrtotp", 2998); // before any of the daemon
        let lines = [
            command,
            line("user@1000.service", "qrtotp", 1000),
            line("qrtotpd-verifier.service", "qrtotpd", 2998),
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let writers: Vec<Writer> = log_of_verifier(&path).unwrap().map(|entry| entry.writer).collect();
        assert_eq!(writers, [Writer::Verifier, Writer::User(1000), Writer::Verifier]);
    }

    #[test]
    fn a_program_that_fails_after_some_lines_is_told() {
        let mut program = Command::new("sh");
        program.args(["-c", "echo one; echo two; exit 3"]);
        let mut lines = printed(program).unwrap();
        lines.path = Some("the journal".into());
        assert_eq!(lines.collect::<String>(), "one\ntwo\n");
        assert!(were_cut());
    }

    #[test]
    fn a_restart_is_between_the_last_entry_of_a_boot_and_the_first_of_the_next() {
        let boot = |index: i64, first: i64, last: i64| {
            format!(
                r#"{{"index":{index},"boot_id":"b","first_entry":{first}000000,"last_entry":{last}000000}}"#
            )
        };
        let text = format!("[{},{},{}]\n", boot(0, 500, 600), boot(-2, 100, 200), boot(-1, 250, 400));
        let found = [Restart { last: 200, first: 250 }, Restart { last: 400, first: 500 }];
        assert_eq!(restarts_in(&text), found);
        for other in ["", "-1 b Mon 2026-11-30 10:00:00 UTC", "{}", "[{}, {}]", "[7, 8]"] {
            assert_eq!(restarts_in(other), [], "{other}");
        }
    }
}
