//! An account: its record, its state, and the state machines in both: tokens, recovery codes, watermarks,
//! failure counters, places.
//!
//! Reaches no file, clock or socket; only generating recovery codes draws random numbers. Begin with
//! [`Record`] (changed by enrolment and administration) and [`State`] (changed by every login).
//! docs/FILEFORMAT.md describes their text and bytes.
//!
//! ```
//! use qrtotp_account::Name;
//! assert_eq!(Name::new("alice")?.file_name(), "alice");
//! assert_eq!(Name::new("../alice")?.file_name(), "%2E.%2Falice"); // always one path component
//! # Ok::<(), qrtotp_account::NameError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod binding;
mod bytes;
mod chain;
mod human_code;
mod id;
mod name;
mod place;
mod record;
mod record_text;
mod recovery;
mod remembered;
mod signs;
mod ssh_key;
mod state;
mod throttle;
mod token;
mod token_refusal;
pub mod toml_subset;

pub use binding::Binding;
pub use bytes::StateError;
pub use chain::{
    Chain, KEPT_LEN, LINK_LEN, Link, hex as link_hex, lines_at_end, link, origin as chain_origin, split_line,
};
pub use human_code::{
    Hash as CodeHash, HashError, RecoveryCode, SALT_LEN, ScratchCode, TokenCode, hash as hash_code,
};
pub use id::{CredentialId, IdError, KeyId, RecordId, SetId, TokenId};
pub use name::{Name, NameError};
pub use place::{ExactOrigin, Place, PlaceId, Side};
pub use record::{Credential, EnrolmentStatus, Label, Origin, Pending, Record, RecordError, SshKey};
pub use recovery::{GenerateError, RecoverySet, SetKind};
pub use remembered::{MAX_REMEMBERED, OriginDigest, Remembered, RememberedCodes};
pub use signs::{Anomaly, Signs};
pub use ssh_key::{FingerprintError, HardwareKeyType, KeyFingerprint, PublicKey, accepted_keys, signing_key};
pub use state::{CodeDigest, CredentialState, Decision, State};
pub use throttle::{
    DAILY, Engaged, FAMILIAR, FactorKind, FailureCounter, Failures, FamiliarPlace, Forgiven, Gate,
    MAX_PLACES, STRANGERS_WAIT, Throttle, ThrottleRules,
};
pub use token::{Token, TokenState};
pub use token_refusal::TokenRefusal;
