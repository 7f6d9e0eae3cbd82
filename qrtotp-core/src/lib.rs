//! All decisions and formats of pam_qrtotp. Knows no PAM, no command line and no network.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod otp;
pub mod qr;
