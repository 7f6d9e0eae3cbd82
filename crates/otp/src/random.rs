//! The operating system's random numbers; the crate's only source of them.

use rand::TryRng;
use rand::rngs::SysRng;

/// The operating system gave no random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RandomError {
    /// getrandom(2) failed, e.g. because a seccomp filter forbids it.
    #[error("the system gives no random numbers: check that getrandom(2) works here")]
    Unavailable,
}

/// `N` random bytes, fit for keys. Wrap them in `Zeroizing` if they become one.
///
/// # Errors
/// [`RandomError`] if the system gives none; there is no fallback.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` in place, so that a key is never copied on its way to the heap.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    SysRng.try_fill_bytes(bytes).map_err(|_| RandomError::Unavailable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn two_draws_differ_and_fill_every_byte() {
        let draws: Vec<[u8; 32]> = (0..64).map(|_| random_bytes().unwrap()).collect();
        assert!(draws.windows(2).all(|pair| pair[0] != pair[1]));
        assert!((0..32).all(|index| draws.iter().any(|draw| draw[index] != 0)));
    }
}
