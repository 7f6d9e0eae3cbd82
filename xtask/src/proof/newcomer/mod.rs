//! A newcomer makes a fleet by its documents: three Debian 13 verifiers and two login hosts, one of them
//! Debian 12, each booted with its own systemd, in one network. Every command that is typed is in a document.

mod machine;
mod network;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::{artefacts, clock};

use self::{machine::Machine, network::Network};
use crate::{apt, build, deb, proof::Findings, step::say};

/// The time for all of it.
const LIMIT: Duration = Duration::from_secs(15 * 60);
const ADDRESSES: [&str; 5] = ["10.1.0.11", "10.1.0.12", "10.1.0.13", "10.2.0.21", "10.2.0.22"];
const NAMES: [&str; 5] = ["v1", "v2", "v3", "web1", "web2"];
const RELEASES: [&str; 5] = ["trixie", "trixie", "trixie", "trixie", "bookworm"];
const OF_ALL: &str = "systemd-sysv,libpam-systemd,dbus,libpam-modules,libpam-runtime,passwd,util-linux,procps,iproute2,openssh-server,openssh-client,sudo,oathtool,expect";
const OF_VERIFIERS: &str = "etcd-server,etcd-client";
const INSIDE: &str = include_str!("inside.sh");

/// The documents that a newcomer reads.
fn documents() -> Result<String> {
    let read = |name: &str| fs::read_to_string(build::workspace().join(name));
    Ok(read("docs/FLEET.md")? + &read("docs/FLEET-OPERATIONS.md")?)
}

/// # Errors
/// A step can't be carried out.
pub fn run() -> Result<Findings> {
    apt::need(&[apt::DEMO, apt::TEST, apt::DEB, apt::PROOF])?;
    let packages = packages()?;
    let network = Network::new(&ADDRESSES)?;
    say("booting five machines");
    let boot = |number: usize| boot(number, &packages, &network.place(number));
    let machines = (0..NAMES.len()).map(boot).collect::<Result<Vec<_>>>()?;
    let mut newcomer = Newcomer { documents: documents()?, machines, typed: 0, found: Findings::default() };
    newcomer.prepare()?;
    let started = Instant::now();
    newcomer.makes_verifiers()?;
    newcomer.enrols_alice()?;
    newcomer.joins_hosts()?;
    let took = started.elapsed();
    newcomer.expect(
        "at most 15 minutes from the packages to protected sshds",
        took <= LIMIT,
        &format!("{took:?}"),
    );
    newcomer.logs_in()?;
    newcomer.looks_at_units()?;
    let Newcomer { typed, mut found, .. } = newcomer;
    writeln!(found.text, "{typed} commands in {} s, from the packages to protected sshds", took.as_secs())?;
    Ok(found)
}

/// The packages in `QRTOTP_DEB`, or new ones.
fn packages() -> Result<Vec<PathBuf>> {
    if std::env::var_os("QRTOTP_DEB").is_some() {
        return Ok(artefacts::packages());
    }
    build::release()?;
    deb::packages(&deb::of_release()?)
}

fn boot(number: usize, packages: &[PathBuf], network: &Path) -> Result<Machine> {
    let more = if number < 3 { [OF_ALL, OF_VERIFIERS].join(",") } else { OF_ALL.to_owned() };
    Machine::boot(NAMES[number], RELEASES[number], &more, packages, network)
}

struct Newcomer {
    documents: String,
    machines: Vec<Machine>,
    /// Commands so far.
    typed: usize,
    found: Findings,
}

impl Newcomer {
    /// What any site has: users with passwords, and root's key on the verifiers.
    fn prepare(&self) -> Result<()> {
        for machine in &self.machines {
            machine.run(&format!("{INSIDE}\nprepare {}", machine.name))?;
        }
        let key = self.machines[0].run("cat /root/.ssh/id_ed25519.pub")?;
        for machine in &self.machines[1..3] {
            machine.write("/root/.ssh/authorized_keys", &key)?;
        }
        Ok(())
    }

    fn expect(&mut self, what: &str, holds: bool, seen: &str) {
        let _ = writeln!(self.found.text, "{} {what}", if holds { "yes" } else { "NO " });
        if !holds {
            self.found.failures.push(format!("not so: {what}: {seen}"));
        }
    }

    /// Whether a command is a whole line of a document, or stands there between backticks.
    fn is_documented(&self, command: &str) -> bool {
        self.documents.lines().any(|line| line.trim() == command)
            || self.documents.contains(&format!("`{command}`"))
    }

    /// Types a command of a document on a machine. The documents have it for v2 and its address.
    fn types(&mut self, number: usize, command: &str) -> Result<String> {
        let for_v2 = command.replace("v3 /", "v2 /").replace("root@10.1.0.13", "root@10.1.0.12");
        ensure!(self.is_documented(&for_v2), "no document says `{for_v2}`");
        self.typed += 1;
        self.machines[number].run(command).with_context(|| format!("{}# {command}", NAMES[number]))
    }

    fn makes_verifiers(&mut self) -> Result<()> {
        say("three verifiers");
        for number in 0..3 {
            self.types(number, "apt install qrtotp etcd-server etcd-client")?;
            self.types(number, "systemctl disable --now etcd")?;
            self.types(number, "systemd-sysusers")?;
        }
        self.types(0, "qrtotp fleet init --name corp --verifier v1=10.1.0.11 --verifier v2=10.1.0.12 --verifier v3=10.1.0.13")?;
        for number in 1..3 {
            let (address, name) = (ADDRESSES[number], NAMES[number]);
            self.types(0, &format!("scp /etc/qrtotp/corp.bundle root@{address}:/root/"))?;
            self.types(
                0,
                &format!("ssh root@{address} qrtotp fleet join-verifier --name {name} /root/corp.bundle"),
            )?;
            self.types(0, &format!("ssh root@{address} rm /root/corp.bundle"))?;
        }
        for number in 0..3 {
            self.types(number, "systemctl enable --now qrtotp-etcd")?;
        }
        self.types(0, "qrtotp fleet create-store")?;
        for number in 0..3 {
            self.types(number, "systemctl enable --now qrtotpd-verifier")?;
        }
        clock::pause(Duration::from_secs(8)); // a verifier shows itself every 5 s
        let status = self.types(0, "qrtotp fleet status")?;
        let is_fine = !status.contains("PROBLEM") && NAMES[..3].iter().all(|name| status.contains(name));
        self.expect("`qrtotp fleet status` names three verifiers and no problem", is_fine, &status);
        Ok(())
    }

    fn enrols_alice(&mut self) -> Result<()> {
        say("alice enrols");
        let vq = "sudo -u qrtotp-verifier qrtotp --config /etc/qrtotp/verifier/qrtotp.toml";
        let has_both =
            self.is_documented(&format!("alias vq='{vq}'")) && self.is_documented("vq enroll alice");
        ensure!(has_both, "no document says `vq`");
        self.typed += 2;
        self.machines[0].run(&format!("{INSIDE}\ntype_in '{vq} enroll alice'"))?;
        let phone = self.machines[0].run("cat /root/phone")?;
        // The hosts' script plays alice, who has the phone.
        self.machines[3..].iter().try_for_each(|host| host.write("/root/phone", &phone))?;
        self.types(0, "qrtotp fleet invite --count 20 --for 1h > invitation")?;
        let invitation = self.machines[0].run("cat invitation")?;
        self.machines[3..].iter().try_for_each(|host| host.write("/root/invitation", &invitation))
    }

    fn joins_hosts(&mut self) -> Result<()> {
        for (number, name) in NAMES.iter().enumerate().skip(3) {
            say(&format!("{name} joins"));
            self.types(number, "apt install qrtotp libpam-qrtotp")?;
            self.types(number, "qrtotp fleet join 10.1.0.11,10.1.0.12,10.1.0.13 --token-file invitation")?;
            self.types(number, "systemctl enable --now qrtotp-relay.socket qrtotpd.socket")?;
            let status = self.types(number, "qrtotp fleet status")?;
            let is_fine = ADDRESSES[..3].iter().all(|address| status.contains(&format!("{address}  ok")));
            self.expect(&format!("{name} reaches all verifiers"), is_fine, &status);
            self.types(number, "qrtotp setup sshd --apply")?;
        }
        Ok(())
    }

    fn logs_in(&mut self) -> Result<()> {
        say("alice logs in");
        // The codes stay the same for all four logins, and the one of her enrolment is older.
        clock::pause(Duration::from_secs(60));
        clock::poll(Duration::from_secs(31), || (clock::now() % 30 < 2).then_some(()));
        let log_in = |newcomer: &Self, number: usize, code: &str| {
            newcomer.machines[number].run(&format!("{INSIDE}\nlog_in \"{code}\""))
        };
        for (number, code, expected, what) in [
            (3, "000000", "out, 1 codes", "a wrong code is refused at web1"),
            (3, "$(code -1)", "in, 1 codes", "alice logs in at web1 with password and code"),
            (4, "$(code -1)", "out, 1 codes", "the same code is refused at web2, a Debian 12"),
            (4, "$(code 0)", "in, 1 codes", "the next code is accepted there"),
        ] {
            let output = log_in(self, number, code)?;
            self.expect(what, output.trim() == expected, &output);
        }
        for number in 3..5 {
            self.types(number, "qrtotp setup --keep")?;
        }
        Ok(())
    }

    fn looks_at_units(&mut self) -> Result<()> {
        for (number, name) in NAMES.iter().enumerate() {
            let units =
                if number < 3 { "qrtotp-etcd qrtotpd-verifier" } else { "qrtotp-relay.socket qrtotp-relay" };
            let output = self.machines[number].run(&format!(
                "systemctl is-active {units} | sort -u; systemctl list-units --failed --plain --no-legend 'qrtotp*'; \
                 for unit in {units}; do systemctl show -P NRestarts $unit 2>/dev/null | grep -v '^0$'; done; true"
            ))?;
            self.expect(&format!("{name}: {units} run and did not fail"), output.trim() == "active", &output);
        }
        Ok(())
    }
}
