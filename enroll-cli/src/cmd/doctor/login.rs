//! `qrtotp doctor login USER`: a login in words, without making it: what sshd demands, which PAM lines run,
//! which rule decides, what is asked.

use super::Files;
use super::login_verdict::Replayed;
use super::methods::{KEY, Methods, Way};
use super::sshd::NOT_STARTED;
use super::stacks::runs_as_root;
use crate::cli::{Explain, Familiarity, ReplayedLogin};
use crate::cmd::config::explained;
use crate::context::{Context, record_name};
use crate::error::{Exit, Failure};
use crate::program::Silence;
use crate::sshd::{SshdSettings, program};
use pam_stack::{Action, Kind, ModuleFacts, PamCode, PamLine, Part, Stack, Step};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_frontend::StatusView;
use qrtotp_messages::Catalogue;
use qrtotp_policy::Outcome;
use std::io::Write;
use std::path::Path;

const SSHD: &str = "sshd";

pub fn run(path: &Path, args: &ReplayedLogin) -> Result<Exit, Failure> {
    let mut out = std::io::stdout();
    let ways = if args.service == SSHD { sshd(args, &mut out)? } else { None };
    let mut rules = b"Rules, as `qrtotp config explain` tells them: ".to_vec();
    let outcome = explained(path, &explain(args), &mut rules)?;
    let tree = Files::read().tree;
    let [stack, account_part] = [Part::Auth, Part::Account].map(|part| tree.stack(&args.service, part));
    let run = run_of(&stack, outcome, args.by == "root" || runs_as_root(&args.service));
    write!(out, "{}", lines(&stack, run.as_deref(), outcome, &args.service))?;
    out.write_all(&rules)?;
    let context = Context::load(path)?;
    let (described, enrolled) = account(&context, &args.user)?;
    write!(out, "{described}")?;
    let unasked = context.config.defaults.unasked;
    let login = Replayed { auth: &stack, run: run.as_deref(), account: &account_part, outcome, unasked };
    let (mut in_short, exit) = login.in_short(ways.as_deref());
    let asks = run.iter().flatten().any(|step| stack.entries[step.entry].is_ours());
    if asks && !enrolled && exit == Exit::Done && matches!(outcome, Outcome::Code | Outcome::TwoCodes) {
        in_short += " But the account has no device: first_login, above, says what comes of that.";
    }
    let blind = if args.service == SSHD && ways.is_none() { "not knowing what sshd demands: " } else { "" };
    writeln!(out, "In short: {blind}{in_short}")?;
    Ok(exit)
}

fn explain(args: &ReplayedLogin) -> Explain {
    Explain {
        user: args.user.clone(),
        service: args.service.clone(),
        from: args.from.clone(),
        tty: None,
        by: args.by.clone(),
        place: Familiarity::New,
        key: args.key,
        groups: None,
        at: None,
        all: false,
        json: false,
        edited: false,
    }
}

/// Tells the methods that sshd demands before and beside PAM. Gives the ways in; `None`: they are not known.
fn sshd(args: &ReplayedLogin, out: &mut impl Write) -> std::io::Result<Option<Vec<Way>>> {
    let Some(program) = program() else {
        writeln!(out, "sshd: not installed here")?;
        return Ok(None);
    };
    let address = args.from.as_deref().unwrap_or("203.0.113.1");
    let connection =
        format!("user={},host={address},addr={address},laddr=127.0.0.1,lport=22,rdomain=", args.user);
    let settings = match SshdSettings::ask_for(program, &connection) {
        Ok(settings) => settings,
        Err(Silence::Refuses(words)) if !words.contains(NOT_STARTED) => {
            writeln!(out, "sshd: refuses its configuration: {words}")?;
            return Ok(Some(Vec::new()));
        }
        Err(Silence::Refuses(words) | Silence::Unasked(words)) => {
            writeln!(out, "sshd: its settings can't be had: {words}")?;
            return Ok(None);
        }
    };
    let methods = settings.get("authenticationmethods").unwrap_or("any");
    let methods = if methods == "any" { "any one method that is on" } else { methods };
    let pam = match settings.is_on("usepam") {
        true => "keyboard-interactive and password ask PAM",
        false => "UsePAM is off, so no PAM line below is asked",
    };
    writeln!(out, "sshd: demands {methods}; {pam}")?;
    Ok(Some(ways(&settings, args.key.is_some())))
}

/// The ways that the login may take: with a key, if it has one and a way takes one, no other.
fn ways(settings: &SshdSettings, key: bool) -> Vec<Way> {
    let all = Methods::of(settings).ways();
    let with_key = |way: &Way| way.proofs.contains(&KEY);
    let only = key && all.iter().any(with_key);
    all.into_iter().filter(|way| !only || with_key(way)).collect()
}

/// A run that lets in somebody with the right answers; our module answers what the rules say.
fn run_of(stack: &Stack, outcome: Outcome, root: bool) -> Option<Vec<Step>> {
    let ours = match outcome {
        Outcome::Skip => PamCode::IGNORE,
        Outcome::Code | Outcome::TwoCodes => PamCode::SUCCESS,
        Outcome::Deny => PamCode::AUTH_ERR,
    };
    let facts = ModuleFacts { ours, root, ..ModuleFacts::RIGHT };
    let plain = ModuleFacts { proofs: false, other_codes: false, ..facts };
    stack.success(&plain).or_else(|| stack.success(&facts))
}

/// The question that an entry asks, or the thing it checks.
fn does(entry: &PamLine, outcome: Outcome) -> &'static str {
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
    let mut line = |entry: &PamLine, then: &str| {
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
    let name = record_name(user, &*store)?;
    let account = store.load(&name)?;
    let mut text = b"Account: ".to_vec();
    let view = StatusView::new(&name, account.as_ref(), &context.config, SystemClock.now());
    view.write(&mut text, Catalogue::ENGLISH)?;
    Ok((String::from_utf8_lossy(&text).into_owned(), view.is_enrolled()))
}
