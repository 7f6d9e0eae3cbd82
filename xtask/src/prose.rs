//! `cargo xtask prose`: finds sentences that read like a translation (see `PATTERNS`), comment lines over 110
//! columns, and lines of Markdown over 160 columns outside tables and code. It reads code, documents, shipped
//! files and the packages' texts, but not this file, which quotes the patterns.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use regex::Regex;

use crate::build;

/// Longest line of a comment, and of a sentence in Markdown, in columns.
const COMMENT: usize = 110;
const SENTENCE: usize = 160;

/// Stilted patterns, each with a replacement.
const PATTERNS: [(&str, &str); 15] = [
    (r"(?i)\bwho(so)?ever\b", "anyone who, users who, the caller"),
    (r"(?i)\bwhom\b", "active voice: the user that …"),
    (r"(^|[.:;] )Who ", "the user, the caller, accounts that …"),
    (
        r"(^|[.:;] )What (is|was|has|had|it|they|we|an?|the|came|comes|people|admins|anyone|somebody|others|must|can|may|could|would) [^?]*$",
        "name the thing: the …, a …",
    ),
    (r"(?i)\bby its form\b", "syntactically, from its shape"),
    (r"(?i)\b(came|comes|come) by\b", "obtained, received"),
    (r"(?i)\bled past\b", "skipped, bypassed"),
    (r"(?i)\bat last\b", "finally, or nothing"),
    (r"(?i)\bof (whom|which) it is (noted|known|said)\b", "active voice"),
    (r"(?i)\bmay come to\b", "possible results"),
    (r"(?i)\bit bars\b", "it blocks, it denies"),
    (r"(?i)\bis (nobody|somebody|anybody)('s|’s)? affair\b", "is not its task"),
    (r"(?i)\b(as|so) (it|that) (goes|stands) by\b", "by, according to"),
    (
        r", for (it|they|he|she|we|nobody|somebody|anybody|there|this|that|otherwise|else|whoever|the \w+|an? \w+|no \w+) (is|are|was|were|has|have|had|can|could|may|might|must|would|will|does|do|did|needs?|takes?|knows?|sees?|gives?)\b",
        "because",
    ),
    (r"(?i)\bbe (it|they) (a |an |the |of |by |in |at )", "whether … or"),
];

/// # Errors
/// There are findings, or git fails.
pub fn run() -> Result<()> {
    let found = findings(&build::workspace())?;
    for finding in &found {
        println!("{finding}");
    }
    ensure!(found.is_empty(), "{} lines to rewrite; see ../shared/STYLE.md or CONTRIBUTING.md", found.len());
    Ok(())
}

fn findings(root: &Path) -> Result<Vec<String>> {
    let patterns: Vec<(Regex, &str)> = PATTERNS
        .iter()
        .map(|(pattern, instead)| Ok((Regex::new(pattern)?, *instead)))
        .collect::<Result<_>>()?;
    let listed = Command::new("git").current_dir(root).args(["ls-files"]).output().context("git")?;
    let mut found = Vec::new();
    for name in String::from_utf8(listed.stdout)?.lines() {
        let Some(kind) = Kind::of(name) else { continue };
        let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
        let mut code = false;
        for (number, line) in (1..).zip(text.lines()) {
            code ^= kind == Kind::Markdown && line.trim_start().starts_with("```");
            if code {
                continue;
            }
            found.extend(
                problem(kind, line, &patterns).map(|why| format!("{name}:{number}: {why}: {}", line.trim())),
            );
        }
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rust,
    Markdown,
    Manual,
    /// Comments that begin with `#`.
    Script,
    /// C: comments of one line, and lines of longer ones, which begin with ` *`.
    C,
    /// Prose without a markup, such as a package's description.
    Plain,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        let file = Path::new(name);
        if name == file!() {
            return None;
        }
        match file.extension().and_then(OsStr::to_str) {
            Some("rs") => Some(Self::Rust),
            Some("md") => Some(Self::Markdown),
            Some("5" | "8" | "1") => Some(Self::Manual),
            Some("c" | "h") => Some(Self::C),
            Some("sh" | "toml" | "yml" | "yaml" | "j2" | "conf" | "catalog") => Some(Self::Script),
            Some("service" | "socket" | "timer" | "path") => Some(Self::Script),
            Some("templates" | "NEWS") => Some(Self::Plain),
            _ if matches!(name, "debian/README.source" | "debian/changelog" | "debian/control") => {
                Some(Self::Plain)
            }
            _ if file.starts_with("debian") || file.starts_with("conf/pam.d") => Some(Self::Script),
            _ => None,
        }
    }

    /// The prose of a line; `None` for code.
    fn prose(self, line: &str) -> Option<&str> {
        let line = line.trim();
        match self {
            Self::Markdown => Some(line.trim_start_matches(['-', '*', '>', '#', ' '])),
            Self::Manual => (!line.starts_with('.')).then_some(line),
            Self::Rust => line
                .find("//")
                .filter(|at| *at == 0 || line[..*at].ends_with(' '))
                .map(|at| &line[at..])
                .map(|comment| comment.trim_start_matches(['/', '!', ' '])),
            Self::Script => line.strip_prefix('#').map(str::trim_start),
            Self::C => match line.strip_prefix('*') {
                Some(inside) => {
                    (inside.is_empty() || inside.starts_with([' ', '/'])).then_some(inside.trim_start())
                }
                None => {
                    let at = ["/*", "//"].iter().filter_map(|mark| line.find(mark)).min()?;
                    Some(line[at..].trim_start_matches(['/', '*', ' ']))
                }
            },
            Self::Plain => Some(line.trim_start_matches(['-', '*', ' '])),
        }
    }
}

/// Text that users read: words in string literals that no message needs.
const IN_STRINGS: &str = r"(?i)\b(who(so)?ever|whom)\b";

/// The string literals of a line of Rust, and what is between them. A line of a literal of several lines has
/// no quotation mark, and ends with a backslash.
fn strings(line: &str) -> &str {
    match line.find('"') {
        Some(first) => &line[first..],
        None if line.ends_with('\\') => line,
        None => "",
    }
}

fn problem(kind: Kind, line: &str, patterns: &[(Regex, &str)]) -> Option<String> {
    let Some(prose) = kind.prose(line) else {
        let found = kind == Kind::Rust && Regex::new(IN_STRINGS).ok()?.is_match(strings(line));
        return found.then(|| "say “anyone who, users who” in a message".to_owned());
    };
    let columns = line.chars().count();
    let is_whole_line =
        matches!(kind, Kind::Rust | Kind::Script | Kind::C) && line.trim_start().starts_with(['/', '#', '*']);
    if is_whole_line && columns > COMMENT {
        return Some(format!("{columns} columns, not {COMMENT}"));
    }
    if kind == Kind::Markdown && columns > SENTENCE && !line.starts_with('|') && !line.starts_with("    ") {
        return Some(format!("{columns} columns, not {SENTENCE}"));
    }
    let (_, instead) = patterns.iter().find(|(pattern, _)| pattern.is_match(prose))?;
    Some(format!("say “{instead}”"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn shipped_files_the_packages_texts_and_comments_in_c_are_read_too() {
        let patterns: Vec<(Regex, &str)> =
            PATTERNS.iter().map(|(pattern, instead)| (Regex::new(pattern).unwrap(), *instead)).collect();
        for name in [
            "conf/pam.d/sudo-code",
            "conf/systemd/qrtotpd.socket",
            "conf/prometheus/qrtotp.rules.yml",
            "conf/fail2ban/jail.conf",
            "debian/libpam-qrtotp.prerm",
        ] {
            assert!(Kind::of(name) == Some(Kind::Script), "{name}");
        }
        assert!(Kind::of("debian/control") == Some(Kind::Plain));
        let bad = |kind, line: &str| problem(kind, line, &patterns).is_some();
        let long = "word ".repeat(25);
        for line in [" * As whoever runs it.", "    int a; /* For whom. */", &format!(" * {long}")] {
            assert!(bad(Kind::C, line), "{line}");
        }
        assert!(!bad(Kind::C, "    *whoever = 1;") && !bad(Kind::C, &format!("    {long}")));
        assert!(bad(Kind::Plain, " Asks whoever removes it."), "a description");
        assert!(bad(Kind::Script, &format!("# {long}")) && !bad(Kind::Script, &long));
    }

    #[test]
    fn stilted_sentences_are_found_in_comments_and_documents_and_code_is_left_alone() {
        let patterns: Vec<(Regex, &str)> =
            PATTERNS.iter().map(|(pattern, instead)| (Regex::new(pattern).unwrap(), *instead)).collect();
        let bad = |kind, line| problem(kind, line, &patterns).is_some();
        for line in [
            "/// Whoever has the password gets in.",
            "//! What an entry may come to.",
            "// Denied, for nobody is known by it.",
            "    code(); // Of whom it is noted.",
        ] {
            assert!(bad(Kind::Rust, line), "{line}");
        }
        assert!(bad(Kind::Markdown, "- Who is not root enrols by the broker."));
        let (long, row) = ("word ".repeat(40), format!("| {} |", "word ".repeat(40)));
        assert!(bad(Kind::Markdown, &long) && !bad(Kind::Markdown, &row));
        assert!(!bad(Kind::Rust, "let whoever = 1;"));
        assert!(bad(Kind::Rust, r#"    print("For whom?");"#));
        assert!(!bad(Kind::Rust, "/// The device's name. What is it for?"));
    }
}
