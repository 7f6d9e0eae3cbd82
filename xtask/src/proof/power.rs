//! The power is cut right after an action reported success: nothing that was reported may be gone.

use std::{fmt::Write, sync::Mutex, thread};

use anyhow::Result;
use qrtotp_tests::{
    Phone, Sandbox, State,
    actions::{ACTIONS, Action, Host},
    host::{PAM_SUCCESS, SERVICE},
    power::SWALLOWED,
};

use super::Findings;
use crate::{apt, build};

/// Power cuts of each action.
const ROUNDS: usize = 100;
/// The same with syncs that do nothing, and of the peers.
const PLANTED: usize = 5;
const PEERS: usize = 20;
const DISK: State = State::Ext4("32m");
/// The peer's secret: on the disk whose power is cut.
const SECRET: &str = "/var/lib/qrtotp/alice";

/// The first violation of each round that had one.
struct Outcome {
    action: &'static Action,
    wrong: Vec<String>,
    planted: usize,
}

/// # Errors
/// Something can't be built or installed.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    build::release()?;
    let outcomes = Mutex::new(Vec::new());
    let jobs = Mutex::new(ACTIONS.iter());
    let next = || jobs.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(action) = next() {
                    let outcome = cut(action);
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes.push(outcome);
                    }
                }
            });
        }
    });
    Ok(report(&outcomes.into_inner().unwrap_or_default(), google_authenticator()))
}

fn cut(action: &'static Action) -> Outcome {
    let host = Host::new(action, DISK);
    let states = host.states(|_| Vec::new());
    let rounds = |under: &[&str], rounds| {
        let wrong = (0..rounds).filter_map(|_| host.do_and_cut(under, &states).into_iter().next());
        wrong.map(|wrong| format!("{}: {wrong}", action.name)).collect::<Vec<_>>()
    };
    Outcome { action, wrong: rounds(&[], ROUNDS), planted: rounds(&SWALLOWED, PLANTED).len() }
}

/// How often it accepts a code again after a power cut, although it is configured to forbid reuse.
fn google_authenticator() -> usize {
    let sandbox = Sandbox::with_state(DISK);
    sandbox.add_user("alice");
    sandbox.pam("other", "");
    let module = format!("pam_google_authenticator.so secret={SECRET} user=root");
    sandbox.pam(SERVICE, &format!("auth required {module}\n"));
    let again = (0..PEERS).filter(|_| {
        let phone = Phone { period: 30, ..Phone::random() };
        sandbox.overwrite(SECRET, &format!("{}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n", phone.key));
        sandbox.run(&["sh", "-c", &format!("chmod 400 {SECRET} && sync -f {SECRET}")]).success();
        phone.wait_for_seconds_left(8);
        let code = phone.code();
        let first = sandbox.answer("alice", &code);
        assert_eq!(first, PAM_SUCCESS, "google-authenticator does not work: {:?}", sandbox.log.lines());
        sandbox.cut_power();
        sandbox.answer("alice", &code) == PAM_SUCCESS
    });
    again.count()
}

fn report(outcomes: &[Outcome], peer: usize) -> Findings {
    let mut found = Findings::default();
    found.text.push_str(&format!(
        "| action | power cuts | did not hold | found out of {PLANTED} with swallowed syncs |\n|---|---|---|---|\n",
    ));
    for action in &ACTIONS {
        let Some(outcome) = outcomes.iter().find(|outcome| outcome.action.name == action.name) else {
            found.failures.push(format!("{}: it was not carried out to its end; see above", action.name));
            continue;
        };
        let _ = writeln!(
            found.text,
            "| {} | {ROUNDS} | {} | {} |",
            action.name,
            outcome.wrong.len(),
            outcome.planted
        );
        found.failures.extend(outcome.wrong.iter().cloned());
        if outcome.planted == 0 {
            found.failures.push(format!("{}: swallowed syncs were not found out", action.name));
        }
    }
    let _ = writeln!(
        found.text,
        "\ngoogle-authenticator, set up to accept each code once (DISALLOW_REUSE), accepts the same code again after the power cut: {peer} of {PEERS} \
         times."
    );
    found
}
