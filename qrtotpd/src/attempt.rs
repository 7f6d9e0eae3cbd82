//! An answer to verify.

use qrtotp_flow::{Options, Typed};

/// An answer to be verified.
pub struct Attempt {
    pub user: String,
    pub service: String,
    pub tty: String,
    pub options: Options,
    /// The service's id of the request; empty: none.
    pub id: String,
    pub answer: Typed,
}
