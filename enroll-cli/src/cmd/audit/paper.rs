//! `qrtotp audit checkpoint --print`: a checkpoint for paper, which nobody who can write files can change.

use crate::cli::Qr;
use crate::context::Context;
use crate::qr_style::{Drawing, Picture, choose};
use crate::terminal::place;
use qrtotp_otp::qr::{Level, Matrix, Polarity, render};
use std::fmt::Write as _;

/// Hexadecimal digits of a word: the hash has eight.
const WORD: usize = 5;

/// The line of the checkpoint with this root, its root in words to be read, and a picture of the line to be
/// scanned.
pub fn paper(context: &Context, root: &str) -> String {
    let end = context.host_chain().end().ok().flatten();
    let of_root =
        |line: &&String| line.starts_with("event=checkpoint ") && line.contains(&format!(" root={root} "));
    let line = end.as_ref().and_then(|end| end.lines.iter().rfind(of_root));
    let mut text = String::new();
    match line {
        Some(line) => text += &format!("\n{line}\n"),
        // It could not be written to the host's chain, which was told.
        None => text += "\nThe host's chain does not have this checkpoint.\n",
    }
    let _ = writeln!(text, "\n{}\n", words(root));
    text + &line.map(|line| picture(line)).unwrap_or_default()
}

fn words(root: &str) -> String {
    let digits: Vec<char> = root.chars().collect();
    let words: Vec<String> = digits.chunks(WORD).map(|word| word.iter().collect()).collect();
    words.join(" ")
}

fn picture(line: &str) -> String {
    let too_large =
        "The QR code does not fit into this window; print it: qrtotp audit checkpoint --print | lp\n";
    let place = place();
    let Ok(matrix) = Matrix::encode(line, Level::Low) else { return too_large.into() };
    // On paper, ink is dark.
    let polarity = if place.tty { Polarity::Normal } else { Polarity::Inverted };
    match choose(Qr::Auto, &place, &matrix) {
        Picture::Draw(Drawing { style, quiet, .. }) => render(&matrix, style, polarity, quiet).to_string(),
        Picture::None | Picture::TooLarge(..) => too_large.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_root_is_eight_words_of_which_each_is_in_the_line_of_the_log() {
        let root = "3f786850e387550fdab836ed7e6dc881de23001b";
        let words = words(root);
        assert_eq!((words.split(' ').count(), words.replace(' ', "")), (8, root.to_owned()));
    }
}
