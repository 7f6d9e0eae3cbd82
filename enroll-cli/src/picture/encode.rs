//! Pixels as a PNG file.

use png::{BitDepth, ColorType, Encoder, EncodingError};
use zeroize::Zeroizing;

/// Encodes 8-bit pixels. (What the encoder itself copies while it works it frees as it is.)
pub fn encode(
    (width, height): (u32, u32),
    kind: ColorType,
    pixels: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
    // It never moves while it grows and leaves a part behind in freed memory.
    let mut out = Zeroizing::new(Vec::with_capacity(longest(pixels.len())));
    let mut encoder = Encoder::new(&mut *out, width, height);
    encoder.set_color(kind);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(out)
}

/// Bytes that so many of pixels make at most: what can't be made smaller is stored, with a byte a line and
/// five a block.
pub(super) fn longest(pixels: usize) -> usize {
    1024 + 2 * pixels
}
