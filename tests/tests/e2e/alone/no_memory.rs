//! Logins that run out of memory. The application may be aborted, but never between verifying a code and
//! writing the result: a shortage of memory must reveal nothing about the code, and no code may be tried
//! without being counted.

use std::cell::RefCell;
use std::fs;

use qrtotp_tests::{
    Output, Phone, Sandbox, artefacts,
    host::{PAM_SUCCESS, value},
};

const STATE: &str = "/var/lib/qrtotp/accounts/alice/state";
const SIGABRT: i32 = 6;

/// Alice with two devices; she types codes of the second one.
struct Stage {
    sandbox: Sandbox,
    phone: Phone,
    /// The state file before any code, and after a step's code was used.
    fresh: Vec<u8>,
    used: RefCell<(u64, Vec<u8>)>,
}

/// The kinds of codes.
const WRONG: usize = 0;
const RIGHT: usize = 1;
const REPLAYED: usize = 2;
/// Right for a clock that is three steps behind.
const OLD: usize = 3;

/// The result of a login.
#[derive(Debug)]
struct End {
    /// Its result is on the disk.
    written: bool,
    /// The application's result, if it lived to get one.
    code: Option<i32>,
    output: Output,
}

impl Stage {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.stack("");
        sandbox.add_user("alice");
        sandbox.import("alice");
        let phone = Phone::random();
        let import = ["qrtotp", "import", "uri", "alice", "--label", "the second one", "--unused"];
        sandbox.run_with_input(&import, &format!("{}\n", phone.uri("alice"))).success();
        let fresh = fs::read(sandbox.path(STATE)).unwrap();
        Self { sandbox, phone, fresh, used: RefCell::default() }
    }

    /// The state file after the current code was used: the previous one is spent, but is not one of the
    /// accepted codes that are refused uncounted.
    fn used(&self) -> Vec<u8> {
        let mut used = self.used.borrow_mut();
        if used.0 != self.phone.step() {
            fs::write(self.sandbox.path(STATE), &self.fresh).unwrap();
            let step = self.phone.step();
            assert_eq!(self.sandbox.answer("alice", &self.phone.code()), PAM_SUCCESS);
            *used = (step, fs::read(self.sandbox.path(STATE)).unwrap());
        }
        used.1.clone()
    }

    /// One login, always from the same state, under another program.
    fn log_in(&self, under: &[&str], how: usize) -> End {
        self.phone.wait_for_seconds_left(15);
        let before = if how == REPLAYED { self.used() } else { self.fresh.clone() };
        fs::write(self.sandbox.path(STATE), &before).unwrap();
        let code = match how {
            WRONG => self.phone.wrong_code(),
            OLD => self.phone.code_of_step(self.phone.step() - 3),
            _ => self.phone.previous_code(),
        };
        let output = self.sandbox.login("alice").answer(&code).under(under).output();
        let aborted = output.signal().is_some();
        assert!(!aborted || output.signal() == Some(SIGABRT), "{output:?}");
        let code = value(&output.stdout, "authenticate").map(|code| code.parse().unwrap());
        End { written: fs::read(self.sandbox.path(STATE)).unwrap() != before, code, output }
    }

    /// A login of each kind. Returns whether their results were written, which must be the same for all.
    fn all_alike(&self, under: &[&str], shortage: &str) -> bool {
        let ends = [WRONG, RIGHT, REPLAYED, OLD].map(|how| self.log_in(under, how));
        let written = ends[WRONG].written;
        assert!(ends.iter().all(|end| end.written == written), "{shortage}: {ends:#?}");
        for (how, end) in ends.iter().enumerate() {
            let accepted = end.code == Some(PAM_SUCCESS);
            assert!(!accepted || (written && how == RIGHT), "{shortage}: {end:#?}");
        }
        written
    }
}

#[test]
fn an_allocation_that_fails_tells_nothing_about_the_code_and_leaves_none_uncounted() {
    let stage = Stage::new();
    let library = artefacts::compile("no_memory.c", "no_memory.so", &["-shared", "-fPIC"]);
    stage.sandbox.install(&library, "/usr/local/lib/no_memory.so", 0o644);
    let (mut unwritten, mut written) = (0, 0);
    for number in 1.. {
        let fails = format!("NO_MEMORY={number}");
        let under = ["env", "LD_PRELOAD=/usr/local/lib/no_memory.so", &fails];
        if stage.all_alike(&under, &format!("allocation {number}")) {
            written += 1;
        } else {
            assert_eq!(written, 0, "allocation {number} fails before the write, an earlier one after it");
            unwritten += 1;
        }
        let allocations = value(&stage.log_in(&under, WRONG).output.stdout, "allocations").map(str::to_owned);
        if allocations.is_some_and(|all| all.parse::<i32>().unwrap() < number) {
            break;
        }
    }
    assert!(unwritten > 20 && written > 1, "{unwritten} {written}: this proves nothing");
}

#[test]
fn however_little_memory_an_application_has_no_code_is_judged_without_being_counted() {
    let stage = Stage::new();
    let decided = |kib: u32| {
        let limit = format!("--as={}", kib * 1024);
        stage.all_alike(&["prlimit", &limit], &limit)
    };
    let enough = (3_000..20_000).step_by(500).find(|kib| decided(*kib)).unwrap();
    let (mut unwritten, mut written) = (0, 0);
    for kib in (enough - 500..enough + 8).step_by(4) {
        *(if decided(kib) { &mut written } else { &mut unwritten }) += 1;
    }
    assert!(unwritten > 1 && written > 1, "{unwritten} {written}: this proves nothing");
}
