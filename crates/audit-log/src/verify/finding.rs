//! The findings of a verification.

use qrtotp_account::Link;

/// The end of an account's chain, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last line.
    pub seq: u64,
    /// Its link.
    pub link: Link,
    /// The link that the first line follows.
    pub origin: Link,
}

/// A fault of one or several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line does not fit: it, or its link, was changed, or it was added.
    Changed,
    /// It has no number or no hash, and should have both: it was changed or added.
    Unchained,
    /// A line with this number came before.
    Repeated,
    /// It stands behind later lines.
    Moved,
    /// These lines, up to this number, are gone: removed, or lost longer ago than the store remembers.
    Missing(u64),
    /// The line never reached the log, or was removed; the store has it word for word.
    Lost(String),
    /// The store says another link for this number: the chain was computed anew, or the store's is of other
    /// lines.
    OtherHead,
    /// The log goes on behind the store's last line: an old store was restored.
    StoreIsOlder(u64),
    /// Lines of an account that the store does not have, and no `account_removed` at the end.
    NoAccount,
    /// The same lines had another link when they were saved.
    AgainstSaved,
    /// Neither the log nor the store has the line that was saved.
    SavedIsGone,
    /// No file has the hash of the last checkpoint: it was changed or removed.
    OtherCheckpoint,
    /// Its time is so many seconds before that of the line before, which only says that the clock was set
    /// back.
    ClockSetBack(i64),
    /// The host's chain tells of the record's removal, and the store has it: the removal was interrupted, or
    /// a backup was restored.
    PutBack,
}

impl Fault {
    /// Whether it may be a loss alone.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether it is only worth knowing, and no fault of the log.
    #[must_use]
    pub fn is_note(&self) -> bool {
        matches!(self, Self::ClockSetBack(_) | Self::PutBack)
    }
}

/// A fault and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose chain; empty: the host's.
    pub user: String,
    /// The number of the line, the first one of several; 0 if it has none.
    pub seq: u64,
    pub fault: Fault,
    /// The line, if there is one.
    pub line: String,
}
