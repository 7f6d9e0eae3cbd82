//! Answers from standard input, a line at a time. Read byte by byte, because std's buffer would keep codes
//! and keys in memory and swallow what belongs to the next question.

use nix::errno::Errno;
use qrtotp_flow::{NoAnswer, Typed};
use std::os::fd::AsFd;
use zeroize::Zeroizing;

/// Longest answer, in bytes.
const LIMIT: usize = 4096;

/// One line without its end. End of input in the middle of a line ends the line.
///
/// # Errors
/// Nothing there, or longer than any answer can be.
pub fn line(from: impl AsFd) -> Result<Typed, NoAnswer> {
    line_when(from, || Ok(()))
}

/// As [`line()`], after `ready` each time before something is read.
///
/// # Errors
/// As [`line()`], and those of `ready`.
pub fn line_when(from: impl AsFd, ready: impl Fn() -> Result<(), NoAnswer>) -> Result<Typed, NoAnswer> {
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT)); // never grows, so nothing is left behind
    let mut byte = Zeroizing::new([0_u8; 1]);
    loop {
        ready()?;
        match nix::unistd::read(&from, byte.as_mut_slice()) {
            Ok(0) if line.is_empty() => return Err(NoAnswer),
            Ok(0) => return Ok(line),
            Ok(_) if byte[0] == b'\n' => {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            Ok(_) if line.len() == LIMIT => return Err(NoAnswer),
            Ok(_) => line.push(byte[0]),
            Err(Errno::EINTR) => {}
            Err(_) => return Err(NoAnswer),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    fn lines(text: &[u8], count: usize) -> Vec<Option<Vec<u8>>> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(text).unwrap();
        drop(writer);
        (0..count).map(|_| line(&reader).ok().map(|line| line.to_vec())).collect()
    }

    #[test]
    fn each_question_gets_its_own_line() {
        let expected = [Some(b"12".to_vec()), Some(vec![]), Some(b"34".to_vec()), Some(b"5".to_vec()), None];
        assert_eq!(lines(b"12\n\n34\r\n5", 5), expected);
    }

    #[test]
    fn an_endless_line_is_no_answer() {
        assert_eq!(lines(&[b'x'; LIMIT + 1], 1), [None]);
        assert_eq!(lines(&[b'x'; LIMIT], 1), [Some(vec![b'x'; LIMIT])]);
    }
}
