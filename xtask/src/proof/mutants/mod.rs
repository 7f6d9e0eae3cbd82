//! Every small change to deciding code must make a test fail: cargo-mutants, file by file, on a copy of the
//! sources. Surviving changes are explained in explained.txt, or fail the proof. target/mutants keeps the
//! results, so an interrupted run continues, and an unchanged file takes seconds.

mod explained;
mod tried;

use anyhow::Result;

use self::{
    explained::Explained,
    tried::{Tests, Tree, Tried},
};
use super::Findings;
use crate::step::say;

/// The files to mutate, as CRATE/FILE of crates/CRATE/src, the most decisive first. Left out, because they
/// let no user in: colours and logo (policy/brand.rs).
const FILES: &[&str] = &[
    // The watermark, and all that raises it: confirming a device, and use elsewhere.
    "account/state.rs",
    "flow/enroll/commit.rs",
    "flow/reimport.rs",
    // Limits on guessing.
    "account/throttle.rs",
    "flow/primary.rs",
    "store/primary.rs",
    // Verification.
    "otp/verify.rs",
    "otp/code.rs",
    "otp/params.rs",
    "otp/secret.rs",
    "otp/base32.rs",
    "flow/verify.rs",
    "flow/verify_pair.rs",
    "flow/verification.rs",
    "flow/login.rs",
    "flow/login/ending.rs",
    "flow/login/enrolment.rs",
    "flow/login/forward_pass.rs",
    "flow/login/rules.rs",
    "flow/login/unasked.rs",
    "flow/login/verify.rs",
    "flow/answer.rs",
    "flow/resync.rs",
    "flow/refusal.rs",
    "flow/enroll/draft.rs",
    "account/recovery.rs",
    "account/human_code.rs",
    // Tokens.
    "account/token.rs",
    "account/binding.rs",
    "flow/enroll/mod.rs",
    "flow/enroll/activate.rs",
    "flow/enroll/authorize.rs",
    "flow/enroll/first_code.rs",
    "flow/enroll/token_code.rs",
    // Seal and watermark on disk.
    "store/seal.rs",
    "store/slot.rs",
    "store/record.rs",
    "store/file.rs",
    "store/update.rs",
    // Policy.
    "policy/proof_service.rs",
    "policy/check.rs",
    "policy/config.rs",
    "policy/read.rs",
    "policy/config_file.rs",
    "values/duration.rs",
    "values/date.rs",
    "flow/args.rs",
    "flow/first_login.rs",
];

/// A change that lets a code in twice, which no test of another module can notice.
const PLANTED: (&str, &str) = ("account/state.rs", "replace > with >= in State::is_fresh");

const HEAD: &str = "\
| file | changes that compile | noticed | explained | survive | do not compile |
|---|---|---|---|---|---|
";

/// # Errors
/// cargo-mutants can't be installed or run.
pub fn run() -> Result<Findings> {
    let tree = Tree::copy()?;
    let explained = Explained::read()?;
    tree.unchanged()?;
    let mut found = Findings { text: HEAD.into(), failures: Vec::new() };
    planted(&tree, &explained, &mut found)?;
    let mut sums = [0; 5];
    for file in FILES {
        let counts = add(file, &tree.mutate(file)?, &explained, &mut found);
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    found.text.push_str(&row("together", sums));
    Ok(found)
}

/// Adds a file's row, and its survivors without an explanation.
fn add(file: &str, tried: &Tried, explained: &Explained, found: &mut Findings) -> [usize; 5] {
    let (unexplained, stale) = explained.compare(file, &tried.survivors);
    let counts = [
        tried.noticed + tried.survivors.len(),
        tried.noticed,
        tried.survivors.len() - unexplained.len(),
        unexplained.len(),
        tried.unviable,
    ];
    let row = row(file, counts);
    say(row.trim());
    found.text.push_str(&row);
    found.failures.extend(unexplained.iter().map(|name| format!("{file}: no test notices: {name}")));
    found.failures.extend(stale.iter().map(|name| format!("{file}: explained, but noticed: {name}")));
    counts
}

fn row(name: &str, counts: [usize; 5]) -> String {
    format!("| {name} |{} |\n", counts.map(|count| format!(" {count}")).join(" |"))
}

/// Checks that a change is reported if its tests are left out.
fn planted(tree: &Tree, explained: &Explained, found: &mut Findings) -> Result<()> {
    let (file, name) = PLANTED;
    let Tried { survivors, noticed, .. } = tree.mutate_one(file, name, Tests::OtherModule)?;
    let (unexplained, _) = explained.compare(file, &survivors);
    if noticed > 0 || unexplained != [name] {
        found.failures.push("a change that no test was there to notice was not reported".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_without_a_reason_is_a_failure_and_counted() {
        let tried = Tried { noticed: 3, unviable: 2, survivors: vec!["replace a with b".into()] };
        let mut found = Findings::default();
        assert_eq!(add("a.rs", &tried, &Explained::default(), &mut found), [4, 3, 0, 1, 2]);
        assert_eq!(found.failures, ["a.rs: no test notices: replace a with b"]);
        assert_eq!(found.text, "| a.rs | 4 | 3 | 0 | 1 | 2 |\n");
    }

    #[test]
    fn the_files_that_are_mutated_are_there() {
        for file in FILES {
            let path = crate::build::workspace().join(tried::source(file));
            assert!(path.exists(), "{}", path.display());
        }
    }
}
