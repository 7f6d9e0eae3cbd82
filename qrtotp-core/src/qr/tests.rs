#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

const URI: &str = "otpauth://totp/Example:alice@web1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";
const STYLES: [Style; 3] = [Style::Utf8, Style::Ascii, Style::Ansi];
const POLARITIES: [Polarity; 2] = [Polarity::Normal, Polarity::Inverted];

fn matrices() -> Vec<Matrix> {
    let long = "x".repeat(600);
    [("", Level::Low), (URI, Level::Low), (URI, Level::Medium), (URI, Level::Quartile), (&long, Level::High)]
        .map(|(text, level)| Matrix::encode(text, level).unwrap())
        .into()
}

/// What an eye sees: glyph or white is true, one entry per module, row by row.
fn read_back(picture: &str, style: Style) -> Vec<Vec<bool>> {
    match style {
        Style::Utf8 => picture
            .lines()
            .flat_map(|line| {
                let half = |glyphs: &'static str| line.chars().map(|c| glyphs.contains(c)).collect();
                assert!(line.chars().all(|c| "█▀▄ ".contains(c)));
                [half("█▀"), half("█▄")]
            })
            .collect(),
        Style::Ascii => picture
            .lines()
            .map(|line| {
                line.as_bytes()
                    .chunks(2)
                    .map(|pair| {
                        assert!(pair == b"##" || pair == b"  ");
                        pair == b"##"
                    })
                    .collect()
            })
            .collect(),
        Style::Ansi => picture
            .lines()
            .map(|line| {
                let runs = line.strip_suffix("\x1b[0m").unwrap().split("\x1b[48;5;").skip(1);
                runs.flat_map(|run| {
                    let (colour, spaces) = run.split_once('m').unwrap();
                    assert!(!spaces.is_empty() && spaces.bytes().all(|byte| byte == b' '));
                    let white = match colour {
                        "231" => true,
                        "16" => false,
                        _ => panic!("colour {colour}"),
                    };
                    vec![white; spaces.len() / 2]
                })
                .collect()
            })
            .collect(),
    }
}

#[test]
fn the_picture_read_back_is_the_matrix_in_its_quiet_zone() {
    for matrix in matrices() {
        for style in STYLES {
            for polarity in POLARITIES {
                let modules = read_back(&render(&matrix, style, polarity), style);
                for (y, row) in modules.iter().enumerate() {
                    assert_eq!(row.len(), matrix.side() + 8);
                    for (x, &glyph) in row.iter().enumerate() {
                        let inside =
                            (4..matrix.side() + 4).contains(&x) && (4..matrix.side() + 4).contains(&y);
                        let dark = inside && matrix.is_dark(x - 4, y - 4);
                        assert_eq!(
                            glyph,
                            dark == (polarity == Polarity::Inverted),
                            "{style:?} {polarity:?} {x} {y}"
                        );
                    }
                }
                let spare = usize::from(style == Style::Utf8);
                assert_eq!(modules.len(), matrix.side() + 8 + spare);
            }
        }
    }
}

#[test]
fn the_picture_has_the_declared_size() {
    for matrix in matrices() {
        for style in STYLES {
            for polarity in POLARITIES {
                let picture = render(&matrix, style, polarity);
                let plain =
                    picture.replace("\x1b[48;5;231m", "").replace("\x1b[48;5;16m", "").replace("\x1b[0m", "");
                let (columns, rows) = size(&matrix, style);
                assert_eq!(plain.lines().count(), rows);
                assert!(plain.ends_with('\n') && plain.lines().all(|line| line.chars().count() == columns));
            }
        }
    }
}

#[test]
fn a_usual_key_fits_a_terminal_of_80_by_24() {
    let matrix = Matrix::encode(URI, Level::Low).unwrap();
    assert_eq!(matrix.side(), 37);
    assert_eq!(size(&matrix, Style::Utf8), (45, 23));
    assert_eq!(size(&matrix, Style::Ascii), (90, 45));
}

#[test]
fn no_picture_outgrows_the_memory_reserved_for_it() {
    for matrix in matrices() {
        let (columns, rows) = size(&matrix, Style::Ansi);
        assert!(
            render(&matrix, Style::Ansi, Polarity::Normal).capacity()
                <= rows * (columns + columns / 2 * 11 + 5)
        );
        let (columns, rows) = size(&matrix, Style::Utf8);
        assert!(render(&matrix, Style::Utf8, Polarity::Normal).capacity() <= rows * (columns * 3 + 1));
    }
}

#[test]
fn runs_of_one_colour_are_one_escape() {
    let matrix = Matrix::encode(URI, Level::Low).unwrap();
    let picture = render(&matrix, Style::Ansi, Polarity::Normal);
    let first = picture.lines().next().unwrap();
    assert_eq!(first, format!("\x1b[48;5;231m{}\x1b[0m", " ".repeat(90)));
}

#[test]
fn the_finder_patterns_are_in_three_corners() {
    let matrix = Matrix::encode(URI, Level::Low).unwrap();
    let far = matrix.side() - 7;
    for (left, top) in [(0, 0), (far, 0), (0, far)] {
        for i in 0..7 {
            assert!(matrix.is_dark(left + i, top) && matrix.is_dark(left, top + i));
            assert!(matrix.is_dark(left + i, top + 6) && matrix.is_dark(left + 6, top + i));
        }
        assert!(!matrix.is_dark(left + 1, top + 1) && matrix.is_dark(left + 3, top + 3));
    }
}

#[test]
fn everything_outside_of_the_code_is_light() {
    let matrix = Matrix::encode(URI, Level::Low).unwrap();
    let side = matrix.side();
    for (x, y) in
        [(side, 0), (0, side), (side, side), (usize::MAX, 0), (0, usize::MAX), (usize::MAX, usize::MAX)]
    {
        assert!(!matrix.is_dark(x, y));
    }
}

#[test]
fn a_higher_level_never_needs_fewer_modules() {
    let sides = [Level::Low, Level::Medium, Level::Quartile, Level::High]
        .map(|l| Matrix::encode(URI, l).unwrap().side());
    assert!(sides.is_sorted() && sides[0] < sides[3], "{sides:?}");
}

#[test]
fn a_text_beyond_the_largest_code_is_refused() {
    assert!(Matrix::encode(&"x".repeat(2953), Level::Low).is_ok());
    assert_eq!(Matrix::encode(&"x".repeat(2954), Level::Low).unwrap_err(), QrError::TooLong);
    assert_eq!(Matrix::encode(&"x".repeat(2953), Level::High).unwrap_err(), QrError::TooLong);
}

#[test]
fn debug_output_shows_only_the_size() {
    assert_eq!(format!("{:?}", Matrix::encode(URI, Level::Low).unwrap()), "Matrix(37x37, redacted)");
}
