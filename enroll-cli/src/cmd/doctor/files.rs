//! The files in which libpam looks, and who takes lines from whom.

use qrtotp_core::policy::{AuthWhat, Module, OurEntry, PAM_DIRECTORIES, Part, Shortcut, Survey, names_us};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How far includes are followed.
const DEPTH: u8 = 8;

/// A PAM file.
pub struct File {
    pub path: PathBuf,
    /// What it is to libpam.
    pub survey: Survey,
    /// It names our module, in whatever way.
    pub names_us: bool,
    /// It, or a directory above it, if others than root can write there.
    pub open: Option<PathBuf>,
}

/// All of them, by their service.
pub struct Files {
    pub all: BTreeMap<String, File>,
    /// Those that could not be read.
    pub unread: Vec<String>,
    /// What has a name there and is no file: a link to nothing, a FIFO.
    pub odd: BTreeMap<String, PathBuf>,
}

/// The first of a file and the directories above it to which others than root can write.
pub fn others_write(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let open = |path: &&Path| path.metadata().is_ok_and(|file| file.uid() != 0 || file.mode() & 0o022 != 0);
    real.ancestors().find(open).map(Path::to_owned)
}

impl Files {
    pub fn read() -> Self {
        let (mut files, mut unread, mut odd) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for entry in PAM_DIRECTORIES.iter().flat_map(fs::read_dir).flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // What package managers and editors leave behind is no service.
            let left_behind =
                name.ends_with('~') || [".dpkg-", ".rpm", ".ucf-"].iter().any(|part| name.contains(part));
            if left_behind || files.contains_key(&name) {
                continue;
            }
            if !path.is_file() {
                if !path.is_dir() {
                    odd.entry(name).or_insert(path);
                }
                continue;
            }
            let Ok(bytes) = fs::read(&path) else {
                unread.push(name);
                continue;
            };
            let (open, survey, names_us) = (others_write(&path), Survey::of(&bytes), names_us(&bytes));
            let file = File { path, survey, names_us, open };
            files.insert(name, file);
        }
        Self { all: files, unread, odd }
    }

    /// The files whose lines of a part a service has, its own first.
    fn reached(&self, service: &str, part: Part) -> Vec<&File> {
        let mut found = Vec::new();
        self.reach(service, part, DEPTH, &mut found);
        found
    }

    fn reach<'a>(&'a self, service: &str, part: Part, depth: u8, found: &mut Vec<&'a File>) {
        let Some(file) = self.all.get(service).filter(|_| depth > 0) else { return };
        found.push(file);
        for include in file.survey.includes.iter().filter(|include| include.part.is_none_or(|of| of == part))
        {
            let name = Path::new(&include.file).file_name().and_then(|name| name.to_str());
            self.reach(name.unwrap_or_default(), part, depth - 1, found);
        }
    }

    /// Our auth line of a service, its own or an included one.
    pub fn asks(&self, service: &str) -> Option<&OurEntry> {
        self.reached(service, Part::Auth).into_iter().find_map(|file| file.survey.our(Part::Auth))
    }

    /// The first line, with its file, whose success ends the auth part of a service before our line comes.
    pub fn ends_early(&self, service: &str) -> Option<(&File, Shortcut)> {
        self.walk(service, DEPTH).flatten()
    }

    /// `None`: none of these lines is ours, nor ends the part.
    fn walk(&self, service: &str, depth: u8) -> Option<Option<(&File, Shortcut)>> {
        let file = self.all.get(service).filter(|_| depth > 0)?;
        file.survey.auth.iter().find_map(|step| match &step.what {
            AuthWhat::Ours => Some(None),
            AuthWhat::EndsEarly { by_password } => {
                Some(Some((file, Shortcut { line: step.line, by_password: *by_password })))
            }
            AuthWhat::Include { file, substack } => {
                let name = Path::new(file).file_name().and_then(|name| name.to_str());
                let inside = self.walk(name.unwrap_or_default(), depth - 1);
                // What ends a substack goes on behind it.
                if *substack { inside.filter(Option::is_none) } else { inside }
            }
            AuthWhat::Other => None,
        })
    }

    /// Whether a service asks for a password, as far as its modules are known.
    pub fn takes_a_password(&self, service: &str) -> bool {
        self.reached(service, Part::Auth).iter().any(|file| file.survey.takes_a_password)
    }

    /// The modules of a part of a service, each with its file; those of an included file come after its own.
    pub fn modules(&self, service: &str, part: Part) -> impl Iterator<Item = (&Path, &Module)> {
        self.reached(service, part).into_iter().flat_map(move |file| {
            let of_part = file.survey.modules.iter().filter(move |module| module.part == part);
            of_part.map(|module| (file.path.as_path(), module))
        })
    }

    /// All lines of ours.
    pub fn ours(&self) -> impl Iterator<Item = &OurEntry> {
        self.all.values().flat_map(|file| &file.survey.ours)
    }

    /// Who takes lines from a file.
    pub fn includers(&self, name: &str) -> Vec<&str> {
        let of =
            |file: &File| file.survey.includes.iter().any(|include| Path::new(&include.file).ends_with(name));
        self.all.iter().filter(|(_, file)| of(file)).map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As if these were in /etc/pam.d.
    pub fn files(texts: &[(&str, &str)]) -> Files {
        let file = |name: &str, text: &str| File {
            path: Path::new(PAM_DIRECTORIES[0]).join(name),
            survey: Survey::of(text.as_bytes()),
            names_us: names_us(text.as_bytes()),
            open: None,
        };
        let all = texts.iter().map(|(name, text)| ((*name).to_owned(), file(name, text))).collect();
        Files { all, unread: Vec::new(), odd: BTreeMap::new() }
    }

    #[test]
    fn an_include_asks_for_its_own_part_only() {
        let ours = "auth required pam_qrtotp.so\n";
        let with = [
            ("common-auth", ours),
            ("sshd", "@include common-auth\n"),
            ("x", "account include common-auth\n"),
        ];
        let with = files(&with);
        assert!(with.asks("sshd").is_some() && with.asks("x").is_none());
    }

    #[test]
    fn a_line_that_ends_the_auth_part_before_ours_is_found_through_includes_and_not_in_substacks() {
        let early = "auth sufficient pam_x.so\n";
        let ours = "auth required pam_qrtotp.so\n";
        let all = files(&[
            ("before", early),
            ("a", &format!("@include before\n{ours}")),
            ("b", &format!("auth substack before\n{ours}")),
            ("c", &format!("{ours}{early}")),
            ("common-auth", ours),
            ("d", &format!("auth required pam_env.so\n{early}@include common-auth\n")),
        ]);
        let found =
            |service| all.ends_early(service).map(|(file, shortcut)| (file.path.clone(), shortcut.line));
        assert_eq!(found("a"), Some((Path::new("/etc/pam.d/before").to_owned(), 1)));
        assert_eq!((found("b"), found("c")), (None, None));
        assert_eq!(found("d"), Some((Path::new("/etc/pam.d/d").to_owned(), 2)));
    }

    #[test]
    fn includes_that_include_each_other_end() {
        assert!(files(&[("a", "@include b\n"), ("b", "@include a\n")]).asks("a").is_none());
    }
}
