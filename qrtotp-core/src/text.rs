//! Text from outside made safe to show and to log. Never changes what a decision is based on.

use std::fmt::Write as _;

/// True for characters that could move a cursor, hide or reorder text, or end a log line.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` without control, bidirectional and invisible characters (each becomes `?`), cut to `max` characters.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    for (i, c) in text.chars().enumerate() {
        if i == max {
            out.push('…');
            break;
        }
        out.push(if is_unsafe(c) { '?' } else { c });
    }
    out
}

/// `text` in printable ASCII (what is not becomes `?`), cut to `max` characters.
#[must_use]
pub fn ascii(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// Most characters of a value in the log.
const LONGEST: usize = 256;

/// Appends ` key=value` in logfmt: quoted where the value holds a space, quote, equals sign or backslash.
pub fn logfmt(line: &mut String, key: &str, value: &str) {
    let is_plain = |b: u8| b > b' ' && !matches!(b, b'"' | b'=' | b'\\' | 0x7f);
    let plain = !value.is_empty() && value.bytes().all(is_plain);
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(key);
    line.push('=');
    if plain && value.is_ascii() && value.len() <= LONGEST {
        line.push_str(value); // nothing to clean: most values of every login
        return;
    }
    let value = clean(value, LONGEST);
    if plain {
        line.push_str(&value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
}

/// `YYYY-MM-DD HH:MM:SSZ` (proleptic Gregorian, UTC) of a Unix time.
#[must_use]
pub fn utc(time: crate::clock::UnixTime) -> String {
    let (date, seconds) = (civil(time.div_euclid(86_400)), time.rem_euclid(86_400));
    let mut out = String::new();
    let _ = write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z",
        date.0,
        date.1,
        date.2,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    out
}

/// Days since 1970-01-01 → (year, month, day), counting years from March so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How far a clock is off, for people: so many seconds ahead.
#[must_use]
pub fn clock_offset(seconds: i64) -> String {
    match seconds {
        0 => "in step with this host's".into(),
        1.. => format!("{seconds} s ahead of this host's"),
        _ => format!("{} s behind this host's", seconds.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_and_bidi_characters_become_question_marks() {
        assert_eq!(clean("a\nb\u{1b}[31m\u{202e}c", 99), "a?b?[31m?c");
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(clean("abcdef", 3), "abc…");
    }

    #[test]
    fn a_value_can_not_forge_another_key() {
        let mut line = String::from("event=login");
        logfmt(&mut line, "user", "x result=accepted \"");
        assert_eq!(line, r#"event=login user="x result=accepted \"""#);
    }

    #[test]
    fn known_dates_come_out_right() {
        assert_eq!(utc(0), "1970-01-01 00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00Z");
        assert_eq!(utc(1_790_000_000), "2026-09-21 14:13:20Z");
        assert_eq!(utc(-1), "1969-12-31 23:59:59Z");
    }

    proptest! {
        #[test]
        fn a_log_line_never_holds_a_control_character(value in ".*") {
            let mut line = String::new();
            logfmt(&mut line, "k", &value);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
