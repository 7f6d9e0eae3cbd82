//! Checks that no circle joins the files of a crate, so a reader can begin at the bottom. The compiler checks
//! the same between crates.
//!
//! A file leads to the files that its `use` lines and full paths name; a name that a parent re-exports leads
//! to the file that defines it. A parent's own `pub use` lines lead nowhere. Tests are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use syn::{Attribute, Item, UseTree, Visibility, visit::Visit};

/// Module paths below the crate, which itself is the empty one.
type Module = Vec<String>;

/// The references of one file to others.
#[derive(Default)]
struct Source {
    /// Paths that it uses.
    used: Vec<Vec<String>>,
    /// Names that it imports, and so offers to the files below it, with the paths they abbreviate.
    imported: BTreeMap<String, Vec<String>>,
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => {}
            Item::Use(item) if is_test(&item.attrs) => {}
            Item::Use(item) => {
                let mut leaves = Vec::new();
                flatten(&item.tree, &mut Vec::new(), &mut leaves);
                for (name, path) in leaves {
                    if matches!(item.vis, Visibility::Inherited) {
                        self.used.push(path.clone());
                    }
                    self.imported.insert(name, path);
                }
            }
            other => syn::visit::visit_item(self, other),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // One name alone is a visibility: `pub(super)`.
        if names.len() > 1 && matches!(names[0].as_str(), "crate" | "super") {
            self.used.push(names);
        }
        syn::visit::visit_path(self, path);
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn flatten(tree: &UseTree, above: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let leaf = |name: String| [above.as_slice(), &[name]].concat();
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, leaves);
            above.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, above, leaves)),
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((above.last().cloned().unwrap_or_default(), above.clone()));
        }
        UseTree::Name(name) => leaves.push((name.ident.to_string(), leaf(name.ident.to_string()))),
        UseTree::Rename(name) => leaves.push((name.rename.to_string(), leaf(name.ident.to_string()))),
        UseTree::Glob(_) => leaves.push((String::new(), above.clone())),
    }
}

/// The circles between the files below `sources`, each with its members.
///
/// # Errors
/// A file can't be read, or is not Rust.
pub fn circles(sources: &Path) -> Result<Vec<Vec<String>>> {
    let mut files = BTreeMap::new();
    read(sources, &Vec::new(), &mut files)?;
    let edges: BTreeMap<&Module, BTreeSet<Module>> =
        files.keys().map(|from| (from, targets(from, &files))).collect();
    let reaches = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            let new = edges.get(&next).into_iter().flatten().filter(|to| !seen.contains(*to));
            let new: Vec<Module> = new.cloned().collect();
            seen.extend(new.iter().cloned());
            open.extend(new);
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        files.keys().map(|from| (from, reaches(from))).collect();
    let mut found = BTreeSet::new();
    for (from, far) in &reached {
        let members = far.iter().filter(|to| reached.get(to).is_some_and(|back| back.contains(*from)));
        let members: Vec<String> = members.map(|module| module.join("::")).collect();
        if members.len() > 1 {
            found.insert(members);
        }
    }
    Ok(found.into_iter().collect())
}

/// The files that `from` leads to.
fn targets(from: &Module, files: &BTreeMap<Module, Source>) -> BTreeSet<Module> {
    let used = files.get(from).into_iter().flat_map(|source| &source.used);
    used.filter_map(|path| resolve(from, path, files, 0)).filter(|to| to != from).collect()
}

/// The file that a path leads to, seen from `from`; `None` outside of the crate.
fn resolve(from: &Module, path: &[String], files: &BTreeMap<Module, Source>, depth: usize) -> Option<Module> {
    let (mut at, mut rest) = match path.split_first()? {
        (first, rest) if first == "crate" => (Vec::new(), rest),
        (first, rest) if first == "self" => (from.clone(), rest),
        (first, _) if first == "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            (from.get(..from.len().checked_sub(up)?)?.to_vec(), path.get(up..)?)
        }
        (first, _) if files.contains_key(&[from.as_slice(), std::slice::from_ref(first)].concat()) => {
            (from.clone(), path)
        }
        _ => return None,
    };
    while let Some((name, after)) = rest.split_first() {
        let below = [at.as_slice(), std::slice::from_ref(name)].concat();
        if files.contains_key(&below) {
            (at, rest) = (below, after);
        } else if let Some(target) = files.get(&at).and_then(|source| source.imported.get(name)) {
            return if depth < 8 { resolve(&at, target, files, depth + 1) } else { Some(at) };
        } else {
            break;
        }
    }
    Some(at)
}

fn read(directory: &Path, module: &Module, files: &mut BTreeMap<Module, Source>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).context("a name")?.to_owned();
        let below = [module.as_slice(), std::slice::from_ref(&stem)].concat();
        if stem.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            read(&path, &below, files)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let mut source = Source::default();
            source.visit_file(&syn::parse_file(&fs::read_to_string(&path)?)?);
            let is_parent = matches!(stem.as_str(), "lib" | "main" | "mod");
            files.insert(if is_parent { module.clone() } else { below }, source);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scratch(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        circles(directory.path()).unwrap()
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle_also_by_a_re_export() {
        let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;");
        let (a, b) = ("use crate::B; pub struct A(B);", "use super::a::A; pub struct B(Box<A>);");
        assert_eq!(scratch(&[lib, ("a.rs", a), ("b.rs", b)]), [["a", "b"]]);
        let by_path = "pub struct B(Box<crate::A>);";
        assert_eq!(scratch(&[lib, ("a.rs", a), ("b.rs", by_path)]), [["a", "b"]]);
        let in_tests = "pub struct B; #[cfg(test)] mod tests { use super::*; use crate::A; }";
        assert!(scratch(&[lib, ("a.rs", a), ("b.rs", in_tests)]).is_empty());
    }

    #[test]
    fn no_files_of_a_crate_form_a_circle() {
        for (name, sources) in crate::count::crates(&crate::build::workspace()).unwrap() {
            let found: Vec<String> =
                circles(&sources).unwrap().into_iter().map(|members| members.join(", ")).collect();
            assert!(found.is_empty(), "{name}: {}", found.join("; "));
        }
    }
}
