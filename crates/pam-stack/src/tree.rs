//! From a service's files to the lines that libpam runs: `_pam_parse_conf_file` and `_pam_init_handlers`.

use crate::code::{Action, Control, PamCode};
use crate::elf::Elf;
use crate::line::{LONGEST, assemble, unclosed, words};
use crate::{OURS, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The directories of services' files, in libpam's order.
const DIRECTORIES: [&str; 2] = ["etc/pam.d", "usr/lib/pam.d"];
/// The service whose lines are used for parts that another one lacks.
const OTHER: &str = "other";
/// How deep includes are followed. libpam 1.5.2 has no limit.
const DEEPEST: usize = 64;
/// Roots of libpam's module directories; these are in a root or in a directory below it.
const MODULE_ROOTS: [&str; 4] = ["lib", "lib64", "usr/lib", "usr/lib64"];
/// A module that every libpam has.
const ALWAYS_THERE: &str = "pam_permit.so";

/// A root directory with PAM files and modules.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    modules: BTreeSet<PathBuf>,
    /// Files, by their paths on the host, with planned contents.
    planned: BTreeMap<PathBuf, String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileLine {
    /// The file's path on the host.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.file.display())
    }
}

/// A problem: libpam can't use a line, or reads it differently than it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its place.
    pub place: FileLine,
    /// The problem.
    pub problem: Problem,
}

/// A problem in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// libpam does not know the first word.
    Kind(String),
    /// It ends before its control or its module.
    Incomplete,
    /// The control is invalid.
    Control(String),
    /// The included file is missing or can't be read.
    Missing(String),
    /// It includes a file that includes this one.
    Loop(String),
    /// Lines end in CR LF: CR becomes a part of the last word.
    CarriageReturn,
    /// A bracket of an argument is not closed.
    Unclosed,
    /// A line is too long for libpam before 1.7.
    TooLong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(word) => write!(f, "`{word}` is not auth, account, session, password or @include"),
            Self::Incomplete => f.write_str("ends before it names a module"),
            Self::Control(word) => write!(f, "the control `{word}` is not understood"),
            Self::Missing(file) => write!(f, "includes {file}, which is not a file that can be read"),
            Self::Loop(file) => write!(f, "includes {file}, which includes this file"),
            Self::CarriageReturn => f.write_str("lines end in CR LF, as Windows writes them"),
            Self::Unclosed => f.write_str("has a `[` without its `]`"),
            Self::TooLong => write!(f, "is longer than {LONGEST} bytes"),
        }
    }
}

/// A line that libpam runs.
#[derive(Clone, Debug)]
pub struct PamLine {
    /// Its place.
    pub place: FileLine,
    /// The module as written; `None`: libpam can't use the line, and it fails.
    pub module: Option<String>,
    /// The arguments after the module.
    pub arguments: Vec<String>,
    /// The control as written.
    pub control_text: String,
    /// The module's file does not exist.
    pub missing: bool,
    /// The module does not have the function of this part, so libpam fails it.
    pub without_function: bool,
    pub(crate) control: Control,
    pub(crate) level: usize,
    /// Marks only the beginning of a substack.
    pub(crate) marker: bool,
}

impl PamLine {
    /// The name of the module's file, without its directory.
    #[must_use]
    pub fn name(&self) -> &str {
        self.module.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default()
    }

    /// Its action for a result of its module.
    #[must_use]
    pub fn action(&self, code: PamCode) -> Action {
        self.control.action(code)
    }

    /// Whether it is a line of our module.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.name() == OURS
    }
}

/// A part of a service.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its part.
    pub part: Part,
    /// Its lines, with those of included files in their place.
    pub entries: Vec<PamLine>,
    /// The faults in the files that were read for it.
    pub faults: Vec<Fault>,
    /// libpam gives up reading: every login by this service fails.
    pub aborted: bool,
    /// The service has no line of this part, so these are the lines of the service `other`.
    pub from_other: bool,
    /// The files that its lines come from.
    pub files: BTreeSet<PathBuf>,
}

impl Tree {
    /// The tree below `root`; `/` for the host's own.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let below = |top: &str| {
            let top = root.join(top);
            let inner = fs::read_dir(&top).into_iter().flatten().flatten().map(|entry| entry.path());
            std::iter::once(top).chain(inner).map(|path| path.join("security")).collect::<Vec<_>>()
        };
        let all = MODULE_ROOTS.iter().flat_map(|top| below(top));
        let modules = all.filter(|path| path.join(ALWAYS_THERE).is_file());
        let modules = modules.filter_map(|path| path.canonicalize().ok()).collect();
        Self { root: root.to_owned(), modules, planned: BTreeMap::new() }
    }

    /// The same tree with this text planned for a file, given by its path on the host.
    #[must_use]
    pub fn with(&self, file: &Path, text: &str) -> Self {
        let mut tree = self.clone();
        tree.planned.insert(file.to_owned(), text.to_owned());
        tree
    }

    /// The content of a file, by its path on the host. `None`: it does not exist, is not a file, or can't be
    /// read.
    #[must_use]
    pub fn text(&self, file: &Path) -> Option<String> {
        if let Some(text) = self.planned.get(file) {
            return Some(text.clone());
        }
        let real = self.path(file);
        // Reading a FIFO would block.
        let bytes = real.is_file().then(|| fs::read(real).ok()).flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The place of a host's path below the root.
    #[must_use]
    pub fn path(&self, host: &Path) -> PathBuf {
        self.root.join(host.strip_prefix("/").unwrap_or(host))
    }

    /// The services by name, with their files' paths on the host. Skips files left by package managers and
    /// editors.
    #[must_use]
    pub fn services(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        for directory in DIRECTORIES {
            let entries = fs::read_dir(self.root.join(directory)).into_iter().flatten().flatten();
            for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
                let left = name.starts_with('.')
                    || name.ends_with('~')
                    // libpam writes services' names in small letters.
                    || name.contains(|c: char| c.is_ascii_uppercase())
                    || [".bak", ".old", ".orig", ".save", ".swp"].iter().any(|end| name.ends_with(end))
                    || [".dpkg-", ".rpm", ".ucf-"].iter().any(|p| name.contains(p));
                let path = Path::new("/").join(directory).join(&name);
                if !left && !self.path(&path).is_dir() {
                    found.entry(name).or_insert(path);
                }
            }
        }
        found
    }

    /// libpam's directories.
    #[must_use]
    pub fn module_directories(&self) -> &BTreeSet<PathBuf> {
        &self.modules
    }

    /// The paths below the root where a module's file would be looked for. Empty if this tree has no modules
    /// at all.
    #[must_use]
    pub fn module_places(&self, module: &str) -> Vec<PathBuf> {
        let module = module.replace("$ISA", ".");
        match module.strip_prefix('/') {
            Some(absolute) if !self.modules.is_empty() => vec![self.root.join(absolute)],
            Some(_) => Vec::new(),
            None => self.modules.iter().map(|directory| directory.join(&module)).collect(),
        }
    }

    fn is_missing(&self, module: &str) -> bool {
        let places = self.module_places(module);
        !places.is_empty() && !places.iter().any(|place| place.exists())
    }

    fn lacks_function(&self, module: &str, part: Part) -> bool {
        let place = self.module_places(module).into_iter().find(|place| place.is_file());
        let bytes = place.and_then(|place| fs::read(place).ok()).unwrap_or_default();
        Elf::check(&bytes, &[]).is_ok_and(|elf| !elf.holds(part.function()))
    }

    /// The file that libpam reads for a service or an include.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let places: Vec<PathBuf> = match name.starts_with('/') {
            true => vec![PathBuf::from(name)],
            false => DIRECTORIES.map(|directory| Path::new("/").join(directory).join(name)).to_vec(),
        };
        let there =
            |path: &PathBuf| self.planned.contains_key(path) || self.path(path).symlink_metadata().is_ok();
        places.into_iter().find(there)
    }

    /// The lines that libpam runs for a part of a service.
    #[must_use]
    pub fn stack(&self, service: &str, part: Part) -> Stack {
        let own = self.read(service, part);
        let other = self.read(OTHER, part);
        let aborted = match (&own, &other) {
            (None, None) => true,
            (own, other) => [own, other].into_iter().flatten().any(|reader| reader.aborted),
        };
        let (own, from_other) = match (own, other) {
            (Some(own), Some(other)) if own.stack.entries.is_empty() && service != OTHER => {
                let faults = own.stack.faults;
                (
                    Reader {
                        stack: Stack { faults: [faults, other.stack.faults].concat(), ..other.stack },
                        ..other
                    },
                    true,
                )
            }
            (None, Some(other)) => (other, true),
            (Some(own), _) => (own, false),
            (None, None) => (Reader::new(self, part), false),
        };
        Stack { aborted, from_other, ..own.stack }
    }

    fn read(&self, service: &str, part: Part) -> Option<Reader<'_>> {
        let mut reader = Reader::new(self, part);
        let file = self.file(service)?;
        if reader.file(&file, None, 0, &mut Vec::new()).is_err() {
            reader.aborted = true;
        }
        Some(reader)
    }
}

struct Reader<'t> {
    tree: &'t Tree,
    stack: Stack,
    aborted: bool,
}

/// libpam gives up on this file.
struct Abort;

impl<'t> Reader<'t> {
    fn new(tree: &'t Tree, part: Part) -> Self {
        let stack = Stack {
            part,
            entries: Vec::new(),
            faults: Vec::new(),
            aborted: false,
            from_other: false,
            files: BTreeSet::new(),
        };
        Self { tree, stack, aborted: false }
    }

    /// Reads a file. `only`: the part that an include requests; `None`: all.
    fn file(
        &mut self,
        path: &Path,
        only: Option<Part>,
        level: usize,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Abort> {
        let text = self.tree.text(path).ok_or(Abort)?;
        self.stack.files.insert(path.to_owned());
        above.push(path.to_owned());
        if let Some(at) = text.split('\n').position(|line| line.ends_with('\r')) {
            self.fault(&FileLine { file: path.to_owned(), line: at + 1 }, Problem::CarriageReturn);
        }
        let mut result = Ok(());
        for line in assemble(&text) {
            let place = FileLine { file: path.to_owned(), line: line.number };
            if line.too_long {
                self.fault(&place, Problem::TooLong);
                self.must_fail(&place, only, only.unwrap_or(Part::Auth), level);
            }
            if self.line(&words(&line.text), &place, only, level, above).is_err() {
                result = Err(Abort);
                break;
            }
            if unclosed(&line.text) {
                self.fault(&place, Problem::Unclosed);
                if self.stack.entries.last().is_some_and(|entry| entry.place == place && entry.is_ours()) {
                    self.must_fail(&place, only, self.stack.part, level);
                }
            }
        }
        above.pop();
        result
    }

    fn line(
        &mut self,
        words: &[String],
        place: &FileLine,
        only: Option<Part>,
        level: usize,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Abort> {
        let mut words = words.iter().map(String::as_str);
        let first = words.next().unwrap_or_default();
        if first.eq_ignore_ascii_case("@include") {
            if self.include(words.next(), place, only, level, above) {
                return Ok(());
            }
            // The line must fail, and without `only` libpam has no part for it.
            let Some(part) = only else { return Err(Abort) };
            self.must_fail(place, only, part, level);
            return Ok(());
        }
        let bare = first.strip_prefix('-').unwrap_or(first);
        let Some(part) = Part::ALL.into_iter().find(|part| bare.eq_ignore_ascii_case(part.word())) else {
            self.fault(place, Problem::Kind(first.to_owned()));
            self.must_fail(place, only, only.unwrap_or(Part::Auth), level);
            return Ok(());
        };
        if part != self.stack.part || only.is_some_and(|only| only != part) {
            return Ok(());
        }
        let control = words.next().unwrap_or_default();
        if ["include", "substack"].iter().any(|word| control.eq_ignore_ascii_case(word)) {
            let inner = level + usize::from(control.eq_ignore_ascii_case("substack"));
            if inner > level {
                let entry = self.entry(place, Control::BAD, level);
                self.stack.entries.push(PamLine { marker: true, ..entry });
            }
            if !self.include(words.next(), place, Some(part), inner, above) {
                self.must_fail(place, only, part, level);
            }
            return Ok(());
        }
        let Some(module) = words.next() else {
            self.fault(place, Problem::Incomplete);
            self.must_fail(place, only, part, level);
            return Ok(());
        };
        let parsed = Control::parse(control).unwrap_or_else(|()| {
            self.fault(place, Problem::Control(control.to_owned()));
            Control::BAD
        });
        let entry = PamLine {
            module: Some(module.to_owned()),
            arguments: words.map(str::to_owned).collect(),
            control_text: control.to_owned(),
            missing: self.tree.is_missing(module),
            without_function: self.tree.lacks_function(module, part),
            ..self.entry(place, parsed, level)
        };
        self.stack.entries.push(entry);
        Ok(())
    }

    /// Returns whether the included file could be read. libpam 1.5.2 follows a circular include until the
    /// program crashes; newer versions, and substacks, stop at some depth and fail.
    fn include(
        &mut self,
        name: Option<&str>,
        place: &FileLine,
        only: Option<Part>,
        level: usize,
        above: &mut Vec<PathBuf>,
    ) -> bool {
        let name = name.unwrap_or_default();
        let path = self.tree.file(name).filter(|_| !name.is_empty());
        let Some(path) = path else {
            self.fault(place, Problem::Missing(name.to_owned()));
            return false;
        };
        if above.contains(&path) || above.len() >= DEEPEST {
            self.fault(place, Problem::Loop(name.to_owned()));
            self.aborted |= level == 0;
            return false;
        }
        if self.tree.text(&path).is_none() {
            self.fault(place, Problem::Missing(name.to_owned()));
        }
        self.file(&path, only, level, above).is_ok()
    }

    fn must_fail(&mut self, place: &FileLine, only: Option<Part>, part: Part, level: usize) {
        if part == self.stack.part && only.is_none_or(|only| only == part) {
            let entry = self.entry(place, Control::BAD, level);
            self.stack.entries.push(entry);
        }
    }

    fn entry(&self, place: &FileLine, control: Control, level: usize) -> PamLine {
        PamLine {
            place: place.clone(),
            module: None,
            arguments: Vec::new(),
            control_text: String::new(),
            missing: false,
            without_function: false,
            control,
            level,
            marker: false,
        }
    }

    fn fault(&mut self, place: &FileLine, problem: Problem) {
        let fault = Fault { place: place.clone(), problem };
        if !self.stack.faults.contains(&fault) {
            self.stack.faults.push(fault);
        }
    }
}
