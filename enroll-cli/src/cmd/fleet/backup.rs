//! `qrtotp fleet backup`, `restore` and `accept-restore`.

use super::install::STATE;
use super::{etcd_files, verifier};
use crate::caller::{subject, syslog};
use crate::error::{Exit, Failure, shown};
use nix::unistd::{Gid, Uid};
use qrtotp_audit::{Event, Kind};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet_tls::write_private;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The longest period that a device can have, in seconds.
const LONGEST_PERIOD: i64 = 120;
/// The longest journal that is read.
const LONGEST_JOURNAL: u64 = 1 << 30;

/// Saves etcd's data in a file.
pub fn backup(named: &Path, file: &Path) -> Result<Exit, Failure> {
    if file.exists() {
        return Err(Failure::Refused(format!("{} is there already; name another file", shown(file))));
    }
    let directory = verifier::etcd_directory(named);
    let settings = etcd_files::EtcdSettings::read(&directory)?;
    let mut etcdctl = Command::new("etcdctl");
    etcdctl.args(["--endpoints", &settings.clients, "--cacert"]).arg(directory.join("ca.pem"));
    // The client's own certificate belongs to the verifier's user, and we are root.
    etcdctl.arg("--cert").arg(directory.join("peer.pem")).arg("--key").arg(directory.join("peer.key"));
    etcdctl.args(["snapshot", "save"]).arg(file);
    run(&mut etcdctl)?;
    writeln!(
        std::io::stdout(),
        "Saved the fleet's store in {}. It is of no use without a key: keep a copy of fleet.keys, elsewhere.",
        shown(file)
    )?;
    Ok(Exit::Done)
}

/// Replaces the data of this verifier's etcd member by a backup.
pub fn restore(named: &Path, file: &Path) -> Result<Exit, Failure> {
    let settings = etcd_files::EtcdSettings::read(&verifier::etcd_directory(named))?;
    let data = settings.data.as_path();
    let failed = |path: &Path, error: std::io::Error| Failure::Error(format!("{}: {error}", shown(path)));
    let mut backup = File::open(file).map_err(|error| failed(file, error))?;
    let above = data.parent().unwrap_or(Path::new("/"));
    let owner = std::fs::metadata(above).map_err(|error| failed(above, error))?;
    verifier::become_user(Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()))?;
    stopped(data)?;
    let (copy, new) = (above.join("restored.db"), above.join("restored"));
    let _ = std::fs::remove_dir_all(&new); // of a try that failed
    let mut to = File::create(&copy).map_err(|error| failed(&copy, error))?;
    std::io::copy(&mut backup, &mut to).map_err(|error| failed(&copy, error))?;
    let mut etcdutl = Command::new("etcdutl");
    etcdutl.args(["snapshot", "restore"]).arg(&copy).arg("--data-dir").arg(&new);
    etcdutl.args(["--name", &settings.name, "--initial-cluster", &settings.cluster]);
    etcdutl.args(["--initial-cluster-token", &settings.token]);
    etcdutl.args(["--initial-advertise-peer-urls", &settings.peer]);
    let restored = run(&mut etcdutl);
    let _ = std::fs::remove_file(&copy);
    restored?;
    let mut former_data = String::new();
    if data.exists() {
        let old = above.join(format!("before-restore-{}", SystemClock.now()));
        std::fs::rename(data, &old).map_err(|error| failed(data, error))?;
        former_data = format!(" The former data is in {}.", shown(&old));
    }
    std::fs::rename(&new, data).map_err(|error| failed(&new, error))?;
    writeln!(
        std::io::stdout(),
        "Restored {} here.{former_data}\nDo the same on every verifier, with the same file; then, on every verifier:\n    \
         systemctl start qrtotp-etcd qrtotpd-verifier\nNobody can log in until you run, on one of them:\n    \
         qrtotp fleet accept-restore",
        shown(file)
    )?;
    Ok(Exit::Done)
}

/// Refuses if etcd runs on this data.
fn stopped(data: &Path) -> Result<(), Failure> {
    match File::open(data.join("member/snap/db")).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => {
            let text = "etcd runs on this data; first, on every verifier: systemctl stop qrtotpd-verifier qrtotp-etcd";
            Err(Failure::Refused(text.into()))
        }
        _ => Ok(()),
    }
}

/// Ends the refusal of all logins after a restored backup.
pub fn accept(named: &Path, journals: &[PathBuf]) -> Result<Exit, Failure> {
    let by = subject("");
    let opened = journals.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?; // while we are root
    let (context, files) = verifier::files(named)?;
    let copies: Vec<PathBuf> =
        (0..opened.len()).map(|number| files.state.join(format!("journal.merge.{number}"))).collect();
    for (copy, bytes) in copies.iter().zip(&opened) {
        write_private(copy, bytes)?;
    }
    let ahead = i64::from(context.config.verify.window().ahead) * LONGEST_PERIOD;
    let fence = SystemClock.now() + ahead + 1;
    let merged = files.open_beside().and_then(|store| store.accept_restore(fence, &copies));
    copies.iter().for_each(|copy| drop(std::fs::remove_file(copy)));
    let merged = merged.map_err(|error| Failure::Error(error.to_string()))?;
    Event::new(Kind::RestoreAccepted, &by).emit(&mut syslog());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "The restore is accepted. Codes of the next {ahead} s are refused, because they may have been used."
    )?;
    for (keys, what) in [(&merged.applied, "made again"), (&merged.conflicts, "NOT made again, look at it")] {
        for key in keys {
            writeln!(out, "{}  {what}", named_key(key))?;
        }
    }
    if journals.is_empty() {
        writeln!(
            out,
            "Other verifiers make their own changes again when they start; `journalctl -u qrtotpd-verifier` lists them."
        )?;
    }
    Ok(if merged.conflicts.is_empty() { Exit::Done } else { Exit::Refused })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_JOURNAL).read_to_end(&mut bytes));
    read.map_err(|error| {
        let text = format!("a verifier's journal is {STATE}/journal");
        Failure::Error(format!("{}: {error}; {text}", shown(path)))
    })?;
    Ok(bytes)
}

/// A key of the store in words.
fn named_key(key: &str) -> String {
    let parts: Vec<&str> = key.trim_start_matches("/qrtotp/1/").split('/').collect();
    match parts.as_slice() {
        ["a", name, "r"] => format!("account {name}"),
        ["a", name, _] => format!("used recovery codes and clocks of {name}"),
        ["h", host] => format!("host {host}"),
        ["j", _] => "an invitation".into(),
        _ => key.into(),
    }
}

/// Runs etcd's own program, which says itself what went wrong.
fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().display().to_string();
    let status = command.stdout(std::process::Stdio::null()).status();
    let status = status
        .map_err(|error| Failure::Error(format!("{name}: {error}; install it: apt install etcd-client")))?;
    if status.success() { Ok(()) } else { Err(Failure::Error(format!("{name} failed; nothing was changed"))) }
}
