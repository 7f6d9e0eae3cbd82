//! From the admin's files to a configuration that can be applied: reading, checking, its `[[test]]`s.

use super::applied::{Applied, LONGEST, Parts, Stamp};
use super::bytes::{Damaged, put_part};
use super::document::{Entry, Fault, Is, Table, Value};
use super::file_text::Text;
use super::read::{Settings, table};
use super::rules::{Facts, Known, Outcome, Part, RuleSet, Test, enrols_at, read as read_rules};
use super::{Config, ConfigError, Names, Require, Rule};
use blake2::digest::{Digest, consts::U32};
use qrtotp_values::UnixTime;
use std::path::{Path, PathBuf};

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

/// Refuses settings beside the main file.
fn check_beside(text: &Text<'_>, document: &Table) -> Result<(), ConfigError> {
    let Some(entry) = document.0.iter().find(|entry| !BESIDE.contains(&entry.key.as_str())) else {
        return Ok(());
    };
    let message =
        format!("`{}` stands in the main file only; here: `rule`, `test` and `networks`", entry.key);
    Err(text.error(&Fault { at: entry.at, message }))
}

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
        if !is_main {
            check_beside(text, &document)?;
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
