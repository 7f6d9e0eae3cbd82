//! The report's numbers and its markup.
#![allow(clippy::unwrap_used)]

use super::escape::escape;
use super::page::{DARK, LIGHT};
use super::*;
use crate::event::Writer;
use crate::trust::tests::Log;
use crate::verify::Fault;

/// Sunday, 2026-11-29 10:00 UTC.
const NOW: i64 = 1_795_946_400;
const HOSTILE: &str = "<script>alert(1)</script>\\\"'&\u{202e}";

fn filled(pseudonyms: bool) -> Report {
    let (mut report, mut log) = (Report::new("web1<b>", NOW, 30, pseudonyms), Log::default());
    for n in 0..60 {
        let (result, reason) = [("accepted", "code"), ("denied", "wrong_code")][usize::from(n % 3 == 0)];
        let text = format!(
            "event=login result={result} reason={reason} user=\"{HOSTILE}{}\" service=sshd rhost=192.0.2.{n} with=unknown rule=office",
            n % 4
        );
        report.add(&log.entry(NOW - n * 43_200, &text));
    }
    report.add(&log.entry(NOW - 40 * DAY, "event=login result=denied reason=too_old user=alice"));
    report.add(&log.entry(NOW, "event=policy_applied service=qrtotp by=\"anna<i>\" policy=7"));
    report.add(&log.entry(NOW, "event=token_issued user=bob service=qrtotp by=\"anna<i>\""));
    let finding = Finding { user: "mallory".into(), seq: 4, fault: Fault::Changed, line: String::new() };
    report.find(&finding, "CHANGED <x>");
    report.finish(Proof { found: 1, complete: true, ..Proof::default() }, vec![(3, "records")]);
    report
}

#[test]
fn logins_are_counted_by_day_hour_reason_and_account() {
    let report = filled(false);
    assert_eq!(report.by_day.iter().map(|day| day[0] + day[1]).sum::<u64>(), 59, "the last one is too old");
    assert_eq!(report.by_day[29], [0, 1, 0]);
    assert_eq!(report.by_hour[6][10] + report.by_hour[6][22], 9, "Sundays");
    assert_eq!((report.reasons.get("wrong_code"), report.reasons.get("too_old")), (Some(&20), None));
    assert_eq!((report.accounts.len(), report.actions.all.len(), report.policies.all.len()), (5, 1, 1));
}

#[test]
fn the_page_says_which_numbers_nothing_proves() {
    let (mut report, mut log) = (Report::new("h", NOW, 30, false), Log::default());
    report.add(&log.entry(NOW, "event=login result=denied reason=wrong_code user=mallory"));
    report.add(&log.entry(NOW, "event=login result=denied reason=wrong_code user=alice"));
    let finding =
        |user: &str| Finding { user: user.into(), seq: 1, fault: Fault::NoAccount, line: String::new() };
    let words = "logins of accounts of which a finding says NO ACCOUNT";
    assert!(!page::page(&report, &[]).contains(words));
    report.find(&finding("mallory"), "NO ACCOUNT");
    report.find(&finding("mallory"), "NO ACCOUNT");
    report.find(&finding("nobody"), "NO ACCOUNT");
    assert!(page::page(&report, &[]).contains(&format!("The numbers count 1 {words}")));
}

#[test]
fn only_what_administrators_did_is_listed_and_no_flood_hides_a_configuration() {
    let (mut report, mut log) = (Report::new("h", NOW, 30, false), Log::default());
    report.add(&log.entry(NOW, "event=policy_applied service=qrtotp by=anna policy=7"));
    for (kind, more) in [
        ("caller_refused", "reason=too_many_callers by=1001"),
        ("lines_left_out", "by=1001 count=9"),
        ("throttle_engaged", "reason=waiting user=root by=mallory"),
        ("throttle_lifted", "reason=right_answer user=root by=anna"),
        ("enrollment_confirmed", "user=bob service=qrtotpd by=bob"),
        ("device_proof", "result=denied reason=wrong_code user=bob by=bob"),
    ] {
        report.add(&log.entry(NOW, &format!("event={kind} {more}")));
    }
    assert_eq!(report.actions.all.len(), 0);
    for n in 0..5000 {
        report.add(&log.entry(NOW, &format!("event=token_issued user=u{n} by=anna")));
    }
    report.add(&log.entry(NOW, "event=throttle_lifted reason=unlock user=root by=anna"));
    assert_eq!((report.policies.all.len(), report.actions.listed().1), (1, 4501));
    assert!(report.html().contains("<td>applied</td><td>anna</td>"));
}

#[test]
fn a_line_that_nothing_proves_is_not_counted() {
    let (mut report, mut log) = (Report::new("h", NOW, 30, false), Log::default());
    let line = "event=login result=ignored reason=not_required user=alice service=su";
    for writer in [Writer::Ended(1000), Writer::Setuid(1000), Writer::User(1000), Writer::Root] {
        report.add(&log.by(writer, NOW, line));
    }
    assert_eq!((report.by_day[29], report.not_proven), ([0, 0, 1], 2));
    assert!(report.html().contains("and 2 lines that nothing proves"));
}

#[test]
fn pseudonyms_are_given_in_the_order_of_events_not_of_names() {
    let (mut report, mut log) = (Report::new("h", NOW, 30, true), Log::default());
    let names = ["zoe", "mia", "bob", "amy", "kim"];
    for name in names {
        report.add(&log.entry(NOW, &format!("event=login result=denied reason=wrong_code user={name}")));
    }
    // Verification goes through the store by name.
    let mut sorted = names;
    sorted.sort_unstable();
    for user in sorted {
        report
            .find(&Finding { user: user.into(), seq: 1, fault: Fault::Moved, line: String::new() }, "MOVED");
    }
    report.name_findings();
    let of = |name: &str| report.pseudonyms.as_ref().unwrap().known[&(ACCOUNT, name.to_owned())];
    assert_eq!(names.map(of), [1, 2, 3, 4, 5]);
    let shown: Vec<_> = report.findings.iter().map(|(user, ..)| user.clone()).collect();
    assert_eq!(shown, ["account 1", "account 2", "account 3", "account 4", "account 5"]);
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
