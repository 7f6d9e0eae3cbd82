//! Somebody enrols over ssh between every pair of the OpenSSH releases that matter, from the picture on their screen, which
//! several scanners read.

mod systems;

use std::{
    collections::BTreeMap,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_tests::{Sandbox, first_login::INSIDE};

use self::systems::System;
use super::{
    Findings,
    decoders::{Decoders, Reading},
};
use crate::{
    apt,
    build::{self, Artefacts},
    step::say,
};

const USER: &str = "alice";
const KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// Without and with the option that hides messages.
const OPTIONS: [&[&str]; 2] = [&[], &["-q"]];

/// The releases that differ: since 10.3 sshd sends messages at once, as instructions.
const NEW: (u32, u32) = (10, 3);

/// What a scanner did with all the pictures.
#[derive(Default)]
struct Count {
    read: u32,
    read_inverted: u32,
}

#[derive(Default)]
struct Logins {
    /// By server, then by client.
    cells: Vec<Vec<String>>,
    failures: Vec<String>,
    pictures: u32,
    scanners: BTreeMap<String, Count>,
}

/// # Errors
/// It can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::PROOF])?;
    let artefacts = build::release()?;
    let decoders = Decoders::install()?;
    let mut found = Logins::default();
    let systems = systems(&artefacts, &mut found)?;
    for server in &systems {
        let row = logins(server, &systems, &artefacts, &decoders, &mut found);
        found.cells.push(row);
    }
    for (scanner, _) in found.scanners.iter().filter(|(_, count)| count.read_inverted > 0) {
        found.failures.push(format!("{scanner} inverts by itself, so what it read proves nothing"));
    }
    let text = found.text(&systems)?;
    Ok(Findings { text, failures: found.failures })
}

fn systems(artefacts: &Artefacts, found: &mut Logins) -> Result<Vec<System>> {
    let mut systems = vec![System::this_machine(artefacts)?];
    for release in ["trixie", "sid"] {
        match System::debian(release, artefacts) {
            Ok(system) => systems.push(system),
            Err(error) => found.failures.push(format!("Debian {release} could not be had: {error:#}")),
        }
    }
    if systems.iter().all(|system| system.version() < NEW) {
        found.failures.push(format!("No OpenSSH of {}.{} or newer is among them.", NEW.0, NEW.1));
    }
    Ok(systems)
}

/// One server, every client.
fn logins(
    server: &System,
    clients: &[System],
    artefacts: &Artefacts,
    decoders: &Decoders,
    found: &mut Logins,
) -> Vec<String> {
    let host = server.sandbox(None, artefacts);
    host.configure("[defaults]\nfirst_login = \"enroll\"\n");
    host.add_user(USER);
    host.make_store();
    host.password_and_enrolment("sshd");
    let _sshd = host.start_sshd("");
    let mut row = Vec::new();
    for client in clients {
        let there = client.sandbox(Some(&host), artefacts);
        there.overwrite(KNOWN_HOSTS, &host.read(KNOWN_HOSTS));
        let cell = OPTIONS.map(|options| {
            let what = format!(
                "server {}, client {}{}",
                server.openssh,
                client.openssh,
                if options.is_empty() { "" } else { ", -q" }
            );
            say(&what);
            // The harness reports by panicking.
            let login = AssertUnwindSafe(|| enrol(&host, &there, options, decoders, found));
            let done =
                catch_unwind(login).unwrap_or_else(|_| bail!("the login did not go as it should, see above"));
            match done {
                Ok(()) => "enrolled",
                Err(error) => {
                    found.failures.push(format!("{what}: {error:#}"));
                    "FAILED"
                }
            }
        });
        row.push(cell.join(", -q: "));
    }
    row
}

/// Somebody without a device logs in, scans what their terminal shows, and gets in.
fn enrol(
    host: &Sandbox,
    there: &Sandbox,
    options: &[&str],
    decoders: &Decoders,
    found: &mut Logins,
) -> Result<()> {
    let _ = host.run(&["rm", "-rf", &format!("/var/lib/qrtotp/accounts/{USER}")]);
    let options = [&["PubkeyAuthentication=no"], options].concat();
    let mut client = there.ssh_to_enrol(&[], USER, &options, &format!("echo {INSIDE}"));
    client.at_the_picture();
    let screen = client.transcript();
    let readings = decoders.read(&screen)?;
    found.pictures += 1;
    if found.pictures == 1 {
        for Reading { scanner, text } in decoders.read_inverted(&screen)? {
            found.scanners.entry(scanner).or_default().read_inverted += u32::from(!text.is_empty());
        }
    }
    let uri = readings.iter().map(|reading| &reading.text).find(|text| !text.is_empty());
    let uri = uri.context("no scanner reads the picture")?.clone();
    ensure!(uri.starts_with("otpauth://totp/"), "the picture holds something else");
    for Reading { scanner, text } in &readings {
        let count = found.scanners.entry(scanner.clone()).or_default();
        count.read += u32::from(*text == uri);
    }
    let unread: Vec<_> = readings.iter().filter(|reading| reading.text != uri).map(|r| &*r.scanner).collect();
    client.enrol_by(host, &uri);
    client.expect(INSIDE);
    client.success();
    let _ = host.log.wait(&["event=login result=accepted reason=enrolled"]);
    ensure!(unread.is_empty(), "the picture can't be read by {}", unread.join(", "));
    Ok(())
}

impl Logins {
    fn text(&self, systems: &[System]) -> Result<String> {
        let mut out = String::from(
            "Somebody without a device logs in over ssh with their password, scans the QR code off the screen of an 80×24 \
             terminal,\ntypes the code of the app and a recovery code, and is in; without and with `ssh -q`.\n\n",
        );
        let heads: Vec<_> = systems.iter().map(|s| format!("{} ({})", s.openssh, s.name)).collect();
        writeln!(out, "| server \\ client | {} |", heads.join(" | "))?;
        writeln!(out, "|---|{}", "---|".repeat(heads.len()))?;
        for (head, row) in heads.iter().zip(&self.cells) {
            writeln!(out, "| **{head}** | {} |", row.join(" | "))?;
        }
        out.push_str(
            "\nThe same pictures, read by scanners that must not invert them. (As a check, the first one with light and dark \
             exchanged:\na scanner that reads that inverts by itself.)\n\n| scanner | pictures read | inverted ones read |\n|---|---|---|\n",
        );
        for (scanner, count) in &self.scanners {
            writeln!(
                out,
                "| {scanner} | {} of {} | {} of 1 |",
                count.read, self.pictures, count.read_inverted
            )?;
        }
        Ok(out)
    }
}
