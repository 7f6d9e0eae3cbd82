//! `qrtotp completions SHELL`: a script by which a shell asks this program for what can be typed next, and
//! the answers. Users and devices are those of the store, so root alone is told them. An answer never fails:
//! what can't be had is left out.

use crate::cli::Cli;
use crate::context::Context;
use crate::error::{Exit, Failure};
use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use qrtotp_account::Name;
use qrtotp_policy::DEFAULT_PATH;
use qrtotp_store::AccountStore;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;

/// Holds the shell's name if a shell asks.
const ASKS: &str = "QRTOTP_COMPLETE";
const PROGRAM: &str = "qrtotp";
/// Autoloaded at the first TAB, zsh's script only defines its function.
const ZSH_FIRST_TAB: &str = "\n[ \"$funcstack[1]\" = _qrtotp ] && _clap_dynamic_completer_qrtotp \"$@\"\n";

pub fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let shell = shells.completer(&name).ok_or_else(|| Failure::Error(format!("{name} is not known")))?;
    let mut script = Vec::new();
    shell.write_registration(ASKS, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    if name == "zsh" {
        script.extend(ZSH_FIRST_TAB.as_bytes());
    }
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// Answers a shell; whether one asks.
pub fn answer() -> bool {
    let directory = std::env::current_dir().ok();
    let answers = CompleteEnv::with_factory(|| completing(Cli::command())).var(ASKS);
    // An error would come into the line that is being typed.
    answers.try_complete(std::env::args_os(), directory.as_deref()).unwrap_or(true)
}

/// The command, with the values of its arguments by their names.
fn completing(command: Command) -> Command {
    let with_values = |arg: Arg| match arg.get_id().as_str() {
        "user" | "old" | "trial" | "by" => arg.add(ArgValueCompleter::new(users)),
        "credential" => arg.add(ArgValueCompleter::new(devices)),
        "service" | "services" => arg.add(ArgValueCompleter::new(services)),
        _ => arg,
    };
    command.mut_args(with_values).mut_subcommands(completing)
}

/// The words of the line that is being typed.
fn words() -> Vec<String> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(2);
    words.filter_map(|word| word.into_string().ok()).collect()
}

/// The store of the configuration that the line names.
fn store() -> Option<Box<dyn AccountStore>> {
    let words = words();
    let named = words.iter().zip(words.iter().skip(1)).find(|(word, _)| *word == "--config");
    let given = words.iter().find_map(|word| word.strip_prefix("--config="));
    let path = given.or(named.map(|(_, path)| path.as_str())).unwrap_or(DEFAULT_PATH);
    Context::look(&PathBuf::from(path)).ok()?.store().ok()
}

fn starting_with(current: &OsStr, values: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let Some(typed) = current.to_str() else { return Vec::new() };
    values.filter(|value| value.starts_with(typed)).map(CompletionCandidate::new).collect()
}

/// Accounts that have a record.
fn users(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let names = store.names().into_iter().flatten().map(|name| name.as_str().to_owned());
    starting_with(current, names)
}

/// Devices and ssh keys of the accounts that the line names.
fn devices(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(store) = store() else { return Vec::new() };
    let named = words().into_iter().filter_map(|word| Name::new(&word).ok());
    let records = named.filter_map(|name| Some(store.load(&name).ok()??.record));
    let ids = records.flat_map(|record| {
        let apps = record.credentials.iter().map(|app| app.id.to_string());
        let keys = record.ssh_keys.iter().map(|key| key.id.to_string());
        apps.chain(keys).collect::<Vec<_>>()
    });
    starting_with(current, ids)
}

/// Files of /etc/pam.d.
fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    let files = std::fs::read_dir("/etc/pam.d").into_iter().flatten().flatten();
    starting_with(current, files.filter_map(|file| file.file_name().into_string().ok()))
}
