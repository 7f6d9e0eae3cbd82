//! `qrtotp import`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Import an otpauth://totp/ URI, read from standard input
    ///
    /// As one line with its end: a URI of which the end is missing can hold a shorter key, and is refused.
    Uri {
        /// Whose key it is
        user: String,
        /// What to call the device
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Allow a key of 80 to 127 bits, which is weak by today's standards
        #[arg(long)]
        weak: bool,
        /// Though a device of the account was revoked, and this may be its key: those of revoked devices are not kept
        #[arg(long)]
        revoked_too: bool,
        /// No code of the key was ever used: the code that the device shows now is accepted, not only the next one
        #[arg(long)]
        unused: bool,
    },
    /// Import ~/.google_authenticator with its scratch codes, used codes and clock skew
    ///
    /// A file in a home is opened as its owner, and through no link. Counter-based keys are refused, and clocks that are
    /// more than ten minutes off. Says what changes for the owner.
    ///
    /// WINDOW_SIZE, 3 if it is not there, counts all steps whose codes are accepted. It becomes the device's own window, which holds
    /// in place of the configuration's, be it narrower or wider; at most 3 steps to each side of it.
    ///
    /// The file is left as it is, so that the old module goes on working until logins were tried with this one. Then give the
    /// same command again with --shred: where the account has exactly this key, nothing is imported; codes that were used there
    /// meanwhile are used up here, too, and the file is overwritten and deleted. A file with another key is refused and left.
    GoogleAuthenticator(Google),
    /// Import pam_oath's users.oath
    ///
    /// Each line for itself: exit code 1 if any was refused. Counter-based keys and lines with a PIN are.
    ///
    /// The file does not say how many steps pam_oath looked at: its window= stands in /etc/pam.d, and counts to each side. Give it
    /// with --window for devices to keep it, at most 3 steps to each side; the configuration's window holds otherwise.
    ///
    /// Once logins work, give the same command again with --shred: it overwrites the lines whose keys are here.
    Oath(Oath),
}

#[derive(Debug, Args)]
pub struct Google {
    /// Whose
    #[arg(required_unless_present = "all_homes")]
    pub user: Option<String>,
    /// The file, if it is not the user's ~/.google_authenticator; - is standard input
    pub file: Option<PathBuf>,
    /// For everybody who has such a file, with a key that nobody before has, and here no device, now or before, and no enrolment
    /// token
    #[arg(long, conflicts_with_all = ["user", "file", "revoked_too"])]
    pub all_homes: bool,
    /// Where the files are, as the module's secret= says it; ~, ${HOME} and %h are the home, ${USER} and %u the name
    #[arg(long, value_name = "PATTERN", conflicts_with = "file")]
    pub path: Option<String>,
    /// What to call the device
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    #[command(flatten)]
    pub how: How,
}

#[derive(Debug, Args)]
pub struct Oath {
    /// The file; - is standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub how: How,
}

/// How files of other systems are imported.
#[derive(Debug, Default, Args)]
pub struct How {
    /// Allow keys of 80 to 127 bits, which are weak by today's standards
    #[arg(long)]
    pub weak: bool,
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The window of what is imported, in steps to each side, as pam_oath's window=; at most 3. Without it, what the file says,
    /// or the host's
    #[arg(long, value_name = "STEPS")]
    pub window: Option<u32>,
    /// Overwrite what was imported, now or before, and delete a file of which nothing is left
    #[arg(long)]
    pub shred: bool,
    /// Though a device of the account was revoked, and this may be its key: those of revoked devices are not kept
    #[arg(long)]
    pub revoked_too: bool,
    /// Where the file does not say which code was used last, none was: the code that the device shows now is accepted, not only the
    /// next one
    #[arg(long)]
    pub unused: bool,
}
