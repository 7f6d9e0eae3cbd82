//! The modules of a QR code, without its quiet zone.

use std::fmt;

use qrcode::bits::Bits;
use qrcode::types::QrError as EncoderError;
use qrcode::{Color, EcLevel, QrCode, Version};
use zeroize::Zeroizing;

/// How much of a code may be unreadable (ISO/IEC 18004 §7.5.1). [`Level::Low`] is enough on a screen and
/// makes the smallest code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// About 7 %.
    #[default]
    Low,
    /// About 15 %.
    Medium,
    /// About 25 %.
    Quartile,
    /// About 30 %.
    High,
}

impl From<Level> for EcLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Low => Self::L,
            Level::Medium => Self::M,
            Level::Quartile => Self::Q,
            Level::High => Self::H,
        }
    }
}

/// A QR code: a square of dark and light modules. Wipes itself when dropped; `Debug` shows only the size.
pub struct Matrix {
    side: usize,
    /// Row by row from the top, true is dark.
    dark: Zeroizing<Vec<bool>>,
}

impl Matrix {
    /// The smallest code that holds `text` at `level`.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if no code is large enough.
    pub fn encode(text: &str, level: Level) -> Result<Matrix, QrError> {
        QrCode::with_error_correction_level(text, level.into()).map(Self::from_code).map_err(QrError::from)
    }

    /// The code of `version` (1 to 40; 17 + 4 × version modules per side) that holds `text` at `level`, as
    /// bytes. Whether `text` fits depends on its length alone.
    ///
    /// # Errors
    /// [`QrError::TooLong`] if the code is too small for `text`.
    pub fn encode_in(text: &str, level: Level, version: i16) -> Result<Matrix, QrError> {
        let mut bits = Bits::new(Version::Normal(version));
        bits.push_byte_data(text.as_bytes())?;
        bits.push_terminator(level.into())?;
        Ok(Self::from_code(QrCode::with_bits(bits, level.into())?))
    }

    fn from_code(code: QrCode) -> Matrix {
        let side = code.width();
        let mut colors = code.into_colors();
        let dark = Zeroizing::new(colors.iter().map(|&color| color == Color::Dark).collect());
        // The encoder's colours can't be zeroized by the crate of that name; black_box keeps the overwriting.
        colors.fill(Color::Light);
        std::hint::black_box(&colors);
        Matrix { side, dark }
    }

    /// Modules per side: 21, 25, 29 … 177.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether the module in column `x` and row `y`, counted from the top left, is dark. Everything outside
    /// of the code is light, as its quiet zone has to be.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.side && y < self.side && self.dark.get(y * self.side + x).copied().unwrap_or(false)
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({side}x{side}, redacted)", side = self.side)
    }
}

/// Why a text has no QR code. Never contains the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QrError {
    /// More text than the largest code holds at this level.
    #[error("the text is too long for a QR code: shorten the issuer or the account's label")]
    TooLong,
    /// The encoder knows no way to write the text. Bytes always have one, so this is not expected.
    #[error("the text can't be written as a QR code: type the key into the app instead")]
    Unsupported,
}

impl From<EncoderError> for QrError {
    fn from(error: EncoderError) -> Self {
        match error {
            EncoderError::DataTooLong => Self::TooLong,
            EncoderError::InvalidVersion
            | EncoderError::UnsupportedCharacterSet
            | EncoderError::InvalidEciDesignator
            | EncoderError::InvalidCharacter => Self::Unsupported,
        }
    }
}
