//! A message, before it is known in which language.

use std::borrow::Cow;
use std::fmt;

/// A message for a user: the English text, and the values of its placeholders such as `{name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    english: &'static str,
    /// Behind a pointer, because few messages have any, and all are passed around.
    values: Option<Box<Values>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    /// One for each placeholder, in the order in which the English text names them first.
    Of(Vec<String>),
    /// A text in place of the English one.
    Verbatim(String),
}

impl Message {
    /// A message without placeholders.
    pub(crate) const fn plain(english: &'static str) -> Self {
        Self { english, values: None }
    }

    #[inline(never)] // one copy in the module
    pub(crate) fn with(english: &'static str, values: &[&dyn fmt::Display]) -> Self {
        let values = values.iter().map(|value| value.to_string()).collect();
        Self { english, values: Some(Box::new(Values::Of(values))) }
    }

    /// An administrator's own words, or ones that are translated already: every user gets the same.
    #[must_use]
    pub fn verbatim(text: String) -> Self {
        Self { english: "", values: Some(Box::new(Values::Verbatim(text))) }
    }

    /// The English template, by which a catalogue finds the translation.
    pub(crate) fn id(&self) -> &'static str {
        self.english
    }

    /// The text without a translation.
    pub(crate) fn english(&self) -> Cow<'static, str> {
        match self.values.as_deref() {
            None => self.english.into(),
            Some(Values::Verbatim(text)) => text.clone().into(),
            Some(Values::Of(_)) => self.fill(self.english).unwrap_or_default().into(),
        }
    }

    /// `template` with the values in place of its placeholders. `None` if it names a placeholder that the
    /// message does not have, or leaves one out.
    pub(crate) fn fill(&self, template: &str) -> Option<String> {
        let values = match self.values.as_deref() {
            Some(Values::Of(values)) => &**values,
            _ => &[],
        };
        let names = placeholders(self.english)?;
        let (mut out, mut used) = (String::new(), 0_u32);
        scan(template, &mut |text, name| {
            out.push_str(text);
            if let Some(name) = name {
                let at = names.iter().position(|known| *known == name)?;
                used |= 1 << (at & 31);
                out.push_str(values.get(at)?);
            }
            Some(())
        })?;
        (used.count_ones() as usize == names.len()).then_some(out)
    }
}

/// The names of the placeholders of a template, each once. `None`: a brace is not closed.
pub(crate) fn placeholders(template: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    scan(template, &mut |_, name| {
        if let Some(name) = name
            && !names.contains(&name)
        {
            names.push(name);
        }
        Some(())
    })?;
    Some(names)
}

/// Calls `each` with every piece of plain text and the placeholder behind it, if there is one.
#[inline(never)]
fn scan<'t>(template: &'t str, each: &mut dyn FnMut(&'t str, Option<&'t str>) -> Option<()>) -> Option<()> {
    let mut rest = template;
    loop {
        let Some(open) = rest.bytes().position(|byte| byte == b'{') else { return each(rest, None) };
        let after = rest.get(open + 1..)?;
        let close = after.bytes().position(|byte| byte == b'}')?;
        each(rest.get(..open)?, Some(after.get(..close)?))?;
        rest = after.get(close + 1..)?;
    }
}

/// In English.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english())
    }
}
