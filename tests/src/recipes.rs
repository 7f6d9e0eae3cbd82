//! The instructions of docs/SERVICES.md, for tests that follow them.

use crate::{Sandbox, artefacts};

/// The section of one host.
pub struct Recipe(String);

impl Recipe {
    #[must_use]
    pub fn of(host: &str) -> Self {
        Self::in_document("SERVICES.md", host)
    }

    /// A section of another document.
    #[must_use]
    pub fn in_document(document: &str, title: &str) -> Self {
        let document = std::fs::read_to_string(artefacts::sources().join("../docs").join(document)).unwrap();
        let section = document.split(&format!("\n## {title}\n")).nth(1).expect("no such section");
        Self(section.split("\n## ").next().unwrap().to_owned())
    }

    /// The part of a document in front of its first section.
    #[must_use]
    pub fn before_sections(document: &str) -> Self {
        let document = std::fs::read_to_string(artefacts::sources().join("../docs").join(document)).unwrap();
        Self(document.split("\n## ").next().unwrap().to_owned())
    }

    /// The block of a file: the indented lines after the line that begins with its name.
    #[must_use]
    pub fn block(&self, path: &str) -> String {
        self.behind(&format!("`{path}`"))
    }

    /// All indented lines.
    #[must_use]
    pub fn all_commands(&self) -> String {
        let lines = self.0.lines().filter_map(|line| line.strip_prefix("    "));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The block after `Run:`.
    #[must_use]
    pub fn commands(&self) -> String {
        self.behind("Run:")
    }

    /// The block after a line with this beginning.
    #[must_use]
    pub fn behind(&self, line: &str) -> String {
        let behind = self.0.split(&format!("\n{line}")).nth(1).unwrap_or_else(|| panic!("no block: {line}"));
        let lines = behind
            .lines()
            .skip(2) // the rest of that line, and an empty one
            .map_while(|line| line.strip_prefix("    ").or_else(|| line.is_empty().then_some(line)));
        let block: String = lines.map(|line| format!("{line}\n")).collect();
        format!("{}\n", block.trim_end())
    }

    /// Writes the blocks: the configuration, whole files, and lines that follow or replace one of Debian's.
    pub fn write(&self, sandbox: &Sandbox) {
        for line in self.0.lines().filter(|line| line.starts_with("`/")) {
            let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
            match (quoted.as_slice(), line.split('`').skip(2).step_by(2).collect::<String>().as_str()) {
                (["/etc/qrtotp/qrtotp.toml"], _) => sandbox.configure(&self.block("/etc/qrtotp/qrtotp.toml")),
                ([path, .., file], text) if text.ends_with(": a copy of .") => {
                    sandbox.ship(file.strip_prefix("conf/").unwrap(), path);
                }
                ([path], ":") => sandbox.overwrite(path, &self.block(path)),
                ([path, line], ", behind the line :") => {
                    Self::edit(sandbox, path, line, &format!("{line}\n{}", self.block(path)));
                }
                ([path, line, ..], text) if text.starts_with(", instead of the line ") => {
                    Self::edit(sandbox, path, line, &self.block(path))
                }
                _ => {} // part of a file; the test inserts it
            }
        }
    }

    /// Replaces a line with `new`, ignoring the alignment of its words.
    fn edit(sandbox: &Sandbox, path: &str, old: &str, new: &str) {
        let is_it = |line: &str| line.split_whitespace().eq(old.split_whitespace());
        let before = sandbox.read(path);
        assert_eq!(before.lines().filter(|line| is_it(line)).count(), 1, "{path}: {old}");
        let after: String = before
            .lines()
            .map(|line| if is_it(line) { new.to_owned() } else { format!("{line}\n") })
            .collect();
        sandbox.pam(path.strip_prefix("/etc/pam.d/").expect("only PAM files are edited"), &after);
    }
}
