//! A picture in the format that its file's name asks for.

use super::art::{Art, Format};
use super::{png, svg};
use zeroize::Zeroizing;

impl Art {
    /// The file's content.
    pub fn draw(&self, format: Format, text: &str, title: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let fit = self.fit(text)?;
        match format {
            Format::Svg => svg::draw(self, &fit, title),
            Format::Png => png::draw(self, &fit),
        }
        .map_err(|error| format!("the picture can't be encoded: {error}"))
    }
}
