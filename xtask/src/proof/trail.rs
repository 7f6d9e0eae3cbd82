//! `qrtotp audit verify` and `report` of ten million lines in bounded time and memory, plain and compressed,
//! and `verify` of a hundred thousand accounts. The library's tests prove a million lines.

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
    build::{self, Artefacts},
    step::{run as step, say},
};

const LINES: usize = 10_000_000;
const ACCOUNTS: usize = 1000;
const MANY_ACCOUNTS: usize = 100_000;
/// Lines of each of many accounts. The second log has only the last ones.
const LINES_OF_MANY: usize = 10;
const MOST_SECONDS: f64 = 60.0;
const MOST_KIB: u64 = 96 * 1024;

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
    let artefacts = build::release()?;
    many_lines(&artefacts, lines, &mut found)?;
    many_accounts(&artefacts, &mut found)?;
    Ok(found)
}

fn many_lines(artefacts: &Artefacts, lines: usize, found: &mut Findings) -> Result<()> {
    let host = Host::new(artefacts, ACCOUNTS, lines, 0)?;
    step(Command::new("gzip").args(["-1", "--keep"]).arg(host.log("auth.log")))?;
    let proven = format!("{ACCOUNTS} accounts, {lines} events: {lines} proven, 0 taken on trust");
    let whole = [proven.as_str(), "Nothing was changed"];
    host.measure("verify", &["verify"], "auth.log", &whole)?.judge(found)?;
    host.measure("verify, compressed", &["verify"], "auth.log.gz", &whole)?.judge(found)?;
    host.measure("report", &["report", "--html", "/root/report.html"], "auth.log", &[])?.judge(found)?;
    let page = host.sandbox.read("/root/report.html");
    ensure!(page.contains("Nothing in the log was changed"), "the report is of another log");
    Ok(())
}

fn many_accounts(artefacts: &Artefacts, found: &mut Findings) -> Result<()> {
    let (accounts, lines) = (MANY_ACCOUNTS, MANY_ACCOUNTS * LINES_OF_MANY);
    let host = Host::new(artefacts, accounts, lines, lines / 2)?;
    let _ = host.sandbox.run(&["sh", "-c", "qrtotp audit heads >/root/heads"]).success();
    let verify = ["verify", "--against", "/root/heads"];
    let proven = format!("{accounts} accounts, {lines} events: {lines} proven, 0 taken on trust");
    host.measure("verify --against", &verify, "auth.log", &[&proven])?.judge(found)?;
    let later = lines / 2;
    // The store still has the first of these lines, and proves it.
    let proven = format!("{accounts} accounts, {later} events: {later} proven, 0 taken on trust");
    host.measure("verify --against, from the middle", &verify, "later.log", &[&proven])?.judge(found)
}

/// A host with a store and logs.
struct Host {
    sandbox: Sandbox,
    /// The logs, and the store's key.
    disk: Place,
    /// The store.
    _memory: Place,
    accounts: usize,
}

impl Host {
    /// The log `auth.log` has so many lines; `later.log` has those from number `later` on.
    fn new(artefacts: &Artefacts, accounts: usize, lines: usize, later: usize) -> Result<Self> {
        say(&format!("writing {lines} lines of {accounts} accounts"));
        let (disk, memory) = (Place::on_disk()?, Place::in_memory()?);
        let chains = write_logs(&disk.path, accounts, lines, later)?;
        let (store, keys) = (memory.path.join("store"), disk.make("store.key")?);
        write_store(&FileStore::open_or_create(&store, &keys)?, chains)?;
        let directory = StateOnDisk::Directory(store.to_str().context("an odd path")?.to_owned().leak());
        let sandbox = Sandbox::with_artefacts(directory, &artefacts.module, &artefacts.command);
        let copied = format!("cp -a {}/. /etc/qrtotp", keys.display());
        let _ = sandbox.run(&["sh", "-c", &copied]).success();
        Ok(Self { sandbox, disk, _memory: memory, accounts })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.disk.path.join(name)
    }

    /// The cost of `qrtotp audit` with these words on this log. It must succeed and say this.
    fn measure(&self, name: &str, words: &[&str], log: &str, says: &[&str]) -> Result<Measured> {
        let path = self.log(log);
        let file = ["--file", path.to_str().context("an odd path")?];
        let said = self.sandbox.run(&[&["python3", "-c", MEASURE, "qrtotp", "audit"], words, &file].concat());
        let is_right = said.status.success() && says.iter().all(|text| said.stdout.contains(text));
        ensure!(is_right, "{name}: {}{}", said.stdout, said.stderr);
        let figures: Vec<&str> = said.stdout.lines().last().unwrap_or_default().split(' ').collect();
        let [took, used, kib] = figures[..] else { bail!("no figures: {}", said.stdout) };
        let what = format!("qrtotp audit {name}, {} accounts", self.accounts);
        Ok(Measured { what, took: took.parse()?, used: used.parse()?, kib: kib.parse()? })
    }
}

/// Writes the logs. Gives the ends of the chains.
fn write_logs(logs: &Path, accounts: usize, lines: usize, later: usize) -> Result<Vec<(RecordId, Chain)>> {
    let new = |_| {
        let id = RecordId(random_bytes()?);
        Ok((id, Chain::new(id)))
    };
    let mut chains = (0..accounts).map(new).collect::<Result<Vec<_>>>()?;
    let log = |name: &str| File::create(logs.join(name)).map(BufWriter::new);
    let (mut all, mut last) = (log("auth.log")?, log("later.log")?);
    let mut line = String::new();
    for n in 0..lines {
        let user = n % accounts;
        line.clear();
        write!(
            line,
            "event=login result=accepted reason=code user=person{user} service=sshd rhost=192.0.2.{} tty=ssh \
             credential=c-7F3K2M label=\"my phone\" place=familiar with=publickey \
             key=SHA256:KaSVbDRGIj/71My3xBIR2mgI/wnC0MdkcrccUkQjRRM",
            n % 251
        )?;
        let at = START + i64::try_from(n)? / 8;
        let (_, chain) = chains.get_mut(user).context("an account")?;
        chain.add(&mut line, 0, at);
        line.insert_str(0, "2026-11-29T10:00:00.000000+00:00 host sshd[7]: pam_qrtotp(sshd:auth): ");
        writeln!(all, "{line}")?;
        if later > 0 && n >= later {
            writeln!(last, "{line}")?;
        }
    }
    all.flush()?;
    last.flush()?;
    Ok(chains)
}

fn write_store(store: &FileStore, chains: Vec<(RecordId, Chain)>) -> Result<()> {
    for (number, (id, chain)) in chains.into_iter().enumerate() {
        let name = Name::new(&format!("person{number}"))?;
        let record = Record::new(name.clone(), 3000 + u32::try_from(number)?, id);
        let mut state = State::new(id);
        state.chain = chain;
        let account = Account { record, state };
        store.update_account(&name, |slot| *slot = Some(account.clone()))?;
    }
    Ok(())
}

/// The cost of a command.
struct Measured {
    what: String,
    /// Seconds, also those in which other programs had the processor.
    took: f64,
    /// Seconds of processor time, with that of its children. The command has one thread.
    used: f64,
    /// Peak memory.
    kib: u64,
}

impl Measured {
    fn judge(self, found: &mut Findings) -> Result<()> {
        let Self { what, took, used, kib } = self;
        let figures = format!("{what}: {took:.1} s, {used:.1} s of processor time, peak {kib} KiB");
        say(&figures);
        writeln!(found.text, "{figures}")?;
        if used > MOST_SECONDS || kib > MOST_KIB {
            let limits = format!("the limits are {MOST_SECONDS} s of processor time and {MOST_KIB} KiB");
            found.failures.push(format!("trail: {figures}; {limits}"));
        }
        Ok(())
    }
}
