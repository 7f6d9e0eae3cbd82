//! Results of modules, and the action of a line for each: `_pam_parse_control` of libpam.

/// A module's result: a `PAM_*` return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PamCode(u8);

/// In the order of their numbers, as a control names them.
const NAMES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

impl PamCode {
    /// `PAM_SUCCESS`.
    pub const SUCCESS: Self = Self(0);
    /// `PAM_SYSTEM_ERR`.
    pub const SYSTEM_ERR: Self = Self(4);
    /// `PAM_PERM_DENIED`.
    pub const PERM_DENIED: Self = Self(6);
    /// `PAM_AUTH_ERR`.
    pub const AUTH_ERR: Self = Self(7);
    /// `PAM_AUTHINFO_UNAVAIL`.
    pub const AUTHINFO_UNAVAIL: Self = Self(9);
    /// `PAM_USER_UNKNOWN`.
    pub const USER_UNKNOWN: Self = Self(10);
    /// `PAM_MAXTRIES`.
    pub const MAXTRIES: Self = Self(11);
    /// `PAM_NEW_AUTHTOK_REQD`.
    pub const NEW_AUTHTOK_REQD: Self = Self(12);
    /// `PAM_SESSION_ERR`.
    pub const SESSION_ERR: Self = Self(14);
    /// `PAM_IGNORE`.
    pub const IGNORE: Self = Self(25);
    /// `PAM_ABORT`.
    pub const ABORT: Self = Self(26);
    /// `PAM_MODULE_UNKNOWN`: also libpam's result for a module that it can't load.
    pub const MODULE_UNKNOWN: Self = Self(28);

    /// The name in a control.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The code with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|code| code.name() == name)
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..32).map(Self)
    }
}

/// A line's action for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// It counts, unless something failed before.
    Ok,
    /// Like `Ok`, and if nothing failed the part ends.
    Done,
    /// The part fails, and goes on.
    Bad,
    /// The part fails, and ends.
    Die,
    /// Restores the state before the substack.
    Reset,
    /// Skips the next lines.
    Jump(usize),
}

/// A line's action for each result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control([Action; 32]);

const ACTIONS: [(&str, Action); 6] = [
    ("ignore", Action::Ignore),
    ("ok", Action::Ok),
    ("done", Action::Done),
    ("bad", Action::Bad),
    ("die", Action::Die),
    ("reset", Action::Reset),
];

impl Control {
    /// For lines that libpam can't use: every result fails.
    pub const BAD: Self = Self([Action::Bad; 32]);

    /// `word` is the control without its brackets. `Err`: libpam uses [`Control::BAD`] instead.
    pub fn parse(word: &str) -> Result<Self, ()> {
        let simple = |success, failure, ignore| {
            let mut actions = [failure; 32];
            for (code, action) in
                [(PamCode::SUCCESS, success), (PamCode::NEW_AUTHTOK_REQD, success), (PamCode::IGNORE, ignore)]
            {
                actions[usize::from(code.0)] = action;
            }
            Ok(Self(actions))
        };
        match word.to_ascii_lowercase().as_str() {
            "required" => simple(Action::Ok, Action::Bad, Action::Ignore),
            "requisite" => simple(Action::Ok, Action::Die, Action::Ignore),
            "optional" => simple(Action::Ok, Action::Ignore, Action::Ignore),
            "sufficient" => simple(Action::Done, Action::Ignore, Action::Ignore),
            _ => Self::parse_list(word).ok_or(()),
        }
    }

    fn parse_list(mut rest: &str) -> Option<Self> {
        let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
        let mut actions: [Option<Action>; 32] = [None; 32];
        loop {
            rest = rest.trim_start_matches(blank);
            if rest.is_empty() {
                break;
            }
            let code = NAMES.iter().position(|name| rest.starts_with(name));
            let name = match code {
                Some(at) => NAMES[at],
                None => rest.starts_with("default").then_some("default")?,
            };
            rest = rest[name.len()..].trim_start_matches(blank).strip_prefix('=')?.trim_start_matches(blank);
            let action = match ACTIONS.iter().find(|(word, _)| rest.starts_with(word)) {
                Some((word, action)) => {
                    rest = &rest[word.len()..];
                    *action
                }
                None => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let over = rest[..digits].parse().ok().filter(|over| *over != 0)?;
                    rest = &rest[digits..];
                    Action::Jump(over)
                }
            };
            match code {
                Some(at) => actions[at] = Some(action),
                None => actions.iter_mut().filter(|one| one.is_none()).for_each(|one| *one = Some(action)),
            }
        }
        Some(Self(actions.map(|action| action.unwrap_or(Action::Bad))))
    }

    pub fn action(&self, code: PamCode) -> Action {
        self.0[usize::from(code.0)]
    }
}
