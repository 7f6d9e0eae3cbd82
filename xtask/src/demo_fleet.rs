//! `cargo xtask demo --fleet`: three verifiers on a real etcd and three login hosts, each in namespaces of
//! its own on this machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{
    Phone,
    fleet::{Fleet, Host},
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
    verifiers::Verifier,
};

use crate::{demo_auto::show, step::say};

/// The module waits 3 s for a verdict; starting a process takes its time, too.
const DEADLINE: Duration = Duration::from_secs(4);

/// # Errors
/// A step did not go as promised.
pub fn run() -> Result<()> {
    say(
        "making three verifiers v1, v2, v3 with an etcd each: `qrtotp fleet init`, `join-verifier`, `create-store`",
    );
    let mut fleet = Fleet::of(3, "");
    show(&fleet.verifiers[0].fleet(&["status"]).stdout);
    say("making three login hosts: `qrtotp fleet invite` on v1, `qrtotp fleet join` on web1, web2, web3");
    let hosts = ["web1", "web2", "web3"].map(|name| fleet.host(name, "all"));

    say("alice enrols once: `qrtotp token issue alice` on v1, and with its code `qrtotp enroll` on web1");
    let phone = enrol(&fleet, &hosts[0]);
    let first = next_code(&phone);
    login(&hosts, 0, &first, true, "her code")?;
    login(&hosts, 1, &first, false, "the same code")?;
    login(&hosts, 1, &next_code(&phone), true, "the next code")?;

    let leader = leader(&fleet.verifiers[0])?;
    say(&format!("killing v{} with its etcd, which leads", leader + 1));
    fleet.stop(leader);
    let alive: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
    let admin = alive[0];
    login(&hosts, 2, &next_code(&phone), true, "the code after that")?;

    say(&format!("revoking alice's device on v{}", admin + 1));
    fleet.verifiers[admin].administer(&["revoke", "alice", "--all"], "").success();
    login(&hosts, 2, &next_code(&phone), false, "a new code of the revoked device")?;
    let phone = new_phone(&fleet.verifiers[admin]);

    say("revoking the host web1");
    fleet.verifiers[admin].fleet(&["host", "revoke", "web1"]).success();
    // Codes up to the last one of the revoked device count as used: the new device might have the same key.
    let code = next_code(&phone);
    login(&hosts, 0, &code, false, "a code of alice's new device")?;
    login(&hosts, 1, &code, true, "the same code, which web1 could not use up")?;

    break_glass(&mut fleet, &hosts, &phone, alive[1])
}

/// Without a quorum everybody is denied, but for a code that was made for this host.
fn break_glass(fleet: &mut Fleet, hosts: &[Host], phone: &Phone, second: usize) -> Result<()> {
    say("making break-glass codes on web2: `qrtotp fleet offline-codes alice`");
    let output = hosts[1].sandbox.command(None, &["qrtotp", "fleet", "offline-codes", "alice"]).output()?;
    let shown = String::from_utf8(output.stdout)?;
    let code = shown.lines().map(str::trim).find(|line| line.len() == 19).context("no code was printed")?;
    say(&format!("killing v{}, too: one of three etcds is left, which is no quorum", second + 1));
    fleet.stop(second);
    let code_of_phone = next_code(phone);
    let begun = Instant::now();
    login(hosts, 1, &code_of_phone, false, "a right code")?;
    ensure!(begun.elapsed() < DEADLINE, "that took {:?}", begun.elapsed());
    let shown = hosts[1].sandbox.login("alice").answer("123456").run();
    show(&[shown.messages(3), shown.messages(4)].concat().join("\n"));
    login(hosts, 2, code, false, "web2's break-glass code at another host")?;
    login(hosts, 1, code, true, "a break-glass code")?;
    login(hosts, 1, code, false, "the same break-glass code again")?;
    say("done; verifiers and hosts are gone");
    Ok(())
}

fn login(hosts: &[Host], number: usize, code: &str, is_right: bool, what: &str) -> Result<()> {
    let begun = Instant::now();
    let result = hosts[number].answer(code);
    let word = match result {
        PAM_SUCCESS => "let in",
        PAM_AUTH_ERR => "denied",
        _ => "an error",
    };
    println!("    alice at web{} with {what}: {word} ({} ms)", number + 1, begun.elapsed().as_millis());
    ensure!(result == if is_right { PAM_SUCCESS } else { PAM_AUTH_ERR }, "that was wrong");
    Ok(())
}

/// Waits for a step that was not used.
fn next_code(phone: &Phone) -> String {
    println!("    (waiting for the phone's next code, at most {} s)", phone.period);
    let step = phone.step();
    while phone.step() == step {
        qrtotp_tests::clock::pause(Duration::from_millis(200));
    }
    phone.code()
}

fn enrol(fleet: &Fleet, host: &Host) -> Phone {
    let _broker = host.start_broker();
    let (mut pty, phone) = host.enrol_by_token(&fleet.token_code("alice"));
    let _ = pty.finish_enrolment(&host.sandbox, &phone);
    phone
}

fn new_phone(verifier: &Verifier) -> Phone {
    let phone = Phone::random();
    let uri = format!("{}\n", phone.uri("alice"));
    verifier.administer(&["import", "uri", "alice", "--unused", "--revoked-too"], &uri).success();
    phone.wait_for_seconds_left(15);
    phone
}

fn leader(verifier: &Verifier) -> Result<usize> {
    let status = verifier.fleet(&["status", "--json"]).success().stdout;
    let name = status.split("\"leader\":\"v").nth(1).and_then(|rest| rest.split('"').next());
    let number: usize = name.context("nobody leads")?.parse()?;
    Ok(number - 1)
}
