//! Which picture of a QR code this terminal can show. Pure: looks at nothing but its arguments.

use crate::cli::Qr;
use qrtotp_core::qr::{Matrix, Style, size};

/// What is known of the place where the picture would go.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Standard output is a terminal.
    pub tty: bool,
    /// Columns and rows, where they are known.
    pub size: Option<(usize, usize)>,
    /// LC_ALL, LC_CTYPE and LANG, in this order of precedence.
    pub locale: [Option<String>; 3],
    /// TERM.
    pub term: Option<String>,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Only text.
    None,
    /// This style. `Some`: it will not fit; so many columns and rows would do.
    Draw(Style, Option<(usize, usize)>),
    /// Not drawn, because it would not fit; so many columns and rows would do.
    TooLarge(usize, usize),
}

/// A pipe may end in a file or a mail: there a secret goes only on an explicit request.
pub fn needs_explicit_style(asked: Qr, place: &Place) -> bool {
    asked == Qr::Auto && !place.tty
}

/// Decides how `matrix` is shown.
pub fn choose(asked: Qr, place: &Place, matrix: &Matrix) -> Picture {
    let style = match asked {
        Qr::None => return Picture::None,
        Qr::Utf8 => Style::Utf8,
        Qr::Ascii => Style::Ascii,
        Qr::Ansi => Style::Ansi,
        Qr::Auto if shows_utf8(place) => Style::Utf8,
        Qr::Auto => Style::Ascii,
    };
    let (columns, rows) = size(matrix, style);
    let rows = rows + 1; // the question stands below
    let fits = !place.tty || place.size.is_none_or(|(width, height)| columns <= width && rows <= height);
    match (fits, asked) {
        (true, _) => Picture::Draw(style, None),
        (false, Qr::Auto) => Picture::TooLarge(columns, rows),
        (false, _) => Picture::Draw(style, Some((columns, rows))),
    }
}

/// True if locale and terminal promise to show half blocks.
fn shows_utf8(place: &Place) -> bool {
    let locale = place.locale.iter().flatten().find(|value| !value.is_empty());
    let locale = locale.map(|value| value.to_ascii_lowercase()).unwrap_or_default();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    utf8 && place.term.as_deref().is_some_and(|term| !term.is_empty() && term != "dumb")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_core::qr::Level;

    fn place(lc_all: &str, lang: &str, term: &str) -> Place {
        let locale = [Some(lc_all.to_owned()), None, Some(lang.to_owned())];
        Place { tty: true, size: Some((200, 100)), locale, term: Some(term.to_owned()) }
    }

    fn matrix() -> Matrix {
        Matrix::encode(
            "otpauth://totp/host:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=host",
            Level::Low,
        )
        .unwrap()
    }

    #[test]
    fn half_blocks_need_a_utf8_locale_and_a_terminal_that_is_not_dumb() {
        for (lc_all, lang, term, style) in [
            ("", "en_US.UTF-8", "xterm-256color", Style::Utf8),
            ("", "C.utf8", "linux", Style::Utf8),
            ("C", "en_US.UTF-8", "xterm", Style::Ascii),
            ("", "en_US.ISO-8859-1", "xterm", Style::Ascii),
            ("", "", "xterm", Style::Ascii),
            ("", "en_US.UTF-8", "dumb", Style::Ascii),
            ("", "en_US.UTF-8", "", Style::Ascii),
        ] {
            let chosen = choose(Qr::Auto, &place(lc_all, lang, term), &matrix());
            assert_eq!(chosen, Picture::Draw(style, None), "{lc_all} {lang} {term}");
        }
    }

    #[test]
    fn what_was_asked_for_is_drawn_whatever_the_locale() {
        let place = place("C", "", "dumb");
        assert_eq!(choose(Qr::Utf8, &place, &matrix()), Picture::Draw(Style::Utf8, None));
        assert_eq!(choose(Qr::Ansi, &place, &matrix()), Picture::Draw(Style::Ansi, None));
        assert_eq!(choose(Qr::None, &place, &matrix()), Picture::None);
    }

    #[test]
    fn a_usual_code_fits_the_usual_80_by_24_terminal() {
        let place = Place { size: Some((80, 24)), ..place("", "C.UTF-8", "xterm") };
        assert_eq!(choose(Qr::Auto, &place, &matrix()), Picture::Draw(Style::Utf8, None));
    }

    #[test]
    fn a_picture_that_does_not_fit_is_not_drawn_unless_asked_for() {
        let place = Place { size: Some((80, 20)), ..place("", "C.UTF-8", "xterm") };
        let (columns, rows) = size(&matrix(), Style::Utf8);
        assert_eq!(choose(Qr::Auto, &place, &matrix()), Picture::TooLarge(columns, rows + 1));
        let drawn = Picture::Draw(Style::Utf8, Some((columns, rows + 1)));
        assert_eq!(choose(Qr::Utf8, &place, &matrix()), drawn);
    }

    #[test]
    fn on_a_pipe_the_style_must_be_named_and_nothing_is_too_large() {
        let pipe = Place { tty: false, size: Some((10, 10)), ..Place::default() };
        assert!(needs_explicit_style(Qr::Auto, &pipe));
        assert!(!needs_explicit_style(Qr::None, &pipe) && !needs_explicit_style(Qr::Utf8, &pipe));
        assert!(!needs_explicit_style(Qr::Auto, &Place { tty: true, ..Place::default() }));
        assert_eq!(choose(Qr::Ascii, &pipe, &matrix()), Picture::Draw(Style::Ascii, None));
    }
}
