//! `qrtotp import`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Import otpauth://totp/ URIs, read from standard input
    ///
    /// Each on a line of its own with its end: a URI of which the end is missing can hold a shorter key, and
    /// is refused. Several become as many devices of the user, or none of them does.
    ///
    /// Names in a URI, an image and colours are ignored. A parameter that the codes may depend on is honoured
    /// or refused by name.
    Uri {
        /// Whose keys they are
        #[arg(required_unless_present = "user_from")]
        user: Option<String>,
        /// What to call the device
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        #[command(flatten)]
        keys: Keys,
    },
    /// Import Google Authenticator's export: otpauth-migration:// URIs, as its QR codes hold them
    ///
    /// One on each line; zbarimg reads them from pictures. All QR codes of one export are needed.
    OtpauthMigration(KeysOfFile),
    /// Import an export of Aegis, 2FAS, andOTP or FreeOTP+ as JSON, in the clear
    ///
    /// Ente's export is a list of URIs, which `qrtotp import uri` takes.
    Json(KeysOfFile),
    /// Import a table: an export of KeePassXC or another password manager, or a vendor's seed file as
    /// privacyIDEA and LinOTP take it
    ///
    /// With a header, these columns are read, in any order: user, name or title, issuer, serial, secret, key,
    /// seed or totp (base32, hexadecimal or an otpauth URI), type, algorithm, digits or otplen, period or
    /// timestep. A row with a value in an unknown column is refused if codes may depend on it. A row with a
    /// user needs a key; others without one are skipped.
    ///
    /// Without a header: serial, key, type, digits, period, algorithm. The type must be there, because
    /// privacyIDEA and LinOTP take a row without one for HOTP.
    Csv(KeysOfFile),
    /// Import a PSKC file (RFC 6030) whose keys are not encrypted
    ///
    /// The user is the UID or CN in a key's UserId, or the whole of it.
    Pskc(KeysOfFile),
    /// Import ~/.google_authenticator with its scratch codes, used codes and clock skew
    ///
    /// A file in a home is opened as its owner, and through no link. Counter-based keys are refused, and
    /// clocks that are more than ten minutes off. Says what changes for the owner.
    ///
    /// The window is how many codes before and after the current one are accepted; a step is one code,
    /// usually 30 s. The file's WINDOW_SIZE (3 if it is missing) becomes this device's window, at most 3
    /// steps to each side, and replaces the configured one.
    ///
    /// The file stays, so the old module keeps working. Once logins work with this module, repeat the command
    /// with --shred. It marks codes used in the meantime as used, then overwrites and deletes the file. A
    /// file with a different key is left alone.
    GoogleAuthenticator(Google),
    /// Import pam_oath's users.oath
    ///
    /// Each line for itself: exit code 1 if any was refused. Counter-based keys and lines with a PIN are.
    ///
    /// The file does not say how many steps pam_oath looked at: its window= stands in /etc/pam.d, and counts
    /// to each side. Give it with --window for devices to keep it, at most 3 steps to each side; the
    /// configuration's window holds otherwise.
    ///
    /// Once logins work, give the same command again with --shred: it overwrites the lines whose keys are
    /// here.
    Oath(Oath),
}

impl Import {
    /// Options of all kinds: a dry run, JSON, and whose keys they are.
    fn common(&self) -> (bool, bool, Option<&str>) {
        match self {
            Self::Uri { user, keys, .. } => (keys.dry_run, keys.json, user.as_deref()),
            Self::OtpauthMigration(args) | Self::Json(args) | Self::Csv(args) | Self::Pskc(args) => {
                (args.keys.dry_run, args.keys.json, args.user.as_deref())
            }
            Self::GoogleAuthenticator(args) => (args.how.dry_run, args.how.json, args.user.as_deref()),
            Self::Oath(args) => (args.how.dry_run, args.how.json, None),
        }
    }

    /// Whether nothing is to be changed.
    pub fn is_dry_run(&self) -> bool {
        self.common().0
    }

    /// Whether programs read the answer.
    pub fn is_json(&self) -> bool {
        self.common().1
    }

    /// Whose keys they are, if that was said.
    pub fn user(&self) -> Option<&str> {
        self.common().2
    }
}

#[derive(Debug, Args)]
pub struct Google {
    /// The user to import for
    #[arg(required_unless_present = "all_homes")]
    pub user: Option<String>,
    /// The file, if it is not the user's ~/.google_authenticator; - is standard input
    pub file: Option<PathBuf>,
    /// Import for all users who have such a file. Skips users who have or had a device here, have an
    /// enrolment token, or share a key with an earlier user
    #[arg(long, conflicts_with_all = ["user", "file", "revoked_too"])]
    pub all_homes: bool,
    /// Where the files are, as the module's secret= says it; ~, ${HOME} and %h are the home, ${USER} and %u
    /// the name
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

/// A file with keys of several devices.
#[derive(Debug, Args)]
pub struct KeysOfFile {
    /// The file, which must be root's; - is standard input
    pub file: PathBuf,
    /// The user of all these keys. Without it, the file or --user-from says whose they are
    #[arg(long, conflicts_with = "user_from")]
    pub user: Option<String>,
    /// What to call the devices; by default, what the file calls them
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    #[command(flatten)]
    pub keys: Keys,
}

/// How keys are imported, of which nothing but the key is known.
#[derive(Debug, Args)]
pub struct Keys {
    /// Take the app's label for the user: the account, or what is before its @
    #[arg(long, value_name = "WHAT", value_parser = ["label"])]
    pub user_from: Option<String>,
    /// Import only the entry with this name or number
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// Allow keys of 80 to 127 bits, which are weak by today's standards
    #[arg(long)]
    pub weak: bool,
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many codes before and after the current one are accepted from these devices, at most 3; by default
    /// as the host's configuration says
    #[arg(long, value_name = "STEPS")]
    pub window: Option<u32>,
    /// Import even if a device of this account was revoked. Revoked keys are not stored, so qrtotp can't tell
    /// whether this is one
    #[arg(long)]
    pub revoked_too: bool,
    /// Assume that no code of these keys was ever used: the current code is accepted, not only the next one
    #[arg(long)]
    pub unused: bool,
    /// JSON: an object for each entry, a line each, with the result and what it changes
    #[arg(long)]
    pub json: bool,
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
    /// How many codes before and after the current one are accepted from these devices, at most 3, as
    /// pam_oath's window=; by default what the file says, or the host's configuration
    #[arg(long, value_name = "STEPS")]
    pub window: Option<u32>,
    /// Overwrite what was imported, now or before, and delete a file of which nothing is left
    #[arg(long)]
    pub shred: bool,
    /// Import even if a device of this account was revoked. Revoked keys are not stored, so qrtotp can't tell
    /// whether this is one
    #[arg(long)]
    pub revoked_too: bool,
    /// Where the file does not say which code was used last, none was: the code that the device shows now is
    /// accepted, not only the next one
    #[arg(long)]
    pub unused: bool,
    /// A JSON object a line and device: what was imported or refused, and what an import changes
    #[arg(long)]
    pub json: bool,
}
