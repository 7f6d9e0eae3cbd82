//! The records: whether each can be read, and how the accounts stand.

use super::super::status::{no_user_advice, other_uid_advice};
use super::report::{Counts, Finding, Report, names};
use crate::context::Context;
use crate::error::store_failure;
use crate::progress::Progress;
use qrtotp_account::{EnrolmentStatus, Name, TokenState};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_flow::{Directory, HostDirectory, LookupError};
use qrtotp_otp::MAX_CLOCK_OFFSET;
use qrtotp_policy::Config;
use qrtotp_store::{Account, AccountStore};
use qrtotp_values::UnixTime;

/// Most records that are named with what is wrong.
const MOST: usize = 20;

/// The counts, and the accounts to name.
#[derive(Default)]
struct Seen {
    counts: Counts,
    disabled: Vec<Name>,
    far_off: Vec<Name>,
    expired: Vec<Name>,
    no_user: Vec<Name>,
    /// With the record's uid and the user's.
    other_uid: Vec<(Name, u32, u32)>,
    lookup: Option<LookupError>,
}

pub fn check(context: &Context, store: &dyn AccountStore, report: &mut Report) {
    let mut all: Vec<Name> = match store.names() {
        Ok(all) => all.collect(),
        Err(error) => return report.add(Finding::fail("records", "", &store_failure(&error))),
    };
    all.sort();
    let (mut seen, now) = (Seen::default(), SystemClock.now());
    let mut progress = Progress::of("accounts");
    for name in &all {
        progress.one_more();
        match store.load(name) {
            Ok(Some(account)) => {
                seen.take(name, &account, &context.config, now);
                seen.compare(name, account.record.uid);
            }
            Ok(None) => {} // gone since its name was read
            Err(error) => {
                seen.counts.unreadable += 1;
                if seen.counts.unreadable <= MOST {
                    report.add(Finding::fail("record-damaged", name.as_str(), &store_failure(&error)));
                }
            }
        }
    }
    progress.end();
    report.add(match (all.len(), seen.counts.unreadable) {
        (count, 0) => Finding::ok("records", "records", &format!("{count}, and every one can be read")),
        (count, unreadable) => {
            Finding::fail("records", "records", &format!("of {count}, {unreadable} can't be read"))
                .why("each denies its account and no other")
                .fix(
                    "restore them from the backup of the store, or move each away and enrol the account anew",
                )
        }
    });
    seen.tell(report);
    seen.report_users(report);
    report.count(seen.counts);
}

impl Seen {
    fn take(&mut self, name: &Name, account: &Account, config: &Config, now: UnixTime) {
        let (record, state, counts) = (&account.record, &account.state, &mut self.counts);
        match record.enrolment_status() {
            EnrolmentStatus::Enrolled => counts.enrolled += 1,
            EnrolmentStatus::Unenrolled => counts.unenrolled += 1,
            EnrolmentStatus::Revoked => counts.revoked += 1,
        }
        if state.throttle.is_disabled(&config.throttle.rules()) {
            counts.disabled += 1;
            self.disabled.push(name.clone());
        }
        counts.devices += record.credentials.len();
        let off = record.credentials.iter().map(|credential| {
            let steps = state.credential_state(credential.id).map_or(0, |mark| mark.drift);
            i64::from(steps) * i64::from(credential.params.period())
        });
        let off: Vec<i64> = off.filter(|seconds| *seconds != 0).collect();
        counts.devices_clock_off += off.len();
        if off.iter().any(|seconds| seconds.abs() > MAX_CLOCK_OFFSET) {
            self.far_off.push(name.clone());
        }
        let Some(token) = &record.token else { return };
        counts.tokens_live += usize::from(token.is_live(now));
        let pending =
            record.pending.as_ref().filter(|pending| pending.token == token.id && token.is_live(now));
        counts.pending +=
            usize::from(pending.is_some_and(|pending| pending.is_live(now, config.enroll.time_limit)));
        if matches!(token.state_at(now), TokenState::Expired(_)) {
            counts.tokens_expired += 1;
            if record.enrolment_status() != EnrolmentStatus::Enrolled && token.issued_by.is_some() {
                self.expired.push(name.clone());
            }
        }
    }

    /// Whether the record's user is there. A user database that does not answer is not asked again.
    fn compare(&mut self, name: &Name, uid: u32) {
        if self.lookup.is_some() {
            return;
        }
        match HostDirectory.find(name.as_str()) {
            Ok(Some(user)) if user.uid == uid => {}
            Ok(Some(user)) => self.other_uid.push((name.clone(), uid, user.uid)),
            Ok(None) => self.no_user.push(name.clone()),
            Err(error) => self.lookup = Some(error),
        }
    }

    fn report_users(&self, report: &mut Report) {
        for (name, record, user) in self.other_uid.iter().take(MOST) {
            let what = format!(
                "every login is denied: the record is bound to uid {record}, and the user has uid {user}"
            );
            report.add(Finding::fail("record-other-uid", name.as_str(), &what).fix(&other_uid_advice(name)));
        }
        for name in self.no_user.iter().take(MOST) {
            let what = "has a record, but is no user of this host";
            report.add(Finding::warn("record-without-user", name.as_str(), what).fix(&no_user_advice(name)));
        }
        let left = self.other_uid.len().saturating_sub(MOST) + self.no_user.len().saturating_sub(MOST);
        if left > 0 {
            let what = format!("{left} more have no user, or one with another uid");
            report.add(Finding::warn("record-without-user", "", &what).fix("`qrtotp list` marks them all"));
        }
        if let Some(error) = &self.lookup {
            let fix = "check it with `getent passwd`, and run this again";
            report.add(Finding::warn("users-unknown", "", &error.to_string()).fix(fix));
        }
    }

    fn tell(&self, report: &mut Report) {
        let counts = &self.counts;
        let what = format!(
            "enrolled {}, un-enrolled {}, revoked {}; devices {}, of which the clock of {} is known to be off; QR codes that \
             wait {}; tokens live {}, expired {}",
            counts.enrolled,
            counts.unenrolled,
            counts.revoked,
            counts.devices,
            counts.devices_clock_off,
            counts.pending,
            counts.tokens_live,
            counts.tokens_expired,
        );
        report.add(Finding::ok("accounts", "accounts", &what));
        let far_off = format!("a device's clock is taken to be more than {MAX_CLOCK_OFFSET} s off");
        for (id, what, accounts, fix) in [
            (
                "codes-disabled",
                "codes are disabled after too many wrong ones",
                &self.disabled,
                "look in the log who guesses (reason=wrong_code); `qrtotp unlock USER`, or a recovery code at a login, lifts it",
            ),
            (
                "device-clock-off",
                &far_off,
                &self.far_off,
                "have the device's clock set right; then `qrtotp device revoke`, and enrol it anew",
            ),
            (
                "token-expired",
                "their token ran out before a device was enrolled",
                &self.expired,
                "`qrtotp token issue USER` issues another one",
            ),
        ] {
            if !accounts.is_empty() {
                report.add(Finding::warn(id, "", &format!("{what}: {}", names(accounts))).fix(fix));
            }
        }
    }
}
