//! Counting: instructions by callgrind, system calls by strace.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use qrtotp_tests::{Phone, Sandbox, host::Login};

type Calls = BTreeMap<String, u64>;

/// What one login needs.
pub struct Cost {
    pub instructions: u64,
    calls: BTreeMap<String, f64>,
}

impl Cost {
    /// From a run of one login and a run with `more` further ones.
    pub fn of_one([few, many]: [u64; 2], [few_calls, many_calls]: [Calls; 2], more: usize) -> Result<Self> {
        ensure!(many > few, "eleven logins need more instructions than one: {many}, {few}");
        let of_one = |call: &String, count: u64| {
            let few = few_calls.get(call).copied().unwrap_or(0);
            (count as f64 - few as f64) / more as f64
        };
        let calls = many_calls.iter().map(|(call, count)| (call.clone(), of_one(call, *count))).collect();
        Ok(Self { instructions: (many - few) / more as u64, calls })
    }

    pub fn calls(&self, name: &str) -> f64 {
        self.calls.get(name).copied().unwrap_or(0.0)
    }

    pub fn all_calls(&self) -> f64 {
        self.calls.values().sum()
    }
}

/// One login for each of `people`, with the code that their phone shows now.
fn logins<'a>(sandbox: &'a Sandbox, people: &[(String, Phone)]) -> Login<'a> {
    let repeat = people.len().to_string();
    people
        .iter()
        .fold(sandbox.login_without_user().arguments(&["--repeat", &repeat]), |login, (user, phone)| {
            login.arguments(&["--user", user]).answer(&phone.code())
        })
}

fn check(people: &[(String, Phone)], report: &qrtotp_tests::host::Report) {
    assert_eq!(report.count(0) as usize, people.len(), "not every login succeeded: {report:?}");
}

pub fn instructions(sandbox: &Sandbox, people: &[(String, Phone)]) -> u64 {
    let valgrind =
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=/tmp/callgrind"];
    check(people, &logins(sandbox, people).under(&valgrind).run());
    let log = sandbox.read("/tmp/callgrind");
    let count = log.lines().find_map(|line| line.split_once("Collected :"));
    count.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or_else(|| panic!("callgrind says: {log}"))
}

pub fn calls(sandbox: &Sandbox, people: &[(String, Phone)]) -> Calls {
    check(people, &logins(sandbox, people).under(&["strace", "-o", "/tmp/strace"]).run());
    let mut calls = Calls::new();
    for line in sandbox.read("/tmp/strace").lines() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}
