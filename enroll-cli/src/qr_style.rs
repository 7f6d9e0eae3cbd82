//! Which picture of a QR code this terminal can show. Pure: looks at nothing but its arguments.

use crate::cli::Qr;
use qrtotp_otp::qr::{Matrix, QUIET_ZONE, Style, quiet_zone, size};

/// Facts about the terminal that would show the picture.
#[derive(Clone, Debug, Default)]
pub struct TerminalFacts {
    /// Standard output is a terminal.
    pub tty: bool,
    /// Columns and rows, if known.
    pub size: Option<(usize, usize)>,
    /// LC_ALL, LC_CTYPE and LANG, in this order of precedence.
    pub locale: [Option<String>; 3],
    /// TERM.
    pub term: Option<String>,
    /// NO_COLOR is set and not empty (no-color.org).
    pub no_color: bool,
}

/// Prefixes of TERM for terminals with 256 colours whose name does not say so.
const COLOURED: [&str; 9] =
    ["xterm", "screen", "tmux", "rxvt", "linux", "foot", "alacritty", "konsole", "wezterm"];

/// The kind of picture to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Only text.
    None,
    /// A picture.
    Draw(Drawing),
    /// Not drawn, because it would not fit: it needs this many columns and rows.
    TooLarge(usize, usize),
}

/// A picture to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The characters or pixels that it consists of.
    pub style: Style,
    /// Light modules around it.
    pub quiet: usize,
    /// It will not fit: it needs this many columns and rows.
    pub too_large: Option<(usize, usize)>,
    /// It is in UTF-8 though the locale is not: the plain one needs this many columns and rows.
    pub instead_of_plain: Option<(usize, usize)>,
}

/// A pipe may end in a file or a mail: there a secret goes only on an explicit request.
pub fn needs_explicit_style(asked: Qr, place: &TerminalFacts) -> bool {
    asked == Qr::Auto && !place.tty
}

/// Decides how `matrix` is shown.
pub fn choose(asked: Qr, place: &TerminalFacts, matrix: &Matrix) -> Picture {
    let half_blocks = if has_colours(place) { Style::Utf8Colour } else { Style::Utf8 };
    let style = match asked {
        Qr::None => return Picture::None,
        Qr::Utf8 => half_blocks,
        Qr::Ascii => Style::Ascii,
        Qr::Ansi => Style::Ansi,
        Qr::Auto if !has_utf8_locale(place) || is_dumb(place) => Style::Ascii,
        Qr::Auto if place.term.as_deref() == Some("linux") => Style::Blocks,
        Qr::Auto => half_blocks,
    };
    let (drawing, needed) = drawing(style, place, matrix);
    if asked != Qr::Auto || drawing.too_large.is_none() {
        return Picture::Draw(drawing);
    }
    // Most terminals show UTF-8, also where nobody has set a locale: root's, after su or in a rescue system.
    if style == Style::Ascii && !is_dumb(place) {
        let (smaller, _) = self::drawing(half_blocks, place, matrix);
        if smaller.too_large.is_none() {
            return Picture::Draw(Drawing { instead_of_plain: Some(needed), ..smaller });
        }
    }
    Picture::TooLarge(needed.0, needed.1)
}

/// The picture in this style, and the window that it needs.
fn drawing(style: Style, place: &TerminalFacts, matrix: &Matrix) -> (Drawing, (usize, usize)) {
    let window = place.size.filter(|_| place.tty);
    // The question stands below.
    let (width, height) =
        window.map_or((usize::MAX, usize::MAX), |(width, height)| (width, height.saturating_sub(1)));
    let fitting = quiet_zone(matrix, style, width, height);
    let quiet = fitting.unwrap_or(QUIET_ZONE);
    let (columns, rows) = size(matrix, style, quiet);
    let needed = (columns, rows + 1);
    let fits = columns <= width && rows <= height;
    (Drawing { style, quiet, too_large: (!fits).then_some(needed), instead_of_plain: None }, needed)
}

/// True if the locale promises that UTF-8 is shown.
fn has_utf8_locale(place: &TerminalFacts) -> bool {
    let locale = place.locale.iter().flatten().find(|value| !value.is_empty());
    let locale = locale.map(|value| value.to_ascii_lowercase()).unwrap_or_default();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// True if the terminal takes the escapes of the 256-colour palette and nobody objects. Others may blink.
fn has_colours(place: &TerminalFacts) -> bool {
    let term = place.term.as_deref().unwrap_or_default();
    let known = term.contains("256color") || COLOURED.iter().any(|name| term.starts_with(name));
    place.tty && !place.no_color && known
}

/// True if nothing but letters can be counted on.
fn is_dumb(place: &TerminalFacts) -> bool {
    place.term.as_deref().is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use qrtotp_otp::qr::Level;

    fn place(lc_all: &str, lang: &str, term: &str) -> TerminalFacts {
        let locale = [Some(lc_all.to_owned()), None, Some(lang.to_owned())];
        TerminalFacts {
            tty: true,
            size: Some((200, 100)),
            locale,
            term: Some(term.to_owned()),
            no_color: false,
        }
    }

    fn matrix() -> Matrix {
        Matrix::encode(
            "otpauth://totp/host:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=host",
            Level::Low,
        )
        .unwrap()
    }

    fn drawn(asked: Qr, place: &TerminalFacts) -> Drawing {
        match choose(asked, place, &matrix()) {
            Picture::Draw(drawing) => drawing,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn half_blocks_need_a_utf8_locale_and_a_terminal_that_is_neither_dumb_nor_the_linux_console() {
        for (lc_all, lang, term, style) in [
            ("", "en_US.UTF-8", "xterm-256color", Style::Utf8Colour),
            ("", "C.utf8", "linux", Style::Blocks),
            ("C", "en_US.UTF-8", "xterm", Style::Ascii),
            ("", "en_US.ISO-8859-1", "xterm", Style::Ascii),
            ("", "", "xterm", Style::Ascii),
            ("C", "", "linux", Style::Ascii),
            ("", "en_US.UTF-8", "dumb", Style::Ascii),
            ("", "en_US.UTF-8", "", Style::Ascii),
        ] {
            let drawing = drawn(Qr::Auto, &place(lc_all, lang, term));
            let expected = Drawing { style, quiet: QUIET_ZONE, too_large: None, instead_of_plain: None };
            assert_eq!(drawing, expected, "{lc_all} {lang} {term}");
        }
    }

    #[test]
    fn half_blocks_have_colours_where_the_terminal_has_and_nobody_objects() {
        for (term, no_color, style) in [
            ("xterm", false, Style::Utf8Colour),
            ("st-256color", false, Style::Utf8Colour),
            ("xterm-256color", true, Style::Utf8),
            ("vt100", false, Style::Utf8),
        ] {
            let place = TerminalFacts { no_color, ..place("", "C.UTF-8", term) };
            assert_eq!(drawn(Qr::Auto, &place).style, style, "{term}");
        }
    }

    #[test]
    fn what_was_asked_for_is_drawn_whatever_the_locale() {
        let place = place("C", "", "dumb");
        assert_eq!(drawn(Qr::Utf8, &place).style, Style::Utf8);
        assert_eq!(drawn(Qr::Ansi, &place).style, Style::Ansi);
        assert_eq!(choose(Qr::None, &place, &matrix()), Picture::None);
    }

    #[test]
    fn a_usual_code_fits_the_usual_80_by_24_terminal() {
        let place = TerminalFacts { size: Some((80, 24)), ..place("", "C.UTF-8", "xterm") };
        assert_eq!(drawn(Qr::Auto, &place).too_large, None);
    }

    #[test]
    fn a_picture_has_less_light_around_it_where_the_window_is_small() {
        for (size, quiet) in [((81, 42), 4), ((80, 44), 3), ((77, 38), 2), ((69, 36), 1)] {
            let place = TerminalFacts { size: Some(size), ..place("", "C", "xterm") };
            let drawing = drawn(Qr::Auto, &place);
            assert_eq!(
                (drawing.style, drawing.quiet, drawing.too_large),
                (Style::Ascii, quiet, None),
                "{size:?}"
            );
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_is_not_drawn_unless_asked_for() {
        let place = TerminalFacts { size: Some((80, 17)), ..place("", "C.UTF-8", "xterm") };
        let needed = (41, 22);
        assert_eq!(choose(Qr::Auto, &place, &matrix()), Picture::TooLarge(needed.0, needed.1));
        assert_eq!(drawn(Qr::Utf8, &place).too_large, Some(needed));
    }

    #[test]
    fn the_window_that_is_asked_for_is_enough() {
        for term in ["xterm", "linux", "dumb"] {
            for (length, locale) in
                (60..500).step_by(20).flat_map(|length| [(length, "C"), (length, "C.UTF-8")])
            {
                let matrix = Matrix::encode(&"x".repeat(length), Level::Low).unwrap();
                let small = TerminalFacts { size: Some((40, 10)), ..place("", locale, term) };
                let Picture::TooLarge(columns, rows) = choose(Qr::Auto, &small, &matrix) else { panic!() };
                let larger = TerminalFacts { size: Some((columns, rows)), ..small };
                let Picture::Draw(drawing) = choose(Qr::Auto, &larger, &matrix) else { panic!() };
                assert_eq!((drawing.too_large, drawing.instead_of_plain), (None, None));
            }
        }
    }

    #[test]
    fn without_a_utf8_locale_a_small_window_gets_half_blocks_all_the_same() {
        let small = TerminalFacts { size: Some((80, 24)), ..place("", "C", "xterm") };
        let drawing = drawn(Qr::Auto, &small);
        assert_eq!((drawing.style, drawing.too_large), (Style::Utf8Colour, None));
        let (columns, rows) = drawing.instead_of_plain.unwrap();
        let larger = TerminalFacts { size: Some((columns, rows)), ..small.clone() };
        assert_eq!(drawn(Qr::Auto, &larger).style, Style::Ascii);
        let dumb = TerminalFacts { term: Some("dumb".to_owned()), ..small };
        assert!(matches!(choose(Qr::Auto, &dumb, &matrix()), Picture::TooLarge(..)));
    }

    #[test]
    fn on_a_pipe_the_style_must_be_named_nothing_is_too_large_and_nothing_is_coloured_unasked() {
        let pipe = TerminalFacts { tty: false, size: Some((10, 10)), ..place("", "C.UTF-8", "xterm") };
        assert!(needs_explicit_style(Qr::Auto, &pipe));
        assert!(!needs_explicit_style(Qr::None, &pipe) && !needs_explicit_style(Qr::Utf8, &pipe));
        assert!(!needs_explicit_style(Qr::Auto, &TerminalFacts { tty: true, ..TerminalFacts::default() }));
        for (asked, style) in [(Qr::Ascii, Style::Ascii), (Qr::Utf8, Style::Utf8)] {
            let expected = Drawing { style, quiet: QUIET_ZONE, too_large: None, instead_of_plain: None };
            assert_eq!(drawn(asked, &pipe), expected);
        }
    }
}
