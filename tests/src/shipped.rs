//! The files of `conf/`, installed unchanged where its README says; and a user who answers every question of
//! such a stack.

use crate::{Pty, Sandbox, artefacts};

/// The output of a successful login.
pub const INSIDE: &str = "logged in";

/// The messages of sshd's client, sudo, su and login to a user that they do not let in.
pub const OUTSIDE: [&str; 3] = ["ermission denied", "try again", "uthentication failure"];

/// A user's password and code.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    pub password: &'a str,
    pub code: &'a str,
}

/// The output of one attempt.
#[derive(Debug)]
pub struct Attempt {
    pub inside: bool,
    pub asked_for_code: bool,
    pub shown: String,
}

impl Sandbox {
    /// Copies `conf/FILE` to `inside`.
    pub fn ship(&self, file: &str, inside: &str) {
        self.install(&artefacts::sources().join("../conf").join(file), inside, 0o644);
    }

    /// sshd as Debian configures it, with our snippet. Without a key, the snippet's last two lines are
    /// swapped.
    pub fn ship_sshd_config(&self, with_key: bool) {
        let inside = "/etc/ssh/sshd_config.d/00-qrtotp.conf";
        self.ship("sshd_config.d/qrtotp.conf", inside);
        if with_key {
            return;
        }
        let snippet = self.read(inside);
        let (on, off) = (
            "\nAuthenticationMethods publickey,keyboard-interactive\n",
            "\n#AuthenticationMethods keyboard-interactive\n",
        );
        assert!(snippet.contains(on) && snippet.contains(off), "{snippet}");
        self.overwrite(
            inside,
            &snippet.replace(on, "\n").replace(off, "\nAuthenticationMethods keyboard-interactive\n"),
        );
    }
}

impl Pty {
    /// Answers each question, until the program lets the user in or refuses.
    pub fn answer(mut self, knowledge: Knowledge<'_>) -> Attempt {
        let together = format!("{}{}", knowledge.password, knowledge.code);
        let questions =
            ["Password & verification code: ", "assword: ", "password for alice: ", "Verification code: "];
        let answers = [&together, knowledge.password, knowledge.password, knowledge.code];
        let mut asked_for_code = false;
        loop {
            let which = self.expect_one(&[&questions[..], &[INSIDE], &OUTSIDE].concat());
            if which >= questions.len() {
                let inside = which == questions.len();
                return Attempt { inside, asked_for_code, shown: self.transcript() };
            }
            asked_for_code |= matches!(which, 0 | 3);
            self.send(answers[which]);
        }
    }
}
