//! All decisions and formats of pam_qrtotp. Knows no PAM, no command line and no network.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod account;
pub mod audit;
pub mod clock;
pub mod flow;
pub mod import;
pub mod otp;
pub mod policy;
pub mod qr;
pub mod store;
pub mod text;
pub mod wire;
