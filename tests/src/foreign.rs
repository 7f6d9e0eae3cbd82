//! Files of google-authenticator, and their import.

use crate::{Output, Phone, Sandbox, host::SERVICE};

/// Arguments for a time-based key, its codes used once, that changes each minute.
pub const TIME_BASED: [&str; 5] = ["-t", "-d", "-w17", "-S", "60"];

/// A user's enrolment with the other system: the phone and the scratch codes.
pub fn google_authenticator(sandbox: &Sandbox, user: &str, arguments: &[&str]) -> (Phone, Vec<String>) {
    let argv = [&["google-authenticator", "-C", "-f", "-q", "-u"], arguments].concat();
    sandbox.run_as(user, &argv).success();
    let text = sandbox.read(&format!("/home/{user}/.google_authenticator"));
    let phone = Phone { period: 60, ..Phone::new(text.lines().next().unwrap()) };
    let scratch: Vec<String> =
        text.lines().skip(1).filter(|l| !l.starts_with('"')).map(str::to_owned).collect();
    sandbox.keep_secret(&phone.key);
    scratch.iter().for_each(|code| sandbox.keep_secret(code));
    phone.wait_for_seconds_left(20);
    (phone, scratch)
}

#[must_use]
pub fn import(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.run(&[&["qrtotp", "import"], arguments].concat())
}

#[must_use]
pub fn google(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    import(sandbox, &[&["google-authenticator"], arguments].concat())
}

#[must_use]
pub fn devices(sandbox: &Sandbox, user: &str) -> usize {
    sandbox.run(&["qrtotp", "status", user, "--json"]).success().stdout.matches("\"id\": \"c-").count()
}

impl Sandbox {
    /// A login at the other system's module.
    pub fn log_in_there(&self, module: &str, user: &str, code: &str) -> i32 {
        self.pam(SERVICE, &format!("auth required {module}\naccount required pam_permit.so\n"));
        let code = self.answer(user, code);
        self.stack("");
        code
    }
}
