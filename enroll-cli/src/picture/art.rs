//! The look of a saved picture, from the configuration. A look that scanners can't read is refused before
//! anything is drawn.

use super::contrast::picture_problem;
use super::fit::{Fit, Wanted, fit};
use super::logo::Logo;
use qrtotp_otp::qr::Level;
use qrtotp_policy::{Brand, Colour};
use std::ffi::OsStr;
use std::path::Path;

/// The file's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Svg,
    Png,
}

impl Format {
    /// By the end of the file's name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase).as_deref() {
            Some("svg") => Some(Self::Svg),
            Some("png") => Some(Self::Png),
            _ => None,
        }
    }
}

/// Colours and logo.
pub struct Art {
    pub dark: Colour,
    pub light: Colour,
    pub logo: Option<Logo>,
    percent: u8,
    level: Option<Level>,
}

impl Art {
    /// Refuses, with the figure, colours that can't be told apart and a logo that can't be read.
    pub fn new(brand: &Brand) -> Result<Self, String> {
        let (dark, light) = (brand.dark(), brand.light());
        if let Some(problem) = picture_problem(dark, light) {
            return Err(format!("brand.dark and brand.light: {problem}"));
        }
        let logo = brand.logo().map(Logo::load).transpose();
        Ok(Self {
            dark,
            light,
            logo: logo.map_err(|problem| format!("brand.logo: {problem}"))?,
            percent: brand.logo_size(),
            level: brand.correction(),
        })
    }

    /// The code for `text`. Refuses, with the figure, a logo that is too large for it.
    pub fn fit(&self, text: &str) -> Result<Fit, String> {
        let wanted = self.logo.as_ref();
        let wanted = wanted.map(|logo| Wanted { percent: self.percent, shape: (logo.width, logo.height) });
        fit(text, self.level, wanted).map_err(|problem| format!("brand.logo_size: {problem}"))
    }
}

#[cfg(test)]
impl Default for Art {
    fn default() -> Self {
        Self { dark: Colour::BLACK, light: Colour::WHITE, logo: None, percent: 15, level: None }
    }
}
