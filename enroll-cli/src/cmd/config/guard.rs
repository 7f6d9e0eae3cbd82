//! The lock-out guard: whether those who look after this host still get in. L1: the person who applies. L2:
//! anyone who can become root. L3: the emergency accounts.

use super::login_end::{CONSOLE, ELSEWHERE, Emergency, End, GuardedHost, GuardedPerson, Login, Logins};
use super::words::time;
use later::later;
use qrtotp_policy::{Compiled, Damaged, Finding, Pattern, Rule, Severity, Unasked};
use qrtotp_values::UnixTime;

mod later;
#[cfg(test)]
mod tests;

/// Ways in which the configuration would lock somebody out, with severity danger if `apply` must refuse it.
/// `admins` can become root; the search through them ends with the first that gets in.
///
/// Without rules, logins are as on a host that has none, so only those that `before`, the configuration that
/// is applied now, does not lock out as well are found.
pub fn findings<A: Iterator<Item = GuardedPerson>>(
    compiled: &Compiled,
    before: Option<&Compiled>,
    host: &GuardedHost<'_>,
    admins: impl Fn() -> A,
    now: UnixTime,
) -> Result<Vec<Finding>, Damaged> {
    let mut found = all(compiled, host, admins(), now)?;
    if compiled.rules.is_empty() && compiled.config.defaults.unasked != Unasked::Deny {
        let Some(before) = before else { return Ok(Vec::new()) };
        let known = all(before, host, admins(), now)?;
        found.retain(|new| {
            new.severity == Severity::Danger
                && !known.iter().any(|old| old.key == new.key && old.severity == Severity::Danger)
        });
    }
    Ok(found)
}

fn all(
    compiled: &Compiled,
    host: &GuardedHost<'_>,
    admins: impl Iterator<Item = GuardedPerson>,
    now: UnixTime,
) -> Result<Vec<Finding>, Damaged> {
    let consoles = consoles(&compiled.rules);
    let logins = Logins { config: &compiled.config, host, now, consoles: &consoles, by: "" };
    let mut guard = Guard { logins, found: Vec::new() };
    let later = later(compiled, now)?;
    guard.actor()?;
    guard.admins(admins, &later)?;
    guard.emergency(&later)?;
    guard.recent()?;
    Ok(guard.found)
}

/// tty1, and the other consoles that rules name.
fn consoles(rules: &[Rule]) -> Vec<String> {
    let mut found = vec![CONSOLE.tty.to_owned()];
    for console in rules.iter().flat_map(|rule| &rule.conditions.tty).filter_map(Pattern::console) {
        if !found.contains(&console) {
            found.push(console);
        }
    }
    found
}

struct Guard<'g> {
    logins: Logins<'g>,
    found: Vec<Finding>,
}

impl Guard<'_> {
    fn refuse(&mut self, key: &'static str, reason: String) {
        self.found.push(Finding { severity: Severity::Danger, key, reason });
    }

    /// Somebody has no device: that is a reason to refuse only once anyone has one.
    fn no_device(&mut self, key: &'static str, reason: String) {
        let severity = if self.logins.host.enrolled { Severity::Danger } else { Severity::Warning };
        self.found.push(Finding { severity, key, reason });
    }

    fn actor(&mut self) -> Result<(), Damaged> {
        let Some(actor) = &self.logins.host.actor else { return Ok(()) };
        let GuardedHost { rhost, tty, .. } = self.logins.host;
        let console = if tty.starts_with("tty") || tty.starts_with("hvc") { tty } else { CONSOLE.tty };
        let mut logins = vec![match rhost.is_empty() {
            true => Login { tty: console, ..CONSOLE },
            false => Login { service: "sshd", rhost, tty: "ssh" },
        }];
        if !actor.is_root {
            logins.push(Login { service: "sudo", rhost: "", tty });
        }
        for login in logins {
            let Login { service, .. } = login;
            let from = if login.rhost.is_empty() { String::new() } else { format!(" from {rhost}") };
            let name = &actor.name;
            match self.logins.end(actor, login)? {
                End::In | End::Locked => {}
                End::Denied(rule) => self.refuse(
                    "L1",
                    format!("rule {rule} would deny you ({name}) at {service}{from}; put a rule that lets you in above it"),
                ),
                End::NoDevice => self.no_device(
                    "L1",
                    format!(
                        "you ({name}) would need a code at {service}{from}, and you have no device; run `qrtotp enroll {name}` first"
                    ),
                ),
            }
        }
        Ok(())
    }

    fn admins(
        &mut self,
        mut admins: impl Iterator<Item = GuardedPerson>,
        later: &[UnixTime],
    ) -> Result<(), Damaged> {
        let (mut lacks_device, mut locked, mut known) = (false, None, Vec::new());
        for admin in &mut admins {
            let end = self.logins.end_to_root(&admin)?;
            let name = admin.name.clone();
            known.push(admin);
            match end {
                End::In => return self.admins_later(known, admins, later),
                End::Locked => locked = Some(name),
                End::NoDevice => lacks_device = true,
                End::Denied(_) => {}
            }
        }
        if let Some(name) = locked {
            let reason = format!(
                "of those who can become root only {name} gets in, at the console, and no password opens that account; let another \
                 one in at sshd, or give it a password"
            );
            self.found.push(Finding { severity: Severity::Warning, key: "L2", reason });
        } else if lacks_device {
            let text = "nobody who can become root gets in at sshd or login, and from there on by sudo or su: those who are not denied \
                        need a code and have no device; enrol one of them first with `qrtotp enroll`";
            self.no_device("L2", text.into());
        } else {
            let text = "nobody who can become root gets in at sshd or login, and from there on by sudo or su: rules or `unasked` deny \
                        them all; put a rule that lets one of them in above those";
            self.refuse("L2", text.into());
        }
        Ok(())
    }

    /// L2 for the times at which other rules begin to hold. `known` are the first of the admins.
    fn admins_later(
        &mut self,
        mut known: Vec<GuardedPerson>,
        mut more: impl Iterator<Item = GuardedPerson>,
        later: &[UnixTime],
    ) -> Result<(), Damaged> {
        for now in later {
            let logins = Logins { now: *now, ..self.logins };
            let (mut asked, mut lacks_device, mut locked) = (0, false, None);
            loop {
                if asked == known.len() {
                    known.extend(more.next());
                }
                let Some(admin) = known.get(asked) else {
                    let begin = time(*now);
                    let text = format!(
                        "from {begin} on, nobody who can become root gets in at sshd or login, and from there on by sudo or su; put \
                         a rule that lets one of them in at that time above those that deny, or enrol one of them"
                    );
                    if let Some(name) = locked {
                        let reason = format!(
                            "from {begin} on, of those who can become root only {name} gets in, at the console, and no password opens \
                             that account; let another one in at sshd, or give it a password"
                        );
                        self.found.push(Finding { severity: Severity::Warning, key: "L2", reason });
                        return Ok(());
                    }
                    match lacks_device {
                        true => self.no_device("L2", text),
                        false => self.refuse("L2", text),
                    }
                    return Ok(());
                };
                match logins.end_to_root(admin)? {
                    End::In => break,
                    End::Locked => locked = Some(admin.name.clone()),
                    End::NoDevice => lacks_device = true,
                    End::Denied(_) => {}
                }
                asked += 1;
            }
        }
        Ok(())
    }

    fn emergency(&mut self, later: &[UnixTime]) -> Result<(), Damaged> {
        for Emergency { name, person } in &self.logins.host.emergency {
            let Some(person) = person else {
                self.refuse(
                    "L3",
                    format!(
                        "the emergency account {name} does not exist; create it, or take it out of [policy]"
                    ),
                );
                continue;
            };
            if person.is_expired {
                self.refuse(
                    "L3",
                    format!(
                        "the emergency account {name} is expired; `chage --expiredate -1 {name}` ends that"
                    ),
                );
            }
            match self.logins.end_at_console(person)? {
                _ if person.has_no_shell => self.refuse(
                    "L3",
                    format!("the emergency account {name} has a shell that ends every login; `chsh --shell /bin/bash {name}` changes that"),
                ),
                _ if person.is_locked => self.refuse(
                    "L3",
                    format!("the emergency account {name} is locked, so nobody logs in with it at the console; `passwd {name}` gives it a password"),
                ),
                End::In | End::Locked => {
                    if let Some((rule, begin)) = self.denied_later(person, later)? {
                        let text = format!(
                            "from {} on, rule {rule} would deny the emergency account {name} at the console; put a rule that lets it \
                             in above it",
                            time(begin)
                        );
                        self.refuse("L3", text);
                    }
                }
                End::Denied(rule) => self.refuse(
                    "L3",
                    format!("rule {rule} would deny the emergency account {name} at the console; put a rule that lets it in above it"),
                ),
                End::NoDevice => self.found.push(Finding {
                    severity: Severity::Warning,
                    key: "L3",
                    reason: format!("the emergency account {name} needs a code at the console and has no device"),
                }),
            }
        }
        Ok(())
    }

    /// The first of these times at which a rule denies the account at the console, and the rule.
    fn denied_later(
        &self,
        person: &GuardedPerson,
        later: &[UnixTime],
    ) -> Result<Option<(String, UnixTime)>, Damaged> {
        for now in later {
            if let End::Denied(rule) = (Logins { now: *now, ..self.logins }).end_at_console(person)? {
                return Ok(Some((rule, *now)));
            }
        }
        Ok(None)
    }

    /// L5: users of the last weeks without a device, who would be asked for a code.
    fn recent(&mut self) -> Result<(), Damaged> {
        let login = Login { service: "sshd", rhost: ELSEWHERE, tty: "ssh" };
        let mut caught = Vec::new();
        for person in &self.logins.host.recent {
            if self.logins.end(person, login)? == End::NoDevice {
                caught.push(person.name.as_str());
            }
        }
        if !caught.is_empty() {
            let (count, more) = (caught.len(), if caught.len() > 5 { " …" } else { "" });
            let names = caught[..count.min(5)].join(", ");
            let reason = format!(
                "{count} who logged in within 30 days have no device, and would need a code at sshd: {names}{more}; let them enrol there \
                 (first_login = \"enroll\"), or enrol them first"
            );
            self.found.push(Finding { severity: Severity::Warning, key: "L5", reason });
        }
        Ok(())
    }
}
