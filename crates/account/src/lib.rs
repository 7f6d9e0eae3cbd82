//! An account's record and the state machines in it: tokens, recovery codes, watermarks, throttle.
//! No file and no clock is reached from here, and nothing random but the making of recovery codes.

mod binding;
mod chain;
mod human_code;
mod id;
mod name;
mod place;
mod record;
mod record_text;
mod recovery;
mod remembered;
mod ssh_key;
mod state;
mod throttle;
mod token;
pub mod toml_subset;

pub use binding::Binding;
pub use chain::{
    Chain, KEPT_LEN, LINK_LEN, Link, hex as link_hex, lines_at_end, link, origin as chain_origin, split_line,
};
pub use human_code::{
    Hash as CodeHash, HashError, RecoveryCode, SALT_LEN, ScratchCode, TokenCode, hash as hash_code,
};
pub use id::{CredentialId, IdError, KeyId, RecordId, SetId, TokenId};
pub use name::{Name, NameError};
pub use place::{ExactOrigin, Place, PlaceId};
pub use record::{Credential, EnrolmentStatus, Label, Origin, Pending, Record, RecordError, SshKey};
pub use recovery::{GenerateError, RecoverySet, SetKind};
pub use remembered::{MAX_REMEMBERED, OriginDigest, Remembered, RememberedCodes};
pub use ssh_key::{FingerprintError, HardwareKeyType, KeyFingerprint, PublicKey, accepted_keys, signing_key};
pub use state::{CodeDigest, CredentialState, State, StateError};
pub use throttle::{
    DAILY, Engaged, FAMILIAR, FactorKind, FailureCounter, Failures, Forgiven, Gate, MAX_PLACES,
    STRANGERS_WAIT, Side, Throttle, ThrottleRules,
};
pub use token::{Token, TokenRefusal, TokenState};
