//! A QR code as an SVG 1.1 document, in modules as units.

use super::art::Art;
use super::fit::Fit;
use base64ct::{Base64, Encoding};
use png::EncodingError;
use qrtotp_otp::qr::QUIET_ZONE;
use qrtotp_values::text::character_reference;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Pixels of a module's side, where a program asks for pixels.
const SCALE: usize = 10;

/// The picture, quiet zone included, with `title` for people who can't see it.
pub fn draw(art: &Art, fit: &Fit, title: &str) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
    let logo = match (&art.logo, fit.area) {
        (Some(logo), Some(area)) => Some((area, Base64::encode_string(&logo.encode()?))),
        _ => None,
    };
    let side = fit.matrix.side();
    // The longest that it can be, so that it never moves while it grows and leaves a part behind in freed
    // memory.
    let longest = 2048 + 6 * title.len() + 16 * side * side + logo.as_ref().map_or(0, |(_, text)| text.len());
    let mut out = Zeroizing::new(String::with_capacity(longest));
    let (span, pixels) = (side + 2 * QUIET_ZONE, (side + 2 * QUIET_ZONE) * SCALE);
    let (dark, light) = (art.dark, art.light);
    // Writing into a string never fails.
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{pixels}\" height=\"{pixels}\" \
         viewBox=\"0 0 {span} {span}\" shape-rendering=\"crispEdges\">\n<title>"
    );
    escape(&mut out, title);
    let _ = write!(
        out,
        "</title>\n<rect width=\"{span}\" height=\"{span}\" fill=\"{light}\"/>\n<path fill=\"{dark}\" d=\""
    );
    for y in 0..side {
        for (x, length) in runs(fit, y) {
            let _ = write!(out, "M{} {}h{length}v1h-{length}z", x + QUIET_ZONE, y + QUIET_ZONE);
        }
    }
    out.push_str("\"/>\n");
    if let Some((area, logo)) = logo {
        let (x, y) = (area.left + QUIET_ZONE, area.top + QUIET_ZONE);
        let (width, height) = (area.width, area.height);
        let _ = write!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{light}\"/>\n\
             <image x=\"{x}.5\" y=\"{y}.5\" width=\"{}\" height=\"{}\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             xlink:href=\"data:image/png;base64,{logo}\"/>\n",
            width - 1,
            height - 1
        );
    }
    out.push_str("</svg>\n");
    let mut out = out;
    Ok(Zeroizing::new(std::mem::take(&mut *out).into_bytes()))
}

/// Dark modules side by side in row `y`: where they begin, and how many.
fn runs(fit: &Fit, y: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = (0..fit.matrix.side())
        .filter(move |&x| fit.matrix.is_dark(x, y) && (x == 0 || !fit.matrix.is_dark(x - 1, y)));
    starts.map(move |start| (start, (start..).take_while(|&x| fit.matrix.is_dark(x, y)).count()))
}

/// Text for XML 1.0; what XML can't hold becomes `?`.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match character_reference(c) {
            Some(reference) => out.push_str(reference),
            None if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            None => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fit::fit;
    use super::*;

    #[test]
    fn nothing_in_a_title_ends_it_or_is_no_xml() {
        let mut out = String::new();
        escape(&mut out, "a<b>&\"'\u{0}\u{1b}\u{fffe}é");
        assert_eq!(out, "a&lt;b&gt;&amp;&quot;&#39;???é");
    }

    #[test]
    fn the_text_never_outgrows_the_memory_reserved_for_it() {
        for text in ["x".repeat(10), "x".repeat(1000)] {
            let fit = fit(&text, None, None).unwrap();
            let drawn = draw(&Art::default(), &fit, &"<".repeat(64)).unwrap();
            assert!(drawn.len() < 2048 + 6 * 64 + 16 * fit.matrix.side().pow(2));
        }
    }
}
