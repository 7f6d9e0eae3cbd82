//! `cargo xtask demo | test | fuzz | bench | proof | prose | count | deb | repo`: the commands of developers
//! and CI. Every step says what it does.
//!
//! The harness reports by panicking, and so may the code built on it.
#![allow(clippy::panic)]

mod apt;
mod bench;
mod build;
#[cfg(test)]
mod circles;
mod count;
mod deb;
mod debian;
mod decoders;
mod demo;
mod demo_audit;
mod demo_auto;
mod demo_fleet;
mod demo_import;
mod demo_rules;
mod fuzz;
mod licences;
mod messages;
mod missing_tools;
#[cfg(test)]
mod newcomers;
mod oracles;
mod picture;
mod proof;
mod prose;
mod repo;
mod step;
mod supply;
mod test;
mod tool;

use std::process::ExitCode;

use demo::Show;

const HELP: &str = "\
cargo xtask test [--fast]   everything that must hold; --fast leaves out the end-to-end tests
cargo xtask demo [--auto]   a real sshd in a private namespace, for you to log in to; --auto plays the person too
cargo xtask demo --fleet    three verifiers and three login hosts: one enrolment, a dead leader, revocations, no quorum
cargo xtask demo --svg FILE   draws a first login there: the screens of a real client, one after the other
cargo xtask bench [--quick] [--json FILE] [--write] [PART…]
                            what logins cost, beside others and the least possible; --write: into docs/PERFORMANCE.md, too;
                            PART: only that; --renew: instead, the instructions that `test` compares with
cargo xtask fuzz --minutes N [TARGET]   looks for inputs that break one of fuzz/'s targets, or each in turn
cargo xtask proof [NAME…]   what takes too long for every test run, all or by name; docs/PROOF.md lists them
cargo xtask prose           lines of comments and documents that read like a translation, or are too long
cargo xtask count [DIR]     lines of product code and of unsafe blocks, per crate, of this tree or another one
cargo xtask deb [--unpacked]   the Debian packages, in target/deb, for Debian 12 and later; on a machine of another release, or with
                            --unpacked, they are built on the unpacked files of Debian 12
cargo xtask repo KEY        a signed apt repository of these packages, in target/repo; KEY: a fingerprint that gpg knows
cargo xtask licences        writes the crates' licences into debian/copyright
cargo xtask messages        writes the catalogue of messages, po/qrtotp.pot, and merges it into the translations
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["test"] => test::run(false),
        ["test", "--fast"] => test::run(true),
        ["demo"] => demo::run(Show::ByHand),
        ["demo", "--auto"] => demo::run(Show::Auto),
        ["demo", "--fleet"] => demo::run(Show::Fleet),
        ["demo", "--svg", file] => demo::run(Show::Svg(file)),
        ["bench", ref arguments @ ..] => bench::run(arguments),
        ["fuzz", "--minutes", minutes] => fuzz::run(minutes, None),
        ["fuzz", "--minutes", minutes, target] => fuzz::run(minutes, Some(target)),
        ["proof", ref names @ ..] => proof::run(names),
        ["prose"] => prose::run(),
        ["count"] => count::run(None),
        ["count", directory] => count::run(Some(directory)),
        ["deb"] => deb::package(false),
        ["deb", "--unpacked"] => deb::package(true),
        ["repo", key] => repo::make(key),
        ["licences"] => licences::write(),
        ["messages"] => messages::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n==> failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
