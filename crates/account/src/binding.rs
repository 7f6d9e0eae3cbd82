//! The one-time code of a token (a binding code in the words of NIST SP 800-63B-4): it reaches the person
//! over another channel, and without it no QR code of the token is shown.

use super::human_code::{Hash, SALT_LEN, TokenCode, hash};
use super::throttle::{ThrottleRules, penalty};
use super::{GenerateError, TokenRefusal};
use qrtotp_otp::random_bytes;
use qrtotp_values::UnixTime;
use subtle::ConstantTimeEq;

/// A token's code as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The hash's salt.
    pub salt: [u8; SALT_LEN],
    /// The code's hash.
    pub hash: Hash,
    /// The first second at which the code is no longer valid.
    pub expires: UnixTime,
    /// Guesses since the last right one.
    pub failures: u32,
}

impl Binding {
    /// Number of wrong guesses that ends a code; that many hit with a chance of one in a hundred million. A
    /// caller who knows only the uid can't type that many within the code's hour; otherwise any process of
    /// the user could end the code before its owner types it.
    pub const TRIES: u32 = 10_000;

    /// A fresh code and the form of it to store.
    ///
    /// # Errors
    /// No random numbers, or no memory for hashing.
    pub fn generate(expires: UnixTime) -> Result<(Self, TokenCode), GenerateError> {
        // A login reads eight digits as a code of an app.
        let code = loop {
            let code = TokenCode::generate()?;
            if code.has_a_letter() {
                break code;
            }
        };
        let salt = random_bytes()?;
        Ok((Self { salt, hash: hash(&code, &salt)?, expires, failures: 0 }, code))
    }

    /// Whether a code may still be typed.
    ///
    /// # Errors
    /// Its time is over, or too many wrong ones were typed.
    pub fn check(&self, now: UnixTime) -> Result<(), TokenRefusal> {
        match self {
            _ if self.failures >= Self::TRIES => Err(TokenRefusal::CodeTriesUsedUp),
            _ if now >= self.expires => Err(TokenRefusal::CodeExpired),
            _ => Ok(()),
        }
    }

    /// Counts a guess as failed. Make it durable before the guess is checked. Returns the seconds to wait
    /// before that check: wrong guesses delay later ones but refuse none.
    ///
    /// # Errors
    /// As [`Binding::check`].
    pub fn guess(&mut self, now: UnixTime) -> Result<u32, TokenRefusal> {
        self.check(now)?;
        let wait = penalty(self.failures, &ThrottleRules::default());
        self.failures += 1;
        Ok(wait)
    }

    /// Whether `guess` is the code; a right one takes the counted guesses back.
    ///
    /// # Errors
    /// It is wrong, or it expired in the meantime.
    pub fn check_guess(&mut self, guess: &Hash, now: UnixTime) -> Result<(), TokenRefusal> {
        if !bool::from(self.hash.ct_eq(guess)) {
            return Err(TokenRefusal::CodeWrong);
        }
        if now >= self.expires {
            return Err(TokenRefusal::CodeExpired);
        }
        self.failures = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wrong_guesses_make_the_next_ones_wait_and_a_right_one_takes_them_back() {
        let (mut binding, code) = Binding::generate(1000).unwrap();
        let right = hash(&code, &binding.salt).unwrap();
        let waits: Vec<u32> = (0..12).map(|_| binding.guess(10).unwrap()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(binding.check_guess(&[0; 16], 10), Err(TokenRefusal::CodeWrong));
        binding.check_guess(&right, 10).unwrap();
        assert_eq!(binding.guess(10), Ok(0));
    }

    #[test]
    fn ten_thousand_wrong_guesses_end_a_code() {
        let (mut binding, _) = Binding::generate(1000).unwrap();
        for _ in 0..Binding::TRIES {
            binding.guess(10).unwrap();
        }
        assert_eq!(binding.guess(10), Err(TokenRefusal::CodeTriesUsedUp));
    }

    #[test]
    fn a_code_is_worth_nothing_once_its_time_is_over() {
        let (mut binding, code) = Binding::generate(1000).unwrap();
        binding.guess(999).unwrap();
        let right = hash(&code, &binding.salt).unwrap();
        assert_eq!(binding.check_guess(&right, 1000), Err(TokenRefusal::CodeExpired));
        assert_eq!(binding.guess(1000), Err(TokenRefusal::CodeExpired));
    }
}
