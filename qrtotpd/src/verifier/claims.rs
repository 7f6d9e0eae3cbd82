//! A login at a host of the fleet, as the host describes it.

use qrtotp_account::{ExactOrigin, KeyFingerprint, Name};
use qrtotp_audit::Subject;
use qrtotp_flow::{Dialog, Directory, Echo, HostDirectory, LoginHost, LookupError, NoAnswer, Person, Typed};
use qrtotp_policy::{Damaged, Decision, Facts, Lookups, RuleSet, address};
use std::time::Duration;

/// The account as the host names it; the groups are those that the verifier knows.
pub struct ClaimedPerson(pub Option<Person>);

impl Directory for ClaimedPerson {
    fn find(&self, _: &str) -> Result<Option<Person>, LookupError> {
        Ok(self.0.clone())
    }

    fn groups(&self, name: &str) -> Option<Vec<u32>> {
        HostDirectory.groups(name)
    }
}

/// A login whose answer is already here.
pub struct ClaimedLogin<'a> {
    pub host: &'a Name,
    pub answer: Option<Typed>,
    /// sshd's list of the keys that it accepted; empty: none.
    pub keys: Vec<u8>,
    /// The host's groups.
    pub groups: &'a [String],
}

impl Dialog for ClaimedLogin<'_> {
    fn show_text(&mut self, _: &str) {}

    fn ask_text(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.answer.take().ok_or(NoAnswer)
    }

    /// Only enrolments and `forward_pass` wait, and a host can't ask for either.
    fn wait(&mut self, _: Duration) {}
}

impl LoginHost for ClaimedLogin<'_> {
    fn is_same_user(&self) -> bool {
        true // the host's module looks after that
    }

    fn knows_place(&self) -> bool {
        false
    }

    /// A verifier can't prove a password of the host.
    fn allows_enrolment(&self) -> bool {
        false
    }

    /// A store without a quorum, or full, must not deny such a login. The verifier logs it.
    fn keeps_unasked_logins(&self) -> bool {
        false
    }

    fn fleet_host(&self) -> Option<&Name> {
        Some(self.host)
    }

    /// An address at the same service of any host of these groups. Never the absence of one, and never one
    /// that every machine has.
    fn claimed_origin(&self, place: &Subject, key: Option<&KeyFingerprint>, policy: u64) -> Option<[u8; 8]> {
        let address = address(&place.rhost)?.to_canonical();
        if address.is_loopback() || address.is_unspecified() {
            return None;
        }
        let service = [&[place.pam_service().to_owned()], self.groups].concat().join("\0");
        Some(ExactOrigin::Remote(address, key).at(&service, policy))
    }

    fn decide<'p>(
        &self,
        rules: &'p RuleSet,
        facts: &Facts<'_>,
        lookups: &mut dyn Lookups,
    ) -> Result<Decision<'p>, Damaged> {
        rules.decide_claims(facts, lookups)
    }

    /// The host keeps it.
    fn password(&mut self) -> Option<Typed> {
        None
    }

    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        Err(NoAnswer)
    }

    fn withhold_password(&mut self) {}

    fn ssh_auth_info(&mut self) -> Option<Vec<u8>> {
        (!self.keys.is_empty()).then(|| self.keys.clone())
    }
}
