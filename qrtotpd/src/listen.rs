//! Opens the socket and accepts connections.

use crate::accept::greet;
use crate::arguments::Arguments;
use crate::broker::Broker;
use crate::services::Services;
use crate::work_limits::Limit;
use listenfd::ListenFd;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Backlog, listen};
use nix::sys::stat::{Mode, fstat, umask};
use qrtotp_clock::Deadline;
use qrtotp_store::open_dir;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Length of the socket's queue, as in qrtotpd.socket. Short, because a full queue makes others wait behind
/// it; it is emptied as fast as callers arrive, and a caller that finds it full tries again.
const BACKLOG: i32 = 128;
/// How often to check whether a caller is still served, and to report lines left out of the log.
const LOOK: Duration = Duration::from_secs(5);

/// Serves until there is nothing to do (on systemd's socket), or forever.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            "the broker must run as root; systemd starts it so: `systemctl enable --now qrtotpd.socket`"
                .into(),
        );
    }
    umask(Mode::from_bits_truncate(0o077));
    let (listener, activated) = match &arguments.listen {
        Some(path) => (bind(path)?, false),
        None => (passed()?, true),
    };
    let broker = Arc::new(Broker {
        config: arguments.config.clone(),
        pam_time: arguments.pam_time,
        admission: Arc::default(),
        connections: Arc::default(),
        work: Arc::default(),
        checks: Limit::of_checks(),
        waits: Limit::of_waits(),
        services: Services::listed_in(&arguments.config),
        refusals: Arc::default(),
    });
    let idle = activated.then_some(arguments.idle_exit);
    accept(&listener, &broker, idle).map_err(|error| format!("the socket can't be used any more: {error}"))
}

/// The socket that systemd passes (sd_listen_fds(3)).
fn passed() -> Result<UnixListener, String> {
    let none = || "no socket was passed by systemd; start it with `systemctl start qrtotpd.socket`, or use --listen PATH";
    let mut passed = ListenFd::from_env();
    if passed.len() != 1 {
        return Err(none().into());
    }
    let listener = passed.take_unix_listener(0).map_err(|error| format!("{}: {error}", none()))?;
    let listener = listener.ok_or_else(none)?;
    let inherited = |error| format!("the socket can't be kept from children: {error}");
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(inherited)?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(listener)
}

/// Binds our own socket, in a directory where no other user can create one. Replaces a socket left behind by
/// an earlier broker.
fn bind(path: &Path) -> Result<UnixListener, String> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let open = open_dir(directory).map_err(|error| error.to_string())?;
    let mode = fstat(&open).map_err(|errno| format!("{}: {errno}", directory.display()))?.st_mode;
    if mode & 0o022 != 0 {
        return Err(format!("{} is a directory that others may write to; use another", directory.display()));
    }
    listen_at(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let left_behind = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    if left_behind && UnixStream::connect(path).is_err_and(refused) {
        fs::remove_file(path)?;
    }
    let before = umask(Mode::from_bits_truncate(0o111)); // any user may connect; the kernel identifies them
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    listen(&listener, Backlog::new(BACKLOG)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(listener: &UnixListener, broker: &Arc<Broker>, idle: Option<Duration>) -> io::Result<()> {
    let mut quiet = idle.map(Deadline::after);
    let mut swept = Deadline::after(LOOK);
    loop {
        if swept.left().is_zero() {
            broker.refusals.sweep();
            swept = Deadline::after(LOOK);
        }
        match listener.accept() {
            Ok((stream, _)) => {
                greet(broker, stream);
                quiet = idle.map(Deadline::after);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !broker.is_empty() {
                    quiet = idle.map(Deadline::after);
                } else if quiet.as_ref().is_some_and(|quiet| quiet.left().is_zero()) {
                    broker.refusals.finish();
                    return Ok(()); // new callers wait in the socket's queue, and systemd starts us again
                }
                let look = quiet.as_ref().map_or(LOOK, |quiet| quiet.left().min(LOOK));
                let wait = PollTimeout::try_from(look).unwrap_or(PollTimeout::ZERO);
                match poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], wait) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            // Not the socket's fault: the caller is gone, or descriptors or memory are used up.
            Err(_) => {
                Deadline::after(Duration::from_millis(20)).pause();
            }
        }
    }
}
