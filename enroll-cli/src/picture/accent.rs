//! The heading in the organisation's colours, on terminals that have colour. Text and ground are both set, so
//! that it can be read whatever the terminal's own colours are.

use super::contrast::{self, LEAST, ratio};
use qrtotp_policy::{Brand, Colour};

/// How many colours a terminal shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Depth {
    /// None that can be relied on: the usual 16 are whatever their owner made of them.
    #[default]
    None,
    /// The palette of 256.
    Palette,
    /// 24 bits.
    True,
}

/// The colours that standard output and the environment support. NO_COLOR is respected (no-color.org: set and
/// not empty).
pub fn depth(tty: bool, variable: impl Fn(&str) -> Option<String>) -> Depth {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let (no_color, term, colorterm) = (set("NO_COLOR"), set("TERM"), set("COLORTERM"));
    let Some(term) = term.filter(|term| tty && no_color.is_none() && term != "dumb") else {
        return Depth::None;
    };
    if matches!(colorterm.as_deref(), Some("truecolor" | "24bit")) || term.ends_with("-direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Palette
    } else {
        Depth::None
    }
}

/// Text and ground of the heading.
fn pair(brand: &Brand) -> Option<(Colour, Colour)> {
    let ground = brand.accent()?;
    // One of the two always has more than 4.5:1.
    let best = if ratio(Colour::WHITE, ground) >= ratio(Colour::BLACK, ground) {
        Colour::WHITE
    } else {
        Colour::BLACK
    };
    Some((brand.accent_text().unwrap_or(best), ground))
}

/// The fault of the configured pair, if any.
pub fn problem(brand: &Brand) -> Option<String> {
    pair(brand).and_then(|(text, ground)| contrast::problem(text, ground))
}

/// `text` as the heading.
pub fn heading(text: &str, brand: &Brand, depth: Depth) -> String {
    let escape = pair(brand).and_then(|(text, ground)| escape(text, ground, depth));
    escape.map_or_else(|| text.to_owned(), |escape| format!("{escape} {text} \x1b[0m"))
}

fn escape(text: Colour, ground: Colour, depth: Depth) -> Option<String> {
    match depth {
        Depth::None => None,
        Depth::True => {
            let [[r, g, b], [x, y, z]] = [text.rgb, ground.rgb];
            Some(format!("\x1b[38;2;{r};{g};{b};48;2;{x};{y};{z}m"))
        }
        Depth::Palette => {
            let ((text, near_text), (ground, near_ground)) = (nearest(text), nearest(ground));
            // Rounded colours may be closer than the real ones.
            (ratio(near_text, near_ground) >= LEAST).then(|| format!("\x1b[38;5;{text};48;5;{ground}m"))
        }
    }
}

/// The nearest colour of the palette's 6×6×6 cube, and its number.
fn nearest(colour: Colour) -> (u8, Colour) {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let at = colour
        .rgb
        .map(|channel| (0..6_u8).min_by_key(|&i| STEPS[usize::from(i)].abs_diff(channel)).unwrap_or(0));
    let [r, g, b] = at;
    (16 + 36 * r + 6 * g + b, Colour { rgb: at.map(|i| STEPS[usize::from(i)]) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_policy::Config;
    use std::path::Path;

    fn brand(accent: [u8; 3], text: Option<[u8; 3]>) -> Brand {
        let key = |name, rgb| format!("{name} = \"{}\"\n", Colour { rgb });
        let text = text.map(|rgb| key("accent_text", rgb)).unwrap_or_default();
        let config = format!("[brand]\n{}{text}", key("accent", accent));
        Config::parse(Path::new("test"), config.as_bytes()).unwrap().brand
    }

    #[test]
    fn colour_needs_a_terminal_that_has_it_and_a_person_who_does_not_object() {
        for (tty, no_color, term, colorterm, expected) in [
            (true, "", "xterm-256color", "", Depth::Palette),
            (true, "", "xterm-256color", "truecolor", Depth::True),
            (true, "", "xterm-direct", "", Depth::True),
            (true, "", "xterm", "24bit", Depth::True),
            (true, "", "xterm", "", Depth::None),
            (true, "", "linux", "", Depth::None),
            (true, "", "dumb", "truecolor", Depth::None),
            (true, "", "", "truecolor", Depth::None),
            (true, "1", "xterm-256color", "truecolor", Depth::None),
            (false, "", "xterm-256color", "truecolor", Depth::None),
        ] {
            let variable = |name: &str| match name {
                "NO_COLOR" => Some(no_color.to_owned()),
                "TERM" => Some(term.to_owned()),
                "COLORTERM" => Some(colorterm.to_owned()),
                _ => None,
            };
            assert_eq!(depth(tty, variable), expected, "{tty} {no_color:?} {term:?} {colorterm:?}");
        }
    }

    #[test]
    fn without_a_chosen_text_colour_every_accent_can_be_read() {
        for r in (0..=255).step_by(15) {
            for g in (0..=255).step_by(15) {
                for b in (0..=255).step_by(15) {
                    assert_eq!(problem(&brand([r, g, b], None)), None);
                }
            }
        }
        assert!(problem(&brand([255; 3], Some([119; 3]))).is_some_and(|problem| problem.contains("4.47:1")));
    }

    #[test]
    fn the_heading_sets_both_colours_and_ends_them() {
        let blue = brand([0, 0x5f, 0xff], None);
        assert_eq!(heading("x", &blue, Depth::True), "\x1b[38;2;255;255;255;48;2;0;95;255m x \x1b[0m");
        assert_eq!(heading("x", &blue, Depth::Palette), "\x1b[38;5;231;48;5;27m x \x1b[0m");
        assert_eq!(heading("x", &blue, Depth::None), "x");
        assert_eq!(heading("x", &Brand::default(), Depth::True), "x");
    }

    #[test]
    fn a_pair_that_the_palette_brings_too_close_stays_without_colour() {
        let close = brand([255; 3], Some([0x76; 3])); // 4.54:1, but 135 is nearest to 118
        assert_eq!(problem(&close), None);
        assert_eq!(heading("x", &close, Depth::Palette), "x");
    }
}
