//! The sandbox's system log: everything written to its /dev/log, kept in order.

use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};
use std::{
    fs::File,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::clock;

/// AUTHPRIV (10), shifted into a priority.
const AUTHPRIV: u8 = 10 << 3;

pub struct Log {
    received: Arc<Received>,
    over: Arc<AtomicBool>,
}

struct Received {
    socket: UnixDatagram,
    lines: Mutex<Vec<String>>,
}

impl Received {
    /// All lines, with those that still waited in the socket.
    fn drain(&self) -> MutexGuard<'_, Vec<String>> {
        let mut lines = self.lines.lock().unwrap();
        let mut buffer = vec![0; 65536];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        lines
    }
}

impl Log {
    /// Listens on the socket at `path`, as the syslog daemon would.
    #[must_use]
    pub fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let received = Arc::new(Received { socket, lines: Mutex::default() });
        let log = Self { received: Arc::clone(&received), over: Arc::default() };
        let over = Arc::clone(&log.over);
        thread::spawn(move || {
            let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
            while !over.load(Ordering::Relaxed) {
                let _ = poll(&mut [PollFd::new(&received.socket, PollFlags::IN)], Some(&moment));
                drop(received.drain());
            }
        });
        log
    }

    /// Every datagram so far, unchanged: also what was sent the moment before.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.received.drain().clone()
    }

    /// The audit lines of the module and the command: only lines for AUTHPRIV, from `event=` on.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.lines().iter().filter_map(|line| event(line)).collect()
    }

    /// The first line, after the `seen` first ones, that contains all of `texts`. Panics if none comes.
    #[must_use]
    pub fn wait_after(&self, seen: usize, texts: &[&str]) -> String {
        clock::poll(Duration::from_secs(10), || {
            self.lines().into_iter().skip(seen).find(|line| texts.iter().all(|text| line.contains(text)))
        })
        .unwrap_or_else(|| panic!("the log has no line with {texts:?}; it has:\n{}", self.lines().join("\n")))
    }

    /// Adds it to the file in `QRTOTP_EVENTS`, by which `cargo xtask test` judges all events of a run.
    pub fn keep(&self) {
        let Some(path) = std::env::var_os("QRTOTP_EVENTS") else { return };
        let events: String = self.events().into_iter().map(|event| event + "\n").collect();
        let file = File::options().append(true).create(true).open(path);
        file.unwrap().write_all(events.as_bytes()).unwrap();
    }

    #[must_use]
    pub fn wait(&self, texts: &[&str]) -> String {
        self.wait_after(0, texts)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn event(line: &str) -> Option<String> {
    let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
    let facility = priority.parse::<u8>().ok()? & 0xf8;
    let at = rest.find("event=")?;
    (facility == AUTHPRIV).then(|| rest[at..].trim_end().to_owned())
}
