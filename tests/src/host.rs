//! `pam_host`, the tests' own PAM application (tests/c/pam_host.c), and its reports.

use std::process::Child;

use crate::{Output, Sandbox};

/// Return codes of libpam that the tests expect by name.
pub const PAM_SUCCESS: i32 = 0;
pub const PAM_SYSTEM_ERR: i32 = 4;
pub const PAM_AUTH_ERR: i32 = 7;
pub const PAM_CONV_ERR: i32 = 19;

/// The service that [`Sandbox::stack`] writes and [`Sandbox::login`] uses.
pub const SERVICE: &str = "tests";

/// A run of `pam_host` to be configured and started.
pub struct Login<'a> {
    sandbox: &'a Sandbox,
    argv: Vec<String>,
}

/// The output of `pam_host`.
#[derive(Debug)]
pub struct Report(Output);

impl Sandbox {
    /// A login as `user` in the service of [`Sandbox::stack`].
    #[must_use]
    pub fn login(&self, user: &str) -> Login<'_> {
        let login = self.login_without_user();
        login.arguments(&["--user", user])
    }

    #[must_use]
    pub fn login_without_user(&self) -> Login<'_> {
        let program = self.install_c("pam_host.c", &["-lpam", "-pthread"]);
        Login { sandbox: self, argv: vec![program, "--service".to_owned(), SERVICE.to_owned()] }
    }

    /// Logs in with one answer; returns the result of pam_authenticate.
    pub fn answer(&self, user: &str, answer: &str) -> i32 {
        self.login(user).answer(answer).run().authenticate()
    }
}

impl Login<'_> {
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The next answer: a secret, which the log must never show.
    #[must_use]
    pub fn answer(self, answer: &str) -> Self {
        if answer.len() >= 6 {
            self.sandbox.keep_secret(answer);
        }
        self.arguments(&["--answer", answer])
    }

    /// Runs it under another program, for instance valgrind.
    #[must_use]
    pub fn under(mut self, argv: &[&str]) -> Self {
        self.argv.splice(0..0, argv.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The whole command line.
    #[must_use]
    pub fn argv(self) -> Vec<String> {
        self.argv
    }

    pub fn run(self) -> Report {
        let argv: Vec<&str> = self.argv.iter().map(String::as_str).collect();
        Report(self.sandbox.run(&argv).success())
    }

    /// Runs it and accepts any exit code: for processes that are killed on purpose.
    pub fn output(self) -> Output {
        let argv: Vec<&str> = self.argv.iter().map(String::as_str).collect();
        self.sandbox.run(&argv)
    }

    /// Starts it; it stops at the prompt until its standard input is closed.
    #[must_use]
    pub fn hold(self) -> Child {
        let argv: Vec<&str> = self.argv.iter().map(String::as_str).collect();
        let mut command = self.sandbox.command(None, &[&argv[..], &["--hold"]].concat());
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    }
}

impl Report {
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.stdout
    }

    /// The first value that `name=` has in the report.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        value(self.text(), name).unwrap_or_else(|| panic!("no {name}= in {:#?}", self.0))
    }

    #[must_use]
    pub fn authenticate(&self) -> i32 {
        self.value("authenticate").parse().unwrap()
    }

    /// How many logins of a repeated or parallel run ended with `code`.
    #[must_use]
    pub fn count(&self, code: i32) -> u32 {
        let prefix = format!("tally code={code} count=");
        self.text()
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .map_or(0, |count| count.parse().unwrap())
    }

    /// The texts of the messages of a style: 1 is a prompt with echo off, 2 with echo on, 3 error, 4
    /// information.
    #[must_use]
    pub fn messages(&self, style: u8) -> Vec<&str> {
        let prefix = format!("message style={style} text=");
        self.text().lines().filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
    }
}

/// The value of the first line `NAME=VALUE`.
#[must_use]
pub fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}
