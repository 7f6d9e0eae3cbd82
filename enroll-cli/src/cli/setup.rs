//! `qrtotp setup`.

use clap::Args;
use qrtotp_policy::FirstLogin;
use qrtotp_values::ConfigDuration;

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
    /// Change nothing: list the PAM files that would no longer name the module once every set-up is undone
    #[arg(long, requires = "undo")]
    pub check: bool,
    /// JSON
    #[arg(long, conflicts_with_all = ["undo", "keep", "trial"])]
    pub json: bool,
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
