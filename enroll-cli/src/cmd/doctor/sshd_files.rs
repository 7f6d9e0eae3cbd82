//! sshd's own files: which ones it reads, and the connections for which their `Match` blocks change the
//! settings.

use nix::unistd::{Group, User, getgrouplist};
use std::ffi::CString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Where sshd looks.
pub const MAIN: &str = "/etc/ssh/sshd_config";
/// How deep includes are followed; sshd does 16.
const DEEPEST: u8 = 16;
/// Connections that are asked about at most.
const MOST: usize = 200;
/// Members of a group that are asked about at most.
const MEMBERS: usize = 3;
/// An address for documentation (RFC 5737), and a name that no account has.
pub const ELSEWHERE: &str = "203.0.113.1";
const SOMEBODY: &str = "somebody";

/// Gives the users of groups.
pub type Members = dyn Fn(&Patterns) -> Vec<String>;

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
            if value != usual && !(name == "host" && *value == self.address) {
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
    /// Those that `Match` lines mean.
    pub connections: Vec<Connection>,
    /// `Match` lines without an example of a connection.
    pub untried: Vec<String>,
}

impl SshdFiles {
    /// Below a root directory. `members` gives the users of groups.
    pub fn below(root: &Path, members: &Members) -> Self {
        let mut found = Self::default();
        found.file(root, Path::new(MAIN), members, DEEPEST);
        if found.connections.len() > MOST {
            found.untried.push(format!("those after the first {MOST} connections"));
            found.connections.truncate(MOST);
        }
        found
    }

    fn file(&mut self, root: &Path, path: &Path, members: &Members, depth: u8) {
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
                        self.file(root, &file, members, depth - 1);
                    }
                }
            } else if keyword.eq_ignore_ascii_case("match") {
                match connections(values, members) {
                    Some(found) => {
                        let new = found.into_iter().filter(|one| !self.connections.contains(one));
                        let new: Vec<_> = new.collect();
                        self.connections.extend(new);
                    }
                    None => self.untried.push(format!("`{}` of {}", line.trim(), path.display())),
                }
            }
        }
    }

    /// The files of a pattern with wildcards in any part, in their order.
    fn included(&mut self, root: &Path, pattern: &str) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::from("/")];
        for part in Path::new("/etc/ssh").join(pattern).components().skip(1) {
            let part = part.as_os_str().to_string_lossy();
            if !part.contains(['*', '?', '[']) {
                found.iter_mut().for_each(|path| path.push(&*part));
                continue;
            }
            self.read.extend(found.iter().cloned());
            let inside = found.iter().flat_map(|directory| {
                let real = root.join(directory.strip_prefix("/").unwrap_or(directory));
                let entries = fs::read_dir(real).into_iter().flatten().flatten();
                let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
                // The shell's wildcards leave out hidden files.
                let visible = names.filter(|name| part.starts_with('.') || !name.starts_with('.'));
                let part = &part;
                visible.filter(move |name| globs(name, part, true)).map(|name| directory.join(name))
            });
            found = inside.collect();
        }
        found.sort();
        found
    }
}

/// Users of this host with a group that a list of patterns names, and none that it excludes.
pub fn members_of(list: &Patterns) -> Vec<String> {
    let lines = |path| fs::read_to_string(path).unwrap_or_default();
    let (passwd, group) = (lines("/etc/passwd"), lines("/etc/group"));
    let mut users: Vec<String> = Vec::new();
    for fields in group.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        let [name, _, gid, members] = fields[..] else { continue };
        if !list.holds(name) {
            continue;
        }
        let primary = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let primary =
            primary.filter(|user| user.get(3) == Some(&gid)).filter_map(|user| user.first().copied());
        users.extend(members.split(',').chain(primary).map(str::to_owned));
    }
    // Groups from elsewhere, such as LDAP, can't be listed.
    let elsewhere = list.wanted.iter().filter_map(|name| Group::from_name(name).ok().flatten());
    users.extend(elsewhere.flat_map(|group| group.mem));
    users.retain(|user| !user.is_empty());
    users.sort();
    users.dedup();
    if !list.excluded.is_empty() {
        users.retain(|user| !groups(user).iter().any(|group| list.excludes(group)));
    }
    users
}

fn groups(user: &str) -> Vec<String> {
    let Ok(Some(account)) = User::from_name(user) else { return Vec::new() };
    let name = CString::new(user).unwrap_or_default();
    let gids = getgrouplist(&name, account.gid).unwrap_or_default();
    gids.into_iter().filter_map(|gid| Group::from_gid(gid).ok().flatten()).map(|group| group.name).collect()
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

/// A list of patterns with `*` and `?`, as sshd's `match_pattern_list` takes it.
#[derive(Debug, Default)]
pub struct Patterns {
    wanted: Vec<String>,
    excluded: Vec<String>,
}

impl Patterns {
    pub fn parse(list: &str) -> Self {
        let (excluded, wanted): (Vec<&str>, Vec<&str>) =
            list.split(',').partition(|one| one.starts_with('!'));
        let excluded = excluded.into_iter().map(|one| one[1..].to_owned()).collect();
        Self { wanted: wanted.into_iter().map(str::to_owned).collect(), excluded }
    }

    fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|pattern| matches(name, pattern) || in_network(name, pattern))
    }

    /// Without IPv4 clients as `::ffff:`: sshd compares their IPv4 address, so these match nothing.
    fn without_mapped(mut self) -> Self {
        self.wanted.retain(|one| !one.to_ascii_lowercase().starts_with("::ffff:"));
        self
    }

    fn holds(&self, name: &str) -> bool {
        self.wanted.iter().any(|pattern| matches(name, pattern)) && !self.excludes(name)
    }

    /// An example for each wanted pattern. `of` gives those of a pattern; `None`: there is none, although the
    /// pattern may match something.
    fn examples(&self, of: impl Fn(&str) -> Vec<String>) -> Option<Vec<String>> {
        let each = |pattern: &String| of(pattern).into_iter().find(|one| !self.excludes(one));
        let found: Vec<String> = self.wanted.iter().filter_map(each).collect();
        (!found.is_empty() || self.wanted.iter().all(|one| self.excluded.contains(one))).then_some(found)
    }
}

/// Connections of which all criteria of a `Match` line hold: together they have an example of each pattern.
/// Empty: it matches nothing. `None`: no example is found.
fn connections(words: &[String], members: &Members) -> Option<Vec<Connection>> {
    let mut all = vec![Connection::default()];
    let (mut user, mut group) = (None, None);
    let mut vary = |examples: Vec<String>, set: fn(&mut Connection, String)| {
        let Some(example) = examples.first() else { return all.clear() };
        all.iter_mut().for_each(|one| set(one, example.clone()));
        let first = all.first().cloned();
        for (mut one, example) in first.into_iter().cycle().zip(examples.into_iter().skip(1)) {
            set(&mut one, example);
            all.push(one);
        }
    };
    let mut words = words.iter().flat_map(|word| word.split('='));
    while let Some(criterion) = words.next() {
        if criterion.eq_ignore_ascii_case("all") {
            continue;
        }
        let list = Patterns::parse(words.next()?);
        match criterion.to_ascii_lowercase().as_str() {
            "user" => user = Some(list),
            "group" => group = Some(list),
            "address" => vary(list.without_mapped().examples(addresses)?, |one, value| one.address = value),
            "host" => vary(list.examples(hosts)?, |one, value| {
                if value.parse::<IpAddr>().is_ok() {
                    one.address.clone_from(&value);
                }
                one.host = value;
            }),
            "localaddress" => vary(list.examples(addresses)?, |one, value| one.local_address = value),
            "localport" => {
                vary(list.examples(|pattern| names("22", pattern))?, |one, value| one.local_port = value)
            }
            _ => return None,
        }
    }
    let users = match (user, group) {
        (None, None) => None,
        (Some(user), None) => Some(user.examples(|pattern| names(SOMEBODY, pattern))?),
        (user, Some(group)) => {
            let mut users = members(&group);
            users.retain(|one| user.as_ref().is_none_or(|user| user.holds(one)));
            users.truncate(MEMBERS);
            Some(Some(users).filter(|users| !users.is_empty())?)
        }
    };
    if let Some(users) = users {
        vary(users, |one, value| one.user = value);
    }
    for one in all.iter_mut().filter(|one| one.host == ELSEWHERE) {
        one.host.clone_from(&one.address);
    }
    Some(all)
}

/// Names that a pattern matches; `usual` first, if it does.
fn names(usual: &str, pattern: &str) -> Vec<String> {
    let usual = Some(usual.to_owned()).filter(|usual| matches(usual, pattern));
    usual.into_iter().chain(["x", "y", "z", "1", "2"].map(|fill| pattern.replace(['*', '?'], fill))).collect()
}

/// Names of clients that a pattern matches, addresses first: without UseDNS sshd knows no other names.
fn hosts(pattern: &str) -> Vec<String> {
    let usual = Some(ELSEWHERE.to_owned()).filter(|usual| matches(usual, pattern));
    usual.into_iter().chain(addresses(pattern)).chain(names(ELSEWHERE, pattern)).collect()
}

/// Addresses of a network, or those that a pattern matches.
fn addresses(pattern: &str) -> Vec<String> {
    let Some((base, length)) = network(pattern) else {
        let fills = ["1", "1.1", "1.1.1", "1.1.1.1", "2", "2.2", "1::1", "::1", "2::2"];
        let filled = fills.map(|fill| pattern.replace('*', fill).replace('?', "1"));
        return filled.into_iter().filter(|one| one.parse::<IpAddr>().is_ok()).collect();
    };
    let bits = if base.is_ipv4() { 32 } else { 128 };
    let free = bits - length;
    let first = number(base) & !mask(free);
    let each =
        std::iter::once(first).chain((0..free).map(|bit| first | 1 << bit)).chain([first | mask(free)]);
    each.map(|number| match base {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or_default()).to_string(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).to_string(),
    })
    .collect()
}

/// The network of an address with or without its length.
fn network(pattern: &str) -> Option<(IpAddr, u32)> {
    let (base, length) =
        pattern.split_once('/').map_or((pattern, None), |(base, length)| (base, Some(length)));
    let base: IpAddr = base.parse().ok()?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(bits), |length| length.parse().ok())?;
    (length <= bits).then_some((base, length))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// So many bits from the right.
fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or_default()
}

fn in_network(address: &str, pattern: &str) -> bool {
    let (Ok(address), Some((base, length))) = (address.parse::<IpAddr>(), network(pattern)) else {
        return false;
    };
    let free = if base.is_ipv4() { 32 } else { 128 } - length;
    address.is_ipv4() == base.is_ipv4() && (number(address) ^ number(base)) & !mask(free) == 0
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(name: &str, pattern: &str) -> bool {
    globs(name, pattern, false)
}

/// As `matches`; `classes`: with `[…]`, too, as in file names.
fn globs(name: &str, pattern: &str, classes: bool) -> bool {
    let mut rest = pattern.chars();
    let Some(wanted) = rest.next() else { return name.is_empty() };
    if wanted == '*' {
        let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
        return ends.into_iter().any(|at| globs(&name[at..], rest.as_str(), classes));
    }
    let Some(has) = name.chars().next() else { return false };
    let (hit, rest) = match class(rest.as_str()).filter(|_| wanted == '[' && classes) {
        Some((inside, rest)) => (in_class(has, inside), rest),
        None => (wanted == '?' || wanted == has, rest.as_str()),
    };
    hit && globs(&name[has.len_utf8()..], rest, classes)
}

/// The inside of `[…]`, and the rest of the pattern. `]` counts as an end from the second character on.
fn class(pattern: &str) -> Option<(&str, &str)> {
    let negation = usize::from(pattern.starts_with(['!', '^']));
    let from = pattern[negation..].chars().next()?.len_utf8() + negation;
    let end = from + pattern[from..].find(']')?;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn in_class(has: char, inside: &str) -> bool {
    let (negated, inside) = inside.strip_prefix(['!', '^']).map_or((false, inside), |rest| (true, rest));
    let chars: Vec<char> = inside.chars().collect();
    let range = chars.windows(3).any(|part| part[1] == '-' && part[0] <= has && has <= part[2]);
    (range || chars.contains(&has)) != negated
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_match_line_is_the_connections_that_it_means() {
        let members = |list: &Patterns| {
            let all = [("staff", "anna"), ("staff", "bob"), ("wheel", "bob"), ("allies", "carl")];
            let users = all.into_iter().filter(|(group, _)| list.holds(group));
            users.map(|(_, user)| user.to_owned()).collect()
        };
        for (line, labels) in [
            ("Match User svc-* Address 10.20.0.0/24", Some("user svc-x from 10.20.0.0")),
            ("Match User !root,git", Some("user git")),
            ("match user=bob", Some("user bob")),
            ("Match User a,b", Some("user a|user b")),
            ("Match User *,!somebody,!x", Some("user y")),
            ("Match User ?", Some("user x")),
            ("Match User a,!*", None),
            ("Match User !root", Some("")),
            ("Match Group staff", Some("user anna|user bob")),
            ("Match Group al*", Some("user carl")),
            ("Match Group *,!staff", Some("user bob|user carl")),
            ("Match Group staff User b*", Some("user bob")),
            ("Match Group nobodys", None),
            ("Match Address 192.168.*,10.0.0.0/8", Some("from 192.168.1.1|from 10.0.0.0")),
            ("Match Address 127.0.0.0/8,!127.0.0.0/32", Some("from 127.0.0.1")),
            ("Match Address 10.0.0.0/8,!10.0.0.0/9", Some("from 10.128.0.0")),
            ("Match Address *,!10.*", Some("from 1.1.1.1")),
            ("Match Address 2001:db8::/48", Some("from 2001:db8::")),
            ("Match Address 10.0.0.1 User a,b", Some("user a from 10.0.0.1|user b from 10.0.0.1")),
            ("Match LocalPort 2222", Some("port 2222")),
            ("Match Host *.example.org", Some("host x.example.org")),
            ("Match Host 10.*", Some("from 10.1.1.1")),
            ("Match Address ::ffff:10.0.0.1", Some("")),
            ("Match RDomain x", None),
            ("Match all", Some("the rest")),
            ("Match User \"bob\"", Some("user bob")),
        ] {
            let label = |one: &Connection| Some(one.label()).filter(|label| !label.is_empty());
            let found = connections(&words(line)[1..], &members).map(|all| {
                let labels = all.iter().map(|one| label(one).unwrap_or("the rest".into()));
                labels.collect::<Vec<_>>().join("|")
            });
            assert_eq!(found.as_deref(), labels, "{line}");
        }
    }

    #[test]
    fn globs_have_classes_and_directories_and_no_block_is_left_out_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let ssh = dir.path().join("etc/ssh");
        for (name, text) in [
            ("sshd_config", "Include [a-c][!x].d/*.conf\nMatch Group nobodys\n".to_owned()),
            ("az.d/1.conf", "Match User one\n".into()),
            ("az.d/.2.conf", "Match User hidden\n".into()),
            ("bz.d/1.conf", (0..300).map(|at| format!("Match User u{at}\n")).collect()),
            ("bx.d/1.conf", "Match User never\n".into()),
        ] {
            fs::create_dir_all(ssh.join(name).parent().unwrap()).unwrap();
            fs::write(ssh.join(name), text).unwrap();
        }
        let found = SshdFiles::below(dir.path(), &|_| Vec::new());
        let users: Vec<&str> = found.connections.iter().map(|one| one.user.as_str()).collect();
        assert!(users.starts_with(&["one", "u0", "u1"]) && users.len() == MOST, "{users:?}");
        assert_eq!(found.untried.len(), 2, "{:?}", found.untried);
        assert!(found.read.contains(&"/etc/ssh/az.d".into()), "{:?}", found.read);
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
        let found = SshdFiles::below(dir.path(), &|_| Vec::new());
        let users: Vec<&str> = found.connections.iter().map(|one| one.user.as_str()).collect();
        assert_eq!(users, ["a", "b", "last"]);
        assert!(found.read.contains(&"/etc/ssh/sshd_config.d".into()), "{found:?}");
    }
}
