//! `qrtotp config sshd`: the blocks of sshd_config that rules with "skip" need. sshd's clients without a
//! terminal do not even try `keyboard-interactive`, so for them sshd itself must ask for nothing behind the
//! key.

use crate::applied::compiled;
use crate::cmd::doctor::{Files, Sshd, lets_in_on_nothing};
use crate::error::{Exit, Failure};
use qrtotp_policy::{Compiled, Finding, Origin, Outcome, Rule, Severity};
use qrtotp_values::text::clean;
use std::fmt::{Display, Write as _};
use std::io::Write;
use std::path::Path;

pub fn run(path: &Path) -> Result<Exit, Failure> {
    std::io::stdout().write_all(blocks(&compiled(path)?.rules).as_bytes())?;
    Ok(Exit::Done)
}

/// Whether a rule lets anyone in at sshd without a code.
fn skips(rule: &Rule) -> bool {
    rule.outcome == Outcome::Skip && rule.conditions.can_hold_at_sshd()
}

/// Finds a rule that skips the code although sshd is configured to ask for neither a key nor a password.
pub fn finding(compiled: &Compiled, files: &Files) -> Option<Finding> {
    let rule = compiled.rules.iter().find(|rule| skips(rule) && rule.conditions.key != Some(true))?;
    lets_in_on_nothing(files).ok().filter(|nothing| *nothing)?;
    let reason = format!(
        "rule {}: sshd asks for no key and no password, so \"skip\" lets in on nothing; give the rule `key = true`, or set \
         AuthenticationMethods publickey,keyboard-interactive",
        rule.name
    );
    Some(Finding { severity: Severity::Danger, key: "sshd", reason })
}

/// Finds a rule that takes a hardware key as second factor although sshd does not demand its PIN or
/// fingerprint.
pub fn unverified_keys(rules: &[Rule], sshd: &Sshd) -> Option<Finding> {
    let rule = rules.iter().find(|rule| rule.outcome == Outcome::Skip && rule.conditions.hardware_key)?;
    let verifies = sshd.verifies_keys();
    if verifies == Some(true) {
        return None;
    }
    let severity = if verifies.is_some() { Severity::Danger } else { Severity::Warning };
    let reason = format!(
        "rule {}: anyone who finds a hardware key gets in by it alone; set PubkeyAuthOptions touch-required verify-required in \
         sshd_config and in each Match block that sets it, so that sshd demands a touch and the PIN or fingerprint{}",
        rule.name,
        if verifies.is_some() { "" } else { " (not known: `sshd -T` does not print the settings)" }
    );
    Some(Finding { severity, key: "sshd", reason })
}

/// The blocks for all rules, or a line that none is needed.
pub fn blocks(rules: &[Rule]) -> String {
    let blocks: Vec<String> = rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| skips(rule) && rule.conditions.key != Some(false))
        .map(|(at, rule)| block(rule, &rules[..at]))
        .collect();
    if blocks.is_empty() {
        return "# No rule with \"skip\" matches at sshd, so sshd_config needs no block.\n".into();
    }
    let introduction = "# At the end of sshd_config, then: sshd -t && systemctl reload ssh\n\
                        # In these blocks sshd asks for no code. Other rules hold there only if /etc/pam.d/sshd has the line\n\
                        # account required pam_qrtotp.so\n";
    format!("{introduction}{}", blocks.concat())
}

fn block(rule: &Rule, above: &[Rule]) -> String {
    let conditions = &rule.conditions;
    let mut text = format!("\n# Rule {}\n", rule.name);
    let mut note = |line: String| {
        let _ = writeln!(text, "# {line}");
    };
    let inexpressible = [
        (!conditions.hours.is_empty(), "hours"),
        (conditions.since.is_some(), "since"),
        (conditions.until.is_some(), "until"),
        (conditions.hardware_key, "key = \"hardware\""),
        (conditions.familiar.is_some(), "place"),
    ];
    let inexpressible: Vec<&str> =
        inexpressible.iter().filter_map(|(given, word)| given.then_some(*word)).collect();
    if !inexpressible.is_empty() {
        note(format!("No block: sshd_config has nothing for {}.", inexpressible.join(", ")));
        return text;
    }
    let users = conditions.user.iter().map(ToString::to_string);
    let odd = |name: &String| name.contains(|c: char| c.is_control() || "?,!\"'#=".contains(c));
    let mut groups = conditions.group.iter().map(|group| group.name.clone());
    let odd_group = groups.find(|name| odd(name) || name.contains('*'));
    if let Some(name) = users.clone().find(odd).or(odd_group) {
        note(format!("No block: sshd_config can't hold the name {}.", clean(&name, 64)));
        return text;
    }
    if conditions.key != Some(true) {
        note("The rule has no `key = true`; this block is for logins with a key only.".into());
    }
    let stricter: Vec<&str> =
        above.iter().filter(|rule| rule.outcome != Outcome::Skip).map(|rule| rule.name.as_str()).collect();
    if !stricter.is_empty() {
        note(format!(
            "Without that line these rules, which come first, do not hold in the block: {}",
            stricter.join(", ")
        ));
    }
    let mut criteria = Vec::new();
    let mut criterion = |name: &str, values: String| {
        if !values.is_empty() {
            criteria.push(format!("{name} {values}"));
        }
    };
    criterion("User", joined(&conditions.user));
    let groups: Vec<&str> = conditions.group.iter().map(|group| group.name.as_str()).collect();
    criterion("Group", joined(&groups));
    let networks: Vec<&Origin> =
        conditions.from.iter().filter(|origin| matches!(origin, Origin::Network(_))).collect();
    if !conditions.from.contains(&Origin::Remote) {
        criterion("Address", joined(&networks));
    }
    if criteria.is_empty() {
        criteria.push("All".into());
    }
    let _ = writeln!(text, "Match {}\n    AuthenticationMethods publickey", criteria.join(" "));
    text
}

fn joined<T: Display>(items: &[T]) -> String {
    let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    if list.contains(' ') { format!("\"{list}\"") } else { list }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_policy::{Names, SourceFile, compile};
    use qrtotp_values::UnixTime;

    struct Host;

    impl Names for Host {
        fn gid(&self, _: &str) -> Result<Option<u32>, String> {
            Ok(Some(7))
        }

        fn zone(&self, _: &str) -> Result<Vec<(UnixTime, i32)>, String> {
            Ok(Vec::new())
        }
    }

    fn printed(text: &str) -> String {
        blocks(
            &compile(&[SourceFile { path: "qrtotp.toml".into(), bytes: text.into() }], &Host).unwrap().rules,
        )
    }

    #[test]
    fn a_name_that_sshd_reads_as_something_else_has_no_block() {
        for conditions in ["group = ['a=b']", "user = ['a=b']", "group = ['a*']", "user = [\"o'brien\"]"] {
            let text = printed(&format!("[[rule]]\nname = 'a'\nthen = 'skip'\nkey = true\n{conditions}\n"));
            assert!(text.contains("can't hold the name") && !text.contains("\nMatch "), "{text}");
        }
    }

    #[test]
    fn each_rule_that_skips_at_sshd_has_its_block() {
        let rule = |conditions: &str| printed(&format!("[[rule]]\nname = 'a'\nthen = 'skip'\n{conditions}"));
        for (conditions, block) in [
            (
                "user = ['svc-*', 'git']\nfrom = ['10.20.0.0/24', '2001:db8::/48']\nkey = true",
                "Match User svc-*,git Address 10.20.0.0/24,2001:db8::/48\n",
            ),
            ("group = ['backup']\nkey = true", "Match Group backup\n"),
            ("group = ['domain users']\nkey = true", "Match Group \"domain users\"\n"),
            ("user = ['git']\nfrom = ['remote']\nkey = true", "Match User git\n"),
            ("user = ['git']\nfrom = ['10.0.0.0/8', 'remote']\nkey = true", "Match User git\n"),
            ("key = true", "Match All\n"),
            ("tty = ['ssh']\nkey = true", "Match All\n"),
            (
                "user = ['x']\nfrom = ['10.0.0.0/8']",
                "for logins with a key only.\nMatch User x Address 10.0.0.0/8\n",
            ),
        ] {
            let text = rule(conditions);
            assert!(
                text.contains(&format!("{block}    AuthenticationMethods publickey\n")),
                "{conditions}: {text}"
            );
        }
        for conditions in [
            "service = ['sudo']",
            "tty = ['tty*']",
            "by = ['x']",
            "from = ['local']\ntty = ['tty1']",
            "key = false",
        ] {
            assert!(rule(conditions).contains("needs no block"), "{conditions}");
        }
    }

    #[test]
    fn what_a_block_can_not_say_is_told() {
        let text = printed(
            "[[rule]]\nname = 'a'\nkey = true\nhours = ['mon-fri 08:00-18:00']\nuntil = '2030-01-01'\nthen = 'skip'",
        );
        assert!(
            text.contains("sshd_config has nothing for hours, until.\n") && !text.contains("Match"),
            "{text}"
        );
        let text = printed(include_str!("../../../../docs/policy-examples.toml"));
        assert!(text.contains("# Rule automation\nMatch User svc-* Address 10.20.0.0/24\n"), "{text}");
        let text = printed(
            "[[rule]]\nname = 'first'\nuser = ['x']\nthen = 'deny'\n[[rule]]\nname = 'a'\nkey = true\nthen = 'skip'",
        );
        assert!(text.contains("do not hold in the block: first\nMatch All\n"), "{text}");
    }
}
