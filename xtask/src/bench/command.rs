//! The time of the commands that administrators run most, and whether their memory grows with the accounts.

use anyhow::{Context, Result, ensure};

use super::{
    accounts::{FEW, MANY, configuration},
    host::{Host, PEOPLE, person},
    report::{Bar, Report, Table, number},
    timing::{Times, median},
};

struct Runs {
    name: String,
    times: Times,
    /// KiB at the peak.
    memory: f64,
}

/// `accounts` is the number of accounts in the large store.
pub fn measure(host: &Host, accounts: usize, report: &mut Report) -> Result<()> {
    let user = person(0);
    let runs = |name: String, times: usize, arguments: &[&str]| -> Result<Runs> {
        let (spawn, command) = (["spawn", &times.to_string()].map(str::to_owned), ["qrtotp".to_owned()]);
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        let argv: Vec<String> = spawn.into_iter().chain(command).chain(arguments).collect();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        Runs::of(name, &host.sandbox.run(&argv).success().stdout)
    };
    let status = runs("status USER".into(), 200, &["status", &user])?;
    let (small, large) = (configuration(FEW), configuration(MANY));
    let few = runs(format!("list, {PEOPLE} accounts"), 50, &["--config", &small, "list"])?;
    let many = runs(format!("list, {} accounts", accounts), 3, &["--config", &large, "list"])?;
    let lines = host.sandbox.run(&["qrtotp", "--config", &large, "list"]).success().stdout.lines().count();
    ensure!(lines == accounts + 1, "qrtotp list prints {lines} lines, not a header and {accounts} accounts");
    report.tables.push(Table {
        title: "The command qrtotp",
        head: vec!["command", "p50 ms", "p99", "memory KiB"],
        rows: [&status, &few, &many].map(Runs::row).to_vec(),
    });
    report.bars.extend([
        Bar::at_most("qrtotp status USER, p50, ms", 5.0, status.times.p50() / 1000.0),
        // A thousand names are sorted before the first line; a hundred thousand would need several times the
        // memory.
        Bar::at_most("qrtotp list, peak memory, many accounts / few", 1.1, many.memory / few.memory),
    ]);
    Ok(())
}

impl Runs {
    /// From what `spawn` prints (xtask/bench/spawn.c).
    fn of(name: String, text: &str) -> Result<Self> {
        let (mut nanoseconds, mut memory) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let (time, kib) = line.split_once(' ').with_context(|| format!("spawn says: {line}"))?;
            nanoseconds.push(time.parse()?);
            memory.push(kib.parse()?);
        }
        Ok(Self { name, times: Times::of(nanoseconds.into_iter()), memory: median(memory.into_iter()) })
    }

    fn row(&self) -> Vec<String> {
        let milliseconds = [self.times.p50(), self.times.percentile(0.99)].map(|time| number(time / 1000.0));
        let cells = milliseconds.into_iter().chain([number(self.memory)]);
        std::iter::once(self.name.clone()).chain(cells).collect()
    }
}
