//! A user who enrols with any of our dialogues, and stops when the program does.

use std::time::Duration;

use crate::{
    Phone, Pty, Sandbox,
    first_login::{CHOICES, CODES, ENTER, RESUMED},
};

/// The end of root's question in `qrtotp enroll`.
const ROOT_CODE: &str = "Code: ";
/// How long a program may run after its last question.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the user waits for a question before pressing Enter: perhaps there was one that was not shown.
const PATIENCE: Duration = Duration::from_secs(6);

/// The result of the dialogue.
pub struct Played {
    pub shown: String,
    /// The exit code; `None` after a signal or a timeout.
    pub exit: Option<i32>,
    pub phone: Option<Phone>,
    /// The code typed to confirm it.
    pub code: Option<String>,
}

/// Answers the questions.
pub fn enrol(sandbox: &Sandbox, mut pty: Pty) -> Played {
    let (mut phone, mut code, mut asked) = (None::<Phone>, None, 0);
    while asked < 12 {
        // Three wrong codes end every dialogue of ours; this bounds any other repetition.
        asked += 1;
        let Some(which) = pty.meet(&[ENTER, CHOICES, RESUMED, CODES, ROOT_CODE], PATIENCE) else {
            if pty.ended(Duration::ZERO).is_some() {
                break;
            }
            pty.send("");
            continue;
        };
        match (which, &phone) {
            (0, _) => pty.send(""),
            (1, None) => {
                // Asked again after the key was shown: the answer was not taken as a request for it.
                phone = key(&pty.transcript());
                if phone.is_none() {
                    pty.send("k");
                    continue;
                }
                code = phone.as_ref().map(|phone| type_code(sandbox, &mut pty, phone));
            }
            (1, Some(known)) => code = Some(type_code(sandbox, &mut pty, known)),
            (2, _) => pty.send("n"),
            (3, _) => pty.send("skip"),
            _ => {
                phone = key(&pty.transcript());
                code = phone.as_ref().map(|phone| type_code(sandbox, &mut pty, phone));
                if code.is_none() {
                    pty.send("");
                }
            }
        }
    }
    let ended = pty.ended(LIMIT);
    let shown = pty.transcript();
    let exit = ended.and_then(|status| status.code()).filter(|_| !shown.contains("did not exit normally"));
    Played { shown, exit, phone, code }
}

/// A right code that leaves later ones unused.
fn type_code(sandbox: &Sandbox, pty: &mut Pty, phone: &Phone) -> String {
    let code = phone.code_of_step(phone.step() - 5);
    sandbox.keep_secret(&code);
    pty.send(&code);
    code
}

/// The last key in the output.
fn key(shown: &str) -> Option<Phone> {
    let at = shown.rfind("otpauth://totp/")?;
    let uri: String = shown[at..].chars().take_while(|c| !c.is_whitespace() && *c != '\\').collect();
    let period = uri.split(['?', '&']).find_map(|part| part.strip_prefix("period=")?.parse().ok());
    Some(Phone { period: period.unwrap_or(30), ..Phone::scanned(&uri) })
}
