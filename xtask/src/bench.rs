//! `cargo xtask bench`: what one login costs, of ours and of a peer, in the same run.
//!
//! A login is pam_start … pam_end with the module loaded each time, as sshd and sudo do. Eleven logins minus
//! one, divided by ten, leave the application's own start out of the count.

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{Phone, Sandbox, State, host::SERVICE};

use crate::{
    apt, bench_count,
    bench_count::Cost,
    build,
    step::{is_root, say},
};

/// The most instructions that a login of ours may need.
const MOST_INSTRUCTIONS: u64 = 300_000;

/// Logins beyond the first, over which the cost is averaged.
const MORE: usize = 10;

struct Candidate {
    name: &'static str,
    stack: &'static str,
    enrol: fn(&Sandbox, &str) -> Phone,
}

const CANDIDATES: [Candidate; 3] = [
    Candidate { name: "pam_permit", stack: "auth required pam_permit.so\n", enrol: |_, _| Phone::random() },
    Candidate {
        name: "google-authenticator",
        stack: "auth required pam_google_authenticator.so\n",
        enrol: enrol_google_authenticator,
    },
    Candidate {
        name: "pam_qrtotp",
        stack: "auth required pam_qrtotp.so\n",
        enrol: |sandbox, user| sandbox.import_phone(user, Phone { period: 30, ..Phone::random() }),
    },
];

/// # Errors
/// When ours costs more than it may.
pub fn run() -> Result<()> {
    ensure!(is_root(), "the comparison needs root for its namespaces: run it with sudo, or as root");
    apt::need(&[apt::DEMO, apt::BENCH])?;
    let artefacts = build::release()?;
    let sandbox = Sandbox::with_artefacts(State::Ext4("32m"), &artefacts.module, &artefacts.command);
    // libpam reads this file in every login, whatever the service; Debian's loads five more modules.
    sandbox.pam("other", "");
    // Everybody is there before the first measurement, and the same people for each candidate: looking somebody up in
    // /etc/passwd costs a thousand instructions per line before theirs.
    let people: Vec<String> = (0..2 * (MORE + 2)).map(|number| format!("person{number}")).collect();
    for person in &people {
        sandbox.add_user(person);
    }
    let mut costs = Vec::new();
    for candidate in &CANDIDATES {
        say(&format!("measuring {}", candidate.name));
        costs.push((candidate.name, measure(&sandbox, candidate, &people).context(candidate.name)?));
    }
    print_table(&costs);
    let ours = &costs[2].1;
    ensure!(ours.instructions <= MOST_INSTRUCTIONS, "more than {MOST_INSTRUCTIONS} instructions per login");
    ensure!(ours.calls("fdatasync") <= 1.0, "more than one fdatasync per login");
    for call in ["fsync", "sync_file_range", "rename", "renameat", "renameat2"] {
        ensure!(ours.calls(call) == 0.0, "a login calls {call}");
    }
    Ok(())
}

fn measure(sandbox: &Sandbox, candidate: &Candidate, people: &[String]) -> Result<Cost> {
    sandbox.pam(SERVICE, candidate.stack);
    // A code works once, so every login of every run is an account's first.
    let mut people = people.iter().map(|user| (user.clone(), (candidate.enrol)(sandbox, user)));
    let mut group = |size: usize| people.by_ref().take(size).collect::<Vec<_>>();
    let groups = [group(1), group(MORE + 1), group(1), group(MORE + 1)];
    Phone { period: 30, ..Phone::random() }.settle(20);
    let instructions = [0, 1].map(|at| bench_count::instructions(sandbox, &groups[at]));
    let calls = [2, 3].map(|at| bench_count::calls(sandbox, &groups[at]));
    Cost::of_one(instructions, calls, MORE)
}

fn print_table(costs: &[(&str, Cost)]) {
    let peer = costs[1].1.instructions as f64;
    println!(
        "{:<22}{:>14}{:>10}{:>10}{:>11}{:>7}{:>8}",
        "per login", "instructions", "ratio", "syscalls", "fdatasync", "fsync", "rename"
    );
    for (name, cost) in costs {
        println!(
            "{name:<22}{:>14}{:>10.2}{:>10.1}{:>11.1}{:>7.1}{:>8.1}",
            cost.instructions,
            cost.instructions as f64 / peer,
            cost.all_calls(),
            cost.calls("fdatasync"),
            cost.calls("fsync"),
            cost.calls("rename") + cost.calls("renameat") + cost.calls("renameat2"),
        );
    }
}

/// As its own set-up writes it when the user wants codes to work once.
fn enrol_google_authenticator(sandbox: &Sandbox, user: &str) -> Phone {
    let phone = Phone { period: 30, ..Phone::random() };
    let file = format!("/home/{user}/.google_authenticator");
    sandbox.overwrite(&file, &format!("{}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n", phone.key));
    sandbox.run(&["chown", user, &file]).success();
    sandbox.run(&["chmod", "400", &file]).success();
    phone
}
