//! The language that a locale asks for. The caller may be hostile: a name is used only if it has the form of
//! one, and never as a path.

use std::ffi::CStr;

/// The variables that decide, the first one that is set and not empty before the others (POSIX, 8.2).
pub const VARIABLES: [&CStr; 3] = [c"LC_ALL", c"LC_MESSAGES", c"LANG"];

/// The language of a locale such as `nl_NL.UTF-8`. `None`: English, which includes every locale that is not
/// UTF-8, as translations are.
#[must_use]
pub fn language(locale: &str) -> Option<&str> {
    let (language, rest) = locale.split_once('.')?;
    let charset = rest.split_once('@').map_or(rest, |(charset, _)| charset);
    let utf8 = charset.eq_ignore_ascii_case("UTF-8") || charset.eq_ignore_ascii_case("utf8");
    Some(language).filter(|name| utf8 && is_language(name) && plain(name) != "en")
}

/// The names that a catalogue for `language` can have, the best one first: `pt_BR`, then `pt`. None for a text
/// that is no name of a language.
pub fn names(language: &str) -> impl Iterator<Item = &str> {
    let names = [language, plain(language)];
    names.into_iter().take(if is_language(language) { 2 } else { 0 })
}

/// Without the country.
fn plain(language: &str) -> &str {
    language.split_once('_').map_or(language, |(plain, _)| plain)
}

/// Two or three small letters, perhaps with a country of two capital ones.
fn is_language(name: &str) -> bool {
    let (language, country) = name.split_once('_').unwrap_or((name, "XX"));
    matches!(language.len(), 2 | 3)
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
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
            assert_eq!(language(locale), expected, "{locale}");
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
            assert_eq!(language(&format!("{locale}.UTF-8")), None, "{locale}");
            assert_eq!(names(locale).count(), 0, "{locale}");
        }
    }

    #[test]
    fn a_country_without_a_catalogue_has_its_languages() {
        assert!(names("nl_BE").eq(["nl_BE", "nl"]));
        assert!(names("nl").eq(["nl", "nl"]));
    }
}
