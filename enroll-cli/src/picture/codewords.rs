//! Maps the modules of a QR code to codewords and blocks, to tell how much a covered area damages.
//! Correction works on codewords, block by block (ISO/IEC 18004 §7.5): one covered module spoils its whole
//! codeword.

use qrcode::bits::Bits;
use qrcode::canvas::{Canvas, Module};
use qrcode::ec::{construct_codewords, max_allowed_errors};
use qrcode::{EcLevel, Version};
use qrtotp_otp::qr::Level;

/// Modules, counted from the code's top left corner, without the quiet zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Area {
    fn modules(self) -> impl Iterator<Item = (usize, usize)> {
        let row = move |y| (self.left..self.left + self.width).map(move |x| (x, y));
        (self.top..self.top + self.height).flat_map(row)
    }
}

/// The role of a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Finder, alignment or timing pattern, format or version: nothing restores it.
    Pattern,
    /// A bit of this codeword.
    Codeword(usize),
    /// Left over at the end.
    Remainder,
}

/// The make-up of all codes of one version and level.
pub struct Layout {
    pub version: i16,
    pub level: Level,
    pub side: usize,
    /// Bytes of text that it holds.
    pub holds: usize,
    parts: Vec<Part>,
    /// The block of each codeword.
    block_of: Vec<usize>,
    blocks: usize,
    /// Codewords that correction restores in each block.
    pub bears: usize,
}

impl Layout {
    /// `None`: there is no such version.
    pub fn new(version: i16, level: Level) -> Option<Self> {
        let (code, ec) = (Version::Normal(version), EcLevel::from(level));
        let data = Bits::new(code).max_len(ec).ok()? / 8;
        // The codewords are laid out in turns, a first one of each block, then the second ones. So the second
        // one of the first block comes behind as many as there are blocks.
        let mut marked = vec![0; data];
        *marked.get_mut(1)? = 1;
        let (turns, correction) = construct_codewords(&marked, code, ec).ok()?;
        let blocks = turns.iter().position(|&byte| byte == 1)?;
        // The last blocks have one codeword more, if they are not all of one length.
        let (shortest, longer) = (data / blocks, data % blocks);
        let block_of = (0..data + correction.len())
            .map(|at| match at {
                at if at < shortest * blocks => at % blocks,
                at if at < data => blocks - longer + at - shortest * blocks,
                at => (at - data) % blocks,
            })
            .collect();
        let bears = max_allowed_errors(code, ec).ok()? / blocks;
        // Four bits say that bytes follow, 8 or 16 how many (ISO/IEC 18004 §7.4.1).
        let holds = (8 * data - 4 - if version < 10 { 8 } else { 16 }) / 8;
        let side = usize::try_from(17 + 4 * version).ok()?;
        let parts = parts(code, ec, (data, correction.len()));
        Some(Self { version, level, side, holds, parts, block_of, blocks, bears })
    }

    /// The most damaged codewords in a block, if `area` is covered. `None`: it covers a pattern.
    pub fn damage(&self, area: Area) -> Option<usize> {
        let mut damaged = vec![false; self.block_of.len()];
        for (x, y) in area.modules() {
            match self.parts[y * self.side + x] {
                Part::Pattern => return None,
                Part::Codeword(at) => damaged[at] = true,
                Part::Remainder => {}
            }
        }
        let mut in_block = vec![0; self.blocks];
        let hit = self.block_of.iter().zip(damaged).filter(|(_, damaged)| *damaged);
        hit.for_each(|(&block, _)| in_block[block] += 1);
        in_block.into_iter().max()
    }
}

/// Draws codewords that hold their own number, counted from 1, a bit of it at a time, and reads which is
/// where.
fn parts(code: Version, ec: EcLevel, (data, correction): (usize, usize)) -> Vec<Part> {
    let mut patterns = Canvas::new(code, ec);
    patterns.draw_all_functional_patterns();
    let side = code.width();
    let places = || (0..side).flat_map(move |y| (0..side).map(move |x| (x, y)));
    let mut numbers = vec![0_usize; places().count()];
    for bit in 0..usize::BITS - (data + correction).leading_zeros() {
        let mut canvas = Canvas::new(code, ec);
        canvas.draw_all_functional_patterns();
        let byte = |number: usize| if number >> bit & 1 == 1 { 0xff } else { 0 };
        let [first, second] =
            [1..=data, data + 1..=data + correction].map(|range| range.map(byte).collect::<Vec<u8>>());
        canvas.draw_data(&first, &second);
        for (number, (x, y)) in numbers.iter_mut().zip(places()) {
            *number |= usize::from(canvas.get(x, y).is_dark()) << bit;
        }
    }
    places()
        .zip(numbers)
        .map(|((x, y), number)| match (patterns.get(x, y), number) {
            (Module::Empty, 0) => Part::Remainder,
            (Module::Empty, number) => Part::Codeword(number - 1),
            _ => Part::Pattern,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_otp::qr::Matrix;

    #[test]
    fn blocks_and_what_they_bear_are_those_of_the_standards_table() {
        // ISO/IEC 18004, table 9: version, level, codewords, blocks, codewords that correction restores in
        // each.
        for (version, level, codewords, blocks, bears) in [
            (5, Level::Quartile, 134, 4, 9),
            (6, Level::Medium, 172, 4, 8),
            (7, Level::Low, 196, 2, 10),
            (8, Level::High, 242, 6, 13),
            (14, Level::High, 581, 16, 12),
            (20, Level::Medium, 1085, 16, 13),
        ] {
            let layout = Layout::new(version, level).unwrap();
            assert_eq!(layout.block_of.len(), codewords, "{version}");
            assert_eq!((layout.blocks, layout.bears), (blocks, bears), "{version}");
        }
    }

    #[test]
    fn what_a_code_holds_is_what_the_encoder_takes() {
        for version in 1..=20 {
            let layout = Layout::new(version, Level::Quartile).unwrap();
            let taken = |bytes| Matrix::encode_in(&"x".repeat(bytes), Level::Quartile, version).is_ok();
            assert!(taken(layout.holds) && !taken(layout.holds + 1), "{version}");
        }
    }

    #[test]
    fn every_codeword_has_eight_modules_and_the_rest_is_the_standards_remainder() {
        // ISO/IEC 18004, table 1: 7 remainder bits in versions 2 to 6, none in 7 to 13, 3 in 14 to 20.
        for (version, remainder) in [(6, 7), (7, 0), (14, 3), (20, 3)] {
            let layout = Layout::new(version, Level::High).unwrap();
            for at in 0..layout.block_of.len() {
                let modules = layout.parts.iter().filter(|part| **part == Part::Codeword(at)).count();
                assert_eq!(modules, 8, "version {version}, codeword {at}");
            }
            let left = layout.parts.iter().filter(|part| **part == Part::Remainder).count();
            assert_eq!(left, remainder, "version {version}");
        }
    }

    #[test]
    fn patterns_can_not_be_covered_and_a_single_module_costs_one_codeword() {
        let layout = Layout::new(7, Level::High).unwrap();
        let one = |left, top| layout.damage(Area { left, top, width: 1, height: 1 });
        let last = layout.side - 1;
        let alignment = (22, 22);
        for (x, y) in
            [(0, 0), (last, 0), (0, last), (6, 20), (8, 1), (alignment.0 + 2, alignment.1), (last - 9, 2)]
        {
            assert_eq!(one(x, y), None, "{x} {y}");
        }
        assert_eq!(one(last, last), Some(1));
        assert_eq!(one(15, 15), Some(1));
    }
}
