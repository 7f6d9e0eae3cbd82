//! Percent-encoding (RFC 3986 §2.1).

use zeroize::Zeroizing;

use super::UriError;

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

/// Undoes [`encode`]. A `+` stays a `+`: that it means a space is a rule of HTML forms, not of URIs.
///
/// # Errors
/// [`UriError::PercentEncoding`] and [`UriError::NotUtf8`].
pub(super) fn decode(text: &str) -> Result<Zeroizing<String>, UriError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (hex(rest.next())?, hex(rest.next())?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    // Not String::from_utf8: its error would carry the bytes off unwiped.
    let text = std::str::from_utf8(&bytes).map_err(|_| UriError::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn hex(digit: Option<u8>) -> Result<u8, UriError> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(UriError::PercentEncoding),
    }
}
