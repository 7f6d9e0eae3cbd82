//! The private host of the comparison: all candidates installed, all users enrolled, and logins by plan.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use qrtotp_account::Name;
use qrtotp_otp::base32_decode;
use qrtotp_store::{FileStore, Store};
use qrtotp_tests::{Phone, Sandbox, State, sandbox::STATE_DIR};

use super::{
    candidate::{CANDIDATES, Candidate, FLOOR, HONEST, OURS},
    place::{self, FIRST_UID, Place},
};
use crate::build::{self, Artefacts};

/// Users who log in one after the other.
pub const PEOPLE: usize = 10;
/// Users who log in at the same time.
pub const CROWD: usize = 50;
/// A user who never enrolled.
pub const NEWCOMER: &str = "newcomer";
/// Seconds that a code is shown.
const PERIOD: u64 = 30;
/// Mount point of the whole [`Place`] in the private host. Our own store in it is mounted again where the
/// shipped configuration expects it.
const BENCH_DIR: &str = "/var/lib/bench";
/// The configuration that the package installs.
const SHIPPED: &str = include_str!("../../../conf/qrtotp.toml");
/// The configuration of the honest floor.
const HONEST_CONF: &str = "# Where the records are.\ndirectory /var/lib/bench/honest-floor\nwindow 1\n";
/// Offset of the failures in a user's file of the honest floor (tests/c/honest_module.c).
const HONEST_FAILURES: usize = 32;

pub struct Host {
    // Dropped before the place, because it is mounted there.
    pub sandbox: Sandbox,
    pub place: Place,
    /// The file system of the records, in mount(8)'s words.
    pub file_system: String,
    /// The same for all users: only the name tells them apart.
    phone: Phone,
    step: RefCell<u64>,
    codes: RefCell<HashMap<u64, String>>,
}

/// chrt(1): what runs under it comes before all that is scheduled in turns.
const FIRST: [&str; 3] = ["chrt", "--fifo", "1"];

/// One login of a plan.
#[derive(Clone)]
pub struct Attempt {
    pub service: &'static str,
    pub user: String,
    pub answer: String,
    /// Unix time.
    pub time: u64,
}

pub struct Outcome {
    pub code: i32,
    pub nanoseconds: u64,
    /// Peak of resident memory above the baseline, if requested.
    pub kib: u64,
}

pub struct Run {
    pub outcomes: Vec<Outcome>,
    pub text: String,
    /// From the first login to the end of the last one.
    pub seconds: f64,
    /// Core seconds, of all processes together.
    pub worked: f64,
}

/// An instant whose code is unused.
#[derive(Clone)]
pub struct Tick {
    pub time: u64,
    pub code: String,
}

pub fn person(number: usize) -> String {
    format!("person{number}")
}

pub fn people(many: usize) -> Vec<String> {
    (0..many).map(person).collect()
}

impl Host {
    pub fn new(artefacts: &Artefacts) -> Result<Self> {
        let place = Place::on_disk()?;
        let phone = Phone { period: PERIOD, ..Phone::random() };
        let everybody = people(PEOPLE.max(CROWD));
        place::fill(&place, OURS, &phone, &everybody, 0)?;
        // The bench ends with this process, so nothing is lost by keeping the name.
        let path: &'static str = place.path.to_str().context("an odd path")?.to_owned().leak();
        let sandbox = Sandbox::with_artefacts(State::Directory(path), &artefacts.module, &artefacts.command);
        // As seen by its writers: a layer in between would take the syncs.
        let found = sandbox.run(&["findmnt", "-n", "-o", "FSTYPE", "--target", STATE_DIR]).success();
        let file_system = found.stdout.trim().to_owned();
        let store = format!("{BENCH_DIR}/{OURS}");
        sandbox.run(&["mkdir", BENCH_DIR]).success();
        for [from, to] in [[STATE_DIR, BENCH_DIR], [&store, STATE_DIR]] {
            sandbox.run(&["mount", "--bind", from, to]).success();
        }
        for directory in ["/etc", sandbox.security_directory()] {
            onto_disk(&sandbox, directory)?;
        }
        let step = RefCell::new(phone.step() + 2);
        let host = Self { sandbox, place, file_system, phone, step, codes: RefCell::default() };
        host.add_people(&everybody);
        host.enrol_with_peers(&everybody)?;
        host.configure(OURS, "/etc/qrtotp", SHIPPED)?;
        host.sandbox.overwrite("/etc/honest.conf", HONEST_CONF);
        for candidate in &CANDIDATES {
            host.install(candidate)?;
        }
        read_anew(&host.sandbox, host.sandbox.security_directory())?;
        // libpam reads this file in every login to any service; Debian's loads five more modules.
        host.sandbox.pam("other", "");
        for (program, flags) in [("driver", &["-rdynamic"][..]), ("spawn", &[])] {
            let source = format!("xtask/bench/{program}.c");
            host.sandbox.install(&compile(&source, flags)?, &format!("/usr/local/bin/{program}"), 0o755);
        }
        Ok(host)
    }

    /// At the beginning of the file: each line before theirs costs a thousand instructions, so the machine's
    /// own lines would distort the count.
    fn add_people(&self, everybody: &[String]) {
        let line = |(number, user): (u32, &String)| {
            let uid = FIRST_UID + number;
            format!("{user}:x:{uid}:{uid}::/home/{user}:/bin/sh\n")
        };
        let lines: String = (0..).zip(everybody).map(line).collect();
        let never = format!("{NEWCOMER}:x:9999:9999::/:/bin/sh\n");
        let old = self.sandbox.read("/etc/passwd");
        self.sandbox.overwrite("/etc/passwd", &format!("{lines}{never}{old}"));
    }

    fn enrol_with_peers(&self, everybody: &[String]) -> Result<()> {
        let key = base32_decode(&self.phone.key)?;
        let [google, floor, honest] = ["google", FLOOR, HONEST].map(|name| self.place.make(name));
        let (google, floor, honest) = (google?, floor?, honest?);
        for (uid, user) in (FIRST_UID..).zip(everybody) {
            let text = format!("{}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n", self.phone.key);
            let file = google.join(user);
            fs::write(&file, text)?;
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
            for (directory, mut block) in
                [(&floor, key.to_vec()), (&honest, [&uid.to_ne_bytes(), &key[..]].concat())]
            {
                block.resize(4096, 0);
                fs::write(directory.join(user), block)?;
            }
        }
        self.enrol_with_oath("oath", everybody.iter().cloned())
    }

    /// In the file `users` of a new directory.
    pub fn enrol_with_oath(&self, directory: &str, everybody: impl Iterator<Item = String>) -> Result<()> {
        let file = self.place.make(directory)?.join("users");
        let key: String = base32_decode(&self.phone.key)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let lines: String = everybody.map(|user| format!("HOTP/T{PERIOD} {user} - {key}\n")).collect();
        fs::write(&file, lines)?;
        Ok(fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?)
    }

    /// A store of ours with an account for each of `people` and `more`.
    pub fn fill(&self, store: &str, people: &[String], more: usize) -> Result<()> {
        place::fill(&self.place, store, &self.phone, people, more)
    }

    /// A store beside ours with the shipped configuration, in `directory`.
    pub fn configure_beside(&self, store: &str, directory: &str) -> Result<()> {
        self.configure(store, directory, &format!("state_dir = \"{BENCH_DIR}/{store}\"\n{SHIPPED}"))
    }

    /// Installs the shipped configuration with this many rules, of which only the default matches logins of
    /// the bench.
    pub fn configure_rules(&self, rules: usize) -> Result<()> {
        let rule = |number: usize| {
            format!(
                "[[rule]]\nname = \"r{number}\"\nuser = [\"someone-{number}\", \"svc-*\"]\nhours = [\"mon-sun 00:00-24:00\"]\n\
                 then = \"two-codes\"\n"
            )
        };
        let rules: String = (0..rules).map(rule).collect();
        self.configure(OURS, "/etc/qrtotp", &format!("{SHIPPED}\n{rules}"))
    }

    /// In every configuration here the wait after a failure ends before the next code, so each wrong code is
    /// counted.
    fn configure(&self, store: &str, directory: &str, text: &str) -> Result<()> {
        self.sandbox.run(&["mkdir", "-p", directory]).success();
        self.sandbox.overwrite(&format!("{directory}/qrtotp.toml"), text);
        let key = self.place.path.join(format!("{store}.key/seal.key"));
        self.sandbox.install(&key, &format!("{directory}/seal.key"), 0o600);
        self.sandbox.apply(&format!("{directory}/qrtotp.toml")).success();
        Ok(())
    }

    /// A module beside those of the host.
    pub fn install_module(&self, file: &Path, name: &str) -> Result<()> {
        let directory = self.sandbox.security_directory();
        self.sandbox.install(file, &format!("{directory}/{name}"), 0o644);
        read_anew(&self.sandbox, directory)
    }

    fn install(&self, candidate: &Candidate) -> Result<()> {
        if let Some(source) = candidate.source {
            let file = compile(source, &["-fPIC", "-shared"])?;
            self.install_module(&file, candidate.module.split(' ').next().unwrap_or_default())?;
        }
        self.serve(candidate.name, candidate.module);
        Ok(())
    }

    /// A PAM service of this one module.
    pub fn serve(&self, service: &str, module: &str) {
        self.sandbox.overwrite(&format!("/etc/pam.d/{service}"), &format!("auth required {module}\n"));
    }

    /// Advances the time by one step; the code is the phone's (oathtool's).
    pub fn tick(&self) -> Tick {
        let mut step = self.step.borrow_mut();
        *step += 1;
        self.tick_of(*step)
    }

    fn tick_of(&self, step: u64) -> Tick {
        let mut codes = self.codes.borrow_mut();
        let code = codes.entry(step).or_insert_with(|| self.phone.code_of_step(step)).clone();
        Tick { time: step * PERIOD + 1, code }
    }

    /// Carries out a plan, one login after the other or from `processes` at once, optionally under another
    /// program. Logins one after the other are not made to wait for other processes of the machine.
    pub fn run(&self, plan: &[Attempt], processes: usize, under: &[&str]) -> Result<Run> {
        let under = if processes == 0 && under.is_empty() { &FIRST } else { under };
        self.drive(plan, &[&processes.to_string()], under)
    }

    /// The same, one after the other, with the files and memory that they leave behind.
    pub fn traces(&self, plan: &[Attempt]) -> Result<Run> {
        self.drive(plan, &["0", "traces"], &[])
    }

    /// The failures of a user that ours or the honest floor has counted.
    pub fn failures(&self, name: &str, user: &str) -> Result<usize> {
        let path = self.place.path.join(name);
        if name == HONEST {
            let bytes = fs::read(path.join(user))?;
            let count = bytes.get(HONEST_FAILURES..).and_then(<[u8]>::first_chunk).context("cut")?;
            return Ok(usize::try_from(u64::from_ne_bytes(*count))?);
        }
        let store = FileStore::open(&path, &self.place.path.join(format!("{name}.key")))?;
        let account = store.load(&Name::new(user)?)?.context("no record")?;
        Ok(usize::try_from(account.state.throttle.failures())?)
    }

    fn drive(&self, plan: &[Attempt], arguments: &[&str], under: &[&str]) -> Result<Run> {
        let line = |attempt: &Attempt| {
            let Attempt { service, user, answer, time } = attempt;
            format!("{service} {user} {answer} {time}\n")
        };
        self.sandbox.overwrite("/tmp/plan", &plan.iter().map(line).collect::<String>());
        let text = self.sandbox.run(&[under, &["driver", "/tmp/plan"], arguments].concat()).success().stdout;
        let (mut outcomes, mut seconds) = (Vec::new(), [f64::NAN; 2]);
        for line in text.lines().filter(|line| !line.starts_with("left ")) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["total", took, worked] => seconds = [took.parse()?, worked.parse()?].map(|ns: f64| ns / 1e9),
                [code, nanoseconds, kib] => outcomes.push(Outcome {
                    code: code.parse()?,
                    nanoseconds: nanoseconds.parse()?,
                    kib: kib.parse().unwrap_or(0),
                }),
                _ => bail!("the driver says: {line}"),
            }
        }
        ensure!(outcomes.len() == plan.len(), "the driver did not carry out the plan: {text}");
        let [seconds, worked] = seconds;
        Ok(Run { outcomes, text, seconds, worked })
    }
}

/// Moves files to the disk: opening one on a sandbox's layers costs more than on any host's disk.
fn onto_disk(sandbox: &Sandbox, directory: &str) -> Result<()> {
    let copy = format!("{BENCH_DIR}{directory}");
    sandbox.run(&["mkdir", "-p", "-m", "755", &copy]).success();
    sandbox.run(&["cp", "-a", &format!("{directory}/."), &copy]).success();
    sandbox.run(&["mount", "--bind", &copy, directory]).success();
    let on = |path: &str| sandbox.run(&["stat", "-f", "-c", "%T", path]).success().stdout;
    ensure!(on(directory) == on(BENCH_DIR), "{directory} is still on {}", on(directory));
    Ok(())
}

/// Freshly written files lie in the cache in large pieces, so a page fault maps more of them than of files
/// read since boot. This drops them from the cache.
fn read_anew(sandbox: &Sandbox, directory: &str) -> Result<()> {
    let evict = "sync --file-system \"$0\" && find \"$0\" -name '*.so' -exec dd if={} iflag=nocache count=0 status=none ';'";
    sandbox.run(&["sh", "-c", evict, directory]).success();
    let cached = "find \"$0\" -name '*.so' -exec fincore --noheadings --output PAGES {} +";
    let cached = sandbox.run(&["sh", "-c", cached, directory]).success().stdout;
    ensure!(cached.split_whitespace().all(|pages| pages == "0"), "modules are still cached: {cached}");
    Ok(())
}

impl Tick {
    pub fn accepted(&self, service: &'static str, user: &str) -> Attempt {
        Attempt { service, user: user.to_owned(), answer: self.code.clone(), time: self.time }
    }

    /// An attempt with a wrong code.
    pub fn refused(&self, service: &'static str, user: &str) -> Attempt {
        let number = self.code.parse::<u32>().unwrap_or(0);
        let answer = format!("{:06}", (number + 500_000) % 1_000_000);
        Attempt { service, user: user.to_owned(), answer, time: self.time }
    }
}

/// Compiles a file of this workspace with the flags for modules.
pub fn compile(source: &str, flags: &[&str]) -> Result<PathBuf> {
    let directory = build::target().join("bench");
    fs::create_dir_all(&directory)?;
    let path = build::workspace().join(source);
    let result = directory.join(path.file_stem().context("no file")?);
    let mut cc = Command::new("gcc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror"]).args(flags).arg("-o").arg(&result).arg(path);
    crate::step::run(cc.arg("-lpam"))?;
    Ok(result)
}
