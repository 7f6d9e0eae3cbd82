//! `qrtotp fleet compromise`, after the theft of a verifier: new keys and CAs for the others, no host and no
//! device that the thief knows, and codes with which people enrol again.

use super::add_verifier::{LIMIT, client, members, patiently};
use super::etcd_files::EtcdSettings;
use super::shared::Shared;
use super::verifier::{self, config_path, directory};
use crate::caller::{subject, syslog};
use crate::cli::{Bulk, Compromise, Reissue};
use crate::cmd::bulk::{Target, Targets};
use crate::cmd::reissue::reissue_all;
use crate::cmd::revoke::revoke as revoke_devices;
use crate::context::{Context, known_user};
use crate::error::{Exit, Failure, shown};
use crate::fleet_member::Member;
use nix::unistd::geteuid;
use qrtotp_audit::{Event, Kind};
use qrtotp_fleet::{Etcd, FleetStore, HostName, HostState};
use qrtotp_fleet_tls::write_private;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

pub fn run(named: &Path, args: &Compromise) -> Result<Exit, Failure> {
    match (&args.verifier, &args.bundle, args.group.as_deref(), args.everyone) {
        (Some(stolen), Some(bundle), None, false) => end_verifier(named, stolen, bundle, args.yes),
        (None, None, group, everyone) if group.is_some() || everyone => accounts(named, group, args),
        _ => Err(Failure::Error(
            "give --verifier and --bundle first; then, group by group, --group or --everyone".into(),
        )),
    }
}

/// Ends what the thief has of the fleet, but for the accounts.
fn end_verifier(named: &Path, stolen: &str, bundle: &Path, yes: bool) -> Result<Exit, Failure> {
    if !geteuid().is_root() {
        return Err(Failure::Error("run this as root on a verifier that was not stolen".into()));
    }
    let etcd_directory = verifier::etcd_directory(named);
    let settings = EtcdSettings::read(&etcd_directory)?;
    let left = left_members(&settings, stolen)?;
    let etcd = client(&etcd_directory, &settings)?;
    let member = members(&etcd)?.into_iter().find(|member| member.name == stolen);
    if yes {
        let shared = renewed(named, &settings, left.clone())?;
        write_private(bundle, shared.to_bundle()?.as_bytes())?;
        if let Some(member) = &member {
            remove(&etcd, member.id)?;
        }
    }
    drop(etcd);
    let (_, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    let hosts = store.hosts()?.into_iter().filter(|(_, host)| host.state != HostState::Revoked);
    let hosts: Vec<HostName> = hosts.map(|(name, _)| name).collect();
    if yes {
        revoke(&store, &hosts)?;
        let name = HostName::new(stolen).map_err(|error| Failure::Error(error.to_string()))?;
        store.forget_verifier(&name)?;
    }
    report(stolen, member.is_some(), &hosts, &left, bundle, yes)?;
    Ok(Exit::Done)
}

/// etcd refuses it while it is not sure of the others.
fn remove(etcd: &Etcd, member: u64) -> Result<(), Failure> {
    patiently(|| match etcd.status(LIMIT)?.members {
        // By an earlier try whose answer was lost.
        Some(members) if members.iter().all(|known| known.id != member) => Ok(()),
        _ => etcd.remove_member(member, LIMIT),
    })
}

fn left_members(settings: &EtcdSettings, stolen: &str) -> Result<Vec<Member>, Failure> {
    if settings.name == stolen {
        return Err(Failure::Refused("run this on a verifier that was not stolen".into()));
    }
    let (gone, left): (Vec<_>, Vec<_>) =
        settings.members().into_iter().partition(|member| member.name == stolen);
    if gone.is_empty() {
        let names: Vec<&str> = left.iter().map(|member| member.name.as_str()).collect();
        let text = format!("the fleet has no verifier {stolen}; its verifiers are {}", names.join(", "));
        return Err(Failure::Refused(text));
    }
    Ok(left)
}

/// New CAs and a new key; the older keys still open what they sealed.
fn renewed(named: &Path, settings: &EtcdSettings, left: Vec<Member>) -> Result<Shared, Failure> {
    let fleet = settings.token.strip_prefix("qrtotp-").unwrap_or(&settings.token);
    let old = Shared::read(directory(&config_path(named)), fleet, Vec::new())?;
    let mut new = Shared::generate(fleet, left)?;
    let keys = Zeroizing::new(format!("{}\n{}", new.keys.trim_end(), old.keys));
    new.keys.clone_from(&keys);
    new.running = true;
    Ok(new)
}

/// The thief has the keys with which verdicts for these hosts are signed.
fn revoke(store: &FleetStore, hosts: &[HostName]) -> Result<(), Failure> {
    let by = subject("");
    for host in hosts {
        store.set_host_state(host, HostState::Revoked)?;
        Event::new(Kind::HostRevoked, &by).detail(host.as_str()).emit(&mut syslog());
    }
    Ok(())
}

fn report(
    stolen: &str,
    is_member: bool,
    hosts: &[HostName],
    left: &[Member],
    bundle: &Path,
    yes: bool,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let (was, were) = if yes { ("", "") } else { ("would be ", "would be ") };
    if is_member {
        writeln!(out, "{was}removed: etcd's member {stolen}")?;
    }
    writeln!(out, "{were}revoked: {} login hosts", hosts.len())?;
    writeln!(out, "{were}made: a key of the fleet, its CA and etcd's CA, in {}", shown(bundle))?;
    if !yes {
        writeln!(
            out,
            "Nothing was changed. Add --yes to do it: then nobody logs in at a login host, except local\naccounts and owners of break-glass codes, until you have done the steps that it prints."
        )?;
        return Ok(());
    }
    let (names, bundle) = (left.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), shown(bundle));
    writeln!(
        out,
        "\nNow take {stolen} off the network. Then:\n\
         1. Carry {bundle} to {names}, which are all that are left. On each, this one too:\n\
         \x20      systemctl stop qrtotpd-verifier qrtotp-etcd\n\
         \x20      qrtotp fleet join-verifier --renew --name NAME {bundle}\n\
         \x20      rm {bundle}\n\
         \x20      systemctl start qrtotp-etcd qrtotpd-verifier\n\
         2. Once, when `qrtotp fleet status` shows no other problem: qrtotp fleet rotate key finish\n\
         3. Group by group: qrtotp fleet compromise --group GROUP --yes\n\
         4. Hosts of that group join again, with a new invitation: qrtotp fleet invite --group GROUP\n\
         5. Put a clean machine in the place of {stolen}: qrtotp fleet add-verifier\n\
         6. Backups from before hold secrets that the thief can read: destroy them.",
        names = names.join(" and ")
    )?;
    Ok(())
}

/// Revokes every device of the accounts of a group of hosts, and issues codes to enrol again.
fn accounts(named: &Path, group: Option<&str>, args: &Compromise) -> Result<Exit, Failure> {
    let (context, files) = verifier::files(named)?;
    let store = files.open_beside()?;
    is_group(&context, group)?;
    let bulk = Bulk {
        group: None,
        rule: None,
        everyone: true,
        enrolled_before: None,
        dry_run: !args.yes,
        confirm: None,
        json: args.json,
    };
    let mut targets = Targets::find(&context, &store, &bulk, false)?;
    if let Some(group) = group {
        let groups = [group.to_owned()];
        targets.all.retain(|target| context.config.fleet.may_ask(&groups, target.name.as_str()));
    }
    let strangers = take_strangers(&mut targets);
    let bulk = Bulk { confirm: Some(targets.all.len()), ..bulk };
    let done = reissue_all(&context, &store, &targets, &Reissue { user: None, bulk, expires: args.expires });
    Ok(done?.max(end_strangers(&context, &store, &strangers, args.yes)))
}

/// Accounts of users that this verifier does not know, who can't get a code.
fn take_strangers(targets: &mut Targets) -> Vec<Target> {
    targets.all.extract_if(.., |target| known_user(target.name.as_str()).is_err()).collect()
}

/// Revokes their devices all the same: the thief knows them.
fn end_strangers(context: &Context, store: &FleetStore, strangers: &[Target], yes: bool) -> Exit {
    for target in strangers {
        let (name, count) = (&target.name, target.count());
        let revoked = match yes.then(|| revoke_devices(context, store, target)) {
            None => format!("{count} devices would be revoked"),
            Some(Ok(gone)) => format!("{gone} devices revoked"),
            Some(Err(error)) => format!("its devices are NOT revoked: {error}"),
        };
        let _ = writeln!(
            std::io::stderr(),
            "qrtotp: {name}: {revoked}; this verifier does not know the user, so there is no code"
        );
    }
    if strangers.is_empty() { Exit::Done } else { Exit::Refused }
}

fn is_group(context: &Context, group: Option<&str>) -> Result<(), Failure> {
    let known = &context.config.fleet.groups;
    match group {
        Some(group) if !known.iter().any(|(name, _)| name == group) => {
            Err(Failure::Refused(format!("[fleet.groups] has no group {group}; nothing was changed")))
        }
        _ => Ok(()),
    }
}
