//! A matrix as lines of text. Scanners find a code only inside a light frame, so on a dark terminal the
//! glyphs draw the light modules unless the caller asks otherwise.

use zeroize::Zeroizing;

use super::Matrix;

/// Light modules on each side of the code (ISO/IEC 18004 §5.3.8).
pub const QUIET_ZONE: usize = 4;

const WHITE: &str = "\x1b[48;5;231m";
const BLACK: &str = "\x1b[48;5;16m";
const WHITE_ON_BLACK: &str = "\x1b[38;5;231;48;5;16m";
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// The characters that a picture is drawn with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Half blocks, two modules one above the other in each character. Smallest; needs UTF-8.
    Utf8,
    /// The same in black and white of the 256-colour palette: right on any background, but only if escapes
    /// get through, so not in an ssh login's prompt.
    Utf8Colour,
    /// Two full blocks or two spaces. For the Linux console, most of whose fonts have no half blocks.
    Blocks,
    /// `@@` or two spaces. For every terminal and every locale.
    Ascii,
    /// Spaces on black and white of the 256-colour palette. Only if escapes get through.
    Ansi,
}

/// The modules that are drawn as glyphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Polarity {
    /// Light modules are glyphs: right on a terminal with a dark background.
    #[default]
    Normal,
    /// Dark modules are glyphs: right on a terminal with a light background. [`Style::Utf8Colour`] is right
    /// in either case, [`Style::Ansi`] becomes a negative.
    Inverted,
}

impl Polarity {
    /// Light and dark exchanged.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Normal => Self::Inverted,
            Self::Inverted => Self::Normal,
        }
    }
}

/// Draws the code with `quiet` light modules around it. Every line ends with `\n` and has the width that
/// [`size`] returns.
pub fn render(m: &Matrix, style: Style, polarity: Polarity, quiet: usize) -> Zeroizing<String> {
    let picture = Picture { matrix: m, quiet, span: m.side() + 2 * quiet, polarity };
    let (columns, rows) = size(m, style, quiet);
    // Capacity for the worst case: a growing buffer would move and leave parts of the picture in freed
    // memory.
    let line = match style {
        Style::Utf8 | Style::Blocks => columns * '█'.len_utf8() + 1,
        Style::Utf8Colour => columns * '█'.len_utf8() + WHITE_ON_BLACK.len() + RESET.len() + 1,
        Style::Ascii => columns + 1,
        Style::Ansi => columns + picture.span * WHITE.len() + RESET.len() + 1,
    };
    let mut out = Zeroizing::new(String::with_capacity(rows * line));
    for row in 0..rows {
        match style {
            Style::Utf8 => picture.half_blocks(row, &mut out),
            Style::Utf8Colour => {
                out.push_str(match polarity {
                    Polarity::Normal => WHITE_ON_BLACK,
                    Polarity::Inverted => BLACK_ON_WHITE,
                });
                picture.half_blocks(row, &mut out);
                out.push_str(RESET);
            }
            Style::Blocks => picture.pairs(row, '█', &mut out),
            Style::Ascii => picture.pairs(row, '@', &mut out),
            Style::Ansi => picture.colours(row, &mut out),
        }
        out.push('\n');
    }
    out
}

/// Columns and rows of the picture on the terminal, its quiet zone included.
pub fn size(m: &Matrix, style: Style, quiet: usize) -> (usize, usize) {
    let span = m.side() + 2 * quiet;
    match style {
        Style::Utf8 | Style::Utf8Colour => (span, span.div_ceil(2)),
        // Without the last column, so a usual code with one module around it is 77 wide.
        Style::Blocks | Style::Ascii => (2 * span - 1, span),
        Style::Ansi => (2 * span, span),
    }
}

/// The widest quiet zone with which the picture fits into these columns and rows; otherwise the widest that
/// fits the columns. Scanners manage with less than [`QUIET_ZONE`] on a screen.
pub fn quiet_zone(m: &Matrix, style: Style, columns: usize, rows: usize) -> Option<usize> {
    let widest = |rows| {
        (1..=QUIET_ZONE).rev().find(|quiet| {
            let (width, height) = size(m, style, *quiet);
            width <= columns && height <= rows
        })
    };
    widest(rows).or_else(|| widest(usize::MAX))
}

struct Picture<'a> {
    matrix: &'a Matrix,
    quiet: usize,
    span: usize,
    polarity: Polarity,
}

impl Picture<'_> {
    /// Whether the module is a glyph; coordinates count from the quiet zone's corner.
    fn is_glyph(&self, x: usize, y: usize) -> bool {
        let dark = x >= self.quiet && y >= self.quiet && self.matrix.is_dark(x - self.quiet, y - self.quiet);
        match self.polarity {
            Polarity::Normal => !dark,
            Polarity::Inverted => dark,
        }
    }

    /// The number of modules is odd, so the last row's lower half is beyond the picture. It is light as well,
    /// which only makes the quiet zone thicker.
    fn half_blocks(&self, row: usize, out: &mut String) {
        for x in 0..self.span {
            out.push(match (self.is_glyph(x, 2 * row), self.is_glyph(x, 2 * row + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
    }

    fn pairs(&self, row: usize, glyph: char, out: &mut String) {
        for column in 0..2 * self.span - 1 {
            out.push(if self.is_glyph(column / 2, row) { glyph } else { ' ' });
        }
    }

    /// Resets colours at the end of each line, because some terminals would colour the rest of it.
    fn colours(&self, row: usize, out: &mut String) {
        let mut current = None;
        for x in 0..self.span {
            let glyph = self.is_glyph(x, row);
            if current != Some(glyph) {
                out.push_str(if glyph { WHITE } else { BLACK });
                current = Some(glyph);
            }
            out.push_str("  ");
        }
        out.push_str(RESET);
    }
}
