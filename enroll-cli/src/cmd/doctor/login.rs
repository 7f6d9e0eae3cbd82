//! `qrtotp doctor login USER`: a login in words, without making it: what sshd demands, which PAM lines run,
//! which rule decides, what is asked.

use super::Files;
use crate::cli::{Explain, Place, ReplayedLogin};
use crate::cmd::config::explained;
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure};
use crate::sshd::{Settings, program};
use pam_stack::{Action, Code, Entry, Facts, Kind, Part, Stack, Step};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::StatusView;
use qrtotp_policy::Outcome;
use qrtotp_store::Store;
use std::io::Write;
use std::path::Path;

const SSHD: &str = "sshd";

pub fn run(path: &Path, args: &ReplayedLogin) -> Result<Exit, Failure> {
    let mut out = std::io::stdout();
    if args.service == SSHD {
        writeln!(out, "{}", sshd(args))?;
    }
    let mut rules = b"Rules, as `qrtotp config explain` tells them: ".to_vec();
    let outcome = explained(path, &explain(args), &mut rules)?;
    let stack = Files::read().tree.stack(&args.service, Part::Auth);
    let run = run_of(&stack, outcome, args.by == "root");
    write!(out, "{}", lines(&stack, run.as_deref(), outcome, &args.service))?;
    out.write_all(&rules)?;
    let context = Context::load(path)?;
    let (told, enrolled) = account(&context, &args.user)?;
    write!(out, "{told}")?;
    let (mut in_short, exit) = in_short(&stack, run.as_deref(), outcome);
    if !enrolled && exit == Exit::Done && matches!(outcome, Outcome::Code | Outcome::TwoCodes) {
        in_short += " But the account has no device: first_login, above, says what comes of that.";
    }
    writeln!(out, "In short: {in_short}")?;
    Ok(exit)
}

fn explain(args: &ReplayedLogin) -> Explain {
    Explain {
        user: args.user.clone(),
        service: args.service.clone(),
        from: args.from.clone(),
        tty: None,
        by: args.by.clone(),
        place: Place::New,
        key: args.key,
        groups: None,
        at: None,
        all: false,
        json: false,
        edited: false,
    }
}

/// The methods that sshd demands before and beside PAM.
fn sshd(args: &ReplayedLogin) -> String {
    let Some(program) = program() else { return "sshd: not installed here".into() };
    let address = args.from.as_deref().unwrap_or("203.0.113.1");
    let connection =
        format!("user={},host={address},addr={address},laddr=127.0.0.1,lport=22,rdomain=", args.user);
    let settings = match Settings::ask_for(program, &connection) {
        Ok(settings) => settings,
        Err(silence) => return format!("sshd: its settings can't be had: {silence:?}"),
    };
    let methods = settings.get("authenticationmethods").unwrap_or("any");
    let methods = if methods == "any" { "any one method that is on" } else { methods };
    if settings.is_on("usepam") {
        format!("sshd: demands {methods}; keyboard-interactive and password ask PAM")
    } else {
        format!("sshd: demands {methods}; UsePAM is off, so no PAM line below is asked")
    }
}

/// A run that lets in somebody with the right answers; our module answers what the rules say.
fn run_of(stack: &Stack, outcome: Outcome, root: bool) -> Option<Vec<Step>> {
    let ours = match outcome {
        Outcome::Skip => Code::IGNORE,
        Outcome::Code | Outcome::TwoCodes => Code::SUCCESS,
        Outcome::Deny => Code::AUTH_ERR,
    };
    let facts = Facts { ours, root, ..Facts::RIGHT };
    let plain = Facts { proofs: false, other_codes: false, ..facts };
    stack.success(&plain).or_else(|| stack.success(&facts))
}

/// The question that an entry asks, or the thing it checks.
fn does(entry: &Entry, outcome: Outcome) -> &'static str {
    if entry.missing {
        return "is not there, and fails";
    }
    match (entry.kind(), outcome) {
        (Kind::Ours, Outcome::Skip) => "asks nothing, by the rule below",
        (Kind::Ours, Outcome::Code) => "asks for a code",
        (Kind::Ours, Outcome::TwoCodes) => "asks for two codes in a row",
        (Kind::Ours, Outcome::Deny) => "refuses, by the rule below",
        (Kind::Password, _) => "asks for the password",
        (Kind::OtherCode, _) => "asks for a code of another system",
        (Kind::Selector, _) => "looks at who or where the user is (taken to agree)",
        (Kind::RootOnly, _) => "looks whether the caller is root",
        (Kind::Fixed, _) => "asks nothing",
        (Kind::Proof, _) => "may ask for something else",
    }
}

/// The effect of its line on the answer.
fn then(step: &Step) -> String {
    match step.action {
        Action::Ignore => "which does not count".into(),
        Action::Ok => "must hold".into(),
        Action::Done => "is enough: the part ends".into(),
        Action::Bad | Action::Die => "fails".into(),
        Action::Reset => "forgets what was before".into(),
        Action::Jump(1) => "leaves out the next line".into(),
        Action::Jump(lines) => format!("leaves out the next {lines} lines"),
    }
}

fn lines(stack: &Stack, run: Option<&[Step]>, outcome: Outcome, service: &str) -> String {
    let other = if stack.from_other { ", which are those of `other`" } else { "" };
    let mut text = format!("PAM: the auth lines that {service} runs{other}\n");
    let mut line = |entry: &Entry, then: &str| {
        let module = entry.module.as_deref().unwrap_or("a line that libpam can't use");
        text += &format!("  {}: {module} {}{then}\n", entry.place, does(entry, outcome));
    };
    match run {
        Some(run) => {
            run.iter().for_each(|step| line(&stack.entries[step.entry], &format!("; {}", then(step))))
        }
        None => stack.entries.iter().filter(|entry| entry.module.is_some()).for_each(|entry| line(entry, "")),
    }
    text
}

/// The account's standing in the store, and whether it has a device. Says if the store can't be read.
fn account(context: &Context, user: &str) -> Result<(String, bool), Failure> {
    let store = match context.store() {
        Ok(store) => store,
        Err(failure) => return Ok((format!("Account: {failure}\n"), false)),
    };
    let name = record_name(user, &store)?;
    let account = store.load(&name)?;
    let mut text = b"Account: ".to_vec();
    let view = StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now());
    view.write(&mut text)?;
    Ok((String::from_utf8_lossy(&text).into_owned(), view.is_enrolled()))
}

fn in_short(stack: &Stack, run: Option<&[Step]>, outcome: Outcome) -> (String, Exit) {
    let comes_to_ours = stack.entries.iter().any(Entry::is_ours);
    let Some(run) = run else {
        return match outcome {
            Outcome::Deny if comes_to_ours => {
                ("refused by the rule, whatever is typed.".into(), Exit::Refused)
            }
            _ => ("nobody gets in by this service; `qrtotp doctor` says why.".into(), Exit::Refused),
        };
    };
    let entries: Vec<&Entry> = run.iter().map(|step| &stack.entries[step.entry]).collect();
    let asked = entries.iter().filter_map(|entry| match (entry.kind(), outcome) {
        (Kind::Password, _) => Some("the password"),
        (Kind::Ours, Outcome::Code) => Some("a code"),
        (Kind::Ours, Outcome::TwoCodes) => Some("two codes in a row"),
        (Kind::OtherCode, _) => Some("a code of another system"),
        _ => None,
    });
    let asked: Vec<&str> = asked.collect();
    let what = if asked.is_empty() {
        "PAM asks nothing".to_owned()
    } else {
        format!("PAM asks for {}", asked.join(", then "))
    };
    let ours = entries.iter().any(|entry| entry.is_ours());
    let end = match (ours, outcome) {
        (true, Outcome::Skip) => "no code, by the rule; then the login goes on.",
        (true, _) => "then the login goes on.",
        (false, _) => "no line of ours runs, so no code is asked for.",
    };
    (format!("{what}; {end}"), Exit::Done)
}
