//! Tests the installed module through `su` with a PAM file of its own: enrolment by a token, codes, recovery
//! codes, revocation.

use super::accounts::{MODULE, PASSWORD};
use super::dialogue::{Dialogue, INSIDE, SAY};
use super::phone::Phone;
use super::report::SelftestReport;
use super::world::World;
use crate::error::Failure;
use std::process::Command;

const PAM_FILE: &str = "auth requisite pam_unix.so nodelay\nauth required pam_qrtotp.so\naccount required pam_permit.so\nsession required pam_permit.so\n";
const QUESTION: &str = "Verification code";
const TOKEN: &str = "One-time code from your administrator: ";
const CHOICES: &str = "i, n, q): ";
/// Asked first if the login has no terminal, as here.
const NO_TERMINAL: &str = "q to give up: ";
const KEY_FOLLOWS: &str = "or type this key";
const CODES: &str = "or skip: ";

const FIRST: (&str, &str) = ("first-login", "a token's code enrols a device at a login");
const TYPED: (&str, &str) = ("typed-key", "the key can be typed instead of scanned");
const CODE: (&str, &str) = ("code", "a correct code is accepted");
const TWICE: (&str, &str) = ("code-twice", "the same code is refused the second time");
const WRONG: (&str, &str) = ("wrong-code", "a wrong code is refused");
const RECOVERY: (&str, &str) = ("recovery-code", "a recovery code is accepted");
const RECOVERY_TWICE: (&str, &str) = ("recovery-twice", "the same recovery code is refused the second time");
const REVOKED: (&str, &str) = ("revoked", "a revoked device is refused at the next login");
const TOKEN_TWICE: (&str, &str) = ("token-twice", "a token is worth nothing once it was used");

pub fn check(world: &World, report: &mut SelftestReport) -> Result<(), Failure> {
    std::fs::write("/etc/pam.d/su", PAM_FILE)?;
    let issued = world.qrtotp(&["token", "issue", MODULE, "--code", "--json"], "")?;
    let issued: serde_json::Value =
        serde_json::from_str(&issued).map_err(|error| Failure::Error(error.to_string()))?;
    let token = issued["code"].as_str().unwrap_or_default();
    let Some((mut phone, recovery)) = first_login(world, token, report)? else {
        return Ok(());
    };
    // A refusal counts only for its own reason: a login that fails before the code is no refusal of the code.
    let mut expect = |(id, what): (&'static str, &'static str), answer: &str, refused: Option<&str>| {
        let (got_in, seen) = answered(world, answer)?;
        let holds = refused.map_or(got_in, |reason| !got_in && seen.contains(&format!("reason={reason} ")));
        report.check(id, what, holds, &seen);
        Ok::<(), Failure>(())
    };
    let code = phone.next();
    expect(CODE, &code, None)?;
    expect(TWICE, &code, Some("replayed_code"))?;
    expect(WRONG, &phone.wrong(), Some("wrong_code"))?;
    expect(RECOVERY, &recovery, None)?;
    expect(RECOVERY_TWICE, &recovery, Some("wrong_code"))?;
    // A device whose code would be accepted.
    let mut second = Phone::new()?;
    world.qrtotp(&["import", "uri", MODULE, "--unused"], &second.uri(MODULE)?)?;
    world.qrtotp(&["revoke", MODULE, "--all"], "")?;
    expect(REVOKED, &second.next(), Some("revoked"))?;
    let (got_in, seen) = token_again(world, token)?;
    report.check(TOKEN_TWICE.0, TOKEN_TWICE.1, !got_in && seen.contains("reason=token_consumed "), &seen);
    Ok(())
}

/// At the module's question.
fn su() -> Result<Dialogue, Failure> {
    let mut command = Command::new("su");
    command.args(["-s", "/bin/sh", "-c", SAY, MODULE]);
    let mut dialogue = Dialogue::start(command)?;
    if dialogue.expect("assword").is_some() {
        dialogue.send(PASSWORD);
    }
    Ok(dialogue)
}

/// Whether it got in, and its output.
fn ended(world: &World, dialogue: Dialogue) -> (bool, String) {
    let (ended_well, shown) = dialogue.end();
    (ended_well && shown.contains(INSIDE), format!("{}; log: {}", shown.trim(), world.logged()))
}

fn answered(world: &World, answer: &str) -> Result<(bool, String), Failure> {
    let mut dialogue = su()?;
    if dialogue.expect(QUESTION).is_some() {
        dialogue.send(answer);
    }
    Ok(ended(world, dialogue))
}

/// The device that was enrolled, and an unused recovery code. `None`: it was not, which is reported.
fn first_login(
    world: &World,
    token: &str,
    report: &mut SelftestReport,
) -> Result<Option<(Phone, String)>, Failure> {
    let mut dialogue = su()?;
    let shown = (|| {
        offer_token(&mut dialogue, token)?;
        dialogue.send("i");
        dialogue.expect(CHOICES)?;
        dialogue.send("k");
        dialogue.expect(CHOICES)
    })();
    let phone = shown.as_deref().and_then(key);
    let typed = phone.is_some();
    let enrolled = phone.and_then(|mut phone| {
        dialogue.send(&phone.next());
        let codes = recovery_codes(&dialogue.expect(CODES)?);
        dialogue.send(codes.get(1)?.rsplit('-').next()?);
        Some((phone, codes.first()?.clone()))
    });
    let (got_in, seen) = ended(world, dialogue);
    report.check(FIRST.0, FIRST.1, got_in && enrolled.is_some(), &seen);
    report.check(TYPED.0, TYPED.1, typed && enrolled.is_some(), "no code of the shown key was accepted");
    Ok(enrolled.filter(|_| got_in))
}

/// Asks to enrol with the token's code: what is shown then, `None` if no key is.
fn offer_token(dialogue: &mut Dialogue, token: &str) -> Option<String> {
    dialogue.expect(QUESTION)?;
    dialogue.send("");
    dialogue.expect(TOKEN)?;
    dialogue.send(token);
    dialogue.expect(NO_TERMINAL)
}

/// The key as it is shown for typing: in groups, on the lines behind the one that says so.
fn key(shown: &str) -> Option<Phone> {
    let is_key = |line: &&str| line.chars().all(|c| c == ' ' || c.is_ascii_uppercase() || c.is_ascii_digit());
    let lines = shown.lines().map(str::trim).skip_while(|line| !line.starts_with(KEY_FOLLOWS)).skip(1);
    Phone::typed(&lines.take_while(is_key).collect::<String>())
}

/// The words with dashes that stand alone on their lines.
fn recovery_codes(shown: &str) -> Vec<String> {
    let words = shown.lines().flat_map(str::split_whitespace);
    let is_code = |word: &&str| {
        word.matches('-').count() >= 2 && word.chars().all(|c| c == '-' || c.is_ascii_alphanumeric())
    };
    words.filter(is_code).map(str::to_owned).collect()
}

/// After a revocation the token that was used once must not enrol again.
fn token_again(world: &World, token: &str) -> Result<(bool, String), Failure> {
    let mut dialogue = su()?;
    let shown = offer_token(&mut dialogue, token);
    let (got_in, seen) = ended(world, dialogue);
    Ok((got_in || shown.is_some(), seen))
}
