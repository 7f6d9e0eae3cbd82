//! Real clusters of etcd: three members, each in a network namespace of its own, with certificates on both
//! sides.
//!
//! A test runs in a namespace of its own: the test program starts itself again in it. Members have two links:
//! one to the test, and one to the other members, which a test can cut.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qrtotp_clock::Deadline;
use qrtotp_fleet::{Engine, Etcd, EtcdOptions, Op, Txn};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Set in the program that runs in the namespace.
const INSIDE: &str = "QRTOTP_FLEET_INSIDE";
pub const MEMBERS: usize = 3;

/// Where `cargo xtask test` unpacks Debian 13's etcd.
fn program(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let program = target.join("debian/etcd/usr/bin").join(name);
    assert!(program.exists(), "{} is missing; `cargo xtask test --fast` unpacks it", program.display());
    program
}

/// Runs a test of this program in a network and mount namespace of its own. Left out if etcd could not be
/// installed.
pub fn isolated(test: &str, run: impl FnOnce()) {
    let missing = std::env::var("QRTOTP_MISSING_TOOLS").unwrap_or_default();
    if missing.split(',').any(|tool| tool == "etcd") {
        return eprintln!("left out: there is no etcd");
    }
    if std::env::var_os(INSIDE).is_some() {
        return run();
    }
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"])
        // If the test is killed, so are its members.
        .args(["--kill-child", "--"])
        .arg(std::env::current_exe().unwrap());
    unshare.args(["--exact", test, "--nocapture", "--include-ignored"]).env(INSIDE, "1");
    // Its summary is not ours.
    unshare.stdout(Stdio::null());
    assert!(unshare.status().expect("util-linux").success(), "{test} failed in its namespace");
}

fn run(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// A running etcd.
struct Member {
    process: Child,
}

/// Three members, and the certificate of their clients.
pub struct Cluster {
    directory: tempfile::TempDir,
    members: Vec<Option<Member>>,
    flags: Vec<String>,
    /// Rises with each restored backup: the members' data is in directories of this number.
    life: usize,
}

/// The address of a member for us, and for the other members.
fn address(member: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 99, u8::try_from(member).unwrap(), 2), 2379).into()
}

fn peer(member: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 98, 0, u8::try_from(member).unwrap() + 1)
}

impl Cluster {
    /// Starts a cluster, and waits for it.
    pub fn start(flags: &[&str]) -> Self {
        run("ip link set lo up; ip link add br0 type bridge; ip link set br0 up");
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path());
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut cluster = Self { directory, members: Vec::new(), flags, life: 0 };
        cluster.members.resize_with(MEMBERS, || None);
        cluster.start_all();
        cluster
    }

    pub fn start_all(&mut self) {
        (0..MEMBERS).for_each(|member| self.start_member(member));
        (0..MEMBERS).for_each(|member| self.wait_for(member));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn data(&self, member: usize) -> PathBuf {
        self.path(&format!("data{member}.{}", self.life))
    }

    fn initial_cluster() -> String {
        let member = |number| format!("m{number}=https://{}:2380", peer(number));
        (0..MEMBERS).map(member).collect::<Vec<_>>().join(",")
    }

    /// Starts a member in a namespace of its own.
    pub fn start_member(&mut self, member: usize) {
        let ours = format!("10.99.{member}.1/24");
        let (client, peer) = (address(member), peer(member));
        let files = ["ca.pem", "cert.pem", "key.pem"].map(|name| self.path(name).display().to_string());
        let [ca, cert, key] = &files;
        let mut etcd = Command::new("unshare");
        // The program waits until its links are there.
        let script = "ip link set lo up; until ip -br addr show to 10.98.0.0/24 | grep -q .; do sleep 0.02; done; exec \"$@\"";
        etcd.args(["--net", "sh", "-c", script, "etcd"]).arg(program("etcd"));
        etcd.arg("--name").arg(format!("m{member}")).arg("--data-dir").arg(self.data(member));
        etcd.arg(format!("--listen-client-urls=https://{client}"));
        etcd.arg(format!("--advertise-client-urls=https://{client}"));
        etcd.arg(format!("--listen-peer-urls=https://{peer}:2380"));
        etcd.arg(format!("--initial-advertise-peer-urls=https://{peer}:2380"));
        etcd.arg(format!("--initial-cluster={}", Self::initial_cluster()));
        etcd.args(["--client-cert-auth", "--peer-client-cert-auth", "--enable-grpc-gateway=false"]);
        for part in ["", "peer-"] {
            etcd.arg(format!("--{part}trusted-ca-file={ca}"));
            etcd.arg(format!("--{part}cert-file={cert}")).arg(format!("--{part}key-file={key}"));
        }
        etcd.args(["--heartbeat-interval=50", "--election-timeout=500"]);
        // Every decision leaves an old value behind.
        etcd.args(["--auto-compaction-mode=periodic", "--auto-compaction-retention=30s"]);
        etcd.args(["--max-wals=2", "--max-snapshots=2", "--snapshot-count=5000"]);
        // A killed process loses nothing that it wrote: only a power cut would.
        etcd.args(["--unsafe-no-fsync", "--log-level=error", "--experimental-initial-corrupt-check"]);
        etcd.args(&self.flags).stdout(Stdio::null()).stderr(Stdio::null());
        let process = etcd.spawn().expect("util-linux");
        let pid = process.id();
        run(&format!(
            "until [ \"$(readlink /proc/{pid}/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done
             ip link del c{member} 2>/dev/null || true; ip link del p{member} 2>/dev/null || true
             ip link add c{member} type veth peer name c netns {pid}
             ip addr add {ours} dev c{member}; ip link set c{member} up
             ip link add p{member} type veth peer name p netns {pid}
             ip link set p{member} master br0; ip link set p{member} up
             nsenter --net --target {pid} sh -ec 'ip addr add {}/24 dev c; ip link set c up
                 ip link set p up; ip addr add {peer}/24 dev p'",
            client.ip()
        ));
        self.members[member] = Some(Member { process });
    }

    /// Waits until a member answers with a quorum.
    pub fn wait_for(&self, member: usize) {
        let mut deadline = Deadline::after(Duration::from_secs(20));
        while !self.answers(member) {
            assert!(deadline.pause(), "member {member} does not answer");
        }
    }

    fn answers(&self, member: usize) -> bool {
        let read = Txn { then: vec![Op::Get("x".to_owned())], ..Txn::default() };
        self.client(member).transact(&read, Duration::from_millis(800)).is_ok()
    }

    pub fn options(&self, member: usize) -> EtcdOptions {
        let read = |name: &str| std::fs::read(self.path(name)).unwrap();
        EtcdOptions {
            address: address(member),
            authority: read("ca.pem"),
            certificate: read("cert.pem"),
            key: read("key.pem").into(),
        }
    }

    pub fn client(&self, member: usize) -> Arc<Etcd> {
        Arc::new(Etcd::new(&self.options(member)).unwrap())
    }

    pub fn clients(&self) -> Vec<Arc<dyn Engine>> {
        (0..MEMBERS).map(|member| self.client(member) as Arc<dyn Engine>).collect()
    }

    /// The member that leads.
    pub fn leader(&self) -> usize {
        let mut deadline = Deadline::after(Duration::from_secs(10));
        loop {
            for member in 0..MEMBERS {
                let status = self.client(member).status(Duration::from_millis(500));
                if status.is_ok_and(|status| status.leader == status.id && status.members.is_some()) {
                    return member;
                }
            }
            assert!(deadline.pause(), "there is no leader");
        }
    }

    pub fn signal(&self, member: usize, signal: Signal) {
        if let Some(member) = &self.members[member] {
            let process = Pid::from_raw(member.process.id().cast_signed());
            let _ = kill(process, signal); // it may have ended by itself
        }
    }

    /// Kills a member and waits for its end.
    pub fn kill(&mut self, member: usize) {
        self.signal(member, Signal::SIGKILL);
        if let Some(mut member) = self.members[member].take() {
            member.process.wait().unwrap();
        }
    }

    /// Lets nothing from the others reach a member, though they hear it, or ends that. We still reach it.
    pub fn deafen(&self, member: usize, is_deaf: bool) {
        let switch = if is_deaf { "off" } else { "on" };
        run(&format!(
            "ip link set p{member} type bridge_slave flood {switch} mcast_flood {switch} bcast_flood {switch} learning {switch}
             ip link set p{member} type bridge_slave fdb_flush"
        ));
    }

    /// Gives each member a disk of its own, of 1 GiB: etcd allocates its log in files of 64. Call it before
    /// the members write much.
    pub fn with_small_disks(mut self) -> Self {
        for member in 0..MEMBERS {
            self.kill(member);
            let data = self.data(member).display().to_string();
            run(&format!(
                "mv {data} {data}.old; mkdir {data}; mount -t tmpfs -o size=1g,mode=700 none {data}
                 mv {data}.old/* {data}; rmdir {data}.old"
            ));
        }
        self.start_all();
        self
    }

    /// Fills a member's disk, or empties it again.
    pub fn fill_disk(&self, member: usize, is_full: bool) {
        let file = self.data(member).join("filler").display().to_string();
        run(&if is_full {
            format!("cat /dev/zero >{file} 2>/dev/null || true")
        } else {
            format!("rm -f {file}")
        });
    }

    /// Waits until a member answers with a quorum, and starts it again if it ends.
    pub fn revive(&mut self, member: usize) {
        let mut deadline = Deadline::after(Duration::from_secs(40));
        while !self.answers(member) {
            assert!(deadline.pause(), "member {member} does not answer");
            if self.has_ended(member) {
                self.kill(member);
                self.start_member(member);
            }
        }
    }

    fn has_ended(&mut self, member: usize) -> bool {
        let process = self.members[member].as_mut();
        process.is_none_or(|member| member.process.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Cuts a member off the others, or joins it again. We still reach it.
    pub fn cut(&self, member: usize, is_cut: bool) {
        run(&format!("ip link set p{member} {}", if is_cut { "down" } else { "up" }));
    }

    /// Saves a backup, as `etcdctl snapshot save`.
    pub fn backup(&self, file: &str) {
        let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| self.path(name));
        let mut etcdctl = Command::new(program("etcdctl"));
        etcdctl.arg("--endpoints").arg(format!("https://{}", address(0)));
        etcdctl.arg("--cacert").arg(ca).arg("--cert").arg(cert).arg("--key").arg(key);
        etcdctl.args(["snapshot", "save"]).arg(self.path(file)).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(etcdctl.status().unwrap().success());
    }

    /// Stops all members, and starts them on the backup; `flags` of `etcdutl snapshot restore`.
    pub fn restore(&mut self, file: &str, flags: &[&str]) {
        (0..MEMBERS).for_each(|member| self.kill(member));
        self.life += 1;
        for member in 0..MEMBERS {
            let mut etcdutl = Command::new(program("etcdutl"));
            etcdutl
                .args(["snapshot", "restore"])
                .arg(self.path(file))
                .arg("--data-dir")
                .arg(self.data(member));
            etcdutl
                .arg("--name")
                .arg(format!("m{member}"))
                .arg("--initial-cluster")
                .arg(Self::initial_cluster());
            etcdutl.arg(format!("--initial-advertise-peer-urls=https://{}:2380", peer(member))).args(flags);
            assert!(etcdutl.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        }
        self.start_all();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..MEMBERS).for_each(|member| self.kill(member));
    }
}

/// A CA, and one certificate for all members and clients.
fn certificates(directory: &Path) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let addresses =
        (0..MEMBERS).flat_map(|member| [address(member).ip().to_string(), peer(member).to_string()]);
    let mut params = CertificateParams::new(addresses.collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    for (name, text) in
        [("ca.pem", ca.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
    {
        std::fs::write(directory.join(name), text).unwrap();
    }
}
