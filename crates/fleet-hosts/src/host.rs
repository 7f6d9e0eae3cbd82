//! One login host.

use qrtotp_frames::VerdictKey;
use qrtotp_values::UnixTime;

/// A login host.
#[derive(Debug)]
pub struct Host {
    /// Its name, for people.
    pub name: String,
    /// Its public key (Ed25519).
    pub public_key: Vec<u8>,
    /// The key that its root shares with the verifiers.
    pub verdict_key: VerdictKey,
    /// Its groups.
    pub groups: Vec<String>,
    /// When it joined.
    pub joined: UnixTime,
    /// When it was revoked; `None`: it may ask.
    pub revoked: Option<UnixTime>,
}
