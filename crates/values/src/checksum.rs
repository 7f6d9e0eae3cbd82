//! A checksum against damage and torn writes, not against people.

/// Where a sum begins: the offset basis of FNV-1a (RFC 9923).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The checksum of a text.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    checksum_on(BASIS, bytes)
}

/// Continues a sum with the length and the bytes of another text.
///
/// Takes eight bytes at a time, little-endian, the last ones filled up with zeros. Each is added by exclusive
/// or, the sum multiplied by FNV's prime, and its upper half added to the lower one. A byte at a time, as in
/// FNV-1a, takes a login several times as long.
#[must_use]
pub fn checksum_on(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    words.fold(sum ^ length, |sum, word| {
        let product = (sum ^ word).wrapping_mul(0x0100_0000_01b3);
        product ^ (product >> 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_the_length_make_a_difference() {
        let text = [0x5a; 43];
        let sum = checksum(&text);
        for bit in 0..text.len() * 8 {
            let mut other = text;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&other), sum, "bit {bit}");
        }
        for length in 0..text.len() {
            assert_ne!(checksum(&text[..length]), sum);
            assert_ne!(checksum(&[0; 43][..length]), checksum(&[0; 43]));
        }
        assert_ne!(checksum_on(checksum(b"a"), b"b"), checksum(b"ab"));
    }

    #[test]
    fn changes_of_the_highest_bits_do_not_cancel_out() {
        let mut text = [0; 64];
        let sum = checksum(&text);
        (text[7], text[15]) = (0x80, 0x80);
        assert_ne!(checksum(&text), sum);
    }

    #[test]
    fn the_sum_is_the_one_that_the_documents_describe() {
        // docs/FILEFORMAT.md has the same in Python.
        assert_eq!([checksum(b""), checksum(b"123456789")], [0xaf63_bd4c_2962_0a93, 0x9923_2235_1e96_e0a5]);
    }
}
