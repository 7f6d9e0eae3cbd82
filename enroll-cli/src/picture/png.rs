//! A QR code as a PNG.

use super::art::Art;
use super::encode::encode;
use super::fit::Fit;
use png::{ColorType, EncodingError};
use qrtotp_otp::qr::QUIET_ZONE;
use qrtotp_policy::Colour;
use zeroize::Zeroizing;

/// Pixels of a module's side.
const SCALE: usize = 10;

/// The picture, quiet zone included.
pub fn draw(art: &Art, fit: &Fit) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
    let side = (fit.matrix.side() + 2 * QUIET_ZONE) * SCALE;
    let mut pixels = Zeroizing::new(vec![0; 3 * side * side]);
    let places = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    for (pixel, (x, y)) in pixels.chunks_exact_mut(3).zip(places) {
        pixel.copy_from_slice(&colour(art, fit, (x, y)).rgb);
    }
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    encode((side, side), ColorType::Rgb, &pixels)
}

fn colour(art: &Art, fit: &Fit, (x, y): (usize, usize)) -> Colour {
    let quiet = QUIET_ZONE * SCALE;
    let (Some(x), Some(y)) = (x.checked_sub(quiet), y.checked_sub(quiet)) else { return art.light };
    if let (Some(logo), Some(area)) = (&art.logo, fit.area) {
        let inside = |at: usize, from: usize, length: usize| {
            at.checked_sub(from * SCALE).filter(|at| *at < length * SCALE)
        };
        if let (Some(x), Some(y)) = (inside(x, area.left, area.width), inside(y, area.top, area.height)) {
            return on_plate(art.light, logo, (x, y), (area.width, area.height));
        }
    }
    if fit.matrix.is_dark(x / SCALE, y / SCALE) { art.dark } else { art.light }
}

/// The logo in the middle of its plate, as large as half a module's margin and its own shape allow.
fn on_plate(
    light: Colour,
    logo: &super::logo::Logo,
    at: (usize, usize),
    (columns, rows): (usize, usize),
) -> Colour {
    let pixels = |modules: usize| u32::try_from((modules - 1) * SCALE).unwrap_or(1);
    let (width, height) = (pixels(columns), pixels(rows));
    let (width, height) = if width * logo.height <= height * logo.width {
        (width, (width * logo.height / logo.width).max(1))
    } else {
        ((height * logo.width / logo.height).max(1), height)
    };
    let place = |at: usize, modules: usize, length: u32| {
        let margin = (u32::try_from(modules * SCALE).ok()? - length) / 2;
        u32::try_from(at).ok()?.checked_sub(margin).filter(|at| *at < length)
    };
    match (place(at.0, columns, width), place(at.1, rows, height)) {
        (Some(x), Some(y)) => logo.scaled((x, y), (width, height), light),
        _ => light,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::encode::longest;
    use super::*;

    #[test]
    fn a_picture_never_moves_while_it_grows_not_even_one_that_can_not_be_made_smaller() {
        let mut noise = 1_u32;
        let mut random = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        };
        for (width, height) in [(1, 1), (1, 400), (300, 200)] {
            let pixels: Vec<u8> = (0..width * height * 3).map(|_| random()).collect();
            let picture = encode((width, height), ColorType::Rgb, &pixels).unwrap();
            assert!(width == 1 || picture.len() > pixels.len(), "noise was made smaller");
            assert_eq!(picture.capacity(), longest(pixels.len()), "{width}x{height}");
        }
    }
}
