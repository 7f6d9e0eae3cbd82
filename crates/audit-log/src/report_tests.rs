//! The report's numbers and its markup.
#![allow(clippy::unwrap_used)]

use super::escape::escape;
use super::page::{DARK, LIGHT};
use super::*;
use crate::event::from_syslog;
use crate::verify::Fault;

/// Sunday, 2026-11-29 10:00 UTC.
const NOW: i64 = 1_795_946_400;
const HOSTILE: &str = "<script>alert(1)</script>\\\"'&\u{202e}";

fn entry(at: i64, rest: &str) -> Entry {
    let stamp = qrtotp_values::text::utc(at).replace(' ', "T");
    from_syslog(&format!("{stamp} h su[1]: pam_qrtotp(su:auth): {rest}")).unwrap()
}

fn filled(pseudonyms: bool) -> Report {
    let mut report = Report::new("web1<b>", NOW, 30, pseudonyms);
    for n in 0..60 {
        let (result, reason) = [("accepted", "code"), ("denied", "wrong_code")][usize::from(n % 3 == 0)];
        let text = format!(
            "event=login result={result} reason={reason} user=\"{HOSTILE}{}\" service=sshd rhost=192.0.2.{n} with=unknown rule=office",
            n % 4
        );
        report.add(&entry(NOW - n * 43_200, &text));
    }
    report.add(&entry(NOW - 40 * DAY, "event=login result=denied reason=too_old user=alice"));
    report.add(&entry(NOW, "event=policy_applied service=qrtotp by=\"anna<i>\" policy=7"));
    report.add(&entry(NOW, "event=token_issued user=bob service=qrtotp by=\"anna<i>\""));
    let finding = Finding { user: "mallory".into(), seq: 4, fault: Fault::Changed, line: String::new() };
    report.find(&finding, "CHANGED <x>");
    report.conclude(Proof { found: 1, complete: true, ..Proof::default() }, vec![(3, "records")]);
    report
}

#[test]
fn logins_are_counted_by_day_hour_reason_and_account() {
    let report = filled(false);
    assert_eq!(report.by_day.iter().map(|day| day[0] + day[1]).sum::<u64>(), 59, "the last one is too old");
    assert_eq!(report.by_day[29], [0, 1, 0]);
    assert_eq!(report.by_hour[6][10] + report.by_hour[6][22], 9, "Sundays");
    assert_eq!((report.reasons.get("wrong_code"), report.reasons.get("too_old")), (Some(&20), None));
    assert_eq!((report.accounts.len(), report.deeds.len()), (5, 2));
}

/// The page's tags, in order; fails where one is not closed.
fn tags(page: &str) -> Vec<String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        assert!(!text.contains('>') || open.last().map(String::as_str) == Some("style"), "{piece}");
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{piece}");
        } else if !tag.ends_with('/') && !tag.starts_with('!') && name != "meta" {
            open.push(name.clone());
        }
        seen.push(name);
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn the_page_is_well_formed_needs_nothing_else_and_no_name_is_markup() {
    let page = filled(false).html();
    let seen = tags(&page);
    assert!(seen.iter().filter(|tag| *tag == "svg").count() >= 5, "{seen:?}");
    for never in ["script", "img", "link", "iframe", "x", "i"] {
        assert!(!seen.iter().any(|tag| tag == never), "{never}");
    }
    for never in ["http:", "https:", "url(h", "\u{202e}", "javascript", " on", "src="] {
        let hit = page.find(never).map(|at| page[at..].chars().take(30).collect::<String>());
        let harmless = hit.as_deref().is_none_or(|hit| hit.starts_with(" on ") || hit.starts_with(" one"));
        assert!(harmless, "{never}: {hit:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;?0"), "{page}");
    assert!(page.contains("default-src 'none'") && page.contains("web1&lt;b&gt;"));
}

#[test]
fn pseudonyms_leave_no_name_and_no_address_and_are_the_same_everywhere() {
    let page = filled(true).html();
    for never in ["script&gt;", "anna", "bob", "mallory", "192.0.2."] {
        assert!(!page.contains(never), "{never}");
    }
    assert!(page.contains("account 1") && page.contains("place 1"), "{page}");
}

#[test]
fn colours_have_the_contrast_that_wcag_aa_demands() {
    for [paper, text, faint, line, accepted, denied] in [LIGHT, DARK] {
        for (colour, least) in [(text, 4.5), (faint, 4.5), (line, 3.0), (accepted, 3.0), (denied, 3.0)] {
            let ratio = contrast(paper, colour);
            assert!(ratio >= least, "{colour} on {paper}: {ratio}");
        }
    }
}

fn contrast(a: &str, b: &str) -> f64 {
    let light = |colour: &str| {
        let part = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (a, b) = (light(a), light(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn escaped_text_has_no_markup_and_no_line_end() {
    assert_eq!(escape("a<b>&\"'\n\u{202e}é"), "a&lt;b&gt;&amp;&quot;&#39;??é");
}
