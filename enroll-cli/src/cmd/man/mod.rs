//! `qrtotp man DIR`: a page per command, `qrtotp.1`, `qrtotp-enroll.1`, `qrtotp-token-issue.8` and so on.
//! Commands for root are in section 8.

mod examples;

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use examples::EXAMPLES;
use std::io;
use std::path::Path;

/// The date of the pages of docs/, too.
const DATE: &str = "2026-11-29";

/// Commands that users without root can run, on their own account or on files of theirs.
const FOR_USERS: [&str; 9] =
    ["enroll", "status", "recovery", "device", "resync", "revoke", "watch", "completions", "man"];

const FILES: [(&str, &str); 4] = [
    ("/etc/qrtotp/qrtotp.toml", "The configuration; `qrtotp config apply` puts it in force."),
    ("/etc/qrtotp/seal.key", "The sealing key, which opens the secrets of all accounts."),
    ("/var/lib/qrtotp", "The records of all accounts."),
    ("/run/qrtotp/socket", "The broker, which serves users without root."),
];

const SEE_ALSO: [(&str, &str); 4] =
    [("qrtotp", "1"), ("pam_qrtotp", "8"), ("qrtotp.toml", "5"), ("qrtotpd", "8")];

pub fn run(dir: &Path) -> Result<Exit, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write(dir, &command, &[]).map_err(|error| {
        Failure::Error(format!(
            "can't write man pages to {}: {error}; create the directory first",
            dir.display()
        ))
    })?;
    Ok(Exit::Done)
}

/// Writes the page of a command, and those of its subcommands.
fn write(dir: &Path, command: &Command, path: &[&str]) -> io::Result<()> {
    for sub in visible(command) {
        write(dir, sub, &[path, &[sub.get_name()]].concat())?;
    }
    let name = command.get_display_name().unwrap_or("qrtotp");
    std::fs::write(dir.join(format!("{name}.{}", section(path))), page(command, path)?)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn section(path: &[&str]) -> &'static str {
    if path.first().is_none_or(|first| FOR_USERS.contains(first)) { "1" } else { "8" }
}

fn page(command: &Command, path: &[&str]) -> io::Result<Vec<u8>> {
    let source = format!("pam_qrtotp {}", env!("CARGO_PKG_VERSION"));
    let manual = if section(path) == "1" { "User Commands" } else { "System Administration" };
    let man = Man::new(command.clone()).section(section(path)).date(DATE).source(source).manual(manual);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut more = Roff::new();
    subcommands(&mut more, command, path);
    examples(&mut more, path);
    exit_status(&mut more);
    environment(&mut more);
    files(&mut more);
    see_also(&mut more, path);
    more.to_writer(&mut page)?;
    Ok(page)
}

fn subcommands(roff: &mut Roff, command: &Command, path: &[&str]) {
    if visible(command).next().is_none() {
        return;
    }
    roff.control("SH", ["SUBCOMMANDS"]);
    for sub in visible(command) {
        let name = sub.get_display_name().unwrap_or_default();
        let section = section(&[path, &[sub.get_name()]].concat());
        roff.control("TP", []);
        roff.text([bold(name), roman(format!("({section})"))]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
}

fn examples(roff: &mut Roff, path: &[&str]) {
    let words = path.join(" ");
    roff.control("SH", ["EXAMPLES"]);
    for (command, arguments, what) in EXAMPLES.iter().filter(|(command, ..)| *command == words) {
        let line: Vec<&str> =
            ["qrtotp", command, arguments].into_iter().filter(|part| !part.is_empty()).collect();
        roff.control("TP", []);
        roff.text([bold(line.join(" "))]);
        roff.text([roman(*what)]);
    }
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, what) in [("0", "Done."), ("1", "Refused, or something was found."), ("2", "An error.")] {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(what)]);
    }
}

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    roff.control("TP", []);
    roff.text([bold("LC_ALL"), roman(", "), bold("LC_MESSAGES"), roman(", "), bold("LANG")]);
    let what = "The first one that is set names the language of messages for users without root, \
                if it is a UTF-8 locale. Everything else is in English.";
    roff.text([roman(what)]);
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (file, what) in FILES {
        roff.control("TP", []);
        roff.text([italic(file)]);
        roff.text([roman(what)]);
    }
}

/// The page of the command above this one, and those of the other programs.
fn see_also(roff: &mut Roff, path: &[&str]) {
    roff.control("SH", ["SEE ALSO"]);
    let above = path.split_last().map(|(_, above)| above).filter(|above| !above.is_empty());
    let above = above.map(|above| (format!("qrtotp-{}", above.join("-")), section(above)));
    let others = SEE_ALSO.iter().filter(|(name, _)| !(path.is_empty() && *name == "qrtotp"));
    let all: Vec<_> =
        above.into_iter().chain(others.map(|(name, section)| ((*name).to_owned(), *section))).collect();
    for (number, (name, section)) in all.iter().enumerate() {
        let comma = if number + 1 < all.len() { "," } else { "" };
        roff.text([bold(name.as_str()), roman(format!("({section}){comma}"))]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use clap::Parser;

    #[test]
    fn every_command_has_an_example_that_it_takes() {
        fn all(command: &Command, path: &str, found: &mut Vec<String>) {
            found.push(path.to_owned());
            for sub in visible(command) {
                all(sub, format!("{path} {}", sub.get_name()).trim(), found);
            }
        }
        let mut found = Vec::new();
        all(&Cli::command().disable_help_subcommand(true), "", &mut found);
        for command in &found {
            assert!(EXAMPLES.iter().any(|(of, ..)| of == command), "no example of {command}");
        }
        for (command, arguments, _) in EXAMPLES {
            let line = format!("qrtotp {command} {arguments}");
            let parsed = Cli::try_parse_from(line.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_pages_of_docs_have_the_same_date_version_and_parts() {
        for page in ["pam_qrtotp.8", "qrtotpd.8", "qrtotp-relay.8", "qrtotp.toml.5"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
            let text = std::fs::read_to_string(path).unwrap();
            let title = text.lines().next().unwrap();
            assert!(title.contains(DATE), "{page}");
            assert!(title.contains(concat!("pam_qrtotp ", env!("CARGO_PKG_VERSION"))), "{page}");
            for heading in ["EXAMPLES", "FILES", "SEE ALSO"] {
                assert!(text.contains(&format!("\n.SH {heading}\n")), "{page}: {heading}");
            }
        }
    }
}
