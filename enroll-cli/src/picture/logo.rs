//! The organisation's logo: a PNG of root's. Decoded and written anew, so that nothing of the file but its
//! pixels gets into a picture.

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use qrtotp_policy::Colour;
use qrtotp_store::{Readers, open_dir, open_file, read_all};
use std::io::Cursor;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of the file.
const LONGEST: usize = 512 * 1024;
/// Pixels a side.
const LARGEST: u32 = 1024;
/// Bytes that decoding may take.
const MEMORY: usize = 32 * 1024 * 1024;

/// Pixels with transparency.
#[derive(Clone, Debug)]
pub struct Logo {
    pub width: u32,
    pub height: u32,
    /// Red, green, blue, opacity; row by row.
    rgba: Vec<u8>,
}

impl Logo {
    /// Reads the file, which must be root's (or the caller's) and nobody else's to write.
    pub fn load(path: &Path) -> Result<Self, String> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            return Err(format!("{} is not a file's path", path.display()));
        };
        let dir = open_dir(parent).map_err(|error| error.to_string())?;
        let file = open_file(&dir, name, path, false, Readers::Anybody).map_err(|error| error.to_string())?;
        let bytes = read_all(&file, path, LONGEST).map_err(|error| error.to_string())?;
        Self::decode(&bytes).map_err(|problem| format!("{}: {problem}", path.display()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let not_ours = |error: png::DecodingError| format!("no PNG that can be used ({error})");
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MEMORY });
        decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
        let mut reader = decoder.read_info().map_err(not_ours)?;
        let (width, height) = (reader.info().width, reader.info().height);
        if width > LARGEST || height > LARGEST {
            return Err(format!("{width}x{height} pixels; {LARGEST}x{LARGEST} are the most"));
        }
        let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let frame = reader.next_frame(&mut pixels).map_err(not_ours)?;
        pixels.truncate(frame.buffer_size());
        let rgba = match (frame.color_type, frame.bit_depth) {
            (ColorType::Rgba, BitDepth::Eight) => pixels,
            (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
                pixels.chunks_exact(2).flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]]).collect()
            }
            (kind, _) => return Err(format!("no PNG that can be used ({kind:?})")),
        };
        Ok(Self { width, height, rgba })
    }

    /// The same pixels as a PNG of ours.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, png::EncodingError> {
        super::encode::encode((self.width, self.height), ColorType::Rgba, &self.rgba)
    }

    /// The colour at (`x`, `y`) of the logo scaled to `width` × `height`, on `ground`: the mean of the pixels
    /// below.
    pub fn scaled(&self, (x, y): (u32, u32), (width, height): (u32, u32), ground: Colour) -> Colour {
        let span = |at: u32, of: u32, pixels: u32| {
            let (from, to) = (at * pixels / of, (at + 1) * pixels / of);
            from..to.max(from + 1)
        };
        let (mut sum, mut count) = ([0_u64; 3], 0_u64);
        for row in span(y, height, self.height) {
            for column in span(x, width, self.width) {
                let at = 4 * (row as usize * self.width as usize + column as usize);
                let opacity = u64::from(self.rgba[at + 3]);
                for (channel, sum) in sum.iter_mut().enumerate() {
                    *sum += u64::from(self.rgba[at + channel]) * opacity
                        + u64::from(ground.rgb[channel]) * (255 - opacity);
                }
                count += 255;
            }
        }
        Colour { rgb: sum.map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn logo(width: u32, height: u32, pixel: [u8; 4]) -> Logo {
        Logo { width, height, rgba: pixel.repeat((width * height) as usize) }
    }

    #[test]
    fn a_logo_survives_encoding_and_decoding() {
        let logo = logo(5, 3, [10, 20, 30, 40]);
        let again = Logo::decode(&logo.encode().unwrap()).unwrap();
        assert_eq!((again.width, again.height, again.rgba), (5, 3, logo.rgba));
    }

    #[test]
    fn grey_palette_and_deep_pixels_become_colours() {
        let grey = super::super::encode::encode((2, 1), ColorType::Grayscale, &[0, 255]).unwrap();
        assert_eq!(Logo::decode(&grey).unwrap().rgba, [0, 0, 0, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn what_is_no_png_or_too_large_is_refused() {
        assert!(Logo::decode(b"GIF89a").is_err());
        let whole = logo(9, 9, [1, 2, 3, 255]).encode().unwrap();
        assert!(Logo::decode(&whole[..whole.len() / 2]).is_err());
        let wide = logo(LARGEST + 1, 1, [1, 2, 3, 255]).encode().unwrap();
        assert!(Logo::decode(&wide).unwrap_err().contains("1025x1"));
    }

    #[test]
    fn transparency_lets_the_ground_through() {
        let ground = Colour { rgb: [200, 100, 0] };
        assert_eq!(logo(4, 4, [0, 0, 0, 0]).scaled((0, 0), (2, 2), ground), ground);
        assert_eq!(logo(4, 4, [9, 9, 9, 255]).scaled((1, 1), (2, 2), ground).rgb, [9; 3]);
        assert_eq!(logo(1, 1, [0, 0, 0, 51]).scaled((7, 7), (8, 8), ground).rgb, [160, 80, 0]);
    }
}
