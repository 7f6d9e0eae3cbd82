//! The user's language: the catalogue that the package installed for it. Only a name that has the form of a
//! language's becomes a part of a path, and only root's files are read.

use qrtotp_messages::{Catalogue, VARIABLES, language, names};
use qrtotp_store::{Readers, open_dir, open_file, read_all};
use std::ffi::CStr;
use std::path::Path;

/// Larger than any catalogue of ours, in bytes.
const LARGEST: usize = 256 * 1024;

/// The catalogue of the locale that these variables name; of the first source that sets one of them. English
/// costs no look at a file.
pub fn catalogue(sources: &mut [&mut dyn FnMut(&CStr) -> Option<String>]) -> Catalogue {
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
    names(language).find_map(load).unwrap_or_default()
}

fn load(language: &str) -> Option<Catalogue> {
    let path = format!("/usr/share/locale/{language}/LC_MESSAGES");
    let path = Path::new(&path);
    let file = open_file(&open_dir(path).ok()?, "qrtotp.mo", path, false, Readers::Anybody).ok()?;
    Catalogue::new(language, read_all(&file, path, LARGEST).ok()?)
}
