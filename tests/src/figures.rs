//! What tests tell of themselves for docs/PROOF.md: `cargo xtask proof` runs them with `--nocapture` and reads it.

const MARK: &str = "figures of ";

/// Prints one row of a table of that name.
pub fn print(table: &str, cells: &[String]) {
    println!("{}", line(table, cells));
}

fn line(table: &str, cells: &[String]) -> String {
    // What a cell quotes may have several lines, or what would end a cell.
    let plain = |cell: &String| cell.replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{MARK}{table} | {} |", cells.iter().map(plain).collect::<Vec<_>>().join(" | "))
}

/// The rows of a table in what a run of tests has printed, each as Markdown has it.
#[must_use]
pub fn rows(printed: &str, table: &str) -> Vec<String> {
    let mark = format!("{MARK}{table} | ");
    // The first line of a test comes behind its name.
    printed.lines().filter_map(|line| Some(format!("| {}", line.split_once(&mark)?.1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_printed_each_from_its_own_table() {
        let printed = format!(
            "test this ... {}\nok\n{}\n",
            line("hosts", &["a".into(), "b | c\n d".into()]),
            line("secrets", &["e".into()])
        );
        assert_eq!(rows(&printed, "hosts"), ["| a | b / c d |"]);
        assert_eq!(rows(&printed, "secrets"), ["| e |"]);
    }
}
