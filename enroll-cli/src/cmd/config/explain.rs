//! `qrtotp config explain`: how a login would be decided, by the `decide` that logins call.

use super::host::group_name;
use super::login_end::ELSEWHERE;
use super::words::{first_login_of, first_login_word, login, mismatch, outcome, time};
use super::{stored, user_name};
use crate::applied::compiled;
use crate::cli::{Explain, Familiarity, Key};
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory};
use qrtotp_policy::{Condition, Config, Damaged, Decision, Facts, Known, Outcome, Rule, RuleSet, local_time};
use qrtotp_values::UnixTime;
use qrtotp_values::text::clean;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path, args: &Explain) -> Result<Exit, Failure> {
    let outcome = explained(path, args, &mut std::io::stdout().lock())?;
    Ok(if outcome == Outcome::Deny { Exit::Refused } else { Exit::Done })
}

/// Writes how a login would be decided, and gives the outcome.
pub fn explained(path: &Path, args: &Explain, out: &mut impl Write) -> Result<Outcome, Failure> {
    let (heading, config) = if args.edited {
        (
            format!("the files as they are, which `qrtotp config apply` would apply: {}", path.display()),
            compiled(path)?.config,
        )
    } else {
        let stored = stored(path)?.ok_or_else(|| {
            Failure::Refused("nothing was applied yet; --edited explains the files as they are".into())
        })?;
        let applied = stored.in_force;
        let by = user_name(applied.by);
        (
            format!("policy {}, applied {} by {by}", applied.generation, time(applied.applied_at)),
            applied.config,
        )
    };
    let damaged = |Damaged| Failure::Error("the rules are damaged; run `qrtotp config apply`".into());
    let now = match &args.at {
        None => SystemClock.now(),
        Some(text) => {
            let local = local_time(text).map_err(|error| Failure::Error(format!("--at {text}: {error}")))?;
            config.rules.utc(local).map_err(damaged)?
        }
    };
    let person = HostDirectory.find(&args.user)?.map(|person| person.name);
    // With its groups given, an account need not be there yet.
    let user = person.or_else(|| args.groups.as_ref().map(|_| args.user.clone()));
    let facts = facts(args, &config, user.as_deref(), now);
    // Only an account that exists can have registered a key.
    let hardware_key = args.key == Some(Key::Hardware) && facts.user.is_some();
    let assumed = Assumed {
        groups: args.groups.as_deref(),
        hardware_key,
        familiar: args.place == Familiarity::Familiar,
        all: args.all,
    };
    for name in unknown_groups(&config.rules.rules().map_err(damaged)?, args.groups.as_deref()) {
        let _ = writeln!(std::io::stderr(), "qrtotp: no rule names the group {}", clean(name, 64));
    }
    let explained = explain(&config, &facts, &assumed).map_err(damaged)?;
    let step_up = if assumed.familiar { None } else { step_up(path, &args.user, now) };
    if args.json {
        let mut json = explained.json(&config);
        json["two_codes_until"] = step_up.into();
        serde_json::to_writer_pretty(&mut *out, &json).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let hardware = if hardware_key { "; the key is a registered hardware key" } else { "" };
        let login = login(&facts, config.rules.offset(now).map_err(damaged)?);
        writeln!(out, "{heading}\nlogin: {login}{hardware}")?;
        explained.write(&config, &args.user, out)?;
        if let Some(until) = step_up {
            writeln!(
                out,
                "two codes at new places until {}: an accepted code was given again from another place; \
                 `qrtotp unlock` ends that",
                time(until)
            )?;
        }
    }
    Ok(explained.outcome(&config))
}

/// Until when the account must give two codes at new places, as far as the caller may read that.
fn step_up(path: &Path, user: &str, now: UnixTime) -> Option<UnixTime> {
    let context = Context::load(path).ok().filter(|context| !context.is_verifier())?;
    let store = context.store().ok()?;
    let name = record_name(user, &*store).ok()?;
    store.load(&name).ok()??.state.signs.two_codes_until(now)
}

fn facts<'a>(args: &'a Explain, config: &Config, user: Option<&'a str>, now: UnixTime) -> Facts<'a> {
    let says_keys = config.enroll.key_services.iter().any(|known| *known == args.service);
    let (rhost, tty) = if args.service == "sshd" { (ELSEWHERE, "ssh") } else { ("", "") };
    let tty = args.tty.as_deref().unwrap_or(tty);
    let rhost = args.from.as_deref().unwrap_or(rhost);
    Facts {
        user,
        service: &args.service,
        tty: tty.strip_prefix("/dev/").unwrap_or(tty),
        by: &args.by,
        rhost: if rhost == "local" { "" } else { rhost },
        key: says_keys.then_some(args.key.is_some()),
        now,
    }
}

/// A rule that was tried.
struct Tried {
    rule: String,
    /// The first condition that did not hold, and why; `None`: all held.
    failed: Option<(Condition, String)>,
}

struct Explained<'p> {
    /// The gids that were asked for; `None`: no rule needed them, or they can't be had.
    groups: Option<Vec<u32>>,
    tried: Vec<Tried>,
    decision: Decision<'p>,
}

/// Facts to assume instead of looking them up.
#[derive(Clone, Copy, Default)]
struct Assumed<'a> {
    /// Names in place of the account's groups.
    groups: Option<&'a [String]>,
    hardware_key: bool,
    familiar: bool,
    /// With the rules behind the one that decides.
    all: bool,
}

/// Decides with `config`.
fn explain<'p>(
    config: &'p Config,
    facts: &Facts<'_>,
    assumed: &Assumed<'_>,
) -> Result<Explained<'p>, Damaged> {
    let rules = config.rules.rules()?;
    let offset = config.rules.offset(facts.now)?;
    let (mut asked, mut seen) = (None, Vec::new());
    let groups = || {
        asked = match assumed.groups {
            Some(names) => Some(gids(&rules, names)),
            None => facts.user.and_then(|user| HostDirectory.groups(user)),
        };
        asked.clone()
    };
    let Assumed { hardware_key, familiar, .. } = *assumed;
    let mut known = Known { groups, hardware_key, familiar };
    let decision = config.rules.decide(facts, &mut known, Some(&mut |_, failed| seen.push(failed)))?;
    if assumed.all {
        for rule in &rules[seen.len().min(rules.len())..] {
            let alone = RuleSet::compile(&[(0, offset)], std::slice::from_ref(rule));
            alone.decide(facts, &mut known, Some(&mut |_, failed| seen.push(failed)))?;
        }
    }
    let tried = rules.iter().zip(seen).map(|(rule, failed)| Tried {
        rule: rule.name.clone(),
        failed: failed.map(|condition| (condition, mismatch(facts, &rule.conditions, condition, offset))),
    });
    Ok(Explained { tried: tried.collect(), groups: asked, decision })
}

/// Groups to assume that no rule names: they change nothing, so they may be slips.
fn unknown_groups<'a>(rules: &[Rule], names: Option<&'a [String]>) -> impl Iterator<Item = &'a str> {
    let known: Vec<&String> =
        rules.iter().flat_map(|rule| &rule.conditions.group).map(|group| &group.name).collect();
    let names = names.unwrap_or_default().iter();
    names.filter(move |name| !name.is_empty() && !known.contains(name)).map(String::as_str)
}

/// The numbers by which the rules know groups.
fn gids(rules: &[Rule], names: &[String]) -> Vec<u32> {
    let known = rules.iter().flat_map(|rule| &rule.conditions.group);
    let mut gids: Vec<u32> =
        known.filter(|group| names.contains(&group.name)).map(|group| group.gid).collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

impl Explained<'_> {
    fn outcome(&self, config: &Config) -> Outcome {
        self.decision.outcome.unwrap_or_else(|| config.default_outcome())
    }

    fn write(&self, config: &Config, user: &str, out: &mut impl Write) -> std::io::Result<()> {
        match &self.groups {
            Some(groups) => writeln!(out, "groups of {}: {}", clean(user, 64), named(groups).join(" "))?,
            None if self.decision.without_groups => {
                writeln!(
                    out,
                    "groups of {}: can't be had; the strictest of what they could give holds",
                    clean(user, 64)
                )?;
            }
            None => writeln!(out, "groups of {}: not asked for", clean(user, 64))?,
        }
        for Tried { rule, failed } in &self.tried {
            let mark = if *rule == self.decision.rule { '*' } else { ' ' };
            match failed {
                Some((condition, why)) => writeln!(out, "{mark} {rule:<32} {:<8} {why}", condition.as_str())?,
                None => writeln!(out, "{mark} {rule:<32} matches")?,
            }
        }
        if self.decision.outcome.is_none() {
            writeln!(out, "* {:<32} no rule matches", self.decision.rule)?;
        }
        writeln!(out, "outcome: {}", outcome(config, &self.decision, true))
    }

    fn json(&self, config: &Config) -> Value {
        let rules: Vec<Value> = self
            .tried
            .iter()
            .map(|tried| {
                let (failed, why) =
                    tried.failed.as_ref().map(|(condition, why)| (condition.as_str(), why)).unzip();
                json!({"rule": tried.rule, "failed": failed, "because": why})
            })
            .collect();
        let Decision { rule, effects, without_groups, .. } = &self.decision;
        let (first_login, until) = first_login_of(config, &self.decision);
        json!({
            "version": 1,
            "policy": config.rules.generation,
            "groups": self.groups,
            "rules": rules,
            "rule": rule,
            "outcome": self.outcome(config).as_str(),
            "first_login": first_login_word(first_login),
            "allow_until": until.map(|until| until.to_string()),
            "fresh": effects.fresh,
            "recovery": !effects.no_recovery,
            "remember": effects.remember.map(|duration| duration.to_string()),
            "notice": effects.notice,
            "alert": effects.alert,
            "message": effects.message,
            "without_groups": without_groups,
        })
    }
}

fn named(gids: &[u32]) -> Vec<String> {
    let name = |gid: &u32| group_name(*gid).map_or_else(|| gid.to_string(), |name| format!("{name}({gid})"));
    gids.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_policy::{Names, SourceFile, compile};

    struct Host;

    impl Names for Host {
        fn gid(&self, group: &str) -> Result<Option<u32>, String> {
            let known = ["wheel", "contractors", "research"];
            Ok(known
                .iter()
                .position(|name| *name == group)
                .and_then(|place| u32::try_from(4_000_000 + place).ok()))
        }

        fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
            Ok(vec![(0, 3600)])
        }
    }

    fn config(text: &str) -> Config {
        compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &Host).unwrap().config
    }

    fn explanation(config: &Config, facts: &Facts<'_>, groups: &[&str], all: bool) -> String {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let mut out = Vec::new();
        let explained =
            explain(config, facts, &Assumed { groups: Some(&groups), all, ..Assumed::default() }).unwrap();
        explained.write(config, facts.user.unwrap_or_default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_rule_is_told_with_the_first_condition_that_does_not_hold() {
        let config = config(include_str!("../../../../docs/policy-examples.toml"));
        let now = config.rules.utc(local_time("2026-12-05T20:00").unwrap()).unwrap();
        let facts = Facts {
            user: Some("kim"),
            service: "sshd",
            rhost: "203.0.113.9",
            key: Some(false),
            now,
            ..Facts::default()
        };
        let text = explanation(&config, &facts, &["contractors"], false);
        for line in [
            "groups of kim: 4000001\n",
            "  automation                       key      no key was accepted\n",
            "  automation-elsewhere             user     kim, not svc-*\n",
            "  break-glass                      tty      no terminal, not tty*\n",
            "  contractors-day                  hours    Saturday 20:00, not mon-fri 08:00-18:00\n",
            "* contractors                      matches\noutcome: deny, \"Contractors: 8 to 18 h. Call 1234.\"\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("root-shell"), "{text}");
        let text = explanation(&config, &facts, &["contractors"], true);
        assert!(
            text.contains("  root-shell                       service  sshd, not su-l, sudo-i\n"),
            "{text}"
        );
        assert!(text.contains("  research-grace                   group    is not in research\n"), "{text}");
        let json = explain(
            &config,
            &facts,
            &Assumed { groups: Some(&["contractors".into()]), ..Assumed::default() },
        )
        .unwrap()
        .json(&config);
        assert_eq!((json["rule"].as_str(), json["outcome"].as_str()), (Some("contractors"), Some("deny")));
        assert_eq!(json["rules"][1]["failed"], "user");
    }

    #[test]
    fn facts_that_are_missing_are_named() {
        let config = config(
            "[[rule]]\nname = 'a'\nfrom = ['192.0.2.0/24', 'local']\nuser = ['x']\nthen = 'code'\n\
             [[rule]]\nname = 'b'\nby = ['deploy']\nthen = 'code'\n\
             [[rule]]\nname = 'c'\nkey = true\nsince = '2026-12-01'\nthen = 'code'\n\
             [[rule]]\nname = 'd'\nuntil = '2026-12-01'\nthen = 'code'\n[defaults]\nfirst_login = 'token'",
        );
        let text = explanation(
            &config,
            &Facts { rhost: "a.example", now: 1_800_000_000, ..Facts::default() },
            &[],
            false,
        );
        for line in [
            "from     the name a.example, not 192.0.2.0/24, local\n",
            "by       no caller, not deploy\n",
            "key      only sshd knows of keys\n",
            "until    2027-01-15 is after 2026-12-01\n",
            "* default                          no rule matches\noutcome: code, first_login = token\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        let text = explanation(&config, &Facts { key: Some(true), ..Facts::default() }, &[], false);
        assert!(text.contains("user     no account of this host, not x\n"), "{text}");
        assert!(text.contains("since    1970-01-01 is before 2026-12-01\n"), "{text}");
    }
}
