//! A PAM file as libpam takes it apart (words end at a blank, a tab or the line's end), puts it together with what it includes
//! (pam_handlers.c) and walks through it (pam_dispatch.c), written without a look at ours. Files that go on over lines, and
//! controls that it does not know, are nothing for it.

use super::named;
use std::collections::HashSet;

/// So many files make a loop.
const MOST: u32 = 100;
/// What judges a password that it takes.
const PASSWORD: [&str; 11] = [
    "pam_unix.so",
    "pam_sss.so",
    "pam_ldap.so",
    "pam_krb5.so",
    "pam_winbind.so",
    "pam_userdb.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_systemd_home.so",
    "pam_himmelblau.so",
];

pub(super) struct Entry {
    /// In lower case; `@include` for one.
    part: String,
    pub may_be_missing: bool,
    pub control: String,
    module: String,
    pub arguments: Vec<String>,
}

/// `None` for what is not understood.
pub(super) fn entries(text: &[u8]) -> Option<Vec<Entry>> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.split(|byte| *byte == b'#').next().unwrap_or_default());
    let mut entries = Vec::new();
    for line in lines {
        if line.trim_ascii_end().ends_with(b"\\") {
            return None;
        }
        let mut words = words(line)?.into_iter();
        let Some(part) = words.next() else { continue };
        let bare = part.strip_prefix('-').unwrap_or(&part).to_ascii_lowercase();
        let control = if bare == "@include" { bare.clone() } else { words.next()? };
        let module = words.next()?;
        let module = module.strip_prefix('[').map_or(&*module, |word| word.trim_end_matches(']')).to_owned();
        let entry = Entry {
            may_be_missing: part.starts_with('-'),
            control,
            module,
            part: bare,
            arguments: words.collect(),
        };
        entries.push(entry);
    }
    Some(entries)
}

/// What is in brackets is one word, to the line's end where it has none.
fn words(line: &[u8]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let [b' ' | b'\t', more @ ..] = rest {
            rest = more;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let length = if rest[0] == b'[' {
            rest.iter().position(|byte| *byte == b']').map_or(rest.len(), |end| end + 1)
        } else {
            rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(rest.len())
        };
        words.push(String::from_utf8(rest[..length].to_vec()).ok()?);
        rest = &rest[length..];
    }
}

impl Entry {
    /// Whether it is, or may bring with it, one of this part.
    pub fn is_of(&self, part: &str) -> bool {
        self.part == part || self.part.starts_with('@')
    }

    pub fn is_ours(&self) -> bool {
        self.module_name() == "pam_qrtotp.so" && (self.module.starts_with('/') || !self.module.contains('/'))
    }

    fn module_name(&self) -> &str {
        self.module.rsplit('/').next().unwrap_or_default()
    }

    /// What libpam does at this result.
    fn action(&self, result: Result) -> Option<String> {
        let control = self.control.to_ascii_lowercase();
        let short = match (control.as_str(), result) {
            ("required" | "requisite" | "optional", Result::Success) => "ok",
            ("sufficient", Result::Success) => "done",
            ("required" | "requisite", Result::Ignore) | ("sufficient" | "optional", _) => "ignore",
            ("required", _) => "bad",
            ("requisite", _) => "die",
            _ => "",
        };
        if !short.is_empty() {
            return Some(short.to_owned());
        }
        let actions = control.strip_prefix('[')?.strip_suffix(']')?;
        let of = |name: &str| {
            actions
                .split([' ', '\t'])
                .filter_map(|action| action.split_once('='))
                .rfind(|(known, _)| *known == name)
        };
        Some(of(result.name()).or_else(|| of("default"))?.1.to_owned())
    }
}

/// One of a stack's handlers, as libpam has them in a list.
pub(super) struct Handler {
    /// How many substacks it is in.
    level: u32,
    /// `None`: where a substack begins.
    entry: Option<Entry>,
}

/// The handlers of a service's auth part. `None` for what is not understood, or missing where libpam would not say so.
pub(super) fn auth_part(text: &[u8], included: &[&[u8]]) -> Option<Vec<Handler>> {
    let (mut handlers, mut left) = (Vec::new(), MOST);
    load(text, included, 0, &mut left, &mut handlers)?;
    Some(handlers)
}

/// All parts of a file are read, or its auth part; what is found of that is the same.
fn load(text: &[u8], included: &[&[u8]], level: u32, left: &mut u32, to: &mut Vec<Handler>) -> Option<()> {
    *left = left.checked_sub(1)?;
    for entry in entries(text)?.into_iter().filter(|entry| entry.is_of("auth")) {
        let control = entry.control.to_ascii_lowercase();
        if !matches!(control.as_str(), "include" | "substack" | "@include") {
            to.push(Handler { level, entry: Some(entry) });
            continue;
        }
        let inside = level + u32::from(control == "substack");
        if inside > level {
            to.push(Handler { level, entry: None });
        }
        load(named(&entry.module, included)?, included, inside, left, to)?;
    }
    Some(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Result {
    Success,
    Ignore,
    Failure,
}

impl Result {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Ignore => "ignore",
            Self::Failure => "auth_err",
        }
    }
}

/// Where a walk through the auth part is, and what it has met.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Walk {
    index: usize,
    judged: bool,
    /// We stood aside, the last time that we were called.
    passed: bool,
    success: bool,
    failed: bool,
}

/// The index behind so many handlers of this one's level, a substack counting as one; `None` where there are not so many.
fn jump(handlers: &[Handler], index: usize, over: usize) -> Option<usize> {
    let level = handlers[index].level;
    let mut at = index;
    for _ in 0..over {
        handlers.get(at + 1).filter(|next| next.level >= level)?;
        at += 1;
        while handlers.get(at + 1).is_some_and(|next| next.level > level) {
            at += 1;
        }
    }
    Some(at + 1)
}

/// The index behind the stack that this one is in.
fn end(handlers: &[Handler], index: usize) -> usize {
    let level = handlers[index].level;
    let rest = handlers.iter().enumerate().skip(index + 1);
    rest.skip_while(|(_, next)| next.level >= level).map(|(at, _)| at).next().unwrap_or(handlers.len())
}

/// Whether the auth part can succeed with us in it after a wrong password: its modules fail, we stand aside once one of them has
/// been asked, pam_permit and pam_deny do what they are for, and all others whatever they like.
pub(super) fn wrong_password_succeeds(auth: &[Handler]) -> bool {
    let (mut walks, mut seen) = (vec![Walk::default()], HashSet::new());
    while let Some(walk) = walks.pop() {
        let Some(handler) = auth.get(walk.index) else {
            if walk.passed && walk.success && !walk.failed {
                return true;
            }
            continue;
        };
        if !seen.insert(walk) {
            continue;
        }
        let Some(entry) = &handler.entry else {
            walks.push(Walk { index: walk.index + 1, ..walk });
            continue;
        };
        let results: &[Result] = match entry.module_name() {
            "pam_permit.so" => &[Result::Success],
            "pam_deny.so" => &[Result::Failure],
            _ if entry.is_ours() && walk.judged => &[Result::Ignore],
            _ if entry.is_ours() => &[Result::Failure],
            name if PASSWORD.contains(&name) => &[Result::Failure],
            _ => &[Result::Success, Result::Ignore, Result::Failure],
        };
        for result in results {
            let Some(action) = entry.action(*result) else { continue };
            let mut next = Walk { index: walk.index + 1, ..walk };
            next.judged |= PASSWORD.contains(&entry.module_name());
            if entry.is_ours() {
                next.passed = walk.judged;
            }
            match action.as_str() {
                "ok" | "done" if !walk.failed && *result == Result::Success => next.success = true,
                "bad" | "die" => next.failed = true,
                _ => {}
            }
            match action.as_str() {
                "die" => continue, // whatever follows, it has failed
                "done" if !walk.failed => next.index = end(auth, walk.index),
                "ok" | "done" | "bad" | "ignore" => {}
                // To what it was before the substack; that is no worse.
                "reset" => (next.success, next.failed) = (false, false),
                number => match number.parse().ok().and_then(|over| jump(auth, walk.index, over)) {
                    Some(index) => next.index = index,
                    None => continue,
                },
            }
            walks.push(next);
        }
    }
    false
}
