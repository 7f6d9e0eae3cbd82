//! An invitation to a fleet: `fleet1.NAME.SECRET.CA`, where SECRET is 16 random bytes and CA the hash of the
//! CA's certificate, both in hexadecimal digits. It lets its holder add a host.

use super::CaHash;
use super::hex::{hex, unhex};
use thiserror::Error;
use zeroize::Zeroizing;

/// Not an invitation.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("this is no invitation; `qrtotp fleet invite` on a verifier makes one")]
pub struct TokenError;

/// An invitation.
#[derive(PartialEq, Eq)]
pub struct Token {
    /// The fleet's name.
    pub fleet: String,
    /// The secret, as the verifier knows it.
    pub secret: Zeroizing<String>,
    /// The CA that vouches for the verifiers.
    pub ca: CaHash,
}

impl Token {
    /// An invitation with a new secret.
    #[must_use]
    pub fn new(fleet: &str, secret: [u8; 16], ca: CaHash) -> Self {
        Self { fleet: fleet.to_owned(), secret: Zeroizing::new(hex(&secret)), ca }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("fleet1.{}.{}.{}", self.fleet, *self.secret, hex(&self.ca)))
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        // A fleet's name may have dots.
        let (rest, ca) = text.trim().rsplit_once('.').ok_or(TokenError)?;
        let (rest, secret) = rest.rsplit_once('.').ok_or(TokenError)?;
        let fleet = rest.strip_prefix("fleet1.").filter(|fleet| !fleet.is_empty()).ok_or(TokenError)?;
        let (ca, bytes) = (unhex(ca).ok_or(TokenError)?, unhex(secret).ok_or(TokenError)?);
        let ca = ca.try_into().map_err(|_| TokenError)?;
        if bytes.len() != 16 {
            return Err(TokenError);
        }
        Ok(Self { fleet: fleet.to_owned(), secret: Zeroizing::new(secret.to_owned()), ca })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_invitation_is_read_as_it_was_written_and_nothing_else_is_one() {
        let token = Token::new("corp.example", [7; 16], [9; 32]);
        let text = token.text();
        assert!(Token::parse(&format!("{}\n", *text)).unwrap() == token);
        for end in 0..text.len() {
            assert!(Token::parse(&text[..end]).is_err(), "{}", &text[..end]);
        }
        for wrong in
            [text.replace("fleet1", "fleet2"), text.replace('9', "x"), text.replace("corp.example", "")]
        {
            assert!(Token::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
