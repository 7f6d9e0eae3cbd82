//! The system log. It is bounded, so no caller may fill more than a little of it. Refusals beyond a limit are
//! counted instead, and their number is logged.

use crate::PROGRAM;
use qrtotp_audit::{AuditSink, Entry, Event, Kind, Priority, Subject};
use qrtotp_clock::Deadline;
use qrtotp_frontend::Syslog;
use qrtotp_values::text::logfmt;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The length of a counting period.
const PERIOD: Duration = Duration::from_secs(60);
/// Refused requests of one user that are logged per period: more than the guesses that the default throttle
/// checks in that time.
const EACH: u32 = 30;
/// The name for all of them together.
const REFUSALS: &str = "refusals";

/// The refusals of this period, by user: at a host's broker their uid.
#[derive(Default)]
pub struct Refusals<U = u32> {
    counts: Mutex<HashMap<(Option<U>, &'static str), Count>>,
    /// Held by each thread that writes.
    writers: Arc<()>,
}

/// A caller of a host's broker; `None`: all uids without an account, of which there may be very many.
pub type CallerUid = Option<u32>;

struct Count {
    by: String,
    period: Deadline,
    seen: u32,
    most: u32,
}

type LogLine = (Priority, String);

impl<U: Eq + Hash> Refusals<U> {
    /// Logs that a caller was sent away, once in a period, without waiting for the log.
    pub fn caller(&self, who: Option<U>, subject: &Subject, reason: &'static str) {
        if self.admit(who, reason, 1, &subject.by) {
            self.aside(vec![line(&Event::new(Kind::CallerRefused, subject).reason(reason))]);
        }
    }

    /// Logs the number of lines left out in periods that are over, without waiting for the log.
    pub fn sweep(&self) {
        let lines = self.left_out(|count| count.period.left().is_zero());
        if !lines.is_empty() {
            self.aside(lines);
        }
    }

    /// Logs the number of all lines left out, and waits a second for pending writes.
    pub fn finish(&self) {
        write(&self.left_out(|_| true));
        let mut patience = Deadline::after(Duration::from_secs(1));
        while Arc::strong_count(&self.writers) > 1 && patience.pause() {}
    }

    /// Writes in another thread: the log may be slow, and the accepting thread must not wait.
    fn aside(&self, lines: Vec<LogLine>) {
        let writer = Arc::clone(&self.writers);
        let _ = thread::Builder::new().spawn(move || {
            write(&lines);
            drop(writer);
        });
    }

    /// Whether a line about a request of `who` is to be logged.
    pub fn admits(&self, entry: &Entry<'_>, who: Option<U>, by: &str) -> bool {
        !is_limited(entry) || self.admit(who, REFUSALS, EACH, by)
    }

    /// Counts a refusal. True if it is to be logged.
    fn admit(&self, who: Option<U>, reason: &'static str, most: u32, by: &str) -> bool {
        let mut counts = self.counts();
        let count = counts.entry((who, reason)).or_insert_with(|| Count {
            by: by.to_owned(),
            period: Deadline::after(PERIOD),
            seen: 0,
            most,
        });
        count.seen = count.seen.saturating_add(1);
        count.seen <= count.most
    }

    fn left_out(&self, is_over: impl Fn(&Count) -> bool) -> Vec<LogLine> {
        let mut lines = Vec::new();
        self.counts().retain(|(who, reason), count| {
            let over = is_over(count);
            let left_out = count.seen.saturating_sub(count.most);
            if over && left_out > 0 {
                let by = if who.is_some() { count.by.clone() } else { String::new() };
                let subject = Subject { by, service: PROGRAM.into(), ..Subject::default() };
                lines.push(line(&Event::new(Kind::LinesLeftOut, &subject).reason(reason).count(left_out)));
            }
            !over
        });
        lines
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<(Option<U>, &'static str), Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

/// The log for one caller's request.
pub struct Log {
    refusals: Arc<Refusals>,
    who: CallerUid,
    by: String,
    /// The service of `[broker.services]` that receives the verdict.
    audience: Option<String>,
    syslog: Syslog,
}

impl Log {
    pub fn open(refusals: &Arc<Refusals>, who: CallerUid, by: String) -> Self {
        Self { refusals: Arc::clone(refusals), who, by, audience: None, syslog: Syslog::open(PROGRAM) }
    }

    /// The same for a second writer.
    pub fn reopened(&self) -> Self {
        let log = Self::open(&self.refusals, self.who, self.by.clone());
        Self { audience: self.audience.clone(), ..log }
    }

    /// Whether each line names a service.
    pub fn is_for_service(&self) -> bool {
        self.audience.is_some()
    }

    /// Makes each later line name this service, the caller's account.
    pub fn set_audience(&mut self) {
        self.audience = Some(self.by.clone());
    }
}

impl AuditSink for Log {
    fn record(&mut self, entry: &Entry<'_>) {
        if !self.refusals.admits(entry, self.who, &self.by) {
            return;
        }
        let mut line = entry.line();
        if let Some(audience) = &self.audience {
            logfmt(&mut line, "audience", audience);
        }
        self.syslog.write(entry.priority(), &line);
    }

    fn debug(&mut self, _: &str) {}
}

/// Whether callers could cause unlimited numbers of such lines. Changes and accepted logins take a code or a
/// password, the throttle engages once in many guesses, a host is reported once an hour, and it counted each
/// event of a chain.
fn is_limited(entry: &Entry<'_>) -> bool {
    let urgent = matches!(entry.priority(), Priority::Warning | Priority::Error | Priority::Alert);
    let is_rare = matches!(entry.kind(), Kind::ThrottleEngaged | Kind::HostNoisy);
    urgent && matches!(entry, Entry::Event(_)) && !is_rare
}

fn line(event: &Event<'_>) -> LogLine {
    (event.priority(), event.line())
}

fn write(lines: &[LogLine]) {
    let mut syslog = Syslog::open(PROGRAM);
    lines.iter().for_each(|(priority, line)| syslog.write(*priority, line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use qrtotp_audit::Verdict;

    #[test]
    fn refusals_are_logged_up_to_a_limit_for_each_caller_and_the_rest_is_counted() {
        let refusals = Refusals::<u32>::default();
        let logged = (0..100).filter(|_| refusals.admit(Some(1000), REFUSALS, EACH, "alice")).count();
        assert_eq!(logged, 30);
        assert!(
            refusals.admit(Some(1001), REFUSALS, EACH, "bob") && refusals.admit(None, "no_account", 1, "7")
        );
        assert!(!refusals.admit(None, "no_account", 1, "8"));
        assert!(refusals.left_out(|count| count.period.left().is_zero()).is_empty(), "not over yet");
        let mut lines: Vec<_> = refusals.left_out(|_| true).into_iter().map(|(_, line)| line).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "event=lines_left_out reason=no_account service=qrtotpd count=1",
                "event=lines_left_out reason=refusals service=qrtotpd by=alice count=70"
            ]
        );
        assert!(refusals.admit(Some(1000), REFUSALS, EACH, "alice"), "a new period");
    }

    #[test]
    fn what_is_changed_or_accepted_and_an_engaged_throttle_are_never_left_out() {
        let subject = Subject::default();
        let login = |verdict| Event::login(&subject, verdict, "");
        let limited = |event: &Event<'_>| is_limited(&Entry::Event(event));
        assert!(limited(&login(Verdict::Denied)));
        assert!(limited(&Event::new(Kind::ConfigurationRefused, &subject)));
        assert!(!limited(&Event::new(Kind::ThrottleEngaged, &subject)));
        assert!(!limited(&Event::new(Kind::HostNoisy, &subject)));
        assert!(!limited(&login(Verdict::Accepted)));
        assert!(!limited(&Event::new(Kind::CredentialRevoked, &subject)));
        let (kind, priority) = (Kind::Login, Priority::Warning);
        assert!(!is_limited(&Entry::Chained { kind, priority, line: "", detail: "" }));
    }
}
