//! The one definition of commands and options. Help, man pages and completions all come from it.

mod account;
mod audit;
mod config;
mod device;
mod doctor;
mod enroll;
mod explain;
mod fleet;
mod import;
mod key;
mod place;
mod setup;
mod token;
mod watch;

pub use account::Account;
pub use audit::{Audit, Form as AuditForm, Show, Sources, What as AuditWhat};
pub use config::{Apply, Config, Explain, Familiarity, Key, Rollback};
pub use device::{Bulk, Device, Reissue, Rename, Revoke, RevokeAnybody};
pub use doctor::{Doctor, DoctorWhat, ReplayedLogin};
pub use enroll::{Enroll, Qr};
pub use explain::explain;
pub use fleet::{
    AddVerifier, Compromise, Fleet, FleetHost, FleetImport, Init, Invite, Join, JoinVerifier, OfflineCodes,
    Rotate, RotateCa, RotateKey, VerifierUsers,
};
pub use import::{Google, How, Import, Keys, KeysOfFile, Oath};
pub use key::{AddKey, HardwareKey};
pub use place::Places;
pub use setup::{Enrol, Setup, With};
pub use token::{Issue, Token, TokenUsers};
pub use watch::{Least as WatchLeast, Watch};

use clap::{Args, Parser, Subcommand};
use qrtotp_policy::DEFAULT_PATH;
use qrtotp_values::ConfigDuration;
use std::path::PathBuf;

/// Behind a command's own options stand those that all have.
const LAST: usize = 900;

/// Enrol, administer and diagnose one-time-code second factors
///
/// Users without root manage their own account through the broker, which asks for a code of an enrolled
/// device, for a token's code or for the password.
///
/// Keys and codes are read from standard input or the terminal, never from the command line, where other
/// users could see them. Exit codes: 0 done, 1 refused, 2 error.
#[derive(Debug, Parser)]
#[command(name = "qrtotp", version)]
pub struct Cli {
    /// The configuration, see qrtotp.toml(5); the sealing key lies beside it
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_PATH, display_order = LAST)]
    pub config: PathBuf,
    /// Send the request to the broker (qrtotpd) on this socket. The default without root: /run/qrtotp/socket
    #[arg(long, global = true, value_name = "PATH", display_order = LAST)]
    pub socket: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make configuration, sealing key and store, without enrolling anybody (root only)
    ///
    /// Existing files stay unchanged. Commands that enrol somebody make missing files, too.
    Init,
    /// Make services ask for codes; without --apply, only show the changes (root only)
    ///
    /// Adds one line to each service's PAM file, after the line that checks the password. `sudo` includes
    /// sudo-i, and `su` includes su-l. sshd also gets /etc/ssh/sshd_config.d/00-qrtotp.conf. If `doctor`'s
    /// check finds no safe place for the line, nothing changes.
    ///
    /// --apply saves the old files, checks each step, and restores them if one fails. If sshd changes, it
    /// ends with a trial login by ssh; this command does not see your password or code. Then log in from a
    /// second terminal and run `qrtotp setup --keep` there: without it a systemd timer undoes everything,
    /// also after a reboot.
    ///
    /// With --json one object: version (1), applied (whether it changed anything), changes (each with file
    /// and diff, empty if nothing is left to change) and undone_at (when the timer undoes them, in Unix
    /// seconds, or null). No trial login is made then.
    Setup(Setup),
    /// Enrol an authenticator app: show a QR code, ask for a first code, then activate it
    ///
    /// If you stop before the first code is accepted, the account is unchanged; but a recovery code that you
    /// proved yourself with is used up, and wrong ones count.
    Enroll(Enroll),
    /// Show what is enrolled: devices, recovery codes left, lock and token (no secrets)
    Status(Status),
    /// List all accounts, a line each: status, devices, last use, recovery codes left, lock and token (root
    /// only)
    ///
    /// Sorted by name if there are at most 1000, else in no order. An account whose record can't be read is
    /// reported on standard error, and the exit code is then 2. With several of --unenrolled, --locked and
    /// --stale, an account is listed if it matches any of them.
    List(List),
    /// Check a code from standard input; this uses it up (root only, except with --stdin-json)
    ///
    /// Prints "accepted" (exit code 0), "denied", or "ignored" if the account needs no code (both exit code
    /// 1). Rules are not applied: see `qrtotp config explain`.
    ///
    /// With --stdin-json, for a service account that [broker.services] in the configuration lists: reads one
    /// line of at most 4 KiB from standard input, a JSON object with the string keys user, service and code,
    /// and has the broker verify the code. Prints {"version":1,"accepted":true} (exit code 0) or
    /// {"version":1,"accepted":false} (exit code 1), and the reason only in the system log. With a string key
    /// `id`, a request that is repeated within a minute gets the same answer. Exit code 2, with nothing on
    /// standard output, if the line is malformed, the caller is not listed, or the broker does not answer.
    Verify {
        /// The user
        #[arg(required_unless_present = "stdin_json", conflicts_with = "stdin_json")]
        user: Option<String>,
        /// Ask as a listed service: {"user":"alice","service":"portal","code":"123456"}
        #[arg(long)]
        stdin_json: bool,
    },
    /// Import keys from another system (root only)
    #[command(subcommand)]
    Import(Import),
    /// Replace the recovery codes
    #[command(subcommand)]
    Recovery(Recovery),
    /// An account's devices
    #[command(subcommand)]
    Device(Device),
    /// Hardware ssh keys, which rules can take as second factor (root only)
    #[command(subcommand)]
    Key(HardwareKey),
    /// Allow for a device's wrong clock, by two of its codes in a row
    ///
    /// For a device whose codes are refused though nothing else is wrong: its clock may be up to 10 minutes
    /// off. Asks for two codes in a row. If both are correct, this device's codes are accepted with its
    /// offset from then on; both codes are used up. If not, this counts as one wrong code; an empty answer
    /// does not.
    Resync {
        /// The user; by default, you
        user: Option<String>,
    },
    /// Revoke devices, with effect from the next login. The same as `qrtotp device revoke`
    ///
    /// Without --credential or --all it revokes the account's only device, and refuses if there are several.
    /// With the last device the account is revoked: its logins are denied until it is enrolled again.
    ///
    /// --group, --rule, --everyone and --enrolled-before select many accounts. The command prints how many,
    /// and you type that number to confirm. A run that was interrupted can be repeated: revoked devices are
    /// not counted again.
    Revoke(RevokeAnybody),
    /// Revoke devices, and issue each account a token with a one-time code, shown once, to enrol a new device
    /// (root only)
    ///
    /// For one account, or for several with the options of `qrtotp revoke`. The code works at `qrtotp
    /// enroll`; at a login only if `first_login` is "enroll" or "token". An account that keeps a newer device
    /// gets no code. A run that was interrupted can be repeated: a reissued account has no device. If its
    /// code was lost, `qrtotp token revoke` and `qrtotp token issue --code` make another.
    Reissue(Reissue),
    /// An account as a whole: when a person's name or uid changes, or the person leaves (root only)
    #[command(subcommand)]
    Account(Account),
    /// Clear counted failures, so that codes are checked again (root only)
    ///
    /// --from also marks that place as familiar for a day: the user can log in from there even while
    /// strangers are guessing codes.
    Unlock {
        /// The user
        user: String,
        /// Where the user is: an address, a network such as 192.0.2.0/24, or a place of `qrtotp place list`
        #[arg(long, value_name = "NETWORK|PLACE")]
        from: Option<String>,
    },
    /// Familiar places: networks and ssh keys from which a correct code came; strangers' wrong codes delay no
    /// login from there (root only)
    #[command(subcommand)]
    Place(Places),
    /// Enrolment tokens: each lets a user enrol one device, once (root only)
    #[command(subcommand)]
    Token(Token),
    /// The configuration: check, apply and explain it (root only)
    #[command(subcommand)]
    Config(Config),
    /// Many hosts with one set of accounts: verifiers decide logins, login hosts keep no secret (root only)
    #[command(subcommand)]
    Fleet(Fleet),
    /// Show the audit log, and prove that no line of it was changed or removed (root, or to show it a reader
    /// of the log)
    ///
    /// Reads the journal and /var/log/auth.log*, rotated and compressed ones too. A line in both is shown
    /// once. Lines that look like ours but were written by a process without root's rights are marked FORGED,
    /// if the journal says who wrote them.
    Audit(Audit),
    /// A console for a terminal: live events, accounts with their counted wrong codes, open tokens, rules in
    /// use; unlock, revoke and reissue (root only)
    ///
    /// Needs 80x24 and no colour. `u` unlocks the selected account. `r` revokes all its devices, or on page 3
    /// its token. `i` revokes its devices and shows a one-time code for a new one. Each key asks first, and
    /// logs what the command logs. It opens no port.
    Top,
    /// Follow the log and report what deserves a look: guessing, a code that two people know, a new place,
    /// many enrolments
    ///
    /// Needs no root, only the right to read the log (group systemd-journal, or adm for files). Each anomaly
    /// has its reason. It reads the log of the last 30 days first, to tell lines of the module from lines
    /// that users wrote. It reports the same anomaly of an account or a network at most once an hour. With
    /// --file it reads that log to its end, and prints what it would have reported. docs/AUDIT.md lists the
    /// rules.
    Watch(Watch),
    /// Print the store in numbers for Prometheus, without any name (root only)
    ///
    /// On standard output they are in the OpenMetrics form, in a file in the text form that node_exporter
    /// reads. Run it once a minute with --textfile /var/lib/prometheus/node-exporter/qrtotp.prom, from cron
    /// or a timer. Then it also counts logins and anomalies in the log, and goes on from the counts in the
    /// file. For a collector that runs programs, --state does the same on standard output.
    Metrics {
        /// Replace this file at once, for node_exporter's textfile collector; follows no link
        #[arg(long, value_name = "FILE")]
        textfile: Option<PathBuf>,
        /// Count logins and anomalies, too: go on from the counts in this file, and keep them there
        #[arg(long, value_name = "FILE", conflicts_with = "textfile")]
        state: Option<PathBuf>,
    },
    /// Find what is wrong on this host, and say how to fix it; changes nothing
    ///
    /// Checks each service whose PAM file names the module: can users get in, and only the right ones? For
    /// sshd it does so for the users and addresses that its Match blocks name. Then it checks the
    /// configuration, key, store, records, module, clock, broker (at --socket, if that is given), system log
    /// and disk. Run it as root: others can't see the records, and sshd does not tell them its settings.
    ///
    /// First the verdict, then the findings, the worst first: FAIL (it lets someone in who should be kept
    /// out, or keeps out someone who should get in), WARN (worth a look, or it can't be known here), INFO
    /// (worth knowing) and OK; each with its id, why it matters and what to do. In colour on a terminal,
    /// unless NO_COLOR is set.
    ///
    /// Exit code 0: no FAIL. 1: a FAIL. 2: the diagnosis itself failed.
    ///
    /// With --json one object: version (1), time (Unix seconds), verdict (ok, warn or fail), summary (how
    /// many findings are fail, warn, info and ok), findings and accounts. Each finding has id (kebab-case,
    /// stable), severity (fail, warn, info or ok), subject (services, a file, an account or a key of the
    /// configuration), what, why and fix; all but id and severity may be empty, and are for people. accounts
    /// is null if the store can't be read, else it has the counts enrolled, unenrolled, revoked, unreadable,
    /// disabled, devices, devices_clock_off, pending, tokens_live and tokens_expired. Later versions may add
    /// keys, ids and findings.
    Doctor(Doctor),
    /// Test the installation with real logins of throwaway accounts, isolated from this host (root only)
    ///
    /// In namespaces of its own, on a copy of /etc and /var in memory and with a store of its own, real
    /// logins are made: by the module alone, by sshd and by sudo with their PAM files as they are. No file of
    /// the host is changed, no real account is asked, and nothing comes into the system log. It takes about a
    /// minute. Your rules are not applied; `qrtotp config explain` tests those.
    ///
    /// Prints a line for each check: ok, FAIL with what was seen, or - with the reason it was skipped. Exit
    /// code 0: none failed. 1: one failed. 2: the test itself failed.
    ///
    /// With --json one object: version (1), passed, failed, not_tried (how many) and checks, each with id
    /// (kebab-case, stable), result (passed, failed or not_tried), what and detail. Later versions may add
    /// keys and ids.
    Selftest(Selftest),
    /// Write a completion script for a shell to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages of all commands into a directory
    Man {
        /// The directory, which must exist
        dir: PathBuf,
    },
}

/// Which accounts are listed. Without a condition all; of several, any has to hold.
#[derive(Debug, Default, Args)]
pub struct List {
    /// JSON: an object for each account, a line each, as `status USER --json` shows it
    #[arg(long)]
    pub json: bool,
    /// Only accounts without a device, and users of this host with a login shell who have no record
    #[arg(long)]
    pub unenrolled: bool,
    /// Only accounts whose codes have to wait or are disabled after wrong ones
    #[arg(long)]
    pub locked: bool,
    /// Only enrolled accounts that have given no code for so long, such as 90d, or never
    #[arg(long, value_name = "TIME")]
    pub stale: Option<ConfigDuration>,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// The account; by default all accounts for root, and your own otherwise
    pub user: Option<String>,
    /// JSON, with times in Unix seconds
    ///
    /// One object, for all accounts one on each line. `stray` is null, or says why nobody can log in with the
    /// record: `no_user` (no user has this name) or `other_uid` (the user has another uid than the record).
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Recovery {
    /// Make ten new recovery codes and show them once; the old ones are worth nothing from then on
    Regenerate {
        /// The user; by default, you
        user: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
