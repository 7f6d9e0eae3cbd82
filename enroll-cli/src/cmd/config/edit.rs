//! `qrtotp config edit`: edit a copy, check it, then replace the file and apply it, as visudo does.

use super::apply;
use super::objections::{all_objections, refuses};
use crate::cli::Apply;
use crate::error::{Exit, Failure};
use crate::host_names::HostNames;
use crate::input;
use crate::interrupt::{ENDING, Interrupts};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use qrtotp_policy::{ConfigError, ConfigFile, LIMIT, compile};
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

pub fn run(path: &Path) -> Result<Exit, Failure> {
    let before = ConfigFile::files(path)?.pop().map(|file| file.bytes).unwrap_or_default();
    // Nothing ends this before the copy is gone.
    let interrupts = Interrupts::hold(ENDING)
        .map_err(|errno| Failure::Error(format!("cannot hold signals: {errno}; nothing was changed")))?;
    let copy = Copy::of(path, &before)?;
    loop {
        edit(&copy.path, &interrupts)?;
        let edited = std::fs::read(&copy.path).map_err(|error| failure("read", &copy.path, &error))?;
        if edited == before {
            writeln!(io::stdout(), "nothing was changed")?;
            return Ok(Exit::Done);
        }
        let Some(problem) = problem(path, &edited)? else {
            if ConfigFile::files(path)?.pop().is_none_or(|file| file.bytes != before) {
                let text = format!("{} was changed meanwhile; nothing was replaced", path.display());
                return Err(Failure::Refused(text));
            }
            replace(path, &edited)?;
            drop(copy);
            drop(interrupts);
            return apply::apply(path, &Apply { confirm: None, force: None, if_changed: false });
        };
        writeln!(io::stderr(), "qrtotp: {problem}")?;
        if !again(&interrupts)? {
            return Err(Failure::Refused("nothing was changed".into()));
        }
    }
}

/// Why the edited text can't be applied.
fn problem(path: &Path, edited: &[u8]) -> Result<Option<String>, Failure> {
    if edited.len() > LIMIT {
        return Ok(Some(ConfigError::TooLong(path.to_owned()).to_string()));
    }
    let mut files = ConfigFile::files(path)?;
    if let Some(main) = files.last_mut() {
        main.bytes = edited.to_owned();
    }
    let compiled = match compile(&files, &HostNames) {
        Ok(compiled) => compiled,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let mut problems = Vec::new();
    if !super::test::write(&compiled, &mut problems)? {
        return Ok(Some(String::from_utf8_lossy(&problems).trim_end().to_owned()));
    }
    let mut objections = all_objections(path, &compiled)?.into_iter();
    let objection = objections.find(refuses);
    Ok(objection.map(|finding| finding.to_string()))
}

/// Asks what to do about a problem; false: give up.
fn again(interrupts: &Interrupts) -> Result<bool, Failure> {
    let keyboard = io::stdin();
    loop {
        write!(io::stderr(), "Edit again or quit (e/q)? ")?;
        let typed = input::line_when(&keyboard, || interrupts.wait_for(&keyboard));
        interrupts.forget(); // giving up is the answer to them
        match typed.as_deref().map(Vec::as_slice) {
            Ok(b"e") => return Ok(true),
            Ok(b"q") | Err(_) => return Ok(false),
            Ok(_) => {}
        }
    }
}

/// Runs the editor of choice; its variable may hold options, too.
fn edit(file: &Path, interrupts: &Interrupts) -> Result<(), Failure> {
    let mut chosen =
        ["VISUAL", "EDITOR"].iter().filter_map(std::env::var_os).filter(|value| !value.is_empty());
    let script = match chosen.next() {
        Some(_) => "eval \"exec ${VISUAL:-$EDITOR}\" '\"$1\"'",
        None => "if command -v editor >/dev/null; then exec editor \"$1\"; else exec vi \"$1\"; fi",
    };
    // Ctrl-C is for the editor, which starts with the signals as they were.
    let ended =
        spawn(&["sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), file.as_os_str()], interrupts)
            .and_then(|editor| Ok(waitpid(editor, None)?));
    interrupts.forget();
    match ended {
        Ok(WaitStatus::Exited(_, 0)) => Ok(()),
        Ok(WaitStatus::Exited(_, code)) => {
            Err(Failure::Refused(format!("the editor ended with exit code {code}; nothing was changed")))
        }
        Ok(_) => Err(Failure::Refused("the editor was killed; nothing was changed".into())),
        Err(error) => Err(failure("run an editor on", file, &error)),
    }
}

/// Starts /bin/sh with no signal held. std's Command can't: a signal between its start and ours would end us
/// first.
fn spawn(arguments: &[&OsStr], interrupts: &Interrupts) -> io::Result<Pid> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
    attributes.set_sigmask(interrupts.before())?;
    attributes.set_sigdefault(&SigSet::from_iter([Signal::SIGPIPE]))?; // Rust ignores it
    let arguments =
        arguments.iter().map(|text| CString::new(text.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let variables =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let variables = variables.map(CString::new).collect::<Result<Vec<_>, _>>()?;
    Ok(posix_spawn(c"/bin/sh", &PosixSpawnFileActions::init()?, &attributes, &arguments, &variables)?)
}

/// The file that is edited, which goes with this value.
struct Copy {
    path: PathBuf,
}

impl Copy {
    /// Beside `path`, and nobody else's.
    fn of(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let copy = Self { path: beside(path, &format!(".{}.edit", std::process::id())) };
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&copy.path);
        file.and_then(|mut file| file.write_all(bytes))
            .map_err(|error| failure("write", &copy.path, &error))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // the original is what counts
    }
}

/// All of the new text or all of the old one, with the same owner and mode.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let new = beside(path, ".new");
    let written = path.metadata().and_then(|old| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
        file.set_permissions(old.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    });
    written.map_err(|error| failure("write", path, &error))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Error(format!("cannot {what} {}: {error}; nothing was changed", path.display()))
}
