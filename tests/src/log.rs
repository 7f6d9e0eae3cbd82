//! The sandbox's system log: everything written to its /dev/log, kept in order.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::clock;

/// AUTHPRIV (10), shifted into a priority.
const AUTHPRIV: u8 = 10 << 3;

pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Log {
    /// Listens on the socket at `path`, as the syslog daemon would.
    #[must_use]
    pub fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let log = Self { lines: Arc::default(), over: Arc::default() };
        let (lines, over) = (Arc::clone(&log.lines), Arc::clone(&log.over));
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while !over.load(Ordering::Relaxed) {
                if let Ok(length) = socket.recv(&mut buffer) {
                    lines.lock().unwrap().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                }
            }
        });
        log
    }

    /// Every datagram so far, unchanged.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
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
