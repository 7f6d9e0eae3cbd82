//! `qrtotp fleet add-verifier`: one more member for the etcd of a fleet that runs.
//!
//! A new member does not vote until it has the others' data, so that logins go on meanwhile: the command is
//! run once to add it, and again to let it vote. On the other verifiers it only writes the member down.

use super::ca_change::CaChange;
use super::etcd_files::{self, EtcdSettings};
use super::shared::Shared;
use super::verifier::{self, config_path, directory};
use crate::cli::AddVerifier;
use crate::error::{Exit, Failure, shown};
use crate::fleet_member::Member;
use nix::unistd::geteuid;
use qrtotp_clock::{Deadline, sleep};
use qrtotp_fleet::{Etcd, EtcdOptions, FleetError, Member as EtcdMember};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long etcd may take for each request.
pub const LIMIT: Duration = Duration::from_secs(5);
/// How long a new member may take to get the others' data, and etcd to allow another change.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_secs(1);
const RESTART: &str = "systemctl restart qrtotp-etcd";

/// A client of this verifier's member, for root: the client's own certificate belongs to the verifier's user.
pub fn client(directory: &Path, settings: &EtcdSettings) -> Result<Etcd, Failure> {
    let read = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|error| Failure::Error(format!("{}: {error}", path.display())))
    };
    let address: Option<SocketAddr> =
        settings.clients.strip_prefix("https://").and_then(|address| address.parse().ok());
    let options = EtcdOptions {
        address: address.ok_or(Failure::Error("etcd.yml has no address for clients".into()))?,
        authority: read("ca.pem")?,
        certificate: read("peer.pem")?,
        key: Zeroizing::new(read("peer.key")?),
    };
    Ok(Etcd::new(&options).map_err(FleetError::from)?)
}

/// The members of the cluster, as a majority of them says.
pub fn members(etcd: &Etcd) -> Result<Vec<EtcdMember>, Failure> {
    let status = etcd.status(LIMIT).map_err(FleetError::from)?;
    let missing = || {
        Failure::Refused("etcd has no quorum; start qrtotp-etcd on a majority of the verifiers first".into())
    };
    status.members.ok_or_else(missing)
}

pub fn run(named: &Path, args: &AddVerifier) -> Result<Exit, Failure> {
    if !geteuid().is_root() {
        return Err(Failure::Error("a verifier is added by root; run this with sudo".into()));
    }
    if CaChange::read(directory(&config_path(named)))?.is_some() {
        let text = "the CA is being changed; run `qrtotp fleet rotate ca finish` first";
        return Err(Failure::Refused(text.into()));
    }
    let etcd_directory = verifier::etcd_directory(named);
    let settings = EtcdSettings::read(&etcd_directory)?;
    let mut known = settings.members();
    if known.iter().any(|member| member.name == settings.name && member.is_alone()) {
        let own = args.own.as_deref().map(|own| Member::parse(&format!("{}={own}", settings.name)));
        let own = own.transpose().map_err(Failure::Error)?.ok_or_else(|| {
            let text = "the others can't reach this verifier at 127.0.0.1; give its address with --own";
            Failure::Refused(text.into())
        })?;
        return move_own(named, &etcd_directory, &settings, &own);
    }
    let new = &args.verifier;
    if known.iter().any(|member| (member.name == new.name) != (member.address == new.address)) {
        return Err(Failure::Refused(format!("another verifier has the name or address of {}", new.name)));
    }
    if !known.contains(new) {
        known.push(new.clone());
    }
    let etcd = client(&etcd_directory, &settings)?;
    let peer = etcd_files::peer_url(new);
    let message = match members(&etcd)?.into_iter().find(|member| member.peers.contains(&peer)) {
        Some(member) if member.is_learner => promote(&etcd, &member, new)?,
        Some(_) => format!("This verifier knows {} now.", new.name),
        None => add(named, (&etcd, &settings), &known, new, args.bundle.as_deref())?,
    };
    etcd_files::write_members(&etcd_directory, &known)?;
    writeln!(std::io::stdout(), "{message}")?;
    Ok(Exit::Done)
}

/// Gives the only verifier of a fleet an address that others can reach.
fn move_own(named: &Path, directory: &Path, settings: &EtcdSettings, own: &Member) -> Result<Exit, Failure> {
    let etcd = client(directory, settings)?;
    let member = members(&etcd)?.into_iter().find(|member| member.name == settings.name);
    let member = member.ok_or(Failure::Error("etcd does not know itself by the name of etcd.yml".into()))?;
    let shared = shared(named, settings, vec![own.clone()])?;
    etcd.move_member(member.id, &etcd_files::peer_url(own), LIMIT).map_err(FleetError::from)?;
    etcd_files::move_own(directory, &shared, own)?;
    writeln!(
        std::io::stdout(),
        "The others reach this verifier at {} from the next start of its etcd. Logins wait for some seconds:\n    \
         {RESTART}\nThen run this command again.",
        own.address
    )?;
    Ok(Exit::Done)
}

fn shared(named: &Path, settings: &EtcdSettings, members: Vec<Member>) -> Result<Shared, Failure> {
    let fleet = settings.token.strip_prefix("qrtotp-").unwrap_or(&settings.token);
    Shared::read(directory(&config_path(named)), fleet, members)
}

fn add(
    named: &Path,
    (etcd, settings): (&Etcd, &EtcdSettings),
    known: &[Member],
    new: &Member,
    bundle: Option<&Path>,
) -> Result<String, Failure> {
    let file = bundle.ok_or_else(|| {
        Failure::Refused(format!("{} is not in the cluster yet; name a new file for its bundle", new.name))
    })?;
    let mut shared = shared(named, settings, known.to_vec())?;
    shared.running = true;
    let failed = |error: std::io::Error| Failure::Error(format!("{}: {error}", shown(file)));
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    out.write_all(shared.to_bundle()?.as_bytes()).and_then(|()| out.sync_all()).map_err(failed)?;
    let peer = etcd_files::peer_url(new);
    let added = patiently(|| match etcd.status(LIMIT)?.members {
        // By an earlier try whose answer was lost.
        Some(members) if members.iter().any(|member| member.peers.contains(&peer)) => Ok(()),
        _ => etcd.add_learner(&peer, LIMIT).map(|_| ()),
    });
    if let Err(error) = added {
        let _ = std::fs::remove_file(file);
        return Err(error);
    }
    let (file, Member { name, address }) = (shown(file), new);
    Ok(format!(
        "Added {name}; it does not vote yet. {file} holds every secret of the fleet: carry it to {address}, and run there:\n    \
         qrtotp fleet join-verifier --name {name} {file}\n    rm {file}\n    systemctl disable --now etcd\n    \
         systemctl enable --now qrtotp-etcd\nThen here, with the same names: rm {file}, and this command once more.\n\
         At last, there: systemctl enable --now qrtotpd-verifier"
    ))
}

fn promote(etcd: &Etcd, member: &EtcdMember, new: &Member) -> Result<String, Failure> {
    if member.name.is_empty() {
        let text = format!("the etcd of {} did not start yet; `systemctl start qrtotp-etcd` there", new.name);
        return Err(Failure::Refused(text));
    }
    patiently(|| etcd.promote(member.id, LIMIT))?;
    Ok(format!(
        "{name} votes now. Run there: systemctl enable --now qrtotpd-verifier\n\
         On the other verifiers run this command, too, so that they know {name}.\n\
         On each login host add {address} to /etc/qrtotp/relay/verifiers, and restart qrtotp-relay.",
        name = new.name,
        address = new.address
    ))
}

/// Repeats what etcd refuses for a while: a member that lacks data, or a cluster that just changed.
pub fn patiently(change: impl Fn() -> Result<(), qrtotp_fleet::EngineError>) -> Result<(), Failure> {
    let left = Deadline::after(PATIENCE);
    loop {
        match change() {
            Ok(()) => return Ok(()),
            Err(_) if !left.left().is_zero() => sleep(PAUSE),
            Err(error) => return Err(FleetError::from(error).into()),
        }
    }
}
