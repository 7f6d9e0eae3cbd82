//! `cargo xtask messages`: writes po/qrtotp.pot, the catalogue of all messages that users read, and brings
//! the translations up to date with it.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use qrtotp_messages::text::{ALL, Source};

use crate::{
    apt, build,
    step::{run as run_step, say},
};

const TEMPLATE: &str = "po/qrtotp.pot";

/// # Errors
/// A file can't be written, or msgmerge fails.
pub fn run() -> Result<()> {
    apt::need(&[apt::MESSAGES])?;
    let template = build::workspace().join(TEMPLATE);
    fs::write(&template, text(ALL)).context(TEMPLATE)?;
    for entry in fs::read_dir(build::workspace().join("po"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "po") {
            say(&format!("bringing {} up to date", path.display()));
            // A guess that nobody looked at is worse than English.
            let options = ["--quiet", "--update", "--backup=none", "--no-fuzzy-matching", "--no-location"];
            run_step(Command::new("msgmerge").args(options).arg(&path).arg(&template))?;
        }
    }
    Ok(())
}

fn text(sources: &[Source]) -> String {
    let mut out = String::from(
        "# Messages of pam_qrtotp. `cargo xtask messages` writes this file from crates/messages/src/text.rs.\n\
         # Words in braces, such as {user}, stand for values: keep them as they are.\n\
         #\n\
         msgid \"\"\n\
         msgstr \"\"\n\
         \"Project-Id-Version: pam_qrtotp\\n\"\n\
         \"Report-Msgid-Bugs-To: maintainers@pam-qrtotp.example\\n\"\n\
         \"MIME-Version: 1.0\\n\"\n\
         \"Content-Type: text/plain; charset=UTF-8\\n\"\n\
         \"Content-Transfer-Encoding: 8bit\\n\"\n",
    );
    for Source { note, english, .. } in sources {
        out.push_str(&format!("\n#. {}\nmsgid {}\nmsgstr \"\"\n", note.trim(), quoted(english)));
    }
    out
}

/// A text as it stands in a catalogue, with a line for each of its lines.
fn quoted(text: &str) -> String {
    let line =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let lines: Vec<String> = text.split_inclusive('\n').map(line).collect();
    if lines.len() == 1 { lines.concat() } else { format!("\"\"\n{}", lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_catalogue_for_translators_has_every_message_as_it_is_now() {
        let written = fs::read_to_string(build::workspace().join(TEMPLATE)).unwrap();
        assert!(written == text(ALL), "run `cargo xtask messages`");
    }

    #[test]
    fn quotation_marks_and_lines_are_written_as_gettext_reads_them() {
        assert_eq!(quoted("a \"b\" \\ c"), r#""a \"b\" \\ c""#);
        assert_eq!(quoted("a\nb"), "\"\"\n\"a\\n\"\n\"b\"");
    }
}
