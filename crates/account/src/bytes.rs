//! Fixed-size values at the beginning of a slice.

use thiserror::Error;

/// The bytes are no state of a version that we know.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("the state file holds no valid state")]
pub struct StateError;

/// The first `N` bytes of `rest`, which is shortened by them.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StateError> {
    let (head, tail) = rest.split_first_chunk().ok_or(StateError)?;
    *rest = tail;
    Ok(*head)
}
