//! What is compared.

pub struct Candidate {
    /// The PAM service, too.
    pub name: &'static str,
    pub module: &'static str,
    /// In `xtask/bench`, where it is one of ours to compare with.
    pub source: Option<&'static str>,
    /// Whether a wrong code is refused.
    pub refuses: bool,
}

pub const PERMIT: &str = "pam_permit";
pub const GOOGLE: &str = "google-authenticator";
pub const OATH: &str = "pam_oath";
pub const FLOOR: &str = "floor";
pub const COUNTING_FLOOR: &str = "counting-floor";
pub const OURS: &str = "pam_qrtotp";

pub const CANDIDATES: [Candidate; 7] = [
    Candidate { name: PERMIT, module: "pam_permit.so", source: None, refuses: false },
    Candidate { name: "prompt-only", module: "bench_prompt.so", source: Some("prompt"), refuses: false },
    Candidate {
        name: GOOGLE,
        module: "pam_google_authenticator.so secret=/var/lib/qrtotp/google/${USER} user=root",
        source: None,
        refuses: true,
    },
    Candidate {
        name: OATH,
        module: "pam_oath.so usersfile=/var/lib/qrtotp/oath/users window=5 digits=6",
        source: None,
        refuses: true,
    },
    Candidate {
        name: FLOOR,
        module: "bench_floor.so /var/lib/qrtotp/floor",
        source: Some("floor"),
        refuses: true,
    },
    Candidate {
        name: COUNTING_FLOOR,
        module: "bench_floor.so /var/lib/qrtotp/counting-floor count",
        source: Some("floor"),
        refuses: true,
    },
    Candidate { name: OURS, module: "pam_qrtotp.so", source: None, refuses: true },
];

/// Ours with the standard library from its sources; only its work is counted.
pub const WITH_STD: Candidate =
    Candidate { name: "pam_qrtotp-with-std", module: "pam_qrtotp_std.so", source: None, refuses: true };
