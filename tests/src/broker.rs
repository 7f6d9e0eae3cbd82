//! The broker in a sandbox, and its callers.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{Output, Phone, Pty, Sandbox, artefacts, clock, first_login::CODES, pty::child_of};

/// The broker's socket.
pub const SOCKET: &str = "/run/qrtotp/socket";
/// A path that the sandbox can write, unlike the machine's /usr/sbin.
pub const PROGRAM: &str = "/usr/local/sbin/qrtotpd";

/// The question to the owner of a token with a code.
pub const TOKEN_QUESTION: &str = "One-time code from your administrator: ";
/// The end of the question to the owner of a device.
pub const DEVICE_QUESTION: &str = "(or a recovery code): ";
/// The configuration that lets users enrol with their password.
pub const ENROLS: &str = "[defaults]\nfirst_login = \"enroll\"\n";

/// A running broker; killed when dropped.
pub struct Broker(Child);

impl Broker {
    /// SIGKILL, as a crash would end it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.0.kill(); // nsenter ends together with its child
        let _ = self.0.wait();
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = child_of(self.0.id()) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Its directory in /proc.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        let pid = child_of(self.0.id()).expect("a broker");
        PathBuf::from(format!("/proc/{}", pid.as_raw_pid()))
    }

    /// Waits until it ends by itself.
    pub fn ended(&mut self, patience: Duration) -> bool {
        clock::poll(patience, || self.0.try_wait().unwrap()).is_some()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Sandbox {
    /// A host with a store, a broker that is not started yet, and the users alice and mallory.
    #[must_use]
    pub fn with_broker(configuration: &str) -> Self {
        let sandbox = Self::new();
        sandbox.prepare_broker(configuration);
        sandbox
    }

    /// The same on an existing host.
    pub fn prepare_broker(&self, configuration: &str) {
        self.configure(configuration);
        self.stack("");
        self.add_user("alice");
        self.add_user("mallory");
        self.make_store();
        self.install_broker();
    }

    /// Installs the broker and its PAM service at the package's paths.
    pub fn install_broker(&self) {
        self.install(&artefacts::broker(), PROGRAM, 0o755);
        self.ship("pam.d/qrtotp", "/etc/pam.d/qrtotp");
        self.run(&["mkdir", "-p", "-m", "755", "/run/qrtotp"]).success();
    }

    /// Starts it by hand, and waits until it listens.
    #[must_use]
    pub fn start_broker(&self) -> Broker {
        self.start_broker_with(&[PROGRAM, "--listen", SOCKET])
    }

    /// Starts it through another program, which gives it a socket.
    #[must_use]
    pub fn start_broker_with(&self, argv: &[&str]) -> Broker {
        let _ = std::fs::remove_file(self.path(SOCKET));
        let child = self.command(None, argv).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        clock::poll(Duration::from_secs(20), || self.exists(SOCKET).then_some(()))
            .expect("the broker does not listen");
        Broker(child)
    }

    /// `qrtotp …` as a user without root, on a terminal.
    #[must_use]
    pub fn own(&self, user: &str, arguments: &[&str]) -> Pty {
        self.pty_unrecorded(&[&as_user(user)[..], &["qrtotp"], arguments].concat())
    }

    /// The same without a terminal.
    pub fn own_output(&self, user: &str, arguments: &[&str]) -> Output {
        self.run_as(user, &[&["timeout", "60", "qrtotp"], arguments].concat())
    }

    /// Issues a token with a code for `user`; returns the code.
    #[must_use]
    pub fn token_code(&self, user: &str) -> String {
        let shown = self.pty_unrecorded(&["qrtotp", "token", "issue", user, "--code"]).success();
        let code =
            shown.lines().find_map(|line| line.strip_prefix("Code: ")).expect("no code").trim().to_owned();
        self.keep_secret(&code);
        code
    }

    /// `user` with a token's code, up to the question for the first code of their phone.
    #[must_use]
    pub fn enrol_by_token(&self, user: &str) -> (Pty, Phone) {
        let code = self.token_code(user);
        let mut pty = self.own(user, &["enroll"]);
        pty.expect(TOKEN_QUESTION);
        pty.send(&code);
        let phone = pty.read_key(self);
        (pty, phone)
    }

    /// The output of `qrtotp token show` for `user`.
    #[must_use]
    pub fn token_state(&self, user: &str) -> String {
        self.run(&["qrtotp", "token", "show", user]).success().stdout
    }

    /// Sends `bytes` to the broker as `user`; returns its responses, and how the connection ended.
    pub fn send_raw(&self, user: &str, bytes: &[u8], pause: Duration) -> String {
        let pause = pause.as_micros().to_string();
        self.say(Some(user), &["send", &pause], bytes)
    }

    /// Sends `bytes` as each of `count` uids from `first` on, over simultaneous connections; returns the
    /// responses.
    pub fn send_as_crowd(&self, first: u32, count: u32, bytes: &[u8]) -> String {
        self.say(None, &["crowd", &first.to_string(), &count.to_string()], bytes)
    }

    fn say(&self, user: Option<&str>, how: &[&str], bytes: &[u8]) -> String {
        let program = self.install_c("broker_caller.c", &[]);
        let mut command = self.command(user, &[&["timeout", "60", &program, SOCKET], how].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    }

    /// Sends a request as `user`, an answer to the first question, and hangs up.
    pub fn answer_and_leave(&self, user: &str, request: &[u8], answer: &[u8]) {
        let program = self.install_c("broker_caller.c", &[]);
        let mut command = self.command(Some(user), &["timeout", "60", &program, SOCKET, "leave"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&[request, answer].concat()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Opens this many connections as `user` and holds them until the child's standard input is closed.
    #[must_use]
    pub fn flood(&self, user: &str, count: usize) -> (Child, usize) {
        self.connections(&as_user(user), "flood", count)
    }

    /// The same, each with a uid that has no account.
    #[must_use]
    pub fn strangers(&self, count: usize) -> (Child, usize) {
        self.connections(&[], "strangers", count)
    }

    /// Connects as `user` endlessly, as fast as the broker accepts.
    #[must_use]
    pub fn storm(&self, user: &str) -> Storm {
        Storm(self.caller(&as_user(user), "storm", 0))
    }

    /// The same, with this many uids without accounts in turn.
    #[must_use]
    pub fn storm_of_strangers(&self, uids: usize) -> Storm {
        Storm(self.caller(&[], "storm", uids))
    }

    fn connections(&self, under: &[&str], how: &str, count: usize) -> (Child, usize) {
        let (child, mut said) = self.caller(under, how, count);
        (child, number(&mut said))
    }

    fn caller(&self, under: &[&str], how: &str, count: usize) -> (Child, BufReader<ChildStdout>) {
        let program = self.install_c("broker_caller.c", &[]);
        let count = count.to_string();
        let mut command = self.command(None, &[under, &[&program, SOCKET, how, &count]].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        (child, said)
    }
}

/// A process that opens connections endlessly.
pub struct Storm((Child, BufReader<ChildStdout>));

impl Storm {
    /// Ends it; returns the number of connections.
    #[must_use]
    pub fn over(mut self) -> usize {
        drop(self.0.0.stdin.take());
        let got = number(&mut self.0.1);
        self.0.0.wait().unwrap();
        got
    }
}

/// The number of connections that a caller of the broker reports.
fn number(said: &mut BufReader<ChildStdout>) -> usize {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    line.trim().strip_prefix("connected=").unwrap().parse().unwrap()
}

/// A frame, after docs/BROKER.md.
#[must_use]
pub fn frame(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[version, kind, length[0], length[1]], body].concat()
}

/// The words that run a program as `user`.
#[must_use]
pub fn as_user(user: &str) -> [&str; 7] {
    let group = if user == "nobody" { "nogroup" } else { user }; // Debian's name for it
    ["setpriv", "--reuid", user, "--regid", group, "--init-groups", "--"]
}

impl Pty {
    /// Reads up to the question for the first code; returns the phone that has scanned the QR code.
    pub fn read_key(&mut self, sandbox: &Sandbox) -> Phone {
        let before = self.expect("Code: ");
        let key = before.lines().find_map(|line| line.trim_start().strip_prefix("Key: "));
        let key = key.unwrap_or_else(|| panic!("no key in:\n{before}")).trim();
        let phone = Phone::new(key);
        sandbox.keep_secret(&phone.key);
        sandbox.keep_secret(key);
        phone
    }

    /// Types the phone's code, keeps the recovery codes, and reads to the end.
    pub fn finish_enrolment(&mut self, sandbox: &Sandbox, phone: &Phone) -> String {
        phone.wait_for_seconds_left(5);
        let code = phone.code();
        sandbox.keep_secret(&code);
        self.send(&code);
        self.keep_recovery_codes(sandbox);
        self.success()
    }

    /// Types the last group of one of the displayed recovery codes, as a user does who wrote them down.
    pub fn keep_recovery_codes(&mut self, sandbox: &Sandbox) -> Vec<String> {
        let shown = self.expect(CODES);
        let codes = crate::enrol::recovery_codes(&shown);
        assert_eq!(codes.len(), 10, "{shown}");
        codes.iter().for_each(|code| sandbox.keep_secret(code));
        self.send(crate::enrol::last_group(&codes[3]));
        codes
    }
}
