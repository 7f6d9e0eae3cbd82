//! Whether sshd's settings fit the rules: hardware keys with a PIN, addresses instead of names.

use super::pam::SSHD;
use super::report::{Finding, Report};
use super::sshd::Sshd;
use crate::context::Context;
use qrtotp_policy::{Origin, Outcome};

/// Whether sshd demands the PIN or fingerprint of hardware keys, if a rule takes one as second factor.
pub fn hardware_keys(sshd: &Sshd, context: Option<&Context>, report: &mut Report) {
    let rules = context.and_then(|context| context.config.rules.rules().ok()).unwrap_or_default();
    let takes = |rule: &&qrtotp_policy::Rule| rule.outcome == Outcome::Skip && rule.conditions.hardware_key;
    let Some(rule) = rules.iter().find(takes) else { return };
    let (rule, fix) = (&rule.name, "in sshd_config: PubkeyAuthOptions verify-required");
    report.add(match sshd.verifies_keys() {
        None => {
            let what = format!("rule {rule} takes hardware keys, and sshd's settings can't be read here");
            Finding::warn("hardware-key-pin-unknown", SSHD, &what).fix("look whether `sshd -T` prints verify-required")
        }
        Some(true) => {
            let what = "hardware keys need their PIN or fingerprint; without attestation a software key can't be told from a real one";
            Finding::ok("hardware-key-pin", SSHD, what)
        }
        Some(false) => {
            let what = format!("rule {rule} takes hardware keys, and sshd does not demand their PIN or fingerprint (verify-required)");
            Finding::fail("hardware-key-pin", SSHD, &what).why("anyone who finds a key gets in with it alone").fix(fix)
        }
    });
}

/// Whether sshd gives PAM the client's name instead of its address, if a rule compares networks.
pub fn names_for_addresses(sshd: &Sshd, context: Option<&Context>, report: &mut Report) {
    let rules = context.and_then(|context| context.config.rules.rules().ok()).unwrap_or_default();
    let network = |origin: &Origin| matches!(origin, Origin::Network(_));
    let Some(rule) = rules.iter().find(|rule| rule.conditions.from.iter().any(network)) else { return };
    if sshd.all().iter().any(|(_, settings)| settings.get("usedns") == Some("yes")) {
        let what = format!("UseDNS gives PAM the client's name, and rule {} compares addresses", rule.name);
        report.add(
            Finding::warn("sshd-use-dns", SSHD, &what)
                .why("a name is in no network, so the rule does not match clients that have one")
                .fix("in sshd_config: UseDNS no"),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::report::Severity;
    use super::*;
    use crate::sshd::SshdSettings;

    /// A host with this rule.
    fn ruled(rule: &str) -> Context {
        struct Nobody;
        impl qrtotp_policy::Names for Nobody {
            fn gid(&self, _: &str) -> Result<Option<u32>, String> {
                Ok(None)
            }
            fn zone(&self, _: &str) -> Result<Vec<(i64, i32)>, String> {
                Ok(Vec::new())
            }
        }
        let text = format!("[[rule]]\nname = \"a\"\n{rule}\n");
        let source = qrtotp_policy::SourceFile { path: "x".into(), bytes: text.into() };
        let config = qrtotp_policy::compile(&[source], &Nobody).unwrap().config;
        Context { config, key_dir: "/".into() }
    }

    #[test]
    fn names_in_place_of_addresses_are_told_where_a_rule_compares_networks() {
        let settings = |uses: &str| Sshd::Settings(vec![(None, SshdSettings(format!("usedns {uses}\n")))]);
        let (networks, local) =
            ("from = [\"192.0.2.0/24\"]\nthen = \"deny\"", "from = [\"local\"]\nthen = \"deny\"");
        for (rule, uses, is_found) in
            [(networks, "yes", true), (networks, "no", false), (local, "yes", false)]
        {
            let mut report = Report::new(0);
            names_for_addresses(&settings(uses), Some(&ruled(rule)), &mut report);
            assert_eq!(report.findings.len(), usize::from(is_found), "{rule} {uses}");
        }
    }

    #[test]
    fn whether_hardware_keys_need_their_pin_is_yes_no_or_unknown() {
        let context = ruled("key = \"hardware\"\nthen = \"skip\"");
        let settings = |options: &str| (None, SshdSettings(format!("pubkeyauthoptions {options}\n")));
        let (yes, no) = (settings("touch-required,verify-required"), settings("none"));
        let unknown = Finding::warn("sshd-unknown", "sshd", "x");
        for (sshd, severity) in [
            (Sshd::Settings(vec![yes]), Severity::Ok),
            (Sshd::Settings(vec![settings("verify-required"), no]), Severity::Fail),
            (Sshd::Unknown(unknown), Severity::Warn),
            (Sshd::Absent, Severity::Warn),
        ] {
            let mut report = Report::new(0);
            hardware_keys(&sshd, Some(&context), &mut report);
            assert_eq!(report.findings[0].severity, severity, "{:?}", report.findings);
        }
    }
}
