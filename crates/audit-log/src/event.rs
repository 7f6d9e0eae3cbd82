//! One line of a log as an event.

use crate::time::{is_time, rfc3339, traditional};
use qrtotp_account::{LINK_LEN, Link};
use qrtotp_values::text::clean;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Keys whose values are numbers in JSON.
const NUMBERS: [&str; 8] = ["policy", "failures", "wait", "left", "count", "keys", "seq", "at"];

/// Events that are never logged without a number and a link, beside accepted logins.
const CHAINED: [&str; 10] = [
    "anomaly",
    "credential_imported",
    "credential_renamed",
    "credential_revoked",
    "enrollment_confirmed",
    "import_repeated",
    "key_registered",
    "token_consumed",
    "token_expired",
    "token_revoked",
];

/// More characters than a line of ours has.
const LONGEST: usize = 64 * 1024;

/// Most lines have no more keys than this.
const USUAL: usize = 20;
/// More keys than a line of ours has.
const MOST_KEYS: usize = 64;

/// The unit of a fleet's verifier.
const VERIFIER_UNIT: &str = "qrtotpd-verifier.service";

/// How the `detail` of a line begins that `audit repair` logged again.
pub const RECOVERED: &str = "recovered";

/// The writer of a line, as far as the log proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A process with root's rights: the journal says so.
    Root,
    /// The verifier of a fleet, which is not root: a line of another store than the host's own.
    Verifier,
    /// A process of this user that is no program of root: the journal says so.
    User(u32),
    /// A process that this user began, of a program that runs with root's rights, such as su: not proven. The
    /// journal reads what a process is a moment after it sent the line.
    Setuid(u32),
    /// A process of this user that had ended before the journal looked at it: not proven.
    Ended(u32),
    /// The log does not prove it: a file.
    Unknown,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    /// Where it stands in the line.
    key: Range<usize>,
    value: Text,
}

/// A value. Mostly no copy: a log has millions of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    /// Where it stands in the line.
    Part(Range<usize>),
    /// A value with escaped characters, without the escapes.
    Unescaped(String),
}

impl Pair {
    fn key<'l>(&self, line: &'l str) -> &'l str {
        line.get(self.key.clone()).unwrap_or_default()
    }

    fn value<'l>(&'l self, line: &'l str) -> &'l str {
        match &self.value {
            Text::Part(part) => line.get(part.clone()).unwrap_or_default(),
            Text::Unescaped(text) => text,
        }
    }
}

/// An event of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The line from `event=` on, without characters that ours never have.
    pub line: String,
    /// Keys and values, in the line's order.
    pairs: Vec<Pair>,
    /// Where the part that the chain covers ends.
    covered: usize,
    /// Where `seq` stands, or the part that the chain covers ends.
    numbered: usize,
    /// The line's link, if it has one.
    pub link: Option<Link>,
    /// Whether a key comes twice, or one stands behind the link that does not belong there.
    pub has_extra_keys: bool,
}

/// An event and what the log says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the log received it, in microseconds since 1970; 0 if the log does not say, or not in which year.
    pub time: i64,
    /// The same of a log that does not say the year, as far as [`Stamps`](crate::Stamps) knows; else 0.
    pub stamp: i64,
    /// The host, as the log says.
    pub host: String,
    /// The line's writer.
    pub writer: Writer,
    /// True if it is from the journal.
    pub journal: bool,
    /// The event.
    pub event: Event,
}

impl Event {
    /// Reads a line that begins with `event=`. `None` if it is not one of ours.
    ///
    /// Characters that move a cursor, hide or reorder text, or end a line become `?`. None of our lines has
    /// one, so the chain of such a line does not fit.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if !line.starts_with("event=") {
            return None;
        }
        let is_clean = line.len() <= LONGEST && line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let cleaned = if is_clean { Cow::Borrowed(line) } else { Cow::Owned(clean(line, LONGEST)) };
        let line = &*cleaned;
        let (mut pairs, mut covered, mut link) = (Vec::<Pair>::with_capacity(USUAL), line.len(), None);
        let mut numbered = None;
        let (mut at, mut has_extra_keys) = (0, false);
        while at < line.len() {
            let rest = line.get(at..)?;
            let (key, value) = rest.split_once('=')?;
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                return None;
            }
            let begin = at + key.len() + 1;
            let (value, length) = value_at(line, begin, value)?;
            let pair = Pair { key: at..at + key.len(), value };
            has_extra_keys |= link.is_some() && !matches!(key, "detail" | "audience" | "host" | "attempt");
            if pairs.len() == MOST_KEYS {
                return None;
            }
            has_extra_keys |= pairs.iter().any(|known| known.key(line) == key);
            if key == "seq" && numbered.is_none() {
                numbered = Some(at.saturating_sub(1));
            }
            if key == "chain" && link.is_none() {
                link = Some(parse_link(pair.value(line))?);
                covered = at.saturating_sub(1);
            }
            pairs.push(pair);
            at = begin + length;
            match line.as_bytes().get(at) {
                None => {}
                Some(b' ') => at += 1,
                Some(_) => return None,
            }
        }
        let numbered = numbered.unwrap_or(covered);
        Some(Self { line: cleaned.into_owned(), pairs, covered, numbered, link, has_extra_keys })
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|known| known.key(&self.line) == key)?;
        Some(pair.value(&self.line))
    }

    /// The same as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// The line's number in its account's chain.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.link?;
        self.get("seq")?.parse().ok().filter(|seq| (1..u64::MAX).contains(seq))
    }

    /// Whether lines of this kind have a number and a link since there are chains.
    #[must_use]
    pub fn is_always_chained(&self) -> bool {
        match self.get("event") {
            Some("login") => {
                self.get("result") == Some("accepted")
                    && matches!(self.get("reason"), Some("code" | "recovery_code" | "two_codes"))
            }
            // The one that root's enrolment makes for itself is in no store before its first code.
            Some("token_issued") => self.get("reason").is_some() || self.get("keys").is_some(),
            Some(kind) => CHAINED.contains(&kind),
            None => false,
        }
    }

    /// Whether `audit repair` logged it again.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.get("detail").is_some_and(|detail| detail.starts_with(RECOVERED))
    }

    /// Whether `qrtotp watch` printed it. That is no event of the log: it tells of others, and watch must not
    /// read itself.
    fn is_of_watch(&self) -> bool {
        self.link.is_none() && self.get("event") == Some("anomaly") && self.get("because").is_some()
    }

    /// The line without its number and what stands behind that.
    #[must_use]
    pub fn without_number(&self) -> &str {
        self.line.get(..self.numbered).unwrap_or(&self.line)
    }

    /// The part of the line that the chain link covers.
    #[must_use]
    pub fn covered(&self) -> &str {
        self.line.get(..self.covered).unwrap_or(&self.line)
    }

    /// The line without what stands behind the link.
    #[must_use]
    pub fn chained(&self) -> &str {
        let end = self.covered + " chain=".len() + 2 * LINK_LEN;
        if self.link.is_some() { self.line.get(..end).unwrap_or(&self.line) } else { &self.line }
    }

    /// The line, of which only the kind of its event is known.
    pub(crate) fn without_values(&self, kind: &str) -> Self {
        // Each line begins with that key.
        let pairs = vec![Pair { key: 0.."event".len(), value: Text::Unescaped(kind.to_owned()) }];
        Self { pairs, link: None, ..self.clone() }
    }

    /// As JSON: numbers as numbers.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let value = |key: &str, text: &str| match text.parse::<i64>() {
            Ok(number) if NUMBERS.contains(&key) => Value::from(number),
            _ => Value::from(text),
        };
        // Of a key that comes twice the first value holds, as everywhere.
        let pairs = self.pairs.iter().rev().map(|pair| (pair.key(&self.line), pair.value(&self.line)));
        pairs.map(|(key, text)| (key.to_owned(), value(key, text))).collect()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl Entry {
    /// Whether neither the journal nor a link of a chain says who wrote it.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        matches!(self.writer, Writer::Setuid(_) | Writer::Ended(_)) && self.event.link.is_none()
    }

    /// Whether a process without root's rights wrote what only the module, the command or the broker logs. An
    /// application without root logs that the broker gave no verdict; that changes nothing and has no link.
    #[must_use]
    pub fn is_forged(&self) -> bool {
        let is = |key, value| self.event.get(key) == Some(value);
        let own = is("event", "login")
            && is("result", "denied")
            && (is("reason", "broker") || is("reason", "not_own_account"));
        matches!(self.writer, Writer::User(_)) && !(own && self.event.link.is_none())
    }
}

/// The value that begins at this byte of a line, where `text` begins, and how many bytes it takes there.
fn value_at(line: &str, at: usize, text: &str) -> Option<(Text, usize)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((Text::Part(at..at + end), end));
    };
    let end = quoted.find(['"', '\\'])?;
    if line.as_bytes().get(at + 1 + end) == Some(&b'"') {
        return Some((Text::Part(at + 1..at + 1 + end), end + 2));
    }
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((Text::Unescaped(value), at + 2)),
            c => value.push(c),
        }
    }
    None
}

pub(crate) fn parse_link(text: &str) -> Option<Link> {
    if text.len() != 2 * LINK_LEN || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut link = [0; LINK_LEN];
    for (at, byte) in link.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(link)
}

/// The event in a message and the program that sent it: the module's own prefix, or the tag of the command or
/// the broker.
fn event_in(tag: &str, message: &str) -> Option<Event> {
    let text = match message.strip_prefix("pam_qrtotp(") {
        Some(rest) => rest.split_once("): ")?.1,
        None if matches!(tag, "qrtotp" | "qrtotpd") => message,
        None => return None,
    };
    Event::parse(text).filter(|event| !event.is_of_watch())
}

/// Reads a line of a log file: an RFC 3339 time stamp or a traditional one, the host, the tag. `None` for
/// other programs' lines.
#[must_use]
pub fn from_syslog(line: &str) -> Option<Entry> {
    let line = line.trim_end_matches(['\n', '\r']);
    let (head, message) = split_tag(line)?;
    let (head, tag) = head.rsplit_once(' ')?;
    let event = event_in(tag.split('[').next()?, message)?;
    let (stamp, host) = head.rsplit_once(' ')?;
    let time = rfc3339(stamp).unwrap_or(0);
    let host = clean(host, LONGEST);
    Some(Entry { time, stamp: 0, host, writer: Writer::Unknown, journal: false, event })
}

/// When a log received a line of any program, in microseconds since 1970, and whether the line says so
/// exactly. `None` if it does not say.
///
/// Traditional time stamps have neither year nor time zone: the result is the latest time that they can mean
/// at `now`.
#[must_use]
pub fn time_of(line: &str, now: i64) -> Option<(i64, bool)> {
    if line.starts_with('{') {
        let fields: Value = serde_json::from_str(line).ok()?;
        return Some((fields.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?, true));
    }
    let exact = rfc3339(line.split(' ').next()?).map(|time| (time, true));
    exact.or_else(|| Some((traditional(line, now)?, false)))
}

/// Splits a line at the first `: ` that one of our messages follows: the text before it, and the message.
fn split_tag(line: &str) -> Option<(&str, &str)> {
    let (head, message) = line.split_once(": ")?;
    (message.starts_with("pam_qrtotp(") || message.starts_with("event=")).then_some((head, message))
}

/// Reads a line of `journalctl -o json`. `None` for other programs' entries. `verifier`: the uid of that
/// host's verifier, which writes lines of its daemon and of the command, and none of the module.
/// `is_setuid`: whether a program runs with root's rights.
#[must_use]
pub fn from_journal(line: &str, verifier: Option<u32>, is_setuid: impl Fn(&str) -> bool) -> Option<Entry> {
    let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let message = text("MESSAGE")?;
    let event = event_in(text("SYSLOG_IDENTIFIER").unwrap_or_default(), message)?;
    let rights = text("_CAP_EFFECTIVE").and_then(|rights| u64::from_str_radix(rights, 16).ok());
    let writer = match text("_UID").and_then(|uid| uid.parse().ok()) {
        Some(0) => Writer::Root,
        Some(uid) if verifier == Some(uid) && message.starts_with("event=") => Writer::Verifier,
        // su runs with its caller's real uid, but with root's rights. In a user namespace everybody has such
        // rights.
        Some(uid) if rights.is_some_and(|rights| rights != 0) && text("_EXE").is_some_and(is_setuid) => {
            Writer::Setuid(uid)
        }
        Some(uid) if rights.is_some() => Writer::User(uid),
        Some(uid) => Writer::Ended(uid),
        _ => Writer::Unknown,
    };
    let time = text("_SOURCE_REALTIME_TIMESTAMP").or(text("__REALTIME_TIMESTAMP"));
    Some(Entry {
        time: time.and_then(|time| time.parse().ok()).filter(is_time).unwrap_or(0),
        stamp: 0,
        host: clean(text("_HOSTNAME").unwrap_or_default(), LONGEST),
        writer,
        journal: true,
        event,
    })
}

/// The uid of the daemon of a verifier, if the journal says that its unit wrote this line of
/// `journalctl -o json`. Only root starts units.
#[must_use]
pub fn verifier_in_journal(line: &str) -> Option<u32> {
    if !line.contains(VERIFIER_UNIT) {
        return None; // most lines
    }
    let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let uid = text("_UID").filter(|_| text("_SYSTEMD_UNIT") == Some(VERIFIER_UNIT))?;
    uid.parse().ok().filter(|uid| *uid != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "event=login result=accepted reason=code user=zoë label=\"a \\\"b\\\" chain=c\" with=unknown seq=3 at=7 \
                        chain=00112233445566778899aabbccddeeff00112233 detail=\"x chain=y\"";

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let event = Event::parse(LINE).unwrap();
        assert_eq!((event.get("user"), event.get("label")), (Some("zoë"), Some("a \"b\" chain=c")));
        assert_eq!((event.seq(), event.number("at")), (Some(3), Some(7)));
        assert!(event.covered().ends_with(" seq=3 at=7"), "{}", event.covered());
        assert!(event.chained().ends_with("00112233"), "{}", event.chained());
        assert_eq!(event.to_json()["seq"], 3);
        for other in [
            "",
            "event",
            "x event=login",
            "event=login user",
            "event=login  x=y",
            "event=login Q=1",
            "event=a b=\"c",
        ] {
            assert_eq!(Event::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_line_end_or_an_invisible_character_is_shown_as_a_question_mark_and_breaks_the_chain() {
        let chained =
            Event::parse("event=login user=yz seq=3 at=7 chain=00112233445566778899aabbccddeeff00112233")
                .unwrap();
        for c in ['\n', '\r', '\t', '\u{85}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{2028}'] {
            let event = Event::parse(&chained.line.replace("yz", &format!("y{c}z"))).unwrap();
            assert_eq!((event.get("user"), event.line.len()), (Some("y?z"), chained.line.len() + 1));
            assert_ne!(event.covered(), chained.covered());
            assert_eq!(event.to_json()["user"], "y?z", "{c:?}");
        }
    }

    #[test]
    fn a_line_without_its_number_keeps_a_label_that_looks_like_one() {
        let line = "event=login label=\"a seq=1\" user=x";
        for whole in [format!("{line} seq=3 at=7 chain={}", "0".repeat(40)), line.to_owned()] {
            assert_eq!(Event::parse(&whole).unwrap().without_number(), line);
        }
    }

    #[test]
    fn lines_of_both_time_stamps_are_read_and_other_programs_are_not() {
        let message = format!("host sshd[12]: pam_qrtotp(sshd:auth): {LINE}");
        let iso = from_syslog(&format!("2026-11-29T10:00:00.5+01:00 {message}\n")).unwrap();
        assert_eq!((iso.time, iso.host.as_str()), (1_795_942_800_500_000, "host"));
        let old = from_syslog(&format!("Nov  9 10:00:00 {message}")).unwrap();
        assert_eq!((old.time, old.host.as_str(), old.event), (0, "host", iso.event));
        assert!(from_syslog("Nov  9 10:00:00 host qrtotpd[3]: event=caller_refused reason=x").is_some());
        for other in [
            "Nov  9 10:00:00 host evil[3]: event=login result=accepted user=root",
            "Nov  9 10:00:00 host sshd[3]: Failed for x: pam_qrtotp(sshd:auth): event=login result=accepted",
            "",
        ] {
            assert_eq!(from_syslog(other), None, "{other}");
        }
    }

    #[test]
    fn the_journals_own_fields_say_who_wrote_a_line() {
        let entry = |fields: &str| {
            let message = "\"MESSAGE\":\"pam_qrtotp(su:auth): event=login result=denied\"";
            let line = format!("{{{message},\"SYSLOG_IDENTIFIER\":\"su\",{fields}}}");
            from_journal(&line, Some(2999), |program| program == "/usr/bin/su").unwrap().writer
        };
        assert_eq!(entry("\"_UID\":\"0\""), Writer::Root);
        let rights =
            |program| format!("\"_UID\":\"1000\",\"_CAP_EFFECTIVE\":\"1ffffffffff\",\"_EXE\":\"{program}\"");
        assert_eq!(entry(&rights("/usr/bin/su")), Writer::Setuid(1000));
        assert_eq!(entry(&rights("/usr/bin/python3")), Writer::User(1000), "in a user namespace");
        assert_eq!(entry("\"_UID\":\"1000\",\"_CAP_EFFECTIVE\":\"0\""), Writer::User(1000));
        assert_eq!(entry("\"_UID\":\"1000\""), Writer::Ended(1000));
        assert_eq!(entry("\"X\":\"1\""), Writer::Unknown);
    }

    #[test]
    fn the_verifier_of_this_host_is_believed_in_lines_of_its_daemon_and_of_the_command_alone() {
        let writer = |tag: &str, message: &str, verifier| {
            let line = format!(
                "{{\"MESSAGE\":\"{message}\",\"SYSLOG_IDENTIFIER\":\"{tag}\",\"_UID\":\"2999\",\"_CAP_EFFECTIVE\":\"0\"}}"
            );
            from_journal(&line, verifier, |_| false).unwrap().writer
        };
        let (login, of_module) =
            ("event=login result=denied", "pam_qrtotp(su:auth): event=login result=denied");
        assert_eq!(writer("qrtotpd", login, Some(2999)), Writer::Verifier);
        assert_eq!(writer("qrtotp", login, Some(2999)), Writer::Verifier);
        assert_eq!(writer("su", of_module, Some(2999)), Writer::User(2999));
        assert_eq!(writer("qrtotpd", login, None), Writer::User(2999), "no verifier is here");
        assert_eq!(writer("qrtotpd", login, Some(2998)), Writer::User(2999));
    }

    #[test]
    fn the_journal_names_the_unit_of_a_verifier_and_a_message_does_not() {
        let uid = |unit: &str, uid: &str, message: &str| {
            let fields = format!(r#""_SYSTEMD_UNIT":"{unit}","_UID":"{uid}","MESSAGE":"{message}""#);
            verifier_in_journal(&format!("{{{fields}}}"))
        };
        assert_eq!(uid(VERIFIER_UNIT, "2999", "event=login"), Some(2999));
        assert_eq!(uid(VERIFIER_UNIT, "0", "event=login"), None, "what systemd says of it");
        assert_eq!(uid("user@1000.service", "1000", VERIFIER_UNIT), None);
        let forged =
            r#"{"SYSTEMD_UNIT":"qrtotpd-verifier.service","_SYSTEMD_UNIT":"cron.service","_UID":"7"}"#;
        assert_eq!(verifier_in_journal(forged), None, "a field that a program may set");
    }

    #[test]
    fn of_what_a_user_writes_only_a_refusal_by_the_broker_is_no_look_alike() {
        for (line, forged) in [
            ("event=login result=denied reason=broker user=root", false),
            ("event=login result=accepted reason=broker user=root", true),
            ("event=token_issued reason=not_own_account user=root", true),
        ] {
            let line = format!("2026-11-29T10:00:00Z h su[1]: pam_qrtotp(su:auth): {line}");
            let entry = Entry { writer: Writer::User(1000), ..from_syslog(&line).unwrap() };
            assert_eq!(entry.is_forged(), forged, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = (Event::parse(&text), Event::parse(&format!("event={text}")), from_syslog(&text), from_journal(&text, None, |_| true));
        }
    }
}
