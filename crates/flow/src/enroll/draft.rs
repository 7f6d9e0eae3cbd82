//! A credential before its confirmation: its QR code is on a screen, or was. Root's drafts live in memory
//! only; other users' drafts are kept, sealed, until their time limit, because a connection may drop.

use super::authorize::may_show;
use super::commit::AccountSnapshot;
use super::dialog::Offer;
use super::error::EnrollError;
use super::request::{Authority, Enrolment, EnrolmentRequest, TRIES};
use qrtotp_account::{Credential, CredentialId, Label, RecordId, Token, TokenId, TokenRefusal};
use qrtotp_audit::{Event, Kind};
use qrtotp_otp::qr::{Level, Matrix};
use qrtotp_otp::{KeyUri, Params, Secret, Strength};
use qrtotp_policy::Config;
use qrtotp_store::StoreExt;
use qrtotp_values::UnixTime;

/// Modules per side of the largest QR code that a terminal of 80×24 shows, with its quiet zone, above a
/// question.
const FITS: usize = 37;

/// A credential before its confirmation.
pub(super) struct Draft {
    pub secret: Secret,
    pub id: CredentialId,
    pub label: Label,
    pub params: Params,
    pub record: RecordId,
    pub seen: AccountSnapshot,
    pub token: TokenId,
    /// The number of this show; a later one invalidates this draft.
    pub shows: u8,
    /// The token itself, if it is in no record yet.
    pub own_token: Option<Token>,
    /// The record holds it as pending.
    pub kept: bool,
    /// It was shown in an earlier dialogue.
    pub resumed: bool,
    pub shown: UnixTime,
}

impl Draft {
    /// The data for an app.
    pub(super) fn offer(
        &self,
        request: &EnrolmentRequest<'_>,
        config: &Config,
    ) -> Result<Offer, EnrollError> {
        let secret = Secret::from_bytes(self.secret.as_bytes(), Strength::Normal);
        let secret = secret.map_err(|error| EnrollError::Seal(error.to_string()))?;
        // Some apps overwrite an entry with the same name, so an account's second device gets a number. After
        // a revocation numbers no longer tell devices apart, so ids are used.
        let numbered = |account: &str| match self.seen.devices_of(request.uid) {
            0 => account.to_owned(),
            _ if self.seen.revoked.is_some() => format!("{account} ({})", self.id),
            others => format!("{account} ({})", others + 1),
        };
        let account = numbered(&config.account_on(request.host, request.name.as_str()));
        let issuer = config.issuer_on(request.host);
        let mut uri = KeyUri { issuer, account: account.clone(), secret, params: self.params };
        let (long, short) = (uri.to_uri(), uri.to_short_uri());
        uri.account = numbered(request.name.as_str());
        // With or without the host: the first that fits; if none does, the first of the smallest.
        let forms = [&long, &short, &uri.to_uri(), &uri.to_short_uri()];
        let side = |text: &str| Matrix::encode(text, Level::Low).map_or(usize::MAX, |matrix| matrix.side());
        let picture = forms.into_iter().min_by_key(|form| side(form).max(FITS)).unwrap_or(&long).clone();
        Ok(Offer {
            uri: long,
            picture,
            key: self.secret.to_groups(),
            issuer: uri.issuer,
            account,
            unusual: (!self.params.is_default()).then_some(self.params),
        })
    }
}

impl Enrolment<'_, '_> {
    pub(super) fn is_admin(&self) -> bool {
        matches!(self.request.authority, Authority::Admin(_))
    }

    /// The QR code that was scanned before the connection dropped, if its time is not over.
    pub(super) fn resume(&mut self) -> Result<Option<Draft>, EnrollError> {
        if self.is_admin() {
            return Ok(None);
        }
        let now = self.ctx.now();
        let Some(account) = self.ctx.store.load(self.request.name)? else { return Ok(None) };
        if AccountSnapshot::of(&account) != self.progress.permitted {
            return Err(EnrollError::Changed);
        }
        let record = &account.record;
        let (Some(pending), Some(token)) = (&record.pending, &record.token) else { return Ok(None) };
        let live = pending.is_live(now, self.ctx.config.enroll.time_limit) && token.is_live(now);
        if !live || pending.token != token.id {
            return Ok(None);
        }
        if !may_show(self.request.authority, token, &self.progress) {
            return Err(EnrollError::Changed);
        }
        let Credential { id, label, params, created, .. } = pending.credential.clone();
        let secret = self.ctx.store.key().open_secret(record, &pending.credential)?;
        Event::new(Kind::EnrollmentResumed, &self.ctx.subject)
            .credential(id, label.as_str())
            .token(token.id)
            .emit(self.ctx.audit);
        Ok(Some(Draft {
            secret,
            id,
            label,
            params,
            record: record.id,
            seen: AccountSnapshot::of(&account),
            token: token.id,
            shows: token.shows,
            own_token: None,
            kept: true,
            resumed: true,
            shown: created,
        }))
    }

    /// Counts a guess at a kept draft, durably, before it is checked: dropping the connection must not make
    /// guesses free.
    pub(super) fn count_guess(&mut self, draft: &Draft) -> Result<(), EnrollError> {
        if !draft.kept {
            return Ok(());
        }
        let now = self.ctx.now();
        self.ctx.store.update_account(self.request.name, |slot| {
            let record = slot.as_mut().map(|account| &mut account.record);
            let Some(record) = record else { return Err(EnrollError::Changed) };
            if let Some(token) = record.token.as_mut().filter(|token| token.id == draft.token) {
                token.refuse_ended(now)?; // with a specific refusal, if another process was faster
            }
            let pending = record.pending.as_mut().filter(|pending| pending.credential.id == draft.id);
            let pending = pending.ok_or(EnrollError::Token(TokenRefusal::ShownAgain))?;
            if pending.guesses >= TRIES {
                return Err(EnrollError::WrongCodes);
            }
            pending.guesses += 1;
            Ok(())
        })?
    }

    /// Withdraws a draft whose dialogue was ended by a decision: its QR code is no longer valid. Best effort,
    /// because the time limit has the same effect a little later.
    pub(super) fn withdraw(&mut self, draft: &Draft) {
        if !draft.kept {
            return;
        }
        let withdrawn = self.ctx.store.update_account(self.request.name, |slot| {
            let Some(record) = slot.as_mut().map(|account| &mut account.record) else { return };
            if record.pending.as_ref().is_some_and(|pending| pending.credential.id == draft.id) {
                record.pending = None;
                // A token that was not issued by an admin goes with its only QR code.
                record.token.take_if(|token| token.id == draft.token && token.issued_by.is_none());
            }
        });
        if let Err(error) = withdrawn {
            self.ctx.audit.debug(&format!("an abandoned QR code stays until its time limit: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_account::{Name, Origin, Record, State};
    use qrtotp_store::Account;

    /// The offer to the first user of the host `host`, who has this many devices.
    fn offer(name: &str, issuer: &str, host: &str, devices: u8, secret: [u8; 20]) -> Offer {
        offer_after(None, name, issuer, host, devices, secret)
    }

    /// The same, after a revocation.
    fn offer_after(
        revoked: Option<UnixTime>,
        name: &str,
        issuer: &str,
        host: &str,
        devices: u8,
        secret: [u8; 20],
    ) -> Offer {
        let (name, label) = (Name::new(name).unwrap(), Label::default());
        let mut record = Record::new(name.clone(), 1, RecordId([1; 16]));
        record.revoked = revoked;
        record.credentials = (0..devices)
            .map(|device| Credential {
                id: CredentialId::from_random([device; 6]),
                label: label.clone(),
                params: Params::default(),
                created: 0,
                origin: Origin::Enrolled,
                window: None,
                sealed: Vec::new(),
            })
            .collect();
        let state = State::new(record.id);
        let draft = Draft {
            secret: Secret::from_bytes(&secret, Strength::Normal).unwrap(),
            id: CredentialId::from_random([1; 6]),
            label: label.clone(),
            params: Params::default(),
            record: RecordId([1; 16]),
            seen: AccountSnapshot::of(&Account { record, state }),
            token: TokenId::from_random([1; 6]),
            shows: 1,
            own_token: None,
            kept: false,
            resumed: false,
            shown: 0,
        };
        let request = EnrolmentRequest {
            name: &name,
            uid: 1,
            label: &label,
            authority: Authority::PrimaryFactor,
            host,
        };
        let config = Config { issuer: Some(issuer.to_owned()), ..Config::default() };
        draft.offer(&request, &config).unwrap()
    }

    fn secret_of(factor: u8) -> [u8; 20] {
        std::array::from_fn(|index| u8::try_from(index).unwrap().wrapping_mul(factor))
    }

    fn side(text: &str) -> usize {
        Matrix::encode(text, Level::Low).unwrap().side()
    }

    #[test]
    fn the_picture_has_the_whole_uri_unless_it_would_not_fit_and_another_form_is_smaller() {
        let mut seen = std::collections::BTreeSet::new();
        let lengths = [1, 5, 32].into_iter().flat_map(|name| [1, 12, 63].map(|host| (name, host)));
        for (name, host, letters) in
            lengths.flat_map(|(name, host)| (2..=62).step_by(6).map(move |letters| (name, host, letters)))
        {
            let (user, host) = ("a".repeat(name), "h".repeat(host));
            let offer = offer(&user, &"x".repeat(letters), &host, 0, secret_of(7));
            let with_host = format!("{user}@{host}");
            let forms = [(&with_host, true), (&with_host, false), (&user, true), (&user, false)];
            let forms = forms.map(|(account, whole)| {
                let secret = Secret::from_bytes(&secret_of(7), Strength::Normal).unwrap();
                let (issuer, account) = (offer.issuer.clone(), account.clone());
                let uri = KeyUri { issuer, account, secret, params: Params::default() };
                if whole { uri.to_uri() } else { uri.to_short_uri() }
            });
            assert_eq!(offer.uri, forms[0]);
            let sides = forms.each_ref().map(|form| side(form));
            let fitting = sides.iter().position(|side| *side <= FITS);
            let smallest = || sides.iter().position(|side| side == sides.iter().min().unwrap());
            let expected = fitting.or_else(smallest).unwrap();
            assert_eq!(offer.picture, forms[expected], "{user} {host} {letters}");
            seen.insert((expected, fitting.is_some()));
        }
        for case in [(0, true), (1, true), (2, true), (3, true), (1, false), (3, false)] {
            assert!(seen.contains(&case), "{case:?} is in none of {seen:?}");
        }
    }

    #[test]
    fn what_the_app_shows_names_the_host_and_a_second_device_so_that_no_entry_overwrites_another() {
        for (host, devices, account) in [
            ("web1.example.org", 0, "bob@web1"),
            ("web2", 0, "bob@web2"),
            ("web1", 1, "bob@web1 (2)"),
            ("web1", 2, "bob@web1 (3)"),
        ] {
            let offer = offer("bob", "Example Corp", host, devices, secret_of(7));
            assert_eq!(offer.account, account);
            assert_eq!(KeyUri::parse(&offer.picture, Strength::Normal).unwrap().account, account);
        }
        let revoked =
            |devices| offer_after(Some(1), "bob", "Example Corp", "web1", devices, secret_of(7)).account;
        assert_eq!(revoked(0), "bob@web1", "no entry that is still good is overwritten");
        // (2) may be the remaining one.
        assert_eq!(revoked(1), format!("bob@web1 ({})", CredentialId::from_random([1; 6])));
        let long = offer("bob", "Example Corp", &"h".repeat(63), 1, secret_of(7));
        assert_eq!(KeyUri::parse(&long.uri, Strength::Normal).unwrap().account, long.account);
        assert_eq!(KeyUri::parse(&long.picture, Strength::Normal).unwrap().account, "bob (2)");
    }
}
