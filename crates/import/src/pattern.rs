//! Where google-authenticator's module was told to look.

use std::path::PathBuf;

/// The path that `secret=PATTERN` means for a user: `~` at the beginning of a component and `${HOME}` and
/// `%h` are the home, `${USER}` and `%u` the name.
#[must_use]
pub fn expand(pattern: &str, user: &str, home: &str) -> PathBuf {
    let mut path = String::with_capacity(pattern.len() + home.len());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let tilde = if path.is_empty() || path.ends_with('/') { "~" } else { "${HOME}" };
        let word = [(tilde, home), ("${HOME}", home), ("%h", home), ("${USER}", user), ("%u", user)]
            .into_iter()
            .find(|(word, _)| rest.starts_with(word));
        match word {
            Some((word, value)) => {
                path.push_str(value);
                rest = &rest[word.len()..];
            }
            None => {
                path.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_path_as_google_authenticator_reads_it() {
        for (pattern, path) in [
            ("~/.ga", "/home/al/.ga"),
            ("${HOME}/.ga", "/home/al/.ga"),
            ("%h/.ga", "/home/al/.ga"),
            ("/var/ga/${USER}", "/var/ga/al"),
            ("/var/ga/%u~/x", "/var/ga/al~/x"),
            ("/var/${SHELL}/%x", "/var/${SHELL}/%x"),
        ] {
            assert_eq!(expand(pattern, "al", "/home/al"), PathBuf::from(path), "{pattern}");
        }
    }
}
