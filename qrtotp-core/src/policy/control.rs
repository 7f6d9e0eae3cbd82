//! The control of a PAM entry: what becomes of its stack at each result of its module. As libpam reads it, as far as we
//! understand it.

use super::pam_file::Entry;

/// What becomes of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes on.
    GoesOn,
    /// It goes on behind so many of the next entries.
    LeadsOver(usize),
    /// It ends, and has succeeded unless something failed before.
    Done,
    /// It fails, at once or at its end.
    Fails,
}

/// All that may come of a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Actions {
    pub success: Vec<Action>,
    /// The module had no opinion.
    pub ignore: Vec<Action>,
    pub failure: Vec<Action>,
}

impl Action {
    fn read(word: &str) -> Option<Self> {
        match word {
            "ok" | "ignore" => Some(Self::GoesOn),
            "done" => Some(Self::Done),
            "bad" | "die" => Some(Self::Fails),
            // Not `reset`: it undoes what was before.
            _ if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                word.parse().ok().filter(|over| *over > 0).map(Self::LeadsOver)
            }
            _ => None,
        }
    }
}

impl Entry<'_> {
    /// `None`: not understood.
    pub fn actions(&self) -> Option<Actions> {
        let Some(list) = self.control.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            let (success, failure) = match self.control.to_ascii_lowercase().as_str() {
                "required" | "requisite" => (Action::GoesOn, Action::Fails),
                "sufficient" => (Action::Done, Action::GoesOn),
                "optional" => (Action::GoesOn, Action::GoesOn),
                _ => return None,
            };
            return Some(Actions {
                success: vec![success],
                ignore: vec![Action::GoesOn],
                failure: vec![failure],
            });
        };
        let mut named = Vec::new();
        for word in list.split_ascii_whitespace() {
            let (result, action) = word.split_once('=')?;
            named.push((result, Action::read(action)?));
        }
        let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<Action> {
            named.iter().filter(|(result, _)| wanted(result)).map(|(_, action)| *action).collect()
        };
        let default = of(&|result| result == "default");
        if default.is_empty() {
            return None;
        }
        let or_default = |wanted: &str| match of(&|result| result == wanted) {
            none if none.is_empty() => default.clone(),
            some => some,
        };
        let failure = of(&|result| !["success", "new_authtok_reqd", "ignore"].contains(&result));
        let success = [or_default("success"), or_default("new_authtok_reqd")].concat();
        Some(Actions { success, ignore: or_default("ignore"), failure })
    }

    /// No failure of its module is forgotten.
    pub fn fails_closed(&self) -> bool {
        self.actions().is_some_and(|actions| actions.failure.iter().all(|action| *action == Action::Fails))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::pam_file::{Line, read_line};
    use super::*;

    fn actions(control: &str) -> Option<Actions> {
        let line = format!("auth {control} pam_x.so");
        let Ok(Line::Entry(entry)) = read_line(&line) else { return None };
        entry.actions()
    }

    #[test]
    fn each_result_has_what_its_control_says() {
        use Action::{Done, Fails, GoesOn, LeadsOver};
        for (control, success, ignore, failure) in [
            ("Required", vec![GoesOn], vec![GoesOn], vec![Fails]),
            ("sufficient", vec![Done], vec![GoesOn], vec![GoesOn]),
            ("[success=done default=bad]", vec![Done, Fails], vec![Fails], vec![Fails]),
            ("[default=die]", vec![Fails, Fails], vec![Fails], vec![Fails]),
            (
                "[success=2 new_authtok_reqd=ok auth_err=1 default=ignore]",
                vec![LeadsOver(2), GoesOn],
                vec![GoesOn],
                vec![LeadsOver(1), GoesOn],
            ),
        ] {
            assert_eq!(actions(control), Some(Actions { success, ignore, failure }), "{control}");
        }
    }

    #[test]
    fn what_libpam_reads_otherwise_or_undoes_failures_is_not_understood() {
        for control in [
            "[success=ok]",
            "[default=reset]",
            "[default = reset]",
            "[success=ok default= ignore]",
            "[success=okdefault=ignore]",
            "[success=0 default=bad]",
            "[success=+1 default=bad]",
            "[default=Die]",
            "[default=ignore\\]",
            "requird",
            "include",
        ] {
            assert_eq!(actions(control), None, "{control}");
        }
    }
}
