//! The one shape of our JSON: an object with the version of its fields.

use serde::Serialize;

/// What `--json` prints: `{"version":1,…}`.
#[derive(Serialize)]
pub struct Versioned<T> {
    version: u8,
    #[serde(flatten)]
    object: T,
}

impl<T> Versioned<T> {
    /// The object, with the version of all our JSON.
    #[must_use]
    pub fn new(object: T) -> Self {
        Self { version: 1, object }
    }
}
