//! The script, and the invariants after each of its lines.

use super::book::{Before, Book, Device, enrolled};
use crate::hot_state::reference;
use crate::input::Input;
use crate::world::{Answer, FakeClock, Host, Log, People, START, UID, World, alice};
use qrtotp_account::{
    FactorKind, Gate, Label, RecoveryCode, RecoverySet, ScratchCode, SetId, SetKind, Side, hash_code,
};
use qrtotp_audit::Subject;
use qrtotp_flow::{
    Ctx, FirstPass, Import, Issue, LoginHost, Options, Outcome, Selection, SelfService, import, issue_token,
    login, revoke, revoke_token, unlock,
};
use qrtotp_otp::{Algorithm, Params, Secret, Step, Strength, Window, code_at};
use qrtotp_policy::{Config, FirstLogin};
use qrtotp_store::{FileStore, Store, StoreExt};
use qrtotp_values::ConfigDuration;
use std::cell::Cell;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Accepted logins, to show that the scripts get that far.
pub(crate) static ACCEPTED: AtomicU64 = AtomicU64::new(0);

pub(super) struct Script<'a> {
    world: &'a World,
    config: Config,
    options: Options,
    hashes: bool,
    input: Input<'a>,
    book: Book,
    clock: FakeClock,
    people: People,
    log: Log,
    last: Vec<u8>,
}

/// Three recovery codes and their set: hashed once, for all scripts.
static RECOVERY: LazyLock<(RecoverySet, [&str; 3])> = LazyLock::new(|| {
    let codes = ["ABCD-EFGH-JKMN-PQRS", "0000-1111-2222-3333", "ZZZZ-ZZZZ-ZZZZ-ZZZZ"];
    let salt = [9; 16];
    let hash = |code: &&str| {
        hash_code(&RecoveryCode::parse(code.as_bytes()).expect("a code"), &salt).expect("memory")
    };
    let set = RecoverySet {
        id: SetId::from_random([1; 6]),
        kind: SetKind::Ours,
        created: START,
        salt,
        hashes: codes.iter().map(hash).collect(),
    };
    (set, codes)
});

fn subject() -> Subject {
    Subject { user: "alice".into(), service: "sshd".into(), ..Subject::default() }
}

impl<'a> Script<'a> {
    pub(super) fn new(world: &'a World, hashes: bool, mut input: Input<'a>) -> Self {
        let mut config = Config::default();
        let bits = input.byte();
        config.verify.window_ahead = bits & 1;
        config.verify.resync = bits & 2 != 0;
        config.defaults.first_login =
            [FirstLogin::Deny, FirstLogin::Enroll, FirstLogin::Token, FirstLogin::Deny]
                [usize::from(bits >> 2 & 3)];
        config.throttle.free_failures = 1 + u32::from(bits >> 4 & 3);
        config.throttle.disable_after = 10;
        let bits = input.byte();
        let first_pass =
            [FirstPass::Ask, FirstPass::Try, FirstPass::Use, FirstPass::Forward][usize::from(bits & 3)];
        let options = Options { nullok: bits & 4 != 0, first_pass, ..Options::default() };
        if options.conflict(&config).is_some() {
            config.defaults.first_login = FirstLogin::Deny;
        }
        let (clock, people) = (FakeClock(Cell::new(START)), People(Cell::new(UID)));
        let (book, log) = (Book::default(), Log::default());
        let mut script =
            Self { world, config, options, hashes, input, book, clock, people, log, last: Vec::new() };
        if bits & 8 == 0 {
            script.import(0);
        }
        script
    }

    /// Runs the next line. False at the end.
    pub(super) fn goes_on(&mut self) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let before = self.load();
        match self.input.byte() % 16 {
            0..8 => self.login(&before),
            8 => self.pass(),
            9 => {
                let device = self.input.byte();
                self.import(device);
            }
            10 => self.administer(),
            11 => self.tear(),
            12 => self.resync(),
            13 => self.people.0.set(UID + u32::from(self.input.byte().is_multiple_of(8))),
            14 => self.recovery_codes(),
            _ => self.pass(),
        }
        if let Some(after) = self.load() {
            self.book.look(self.store().key(), &before, &after);
        }
        true
    }

    fn store(&self) -> &'a FileStore {
        &self.world.store
    }

    fn ctx(&mut self) -> Ctx<'_> {
        Ctx {
            config: &self.config,
            store: &self.world.store,
            directory: &self.people,
            clock: &self.clock,
            audit: &mut self.log,
            subject: subject(),
        }
    }

    fn load(&self) -> Before {
        self.store().load(&alice()).expect("the record stays whole")
    }

    fn pass(&mut self) {
        let seconds = i64::from(self.input.byte().cast_signed());
        self.clock.0.set(self.clock.0.get() + seconds);
    }

    fn import(&mut self, number: u8) {
        let digits = if self.hashes { 6 + number % 3 } else { 6 + number % 2 };
        let period = if number & 8 == 0 { 30 } else { 60 };
        let params = Params::new(Algorithm::Sha1, digits, period).expect("bounds");
        let bytes: [u8; 20] = std::array::from_fn(|place| number.wrapping_add(place as u8).wrapping_mul(37));
        let secret = || Secret::from_bytes(&bytes, Strength::Normal).expect("a fair secret");
        let (secret, copy) = (secret(), secret());
        let (name, label) = (alice(), Label::new("phone"));
        let used = (number & 16 != 0).then(|| params.step_at(self.clock.0.get()));
        let window = (number >= 32).then(|| Window::own(u32::from(number >> 5 & 3), u32::from(number >> 6)));
        let known = Import::new(&name, self.people.0.get(), &label, &secret, params);
        let what = Import { used: used.or(Some(0)), window, revoked_too: true, ..known };
        let Ok(new) = import(&mut self.ctx(), &[what]) else { return };
        let new = new[0];
        self.book.devices.push(Device { id: new.credential, secret: copy, params, window, revoked: false });
        if let Some(step) = used {
            self.book.burn(new.credential, step);
        }
    }

    #[allow(clippy::collapsible_match)] // a guard's `false` would fall through to the next arm
    fn administer(&mut self) {
        let (what, name, uid) = (self.input.byte(), alice(), self.people.0.get());
        let which = self.book.devices.get(usize::from(what >> 4)).map(|device| device.id);
        match (what % 8, which) {
            (0, Some(id)) => {
                if revoke(&mut self.ctx(), &name, Selection::One(id)).is_ok() {
                    self.book.revoked(|known| known == id);
                }
            }
            (1, _) => {
                if revoke(&mut self.ctx(), &name, Selection::All).is_ok() {
                    self.book.revoked(|_| true);
                }
            }
            (2, _) => {
                let store = self.store();
                let _ = unlock(&mut self.ctx(), store, &name);
            }
            (3, _) => {
                let lifetime = ConfigDuration::seconds(600);
                let issue = Issue { name: &name, uid, lifetime, max_shows: 2, code: None, keys: &[] };
                let _ = issue_token(&mut self.ctx(), &issue);
            }
            (4, _) => {
                let _ = revoke_token(&mut self.ctx(), &name);
            }
            _ => {}
        }
    }

    /// Like regenerating recovery codes, but without the time for hashing.
    fn recovery_codes(&mut self) {
        if self.hashes {
            let _ = self.store().update_account(&alice(), |account| {
                let record = account.as_mut().map(|account| &mut account.record);
                if let Some(record) = record.filter(|record| !record.credentials.is_empty()) {
                    record.recovery.get_or_insert_with(|| RECOVERY.0.clone());
                }
            });
        }
    }

    /// A power cut in the middle of the next write: the older slot is garbage.
    fn tear(&mut self) {
        let Ok(file) = std::fs::File::options().read(true).write(true).open(self.world.account_file("state"))
        else {
            return;
        };
        let sequence = |slot: u64| {
            let mut bytes = [0; 1024];
            file.read_exact_at(&mut bytes, slot * 4096).ok()?;
            reference(&bytes).map(|slot| slot.sequence)
        };
        // If one slot is garbage, the next write goes there.
        if let (Some(first), Some(second)) = (sequence(0), sequence(1)) {
            let older = u64::from(second < first);
            let _ = file.write_all_at(self.input.bytes(), older * 4096);
        }
    }

    /// The device and the step that the next two bytes choose.
    fn phone(&mut self) -> Option<(&Device, Step)> {
        let (which, steps) = (self.input.byte(), i64::from(self.input.byte() % 8) - 4);
        let device = self.book.devices.get(usize::from(which) % self.book.devices.len().max(1))?;
        Some((device, device.params.step_at(self.clock.0.get()).saturating_add_signed(steps)))
    }

    fn code(&mut self) -> Vec<u8> {
        let code = self.phone().map(|(device, step)| code_at(&device.secret, device.params, step));
        code.map_or(Vec::new(), |code| code.as_str().into())
    }

    /// An answer; `None` if the connection drops.
    fn answer(&mut self) -> Option<Vec<u8>> {
        let typed = match self.input.byte() % 8 {
            0 | 1 => self.code(),
            2 => self.last.clone(),
            3 => self.input.bytes().to_vec(),
            4 => [self.input.bytes(), &self.code()].concat(),
            5 => {
                let (first, second) = match self.phone() {
                    Some((device, step)) => (
                        code_at(&device.secret, device.params, step),
                        code_at(&device.secret, device.params, step + 1),
                    ),
                    None => return None,
                };
                format!("{} {}", first.as_str(), second.as_str()).into()
            }
            6 => RECOVERY.1[usize::from(self.input.byte() % 3)].into(),
            _ => return None,
        };
        if !self.hashes && is_hashed(&typed) {
            return Some(b"12345".to_vec());
        }
        self.last.clone_from(&typed);
        Some(typed)
    }

    fn login(&mut self, before: &Before) {
        let bits = self.input.byte();
        let answer = self.answer();
        let password = (bits & 1 != 0).then(|| self.answer()).flatten();
        let mut host = Host {
            proves: bits & 2 != 0 && self.hashes, // an enrolment's picture takes as long as a hash
            lets_in: bits & 4 != 0,
            refuses_password: bits & 8 != 0,
            user_changes: (bits & 0x70 == 0x70).then_some(1),
            password: password.clone(),
            ..Host::default()
        };
        let typed: Vec<Vec<u8>> = answer.iter().chain(&password).cloned().collect();
        let right = self.is_certain(before, &host, answer.as_deref());
        host.script.push_back(Box::new(move || answer));
        if host.proves {
            host.script.extend(self.enrolment());
        }
        self.log.0.clear();
        let outcome = self.run(&mut host);
        let lines = self.log.0.iter().filter(|line| line.starts_with("event=login "));
        assert_eq!(lines.count(), 1, "{:?}", self.log.0);
        self.no_secret_is_logged(&typed);
        let after = self.load();
        match (outcome, before, &after) {
            (Outcome::Accepted, Some(before), Some(after))
                if enrolled(&before.record, self.people.0.get()) =>
            {
                assert!(host.is_same_user(), "let in as somebody else");
                self.justify(&typed, before, after);
                ACCEPTED.fetch_add(1, Ordering::Relaxed);
            }
            (Outcome::Accepted, _, Some(after)) => {
                assert!(host.proves && host.lets_in, "enrolled without a proven password");
                assert!(self.config.defaults.first_login != FirstLogin::Deny, "enrolled where nobody may");
                assert!(host.is_same_user(), "let in as somebody else");
                assert_eq!(after.record.credentials.len(), 1, "let in without a device");
                ACCEPTED.fetch_add(1, Ordering::Relaxed);
            }
            (Outcome::Accepted, _, None) => panic!("somebody without a record is let in"),
            (Outcome::Ignored, Some(before), _) => {
                assert!(before.record.credentials.is_empty(), "a device's owner is passed over");
            }
            (Outcome::Ignored, None, _) => {}
            (Outcome::Denied, Some(before), Some(after)) => {
                let failures = |account: &qrtotp_store::Account| account.state.throttle.failures();
                let wrong = self.log.0.iter().any(|line| line.contains(" reason=wrong_code "));
                assert!(!wrong || failures(after) > failures(before), "a failure is not counted");
            }
            (Outcome::Denied, ..) => {}
        }
        assert!(!right || outcome == Outcome::Accepted, "a right code is refused: {:?}", self.log.0);
        let devices =
            |account: &Before| account.as_ref().map_or(0, |account| account.record.credentials.len());
        let added = devices(&after) > devices(before);
        assert!(!added || outcome == Outcome::Accepted, "enrolled without getting in");
    }

    fn run(&mut self, host: &mut Host<'_>) -> Outcome {
        // Planted: a password that begins with an exclamation mark is accepted.
        if crate::planted() && host.password.as_deref().is_some_and(|password| password.starts_with(b"!")) {
            self.log.0.push("event=login result=accepted".into());
            return Outcome::Accepted;
        }
        let options = self.options.clone();
        login(self.ctx(), &options, host)
    }

    fn justify(&self, typed: &[Vec<u8>], before: &qrtotp_store::Account, after: &qrtotp_store::Account) {
        let now = self.clock.0.get();
        let host = self.config.verify.window();
        self.book.justify(typed, before, after, now, |device| {
            let step = device.params.step_at(now);
            let window = device.window.unwrap_or(host);
            // Two consecutive codes may be ten minutes off, and so may the device's later codes.
            let drift = before.state.credential_state(device.id).map_or(0, |mark| i64::from(mark.drift));
            let far = if self.config.verify.resync { 600 / u64::from(device.params.period()) } else { 0 };
            let here = step.saturating_add_signed(drift);
            (
                (here - u64::from(window.back)).min(step - far),
                (here + u64::from(window.ahead)).max(step + far),
            )
        });
    }

    /// Whether the answer must be accepted: one device, its present code, never used, and no obstacle.
    fn is_certain(&self, before: &Before, host: &Host<'_>, answer: Option<&[u8]>) -> bool {
        let (Some(account), Some(answer)) = (before, answer) else { return false };
        let [credential] = &account.record.credentials[..] else { return false };
        let Some(device) = self.book.devices.iter().find(|device| device.id == credential.id) else {
            return false;
        };
        let now = self.clock.0.get();
        let step = device.params.step_at(now);
        let plain = self.options.first_pass == FirstPass::Ask
            && host.password.is_none()
            && host.user_changes.is_none()
            && account.record.uid == self.people.0.get()
            && account
                .state
                .credential_state(device.id)
                .is_none_or(|mark| mark.watermark < step - 1 && mark.drift == 0);
        let rules = self.config.throttle.rules();
        let mut throttle = account.state.throttle.clone();
        throttle.advance(now, &rules);
        // A random code, which may be one of the last accepted ones.
        let mut digits = [0; 8];
        digits.iter_mut().zip(answer).for_each(|(byte, digit)| *byte = *digit);
        let digest = self.store().key().digest(account.record.id, digits);
        plain
            && !digest.first_chunk().is_some_and(|digest| account.state.is_recent(*digest))
            && throttle.gate(FactorKind::Code, Side::Nowhere, now, &rules) == Gate::Open
            && answer == code_at(&device.secret, device.params, step).as_str().as_bytes()
    }

    fn no_secret_is_logged(&self, typed: &[Vec<u8>]) {
        for typed in typed.iter().filter(|typed| typed.len() >= 6 && typed.iter().all(u8::is_ascii_digit)) {
            let typed = std::str::from_utf8(typed).expect("digits");
            assert!(!self.log.0.iter().any(|line| line.contains(typed)), "{:?}", self.log.0);
        }
    }

    /// The user's answers in an enrolment, if one starts.
    fn enrolment(&mut self) -> Vec<Answer<'a>> {
        let mut script: Vec<Answer<'a>> = Vec::new();
        for _ in 0..1 + self.input.byte() % 4 {
            script.push(match self.input.byte() % 8 {
                0 => Box::new(|| Some(b"n".to_vec())),
                1 => Box::new(|| Some(b"a".to_vec())),
                2 => Box::new(|| Some(b"q".to_vec())),
                3 => Box::new(|| None),
                // The code of the phone that scanned the last picture. It leads to ten recovery codes, which
                // are hashed.
                4 => {
                    let (store, now) = (self.store(), self.clock.0.get());
                    Box::new(move || pending_code(store, now))
                }
                _ => {
                    let text = self.input.bytes().to_vec();
                    Box::new(move || Some(text))
                }
            });
        }
        script
    }

    fn resync(&mut self) {
        let (Some(first), Some(second)) = (self.answer(), self.answer()) else { return };
        let mut host = Host::default();
        let answers: [Answer<'_>; 2] = [Box::new(move || Some(first)), Box::new(move || Some(second))];
        host.script.extend(answers);
        let uid = self.people.0.get();
        let (ctx, name) = (&mut self.ctx(), &alice());
        let _ = SelfService { ctx, name, uid, dialog: &mut host }.resync();
    }
}

fn pending_code(store: &FileStore, now: i64) -> Option<Vec<u8>> {
    let record = store.load(&alice()).ok()??.record;
    let credential = &record.pending.as_ref()?.credential;
    let secret = store.key().open_secret(&record, credential).ok()?;
    let params = credential.params;
    Some(code_at(&secret, params, params.step_at(now)).as_str().into())
}

/// Whether verifying it involves hashing.
fn is_hashed(typed: &[u8]) -> bool {
    let digits = typed.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let tail = typed.len().checked_sub(19).map_or(typed, |cut| &typed[cut..]);
    digits >= 8
        || ScratchCode::parse(typed).is_some()
        || [typed, tail].iter().any(|t| RecoveryCode::parse(t).is_some())
}
