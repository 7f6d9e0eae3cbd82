//! `qrtotp device`.

use clap::{Args, Subcommand};
use qrtotp_account::{CredentialId, IdError};
use qrtotp_values::ConfigDuration;

#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices: id, label, kind of code, last use, and how far the clock is off, where that is known;
    /// and hardware ssh keys
    List {
        /// The user; by default, all users for root, and yourself otherwise
        user: Option<String>,
        /// JSON: an array, with times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Give a device or ssh key another label
    Rename(Rename),
    /// Revoke devices and ssh keys, with effect from the next login
    ///
    /// With the last device its ssh keys go, and the account is revoked: its logins are denied until it is
    /// enrolled again.
    Revoke(Revoke),
}

/// An id as people type it. In records and in the log it has one form.
fn in_any_case(text: &str) -> Result<CredentialId, IdError> {
    let (kind, letters) = text.split_at_checked(1).unwrap_or_default();
    (kind.to_ascii_lowercase() + &letters.to_ascii_uppercase()).parse()
}

#[derive(Debug, Args)]
pub struct Rename {
    /// The user; by default, you
    pub user: Option<String>,
    /// Which, for example c-7F3K2M; `qrtotp device list USER` lists them. Not needed where there is only one
    #[arg(long, value_name = "ID", value_parser = in_any_case)]
    pub credential: Option<CredentialId>,
    /// What to call it, for example "Alice's phone"
    #[arg(long, value_name = "TEXT")]
    pub label: String,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// The user; by default, you
    pub user: Option<String>,
    /// Only this one, for example c-7F3K2M; `qrtotp device list USER` lists them
    #[arg(long, value_name = "ID", value_parser = in_any_case, conflicts_with = "all")]
    pub credential: Option<CredentialId>,
    /// All of them, ssh keys and recovery codes too
    #[arg(long)]
    pub all: bool,
    /// Don't ask on a terminal before the last device goes
    #[arg(long)]
    pub yes: bool,
}

impl Revoke {
    /// Whether an account or a device is named.
    pub fn is_any(&self) -> bool {
        self.user.is_some() || self.credential.is_some() || self.all
    }
}

/// `qrtotp revoke`: one account, or many.
#[derive(Debug, Args)]
pub struct RevokeAnybody {
    #[command(flatten)]
    pub one: Revoke,
    #[command(flatten)]
    pub bulk: Bulk,
}

/// `qrtotp reissue`: one account, or many.
#[derive(Debug, Args)]
pub struct Reissue {
    /// The user
    pub user: Option<String>,
    #[command(flatten)]
    pub bulk: Bulk,
    /// How long the new codes live, such as 8h or 7d; by default as the configuration says
    #[arg(long, value_name = "TIME")]
    pub expires: Option<ConfigDuration>,
}

/// Many accounts (root only).
#[derive(Debug, Args)]
pub struct Bulk {
    /// Select all members of this group, also those whose primary group it is (root only)
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Select all accounts to which this rule of the applied configuration applies. A rule without `user` and
    /// `group` applies to everyone (root only)
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    pub rule: Option<String>,
    /// Select all accounts (root only)
    #[arg(long, conflicts_with_all = ["group", "rule"])]
    pub everyone: bool,
    /// Select only devices enrolled before this day, such as 2026-11-29 (UTC); without another selection,
    /// those of all accounts
    #[arg(long, value_name = "DAY")]
    pub enrolled_before: Option<String>,
    /// Only list the selected accounts, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go ahead without asking if exactly N accounts are selected, as `--dry-run` counts them
    #[arg(long, value_name = "N")]
    pub confirm: Option<usize>,
    /// JSON: one object with the version of its form, an object for each account, and their number
    #[arg(long)]
    pub json: bool,
}

impl Bulk {
    /// Whether many accounts are meant.
    pub fn is_asked(&self) -> bool {
        self.group.is_some() || self.rule.is_some() || self.everyone || self.enrolled_before.is_some()
    }

    /// Whether an option is given that needs many accounts.
    pub fn is_any(&self) -> bool {
        self.is_asked() || self.dry_run || self.confirm.is_some()
    }
}

impl std::fmt::Display for Bulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.group, &self.rule) {
            (Some(group), _) => write!(f, "members of the group {group}")?,
            (None, Some(rule)) => write!(f, "accounts of the rule {rule}")?,
            (None, None) => f.write_str("all accounts")?,
        }
        match &self.enrolled_before {
            Some(day) => write!(f, ", devices enrolled before {day}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_id_is_understood_in_upper_and_lower_case() {
        let id: CredentialId = "c-7F3K2M".parse().unwrap();
        for typed in ["c-7F3K2M", "c-7f3k2m", "C-7F3K2M", "C-7f3k2M"] {
            assert_eq!(in_any_case(typed), Ok(id), "{typed}");
        }
        for other in ["", "c", "t-7F3K2M", "c-7F3K2", "c-7F3K2U", "c-7F3K2\u{e9}", "\u{e9}-7F3K2M"] {
            assert!(in_any_case(other).is_err(), "{other}");
        }
    }
}
