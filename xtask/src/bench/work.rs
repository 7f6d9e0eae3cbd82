//! The cost of one login besides time: instructions, system calls, memory; the module's file; and memory that
//! stays allocated.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use qrtotp_tests::host::value;

use super::{
    candidate::{CANDIDATES, Candidate, GOOGLE, HONEST, OURS, PERMIT},
    count::Cost,
    host::{Host, PEOPLE, person},
    report::{Bar, Report, Table, number},
};
use crate::step::say;

/// KiB of the stripped module.
const SIZE: f64 = 680.0;
/// Logins whose memory is measured.
const LOOKS: usize = 21;
const RENAMES: [&str; 3] = ["rename", "renameat", "renameat2"];
const OTHER_SYNCS: [&str; 5] = ["fsync", "sync", "syncfs", "sync_file_range", "msync"];

struct Work {
    name: &'static str,
    cost: Cost,
    /// KiB of resident memory at the peak of a login, above the application's own; the median.
    memory: f64,
    /// KiB.
    size: f64,
    relocations: u64,
    /// Descriptors, mappings, mapped modules and threads that were added after the first login.
    left: [f64; 4],
}

pub fn measure(host: &Host, report: &mut Report) -> Result<()> {
    let mut works = Vec::new();
    for candidate in &CANDIDATES {
        say(&format!("counting {}", candidate.name));
        works.push(Work::of(host, candidate).context(candidate.name)?);
    }
    let of = |name: &str| works.iter().find(|work| work.name == name).context("no such candidate");
    let (permit, google, honest, ours) = (of(PERMIT)?, of(GOOGLE)?, of(HONEST)?, of(OURS)?);
    report.tables.push(Table {
        title: "Work of one accepted login",
        head: vec![
            "module",
            "instructions",
            "× google",
            "× honest floor",
            "syscalls",
            "fdatasync",
            "other syncs",
            "renames",
            "memory KiB",
            ".so KiB",
            "relocations",
        ],
        rows: works.iter().map(|work| work.row(google, honest)).collect(),
    });
    report.tables.push(Table {
        title: "Left after pam_end",
        head: vec!["module", "descriptors", "mappings", "modules", "threads"],
        rows: works.iter().map(|work| cells(work.name, &work.left)).collect(),
    });
    report.bars.extend(ours.bars(permit, google));
    Ok(())
}

impl Work {
    fn of(host: &Host, candidate: &Candidate) -> Result<Self> {
        let plan: Vec<_> =
            (0..LOOKS).map(|number| host.tick().accepted(candidate.name, &person(number % PEOPLE))).collect();
        let run = host.traces(&plan)?;
        let mut memory: Vec<u64> = run.outcomes.iter().skip(1).map(|outcome| outcome.kib).collect();
        memory.sort_unstable();
        let left = run
            .text
            .lines()
            .find_map(|line| line.strip_prefix("left "))
            .context("the driver says nothing")?;
        let left = left.replace(' ', "\n");
        let left = ["descriptors", "mappings", "modules", "threads"]
            .map(|name| value(&left, name).and_then(|number| number.parse().ok()).unwrap_or(f64::NAN));
        let file = candidate.module.split(' ').next().unwrap_or_default();
        let path = host.sandbox.path(&format!("{}/{file}", host.sandbox.security_directory()));
        Ok(Self {
            name: candidate.name,
            cost: Cost::of(host, candidate.name)?,
            memory: memory[memory.len() / 2] as f64,
            size: fs::metadata(&path)?.len() as f64 / 1024.0,
            relocations: relocations(&path)?,
            left,
        })
    }

    fn row(&self, google: &Self, honest: &Self) -> Vec<String> {
        let instructions = self.cost.instructions as f64;
        cells(
            self.name,
            &[
                instructions,
                instructions / google.cost.instructions as f64,
                instructions / honest.cost.instructions as f64,
                self.cost.all_calls(),
                self.cost.calls(&["fdatasync"]),
                self.cost.calls(&OTHER_SYNCS),
                self.cost.calls(&RENAMES),
                self.memory,
                self.size,
                self.relocations as f64,
            ],
        )
    }

    fn bars(&self, permit: &Self, google: &Self) -> Vec<Bar> {
        let ratio = self.cost.instructions as f64 / google.cost.instructions as f64;
        let syncs = self.cost.calls(&["fdatasync"]);
        vec![
            Bar::at_most("accepted login, fdatasync", 1.0, syncs),
            Bar::at_least("accepted login, fdatasync", 1.0, syncs),
            Bar::at_most("accepted login, other syncs", 0.0, self.cost.calls(&OTHER_SYNCS)),
            Bar::at_most("accepted login, renames", 0.0, self.cost.calls(&RENAMES)),
            Bar::at_most("instructions / google-authenticator", 1.3, ratio),
            Bar::at_most(".so, KiB", SIZE, self.size),
            Bar::at_most("memory added, KiB above pam_permit's", 900.0, self.memory - permit.memory),
            Bar::at_most("descriptors left", 0.0, self.left[0]),
            Bar::at_most("mappings left", 0.0, self.left[1]),
            Bar::at_most("modules left mapped", 0.0, self.left[2]),
            Bar::at_most("threads left", 0.0, self.left[3]),
        ]
    }
}

fn cells(name: &str, values: &[f64]) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(values.iter().map(|value| number(*value))).collect()
}

/// Relocations of a module; packed ones (RELR) are counted individually.
fn relocations(module: &Path) -> Result<u64> {
    let output = Command::new("readelf").arg("-rW").arg(module).output().context("readelf (binutils)")?;
    ensure!(output.status.success(), "readelf can't read {}", module.display());
    Ok(count_relocations(&String::from_utf8_lossy(&output.stdout)))
}

fn count_relocations(readelf: &str) -> u64 {
    let number = |line: &str, before: &str| -> Option<u64> {
        let line = line.trim().trim_end_matches(':').strip_suffix(before)?;
        line.split(' ').next_back()?.parse().ok()
    };
    let mut sum = 0;
    let mut lines = readelf.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(entries) = number(line, " entries").or_else(|| number(line, " entry")) else { continue };
        let packed = lines.peek().and_then(|next| number(next, " offsets"));
        sum += packed.unwrap_or(entries);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_relocations_are_counted_one_by_one() {
        let text = "\nRelocation section '.rela.dyn' at offset 0x5 contains 12 entries:\n    Offset\n0000\n\n\
            Relocation section '.relr.dyn' at offset 0x9 contains 3 entries:\n  45 offsets\n000f\n\
            Relocation section '.rela.plt' at offset 0xf contains 1 entry:\n";
        assert_eq!(count_relocations(text), 12 + 45 + 1);
    }
}
