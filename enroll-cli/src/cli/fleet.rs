//! `qrtotp fleet`.

use crate::fleet_member::Member;
use clap::{Args, Subcommand};
use qrtotp_values::ConfigDuration;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Make a fleet, and this host its first verifier
    ///
    /// Writes the fleet's CA, its first key, certificates and configurations to /etc/qrtotp/verifier and
    /// /etc/qrtotp/etcd, and prints the next steps. It starts nothing. With several --verifier it also writes
    /// /etc/qrtotp/NAME.bundle, which `qrtotp fleet join-verifier` needs on the others.
    Init(Init),
    /// Make this host one more verifier, with the bundle of `qrtotp fleet init`
    ///
    /// The bundle holds every secret of the fleet: carry it with scp, and delete it afterwards.
    JoinVerifier(JoinVerifier),
    /// Write a bundle for `qrtotp fleet join-verifier` anew; on a verifier, as root
    ///
    /// To replace a lost verifier. It holds every secret of the fleet.
    Bundle {
        /// The new file
        file: PathBuf,
    },
    /// Add a verifier to a fleet that runs, in steps; on a verifier, as root
    ///
    /// From one verifier to three, or to five. Run it with a new FILE for the bundle, which makes a member
    /// that does not vote yet; then once more without it, when the new one's etcd runs. On the other
    /// verifiers run it without FILE, too. It prints the next step.
    AddVerifier(AddVerifier),
    /// Make the fleet's store in etcd, once; on a verifier
    ///
    /// Waits until a majority of the members answers. A store that is there stays unchanged.
    CreateStore,
    /// Print an invitation, with which hosts can join; on a verifier
    ///
    /// It holds a secret: who has it can add a host until it ends. It names the fleet's CA, so a host that
    /// joins needs to trust nothing else.
    Invite(Invite),
    /// Make this host a login host of a fleet
    ///
    /// The host's key is made here and stays here. Writes /etc/qrtotp/relay and /etc/qrtotp/verdict.key, adds
    /// the table `[fleet]` to the configuration and applies it. From then on the verifiers decide all logins
    /// here, so enrol your users there first, and keep a root session open.
    Join(Join),
    /// Leave the fleet: this host's own store decides logins again
    ///
    /// Removes the fleet's name from the configuration, applies it, and deletes the host's keys. The fleet's
    /// accounts don't come into the host's store. Revoke the host on a verifier afterwards.
    Leave {
        /// Even if nobody has a device in the host's own store
        #[arg(long)]
        force: bool,
    },
    /// Make break-glass codes for accounts at this login host, and print them once
    ///
    /// Five codes for each account, taken at this host only, and only while no verifier answers. Older ones
    /// of the account are worth nothing from then on. The host keeps their hashes. Print them for two or
    /// three administrators, and keep them where you would keep a password of root.
    OfflineCodes(OfflineCodes),
    /// Tell the verifiers which break-glass codes were used here; on a login host, as root
    ///
    /// systemd starts it after each login without a verdict (qrtotp-offline-report.path), and again every
    /// five seconds until a verifier knows all of them.
    ReportOffline,
    /// Say which verifiers can be reached from this host; on a verifier, the state of the whole fleet
    ///
    /// On a verifier: etcd's members, leader, size and alarms, the other verifiers, the hosts, and lines that
    /// begin with PROBLEM. Exit code 1 if logins can't be decided.
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take over the accounts of a host's own store; on a verifier, as root
    ///
    /// Codes that are valid now count as used. Accounts that the fleet has already stay unchanged and are
    /// listed. Exit code 1 if there were some.
    Import(FleetImport),
    /// Change the fleet's key or its CA, in steps; on verifiers, as root
    #[command(subcommand)]
    Rotate(Rotate),
    /// Give unused space of this verifier's etcd back to the disk; on a verifier
    ///
    /// Only one verifier is at it at a time, and not while another one is away. Its etcd answers nothing for
    /// some seconds, and login hosts ask the others. `systemctl enable --now qrtotp-defrag.timer` does it
    /// each night.
    Defrag,
    /// After the theft of a verifier: end all that the thief knows, and let people enrol again; as root
    ///
    /// First with --verifier and --bundle, on a verifier that is left: ends the stolen one's membership,
    /// revokes all login hosts, whose keys the thief has, and makes a new key and new CAs. Then with --group
    /// for one group of hosts after the other, or --everyone: revokes every device of its accounts and shows
    /// a code for each to enrol again. Without --yes it only says what it would do.
    Compromise(Compromise),
    /// Save the fleet's store in a file; on a verifier, as root
    ///
    /// The file is sealed with the fleet's keys, which are not in it: keep a copy of
    /// /etc/qrtotp/verifier/fleet.keys elsewhere.
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Replace the data of this verifier's etcd by a backup; on each verifier, as root
    ///
    /// Stop qrtotpd-verifier and qrtotp-etcd on every verifier first. Afterwards all logins are refused until
    /// `qrtotp fleet accept-restore`.
    Restore {
        /// The file of `qrtotp fleet backup`, the same on every verifier
        file: PathBuf,
    },
    /// Let logins go on after a restored backup; on one verifier
    ///
    /// Makes the changes again that the verifiers' journals have and the backup lacks, such as revocations,
    /// and lists those that it can't. Codes that may have been used since the backup are refused.
    AcceptRestore {
        /// The journal of another verifier, copied from its /var/lib/qrtotp-verifier/journal
        #[arg(long = "journal", value_name = "FILE")]
        journals: Vec<PathBuf>,
    },
    /// Login hosts; on a verifier
    #[command(subcommand)]
    Host(FleetHost),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The fleet's name: small letters, digits, dots and dashes
    #[arg(long)]
    pub name: String,
    /// A verifier and where the others reach it, this host first; one, three or five. None: this host alone
    #[arg(long = "verifier", value_name = "NAME=ADDRESS", value_parser = Member::parse)]
    pub verifiers: Vec<Member>,
    #[command(flatten)]
    pub users: VerifierUsers,
}

#[derive(Debug, Args)]
pub struct VerifierUsers {
    /// The verifier's user, who must not be root
    #[arg(long, value_name = "USER", default_value = "qrtotp-verifier")]
    pub user: String,
    /// The group of etcd's user
    #[arg(long, value_name = "GROUP", default_value = "etcd")]
    pub etcd_group: String,
}

#[derive(Debug, Args)]
pub struct JoinVerifier {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub bundle: PathBuf,
    /// This verifier's name, as `qrtotp fleet init` knows it
    #[arg(long)]
    pub name: String,
    /// Put the bundle's keys and certificates in the place of this verifier's own, after a theft
    #[arg(long)]
    pub renew: bool,
    #[command(flatten)]
    pub users: VerifierUsers,
}

#[derive(Debug, Args)]
pub struct AddVerifier {
    /// Its name, and where the others reach it
    #[arg(value_name = "NAME=ADDRESS", value_parser = Member::parse)]
    pub verifier: Member,
    /// A new file for its bundle, which holds every secret of the fleet
    #[arg(value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Where the new one reaches this verifier, if that is the only one so far
    #[arg(long, value_name = "ADDRESS")]
    pub own: Option<String>,
}

#[derive(Debug, Args)]
pub struct FleetImport {
    /// The store's directory; by default this host's own
    #[arg(long, value_name = "DIR", requires = "keys")]
    pub store: Option<PathBuf>,
    /// The directory of its seal.key
    #[arg(long, value_name = "DIR", requires = "store")]
    pub keys: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Invite {
    /// The group that the hosts will be in; [fleet.groups] says which accounts it may ask about
    #[arg(long, default_value = "all")]
    pub group: String,
    /// How many hosts may join with it
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// How long it is valid
    #[arg(long = "for", value_name = "TIME", default_value = "1h")]
    pub valid: ConfigDuration,
}

#[derive(Debug, Args)]
pub struct Join {
    /// The verifiers, separated by commas: names or addresses, each perhaps with a port
    #[arg(value_delimiter = ',', required = true, value_name = "VERIFIER")]
    pub verifiers: Vec<String>,
    /// The file with the invitation; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// The host's name in the fleet; by default its own
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Compromise {
    /// The stolen verifier
    #[arg(long, value_name = "NAME", requires = "bundle")]
    pub verifier: Option<String>,
    /// A new file for the keys and CAs, which the verifiers that are left get
    #[arg(long, value_name = "FILE", requires = "verifier")]
    pub bundle: Option<PathBuf>,
    /// The accounts that hosts of this group may ask about
    #[arg(long, value_name = "GROUP", conflicts_with = "verifier")]
    pub group: Option<String>,
    /// All accounts
    #[arg(long, conflicts_with_all = ["verifier", "group"])]
    pub everyone: bool,
    /// How long the codes live, such as 8h or 7d; by default as the configuration says
    #[arg(long, value_name = "TIME", conflicts_with = "verifier")]
    pub expires: Option<ConfigDuration>,
    /// The accounts as JSON, as `qrtotp reissue --json`
    #[arg(long, conflicts_with = "verifier")]
    pub json: bool,
    /// Do it
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct OfflineCodes {
    /// The accounts
    #[arg(required = true, value_name = "USER")]
    pub users: Vec<String>,
    /// End the codes that they have
    #[arg(long)]
    pub remove: bool,
}

#[derive(Debug, Subcommand)]
pub enum Rotate {
    /// Give the fleet a new key, which seals all values
    #[command(subcommand)]
    Key(RotateKey),
    /// Give the fleet a new CA, which vouches for verifiers and login hosts
    ///
    /// Hosts get the new CA with their daily certificate, and logins go on. `qrtotp fleet status` says which
    /// hosts lack it. etcd has a CA of its own, which this does not change.
    #[command(subcommand)]
    Ca(RotateCa),
}

#[derive(Debug, Subcommand)]
pub enum RotateCa {
    /// First, on one verifier: make a CA, and print the next steps
    Begin {
        /// A new file, to carry the CA to the other verifiers
        file: PathBuf,
    },
    /// Then on every other verifier: add the CA, and restart qrtotpd-verifier
    Add {
        /// That file
        file: PathBuf,
    },
    /// Once the hosts have it, on every verifier: make certificates with it, after another restart
    Use {
        /// Even if hosts or verifiers lack it: these are cut off
        #[arg(long)]
        force: bool,
    },
    /// Last, on every verifier: end the former CA, after another restart
    Finish {
        /// Even if hosts or verifiers still use it: these are cut off
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum RotateKey {
    /// First, on one verifier: make a key, and print the next steps
    Begin {
        /// A new file, to carry the key to the other verifiers
        file: PathBuf,
    },
    /// Then on every other verifier: add the key, and restart qrtotpd-verifier
    Add {
        /// That file
        file: PathBuf,
    },
    /// Then on every verifier: seal with the key, after another restart
    Use {
        /// The key's id
        key: String,
    },
    /// Last, on one verifier: seal everything with the key
    Finish,
}

#[derive(Debug, Subcommand)]
pub enum FleetHost {
    /// List the hosts: state, groups, when each joined, and failures of this hour
    List {
        /// A JSON object a line, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Refuse a host until it is released, for example because of many failures there
    Hold {
        /// Its name
        host: String,
    },
    /// Let a host that is held ask again
    Release {
        /// Its name
        host: String,
    },
    /// Revoke a host: its next request is refused
    Revoke {
        /// Its name
        host: String,
    },
}
