//! What was typed, by its form. Nothing is right or wrong here yet.

use crate::account::{
    CodeHash, HashError, Means, Record, RecoveryCode, SALT_LEN, ScratchCode, SetKind, hash_code,
};
use crate::otp::Code;
use zeroize::Zeroizing;

/// The answer in the form in which it can be judged.
pub(super) enum Given<'a> {
    /// A code of an app.
    Code(Code),
    /// A recovery code, behind so many bytes of password.
    Recovery(RecoveryCode, usize),
    /// Password and code in one; the split depends on the account's credentials.
    Combined(&'a [u8]),
    /// Two consecutive codes of a device whose clock is off.
    Pair(Code, Code),
    /// Was to be two such codes, and is not by its form: as wrong as two wrong ones.
    NoPair,
    /// Nothing that could be a code.
    Malformed,
}

/// Bytes of a recovery code in the form in which we show it.
const RECOVERY_TAIL: usize = 19;
/// Digits of another system's scratch code.
const SCRATCH: usize = 8;

impl<'a> Given<'a> {
    /// What an answer is by its form.
    pub(super) fn code(typed: &[u8]) -> Given<'static> {
        if let Some(code) = Code::parse(typed) {
            return Given::Code(code);
        }
        RecoveryCode::parse(typed).map_or(Given::Malformed, |code| Given::Recovery(code, 0))
    }

    /// What an answer is by its form where two consecutive codes in one line are understood as well.
    pub(super) fn code_or_pair(typed: &[u8]) -> Given<'static> {
        match Given::code(typed) {
            Given::Malformed => pair(typed),
            given => given,
        }
    }

    /// What two answers are that were to be two consecutive codes: one guess, whatever they are. An empty one gives up.
    pub(super) fn two_codes(first: &[u8], second: &[u8]) -> Given<'static> {
        match (Code::parse(first), Code::parse(second)) {
            (Some(first), Some(second)) => Given::Pair(first, second),
            _ if first.trim_ascii().is_empty() || second.trim_ascii().is_empty() => Given::Malformed,
            _ => Given::NoPair,
        }
    }

    /// What an answer of password and code is. A recovery code counts only in exactly the form that we show: a
    /// password may well end in sixteen letters.
    pub(super) fn password_and_code(typed: &'a [u8]) -> Self {
        let dashed = |tail: &&[u8]| tail.iter().enumerate().all(|(i, b)| (*b == b'-') == (i % 5 == 4));
        typed
            .len()
            .checked_sub(RECOVERY_TAIL)
            .and_then(|cut| RecoveryCode::parse(Some(&typed[cut..]).filter(dashed)?).map(|code| (code, cut)))
            .map_or(Given::Combined(typed), |(code, cut)| Given::Recovery(code, cut))
    }

    /// Whose failures it waits for and adds to.
    pub(super) fn means(&self) -> Means {
        match self {
            Given::Recovery(..) => Means::Recovery,
            Given::Code(_) | Given::Combined(_) | Given::Pair(..) | Given::NoPair | Given::Malformed => {
                Means::Code
            }
        }
    }

    /// Whether it can be a code of this account by its form.
    pub(super) fn could_be_right(&self, record: &Record) -> bool {
        match self {
            Given::Recovery(..) | Given::Pair(..) | Given::NoPair => true,
            Given::Code(_) | Given::Combined(_) | Given::Malformed => !self.codes(record).is_empty(),
        }
    }

    /// The kind of recovery set that it can be a code of. Eight digits may as well be a code of an app.
    pub(super) fn set_kind(&self) -> Option<SetKind> {
        match self {
            Given::Recovery(..) => Some(SetKind::Ours),
            _ => self.scratch().map(|_| SetKind::Imported),
        }
    }

    /// The hash under which a recovery set knows it, and the bytes of password before it.
    pub(super) fn hash(&self, salt: &[u8; SALT_LEN]) -> Option<Result<(CodeHash, usize), HashError>> {
        let hashed = match self {
            Given::Recovery(code, behind) => (hash_code(code, salt), *behind),
            _ => self.scratch().map(|(code, behind)| (hash_code(&code, salt), behind))?,
        };
        Some(hashed.0.map(|hash| (hash, hashed.1)))
    }

    /// Eight digits, or a password that ends in them.
    fn scratch(&self) -> Option<(ScratchCode, usize)> {
        let (text, behind) = match self {
            Given::Code(code) => (code.as_str().as_bytes(), 0),
            Given::Combined(text) => {
                text.split_at_checked(text.len().checked_sub(SCRATCH)?).map(|(a, b)| (b, a.len()))?
            }
            Given::Recovery(..) | Given::Pair(..) | Given::NoPair | Given::Malformed => return None,
        };
        let digits = Some(text).filter(|text| text.iter().all(u8::is_ascii_digit))?;
        Some((ScratchCode::parse(digits)?, behind))
    }

    /// Every code that it can be for this account, with the bytes of password before it.
    pub(super) fn codes(&self, record: &Record) -> Vec<(Code, usize)> {
        match self {
            Given::Code(code) => vec![(code.clone(), 0)],
            Given::Combined(text) => splits(text, record),
            Given::Recovery(..) | Given::Pair(..) | Given::NoPair | Given::Malformed => Vec::new(),
        }
    }
}

/// Two codes of 6 or 7 digits each (two of 8 digits could be a recovery code), or more digits than one code has: a guess at two.
fn pair(typed: &[u8]) -> Given<'static> {
    let mut digits = Zeroizing::new(Vec::with_capacity(typed.len()));
    digits.extend(typed.iter().filter(|b| !matches!(b, b' ' | b'-' | b'\t')));
    if digits.len() < 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Given::Malformed;
    }
    let (first, second) = digits.split_at(digits.len() / 2);
    match (digits.len(), Code::parse(first), Code::parse(second)) {
        (12 | 14, Some(first), Some(second)) => Given::Pair(first, second),
        _ => Given::NoPair,
    }
}

/// Every way to cut a code off the end of `text`, for the lengths that the account's credentials have.
fn splits(text: &[u8], record: &Record) -> Vec<(Code, usize)> {
    let mut found: Vec<(Code, usize)> = Vec::new();
    for credential in &record.credentials {
        let digits = usize::from(credential.params.digits());
        let Some(cut) = text.len().checked_sub(digits) else { continue };
        if found.iter().any(|(_, len)| *len == cut) {
            continue;
        }
        if let Some(code) = Code::parse(&text[cut..])
            && code.len() == digits
        {
            found.push((code, cut));
        }
    }
    found
}
