//! The translations in po/: complete, with the placeholders of each message, and no wider than there is room.
//! They are compiled by msgfmt, as the package does it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use qrtotp_messages::Catalogue;
use qrtotp_messages::text::{ALL, Source};
use qrtotp_values::text::wrap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every po/LANGUAGE.po, compiled. msgfmt leaves out what is fuzzy or has no translation.
fn catalogues() -> Vec<Catalogue> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../po");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let translations: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "po")).collect();
    translations.iter().map(|path| compiled(path)).collect()
}

fn compiled(path: &Path) -> Catalogue {
    let msgfmt = Command::new("msgfmt").args(["--check", "--output-file=-"]).arg(path).output();
    let output = msgfmt.expect("msgfmt is needed: install gettext");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Catalogue::new(path.file_stem().unwrap().to_str().unwrap(), output.stdout).unwrap()
}

/// Runs a check of each message and its translation into each language.
fn each_translation(check: impl Fn(&Source, &str, &str)) {
    for catalogue in catalogues() {
        for source in ALL {
            let text = catalogue.translation(source.english);
            let text = text.unwrap_or_else(|| panic!("{}: no {:?}", catalogue.language(), source.english));
            check(source, text, catalogue.language());
        }
    }
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).map(|rest| rest.split_once('}').expect("a brace is not closed").0).collect()
}

#[test]
fn dutch_and_german_are_complete_and_have_no_message_that_is_gone() {
    let catalogues = catalogues();
    let languages: BTreeSet<&str> = catalogues.iter().map(Catalogue::language).collect();
    assert!(languages.is_superset(&["de", "nl"].into()), "{languages:?}");
    each_translation(|_, _, _| {});
    for catalogue in &catalogues {
        assert_eq!(catalogue.len(), ALL.len() + 1, "{}: run `cargo xtask messages`", catalogue.language());
    }
}

#[test]
fn a_translation_has_the_placeholders_of_its_message() {
    each_translation(|source, text, language| {
        assert_eq!(placeholders(text), placeholders(source.english), "{language}: {text}");
    });
}

#[test]
fn a_translation_keeps_the_blanks_at_its_end_the_options_and_the_commands() {
    let kept = |text: &str| -> BTreeSet<String> {
        let words = text.split([' ', '\n', '(', ')', ',', ';', '.', ':']);
        let options = words.filter(|word| word.starts_with("--")).map(str::to_owned);
        options.chain(text.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
    };
    let blanks = |text: &str| text.len() - text.trim_end().len();
    each_translation(|source, text, language| {
        assert_eq!(blanks(text), blanks(source.english), "{language}: {text:?}");
        assert_eq!(text.trim_start(), text, "{language}");
        assert_eq!(kept(text), kept(source.english), "{language}: {text}");
    });
}

#[test]
fn a_translation_keeps_the_letters_that_are_keys_and_the_word_skip() {
    let keys = |text: &str| -> BTreeSet<String> {
        let words = text.split([' ', '(', ')', ',', ';', ':', '?', '.', '\n']);
        // Not `a`, which is a word of English; it is a key only beside k.
        let keys = words.filter(|word| matches!(*word, "h" | "i" | "k" | "n" | "q" | "skip"));
        keys.map(str::to_owned).collect()
    };
    each_translation(|source, text, language| {
        if source.note.contains("Keep the") {
            assert_eq!(keys(text), keys(source.english), "{language}: {text}");
        }
    });
}

/// The number before `what` in a note, such as 77 in "lines of at most 77 columns".
fn limit(source: &Source, what: &str) -> Option<usize> {
    source.note.split_once(what)?.0.split(' ').next_back()?.parse().ok()
}

/// The lines of a text with its room for them. Values count with two characters.
fn lines<'t>(source: &Source, text: &'t str, columns: usize) -> Vec<&'t str> {
    if source.note.contains("broken") { wrap(text, columns) } else { text.lines().collect() }
}

#[test]
fn no_line_is_wider_than_its_note_allows() {
    let check = |source: &Source, text: &str, language: &str| {
        let Some(columns) = limit(source, " columns") else { return };
        let text = placeholders(text)
            .iter()
            .fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), "40"));
        let lines = lines(source, &text, columns);
        let too_wide = lines.iter().find(|line| line.trim_end().chars().count() > columns);
        assert_eq!(too_wide, None, "{language}: more than {columns}");
        assert!(limit(source, " lines").is_none_or(|most| lines.len() <= most), "{language}: {lines:?}");
    };
    ALL.iter().for_each(|source| check(source, source.english, "en"));
    each_translation(check);
    assert!(ALL.iter().filter(|source| limit(source, " columns").is_some()).count() > 20);
}
