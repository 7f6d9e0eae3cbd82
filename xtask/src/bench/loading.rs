//! The share of a login's time that a module takes by its presence: libpam loads and unloads it, whether it
//! runs or not.

use anyhow::{Result, ensure};
use qrtotp_tests::host::PAM_SUCCESS;

use super::{
    candidate::{CANDIDATES, GOOGLE, HONEST, OURS, PERMIT},
    host::{Attempt, Host, person},
    report::{Report, Table, number},
    shuffled,
    timing::Times,
};

/// A service whose password part is pam_permit's alone, and the module that is loaded beside it.
const SERVICES: [(&str, Option<&str>); 4] = [
    (PERMIT, None),
    ("loads-floor", Some(HONEST)),
    ("loads-google", Some(GOOGLE)),
    ("loads-ours", Some(OURS)),
];

pub fn measure(host: &Host, rounds: usize, report: &mut Report) -> Result<()> {
    for (service, loaded) in SERVICES {
        let module = CANDIDATES.iter().find(|candidate| Some(candidate.name) == loaded);
        if let Some(candidate) = module {
            let lines = format!("auth required pam_permit.so\nsession required {}\n", candidate.module);
            host.sandbox.overwrite(&format!("/etc/pam.d/{service}"), &lines);
        }
    }
    let tick = host.tick();
    let mut plan: Vec<Attempt> = Vec::new();
    for _ in 0..rounds {
        for (service, _) in shuffled(SERVICES) {
            plan.push(tick.accepted(service, &person(0)));
        }
    }
    let outcomes = host.run(&plan, 0, &[])?.outcomes;
    ensure!(outcomes.iter().all(|outcome| outcome.code == PAM_SUCCESS), "pam_permit refuses somebody");
    let p50 = |service: &str| {
        let those = plan.iter().zip(&outcomes).filter(|(attempt, _)| attempt.service == service);
        Times::of(those.map(|(_, outcome)| outcome.nanoseconds)).p50()
    };
    let without = p50(PERMIT);
    let row = |(service, loaded): (&str, Option<&str>)| {
        let cells = [p50(service), p50(service) - without].map(number);
        std::iter::once(loaded.unwrap_or("nothing").to_owned()).chain(cells).collect()
    };
    report.tables.push(Table {
        title: "A login with pam_permit, in which a module is loaded and not asked, µs",
        head: vec!["loaded", "p50", "more than without"],
        rows: SERVICES.into_iter().map(row).collect(),
    });
    report.notes.push(format!("Loaded and not asked: {rounds} logins of each, in an order of chance."));
    Ok(())
}
