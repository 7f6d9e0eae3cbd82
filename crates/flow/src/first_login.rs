//! The first login of an account without a credential: who may enrol, and who has a grace period.

use super::EnrollError;
use qrtotp_account::{EnrolmentStatus, Record, TokenRefusal, TokenState};
use qrtotp_policy::{Config, FirstLogin};
use qrtotp_values::UnixTime;

/// The possible results of a login to an account without a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An enrolment.
    Enroll,
    /// A login without a code, with the number of days left, this one included.
    Allow { days: i64 },
    /// A denial, with the reason's word.
    Deny(&'static str),
    /// A denial by the token.
    Refuse(TokenRefusal),
}

/// Decides for an account that has no credential. `None`: there is no record.
pub(super) fn entry(config: &Config, record: Option<&Record>, now: UnixTime) -> Entry {
    let token = record.and_then(|record| record.token.as_ref());
    let issued = token.filter(|token| token.issued_by.is_some());
    // A QR code that was shown can be confirmed even if no further one may be shown.
    let resumable = record.and_then(|record| record.pending.as_ref()).is_some_and(|pending| {
        token.is_some_and(|token| token.id == pending.token && token.is_live(now))
            && pending.is_live(now, config.enroll.time_limit)
    });
    let by_token = || match issued {
        Some(_) if resumable => Entry::Enroll,
        Some(token) => token.check(now).map_or_else(Entry::Refuse, |()| Entry::Enroll),
        None => Entry::Deny("no_token"),
    };
    let first_login = config.defaults.first_login;
    match (record.map_or(EnrolmentStatus::Unenrolled, Record::enrolment_status), first_login) {
        (EnrolmentStatus::Enrolled, _) => Entry::Deny("enrolled_meanwhile"),
        (EnrolmentStatus::Revoked, FirstLogin::Enroll | FirstLogin::Token) => match by_token() {
            Entry::Deny(_) => Entry::Deny("revoked"),
            by_token => by_token,
        },
        (EnrolmentStatus::Revoked, FirstLogin::Deny | FirstLogin::Allow) => Entry::Deny("revoked"),
        (EnrolmentStatus::Unenrolled, FirstLogin::Deny) => Entry::Deny("not_enrolled"),
        (EnrolmentStatus::Unenrolled, FirstLogin::Token) => by_token(),
        (EnrolmentStatus::Unenrolled, FirstLogin::Enroll) => match token {
            // A token that an administrator revoked takes precedence over the default.
            Some(token) if matches!(token.state, TokenState::Revoked(_)) => by_token(),
            Some(token) if token.is_live(now) && !resumable => {
                token.check(now).map_or_else(Entry::Refuse, |()| Entry::Enroll)
            }
            Some(_) | None => Entry::Enroll,
        },
        (EnrolmentStatus::Unenrolled, FirstLogin::Allow) => {
            match config.defaults.allow_until.map_or(0, |date| date.days_left(now)) {
                0 => Entry::Deny("grace_over"),
                days => Entry::Allow { days },
            }
        }
    }
}

/// The error to report instead of `otherwise`: if a token was issued for the account and has ended, its
/// reason, regardless of `first_login`. Only for users known to own the account, never for a stranger at a
/// prompt.
pub(super) fn ended(record: Option<&Record>, now: UnixTime, otherwise: &'static str) -> EnrollError {
    let token = record.and_then(|record| record.token.clone()).filter(|token| token.issued_by.is_some());
    match token.map(|mut token| token.refuse_ended(now)) {
        Some(Err(refusal)) => refusal.into(),
        Some(Ok(())) | None => EnrollError::NotAllowed(otherwise),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{Credential, CredentialId, Label, Name, Origin, Pending, RecordId, Token, TokenId};
    use qrtotp_otp::Params;

    const SHOWN: UnixTime = 950;
    const LIMIT: UnixTime = 600;

    /// A record with a token whose QR code was shown as often as allowed, the last time for `pending`.
    fn record(issued_by: Option<&str>, expires: UnixTime, pending: Option<[u8; 6]>) -> Record {
        let id = TokenId::from_random([1; 6]);
        let mut record = Record::new(Name::new("alice").unwrap(), 1000, RecordId([7; 16]));
        record.token = Some(Token {
            id,
            issued: 900,
            expires,
            shows: 3,
            max_shows: 3,
            state: TokenState::Shown(SHOWN),
            issued_by: issued_by.map(str::to_owned),
            binding: None,
            keys: Vec::new(),
        });
        record.pending = pending.map(|token| Pending {
            credential: Credential {
                id: CredentialId::from_random([2; 6]),
                label: Label::default(),
                params: Params::default(),
                created: SHOWN,
                origin: Origin::Enrolled,
                window: None,
                sealed: Vec::new(),
            },
            token: TokenId::from_random(token),
            guesses: 0,
        });
        record
    }

    #[test]
    fn a_qr_code_that_was_the_last_one_can_be_confirmed_while_it_and_its_token_live() {
        let (used_up, expired) =
            (Entry::Refuse(TokenRefusal::ShowsUsedUp), Entry::Refuse(TokenRefusal::Expired));
        let (own, other) = (Some([1; 6]), Some([9; 6]));
        for (issued_by, first_login) in [
            (Some("root"), FirstLogin::Token),
            (Some("root"), FirstLogin::Enroll),
            (None, FirstLogin::Enroll),
        ] {
            let mut config = Config::default();
            config.defaults.first_login = first_login;
            assert_eq!(config.enroll.time_limit.as_seconds(), LIMIT);
            let entry =
                |expires, pending, now| entry(&config, Some(&record(issued_by, expires, pending)), now);
            assert_eq!(entry(9000, own, SHOWN), Entry::Enroll);
            assert_eq!(entry(9000, own, SHOWN + LIMIT - 1), Entry::Enroll);
            assert_eq!(entry(9000, own, SHOWN + LIMIT), used_up, "its own time is over");
            assert_eq!(entry(9000, other, SHOWN), used_up, "it was another token's");
            assert_eq!(entry(9000, None, SHOWN), used_up);
            if first_login == FirstLogin::Token {
                assert_eq!(entry(1000, own, 1000), expired);
            }
        }
    }
}
