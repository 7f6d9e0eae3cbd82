//! `qrtotp fleet`.

use clap::{Args, Subcommand};
use qrtotp_values::ConfigDuration;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Make a verifier here: the fleet's CA, a store, a configuration and a certificate
    ///
    /// In /etc/qrtotp/verifier and /var/lib/qrtotp-verifier, which then belong to the verifier's user.
    /// Existing files stay unchanged. Then start it: `systemctl enable --now qrtotpd-verifier`.
    Init(Init),
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
    /// Say which verifiers can be reached from this host; on a verifier, how many hosts it has
    ///
    /// Exit code 1 if none can be reached.
    Status,
    /// Login hosts; on a verifier
    #[command(subcommand)]
    Host(FleetHost),
}

#[derive(Debug, Args)]
pub struct Init {
    /// The fleet's name: small letters, digits, dots and dashes
    #[arg(long)]
    pub name: String,
    /// The verifier's user, who must not be root
    #[arg(long, value_name = "USER", default_value = "qrtotp-verifier")]
    pub user: String,
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

#[derive(Debug, Subcommand)]
pub enum FleetHost {
    /// List the hosts: groups, when each joined, and when its relay was last connected
    List {
        /// A JSON object a line, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Revoke a host: its next request is refused
    Revoke {
        /// Its name
        host: String,
    },
}
