//! The verifiers of a fleet, each in a sandbox with a network of its own and a real etcd. They reach each
//! other over a bridge in the first one's network.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Output, Sandbox, State, clock,
    fleet::{CONFIG, UID, USER},
    pty::child_of,
    sandbox::STATE_DIR,
};

/// A verifier's host. Its etcd ends with it.
pub struct Verifier {
    etcd: Option<Child>,
    pub sandbox: Sandbox,
    pub name: String,
}

/// Where `cargo xtask test` unpacks Debian 13's etcd.
fn program(name: &str) -> PathBuf {
    unpacked("etcd", name)
}

/// Debian 12's etcd, which is too old for a verifier.
#[must_use]
pub fn old_etcd() -> PathBuf {
    unpacked("etcd-12", "etcd")
}

fn unpacked(directory: &str, name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let program = target.join("debian").join(directory).join("usr/bin").join(name);
    assert!(program.exists(), "{} is missing; `cargo xtask test --fast` unpacks it", program.display());
    program
}

fn outside(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// The address of a verifier, counted from 1.
#[must_use]
pub fn address(number: usize) -> String {
    format!("10.97.0.{number}")
}

/// Where etcd keeps its data.
const DATA: &str = "/var/lib/qrtotp-etcd";

/// Hosts on one network, without files of the fleet.
#[must_use]
pub fn hosts(count: usize) -> Vec<Verifier> {
    hosts_on(&vec![State::Tmpfs("size=16m"); count])
}

/// The same, with etcd's data on these states of their sandboxes.
fn hosts_on(states: &[State]) -> Vec<Verifier> {
    let mut all: Vec<Verifier> = Vec::new();
    for (number, state) in (1..).zip(states) {
        let sandbox = Sandbox::with_state(*state);
        sandbox.add_user_with_uid(USER, UID);
        sandbox.add_user_with_uid("etcd", 2998);
        sandbox.add_user("alice");
        if let State::Directory(_) = state {
            let mount = format!("mkdir -p {DATA} {STATE_DIR}/etcd && mount --bind {STATE_DIR}/etcd {DATA}");
            sandbox.run(&["sh", "-ec", &mount]).success();
        }
        sandbox.run(&["install", "-d", "-o", "etcd", "-m", "700", DATA]).success();
        for name in ["etcd", "etcdctl", "etcdutl"] {
            sandbox.install(&program(name), &format!("/usr/local/bin/{name}"), 0o755);
        }
        let (hub, own) = (all.first().map_or(sandbox.pid(), |first| first.sandbox.pid()), sandbox.pid());
        let ip = address(number);
        outside(&format!(
            "hub() {{ nsenter --net --target {hub} \"$@\"; }}
             [ {number} != 1 ] || hub ip link add br0 type bridge
             hub ip link set br0 up
             hub ip link add p{number} type veth peer name fleet netns {own}
             hub ip link set p{number} master br0 up
             nsenter --net --target {own} ip addr add {ip}/24 dev fleet
             nsenter --net --target {own} ip link set fleet up"
        ));
        all.push(Verifier { etcd: None, sandbox, name: format!("v{number}") });
    }
    all
}

/// Makes a fleet of so many verifiers by the commands that `fleet init` prints, with a store on etcd.
#[must_use]
pub fn fleet(count: usize) -> Vec<Verifier> {
    fleet_among(count, hosts(count))
}

/// The same, a verifier for each of these places for its etcd's data.
#[must_use]
pub fn fleet_on(states: &[State]) -> Vec<Verifier> {
    fleet_among(states.len(), hosts_on(states))
}

/// The same of the first ones of these hosts; the others may join later.
#[must_use]
pub fn fleet_among(count: usize, mut all: Vec<Verifier>) -> Vec<Verifier> {
    let members: Vec<String> =
        (1..=count).map(|number| format!("--verifier=v{number}={}", address(number))).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    all[0].sandbox.run(&[&["qrtotp", "fleet", "init", "--name", "corp"][..], &members].concat()).success();
    for verifier in &all[1..count] {
        let bundle = "/etc/qrtotp/corp.bundle";
        verifier.sandbox.install(&all[0].sandbox.path(bundle), bundle, 0o600);
        verifier
            .sandbox
            .run(&["qrtotp", "fleet", "join-verifier", "--name", &verifier.name, bundle])
            .success();
    }
    all[..count].iter_mut().for_each(Verifier::start_etcd);
    all[0].sandbox.run(&["qrtotp", "fleet", "create-store"]).success();
    all
}

/// Cuts a verifier, counted from 0 and not the first one, off all others, or ends that.
pub fn cut(all: &[Verifier], number: usize, is_cut: bool) {
    let (hub, state) = (all[0].sandbox.pid(), if is_cut { "down" } else { "up" });
    outside(&format!("nsenter --net --target {hub} ip link set p{} {state}", number + 1));
}

impl Verifier {
    /// Starts etcd as its unit would.
    pub fn start_etcd(&mut self) {
        let argv = ["setpriv", "--reuid", "etcd", "--regid", "etcd", "--clear-groups", "--"];
        let etcd = ["etcd", "--config-file", "/etc/qrtotp/etcd/etcd.yml"];
        let mut command = self.sandbox.command(None, &[&argv[..], &etcd].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.etcd = Some(command.spawn().unwrap());
    }

    /// Sends etcd a signal.
    pub fn signal_etcd(&self, signal: Signal) {
        if let Some(pid) = self.etcd.as_ref().and_then(|etcd| child_of(etcd.id())) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills etcd and waits for its end.
    pub fn stop_etcd(&mut self) {
        let Some(mut etcd) = self.etcd.take() else { return };
        match child_of(etcd.id()) {
            // nsenter ends after its child: only then are etcd's locks free.
            Some(pid) => drop(kill_process(pid, Signal::KILL)),
            None => drop(etcd.kill()),
        }
        // It stops itself if its child is stopped.
        let _ = kill_process(Pid::from_child(&etcd), Signal::CONT);
        let _ = etcd.wait();
    }

    /// `qrtotp …` on the fleet's accounts, as the verifier's user.
    pub fn administer(&self, arguments: &[&str], input: &str) -> Output {
        let user = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"];
        let argv = [&user[..], &["qrtotp", "--config", CONFIG], arguments].concat();
        self.sandbox.run_with_input(&argv, input)
    }

    /// `qrtotp fleet …` as root.
    pub fn fleet(&self, arguments: &[&str]) -> Output {
        self.sandbox.run(&[&["qrtotp", "fleet"], arguments].concat())
    }

    /// Waits until the store answers through this verifier.
    pub fn wait(&self) {
        let answers = || self.fleet(&["status"]).status.success().then_some(());
        clock::poll(Duration::from_secs(30), answers).expect("the fleet's store does not answer");
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.stop_etcd();
    }
}
