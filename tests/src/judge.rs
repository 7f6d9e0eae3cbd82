//! Invariants of an account after a fault during an action.

use std::time::Duration;

use crate::{
    Phone, clock,
    deeds::{Host, USER},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};

/// The report of an action's program, and how it ended.
#[derive(Clone, Debug)]
pub struct Told {
    /// It reported success.
    pub done: bool,
    /// A disorderly end: a signal, a hang, an undocumented exit code.
    pub disorder: Option<String>,
    /// The typed code; if there is a device, it must work once at most.
    pub code: Option<String>,
    /// The device that exists if the action was done, or still exists if it was not.
    pub phone: Option<Phone>,
    pub shown: String,
}

/// The account's state at one moment: `qrtotp status --json`, without fields that differ between runs.
#[must_use]
pub fn status(host: &Host) -> Option<String> {
    let output = host.sandbox.run(&["qrtotp", "status", USER, "--json"]);
    output.status.success().then(|| output.stdout.lines().map(comparable).collect())
}

/// Masks times and ids, which differ between runs.
fn comparable(line: &str) -> String {
    let Some((name, value)) = line.split_once(": ") else { return format!("{}\n", line.trim()) };
    let value = value.trim_end_matches(',');
    let bare = value.trim_matches('"');
    let is_id = bare.len() == 8 && bare.as_bytes()[1] == b'-';
    let is_time = bare.len() >= 10 && bare.bytes().all(|byte| byte.is_ascii_digit());
    let value = if is_id {
        "ID"
    } else if is_time {
        "TIME"
    } else if name.trim() == "\"issued_by\"" && bare == "0" {
        "\"root\"" // by number, if the name can't be looked up
    } else {
        value
    };
    format!("{}: {value}\n", name.trim())
}

/// The allowed states of an account: before, after, and any that its action may leave in between.
#[derive(Clone, Debug)]
pub struct States {
    /// None: there was no store.
    pub old: Option<String>,
    pub new: String,
    pub between: Vec<String>,
}

impl States {
    /// The contradictions between the report and the present state (none: it can't be read).
    #[must_use]
    pub fn judge(&self, told: &Told, now: Option<&str>) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(disorder) = &told.disorder {
            wrong.push(format!("it ended badly: {disorder}"));
        }
        match now {
            None if told.done || self.old.is_some() => wrong.push("the account can't be read".to_owned()),
            None => {}
            Some(now) if told.done && now != self.new && !self.is_owed(now) => {
                wrong.push(format!("success was reported, but the state is\n{now}"));
            }
            Some(now) if self.is_known(now) => {}
            Some(now) => wrong.push(format!("neither old nor new, but\n{now}")),
        }
        wrong
    }

    fn is_known(&self, now: &str) -> bool {
        self.old.iter().chain([&self.new]).chain(&self.between).any(|state| state == now)
            || self.is_owed(now)
            || (self.old.is_none() && has_no_record(now))
            || self.old.as_ref().is_some_and(|old| is_shown(old, now))
    }

    /// The new state, but its recovery codes are owed: the next login hands them over.
    fn is_owed(&self, now: &str) -> bool {
        now == self.new.replace("\"recovery_codes_left\": 10", "\"recovery_codes_left\": 0")
    }
}

/// The store exists, and no account has a record.
fn has_no_record(now: &str) -> bool {
    now.contains("\"uid\": null") && now.contains("\"unenrolled\"")
}

/// Nothing is enrolled in either, and a token's QR code may have been shown in between.
fn is_shown(old: &str, now: &str) -> bool {
    let split = |state: &'_ str| {
        state.split_once("\"token\": ").map(|(rest, token)| (rest.to_owned(), token.to_owned()))
    };
    let (Some((old, _)), Some((now, token))) = (split(old), split(now)) else { return false };
    old == now && old.contains("\"unenrolled\"") && !token.contains("\"consumed\"")
}

impl Host {
    /// The states of the action, found by running it without a fault.
    #[must_use]
    pub fn states(&self, between: impl FnOnce(&str) -> Vec<String>) -> States {
        self.restore();
        let old = status(self);
        let told = self.act(&[]);
        assert!(told.done, "{} does not work: {told:?}", self.deed.name);
        let new = status(self).expect("a status");
        assert_eq!(self.aftermath(&told, &new), Vec::<String>::new(), "{}", self.deed.name);
        let between = old.as_deref().map_or_else(Vec::new, between);
        States { old, new, between }
    }

    /// The violations, found by using the account, which changes it.
    #[must_use]
    pub fn judge(&self, told: &Told, states: &States) -> Vec<String> {
        let now = status(self);
        let mut wrong = states.judge(told, now.as_deref());
        let now = now.unwrap_or_default();
        wrong.extend(self.aftermath(told, &now));
        if !told.done && now != states.new {
            wrong.extend(self.once_more(&now));
        }
        wrong
    }

    /// A code works once; the next one works if and only if there is a device.
    fn aftermath(&self, told: &Told, now: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let enrolled = now.contains("\"standing\": \"enrolled\"");
        if let Some(code) = &told.code {
            // If it was not accepted before, it may be now.
            if !told.done && enrolled {
                self.sandbox.answer(USER, code);
            }
            if self.sandbox.answer(USER, code) != PAM_AUTH_ERR {
                wrong.push("a code was accepted that had been used".to_owned());
            }
        }
        if let Some(phone) = &told.phone {
            let next = self.sandbox.answer(USER, &phone.code_of_step(phone.step() - 3));
            if enrolled && next != PAM_SUCCESS {
                wrong.push(format!("the next login does not work: {next}"));
            } else if !enrolled && next != PAM_AUTH_ERR {
                wrong.push(format!("a device that is not there let somebody in: {next}"));
            }
        }
        wrong
    }

    /// After any fault, the action can be done now.
    fn once_more(&self, now: &str) -> Vec<String> {
        // An enrolment with a token, too: if the last sync failed, the new state exists although success was
        // not reported.
        let uses_a_code = ["login", "enrolment", "use of a token"];
        let enrolled = now.contains("\"standing\": \"enrolled\"");
        if enrolled && uses_a_code.iter().any(|deed| self.deed.name.starts_with(deed)) {
            return Vec::new(); // its code is used up now
        }
        let told = self.act(&[]);
        if told.done { Vec::new() } else { vec![format!("it can't be done afterwards: {}", told.shown)] }
    }

    /// The reason of the failure in the log, or in the program's output; `None` if neither gives one within
    /// some seconds.
    #[must_use]
    pub fn reason(&self, seen: usize, told: &Told) -> Option<String> {
        let reason_of = |line: &str| {
            let words = ["result=denied", "event=enrollment_", "event=recovery_lost"];
            let refused = words.iter().any(|word| line.contains(word));
            let reason = line.split(" reason=").nth(1).filter(|_| refused && line.contains("event="))?;
            Some(reason.split_whitespace().next()?.to_owned())
        };
        let said = told.shown.lines().find(|line| line.contains("qrtotp: "));
        clock::poll(Duration::from_secs(3), || {
            let lines = self.sandbox.log.lines();
            let new = &lines[seen.min(lines.len())..];
            let libpam =
                new.iter().any(|line| line.contains("unable to dlopen") || line.contains("PAM pam_"));
            let event = new.iter().find_map(|line| reason_of(line));
            event
                .or_else(|| libpam.then(|| "(libpam's)".to_owned()))
                .or_else(|| said.map(|_| "(the command's message)".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> States {
        States { old: Some("old".into()), new: "new".into(), between: vec!["counted".into()] }
    }

    fn told(done: bool) -> Told {
        Told { done, disorder: None, code: None, phone: None, shown: String::new() }
    }

    #[test]
    fn success_with_the_old_state_half_a_state_and_no_state_are_found() {
        assert!(states().judge(&told(false), Some("old")).is_empty());
        assert!(states().judge(&told(false), Some("new")).is_empty());
        assert!(states().judge(&told(false), Some("counted")).is_empty());
        assert!(states().judge(&told(true), Some("new")).is_empty());
        for (done, now) in
            [(true, Some("old")), (true, Some("counted")), (false, Some("half")), (false, None)]
        {
            assert_eq!(states().judge(&told(done), now).len(), 1, "{done} {now:?}");
        }
        let without_store = States { old: None, ..states() };
        assert!(without_store.judge(&told(false), None).is_empty());
        assert_eq!(without_store.judge(&told(true), None).len(), 1);
        let crashed = Told { disorder: Some("signal 11".into()), ..told(false) };
        assert_eq!(states().judge(&crashed, Some("old")).len(), 1);
    }

    #[test]
    fn states_are_compared_without_their_times_and_ids() {
        assert_eq!(comparable("      \"id\": \"c-4A0KT5\","), "\"id\": ID\n");
        assert_eq!(comparable("  \"revoked\": 1795525332,"), "\"revoked\": TIME\n");
        assert_eq!(comparable("    \"failures\": 1"), "\"failures\": 1\n");
    }
}
