//! Enrolment tokens that are no longer valid.

use std::time::Duration;

use crate::{Sandbox, clock};

impl Sandbox {
    /// Gives `user` an expired token.
    pub fn let_token_run_out(&self, user: &str) {
        self.run(&["qrtotp", "token", "issue", user, "--expires", "1s"]).success();
        let show = ["qrtotp", "token", "show", user, "--json"];
        let expired = || self.run(&show).success().stdout.contains("\"state\": \"expired\"").then_some(());
        clock::poll(Duration::from_secs(10), expired).expect("it does not run out");
    }

    /// Gives `user` a revoked token.
    pub fn take_token_back(&self, user: &str) {
        self.run(&["qrtotp", "token", "issue", user]).success();
        self.run(&["qrtotp", "token", "revoke", user]).success();
    }
}
