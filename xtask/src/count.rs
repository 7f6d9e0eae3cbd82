//! `cargo xtask count [DIRECTORY]`: lines of product code, per crate, of this tree or another one.
//!
//! A line counts if it holds a token of code: blank lines and comments, doc comments too, do not. Tests do
//! not count: items under `#[cfg(test)]`, with the files of such a `mod NAME;`, and everything outside a
//! crate's `src`. A line counts as unsafe if it belongs to an `unsafe { … }` block, its braces included.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, anyhow, ensure};
use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree, token_stream::IntoIter};
use serde_json::Value;

use crate::{build, step::cargo};

/// Members of the workspace that are no product.
const TOOLS: [&str; 2] = ["qrtotp-tests", "xtask"];

#[derive(Clone, Copy, Default)]
struct Count {
    code: usize,
    inside_unsafe: usize,
}

/// # Errors
/// There is no workspace, or a file is not Rust.
pub fn run(directory: Option<&str>) -> Result<()> {
    let directory = directory.map_or_else(build::workspace, PathBuf::from);
    let mut total = Count::default();
    println!("{:<16} {:>7} {:>7}", "crate", "lines", "unsafe");
    for (name, sources) in crates(&directory)? {
        let count = count(&sources)?;
        println!("{name:<16} {:>7} {:>7}", count.code, count.inside_unsafe);
        total.code += count.code;
        total.inside_unsafe += count.inside_unsafe;
    }
    println!("{:<16} {:>7} {:>7}", "together", total.code, total.inside_unsafe);
    Ok(())
}

/// The product's crates, with the directories of their sources.
pub fn crates(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut metadata = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = metadata.current_dir(directory).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut crates = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("no name")?;
        let manifest = package["manifest_path"].as_str().context("no path")?;
        if !TOOLS.contains(&name) {
            crates.push((name.to_owned(), Path::new(manifest).with_file_name("src")));
        }
    }
    Ok(crates)
}

fn count(sources: &Path) -> Result<Count> {
    let (mut count, mut tests) = (Count::default(), Vec::new());
    let mut files = Vec::new();
    for path in rust_files(sources)? {
        let seen = look(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        tests.extend(seen.test_modules.iter().map(|name| submodules(&path).join(name)));
        files.push((path, seen));
    }
    for (path, seen) in files {
        // A module is NAME.rs, or the directory NAME.
        if !tests.iter().any(|module| path.with_extension("").starts_with(module)) {
            count.code += seen.code.len();
            count.inside_unsafe += seen.inside_unsafe.len();
        }
    }
    Ok(count)
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut rust_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The directory of a file's submodules.
fn submodules(file: &Path) -> PathBuf {
    let own = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
    if own { file.with_file_name("") } else { file.with_extension("") }
}

/// The contents of a file, as line numbers.
#[derive(Default)]
struct Seen {
    code: BTreeSet<usize>,
    inside_unsafe: BTreeSet<usize>,
    /// Test modules in separate files.
    test_modules: Vec<String>,
}

fn look(text: &str) -> Result<Seen> {
    let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{error}"))?;
    let mut seen = Seen::default();
    seen.walk(tokens, false);
    Ok(seen)
}

impl Seen {
    fn walk(&mut self, tokens: TokenStream, inside_unsafe: bool) {
        let mut tokens = tokens.into_iter();
        let mut after_unsafe = false;
        while let Some(token) = tokens.next() {
            match (attribute(&token, &tokens).as_deref(), &token) {
                (Some("doc"), _) => {
                    skip_attribute(&mut tokens);
                    continue;
                }
                (Some("cfg(test)"), _) => {
                    skip_attribute(&mut tokens);
                    self.skip_item(&mut tokens);
                    continue;
                }
                (_, TokenTree::Group(group)) => {
                    let is_unsafe = inside_unsafe || after_unsafe && group.delimiter() == Delimiter::Brace;
                    self.add(group.span_open(), is_unsafe);
                    self.walk(group.stream(), is_unsafe);
                    self.add(group.span_close(), is_unsafe);
                }
                _ => self.add(token.span(), inside_unsafe),
            }
            after_unsafe = matches!(&token, TokenTree::Ident(word) if word == "unsafe");
        }
    }

    fn add(&mut self, span: Span, inside_unsafe: bool) {
        let lines = span.start().line..=span.end().line;
        self.code.extend(lines.clone());
        if inside_unsafe {
            self.inside_unsafe.extend(lines);
        }
    }

    /// Up to the braces or the semicolon that end it.
    fn skip_item(&mut self, tokens: &mut IntoIter) {
        let mut words = Vec::new();
        for token in tokens.by_ref() {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
                TokenTree::Punct(mark) if mark.as_char() == ';' => break,
                other => words.push(other.to_string()),
            }
        }
        if let [.., word, name] = &words[..]
            && word == "mod"
        {
            self.test_modules.push(name.clone());
        }
    }
}

/// The attribute that begins here, but for an inner one: `doc` for a doc comment, else its text without
/// blanks.
fn attribute(token: &TokenTree, rest: &IntoIter) -> Option<String> {
    matches!(token, TokenTree::Punct(mark) if mark.as_char() == '#').then_some(())?;
    let mut rest = rest.clone();
    let group = loop {
        match rest.next()? {
            TokenTree::Group(group) => break group,
            TokenTree::Punct(mark) if mark.as_char() == '!' => {}
            _ => return None,
        }
    };
    Some(name_of(&group))
}

fn name_of(group: &Group) -> String {
    match group.stream().into_iter().next() {
        Some(TokenTree::Ident(word)) if word == "doc" => "doc".into(),
        _ => group.stream().to_string().replace(' ', ""),
    }
}

/// The brackets, behind an exclamation mark if there is one.
fn skip_attribute(tokens: &mut IntoIter) {
    let _ = tokens.find(|token| matches!(token, TokenTree::Group(_)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn comments_blank_lines_and_tests_are_no_code() {
        let text = "//! What it is.\n\n/// Adds.\n#[must_use] // why\nfn add(a: u8) -> u8 {\n    // one\n    a + 1 /* and\n    more */\n}\n\
                    #[cfg(test)]\nuse std::fs;\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn f() {}\n}\n#[cfg(test)]\nmod far;\nconst A: &str = \"a\n\n b\";\n";
        let seen = look(text).unwrap();
        assert_eq!(seen.code.into_iter().collect::<Vec<_>>(), [4, 5, 7, 9, 19, 20, 21]);
        assert_eq!(seen.test_modules, ["far"]);
    }

    #[test]
    fn an_unsafe_block_counts_from_brace_to_brace_also_inside_a_macro() {
        let text = "unsafe fn f() {\n    g();\n    unsafe {\n        // why\n        g();\n    }\n}\nm!(unsafe { g() });\n";
        let seen = look(text).unwrap();
        assert_eq!(seen.inside_unsafe.into_iter().collect::<Vec<_>>(), [3, 5, 6, 8]);
        assert_eq!(seen.code.len(), 7);
    }

    #[test]
    fn a_file_of_a_test_module_is_left_out_with_what_is_in_its_directory() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = here.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n");
        write("tests/mod.rs", "fn f() {}\n");
        write("tests/more.rs", "fn f() {}\n");
        write("a.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n");
        write("a/tests.rs", "fn f() {}\n");
        write("a/b.rs", "fn f() {}\n");
        assert_eq!(count(here.path()).unwrap().code, 3);
    }
}
