//! docs/SERVICES.md: what it tells people to write, for tests that do it.

use crate::{Sandbox, artefacts};

/// The section of one host.
pub struct Recipe(String);

impl Recipe {
    #[must_use]
    pub fn of(host: &str) -> Self {
        let document = std::fs::read_to_string(artefacts::sources().join("../docs/SERVICES.md")).unwrap();
        let section = document.split(&format!("\n## {host}\n")).nth(1).expect("no such section");
        Self(section.split("\n## ").next().unwrap().to_owned())
    }

    /// The block of a file: the indented lines behind the line that begins with its name.
    #[must_use]
    pub fn block(&self, path: &str) -> String {
        self.behind(&format!("`{path}`"))
    }

    /// The block behind `Run:`.
    #[must_use]
    pub fn commands(&self) -> String {
        self.behind("Run:")
    }

    /// The block behind a line of text that begins so.
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

    /// Writes the blocks that are whole files, and the configuration.
    pub fn write(&self, sandbox: &Sandbox) {
        for line in self.0.lines().filter(|line| line.starts_with("`/")) {
            let path = line.split('`').nth(1).unwrap();
            match path {
                "/etc/qrtotp/qrtotp.toml" => sandbox.configure(&self.block(path)),
                _ if line.ends_with(": a copy of `conf/pam.d/one-field`.") => {
                    sandbox.ship("pam.d/one-field", path);
                }
                _ if line == format!("`{path}`:") => sandbox.overwrite(path, &self.block(path)),
                _ => {} // part of a file; the test says where
            }
        }
    }
}
