//! Errors of the fleet's store. Every one denies a login.

use crate::engine::EngineError;
use qrtotp_account::Decision;
use qrtotp_store::StoreError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the fleet's store did not answer. None of these means that an account is not enrolled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FleetError {
    /// Nothing was changed: our etcd member does not answer, or has no quorum.
    #[error(
        "no answer from etcd: {0}; nothing was changed; `qrtotp fleet status` shows which members are up"
    )]
    NoQuorum(String),
    /// A change was sent, and whether it was made could not be found out in time.
    #[error("{0}; check whether the change was made before you repeat it")]
    Unclear(String),
    /// etcd takes no writes.
    #[error(
        "etcd's database has reached its quota, so nobody can log in; see docs/FLEET.md, \"Out of space\""
    )]
    NoSpace,
    /// etcd is too old.
    #[error("etcd {0} has known faults in its replication; upgrade it to 3.5.14 or later")]
    TooOld(String),
    /// The account's state changed again and again in between.
    #[error("the account was changed by others at every try; try again")]
    Busy,
    /// The store is older than what this verifier knows.
    #[error("{0}, so a backup was restored; `qrtotp fleet accept-restore` ends the refusal")]
    RolledBack(&'static str),
    /// There is no store in etcd.
    #[error("etcd holds no store of qrtotp; `qrtotp fleet init` makes it, or restore its backup")]
    NotMade,
    /// There is a store already.
    #[error("etcd holds a store of qrtotp already; nothing was changed")]
    Made,
    /// The host is not part of the fleet.
    #[error("host {0} is not part of the fleet; `qrtotp fleet join` makes it one")]
    HostUnknown(String),
    /// An admin held the host.
    #[error("host {0} is held; `qrtotp fleet host release {0}` ends that")]
    HostHeld(String),
    /// An admin revoked the host.
    #[error("host {0} is revoked")]
    HostRevoked(String),
    /// A host without an invitation wants to join.
    #[error("the invitation is unknown, used up or too old; make another one with `qrtotp fleet invite`")]
    NotInvited,
    /// A host of this name is part of the fleet.
    #[error("a host {0} is there already; revoke it first, or give another name")]
    HostKnown(String),
    /// The account belongs to other groups of hosts.
    #[error("the account belongs to none of the groups of host {0}")]
    OutOfGroup(String),
    /// The attempt was decided before.
    #[error("this attempt was decided before")]
    Decided(Decision),
    /// The attempt's id came with another answer, or from another host.
    #[error("the id of an attempt was used again for another answer")]
    AttemptReused,
    /// A value can't be read.
    #[error("{key} is damaged ({why}); restore it from a backup, or remove the account")]
    Damaged {
        /// The key in etcd.
        key: String,
        /// A short reason.
        why: &'static str,
    },
    /// A value was sealed with a key that is not installed.
    #[error("{0} is sealed with fleet key {1}, which is not installed here")]
    KeyMissing(String, String),
    /// A local file of the verifier failed.
    #[error("{0}")]
    Local(String),
    /// Another daemon of the same verifier runs.
    #[error("another verifier runs with {directory}; stop it first, or give this one a state_dir of its own", directory = .0.display())]
    Taken(PathBuf),
}

impl FleetError {
    /// The fleet's error in a store's error.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<&Self> {
        match error {
            StoreError::Shared { error, .. } => error.downcast_ref(),
            _ => None,
        }
    }

    /// Whether another verifier may answer the same attempt.
    #[must_use]
    pub fn is_elsewhere_worth_a_try(&self) -> bool {
        match self {
            Self::NoQuorum(_) | Self::Unclear(_) | Self::TooOld(_) | Self::RolledBack(_) => true,
            Self::KeyMissing(..) | Self::Local(_) | Self::Taken(_) => true,
            Self::NoSpace | Self::Busy | Self::NotMade | Self::Made | Self::HostUnknown(_) => false,
            Self::HostHeld(_) | Self::HostRevoked(_) | Self::OutOfGroup(_) => false,
            Self::NotInvited | Self::HostKnown(_) => false,
            Self::Decided(_) | Self::AttemptReused | Self::Damaged { .. } => false,
        }
    }

    /// The reason's word in the audit log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoQuorum(_) => "no_quorum",
            Self::Unclear(_) => "may_be_kept",
            Self::NoSpace => "fleet_no_space",
            Self::TooOld(_) => "fleet_version",
            Self::Busy => "store_busy",
            Self::RolledBack(_) => "store_rolled_back",
            Self::NotMade | Self::Made => "store_missing",
            Self::HostUnknown(_) => "host_unknown",
            Self::HostHeld(_) => "host_held",
            Self::NotInvited => "host_not_invited",
            Self::HostKnown(_) => "host_known",
            Self::HostRevoked(_) => "host_revoked",
            Self::OutOfGroup(_) => "host_group",
            Self::Decided(_) => "attempt_decided",
            Self::AttemptReused => "attempt_reused",
            Self::Damaged { .. } => "record_damaged",
            Self::KeyMissing(..) => "key_missing",
            Self::Local(_) | Self::Taken(_) => "fleet_local",
        }
    }
}

impl From<FleetError> for StoreError {
    fn from(error: FleetError) -> Self {
        Self::Shared { reason: error.reason(), error: Box::new(error) }
    }
}

impl From<EngineError> for FleetError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotSent(why) => Self::NoQuorum(why),
            EngineError::NoSpace => Self::NoSpace,
            EngineError::TooOld(version) => Self::TooOld(version),
            unknown @ EngineError::Unknown(_) => Self::Unclear(unknown.to_string()),
        }
    }
}
