//! cargo-mutants on a copy of the sources, with its earlier results.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{apt, build, step::say, tool};

const RUNNER: &str = include_str!("run.sh");
/// Seconds after which a change counts as noticed because the tests do not end: more than the total limit of
/// run.sh.
const PATIENCE: &str = "600";
const UNVIABLE: &str = "unviable.txt";

/// The crates whose tests may notice a change, lowest first.
const TESTED: [&str; 9] = ["values", "clock", "otp", "account", "store", "policy", "audit", "flow", "wire"];

/// The tests to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tests {
    /// Those of the file first, then all.
    All,
    /// Tests that never meet the change.
    OtherModule,
}

impl Tests {
    /// The first argument of run.sh.
    fn first(self, file: &str) -> String {
        match self {
            Self::All => file.trim_end_matches(".rs").replace('/', "::"),
            Self::OtherModule => "values::only".into(),
        }
    }
}

/// The results for the changes to a file.
#[derive(Debug, Default)]
pub struct Tried {
    pub noticed: usize,
    /// Changes that do not compile.
    pub unviable: usize,
    /// Without the line number, which moves with every line above it.
    pub survivors: Vec<String>,
}

/// A copy of the sources that is built again and again, with its earlier results.
pub struct Tree {
    mutants: PathBuf,
    root: PathBuf,
    path: PathBuf,
}

impl Tree {
    /// # Errors
    /// cargo-mutants is missing, or copying fails.
    pub fn copy() -> Result<Self> {
        apt::need(&[apt::TEST])?;
        let mutants = tool::install("cargo-mutants")?;
        fs::create_dir_all(build::target().join("mutants"))?;
        let root = build::target().join("mutants").canonicalize()?;
        let path = root.join("tree");
        for name in tracked()? {
            let (from, to) = (build::workspace().join(&name), path.join(&name));
            let Ok(content) = fs::read(&from) else { continue }; // deleted, but not committed yet
            // An unchanged file keeps its time; otherwise everything would be built again.
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::create_dir_all(to.parent().context("a path")?)?;
                fs::write(&to, content)?;
            }
        }
        let runner = root.join("run.sh");
        fs::write(&runner, RUNNER)?;
        let settings = format!(
            "[profile.dev]\nopt-level = 0\ndebug = 0\n[profile.dev.package.\"*\"]\nopt-level = 2\n\
             [target.'cfg(unix)']\nrunner = [\"sh\", {runner:?}]\n"
        );
        fs::write(path.join(".cargo/config.toml"), settings)?;
        Ok(Self { mutants, root, path })
    }

    /// Runs the tests without any change.
    ///
    /// # Errors
    /// A test fails: then it would notice every change.
    pub fn unchanged(&self) -> Result<()> {
        say("the tests without any change");
        let mut command = Command::new("nice");
        command.args([
            "-n",
            "19",
            "cargo",
            "test",
            "--quiet",
            "--package",
            "qrtotp-otp",
            "--lib",
            "--",
            "verify::",
        ]);
        let status = self.surround(&mut command).status()?;
        ensure!(status.success(), "the tests fail without any change");
        Ok(())
    }

    /// Tries all changes to a file that were not noticed before.
    ///
    /// # Errors
    /// cargo-mutants does not run.
    pub fn mutate(&self, file: &str) -> Result<Tried> {
        say(&format!("mutants of {file}"));
        let (kept, code) = (self.kept(file), self.code(file)?);
        if fs::read_to_string(kept.join("code")).ok().as_ref() != Some(&code) {
            if kept.exists() {
                fs::remove_dir_all(&kept)?;
            }
            fs::create_dir_all(&kept)?;
            fs::write(kept.join("code"), code)?;
        }
        note_unviable(&kept)?; // of an interrupted run
        self.run(file, &kept, Tests::All, &["--iterate"])?;
        note_unviable(&kept)?;
        let out = kept.join("mutants.out");
        let mut noticed =
            [lines(&out, "previously_caught.txt"), lines(&out, "caught.txt"), lines(&out, "timeout.txt")]
                .concat();
        let unviable = lines(&kept, UNVIABLE);
        noticed.retain(|name| !unviable.contains(name));
        Ok(Tried {
            noticed: distinct(noticed).len(),
            unviable: unviable.len(),
            survivors: names(lines(&out, "missed.txt")),
        })
    }

    fn kept(&self, file: &str) -> PathBuf {
        self.root.join("files").join(file.replace('/', "-"))
    }

    fn code(&self, file: &str) -> Result<String> {
        Ok(before_tests(&fs::read_to_string(self.path.join(source(file)))?).to_owned())
    }

    /// One change, with these tests.
    ///
    /// # Errors
    /// As [`Tree::mutate`].
    pub fn mutate_one(&self, file: &str, name: &str, tests: Tests) -> Result<Tried> {
        let place = self.root.join("planted");
        self.run(file, &place, tests, &["--re", &format!("{name}$")])?;
        let out = place.join("mutants.out");
        Ok(Tried {
            noticed: lines(&out, "caught.txt").len(),
            unviable: lines(&out, UNVIABLE).len(),
            survivors: names(lines(&out, "missed.txt")),
        })
    }

    fn run(&self, file: &str, output: &Path, tests: Tests, more: &[&str]) -> Result<()> {
        fs::create_dir_all(output)?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(&self.mutants);
        command.args([
            "mutants",
            "--in-place",
            "--baseline",
            "skip",
            "--timeout",
            PATIENCE,
            "--package",
            &package(file),
        ]);
        for crate_name in TESTED {
            command.args(["--test-package", &format!("qrtotp-{crate_name}")]);
        }
        command.args(["--colors", "never", "--no-shuffle", "--output"]).arg(output);
        command.args(["--file", &source(file)]).args(more);
        // Without it, the library without tests would be built, too.
        command.args(["--cargo-arg", "--lib", "--", "--", &tests.first(file)]);
        let status = self.surround(&mut command).status()?;
        // 2: a change survived; 3: a test timed out.
        ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants: {status}");
        Ok(())
    }

    /// Runs a command in the copy, with its earlier builds and with our way of running tests.
    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(&self.path).env("CARGO_TARGET_DIR", self.root.join("build"))
    }
}

/// git's name of `CRATE/FILE`.
pub fn source(file: &str) -> String {
    let (crate_name, file) = file.split_once('/').unwrap_or((file, "lib.rs"));
    format!("crates/{crate_name}/src/{file}")
}

fn package(file: &str) -> String {
    format!("qrtotp-{}", file.split('/').next().unwrap_or_default())
}

/// The part of a file before its tests, which decides whether an earlier result still holds.
fn before_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().trim_end()
}

/// Adds the names of changes that do not compile to the noticed ones, so that the next run skips both.
fn note_unviable(kept: &Path) -> Result<()> {
    let all = [lines(kept, UNVIABLE), lines(&kept.join("mutants.out"), UNVIABLE)].concat();
    fs::write(kept.join(UNVIABLE), distinct(all).join("\n"))?;
    Ok(())
}

/// The files that git knows.
fn tracked() -> Result<Vec<String>> {
    let output = Command::new("git").current_dir(build::workspace()).args(["ls-files"]).output()?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn lines(directory: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn distinct(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// `FILE:LINE:COLUMN: CHANGE` without the place.
fn names(lines: Vec<String>) -> Vec<String> {
    let bare = |line: String| line.split_once(": ").map_or(line.clone(), |(_, name)| name.to_owned());
    distinct(lines).into_iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_named_without_its_place_and_once_for_each_place() {
        let missed = [
            "a.rs:7:5: replace + with - in f",
            "a.rs:7:9: replace + with - in f",
            "a.rs:7:5: replace + with - in f",
        ];
        assert_eq!(names(missed.map(str::to_owned).to_vec()), ["replace + with - in f"; 2]);
    }
}
