//! The authenticator app: Debian's `oathtool`, an independent implementation.

use std::{collections::HashSet, process::Command, time::Duration};

use crate::clock;

#[derive(Clone, Debug)]
pub struct Phone {
    /// Base32, without spaces.
    pub key: String,
    /// Seconds.
    pub period: u64,
    pub digits: u8,
    /// As oathtool names it: SHA1, SHA256, SHA512.
    pub algorithm: &'static str,
}

/// The key URI that the sandbox offers for the first device of `user`, up to the key.
#[must_use]
pub fn uri_of(user: &str, key: &str) -> String {
    format!("otpauth://totp/Tests:{user}@sandbox?secret={key}")
}

impl Phone {
    /// The defaults of every app: SHA1, six digits, 30 seconds.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let key = key.chars().filter(|c| !c.is_whitespace()).collect();
        Self { key, period: 30, digits: 6, algorithm: "SHA1" }
    }

    /// A phone that has scanned this.
    #[must_use]
    pub fn scanned(uri: &str) -> Self {
        let secret = uri.split(['?', '&']).find_map(|part| part.strip_prefix("secret="));
        Self::new(secret.unwrap_or_else(|| panic!("no secret in {uri:?}")))
    }

    /// A phone with a fresh key. The long period gives a test minutes, not seconds, per step. No two of the
    /// codes around the present one are the same, with any period; otherwise two would be once in a million
    /// runs.
    #[must_use]
    pub fn random() -> Self {
        let differ = |phone: &Self| {
            let near = phone.near();
            near.iter().collect::<HashSet<_>>().len() == near.len()
        };
        loop {
            let phone = Self::any();
            if [30, 60, 120].into_iter().all(|period| differ(&Self { period, ..phone.clone() })) {
                return phone;
            }
        }
    }

    /// The same in a moment: two of its codes may be alike.
    #[must_use]
    pub fn any() -> Self {
        use std::io::Read;
        let mut bytes = [0; 32];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        // 32 symbols of base32 are 160 bits.
        let key = bytes
            .iter()
            .map(|byte| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte & 31)] as char)
            .collect();
        Self { key, period: 120, digits: 6, algorithm: "SHA1" }
    }

    /// The key URI that the app would have scanned.
    #[must_use]
    pub fn uri(&self, user: &str) -> String {
        format!(
            "otpauth://totp/Tests:{user}?secret={}&issuer=Tests&algorithm={}&digits={}&period={}",
            self.key, self.algorithm, self.digits, self.period
        )
    }

    #[must_use]
    pub fn step(&self) -> u64 {
        clock::now() / self.period
    }

    /// The code of a step, counted from 1970.
    #[must_use]
    pub fn code_of_step(&self, step: u64) -> String {
        self.codes(step, 0).remove(0)
    }

    /// The codes of a step and of the `after` next ones.
    fn codes(&self, step: u64, after: u64) -> Vec<String> {
        let output = Command::new("oathtool")
            .args([
                format!("--totp={}", self.algorithm),
                format!("--time-step-size={}s", self.period),
                format!("--digits={}", self.digits),
                format!("--now=@{}", step * self.period),
                format!("--window={after}"),
                "--base32".to_owned(),
                "-".to_owned(),
            ])
            .stdin(text(&self.key))
            .output()
            .expect("oathtool is missing: run `cargo xtask test`, which installs it");
        assert!(output.status.success(), "oathtool: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The codes of the present step and of 24 to each side: more than resynchronisation can reach with
    /// 30-second steps.
    fn near(&self) -> Vec<String> {
        self.codes(self.step() - 24, 48)
    }

    /// The code shown now.
    #[must_use]
    pub fn code(&self) -> String {
        self.code_of_step(self.step())
    }

    /// The code of the previous step, which is still accepted.
    #[must_use]
    pub fn previous_code(&self) -> String {
        self.code_of_step(self.step() - 1)
    }

    /// A wrong code, unlike any near the current one.
    #[must_use]
    pub fn wrong_code(&self) -> String {
        let near = self.near();
        (0..)
            .map(|n| format!("{n:0width$}", width = usize::from(self.digits)))
            .find(|code| !near.contains(code))
            .unwrap()
    }

    /// Waits until the current step has at least `seconds` left, so that a code can't age while it is typed.
    pub fn wait_for_seconds_left(&self, seconds: u64) {
        while self.period - clock::now() % self.period < seconds {
            clock::pause(Duration::from_millis(200));
        }
    }

    /// Waits until a step begins whose code has not been shown before.
    pub fn wait_for_next_code(&self) -> String {
        let step = self.step();
        while self.step() == step {
            clock::pause(Duration::from_millis(100));
        }
        self.code()
    }
}

/// A pipe's reading end that holds `content`: keeps keys out of argument lists, the harness's own included.
fn text(content: &str) -> std::io::PipeReader {
    use std::io::Write;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    reader
}
