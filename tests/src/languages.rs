//! Messages in other languages: their catalogues, as the package installs them.

use std::{path::PathBuf, process::Command};

use crate::{Sandbox, artefacts};

/// The languages in po/ that tests read.
const LANGUAGES: [&str; 2] = ["nl", "de"];

/// po/LANGUAGE.po, compiled as the package does it.
#[must_use]
pub fn catalogue(language: &str) -> PathBuf {
    let directory = artefacts::target_directory().join("qrtotp-tests");
    std::fs::create_dir_all(&directory).unwrap();
    let result = directory.join(format!("{language}.{}.mo", std::process::id()));
    let source = artefacts::sources().join(format!("../po/{language}.po"));
    let msgfmt = Command::new("msgfmt").arg("-o").arg(&result).arg(source).status();
    assert!(msgfmt.is_ok_and(|status| status.success()), "msgfmt (gettext) is needed");
    result
}

impl Sandbox {
    /// Installs the catalogues of messages.
    pub fn install_catalogues(&self) {
        self.make_writable("/usr/share/locale");
        for language in LANGUAGES {
            let directory = format!("/usr/share/locale/{language}/LC_MESSAGES");
            self.run(&["mkdir", "-p", &directory]).success();
            self.install(&catalogue(language), &format!("{directory}/qrtotp.mo"), 0o644);
        }
    }

    /// Makes a locale of glibc, such as `tr_TR`, and returns the variables under which programs find it.
    #[must_use]
    pub fn make_locale(&self, name: &str) -> [String; 2] {
        let directory = "/usr/local/lib/locale";
        self.run(&["mkdir", "-p", directory]).success();
        self.run(&["localedef", "-i", name, "-f", "UTF-8", &format!("{directory}/{name}.UTF-8")]).success();
        [format!("LOCPATH={directory}"), format!("LC_ALL={name}.UTF-8")]
    }
}
