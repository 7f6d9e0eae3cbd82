//! How well two colours can be told apart: contrast as WCAG 2 defines it, from relative luminance.

use qrtotp_policy::Colour;

/// The least contrast that we draw with (WCAG 2, success criterion 1.4.3).
pub const LEAST: f64 = 4.5;

/// Relative luminance, 0 (black) to 1 (white).
pub fn luminance(colour: Colour) -> f64 {
    let [r, g, b] = colour.rgb.map(|channel| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Contrast, 1 to 21, whichever of the two is the lighter one.
pub fn ratio(one: Colour, other: Colour) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The figure for people, truncated instead of rounded, so a refused contrast never reads 4.50.
pub fn figure(ratio: f64) -> String {
    format!("{:.2}:1", (ratio * 100.0).floor() / 100.0)
}

/// The fault of text of one colour on the other, if any.
pub fn problem(text: Colour, ground: Colour) -> Option<String> {
    let contrast = ratio(text, ground);
    (contrast < LEAST)
        .then(|| format!("{text} on {ground} has a contrast of {}; {LEAST}:1 is the least", figure(contrast)))
}

/// The fault of a QR code in these colours, if any.
pub fn picture_problem(dark: Colour, light: Colour) -> Option<String> {
    if luminance(dark) > luminance(light) {
        return Some(format!(
            "{dark} is lighter than {light} ({}), and many scanners don't read inverted codes; exchange them",
            figure(ratio(dark, light))
        ));
    }
    problem(dark, light)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn colour(text: &str) -> Colour {
        Colour::parse(text).unwrap()
    }

    #[test]
    fn contrast_is_what_wcag_says() {
        // Known figures: black on white, and the two greys on either side of 4.5:1 on white.
        for (one, other, expected) in [
            ("#000000", "#ffffff", "21.00:1"),
            ("#ffffff", "#ffffff", "1.00:1"),
            ("#767676", "#ffffff", "4.54:1"),
            ("#777777", "#ffffff", "4.47:1"),
            ("#0000ff", "#ffffff", "8.59:1"),
            ("#ff0000", "#ffffff", "3.99:1"),
        ] {
            assert_eq!(figure(ratio(colour(one), colour(other))), expected, "{one} {other}");
            assert_eq!(ratio(colour(one), colour(other)), ratio(colour(other), colour(one)));
        }
    }

    #[test]
    fn a_pair_below_the_least_and_an_inverted_one_are_refused_with_the_figure() {
        assert_eq!(picture_problem(colour("#767676"), Colour::WHITE), None);
        assert!(picture_problem(colour("#777777"), Colour::WHITE).unwrap().contains("4.47:1"));
        assert!(picture_problem(Colour::WHITE, Colour::BLACK).unwrap().contains("21.00:1"));
        assert_eq!(problem(Colour::WHITE, Colour::BLACK), None, "text may be light");
    }
}
