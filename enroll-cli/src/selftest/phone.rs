//! A key in an authenticator app, whose codes are each used once.

use crate::error::Failure;
use qrtotp_clock::{Clock, SystemClock, sleep};
use qrtotp_otp::{KeyUri, Params, Secret, Step, Strength, base32_decode, code_at};
use std::time::Duration;
use zeroize::Zeroizing;

/// Seconds that a slow login takes until it has the code.
const TO_TYPE: i64 = 8;

pub struct Phone {
    secret: Secret,
    /// The last step whose code was given away.
    last: Step,
}

impl Phone {
    pub fn new() -> Result<Self, Failure> {
        let secret = Secret::generate().map_err(|error| Failure::Error(error.to_string()))?;
        Ok(Self { secret, last: 0 })
    }

    /// From the key as it is shown for typing, or nothing.
    pub fn typed(key: &str) -> Option<Self> {
        let key: String = key.split_whitespace().collect();
        let secret = Secret::from_bytes(&base32_decode(&key).ok()?, Strength::Normal).ok()?;
        Some(Self { secret, last: 0 })
    }

    pub fn uri(&self, account: &str) -> Result<Zeroizing<String>, Failure> {
        let secret = Secret::from_bytes(self.secret.as_bytes(), Strength::Normal)
            .map_err(|error| Failure::Error(error.to_string()))?;
        let account = account.to_owned();
        Ok(KeyUri { issuer: "selftest".into(), account, secret, params: Params::default() }.to_uri())
    }

    /// A correct code that was not given away yet: of the step before, which is still accepted, or of
    /// this one. Waits until it stays right for long enough to be typed.
    pub fn next(&mut self) -> String {
        let params = Params::default();
        loop {
            let time = SystemClock.now();
            let now = params.step_at(time);
            let step = (now - 1).max(self.last + 1);
            if step <= now && params.end_of(now) - time >= TO_TYPE {
                self.last = step;
                return code_at(&self.secret, params, step).as_str().to_owned();
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// A code that is none of the steps near the present one.
    pub fn wrong(&self) -> String {
        let params = Params::default();
        let now = params.step_at(SystemClock.now());
        let near: Vec<_> = (now - 30..now + 30).map(|step| code_at(&self.secret, params, step)).collect();
        let is_free = |code: &String| near.iter().all(|near| near.as_str() != code);
        (0..).map(|number: u32| format!("{number:06}")).find(is_free).unwrap_or_default()
    }
}
