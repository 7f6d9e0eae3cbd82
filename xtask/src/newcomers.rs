//! Checks what newcomers read first: the guide to installation is short, and each library says in its lib.rs
//! where to begin, with an example.
#![allow(clippy::unwrap_used)]

use std::fs;

use crate::build;

#[test]
fn the_guide_to_installation_is_short() {
    let guide = fs::read_to_string(build::workspace().join("docs/INSTALL.md")).unwrap();
    let lines = guide.lines().count();
    assert!(
        lines <= 160,
        "docs/INSTALL.md has {lines} lines, not 160; docs/INTERNALS.md has the rare corners"
    );
    let part = guide.split("\n## ").find(|part| part.starts_with("Enrolment at login\n")).unwrap();
    let lines = part.trim_end().lines().count();
    assert!(lines <= 25, "its part on enrolment at login has {lines} lines, not 25");
}

#[test]
fn each_library_says_where_to_begin_and_has_an_example_that_is_compiled() {
    for directory in fs::read_dir(build::workspace().join("crates")).unwrap() {
        let path = directory.unwrap().path().join("src/lib.rs");
        let Ok(text) = fs::read_to_string(&path) else { continue }; // a program
        let documentation: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(documentation.join(" ").contains("Begin with "), "{}: “Begin with …”", path.display());
        let mut openings = documentation.iter().filter(|line| line.starts_with("//! ```")).step_by(2);
        let has_example = openings.any(|line| ["//! ```", "//! ```no_run"].contains(line));
        assert!(has_example, "{}: no example", path.display());
    }
}
