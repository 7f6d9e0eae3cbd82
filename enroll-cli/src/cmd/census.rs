//! All accounts in numbers, for `qrtotp audit summary` and `qrtotp metrics`.

use super::list::each_account;
use crate::context::Context;
use crate::error::{Exit, Failure};
use qrtotp_account::EnrolmentStatus;
use qrtotp_store::Account;
use qrtotp_values::UnixTime;

/// An account whose devices were not used for so long is worth a look.
const STALE: i64 = 90 * 86_400;

/// How many accounts are what.
#[derive(Debug, Default)]
pub struct Census {
    pub enrolled: u64,
    pub unenrolled: u64,
    pub revoked: u64,
    /// Enrolled, and no code for 90 days.
    pub stale: u64,
    /// Enrolled, with two recovery codes or fewer.
    pub few_codes: u64,
    pub open_tokens: u64,
    /// By wrong codes.
    pub disabled: u64,
    /// Lanes that wrong codes closed: of strangers, and of the accounts' own processes.
    pub closed: [u64; 2],
    /// Accounts that need two codes at new places, because one was intercepted.
    pub intercepted: u64,
    pub devices: u64,
    /// Lines of all audit chains.
    pub lines: u64,
    /// Whether all could be read.
    pub exit: Option<Exit>,
}

impl Census {
    /// Reads all accounts.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn take(context: &Context, now: UnixTime) -> Result<Self, Failure> {
        let mut census = Self::default();
        let exit = each_account(&*context.store()?, |_, account| {
            census.add(context, account, now);
            Ok(())
        })?;
        census.exit = Some(exit);
        Ok(census)
    }

    /// Of whatever standing.
    pub fn records(&self) -> u64 {
        self.enrolled + self.unenrolled + self.revoked
    }

    /// For people: how many, and what.
    pub fn rows(&self) -> [(u64, &'static str); 8] {
        [
            (self.records(), "records"),
            (self.unenrolled, "without a device"),
            (self.revoked, "revoked"),
            (self.stale, "not used for 90 days, or never"),
            (self.few_codes, "with two recovery codes or fewer"),
            (self.open_tokens, "with an open enrolment token"),
            (self.disabled, "disabled by wrong codes"),
            (self.closed.iter().sum(), "lanes closed by wrong codes"),
        ]
    }

    fn add(&mut self, context: &Context, Account { record, state }: &Account, now: UnixTime) {
        match record.enrolment_status() {
            EnrolmentStatus::Unenrolled => self.unenrolled += 1,
            EnrolmentStatus::Revoked => self.revoked += 1,
            EnrolmentStatus::Enrolled => {
                self.enrolled += 1;
                let marks = record.credentials.iter().filter_map(|device| state.credential_state(device.id));
                let last = marks.map(|mark| mark.last_used).max().unwrap_or(0);
                self.stale += u64::from(last < now - STALE);
                let left = record.recovery.as_ref().map_or(0, |set| {
                    let used = usize::try_from(state.recovery_used(set.id)).unwrap_or(usize::MAX);
                    set.hashes.len().saturating_sub(used)
                });
                self.few_codes += u64::from(left <= 2);
            }
        }
        self.devices += record.ids().count() as u64;
        self.open_tokens += u64::from(record.token.as_ref().is_some_and(|token| token.is_live(now)));
        self.disabled += u64::from(state.throttle.is_disabled(&context.config.throttle.rules()));
        let mut throttle = state.throttle.clone();
        let rules = context.config.throttle.rules();
        throttle.advance(now, &rules);
        for (count, is_closed) in self.closed.iter_mut().zip(throttle.closed(&rules)) {
            *count += u64::from(is_closed);
        }
        self.intercepted += u64::from(state.signs.two_codes_until(now).is_some());
        self.lines += state.chain.number();
    }
}
