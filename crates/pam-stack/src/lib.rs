//! PAM files as libpam reads them, and the possible results of their stacks.
//!
//! Begin with [`Tree::stack`]: it reads a service's files below a root directory, which tests choose.
//! [`Stack::success`] runs the stack like libpam's dispatcher, over every result that its modules can have,
//! and returns a run that lets a user in. Never loads a module, and changes nothing. `tests/libpam.txt` holds
//! libpam's own results for random stacks.
//!
//! ```
//! use pam_stack::{Part, Tree};
//! use std::path::Path;
//! let text = "auth required pam_unix.so\nauth required pam_qrtotp.so\n";
//! let tree = Tree::new(Path::new("/nowhere")).with(Path::new("/etc/pam.d/demo"), text);
//! let entries = tree.stack("demo", Part::Auth).entries;
//! assert!(!entries[0].is_ours() && entries[1].is_ours());
//! ```
#![forbid(unsafe_code)]

mod code;
mod elf;
mod line;
mod module;
mod run;
mod tree;

pub use code::{Action, PamCode};
pub use elf::{Elf, Unusable};
pub use module::{Asked, Kind, ModuleFacts, Past, Selectors};
pub use run::{Run, Step};
pub use tree::{Fault, FileLine, PamLine, Problem, Stack, Tree};

/// Our module's file.
pub const OURS: &str = "pam_qrtotp.so";

/// A part of a PAM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Proves the user's identity.
    Auth,
    /// Decides whether the user may log in.
    Account,
    /// Sets up and ends the session.
    Session,
    /// Changing a password.
    Password,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Account, Self::Session, Self::Password];

    /// The first word of its lines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
            Self::Password => "password",
        }
    }

    /// The function of modules that libpam calls for it.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Auth => "pam_sm_authenticate",
            Self::Account => "pam_sm_acct_mgmt",
            Self::Session => "pam_sm_open_session",
            Self::Password => "pam_sm_chauthtok",
        }
    }
}
