//! The smallest QR code that bears a logo.

use super::codewords::{Area, Layout};
use qrtotp_otp::qr::{Level, Matrix, QrError};

/// The largest code: 97 modules a side. Cameras have trouble with larger ones on screens.
const LARGEST: i16 = 20;

/// A logo as far as its place matters.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The longer side, percent of the code's.
    pub percent: u8,
    /// Width and height, in any unit.
    pub shape: (u32, u32),
}

/// The QR code to draw, with its logo.
pub struct Fit {
    pub matrix: Matrix,
    /// The place of the logo.
    pub area: Option<Area>,
}

/// Encodes `text` so that a logo in the middle can be borne; at `level`, if one is given.
pub fn fit(text: &str, level: Option<Level>, logo: Option<Wanted>) -> Result<Fit, String> {
    let too_long = |error: QrError| error.to_string();
    let Some(wanted) = logo else {
        let matrix = Matrix::encode(text, level.unwrap_or(Level::Medium)).map_err(too_long)?;
        return Ok(Fit { matrix, area: None });
    };
    let layouts = layouts(text, level);
    match layouts.iter().find(|layout| is_borne(layout, wanted)) {
        Some(layout) => {
            let matrix = Matrix::encode_in(text, layout.level, layout.version).map_err(too_long)?;
            Ok(Fit { matrix, area: Some(area(layout.side, wanted)) })
        }
        None => Err(refusal(&layouts, wanted)),
    }
}

/// All codes that hold the text, the smallest first, and of one size the most robust first.
fn layouts(text: &str, level: Option<Level>) -> Vec<Layout> {
    let levels = level.map_or(vec![Level::High, Level::Quartile, Level::Medium], |level| vec![level]);
    let mut layouts = Vec::new();
    for level in levels {
        let all = (1..=LARGEST).filter_map(|version| Layout::new(version, level));
        layouts.extend(all.filter(|layout| layout.holds >= text.len()));
    }
    layouts.sort_by_key(|layout| layout.side);
    layouts
}

/// Codewords of a block that a logo may damage: half of what correction restores. The other half is for dirt
/// and glare.
fn allowed(layout: &Layout) -> usize {
    layout.bears / 2
}

fn is_borne(layout: &Layout, wanted: Wanted) -> bool {
    layout.damage(area(layout.side, wanted)).is_some_and(|damage| damage <= allowed(layout))
}

/// The middle of the code: a code has an odd number of modules a side, and so has the area.
fn area(side: usize, wanted: Wanted) -> Area {
    let odd = |modules: f64| (3..).step_by(2).find(|&n: &u32| f64::from(n) >= modules).unwrap_or(3) as usize;
    let longest = f64::from(u32::try_from(side).unwrap_or(u32::MAX)) * f64::from(wanted.percent) / 100.0;
    let (width, height) = (f64::from(wanted.shape.0.max(1)), f64::from(wanted.shape.1.max(1)));
    let scale = longest / width.max(height);
    let (width, height) = (odd(width * scale), odd(height * scale));
    Area { left: (side - width) / 2, top: (side - height) / 2, width, height }
}

fn refusal(layouts: &[Layout], wanted: Wanted) -> String {
    let smaller = (1..wanted.percent)
        .rev()
        .find(|&percent| layouts.iter().any(|layout| is_borne(layout, Wanted { percent, ..wanted })));
    let step = match smaller {
        Some(percent) => format!("{percent} % is the most here"),
        None => "no logo fits here; leave it out, or allow more correction".to_owned(),
    };
    let damaged =
        layouts.iter().filter_map(|layout| Some((layout.damage(area(layout.side, wanted))?, layout)));
    let least = damaged.min_by_key(|(damage, layout)| damage * 1000 / allowed(layout).max(1));
    let percent = wanted.percent;
    match least {
        Some((damage, layout)) => format!(
            "a logo of {percent} % damages {damage} codewords of a block, and of the {} that correction restores there at \
             most {} may go to a logo; {step}",
            layout.bears,
            allowed(layout)
        ),
        None => format!("a logo of {percent} % covers patterns that scanners need; {step}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "otpauth://totp/Tests:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tests";
    const LEVELS: [Level; 4] = [Level::Low, Level::Medium, Level::Quartile, Level::High];

    #[test]
    fn what_fits_covers_no_pattern_and_damages_at_most_half_of_what_correction_restores() {
        let mut fitting = 0;
        for level in LEVELS.map(Some).into_iter().chain([None]) {
            for percent in (5..=40).step_by(5) {
                for shape in [(1, 1), (3, 1), (1, 2)] {
                    let Ok(Fit { matrix, area }) = fit(TEXT, level, Some(Wanted { percent, shape })) else {
                        continue;
                    };
                    fitting += 1;
                    let (area, side) = (area.unwrap(), matrix.side());
                    assert_eq!(2 * area.left + area.width, side, "not in the middle");
                    assert!(
                        area.width.max(area.height) * 100 >= side * usize::from(percent),
                        "smaller than asked for"
                    );
                    let version = i16::try_from((side - 17) / 4).unwrap();
                    let borne =
                        LEVELS.iter().filter(|l| level.is_none_or(|level| level == **l)).any(|level| {
                            let layout = Layout::new(version, *level).unwrap();
                            layout.damage(area).is_some_and(|damage| 2 * damage <= layout.bears)
                        });
                    assert!(borne, "{level:?} {percent} {shape:?}");
                }
            }
        }
        assert!(fitting > 30, "{fitting}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_figures() {
        let wanted = |percent| Some(Wanted { percent, shape: (1, 1) });
        assert!(fit(TEXT, None, wanted(15)).is_ok());
        let refusal = fit(TEXT, Some(Level::Low), wanted(20)).err().unwrap();
        assert!(refusal.contains("20 %") && refusal.contains("codewords of a block"), "{refusal}");
        let refusal = fit(TEXT, None, wanted(40)).err().unwrap();
        assert!(refusal.contains("40 %") && refusal.contains("is the most here"), "{refusal}");
    }

    #[test]
    fn whether_a_logo_fits_depends_on_the_length_of_the_text_alone() {
        let side = |secret: &str| {
            let text = TEXT.replace("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", secret);
            fit(&text, None, Some(Wanted { percent: 20, shape: (1, 1) })).unwrap().matrix.side()
        };
        assert_eq!(side(&"2".repeat(32)), side(&"A".repeat(32)));
        assert_eq!(side(&"A2345672".repeat(4)), side(&"ABCDEFG2".repeat(4)));
    }

    #[test]
    fn a_code_without_a_logo_is_the_smallest_of_its_level() {
        let fit = fit(TEXT, None, None).unwrap();
        assert!(fit.area.is_none());
        assert_eq!(fit.matrix.side(), Matrix::encode(TEXT, Level::Medium).unwrap().side());
    }
}
