//! `qrtotp verify`: the flow of a login, with the code from standard input.

use crate::context::{Context, syslog};
use crate::error::{Exit, Failure};
use crate::input;
use qrtotp_flow::{Ctx, Dialog, Echo, LoginHost, NoAnswer, Options, Outcome, Typed, login};
use qrtotp_policy::{Config, FirstLogin, RuleSet};
use std::io::{IsTerminal, Write};

/// A login's dialogue on standard input. Everything it shows goes to standard error.
struct Pipe;

impl Dialog for Pipe {
    fn show_text(&mut self, text: &str) {
        let _ = writeln!(std::io::stderr(), "qrtotp: {text}");
    }

    fn ask_text(&mut self, prompt: &str, _: Echo) -> Result<Typed, NoAnswer> {
        if std::io::stdin().is_terminal() {
            let _ = write!(std::io::stderr(), "{prompt}");
        }
        input::line(std::io::stdin())
    }
}

impl LoginHost for Pipe {
    fn is_same_user(&self) -> bool {
        true // there is no application that could replace it
    }

    fn explain(&mut self, reason: &str, detail: &str) {
        let words = match reason {
            "malformed" => "that is not the form of a code",
            _ if !detail.is_empty() => detail,
            "replayed_code" => {
                "the code, or a later one, was accepted before; wait until the app shows another one"
            }
            "throttled" => {
                "wrong codes came before, so the answer was not checked; `qrtotp unlock` ends the wait"
            }
            "disabled" => "too many wrong codes; `qrtotp unlock` or a recovery code ends that",
            _ => "",
        };
        match (reason, words) {
            ("", _) => {}
            (_, "") => self.show_text(reason),
            _ => self.show_text(&format!("{reason}: {words}")),
        }
    }

    fn password(&mut self) -> Option<Typed> {
        None
    }

    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        Err(NoAnswer) // nobody is there to take one
    }

    fn withhold_password(&mut self) {}
}

pub fn run(context: &Context, user: String) -> Result<Exit, Failure> {
    let store = context.store()?;
    // Rules and first_login decide logins; here an admin wants to know whether a code is right.
    let mut config = Config { rules: RuleSet::default(), ..context.config.clone() };
    config.defaults.first_login = FirstLogin::Deny;
    let options = Options { echo_code: true, ..Options::default() };
    let mut log = syslog();
    let ctx = Ctx { config: &config, ..context.flow(&*store, &user, &mut log) };
    let outcome = login(ctx, &options, &mut Pipe);
    let (word, exit) = match outcome {
        Outcome::Accepted => ("accepted", Exit::Done),
        Outcome::Denied => ("denied", Exit::Refused),
        // The configuration requires no code, so none was looked at: that is not "accepted".
        Outcome::Ignored => ("ignored", Exit::Refused),
    };
    writeln!(std::io::stdout(), "{word}")?;
    Ok(exit)
}
