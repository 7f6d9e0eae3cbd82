//! Whether an ssh key that sshd accepted proves the primary factor. A key alone proves nothing: a process
//! that has only the uid can add one to `authorized_keys`.

use qrtotp_account::{EnrolmentStatus, KeyFingerprint, Record, Token, TokenId, TokenState, accepted_keys};
use qrtotp_policy::Config;
use qrtotp_values::UnixTime;
use thiserror::Error;

/// The key that proves the primary factor, and why it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProof {
    /// An administrator bound this token of the account to it. It proves nothing for another token.
    Bound(KeyFingerprint, TokenId),
    /// The configuration says that any key does (`enroll.key_is_enough`).
    Enough(KeyFingerprint),
}

/// Why no key proves the primary factor, and what to do: for the log, never for the user at the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyRefusal {
    /// The service's caller may have set the variable.
    #[error("SSH_AUTH_INFO_0 counts only at the services in enroll.key_services")]
    Service,
    /// No `publickey` line, or only certificates.
    #[error("sshd names no accepted key that is not a certificate")]
    NoKey,
    /// The account has no valid token of an administrator.
    #[error(
        "{0} was accepted, but no live token is bound to it; `qrtotp token issue --keys-now USER` issues one"
    )]
    NoToken(KeyFingerprint),
    /// Its token is bound to no key, or to others.
    #[error(
        "{0} was accepted, but the token is not bound to it; revoke the token, then `qrtotp token issue --keys-now USER`"
    )]
    NotBound(KeyFingerprint),
}

/// Whether a key in `info`, the PAM environment's `SSH_AUTH_INFO_0`, proves the primary factor of the account
/// at `service`: for enrolling a first device, and once one is enrolled, for recovery codes that are still
/// owed. `record` is the account's, `None` if it has none.
///
/// # Errors
/// No accepted key does. `enroll.key_services`, the accepted keys, the token and its keys are checked in this
/// order.
pub fn key_proof(
    config: &Config,
    record: Option<&Record>,
    service: &str,
    info: &[u8],
    now: UnixTime,
) -> Result<KeyProof, KeyRefusal> {
    if !config.enroll.key_services.iter().any(|known| known == service) {
        return Err(KeyRefusal::Service);
    }
    let accepted = accepted_keys(info);
    let first = *accepted.first().ok_or(KeyRefusal::NoKey)?;
    let token = record.and_then(|record| issued_token(record, now));
    let bound = token.and_then(|token| Some((accepted.iter().find(|key| token.is_bound_to(key))?, token.id)));
    match (bound, token) {
        (Some((key, id)), _) => Ok(KeyProof::Bound(*key, id)),
        (None, _) if config.enroll.key_is_enough => Ok(KeyProof::Enough(first)),
        (None, Some(_)) => Err(KeyRefusal::NotBound(first)),
        (None, None) => Err(KeyRefusal::NoToken(first)),
    }
}

/// The administrator's token, while its keys count: until it ends, and afterwards for the account that
/// enrolled with it.
fn issued_token(record: &Record, now: UnixTime) -> Option<&Token> {
    let token = record.token.as_ref().filter(|token| token.issued_by.is_some())?;
    let used = matches!(token.state, TokenState::Consumed(_))
        && record.enrolment_status() == EnrolmentStatus::Enrolled;
    (used || token.is_live(now)).then_some(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{Credential, CredentialId, Label, Name, Origin, RecordId};
    use qrtotp_otp::Params;

    const NOW: UnixTime = 1000;
    const BOUND: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";
    const OTHER: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIMedRWgSK34ayaaxak18rGIS6V\
                         3aktM8J3WxSRBiQn/B84WfUoZQ3KCqDdmlepkiqhCAMtlR4MFI1em8jphy0E=";

    fn bound() -> KeyFingerprint {
        "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM".parse().unwrap()
    }

    fn token_id() -> TokenId {
        TokenId::from_random([1; 6])
    }

    fn other() -> KeyFingerprint {
        "SHA256:RsUFG7zAviMBtUkv9XUrbYRu4xonVzD+uCZmD7H2ezM".parse().unwrap()
    }

    fn says(keys: &[&str]) -> Vec<u8> {
        keys.iter().flat_map(|key| format!("publickey {key}\n").into_bytes()).collect()
    }

    /// An unenrolled account with a live token that is bound to one key.
    fn record() -> Record {
        let mut record = Record::new(Name::new("alice").unwrap(), 1000, RecordId([7; 16]));
        record.token = Some(Token {
            id: token_id(),
            issued: 900,
            expires: NOW + 1,
            shows: 0,
            max_shows: 3,
            state: TokenState::Issued,
            issued_by: Some("root".into()),
            binding: None,
            keys: vec![bound()],
        });
        record
    }

    fn with_token(change: impl FnOnce(&mut Token)) -> Record {
        let mut record = record();
        change(record.token.as_mut().unwrap());
        record
    }

    fn enrolled(mut record: Record) -> Record {
        record.credentials.push(Credential {
            id: CredentialId::from_random([2; 6]),
            label: Label::default(),
            params: Params::default(),
            created: NOW,
            origin: Origin::Enrolled,
            window: None,
            sealed: Vec::new(),
        });
        record
    }

    fn proof(record: Option<&Record>, info: &[u8]) -> Result<KeyProof, KeyRefusal> {
        key_proof(&Config::default(), record, "sshd", info, NOW)
    }

    #[test]
    fn a_key_proves_the_primary_factor_while_an_administrators_token_is_bound_to_it() {
        let (yes, no_token) = (Ok(KeyProof::Bound(bound(), token_id())), Err(KeyRefusal::NoToken(bound())));
        let not_bound = Err(KeyRefusal::NotBound(bound()));
        let consumed = || with_token(|token| token.state = TokenState::Consumed(950));
        let revoked = |mut record: Record| {
            record.credentials.clear();
            record.revoked = Some(960);
            record
        };
        for (what, record, expected) in [
            ("issued", record(), yes),
            ("shown", with_token(|token| token.state = TokenState::Shown(950)), yes),
            ("shown as often as allowed", with_token(|token| token.shows = 3), yes),
            ("for a revoked account", revoked(record()), yes),
            ("of an enrolled account", enrolled(record()), yes),
            ("consumed by this account's device", enrolled(consumed()), yes),
            ("consumed, its device revoked", revoked(enrolled(consumed())), no_token),
            ("expired", with_token(|token| token.expires = NOW), no_token),
            ("marked as expired", with_token(|token| token.state = TokenState::Expired(999)), no_token),
            ("revoked", with_token(|token| token.state = TokenState::Revoked(950)), no_token),
            (
                "revoked, of an enrolled account",
                enrolled(with_token(|token| token.state = TokenState::Revoked(950))),
                no_token,
            ),
            ("issued by nobody", with_token(|token| token.issued_by = None), no_token),
            ("bound to no key", with_token(|token| token.keys.clear()), not_bound),
            ("bound to another key", with_token(|token| token.keys = vec![other()]), not_bound),
        ] {
            assert_eq!(proof(Some(&record), &says(&[BOUND])), expected, "{what}");
        }
        assert_eq!(proof(None, &says(&[BOUND])), no_token, "no record");
    }

    #[test]
    fn only_a_key_that_sshd_accepted_counts() {
        let record = record();
        let hostbased = format!("hostbased {BOUND} client user \"alice\", client host \"h\"\n").into_bytes();
        for (info, expected) in [
            (says(&[OTHER, BOUND]), Ok(KeyProof::Bound(bound(), token_id()))),
            (says(&[BOUND, OTHER]), Ok(KeyProof::Bound(bound(), token_id()))),
            (says(&[OTHER]), Err(KeyRefusal::NotBound(other()))),
            (hostbased, Err(KeyRefusal::NoKey)),
            (b"publickey".to_vec(), Err(KeyRefusal::NoKey)),
            (b"password\n".to_vec(), Err(KeyRefusal::NoKey)),
            (b"\xff\0publickey ssh-ed25519".to_vec(), Err(KeyRefusal::NoKey)),
            (Vec::new(), Err(KeyRefusal::NoKey)),
        ] {
            assert_eq!(proof(Some(&record), &info), expected, "{}", info.escape_ascii());
        }
    }

    #[test]
    fn the_variable_counts_only_at_the_services_that_are_listed() {
        let mut config = Config::default();
        let mut at = |service: &str, listed: &[&str]| {
            config.enroll.key_services = listed.iter().map(|name| (*name).to_owned().into()).collect();
            key_proof(&config, Some(&record()), service, &says(&[BOUND]), NOW).is_ok()
        };
        for service in ["su", "sudo", "sshd-2", "SSHD", "ssh", ""] {
            assert!(!at(service, &["sshd"]), "{service}");
        }
        assert!(at("sshd-2", &["sshd", "sshd-2"]));
        assert!(!at("sshd", &[]));
    }

    #[test]
    fn any_accepted_key_is_enough_where_the_configuration_says_so_and_only_there() {
        let mut config = Config::default();
        config.enroll.key_is_enough = true;
        let unbound = with_token(|token| token.keys.clear());
        for (record, service, info, expected) in [
            (Some(record()), "sshd", says(&[OTHER, BOUND]), Ok(KeyProof::Bound(bound(), token_id()))),
            (Some(record()), "sshd", says(&[OTHER]), Ok(KeyProof::Enough(other()))),
            (Some(unbound), "sshd", says(&[BOUND]), Ok(KeyProof::Enough(bound()))),
            (None, "sshd", says(&[OTHER]), Ok(KeyProof::Enough(other()))),
            (None, "sshd", b"password\n".to_vec(), Err(KeyRefusal::NoKey)),
            (None, "su", says(&[OTHER]), Err(KeyRefusal::Service)),
        ] {
            assert_eq!(key_proof(&config, record.as_ref(), service, &info, NOW), expected);
        }
    }
}
