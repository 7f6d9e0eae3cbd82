//! The language that a locale asks for. The caller may be hostile: a name is used only if it has the form of
//! one, and never as a path.

use std::ffi::CStr;

/// The variables that decide, the first one that is set and not empty before the others (POSIX, 8.2).
pub const VARIABLES: [&CStr; 3] = [c"LC_ALL", c"LC_MESSAGES", c"LANG"];

/// The language of a locale such as `nl_NL.UTF-8`. `None`: English, which includes every locale that is not
/// UTF-8, as translations are.
#[must_use]
pub fn language(locale: &[u8]) -> Option<&str> {
    let (language, rest) = locale.split_at(locale.iter().position(|byte| *byte == b'.')?);
    let charset = rest.split(|byte| *byte == b'@').next()?;
    let utf8 = charset.eq_ignore_ascii_case(b".UTF-8") || charset.eq_ignore_ascii_case(b".utf8");
    let english = language == b"en" || language.starts_with(b"en_");
    std::str::from_utf8(language).ok().filter(|name| utf8 && !english && candidates(name).is_some())
}

/// The two names that a catalogue for `language` may have, the better one first: `pt_BR` and `pt`. `None`
/// for a text that is not two or three small letters, perhaps with a country of two capital ones.
#[must_use]
pub fn candidates(language: &str) -> Option<[&str; 2]> {
    let length = language.bytes().take_while(u8::is_ascii_lowercase).count();
    let (plain, country) = language.split_at_checked(length)?;
    let is_country = match country.as_bytes() {
        [] => true,
        [b'_', first, second] => first.is_ascii_uppercase() && second.is_ascii_uppercase(),
        _ => false,
    };
    (matches!(length, 2 | 3) && is_country).then_some([language, plain])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_utf8_locale_has_its_language_and_others_are_english() {
        for (locale, expected) in [
            ("nl_NL.UTF-8", Some("nl_NL")),
            ("de_DE.utf8@euro", Some("de_DE")),
            ("de.UTF-8", Some("de")),
            ("nds_DE.UTF-8", Some("nds_DE")),
            ("tr_TR.UTF-8", Some("tr_TR")),
            ("en_GB.UTF-8", None),
            ("C.UTF-8", None),
            ("C", None),
            ("POSIX", None),
            ("", None),
            ("de_DE", None),
            ("de_DE.ISO-8859-1", None),
            ("de_DE@euro", None),
        ] {
            assert_eq!(language(locale.as_bytes()), expected, "{locale}");
        }
    }

    #[test]
    fn what_is_not_the_name_of_a_language_names_no_file() {
        for locale in [
            "../../../tmp/x",
            "/tmp/x",
            "..",
            "d/e",
            "de/..",
            "de_DE/x",
            "DE_de",
            "d",
            "deutsch",
            "de_D",
            "de_",
            "de_DE_DE",
            "de\0",
            "de_DE%s",
            "dé",
            "_DE",
            "de_DÉ",
            "{de}",
            "de\n",
        ] {
            assert_eq!(language(format!("{locale}.UTF-8").as_bytes()), None, "{locale}");
            assert_eq!(candidates(locale), None, "{locale}");
        }
    }

    #[test]
    fn a_country_without_a_catalogue_has_its_languages() {
        assert!(candidates("nl_BE") == Some(["nl_BE", "nl"]));
        assert!(candidates("nl") == Some(["nl", "nl"]));
    }
}
