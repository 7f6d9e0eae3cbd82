//! A fleet in sandboxes: verifiers on a real etcd, and login hosts in the first one's network. Each has
//! files, users and logs of its own.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    Output, Phone, Pty, Sandbox, State, artefacts,
    broker::{Broker, TOKEN_QUESTION},
    clock,
    pty::child_of,
    verifiers::{self, Verifier, address},
};

/// The relay's socket.
pub const RELAY: &str = "/run/qrtotp/relay";
/// Where the verifier listens.
pub const ADDRESS: &str = "127.0.0.1:4674";
const VERIFIER: &str = "/usr/local/sbin/qrtotpd";
const RELAY_PROGRAM: &str = "/usr/local/sbin/qrtotp-relay";
/// The user of the verifier, and that of a relay.
pub(crate) const USER: &str = "qrtotp-verifier";
/// Its uid.
pub const UID: u32 = 2999;
/// The verifier's configuration.
pub const CONFIG: &str = "/etc/qrtotp/verifier/qrtotp.toml";

/// A process of the fleet; killed when dropped.
pub struct Process(Child);

impl Process {
    fn start(sandbox: &Sandbox, argv: &[&str]) -> Self {
        Self(sandbox.command(None, argv).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = child_of(self.0.id()) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.0.kill(); // nsenter ends together with its child
        let _ = self.0.wait();
    }
}

/// Verifiers that are running; their processes end before their hosts.
pub struct Fleet {
    pub daemons: Vec<Process>,
    pub verifiers: Vec<Verifier>,
}

/// A login host of the fleet.
pub struct Host {
    relay: Option<Process>,
    pub sandbox: Sandbox,
}

/// What `qrtotp import csv` reads.
#[must_use]
pub fn table_of(crowd: &[(String, Phone)]) -> String {
    let row = |(user, phone): &(String, Phone)| {
        format!("{user},phone,{},totp,{},{}\n", phone.key, phone.digits, phone.period)
    };
    let rows: String = crowd.iter().map(row).collect();
    format!("user,name,secret,type,digits,period\n{rows}")
}

fn as_verifier() -> [&'static str; 7] {
    ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"]
}

impl Fleet {
    /// One verifier with the user alice; `groups` are the lines of `[fleet.groups]`.
    #[must_use]
    pub fn new(groups: &str) -> Self {
        Self::of(1, groups)
    }

    /// So many verifiers.
    #[must_use]
    pub fn of(count: usize, groups: &str) -> Self {
        Self::with(verifiers::fleet(count), groups)
    }

    /// The same on these places for the data of etcd.
    #[must_use]
    pub fn on(states: &[State]) -> Self {
        Self::with(verifiers::fleet_on(states), "")
    }

    fn with(verifiers: Vec<Verifier>, groups: &str) -> Self {
        let mut daemons = Vec::new();
        for verifier in &verifiers {
            verifier.sandbox.install(&artefacts::broker(), VERIFIER, 0o755);
            verifier.sandbox.append(CONFIG, groups);
            verifier.administer(&["config", "apply"], "").success();
            daemons.push(Self::start(&verifier.sandbox));
        }
        Self { daemons, verifiers }
    }

    fn start(verifier: &Sandbox) -> Process {
        let argv = [&as_verifier()[..], &[VERIFIER, "--role", "verifier", "--config", CONFIG]].concat();
        let daemon = Process::start(verifier, &argv);
        let listens =
            || verifier.run(&["ss", "-Hltn", "sport", "=", ":4674"]).stdout.contains("4674").then_some(());
        clock::poll(Duration::from_secs(20), listens).expect("the verifier does not listen");
        daemon
    }

    /// The first verifier's host.
    #[must_use]
    pub fn verifier(&self) -> &Sandbox {
        &self.verifiers[0].sandbox
    }

    /// Kills the first verifier and starts it anew.
    pub fn restart(&mut self) {
        self.restart_one(0);
    }

    /// The same for another one, counted from 0.
    pub fn restart_one(&mut self, number: usize) {
        self.daemons[number].signal(Signal::KILL);
        self.daemons[number].wait();
        self.daemons[number] = Self::start(&self.verifiers[number].sandbox);
    }

    /// Restarts a verifier, counted from 0, whose clock differs from ours, as faketime(1) says it: `+60s`.
    pub fn restart_with_clock(&mut self, number: usize, difference: &str) {
        self.daemons[number].signal(Signal::KILL);
        self.daemons[number].wait();
        let fake = format!("FAKETIME={difference}");
        let library = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
        let program = ["env", library, &fake, "FAKETIME_DONT_FAKE_MONOTONIC=1", VERIFIER];
        let argv = [&as_verifier()[..], &program, &["--role", "verifier", "--config", CONFIG]].concat();
        self.daemons[number] = Process::start(&self.verifiers[number].sandbox, &argv);
    }

    /// The verifier whose etcd leads, counted from 0.
    #[must_use]
    pub fn leader(&self) -> usize {
        let leader = || {
            let status = self.verifiers.iter().map(|verifier| verifier.fleet(&["status", "--json"]).stdout);
            status.filter_map(|text| text.split("\"leader\":\"v").nth(1)?.chars().next()?.to_digit(10)).next()
        };
        let leader = clock::poll(Duration::from_secs(20), leader).expect("there is no leader");
        usize::try_from(leader).unwrap() - 1
    }

    /// Kills a verifier, counted from 0, with its etcd.
    pub fn stop(&mut self, number: usize) {
        self.daemons[number].signal(Signal::KILL);
        self.verifiers[number].stop_etcd();
    }

    /// `qrtotp …` on the fleet's accounts, as the first verifier's user.
    pub fn administer(&self, arguments: &[&str], input: &str) -> Output {
        self.verifiers[0].administer(arguments, input)
    }

    /// Issues a token for `user`; returns its code.
    #[must_use]
    pub fn token_code(&self, user: &str) -> String {
        let issue = ["qrtotp", "--config", CONFIG, "token", "issue", user];
        let shown = self.verifier().pty_unrecorded(&[&as_verifier()[..], &issue].concat()).success();
        let code = shown.lines().find_map(|line| line.strip_prefix("Code: ")).expect("no code").trim();
        self.verifier().keep_secret(code);
        code.to_owned()
    }

    /// Gives `user` a phone whose current and previous code are unused.
    pub fn import(&self, user: &str) -> Phone {
        let phone = Phone::random();
        self.verifier().keep_secret(&phone.key);
        let uri = format!("{}\n", phone.uri(user));
        self.administer(&["import", "uri", user, "--unused"], &uri).success();
        phone.wait_for_seconds_left(15);
        phone
    }

    /// Adds many users at the first verifier, and gives each a phone. No output is searched for their keys.
    #[must_use]
    pub fn import_crowd(&self, users: &[String]) -> Vec<(String, Phone)> {
        self.verifier().add_crowd(users);
        let crowd: Vec<_> = users.iter().map(|user| (user.clone(), Phone::any())).collect();
        self.administer(&["import", "csv", "-", "--unused"], &table_of(&crowd)).success();
        crowd
    }

    /// A host in the verifier's network that has joined, with alice, and with its relay running.
    #[must_use]
    pub fn host(&self, name: &str, group: &str) -> Host {
        let all: Vec<usize> = (0..self.verifiers.len()).collect();
        self.host_at(name, group, &all)
    }

    /// The same, of these verifiers only.
    #[must_use]
    pub fn host_at(&self, name: &str, group: &str, verifiers: &[usize]) -> Host {
        self.joined(self.stranger(), name, group, verifiers)
    }

    fn joined(&self, mut host: Host, name: &str, group: &str, verifiers: &[usize]) -> Host {
        let addresses: Vec<String> = verifiers.iter().map(|number| address(number + 1)).collect();
        self.join(&host, name, group, &addresses.join(",")).success();
        host.start_relay();
        host
    }

    /// The same in the network of a verifier, counted from 0: it reaches that one even if it is cut off.
    #[must_use]
    pub fn host_beside(&self, number: usize, name: &str, verifiers: &[usize]) -> Host {
        self.joined(self.stranger_beside(number), name, "all", verifiers)
    }

    /// Cuts a verifier, counted from 0 and not the first one, off all others, or ends that.
    pub fn cut(&self, number: usize, is_cut: bool) {
        verifiers::cut(&self.verifiers, number, is_cut);
    }

    /// A host that has not joined.
    #[must_use]
    pub fn stranger(&self) -> Host {
        self.stranger_beside(0)
    }

    fn stranger_beside(&self, number: usize) -> Host {
        let (module, command) = (artefacts::module(), artefacts::command());
        let beside = &self.verifiers[number].sandbox;
        let sandbox = Sandbox::on_root(None, Some(beside), &module, &command);
        sandbox.stack("");
        sandbox.add_user("alice");
        sandbox.add_user("bobby");
        sandbox.add_user_with_uid(USER, UID);
        sandbox.install(&artefacts::relay(), RELAY_PROGRAM, 0o755);
        sandbox.run(&["mkdir", "-p", "-m", "755", "/run/qrtotp"]).success();
        Host { sandbox, relay: None }
    }

    /// Has a host join with a new invitation.
    pub fn join(&self, host: &Host, name: &str, group: &str, verifiers: &str) -> Output {
        let token = self.verifier().run(&["qrtotp", "fleet", "invite", "--group", group]).success().stdout;
        let argv = ["qrtotp", "fleet", "join", verifiers, "--token-file", "-", "--name", name];
        host.sandbox.run_with_input(&argv, &token)
    }
}

impl Host {
    /// Starts the relay as systemd would: with the socket, as a user, with copies of the files.
    pub fn start_relay(&mut self) {
        self.relay = None;
        let copy =
            "rm -rf /run/relay && cp -r /etc/qrtotp/relay /run/relay && chown -R qrtotp-verifier /run/relay
             install -d -m 700 -o qrtotp-verifier -g qrtotp-verifier /var/lib/qrtotp-relay";
        self.sandbox.run(&["sh", "-c", copy]).success();
        let _ = std::fs::remove_file(self.sandbox.path(RELAY));
        let listen = ["systemd-socket-activate", "-l", RELAY];
        let program = [
            RELAY_PROGRAM,
            "--dir",
            "/run/relay",
            "--state",
            "/var/lib/qrtotp-relay",
            "--runtime",
            "/run/relay",
        ];
        self.relay = Some(Process::start(&self.sandbox, &[&listen[..], &as_verifier(), &program].concat()));
        let listens = || self.sandbox.exists(RELAY).then_some(());
        clock::poll(Duration::from_secs(20), listens).expect("the relay does not listen");
    }

    /// Starts the host's broker, which users of the host call.
    #[must_use]
    pub fn start_broker(&self) -> Broker {
        self.sandbox.install_broker();
        self.sandbox.start_broker()
    }

    /// alice's enrolment with a token's code, up to the question for the first code of her phone.
    #[must_use]
    pub fn enrol_by_token(&self, code: &str) -> (Pty, Phone) {
        self.sandbox.keep_secret(code);
        let mut pty = self.sandbox.own("alice", &["enroll"]);
        pty.expect(TOKEN_QUESTION);
        pty.send(code);
        let phone = pty.read_key(&self.sandbox);
        (pty, phone)
    }

    pub fn stop_relay(&mut self) {
        self.relay = None;
        let _ = std::fs::remove_file(self.sandbox.path(RELAY));
    }

    /// The relay's directory in /proc.
    #[must_use]
    pub fn relay_in_proc(&self) -> PathBuf {
        let relay = self.relay.as_ref().and_then(|relay| child_of(relay.0.id())).expect("a relay");
        PathBuf::from(format!("/proc/{}", relay.as_raw_pid()))
    }

    pub fn signal_relay(&self, signal: Signal) {
        self.relay.as_ref().unwrap().signal(signal);
    }

    /// A socket in the relay's place.
    #[must_use]
    pub fn false_relay(&mut self) -> UnixListener {
        self.stop_relay();
        let path = self.sandbox.path(RELAY);
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        listener
    }

    /// Logs alice in with one answer; returns the result of pam_authenticate.
    pub fn answer(&self, answer: &str) -> i32 {
        self.sandbox.answer("alice", answer)
    }
}
