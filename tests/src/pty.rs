//! A user at a terminal: a program on a pseudo-terminal of the sandbox, its output, and typed input.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    fs::OFlags,
    process::{Pid, Signal},
    pty::OpenptFlags,
    termios::{LocalModes, Winsize},
};

use crate::{Sandbox, clock};

/// How long a program may take to show something. Generous: two cores may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Pty {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
    /// Every program has closed the terminal, and all output is read.
    closed: Arc<AtomicBool>,
    /// How much of `shown` earlier calls of `expect` have consumed.
    read: usize,
}

impl Sandbox {
    /// Runs a program as root, or as `user`, on a terminal of 160 × 60 characters.
    #[must_use]
    pub fn pty(&self, user: Option<&str>, argv: &[&str]) -> Pty {
        let pty = Pty::start(self, self.command(user, &on_terminal(argv)));
        self.record(Arc::clone(&pty.shown));
        pty
    }

    /// The same as root, for programs that show secrets on purpose.
    #[must_use]
    pub fn pty_unrecorded(&self, argv: &[&str]) -> Pty {
        self.pty_unrecorded_as(None, argv)
    }

    #[must_use]
    pub fn pty_unrecorded_as(&self, user: Option<&str>, argv: &[&str]) -> Pty {
        Pty::start(self, self.command(user, &on_terminal(argv)))
    }
}

/// With every signal at its default: a test run in the background ignores Ctrl-C, a user's shell does not.
fn on_terminal<'a>(argv: &[&'a str]) -> Vec<&'a str> {
    [&["setsid", "--ctty", "--wait", "env", "--default-signal"], argv].concat()
}

impl Pty {
    fn start(sandbox: &Sandbox, mut command: Command) -> Self {
        // The sandbox's own devpts, so that ttyname() works for the programs in it.
        let keyboard = OpenOptions::new().read(true).write(true).open(sandbox.path("/dev/pts/ptmx")).unwrap();
        rustix::pty::unlockpt(&keyboard).unwrap();
        let size = Winsize { ws_row: 60, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&keyboard, size).unwrap();
        let flags = OpenptFlags::from_bits_retain((OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC).bits());
        let terminal = File::from(rustix::pty::ioctl_tiocgptpeer(&keyboard, flags).unwrap());
        command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let child = command.spawn().unwrap();
        drop(command); // it holds the terminal open
        let shown = Arc::<Mutex<String>>::default();
        let closed = Arc::<AtomicBool>::default();
        let done = Arc::clone(&closed);
        let (mut screen, text) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let (mut buffer, mut pending) = ([0; 4096], Vec::new());
            // Reading fails with EIO once the last program has closed the terminal.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                pending.extend_from_slice(&buffer[..length]);
                let whole = whole_characters(&pending);
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&pending[..whole]));
                pending.drain(..whole);
            }
            done.store(true, Ordering::Release);
        });
        Self { child, keyboard, shown, closed, read: 0 }
    }

    /// Waits for `text` and returns the output before it. Panics with the transcript if it does not come.
    pub fn expect(&mut self, text: &str) -> String {
        match self.look(&[text], PATIENCE) {
            Some((_, before)) => before,
            None => panic!("{text:?} was not shown; the transcript is:\n{}", self.transcript()),
        }
    }

    /// Waits for the first of `texts` to appear; returns its index.
    pub fn expect_one(&mut self, texts: &[&str]) -> usize {
        match self.look(texts, PATIENCE) {
            Some((which, _)) => which,
            None => panic!("none of {texts:?} was shown; the transcript is:\n{}", self.transcript()),
        }
    }

    /// The same, or `None` if the program has ended or shows none within `patience`.
    pub fn meet(&mut self, texts: &[&str], patience: Duration) -> Option<usize> {
        clock::poll(patience, || {
            let over = self.closed.load(Ordering::Acquire);
            let found = self.look(texts, Duration::ZERO).map(|(which, _)| Some(which));
            found.or_else(|| over.then_some(None))
        })?
    }

    fn look(&mut self, texts: &[&str], patience: Duration) -> Option<(usize, String)> {
        let found = clock::poll(patience, || {
            let shown = self.shown.lock().unwrap();
            let new = &shown[self.read..];
            texts
                .iter()
                .enumerate()
                .filter_map(|(which, text)| new.find(text).map(|at| (at, which)))
                .min()
                .map(|(at, which)| (which, new[..at].to_owned(), at + texts[which].len()))
        });
        let (which, before, used) = found?;
        self.read += used;
        Some((which, before))
    }

    /// Types `text` and Enter.
    pub fn send(&mut self, text: &str) {
        // The program may be gone; then the next `expect` says so.
        let _ = self.keyboard.write_all(format!("{text}\n").as_bytes());
    }

    /// The same once the terminal shows nothing that is typed. For a program that asks first, switches the
    /// echo off after that and discards what was typed in between.
    pub fn send_hidden(&mut self, text: &str) {
        let hidden =
            || !rustix::termios::tcgetattr(&self.keyboard).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(
            clock::poll(PATIENCE, || hidden().then_some(())).is_some(),
            "the terminal still shows what is typed"
        );
        self.send(text);
    }

    /// Waits for the end. Returns the exit status and the whole output.
    pub fn finish(&mut self) -> (ExitStatus, String) {
        let status = clock::poll(PATIENCE, || self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("it does not end; the transcript is:\n{}", self.transcript()));
        // The reader may have a last piece to take; a process that the program left running holds the
        // terminal longer.
        clock::poll(Duration::from_secs(2), || self.closed.load(Ordering::Acquire).then_some(()));
        (status, self.transcript())
    }

    /// The exit status, if it ends within `limit`.
    pub fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        clock::poll(limit, || self.child.try_wait().unwrap())
    }

    /// Panics unless the exit code is 0.
    pub fn success(&mut self) -> String {
        let (status, text) = self.finish();
        assert!(status.success(), "{status}; the transcript is:\n{text}");
        text
    }

    /// Panics if the exit code is 0.
    pub fn failure(&mut self) -> String {
        let (status, text) = self.finish();
        assert!(!status.success(), "it should have failed; the transcript is:\n{text}");
        text
    }

    #[must_use]
    pub fn transcript(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// The pid of the program itself (not of nsenter, which waits for it), as the machine sees it.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        child_of(self.child.id())
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first child of a process: what nsenter runs, as the machine sees it.
#[must_use]
pub fn child_of(pid: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

/// The length of the longest prefix of `bytes` that does not end inside a UTF-8 character.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}
