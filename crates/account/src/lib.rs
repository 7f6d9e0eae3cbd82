//! An account's record and the state machines in it: tokens, recovery codes, watermarks, throttle.
//! No file and no clock is reached from here, and nothing random but the making of recovery codes.

mod binding;
mod chain;
mod id;
mod name;
mod place;
pub mod plain;
mod record;
mod record_text;
mod recovery;
mod remembered;
mod spoken;
mod ssh_key;
mod state;
mod throttle;
mod token;

pub use binding::Binding;
pub use chain::{
    Chain, KEPT_LEN, LINK_LEN, Link, hex as link_hex, lines_at_end, link, origin as chain_origin, split_line,
};
pub use id::{CredentialId, IdError, KeyId, RecordId, SetId, TokenId};
pub use name::{Name, NameError};
pub use place::{ExactOrigin, Place, PlaceId};
pub use record::{Credential, Label, Origin, Pending, Record, RecordError, SshKey, Standing};
pub use recovery::{GenerateError, RecoverySet, SetKind};
pub use remembered::{MAX_REMEMBERED, OriginDigest, Remembered, RememberedCodes};
pub use spoken::{
    Hash as CodeHash, HashError, RecoveryCode, SALT_LEN, ScratchCode, TokenCode, hash as hash_code,
};
pub use ssh_key::{FingerprintError, HardwareKeyType, KeyFingerprint, PublicKey, accepted_keys, signing_key};
pub use state::{CodeDigest, Mark, State, StateError};
pub use throttle::{
    DAILY, Engaged, FAMILIAR, Failures, Forgiven, Gate, Lane, MAX_PLACES, Means, STRANGERS_WAIT, Side,
    Throttle, ThrottleRules,
};
pub use token::{Token, TokenRefusal, TokenState};
