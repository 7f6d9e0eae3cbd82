//! Somebody enrols over ssh between every pair of the OpenSSH releases that matter, from the picture on their screen, which
//! several decoders read.

mod systems;

use std::{
    collections::BTreeMap,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_tests::{
    Sandbox,
    decoders::{self, Reading},
    first_login::INSIDE,
    screen::{Background, photograph},
};

use self::systems::System;
use super::Findings;
use crate::{
    apt,
    build::{self, Artefacts},
    step::say,
};

const USER: &str = "alice";
/// The usual terminal.
const GEOMETRY: &str = "80x24";
const KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// Without and with the option that hides messages.
const OPTIONS: [&[&str]; 2] = [&[], &["-q"]];

/// The releases that differ: since 10.3 sshd sends messages at once, as instructions.
const NEW: (u32, u32) = (10, 3);

/// What a decoder did with all the pictures.
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
    decoders: BTreeMap<String, Count>,
}

/// # Errors
/// It can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::PROOF])?;
    let artefacts = build::release()?;
    crate::decoders::install()?;
    let mut found = Logins::default();
    let systems = systems(&artefacts, &mut found)?;
    for server in &systems {
        let row = logins(server, &systems, &artefacts, &mut found);
        found.cells.push(row);
    }
    for (decoder, _) in found.decoders.iter().filter(|(_, count)| count.read_inverted > 0) {
        found.failures.push(format!("{decoder} inverts by itself, so what it read proves nothing"));
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
fn logins(server: &System, clients: &[System], artefacts: &Artefacts, found: &mut Logins) -> Vec<String> {
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
            let login = AssertUnwindSafe(|| enrol(&host, &there, options, found));
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
fn enrol(host: &Sandbox, there: &Sandbox, options: &[&str], found: &mut Logins) -> Result<()> {
    let _ = host.run(&["rm", "-rf", &format!("/var/lib/qrtotp/accounts/{USER}")]);
    let options = [&["PubkeyAuthentication=no"], options].concat();
    let mut client = there.ssh_to_enrol(&[], USER, &options, &format!("echo {INSIDE}"));
    client.at_the_picture();
    let screen = client.transcript();
    let read = |background| decoders::read_png(&photograph(&screen, background, GEOMETRY));
    let readings = read(Background::Dark);
    found.pictures += 1;
    if found.pictures == 1 {
        for Reading { decoder, text } in read(Background::Light) {
            found.decoders.entry(decoder).or_default().read_inverted += u32::from(text.is_some());
        }
    }
    let uri = readings.iter().find_map(|reading| reading.text.clone());
    let uri = uri.context("no decoder reads the picture")?;
    ensure!(uri.starts_with("otpauth://totp/"), "the picture holds something else");
    let mut unread = Vec::new();
    for Reading { decoder, text } in &readings {
        let right = text.as_ref() == Some(&uri);
        found.decoders.entry(decoder.clone()).or_default().read += u32::from(right);
        if !right {
            unread.push(&**decoder);
        }
    }
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
            "\nThe same pictures, read by decoders that must not invert them. (As a check, the first one with light and dark \
             exchanged:\na decoder that reads that inverts by itself.)\n\n| decoder | pictures read | inverted ones read |\n|---|---|---|\n",
        );
        for (decoder, count) in &self.decoders {
            writeln!(
                out,
                "| {decoder} | {} of {} | {} of 1 |",
                count.read, self.pictures, count.read_inverted
            )?;
        }
        Ok(out)
    }
}
