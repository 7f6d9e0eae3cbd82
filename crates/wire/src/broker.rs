//! The broker's responses.

use super::VERSION;
use qrtotp_audit::Verdict;
use qrtotp_flow::{Echo, Offer};
use qrtotp_frames::{Fields, FrameError, Message, Writer};
use qrtotp_otp::{Algorithm, Params};
use zeroize::Zeroizing;

/// Longest text for users, in bytes.
const TEXT: usize = 8 * 1024;
/// Longest note, issuer, account or key, in bytes.
const SHORT: usize = 1024;
/// Longest key URI, in bytes.
const URI: usize = 4096;
/// Most recovery codes of a set, and bytes of one.
const CODES: u8 = 32;
const CODE: usize = 64;

/// A response of the broker. The last three, and [`Response::Verdict`], end a conversation.
#[derive(Clone, PartialEq, Eq)]
pub enum Response {
    /// A message for the user, without its last newline.
    Show(String),
    /// A piece of the requested output, to be written unchanged.
    Output(String),
    /// A question.
    Ask {
        /// Its text.
        prompt: String,
        /// Whether the answer is echoed.
        echo: Echo,
    },
    /// Show this QR code, if there is no `note`, and ask for its first code.
    Offer {
        /// The secret and its parameters.
        offer: Offer,
        /// The error in the last answer.
        note: Option<String>,
    },
    /// Ask for the first code of a QR code that was shown before.
    Resumed {
        /// How long ago it was shown.
        minutes: u32,
        /// The error in the last answer.
        note: Option<String>,
    },
    /// Show these, for the only time.
    RecoveryCodes {
        /// In the form to display.
        codes: Vec<Zeroizing<String>>,
        /// The error in the last answer.
        note: Option<String>,
    },
    /// The password's length at the beginning of the answer, in bytes; an accepting verdict follows.
    PasswordLength(u32),
    /// The verdict on an answer.
    Verdict(Verdict),
    /// It is done.
    Done(String),
    /// Understood, but refused.
    Refused(String),
    /// An internal error.
    Failed(String),
}

impl Message for Response {
    const VERSION: u8 = VERSION;

    fn kind(&self) -> u8 {
        match self {
            Self::Show(_) => 32,
            Self::Output(_) => 33,
            Self::Ask { .. } => 34,
            Self::Offer { .. } => 35,
            Self::Resumed { .. } => 36,
            Self::RecoveryCodes { .. } => 37,
            Self::PasswordLength(_) => 38,
            Self::Verdict(_) => 48,
            Self::Done(_) => 49,
            Self::Refused(_) => 50,
            Self::Failed(_) => 51,
        }
    }

    fn put(&self, to: &mut Writer) {
        let put_note = |to: &mut Writer, note: &Option<String>| {
            to.option(note.as_ref(), |to, note| to.cut(note, SHORT));
        };
        match self {
            Self::Show(text) | Self::Output(text) => to.cut(text, TEXT),
            Self::Done(text) | Self::Refused(text) | Self::Failed(text) => to.cut(text, TEXT),
            Self::Ask { prompt, echo } => {
                to.cut(prompt, TEXT);
                to.byte((*echo == Echo::On).into());
            }
            Self::Offer { offer, note } => {
                put_offer(to, offer);
                put_note(to, note);
            }
            Self::Resumed { minutes, note } => {
                to.number(*minutes);
                put_note(to, note);
            }
            Self::RecoveryCodes { codes, note } => {
                to.byte(u8::try_from(codes.len()).unwrap_or(u8::MAX));
                codes.iter().for_each(|code| to.bytes(code.as_bytes()));
                put_note(to, note);
            }
            Self::PasswordLength(bytes) => to.number(*bytes),
            Self::Verdict(verdict) => to.byte(verdict.to_byte()),
        }
    }

    fn take(kind: u8, from: &mut Fields<'_>) -> Result<Self, FrameError> {
        let text = |from: &mut Fields<'_>| from.text(TEXT, "text").map(str::to_owned);
        let note =
            |from: &mut Fields<'_>| from.option("note", |from| from.text(SHORT, "note").map(str::to_owned));
        Ok(match kind {
            32 => Self::Show(text(from)?),
            33 => Self::Output(text(from)?),
            34 => {
                let prompt = from.text(TEXT, "prompt")?.to_owned();
                Self::Ask { prompt, echo: if from.bool("echo")? { Echo::On } else { Echo::Off } }
            }
            35 => Self::Offer { offer: take_offer(from)?, note: note(from)? },
            36 => Self::Resumed { minutes: from.number("minutes")?, note: note(from)? },
            37 => Self::RecoveryCodes { codes: take_codes(from)?, note: note(from)? },
            38 => Self::PasswordLength(from.number("password_length")?),
            48 => {
                let verdict = Verdict::from_byte(from.byte("verdict")?);
                Self::Verdict(verdict.ok_or(FrameError::Field("verdict"))?)
            }
            49 => Self::Done(text(from)?),
            50 => Self::Refused(text(from)?),
            51 => Self::Failed(text(from)?),
            other => return Err(FrameError::Kind(other)),
        })
    }
}

fn put_offer(to: &mut Writer, offer: &Offer) {
    for secret in [&offer.uri, &offer.picture, &offer.key] {
        to.bytes(secret.as_bytes());
    }
    to.cut(&offer.issuer, SHORT);
    to.cut(&offer.account, SHORT);
    to.option(offer.unusual, |to, params| {
        to.byte(match params.algorithm() {
            Algorithm::Sha1 => 1,
            Algorithm::Sha256 => 2,
            Algorithm::Sha512 => 3,
        });
        to.byte(params.digits());
        to.number(params.period());
    });
}

fn take_offer(from: &mut Fields<'_>) -> Result<Offer, FrameError> {
    let mut secret = |max, name| from.line(max, name).map(|text| Zeroizing::new(text.to_owned()));
    let (uri, picture, key) = (secret(URI, "uri")?, secret(URI, "picture")?, secret(SHORT, "key")?);
    Ok(Offer {
        uri,
        picture,
        key,
        issuer: from.line(SHORT, "issuer")?.to_owned(),
        account: from.line(SHORT, "account")?.to_owned(),
        unusual: from.option("unusual", take_params)?,
    })
}

fn take_params(from: &mut Fields<'_>) -> Result<Params, FrameError> {
    let wrong = FrameError::Field("unusual");
    let algorithm = match from.byte("unusual")? {
        1 => Algorithm::Sha1,
        2 => Algorithm::Sha256,
        3 => Algorithm::Sha512,
        _ => return Err(wrong),
    };
    Params::new(algorithm, from.byte("unusual")?, from.number("unusual")?).map_err(|_| wrong)
}

fn take_codes(from: &mut Fields<'_>) -> Result<Vec<Zeroizing<String>>, FrameError> {
    let count = from.byte("codes")?;
    if count > CODES {
        return Err(FrameError::Field("codes"));
    }
    (0..count).map(|_| from.line(CODE, "codes").map(|code| Zeroizing::new(code.to_owned()))).collect()
}
