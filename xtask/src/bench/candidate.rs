//! The modules that are compared.

pub struct Candidate {
    /// Also the name of its PAM service.
    pub name: &'static str,
    pub module: &'static str,
    /// Its source in this workspace, if we wrote it to compare with.
    pub source: Option<&'static str>,
    /// Whether a wrong code is refused.
    pub refuses: bool,
}

pub const PERMIT: &str = "pam_permit";
pub const GOOGLE: &str = "google-authenticator";
pub const OATH: &str = "pam_oath";
pub const FLOOR: &str = "floor";
/// The work of any correct module (tests/c/honest_module.c).
pub const HONEST: &str = "honest-floor";
pub const OURS: &str = "pam_qrtotp";

pub const CANDIDATES: [Candidate; 7] = [
    Candidate { name: PERMIT, module: "pam_permit.so", source: None, refuses: false },
    Candidate {
        name: "prompt-only",
        module: "prompt.so",
        source: Some("xtask/bench/prompt.c"),
        refuses: false,
    },
    Candidate {
        name: GOOGLE,
        module: "pam_google_authenticator.so secret=/var/lib/bench/google/${USER} user=root",
        source: None,
        refuses: true,
    },
    Candidate {
        name: OATH,
        module: "pam_oath.so usersfile=/var/lib/bench/oath/users window=5 digits=6",
        source: None,
        refuses: true,
    },
    Candidate {
        name: FLOOR,
        module: "floor.so /var/lib/bench/floor",
        source: Some("xtask/bench/floor.c"),
        refuses: true,
    },
    Candidate {
        name: HONEST,
        module: "honest_module.so /etc/honest.conf",
        source: Some("tests/c/honest_module.c"),
        refuses: true,
    },
    Candidate { name: OURS, module: "pam_qrtotp.so", source: None, refuses: true },
];
