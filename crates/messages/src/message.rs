//! A message, before it is known in which language.

use std::borrow::Cow;
use std::fmt;

/// A message for a user: the English text, and the values of its placeholders such as `{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    english: Cow<'static, str>,
    values: Vec<(&'static str, String)>,
}

impl Message {
    /// A message without placeholders.
    pub(crate) const fn plain(english: &'static str) -> Self {
        Self { english: Cow::Borrowed(english), values: Vec::new() }
    }

    #[inline(never)] // one copy in the module
    pub(crate) fn with(english: &'static str, values: &[(&'static str, &dyn fmt::Display)]) -> Self {
        let values = values.iter().map(|(name, value)| (*name, value.to_string())).collect();
        Self { english: Cow::Borrowed(english), values }
    }

    /// An administrator's own words, or ones that are translated already: every user gets the same.
    #[must_use]
    pub const fn verbatim(text: String) -> Self {
        Self { english: Cow::Owned(text), values: Vec::new() }
    }

    /// The English template, by which a catalogue finds the translation.
    pub(crate) fn id(&self) -> &str {
        &self.english
    }

    /// The text without a translation.
    pub(crate) fn english(&self) -> Cow<'static, str> {
        if self.values.is_empty() {
            return self.english.clone();
        }
        self.fill(&self.english).map_or_else(|| self.english.clone(), Cow::Owned)
    }

    /// `template` with the values in place of its placeholders. `None` if it names a placeholder that the
    /// message does not have, or leaves one out.
    pub(crate) fn fill(&self, template: &str) -> Option<String> {
        if self.values.is_empty() {
            return Some(template.to_owned());
        }
        let mut out = String::with_capacity(2 * template.len());
        let (mut rest, mut used) = (template, 0_u32);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            let at = self.values.iter().position(|(known, _)| *known == name)?;
            used |= 1_u32.checked_shl(u32::try_from(at).ok()?)?;
            out.push_str(before);
            out.push_str(&self.values.get(at)?.1);
            rest = after;
        }
        out.push_str(rest);
        (used.count_ones() as usize == self.values.len()).then_some(out)
    }
}

/// In English.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english())
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::plain("")
    }
}
