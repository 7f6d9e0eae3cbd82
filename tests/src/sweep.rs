//! One action with each of its system calls failing once.

use std::collections::BTreeMap;

use crate::{
    State,
    actions::{ACTIONS, Action, Host},
    faults::{Fault, Place, WATCH, calls, effects, is_logging, is_own_stream},
    invariants::States,
};

/// How many of a call's possible errors are tried at each of its places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    All,
    /// The next one at each place.
    One,
}

/// The results of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// The number of faults met, by call.
    pub tried: BTreeMap<String, u32>,
    /// The same, by effect.
    pub effects: BTreeMap<String, u32>,
    /// How many actions succeeded in spite of the fault.
    pub done: u32,
    /// Why the others were refused, according to the log.
    pub reasons: BTreeMap<String, u32>,
    /// Violations.
    pub wrong: Vec<String>,
}

impl Swept {
    /// Adds the results for another part of the same action's calls.
    pub fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.tried, other.tried),
            (&mut self.effects, other.effects),
            (&mut self.reasons, other.reasons),
        ];
        for (sum, counts) in pairs {
            for (name, count) in counts {
                *sum.entry(name).or_default() += count;
            }
        }
        self.done += other.done;
        self.wrong.extend(other.wrong);
    }
}

/// Fails each call that `wanted` names, at each place in `action` after its beginning, until none is left.
/// A PAM application's own input and output are left out.
#[must_use]
pub fn sweep(action: &'static Action, wanted: &dyn Fn(&str) -> bool, errors: Errors) -> Swept {
    let host = Host::new(action, State::Tmpfs("size=16m"));
    let states = host.states(between);
    host.restore();
    assert!(host.act(&WATCH).done, "{} does not work under strace", action.name);
    let mut swept = Swept::default();
    let ours = |line: &str| !(action.is_in_application() && is_own_stream(line));
    for (call, places) in calls(&host.sandbox, action.start, ours).iter().filter(|(call, _)| wanted(call)) {
        let all = effects(call);
        let beyond = places.last().map_or(1, |last| last.nth + 1);
        let beyond = (beyond..).map(|nth| Place { nth, libpams: false });
        for (index, effect) in all.iter().enumerate() {
            // If not all errors are tried, only another error shows whether there are more places.
            let here = |place: &Place| errors == Errors::All || place.nth as usize % all.len() == index;
            for Place { nth, libpams } in places.iter().copied().chain(beyond.clone()).filter(here) {
                let fault = Fault { call: call.clone(), nth, effect };
                if !one(&host, &states, &fault, libpams, &mut swept) {
                    break;
                }
            }
        }
    }
    swept
}

/// The violations found in a login whose `pwrite64` writes nothing and claims success. There must be some;
/// otherwise a result without violations means nothing.
#[must_use]
pub fn false_write() -> Vec<String> {
    let host = Host::new(&ACTIONS[0], State::Tmpfs("size=16m"));
    let states = host.states(|_| Vec::new());
    host.restore();
    let fault = Fault { call: "pwrite64".to_owned(), nth: 1, effect: "retval=88" };
    let injector = fault.injector(&host.sandbox);
    let report = host.act(&injector.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(Fault::hit(&host.sandbox).is_some() && report.done, "{report:?}");
    host.violations(&report, &states)
}

/// A guess at a recovery code is first counted, then checked.
fn between(old: &str) -> Vec<String> {
    let Some((head, tail)) = old.split_once("\"recovery_lock\"") else { return Vec::new() };
    vec![format!("{head}\"recovery_lock\"{}", tail.replacen("\"failures\": 0", "\"failures\": 1", 1))]
}

/// Runs the action with this fault, in libpam or in our code. False: the fault was not met.
fn one(host: &Host, states: &States, fault: &Fault, libpams: bool, swept: &mut Swept) -> bool {
    host.restore();
    let seen = host.sandbox.log.lines().len();
    let injector = fault.injector(&host.sandbox);
    let report = host.act(&injector.iter().map(String::as_str).collect::<Vec<_>>());
    let Some(hit) = Fault::hit(&host.sandbox) else { return false };
    if host.action.is_in_application() && is_own_stream(&hit) {
        return false;
    }
    // The caller decides where its input ends: a URI that is cut short is another URI. And one byte has no
    // half.
    if (hit.starts_with("read(0,") && fault.effect == "retval=0") || hit.contains(" 1 of 1 bytes") {
        return true;
    }
    *swept.tried.entry(fault.call.clone()).or_default() += 1;
    *swept.effects.entry(fault.effect.to_owned()).or_default() += 1;
    let mut wrong = Vec::new();
    if report.done {
        swept.done += 1;
    } else if libpams {
        *swept.reasons.entry("(in libpam)".to_owned()).or_default() += 1;
    } else if !is_logging(&hit) {
        match host.reason(seen, &report) {
            Some(reason) => *swept.reasons.entry(reason).or_default() += 1,
            None => wrong.push(format!("nothing says what failed: {}", report.shown)),
        }
    }
    wrong.extend(host.violations(&report, states));
    let action = host.action.name;
    swept.wrong.extend(wrong.into_iter().map(|wrong| format!("{action}: {fault:?}: {hit}: {wrong}")));
    true
}
