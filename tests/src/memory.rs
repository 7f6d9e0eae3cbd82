//! The memory of a process, read from outside.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use crate::Sandbox;

/// The patterns to search for: each with its name and form, such as "the secret, base32".
pub type Patterns = Vec<(String, Vec<u8>)>;

/// The extent and results of a search.
pub struct Searched {
    pub found: Vec<Found>,
    /// The readable ones of them.
    pub mappings: usize,
    pub bytes: usize,
}

/// `tests/c/memory_host.c` while it runs.
pub struct MemoryHost {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    proc: PathBuf,
}

/// One hit of a search.
#[derive(Debug)]
pub struct Found {
    /// The pattern's name.
    pub what: String,
    /// The mapping's line of /proc/PID/maps.
    pub mapping: String,
    /// Its VmFlags: `lo` locked, `dd` kept out of core dumps.
    pub flags: String,
    /// Its process may make no core dump.
    pub in_undumped: bool,
}

impl Found {
    /// In memory that is neither swapped out nor dumped.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        self.has("lo") && (self.has("dd") || self.in_undumped)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|other| other == flag)
    }
}

impl Sandbox {
    #[must_use]
    pub fn memory_host(&self, user: &str, phases: &str, more: &[&str]) -> MemoryHost {
        let program = self.install_c("memory_host.c", &["-lpam"]);
        let mut command = self.command(None, &[&[program.as_str(), user, phases], more].concat());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let proc = self.path(&format!("/proc/{}", line.trim().strip_prefix("pid=").unwrap()));
        MemoryHost { child, input, output, proc }
    }
}

impl MemoryHost {
    /// Reads up to `at=PLACE`; returns the output before it and the hook's code.
    pub fn stops_at(&mut self, place: &str) -> (String, i32) {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended before {place}: {said}");
            if let Some(rest) = line.strip_prefix("at=") {
                let (at, code) = rest.trim().split_once(" code=").unwrap();
                assert_eq!(at, place, "{said}");
                return (said, code.parse().unwrap());
            }
            said += &line;
        }
    }

    pub fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Lets it go on to its end.
    pub fn finish(mut self) {
        self.send("");
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }

    /// Its directory in /proc.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.proc
    }
}

/// Every place in a process's readable memory that holds one of `patterns`, in either case of letters.
/// `proc`: its directory in /proc.
#[must_use]
pub fn search(proc: &Path, patterns: &[(String, Vec<u8>)]) -> Searched {
    let smaps = fs::read_to_string(proc.join("smaps")).unwrap();
    let memory = File::open(proc.join("mem")).unwrap();
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    let in_undumped = core.split_whitespace().nth(1) == Some("0");
    let mut searched = Searched { found: Vec::new(), mappings: 0, bytes: 0 };
    let mut mapping = String::new();
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap();
        if first.contains('-') {
            line.clone_into(&mut mapping);
        }
        if let Some(flags) = line.strip_prefix("VmFlags: ") {
            let (content, bytes) = read(&memory, &mapping);
            searched.mappings += usize::from(bytes > 0);
            searched.bytes += bytes;
            for index in places(&content, patterns) {
                let (mapping, flags) = (mapping.clone(), flags.to_owned());
                searched.found.push(Found { what: patterns[index].0.clone(), mapping, flags, in_undumped });
            }
        }
    }
    searched
}

/// The readable part of a mapping, and its size; the kernel's own pages in it can't be read.
fn read(memory: &File, mapping: &str) -> (Vec<u8>, usize) {
    let (start, end) = mapping.split(' ').next().unwrap().split_once('-').unwrap();
    let address = |text| u64::from_str_radix(text, 16).unwrap();
    let mut content = vec![0; usize::try_from(address(end) - address(start)).unwrap()];
    let mut bytes = 0;
    for (at, page) in (address(start)..).step_by(4096).zip(content.chunks_mut(4096)) {
        if !mapping.contains(" r") || memory.read_exact_at(page, at).is_err() {
            page.fill(0);
        } else {
            bytes += page.len();
        }
    }
    (content, bytes)
}

/// The patterns that it contains, with any case of letters. Scans it once, because there are many patterns.
fn places(content: &[u8], patterns: &[(String, Vec<u8>)]) -> BTreeSet<usize> {
    let mut by_first = vec![Vec::new(); 256];
    for (index, (_, pattern)) in patterns.iter().enumerate() {
        by_first[usize::from(pattern[0])].push(index);
        if pattern[0].is_ascii_lowercase() {
            by_first[usize::from(pattern[0].to_ascii_uppercase())].push(index);
        }
    }
    let mut found = BTreeSet::new();
    for (at, &byte) in content.iter().enumerate() {
        for &index in &by_first[usize::from(byte)] {
            let pattern = &patterns[index].1;
            if content.get(at..at + pattern.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(pattern)) {
                found.insert(index);
            }
        }
    }
    found
}

/// The forms in which `bytes` may lie in memory: raw, hex, base32, and under HMAC's two pads (RFC 2104 §2).
#[must_use]
pub fn forms_of_key(name: &str, bytes: &[u8]) -> Patterns {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let pad = |with: u8| bytes.iter().map(|byte| byte ^ with).collect();
    let form = |form: &str, bytes: Vec<u8>| (format!("{name}, {form}"), bytes);
    // Texts are searched for unchanged, and in memory turned to lower case.
    vec![
        form("raw", bytes.to_vec()),
        form("hex", hex.into_bytes()),
        form("base32", base32(bytes).to_lowercase().into_bytes()),
        form("inner pad", pad(0x36)),
        form("outer pad", pad(0x5c)),
    ]
}

fn base32(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let symbol = |bits: &[u8]| {
        let text = std::str::from_utf8(bits).unwrap();
        let value = usize::from_str_radix(&format!("{text:0<5}"), 2).unwrap();
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[value])
    };
    bits.as_bytes().chunks(5).map(symbol).collect()
}

/// The bytes of a base32 text.
#[must_use]
pub fn from_base32(text: &str) -> Vec<u8> {
    from_letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", text.trim())
}

/// Five bits a letter.
fn from_letters(alphabet: &str, text: &str) -> Vec<u8> {
    let bits: String = text.chars().map(|c| format!("{:05b}", alphabet.find(c).unwrap())).collect();
    let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap();
    bits.as_bytes().chunks_exact(8).map(byte).collect()
}

/// The forms of a recovery code or a token's code: as displayed, without dashes, its bits, all of them in
/// hex, and the bits in RFC 4648's base32.
#[must_use]
pub fn forms_of_code(name: &str, code: &str) -> Patterns {
    let plain = code.replace('-', "");
    let bits = from_letters("0123456789ABCDEFGHJKMNPQRSTVWXYZ", &plain); // Crockford's
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let form = |form: &str, bytes: Vec<u8>| (format!("{name}, {form}"), bytes);
    vec![
        form("as shown", code.to_lowercase().into_bytes()),
        form("as shown in hex", hex(code.as_bytes())),
        form("without dashes", plain.to_lowercase().into_bytes()),
        form("without dashes in hex", hex(plain.as_bytes())),
        form("its bits", bits.clone()),
        form("its bits in hex", hex(&bits)),
        form("its bits in base32", base32(&bits).to_lowercase().into_bytes()),
    ]
}

impl Sandbox {
    /// The forms of the store's sealing key.
    #[must_use]
    pub fn forms_of_sealing_key(&self) -> Patterns {
        let text = self.read("/etc/qrtotp/seal.key");
        forms_of_key("the sealing key", &from_base32(text.split_whitespace().nth(2).unwrap()))
    }
}
