//! The demo's scene with a rule: no code at the office, a code everywhere else.

use anyhow::{Result, ensure};
use qrtotp_tests::{Phone, Pty, Sandbox, users::PASSWORD};

use crate::{
    demo::USER,
    demo_auto::{fresh_code, show},
    step::say,
};

const OFFICE: &str = "192.0.2.7";
const ELSEWHERE: &str = "203.0.113.9";
const RULE: &str = "\n[networks]\noffice = [\"192.0.2.0/24\"]\n\n\
                    [[rule]]\nname = \"office\"\nservice = [\"sshd\"]\nfrom = [\"office\"]\nthen = \"skip\"\n";

/// # Errors
/// A step did not go as promised.
pub fn run(sandbox: &Sandbox, phone: &Phone) -> Result<()> {
    for address in [OFFICE, ELSEWHERE] {
        sandbox.run(&["ip", "address", "add", &format!("{address}/32"), "dev", "lo"]).success();
    }
    say("a rule in /etc/qrtotp/qrtotp.toml: no code from the office. It holds once it is applied");
    sandbox.append("/etc/qrtotp/qrtotp.toml", RULE);
    show(RULE.trim());
    for command in [
        &["qrtotp", "config", "diff"][..],
        &["qrtotp", "config", "apply"],
        &["qrtotp", "config", "explain", "--user", USER, "--service", "sshd", "--from", ELSEWHERE],
    ] {
        say(&command.join(" "));
        let said = sandbox.run(command);
        show(&said.stdout);
        // `diff` exits like diff(1): 1 if something changes.
        ensure!(said.status.success() || command[2] == "diff", "it failed: {}", said.stderr);
    }

    say(&format!("ssh from the office ({OFFICE}): the password is enough"));
    let mut client = ssh(sandbox, OFFICE);
    let (status, shown) = client.finish();
    show(&shown);
    ensure!(status.success() && !shown.contains("code"), "the office was asked for a code");

    say(&format!("ssh from elsewhere ({ELSEWHERE}): the code, too"));
    let mut client = ssh(sandbox, ELSEWHERE);
    client.expect("Verification code: ");
    client.send(&fresh_code(phone));
    let (status, shown) = client.finish();
    show(&shown);
    ensure!(
        status.success() && shown.contains("logged in"),
        "the right code was not accepted from elsewhere"
    );
    Ok(())
}

fn ssh(sandbox: &Sandbox, from: &str) -> Pty {
    let bind = format!("BindAddress={from}");
    let mut client = sandbox.ssh_with(USER, &[&bind, "PubkeyAuthentication=no"], "echo logged in from here");
    client.expect("assword: ");
    client.send(PASSWORD);
    client
}
