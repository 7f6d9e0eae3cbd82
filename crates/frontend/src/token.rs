//! A token as output: its state, its code and its QR code, but never a secret.

use crate::local;
use qrtotp_account::{Binding, Pending, Record, TokenRefusal};
use qrtotp_messages::{Catalogue, Message, text};
use qrtotp_values::ConfigDuration;
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde::Serialize;
use std::borrow::Cow;

/// A token.
#[derive(Serialize)]
pub struct TokenView {
    user: String,
    id: String,
    pub(crate) state: &'static str,
    /// When it reached this state; the time of issue if it was never shown.
    since: UnixTime,
    issued: UnixTime,
    expires: UnixTime,
    shows: u8,
    max_shows: u8,
    issued_by: String,
    /// Its one-time code; none once the token has ended.
    code: Option<CodeView>,
    /// Fingerprints of the ssh keys that it is bound to.
    keys: Vec<String>,
    /// The QR code that waits for its first code.
    pending: Option<PendingView>,
}

#[derive(Serialize)]
struct CodeView {
    state: &'static str,
    expires: UnixTime,
    /// Wrong codes typed so far.
    failures: u32,
}

#[derive(Serialize)]
struct PendingView {
    credential: String,
    label: String,
    shown: UnixTime,
    /// The first second at which it is no longer valid.
    until: UnixTime,
}

impl TokenView {
    /// The record's token. `limit` is how long a shown QR code waits.
    #[must_use]
    pub fn new(record: &Record, limit: ConfigDuration, now: UnixTime) -> Option<Self> {
        let token = record.token.as_ref()?;
        let state = token.state_at(now);
        let live = token.is_live(now);
        let pending = record.pending.as_ref().filter(|pending| pending.token == token.id);
        let pending = pending.filter(|pending| live && pending.is_live(now, limit));
        Some(Self {
            user: record.name.as_str().to_owned(),
            id: token.id.to_string(),
            state: state.as_str(),
            since: state.at().unwrap_or(token.issued),
            issued: token.issued,
            expires: token.expires,
            shows: token.shows,
            max_shows: token.max_shows,
            issued_by: clean(token.issued_by.as_deref().unwrap_or("first_login"), 64),
            code: token.binding.as_ref().filter(|_| live).map(|binding| CodeView::new(binding, now)),
            keys: token.keys.iter().map(ToString::to_string).collect(),
            pending: pending.map(|pending| PendingView::new(pending, limit.as_seconds(), token.expires)),
        })
    }

    /// The token's user, for a terminal.
    #[must_use]
    pub fn user(&self) -> String {
        clean(&self.user, 64)
    }

    /// The header of a table of tokens.
    pub const HEADER: [&str; 9] =
        ["USER", "TOKEN", "STATE", "SINCE", "ISSUED BY", "EXPIRES", "QR SHOWN", "CODE", "SSH KEYS"];

    /// Its row of that table.
    #[must_use]
    pub fn cells(&self) -> [String; 9] {
        let code = |code: &CodeView| match code.state {
            "good" => format!("until {}", local(code.expires)),
            "tries_used_up" => format!("ended after {} wrong ones", code.failures),
            _ => format!("expired {}", local(code.expires)),
        };
        [
            self.user(),
            self.id.clone(),
            self.state.into(),
            local(self.since),
            self.issued_by.clone(),
            local(self.expires),
            format!("{} of {}", self.shows, self.max_shows),
            self.code.as_ref().map(code).unwrap_or_default(),
            self.keys.len().to_string(),
        ]
    }

    /// A description in one sentence of this language.
    #[must_use]
    pub fn sentence(&self, catalogue: &Catalogue) -> Cow<'static, str> {
        let since = local(self.since);
        let state = catalogue.text(&match self.state {
            "shown" => text::token_shown(&since),
            "consumed" => text::token_consumed(&since),
            "expired" => text::token_expired(&since),
            "revoked" => text::token_revoked(&since),
            _ => text::token_issued(&since),
        });
        let (issued, expires) = (local(self.issued), local(self.expires));
        let Self { id, issued_by, shows, max_shows, .. } = self;
        let mut token =
            catalogue.text(&text::token(id, &state, &issued, issued_by, &expires, shows, max_shows));
        if let Some(code) = &self.code {
            token = catalogue.text(&code.message(&token));
        }
        if !self.keys.is_empty() {
            token = catalogue.text(&text::token_keys(&token, &self.keys.join(", ")));
        }
        if let Some(PendingView { credential, until, .. }) = &self.pending {
            token = catalogue.text(&text::token_pending(&token, credential, &local(*until)));
        }
        token
    }
}

impl CodeView {
    fn new(binding: &Binding, now: UnixTime) -> Self {
        let state = match binding.check(now) {
            Ok(()) => "good",
            Err(TokenRefusal::CodeTriesUsedUp) => "tries_used_up",
            Err(_) => "expired",
        };
        Self { state, expires: binding.expires, failures: binding.failures }
    }

    /// The sentence on the token, with this code.
    fn message(&self, token: &str) -> Message {
        match self.state {
            "good" => text::token_code_good(&token, &local(self.expires)),
            "tries_used_up" => text::token_code_ended(&token, &self.failures),
            _ => text::token_code_expired(&token, &local(self.expires)),
        }
    }
}

impl PendingView {
    fn new(pending: &Pending, limit: i64, token_expires: UnixTime) -> Self {
        let credential = &pending.credential;
        Self {
            credential: credential.id.to_string(),
            label: credential.label.as_str().to_owned(),
            shown: credential.created,
            until: credential.created.saturating_add(limit).min(token_expires),
        }
    }
}
