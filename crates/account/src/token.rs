//! The enrolment token: the right to enrol one credential, once.
//!
//! issued → shown → consumed, or expired, or revoked. The three ends are final.

use super::{Binding, KeyFingerprint, TokenId, TokenRefusal};
use qrtotp_values::UnixTime;

/// A token's state. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Nobody has seen a QR code of it.
    Issued,
    /// A QR code was shown; the last time is kept.
    Shown(UnixTime),
    /// A first code was verified. Its QR can never be shown again.
    Consumed(UnixTime),
    /// Its time ran out first.
    Expired(UnixTime),
    /// An admin took it back.
    Revoked(UnixTime),
}

impl TokenState {
    /// The state's word in records, output and the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Shown(_) => "shown",
            Self::Consumed(_) => "consumed",
            Self::Expired(_) => "expired",
            Self::Revoked(_) => "revoked",
        }
    }

    /// When the state was reached; `None` for a token that was only issued.
    #[must_use]
    pub fn at(self) -> Option<UnixTime> {
        match self {
            Self::Issued => None,
            Self::Shown(at) | Self::Consumed(at) | Self::Expired(at) | Self::Revoked(at) => Some(at),
        }
    }
}

/// An enrolment token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its public name.
    pub id: TokenId,
    /// When it was issued.
    pub issued: UnixTime,
    /// The first second at which it is no longer valid.
    pub expires: UnixTime,
    /// How often its QR code was shown.
    pub shows: u8,
    /// How often it may be.
    pub max_shows: u8,
    /// Its state.
    pub state: TokenState,
    /// The admin who issued it; none if `first_login` gave the right to enrol.
    pub issued_by: Option<String>,
    /// The code without which its QR code is not shown.
    pub binding: Option<Binding>,
    /// The ssh keys that prove the primary factor at sshd, at most [`Token::MAX_KEYS`]. They stay after the
    /// token was used.
    pub keys: Vec<KeyFingerprint>,
}

impl Token {
    /// Most ssh keys that a token is bound to.
    pub const MAX_KEYS: usize = 32;

    /// The state at `now`: a live token whose time is over is expired, even if the record still says
    /// otherwise.
    #[must_use]
    pub fn state_at(&self, now: UnixTime) -> TokenState {
        match self.state {
            TokenState::Issued | TokenState::Shown(_) if now >= self.expires => {
                TokenState::Expired(self.expires)
            }
            state => state,
        }
    }

    /// True while a QR code may be shown for it or a shown one be confirmed.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        matches!(self.state_at(now), TokenState::Issued | TokenState::Shown(_))
    }

    /// True if an administrator bound it to that ssh key.
    #[must_use]
    pub fn is_bound_to(&self, key: &KeyFingerprint) -> bool {
        self.keys.contains(key)
    }

    /// Whether a QR code could be shown for it now.
    ///
    /// # Errors
    /// It has ended, or its code has, or its QR code was shown as often as allowed.
    pub fn check(&self, now: UnixTime) -> Result<(), TokenRefusal> {
        self.clone().show(now)?;
        self.binding.as_ref().map_or(Ok(()), |binding| binding.check(now))
    }

    /// Brings the state up to date, and refuses a token that has ended.
    ///
    /// # Errors
    /// Consumed, expired or revoked.
    pub fn refuse_ended(&mut self, now: UnixTime) -> Result<(), TokenRefusal> {
        self.state = self.state_at(now);
        match self.state {
            TokenState::Issued | TokenState::Shown(_) => Ok(()),
            TokenState::Consumed(_) => Err(TokenRefusal::Consumed),
            TokenState::Expired(_) => Err(TokenRefusal::Expired),
            TokenState::Revoked(_) => Err(TokenRefusal::Revoked),
        }
    }

    /// Counts one showing of a QR code. Call it, and make it durable, before the code is drawn.
    ///
    /// # Errors
    /// Consumed, expired, revoked, or shown as often as allowed.
    pub fn show(&mut self, now: UnixTime) -> Result<(), TokenRefusal> {
        self.refuse_ended(now)?;
        if self.shows >= self.max_shows {
            return Err(TokenRefusal::ShowsUsedUp);
        }
        self.shows += 1;
        self.state = TokenState::Shown(now);
        Ok(())
    }

    /// Uses the token up: the first code was verified.
    ///
    /// # Errors
    /// Consumed (by another process in the meantime), expired, revoked, or never shown.
    pub fn consume(&mut self, now: UnixTime) -> Result<(), TokenRefusal> {
        self.refuse_ended(now)?;
        match self.state {
            TokenState::Shown(_) => {
                self.state = TokenState::Consumed(now);
                Ok(())
            }
            _ => Err(TokenRefusal::NotShown),
        }
    }

    /// Takes the token back.
    ///
    /// # Errors
    /// It has ended already, so there is nothing to take back.
    pub fn revoke(&mut self, now: UnixTime) -> Result<(), TokenRefusal> {
        self.refuse_ended(now)?;
        self.state = TokenState::Revoked(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn token() -> Token {
        Token {
            id: TokenId::from_random([1; 6]),
            issued: 100,
            expires: 200,
            shows: 0,
            max_shows: 3,
            state: TokenState::Issued,
            issued_by: Some("root".into()),
            binding: None,
            keys: Vec::new(),
        }
    }

    #[test]
    fn a_token_is_consumed_once() {
        let mut t = token();
        t.show(110).unwrap();
        t.consume(120).unwrap();
        assert_eq!(t.consume(121), Err(TokenRefusal::Consumed));
        assert_eq!(t.show(121), Err(TokenRefusal::Consumed));
        assert_eq!(t.revoke(121), Err(TokenRefusal::Consumed));
    }

    #[test]
    fn a_token_expires_at_its_second() {
        let mut t = token();
        t.show(199).unwrap();
        assert_eq!(t.consume(200), Err(TokenRefusal::Expired));
        assert_eq!(t.state, TokenState::Expired(200));
        assert_eq!(t.consume(150), Err(TokenRefusal::Expired), "not revived by a clock set back");
    }

    #[test]
    fn a_revoked_token_shows_nothing() {
        let mut t = token();
        t.revoke(101).unwrap();
        assert_eq!(t.show(102), Err(TokenRefusal::Revoked));
    }

    #[test]
    fn shows_are_limited() {
        let mut t = token();
        for _ in 0..3 {
            t.show(110).unwrap();
        }
        assert_eq!(t.show(110), Err(TokenRefusal::ShowsUsedUp));
        t.consume(111).unwrap();
    }

    #[test]
    fn what_was_never_shown_can_not_be_confirmed() {
        assert_eq!(token().consume(110), Err(TokenRefusal::NotShown));
    }

    proptest! {
        #[test]
        fn no_sequence_of_actions_consumes_twice_or_leaves_a_final_state(
            actions in proptest::collection::vec((0_u8..3, 50_i64..300), 0..40)
        ) {
            let mut t = token();
            let mut consumed = 0;
            let mut ended: Option<TokenState> = None;
            for (action, now) in actions {
                let done = match action {
                    0 => t.show(now).is_ok(),
                    1 => { let ok = t.consume(now).is_ok(); consumed += u32::from(ok); ok }
                    _ => t.revoke(now).is_ok(),
                };
                if let Some(end) = ended {
                    prop_assert!(!done && t.state == end);
                }
                if !matches!(t.state, TokenState::Issued | TokenState::Shown(_)) {
                    ended = Some(t.state);
                }
                prop_assert!(t.shows <= t.max_shows);
            }
            prop_assert!(consumed <= 1);
        }
    }
}
