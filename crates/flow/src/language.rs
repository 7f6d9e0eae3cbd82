//! The user's language: the catalogue that the package installed for it. Only a name that has the form of a
//! language's becomes a part of a path, and only root's files are read.

use qrtotp_messages::{Catalogue, VARIABLES, candidates, language};
use qrtotp_store::{Readers, TrustError, open_dir, open_file, read_all};
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Larger than any catalogue of ours, in bytes.
const LARGEST: usize = 256 * 1024;

/// The value of a variable.
pub type Variable<'v> = &'v mut dyn FnMut(&CStr) -> Option<Vec<u8>>;

/// The catalogue of the locale that these variables name; those of `second` count only if `first` sets none.
/// English costs no look at a file.
pub fn catalogue(first: Variable<'_>, second: Variable<'_>) -> Catalogue {
    let locale = locale(first).or_else(|| locale(second));
    locale.and_then(|locale| language(&locale).map(of)).unwrap_or_default()
}

#[inline(never)] // one copy in the module
fn locale(variable: Variable<'_>) -> Option<Vec<u8>> {
    VARIABLES.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()))
}

/// The catalogue of a language such as `nl` or `nl_BE`; English if there is none.
#[must_use]
pub fn of(language: &str) -> Catalogue {
    let found = candidates(language).and_then(|[whole, plain]| load(whole).or_else(|| load(plain)));
    found.unwrap_or_default()
}

/// A variable of the process's environment.
#[must_use]
pub fn variable(name: &CStr) -> Option<Vec<u8>> {
    std::env::var_os(OsStr::from_bytes(name.to_bytes())).map(OsString::into_vec)
}

#[inline(never)] // one copy in the module
fn load(language: &str) -> Option<Catalogue> {
    let mut path = String::from("/usr/share/locale/");
    path.push_str(language);
    path.push_str("/LC_MESSAGES");
    let path = Path::new(&path);
    let read = || {
        let file = open_file(&open_dir(path)?, "qrtotp.mo", path, false, Readers::Anybody)?;
        read_all(&file, path, LARGEST)
    };
    let bytes: Result<Vec<u8>, TrustError> = read();
    Catalogue::new(language, bytes.ok()?)
}
