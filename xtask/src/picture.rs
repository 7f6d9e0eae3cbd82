//! A first login as an animated SVG: the screen of a real ssh client on the demo's host, drawn cell by cell.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};
use qrtotp_tests::{
    Phone, Pty, Sandbox,
    first_login::{CHOICES, CODES, ENTER},
    screen::{Background, scan},
    users::PASSWORD,
};
use vt100::{Color, Parser};

use crate::step::say;

const USER: &str = "alice";
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;
/// Width and height of a character cell, in user units of the SVG.
const CELL: (u16, u16) = (8, 16);
const LIGHT: &str = "#e5e5e5";
const DARK: &str = "#1c1c1c";
/// How long a frame is shown, in seconds.
const SECONDS: usize = 3;

/// Enrols a user at their first login and writes the screens to `file`.
///
/// # Errors
/// The file can't be written.
pub fn run(sandbox: &Sandbox, file: &Path) -> Result<()> {
    sandbox
        .overwrite("/etc/qrtotp/qrtotp.toml", "issuer = \"Example\"\n[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.apply_configuration().success();
    sandbox.add_user(USER);
    sandbox.make_store();
    sandbox.password_and_enrolment("sshd");
    let client = sandbox.ssh_to_enrol(&[], USER, &["PubkeyAuthentication=no"], "echo logged in");
    std::fs::write(file, animation(&frames(sandbox, client)?))?;
    say(&format!("{}: the account in it no longer exists", file.display()));
    Ok(())
}

/// The screen at each question. The recovery codes that follow are not drawn.
fn frames(sandbox: &Sandbox, mut client: Pty) -> Result<Vec<String>> {
    let mut frames = Vec::new();
    client.expect("assword");
    frames.push(client.transcript());
    client.send(PASSWORD);
    client.expect(ENTER);
    frames.push(client.transcript());
    client.send("");
    client.expect(CHOICES);
    let picture = client.transcript();
    let uri = scan(&picture, Background::Dark).context("the picture could not be scanned")?;
    frames.push(picture);
    let phone = Phone::scanned(&uri);
    sandbox.keep_secret(&phone.key);
    phone.wait_for_seconds_left(10);
    let code = phone.code();
    client.send(&code);
    frames.push(format!("{}{code}", frames[2]));
    client.expect(CODES);
    Ok(frames)
}

/// The frames one after the other, for ever.
fn animation(frames: &[String]) -> String {
    let (width, height) = (COLUMNS * CELL.0, ROWS * CELL.1);
    let whole = frames.len() * SECONDS;
    let share = 100.0 / f64::from(u32::try_from(frames.len()).unwrap_or(1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>A first login over ssh: password, Enter, QR code, code</title>\n\
         <style>text{{font:13px monospace;fill:{LIGHT};white-space:pre}}\
         .f{{visibility:hidden;animation:f {whole}s step-end infinite}}\
         @keyframes f{{0%{{visibility:visible}}{share}%{{visibility:hidden}}}}\
         .s{{visibility:visible}}@media(prefers-reduced-motion:reduce){{.f{{animation:none}}}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{DARK}\"/>\n"
    );
    for (number, frame) in frames.iter().enumerate() {
        // Without animation the picture with the QR code stays.
        let class = if number == 2 { "f s" } else { "f" };
        let left = whole - number * SECONDS;
        let _ = writeln!(svg, "<g class=\"{class}\" style=\"animation-delay:-{left}s\">");
        draw(frame, &mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws a screen: blocks as rectangles, all else as text.
fn draw(frame: &str, svg: &mut String) {
    let mut terminal = Parser::new(ROWS, COLUMNS, 0);
    terminal.process(frame.as_bytes());
    for row in 0..ROWS {
        for upper in [true, false] {
            let colours: Vec<_> = (0..COLUMNS).map(|column| half(&terminal, row, column, upper)).collect();
            draw_runs(&colours, row * CELL.1 + if upper { 0 } else { CELL.1 / 2 }, svg);
        }
        let line: String = (0..COLUMNS).map(|column| letter(&terminal, row, column)).collect();
        let text = line.trim();
        if !text.is_empty() {
            let start = line.chars().take_while(|letter| *letter == ' ').count() * usize::from(CELL.0);
            let (y, length) = (row * CELL.1 + 12, text.chars().count() * usize::from(CELL.0));
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{start}\" y=\"{y}\" textLength=\"{length}\" xml:space=\"preserve\">{text}</text>"
            );
        }
    }
}

/// The colour of the upper or lower half of a cell; `None`: the screen's own.
fn half(terminal: &Parser, row: u16, column: u16, upper: bool) -> Option<String> {
    let cell = terminal.screen().cell(row, column)?;
    let (mut front, mut back) = (cell.fgcolor(), cell.bgcolor());
    if cell.inverse() {
        std::mem::swap(&mut front, &mut back);
    }
    let is_front = match cell.contents() {
        "█" => true,
        "▀" => upper,
        "▄" => !upper,
        _ => false,
    };
    match if is_front { front } else { back } {
        Color::Default => (is_front != cell.inverse()).then(|| LIGHT.to_owned()),
        Color::Idx(0 | 16) => Some("#000".to_owned()),
        Color::Idx(_) => Some("#fff".to_owned()),
        Color::Rgb(red, green, blue) => Some(format!("rgb({red},{green},{blue})")),
    }
}

fn letter(terminal: &Parser, row: u16, column: u16) -> String {
    let contents = terminal.screen().cell(row, column).map_or("", |cell| cell.contents());
    if matches!(contents, "" | "█" | "▀" | "▄") { " ".to_owned() } else { contents.to_owned() }
}

/// One rectangle for neighbours of one colour.
fn draw_runs(colours: &[Option<String>], y: u16, svg: &mut String) {
    let mut start = 0;
    for run in colours.chunk_by(|one, next| one == next) {
        if let Some(colour) = &run[0] {
            let (x, width) = (start * usize::from(CELL.0), run.len() * usize::from(CELL.0));
            let height = CELL.1 / 2;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\" shape-rendering=\"crispEdges\"/>"
            );
        }
        start += run.len();
    }
}
