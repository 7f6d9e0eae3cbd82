//! `qrtotp setup` without services, on a terminal: asks for what the options say otherwise. Enter takes the
//! answer in brackets.

use super::plan::SERVICES;
use crate::cli::{Enrol, Setup, With};
use crate::cmd::doctor::{Primary, Service, Sshd};
use crate::error::Failure;
use crate::terminal::Terminal;
use clap::ValueEnum;
use pam_stack::Tree;
use qrtotp_flow::{Dialog, Echo};
use std::io::IsTerminal;

/// The options that the answers stand for.
///
/// # Errors
/// There is no terminal, or no answer.
pub fn ask(args: &Setup, tree: &Tree) -> Result<Setup, Failure> {
    if args.json || args.apply || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::Error("which services? Name them, as in: qrtotp setup sshd sudo".into()));
    }
    let mut guide = Guide(Terminal::plain()?);
    let mut found = args.clone();
    found.services = guide.services(tree)?;
    if found.with.is_none() && found.services.iter().any(|service| service == "sshd") {
        guide.0.show_text("\nWhat does sshd ask for besides the code? password, key, or either.");
        let today = Sshd::ask().factor().unwrap_or(With::Either);
        found.with = Some(guide.choice("Factor", today)?);
    }
    if found.first_login.is_none() {
        guide.0.show_text(
            "\nWhat may an account without a device do at a login: nothing (deny), enrol with a token from you (token),\n\
             or just enrol (enroll)?",
        );
        found.first_login = Some(guide.choice("First login", Enrol::Deny)?);
    }
    if found.exempt.is_empty() {
        guide.0.show_text(
            "\nWho is never asked for a code, such as the user of Ansible or of backups? Users, and groups as @GROUP.",
        );
        found.exempt = guide.words("Exempt", &[])?;
    }
    guide.0.show_text(&format!("\nWithout questions: {}\n", command(&found)));
    Ok(found)
}

/// Whether the changes that were shown are to be made.
///
/// # Errors
/// No answer.
pub fn agrees() -> Result<bool, Failure> {
    let answer = Guide(Terminal::plain()?).answer("Make these changes? [y/N] ")?;
    Ok(["y", "yes"].contains(&answer.to_ascii_lowercase().as_str()))
}

/// The command with the same meaning.
fn command(args: &Setup) -> String {
    let mut words = vec!["qrtotp setup".to_owned()];
    words.extend(args.services.iter().cloned());
    words.extend(args.with.map(|with| format!("--with {}", word(with))));
    words.extend(args.first_login.map(|enrol| format!("--first-login {}", word(enrol))));
    words.extend((!args.exempt.is_empty()).then(|| format!("--exempt {}", args.exempt.join(","))));
    words.push("--apply".into());
    words.join(" ")
}

fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

struct Guide(Terminal);

impl Guide {
    fn answer(&mut self, question: &str) -> Result<String, Failure> {
        let typed = self.0.ask_text(question, Echo::On);
        let typed = typed.map_err(|_| Failure::Refused("no answer was given; nothing was changed".into()))?;
        Ok(String::from_utf8_lossy(&typed).trim().to_owned())
    }

    fn words(&mut self, what: &str, default: &[&str]) -> Result<Vec<String>, Failure> {
        let shown = if default.is_empty() { "nobody".to_owned() } else { default.join(" ") };
        let answer = self.answer(&format!("{what} [{shown}]: "))?;
        if answer.is_empty() || answer == shown {
            return Ok(default.iter().map(|word| (*word).to_owned()).collect());
        }
        Ok(answer.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// Those of this host; until all that are named are.
    fn services(&mut self, tree: &Tree) -> Result<Vec<String>, Failure> {
        let here = |name: &str| tree.file(name).is_some();
        let asks = |name: &str| Service::read(tree, name, Primary::Unknown).asks();
        let open: Vec<&str> = SERVICES.into_iter().filter(|name| here(name) && !asks(name)).collect();
        let all: Vec<&str> = SERVICES.into_iter().filter(|name| here(name)).collect();
        self.0.show_text("Which services are to ask for codes? sudo includes sudo-i, and su includes su-l.");
        loop {
            let named = self.words("Services", if open.is_empty() { &all } else { &open })?;
            match named.iter().find(|name| !here(name)) {
                None if !named.is_empty() => return Ok(named),
                None => {}
                Some(name) => self.0.show_text(&format!("This host has no file /etc/pam.d/{name}.")),
            }
        }
    }

    /// Asks until the answer is one of the values.
    fn choice<T: ValueEnum + Copy>(&mut self, what: &str, default: T) -> Result<T, Failure> {
        loop {
            let answer = self.answer(&format!("{what} [{}]: ", word(default)))?;
            if answer.is_empty() {
                return Ok(default);
            }
            match T::from_str(&answer, true) {
                Ok(value) => return Ok(value),
                Err(_) => {
                    let all: Vec<String> = T::value_variants().iter().map(|value| word(*value)).collect();
                    self.0.show_text(&format!("One of: {}.", all.join(", ")));
                }
            }
        }
    }
}
