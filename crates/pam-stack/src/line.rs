//! Lines and words of a PAM file: `_pam_assemble_line` and `_pam_StrTok` of libpam.

/// libpam before 1.7 reads longer lines in pieces of this many bytes.
pub const LONGEST: usize = 1023;

/// A line, joined with its continuation lines.
#[derive(Debug, PartialEq, Eq)]
pub struct TextLine {
    /// The number of its first line, from 1.
    pub number: usize,
    pub text: String,
    /// One of its lines is longer than [`LONGEST`].
    pub too_long: bool,
}

/// The lines that are not empty.
pub fn assemble(text: &str) -> Vec<TextLine> {
    let blanks = [' ', '\t'];
    let mut lines: Vec<TextLine> = Vec::new();
    let mut open: Option<TextLine> = None;
    for (number, raw) in (1..).zip(text.split('\n')) {
        let content = raw.trim_start_matches(blanks);
        if content.starts_with('#') {
            let rest = raw.as_bytes().get(LONGEST..).map(String::from_utf8_lossy).unwrap_or_default();
            let rest = rest.trim_start_matches(blanks);
            if !rest.is_empty() && !rest.starts_with('#') {
                lines.push(TextLine { number, text: rest.to_owned(), too_long: true });
            }
            continue;
        }
        if content.is_empty() {
            continue;
        }
        let (content, comment) =
            content.split_once('#').map_or((content, false), |(content, _)| (content, true));
        let ended = content.trim_end();
        let goes_on = !comment && ended.ends_with('\\');
        let content = if goes_on { &ended[..ended.len() - 1] } else { content };
        let line = open.get_or_insert_with(|| TextLine { number, text: String::new(), too_long: false });
        line.text.push_str(content);
        line.text.push(' ');
        line.too_long |= raw.len() > LONGEST;
        if !goes_on {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
}

/// Splits into words: a bracketed text is one word, without the brackets; `\]` in it is `]`.
pub fn words(text: &str) -> Vec<String> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(blank);
        if rest.is_empty() {
            return found;
        }
        let Some(inside) = rest.strip_prefix('[') else {
            let end = rest.find(blank).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            rest = &rest[end..];
            continue;
        };
        let mut word = String::new();
        let mut chars = inside.char_indices().peekable();
        rest = "";
        while let Some((at, c)) = chars.next() {
            match c {
                ']' => {
                    rest = &inside[at + 1..];
                    break;
                }
                '\\' if chars.peek().is_some_and(|(_, next)| *next == ']') => {
                    word.push(']');
                    chars.next();
                }
                c => word.push(c),
            }
        }
        found.push(word);
    }
}

/// Whether the last word is bracketed and not closed.
pub fn unclosed(text: &str) -> bool {
    // Any other word gets longer by it, or a new one begins.
    words(text) == words(&format!("{text}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, String)> {
        assemble(text).into_iter().map(|line| (line.number, words(&line.text).join("|"))).collect()
    }

    #[test]
    fn lines_go_on_behind_a_backslash_and_end_at_a_comment() {
        for (text, expected) in [
            ("auth required \\\n  x.so a\n", vec![(1, "auth|required|x.so|a")]),
            ("auth required \\ \nx.so\n", vec![(1, "auth|required|x.so")]),
            ("auth required \\\n# no\n\nx.so\n", vec![(1, "auth|required|x.so")]),
            ("auth required x.so # y \\\nauth z\n", vec![(1, "auth|required|x.so"), (2, "auth|z")]),
            ("# x \\\nauth z", vec![(2, "auth|z")]),
            ("auth [a=1 b=2]x.so [c d]", vec![(1, "auth|a=1 b=2|x.so|c d")]),
            ("auth [a\\]b] x", vec![(1, "auth|a]b|x")]),
            (&format!("#{}auth z\nauth y", "x".repeat(1022)), vec![(1, "auth|z"), (2, "auth|y")]),
            (&format!("#{}", "x".repeat(1022)), vec![]),
            (&"#".repeat(3000), vec![]),
            ("auth x.so\r\n\r\n", vec![(1, "auth|x.so\r"), (2, "\r")]),
        ] {
            let expected: Vec<(usize, String)> =
                expected.into_iter().map(|(at, text)| (at, text.to_owned())).collect();
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }
}
