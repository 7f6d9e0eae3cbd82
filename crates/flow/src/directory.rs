//! The host's user database (NSS), which maps a typed name to the account's canonical one.

use qrtotp_audit::Subject;
use thiserror::Error;

/// A user that the host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// `pw_name`: the one name of this user, however it was typed.
    pub name: String,
    /// `pw_uid`.
    pub uid: u32,
}

/// The database could not be asked. Never the same as "no such user".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the user database does not answer: {0}")]
pub struct LookupError(pub String);

/// The host's user database.
pub trait Directory {
    /// The user that `typed` names, if any.
    ///
    /// # Errors
    /// The look-up failed, or returned a name that is not UTF-8.
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError>;

    /// The gids of all groups of the user of that name. `None`: the look-up failed.
    fn groups(&self, name: &str) -> Option<Vec<u32>> {
        let _ = name;
        None
    }
}

/// Groups of one person, at most.
const MAX_GROUPS: usize = 1024;

/// The user in an event about a name that the host does not know. The typed text is not logged: it may be a
/// password.
pub const NOBODY: &str = "?";

/// The subject to log for a user who was not looked up yet.
#[must_use]
pub fn looked_up(typed: &Subject) -> Subject {
    let mut subject = typed.clone();
    let person = HostDirectory.find(&subject.user).ok().flatten();
    subject.user = person.map_or_else(|| NOBODY.to_owned(), |person| person.name);
    subject
}

/// getpwnam(3).
#[derive(Clone, Copy, Debug, Default)]
pub struct HostDirectory;

impl Directory for HostDirectory {
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError> {
        let user = nix::unistd::User::from_name(typed).map_err(|errno| LookupError(errno.to_string()))?;
        match user {
            // nix reads names lossily; two different ones must not become the same account.
            Some(user) if user.name.contains('\u{fffd}') => Err(LookupError("the name is not UTF-8".into())),
            Some(user) => Ok(Some(Person { name: user.name, uid: user.uid.as_raw() })),
            None => Ok(None),
        }
    }

    /// getgrouplist(3). It may return too few groups if a user database is down, and does not report that.
    fn groups(&self, name: &str) -> Option<Vec<u32>> {
        let user = nix::unistd::User::from_name(name).ok().flatten()?;
        let groups = nix::unistd::getgrouplist(&std::ffi::CString::new(name).ok()?, user.gid).ok()?;
        (groups.len() <= MAX_GROUPS).then(|| groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
    }
}

/// This host's name, for display.
#[must_use]
pub fn host_name() -> String {
    let name =
        nix::sys::utsname::uname().ok().and_then(|system| system.nodename().to_str().map(str::to_owned));
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "host".to_owned())
}
