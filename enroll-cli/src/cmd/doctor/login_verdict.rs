//! The last line of `qrtotp doctor login`: the questions and the result of a login, by sshd's methods, the
//! auth part and the account part together.

use super::methods::{Asks, Way};
use crate::error::Exit;
use pam_stack::{Kind, ModuleFacts, PamCode, PamLine, Past, Stack, Step};
use qrtotp_policy::{Outcome, Unasked};

const NOBODY: &str = "nobody gets in by this service; `qrtotp doctor` says why.";

/// A login that is told.
pub struct Replayed<'a> {
    pub auth: &'a Stack,
    /// A run of the auth part that lets in.
    pub run: Option<&'a [Step]>,
    pub account: &'a Stack,
    pub outcome: Outcome,
    /// The effect of an account line of ours if no code was asked for.
    pub unasked: Unasked,
}

impl Replayed<'_> {
    /// `ways`: those that sshd offers; `None` for other services.
    pub fn in_short(&self, ways: Option<&[Way]>) -> (String, Exit) {
        let pam = [Way { proofs: Vec::new(), asks: Asks::Pam }];
        let ways = ways.unwrap_or(&pam);
        if ways.is_empty() {
            let text = "sshd lets nobody in; `qrtotp doctor` says why.";
            return (text.into(), Exit::Refused);
        }
        let described: Vec<(String, bool)> = ways.iter().map(|way| self.way(way)).collect();
        let exit = if described.iter().any(|(_, gets_in)| *gets_in) { Exit::Done } else { Exit::Refused };
        let texts: Vec<String> = described.into_iter().map(|(text, _)| text).collect();
        (texts.join(" Or: "), exit)
    }

    /// Its questions, and whether it lets in.
    fn way(&self, way: &Way) -> (String, bool) {
        let proofs = match way.proofs.as_slice() {
            [] => String::new(),
            proofs => format!("sshd checks {}; ", proofs.join(" and ")),
        };
        let (text, passes) = match way.asks {
            Asks::Nothing => ("PAM's auth lines are not run, so no code is asked for.".to_owned(), true),
            Asks::Password => {
                return (format!("{proofs}sshd checks the password; PAM is not asked, and no code."), true);
            }
            Asks::PamByPassword if self.comes_to_ours_for_a_code() => {
                let text = "the method `password` answers the question for the code with the password, so it lets nobody in.";
                (text.to_owned(), false)
            }
            Asks::PamByPassword | Asks::Pam => self.auth_part(),
        };
        if passes && !self.account_part_passes(way.asks != Asks::Nothing) {
            return (format!("{proofs}{text} But the account part refuses: nobody gets in."), false);
        }
        (format!("{proofs}{text}"), passes)
    }

    /// The account part asks nothing. `asked`: the auth part ran.
    fn account_part_passes(&self, asked: bool) -> bool {
        let refuses = match self.outcome {
            Outcome::Deny | Outcome::TwoCodes => true,
            Outcome::Code => self.unasked == Unasked::Deny,
            Outcome::Skip => false,
        };
        let results = |entry: &PamLine, past: Past| match entry.is_ours() && !asked && refuses {
            true => vec![PamCode::PERM_DENIED],
            false => ModuleFacts::RIGHT.of(entry, self.account.part, past),
        };
        self.account.run(results).is_some()
    }

    fn comes_to_ours_for_a_code(&self) -> bool {
        let ours = |step: &Step| self.auth.entries[step.entry].is_ours();
        let forwards = |step: &Step| {
            self.auth.entries[step.entry].arguments.iter().any(|argument| argument == "forward_pass")
        };
        let codes = matches!(self.outcome, Outcome::Code | Outcome::TwoCodes);
        codes && self.run.is_some_and(|run| run.iter().any(|step| ours(step) && !forwards(step)))
    }

    fn auth_part(&self) -> (String, bool) {
        let comes_to_ours = self.auth.entries.iter().any(PamLine::is_ours);
        let Some(run) = self.run else {
            return match self.outcome {
                Outcome::Deny if comes_to_ours => ("refused by the rule, whatever is typed.".into(), false),
                _ => (NOBODY.into(), false),
            };
        };
        let entries: Vec<&PamLine> = run.iter().map(|step| &self.auth.entries[step.entry]).collect();
        let asked = entries.iter().filter_map(|entry| match (entry.kind(), self.outcome) {
            (Kind::Password, _) => Some("the password"),
            (Kind::Ours, Outcome::Code) => Some("a code"),
            (Kind::Ours, Outcome::TwoCodes) => Some("two codes in a row"),
            (Kind::OtherCode, _) => Some("a code of another system"),
            _ => None,
        });
        let asked: Vec<&str> = asked.collect();
        let what = if asked.is_empty() {
            "PAM asks nothing".to_owned()
        } else {
            format!("PAM asks for {}", asked.join(", then "))
        };
        let ours = entries.iter().any(|entry| entry.is_ours());
        let end = match (ours, self.outcome) {
            (true, Outcome::Skip) => "no code, by the rule; then the login goes on.",
            (true, _) => "then the login goes on.",
            (false, _) => "no line of ours runs, so no code is asked for.",
        };
        (format!("{what}; {end}"), true)
    }
}
