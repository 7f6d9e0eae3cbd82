//! The Linux console: text drawn with a console font, as the kernel would.

use std::{fs::DirEntry, path::Path, process::Command};

/// The directory of Debian's console-setup-linux.
const FONTS: &str = "/usr/share/consolefonts";
/// Dark pixels around the picture.
const BORDER: usize = 24;

/// A console font (PSF, version 1 or 2).
pub struct Font {
    pub name: String,
    pub width: usize,
    pub height: usize,
    bitmaps: Vec<u8>,
    /// Bytes of a glyph.
    size: usize,
    /// Each character's glyph.
    table: Vec<(char, usize)>,
}

/// All fonts of console-setup-linux.
#[must_use]
pub fn fonts() -> Vec<Font> {
    let missing =
        |error| panic!("{FONTS}: {error}: run `cargo xtask test`, which installs console-setup-linux");
    let files = std::fs::read_dir(FONTS).unwrap_or_else(missing).map(Result::unwrap);
    let mut paths: Vec<_> = files.map(|file: DirEntry| file.path()).collect();
    paths.retain(|path| path.to_string_lossy().contains(".psf"));
    paths.sort();
    paths.iter().map(|path| Font::read(path)).collect()
}

impl Font {
    fn read(path: &Path) -> Self {
        let unpacked =
            Command::new("gzip").args(["--decompress", "--stdout", "--force"]).arg(path).output().unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = unpacked.stdout;
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (start, count, size, width, height) = match bytes[..4] {
            [0x36, 0x04, mode, height] => {
                (4, if mode & 1 == 0 { 256 } else { 512 }, height.into(), 8, height.into())
            }
            [0x72, 0xb5, 0x4a, 0x86] => (word(8), word(16), word(20), word(28), word(24)),
            _ => panic!("{name} is no PSF font"),
        };
        let (bitmaps, unicode) = bytes[start..].split_at(count * size);
        let table = if start == 4 { table_of_version_1(unicode) } else { table_of_version_2(unicode) };
        Self { name, width, height, bitmaps: bitmaps.to_vec(), size, table }
    }

    /// The pixels of a character, in rows of whole bytes.
    #[must_use]
    pub fn glyph(&self, c: char) -> Option<&[u8]> {
        let (_, glyph) = self.table.iter().find(|(known, _)| *known == c)?;
        self.bitmaps.get(glyph * self.size..(glyph + 1) * self.size)
    }

    /// The text in white on black (PGM). A character without a glyph becomes a blank.
    #[must_use]
    pub fn draw(&self, text: &str) -> Vec<u8> {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let width = columns * self.width + 2 * BORDER;
        let height = lines.len() * self.height + 2 * BORDER;
        let mut pixels = vec![0_u8; width * height];
        for (row, line) in lines.iter().enumerate() {
            for (column, c) in line.chars().enumerate() {
                let Some(glyph) = self.glyph(c) else { continue };
                for (y, bits) in glyph.chunks(self.width.div_ceil(8)).enumerate() {
                    for x in (0..self.width).filter(|x| bits[x / 8] & (0x80 >> (x % 8)) != 0) {
                        let (x, y) = (BORDER + column * self.width + x, BORDER + row * self.height + y);
                        pixels[y * width + x] = 255;
                    }
                }
            }
        }
        [format!("P5 {width} {height} 255\n").into_bytes(), pixels].concat()
    }
}

/// Little-endian 16-bit characters; 0xffff ends a glyph, 0xfffe begins a sequence of characters.
fn table_of_version_1(unicode: &[u8]) -> Vec<(char, usize)> {
    let (mut table, mut glyph, mut in_sequence) = (Vec::new(), 0, false);
    for unit in unicode.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])) {
        match unit {
            0xffff => (glyph, in_sequence) = (glyph + 1, false),
            0xfffe => in_sequence = true,
            unit if !in_sequence => table.extend(char::from_u32(unit.into()).map(|c| (c, glyph))),
            _ => {}
        }
    }
    table
}

/// UTF-8; 0xff ends a glyph, 0xfe begins a sequence of characters.
fn table_of_version_2(unicode: &[u8]) -> Vec<(char, usize)> {
    let glyphs = unicode.split(|byte| *byte == 0xff).enumerate();
    glyphs
        .flat_map(|(glyph, characters)| {
            let single = characters.split(|byte| *byte == 0xfe).next().unwrap();
            String::from_utf8_lossy(single).chars().map(|c| (c, glyph)).collect::<Vec<_>>()
        })
        .collect()
}
