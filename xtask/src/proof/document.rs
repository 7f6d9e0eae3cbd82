//! docs/PROOF.md: one section for each proof, each with the commit that it was carried out on.

use std::{fs, io, process::Command};

use anyhow::{Result, ensure};

use super::{Findings, PROOFS, Proof};
use crate::build;

const PATH: &str = "docs/PROOF.md";
const HEAD: &str = "# What was seen to hold\n\nWritten by `cargo xtask proof`; not by hand. Each section names the commit that it was carried out on.\n";

/// Puts what was found in the place of the proof's last section.
pub fn keep(proof: &Proof, found: &Findings) -> Result<()> {
    let path = build::workspace().join(PATH);
    let old = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    fs::write(path, replace(&old, proof, &section(proof, found, &commit()?)))?;
    Ok(())
}

fn section(proof: &Proof, found: &Findings, commit: &str) -> String {
    let mut out = format!("## {}\n\n`cargo xtask proof {}`, {commit}.\n\n", proof.title, proof.name);
    out.push_str(found.text.trim());
    out.push('\n');
    for failure in &found.failures {
        out.push_str(&format!("\n**Failed:** {failure}\n"));
    }
    out
}

/// The document with this section; those of proofs that are no longer there go.
fn replace(old: &str, proof: &Proof, section: &str) -> String {
    let old: Vec<_> = old.split("\n## ").skip(1).collect();
    let mut out = HEAD.to_owned();
    for other in PROOFS {
        out.push('\n');
        if other.name == proof.name {
            out.push_str(section);
        } else if let Some(kept) = old.iter().find(|kept| kept.lines().next() == Some(other.title)) {
            out.push_str("## ");
            out.push_str(kept.trim_end());
            out.push('\n');
        } else {
            out.pop();
        }
    }
    out
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").current_dir(build::workspace()).args(arguments).output()?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The section of this title, as it stands.
pub fn section_of(title: &str) -> Result<String> {
    let path = build::workspace().join(PATH);
    let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    let sections = text.split("\n## ").skip(1);
    Ok(sections.filter(|section| section.lines().next() == Some(title)).collect())
}

/// The commit that is checked out, if what it has of `paths` is what is here.
pub fn commit_of(paths: &[String]) -> Result<Option<String>> {
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    Ok(is_as_in(&commit, paths)?.then_some(commit))
}

/// Whether `paths` are as they were in that commit.
pub fn is_as_in(commit: &str, paths: &[String]) -> Result<bool> {
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let changed = git(&[&["diff", "--name-only", commit, "--"], &paths[..]].concat());
    // A commit that is not known here proves nothing.
    let Ok(changed) = changed else { return Ok(false) };
    let new = git(&[&["ls-files", "--others", "--exclude-standard", "--"], &paths[..]].concat())?;
    Ok(changed.is_empty() && new.is_empty())
}

/// A file as it was in that commit.
pub fn text_in(commit: &str, path: &str) -> Result<String> {
    git(&["show", &format!("{commit}:{path}")])
}

/// What is checked out, with its date.
pub fn commit() -> Result<String> {
    let commit = git(&["show", "--no-patch", "--date=short", "--format=commit %h of %ad", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"])?;
    Ok(format!("{commit}{}", if changed.is_empty() { "" } else { ", with changes on top" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that sections and the columns `commit` of their tables name.
    fn commits(text: &str) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        let mut column = None;
        for line in text.lines() {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let at = |column: usize| cells.get(column).copied();
            if cells.len() < 2 {
                column = None;
                let after = line.split(", commit ").nth(1).and_then(|rest| rest.split(' ').next());
                named.extend(after);
            } else if column.is_none() {
                column = cells.iter().position(|cell| *cell == "commit");
            } else {
                named.extend(column.and_then(at));
            }
        }
        named.retain(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        named
    }

    #[test]
    fn commits_are_read_off_sections_and_tables() {
        let text = "## A\n\n`cargo xtask proof a`, commit 0a1b2c3 of 2026-11-28, with changes on top.\n\n\
            | target | commit | inputs |\n|---|---|---:|\n| x | 1234567 | 10000000 |\n| y | – | not tried |\n\n\
            | what | times |\n|---|---:|\n| z | 7654321 |\n";
        assert_eq!(commits(text), ["0a1b2c3", "1234567"]);
    }

    #[test]
    fn every_commit_that_the_documents_name_is_one_that_this_tree_comes_from() {
        // An archive, or a clone without its past, can't tell.
        if git(&["rev-parse", "--is-shallow-repository"]).ok().as_deref() != Some("false") {
            return;
        }
        for document in [PATH, "docs/PERFORMANCE.md"] {
            let text = fs::read_to_string(build::workspace().join(document)).unwrap_or_default();
            let named = commits(&text);
            assert!(!named.is_empty(), "{document} names none");
            assert!(
                !text.contains("with changes"),
                "{document} tells of what is in no commit: run that again"
            );
            for commit in named {
                let known = git(&["merge-base", "--is-ancestor", commit, "HEAD"]);
                assert!(
                    known.is_ok(),
                    "{document} names {commit}, which is not in this history: run that again"
                );
            }
        }
    }

    #[test]
    fn a_proof_replaces_its_own_section_and_no_other() {
        let [first, ..] = PROOFS else { panic!("no proofs") };
        let found = |text: &str| Findings { text: text.into(), failures: vec!["a wheel came off".into()] };
        let once = replace("", first, &section(first, &found("a table"), "commit 1"));
        assert!(once.starts_with("# What was seen to hold\n"), "{once}");
        assert!(once.contains("commit 1.\n\na table\n\n**Failed:** a wheel came off\n"), "{once}");
        let twice = replace(&once, first, &section(first, &found("another"), "commit 2"));
        assert!(twice.contains("another") && !twice.contains("a table"), "{twice}");
        if let [_, second, ..] = PROOFS {
            let both = replace(&twice, second, &section(second, &found("its own"), "commit 3"));
            assert!(both.contains("another") && both.contains("its own"), "{both}");
        }
    }
}
