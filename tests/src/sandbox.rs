//! A private host: its own /etc, /var, /dev, /home, /proc, network and system log, with real programs.
//!
//! Dropping it, or the death of the test, takes everything with it. Nothing of the machine is changed.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::{Output, artefacts, log::Log};

/// The sandbox's store.
pub const STATE_DIR: &str = "/var/lib/qrtotp";

/// The file system of [`STATE_DIR`].
#[derive(Clone, Copy, Debug)]
pub enum State {
    /// With these mount options, for instance `size=64k` or `nr_inodes=9`.
    Tmpfs(&'static str),
    /// A loop device of this size, as `truncate --size` understands it.
    Ext4(&'static str),
    /// A directory of the machine, for measurements on its own disk.
    Directory(&'static str),
}

pub struct Sandbox {
    holder: Child,
    /// Closing it ends the sandbox.
    keepalive: Option<ChildStdin>,
    pid: u32,
    security: String,
    pub log: Log,
    secrets: Mutex<Vec<String>>,
    outputs: Transcripts,
}

/// The output of all programs in the sandbox, for the search for secrets.
pub(crate) type Transcripts = Arc<Mutex<Vec<Arc<Mutex<String>>>>>;

impl Sandbox {
    /// With the module, the command and a configuration that names only the state directory and an issuer.
    #[must_use]
    pub fn new() -> Self {
        Self::with_state(State::Tmpfs("size=16m"))
    }

    #[must_use]
    pub fn with_state(state: State) -> Self {
        Self::with_artefacts(state, &artefacts::module(), &artefacts::command())
    }

    #[must_use]
    pub fn with_artefacts(state: State, module: &Path, command: &Path) -> Self {
        Self::bare(state).with(module, command)
    }

    /// The same on the files of another Debian, as mmdebstrap makes them, in the network of `beside`.
    #[must_use]
    pub fn on_root(root: Option<&Path>, beside: Option<&Sandbox>, module: &Path, command: &Path) -> Self {
        Self::start(State::Tmpfs("size=16m"), root, beside).with(module, command)
    }

    fn with(self, module: &Path, command: &Path) -> Self {
        self.install(module, &format!("{}/pam_qrtotp.so", self.security), 0o644);
        self.install(command, "/usr/local/bin/qrtotp", 0o755);
        fs::create_dir(self.path("/etc/qrtotp")).unwrap();
        self.configure("");
        self
    }

    /// Without our files: for testing the harness, and for installing peers.
    #[must_use]
    pub fn bare(state: State) -> Self {
        Self::start(state, None, None)
    }

    /// The same on the files of another Debian.
    #[must_use]
    pub fn bare_on(root: &Path) -> Self {
        Self::start(State::Tmpfs("size=16m"), Some(root), None)
    }

    fn start(state: State, root: Option<&Path>, beside: Option<&Sandbox>) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "sandboxes need root: run `cargo xtask test`, which uses sudo"
        );
        let (kind, options, size) = match state {
            State::Tmpfs(options) => ("tmpfs", options, ""),
            State::Ext4(size) => ("ext4", "noatime", size),
            State::Directory(path) => ("directory", path, ""),
        };
        let mut holder = match beside {
            None => Command::new("unshare"),
            Some(other) => {
                let mut enter = Command::new("nsenter");
                enter.args(["--net", "--target", &other.pid.to_string(), "unshare"]);
                enter
            }
        };
        if beside.is_none() {
            holder.arg("--net");
        }
        let mut holder = holder
            .args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"])
            .args(["bash", "-c", include_str!("sandbox.sh")])
            .envs([("STATE_FS", kind), ("STATE_OPTIONS", options), ("STATE_SIZE", size)])
            .env("ROOT", root.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is needed");
        let keepalive = holder.stdin.take();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut answer = |name: &str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(name)
                .unwrap_or_else(|| panic!("no private host (the reason is above); it needs the kernel's namespaces and overlayfs, which a container may not have: {line}"))
                .trim()
                .to_owned()
        };
        let security = answer("security");
        let pid = answer("ready").parse().unwrap();
        let log = Log::listen(&PathBuf::from(format!("/proc/{pid}/root/dev/log")));
        let sandbox = Self {
            holder,
            keepalive,
            pid,
            security,
            log,
            secrets: Mutex::default(),
            outputs: Arc::default(),
        };
        sandbox.overwrite("/etc/sudoers.d/tests", "Defaults timestamp_timeout=0, lecture=never\n");
        sandbox
    }

    /// Replaces the configuration, and applies it: the state directory and the issuer, then `more` (TOML).
    pub fn configure(&self, more: &str) {
        self.edit_configuration(more);
        let _ = self.apply_configuration();
    }

    /// Replaces the configuration without applying it.
    pub fn edit_configuration(&self, more: &str) {
        self.overwrite(
            "/etc/qrtotp/qrtotp.toml",
            &format!("state_dir = \"{STATE_DIR}\"\nissuer = \"Tests\"\n{more}"),
        );
    }

    /// Applies the configuration; the caller checks the result.
    pub fn apply_configuration(&self) -> Output {
        self.apply("/etc/qrtotp/qrtotp.toml")
    }

    /// Applies a configuration, so that logins read it.
    pub fn apply(&self, path: &str) -> Output {
        self.run(&["qrtotp", "--config", path, "config", "apply"])
    }

    /// Replaces `/etc/pam.d/SERVICE`.
    pub fn pam(&self, service: &str, lines: &str) {
        self.overwrite(&format!("/etc/pam.d/{service}"), lines);
        // libpam may have read the file just before its last change; an enrolment at a login would then be
        // refused.
        crate::clock::pause(std::time::Duration::from_millis(30));
    }

    /// Its first process: its namespaces are the sandbox's.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A file of the sandbox, seen from outside. Never give it a path with absolute symlinks in it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    #[must_use]
    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
    }

    #[must_use]
    pub fn exists(&self, inside: &str) -> bool {
        self.path(inside).symlink_metadata().is_ok()
    }

    pub fn overwrite(&self, inside: &str, content: &str) {
        fs::write(self.path(inside), content).unwrap_or_else(|error| panic!("{inside}: {error}"));
    }

    pub fn append(&self, inside: &str, content: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path(inside)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Copies a file of the machine into the sandbox.
    pub fn install(&self, from: &Path, inside: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let to = self.path(inside);
        // By another process: a child started by a concurrent test would inherit our descriptor open for
        // writing, and a program that is open for writing does not start ("text file busy").
        let copied = Command::new("cp").arg(from).arg(&to).status();
        assert!(copied.is_ok_and(|status| status.success()), "{} to {inside}", from.display());
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Lays a writable copy over a directory; hides anything laid over directories in it before.
    pub fn make_writable(&self, directory: &str) {
        let layer = format!("/run/sandbox{}", directory.replace('/', "-"));
        let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
        self.run(&["mkdir", "-p", &upper, &work]).success();
        let options = format!("lowerdir={directory},upperdir={upper},workdir={work}");
        self.run(&["mount", "-t", "overlay", "-o", &options, "overlay", directory]).success();
    }

    /// Compiles `tests/c/SOURCE` and installs the program in the sandbox; returns its path there.
    #[must_use]
    pub fn install_c(&self, source: &str, flags: &[&str]) -> String {
        let name = source.trim_end_matches(".c");
        let inside = format!("/usr/local/bin/{name}");
        if !self.exists(&inside) {
            // Several threads may do this at once: each renames a whole file into place.
            let own = format!("{inside}.{:?}", std::thread::current().id());
            self.install(&artefacts::compile(source, name, flags), &own, 0o755);
            fs::rename(self.path(&own), self.path(&inside)).unwrap();
        }
        inside
    }

    /// Makes group look-ups use files, then `c/nss_groups.c`, which behaves as /etc/nss-groups says.
    pub fn name_service_of_groups(&self) {
        let library = artefacts::compile("nss_groups.c", "libnss_groups.so.2", &["-shared", "-fPIC"]);
        self.run(&["mkdir", "-p", "/usr/local/lib"]).success();
        self.install(&library, "/usr/local/lib/libnss_groups.so.2", 0o644);
        self.run(&["ldconfig"]).success();
        self.overwrite("/etc/nsswitch.conf", "passwd: files\ngroup: files groups\nshadow: files\n");
    }

    /// The directory with PAM's modules.
    #[must_use]
    pub fn security_directory(&self) -> &str {
        &self.security
    }

    /// A command that will run in the sandbox, as root or as `user`, with a small clean environment.
    #[must_use]
    pub fn command(&self, user: Option<&str>, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--target"])
            .arg(self.pid.to_string())
            .arg("--");
        command.env_clear().envs([
            ("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
        ]);
        command
            .env("TERM", "xterm")
            .env("HOME", user.map_or("/root".to_owned(), |user| format!("/home/{user}")));
        if let Some(user) = user {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"]);
        }
        command.args(argv);
        command
    }

    pub fn run(&self, argv: &[&str]) -> Output {
        self.run_with_input(argv, "")
    }

    pub fn run_as(&self, user: &str, argv: &[&str]) -> Output {
        self.finish(self.command(Some(user), argv), "")
    }

    /// Runs it as root with `input` on standard input, which is a pipe.
    pub fn run_with_input(&self, argv: &[&str], input: &str) -> Output {
        let patience = ["timeout", "--kill-after=5", "180"];
        self.finish(self.command(None, &[&patience, argv].concat()), input)
    }

    /// Runs a prepared command to its end, feeding it `input`.
    pub fn finish(&self, mut command: Command, input: &str) -> Output {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that does not read its input may have ended already, which is no failure.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let output = Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        self.record(Arc::new(Mutex::new(format!("{}{}", output.stdout, output.stderr))));
        output
    }

    pub(crate) fn record(&self, transcript: Arc<Mutex<String>>) {
        self.outputs.lock().unwrap().push(transcript);
    }

    /// Registers a secret that must never be in the log, nor in any later output.
    pub fn keep_secret(&self, text: &str) {
        self.secrets.lock().unwrap().push(text.to_owned());
    }

    /// Panics if a secret is in the log or in any output. Runs at the end of every test, when its sandbox is
    /// dropped.
    pub fn assert_nothing_leaked(&self) {
        let mut texts: Vec<(String, String)> =
            self.log.lines().into_iter().map(|line| ("the log".to_owned(), line)).collect();
        texts.extend(
            self.outputs
                .lock()
                .unwrap()
                .iter()
                .map(|text| ("output".to_owned(), text.lock().unwrap().clone())),
        );
        for secret in self.secrets.lock().unwrap().iter() {
            for (place, text) in &texts {
                assert!(!contains_word(text, secret), "{secret} is in {place}: {text}");
            }
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.keepalive.take());
        let _ = self.holder.wait();
        if std::thread::panicking() {
            let lines = self.log.lines();
            let last = lines.len().saturating_sub(40);
            eprintln!("the end of the sandbox's log:\n{}", lines[last..].join("\n"));
        } else {
            self.assert_nothing_leaked();
            self.log.keep();
        }
    }
}

/// Whether `word` occurs in `text` without a letter or digit touching it: six digits inside a longer number
/// are not a code.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}
