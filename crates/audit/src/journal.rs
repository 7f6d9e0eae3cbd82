//! journald's native protocol: a line, with its keys as fields beside it.
//!
//! The line stays the record. It becomes MESSAGE, with the facility, priority and program that it has in
//! syslog, so journald forwards it to a syslog daemon as it forwards lines that came to /dev/log. The fields
//! are for searches: `journalctl QRTOTP_USER=alice`.

use crate::Priority;
use qrtotp_values::checksum;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

const SYSLOG: &str = "/dev/log";
/// How the path ends to which journald links [`SYSLOG`].
const OF_JOURNALD: &[u8] = b"/systemd/journal/dev-log";
const SOCKET: &str = "/run/systemd/journal/socket";
/// The first half of all our MESSAGE_IDs.
const IDS: &str = "267808a90d947687";
/// Room for most messages, in bytes.
const ROOM: usize = 1536;
/// LOG_DEBUG.
pub const DEBUG: u8 = 7;

impl Priority {
    /// As syslog(3) counts it.
    #[must_use]
    pub fn severity(self) -> u8 {
        match self {
            Self::Alert => 1,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
        }
    }
}

/// Sends a line of a program to journald, behind the texts of `prefix`. False: it was not sent, and syslog
/// must have it. No text may have control characters.
///
/// Only where journald also reads /dev/log. If another daemon does, it is that daemon's log that people read.
/// Never waits: if journald's queue is full, it is syslog(3) that waits.
pub fn send(program: impl FnOnce() -> String, prefix: &[&str], severity: u8, line: &str) -> bool {
    let is_journald = |path: PathBuf| path.as_os_str().as_bytes().ends_with(OF_JOURNALD);
    if !fs::read_link(SYSLOG).is_ok_and(is_journald) {
        return false;
    }
    let program = program();
    let Ok(socket) = UnixDatagram::unbound() else { return false };
    let message = message(&program, prefix, severity, line);
    !program.is_empty()
        && socket.set_nonblocking(true).is_ok()
        && socket.send_to(message.as_bytes(), SOCKET).is_ok()
}

/// The MESSAGE_ID of an event's kind. docs/audit.schema.json lists them.
#[must_use]
pub fn message_id(event: &str) -> String {
    let mut id = IDS.to_owned();
    let hash = checksum(event.as_bytes());
    id.extend((0..16).rev().filter_map(|digit| char::from_digit((hash >> (4 * digit)) as u32 & 15, 16)));
    id
}

/// A datagram of the native protocol: a line `FIELD=value` for each field.
fn message(program: &str, prefix: &[&str], severity: u8, line: &str) -> String {
    let mut out = String::with_capacity(ROOM);
    out.push_str("MESSAGE=");
    prefix.iter().for_each(|text| out.push_str(text));
    out.push_str(line);
    out.push_str("\nPRIORITY=");
    out.push(char::from(b'0' + severity));
    out.push_str("\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER="); // AUTHPRIV
    out.push_str(program);
    out.push('\n');
    if let Some(event) = line.strip_prefix("event=") {
        out.push_str("MESSAGE_ID=");
        out.push_str(&message_id(event.split(' ').next().unwrap_or_default()));
        out.push('\n');
        add_fields(&mut out, line);
    }
    out
}

/// Adds a field for each key of a line of ours, with its value unquoted.
fn add_fields(out: &mut String, mut line: &str) {
    while let Some((key, value)) = line.split_once('=') {
        out.push_str("QRTOTP_");
        out.extend(key.chars().map(|letter| letter.to_ascii_uppercase()));
        out.push('=');
        if let Some(quoted) = value.strip_prefix('"') {
            let mut rest = quoted.chars();
            while let Some(c) = rest.next() {
                match c {
                    '"' => break,
                    '\\' => out.extend(rest.next()),
                    c => out.push(c),
                }
            }
            line = rest.as_str().trim_start();
        } else {
            let (plain, rest) = value.split_once(' ').unwrap_or((value, ""));
            out.push_str(plain);
            line = rest;
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    fn fields(line: &str) -> String {
        message("sshd", &["pam_qrtotp(", "sshd", ":", "auth", "): "], 4, line)
    }

    #[test]
    fn a_line_is_the_message_and_each_key_is_a_field() {
        let line = "event=login result=denied user=zoë label=\"a \\\"b\\\\\" with=x=y seq=3 detail=\"c = d\"";
        let expected = format!(
            "MESSAGE=pam_qrtotp(sshd:auth): {line}\nPRIORITY=4\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=sshd\n\
             MESSAGE_ID={}\nQRTOTP_EVENT=login\nQRTOTP_RESULT=denied\nQRTOTP_USER=zoë\nQRTOTP_LABEL=a \"b\\\n\
             QRTOTP_WITH=x=y\nQRTOTP_SEQ=3\nQRTOTP_DETAIL=c = d\n",
            message_id("login")
        );
        assert_eq!(fields(line), expected);
    }

    #[test]
    fn a_line_for_debugging_has_no_fields_of_an_event() {
        let text = fields("read user=alice");
        assert!(text.starts_with("MESSAGE=pam_qrtotp(sshd:auth): read user=alice\n"), "{text}");
        assert!(!text.contains("QRTOTP_") && !text.contains("MESSAGE_ID"), "{text}");
    }

    #[test]
    fn the_schema_lists_each_event_with_its_message_id_and_no_two_are_the_same() {
        let schema = include_str!("../../../docs/audit.schema.json");
        let list = |begin: &str, end: char| -> Vec<&str> {
            let text = schema.split(begin).nth(1).unwrap().split(end).next().unwrap();
            text.split('"').skip(1).step_by(2).collect()
        };
        let events = list("\"event\": {\n      \"enum\": [", ']');
        let ids: Vec<String> = events.iter().map(|event| message_id(event)).collect();
        let listed = list("\"x-journald-message-id\": {", '}');
        let expected: Vec<&str> = events.iter().zip(&ids).flat_map(|(event, id)| [*event, id]).collect();
        assert_eq!(listed, expected);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), events.len());
        assert!(ids.iter().all(|id| id.len() == 32));
    }

    #[test]
    fn the_schema_lists_each_event_of_the_code() {
        let schema = include_str!("../../../docs/audit.schema.json");
        let words: Vec<&str> = crate::Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let missing: Vec<&&str> =
            words.iter().filter(|word| !schema.contains(&format!("\"{word}\": "))).collect();
        assert!(words.len() > 50 && missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_catalog_explains_events_that_there_are() {
        let catalog = include_str!("../../../conf/systemd/qrtotp.catalog");
        let schema = include_str!("../../../docs/audit.schema.json");
        let explained: Vec<&str> = catalog.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
        assert!(explained.len() >= 10 && explained.iter().all(|id| schema.contains(id)), "{explained:?}");
    }
}
