//! The flows of a single host, unchanged, on the fleet's store: logins and recovery codes through attempts.

use crate::accounts::{Fleet, host, host_id, key_text, name, options};
use crate::memory::{Fate, Memory};
use qrtotp_account::{Decision, Label};
use qrtotp_audit::{AuditSink, Entry, Subject};
use qrtotp_clock::{Clock, Deadline};
use qrtotp_fleet::{AnswerDigest, Asked, AttemptId, Engine, FleetStore, Op, Options, Ring, Txn};
use qrtotp_flow::Options as Arguments;
use qrtotp_flow::{
    Ctx, Dialog, Directory, Echo, Import, LoginHost, LookupError, NoAnswer, Outcome, Person, Typed, import,
    login,
};
use qrtotp_otp::{Params, Secret, code_at};
use qrtotp_policy::Config;
use qrtotp_store::{SealKey, Store};
use qrtotp_values::UnixTime;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const NOW: UnixTime = 1_790_000_010;

struct Now;

impl Clock for Now {
    fn now(&self) -> UnixTime {
        NOW
    }
}

/// Every user exists.
struct People;

impl Directory for People {
    fn find(&self, typed: &str) -> Result<Option<Person>, LookupError> {
        Ok(Some(Person { name: typed.to_owned(), uid: 1000 }))
    }
}

#[derive(Default)]
struct Log(Vec<String>);

impl AuditSink for Log {
    fn record(&mut self, entry: &Entry<'_>) {
        self.0.push(entry.line());
    }
    fn debug(&mut self, _: &str) {}
}

/// An answer that is here already.
struct Answered(Option<Typed>);

impl Dialog for Answered {
    fn show_text(&mut self, _: &str) {}
    fn ask_text(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        self.0.take().ok_or(NoAnswer)
    }
    fn wait(&mut self, _: Duration) {}
}

impl LoginHost for Answered {
    fn is_same_user(&self) -> bool {
        true
    }
    fn password(&mut self) -> Option<Typed> {
        None
    }
    fn forward_password(&mut self, _: &[u8]) -> Result<(), NoAnswer> {
        Err(NoAnswer)
    }
    fn withhold_password(&mut self) {}
}

/// A verifier's answer: the flow's outcome, the decision that may be signed, and the events.
#[derive(Debug)]
pub struct Verified {
    outcome: Outcome,
    pub decision: Option<Decision>,
    was_decided_before: bool,
    log: Vec<String>,
}

pub fn with<T>(store: &dyn Store, user: &str, run: impl FnOnce(Ctx<'_>) -> T) -> (T, Vec<String>) {
    let (config, mut log) = (Config::default(), Log::default());
    let subject = Subject { user: user.to_owned(), service: "sshd".to_owned(), ..Subject::default() };
    let ctx = Ctx { config: &config, store, directory: &People, clock: &Now, audit: &mut log, subject };
    (run(ctx), log.0)
}

pub fn verify(store: &FleetStore, at: &str, attempt: AttemptId, user: &str, typed: &str) -> Verified {
    let asked =
        Asked { attempt, host: host_id(&host(at)), answer: AnswerDigest::of(attempt, typed.as_bytes()) };
    let access = store.attempt(asked, Deadline::after(Duration::from_secs(3)));
    let mut answered = Answered(Some(Typed::new(typed.as_bytes().to_vec())));
    let (outcome, log) = with(&access, user, |ctx| login(ctx, &Arguments::default(), &mut answered));
    let was_decided_before = access.was_decided_before();
    Verified { outcome, decision: access.decision(), was_decided_before, log }
}

struct World {
    memory: Arc<Memory>,
    fleet: Fleet,
    secret: Secret,
}

impl World {
    /// Two verifiers, and alice with a device.
    fn new() -> Self {
        let memory = Arc::new(Memory::default());
        let engines = [0, 1].map(|_| Arc::clone(&memory) as Arc<dyn Engine>);
        let fleet = Fleet::create(&engines, &["h1", "h2"]);
        let secret = Secret::generate().unwrap();
        let (alice, label) = (name("alice"), Label::new("phone"));
        let device =
            Import { used: Some(0), ..Import::new(&alice, 1000, &label, &secret, Params::default()) };
        with(&fleet.verifiers[0].admin(), "alice", |mut ctx| import(&mut ctx, &[device]).unwrap());
        Self { memory, fleet, secret }
    }

    fn code(&self, steps: i64) -> String {
        let step = Params::default().step_at(NOW).saturating_add_signed(steps);
        code_at(&self.secret, Params::default(), step).as_str().to_owned()
    }

    fn at(&self, verifier: usize, at: &str, attempt: AttemptId, typed: &str) -> Verified {
        verify(&self.fleet.verifiers[verifier], at, attempt, "alice", typed)
    }
}

fn id() -> AttemptId {
    AttemptId::generate().unwrap()
}

#[test]
fn a_login_is_accepted_once_in_the_fleet_and_its_event_is_chained() {
    let world = World::new();
    let first = world.at(0, "h1", id(), &world.code(0));
    assert_eq!((first.outcome, first.decision), (Outcome::Accepted, Some(Decision::Accepted)));
    assert!(
        first.log.iter().any(|line| line.contains("result=accepted") && line.contains("chain=")),
        "{first:?}"
    );
    let second = world.at(1, "h2", id(), &world.code(0));
    assert_eq!(second.outcome, Outcome::Denied);
    assert_ne!(second.decision, Some(Decision::Accepted));
    let lines = world.fleet.verifiers[1].admin().audit_lines(&name("alice")).unwrap();
    assert!(lines.iter().any(|line| line.contains("event=login result=accepted")), "{lines:?}");
}

#[test]
fn a_wrong_code_is_refused_and_counted_in_the_fleet() {
    let world = World::new();
    let wrong = world.at(0, "h1", id(), "000000");
    assert_eq!((wrong.outcome, wrong.decision), (Outcome::Denied, Some(Decision::Refused)));
    let account = world.fleet.verifiers[1].admin().load(&name("alice")).unwrap().unwrap();
    assert_eq!(account.state.throttle.failures(), 1);
}

#[test]
fn a_login_that_is_asked_again_gets_the_first_decision_and_no_second_event() {
    let world = World::new();
    for typed in [world.code(0), "000000".to_owned()] {
        let attempt = id();
        let first = world.at(0, "h1", attempt, &typed);
        let again = world.at(1, "h1", attempt, &typed);
        assert_eq!(again.decision, first.decision);
        assert!(again.was_decided_before && !first.was_decided_before);
        assert_eq!(again.outcome, Outcome::Denied, "the flow itself accepts nothing a second time");
    }
}

#[test]
fn a_login_whose_answer_from_etcd_is_lost_is_accepted_if_it_was_carried_out() {
    let world = World::new();
    for (steps, fate) in [(-1, Fate::DoneAndLost), (0, Fate::Lost)] {
        *world.memory.next_write.lock().unwrap() = fate;
        let verdict = world.at(0, "h1", id(), &world.code(steps));
        assert_eq!(
            (verdict.outcome, verdict.decision),
            (Outcome::Accepted, Some(Decision::Accepted)),
            "{fate:?}"
        );
    }
}

/// A verifier with a new fleet key beside the old one, or without it.
fn with_new_key(world: &World, new: &str, has_old: bool, directory: &tempfile::TempDir) -> FleetStore {
    let key = |text: &str| SealKey::parse(text.as_bytes()).unwrap();
    let older = if has_old { vec![key(&world.fleet.key)] } else { Vec::new() };
    let options = Options { ring: Ring::new(key(new), older), ..options(new, "v5", directory.path()) };
    FleetStore::open(Arc::clone(&world.memory) as Arc<dyn Engine>, options).unwrap()
}

#[test]
fn under_a_new_fleet_key_logins_go_on_and_once_all_is_sealed_anew_the_old_key_can_go() {
    let (world, new, directory) = (World::new(), key_text(), tempfile::tempdir().unwrap());
    let both = with_new_key(&world, &new, true, &directory);
    let verdict = verify(&both, "h1", id(), "alice", &world.code(-1));
    assert_eq!(verdict.decision, Some(Decision::Accepted), "of a record under the old key");
    assert!(both.set_groups(&name("alice"), &["web".to_owned()]).unwrap());
    let admin = both.admin();
    let record = admin.load(&name("alice")).unwrap().unwrap().record;
    assert!(admin.key().open_secret(&record, &record.credentials[0]).is_ok(), "sealed anew with its groups");
    let mut after = String::new();
    while let Some(next) = both.renew(&after).unwrap() {
        after = next;
    }
    let directory = tempfile::tempdir().unwrap();
    let alone = with_new_key(&world, &new, false, &directory);
    let verdict = verify(&alone, "h2", id(), "alice", &world.code(0));
    assert_eq!(verdict.decision, Some(Decision::Accepted), "without the old key: {:?}", verdict.log);
}

#[test]
fn a_journal_from_before_a_new_fleet_key_is_merged_and_its_secrets_open() {
    let (world, new, directory) = (World::new(), key_text(), tempfile::tempdir().unwrap());
    let both = with_new_key(&world, &new, true, &directory);
    let journal = world.fleet.verifiers[0].journal().to_owned();
    let keys = ["/qrtotp/1/a/alice/r", "/qrtotp/1/a/alice/s"].map(str::to_owned);
    let lost = Txn { then: keys.map(Op::Delete).to_vec(), ..Txn::default() };
    world.memory.transact(&lost, Duration::ZERO).unwrap();
    assert_eq!(both.accept_restore(0, &[journal]).unwrap().applied.len(), 2);
    let verdict = verify(&both, "h1", id(), "alice", &world.code(0));
    assert_eq!(verdict.decision, Some(Decision::Accepted), "{:?}", verdict.log);
}

#[test]
fn nobody_is_told_apart_by_the_number_of_requests() {
    let world = World::new();
    let requests = |user: &str, typed: &str| {
        let before = world.memory.requests.load(SeqCst);
        let verdict = verify(&world.fleet.verifiers[0], "h1", id(), user, typed);
        assert_eq!(verdict.outcome, Outcome::Denied);
        world.memory.requests.load(SeqCst) - before
    };
    for typed in ["000000", "ABCDE-FGHJK-MNPQR-S"] {
        let [enrolled, unknown] = ["alice", "nobody"].map(|user| requests(user, typed));
        assert_eq!(enrolled, unknown, "{typed}");
    }
    (0..8).for_each(|_| assert!(requests("alice", "000000") > 0));
    let throttled = verify(&world.fleet.verifiers[0], "h1", id(), "alice", "000000");
    assert!(throttled.log[0].contains("reason=throttled"), "{throttled:?}");
    assert_eq!(requests("alice", "000000"), requests("nobody", "000000"), "throttled");
}
