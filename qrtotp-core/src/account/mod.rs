//! An account's record and the state machines in it: tokens, recovery codes, watermarks, throttle.
//! No file and no clock is reached from here, and nothing random but the making of recovery codes.

mod id;
mod name;
mod record;
mod recovery;
mod state;
mod throttle;
mod token;

pub use id::{CredentialId, IdError, KeyId, RecordId, SetId, TokenId};
pub use name::{Name, NameError};
pub use record::{Credential, Label, Origin, Record, RecordError, Standing};
pub use recovery::{Hash as RecoveryHash, RecoveryCode, RecoverySet, SALT_LEN, hash as hash_recovery_code};
pub use state::{Mark, State, StateError};
pub use throttle::{Gate, Lane, Means, Throttle, ThrottleRules};
pub use token::{Token, TokenRefusal, TokenState};
