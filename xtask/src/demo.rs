//! `cargo xtask demo`: a login with a code, on a temporary private host.

use std::{
    env,
    io::{IsTerminal, Write, stdin, stdout},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{Sandbox, users::PASSWORD};

use crate::{
    apt, build, debian, demo_audit, demo_auto, demo_fleet, picture,
    step::{as_root, is_root, say},
};

pub const USER: &str = "demo";

/// Set by the first half, which builds as the developer, for the second half, which needs root.
const READY: &str = "QRTOTP_DEMO_READY";

/// The parts of the demo.
#[derive(Clone, Copy)]
pub enum Show<'a> {
    /// The user does it, if there is one.
    ByHand,
    /// The demo plays the user.
    Auto,
    /// Verifiers and login hosts of a fleet.
    Fleet,
    /// A first login, drawn into this file.
    Svg(&'a str),
}

/// # Errors
/// A promise of the demo is broken.
pub fn run(show: Show<'_>) -> Result<()> {
    if env::var_os(READY).is_none() {
        apt::need(&[apt::DEMO])?;
        if matches!(show, Show::Svg(_)) {
            apt::need(&[apt::TEST])?; // a terminal and a scanner
        }
        if matches!(show, Show::Fleet) {
            debian::etcd()?;
        }
        let artefacts = build::release()?;
        let mut second_half = as_root(&env::current_exe()?.to_string_lossy());
        second_half.arg("demo").args(match show {
            Show::ByHand => vec![],
            Show::Auto => vec!["--auto"],
            Show::Fleet => vec!["--fleet"],
            Show::Svg(file) => vec!["--svg", file],
        });
        second_half.envs(artefacts.variables()).env(READY, "1");
        return Err(second_half.exec()).context("cannot go on as root");
    }
    ensure!(is_root(), "the demo needs root for its namespaces; install sudo or run it as root");
    if matches!(show, Show::Fleet) {
        return demo_fleet::run();
    }
    say("making a private host: own /etc, /var, /home, network and system log; this machine stays as it is");
    let sandbox = Sandbox::new();
    sandbox.overwrite("/etc/qrtotp/qrtotp.toml", "issuer = \"pam_qrtotp demo\"\n");
    sandbox.apply_configuration();
    sandbox.add_user(USER);
    say("user `demo`; /etc/pam.d/sshd and /etc/pam.d/sudo ask for the password, then for a code:");
    for service in ["sshd", "sudo"] {
        sandbox.password_and_code(service, "");
    }
    println!("{}", sandbox.read("/etc/pam.d/sshd").trim_end());
    say("starting a real sshd there");
    let _sshd = sandbox.start_sshd("");
    if let Show::Svg(file) = show {
        return picture::run(&sandbox, Path::new(file));
    }
    if matches!(show, Show::Auto) || !stdin().is_terminal() || !stdout().is_terminal() {
        demo_auto::run(&sandbox)?;
    } else {
        by_hand(&sandbox)?;
    }
    say("the audit lines that the system log received:");
    for event in sandbox.log.events() {
        println!("{event}");
    }
    demo_audit::run(&sandbox)?;
    say("done; the private host is gone");
    Ok(())
}

/// The user enrols with their own phone and logs in.
fn by_hand(sandbox: &Sandbox) -> Result<()> {
    say("enrolling `demo`: have an authenticator app at hand");
    until(|| on_this_terminal(sandbox, &["qrtotp", "enroll", USER]), "Nobody is enrolled yet.")?;

    say("logging in: ssh demo@localhost");
    println!("The password is: {PASSWORD}");
    println!("A code works only once, so wait until the app shows the next one.");
    println!("Inside, try `sudo id` with the code after that, then `exit`.");
    ask("Press Enter to start ssh: ")?;
    until(|| log_in(sandbox), "That was no login.")
}

/// Starts the real client; returns whether our module let it in.
fn log_in(sandbox: &Sandbox) -> Result<bool> {
    let before = sandbox.log.events().len();
    let target = format!("{USER}@localhost");
    on_this_terminal(sandbox, &["ssh", "-F", "none", "-o", "PubkeyAuthentication=no", &target])?;
    Ok(sandbox.log.events()[before..].iter().any(|event| event.starts_with("event=login result=accepted")))
}

/// Tries again as long as the user wants to.
fn until(mut done: impl FnMut() -> Result<bool>, otherwise: &str) -> Result<()> {
    while !done()? {
        let answer = ask(&format!("{otherwise} Enter tries again, `q` and Enter gives up: "))?;
        ensure!(answer != "q", "given up");
    }
    Ok(())
}

fn ask(question: &str) -> Result<String> {
    print!("{question}");
    stdout().flush()?;
    let mut answer = String::new();
    ensure!(stdin().read_line(&mut answer)? > 0, "standard input has ended");
    Ok(answer.trim().to_owned())
}

/// Runs a program of the sandbox on the demo's own terminal.
fn on_this_terminal(sandbox: &Sandbox, argv: &[&str]) -> Result<bool> {
    let mut command: Command = sandbox.command(None, argv);
    for name in ["TERM", "LANG", "LC_ALL", "LC_CTYPE", "COLORTERM"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    let status = command.status().with_context(|| format!("cannot start {}", argv[0]))?;
    Ok(status.success())
}
