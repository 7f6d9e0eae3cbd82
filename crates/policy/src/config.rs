//! `/etc/qrtotp/qrtotp.toml`. All keys optional, unknown ones refused, every value bounded.

use super::bytes::printable;
use super::{Brand, FirstLogin, Hours, RuleSet};
use qrtotp_account::{FAMILIAR, ThrottleRules};
use qrtotp_otp::{MAX_TARGETS, Window};
use qrtotp_values::{ConfigDuration, Date};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Path of the configuration unless the admin says otherwise.
pub const DEFAULT_PATH: &str = "/etc/qrtotp/qrtotp.toml";

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The store's directory. Default `/var/lib/qrtotp`.
    pub state_dir: StateDir,
    /// The issuer that the authenticator app shows. Default: the host's name.
    pub issuer: Option<String>,
    /// How codes are verified.
    pub verify: Verify,
    /// Limits on guessing.
    pub throttle: Throttle,
    /// Enrolment.
    pub enroll: Enroll,
    /// The audit log.
    pub audit: Audit,
    /// The broker.
    pub broker: Broker,
    /// How users see the organisation.
    pub brand: Brand,
    /// Applies if no rule decides.
    pub defaults: Defaults,
    /// The fleet that this host belongs to.
    pub fleet: Fleet,
    /// What `qrtotp watch` finds worth telling.
    pub watch: Watch,
    /// The rules.
    pub rules: RuleSet,
}

/// `state_dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(pub PathBuf);

impl Default for StateDir {
    fn default() -> Self {
        Self(PathBuf::from("/var/lib/qrtotp"))
    }
}

/// `[verify]`: the accepted steps around the current one (RFC 6238 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// Steps back, 0–10. Default 1.
    pub window_back: u8,
    /// Steps ahead, 0–10. Default 0.
    pub window_ahead: u8,
    /// Whether a login accepts two consecutive codes in one line from a device whose clock is at most 10 min
    /// off. Default no; `qrtotp resync` always does.
    pub resync: bool,
}

impl Default for Verify {
    fn default() -> Self {
        let Window { back, ahead } = Window::default();
        Self { window_back: back, window_ahead: ahead, resync: false }
    }
}

impl Verify {
    /// The accepted steps.
    #[must_use]
    pub fn window(self) -> Window {
        Window { back: self.window_back, ahead: self.window_ahead }
    }
}

/// In seconds.
const DAY: i64 = 86_400;

/// `[throttle]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Failures of a lane that cost no waiting, 1–20. Default 5.
    pub free_failures: u32,
    /// The longest wait, 1–30 s; for strangers thirty times as long.
    pub max_wait: ConfigDuration,
    /// Failures of all lanes after which app codes are disabled, 10–100. Default 100.
    pub disable_after: u32,
    /// How long a place stays familiar after a right code, 1–90 days. Default `30d`.
    pub familiar: ConfigDuration,
}

impl Default for Throttle {
    fn default() -> Self {
        let ThrottleRules { free_failures, max_wait, disable_after, familiar } = ThrottleRules::default();
        let [max_wait, familiar] = [max_wait, familiar].map(ConfigDuration::seconds);
        Self { free_failures, max_wait, disable_after, familiar }
    }
}

impl Throttle {
    /// The rules for the state machine.
    #[must_use]
    pub fn rules(self) -> ThrottleRules {
        ThrottleRules {
            free_failures: self.free_failures,
            max_wait: u32::try_from(self.max_wait.as_seconds()).unwrap_or(30),
            disable_after: self.disable_after,
            familiar: u32::try_from(self.familiar.as_seconds()).unwrap_or(FAMILIAR),
        }
    }
}

/// `[enroll]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enroll {
    /// How long a shown QR code may wait for its first code. Default `10m`, at most `1h`.
    pub time_limit: ConfigDuration,
    /// How long an issued token lives. Default `24h`.
    pub token_lifetime: ConfigDuration,
    /// How often a token's QR code may be shown, 1–10. Default 3.
    pub max_shows: u8,
    /// Devices per account, 1–10. Default 5.
    pub max_devices: u8,
    /// The account's name in the app, beside the issuer: `{user}` and `{host}` are filled in. Default
    /// `{user}@{host}`.
    pub account_label: Cow<'static, str>,
    /// How long the one-time code of a token (`token issue --code`) is valid. Default `10m`, at most `1h`.
    pub code_lifetime: ConfigDuration,
    /// PAM services at which users may enrol during a login.
    pub services: Vec<Cow<'static, str>>,
    /// Whether any ssh key that sshd accepts proves the primary factor, even one that no token is bound to.
    /// Default no.
    pub key_is_enough: bool,
    /// PAM services whose `SSH_AUTH_INFO_0` comes from sshd itself. Default `sshd`.
    pub key_services: Vec<Cow<'static, str>>,
}

/// Services at which users log in and can be asked more than one question.
const SERVICES: [&str; 8] = ["sshd", "sudo", "sudo-i", "su", "su-l", "doas", "login", "cockpit"];

impl Default for Enroll {
    fn default() -> Self {
        Self {
            time_limit: ConfigDuration::seconds(600),
            token_lifetime: ConfigDuration::seconds(86_400),
            max_shows: 3,
            max_devices: 5,
            account_label: Cow::Borrowed("{user}@{host}"),
            code_lifetime: ConfigDuration::seconds(600),
            services: SERVICES.map(Cow::Borrowed).into(),
            key_is_enough: false,
            key_services: vec![Cow::Borrowed("sshd")],
        }
    }
}

/// `[audit]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Log the facts that the module decides by, like its argument `debug`.
    pub debug: bool,
}

/// `[watch]`: how much of something is an anomaly to `qrtotp watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Accounts refused from one network within ten minutes, 2–32. Default 5.
    pub spray_accounts: u8,
    /// Accounts that enrol within an hour, 2–200. Default 10.
    pub enrollments: u8,
    /// Accounts for which one admin enrols devices within an hour outside `hours`, 1–32. Default 3.
    pub enrollments_by_admin: u8,
    /// When admins work, in the zone of `[policy]`. Default: always.
    pub hours: Vec<Hours>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { spray_accounts: 5, enrollments: 10, enrollments_by_admin: 3, hours: Vec::new() }
    }
}

impl Watch {
    /// Whether admins work in this minute of the week.
    #[must_use]
    pub fn works(&self, minute_of_week: u16) -> bool {
        self.hours.is_empty() || self.hours.iter().any(|hours| hours.contain(minute_of_week))
    }

    fn problems(&self) -> [Problem; 3] {
        let is_in = |number: u8, least: u8, most: u8| (least..=most).contains(&number);
        [
            (!is_in(self.spray_accounts, 2, 32), "watch.spray_accounts", "must be 2 to 32"),
            (!is_in(self.enrollments, 2, 200), "watch.enrollments", "must be 2 to 200"),
            (!is_in(self.enrollments_by_admin, 1, 32), "watch.enrollments_by_admin", "must be 1 to 32"),
        ]
    }
}

/// `[broker]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// Accounts of services, and the PAM services at which each may have other accounts' codes checked.
    /// Default: none.
    pub services: Services,
}

/// `[broker.services]`: an account, and names of files in /etc/pam.d.
pub type Services = Vec<(String, Vec<Cow<'static, str>>)>;

impl Broker {
    /// The PAM services at which `account` may have other accounts' codes checked; `None`: it is not listed.
    #[must_use]
    pub fn services_of(&self, account: &str) -> Option<&[Cow<'static, str>]> {
        let listed = self.services.iter().find(|(listed, _)| listed == account);
        listed.map(|(_, services)| services.as_slice())
    }
}

/// `[fleet]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// On a login host: the fleet's name. Its verifiers then decide logins, and this host's store does not.
    pub name: Option<String>,
    /// On a login host: accounts that stay in its own store.
    pub local: Vec<Cow<'static, str>>,
    /// On a verifier: its name in the fleet, whose store is on etcd.
    pub verifier: Option<String>,
    /// On a verifier: address and port of its etcd member, if not the usual one.
    pub etcd: Option<String>,
    /// On a verifier: groups of hosts, and the accounts that each may ask about; `*` stands for all.
    pub groups: Services,
    /// On a verifier: groups of hosts at which users enrol and look after their devices; none: all hosts.
    pub self_service: Vec<Cow<'static, str>>,
    /// On a login host: ask the verifiers whether an earlier code is enough before asking the user.
    pub remember: bool,
}

impl Fleet {
    /// Whether users enrol at the hosts of one of these groups.
    #[must_use]
    pub fn serves_users(&self, groups: &[String]) -> bool {
        self.self_service.is_empty()
            || groups.iter().any(|group| self.self_service.iter().any(|known| group == known))
    }

    /// Whether the verifiers decide the logins of `account`.
    #[must_use]
    pub fn decides(&self, account: &str) -> bool {
        self.name.is_some() && !self.local.iter().any(|local| local == account)
    }

    /// Whether the hosts of one of these groups may ask about `account`.
    #[must_use]
    pub fn may_ask(&self, groups: &[String], account: &str) -> bool {
        let of_host = self.groups.iter().filter(|(group, _)| groups.contains(group));
        of_host.flat_map(|(_, accounts)| accounts).any(|known| known == account || known == "*")
    }
}

/// `[defaults]`: applies if no rule decides otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The requirement of a login.
    pub require: Require,
    /// What happens to an account without a credential.
    pub first_login: FirstLogin,
    /// With `first_login = "allow"`: the last day (UTC) on which such an account gets in.
    pub allow_until: Option<Date>,
    /// The account part's decision on a login at sshd or login(1) that did not run the auth part.
    pub unasked: Unasked,
}

/// The decision on a login that needs a code and was not asked for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unasked {
    /// It is accepted, and logged.
    #[default]
    Log,
    /// It is denied.
    Deny,
}

/// The requirement of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// A code of an enrolled device, or a recovery code.
    #[default]
    Code,
    /// Nothing from us: PAM_IGNORE for all accounts.
    Nothing,
}

impl Config {
    /// The issuer that codes are shown under: the setting `issuer`, or the host.
    #[must_use]
    pub fn issuer_on(&self, host: &str) -> String {
        self.issuer.clone().unwrap_or_else(|| qrtotp_values::text::clean(host, 64).replace(':', "-"))
    }

    /// The app's name for the account `user` of this host. Without the host, a phone could not tell two hosts
    /// of one issuer apart.
    #[must_use]
    pub fn account_on(&self, host: &str, user: &str) -> String {
        let short = host.split('.').next().unwrap_or(host);
        let host = qrtotp_values::text::clean(short, 63).replace(':', "-");
        let (mut name, mut rest) = (String::new(), &*self.enroll.account_label);
        while let Some((before, behind)) = rest.split_once('{') {
            let (key, behind) = behind.split_once('}').unwrap_or((behind, ""));
            name.push_str(before);
            name.push_str(if key == "user" { user } else { &host }); // there are no others
            rest = behind;
        }
        name + rest
    }

    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        self.problems_of_checks()
            .into_iter()
            .chain(self.problems_of_enrolment())
            .chain(self.problems_of_fleet())
            .chain(self.brand.problems())
            .chain(self.watch.problems())
            .find_map(|(wrong, key, problem)| wrong.then_some((key, problem)))
    }

    fn problems_of_checks(&self) -> [Problem; 10] {
        let Verify { window_back, window_ahead, .. } = self.verify;
        let is_bad_issuer = |issuer: &String| !printable(issuer, 64) || issuer.contains(':');
        [
            (!self.state_dir.0.is_absolute(), "state_dir", "must be an absolute path"),
            (
                self.issuer.as_ref().is_some_and(is_bad_issuer),
                "issuer",
                "must be 1 to 64 printable characters without a colon",
            ),
            (window_back > 10, "verify.window_back", "must be 0 to 10 steps"),
            (window_ahead > 10, "verify.window_ahead", "must be 0 to 10 steps"),
            (!(1..=20).contains(&self.throttle.free_failures), "throttle.free_failures", "must be 1 to 20"),
            (self.throttle.max_wait > ConfigDuration::seconds(30), "throttle.max_wait", "must be 1s to 30s"),
            (
                !(10..=100).contains(&self.throttle.disable_after),
                "throttle.disable_after",
                "must be 10 to 100 (NIST SP 800-63B-4 §3.2.2 allows no more)",
            ),
            (
                !(DAY..=90 * DAY).contains(&self.throttle.familiar.as_seconds()),
                "throttle.familiar",
                "must be 1d to 90d",
            ),
            (
                !self.broker.services.iter().all(|(account, services)| {
                    printable(account, 256) && !services.is_empty() && are_services(services)
                }),
                "broker.services",
                "must name accounts, each with a list of files of /etc/pam.d, such as postgres = [\"postgresql\"]",
            ),
            (
                self.defaults.allow_until.is_some() != (self.defaults.first_login == FirstLogin::Allow),
                "defaults.allow_until",
                "goes with first_login = \"allow\", and that needs it",
            ),
        ]
    }

    fn problems_of_fleet(&self) -> [Problem; 6] {
        let is_host = |name: &String| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let rest = |byte: u8| plain(byte) || matches!(byte, b'-' | b'.');
            name.len() <= 64 && name.bytes().next().is_some_and(plain) && name.bytes().all(rest)
        };
        [
            (
                self.fleet.verifier.as_ref().is_some_and(|name| !is_host(name)),
                "fleet.verifier",
                "must be small letters, digits, dots and dashes",
            ),
            (
                self.fleet.etcd.as_ref().is_some_and(|address| address.parse::<SocketAddr>().is_err()),
                "fleet.etcd",
                "must be an address with a port, such as 127.0.0.1:2379",
            ),
            (
                self.fleet.name.as_ref().is_some_and(|name| !is_service(name)),
                "fleet.name",
                "must be small letters, digits, dots, dashes and underscores",
            ),
            (
                !self.fleet.groups.iter().all(|(group, accounts)| {
                    is_service(group) && accounts.iter().all(|account| printable(account, 256))
                }),
                "fleet.groups",
                "must name groups of hosts, each with a list of accounts, such as web = [\"alice\"]; \"*\" stands for all",
            ),
            (
                !self.fleet.self_service.iter().all(|group| is_service(group)),
                "fleet.self_service",
                "must name groups of hosts",
            ),
            (
                !self.fleet.local.iter().all(|account| printable(account, 256)),
                "fleet.local",
                "must name accounts",
            ),
        ]
    }

    fn problems_of_enrolment(&self) -> [Problem; 8] {
        let devices = usize::from(self.enroll.max_devices);
        let files = "must name files of /etc/pam.d: small letters, digits, dots, dashes and underscores";
        [
            (
                self.enroll.time_limit > ConfigDuration::seconds(3_600),
                "enroll.time_limit",
                "must be at most 1h",
            ),
            (!(1..=10).contains(&self.enroll.max_shows), "enroll.max_shows", "must be 1 to 10"),
            (!(1..=10).contains(&devices), "enroll.max_devices", "must be 1 to 10"),
            (
                !is_account_label(&self.enroll.account_label),
                "enroll.account_label",
                "must be up to 64 printable characters without a colon, with {user} and perhaps {host} among them",
            ),
            (
                self.enroll.code_lifetime > ConfigDuration::seconds(3_600),
                "enroll.code_lifetime",
                "must be at most 1h",
            ),
            (!are_services(&self.enroll.services), "enroll.services", files),
            (!are_services(&self.enroll.key_services), "enroll.key_services", files),
            (
                self.verify.window().steps() * devices > MAX_TARGETS,
                "verify",
                "accepts too much: (window_back + 1 + window_ahead) × enroll.max_devices must be at most 15, \
                 or guessing becomes too easy",
            ),
        ]
    }
}

/// Whether a setting is wrong, the setting, and what is wrong with it.
type Problem = (bool, &'static str, &'static str);

/// Whether a label has the user's name, and no other braces.
fn is_account_label(label: &str) -> bool {
    let rest = label.replace("{user}", "").replace("{host}", "");
    printable(label, 64) && label.contains("{user}") && !rest.contains([':', '{', '}'])
}

fn are_services(names: &[Cow<'_, str>]) -> bool {
    names.iter().all(|name| is_service(name))
}

/// libpam lowercases a service's name to find its file; other names never match.
pub(super) fn is_service(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && !name.starts_with('.') && name != "other" && name.bytes().all(plain)
}
