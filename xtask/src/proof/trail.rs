//! `qrtotp audit verify` of ten million lines in bounded time and memory, plain and compressed. The library's
//! tests prove a million lines.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_account::{Chain, Name, Record, RecordId, State};
use qrtotp_otp::random_bytes;
use qrtotp_store::{Account, FileStore, StoreExt};
use qrtotp_tests::{Sandbox, State as StateOnDisk};

use super::{Findings, suite};
use crate::{
    apt,
    bench::place::Place,
    build,
    step::{run as step, say},
};

const LINES: usize = 10_000_000;
const ACCOUNTS: usize = 1000;
const MOST_SECONDS: f64 = 60.0;
const MOST_KIB: u64 = 64 * 1024;

/// The time of the first line, in Unix seconds.
const START: i64 = 1_700_000_000;

/// Prints the seconds that the program took which it runs, those of processor time, and the peak memory in
/// KiB, with its children's.
const MEASURE: &str = "import resource, subprocess, sys, time\n\
    began = time.monotonic(); code = subprocess.run(sys.argv[1:]).returncode\n\
    took = time.monotonic() - began; used = resource.getrusage(resource.RUSAGE_CHILDREN)\n\
    print(took, used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(code)";

/// `QRTOTP_LINES` may ask for fewer lines; the limits of time and memory stay.
///
/// # Errors
/// Something can't be built, installed, written or run.
pub fn run() -> Result<Findings> {
    let mut found = suite::trail()?;
    apt::need(&[apt::DEMO, apt::TEST])?;
    let lines = std::env::var("QRTOTP_LINES").map_or(Ok(LINES), |lines| lines.parse())?;
    let (artefacts, place) = (build::release()?, Place::on_disk()?);
    say(&format!("writing {lines} lines of {ACCOUNTS} accounts"));
    let log = place.path.join("auth.log");
    let store = write(&place, &log, lines)?;
    let memory = StateOnDisk::Tmpfs("size=64m");
    let sandbox = Sandbox::with_artefacts(memory, &artefacts.module, &artefacts.command);
    let copied = format!(
        "rm -rf /var/lib/qrtotp/* && cp -a {0}/. /var/lib/qrtotp && cp -a {0}.key/. /etc/qrtotp",
        store.display()
    );
    let _ = sandbox.run(&["sh", "-c", &copied]).success();
    step(Command::new("gzip").args(["-1", "--keep"]).arg(&log))?;
    for path in [log.clone(), log.with_extension("log.gz")] {
        let Measured { took, used, kib } = measure(&sandbox, &path, lines)?;
        let name = path.file_name().unwrap_or_default().display();
        let figures = format!("{lines} lines in {took:.1} s, {used:.1} s of processor time, peak {kib} KiB");
        writeln!(found.text, "qrtotp audit verify --file {name}, {ACCOUNTS} accounts: {figures}")?;
        if used > MOST_SECONDS || kib > MOST_KIB {
            let limits = format!("the limits are {MOST_SECONDS} s of processor time and {MOST_KIB} KiB");
            found.failures.push(format!("trail: {name}: {figures}; {limits}"));
        }
    }
    Ok(found)
}

/// Writes a log of so many lines, and a store that has the ends of their chains. Gives the store's path; its
/// key is beside it in `….key`.
fn write(place: &Place, log: &Path, lines: usize) -> Result<PathBuf> {
    let mut chains = (0..ACCOUNTS)
        .map(|_| {
            let id = RecordId(random_bytes()?);
            Ok((id, Chain::new(id)))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut out = BufWriter::new(File::create(log)?);
    let mut line = String::new();
    for n in 0..lines {
        let user = n % ACCOUNTS;
        line.clear();
        write!(
            line,
            "event=login result=accepted reason=code user=person{user} service=sshd rhost=192.0.2.{} tty=ssh \
             credential=c-7F3K2M label=\"my phone\" with=publickey",
            n % 251
        )?;
        let at = START + i64::try_from(n)? / 8;
        let (_, chain) = chains.get_mut(user).context("an account")?;
        chain.add(&mut line, 0, at);
        writeln!(out, "2026-11-29T10:00:00.000000+00:00 host sshd[7]: pam_qrtotp(sshd:auth): {line}")?;
    }
    out.flush()?;
    let (made, keys) = (place.path.join("store"), place.make("store.key")?);
    let store = FileStore::open_or_create(&made, &keys)?;
    for (number, (id, chain)) in chains.into_iter().enumerate() {
        let name = Name::new(&format!("person{number}"))?;
        let record = Record::new(name.clone(), 3000 + u32::try_from(number)?, id);
        let mut state = State::new(id);
        state.chain = chain;
        let account = Account { record, state };
        store.update_account(&name, |slot| *slot = Some(account.clone()))?;
    }
    Ok(made)
}

/// The cost of a verification.
struct Measured {
    /// Seconds, also those in which other programs had the processor.
    took: f64,
    /// Seconds of processor time.
    used: f64,
    /// Peak memory.
    kib: u64,
}

fn measure(sandbox: &Sandbox, log: &Path, lines: usize) -> Result<Measured> {
    let log = log.to_str().context("an odd path")?;
    let said = sandbox.run(&["python3", "-c", MEASURE, "qrtotp", "audit", "verify", "--file", log]);
    let proven = format!("{ACCOUNTS} accounts, {lines} events: {lines} proven, 0 taken on trust");
    let is_whole = said.stdout.contains(&proven) && said.stdout.contains("Nothing was changed");
    ensure!(said.status.success() && is_whole, "it is not proven: {}{}", said.stdout, said.stderr);
    let figures: Vec<&str> = said.stdout.lines().last().unwrap_or_default().split(' ').collect();
    let [took, used, kib] = figures[..] else { bail!("no figures: {}", said.stdout) };
    Ok(Measured { took: took.parse()?, used: used.parse()?, kib: kib.parse()? })
}
