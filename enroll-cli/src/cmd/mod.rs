//! One file per command. Each one: load, resolve whose account, call the flow, say what came of it.

mod account;
mod audit;
mod broker;
mod bulk;
mod census;
mod completions;
pub mod config;
mod device;
pub mod doctor;
mod enroll;
mod fix;
mod fleet;
mod import;
mod init;
mod key;
mod list;
mod load;
mod man;
mod metrics;
mod place;
mod portal;
mod recovery;
mod reissue;
mod resync;
mod revoke;
pub mod setup;
mod status;
mod sudoers;
mod token;
mod top;
mod unlock;
mod verify;
mod watch;

use crate::applied;
use crate::cli::{Cli, Command, Config, Device, Doctor, HardwareKey, Recovery};
use crate::context::{Context, config_file};
use crate::error::{Exit, Failure};
use crate::language::say;
use crate::selftest;
use qrtotp_messages::text;
use qrtotp_wire::DEFAULT_SOCKET;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Runs the task of an internal helper process, or answers a shell; `None` if this process is for neither.
pub fn internal(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if completions::answer() {
        return Some(ExitCode::SUCCESS);
    }
    match words.next()? {
        word if word == import::OWNER_WORD => Some(import::run_as_owner(words)),
        word if word == selftest::WORD => Some(selftest::run_inside(words)),
        _ => None,
    }
}

/// Says that the configuration was changed after it was applied, if this caller may use it.
fn tell_pending(path: &Path, command: &Command) {
    let says_so_itself = matches!(
        command,
        Command::Doctor(Doctor { what: None, .. })
            | Command::Config(Config::Diff | Config::Apply(_) | Config::Edit)
            | Command::Completions { .. }
            | Command::Man { .. }
    );
    let Ok(path) = config_file(path) else { return };
    if !says_so_itself && applied::is_pending(&path) {
        let text = "was changed after it was applied, and logins don't know of it yet; `qrtotp config diff` shows the change, `qrtotp config apply` applies it";
        let _ = writeln!(std::io::stderr(), "qrtotp: {} {text}", path.display());
    }
}

/// Runs the command. Users without root go through the broker if it serves the command.
pub fn run(cli: Cli) -> Result<Exit, Failure> {
    tell_pending(&cli.config, &cli.command);
    let context = || Context::load(&cli.config);
    let context_for = |dry_run| if dry_run { Context::look(&cli.config) } else { Context::load(&cli.config) };
    let (named, socket) = (cli.socket.is_some(), cli.socket.or_else(|| broker::socket(&cli.config)));
    match (cli.command, socket) {
        (Command::Verify { stdin_json: true, .. }, socket) => {
            portal::run(&socket.unwrap_or_else(|| DEFAULT_SOCKET.into()))
        }
        (Command::Doctor(args), socket) if args.fix.is_some() => {
            let id = args.fix.clone().unwrap_or_default();
            fix::run(&cli.config, socket.filter(|_| named).as_deref(), &id, &args)
        }
        (Command::Doctor(args), socket) => doctor::run(&cli.config, socket.filter(|_| named), &args),
        (Command::Enroll(args), Some(socket)) => broker::enroll(&socket, &cli.config, args),
        (Command::Status(args), Some(socket)) => broker::status(&socket, args),
        (Command::Recovery(Recovery::Regenerate { user }), Some(socket)) => broker::regenerate(&socket, user),
        (Command::Device(what), Some(socket)) => broker::device(&socket, what),
        (Command::Revoke(args), _)
            if (args.bulk.is_any() || args.bulk.json) && (args.one.is_any() || !args.bulk.is_asked()) =>
        {
            Err(Failure::Error(say(&text::NAME_ONE_OR_MANY)))
        }
        (Command::Revoke(args), Some(_)) if args.bulk.is_asked() => {
            Err(Failure::Error(say(&text::ONLY_ROOT_REVOKES_MANY)))
        }
        (Command::Revoke(args), Some(socket)) => broker::device(&socket, Device::Revoke(args.one)),
        (Command::Resync { user }, Some(socket)) => broker::resync(&socket, user),
        (_, Some(_)) if named => Err(Failure::Error(say(&text::BROKER_CAN))),
        (Command::Selftest(args), _) => selftest::run(&cli.config, &args),
        (Command::Setup(args), _) => setup::run(&cli.config, &args),
        (Command::Init, _) => init::run(&cli.config),
        (Command::Enroll(args), None) => enroll::run(&context()?, args),
        (Command::Status(args), None) => status::run(&context()?, args),
        (Command::List(args), _) => list::run(&context()?, &args),
        (Command::Recovery(what), None) => recovery::run(&context()?, what),
        (Command::Device(what), None) => device::run(&context()?, what),
        (Command::Revoke(args), None) if args.bulk.is_asked() => {
            revoke::run(&context_for(args.bulk.dry_run)?, &args.bulk)
        }
        (Command::Revoke(args), None) => device::run(&context()?, Device::Revoke(args.one)),
        (Command::Reissue(args), _) => reissue::run(&context_for(args.bulk.dry_run)?, &args),
        (Command::Resync { user }, None) => resync::run(&context()?, user),
        (Command::Verify { user, .. }, _) => verify::run(&context()?, user.unwrap_or_default()),
        (Command::Import(what), _) => import::run(what, context_for),
        (Command::Key(HardwareKey::Add(args)), _) => key::add(&context()?, args),
        (Command::Account(what), _) => account::run(&context()?, what),
        (Command::Audit(args), _) => audit::run(&cli.config, args),
        (Command::Top, _) => top::run(&context()?),
        (Command::Watch(args), _) => watch::run(&cli.config, &args),
        (Command::Metrics { textfile, state }, _) => {
            metrics::run(&cli.config, &context()?, textfile.as_deref(), state.as_deref())
        }
        (Command::Unlock { user, from }, _) => unlock::run(&context()?, &user, from.as_deref()),
        (Command::Place(what), _) => place::run(&context()?, what),
        (Command::Token(what), _) => token::run(&context()?, what),
        (Command::Config(what), _) => config::run(&cli.config, what),
        (Command::Fleet(what), _) => fleet::run(&cli.config, what),
        (Command::Completions { shell }, _) => completions::run(shell),
        (Command::Man { dir }, _) => man::run(&dir),
    }
}
