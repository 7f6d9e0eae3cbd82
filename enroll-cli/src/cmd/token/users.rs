//! The users that get a token in one run.

use crate::error::Failure;
use nix::unistd::Group;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Names as they come, so that the first token does not wait for the last name.
pub type Names = Box<dyn Iterator<Item = Result<String, Failure>>>;

/// The names in `path`, one a line. Empty lines are left out, and what follows a #.
pub fn in_file(path: &Path) -> Result<Names, Failure> {
    let shown = path.display().to_string();
    let broken =
        move |error| Failure::Error(format!("{shown}: {error}; give a text file with a name a line"));
    let lines: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(&broken)?))
    };
    let names = lines.lines().filter_map(move |line| match line {
        Ok(line) => Some(Ok(name_in(&line)?.to_owned())),
        Err(error) => Some(Err(broken(error))),
    });
    Ok(Box::new(names))
}

fn name_in(line: &str) -> Option<&str> {
    let name = line.split('#').next().unwrap_or_default().trim();
    (!name.is_empty()).then_some(name)
}

/// The group's members, then those whose primary group it is, in the order of the user database.
pub fn in_group(name: &str) -> Result<Names, Failure> {
    let group = Group::from_name(name).map_err(|errno| not_asked(&errno))?.ok_or_else(|| {
        Failure::Refused(format!("there is no group {name} on this host; `getent group` lists them"))
    })?;
    let gid = group.gid.to_string();
    let users = passwd()?;
    let primary = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(2)? == gid).then(|| name.to_owned())
    });
    let names: Vec<_> = group.mem.into_iter().chain(primary).map(Ok).collect();
    Ok(Box::new(names.into_iter()))
}

/// The names in the user database, each once. Some databases list nobody and only answer for names.
pub fn names_in(users: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    users
        .lines()
        .filter_map(|line| line.split(':').next())
        .filter(|name| seen.insert(*name))
        .map(str::to_owned)
        .collect()
}

/// The user database, read with getent: no safe Rust interface enumerates it.
pub fn passwd() -> Result<String, Failure> {
    let users = Command::new("getent").arg("passwd").stdin(Stdio::null()).output();
    let users = users.map_err(|error| not_asked(&error))?;
    if !users.status.success() {
        return Err(not_asked(&users.status));
    }
    Ok(String::from_utf8_lossy(&users.stdout).into_owned())
}

fn not_asked(error: &impl std::fmt::Display) -> Failure {
    Failure::Error(format!("the user database does not answer: {error}; check it with `getent passwd`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_listed_twice_is_one_user() {
        let users = "root:x:0:0::/root:/bin/sh\nzoe:x:9:9::/z:\nroot:x:0:0:again:/:\nzoe:x:9:9::/z:\nann:x:8:8::/a:\n";
        assert_eq!(names_in(users), ["root", "zoe", "ann"]);
    }

    #[test]
    fn comments_and_empty_lines_name_nobody() {
        for (line, name) in [
            ("alice", Some("alice")),
            (" bob # desk 3", Some("bob")),
            ("# all", None),
            ("", None),
            ("\t\r", None),
        ] {
            assert_eq!(name_in(line), name, "{line:?}");
        }
    }
}
