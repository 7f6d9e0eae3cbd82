//! Everyone who may have a home on this host.

use crate::cmd::token::users;
use crate::error::Failure;
use nix::unistd::User;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where people's homes are if the user database lists no person.
const USUAL: &str = "/home";

pub struct Homes {
    /// The users in the user database, then unlisted ones that have a home beside theirs.
    pub users: Vec<String>,
    /// Directories beside homes that have no user's name.
    pub unknown: Vec<PathBuf>,
}

/// SSSD and LDAP list nobody and only answer for names, so the directories beside known homes are asked for
/// by name. None of them is looked at: a user may have mounted a file system there that never answers.
pub fn find() -> Result<Homes, Failure> {
    let passwd = users::passwd()?;
    let mut homes = Homes { users: users::names_in(&passwd), unknown: Vec::new() };
    let mut seen: BTreeSet<String> = homes.users.iter().cloned().collect();
    for parent in parents(&passwd) {
        for entry in parent.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_home = !name.starts_with('.') && name != "lost+found";
            if !is_home || seen.contains(&name) || entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            match User::from_name(&name) {
                // It may answer with another spelling.
                Ok(Some(user)) => homes.users.extend(seen.insert(user.name.clone()).then_some(user.name)),
                _ => homes.unknown.push(entry.path()),
            }
        }
    }
    homes.unknown.sort();
    Ok(homes)
}

/// The directories that hold people's homes. Those of services are everywhere.
fn parents(passwd: &str) -> BTreeSet<PathBuf> {
    let home = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let uid: u32 = fields.next()?.parse().ok()?;
        let parent = Path::new(fields.nth(2)?).parent()?;
        let of_a_person = (1000..65_534).contains(&uid) && parent.is_absolute() && parent != Path::new("/");
        of_a_person.then(|| parent.to_owned())
    };
    passwd.lines().filter_map(home).chain([PathBuf::from(USUAL)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_beside_those_of_people_and_in_the_usual_place() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:101:1::/var/lib/postgresql:/bin/sh\nkim:x:1000:1::/home/kim:/bin/sh\n\
                      ann:x:2001:1::/export/staff/ann:/bin/sh\nnobody:x:65534:1::/none/x:/bin/sh\nodd:x:1002:1::/odd:/bin/sh\nx:y\n";
        let expected = ["/export/staff", "/home"].map(PathBuf::from);
        assert_eq!(parents(passwd), BTreeSet::from(expected));
        assert_eq!(parents(""), BTreeSet::from([PathBuf::from("/home")]));
    }
}
