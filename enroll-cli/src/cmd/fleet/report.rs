//! The state of a fleet as one of its verifiers sees it, for `qrtotp fleet status`.

use super::ca_change::{CaChange, Waiting};
use qrtotp_clock::{Clock, SystemClock};
use qrtotp_fleet::{
    Alarm, BreakGlassUse, Etcd, EtcdStatus, FleetError, FleetStore, Host, HostFailures, HostName, HostState,
    Member, Witness,
};
use qrtotp_values::UnixTime;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long etcd may take for each question.
const LIMIT: Duration = Duration::from_secs(2);
/// A verifier writes a witness every 5 s. One that wrote none for so long is down or cut off.
const SILENT: i64 = 20;
/// Seconds from the median of all above which a clock is worth a look.
const OFF: i64 = 2;
/// Seconds for which the use of a break-glass code is shown.
const RECENT: i64 = 30 * 86_400;
/// The parts of the quota above which space deserves a warning, and action.
const SPACE: [u64; 2] = [60, 80];

/// What `status` says. Times are in Unix seconds.
#[derive(Debug, Serialize)]
pub struct VerifierReport {
    pub version: u32,
    pub verifier: String,
    pub fleet: String,
    pub program: &'static str,
    pub etcd: Option<Cluster>,
    pub store: Option<StoreFacts>,
    pub verifiers: Vec<VerifierFacts>,
    pub hosts: HostCounts,
    pub noisy: Vec<Noise>,
    /// Break-glass codes that hosts took in the last 30 days.
    pub break_glass: Vec<BreakGlass>,
    /// The hosts and verifiers that a change of the CA waits for; `None`: none has begun here.
    pub ca: Option<Waiting>,
    /// Ids of the fleet's keys here, the one that seals first.
    pub keys: Vec<String>,
    /// Findings that an admin should look at.
    pub problems: Vec<String>,
    /// Whether logins can be decided.
    pub decides: bool,
}

#[derive(Debug, Serialize)]
pub struct Cluster {
    pub version: String,
    /// Names; `None`: there is no quorum to ask.
    pub members: Option<Vec<String>>,
    pub leader: Option<String>,
    pub revision: i64,
    pub database: u64,
    pub in_use: u64,
    pub quota: Option<u64>,
    pub alarms: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct StoreFacts {
    pub generation: u64,
    pub fence: UnixTime,
}

#[derive(Debug, Serialize)]
pub struct VerifierFacts {
    pub name: String,
    pub version: String,
    /// Seconds since its last witness, by its clock then and ours now; negative: its clock is ahead.
    pub age: i64,
    /// Seconds by which its clock is ahead of the median of all, as it found itself; negative: behind.
    pub ahead: i64,
}

#[derive(Debug, Default, Serialize)]
pub struct HostCounts {
    pub active: usize,
    pub held: usize,
    pub revoked: usize,
}

impl HostCounts {
    /// Counts the hosts in the store.
    pub fn of(store: &FleetStore) -> Result<Self, FleetError> {
        let mut counts = Self::default();
        for (_, host) in store.hosts()? {
            match host.state {
                HostState::Active => counts.active += 1,
                HostState::Held => counts.held += 1,
                HostState::Revoked => counts.revoked += 1,
            }
        }
        Ok(counts)
    }
}

/// The use of a break-glass code.
#[derive(Debug, Serialize)]
pub struct BreakGlass {
    pub host: String,
    pub account: String,
    pub at: UnixTime,
    /// How many codes of the account are left at the host.
    pub left: u32,
}

/// A host with more failures than usual.
#[derive(Debug, Serialize)]
pub struct Noise {
    pub host: String,
    /// In this hour.
    pub failures: u32,
    /// With a failure in these ten minutes.
    pub accounts: u32,
}

impl VerifierReport {
    /// Asks etcd and the store.
    pub fn take(
        fleet: String,
        etcd: &Etcd,
        store: &FleetStore,
        keys: Vec<String>,
        quota: Option<u64>,
        change: Option<CaChange>,
    ) -> Self {
        let mut report = Self {
            version: 1,
            verifier: store.verifier().to_string(),
            fleet,
            program: env!("CARGO_PKG_VERSION"),
            etcd: None,
            store: None,
            verifiers: Vec::new(),
            hosts: HostCounts::default(),
            noisy: Vec::new(),
            break_glass: Vec::new(),
            ca: None,
            keys,
            problems: Vec::new(),
            decides: true,
        };
        match etcd.status(LIMIT) {
            Ok(status) => report.cluster(&status, quota),
            Err(error) => report.denies(FleetError::from(error).to_string()),
        }
        if report.decides
            && let Err(error) = report.store(store, change)
        {
            report.denies(error.to_string());
        }
        report
    }

    fn denies(&mut self, why: String) {
        self.decides = false;
        self.problems.push(why);
    }

    fn cluster(&mut self, status: &EtcdStatus, quota: Option<u64>) {
        let name = |id: u64| {
            let members = status.members.iter().flatten();
            let found = members.clone().find(|member| member.id == id && !member.name.is_empty());
            found.map_or_else(|| format!("{id:x}"), |member| member.name.clone())
        };
        let alarms = status.alarms.iter().flatten();
        let names = |all: &Vec<Member>| {
            let mut names: Vec<String> = all.iter().map(|member| name(member.id)).collect();
            names.sort();
            names
        };
        let cluster = Cluster {
            version: status.version.clone(),
            members: status.members.as_ref().map(names),
            leader: Some(status.leader).filter(|leader| *leader != 0).map(name),
            revision: status.revision,
            database: status.database,
            in_use: status.in_use,
            quota,
            alarms: alarms
                .clone()
                .map(|(member, alarm)| format!("{} {}", name(*member), word(*alarm)))
                .collect(),
        };
        if cluster.members.is_none() || cluster.leader.is_none() {
            self.denies("etcd has no quorum; start qrtotp-etcd on a majority of the verifiers".into());
        }
        for member in status.members.iter().flatten().filter(|member| member.is_learner) {
            let text = "run `qrtotp fleet add-verifier` once more";
            self.problems.push(format!("etcd's member {} does not vote yet; {text}", name(member.id)));
        }
        for (_, alarm) in alarms {
            self.denies(match alarm {
                Alarm::NoSpace => {
                    "etcd's database is full; docs/FLEET.md, \"Out of space\", says what to do".into()
                }
                Alarm::Corrupt => {
                    "the data of etcd's members differ; docs/FLEET-OPERATIONS.md, \"Members differ\", says what to do"
                        .into()
                }
                Alarm::Other(number) => format!("etcd raised the alarm {number}"),
            });
        }
        let part = quota.and_then(|quota| (cluster.database * 100).checked_div(quota)).unwrap_or(0);
        match SPACE {
            [_, act] if part >= act => {
                self.problems.push(format!("etcd's database is {part} % of its quota; make room now"))
            }
            [warn, _] if part >= warn => {
                self.problems.push(format!("etcd's database is {part} % of its quota"))
            }
            _ => {}
        }
        self.etcd = Some(cluster);
    }

    fn store(&mut self, store: &FleetStore, change: Option<CaChange>) -> Result<(), FleetError> {
        let now = SystemClock.now();
        let meta = store.meta()?;
        self.ca = change.map(|change| change.waiting(store)).transpose()?;
        self.store = Some(StoreFacts { generation: meta.generation, fence: meta.fence });
        for (name, Witness { clock, version, condition, .. }) in store.witnesses()? {
            let (age, ahead) = (now - clock, condition.ahead);
            if age > SILENT {
                let text = "start qrtotpd-verifier there, and compare the clocks";
                self.problems.push(format!("verifier {name} was last seen {age} s ago; {text}"));
            } else if ahead.abs() > OFF {
                let side = if ahead > 0 { "ahead of" } else { "behind" };
                let (seconds, text) = (ahead.abs(), "see `timedatectl` there");
                self.problems
                    .push(format!("the clock of verifier {name} is {seconds} s {side} the others'; {text}"));
            }
            self.verifiers.push(VerifierFacts { name: name.to_string(), version, age, ahead });
        }
        self.hosts = HostCounts::of(store)?;
        for (host, BreakGlassUse { account, at, left, .. }) in store.break_glass()? {
            if now - at < RECENT {
                self.break_glass.push(BreakGlass { host: host.to_string(), account, at, left });
            }
        }
        for (host, failures) in failures_by_host(store, now)? {
            if failures.is_noisy() {
                let HostFailures { failures, accounts, .. } = failures;
                let text = format!("`qrtotp fleet host hold {host}` refuses it until you have looked");
                self.problems.push(format!("{failures} failures at host {host} in this hour; {text}"));
                self.noisy.push(Noise { host: host.to_string(), failures, accounts });
            }
        }
        Ok(())
    }
}

fn word(alarm: Alarm) -> String {
    match alarm {
        Alarm::NoSpace => "NOSPACE".into(),
        Alarm::Corrupt => "CORRUPT".into(),
        Alarm::Other(number) => number.to_string(),
    }
}

/// The present failures at each host that has some, as all verifiers counted them together. A different
/// account may be counted once by each verifier.
pub fn failures_by_host(
    store: &FleetStore,
    now: UnixTime,
) -> Result<BTreeMap<HostName, HostFailures>, FleetError> {
    let (hour, ten_minutes) = (now / 3600, now / 600);
    let mut found: BTreeMap<HostName, HostFailures> = BTreeMap::new();
    for (host, _, counted) in store.host_failures()? {
        let sum = found.entry(host).or_insert(HostFailures { hour, ten_minutes, ..HostFailures::default() });
        if counted.hour == hour {
            sum.failures = sum.failures.saturating_add(counted.failures);
        }
        if counted.ten_minutes == ten_minutes {
            sum.accounts = sum.accounts.saturating_add(counted.accounts);
        }
    }
    found.retain(|_, sum| sum.failures > 0 || sum.accounts > 0);
    Ok(found)
}

/// A host's state, as it is written.
pub fn state_word(host: &Host) -> &'static str {
    match host.state {
        HostState::Active => "active",
        HostState::Held => "held",
        HostState::Revoked => "revoked",
    }
}
