//! Accounts that can log in without a device: local accounts with a shell and a usable password or an ssh
//! key. Those that can become root come first.

use super::files::Files;
use super::report::{Finding, Report, names};
use crate::cmd::sudoers::Sudoers;
use crate::program::output;
use qrtotp_account::{EnrolmentStatus, Name};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_policy::{Config, FirstLogin, Outcome, Rule};
use qrtotp_store::AccountStore;
use qrtotp_values::UnixTime;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Shells that let nobody in.
const NO_SHELLS: [&str; 4] = ["nologin", "false", "sync", "halt"];

/// Whether nobody gets in with this shell.
pub fn is_no_shell(shell: &Path) -> bool {
    shell.file_name().is_some_and(|name| NO_SHELLS.iter().any(|known| name == *known))
}

/// The files of a host that say who can log in.
struct HostFiles {
    passwd: String,
    shadow: String,
    group: String,
    sudoers: Sudoers,
}

/// A local account that can log in.
#[derive(Debug, PartialEq, Eq)]
struct Person {
    name: String,
    /// It can become root.
    admin: bool,
}

fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

impl HostFiles {
    fn below(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            passwd: read("etc/passwd"),
            shadow: read("etc/shadow"),
            group: read("etc/group"),
            sudoers: Sudoers::read(),
        }
    }

    /// Accounts that can become root.
    fn admins(&self) -> BTreeSet<&str> {
        let mut admins = BTreeSet::from(["root"]);
        for who in self.sudoers.admins() {
            if let Some(group) = who.strip_prefix('%') {
                let known = |line: &Vec<&str>| {
                    line[0] == group || group.strip_prefix('#').is_some_and(|gid| line.get(2) == Some(&gid))
                };
                for group in fields(&self.group).filter(known) {
                    admins.extend(group.get(3).into_iter().flat_map(|members| members.split(',')));
                    let primary = fields(&self.passwd).filter(|user| user.get(3) == group.get(2));
                    admins.extend(primary.map(|user| user[0]));
                }
            } else {
                let uid = who.strip_prefix('#');
                let known =
                    |user: &Vec<&str>| user[0] == who || (uid.is_some() && user.get(2).copied() == uid);
                admins.extend(fields(&self.passwd).filter(known).map(|user| user[0]));
            }
        }
        admins
    }

    /// Homes with a file of ssh keys. Another process looks, because a home on a network may never answer.
    fn homes_with_keys(&self) -> BTreeSet<String> {
        const KEYS: &str = "/.ssh/authorized_keys";
        let homes = fields(&self.passwd).filter_map(|user| user.get(5).map(|home| format!("{home}{KEYS}")));
        let mut test = Command::new("/bin/sh");
        test.args(["-c", "for file; do test -s \"$file\" && echo \"$file\"; done; true", "sh"]).args(homes);
        let found = output(test).unwrap_or_default();
        found.lines().filter_map(|line| line.strip_suffix(KEYS)).map(str::to_owned).collect()
    }

    /// Accounts with a shell and a password or a key. `has_key`: by the home.
    fn people(&self, has_key: impl Fn(&str) -> bool) -> Vec<Person> {
        let admins = self.admins();
        let hashes: Vec<Vec<&str>> = fields(&self.shadow).collect();
        let usable = |name: &str| {
            let hash = hashes.iter().find(|line| line[0] == name).and_then(|line| line.get(1).copied());
            hash.is_some_and(|hash| !hash.starts_with(['!', '*']))
        };
        let mut found = Vec::new();
        for user in fields(&self.passwd) {
            let [name, _, _, _, _, home, shell] = user[..] else { continue };
            if !is_no_shell(Path::new(shell)) && (usable(name) || has_key(home)) {
                found.push(Person { name: name.to_owned(), admin: admins.contains(name) });
            }
        }
        found.sort_by_key(|person| !person.admin);
        found
    }
}

/// Reports on those of this host. Needs root, which may read the password file.
pub fn check(config: &Config, store: &dyn AccountStore, files: &Files, report: &mut Report) {
    let has_device = |name: &str| {
        let account = Name::new(name).ok().and_then(|name| store.load(&name).ok()?);
        account.is_some_and(|account| account.record.enrolment_status() == EnrolmentStatus::Enrolled)
    };
    let host = HostFiles::below(Path::new("/"));
    let unasked = host.sudoers.unasked();
    let unasked: Vec<&str> = unasked.iter().map(String::as_str).collect();
    if !unasked.is_empty() && files.asks("sudo").is_some() {
        let what = format!("sudo asks for neither password nor code: {}", names(&unasked));
        report.add(
            Finding::warn("sudo-nopasswd", "sudoers", &what)
                .why("with NOPASSWD, !authenticate or exempt_group sudo does not ask PAM")
                .fix("remove that with visudo, unless it is meant"),
        );
    }
    for service in host.sudoers.services.iter().filter(|_| files.asks("sudo").is_some()) {
        if files.asks(service).is_none() {
            let what = format!("sudoers has sudo use the PAM service {service}, which asks for no code");
            report.add(
                Finding::warn("sudo-other-service", service, &what)
                    .why("the lines in /etc/pam.d/sudo are not used then")
                    .fix(&format!("qrtotp setup {service}, or take pam_service out of sudoers with visudo")),
            );
        }
    }
    let keys = host.homes_with_keys();
    let people = host.people(|home| keys.contains(home));
    let people = people.into_iter().filter(|person| !has_device(&person.name)).collect();
    let rules = config.rules.rules().unwrap_or_default();
    report.add_all(findings(people, config, &rules, SystemClock.now()));
}

/// `people`: those without a device.
fn findings(people: Vec<Person>, config: &Config, rules: &[Rule], now: UnixTime) -> Vec<Finding> {
    // The devices of a fleet's accounts are known to its verifiers only.
    let exempt = |person: &Person| {
        let named = |rule: &Rule| {
            let matching = rule.conditions.user.iter().any(|user| user.matches(&person.name));
            rule.outcome == Outcome::Skip && matching
        };
        config.fleet.decides(&person.name) || rules.iter().any(named)
    };
    let (admins, others): (Vec<Person>, Vec<Person>) =
        people.into_iter().filter(|person| !exempt(person)).partition(|person| person.admin);
    let (consequence, quiet) = match config.defaults.first_login {
        FirstLogin::Deny => ("they are denied where a code is asked for", false),
        FirstLogin::Enroll => ("they enrol at their next login", true),
        FirstLogin::Token => ("they need a token to enrol", false),
        FirstLogin::Allow if config.defaults.allow_until.is_none_or(|until| until.days_left(now) == 0) => {
            ("they are denied where a code is asked for: allow_until has passed", false)
        }
        FirstLogin::Allow => ("they get in without a code for now", false),
    };
    let mut found = Vec::new();
    for (id, people, who) in [
        ("admins-without-device", admins, "can become root and have no device"),
        ("accounts-without-device", others, "can log in and have no device"),
    ] {
        let all: Vec<String> = people.into_iter().map(|person| person.name).collect();
        if all.is_empty() {
            continue;
        }
        let what = format!("{who}: {}", names(&all));
        let finding = if quiet { Finding::info(id, "", &what) } else { Finding::warn(id, "", &what) };
        found.push(finding.why(consequence).fix(&format!("qrtotp enroll {}", all[0])));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity;
    use super::*;

    fn host() -> HostFiles {
        let user = |name: &str, gid: u32, shell: &str| format!("{name}:x:1000:{gid}::/home/{name}:{shell}\n");
        let passwd = [
            "root:x:0:0:root:/root:/bin/bash\n".to_owned(),
            user("bob", 100, "/bin/sh"),
            user("anna", 100, "/bin/bash"),
            user("carl", 27, "/bin/bash"),
            user("dora", 100, "/bin/bash"),
            user("eve", 100, ""),
            user("svc-x", 100, "/bin/sh"),
            user("locked", 100, "/bin/bash"),
            user("daemon", 100, "/usr/sbin/nologin"),
        ];
        let passwords = "root:!:1::::::\nbob:$y$x:1::::::\nanna:$y$x:1::::::\ncarl:$y$x:1::::::\ndora:$y$x:1::::::\n\
                         eve::1::::::\nsvc-x:!:1::::::\nlocked:!*:1::::::\ndaemon:$y$x:1::::::\n";
        HostFiles {
            passwd: passwd.concat(),
            shadow: passwords.into(),
            group: "sudo:x:27:anna\nusers:x:100:\n".into(),
            sudoers: Sudoers::of_text("dora ALL=(ALL:ALL) NOPASSWD: ALL\n%sudo ALL=(ALL) ALL\n"),
        }
    }

    fn names_of(people: &[Person], admin: bool) -> Vec<&str> {
        people.iter().filter(|person| person.admin == admin).map(|person| person.name.as_str()).collect()
    }

    #[test]
    fn who_can_log_in_has_a_shell_and_a_password_or_a_key_and_admins_come_first() {
        let people = host().people(|home| home == "/home/svc-x");
        assert_eq!(names_of(&people, true), ["anna", "carl", "dora"]);
        assert_eq!(names_of(&people, false), ["bob", "eve", "svc-x"]);
        assert!(people[0].admin && !people[5].admin);
    }

    #[test]
    fn homes_with_keys_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("it's home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        let passwd = format!("a:x:1:1::{}:/bin/sh\nb:x:2:2::/nonexistent:/bin/sh\n", home.display());
        let host = HostFiles { passwd, ..host() };
        assert!(host.homes_with_keys().is_empty());
        fs::write(home.join(".ssh/authorized_keys"), "ssh-ed25519 x").unwrap();
        assert_eq!(host.homes_with_keys().into_iter().collect::<Vec<_>>(), [home.display().to_string()]);
    }

    #[test]
    fn those_without_a_device_are_named_but_not_those_whom_a_rule_lets_in() {
        let rules = |text: &str| {
            let source = qrtotp_policy::SourceFile { path: "x".into(), bytes: text.into() };
            qrtotp_policy::compile(&[source], &Nobody).unwrap()
        };
        let text = "[defaults]\nfirst_login = \"enroll\"\n[[rule]]\nname = \"a\"\nuser = [\"svc-*\"]\nthen = \"skip\"\n";
        let compiled = rules(text);
        let found = findings(host().people(|_| true), &compiled.config, &compiled.rules, 0);
        let shown: Vec<_> = found.iter().map(|one| (one.severity, one.id, one.what.as_str())).collect();
        assert_eq!(
            shown,
            [
                (
                    Severity::Info,
                    "admins-without-device",
                    "can become root and have no device: root, anna, carl, dora"
                ),
                (
                    Severity::Info,
                    "accounts-without-device",
                    "can log in and have no device: bob, eve, locked"
                ),
            ]
        );
        let denied = findings(host().people(|_| false), &Config::default(), &[], 0);
        assert!(denied.iter().all(|one| one.severity == Severity::Warn), "{denied:?}");
        let over = rules("[defaults]\nfirst_login = \"allow\"\nallow_until = \"2026-01-01\"\n");
        let why = findings(host().people(|_| false), &over.config, &[], 1_800_000_000).remove(0).why;
        assert!(why.contains("denied"), "{why}");
        let of_fleet = rules("[fleet]\nname = \"corp\"\nlocal = [\"root\"]\n");
        let local = findings(host().people(|_| true), &of_fleet.config, &[], 0);
        let shown: Vec<_> = local.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(shown, ["can become root and have no device: root"], "the others are the verifiers'");
    }

    struct Nobody;

    impl qrtotp_policy::Names for Nobody {
        fn gid(&self, _: &str) -> Result<Option<u32>, String> {
            Ok(None)
        }

        fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
            Ok(Vec::new())
        }
    }
}
