//! The module's arguments in a PAM file.

use qrtotp_flow::{ArgError, Args};
use std::ffi::{CStr, CString};

pub(crate) fn check(data: &[u8]) {
    let words: Vec<CString> =
        data.split(|byte| *byte == 0).map(|word| CString::new(word).expect("no NUL in it")).collect();
    let mut words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let first = parse(&words);
    if let Ok(args) = &first {
        assert!(args.config.is_absolute());
        let prompt = args.options.prompt.as_deref().unwrap_or("x");
        assert!(!prompt.is_empty() && !prompt.contains(char::is_control));
        assert!(words.iter().all(|word| is_known(word)), "an unknown word is accepted");
        let twice = [words.as_slice(), &words[..1]].concat();
        assert!(parse(&twice).is_err(), "a word is accepted twice");
        let strange = [words.as_slice(), &[c"nullokay"]].concat();
        assert!(parse(&strange).is_err(), "an unknown word is accepted behind known ones");
    }
    words.reverse();
    assert_eq!(first.ok(), parse(&words).ok(), "the order matters");
}

fn parse(words: &[&CStr]) -> Result<Args, ArgError> {
    // Planted: words after `debug` are ignored.
    let end = words.iter().position(|word| crate::planted() && *word == c"debug").unwrap_or(words.len());
    Args::parse(words.get(..=end).unwrap_or(words))
}

/// Whether the manual lists the argument.
fn is_known(word: &CStr) -> bool {
    let flags = ["nullok", "debug", "echo_code", "try_first_pass", "use_first_pass", "forward_pass"];
    word.to_str().is_ok_and(|word| {
        flags.contains(&word) || word.starts_with("config=/") || word.starts_with("prompt=")
    })
}
