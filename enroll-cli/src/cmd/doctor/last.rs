//! `qrtotp doctor last USER`: the last refusal of an account in words. The words are those of docs/AUDIT.md.

use crate::cli::Sources;
use crate::cmd::audit::sources;
use crate::error::{Exit, Failure};
use qrtotp_audit_log::{Entry, Filter, Trust};
use qrtotp_frontend::local;
use qrtotp_values::text::clean;
use std::io::Write;

const AUDIT: &str = include_str!("../../../../docs/AUDIT.md");
/// Most characters of a value that is shown.
const LONGEST: usize = 512;

pub fn run(user: &str, from: &Sources) -> Result<Exit, Failure> {
    let of = |result: &str| Filter {
        users: vec![user.to_owned()],
        events: vec!["login".to_owned()],
        results: vec![result.to_owned()],
        ..Filter::default()
    };
    let (denied, accepted) = (of("denied"), of("accepted"));
    let (mut last, mut since, mut trust) = (None, 0, Trust::default());
    for entry in sources::read(from, None)?.filter(|entry| !entry.is_forged()) {
        let is_proven = trust.counts(&entry);
        if denied.wants(&entry) {
            (last, since) = (Some((entry, is_proven)), 0);
        } else if accepted.wants(&entry) {
            since += 1;
        }
    }
    let mut out = std::io::stdout();
    let Some(last) = last else {
        writeln!(out, "The log has no refused login of {}.", clean(user, 64))?;
        return Ok(Exit::Refused);
    };
    let (last, is_proven) = last;
    write!(out, "{}", words(&last))?;
    if !is_proven {
        writeln!(out, "  Nothing proves this line: a user of this host can have written it.")?;
    }
    writeln!(out, "Accepted logins after it: {since}.")?;
    Ok(Exit::Done)
}

fn words(entry: &Entry) -> String {
    let get = |key: &str| clean(entry.event.get(key).unwrap_or_default(), LONGEST);
    let when = match entry.when() {
        0 => "at an unknown time".to_owned(),
        micros => local(micros.div_euclid(1_000_000)),
    };
    let mut text = format!("{when}: {} was refused at {}", get("user"), get("service"));
    for (key, word) in [("rhost", "from"), ("tty", "on"), ("by", "called by"), ("rule", "by the rule")] {
        if entry.event.get(key).is_some() {
            text += &format!(" {word} {}", get(key));
        }
    }
    let reason = get("reason");
    text += &format!("\n  {reason}: {}\n", meaning(&reason).unwrap_or("see docs/AUDIT.md"));
    if entry.event.get("detail").is_some() {
        text += &format!("  {}\n", get("detail"));
    }
    if let Some(failures) = entry.event.number("failures").filter(|failures| *failures > 0) {
        text += &format!("  Wrong codes that count there now: {failures}. `qrtotp unlock` forgets them.\n");
    }
    text
}

/// The explanation in docs/AUDIT.md of a refused login's reason.
fn meaning(reason: &str) -> Option<&'static str> {
    let section = AUDIT.split("\n## ").find(|section| section.starts_with("Reasons of `login`"))?;
    let row = section.lines().find(|line| {
        let mut cells = line.split('|').skip(1);
        let (names, result) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        result.contains("denied") && names.split(',').any(|name| name.trim().trim_matches('`') == reason)
    })?;
    let text = row.splitn(4, '|').nth(3)?;
    Some(text.trim().trim_end_matches('|').trim_end())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_audit_log::from_syslog;

    #[test]
    fn a_refusal_is_told_with_its_place_its_meaning_and_its_detail() {
        let line = "2026-11-29T10:00:00Z host sshd[1]: pam_qrtotp(sshd:auth): event=login result=denied reason=wrong_code user=alice service=sshd \
                    rhost=192.0.2.7 tty=ssh rule=office failures=2 detail=\"the clock is off\"";
        let text = words(&from_syslog(line).unwrap());
        for part in [
            "2026-11-29 10:00:00Z: alice was refused at sshd from 192.0.2.7 on ssh by the rule office\n",
            "  wrong_code: no code of any device",
            "  the clock is off\n",
            "count there now: 2.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_document_has_a_meaning_for_each_reason_that_a_refusal_of_ours_can_have() {
        for reason in ["wrong_code", "token_revoked", "key_wrong", "store_io", "replayed_code", "rule_denied"]
        {
            assert!(meaning(reason).is_some_and(|text| text.len() > 10 && !text.contains('|')), "{reason}");
        }
        assert_eq!(meaning("code"), None, "that is no refusal");
    }
}
