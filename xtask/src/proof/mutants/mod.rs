//! Every small change to the code that decides must make a test fail: cargo-mutants, file by file, on a copy of the sources.
//! What survives is explained in explained.txt, or fails the proof.

mod explained;
mod tried;

use anyhow::{Context, Result};

use self::{
    explained::Explained,
    tried::{Tests, Tree, Tried},
};
use super::{Findings, document};

/// What is mutated, below qrtotp-core/src/. What decides most comes first.
const FILES: &[(&str, &[&str])] = &[
    // What else raises one: the code that confirms a device, and what was used elsewhere.
    ("watermark", &["account/state.rs", "flow/enroll/keep.rs", "flow/repeat.rs"]),
    ("throttle", &["account/throttle.rs", "flow/primary.rs", "store/primary.rs"]),
    (
        "verification",
        &[
            "otp/verify.rs",
            "otp/code.rs",
            "otp/params.rs",
            "otp/secret.rs",
            "otp/base32.rs",
            "flow/judge.rs",
            "flow/login.rs",
            "flow/given.rs",
            "flow/resync.rs",
            "flow/refusal.rs",
            "flow/enroll/draft.rs",
            "flow/account_part.rs",
            "account/recovery.rs",
            "account/spoken.rs",
        ],
    ),
    (
        "token",
        &[
            "account/token.rs",
            "account/binding.rs",
            "flow/enroll/mod.rs",
            "flow/enroll/permit.rs",
            "flow/enroll/token_code.rs",
        ],
    ),
    ("seal and watermark on disk", &["store/seal.rs", "store/slot.rs", "store/record.rs", "store/file.rs"]),
    (
        "policy",
        &[
            "policy/evidence.rs",
            "policy/stack.rs",
            "policy/pam_file.rs",
            "policy/control.rs",
            "policy/primary.rs",
            "policy/check.rs",
            "policy/config.rs",
            "policy/read.rs",
            "policy/source.rs",
            "policy/span.rs",
            "policy/date.rs",
            "flow/args.rs",
            "flow/first_login.rs",
        ],
    ),
];

/// A change that lets a code in twice, which no test of another module can notice.
const PLANTED: (&str, &str) = ("account/state.rs", "replace > with >= in State::is_fresh");

const ABOUT: &str = "\
cargo-mutants changes one thing at a time in a copy of the sources, and the core's unit tests must notice it. \"explained\": why no
test can notice it is in xtask/src/proof/mutants/explained.txt. A file in which nothing survives is tried again once it has changed,
before its tests, since its row's commit; a test that ends nowhere notices, too. Written after each file: \"not tried\" is what an
interrupted run left.
Left out of policy/, for they let nobody in: brand.rs (colours and logo) and survey.rs (what qrtotp doctor tells of PAM files).

| code | file | commit | changes that compile | noticed | explained | survive | do not compile |
|---|---|---|---|---|---|---|---|
";

/// Keeps what is known after every file, for all of them take hours.
///
/// # Errors
/// cargo-mutants can't be had or run.
pub fn run() -> Result<Findings> {
    let tree = Tree::copy()?;
    let explained = Explained::read()?;
    tree.unchanged()?;
    let planted = planted(&tree, &explained)?;
    let section = document::section_of(super::MUTANTS)?;
    let mut rows = Vec::new();
    for &(what, files) in FILES {
        for &file in files {
            let tried =
                good_row(&section, file, &explained).filter(|(commit, _)| tree.is_as_in(commit, file));
            rows.push(Row { what, file, tried });
        }
    }
    for index in 0..rows.len() {
        let row = rows.get_mut(index).context("a row")?;
        if row.tried.is_none() {
            let commit =
                document::commit_of(&[tried::source(row.file)])?.unwrap_or_else(|| "with changes".into());
            row.tried = Some((commit, tree.mutate(row.file)?));
            super::keep("mutants", &report(&rows, &explained, &planted))?;
        }
    }
    Ok(report(&rows, &explained, &planted))
}

/// A file of the table.
struct Row {
    what: &'static str,
    file: &'static str,
    /// With the commit that it was tried at. None: not tried, or not to the end.
    tried: Option<(String, Tried)>,
}

/// What the section says of a file in which nothing survived that is not explained, with the commit.
fn good_row(section: &str, file: &str, explained: &Explained) -> Option<(String, Tried)> {
    let mut cells = section.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = cells.find(|cells| cells.get(2) == Some(&file))?;
    let [_, _, _, commit, _, noticed, known, "0", unviable, _] = row[..] else { return None };
    let survivors = explained.of(file);
    if known.parse() != Ok(survivors.len()) {
        return None;
    }
    let tried = Tried { noticed: noticed.parse().ok()?, unviable: unviable.parse().ok()?, survivors };
    Some((commit.to_owned(), tried))
}

fn report(rows: &[Row], explained: &Explained, planted: &Findings) -> Findings {
    let mut found = Findings { text: ABOUT.into(), failures: Vec::new() };
    let (mut sums, mut untried) = ([0; 5], Vec::new());
    for Row { what, file, tried } in rows {
        let Some((commit, tried)) = tried else {
            found.text.push_str(&format!("| {what} | {file} | – | not tried | | | | |\n"));
            untried.push(*file);
            continue;
        };
        let (unexplained, stale) = explained.compare(file, &tried.survivors);
        let counts = [
            tried.noticed + tried.survivors.len(),
            tried.noticed,
            tried.survivors.len() - unexplained.len(),
            unexplained.len(),
            tried.unviable,
        ];
        found.text.push_str(&format!("| {what} | {file} | {commit} |{} |\n", cells(counts)));
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
        found.failures.extend(unexplained.iter().map(|name| format!("{file}: no test notices: {name}")));
        found.failures.extend(stale.iter().map(|name| format!("{file}: explained, but noticed: {name}")));
    }
    let done = rows.len() - untried.len();
    if !untried.is_empty() {
        found.failures.push(format!("not tried: {}", untried.join(", ")));
    }
    found.text.push_str(&format!("| together | {done} of {} files | |{} |\n", rows.len(), cells(sums)));
    found.text.push_str(&planted.text);
    found.failures.extend_from_slice(&planted.failures);
    found
}

fn cells(counts: [usize; 5]) -> String {
    counts.map(|count| format!(" {count}")).join(" |")
}

/// A change whose tests are left out must be reported.
fn planted(tree: &Tree, explained: &Explained) -> Result<Findings> {
    let (file, name) = PLANTED;
    let Tried { survivors, noticed, .. } = tree.mutate_one(file, name, Tests::OtherModule)?;
    let (unexplained, _) = explained.compare(file, &survivors);
    let reported = noticed == 0 && unexplained == [name];
    let said = if reported { "is reported as a survivor" } else { "IS NOT REPORTED" };
    let text = format!("\nWith the tests of its module left out, `{name}` {said}.");
    let failures = if reported {
        vec![]
    } else {
        vec!["a change that no test was there to notice was not reported".into()]
    };
    Ok(Findings { text, failures })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_was_not_tried_is_a_failure_and_said_to_be_one() {
        let tried = Tried { noticed: 3, unviable: 2, survivors: Vec::new() };
        let rows = [
            Row { what: "seal", file: "a.rs", tried: Some(("abc1234".into(), tried)) },
            Row { what: "seal", file: "b.rs", tried: None },
        ];
        let found = report(&rows, &Explained::default(), &Findings::default());
        assert_eq!(found.failures, ["not tried: b.rs"]);
        assert!(found.text.contains("| seal | a.rs | abc1234 | 3 | 3 | 0 | 0 | 2 |"), "{}", found.text);
        assert!(found.text.contains("| seal | b.rs | – | not tried |"), "{}", found.text);
        assert!(found.text.contains("| together | 1 of 2 files | | 3 | 3 | 0 | 0 | 2 |"), "{}", found.text);
    }

    #[test]
    fn a_row_is_kept_if_nothing_survives_that_is_not_explained() {
        let section = "| seal | a.rs | abc1234 | 3 | 3 | 0 | 0 | 2 |\n| seal | b.rs | abc1234 | 3 | 2 | 0 | 1 | 2 |\n\
                       | seal | c.rs | – | not tried | | | | |\n| seal | d.rs | abc1234 | 3 | 2 | 1 | 0 | 2 |\n";
        let kept = |file| good_row(section, file, &Explained::default());
        let (commit, tried) = kept("a.rs").unwrap();
        assert_eq!((&*commit, tried.noticed, tried.unviable, tried.survivors.len()), ("abc1234", 3, 2, 0));
        for file in ["b.rs", "c.rs", "d.rs", "e.rs"] {
            assert!(kept(file).is_none(), "{file}");
        }
    }
}
