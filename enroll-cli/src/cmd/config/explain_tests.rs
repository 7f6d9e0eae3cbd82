//! What `config explain` says of a login is what the login does: random policies, applied as files, and a
//! real login of the core under each.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::explain::explained;
use crate::cli::{Cli, Command, Config as What};
use clap::Parser;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use qrtotp_account::{HardwareKeyType, Label, Name};
use qrtotp_audit::Subject;
use qrtotp_clock::Clock;
use qrtotp_flow::{
    Ctx, Dialog, Directory, Echo, ExistingCode, Import, LoginHost, LookupError, NewKey, NoAnswer, Options,
    Outcome, Person, Typed, import, login, register_key,
};
use qrtotp_otp::{Params, Secret, Strength, code_at};
use qrtotp_policy::{Config, ConfigFile, Names, SourceFile, Stamp, applied_path, compile, local_time};
use qrtotp_store::{Account, FileStore, Store, StoreExt};
use qrtotp_values::UnixTime;
use std::path::PathBuf;
use std::time::Duration;

const UID: u32 = 4321;
const OFFSET: i32 = 3600;
const REGISTERED: (&str, &str) = (
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiWhSJ5rOH64KLgS23/qefvr/v3ma5tK8j+sN9bUVox\n",
    "SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM",
);
const OTHER_KEY: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

/// The conditions of random rules: one line of some of these groups.
const CONDITIONS: [&[&str]; 10] = [
    &["service = ['sshd']", "service = ['su', 'sudo']"],
    &["user = ['alice']", "user = ['b*']", "user = ['*']"],
    &["group = ['g0']", "group = ['g1', 'g2']"],
    &["from = ['192.0.2.0/24']", "from = ['remote']", "from = ['local']", "from = ['2001:db8::/32']"],
    &["tty = ['tty*']", "tty = ['pts/*', 'ssh']"],
    &["by = ['bob']"],
    &["key = true", "key = false", "key = 'hardware'"],
    &["place = 'familiar'", "place = 'new'"],
    &["hours = ['mon-fri 08:00-18:00']", "hours = ['sat 22:00-06:00']"],
    &["since = '2026-12-05'", "until = '2026-12-04'"],
];

const OUTCOMES: &[&str] = &[
    "then = 'code'",
    "then = 'code'\nfresh = true",
    "then = 'code'\nremember = '1h'",
    "then = 'code'\nalert = true",
    "then = 'two-codes'\nrecovery = false",
    "then = 'skip'",
    "then = 'skip'\nnotice = true",
    "then = 'deny'",
    "then = 'deny'\nmessage = 'no'",
];

/// A host with the groups g0 to g2, one hour east of UTC.
struct Host;

impl Names for Host {
    fn gid(&self, group: &str) -> Result<Option<u32>, String> {
        Ok(group
            .strip_prefix('g')
            .and_then(|number| number.parse::<u32>().ok())
            .map(|number| 4_000_000 + number))
    }

    fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
        Ok(vec![(0, OFFSET)])
    }
}

/// The time, and who is there: alice and bob, in these groups.
struct Now(UnixTime);

impl Clock for Now {
    fn now(&self) -> UnixTime {
        self.0
    }
}

struct People<'a>(&'a [&'static str]);

impl Directory for People<'_> {
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError> {
        let known = ["alice", "bob"].iter().position(|name| *name == typed);
        Ok(known.map(|place| Person { name: typed.into(), uid: UID + place as u32 }))
    }

    fn groups(&self, _: &str) -> Option<Vec<u32>> {
        Some(self.0.iter().map(|group| Host.gid(group).unwrap().unwrap()).collect())
    }
}

/// Types one answer to every question.
struct Typist<'a> {
    answer: String,
    questions: Vec<String>,
    keys: &'a str,
}

impl Dialog for Typist<'_> {
    fn show_text(&mut self, _: &str) {}

    fn ask_text(&mut self, prompt: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.questions.push(prompt.to_owned());
        Ok(Typed::new(self.answer.clone().into_bytes()))
    }

    fn wait(&mut self, _: Duration) {}
}

impl LoginHost for Typist<'_> {
    fn is_same_user(&self) -> bool {
        true
    }

    fn password(&mut self) -> Option<Typed> {
        None
    }

    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        Ok(())
    }

    fn withhold_password(&mut self) {}

    fn ssh_auth_info(&mut self) -> Option<Vec<u8>> {
        Some(self.keys.as_bytes().to_vec())
    }
}

#[derive(Clone, Debug)]
struct Login {
    user: &'static str,
    service: &'static str,
    from: &'static str,
    tty: &'static str,
    by: &'static str,
    /// The word of `--key`; empty: none.
    key: &'static str,
    familiar: bool,
    groups: Vec<&'static str>,
    at: String,
}

prop_compose! {
    fn logins()(
        user in select(&["alice", "alice", "bob", "no-such-account"]),
        service in select(&["sshd", "su"]),
        from in select(&["", "192.0.2.7", "::ffff:192.0.2.9", "2001:db8::1%eth0", "203.0.113.9", "gate.example"]),
        tty in select(&["", "ssh", "tty1", "pts/3"]),
        by in select(&["", "bob"]),
        key in select(&["", "", "any", "hardware"]),
        familiar in any::<bool>(),
        groups in subsequence(vec!["g0", "g1", "g2"], 0..3),
        (day, hour) in (1..8, 0..24),
    ) -> Login {
        // Only sshd says anything of keys; a name, or nothing at all, is no place, and bob has no record,
        // so no hardware key either.
        let key = match (service, key) {
            ("sshd", "hardware") if user != "alice" => "any",
            ("sshd", key) => key,
            _ => "",
        };
        let is_place = !key.is_empty() || from.contains(['.', ':']) && from != "gate.example" || from.is_empty() && !by.is_empty();
        let familiar = familiar && is_place && user == "alice";
        Login { user, service, from, tty, by, key, familiar, groups, at: format!("2026-12-{day:02}T{hour:02}:00") }
    }
}

impl Login {
    fn now(&self) -> UnixTime {
        local_time(&self.at).unwrap() - i64::from(OFFSET)
    }

    /// The rule and the outcome that the command prints.
    fn explained(&self, path: &std::path::Path) -> (String, String) {
        let groups = self.groups.join(",");
        let from = if self.from.is_empty() { "local" } else { self.from };
        let mut words = vec!["qrtotp", "config", "explain", "--json", "--user", self.user];
        words.extend(["--service", self.service, "--from", from, "--tty", self.tty, "--by", self.by]);
        words.extend(["--at", &self.at, "--place", if self.familiar { "familiar" } else { "new" }]);
        if !self.key.is_empty() {
            words.extend(["--key", self.key]);
        }
        if self.user != "no-such-account" {
            words.extend(["--groups", &groups]);
        }
        let Command::Config(What::Explain(args)) = Cli::try_parse_from(words).unwrap().command else {
            panic!("it is another command");
        };
        let mut out = Vec::new();
        explained(path, &args, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        (text("rule"), text("outcome"))
    }
}

/// A host on whose store alice has a device and a hardware key.
struct World {
    dir: tempfile::TempDir,
    store: FileStore,
    secret: Secret,
    alice: Account,
}

impl World {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let store = FileStore::open_or_create(&dir.path().join("state"), dir.path()).unwrap();
        let (name, label) = (Name::new("alice").unwrap(), Label::new("phone"));
        let secret =
            Secret::from_bytes(&std::array::from_fn::<u8, 20, _>(|n| n as u8 * 11 + 3), Strength::Normal)
                .unwrap();
        let config = Config::default();
        let mut log = Vec::<String>::new();
        let mut ctx = Ctx {
            config: &config,
            store: &store,
            directory: &People(&[]),
            clock: &Now(1_795_000_000),
            audit: &mut log,
            subject: Subject::default(),
        };
        let device = Import { used: Some(0), ..Import::new(&name, UID, &label, &secret, Params::default()) };
        import(&mut ctx, &[device]).unwrap();
        let key = NewKey {
            kind: HardwareKeyType::Ed25519,
            fingerprint: REGISTERED.1.parse().unwrap(),
            label: Label::new("key"),
        };
        register_key(&mut ctx, (&name, UID), &key, ExistingCode::Skipped).unwrap();
        let alice = store.load(&name).unwrap().unwrap();
        Self { dir, store, secret, alice }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("qrtotp.toml")
    }

    /// Applies the rules but those that the compiler refuses.
    fn apply(&self, mut rules: Vec<String>) {
        let state = self.dir.path().join("state");
        loop {
            let text = format!("state_dir = '{}'\n[policy]\nzone = 'Z'\n{}", state.display(), rules.concat());
            let file = SourceFile { path: self.path(), bytes: text.into() };
            let error = match compile(&[file], &Host) {
                Ok(compiled) => {
                    let bytes = compiled.encode(Stamp { generation: 7, ..Stamp::default() });
                    return std::fs::write(applied_path(&self.path()), bytes).unwrap();
                }
                Err(error) => error.to_string(),
            };
            let name = error.split("rule `").nth(1).and_then(|rest| rest.split('`').next());
            let line = format!("name = '{}'\n", name.unwrap_or_else(|| panic!("{error}")));
            rules.retain(|rule| !rule.contains(&line));
        }
    }

    /// The rule and the outcome of a real login.
    fn decided(&self, of: &Login) -> (String, String) {
        let name = Name::new("alice").unwrap();
        self.store.update_account(&name, |account| *account = Some(self.alice.clone())).unwrap();
        if of.familiar {
            let params = Params::default();
            let code = code_at(&self.secret, params, params.step_at(of.now()));
            let (outcome, ..) = self.login(of, &Config::default(), code.as_str());
            assert_eq!(outcome, Outcome::Accepted, "{of:?}");
        }
        let config = ConfigFile::load(&self.path(), of.now()).unwrap().config;
        let (outcome, question, line) = self.login(of, &config, "000000");
        let word = |key: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default();
            value.to_owned()
        };
        let decided = match (outcome, word("reason=").as_str(), question) {
            (Outcome::Ignored, "not_required", None) | (Outcome::Accepted, "hardware_key", None) => "skip",
            (Outcome::Denied, "rule_denied", _) => "deny",
            (Outcome::Denied, _, Some(question)) if question.starts_with("Two codes") => "two-codes",
            (Outcome::Denied, _, Some(_)) => "code",
            _ => &line,
        };
        let rule = word("rule=");
        (if rule.is_empty() { "default".into() } else { rule }, decided.to_owned())
    }

    /// The outcome of a login with this answer, its first question, and its line in the log.
    fn login(&self, of: &Login, config: &Config, answer: &str) -> (Outcome, Option<String>, String) {
        let mut log = Vec::<String>::new();
        let subject = Subject {
            user: of.user.into(),
            service: of.service.into(),
            rhost: of.from.into(),
            tty: of.tty.into(),
            by: of.by.into(),
            ..Subject::default()
        };
        let ctx = Ctx {
            config,
            store: &self.store,
            directory: &People(&of.groups),
            clock: &Now(of.now()),
            audit: &mut log,
            subject,
        };
        let keys = match of.key {
            "" => "",
            "any" => OTHER_KEY,
            _ => REGISTERED.0,
        };
        let mut typist = Typist { answer: answer.into(), questions: Vec::new(), keys };
        let outcome = login(ctx, &Options::default(), &mut typist);
        let line = log.into_iter().find(|line| line.starts_with("event=login ")).unwrap();
        (outcome, typist.questions.into_iter().next(), line)
    }
}

fn policy() -> impl Strategy<Value = Vec<String>> {
    let groups: Vec<usize> = (0..CONDITIONS.len()).collect();
    let rule = (subsequence(groups, 0..4), vec(any::<Index>(), CONDITIONS.len()), select(OUTCOMES));
    vec(rule, 0..8).prop_map(|rules| {
        let rules = rules.into_iter().enumerate().map(|(number, (groups, lines, outcome))| {
            let lines = groups.into_iter().map(|group| *lines[group].get(CONDITIONS[group]));
            let lines: Vec<&str> = lines.chain([outcome]).collect();
            format!("[[rule]]\nname = 'r{number}'\n{}\n", lines.join("\n"))
        });
        rules.collect()
    })
}

#[test]
fn explain_names_the_rule_and_the_outcome_of_each_login_under_random_applied_policies() {
    let world = World::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    });
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    let counted = std::cell::RefCell::new(&mut seen);
    let result = runner.run(&(policy(), logins()), |(rules, login)| {
        world.apply(rules);
        let (explained, decided) = (login.explained(&world.path()), world.decided(&login));
        *counted.borrow_mut().entry(decided.1.clone()).or_default() += 1;
        prop_assert_eq!(explained, decided);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    for outcome in ["code", "two-codes", "skip", "deny"] {
        assert!(seen.get(outcome).is_some_and(|times| *times >= 10), "{seen:?}");
    }
}
