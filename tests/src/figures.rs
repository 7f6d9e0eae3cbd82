//! Results that tests print, one row of figures a line; `cargo xtask proof` runs them with `--nocapture`.

/// Prints one row of a table of that name.
pub fn print(table: &str, cells: &[String]) {
    println!("figures of {table} | {}", cells.join(" | "));
}
