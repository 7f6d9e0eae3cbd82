#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

const URI: &str = "otpauth://totp/Example:alice@web1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";
const STYLES: [Style; 5] = [Style::Utf8, Style::Utf8Colour, Style::Blocks, Style::Ascii, Style::Ansi];
const QUIET: [usize; 3] = [1, 2, QUIET_ZONE];
const POLARITIES: [Polarity; 2] = [Polarity::Normal, Polarity::Inverted];

fn matrices() -> Vec<Matrix> {
    let long = "x".repeat(600);
    [("", Level::Low), (URI, Level::Low), (URI, Level::Medium), (URI, Level::Quartile), (&long, Level::High)]
        .map(|(text, level)| Matrix::encode(text, level).unwrap())
        .into()
}

/// The picture as a camera sees it: light is true, one entry per module, row by row.
fn read_back(picture: &str, style: Style, polarity: Polarity) -> Vec<Vec<bool>> {
    let light = polarity == Polarity::Normal;
    match style {
        Style::Utf8 => picture
            .lines()
            .flat_map(|line| {
                assert!(line.chars().all(|c| "█▀▄ ".contains(c)));
                let half = |glyphs: &'static str| line.chars().map(|c| glyphs.contains(c) == light).collect();
                [half("█▀"), half("█▄")]
            })
            .collect(),
        Style::Utf8Colour => {
            let colours = if light { "\x1b[38;5;231;48;5;16m" } else { "\x1b[38;5;16;48;5;231m" };
            let bare = |line: &str| {
                line.strip_prefix(colours).unwrap().strip_suffix("\x1b[0m").unwrap().to_owned() + "\n"
            };
            read_back(&picture.lines().map(bare).collect::<String>(), Style::Utf8, polarity)
        }
        Style::Blocks | Style::Ascii => picture
            .lines()
            .map(|line| {
                let columns: Vec<_> = line.chars().collect();
                let glyph = if style == Style::Blocks { '█' } else { '@' };
                let module = |pair: &[char]| {
                    assert!(pair.iter().all(|c| *c == pair[0] && [glyph, ' '].contains(c)));
                    (pair[0] == glyph) == light
                };
                columns.chunks(2).map(module).collect()
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
                    vec![white == light; spaces.len() / 2]
                })
                .collect()
            })
            .collect(),
    }
}

/// Every picture.
fn drawn(mut test: impl FnMut(&Matrix, Style, Polarity, usize)) {
    for matrix in matrices() {
        for style in STYLES {
            for polarity in POLARITIES {
                for quiet in QUIET {
                    test(&matrix, style, polarity, quiet);
                }
            }
        }
    }
}

#[test]
fn the_picture_read_back_is_the_matrix_in_its_quiet_zone() {
    drawn(|matrix, style, polarity, quiet| {
        let modules = read_back(&render(matrix, style, polarity, quiet), style, polarity);
        let code = quiet..matrix.side() + quiet;
        for (y, row) in modules.iter().enumerate() {
            assert_eq!(row.len(), matrix.side() + 2 * quiet);
            for (x, &light) in row.iter().enumerate() {
                let inside = code.contains(&x) && code.contains(&y);
                let dark = inside && matrix.is_dark(x - quiet, y - quiet);
                assert_eq!(light, !dark, "{style:?} {polarity:?} {quiet} {x} {y}");
            }
        }
        let spare = usize::from(matches!(style, Style::Utf8 | Style::Utf8Colour));
        assert_eq!(modules.len(), matrix.side() + 2 * quiet + spare);
    });
}

#[test]
fn the_picture_has_the_declared_size() {
    drawn(|matrix, style, polarity, quiet| {
        let picture = render(matrix, style, polarity, quiet);
        let plain = picture.split('\x1b').map(|part| match part.split_once('m') {
            Some((codes, text)) if codes.starts_with('[') => text,
            _ => part,
        });
        let plain: String = plain.collect();
        let (columns, rows) = size(matrix, style, quiet);
        assert_eq!(plain.lines().count(), rows);
        assert!(plain.ends_with('\n') && plain.lines().all(|line| line.chars().count() == columns));
    });
}

#[test]
fn the_quiet_zone_is_the_widest_that_fits_the_window_or_at_least_its_columns() {
    let fits = |side: usize, style, columns, rows| {
        let text = "x".repeat(match side {
            37 => 106,
            41 => 134,
            45 => 154,
            73 => 458,
            _ => 520,
        });
        let matrix = Matrix::encode(&text, Level::Low).unwrap();
        assert_eq!(matrix.side(), side);
        quiet_zone(&matrix, style, columns, rows).map(|quiet| (quiet, size(&matrix, style, quiet)))
    };
    assert_eq!(fits(37, Style::Utf8, 77, 23), Some((4, (45, 23))));
    assert_eq!(fits(41, Style::Utf8, 77, 23), Some((2, (45, 23))));
    assert_eq!(fits(45, Style::Utf8, 77, 23), Some((4, (53, 27))), "it needs a larger window anyhow");
    assert_eq!(fits(73, Style::Utf8, 77, 23), Some((2, (77, 39))));
    assert_eq!(fits(77, Style::Utf8, 77, 23), None);
    assert_eq!(fits(37, Style::Ascii, 77, 23), Some((1, (77, 39))));
    assert_eq!(fits(37, Style::Ascii, 200, 100), Some((4, (89, 45))));
    assert_eq!(fits(41, Style::Blocks, 77, 23), None);
}

#[test]
fn no_picture_outgrows_the_memory_reserved_for_it() {
    drawn(|matrix, style, polarity, quiet| {
        let (columns, rows) = size(matrix, style, quiet);
        let line = match style {
            Style::Utf8 | Style::Blocks => columns * 3 + 1,
            Style::Utf8Colour => columns * 3 + 1 + 20 + 4,
            Style::Ascii => columns + 1,
            Style::Ansi => columns + columns / 2 * 11 + 5,
        };
        assert!(render(matrix, style, polarity, quiet).capacity() <= rows * line, "{style:?}");
    });
}

#[test]
fn runs_of_one_colour_are_one_escape() {
    let matrix = Matrix::encode(URI, Level::Low).unwrap();
    let picture = render(&matrix, Style::Ansi, Polarity::Normal, QUIET_ZONE);
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
