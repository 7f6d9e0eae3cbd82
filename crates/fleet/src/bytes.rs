//! Values' binary form: fixed-size numbers, little-endian, and byte strings with their length before them.

/// The bytes are no value that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Bytes that are read from the front.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = tail;
        Ok(*head)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub fn unsigned(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn signed(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A byte string of less than 64 KiB.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u16::from_le_bytes(self.array()?);
        let (head, tail) = self.0.split_at_checked(length.into()).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed)
    }

    /// At most 255 texts.
    pub fn texts(&mut self) -> Result<Vec<String>, Malformed> {
        (0..self.byte()?).map(|_| self.text()).collect()
    }

    /// At most 255 hashes.
    pub fn hashes(&mut self) -> Result<Vec<[u8; 32]>, Malformed> {
        (0..self.byte()?).map(|_| self.array()).collect()
    }

    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends a byte string of less than 64 KiB; a longer one is cut, and no longer reads back.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&bytes[..bytes.len().min(length.into())]);
}

/// Appends at most 255 texts.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    let count = u8::try_from(texts.len()).unwrap_or(u8::MAX);
    out.push(count);
    texts.iter().take(count.into()).for_each(|text| put_bytes(out, text.as_bytes()));
}

/// Appends at most 255 hashes.
pub(crate) fn put_hashes(out: &mut Vec<u8>, hashes: &[[u8; 32]]) {
    let count = u8::try_from(hashes.len()).unwrap_or(u8::MAX);
    out.push(count);
    hashes.iter().take(count.into()).for_each(|hash| out.extend_from_slice(hash));
}
