//! The one definition of commands and options. Help, man pages and completions all come from it.

mod account;
mod audit;
mod config;
mod device;
mod explain;
mod fleet;
mod import;
mod key;
mod place;
mod watch;

pub use account::Account;
pub use audit::{Audit, Form as AuditForm, Show, Sources, What as AuditWhat};
pub use config::{Apply, Config, Explain, Key, Place, Rollback};
pub use device::{Bulk, Device, Reissue, Rename, Revoke, RevokeAnybody};
pub use explain::explain;
pub use fleet::{
    AddVerifier, Compromise, Fleet, FleetHost, FleetImport, Init, Invite, Join, JoinVerifier, OfflineCodes,
    Rotate, RotateCa, RotateKey, VerifierUsers,
};
pub use import::{Google, How, Import, Keys, KeysOfFile, Oath};
pub use key::{AddKey, HardwareKey};
pub use place::Places;
pub use watch::{Least as WatchLeast, Watch};

use clap::{Args, Parser, Subcommand, ValueEnum};
use qrtotp_account::KeyFingerprint;
use qrtotp_policy::{DEFAULT_PATH, FirstLogin};
use qrtotp_values::ConfigDuration;
use std::convert::Infallible;
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
    /// --stale, the accounts that any of them means.
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
    /// Correct for a device whose clock is wrong, by two codes in a row
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
    /// Show the audit log, and prove that no line of it was changed or removed (root only)
    ///
    /// Reads the journal and /var/log/auth.log*, rotated and compressed ones too. A line in both is shown
    /// once. Lines that look like ours but were written by a process without root's rights are marked FORGED,
    /// where the journal says who wrote them.
    Audit(Audit),
    /// A console for a terminal: live events, accounts with their counted wrong codes, open tokens, rules in
    /// use; unlock, revoke and reissue (root only)
    ///
    /// Needs 80x24 and no colour. `u` unlocks the selected account. `r` revokes all its devices, or on page 3
    /// its token. `i` revokes its devices and shows a one-time code for a new one. Each key asks first, and
    /// logs what the command logs. It opens no port.
    Top,
    /// Follow the log and say what deserves a look: guessing, a code that two people know, a new place, many
    /// enrolments
    ///
    /// Needs no root, only the right to read the log (group systemd-journal, or adm for files). Each anomaly
    /// says why. It reads the log of the last 30 days first, to tell lines of the module from lines that
    /// users wrote. It reports the same anomaly of an account or a network at most once an hour. With --file
    /// it reads that log to its end, and prints what it would have reported. docs/AUDIT.md lists the rules.
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
    /// A JSON object a line, as `status USER --json` shows it, with times in Unix seconds
    #[arg(long)]
    pub json: bool,
    /// Only accounts without a device, and users of this host with a login shell who have no record
    #[arg(long)]
    pub unenrolled: bool,
    /// Only accounts whose codes have to wait or are disabled after wrong ones
    #[arg(long)]
    pub locked: bool,
    /// Only enrolled accounts whose last code is longer ago, such as 90d, or that never gave one
    #[arg(long, value_name = "TIME")]
    pub stale: Option<ConfigDuration>,
}

#[derive(Clone, Debug, Args)]
pub struct Setup {
    /// sshd, sudo, su, login or other files of /etc/pam.d; without any, it asks you, and makes the changes if
    /// you agree
    #[arg(conflicts_with_all = ["undo", "keep"], value_name = "SERVICE")]
    pub services: Vec<String>,
    /// The factor that users prove before the code at sshd; by default the one that it takes today
    #[arg(long, value_name = "WHAT", value_enum)]
    pub with: Option<With>,
    /// Accounts without a device at a login: sets `first_login` in qrtotp.toml
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with_all = ["undo", "keep"])]
    pub first_login: Option<Enrol>,
    /// Never ask these users for a code, nor groups written @GROUP; at sshd a key alone lets them in
    #[arg(long, value_name = "USER", value_delimiter = ',', conflicts_with_all = ["undo", "keep"])]
    pub exempt: Vec<String>,
    /// Make the changes; --yes is the same
    #[arg(long, alias = "yes")]
    pub apply: bool,
    /// Undo the changes after this time (at least 1m) unless you run `setup --keep`
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub confirm: ConfigDuration,
    /// Don't undo the changes automatically; only if you can reach the console
    #[arg(long, conflicts_with = "confirm")]
    pub no_timer: bool,
    /// Make the trial login as this user; by default, as the user you logged in as, unless that is root
    #[arg(long, value_name = "USER", conflicts_with = "no_trial")]
    pub trial: Option<String>,
    /// Skip the trial login
    #[arg(long)]
    pub no_trial: bool,
    /// Confirm the last changes, so that the timer does not undo them
    #[arg(long, conflicts_with_all = ["apply", "undo"])]
    pub keep: bool,
    /// Put back what was there before the last change
    #[arg(long, conflicts_with = "apply")]
    pub undo: bool,
    /// Change nothing: list the PAM files that would no longer name the module if every set-up were undone
    #[arg(long, requires = "undo")]
    pub check: bool,
    /// JSON
    #[arg(long, conflicts_with_all = ["undo", "keep", "trial"])]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Doctor {
    /// Show failures and warnings only
    #[arg(long)]
    pub problems: bool,
    /// JSON, with times in Unix seconds
    #[arg(long)]
    pub json: bool,
    /// Show what would mend the findings of this id, if that is mechanical and can be undone
    #[arg(long, value_name = "ID", conflicts_with_all = ["problems", "json"])]
    pub fix: Option<String>,
    /// Change it. PAM files and sshd's settings as `qrtotp setup --apply` does: undone after 10 minutes
    /// without `qrtotp setup --keep`
    #[arg(long, requires = "fix")]
    pub apply: bool,
    /// Don't undo the change automatically; only if you can reach the console
    #[arg(long, requires = "apply")]
    pub no_timer: bool,
    #[command(subcommand)]
    pub what: Option<DoctorWhat>,
}

/// A login that is told, not made.
#[derive(Debug, Args)]
pub struct ReplayedLogin {
    /// The user who logs in
    pub user: String,
    /// The PAM service
    #[arg(long, default_value = "sshd", value_parser = as_libpam_reads)]
    pub service: String,
    /// The remote host, or `local`; by default 203.0.113.1, an example address, for sshd, and `local`
    /// for other services
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// The caller of sudo or su
    #[arg(long, value_name = "USER", default_value = "")]
    pub by: String,
    /// Assume that sshd accepted a public key, or one that is registered as a hardware key
    #[arg(long, value_name = "KIND", value_enum, num_args = 0..=1, default_missing_value = "any")]
    pub key: Option<Key>,
}

#[derive(Debug, Subcommand)]
pub enum DoctorWhat {
    /// Explain what would happen at a login: sshd's demands, the PAM lines, the rule, the questions
    ///
    /// Assumes that all answers are right and that the user comes from a new place. Exit code 1 if nobody
    /// gets in.
    Login(ReplayedLogin),
    /// Explain the last refused login of an account, from the log
    ///
    /// Exit code 1 if the log has none.
    Last {
        /// The user
        user: String,
        #[command(flatten)]
        sources: Sources,
    },
}

#[derive(Debug, Args)]
pub struct Enroll {
    /// The user to enrol; by default, you
    pub user: Option<String>,
    /// What to call the device, for example "Alice's phone"
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// How to draw the QR code; required if the output is a pipe
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Qr::Auto)]
    pub qr: Qr,
    /// Swap light and dark, for terminals with a light background that show no colours
    #[arg(long)]
    pub invert: bool,
    /// Save the QR code as a picture, too: a new file, .svg or .png, with mode 0600
    ///
    /// It never overwrites a file, follows a link, or goes where others could replace it. Anyone who has the
    /// file can make the codes: prefer --ephemeral. If the enrolment fails, the file is deleted.
    /// Its colours and logo are those of `[brand]` in the configuration.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Delete the saved picture as soon as the first code is accepted or the dialogue ends
    ///
    /// Ctrl-C, a hang-up and SIGTERM also delete it. After SIGKILL, an out-of-memory kill or a power cut,
    /// delete the file yourself: its key works if the enrolment was completed, or can still be resumed.
    #[arg(long, requires = "save")]
    pub ephemeral: bool,
    /// Don't ask for a code from a device that is already enrolled (root only; logged)
    #[arg(long)]
    pub no_verify: bool,
}

/// How to draw a QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Qr {
    /// The style that locale and terminal can show
    Auto,
    /// Half blocks, the smallest; on a terminal in black and white, right on every background
    Utf8,
    /// "@@" and spaces, for every terminal
    Ascii,
    /// Coloured spaces, right on every background
    Ansi,
    /// No picture: the key and its URI as text
    None,
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

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Issue a token, or many
    ///
    /// An account that already has a valid token keeps it and is reported; the other accounts still get
    /// theirs. Exit code 1 if any got none.
    Issue(Issue),
    /// List all accounts' tokens, ended ones too
    List {
        /// JSON, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Show one account's token
    Show {
        /// The user
        user: String,
        /// JSON, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Take a token back
    Revoke {
        /// The user
        user: String,
    },
}

#[derive(Debug, Args)]
pub struct Issue {
    #[command(flatten)]
    pub users: TokenUsers,
    /// How long it lives, such as 30m, 24h or 7d; by default as the configuration says
    #[arg(long, value_name = "TIME")]
    pub expires: Option<ConfigDuration>,
    /// With a one-time code that the person must type, too; it is shown once, here. On a verifier always
    #[arg(long)]
    pub code: bool,
    /// Bind it to the ssh keys that let the user in now; logging in with one of them proves who enrols
    ///
    /// Reads the files of sshd's AuthorizedKeysFile with the user's own rights and lists the keys that it
    /// binds. Check the list: any process of the user may have added a key. Keys that are added later are
    /// worthless. Lines with any option (restrict, command=, from=, cert-authority ...) are left out and
    /// named. Certificates and keys of an AuthorizedKeysCommand are not seen. If no key is left, no token is
    /// issued. With several accounts, those with a device are skipped and named.
    #[arg(long)]
    pub keys_now: bool,
    /// Bind it to the ssh key with this fingerprint, as `ssh-keygen -lf FILE` prints it; may be repeated
    #[arg(long, value_name = "SHA256:...", conflicts_with_all = ["group", "from_file"])]
    pub key: Vec<KeyFingerprint>,
    /// JSON, with times in Unix seconds; an array where several accounts are asked for
    #[arg(long)]
    pub json: bool,
}

/// The users that get a token.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TokenUsers {
    /// The user that gets the token
    pub user: Option<String>,
    /// Issue tokens to all members of this group, also those whose primary group it is
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Issue tokens to the users named in this file, one a line; # begins a comment, - is standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// A service's name as libpam reads it: without a path, in lower case.
fn as_libpam_reads(typed: &str) -> Result<String, Infallible> {
    Ok(typed.rsplit('/').next().unwrap_or_default().to_ascii_lowercase())
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

/// The factor that users prove before the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum With {
    /// The password that the service asks for today
    Password,
    /// An ssh key (sshd only): no password is asked for
    Key,
    /// An ssh key or the password (sshd only)
    Either,
}

/// What happens to an account without a device at a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Enrol {
    /// The login is denied
    Deny,
    /// It may enrol there if you issued a token for it
    Token,
    /// It may enrol there
    Enroll,
}

impl Enrol {
    /// The word in qrtotp.toml.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Token => "token",
            Self::Enroll => "enroll",
        }
    }

    pub fn setting(self) -> FirstLogin {
        match self {
            Self::Deny => FirstLogin::Deny,
            Self::Token => FirstLogin::Token,
            Self::Enroll => FirstLogin::Enroll,
        }
    }
}
