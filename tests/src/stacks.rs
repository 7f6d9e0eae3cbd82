//! The PAM stacks that the tests and the demo log in through.

use crate::{Sandbox, host::SERVICE};

impl Sandbox {
    /// A stack of only our module with `arguments`, then pam_permit, so that PAM_IGNORE succeeds.
    pub fn stack(&self, arguments: &str) {
        let ours = format!("pam_qrtotp.so {arguments}");
        self.pam(
            SERVICE,
            &format!(
                "auth required {ours}\nauth required pam_permit.so\naccount required {ours}\n\
                 account required pam_permit.so\nsession required pam_permit.so\n"
            ),
        );
    }

    /// The machine's password first, then a code: the effect of Debian's file plus our one line.
    pub fn password_and_code(&self, service: &str, arguments: &str) {
        self.pam(
            service,
            &format!(
                "@include common-auth\nauth required pam_qrtotp.so {arguments}\n@include common-account\n\
                 session required pam_permit.so\n"
            ),
        );
    }

    /// A code only, for sshd after a key.
    pub fn key_and_code(&self, service: &str, arguments: &str) {
        self.pam(
            service,
            &format!(
                "auth required pam_qrtotp.so {arguments}\nauth required pam_permit.so\n@include common-account\n\
                 session required pam_permit.so\n"
            ),
        );
    }

    /// The machine's password, then a code or an enrolment.
    pub fn password_and_enrolment(&self, service: &str) {
        self.enrolling(service, "@include common-auth\nauth required pam_qrtotp.so\n");
    }

    /// A key, which sshd has checked, then a code or an enrolment.
    pub fn key_and_enrolment(&self, service: &str) {
        self.enrolling(service, "auth required pam_qrtotp.so\nauth required pam_permit.so\n");
    }

    /// A custom auth part, and the service that proves passwords.
    pub fn enrolling(&self, service: &str, auth: &str) {
        let rest = "@include common-account\nsession required pam_permit.so\n";
        self.pam(service, &format!("{auth}{rest}"));
        self.proves_passwords();
    }

    /// Installs the shipped service that proves passwords.
    pub fn proves_passwords(&self) {
        self.pam("qrtotp", include_str!("../../conf/pam.d/qrtotp"));
    }
}
