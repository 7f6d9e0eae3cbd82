//! Enrols accounts, like a user or an admin.

use crate::{Phone, Pty, Sandbox};

/// The output of `qrtotp enroll`.
#[derive(Debug)]
pub struct Enrolment {
    /// Base32, grouped as on the screen.
    pub phone: Phone,
    pub uri: String,
    /// Ten of them.
    pub recovery_codes: Vec<String>,
    /// Everything shown, the QR code included.
    pub shown: String,
}

impl Sandbox {
    /// Makes the sealing key and the store, by enrolling a user that the test does not use otherwise.
    pub fn make_store(&self) {
        self.add_user("keeper");
        self.import("keeper");
    }

    /// Gives `user` a phone whose current and previous code are unused: two logins without waiting.
    pub fn import(&self, user: &str) -> Phone {
        self.import_phone(user, Phone::random())
    }

    pub fn import_phone(&self, user: &str, phone: Phone) -> Phone {
        self.keep_secret(&phone.key);
        self.run_with_input(
            &["qrtotp", "import", "uri", user, "--unused"],
            &format!("{}\n", phone.uri(user)),
        )
        .success();
        phone.wait_for_seconds_left(15);
        phone
    }

    /// Starts `qrtotp enroll USER …` on a terminal and reads up to the question for the code. The search for
    /// secrets skips its output, which is meant for the user's eyes.
    #[must_use]
    pub fn start_enrolment(&self, user: &str, arguments: &[&str]) -> (Pty, Phone, String) {
        self.start_enrolment_with(&[], user, arguments)
    }

    /// The same, started by another program, for instance `env LC_ALL=C`.
    #[must_use]
    pub fn start_enrolment_with(
        &self,
        starter: &[&str],
        user: &str,
        arguments: &[&str],
    ) -> (Pty, Phone, String) {
        let mut pty = self.pty_unrecorded(&[starter, &["qrtotp", "enroll", user], arguments].concat());
        let before = pty.expect("Code: ");
        let key = line_after(&before, "Key: ");
        let uri = before.lines().find(|line| line.trim().starts_with("otpauth://totp/")).unwrap_or_default();
        let phone = Phone::new(key);
        self.keep_secret(&phone.key);
        self.keep_secret(key.trim());
        (pty, phone, uri.trim().to_owned())
    }

    /// Enrols `user` from the first screen to the recovery codes.
    pub fn enroll(&self, user: &str, arguments: &[&str]) -> Enrolment {
        let (mut pty, phone, uri) = self.start_enrolment(user, arguments);
        phone.wait_for_seconds_left(5);
        let code = phone.code();
        self.keep_secret(&code);
        pty.send(&code);
        let shown = pty.success();
        let recovery_codes = recovery_codes(&shown);
        assert_eq!(recovery_codes.len(), 10, "{shown}");
        for code in &recovery_codes {
            self.keep_secret(code);
        }
        Enrolment { phone, uri, recovery_codes, shown }
    }
}

impl Sandbox {
    /// A fresh set of recovery codes for `user`, who is enrolled.
    pub fn new_recovery_codes(&self, user: &str) -> Vec<String> {
        let shown = self.pty_unrecorded(&["qrtotp", "recovery", "regenerate", user]).success();
        let codes = recovery_codes(&shown);
        assert_eq!(codes.len(), 10, "{shown}");
        for code in &codes {
            self.keep_secret(code);
        }
        codes
    }
}

/// The words of the form XXXX-XXXX-XXXX-XXXX in a program's output.
#[must_use]
pub fn recovery_codes(shown: &str) -> Vec<String> {
    let group = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_code = |word: &&str| word.split('-').count() == 4 && word.split('-').all(group);
    shown.split_whitespace().filter(is_code).map(str::to_owned).collect()
}

/// The part of a recovery code that the user types to confirm that it was kept.
#[must_use]
pub fn last_group(code: &str) -> &str {
    code.rsplit('-').next().unwrap_or_default()
}

fn line_after<'a>(text: &'a str, prefix: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(prefix));
    line.unwrap_or_else(|| panic!("no line {prefix:?} in:\n{text}")).trim()
}
