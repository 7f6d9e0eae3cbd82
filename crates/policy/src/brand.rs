//! `[brand]`: how users see the organisation. Only the syntax is checked here; the command, which draws
//! colours and logo, checks whether they work. No login depends on it.

use qrtotp_otp::qr::Level;
use std::fmt;
use std::path::Path;

/// `[brand]`. Colours and level stay as they were written, and only their syntax is checked: the module reads
/// this at every login and does not use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brand {
    /// The contact for help, shown at enrolment: a telephone number, an address. At most 100 characters.
    pub contact: Option<String>,
    pub(super) accent: Option<String>,
    pub(super) accent_text: Option<String>,
    pub(super) dark: Option<String>,
    pub(super) light: Option<String>,
    pub(super) logo: Option<String>,
    pub(super) logo_size: Option<u8>,
    pub(super) correction: Option<String>,
}

impl Brand {
    /// Background of the heading on terminals that have colour. Default: no colour.
    #[must_use]
    pub fn accent(&self) -> Option<Colour> {
        colour(self.accent.as_ref())
    }

    /// Text of the heading on the accent. Default: black or white, whichever contrasts more.
    #[must_use]
    pub fn accent_text(&self) -> Option<Colour> {
        colour(self.accent_text.as_ref())
    }

    /// Dark modules of saved pictures. Default `#000000`.
    #[must_use]
    pub fn dark(&self) -> Colour {
        colour(self.dark.as_ref()).unwrap_or(Colour::BLACK)
    }

    /// Light modules and frame of saved pictures. Default `#ffffff`.
    #[must_use]
    pub fn light(&self) -> Colour {
        colour(self.light.as_ref()).unwrap_or(Colour::WHITE)
    }

    /// A PNG for the middle of saved pictures, by its absolute path. Default: none.
    #[must_use]
    pub fn logo(&self) -> Option<&Path> {
        self.logo.as_deref().map(Path::new)
    }

    /// The longer side of the logo in percent of the QR code's, 5–40. Default 15.
    #[must_use]
    pub fn logo_size(&self) -> u8 {
        self.logo_size.unwrap_or(15)
    }

    /// Error correction of saved pictures: `L`, `M`, `Q` or `H`. Default: that of the smallest code that can
    /// carry the logo.
    #[must_use]
    pub fn correction(&self) -> Option<Level> {
        let letter = self.correction.as_deref()?;
        LEVELS.into_iter().find_map(|(name, level)| (name == letter).then_some(level))
    }

    /// Each key's rule, and whether the key breaks it.
    pub(super) fn problems(&self) -> impl Iterator<Item = (bool, &'static str, &'static str)> {
        let contact = self.contact.as_ref();
        let level = |letter: &String| LEVELS.iter().any(|(name, _)| name == letter);
        let others = [
            (
                contact.is_some_and(|contact| !super::bytes::printable(contact, 100)),
                "brand.contact",
                "must be 1 to 100 printable characters",
            ),
            (
                self.accent_text.is_some() && self.accent.is_none(),
                "brand.accent_text",
                "is the colour of text on brand.accent, and that is not set",
            ),
            (self.logo().is_some_and(|path| !path.is_absolute()), "brand.logo", "must be an absolute path"),
            (!(5..=40).contains(&self.logo_size()), "brand.logo_size", "must be 5 to 40 (percent)"),
            (
                self.correction.as_ref().is_some_and(|letter| !level(letter)),
                "brand.correction",
                "must be \"L\", \"M\", \"Q\" or \"H\"",
            ),
        ];
        let colours = [
            (&self.accent, "brand.accent"),
            (&self.accent_text, "brand.accent_text"),
            (&self.dark, "brand.dark"),
            (&self.light, "brand.light"),
        ];
        let colours = colours.map(|(text, key)| {
            let wrong = text.as_ref().is_some_and(|text| !is_colour(text));
            (wrong, key, "must be red, green and blue in hexadecimal, such as \"#0b5fff\"")
        });
        others.into_iter().chain(colours)
    }
}

const LEVELS: [(&str, Level); 4] =
    [("L", Level::Low), ("M", Level::Medium), ("Q", Level::Quartile), ("H", Level::High)];

fn colour(text: Option<&String>) -> Option<Colour> {
    text.and_then(|text| Colour::parse(text))
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A colour of the sRGB space, 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Red, green, blue.
    pub rgb: [u8; 3],
}

impl Colour {
    /// `#000000`.
    pub const BLACK: Self = Self { rgb: [0; 3] };
    /// `#ffffff`.
    pub const WHITE: Self = Self { rgb: [255; 3] };

    /// `#` and six hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|_| is_colour(text))?;
        let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self { rgb: [r, g, b] })
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.rgb;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_colour_is_a_hash_and_six_hexadecimal_digits() {
        assert_eq!(Colour::parse("#0B5fff").unwrap().rgb, [0x0b, 0x5f, 0xff]);
        assert_eq!(Colour::parse("#0B5fff").unwrap().to_string(), "#0b5fff");
        for wrong in
            ["", "#", "0b5fff", "#fff", "#0b5ff", "#0b5fff0", "#+b5fff", "#0b5ffg", "blue", "##0b5ff"]
        {
            assert_eq!(Colour::parse(wrong), None, "{wrong:?}");
        }
    }
}
