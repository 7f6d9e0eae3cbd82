//! Rules that are valid, but can't be intended, and what a rule's conditions include.

use super::{Conditions, Group, Hours, Origin, Outcome, Pattern, Rule};
use std::borrow::Cow;

/// A rule that can't be intended, or that trusts the client's word.
pub(super) fn problem(rule: &Rule, key_services: &[Cow<'static, str>]) -> Option<&'static str> {
    let Conditions { service, from, tty, key, familiar, since, until, .. } = &rule.conditions;
    let says_keys = |name: &String| key_services.iter().any(|known| *known == *name);
    let only_sshd = (!service.is_empty() && service.iter().all(|name| name == "sshd"))
        || (key.is_some() && service.is_empty() && key_services.iter().all(|name| name == "sshd"));
    // Relies on the absence of a PAM item: `su` without a terminal has neither a remote host nor a tty, from
    // anywhere.
    let at_console = is_at_console(tty);
    let anywhere = from.is_empty() && rule.conditions.can_hold_at_sshd();
    [
        (since.zip(*until).is_some_and(|(since, until)| since >= until), "`since` is after `until`"),
        (
            rule.outcome == Outcome::Skip && from.contains(&Origin::Local) && !at_console,
            "\"skip\" with \"local\" in `from` needs a console, such as tty = [\"tty*\"]: \
             a login without a remote host may come from anywhere. Networks go into a rule of their own",
        ),
        (
            rule.outcome == Outcome::Skip && *familiar == Some(true) && *key != Some(true),
            "\"skip\" at a familiar place needs `key = true`: others share a network, and may have the password",
        ),
        (
            rule.effects.remember.is_some()
                && *key != Some(true)
                && (anywhere || from.iter().any(Origin::is_wide)),
            "`remember` without `key = true` does not go with \"remote\", a network wider than /16 (IPv6: /32), or sshd \
             without `from`: many share an address there",
        ),
        (
            *key == Some(true) && from.contains(&Origin::Local),
            "only sshd says anything of keys, and sshd's logins are remote",
        ),
        (
            key.is_some() && key_services.is_empty(),
            "no service says anything of keys, because enroll.key_services is empty",
        ),
        (
            only_sshd && !rule.conditions.can_hold_at_sshd(),
            "sshd names no caller, `ssh` as the terminal, and a remote host, so it never holds",
        ),
        (
            key.is_some() && !service.is_empty() && !service.iter().any(says_keys),
            "none of these services says anything of keys; only those in enroll.key_services do",
        ),
    ]
    .into_iter()
    .find_map(|(wrong, problem)| wrong.then_some(problem))
}

/// Whether these are terminals that no login over a network has.
fn is_at_console(tty: &[Pattern]) -> bool {
    !tty.is_empty() && tty.iter().all(|pattern| pattern.console().is_some())
}

/// Valid rules that an admin should reconsider.
pub(super) fn warnings(rule: &Rule) -> Vec<(String, String)> {
    let Conditions { from, tty, key, hardware_key, service, group, .. } = &rule.conditions;
    let mut found = Vec::new();
    let may_be_nothing = if *key == Some(true) {
        ""
    } else {
        "; if nothing else asks for a key or a password, it lets in on nothing"
    };
    let mut warn = |text: String| found.push((rule.name.clone(), text));
    if rule.outcome == Outcome::Skip {
        let anywhere = |origin: &Origin| *origin == Origin::Remote || origin.to_string().ends_with("/0");
        if (from.is_empty() || from.iter().any(anywhere)) && !is_at_console(tty) && *key != Some(true) {
            warn("\"skip\" without `from`, `key` or a console in `tty`: a password alone is enough, from anywhere".into());
        }
        if *hardware_key {
            warn(
                "sshd must go on to ask PAM: AuthenticationMethods publickey,keyboard-interactive. A software key that \
                 claims to be one of a security key can't be told from it without attestation"
                    .into(),
            );
        } else if rule.conditions.can_hold_at_sshd() {
            warn(format!(
                "at sshd, clients without a terminal (sftp -b) get past it only by the block that `qrtotp config sshd` \
                 prints{may_be_nothing}"
            ));
        }
    }
    // PAM gets no remote host of these, so their logins are told apart by terminal and session.
    let is_remote = |service: &String| !["su", "su-l", "sudo", "sudo-i", "login"].contains(&service.as_str());
    let shared = rule.conditions.can_hold_at_sshd() || service.iter().any(is_remote);
    if rule.effects.remember.is_some() && *key != Some(true) && shared {
        warn(
            "`remember` without `key = true`: anyone with the password is not asked at the same address, such as behind \
             the same router"
                .into(),
        );
    }
    if !group.is_empty() && rule.outcome > Outcome::Code {
        warn(format!(
            "if the user database gives too few groups, what follows decides, not \"{}\"; put the laxer case into the rule",
            rule.outcome.as_str()
        ));
    }
    if !from.is_empty() && !from.contains(&Origin::Local) && service.iter().any(|service| service != "sshd") {
        warn("few services but sshd give PAM the remote host; look at `rhost=` in their log lines".into());
    }
    found
}

impl Conditions {
    /// Whether an sshd login can satisfy them. sshd names `ssh` as the terminal and the remote host, and no
    /// caller.
    #[must_use]
    pub fn can_hold_at_sshd(&self) -> bool {
        let Self { service, tty, by, from, .. } = self;
        let matches = |pattern: &Pattern| {
            if pattern.open { "ssh".starts_with(&pattern.text) } else { pattern.text == "ssh" }
        };
        (service.is_empty() || service.iter().any(|service| service == "sshd"))
            && (tty.is_empty() || tty.iter().any(matches))
            && by.is_empty()
            && (from.is_empty() || from.iter().any(|origin| *origin != Origin::Local))
    }

    /// Whether they hold whenever those of `later` do.
    #[must_use]
    pub fn include(&self, later: &Self) -> bool {
        fn any<T>(earlier: &[T], later: &[T], includes: impl Fn(&T, &T) -> bool) -> bool {
            earlier.is_empty()
                || (!later.is_empty()
                    && later.iter().all(|one| earlier.iter().any(|known| includes(known, one))))
        }
        let pattern = |known: &Pattern, one: &Pattern| {
            if known.open { one.text.starts_with(&known.text) } else { known == one }
        };
        let terminal = |known: &Pattern, one: &Pattern| {
            known == one || (pattern(known, one) && (!known.is_any_console() || one.is_console()))
        };
        let origin = |known: &Origin, one: &Origin| match (known, one) {
            (Origin::Remote, Origin::Network(_)) => true,
            (Origin::Network(known), Origin::Network(one)) => known.includes(*one),
            (known, one) => known == one,
        };
        let everywhere = self.from.contains(&Origin::Local) && self.from.contains(&Origin::Remote);
        any(&self.service, &later.service, String::eq)
            && any(&self.tty, &later.tty, terminal)
            && any(&self.by, &later.by, String::eq)
            && (self.key.is_none() || self.key == later.key)
            && (!self.hardware_key || later.hardware_key)
            && (self.familiar.is_none() || self.familiar == later.familiar)
            && (everywhere || any(&self.from, &later.from, origin))
            && self.since.is_none_or(|since| later.since.is_some_and(|later| since <= later))
            && self.until.is_none_or(|until| later.until.is_some_and(|later| until >= later))
            && any(&self.user, &later.user, pattern)
            && any(&self.group, &later.group, Group::eq)
            && Hours::include(&self.hours, &later.hours)
    }
}
