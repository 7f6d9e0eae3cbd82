//! Text from outside made safe to show and to log. Never changes what a decision is based on.

use std::fmt::Write as _;

/// Characters that draw nothing, hide or reorder others, or look different on every terminal: Unicode's
/// `Default_Ignorable_Code_Point` and `Cf` (format), fillers and symbols that are drawn as a blank, line and
/// paragraph separators, private use, and the planes that nothing is assigned in. Sorted.
const INVISIBLE: [(char, char); 38] = [
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{600}', '\u{605}'),     // Arabic number signs
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{6dd}', '\u{6dd}'),     // Arabic end of ayah
    ('\u{70f}', '\u{70f}'),     // Syriac abbreviation mark
    ('\u{890}', '\u{891}'),     // Arabic pound and piastre marks
    ('\u{8e2}', '\u{8e2}'),     // Arabic disputed end of ayah
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian variation selectors and vowel separator
    ('\u{200b}', '\u{200f}'),   // zero-width space and joiners, directional marks
    ('\u{2028}', '\u{202e}'),   // line and paragraph separators, directional embeddings
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, directional isolates
    ('\u{2800}', '\u{2800}'),   // Braille blank
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{e000}', '\u{f8ff}'),   // private use
    ('\u{fdd0}', '\u{fdef}'),   // noncharacters
    ('\u{fe00}', '\u{fe0f}'),   // variation selectors
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffc}'),   // interlinear annotation, object replacement
    ('\u{fffe}', '\u{ffff}'),   // noncharacters
    ('\u{110bd}', '\u{110bd}'), // Kaithi number sign
    ('\u{110cd}', '\u{110cd}'), // Kaithi number sign above
    ('\u{13430}', '\u{1345f}'), // Egyptian hieroglyph format controls
    ('\u{16fe4}', '\u{16fe4}'), // Khitan filler
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d159}', '\u{1d159}'), // musical null notehead
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{1fffe}', '\u{1ffff}'), // noncharacters
    ('\u{2fffe}', '\u{2ffff}'),
    ('\u{3fffe}', '\u{dffff}'), // nothing is assigned here
    ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors
    ('\u{e1000}', '\u{effff}'), // nothing is assigned here
    ('\u{f0000}', '\u{fffff}'), // private use
    ('\u{100000}', '\u{10fffd}'),
    ('\u{10fffe}', '\u{10ffff}'),
];

/// The character to show instead of `c`.
fn shown(c: char) -> char {
    let invisible = || {
        let range = INVISIBLE.partition_point(|(_, last)| *last < c);
        INVISIBLE.get(range).is_some_and(|(first, _)| *first <= c)
    };
    match c {
        ' '..='~' => c,
        c if c.is_control() => '?',
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        _ if invisible() => '?',
        c => c,
    }
}

/// `text` without characters that could move a cursor, hide or reorder text, or end a line (each becomes
/// `?`), with plain blanks for all others, cut to `max` characters.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    for (i, c) in text.chars().enumerate() {
        if i == max {
            out.push('…');
            break;
        }
        out.push(shown(c));
    }
    out
}

/// `text` in printable ASCII, cut to `max` characters; anything else becomes `?`.
#[must_use]
pub fn ascii(text: &str, max: usize) -> String {
    text.chars().take(max).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// The character reference for a character that is markup in HTML and XML.
#[must_use]
pub fn character_reference(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}

/// `text` in lines of at most `width` characters, broken at blanks if there are any.
#[must_use]
pub fn wrap(mut text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    while let Some((end, next)) = text.char_indices().nth(width) {
        let (head, _) = text.split_at(end + next.len_utf8());
        let (line, rest) = text.split_at(head.rfind(' ').filter(|at| *at > 0).unwrap_or(end));
        lines.push(line);
        text = rest.trim_start_matches(' ');
    }
    lines.push(text);
    lines
}

/// Most characters of a value in the log; of `detail`, whose words are ours, twice as many.
const LONGEST: usize = 256;

/// Appends ` key=value` in logfmt: quoted if the value holds a space, quote, equals sign or backslash.
/// Allocates nothing if `line` has room.
pub fn logfmt(line: &mut String, key: &str, value: &str) {
    let is_plain = |c: char| c > ' ' && !matches!(c, '"' | '=' | '\\' | '\x7f');
    let longest = if key == "detail" { 2 * LONGEST } else { LONGEST };
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(key);
    line.push('=');
    let plain = !value.is_empty() && value.chars().all(|c| is_plain(c) && is_plain(shown(c)));
    if plain && value.is_ascii() && value.len() <= longest {
        line.push_str(value); // nothing to clean: most values of every login
        return;
    }
    if !plain {
        line.push('"');
    }
    let mut rest = value.chars();
    for c in rest.by_ref().take(longest).map(shown) {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    if rest.next().is_some() {
        line.push('…');
    }
    if !plain {
        line.push('"');
    }
}

/// `YYYY-MM-DD HH:MM:SSZ` (proleptic Gregorian, UTC) of a Unix time.
#[must_use]
pub fn utc(time: crate::UnixTime) -> String {
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

/// A clock's offset as text: this many seconds ahead or behind.
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
    fn what_draws_nothing_becomes_a_question_mark_and_every_blank_a_plain_one() {
        let invisible = "\u{3164}\u{2800}\u{fff9}\u{ffa0}\u{115f}\u{fe0f}\u{e0100}\u{e0041}\u{34f}\u{1d159}\u{e000}\u{50000}\u{ad}";
        assert_eq!(clean(invisible, 99), "?".repeat(invisible.chars().count()));
        let blanks = "\u{a0}\u{2003}\u{202f}\u{205f}\u{3000}\u{1680}";
        assert_eq!(clean(blanks, 99), " ".repeat(blanks.chars().count()));
        let visible = "Bücher 鍵 ключ مفتاح क\u{93c}ी 🔑 ᜄ ㄱ ⠿ é";
        assert_eq!(clean(visible, 99), visible);
    }

    #[test]
    fn the_ranges_of_invisible_characters_are_sorted_and_do_not_overlap() {
        assert!(INVISIBLE.iter().all(|(first, last)| first <= last));
        assert!(INVISIBLE.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(clean("abcdef", 3), "abc…");
    }

    #[test]
    fn text_is_broken_at_blanks_and_a_long_word_where_the_line_ends() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("ééé", 3), ["ééé"]);
        assert_eq!(wrap("", 3), [""]);
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
        fn a_log_line_never_holds_a_control_or_invisible_character(value in ".*") {
            let mut line = String::new();
            logfmt(&mut line, "k", &value);
            prop_assert!(line.chars().all(|c| shown(c) == c));
        }
    }
}
