//! The lines of an authorized_keys file (sshd(8)).

use qrtotp_account::PublicKey;

/// A line that is neither empty nor a comment.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    /// Its number, from 1.
    pub line: usize,
    /// Its options as they stand there; empty if it has none.
    pub options: &'t str,
    /// Its key. `None` if that can't be read or is a certificate.
    pub key: Option<PublicKey<'t>>,
    /// The text after the key.
    pub comment: &'t str,
}

const BLANK: [char; 2] = [' ', '\t'];

/// All entries of a file.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let lines = (1..).zip(text.lines().map(|line| line.trim_start_matches(BLANK)));
    lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')).map(|(line, text)| entry(line, text))
}

fn entry(line: usize, text: &str) -> Entry<'_> {
    let (options, key) = match key(text) {
        Some(key) => ("", Some(key)),
        None => {
            let (options, rest) = text.split_at(end_of_options(text));
            (options, key(rest))
        }
    };
    let (key, comment) = key.map_or((None, ""), |(key, comment)| (Some(key), comment));
    Entry { line, options, key, comment }
}

fn key(text: &str) -> Option<(PublicKey<'_>, &str)> {
    let (kind, rest) = text.trim_start_matches(BLANK).split_once(BLANK)?;
    let rest = rest.trim_start_matches(BLANK);
    let (base64, comment) = rest.split_once(BLANK).unwrap_or((rest, ""));
    Some((PublicKey::parse(kind, base64)?, comment.trim()))
}

/// Options end at the first blank outside of quotes.
fn end_of_options(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' | b'\t' if !quoted => return at,
            b'"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = byte == b'\\';
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox";

    #[test]
    fn a_line_is_options_a_key_and_a_comment_as_sshd_takes_it() {
        for (text, options, comment) in [
            (KEY.to_owned(), "", ""),
            (format!("{KEY}\r\n"), "", ""),
            (format!("\t {KEY}  alice's laptop "), "", "alice's laptop"),
            (KEY.replace(' ', "\t  "), "", ""),
            (format!("restrict {KEY} c"), "restrict", "c"),
            (format!("command=\"a b\",no-pty {KEY}"), "command=\"a b\",no-pty", ""),
            (
                format!(r#"command="say \"a b\"",from="10.0.0.0/8"  {KEY} c"#),
                r#"command="say \"a b\"",from="10.0.0.0/8""#,
                "c",
            ),
            (format!("cert-authority {KEY} CA"), "cert-authority", "CA"),
        ] {
            let entries: Vec<_> = entries(&text).collect();
            assert_eq!(entries.len(), 1, "{text}");
            let Entry { line, key, .. } = entries[0];
            assert_eq!((line, key.unwrap().kind), (1, "ssh-ed25519"), "{text}");
            assert_eq!((entries[0].options, entries[0].comment), (options, comment), "{text}");
        }
    }

    #[test]
    fn what_has_no_key_is_an_entry_without_one_and_comments_are_none() {
        let text = format!("# {KEY}\n\n  #\nnonsense\ncommand=\"open {KEY}\n{KEY}\nssh-ed25519 AAAA\n");
        let found: Vec<_> = entries(&text).map(|entry| (entry.line, entry.key.is_some())).collect();
        assert_eq!(found, [(4, false), (5, false), (6, true), (7, false)]);
    }
}
