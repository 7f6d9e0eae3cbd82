//! A user enrols over ssh between every pair of the OpenSSH releases that matter, from the picture on their
//! screen, which several decoders read.

use std::{
    collections::BTreeMap,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_tests::{
    Sandbox,
    decoders::Reading,
    openssh::{NEWEST, OPTIONS, Server, System, is_older, read},
    screen::Background,
};

use super::Findings;
use crate::{apt, build, debian, decoders, step::say};

/// The releases that differ: since 10.3 sshd sends messages at once, as instructions.
const NEW: (u32, u32) = (10, 3);

/// A decoder's results for all the pictures.
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
/// A step can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST])?;
    let _ = build::release()?;
    decoders::install()?;
    let mut found = Logins::default();
    let systems = systems(&mut found);
    for server in &systems {
        let row = logins(server, &systems, &mut found);
        found.cells.push(row);
    }
    for (decoder, _) in found.decoders.iter().filter(|(_, count)| count.read_inverted > 0) {
        found.failures.push(format!("{decoder} inverts by itself, so what it read proves nothing"));
    }
    let text = found.text(&systems)?;
    Ok(Findings { text, failures: found.failures })
}

fn systems(found: &mut Logins) -> Vec<System> {
    let mut systems = vec![System::this_machine()];
    if !is_older() {
        say("LEFT OUT: servers and clients of Debian 12: what is built here does not run there");
    }
    for release in [NEWEST, "sid"].into_iter().filter(|release| *release != NEWEST || is_older()) {
        match debian::with_openssh(release) {
            Ok(()) => systems.push(System::debian(release)),
            Err(error) => found.failures.push(format!("Debian {release} could not be had: {error:#}")),
        }
    }
    if systems.iter().all(|system| system.version() < NEW) {
        found.failures.push(format!("No OpenSSH of {}.{} or newer is among them.", NEW.0, NEW.1));
    }
    systems
}

/// One server, every client.
fn logins(system: &System, clients: &[System], found: &mut Logins) -> Vec<String> {
    let server = system.server();
    let mut row = Vec::new();
    for client in clients {
        let there = client.client(&server);
        let cell = OPTIONS.map(|options| {
            let what = format!(
                "server {}, client {}{}",
                system.openssh,
                client.openssh,
                if options.is_empty() { "" } else { ", -q" }
            );
            say(&what);
            // The harness reports by panicking.
            let login = AssertUnwindSafe(|| enrol(&server, &there, options, found));
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

/// A user without a device logs in, scans the picture on their terminal, and gets in.
fn enrol(server: &Server, client: &Sandbox, options: &[&str], found: &mut Logins) -> Result<()> {
    let login = server.at_the_picture(client, options);
    let readings = read(&login, Background::Dark);
    found.pictures += 1;
    if found.pictures == 1 {
        for Reading { decoder, text } in read(&login, Background::Light) {
            found.decoders.entry(decoder).or_default().read_inverted += u32::from(text.is_some());
        }
    }
    let uri = readings.iter().find_map(|reading| reading.text.clone());
    let uri = uri.context("no decoder reads the picture")?;
    let mut unread = Vec::new();
    for Reading { decoder, text } in &readings {
        let right = text.as_ref() == Some(&uri);
        found.decoders.entry(decoder.clone()).or_default().read += u32::from(right);
        if !right {
            unread.push(&**decoder);
        }
    }
    server.enrols(login, &uri);
    ensure!(unread.is_empty(), "the picture can't be read by {}", unread.join(", "));
    Ok(())
}

impl Logins {
    fn text(&self, systems: &[System]) -> Result<String> {
        let mut out = String::new();
        let heads: Vec<_> = systems.iter().map(|s| format!("{} ({})", s.openssh, s.name)).collect();
        writeln!(out, "| server \\ client | {} |", heads.join(" | "))?;
        writeln!(out, "|---|{}", "---|".repeat(heads.len()))?;
        for (head, row) in heads.iter().zip(&self.cells) {
            writeln!(out, "| **{head}** | {} |", row.join(" | "))?;
        }
        out.push_str("\n| decoder | pictures read | inverted ones read |\n|---|---|---|\n");
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
