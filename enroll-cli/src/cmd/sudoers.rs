//! sudo's rules: the accounts that can become root by them, and those that sudo asks for nothing.
//! cvtsudoers(1) reads them as sudo does. Where it is missing (sudo-rs), our own reader knows neither aliases
//! nor included directories but sudoers.d.

use crate::program::output;
use serde_json::Value;
use std::fs;
use std::process::Command;

const PROGRAM: &str = "/usr/bin/cvtsudoers";
const FILE: &str = "/etc/sudoers";
/// Taken for sudo's if its rules can't be read.
const USUAL: &str = "%sudo ALL=(ALL) ALL\n%wheel ALL=(ALL) ALL\n%admin ALL=(ALL) ALL\n";

/// A rule for one user or group.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    /// As in sudoers(5): `name`, `#uid`, `%group`, `%#gid`.
    who: String,
    /// As root.
    root: bool,
    asks: bool,
    commands: Vec<String>,
}

impl Rule {
    fn all(&self) -> bool {
        self.commands.iter().any(|command| command == "ALL")
    }
}

/// sudo's rules, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sudoers {
    rules: Vec<Rule>,
    /// What `Defaults` lets in without a question.
    unasked: Vec<String>,
    /// PAM services that sudo uses instead of its own.
    pub services: Vec<String>,
}

impl Sudoers {
    pub fn read() -> Self {
        let mut program = Command::new(PROGRAM);
        program.args(["-e", "-f", "json", FILE]);
        let json = output(program).ok().and_then(|text| serde_json::from_str(&text).ok());
        json.map_or_else(|| Self::of_text(&text()), |json| Self::of_json(&json))
    }

    fn of_json(json: &Value) -> Self {
        let mut found = Self::default();
        for default in list(&json["Defaults"]) {
            let to = list(&default["Binding"]).iter().filter_map(label).collect::<Vec<_>>().join(", ");
            for option in list(&default["Options"]) {
                let value = |name: &str| option[name].as_str();
                if option["authenticate"] == false {
                    found.unasked.push(if to.is_empty() { "all (!authenticate)".into() } else { to.clone() });
                }
                found.unasked.extend(value("exempt_group").map(|group| format!("%{group} (exempt_group)")));
                let services = ["pam_service", "pam_login_service"].into_iter().filter_map(value);
                found.services.extend(services.map(str::to_owned));
            }
        }
        for specification in list(&json["User_Specs"]) {
            for part in list(&specification["Cmnd_Specs"]) {
                let words = |key: &str| list(&part[key]).iter().filter_map(label).collect::<Vec<_>>();
                let runs_as = words("runasusers");
                let root = part["runasusers"].is_null()
                    || runs_as.iter().any(|user| ["ALL", "root", "#0"].contains(&user.as_str()));
                let asks = !list(&part["Options"]).iter().any(|option| option["authenticate"] == false);
                let rule = |who| Rule { who, root, asks, commands: words("Commands") };
                let users = list(&specification["User_List"]).iter().filter_map(label);
                found.rules.extend(users.map(rule));
            }
        }
        found
    }

    pub fn of_text(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            let comment = line.starts_with('#') && !line[1..].starts_with(|c: char| c.is_ascii_digit());
            let line = line.split(" #").next().unwrap_or_default();
            let Some((who, rest)) = line.split_once(char::is_whitespace).filter(|_| !comment) else {
                continue;
            };
            if let Some(to) = who.strip_prefix("Defaults") {
                if rest.contains("!authenticate") {
                    let to = to.trim_start_matches([':', '@', '!', '>']);
                    found.unasked.push(if to.is_empty() { "all (!authenticate)" } else { to }.into());
                }
                continue;
            }
            let Some((_, rule)) = rest.split_once('=').filter(|_| !who.ends_with("_Alias")) else { continue };
            let (runs_as, commands) =
                match rule.trim().strip_prefix('(').and_then(|rule| rule.split_once(')')) {
                    Some((users, commands)) => (users, commands),
                    None => ("root", rule),
                };
            let root = runs_as.contains("ALL") || runs_as.contains("root");
            let asks = !commands.contains("NOPASSWD");
            let commands = commands.rsplit(':').next().unwrap_or_default();
            let commands = commands.split(',').map(|command| command.trim().to_owned()).collect();
            found.rules.push(Rule { who: who.to_owned(), root, asks, commands });
        }
        found
    }

    /// Users and groups that can run any command as root.
    pub fn admins(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.root && rule.all()).map(|rule| rule.who.as_str())
    }

    /// Users and groups that sudo asks for nothing, with the commands if that does not hold for all. A later
    /// rule for the same user overrides.
    pub fn unasked(&self) -> Vec<String> {
        let mut found = self.unasked.clone();
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, rule)| !rule.asks) {
            let overrides = |later: &Rule| {
                let same = later.commands == rule.commands || later.all();
                later.asks && later.who == rule.who && same
            };
            if !self.rules[at + 1..].iter().any(overrides) {
                let commands =
                    if rule.all() { String::new() } else { format!(" ({})", rule.commands.join(" ")) };
                found.push(format!("{}{commands}", rule.who));
            }
        }
        found
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A user, group or command of cvtsudoers, as in sudoers(5); `None`: negated, or of another kind.
fn label(value: &Value) -> Option<String> {
    if value["negated"] == true {
        return None;
    }
    let of = |(key, prefix)| Some(format!("{prefix}{}", value[key].as_str()?));
    let number = |(key, prefix)| Some(format!("{prefix}{}", value[key].as_u64()?));
    let named = [("username", ""), ("usergroup", "%"), ("command", "")].into_iter().find_map(of);
    named.or_else(|| [("userid", "#"), ("usergid", "%#")].into_iter().find_map(number))
}

/// The files' text. sudo ignores names with a dot, or a tilde at the end.
fn text() -> String {
    let Ok(mut text) = fs::read_to_string(FILE) else {
        // sudo is not there, or only root may read its rules.
        return if fs::exists(FILE).unwrap_or(false) { USUAL.into() } else { String::new() };
    };
    let more = fs::read_dir("/etc/sudoers.d").into_iter().flatten().flatten();
    for entry in more {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.contains('.') && !name.ends_with('~') {
            text.push('\n');
            text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What cvtsudoers prints of these lines, shortened.
    fn by_json() -> Sudoers {
        let rule = |who: &str, options: &str, command: &str| {
            format!(
                r#"{{"User_List":[{who}],"Cmnd_Specs":[{{"runasusers":[{{"username":"ALL"}}],"Options":[{options}],"Commands":[{{"command":"{command}"}}]}}]}}"#
            )
        };
        let (unasked, asked) = (r#"{"authenticate":false}"#, r#"{"authenticate":true}"#);
        let rules = [
            rule(r#"{"username":"alice"}"#, "", "ALL"),
            rule(r#"{"userid":3000}"#, unasked, "ALL"),
            rule(r#"{"usergroup":"ops"}"#, unasked, "/usr/bin/apt"),
            rule(r#"{"username":"carl"},{"username":"dan"}"#, "", "ALL"),
            rule(r#"{"username":"bob"}"#, unasked, "ALL"),
            rule(r#"{"username":"bob"}"#, asked, "ALL"),
            rule(r#"{"username":"eve","negated":true}"#, unasked, "ALL"),
        ];
        let defaults = r#"[{"Options":[{"exempt_group":"alice"}]},{"Options":[{"pam_service":"sudo-x"}]},
            {"Options":[{"pam_login_service":"login"}]},{"Binding":[{"username":"dora"}],"Options":[{"authenticate":false}]}]"#;
        let text = format!(r#"{{"Defaults":{defaults},"User_Specs":[{}]}}"#, rules.join(","));
        Sudoers::of_json(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn rules_are_taken_as_cvtsudoers_reads_them() {
        let found = by_json();
        assert_eq!(found.admins().collect::<Vec<_>>(), ["alice", "#3000", "carl", "dan", "bob", "bob"]);
        assert_eq!(found.unasked(), ["%alice (exempt_group)", "dora", "#3000", "%ops (/usr/bin/apt)"]);
        assert_eq!(found.services, ["sudo-x", "login"]);
    }

    #[test]
    fn without_cvtsudoers_the_usual_lines_are_read() {
        for (text, admins, unasked) in [
            ("alice ALL=(ALL) ALL", "alice", ""),
            ("alice ALL = (ALL) NOPASSWD : ALL", "alice", "alice"),
            ("#3000 ALL=(ALL) NOPASSWD: ALL", "#3000", "#3000"),
            ("# alice ALL=(ALL) ALL", "", ""),
            ("alice ALL=(ALL) ALL # NOPASSWD:", "alice", ""),
            ("%sudo ALL=(ALL:ALL) \\\n NOPASSWD: ALL", "%sudo", "%sudo"),
            ("%ops ALL=(root) NOPASSWD: /usr/bin/apt", "", "%ops (/usr/bin/apt)"),
            ("bob ALL=(ALL) NOPASSWD: ALL\nbob ALL=(ALL) PASSWD: ALL", "bob bob", ""),
            ("bob ALL=(www-data) ALL", "", ""),
            ("Cmnd_Alias ALL = /bin/x", "", ""),
            ("Defaults env_reset\n@includedir /etc/sudoers.d", "", ""),
        ] {
            let found = Sudoers::of_text(text);
            assert_eq!(found.admins().collect::<Vec<_>>().join(" "), admins, "{text}");
            assert_eq!(found.unasked().join(" "), unasked, "{text}");
        }
    }
}
