//! QR codes (ISO/IEC 18004): a text becomes a matrix of modules, a matrix becomes lines for a terminal.
//!
//! The text is a key URI, so matrix and picture are the secret itself: both wipe themselves, and nothing here
//! writes anywhere.

mod matrix;
mod render;
#[cfg(test)]
mod tests;

pub use matrix::{Level, Matrix, QrError};
pub use render::{Polarity, QUIET_ZONE, Style, quiet_zone, render, size};
