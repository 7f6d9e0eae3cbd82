//! Logins in a fleet: three verifiers, each with an etcd on this machine's disk, and a login host. Beside
//! them the floor, in the same run: one TLS hop and one transaction in etcd, by our own client.

use std::{
    collections::HashMap,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_tests::{
    Phone, Sandbox, State, clock,
    fleet::{Fleet, Host as LoginHost, table_of},
    users::PASSWORD,
};

use super::{
    Effort,
    host::{CROWD, compile, people},
    place::Place,
    report::{Bar, Report, Table, number},
    timing::{Times, median},
};
use crate::{build, debian, step::say};

const SERVICE: &str = "bench-fleet";
/// Where the floor finds its certificates, on the verifier that the host asks.
const FLOOR: &str = "/tmp/floor";
/// Logins of the module, and round trips of the floor, in turn.
const TURN: usize = 20;
/// Logins of each process when fifty are there at once.
const EACH: usize = 4;
/// How many periods ago a phone showed a code.
const PREVIOUS: u64 = 1;
const PRESENT: u64 = 0;
/// ssh logins before those that count.
const WARM_UP: usize = 3;

/// Answers the questions of ssh(1).
const ASKPASS: &str = "#!/bin/sh\ncase \"$1\" in *ode*) cat /root/code ;; *) echo \"$ANSWER\" ;; esac\n";

struct Bench {
    fleet: Fleet,
    host: LoginHost,
    /// Users who have not logged in yet, with their phones.
    fresh: Vec<(String, Phone)>,
    /// The login host's /etc/passwd without them, and the line of each.
    passwd: (String, HashMap<String, String>),
    /// Its /etc/pam.d/other, as Debian ships it.
    other: String,
    /// The verifier that the host asks, where the floor is measured, too.
    asked: usize,
}

/// # Errors
/// A login is refused, or a part of the fleet does not start.
pub fn measure(place: &Place, effort: &Effort, report: &mut Report) -> Result<()> {
    debian::etcd()?;
    let mut bench = Bench::new(place, effort)?;
    let alone = bench.alone(effort.rounds)?;
    let rates = bench.at_once(effort.crowds)?;
    let (single, fleet) = bench.ssh(effort.rounds / 8)?;
    add_to(report, alone, rates, [single, fleet]);
    Ok(())
}

impl Bench {
    fn new(place: &Place, effort: &Effort) -> Result<Self> {
        let floor = build::floor()?;
        let state = |name: &str| -> Result<State> {
            let path = place.make(name)?;
            // The bench ends with this process, so nothing is lost by keeping the name.
            Ok(State::Directory(path.to_str().context("an odd path")?.to_owned().leak()))
        };
        say("making three verifiers and a login host");
        let fleet = Fleet::on(&[state("v1")?, state("v2")?, state("v3")?]);
        // Hosts prefer different verifiers, so most of them ask one whose etcd is not the leader.
        let asked = (fleet.leader() + 1) % 3;
        // In that one's network, as the floor's client is.
        let host = fleet.host_beside(asked, "web1", &[asked]);
        let users = people(effort.rounds + effort.crowds * CROWD * EACH + effort.rounds);
        let fresh = fleet.import_crowd(&users);
        let before = host.sandbox.read("/etc/passwd");
        host.sandbox.add_crowd(&users);
        let after = host.sandbox.read("/etc/passwd");
        let named = |line: &str| Some((line.split(':').next()?.to_owned(), format!("{line}\n")));
        let passwd = (before, after.lines().filter_map(named).collect());
        host.sandbox.pam(SERVICE, "auth required pam_qrtotp.so\n");
        // As at the single host: libpam reads this file in every login to any service, and Debian's loads
        // five more modules.
        let other = host.sandbox.read("/etc/pam.d/other");
        host.sandbox.pam("other", "");
        let driver = compile("xtask/bench/driver.c", &["-rdynamic"])?;
        host.sandbox.install(&driver, "/usr/local/bin/driver", 0o755);
        let verifier = &fleet.verifiers[asked].sandbox;
        verifier.install(&floor, "/usr/local/bin/floor", 0o755);
        let files = format!("cp -r /etc/qrtotp/verifier {FLOOR}");
        verifier.run(&["sh", "-ec", &files]).success();
        for name in ["host.key", "host.der"] {
            verifier.install(
                &host.sandbox.path(&format!("/etc/qrtotp/relay/{name}")),
                &format!("{FLOOR}/{name}"),
                0o600,
            );
        }
        verifier.run(&["chown", "-R", "qrtotp-verifier:", FLOOR]).success();
        Ok(Self { fleet, host, fresh, passwd, other, asked })
    }

    /// The login host knows these users: to find one among thousands in a file takes longer than to log in.
    fn know(&self, users: &[(String, Phone)]) {
        let lines: String = users.iter().filter_map(|(user, _)| self.passwd.1.get(user)).cloned().collect();
        self.host.sandbox.overwrite("/etc/passwd", &format!("{}{lines}", self.passwd.0));
    }

    /// Users who have not logged in yet.
    fn take(&mut self, count: usize) -> Vec<(String, Phone)> {
        self.fresh.split_off(self.fresh.len() - count)
    }

    /// The floor and the module's part of a login, in turn: each user's first login since the verifier
    /// started, and the next one.
    fn alone(&mut self, rounds: usize) -> Result<[Times; 3]> {
        say("the floor, and logins one after the other");
        let mut times = [const { Vec::new() }; 3];
        for round in 0..=rounds / TURN {
            let users = self.take(TURN);
            let first = self.drive(&users, 0, PREVIOUS)?.0;
            let took = [self.floor(TURN, 1)?.0, first, self.drive(&users, 0, PRESENT)?.0];
            // The first round only warms up.
            if round > 0 {
                times.iter_mut().zip(took).for_each(|(all, these)| all.extend(these));
            }
        }
        Ok(times.map(|times| Times::of(times.into_iter())))
    }

    /// Decisions and round trips of the floor a second, of fifty at once, in the median round.
    fn at_once(&mut self, rounds: usize) -> Result<[f64; 2]> {
        say("fifty at once");
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let users = self.take(CROWD * EACH);
            ours.push(users.len() as f64 / self.drive(&users, CROWD, PRESENT)?.1);
            floor.push(users.len() as f64 / self.floor(users.len(), CROWD)?.1);
        }
        Ok([median(ours.into_iter()), median(floor.into_iter())])
    }

    /// Nanoseconds of each round trip, and seconds of all.
    fn floor(&self, count: usize, clients: usize) -> Result<(Vec<u64>, f64)> {
        let (count, clients) = (count.to_string(), clients.to_string());
        let user =
            ["setpriv", "--reuid", "qrtotp-verifier", "--regid", "qrtotp-verifier", "--clear-groups", "--"];
        let argv = [&user[..], &["/usr/local/bin/floor", FLOOR, &count, &clients]].concat();
        let output = self.fleet.verifiers[self.asked].sandbox.run(&argv).success().stdout;
        let (times, total) = output.split_once("total ").context("the floor says no total")?;
        let times = times.lines().map(|line| Ok(line.parse()?)).collect::<Result<_>>()?;
        Ok((times, total.trim().parse::<f64>()? / 1e9))
    }

    /// Logs the users in, one after the other or from so many processes. The same as [`Bench::floor`].
    fn drive(&self, users: &[(String, Phone)], processes: usize, ago: u64) -> Result<(Vec<u64>, f64)> {
        self.know(users);
        users[0].1.wait_for_seconds_left(15); // all of them log in within one period
        let now = clock::now();
        let code = |phone: &Phone| phone.code_of_step(phone.step() - ago);
        let line = |(user, phone): &(String, Phone)| format!("{SERVICE} {user} {} {now}\n", code(phone));
        let plan: String = users.iter().map(line).collect();
        self.host.sandbox.overwrite("/tmp/plan", &plan);
        let argv = ["driver", "/tmp/plan", &processes.to_string()];
        let output = self.host.sandbox.run(&argv).success().stdout;
        let (mut times, mut total) = (Vec::new(), f64::NAN);
        for line in output.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["total", took, _] => total = took.parse::<f64>()? / 1e9,
                ["0", took, _] => times.push(took.parse()?),
                _ => bail!(
                    "a right code was answered with {line}: {:#?}",
                    self.host.sandbox.log.lines().last()
                ),
            }
        }
        Ok((times, total))
    }

    /// Whole logins over ssh with password and code: at a single host, and at a host of the fleet.
    fn ssh(&mut self, rounds: usize) -> Result<(Times, Times)> {
        say("whole logins over ssh");
        let (single, users) = (Sandbox::new(), self.take(rounds + WARM_UP));
        let names: Vec<String> = users.iter().map(|(user, _)| user.clone()).collect();
        single.add_crowd(&names);
        self.host.sandbox.overwrite("/etc/pam.d/other", &self.other);
        self.know(&users);
        single.run_with_input(&["qrtotp", "import", "csv", "-", "--unused"], &table_of(&users)).success();
        self.drive(&users, 0, PREVIOUS)?; // as people who log in every day
        let hosts = [&single, &self.host.sandbox];
        // One after the other on port 22: the hosts have networks of their own.
        let _daemons = hosts.map(|host| {
            host.password_and_code("sshd", "");
            host.overwrite("/root/answer", ASKPASS);
            host.run(&["chmod", "755", "/root/answer"]).success();
            host.start_sshd("")
        });
        let mut times = [Vec::new(), Vec::new()];
        for (round, (user, phone)) in users.iter().enumerate() {
            for (host, times) in hosts.iter().zip(&mut times) {
                phone.wait_for_seconds_left(15);
                host.overwrite("/root/code", &phone.code());
                let took = ssh(host, user)?;
                times.extend((round >= WARM_UP).then_some(took));
            }
        }
        let [single, fleet] = times.map(|times| Times::of(times.into_iter()));
        Ok((single, fleet))
    }
}

/// The nanoseconds of one login.
fn ssh(host: &Sandbox, user: &str) -> Result<u64> {
    let options = ["StrictHostKeyChecking=yes", "NumberOfPasswordPrompts=1", "PubkeyAuthentication=no"];
    let mut argv = vec!["ssh", "-F", "none"];
    options.iter().for_each(|option| argv.extend(["-o", option]));
    let destination = format!("{user}@localhost");
    let mut command = host.command(None, &[&argv[..], &[&destination, "true"]].concat());
    command.env("SSH_ASKPASS", "/root/answer").env("SSH_ASKPASS_REQUIRE", "force").env("ANSWER", PASSWORD);
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    let took = start.elapsed();
    ensure!(
        status.success(),
        "{user} can't log in over ssh: {:#?}",
        host.log.lines().iter().rev().take(9).collect::<Vec<_>>()
    );
    ensure!(took < Duration::from_secs(60));
    Ok(u64::try_from(took.as_nanos())?)
}

fn add_to(
    report: &mut Report,
    [floor, first, module]: [Times; 3],
    [ours, least]: [f64; 2],
    [single, fleet]: [Times; 2],
) {
    let row = |name: &str, times: &Times| {
        let milliseconds = |part| number(times.percentile(part) / 1000.0);
        vec![name.to_owned(), milliseconds(0.5), milliseconds(0.99)]
    };
    report.tables.push(Table {
        title: "A login in a fleet of three verifiers, ms",
        head: vec!["what", "p50", "p99"],
        rows: vec![
            row("floor: one TLS hop and one transaction", &floor),
            row("module, pam_start to pam_end", &module),
            row("the same, first login since the verifier started", &first),
            row("whole login over ssh, single host", &single),
            row("whole login over ssh, fleet", &fleet),
        ],
    });
    report.notes.push(format!(
        "A fleet: {CROWD} processes at once made {ours:.0} decisions a second; the floor, of as many clients, {least:.0}. \
         All of it on this machine: three etcds, three verifiers, the relay and the logins."
    ));
    report.bars.extend([
        Bar::at_most("fleet: module, p50 / floor", 1.3, module.p50() / floor.p50()),
        Bar::at_most("fleet: module, p50, ms", 8.0, module.p50() / 1000.0),
        Bar::at_most("fleet: module, p99, ms", 30.0, module.percentile(0.99) / 1000.0),
        Bar::at_least("fleet: 50 at once, decisions a second", 1000.0, ours),
        Bar::at_most("fleet: whole ssh login, p50 / single host", 1.05, fleet.p50() / single.p50()),
    ]);
}
