//! Percent-encoding (RFC 3986 §2.1).

use zeroize::Zeroizing;

/// Appends `text`, leaving only unreserved characters (RFC 3986 §2.3) and those in `keep` as they are.
pub(super) fn encode(out: &mut String, text: &str, keep: &[u8]) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

/// Undoes `encode`. A `%` without two hexadecimal digits after it stays, and invalid UTF-8 becomes U+FFFD,
/// as in apps. A `+` stays a `+`: only HTML forms, not URIs, use it for a blank.
#[must_use]
pub fn decode(text: &str) -> Zeroizing<String> {
    let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len())); // never grows, so nothing is left behind
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match after {
            [high, low, after @ ..] if *byte == b'%' => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(*byte),
            },
            _ => bytes.push(*byte),
        }
    }
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}
