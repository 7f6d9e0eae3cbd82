//! The files of a verifier's etcd member, in a directory of root's that etcd may read: its configuration, and
//! its certificates with their keys.

use super::shared::Shared;
use crate::error::Failure;
use crate::fleet_member::Member;
use nix::unistd::{Gid, Uid, fchown};
use qrtotp_fleet_tls::EtcdAuthority;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where etcd keeps its data; its unit makes the directory.
const DATA: &str = "/var/lib/qrtotp-etcd/data";
/// The port of etcd's clients, on the loopback interface only.
const CLIENTS: u16 = 2379;
/// The port on which the members reach each other.
const PEERS: u16 = 2380;
/// The most that etcd's database may take, in bytes.
const QUOTA: u64 = 8 << 30;

/// Writes the files of `own`. `joins`: the cluster is there already.
pub fn write(
    directory: &Path,
    group: Gid,
    shared: &Shared,
    own: &Member,
    joins: bool,
) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| Failure::Error(format!("{}: {error}", path.display()));
    match DirBuilder::new().mode(0o750).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(directory, error)),
        _ => {}
    }
    let open = File::open(directory).map_err(|error| failed(directory, error))?;
    fchown(&open, Some(Uid::from_raw(0)), Some(group)).map_err(|errno| failed(directory, errno.into()))?;
    let authority = EtcdAuthority::load(&shared.etcd_ca_key)?;
    let (server, peer) = (authority.server()?, authority.peer(&own.address)?);
    let configuration = configuration(directory, shared, own, joins);
    for (name, text) in [
        ("ca.pem", shared.etcd_ca.as_str()),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("peer.pem", &peer.certificate),
        ("peer.key", &peer.key),
        ("etcd.yml", &configuration),
    ] {
        let path = directory.join(name);
        write_for(&path, group, text.as_bytes()).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Writes a file that only root and a group can read, durably.
fn write_for(path: &Path, group: Gid, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("new");
    let _ = std::fs::remove_file(&next); // of a process that was killed
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&next)?;
    fchown(&file, None, Some(group))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&next, path)
}

/// The members as etcd's option `initial-cluster` names them.
fn initial_cluster(members: &[Member]) -> String {
    let member = |member: &Member| format!("{}=https://{}", member.name, member.at(PEERS));
    members.iter().map(member).collect::<Vec<_>>().join(",")
}

/// Where the other members reach this one.
pub fn peer_url(member: &Member) -> String {
    format!("https://{}", member.at(PEERS))
}

/// Writes down the members of a cluster that has changed. etcd itself keeps them in its data; a restored
/// backup and a new bundle begin with these.
pub fn write_members(directory: &Path, members: &[Member]) -> Result<(), Failure> {
    change(directory, &[("initial-cluster", &initial_cluster(members))])
}

/// Gives this verifier's member another address, from its next start.
pub fn move_own(directory: &Path, shared: &Shared, own: &Member) -> Result<(), Failure> {
    let peer = EtcdAuthority::load(&shared.etcd_ca_key)?.peer(&own.address)?;
    for (name, text) in [("peer.pem", peer.certificate.as_str()), ("peer.key", &peer.key)] {
        replace(&directory.join(name), text.as_bytes())?;
    }
    let (url, cluster) = (peer_url(own), initial_cluster(&shared.members));
    let values = [
        ("listen-peer-urls", listen_url(own)),
        ("initial-advertise-peer-urls", url),
        ("initial-cluster", cluster),
    ];
    change(directory, &values.each_ref().map(|(key, value)| (*key, value.as_str())))
}

/// Replaces values of etcd.yml; an administrator's own lines stay.
fn change(directory: &Path, values: &[(&str, &str)]) -> Result<(), Failure> {
    let path = directory.join("etcd.yml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::Error(format!("{}: {error}", path.display())))?;
    let line = |line: &str| {
        let value = values.iter().find(|(key, _)| line.split(':').next() == Some(key));
        value.map_or_else(|| format!("{line}\n"), |(key, value)| format!("{key}: \"{value}\"\n"))
    };
    replace(&path, text.lines().map(line).collect::<String>().as_bytes())
}

/// Replaces a file that is there, for the same group.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", path.display()));
    let group = Gid::from_raw(std::fs::metadata(path).map_err(failed)?.gid());
    write_for(path, group, bytes).map_err(failed)
}

/// etcd listens at addresses, not at names.
fn listen_url(own: &Member) -> String {
    let is_address = own.address.parse::<std::net::IpAddr>().is_ok();
    if is_address { peer_url(own) } else { format!("https://0.0.0.0:{PEERS}") }
}

/// What tells this cluster from others that etcd might be started for.
fn cluster_token(fleet: &str) -> String {
    format!("qrtotp-{fleet}")
}

/// An etcd member's configuration.
pub struct EtcdSettings {
    pub name: String,
    pub data: PathBuf,
    /// Where its clients connect.
    pub clients: String,
    /// Where the other members reach it.
    pub peer: String,
    pub cluster: String,
    pub token: String,
    /// In bytes.
    pub quota: Option<u64>,
}

impl EtcdSettings {
    /// The verifiers that the cluster began with.
    pub fn members(&self) -> Vec<Member> {
        let member = |text: &str| {
            let (name, url) = text.split_once("=https://")?;
            let address = url.rsplit_once(':')?.0.trim_matches(['[', ']']);
            Some(Member { name: name.to_owned(), address: address.to_owned() })
        };
        self.cluster.split(',').filter_map(member).collect()
    }

    /// Reads the file in this directory.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("etcd.yml");
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::Error(format!("{}: {error}; run this as root on a verifier", path.display()))
        })?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(|value| value.trim().trim_matches('"').to_owned())
        };
        let need =
            |key: &str| value(key).ok_or_else(|| Failure::Error(format!("{} lacks {key}", path.display())));
        Ok(Self {
            name: need("name")?,
            data: need("data-dir")?.into(),
            clients: need("advertise-client-urls")?,
            peer: need("initial-advertise-peer-urls")?,
            cluster: need("initial-cluster")?,
            token: need("initial-cluster-token")?,
            quota: value("quota-backend-bytes").and_then(|bytes| bytes.parse().ok()),
        })
    }
}

fn configuration(directory: &Path, shared: &Shared, own: &Member, joins: bool) -> String {
    let file = |name: &str| format!("{:?}", directory.join(name).display().to_string());
    let state = if joins { "existing" } else { "new" };
    let listen = listen_url(own);
    format!(
        "# etcd of the fleet {fleet}, verifier {name}. `qrtotp fleet init` wrote this file.
name: \"{name}\"
data-dir: \"{DATA}\"
# Only the verifier on this machine is a client.
listen-client-urls: \"https://127.0.0.1:{CLIENTS}\"
advertise-client-urls: \"https://127.0.0.1:{CLIENTS}\"
listen-peer-urls: \"{listen}\"
initial-advertise-peer-urls: \"{peer}\"
initial-cluster: \"{cluster}\"
initial-cluster-token: \"{token}\"
initial-cluster-state: \"{state}\"
client-transport-security:
  cert-file: {server}
  key-file: {server_key}
  trusted-ca-file: {ca}
  client-cert-auth: true
peer-transport-security:
  cert-file: {peer_certificate}
  key-file: {peer_key}
  trusted-ca-file: {ca}
  client-cert-auth: true
# It ignores the names in client certificates.
enable-grpc-gateway: false
# A database that is full denies every login: `qrtotp fleet status` shows its size.
quota-backend-bytes: {QUOTA}
# Every decision leaves an old value behind.
auto-compaction-mode: \"periodic\"
auto-compaction-retention: \"5m\"
# Members compare their data, when one starts and after each compaction.
experimental-initial-corrupt-check: true
experimental-compact-hash-check-enabled: true
log-level: \"warn\"
",
        fleet = shared.fleet,
        name = own.name,
        peer = peer_url(own),
        cluster = initial_cluster(&shared.members),
        token = cluster_token(&shared.fleet),
        server = file("server.pem"),
        server_key = file("server.key"),
        ca = file("ca.pem"),
        peer_certificate = file("peer.pem"),
        peer_key = file("peer.key"),
    )
}
