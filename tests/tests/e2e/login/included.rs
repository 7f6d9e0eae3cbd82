//! Auth parts of all kinds, with their includes, run by the real libpam: a wrong password enrols no user in
//! any of them, regardless of the stack's result.

use qrtotp_tests::{Sandbox, first_login::CHOICES, host::SERVICE, users::PASSWORD};

const STACKS: usize = 40;
const WRONG: &str = "not the password";

/// Random numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A line for a file that may include these.
    fn line(&mut self, files: &[&str]) -> String {
        let control = self.one_of(&[
            "required",
            "requisite",
            "sufficient",
            "sufficient",
            "optional",
            "[success=1 default=ignore]",
            "[success=2 default=ignore]",
            "[success=ok default=1]",
            "[success=done default=die]",
        ]);
        let module = self.one_of(&[
            "pam_unix.so nodelay",
            "pam_unix.so nodelay",
            "pam_deny.so",
            "pam_deny.so",
            "pam_permit.so",
            "pam_succeed_if.so quiet uid >= 0",
            "pam_succeed_if.so quiet uid < 0",
        ]);
        match self.below(3) {
            0 if !files.is_empty() => {
                let include = self.one_of(&["auth include", "auth substack", "auth substack", "@include"]);
                format!("{include} {}\n", self.one_of(files))
            }
            _ => format!("auth {control} {module}\n"),
        }
    }

    fn lines(&mut self, most: usize, files: &[&str]) -> String {
        (0..=self.below(most)).map(|_| self.line(files)).collect()
    }
}

/// Whether this password leads to the picture.
fn sees_the_picture(sandbox: &Sandbox, password: &str) -> bool {
    let login = sandbox.login("alice").arguments(&["--strict", "--mode", "by-echo", "--tty", "pts/0"]);
    // Enter for the code, then give up at the picture.
    let login = login.arguments(&["--answer", password, "--answer", "", "--answer", "q"]);
    login.run().text().contains(CHOICES)
}

#[test]
fn no_auth_part_with_what_it_includes_lets_a_wrong_password_enrol() {
    let sandbox = Sandbox::new();
    sandbox
        .configure(&format!("[defaults]\nfirst_login = \"enroll\"\n[enroll]\nservices = [\"{SERVICE}\"]\n"));
    sandbox.add_user("alice");
    sandbox.make_store();
    let mut dice = Dice(0x5eed);
    let mut enrolled = 0;
    for _ in 0..STACKS {
        let (x, y) = (dice.lines(3, &["y"]), dice.lines(3, &[]));
        let auth = format!(
            "auth required pam_permit.so\n{}auth required pam_qrtotp.so echo_code\n",
            dice.lines(3, &["x", "y"])
        );
        sandbox.overwrite("/etc/pam.d/x", &x);
        sandbox.overwrite("/etc/pam.d/y", &y);
        sandbox.enrolling(SERVICE, &auth);
        assert!(!sees_the_picture(&sandbox, WRONG), "{auth}-- x:\n{x}-- y:\n{y}");
        enrolled += usize::from(sees_the_picture(&sandbox, PASSWORD));
    }
    println!("{STACKS} stacks: {enrolled} lead to an enrolment by the right password");
    assert!(enrolled >= STACKS / 10, "{enrolled}");
}
