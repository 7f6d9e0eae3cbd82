//! pam_oath's users.oath: a line for each app, `TYPE USER PIN KEY [COUNTER [LAST-CODE [LAST-TIME]]]`, the key
//! in hexadecimal.

use crate::foreign::{Foreign, LineError, Note, Why, sha1};
use qrtotp_otp::{Code, Params, Secret, Step, Strength, Window, matching_step};
use qrtotp_values::Date;
use qrtotp_values::UnixTime;
use std::ops::Range;
use zeroize::Zeroizing;

/// A line that is neither empty nor a comment.
#[derive(Debug)]
pub struct OathLine {
    /// Counted from 1.
    pub number: usize,
    /// Its bytes in the file, without the line's end.
    pub range: Range<usize>,
    /// Its user; `None` if the line is not text or has too few words.
    pub user: Option<String>,
    /// Its content, or the reason for refusing it.
    pub found: Result<Foreign, LineError>,
}

/// Where a code that was used just before the import can still be good: as far as a window may reach, and two
/// hours back, which costs nothing.
const RECENT: Window = Window { back: 240, ahead: 60 };
/// Times in the file are local; no clock on Earth is further ahead of UTC.
const EASTERNMOST: i64 = 14 * 3600;

/// Reads a file, each line for itself.
#[must_use]
pub fn parse(bytes: &[u8], now: UnixTime, strength: Strength) -> Vec<OathLine> {
    let mut lines = Vec::new();
    let mut start = 0;
    let end = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == end)) {
        let range = start..start + line.len();
        start = range.end + 1;
        let line = crate::foreign::without_bom(line);
        let first = line.trim_ascii().first();
        if first.is_none_or(|byte| *byte == b'#') {
            continue;
        }
        let text = std::str::from_utf8(line).unwrap_or_default();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let user = words.get(1).map(|user| (*user).to_owned());
        let found = read(&words, now, strength).map_err(|why| why.at(number));
        lines.push(OathLine { number, range, user, found });
    }
    lines
}

fn read(words: &[&str], now: UnixTime, strength: Strength) -> Result<Foreign, Why> {
    let (&[kind, _, pin, key], rest) = words.split_first_chunk().ok_or(Why::Form("not TYPE USER PIN KEY"))?;
    let params = kind_of(kind)?;
    // "+" leaves the password to somebody else, "-" says that there is none.
    if !matches!(pin, "-" | "+") {
        return Err(Why::Pin);
    }
    let secret = Secret::from_bytes(&hexadecimal(key)?, strength)?;
    let used = used(&secret, params, rest, now)?;
    let notes = (pin == "+").then_some(Note::ForwardPass).into_iter().collect();
    Ok(Foreign { used, notes, ..Foreign::new(secret, params) })
}

/// The types of liboath, by name.
fn kind_of(kind: &str) -> Result<Params, Why> {
    let unknown = Why::Form(
        "a type that is none of HOTP, HOTP/E, HOTP/T30 and HOTP/T60, each perhaps with /6, /7 or /8",
    );
    let mut parts = kind.split('/');
    let (hotp, period, digits) = (parts.next(), parts.next(), parts.next());
    let digits = match (hotp, digits, parts.next()) {
        (Some("HOTP"), None | Some("6"), None) => 6,
        (Some("HOTP"), Some("7"), None) => 7,
        (Some("HOTP"), Some("8"), None) => 8,
        _ => return Err(unknown),
    };
    match period {
        Some("T30") => sha1(digits, 30),
        Some("T60") => sha1(digits, 60),
        None | Some("E") => Err(Why::Counter),
        Some(_) => Err(unknown),
    }
}

fn hexadecimal(text: &str) -> Result<Zeroizing<Vec<u8>>, Why> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(Why::Form("a key that is not hexadecimal"));
        };
        bytes.push(high << 4 | low);
    }
    if rest.is_empty() { Ok(bytes) } else { Err(Why::Form("a key with an odd number of hexadecimal digits")) }
}

/// The step up to which codes are used. The file has the last code and its local time. The search covers the
/// steps in which the code would still be valid; everything before that day counts as used.
fn used(secret: &Secret, params: Params, rest: &[&str], now: UnixTime) -> Result<Option<Step>, Why> {
    let (counter, code, time) = match rest {
        [] => return Ok(None),
        [counter] => (counter, None, None),
        [counter, code] => (counter, Some(code), None),
        [counter, code, time] => (counter, Some(code), Some(time)),
        _ => return Err(Why::Form("more than seven words")),
    };
    counter.parse::<u64>().map_err(|_| Why::Form("a counter that is no number"))?;
    let code = code
        .map(|code| Code::parse(code.as_bytes()).ok_or(Why::Form("a last code that is no code")))
        .transpose()?;
    let recent = code.and_then(|code| {
        // pam_oath may have been content with fewer digits than the key has.
        let digits = u8::try_from(code.len()).ok()?;
        let params = sha1(digits, params.period()).ok()?;
        matching_step(secret, params, &code, params.step_at(now), RECENT)
    });
    let day = time.map(|time| last_day(time)).transpose()?;
    Ok(recent.max(day.map(|day| params.step_at(day.first_second() - EASTERNMOST).min(params.step_at(now)))))
}

/// The day of a time such as `2026-11-24T08:30:00L`.
fn last_day(time: &str) -> Result<Date, Why> {
    let wrong = Why::Form("a time that is not of the form 2026-11-24T08:30:00L");
    let (day, clock) = time.split_once('T').ok_or(wrong)?;
    let form = |(i, b): (usize, u8)| match i {
        2 | 5 => b == b':',
        8 => b == b'L',
        _ => b.is_ascii_digit(),
    };
    if clock.len() != 9 || !clock.bytes().enumerate().all(form) {
        return Err(wrong);
    }
    day.parse().map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use qrtotp_otp::code_at;

    const NOW: UnixTime = 1_790_000_010; // 2026-09-21
    const KEY: &str = "3132333435363738393031323334353637383930";

    fn one(line: &str) -> Result<Foreign, LineError> {
        let mut lines = parse(line.as_bytes(), NOW, Strength::Normal);
        assert_eq!(lines.len(), 1, "{line}");
        lines.remove(0).found
    }

    #[test]
    fn time_based_lines_are_read_with_their_digits_and_period() {
        for (kind, digits, period) in
            [("HOTP/T30", 6, 30), ("HOTP/T60", 6, 60), ("HOTP/T30/7", 7, 30), ("HOTP/T60/8", 8, 60)]
        {
            let found = one(&format!("{kind}\talice\t-\t{KEY}")).unwrap();
            assert_eq!(found.params, sha1(digits, period).unwrap());
            assert_eq!(found.secret.as_bytes(), b"12345678901234567890");
            assert_eq!(found.used, None);
        }
    }

    #[test]
    fn comments_are_passed_over_and_lines_keep_their_places() {
        let text =
            format!("\u{feff}# users\n\n\u{feff}HOTP/T30 alice - {KEY}\r\n  #HOTP bob\nHOTP/T30 bob + {KEY}");
        let lines = parse(text.as_bytes(), NOW, Strength::Normal);
        let seen: Vec<_> = lines.iter().map(|line| (line.number, line.user.as_deref())).collect();
        assert_eq!(seen, [(3, Some("alice")), (5, Some("bob"))]);
        assert!(text[lines[0].range.clone()].starts_with("\u{feff}HOTP/T30 alice"));
        assert!(text[lines[1].range.clone()].ends_with(KEY));
        let notes = |line: &OathLine| line.found.as_ref().unwrap().notes.clone();
        assert_eq!([notes(&lines[0]), notes(&lines[1])], [vec![], vec![Note::ForwardPass]]);
    }

    #[test]
    fn counting_lines_and_lines_with_a_pin_are_refused_by_name() {
        for kind in ["HOTP", "HOTP/E", "HOTP/E/8"] {
            assert_eq!(one(&format!("{kind} alice - {KEY}")).unwrap_err(), Why::Counter.at(1));
        }
        assert_eq!(one(&format!("HOTP/T30 alice 8711 {KEY}")).unwrap_err(), Why::Pin.at(1));
    }

    #[test]
    fn what_liboath_would_not_have_written_is_refused() {
        for line in [
            format!("TOTP alice - {KEY}"),
            format!("HOTP/T45 alice - {KEY}"),
            format!("HOTP/T30/9 alice - {KEY}"),
            format!("HOTP/T30/6/6 alice - {KEY}"),
            "HOTP/T30 alice -".to_owned(),
            "HOTP/T30 alice - 00".to_owned(),
            format!("HOTP/T30 alice - {KEY}0"),
            format!("HOTP/T30 alice - x{}", &KEY[1..]),
            format!("HOTP/T30 alice - {KEY} x"),
            format!("HOTP/T30 alice - {KEY} 0 12345"),
            format!("HOTP/T30 alice - {KEY} 0 123456 yesterday"),
            format!("HOTP/T30 alice - {KEY} 0 123456 2026-02-30T10:00:00L"),
            format!("HOTP/T30 alice - {KEY} 0 123456 2026-02-03T10:00:00"),
            format!("HOTP/T30 alice - {KEY} 0 123456 2026-02-03T10:00:00L more"),
        ] {
            let error = one(&line).unwrap_err().to_string();
            assert!(!error.contains(&KEY[..8]), "{error}");
        }
    }

    #[test]
    fn the_last_code_is_used_wherever_it_could_still_be_accepted() {
        let secret = Secret::from_bytes(b"12345678901234567890", Strength::Normal).unwrap();
        let params = Params::default();
        let now = params.step_at(NOW);
        for step in [now - 20, now - 1, now, now + 10] {
            let code = code_at(&secret, params, step);
            let line = format!("HOTP/T30 alice - {KEY} 0 {} 2026-09-21T14:13:30L", code.as_str());
            assert_eq!(one(&line).unwrap().used, Some(step));
        }
    }

    #[test]
    fn an_old_last_code_uses_up_what_came_before_its_day_and_nothing_later() {
        let found = one(&format!("HOTP/T30 alice - {KEY} 0 000000 2026-01-02T10:00:00L")).unwrap();
        let day = "2026-01-02".parse::<Date>().unwrap().first_second();
        assert_eq!(found.used, Some(Params::default().step_at(day - EASTERNMOST)));
        let future = one(&format!("HOTP/T30 alice - {KEY} 0 000000 2999-01-02T10:00:00L")).unwrap();
        assert_eq!(
            future.used,
            Some(Params::default().step_at(NOW)),
            "a wrong time must not lock anybody out"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, NOW, Strength::AllowWeak);
        }

        #[test]
        fn no_line_is_lost_and_each_range_is_the_line(text in "([#A-Z0-9/ \t-]{0,30}\n?){0,8}") {
            let lines = parse(text.as_bytes(), NOW, Strength::AllowWeak);
            let expected = text.split('\n').filter(|l| !l.trim().is_empty() && !l.trim().starts_with('#'));
            let found: Vec<&str> = lines.iter().map(|line| &text[line.range.clone()]).collect();
            prop_assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}
