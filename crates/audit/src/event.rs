//! Events and their one form: logfmt with a fixed order of keys, see docs/AUDIT.md.

use super::kind::{Kind, Priority};
use qrtotp_account::{Anomaly, CredentialId, KeyFingerprint, TokenId};
use qrtotp_values::Verdict;
use qrtotp_values::text::logfmt;
use std::fmt::{Display, Write as _};

/// Account, service and origin: the same for every event of one login or command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The account: its canonical name if known, otherwise the typed one.
    pub user: String,
    /// The PAM service, or `qrtotp` for the command.
    pub service: String,
    /// The remote host, as the PAM application gave it.
    pub rhost: String,
    /// The terminal.
    pub tty: String,
    /// The acting user, if not the account itself: the caller of `su` or `sudo`, an admin.
    pub by: String,
    /// The rule that decided, if the policy has rules.
    pub rule: Option<DecidedBy>,
    /// The proof of the primary factor.
    pub with: PrimaryFactor,
    /// The first ssh key that sshd says it accepted in this login.
    pub key: Option<KeyFingerprint>,
}

/// The proof of the primary factor that a login is known to have, before or beside the second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrimaryFactor {
    /// None known: other PAM modules do not report their results to us.
    #[default]
    Unknown,
    /// The account's password: a PAM transaction of ours proved it.
    Password,
    /// sshd accepted an ssh key.
    PublicKey,
}

impl PrimaryFactor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Password => "password",
            Self::PublicKey => "publickey",
        }
    }
}

impl Subject {
    /// The PAM service alone, without the prefix that the broker adds to its caller's service.
    #[must_use]
    pub fn pam_service(&self) -> &str {
        self.service.strip_prefix("qrtotpd:").unwrap_or(&self.service)
    }
}

/// The rule that decided a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedBy {
    /// The number of the policy.
    pub policy: u64,
    /// Its name.
    pub rule: String,
    /// How urgent its `login` events are, at least.
    pub at_least: Priority,
}

/// One event. Fill in what is known and take its [`Event::line`].
#[derive(Clone, Debug)]
pub struct Event<'a> {
    kind: Kind,
    subject: &'a Subject,
    verdict: Option<Verdict>,
    anomaly: Option<Anomaly>,
    reason: &'a str,
    credential: Option<CredentialId>,
    label: &'a str,
    token: Option<TokenId>,
    failures: Option<u32>,
    wait: Option<u32>,
    left: Option<u32>,
    count: Option<u32>,
    keys: Option<u32>,
    policy: Option<u64>,
    was: &'a str,
    is_familiar: Option<bool>,
    detail: &'a str,
}

impl<'a> Event<'a> {
    /// An event of this kind.
    #[must_use]
    pub fn new(kind: Kind, subject: &'a Subject) -> Self {
        Self {
            kind,
            subject,
            verdict: None,
            anomaly: None,
            reason: "",
            credential: None,
            label: "",
            token: None,
            failures: None,
            wait: None,
            left: None,
            count: None,
            keys: None,
            policy: None,
            was: "",
            is_familiar: None,
            detail: "",
        }
    }

    /// The decision on a login.
    #[must_use]
    pub fn login(subject: &'a Subject, verdict: Verdict, reason: &'a str) -> Self {
        Self::decision(Kind::Login, subject, verdict, reason)
    }

    /// A decision of another kind.
    #[must_use]
    pub fn decision(kind: Kind, subject: &'a Subject, verdict: Verdict, reason: &'a str) -> Self {
        Self { verdict: Some(verdict), reason, ..Self::new(kind, subject) }
    }

    /// An anomaly. Its reason is the name of the rule that found it.
    #[must_use]
    pub fn anomaly(subject: &'a Subject, anomaly: Anomaly) -> Self {
        let event = Self::new(Kind::Anomaly, subject).reason(anomaly.rule()).detail(anomaly.because());
        Self { anomaly: Some(anomaly), ..event }
    }

    /// Why, in one word of docs/AUDIT.md.
    #[must_use]
    pub fn reason(self, reason: &'a str) -> Self {
        Self { reason, ..self }
    }

    /// Which credential.
    #[must_use]
    pub fn credential(self, id: CredentialId, label: &'a str) -> Self {
        Self { credential: Some(id), label, ..self }
    }

    /// Which enrolment token.
    #[must_use]
    pub fn token(self, id: TokenId) -> Self {
        Self { token: Some(id), ..self }
    }

    /// How many consecutive failures there are now.
    #[must_use]
    pub fn failures(self, failures: u32) -> Self {
        Self { failures: Some(failures), ..self }
    }

    /// Seconds until the next answer is checked.
    #[must_use]
    pub fn wait(self, seconds: u32) -> Self {
        Self { wait: Some(seconds), ..self }
    }

    /// How many recovery codes are left.
    #[must_use]
    pub fn left(self, codes: u32) -> Self {
        Self { left: Some(codes), ..self }
    }

    /// How many lines this line replaces.
    #[must_use]
    pub fn count(self, lines: u32) -> Self {
        Self { count: Some(lines), ..self }
    }

    /// How many ssh keys a token is bound to, if to any.
    #[must_use]
    pub fn keys(self, keys: u32) -> Self {
        Self { keys: Some(keys).filter(|keys| *keys > 0), ..self }
    }

    /// The number of the policy that an event is about.
    #[must_use]
    pub fn policy(self, generation: u64) -> Self {
        Self { policy: Some(generation), ..self }
    }

    /// The account's former name or uid.
    #[must_use]
    pub fn was(self, was: &'a str) -> Self {
        Self { was, ..self }
    }

    /// Whether the answer came from a place that was familiar before it; `None` if its place is unknown.
    #[must_use]
    pub fn from_familiar_place(self, is_familiar: Option<bool>) -> Self {
        Self { is_familiar, ..self }
    }

    /// A sentence for the admin: what is wrong and what to do.
    #[must_use]
    pub fn detail(self, detail: &'a str) -> Self {
        Self { detail, ..self }
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        let usual = self.kind.priority(self.verdict);
        if let Some(anomaly) = self.anomaly {
            return severity(anomaly, self.subject);
        }
        match &self.subject.rule {
            // The most urgent one comes first.
            Some(rule) if self.kind == Kind::Login => usual.min(rule.at_least),
            _ => usual,
        }
    }

    /// The line, free of control characters. Keys without a value are left out, the rest keep their order.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(192);
        self.write(&mut line);
        write_detail(&mut line, self.detail);
        line
    }

    /// Appends the line to `out` without its `detail`. Allocates nothing if `out` has room.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str("event=");
        out.push_str(self.kind.as_str());
        let mut line = LineWriter(out);
        line.text("severity", self.anomaly.map_or("", |_| self.priority().as_str()));
        line.text("result", self.verdict.map_or("", Verdict::as_str));
        line.text("reason", self.reason);
        line.text("user", &self.subject.user);
        line.text("service", &self.subject.service);
        line.text("rhost", &self.subject.rhost);
        line.text("tty", &self.subject.tty);
        line.text("by", &self.subject.by);
        if let Some(rule) = &self.subject.rule {
            line.value("policy", Some(&rule.policy));
            line.text("rule", &rule.rule);
        }
        line.value("policy", self.policy.as_ref().map(|policy| policy as _));
        if let Some(id) = &self.credential {
            line.value("credential", Some(id));
            line.text("label", self.label);
        }
        line.value("token", self.token.as_ref().map(|token| token as _));
        line.number("failures", self.failures);
        line.number("wait", self.wait);
        line.number("left", self.left);
        line.number("count", self.count);
        line.number("keys", self.keys);
        line.text("was", self.was);
        line.text("place", self.is_familiar.map_or("", |familiar| if familiar { "familiar" } else { "new" }));
        if self.kind == Kind::Login && self.verdict == Some(Verdict::Accepted) {
            line.text("with", self.subject.with.as_str());
        }
        if matches!(self.kind, Kind::Login | Kind::PasswordTried) {
            line.value("key", self.subject.key.as_ref().map(|key| key as _));
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The account's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.subject.user
    }

    pub(super) fn known_anomaly(&self) -> Option<Anomaly> {
        self.anomaly
    }
}

fn severity(anomaly: Anomaly, subject: &Subject) -> Priority {
    match anomaly {
        Anomaly::Intercepted | Anomaly::CodesGuessed | Anomaly::EnrolledAfterRecovery => Priority::Alert,
        Anomaly::FailedThenIn => Priority::Warning,
        Anomaly::NewPlace if subject.with == PrimaryFactor::PublicKey => Priority::Info,
        Anomaly::NewPlace | Anomaly::Dormant => Priority::Notice,
    }
}

/// A line that has been begun.
struct LineWriter<'o>(&'o mut String);

impl LineWriter<'_> {
    /// A key with a text, unless that is empty.
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            logfmt(self.0, key, value);
        }
    }

    /// A key with a value that needs no quotes.
    fn value(&mut self, key: &str, value: Option<&dyn Display>) {
        if let Some(value) = value {
            let _ = write!(self.0, " {key}={value}");
        }
    }

    fn number(&mut self, key: &str, value: Option<u32>) {
        self.value(key, value.as_ref().map(|value| value as _));
    }
}

/// Appends a line's last key.
pub(super) fn write_detail(line: &mut String, detail: &str) {
    if !detail.is_empty() {
        logfmt(line, "detail", detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_one_order_and_empty_ones_are_left_out() {
        let subject = Subject {
            user: "alice".into(),
            service: "sshd".into(),
            rhost: "::1".into(),
            key: "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM".parse().ok(),
            ..Subject::default()
        };
        let event = Event::login(&subject, Verdict::Denied, "wrong_code")
            .failures(3)
            .from_familiar_place(Some(false))
            .credential(CredentialId::from_random([0; 6]), "my phone");
        assert_eq!(
            event.line(),
            "event=login result=denied reason=wrong_code user=alice service=sshd rhost=::1 \
             credential=c-000000 label=\"my phone\" failures=3 place=new \
             key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM"
        );
        assert_eq!(event.priority(), Priority::Warning);
    }

    #[test]
    fn an_anomaly_says_how_much_it_matters_and_why() {
        let by =
            |with| Subject { user: "alice".into(), rhost: "192.0.2.7".into(), with, ..Subject::default() };
        for (with, severity, priority) in [
            (PrimaryFactor::Unknown, "notice", Priority::Notice),
            (PrimaryFactor::PublicKey, "info", Priority::Info),
        ] {
            let subject = by(with);
            let event = Event::anomaly(&subject, Anomaly::NewPlace);
            assert_eq!(
                event.line(),
                format!(
                    "event=anomaly severity={severity} reason=new-place user=alice rhost=192.0.2.7 \
                     detail=\"the first right answer from there, as far as is remembered\""
                )
            );
            assert_eq!(event.priority(), priority);
        }
    }

    #[test]
    fn a_hostile_user_name_stays_one_value_on_one_line() {
        let subject = Subject { user: "x\nevent=login result=accepted".into(), ..Subject::default() };
        let line = Event::login(&subject, Verdict::Denied, "unknown_user").line();
        assert!(!line.contains('\n') && line.contains("user=\"x?event=login result=accepted\""), "{line}");
    }
}
