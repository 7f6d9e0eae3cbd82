//! A typed answer, classified by its shape. Nothing is verified here.

use qrtotp_account::{
    CodeHash, FactorKind, HashError, Record, RecoveryCode, SALT_LEN, ScratchCode, SetKind, TokenCode,
    hash_code,
};
use qrtotp_otp::Code;
use zeroize::Zeroizing;

/// A parsed answer.
pub(super) enum Answer {
    /// A code of an app.
    Code(Code),
    /// A recovery code.
    Recovery(RecoveryCode),
    /// Two consecutive codes of a device whose clock is off.
    Pair(Code, Code),
    /// Meant as two such codes, but not shaped like two; counts like two wrong ones.
    NoPair,
    /// Not shaped like a code.
    Malformed,
}

/// Bytes of a recovery code in the form in which we show it.
const RECOVERY_TAIL: usize = 19;
/// Digits of another system's scratch code.
const SCRATCH: usize = 8;

impl Answer {
    /// Classifies an answer.
    pub(super) fn code(typed: &[u8]) -> Self {
        if let Some(code) = Code::parse(typed) {
            return Answer::Code(code);
        }
        RecoveryCode::parse(typed).map_or(Answer::Malformed, Answer::Recovery)
    }

    /// Classifies an answer that may also be two consecutive codes on one line.
    pub(super) fn code_or_pair(typed: &[u8]) -> Self {
        match Answer::code(typed) {
            Answer::Malformed => pair(typed),
            answer => answer,
        }
    }

    /// Parses an answer to a step-up, which demands two consecutive codes. A single code is a wrong guess.
    pub(super) fn pair_or_recovery(typed: &[u8]) -> Self {
        match Answer::code_or_pair(typed) {
            Answer::Code(_) => Answer::NoPair,
            answer => answer,
        }
    }

    /// Whether it is a code that can be one of a pair on one line, see [`pair`].
    pub(super) fn can_be_paired(&self) -> bool {
        matches!(self, Answer::Code(code) if code.len() < SCRATCH)
    }

    /// Whether this text is the same code of an app.
    pub(super) fn is_code(&self, typed: &[u8]) -> bool {
        matches!((self, Code::parse(typed)), (Answer::Code(code), Some(again)) if code.as_str() == again.as_str())
    }

    /// Whether it can be the one-time code of an enrolment token. Those contain a letter, so none of them is
    /// a code of an app.
    pub(super) fn could_be_token_code(typed: &[u8]) -> bool {
        TokenCode::parse(typed).is_some() && typed.iter().any(u8::is_ascii_alphabetic)
    }

    /// Classifies two answers that were meant as two consecutive codes. They count as one guess in any case.
    /// An empty one gives up.
    pub(super) fn two_codes(first: &[u8], second: &[u8]) -> Self {
        match (Code::parse(first), Code::parse(second)) {
            (Some(first), Some(second)) => Answer::Pair(first, second),
            _ if first.trim_ascii().is_empty() || second.trim_ascii().is_empty() => Answer::Malformed,
            _ => Answer::NoPair,
        }
    }

    /// The possible ends of the password in a text of password and code: one for each length that a code of
    /// the account can have. The longest code comes first. A recovery code counts only in exactly the form
    /// that we show, because a password may well end in sixteen letters.
    pub(super) fn password_ends(typed: &[u8], record: &Record) -> Vec<usize> {
        let end = |length: usize| typed.len().checked_sub(length);
        let dashed = |tail: &[u8]| tail.iter().enumerate().all(|(i, b)| (*b == b'-') == (i % 5 == 4));
        if let Some(end) = end(RECOVERY_TAIL)
            && dashed(&typed[end..])
            && RecoveryCode::parse(&typed[end..]).is_some()
        {
            return vec![end];
        }
        let imported = record.recovery.as_ref().is_some_and(|set| set.kind == SetKind::Imported);
        let occurs = |length: &usize| {
            let mut digits = record.credentials.iter().map(|known| usize::from(known.params.digits()));
            (imported && *length == SCRATCH) || digits.any(|digits| digits == *length)
        };
        let ends = (6..=8).rev().filter(occurs).filter_map(end);
        ends.filter(|end| typed[*end..].iter().all(u8::is_ascii_digit)).collect()
    }

    /// The factor whose failures it waits for and adds to.
    pub(super) fn factor(&self) -> FactorKind {
        match self {
            Answer::Recovery(_) => FactorKind::Recovery,
            Answer::Code(_) | Answer::Pair(..) | Answer::NoPair | Answer::Malformed => FactorKind::Code,
        }
    }

    /// The kind of recovery set that it can be a code of. Eight digits may as well be a code of an app.
    pub(super) fn set_kind(&self) -> Option<SetKind> {
        match self {
            Answer::Recovery(_) => Some(SetKind::Ours),
            _ => self.scratch().map(|_| SetKind::Imported),
        }
    }

    /// The hash by which a recovery set knows the code.
    pub(super) fn hash(&self, salt: &[u8; SALT_LEN]) -> Option<Result<CodeHash, HashError>> {
        match self {
            Answer::Recovery(code) => Some(hash_code(code, salt)),
            _ => self.scratch().map(|code| hash_code(&code, salt)),
        }
    }

    /// Eight digits.
    fn scratch(&self) -> Option<ScratchCode> {
        let Answer::Code(code) = self else { return None };
        ScratchCode::parse(Some(code.as_str().as_bytes()).filter(|digits| digits.len() == SCRATCH)?)
    }
}

/// Two codes of 6 or 7 digits each (two of 8 digits could be a recovery code). More digits than one code has
/// count as a guess at two.
fn pair(typed: &[u8]) -> Answer {
    let mut digits = Zeroizing::new(Vec::with_capacity(typed.len()));
    digits.extend(typed.iter().filter(|b| !matches!(b, b' ' | b'-' | b'\t')));
    if digits.len() < 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Answer::Malformed;
    }
    let (first, second) = digits.split_at(digits.len() / 2);
    match (digits.len(), Code::parse(first), Code::parse(second)) {
        (12 | 14, Some(first), Some(second)) => Answer::Pair(first, second),
        _ => Answer::NoPair,
    }
}
