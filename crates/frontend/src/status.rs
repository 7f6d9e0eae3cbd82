//! An account's credentials as text and as JSON. Never a secret: sealed values are not even opened.

use crate::device::{CredentialView, SshKeyView};
use crate::local;
use crate::{TokenView, Versioned};
use qrtotp_account::{EnrolmentStatus, FactorKind, Name, SetKind, Side, Throttle, ThrottleRules};
use qrtotp_flow::Person;
use qrtotp_messages::{Catalogue, Message, text};
use qrtotp_policy::Config;
use qrtotp_store::Account;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;

/// An account.
#[derive(Serialize)]
pub struct StatusView {
    user: String,
    uid: Option<u32>,
    standing: &'static str,
    revoked: Option<UnixTime>,
    /// Why no user can log in with it: `no_user`, `other_uid`.
    stray: Option<&'static str>,
    credentials: Vec<CredentialView>,
    /// Registered hardware ssh keys.
    ssh_keys: Vec<SshKeyView>,
    /// When a code of any of them was last accepted.
    last_used: Option<UnixTime>,
    recovery_codes_left: u32,
    /// Another system issued them, with eight digits.
    recovery_codes_imported: bool,
    /// For app codes from places that are not familiar.
    lock: Lock,
    recovery_lock: Lock,
    familiar_places: usize,
    /// Until when other places must give two codes, because a code was intercepted.
    two_codes_until: Option<UnixTime>,
    token: Option<TokenView>,
}

#[derive(Serialize)]
struct Lock {
    state: &'static str,
    /// Seconds until the next answer is checked.
    wait: u32,
    failures: u32,
}

impl StatusView {
    /// Without a record: an account that never enrolled.
    #[must_use]
    pub fn new(name: &Name, account: Option<&Account>, config: &Config, now: UnixTime) -> Self {
        let rules = &config.throttle.rules();
        let record = account.map(|account| &account.record);
        let state = account.map(|account| &account.state);
        let left = record.zip(state).and_then(|(record, state)| {
            let set = record.recovery.as_ref()?;
            Some(u32::try_from(set.hashes.len()).unwrap_or(0).saturating_sub(state.recovery_used(set.id)))
        });
        let mut throttle = state.map(|state| state.throttle.clone()).unwrap_or_default();
        throttle.advance(now, rules);
        let credentials = account.map(CredentialView::all).unwrap_or_default();
        Self {
            user: name.as_str().to_owned(),
            uid: record.map(|record| record.uid),
            standing: match record.map(|record| record.enrolment_status()) {
                Some(EnrolmentStatus::Enrolled) => "enrolled",
                Some(EnrolmentStatus::Revoked) => "revoked",
                Some(EnrolmentStatus::Unenrolled) | None => "unenrolled",
            },
            revoked: record
                .filter(|r| r.enrolment_status() == EnrolmentStatus::Revoked)
                .and_then(|r| r.revoked),
            stray: None,
            last_used: credentials.iter().filter_map(|credential| credential.last_used).max(),
            credentials,
            ssh_keys: account.map(SshKeyView::all).unwrap_or_default(),
            recovery_codes_left: left.unwrap_or(0),
            recovery_codes_imported: record
                .and_then(|record| record.recovery.as_ref())
                .is_some_and(|set| set.kind == SetKind::Imported),
            lock: Lock::new(&throttle, FactorKind::Code, rules, now),
            recovery_lock: Lock::new(&throttle, FactorKind::Recovery, rules, now),
            familiar_places: throttle.places(now, rules),
            // A host of a fleet is not asked for two.
            two_codes_until: state
                .filter(|_| config.fleet.verifier.is_none())
                .and_then(|state| state.signs.two_codes_until(now)),
            token: record.and_then(|record| TokenView::new(record, config.enroll.time_limit, now)),
        }
    }

    /// Whether a device is enrolled.
    #[must_use]
    pub fn is_enrolled(&self) -> bool {
        self.standing == "enrolled"
    }

    /// Whether codes from places that are not familiar have to wait, or are disabled.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.state != "open"
    }

    /// When a code was last accepted; 0: never.
    #[must_use]
    pub fn last_used(&self) -> UnixTime {
        self.last_used.unwrap_or(0)
    }

    /// Adds the mismatch, if any, with the host's `user` of this name.
    #[must_use]
    pub fn on_host(self, user: Option<&Person>) -> Self {
        let stray = match (self.uid, user) {
            (None, _) => None,
            (Some(_), None) => Some("no_user"),
            (Some(uid), Some(user)) => (uid != user.uid).then_some("other_uid"),
        };
        Self { stray, ..self }
    }

    /// Writes it as JSON, in several lines.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write_json(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, &Versioned::new(self))?;
        out.write_all(b"\n")
    }

    /// Writes it as JSON, in one line.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write_json_line(&self, out: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut *out, &Versioned::new(self))?;
        out.write_all(b"\n")
    }

    /// Writes it as text in this language, in several lines.
    ///
    /// # Errors
    /// Writing to `out` fails.
    pub fn write(&self, out: &mut impl Write, catalogue: &Catalogue) -> std::io::Result<()> {
        let uid = self.uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
        let standing = match (self.standing, self.revoked) {
            ("enrolled", _) => text::ACCOUNT_ENROLLED,
            ("revoked", Some(at)) => text::account_revoked_on(&local(at)),
            ("revoked", None) => text::ACCOUNT_REVOKED,
            _ => text::ACCOUNT_UNENROLLED,
        };
        writeln!(out, "{}{uid}: {}", clean(&self.user, 64), catalogue.text(&standing))?;
        let mut line = |message: &Message| writeln!(out, "  {}", catalogue.text(message));
        for credential in &self.credentials {
            line(&text::status_device(&credential.sentence(catalogue)))?;
        }
        for key in &self.ssh_keys {
            line(&text::status_key(&key.sentence(catalogue)))?;
        }
        let left = &self.recovery_codes_left;
        line(&match self.recovery_codes_imported {
            true => text::status_recovery_imported(left),
            false => text::status_recovery(left),
        })?;
        line(&text::status_lock(&catalogue.text(&self.lock.message(text::lock_waiting_new_place))))?;
        if self.recovery_lock.failures > 0 {
            let lock = self.recovery_lock.message(text::lock_waiting);
            line(&text::status_recovery_lock(&catalogue.text(&lock)))?;
        }
        line(&text::status_places(&self.familiar_places))?;
        if let Some(until) = self.two_codes_until {
            line(&text::status_two_codes(&local(until)))?;
        }
        line(&match &self.token {
            None => text::STATUS_NO_TOKEN,
            Some(token) => text::status_token(&token.sentence(catalogue)),
        })
    }

    /// The header of a table of accounts.
    pub const HEADER: [&str; 9] =
        ["USER", "STATUS", "DEVICES", "SSH KEYS", "LAST USED", "RECOVERY CODES", "LOCK", "TOKEN", "NOTE"];

    /// Its row of that table.
    #[must_use]
    pub fn cells(&self) -> [String; 9] {
        let note = match self.stray {
            Some("no_user") => "no such user",
            Some(_) => "user has another uid",
            None => "",
        };
        [
            clean(&self.user, 64),
            self.standing.into(),
            self.credentials.len().to_string(),
            self.ssh_keys.len().to_string(),
            self.last_used.map_or("never".into(), local),
            self.recovery_codes_left.to_string(),
            self.lock.state.into(),
            self.token.as_ref().map_or("none", |token| token.state).into(),
            note.into(),
        ]
    }
}

impl Lock {
    fn new(throttle: &Throttle, factor: FactorKind, rules: &ThrottleRules, now: UnixTime) -> Self {
        let wait = throttle.wait(factor, Side::Nowhere, now, rules);
        let state = match (factor == FactorKind::Code && throttle.is_disabled(rules), wait) {
            (true, _) => "disabled",
            (false, 0) => "open",
            (false, _) => "waiting",
        };
        Self { state, wait, failures: throttle.failures_of(factor) }
    }

    fn message(&self, waiting: fn(&dyn Display, &dyn Display) -> Message) -> Message {
        let Self { state, wait, failures } = self;
        match *state {
            "disabled" => text::lock_disabled(failures),
            "waiting" => waiting(wait, failures),
            _ => text::lock_open(failures),
        }
    }
}
