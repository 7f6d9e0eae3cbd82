//! A private instance of the store, `qrtotp` on it, and the phone. Needs root, like the command.
#![allow(dead_code)] // each test file uses a part of it

use qrtotp_account::{Label, Name};
use qrtotp_audit::Subject;
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Ctx, HostDirectory};

use qrtotp_otp::{
    KeyUri, Params, Secret, Step, Strength, base32_decode, base32_encode, code_at, random_bytes,
};
use qrtotp_policy::Config;
use qrtotp_store::FileStore;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Three old codes and the current one stay good while a test runs, whatever the second at which it starts.
const CONFIG: &str = "issuer = \"Tests\"\n[verify]\nwindow_back = 3\n[enroll]\nmax_devices = 3\n";

/// A configuration and its store in a directory of their own.
pub struct Instance(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

impl Instance {
    /// Without a store, which the first command makes.
    pub fn new() -> Self {
        // Not below the clone: one in /tmp is a bad place for a store, and `config check` says so.
        let instance = Self(tempfile::tempdir_in("/var/tmp").unwrap());
        fs::set_permissions(instance.0.path(), fs::Permissions::from_mode(0o700)).unwrap();
        instance.configure("");
        instance
    }

    /// Writes the configuration, with `first` above everything else. The first command applies it; a later
    /// one is applied here.
    pub fn configure(&self, first: &str) {
        let text = format!("state_dir = {:?}\n{first}{CONFIG}", self.state());
        fs::write(self.path("qrtotp.toml"), text).unwrap();
        if self.path("qrtotp.toml.applied").exists() {
            self.run(&["config", "apply"]); // a test may want one that is refused
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn command(&self, under: &[&str], arguments: &[&str]) -> Command {
        let words = under.iter().chain(&[env!("CARGO_BIN_EXE_qrtotp"), "--config"]).map(PathBuf::from);
        let mut words = words.chain([self.path("qrtotp.toml")]).chain(arguments.iter().map(PathBuf::from));
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        self.run_command(self.command(&[], arguments), input)
    }

    /// Its output has no reader.
    pub fn run_into_nothing(&self, arguments: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(&[], arguments);
        command.stdout(writer);
        self.run_command(command, "")
    }

    /// Runs the command by way of another program, whose words come before.
    pub fn run_under(&self, under: &[&str], arguments: &[&str]) -> Ended {
        self.run_command(self.command(under, arguments), "")
    }

    fn run_command(&self, mut command: Command, input: &str) -> Ended {
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()); // it may not want any
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn start(&self, arguments: &[&str]) -> Session {
        let mut child = self.command(&[], arguments).stderr(Stdio::null()).spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take(), child.stdout.take().unwrap());
        Session { child, keyboard, screen, shown: String::new() }
    }

    /// Enrols over a pipe and gives the phone and everything shown.
    pub fn enroll(&self, user: &str) -> (Phone, String) {
        let mut session = self.start(&["enroll", user, "--qr", "none"]);
        session.read_to("Code: ");
        let phone = Phone::from_key(session.after("Key: "));
        session.type_line(&phone.code(0));
        let (code, shown) = session.end();
        assert_eq!(code, Some(0), "{shown}");
        (phone, shown)
    }

    /// Imports a fresh phone.
    pub fn import(&self, user: &str) -> Phone {
        let phone = Phone::random();
        self.run_with(&["import", "uri", user, "--unused"], &phone.uri()).ok();
        phone
    }

    /// Makes the record that a deleted user leaves behind.
    pub fn leave_behind(&self, name: &str) -> Phone {
        self.import_at(name, 4711, &SystemClock)
    }

    /// Imports a fresh phone for this uid at another time.
    pub fn import_at(&self, name: &str, uid: u32, clock: &dyn Clock) -> Phone {
        let store = FileStore::open_or_create(&self.state(), self.0.path()).unwrap();
        let phone = Phone::random();
        let name = Name::new(name).unwrap();
        let uri = KeyUri::parse(phone.uri().trim(), Strength::Normal).unwrap();
        let label = Label::default();
        let what = qrtotp_flow::Import {
            used: Some(0),
            ..qrtotp_flow::Import::new(&name, uid, &label, &uri.secret, uri.params)
        };
        add_at(&store, what, clock);
        phone
    }

    pub fn verify(&self, user: &str, answer: &str) -> Ended {
        self.run_with(&["verify", user], &format!("{answer}\n"))
    }

    /// The one credential's id.
    pub fn credential(&self, user: &str) -> String {
        let status = self.json(&["status", user, "--json"]);
        status["credentials"][0]["id"].as_str().unwrap().to_owned()
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.run(arguments).ok().stdout).unwrap()
    }

    /// Every file and directory below the state directory with its content.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.state(), &mut found);
        found
    }
}

fn collect(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            found.insert(path, Vec::new());
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, content);
        }
    }
}

/// A command that asks.
pub struct Session {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: ChildStdout,
    pub shown: String,
}

impl Session {
    /// Reads until `text` is the last thing shown.
    pub fn read_to(&mut self, text: &str) {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(text.as_bytes()) {
            let count = self.screen.read(&mut byte).unwrap();
            assert_eq!(count, 1, "{text:?} did not come: {}{}", self.shown, String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        self.shown.push_str(&String::from_utf8(bytes).unwrap());
    }

    /// The rest of the line that begins with `prefix`.
    pub fn after(&self, prefix: &str) -> &str {
        self.shown.lines().rev().find_map(|line| line.strip_prefix(prefix)).unwrap()
    }

    pub fn type_line(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for the end: exit code and everything shown.
    pub fn end(mut self) -> (Option<i32>, String) {
        drop(self.keyboard.take());
        self.screen.read_to_string(&mut self.shown).unwrap();
        (self.child.wait().unwrap().code(), self.shown)
    }
}

/// An authenticator app.
pub struct Phone(Secret);

impl Phone {
    pub fn random() -> Self {
        Self(Secret::from_bytes(&random_bytes::<20>().unwrap(), Strength::Normal).unwrap())
    }

    /// Takes the key as it is shown, in groups.
    pub fn from_key(groups: &str) -> Self {
        Self(Secret::from_bytes(&base32_decode(&groups.replace(' ', "")).unwrap(), Strength::Normal).unwrap())
    }

    pub fn key(&self) -> String {
        base32_encode(self.0.as_bytes())
    }

    pub fn uri(&self) -> String {
        format!("otpauth://totp/Tests:someone?secret={}&issuer=Tests\n", self.key())
    }

    fn step() -> Step {
        Params::default().step_at(SystemClock.now())
    }

    /// The code of so many steps ago.
    pub fn code(&self, ago: Step) -> String {
        code_at(&self.0, Params::default(), Self::step() - ago).as_str().to_owned()
    }

    /// Six digits that are no code of this phone for minutes.
    pub fn wrong_code(&self) -> String {
        let near: Vec<String> = (Self::step() - 9..Self::step() + 9)
            .map(|step| code_at(&self.0, Params::default(), step).as_str().to_owned())
            .collect();
        (100_000..).map(|code| format!("{code}")).find(|code| !near.contains(code)).unwrap()
    }
}

/// The words of the form XXXX-XXXX-XXXX-XXXX.
pub fn recovery_codes(shown: &str) -> Vec<&str> {
    shown
        .split_whitespace()
        .filter(|word| word.len() == 19 && word.split('-').all(|group| group.len() == 4))
        .collect()
}

/// Imports a device without the command.
pub fn add(store: &FileStore, what: qrtotp_flow::Import<'_>) {
    add_at(store, what, &SystemClock);
}

fn add_at(store: &FileStore, what: qrtotp_flow::Import<'_>, clock: &dyn Clock) {
    let (config, directory, audit) = (&Config::default(), &HostDirectory, &mut Vec::new());
    let mut ctx = Ctx { config, store, directory, clock, audit, subject: Subject::default() };
    qrtotp_flow::import(&mut ctx, &[what]).unwrap();
}
