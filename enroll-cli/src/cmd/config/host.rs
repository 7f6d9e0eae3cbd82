//! Facts about this host and its accounts, for the guard and `diff`.

use super::login_end::{Emergency, GuardedHost, GuardedPerson};
use crate::cmd::doctor::{Files, Ways, is_no_shell};
use crate::cmd::sudoers::Sudoers;
use crate::context::{login_uid, terminal_name};
use nix::unistd::{Gid, Group, Uid, User, geteuid, getuid};
use qrtotp_account::{EnrolmentStatus, Name};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_store::AccountStore;
use qrtotp_values::UnixTime;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

/// The accounts of this host with their records, if there is a store.
pub struct Accounts<'s> {
    pub store: Option<&'s dyn AccountStore>,
    pub now: UnixTime,
}

impl Accounts<'_> {
    /// The account called `name`; `None`: the host does not know it.
    pub fn person(&self, name: &str) -> Option<GuardedPerson> {
        let user = User::from_name(name).ok()??;
        Some(self.with_record(&user))
    }

    fn with_record(&self, user: &User) -> GuardedPerson {
        let account = Name::new(&user.name).ok().and_then(|name| self.store?.load(&name).ok()?);
        let record = account.map(|account| account.record).filter(|record| record.uid == user.uid.as_raw());
        GuardedPerson {
            name: user.name.clone(),
            is_root: user.uid.is_root(),
            is_locked: is_locked(&user.name),
            is_expired: is_expired(&user.name, self.now),
            has_no_shell: is_no_shell(&user.shell),
            gids: HostDirectory.groups(&user.name),
            device: record
                .as_ref()
                .is_some_and(|record| record.enrolment_status() == EnrolmentStatus::Enrolled),
            hardware_key: record.as_ref().is_some_and(|record| !record.ssh_keys.is_empty()),
            token: record.and_then(|record| record.token).is_some_and(|token| token.is_live(self.now)),
        }
    }

    /// Accounts without a device that logged in within the last 30 days.
    fn recent(&self) -> Vec<GuardedPerson> {
        let names = last_logins(self.now - 30 * 86_400);
        names.iter().filter_map(|name| self.person(name)).filter(|person| !person.device).collect()
    }

    /// Whether any account has a device.
    fn enrolled(&self) -> bool {
        let Some(store) = self.store else { return false };
        let has_device = |name| {
            let account = store.load(&name).ok().flatten();
            account.is_some_and(|account| account.record.enrolment_status() == EnrolmentStatus::Enrolled)
        };
        store.names().is_ok_and(|mut names| names.any(has_device))
    }

    /// Those that can become root: root, those that sudoers(5) names, members of the groups that it names,
    /// and accounts of the store that are in one of them.
    pub fn admins(&self) -> impl Iterator<Item = GuardedPerson> {
        let sudoers = Sudoers::read();
        let (groups, users): (Vec<&str>, Vec<&str>) = sudoers.admins().partition(|who| who.starts_with('%'));
        let groups: Vec<Group> = groups.into_iter().filter_map(|group| group_of(&group[1..])).collect();
        let gids: Vec<u32> = groups.iter().map(|group| group.gid.as_raw()).collect();
        let root = User::from_uid(Uid::from_raw(0)).ok().flatten().map(|user| user.name);
        let mut members: BTreeSet<String> = groups.into_iter().flat_map(|group| group.mem).collect();
        members.extend(users.into_iter().filter_map(user_name));
        let named = root.into_iter().chain(members).filter_map(|name| self.person(&name));
        let names = self.store.and_then(|store| store.names().ok()).into_iter().flatten();
        let in_groups = move |person: &GuardedPerson| {
            person.gids.as_ref().is_some_and(|all| all.iter().any(|gid| gids.contains(gid)))
        };
        named.chain(names.filter_map(|name| self.person(name.as_str())).filter(in_groups))
    }

    /// The other facts that the guard needs.
    pub fn host<'h>(
        &self,
        emergency: &[String],
        asks: &'h dyn Fn(&str) -> bool,
        one_field: &'h dyn Fn(&str) -> bool,
        ways: Ways,
    ) -> GuardedHost<'h> {
        let emergency =
            emergency.iter().map(|name| Emergency { name: name.clone(), person: self.person(name) });
        GuardedHost {
            actor: actor().map(|user| self.with_record(&user)),
            rhost: remote_address(),
            tty: terminal_name(),
            emergency: emergency.collect(),
            root: User::from_uid(Uid::from_raw(0)).ok().flatten().map(|user| self.with_record(&user)),
            root_at_sshd: true,
            proves_passwords: true,
            enrolled: self.enrolled(),
            asks,
            one_field,
            ways,
            recent: self.recent(),
        }
    }
}

/// The group that sudoers(5) has behind `%`.
fn group_of(word: &str) -> Option<Group> {
    let gid = word.strip_prefix('#').and_then(|gid| gid.parse().ok()).map(Gid::from_raw);
    gid.map_or_else(|| Group::from_name(word), Group::from_gid).ok()?
}

/// The name of a user, which sudoers(5) may give as `#uid`.
fn user_name(word: &str) -> Option<String> {
    let Some(uid) = word.strip_prefix('#') else { return Some(word.to_owned()) };
    Some(User::from_uid(Uid::from_raw(uid.parse().ok()?)).ok()??.name)
}

/// Whether a service's PAM file asks for a code.
pub fn asks(files: &Files) -> impl Fn(&str) -> bool {
    once_each(|service| files.asks(service).is_some())
}

/// Looks at each service once: the guard simulates thousands of logins.
pub fn once_each(find: impl Fn(&str) -> bool) -> impl Fn(&str) -> bool {
    let known = RefCell::new(BTreeMap::new());
    move |service| *known.borrow_mut().entry(service.to_owned()).or_insert_with(|| find(service))
}

/// The person who runs this command; `None`: a package manager or a timer does.
fn actor() -> Option<User> {
    let by_sudo =
        || std::env::var("SUDO_UID").ok()?.parse().ok().map(Uid::from_raw).filter(|_| geteuid().is_root());
    let at_terminal = || std::io::stdin().is_terminal().then(getuid);
    User::from_uid(login_uid().or_else(by_sudo).or_else(at_terminal)?).ok()?
}

/// The remote address of the person's ssh login; empty if there is none. sudo removes SSH_CONNECTION from the
/// environment, so this reads the parent processes' environments, too.
fn remote_address() -> String {
    let mut pid = std::process::id();
    while pid > 1 {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        if let Some(connection) = variables.find_map(|variable| variable.strip_prefix(b"SSH_CONNECTION=")) {
            let text = String::from_utf8_lossy(connection);
            return text.split(' ').next().unwrap_or_default().to_owned();
        }
        pid = parent(pid);
    }
    String::new()
}

/// The process above; 0: it is not known. proc(5): behind the name in parentheses come the state and the
/// parent's pid.
fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_ascii_whitespace().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// A field of an account's line in shadow(5), from 0.
fn shadow(name: &str, field: usize) -> Option<String> {
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    let line = shadow.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(field).map(str::to_owned)
}

/// Whether the account has expired: the eighth field, in days since 1970.
fn is_expired(name: &str, now: UnixTime) -> bool {
    let day = shadow(name, 7).and_then(|day| day.parse::<i64>().ok());
    day.is_some_and(|day| day >= 0 && day <= now / 86_400)
}

/// Whether no password opens the account: the second field begins with `!` or `*`.
fn is_locked(name: &str) -> bool {
    shadow(name, 1).is_some_and(|password| password.starts_with(['!', '*']))
}

/// The accounts of /etc/passwd that logged in after `since`, by lastlog(8) or lastlog2(8); none if neither
/// tells.
fn last_logins(since: UnixTime) -> Vec<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let Ok(lastlog) = std::fs::File::open("/var/log/lastlog") else {
        let mut command = std::process::Command::new("lastlog2");
        command.args(["--time", "30"]);
        let text = crate::program::output(command).unwrap_or_default();
        return text.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    };
    let lines = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse::<u64>().ok()?))
    });
    lines.filter(|(_, uid)| login_of(&lastlog, *uid) > since).map(|(name, _)| name.to_owned()).collect()
}

/// The time of the last login in `struct lastlog` of a uid; 0: never.
fn login_of(lastlog: &std::fs::File, uid: u64) -> UnixTime {
    const ENTRY: u64 = 4 + 32 + 256;
    let mut time = [0; 4];
    let read = std::os::unix::fs::FileExt::read_exact_at(lastlog, &mut time, uid * ENTRY);
    if read.is_ok() { i32::from_ne_bytes(time).into() } else { 0 }
}

/// The name of a group, for people.
pub fn group_name(gid: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_followed_up_to_the_first() {
        let above =
            std::iter::successors(Some(std::process::id()), |pid| Some(parent(*pid)).filter(|pid| *pid > 0));
        assert!((1..100).contains(&above.take(100).count()));
    }

    #[test]
    fn an_account_that_the_host_does_not_know_is_nobody() {
        let accounts = Accounts { store: None, now: 0 };
        assert!(accounts.person("no-such-account").is_none());
        assert!(accounts.admins().next().is_some_and(|admin| admin.is_root && !admin.device));
    }
}
