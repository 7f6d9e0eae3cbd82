//! Whether a file is a shared library that libpam can load here, from the ELF header (System V ABI, chapter
//! 4), 64 bits.

use std::fmt;

/// A module's file.
pub struct Elf<'b>(&'b [u8]);

/// Why libpam can't load a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not an ELF file.
    NoLibrary,
    /// Shorter than its headers say.
    Truncated,
    /// It is for another machine.
    OtherMachine,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLibrary => "is not a shared library",
            Self::Truncated => "is cut off",
            Self::OtherMachine => "is for another kind of machine",
        })
    }
}

const MAGIC: &[u8] = b"\x7fELF";
/// Compared bytes of the header: 4 (64 bits), 5 (byte order) and 18 to 20 (machine).
const COMPARED: [usize; 4] = [4, 5, 18, 19];

impl<'b> Elf<'b> {
    /// `ours` is a program that runs here.
    ///
    /// # Errors
    /// libpam can't load it.
    pub fn check(bytes: &'b [u8], ours: &[u8]) -> Result<Self, Unusable> {
        if !bytes.starts_with(MAGIC) {
            return Err(if bytes.is_empty() { Unusable::Truncated } else { Unusable::NoLibrary });
        }
        if bytes.len() < 64 {
            return Err(Unusable::Truncated);
        }
        if ours.len() >= 64 && COMPARED.iter().any(|at| bytes[*at] != ours[*at]) {
            return Err(Unusable::OtherMachine);
        }
        // e_shoff, e_shentsize and e_shnum; the section headers are at the end.
        let number = |at: usize, len: usize| {
            bytes[at..at + len].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let end = number(40, 8).saturating_add(number(58, 2) * number(60, 2));
        if bytes[5] == 1 && end > bytes.len() as u64 {
            return Err(Unusable::Truncated);
        }
        Ok(Self(bytes))
    }

    /// Whether the file contains a text.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        self.0.windows(text.len()).any(|window| window == text.as_bytes())
    }
}
