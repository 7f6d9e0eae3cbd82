//! The figure that `cargo xtask test` watches: the instructions of one accepted login, as a multiple of
//! pam_permit's in the same run, so that it holds on other machines. Times are not watched: they depend on
//! the machine's load.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::log::Log;

use super::{
    candidate::{OURS, PERMIT},
    count::instructions_per_login,
    host::Host,
};
use crate::{
    build::{self, Artefacts},
    step::say,
};

/// The committed figure.
const FILE: &str = "xtask/bench/instructions.txt";
/// Tolerated increase: on another processor ciphers and the C library take other paths.
const TOLERANCE: f64 = 1.1;

/// Compares with the committed figure.
///
/// # Errors
/// A login has become more expensive; the message says how to renew the figure if that is intended.
pub fn check(artefacts: &Artefacts) -> Result<()> {
    let committed = fs::read_to_string(path())?;
    let committed = committed.trim().parse().with_context(|| format!("{FILE} holds no number"))?;
    let host = Host::new(artefacts)?;
    let (ratio, text) = measure(&host)?;
    say(&format!("{text}, committed: {committed:.2}"));
    compare(committed, ratio)?;
    journald(&host)?;
    rules(&host)
}

/// The instructions of a login whose line goes to journald's own socket, compared with one whose line goes to
/// syslog.
fn journald(host: &Host) -> Result<()> {
    let syslog = instructions_per_login(host, OURS)?;
    let sandbox = &host.sandbox;
    let shell = |script: &str| sandbox.run(&["sh", "-ec", script]).success();
    shell("mkdir -p /run/systemd/journal /dev/systemd/journal");
    let listener = Log::listen(&sandbox.path("/run/systemd/journal/socket"));
    shell("mv /dev/log /dev/systemd/journal/dev-log; ln -s /dev/systemd/journal/dev-log /dev/log");
    let journald = instructions_per_login(host, OURS)?;
    shell("mv /dev/systemd/journal/dev-log /dev/log");
    let text = format!("a login needs {journald} instructions with journald, {syslog} with syslog");
    say(&text);
    ensure!(listener.lines().iter().any(|line| line.contains("\nQRTOTP_EVENT=login\n")), "no line came");
    ensure!(journald as f64 <= syslog as f64 * TOLERANCE, "{text}");
    Ok(())
}

/// The instructions that rules add to a login.
fn rules(host: &Host) -> Result<()> {
    let without = instructions_per_login(host, OURS)?;
    let mut too_many = Vec::new();
    // The first rule makes the audit line longer: up to one more block of BLAKE2b, 4,000. Without rules the
    // accounts are fresh, and what is in their slots differs by up to 1,500 from one run to the next.
    for (rules, most) in [(1, 5_500), (10, 6_000), (100, 45_000)] {
        host.configure_rules(rules)?;
        let more = instructions_per_login(host, OURS)?.saturating_sub(without);
        let text = format!("{rules} rules that are tried add {more} instructions, of {most} at most");
        say(&text);
        too_many.extend((more > most).then_some(text));
    }
    ensure!(too_many.is_empty(), "{}", too_many.join("; "));
    Ok(())
}

/// Writes the figure of this tree.
///
/// # Errors
/// Measuring fails.
pub fn renew(host: &Host) -> Result<()> {
    let (ratio, text) = measure(host)?;
    say(&text);
    fs::write(path(), format!("{ratio:.2}\n"))?;
    journald(host)?;
    rules(host)
}

fn path() -> PathBuf {
    build::workspace().join(FILE)
}

fn measure(host: &Host) -> Result<(f64, String)> {
    let [permit, ours] = [instructions_per_login(host, PERMIT)?, instructions_per_login(host, OURS)?];
    let ratio = ours as f64 / permit as f64;
    Ok((ratio, format!("a login needs {ours} instructions, {ratio:.2} times pam_permit's {permit}")))
}

fn compare(committed: f64, ratio: f64) -> Result<()> {
    ensure!(
        ratio <= committed * TOLERANCE,
        "a login needs {ratio:.2} times pam_permit's instructions, not {committed:.2} as before; find out why, and if it \
         must be, `cargo xtask bench --renew` writes the new figure to {FILE}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_has_become_more_expensive_fails_the_tests_and_says_how_to_renew_the_figure() {
        assert!(compare(4.0, 4.3).is_ok() && compare(4.0, 1.0).is_ok());
        let error = compare(4.0, 4.5).map_or_else(|error| error.to_string(), |()| String::new());
        assert!(error.contains("cargo xtask bench --renew"), "{error}");
        assert!(compare(4.0, f64::NAN).is_err());
    }
}
