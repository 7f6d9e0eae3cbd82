//! The applied configuration: the form that a login reads. `qrtotp config apply` makes it from the admin's
//! files.
//!
//! The file is at most 64 KiB, little-endian: `QRTP`, u16 version, u64 checksum of the rest, u64 generation,
//! i64 applied_at, u32 uid, 32 bytes digest of the sources, i64 confirm_by (0: no need); then, as one part
//! each, the settings, the rules, and the settings as they were written; and, while a confirmation is
//! awaited, the whole file that was in force before. A checksum, not a seal: only root can write there, and
//! root could write the sources as well.

use super::bytes::{Bytes, Damaged, put_part};
use super::document::{Entry, Fault, Is, Table, Value};
use super::file_text::Text;
use super::read::{Settings, table};
use super::rules::{Facts, Known, Outcome, Part, RuleSet, Test, enrols_at, read as read_rules};
use super::{Config, ConfigError, Names, Require, Rule};
use blake2::digest::{Digest, consts::U32};
use qrtotp_values::{UnixTime, checksum};
use std::path::{Path, PathBuf};

pub(super) const MAGIC: &[u8] = b"QRTP";
/// A setting that the file leaves out has the program's default, so a changed default needs a new version,
/// whose reader gives files of this one the old default: no login changes without an apply.
const VERSION: u16 = 2;
/// The longest file, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// A configuration that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Settings and rules.
    pub config: Config,
    /// Its number.
    pub generation: u64,
    /// When it was applied.
    pub applied_at: UnixTime,
    /// The uid of the admin who applied it.
    pub by: u32,
    /// BLAKE2b-256 of the sources.
    pub digest: [u8; 32],
    /// The time limit for confirming it; 0: no confirmation is needed.
    pub confirm_by: UnixTime,
    /// The file that was in force before, while a confirmation is awaited.
    pub previous: Vec<u8>,
}

/// The parts of a file whose checksum is right.
struct Parts<'f> {
    generation: u64,
    applied_at: UnixTime,
    by: u32,
    digest: [u8; 32],
    confirm_by: UnixTime,
    settings: Bytes<'f>,
    rules: &'f [u8],
    /// The settings as they were written.
    source: Bytes<'f>,
    previous: &'f [u8],
}

impl<'f> Parts<'f> {
    fn of(file: &'f [u8]) -> Result<Self, Damaged> {
        let rest = file.strip_prefix(MAGIC).ok_or(Damaged)?;
        let mut bytes = Bytes::new(rest);
        let (version, sum) = (bytes.u16()?, bytes.u64()?);
        if version != VERSION || sum != checksum(bytes.rest()) {
            return Err(Damaged);
        }
        let parts = Self {
            generation: bytes.u64()?,
            applied_at: bytes.i64()?,
            by: bytes.u32()?,
            digest: bytes.take(32)?.try_into().map_err(|_| Damaged)?,
            confirm_by: bytes.i64()?,
            settings: bytes.part()?,
            rules: bytes.part()?.rest(),
            source: bytes.part()?,
            previous: bytes.rest(),
        };
        if parts.previous.is_empty() == (parts.confirm_by == 0) { Ok(parts) } else { Err(Damaged) }
    }

    /// As [`Parts::of`] for the configuration that is in force at `now`; see [`Applied::in_force`].
    fn in_force(file: &'f [u8], now: UnixTime) -> Result<Self, Damaged> {
        let newest = Self::of(file)?;
        if is_in_force(newest.applied_at, newest.confirm_by, now) {
            Ok(newest)
        } else {
            Self::of(newest.previous)
        }
    }

    /// The settings, without rules.
    fn config(&self) -> Result<Config, Damaged> {
        let (mut config, mut settings) = (Config::default(), self.settings);
        config.take(&mut settings)?;
        if settings.is_empty() { Ok(config) } else { Err(Damaged) }
    }

    fn applied(&self) -> Result<Applied, Damaged> {
        let rules = RuleSet::from_bytes(self.generation, self.rules.to_vec());
        let Self { generation, applied_at, by, digest, confirm_by, previous, .. } = *self;
        let config = Config { rules, ..self.config()? };
        Ok(Applied { config, generation, applied_at, by, digest, confirm_by, previous: previous.to_vec() })
    }
}

fn is_in_force(applied_at: UnixTime, confirm_by: UnixTime, now: UnixTime) -> bool {
    confirm_by == 0 || (applied_at..=confirm_by).contains(&now)
}

impl Config {
    /// The settings and rules of [`Applied::in_force`], for a login. They keep the file's memory: a copy of a
    /// hundred rules, and wiping it, would cost a login 17,000 instructions.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn in_force(mut file: Vec<u8>, now: UnixTime) -> Result<Self, Damaged> {
        let parts = Parts::in_force(&file, now)?;
        let (config, generation, length) = (parts.config()?, parts.generation, parts.rules.len());
        // What follows the rules ends with the file.
        let end = file.len() - parts.source.rest().len() - 2 - parts.previous.len();
        file.truncate(end);
        file.drain(..end - length);
        Ok(Self { rules: RuleSet::from_bytes(generation, file), ..config })
    }
}

impl Applied {
    /// Reads the newest configuration in a file, in force or not.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn newest(file: &[u8]) -> Result<Self, Damaged> {
        Parts::of(file)?.applied()
    }

    /// Reads the configuration that is in force at `now`: the newest, unless it had to be confirmed and was
    /// not. If `now` is outside the time for confirming, before or after it, the previous one is in force.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn in_force(file: &[u8], now: UnixTime) -> Result<Self, Damaged> {
        Parts::in_force(file, now)?.applied()
    }

    /// Whether it needs no confirmation, or still has time for it.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        is_in_force(self.applied_at, self.confirm_by, now)
    }
}

/// A configuration file as text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub bytes: Vec<u8>,
}

/// The contents of the files, checked.
#[derive(Debug)]
pub struct Compiled {
    /// Settings and rules.
    pub config: Config,
    /// The rules, in the order in which they are tried.
    pub rules: Vec<Rule>,
    /// Accounts that some rule must let in locally.
    pub emergency: Vec<String>,
    /// Points that an admin should reconsider: the rule, and why.
    pub warnings: Vec<(String, String)>,
    /// Names in the files that this host does not know, with file and line.
    pub unknown: Vec<String>,
    /// BLAKE2b-256 of the files.
    pub digest: [u8; 32],
    tests: Vec<(String, Option<UnixTime>, Test)>,
    settings: Table,
}

/// A `[[test]]` that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// File and line.
    pub place: String,
    /// The expected `OUTCOME by RULE`.
    pub expected: String,
    /// The actual `OUTCOME by RULE`.
    pub got: String,
}

/// BLAKE2b-256 of the files' names and texts.
#[must_use]
pub fn digest(files: &[SourceFile]) -> [u8; 32] {
    let mut hash = blake2::Blake2b::<U32>::new();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().as_encoded_bytes();
        for part in [name, &file.bytes] {
            hash.update(u64::try_from(part.len()).unwrap_or(0).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

/// The tables that files of `conf.d` may hold.
const BESIDE: [&str; 3] = ["rule", "test", "networks"];

/// Refuses `first_login = "enroll"` on a verifier.
fn refuse_enrolment(texts: &[Text<'_>], parts: &[Part], settings: &Table) -> Result<(), ConfigError> {
    let defaults = settings.get("defaults").and_then(|value| table(value).ok()).and_then(enrols_at);
    let of_rules = parts.iter().filter_map(|part| Some((texts.get(part.file)?, part.enrols_at()?)));
    let Some((text, at)) = texts.last().zip(defaults).or_else(|| of_rules.into_iter().next()) else {
        return Ok(());
    };
    let message = "first_login = \"enroll\" does not work in a fleet: a verifier can't check a host's passwords. Write \"token\": \
                   users run `qrtotp enroll` with a code of `qrtotp token issue`";
    Err(text.error(&Fault { at, message: message.into() }))
}

/// Reads and checks the files: first those of `conf.d` in their order, the main one last. Only the main one
/// has settings.
///
/// # Errors
/// A fault, with its file and line.
pub fn compile(files: &[SourceFile], names: &dyn Names) -> Result<Compiled, ConfigError> {
    let texts: Vec<Text<'_>> =
        files.iter().map(|file| Text::of(&file.path, &file.bytes)).collect::<Result<_, _>>()?;
    let (mut parts, mut settings, mut config) = (Vec::new(), Table::default(), Config::default());
    for (place, text) in texts.iter().enumerate() {
        let mut document = Table::from_toml(text.as_str()).map_err(|fault| text.error(&fault))?;
        let is_main = place + 1 == texts.len();
        let stray = document.0.iter().find(|entry| !BESIDE.contains(&entry.key.as_str()));
        if let Some(entry) = stray.filter(|_| !is_main) {
            let message =
                format!("`{}` stands in the main file only; here: `rule`, `test` and `networks`", entry.key);
            return Err(text.error(&Fault { at: entry.at, message }));
        }
        parts.push(Part::take(place, &mut document));
        if is_main {
            config = Config::read(text, &document)?;
            settings = document;
        }
    }
    let read = read_rules(&parts, names, &config.enroll.key_services).map_err(|(file, fault)| match texts
        .get(file)
    {
        Some(text) => text.error(&fault),
        None => ConfigError::Missing(PathBuf::new()),
    })?;
    if config.fleet.verifier.is_some() {
        refuse_enrolment(&texts, &parts, &settings)?;
    }
    config.rules = RuleSet::compile(&read.zone, &read.rules);
    keep_emergency(&mut settings, &read.emergency);
    let tests = read.tests.iter().map(|(file, at, test)| {
        let line = texts.get(*file).map_or(0, |text| text.line(*at));
        let place = files.get(*file).map(|file| file.path.display().to_string()).unwrap_or_default();
        (format!("{place}:{line}"), test.at.map(|local| read.utc(local)), test.clone())
    });
    let tests = tests.collect();
    // A verifier decides for accounts of other hosts.
    let unknown = read.unknown.iter().filter(|_| config.fleet.verifier.is_none());
    let unknown = unknown.filter_map(|(file, at, text)| {
        let source = texts.get(*file)?;
        Some(format!("{}:{}: {text}", source.path.display(), source.line(*at)))
    });
    let unknown = unknown.collect();
    let compiled = Compiled {
        config,
        tests,
        rules: read.rules,
        emergency: read.emergency,
        warnings: read.warnings,
        unknown,
        digest: digest(files),
        settings,
    };
    if compiled.encode(Stamp::default()).len() > LONGEST / 2 {
        let path = files.last().map(|file| file.path.clone()).unwrap_or_default();
        let problem =
            "are more than 32 KiB when they are compiled; use fewer rules, or networks instead of addresses";
        return Err(ConfigError::Value { path, key: "rule", problem });
    }
    Ok(compiled)
}

/// Adds the emergency accounts to the settings, so that the lock-out guard finds them in an applied file.
fn keep_emergency(settings: &mut Table, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let value = |is| Value { at: 0, is };
    let entry = |key: &str, is| Entry { key: key.into(), at: 0, value: value(is) };
    let names = names.iter().map(|name| value(Is::Text(name.clone()))).collect();
    settings.0.push(entry("policy", Is::Table(Table(vec![entry("emergency", Is::List(names))]))));
}

fn kept_emergency(settings: &Table) -> Vec<String> {
    let Some(Value { is: Is::Table(policy), .. }) = settings.get("policy") else { return Vec::new() };
    let Some(Value { is: Is::List(names), .. }) = policy.get("emergency") else { return Vec::new() };
    let text = |name: &Value| if let Is::Text(text) = &name.is { Some(text.clone()) } else { None };
    names.iter().filter_map(text).collect()
}

/// Generation, time and author of an applied configuration.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// Its number.
    pub generation: u64,
    /// The time.
    pub applied_at: UnixTime,
    /// The uid.
    pub by: u32,
    /// Until when it has to be confirmed, and the file that is in force before.
    pub confirm: Option<(UnixTime, Vec<u8>)>,
}

impl Stamp {
    fn file(self, digest: &[u8; 32], parts: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.generation.to_le_bytes());
        body.extend_from_slice(&self.applied_at.to_le_bytes());
        body.extend_from_slice(&self.by.to_le_bytes());
        body.extend_from_slice(digest);
        let (confirm_by, previous) = self.confirm.unwrap_or_default();
        body.extend_from_slice(&confirm_by.to_le_bytes());
        body.extend_from_slice(parts);
        body.extend_from_slice(&previous);
        sealed(&body)
    }
}

impl Compiled {
    /// The newest configuration of an applied file, for the checks before it is applied again. An applied
    /// file has neither tests nor warnings.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn from_applied(file: &[u8]) -> Result<Self, Damaged> {
        let settings = Table::decode(&mut Parts::of(file)?.source)?;
        let Applied { config, digest, .. } = Applied::newest(file)?;
        let (rules, emergency) = (config.rules.rules()?, kept_emergency(&settings));
        Ok(Self {
            config,
            rules,
            emergency,
            warnings: Vec::new(),
            unknown: Vec::new(),
            digest,
            tests: Vec::new(),
            settings,
        })
    }

    /// The file that a login reads.
    #[must_use]
    pub fn encode(&self, stamp: Stamp) -> Vec<u8> {
        let (mut settings, mut source, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        self.config.put(&mut settings);
        self.settings.encode(&mut source);
        for part in [&settings, self.config.rules.as_bytes(), &source] {
            put_part(part, &mut parts);
        }
        stamp.file(&self.digest, &parts)
    }

    /// The keys of the main file, each with its value as TOML.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        self.settings.flat()
    }

    /// Leaves out the tests of all files but `path`.
    pub fn keep_tests_of(&mut self, path: &Path) {
        let of_file = |place: &str| place.rsplit_once(':').is_some_and(|(file, _)| Path::new(file) == path);
        self.tests.retain(|(place, ..)| of_file(place));
    }

    /// Decides each `[[test]]`.
    #[must_use]
    pub fn failed_tests(&self, now: UnixTime) -> (usize, Vec<Failed>) {
        let failed = self.tests.iter().filter_map(|(place, at, test)| {
            let got = self.decided(test, at.unwrap_or(now));
            (got != test.expect).then(|| Failed { place: place.clone(), expected: test.expect.clone(), got })
        });
        (self.tests.len(), failed.collect())
    }

    fn decided(&self, test: &Test, now: UnixTime) -> String {
        let says_keys = self.config.enroll.key_services.iter().any(|known| *known == test.service);
        let facts = Facts {
            user: Some(test.user.as_str()).filter(|user| !user.is_empty()),
            service: &test.service,
            tty: &test.tty,
            by: &test.by,
            rhost: &test.from,
            key: says_keys.then_some(test.key),
            now,
        };
        let groups = || Some(self.gids(&test.groups));
        let mut known =
            Known { groups, hardware_key: says_keys && test.hardware_key, familiar: test.familiar };
        match self.config.rules.decide(&facts, &mut known, None) {
            Ok(decision) => {
                let outcome = decision.outcome.unwrap_or_else(|| self.config.default_outcome());
                format!("{} by {}", outcome.as_str(), decision.rule)
            }
            Err(Damaged) => "damaged".into(),
        }
    }

    /// The gids of the groups, as the rules know them. Groups that no rule names don't matter.
    #[must_use]
    pub fn gids(&self, groups: &[String]) -> Vec<u32> {
        let known = self.rules.iter().flat_map(|rule| &rule.conditions.group);
        known.filter(|group| groups.contains(&group.name)).map(|group| group.gid).collect()
    }
}

impl Config {
    /// The outcome if no rule decides.
    #[must_use]
    pub fn default_outcome(&self) -> Outcome {
        match self.defaults.require {
            Require::Code => Outcome::Code,
            Require::Nothing => Outcome::Skip,
        }
    }
}

/// The newest configuration of `file` with another stamp: confirmed, or applied again.
///
/// # Errors
/// The file is damaged.
pub fn restamped(file: &[u8], stamp: Stamp) -> Result<Vec<u8>, Damaged> {
    const SETTINGS: usize = 8 + 8 + 4 + 32 + 8;
    let newest = Applied::newest(file)?;
    let body = file.get(MAGIC.len() + 2 + 8..file.len() - newest.previous.len()).ok_or(Damaged)?;
    let parts = body.get(SETTINGS..).ok_or(Damaged)?;
    Ok(stamp.file(&newest.digest, parts))
}

/// The settings of the newest configuration of `file`, as [`Compiled::settings`].
///
/// # Errors
/// The file is damaged.
pub fn settings(file: &[u8]) -> Result<Vec<(String, String)>, Damaged> {
    Ok(Table::decode(&mut Parts::of(file)?.source)?.flat())
}

/// The body after its header.
pub(super) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::with_capacity(body.len() + 14);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&checksum(body).to_le_bytes());
    file.extend_from_slice(body);
    file
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::NoNames;

    fn compiled(text: &str) -> Compiled {
        compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &NoNames).unwrap()
    }

    const TEXT: &str = "issuer = 'Us'\n[broker.services]\npostgres = ['postgresql']\n[verify]\nwindow_back = 2\n[enroll]\nservices = ['sshd', 'su']\n\
        [[rule]]\nname = 'a'\nuser = ['x*']\nthen = 'deny'\nmessage = 'no'";

    #[test]
    fn an_applied_configuration_is_what_was_compiled() {
        let compiled = compiled(TEXT);
        let file = compiled.encode(Stamp { generation: 7, applied_at: 100, by: 1000, confirm: None });
        let applied = Applied::in_force(&file, 50).unwrap();
        assert_eq!((applied.generation, applied.applied_at, applied.by), (7, 100, 1000));
        assert_eq!(applied.digest, compiled.digest);
        assert_eq!(applied.config.rules.rules().unwrap(), compiled.rules);
        let rules = applied.config.rules.clone();
        assert_eq!(Config { rules, ..compiled.config.clone() }, applied.config);
    }

    #[test]
    fn settings_are_told_as_they_are_written() {
        let compiled = compiled(TEXT);
        let expected = [
            ("issuer", "\"Us\""),
            ("broker.services.postgres", "[\"postgresql\"]"),
            ("verify.window_back", "2"),
            ("enroll.services", "[\"sshd\", \"su\"]"),
        ];
        let settings = compiled.settings();
        let mut listed: Vec<(&str, &str)> =
            settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        listed.sort_by_key(|(key, _)| expected.iter().position(|(known, _)| known == key));
        assert_eq!(listed, expected);
        assert_eq!(super::settings(&compiled.encode(Stamp::default())).unwrap(), settings);
    }

    #[test]
    fn the_tests_of_one_file_can_be_had_without_the_others() {
        let test = "[[test]]\nservice = 'sshd'\nexpect = 'deny by x'";
        let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
        let files = [file("t.toml", test), file("qrtotp.toml", test)];
        let mut compiled = compile(&files, &NoNames).unwrap();
        assert_eq!(compiled.failed_tests(0).0, 2);
        compiled.keep_tests_of(Path::new("t.toml"));
        assert_eq!(compiled.failed_tests(0).1[0].place, "t.toml:1");
        assert_eq!(compiled.failed_tests(0).0, 1);
    }

    #[test]
    fn a_verifier_refuses_enrolment_at_a_login_by_file_and_line_and_other_hosts_do_not() {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
        let rule = |name: &str, first: &str| {
            format!("[[rule]]\nname = '{name}'\nuser = ['{name}']\nthen = 'code'\nfirst_login = '{first}'\n")
        };
        let (token, enroll) = (rule("a", "token"), rule("b", "enroll"));
        let verifier = "[fleet]\nverifier = 'v1'\n";
        for (part, main, place) in [
            ("", format!("{verifier}[defaults]\nfirst_login = 'enroll'\n"), "qrtotp.toml, line 4:"),
            ("", format!("{verifier}{token}{enroll}"), "qrtotp.toml, line 12:"),
            (&format!("{token}{enroll}"), verifier.to_owned(), "10.toml, line 10:"),
        ] {
            let error = compile(&[file("10.toml", part), file("qrtotp.toml", &main)], &NoNames);
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(place) && error.ends_with("`qrtotp token issue`"), "{error}");
            let other = main.replace("verifier", "name");
            compile(&[file("10.toml", part), file("qrtotp.toml", &other)], &NoNames).unwrap();
        }
        let tokens = format!("{verifier}[defaults]\nfirst_login = 'token'\n{token}");
        compile(&[file("qrtotp.toml", &tokens)], &NoNames).unwrap();
    }

    #[test]
    fn settings_in_nested_tables_read_back() {
        let text = "[broker.services]\npostgres = ['postgresql', 'x']\nwww-data = ['nginx']\n[defaults]\n\
            first_login = 'allow'\nallow_until = '2027-01-31'\n[brand]\ncontact = 'x'";
        let compiled = compiled(text);
        let applied = Applied::newest(&compiled.encode(Stamp::default())).unwrap();
        assert_eq!(applied.config.broker, compiled.config.broker);
        assert_eq!(applied.config.broker.services.len(), 2);
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let file = compiled(TEXT).encode(Stamp::default());
        for place in 0..file.len() {
            assert!(Applied::newest(&file[..place]).is_err(), "{place}");
            let mut changed = file.clone();
            changed[place] ^= 1;
            assert!(Applied::newest(&changed).is_err(), "{place}");
        }
        assert!(Applied::newest(&[&file[..], &[0]].concat()).is_err());
    }

    #[test]
    fn an_applied_configuration_can_be_checked_as_it_was_when_it_was_applied() {
        let compiled = compiled(&format!("{TEXT}\n[policy]\nemergency = ['breakglass', 'ops']"));
        let file = compiled.encode(Stamp { generation: 7, ..Stamp::default() });
        let again = Compiled::from_applied(&file).unwrap();
        assert_eq!(again.emergency, ["breakglass", "ops"]);
        assert_eq!((&again.rules, again.digest), (&compiled.rules, compiled.digest));
        assert_eq!(again.settings(), compiled.settings());
        assert_eq!(again.encode(Stamp { generation: 7, ..Stamp::default() }), file);
        assert!(Compiled::from_applied(&file[1..]).is_err());
    }

    #[test]
    fn what_is_not_confirmed_in_its_time_gives_way_to_what_was_before() {
        let old = compiled("issuer = 'Old'").encode(Stamp { generation: 1, ..Stamp::default() });
        let stamp = Stamp { generation: 2, applied_at: 100, by: 0, confirm: Some((160, old)) };
        let file = compiled("issuer = 'New'").encode(stamp);
        let issuer = |file: &[u8], now| Applied::in_force(file, now).unwrap().config.issuer.unwrap();
        for (now, expected) in [(99, "Old"), (100, "New"), (160, "New"), (161, "Old")] {
            assert_eq!(issuer(&file, now), expected, "{now}");
        }
        let file = restamped(&file, Stamp { generation: 2, applied_at: 100, ..Stamp::default() }).unwrap();
        assert_eq!((issuer(&file, 99), issuer(&file, 1000)), ("New".to_owned(), "New".to_owned()));
        assert!(restamped(&file[1..], Stamp::default()).is_err());
    }

    #[test]
    fn a_file_beside_the_main_one_has_rules_tests_and_networks_only() {
        let file = |path: &str, text: &str| SourceFile { path: path.into(), bytes: text.into() };
        let main = file("qrtotp.toml", "[[rule]]\nname = 'b'\nuser = ['bob']\nthen = 'code'");
        let extra = "[networks]\nx = ['192.0.2.0/24']\n[[rule]]\nname = 'a'\nfrom = ['x']\nthen = 'deny'";
        let compiled = compile(&[file("10.toml", extra), main.clone()], &NoNames).unwrap();
        let names: Vec<&str> = compiled.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["a", "b"], "the main file's rules come last");
        for (text, key) in [("\nissuer = 'x'", "issuer"), ("\n[policy]\nemergency = ['x']", "policy")] {
            let error = compile(&[file("10.toml", text), main.clone()], &NoNames).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("10.toml, line 2: `{key}` stands in the main file only")),
                "{error}"
            );
        }
    }
}
