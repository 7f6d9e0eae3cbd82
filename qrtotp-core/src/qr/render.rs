//! A matrix as lines of text. Only a light frame around the code lets scanners find it, and on a dark terminal
//! light is what has to be drawn; that is why the glyphs are the light modules unless told otherwise.

use zeroize::Zeroizing;

use super::Matrix;

/// Light modules on each side of the code (ISO/IEC 18004 §5.3.8).
pub const QUIET_ZONE: usize = 4;

const WHITE: &str = "\x1b[48;5;231m";
const BLACK: &str = "\x1b[48;5;16m";
const RESET: &str = "\x1b[0m";

/// What a picture is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Half blocks, two modules one above the other in each character. Smallest; needs UTF-8.
    Utf8,
    /// `##` and two spaces. For every terminal and every locale.
    Ascii,
    /// Spaces on true white and true black from the 256-colour palette, whatever the terminal's own colours
    /// are. Only where escapes survive: not in an ssh login's prompt.
    Ansi,
}

/// Which modules are the glyphs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Polarity {
    /// Light modules are glyphs: right on a terminal with a dark background.
    #[default]
    Normal,
    /// Dark modules are glyphs: right on a terminal with a light background. Swaps the colours of
    /// [`Style::Ansi`].
    Inverted,
}

/// Draws the code with its quiet zone. Every line ends with `\n`, and all have the width that [`size`] tells.
pub fn render(m: &Matrix, style: Style, polarity: Polarity) -> Zeroizing<String> {
    let picture = Picture { matrix: m, span: span(m), polarity };
    let (columns, rows) = size(m, style);
    // The worst case, so that the picture never moves while it grows and leaves a part behind in freed memory.
    let line = match style {
        Style::Utf8 => columns * '█'.len_utf8() + 1,
        Style::Ascii => columns + 1,
        Style::Ansi => columns + picture.span * WHITE.len() + RESET.len() + 1,
    };
    let mut out = Zeroizing::new(String::with_capacity(rows * line));
    for row in 0..rows {
        match style {
            Style::Utf8 => picture.half_blocks(row, &mut out),
            Style::Ascii => picture.pairs(row, &mut out),
            Style::Ansi => picture.colours(row, &mut out),
        }
        out.push('\n');
    }
    out
}

/// Columns and rows of the picture on the terminal, quiet zone included.
pub fn size(m: &Matrix, style: Style) -> (usize, usize) {
    let span = span(m);
    match style {
        Style::Utf8 => (span, span.div_ceil(2)),
        Style::Ascii | Style::Ansi => (2 * span, span),
    }
}

/// Modules per side with the quiet zone.
fn span(m: &Matrix) -> usize {
    m.side() + 2 * QUIET_ZONE
}

struct Picture<'a> {
    matrix: &'a Matrix,
    span: usize,
    polarity: Polarity,
}

impl Picture<'_> {
    /// Whether the module is a glyph; coordinates count from the quiet zone's corner.
    fn is_glyph(&self, x: usize, y: usize) -> bool {
        let dark = x >= QUIET_ZONE && y >= QUIET_ZONE && self.matrix.is_dark(x - QUIET_ZONE, y - QUIET_ZONE);
        match self.polarity {
            Polarity::Normal => !dark,
            Polarity::Inverted => dark,
        }
    }

    /// The number of modules is odd, so the last row's lower half is beyond the picture: light as well, which
    /// only makes the quiet zone thicker.
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

    fn pairs(&self, row: usize, out: &mut String) {
        for x in 0..self.span {
            out.push_str(if self.is_glyph(x, row) { "##" } else { "  " });
        }
    }

    /// Reset at the end of each line, or some terminals colour the rest of it.
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
