//! Every small change to the code that decides must make a test fail: cargo-mutants, file by file, on a copy of the sources.
//! What survives is explained in explained.txt, or fails the proof.

mod explained;
mod tried;

use std::fmt::Write;

use anyhow::Result;

use self::{
    explained::Explained,
    tried::{Tests, Tree, Tried},
};
use super::Findings;
use crate::step::say;

/// What is mutated, below qrtotp-core/src/.
const FILES: [(&str, &[&str]); 6] = [
    ("throttle", &["account/throttle.rs"]),
    ("watermark", &["account/state.rs"]),
    (
        "token",
        &["account/token.rs", "account/binding.rs", "flow/enroll/permit.rs", "flow/enroll/token_code.rs"],
    ),
    (
        "verification",
        &[
            "otp/verify.rs",
            "otp/code.rs",
            "otp/params.rs",
            "otp/secret.rs",
            "otp/base32.rs",
            "flow/judge.rs",
            "flow/given.rs",
            "flow/login.rs",
            "flow/resync.rs",
            "flow/refusal.rs",
            "account/recovery.rs",
        ],
    ),
    ("seal", &["store/seal.rs"]),
    (
        "policy",
        &[
            "policy/stack.rs",
            "policy/pam_file.rs",
            "policy/control.rs",
            "policy/evidence.rs",
            "policy/config.rs",
            "policy/read.rs",
            "policy/source.rs",
            "policy/span.rs",
            "policy/check.rs",
            "policy/date.rs",
        ],
    ),
];

/// A change that lets a code in twice, which no test of another module can notice.
const PLANTED: (&str, &str) = ("account/state.rs", "replace > with >= in State::is_fresh");

/// # Errors
/// cargo-mutants can't be had or run.
pub fn run() -> Result<Findings> {
    let tree = Tree::copy()?;
    let explained = Explained::read()?;
    let mut found = Findings::default();
    found.text.push_str(
        "cargo-mutants changes one thing at a time in a copy of the sources, and the core's unit tests must notice it. Without those that do \
         not compile.\n\"explained\": why no test can notice it is in xtask/src/proof/mutants/explained.txt. What was noticed once is not \
         tried again until its\nfile is changed before it; a test that ends nowhere notices, too.\n\n\
         | code | file | changes | noticed | explained | survive |\n|---|---|---|---|---|---|\n",
    );
    let mut sums = [0; 4];
    for (what, files) in FILES {
        for file in files {
            let tried = tree.mutate(file)?;
            let (unexplained, stale) = explained.compare(file, &tried.survivors);
            let noticed = tried.noticed;
            let reasons = tried.survivors.len() - unexplained.len();
            let all = noticed + tried.survivors.len();
            writeln!(
                found.text,
                "| {what} | {file} | {all} | {noticed} | {reasons} | {} |",
                unexplained.len()
            )?;
            for (sum, count) in sums.iter_mut().zip([all, noticed, reasons, unexplained.len()]) {
                *sum += count;
            }
            say(&format!("{file}: {noticed} of {all} noticed, {reasons} explained"));
            found.failures.extend(unexplained.iter().map(|name| format!("{file}: no test notices: {name}")));
            found.failures.extend(stale.iter().map(|name| format!("{file}: explained, but noticed: {name}")));
        }
    }
    let [all, noticed, reasons, survive] = sums;
    writeln!(found.text, "| together | | {all} | {noticed} | {reasons} | {survive} |")?;
    planted(&tree, &explained, &mut found)?;
    Ok(found)
}

/// A change whose tests are left out must be reported.
fn planted(tree: &Tree, explained: &Explained, found: &mut Findings) -> Result<()> {
    let (file, name) = PLANTED;
    let Tried { survivors, noticed } = tree.mutate_one(file, name, Tests::OtherModule)?;
    let (unexplained, _) = explained.compare(file, &survivors);
    let reported = noticed == 0 && unexplained == [name];
    let said = if reported { "is reported as a survivor" } else { "IS NOT REPORTED" };
    writeln!(found.text, "\nWith the tests of its module left out, `{name}` {said}.")?;
    if !reported {
        found.failures.push("a change that no test was there to notice was not reported".into());
    }
    Ok(())
}
