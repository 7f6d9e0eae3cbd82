//! The user's language: the catalogue that the package installed for it. Only a name that has the form of a
//! language's becomes a part of a path, and only root's files are read.

use qrtotp_messages::{Catalogue, VARIABLES, candidates, language};
use qrtotp_store::{Readers, open_dir, open_file, read_all};
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Larger than any catalogue of ours, in bytes.
const LARGEST: usize = 256 * 1024;

/// The value of a variable.
pub type Variable<'v> = &'v mut dyn FnMut(&CStr) -> Option<Vec<u8>>;

/// The catalogue of the locale that these variables name; of the first source that sets one of them. English
/// costs no look at a file.
pub fn catalogue(sources: [Variable<'_>; 2]) -> Catalogue {
    for variable in sources {
        let set = VARIABLES.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        if let Some(locale) = set {
            return language(&locale).map(of).unwrap_or_default();
        }
    }
    Catalogue::default()
}

/// The catalogue of a language such as `nl` or `nl_BE`; English if there is none.
#[must_use]
pub fn of(language: &str) -> Catalogue {
    candidates(language).and_then(|names| names.into_iter().find_map(load)).unwrap_or_default()
}

/// A variable of the process's environment.
#[must_use]
pub fn variable(name: &CStr) -> Option<Vec<u8>> {
    std::env::var_os(OsStr::from_bytes(name.to_bytes())).map(OsString::into_vec)
}

fn load(language: &str) -> Option<Catalogue> {
    let path = ["/usr/share/locale/", language, "/LC_MESSAGES"].concat();
    let path = Path::new(&path);
    let file = open_file(&open_dir(path).ok()?, "qrtotp.mo", path, false, Readers::Anybody).ok()?;
    Catalogue::new(language, read_all(&file, path, LARGEST).ok()?)
}
