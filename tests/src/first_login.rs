//! A user without a device who logs in for the first time: the questions, and the answers.

use crate::{
    Phone, Pty, Sandbox,
    enrol::{last_group, recovery_codes},
    users::PASSWORD,
};

/// The question of every login at which users may enrol.
pub const ENTER: &str = "Verification code (Enter: none yet): ";
/// The end of the question with the picture.
pub const CHOICES: &str = "i, n, q): ";
/// The end of the question that resumes an enrolment without its picture.
pub const RESUMED: &str = "n: another QR code, q: give up): ";
/// The end of the question with the recovery codes.
pub const CODES: &str = "or skip: ";
/// The output of a successful login.
pub const INSIDE: &str = "logged in";

impl Pty {
    /// Types the password, up to the question for the code.
    pub fn give_password(&mut self, password: &str) {
        self.expect("assword");
        self.send(password);
        self.expect(ENTER);
    }

    /// Up to the picture: types the password, and Enter instead of a code.
    pub fn at_the_picture(&mut self) -> String {
        self.give_password(PASSWORD);
        self.send("");
        self.expect(CHOICES)
    }

    /// At the picture: requests its key as text, for a phone.
    pub fn take_key(&mut self, sandbox: &Sandbox) -> Phone {
        self.send("k");
        let text = self.expect(CHOICES);
        let uri = text.lines().find(|line| line.starts_with("otpauth://"));
        let phone = Phone::scanned(uri.unwrap_or_else(|| panic!("no URI in {text}")).trim());
        sandbox.keep_secret(&phone.key);
        phone
    }

    /// From the picture to the end: the actions of a phone that scanned `uri`.
    pub fn enrol_by(&mut self, sandbox: &Sandbox, uri: &str) -> Phone {
        let phone = Phone::scanned(uri);
        sandbox.keep_secret(&phone.key);
        self.confirm(&phone);
        phone
    }

    /// Types the phone's code, then the last group of a recovery code.
    pub fn confirm(&mut self, phone: &Phone) {
        phone.wait_for_seconds_left(10);
        self.send(&phone.code());
        let shown = self.expect(CODES);
        let codes = recovery_codes(&shown);
        assert_eq!(codes.len(), 10, "{shown}");
        self.send(last_group(&codes[3]));
    }
}

impl Sandbox {
    /// Checksums of the store's files, without the record that refusals of unknown users write, and without
    /// places for notes.
    #[must_use]
    pub fn store_content(&self) -> String {
        let sums = "cd /var/lib/qrtotp && find . -path ./decoy -prune -o -type f -perm -200 -print0 | sort -z | xargs -0 sha256sum";
        self.run(&["sh", "-c", sums]).success().stdout
    }
}
