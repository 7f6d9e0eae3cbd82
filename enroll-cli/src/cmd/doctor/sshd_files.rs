//! sshd's own files: which ones it reads, and the connections for which their `Match` blocks change the
//! settings.

use nix::unistd::{Gid, Group};
use std::fs;
use std::path::{Path, PathBuf};

/// Where sshd looks.
const MAIN: &str = "/etc/ssh/sshd_config";
/// How deep includes are followed; sshd does 16.
const DEEPEST: u8 = 16;
/// Connections that are asked about at most.
const MOST: usize = 40;
/// An address for documentation (RFC 5737), and a name that no account has.
pub const ELSEWHERE: &str = "203.0.113.1";
const SOMEBODY: &str = "somebody";

/// A connection that a `Match` line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub user: String,
    pub address: String,
    pub host: String,
    pub local_address: String,
    pub local_port: String,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            user: SOMEBODY.into(),
            address: ELSEWHERE.into(),
            host: ELSEWHERE.into(),
            local_address: "192.0.2.1".into(),
            local_port: "22".into(),
        }
    }
}

impl Connection {
    /// As `sshd -C` takes it.
    pub fn specification(&self) -> String {
        let Self { user, address, host, local_address, local_port } = self;
        format!("user={user},host={host},addr={address},laddr={local_address},lport={local_port},rdomain=")
    }

    /// For people.
    pub fn label(&self) -> String {
        let usual = Self::default();
        let mut words = Vec::new();
        for (name, value, usual) in [
            ("user", &self.user, &usual.user),
            ("from", &self.address, &usual.address),
            ("host", &self.host, &usual.host),
            ("at", &self.local_address, &usual.local_address),
            ("port", &self.local_port, &usual.local_port),
        ] {
            if value != usual {
                words.push(format!("{name} {value}"));
            }
        }
        words.join(" ")
    }
}

/// The files that sshd reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SshdFiles {
    /// Files, and the directories that includes look into.
    pub read: Vec<PathBuf>,
    /// One for each `Match` line.
    pub connections: Vec<Connection>,
}

impl SshdFiles {
    /// Below a root directory. `member` gives a user of a group.
    pub fn below(root: &Path, member: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut found = Self::default();
        found.file(root, Path::new(MAIN), member, DEEPEST);
        found.connections.truncate(MOST);
        found
    }

    fn file(&mut self, root: &Path, path: &Path, member: &dyn Fn(&str) -> Option<String>, depth: u8) {
        let real = root.join(path.strip_prefix("/").unwrap_or(path));
        if depth == 0 || !real.is_file() {
            return;
        }
        let Ok(text) = fs::read_to_string(&real) else { return };
        self.read.push(path.to_owned());
        for line in text.lines() {
            let words = words(line);
            let Some((keyword, values)) = words.split_first() else { continue };
            if keyword.eq_ignore_ascii_case("include") {
                for pattern in values {
                    for file in self.included(root, pattern) {
                        self.file(root, &file, member, depth - 1);
                    }
                }
            } else if keyword.eq_ignore_ascii_case("match") {
                let connection = connection(values, member);
                self.connections.extend(connection.filter(|one| !self.connections.contains(one)));
            }
        }
    }

    /// The files of a pattern with wildcards in its last part, in their order.
    fn included(&mut self, root: &Path, pattern: &str) -> Vec<PathBuf> {
        let pattern = Path::new("/etc/ssh").join(pattern);
        let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else {
            return Vec::new();
        };
        let real = root.join(directory.strip_prefix("/").unwrap_or(directory));
        let name = name.to_string_lossy();
        if !name.contains(['*', '?']) {
            return vec![pattern.clone()];
        }
        self.read.push(directory.to_owned());
        let entries = fs::read_dir(real).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<PathBuf> =
            names.filter(|file| matches(file, &name)).map(|file| directory.join(file)).collect();
        found.sort();
        found
    }
}

/// A user of a group of this host.
pub fn member_of(group: &str) -> Option<String> {
    let group = Group::from_name(group).ok()??;
    let primary = || {
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        users.find_map(|fields| {
            let gid = fields.get(3)?.parse().ok().map(Gid::from_raw)?;
            (gid == group.gid).then(|| fields.first().map(|name| (*name).to_owned())).flatten()
        })
    };
    group.mem.first().cloned().or_else(primary)
}

/// Words of a line, with `=` and quotes as sshd takes them.
fn words(line: &str) -> Vec<String> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return Vec::new();
    }
    let line = line.split(" #").next().unwrap_or_default();
    let (keyword, rest) = match line.find(|c: char| c.is_ascii_whitespace() || c == '=') {
        Some(at) => {
            (&line[..at], line[at..].trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '='))
        }
        None => (line, ""),
    };
    let rest = rest.split_ascii_whitespace().map(|word| word.trim_matches('"').to_owned());
    std::iter::once(keyword.to_owned()).filter(|word| !word.is_empty()).chain(rest).collect()
}

/// A connection of which all criteria of a `Match` line hold, as far as one is found.
fn connection(words: &[String], member: &dyn Fn(&str) -> Option<String>) -> Option<Connection> {
    let mut found = Connection::default();
    let mut words = words.iter().flat_map(|word| word.split('='));
    while let Some(criterion) = words.next() {
        if criterion.eq_ignore_ascii_case("all") {
            continue;
        }
        let values = words.next()?;
        let wanted = || values.split(',').find(|value| !value.starts_with('!'));
        match criterion.to_ascii_lowercase().as_str() {
            "user" => found.user = wanted().map(example).unwrap_or(found.user),
            "group" => {
                found.user = values.split(',').filter(|value| !value.starts_with('!')).find_map(member)?
            }
            "address" => found.address = wanted().map(address).unwrap_or(found.address),
            "host" => found.host = wanted().map(example).unwrap_or(found.host),
            "localaddress" => found.local_address = wanted().map(address).unwrap_or(found.local_address),
            "localport" => found.local_port = wanted().map(example).unwrap_or(found.local_port),
            _ => {}
        }
    }
    Some(found)
}

/// A name that a pattern matches.
fn example(pattern: &str) -> String {
    pattern.replace(['*', '?'], "x")
}

/// An address of a network, or one that a pattern matches.
fn address(pattern: &str) -> String {
    let network = pattern.split('/').next().unwrap_or_default();
    network.replace(['*', '?'], "1")
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(name: &str, pattern: &str) -> bool {
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = &pattern[1..];
            // The shell's `*` leaves out hidden files.
            (0..=name.len()).filter(|at| name.is_char_boundary(*at)).any(|at| matches(&name[at..], rest))
        }
        (Some(wanted), Some(has)) if wanted == '?' || wanted == has => {
            matches(&name[has.len_utf8()..], &pattern[wanted.len_utf8()..])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_match_line_is_a_connection_that_it_means() {
        let member = |group: &str| (group == "staff").then(|| "anna".to_owned());
        for (line, label) in [
            ("Match User svc-* Address 10.20.0.0/24", Some("user svc-x from 10.20.0.0")),
            ("Match User !root,git", Some("user git")),
            ("match user=bob", Some("user bob")),
            ("Match Group staff", Some("user anna")),
            ("Match Group nobodys", None),
            ("Match Address 192.168.*,10.0.0.0/8", Some("from 192.168.1")),
            ("Match Address 2001:db8::/48", Some("from 2001:db8::")),
            ("Match LocalPort 2222", Some("port 2222")),
            ("Match Host *.example.org", Some("host x.example.org")),
            ("Match all", Some("")),
            ("Match User \"bob\"", Some("user bob")),
        ] {
            let found = connection(&words(line)[1..], &member).map(|one| one.label());
            assert_eq!(found.as_deref(), label, "{line}");
        }
    }

    #[test]
    fn includes_are_followed_in_their_order_and_directories_count() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("etc/ssh/sshd_config.d");
        fs::create_dir_all(&below).unwrap();
        let main = "Include /etc/ssh/sshd_config.d/*.conf\n# Match User no\nMatch User last\n";
        fs::write(dir.path().join("etc/ssh/sshd_config"), main).unwrap();
        fs::write(below.join("b.conf"), "Match User b\nInclude loop.conf\n").unwrap();
        fs::write(below.join("a.conf"), "Match User a\n").unwrap();
        fs::write(below.join("a.conf.bak"), "Match User never\n").unwrap();
        fs::write(dir.path().join("etc/ssh/loop.conf"), "Include loop.conf\n").unwrap();
        let found = SshdFiles::below(dir.path(), &|_| None);
        let users: Vec<&str> = found.connections.iter().map(|one| one.user.as_str()).collect();
        assert_eq!(users, ["a", "b", "last"]);
        assert!(found.read.contains(&"/etc/ssh/sshd_config.d".into()), "{found:?}");
    }
}
