//! What a PAM file does with our module, for `qrtotp doctor`. No login reads PAM files.

use super::pam_file::{Entry, Line, read_line, words_of};
use std::ffi::CString;

/// Which part of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who somebody is.
    Auth,
    /// Whether they may.
    Account,
    /// What surrounds the session.
    Session,
    /// Changing a password.
    Password,
}

impl Part {
    fn of(kind: &str) -> Self {
        match kind {
            "auth" => Self::Auth,
            "account" => Self::Account,
            "session" => Self::Session,
            _ => Self::Password,
        }
    }
}

/// Another file that a file takes lines from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Its name or path, as it is written.
    pub file: String,
    /// Of which part; without one, all lines.
    pub part: Option<Part>,
}

/// One of our lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurEntry {
    /// Its number, from 1.
    pub line: usize,
    /// Its part.
    pub part: Part,
    /// The module, as it is written.
    pub module: String,
    /// Refused by it is refused: an auth line whose failure is not forgotten, and without a dash in front.
    pub fails_closed: bool,
    /// What is written behind the module, as libpam hands it over.
    pub arguments: Vec<CString>,
    /// A line before it in this file whose success leads over it, so that nobody is asked.
    pub bypassed_at: Option<Shortcut>,
}

/// A line whose success is enough, so that our line is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// Its number, from 1.
    pub line: usize,
    /// It is of a module that takes a password, which then is all that is asked.
    pub by_password: bool,
}

/// An entry of the auth part, in the order in which libpam comes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthStep {
    /// Its number, from 1.
    pub line: usize,
    /// What it does.
    pub what: AuthWhat,
}

/// What an entry of the auth part does, as far as it concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthWhat {
    /// It asks for the code.
    Ours,
    /// Its success ends the part.
    EndsEarly {
        /// It is of a module that takes a password.
        by_password: bool,
    },
    /// The lines of another file come here; those of a substack can end only that.
    Include {
        /// Its name or path, as it is written.
        file: String,
        /// It is a substack.
        substack: bool,
    },
    /// Something else.
    Other,
}

/// A module that a file names, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its number, from 1.
    pub line: usize,
    /// Its part.
    pub part: Part,
    /// Its file without the directory.
    pub name: String,
    /// It is one that takes a password.
    pub takes_a_password: bool,
    /// No failure of it is forgotten.
    pub fails_closed: bool,
    /// A failure of it leads over the next lines.
    pub jumps_on_failure: bool,
}

/// What there is in a PAM file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Our lines.
    pub ours: Vec<OurEntry>,
    /// The files that it includes.
    pub includes: Vec<Include>,
    /// Its auth part.
    pub auth: Vec<AuthStep>,
    /// The modules that it names.
    pub modules: Vec<Module>,
    /// An auth line of it is of a module that takes a password.
    pub takes_a_password: bool,
    /// Lines that are not understood, by their number, and why.
    pub unclear: Vec<(usize, &'static str)>,
}

impl Survey {
    /// Reads a file's text. Nothing in it is an error.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        let mut jumps: Vec<(Shortcut, usize)> = Vec::new();
        for (number, raw) in (1..).zip(text.split('\n')) {
            match read_line(raw) {
                Ok(Line::Empty) => {}
                Ok(Line::Include(file)) => {
                    found.includes.push(Include { file: file.to_owned(), part: None });
                    let what = AuthWhat::Include { file: file.to_owned(), substack: false };
                    found.auth.push(AuthStep { line: number, what });
                    jumps.push((Shortcut { line: number, by_password: false }, 0));
                }
                Ok(Line::Entry(entry)) => found.take(number, &entry, &mut jumps),
                Err(why) => found.unclear.push((number, why)),
            }
        }
        found
    }

    fn take(&mut self, line: usize, entry: &Entry<'_>, jumps: &mut Vec<(Shortcut, usize)>) {
        let part = Part::of(entry.kind);
        let control = entry.control.to_ascii_lowercase();
        let includes = matches!(control.as_str(), "include" | "substack");
        if !includes {
            self.modules.push(Module {
                line,
                part,
                name: entry.module_name().to_owned(),
                takes_a_password: entry.takes_a_password(),
                fails_closed: !entry.optional_module && entry.fails_closed(),
                jumps_on_failure: jumps_on_failure(&control),
            });
        }
        if includes {
            self.includes.push(Include { file: entry.module.to_owned(), part: Some(part) });
        }
        if entry.is_ours() {
            self.ours.push(OurEntry {
                line,
                part,
                module: entry.module.to_owned(),
                fails_closed: !entry.optional_module && entry.fails_closed(),
                arguments: words_of(&entry.arguments),
                bypassed_at: (part == Part::Auth).then(|| bypass(jumps)).flatten(),
            });
        }
        if part == Part::Auth {
            self.takes_a_password |= entry.takes_a_password();
            let (what, over) = auth_step(entry, &control);
            self.auth.push(AuthStep { line, what });
            jumps.push((Shortcut { line, by_password: entry.takes_a_password() }, over));
        }
    }

    /// The line of ours in this part, if there is one.
    #[must_use]
    pub fn our(&self, part: Part) -> Option<&OurEntry> {
        self.ours.iter().find(|entry| entry.part == part)
    }
}

/// What a module that takes a password is called; the usual ones.
const PASSWORD_MODULES: [&str; 11] = [
    "pam_himmelblau.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_radius_auth.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_unix.so",
    "pam_userdb.so",
    "pam_winbind.so",
];
/// Results of a module that are no failure.
const NO_FAILURE: [&str; 3] = ["success", "ignore", "new_authtok_reqd"];

impl Entry<'_> {
    fn takes_a_password(&self) -> bool {
        PASSWORD_MODULES.contains(&self.module_name())
    }

    /// No failure of its module is forgotten.
    fn fails_closed(&self) -> bool {
        let control = self.control.to_ascii_lowercase();
        let Some(list) = control.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
            return matches!(control.as_str(), "required" | "requisite");
        };
        let mut has_default = false;
        let all_fail = list.split_ascii_whitespace().all(|word| {
            let Some((result, action)) = word.split_once('=') else { return false };
            has_default |= result == "default";
            NO_FAILURE.contains(&result) || matches!(action, "bad" | "die")
        });
        has_default && all_fail
    }
}

fn jumps_on_failure(control: &str) -> bool {
    control.trim_matches(['[', ']']).split_ascii_whitespace().any(|word| {
        word.split_once('=').is_some_and(|(result, action)| {
            !NO_FAILURE.contains(&result) && action.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// What an auth entry does, and over how many entries its success leads.
fn auth_step(entry: &Entry<'_>, control: &str) -> (AuthWhat, usize) {
    if entry.is_ours() {
        return (AuthWhat::Ours, 0);
    }
    if matches!(control, "include" | "substack") {
        let file = entry.module.to_owned();
        return (AuthWhat::Include { file, substack: control == "substack" }, 0);
    }
    // Root needs no leave to become somebody: as Debian's file for su has it.
    if entry.module_name() == "pam_rootok.so" {
        return (AuthWhat::Other, 0);
    }
    let actions = control.trim_matches(['[', ']']).split_ascii_whitespace();
    let of = |what: &str| actions.clone().find_map(|action| action.strip_prefix(what));
    match (control, of("success=").or_else(|| of("default="))) {
        ("sufficient", _) | (_, Some("done")) => {
            (AuthWhat::EndsEarly { by_password: entry.takes_a_password() }, 0)
        }
        (_, Some(over)) => (AuthWhat::Other, over.parse().unwrap_or(0)),
        (_, None) => (AuthWhat::Other, 0),
    }
}

/// The first of the entries so far whose success leads over the next one. An include counts as one entry: what is in it is
/// not known here.
fn bypass(jumps: &[(Shortcut, usize)]) -> Option<Shortcut> {
    let over = |(index, (_, entries)): &(usize, &(Shortcut, usize))| *entries >= jumps.len() - index;
    jumps.iter().enumerate().find(over).map(|(_, (shortcut, _))| *shortcut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::names_us;
    use super::*;
    use proptest::prelude::*;

    fn auth_line(text: &str) -> OurEntry {
        Survey::of(text.as_bytes()).our(Part::Auth).unwrap().clone()
    }

    #[test]
    fn all_our_lines_are_found_with_their_arguments() {
        let text = "account requisite pam_qrtotp.so\n# auth optional pam_qrtotp.so\nAUTH required \
                    /usr/lib/security/pam_qrtotp.so config=/x.toml [prompt=Your code: ] nullok\n";
        let survey = Survey::of(text.as_bytes());
        assert_eq!(survey.ours.iter().map(|entry| entry.line).collect::<Vec<_>>(), [1, 3]);
        let words: Vec<_> = survey.ours[1].arguments.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words, ["config=/x.toml", "prompt=Your code: ", "nullok"]);
        assert_eq!(survey.our(Part::Session), None);
    }

    #[test]
    fn a_line_whose_refusal_is_forgotten_fails_open() {
        for (control, closed) in [
            ("auth required", true),
            ("auth requisite", true),
            ("auth [success=ok default=die]", true),
            ("auth sufficient", false),
            ("auth optional", false),
            ("auth [success=1 default=ignore]", false),
            ("-auth required", false),
        ] {
            assert_eq!(auth_line(&format!("{control} pam_qrtotp.so")).fails_closed, closed, "{control}");
        }
    }

    #[test]
    fn a_success_that_leads_past_our_line_is_named() {
        for (before, bypassed) in [
            ("auth sufficient pam_u2f.so", None),
            ("auth [success=1 default=ignore] pam_succeed_if.so", Some(1)),
            ("auth [default=1] pam_x.so", Some(1)),
            ("auth [success=ok default=1] pam_x.so", None),
            ("auth required pam_env.so\nauth [success=1 default=ignore] pam_x.so", Some(2)),
            ("auth [success=2 default=ignore] pam_x.so\nauth required pam_env.so", Some(1)),
            ("auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so", None),
            ("auth sufficient pam_rootok.so", None),
            ("@include common-auth", None),
            ("auth required pam_unix.so", None),
            ("account sufficient pam_x.so", None),
        ] {
            assert_eq!(
                auth_line(&format!("{before}\nauth required pam_qrtotp.so"))
                    .bypassed_at
                    .map(|shortcut| shortcut.line),
                bypassed,
                "{before}"
            );
        }
    }

    #[test]
    fn the_auth_part_is_told_in_its_order() {
        let text = "auth sufficient pam_rootok.so\nauth [success=done default=ignore] pam_x.so\n@include common-auth\n\
                    account sufficient pam_y.so\nauth substack z\nauth required pam_qrtotp.so\nauth sufficient pam_u2f.so\nauth [default=done] pam_unix.so\n";
        let found: Vec<_> =
            Survey::of(text.as_bytes()).auth.into_iter().map(|step| (step.line, step.what)).collect();
        let include = |file: &str, substack| AuthWhat::Include { file: file.into(), substack };
        let expected = [
            (1, AuthWhat::Other),
            (2, AuthWhat::EndsEarly { by_password: false }),
            (3, include("common-auth", false)),
            (5, include("z", true)),
            (6, AuthWhat::Ours),
            (7, AuthWhat::EndsEarly { by_password: false }),
            (8, AuthWhat::EndsEarly { by_password: true }),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn includes_are_named_with_their_part() {
        let survey = Survey::of(b"@include common-auth\nauth substack system-auth\naccount include x\n");
        let include = |file: &str, part| Include { file: file.into(), part };
        let expected = [("common-auth", None), ("system-auth", Some(Part::Auth)), ("x", Some(Part::Account))];
        assert_eq!(survey.includes, expected.map(|(file, part)| include(file, part)));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_and_a_mention_is_seen_even_there() {
        let text = b"auth required \\\npam_qrtotp.so\n";
        assert_eq!(Survey::of(text).unclear.len(), 2);
        assert!(names_us(text) && !names_us(b"# pam_qrtotp.so\nauth required pam_unix.so # pam_qrtotp.so\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Survey::of(&bytes), names_us(&bytes));
        }

        #[test]
        fn any_words_are_taken_apart_without_a_panic(text in "(auth|account) (required|\\[success=[0-9]{1,30}\\]) pam_(qrtotp|x).so( [\\[\\]a=]{0,4}){0,4}\n{0,3}") {
            let _ = Survey::of(text.as_bytes());
        }
    }
}
