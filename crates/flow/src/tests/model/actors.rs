//! The processes that meet at one account, played by the real flows.

use super::store::{Disk, Fault, Op, Replay, Seen, Shelf};
use super::*;
use crate::answer::Answer;
use crate::answer_place::AnswerPlace;
use crate::refusal::Refusal;
use crate::verification::{Rules, Verification};
use crate::verify::verify_and_record;
use qrtotp_account::{Credential, CredentialId, Origin, Pending, Record, RecoveryCode, hash_code};
use qrtotp_account::{RecordId, RecoverySet, SetId, SetKind, State, Token, TokenId, TokenState};
use qrtotp_otp::Step;
use qrtotp_store::{Account, SealKey};
use std::cell::RefCell;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Actor {
    /// Logs in with the code that many steps after the present one.
    Login(u64),
    /// The same from a network.
    LoginAbroad(u64),
    /// Logs in with a wrong code.
    Wrong,
    /// The same from a network.
    Guess,
    /// Logs in with the one recovery code.
    Recovery,
    /// Revokes the device.
    Revoke,
    /// Confirms the pending QR code.
    Enroll,
    /// Revokes the token.
    RevokeToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ActorResult {
    Accepted,
    /// Counted.
    Wrong,
    Replayed,
    Refused,
    Revoked,
    Enrolled,
}

pub(super) enum Played {
    Next(Op),
    Done(ActorResult),
}

/// One account with a device, another one waiting for its first code, a token and a recovery code.
pub(super) struct Fixture {
    pub key: SealKey,
    pub shelf: Shelf,
    pub config: Config,
    pub first: CredentialId,
    pub second: CredentialId,
    pub set: SetId,
    secrets: [Secret; 2],
    recovery: &'static str,
    clock: FakeClock,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let secrets = [1_u8, 2].map(|n| {
            Secret::from_bytes(&std::array::from_fn::<u8, 20, _>(|i| n + i as u8 * 3), Strength::Normal)
                .unwrap()
        });
        let mut config = Config::default();
        config.defaults.first_login = qrtotp_policy::FirstLogin::Token;
        Self {
            key: SealKey::generate().unwrap().0,
            shelf: Shelf::default(),
            config,
            first: CredentialId::from_random([1; 6]),
            second: CredentialId::from_random([2; 6]),
            set: SetId::from_random([4; 6]),
            secrets,
            recovery: "ABCD-EFGH-JKMN-PQRS",
            clock: FakeClock(Cell::new(START)),
        }
    }

    fn credential(&self, record: &Record, id: CredentialId, secret: &Secret) -> Credential {
        let params = Params::default();
        let sealed = self.key.seal_secret(record, id, params, secret).unwrap();
        Credential {
            id,
            label: Label::default(),
            params,
            created: START,
            origin: Origin::Enrolled,
            window: None,
            sealed,
        }
    }

    fn fresh(&self) -> Record {
        Record::new(World::name(), UID, RecordId([9; 16]))
    }

    /// Enrolled, with one device and one recovery code.
    pub(super) fn enrolled(&self) -> Disk {
        let mut record = self.fresh();
        record.credentials.push(self.credential(&record, self.first, &self.secrets[0]));
        let code = RecoveryCode::parse(self.recovery.as_bytes()).unwrap();
        let hashes = vec![hash_code(&code, &[7; 16]).unwrap()];
        let set = RecoverySet { id: self.set, kind: SetKind::Ours, created: START, salt: [7; 16], hashes };
        record.recovery = Some(set);
        self.shelf.put(&Account { state: State::new(record.id), record })
    }

    /// No device yet: a QR code was shown for a token.
    pub(super) fn invited(&self) -> Disk {
        let mut record = self.fresh();
        let token = TokenId::from_random([5; 6]);
        record.pending = Some(Pending {
            credential: self.credential(&record, self.second, &self.secrets[1]),
            token,
            guesses: 0,
        });
        record.token = Some(Token {
            id: token,
            issued: START,
            expires: START + 1000,
            shows: 1,
            max_shows: 3,
            state: TokenState::Shown(START),
            issued_by: Some("root".into()),
            binding: None,
            keys: Vec::new(),
        });
        self.shelf.put(&Account { state: State::new(record.id), record })
    }

    pub(super) fn present(&self) -> Step {
        Params::default().step_at(START)
    }

    fn code(&self, which: usize, ahead: u64) -> String {
        code_at(&self.secrets[which], Params::default(), self.present() + ahead).as_str().to_owned()
    }

    /// Plays `actor` as far as the reads in `seen` allow.
    pub(super) fn play(&self, actor: Actor, fault: Fault, seen: &[Seen]) -> Played {
        let finished = Cell::new(false);
        let store = Replay {
            key: &self.key,
            shelf: &self.shelf,
            fault,
            seen: RefCell::new(seen.iter().copied().collect()),
            next: RefCell::new(None),
            finished: &finished,
        };
        let answer = match actor {
            Actor::Login(ahead) => self.login(&store, AnswerPlace::OWN, self.code(0, ahead).as_bytes()),
            Actor::LoginAbroad(ahead) => self.login(&store, abroad(), self.code(0, ahead).as_bytes()),
            Actor::Wrong => self.login(&store, AnswerPlace::OWN, b"0000000"),
            Actor::Guess => self.login(&store, abroad(), b"0000000"),
            Actor::Recovery => self.login(&store, AnswerPlace::OWN, self.recovery.as_bytes()),
            Actor::Revoke => {
                let gone = revoke(&mut self.ctx(&store, &mut Log::default()), &World::name(), Selection::All);
                if gone.is_ok() { ActorResult::Revoked } else { ActorResult::Refused }
            }
            Actor::RevokeToken => {
                let gone = revoke_token(&mut self.ctx(&store, &mut Log::default()), &World::name());
                if gone.is_ok() { ActorResult::Revoked } else { ActorResult::Refused }
            }
            Actor::Enroll => self.enroll(&store, &finished),
        };
        match store.next.into_inner() {
            Some(op) => Played::Next(op),
            None => Played::Done(answer),
        }
    }

    fn ctx<'c>(&'c self, store: &'c Replay<'_>, audit: &'c mut dyn AuditSink) -> Ctx<'c> {
        let (directory, clock) = (&HostDirectory, &self.clock);
        Ctx { config: &self.config, store, directory, clock, audit, subject: World::subject("alice") }
    }

    fn login(&self, store: &Replay<'_>, answer_place: AnswerPlace, typed: &[u8]) -> ActorResult {
        let mut log = Log::default();
        let ctx = self.ctx(store, &mut log);
        let window = qrtotp_otp::Window { back: 1, ahead: 2 };
        let rules = Rules { window, ..Rules::of(&ctx, UID, qrtotp_audit::Kind::Login, answer_place) };
        match verify_and_record(store, &World::name(), &rules, &Answer::code(typed))
            .map(|recorded| recorded.verification)
        {
            Ok(Verification::Accepted { .. }) => ActorResult::Accepted,
            Ok(Verification::Refused { why: Refusal::WrongCode, .. }) => ActorResult::Wrong,
            Ok(Verification::Refused { why: Refusal::Replayed, .. }) => ActorResult::Replayed,
            Ok(Verification::Refused { .. }) | Err(_) => ActorResult::Refused,
        }
    }

    fn enroll(&self, store: &Replay<'_>, finished: &Cell<bool>) -> ActorResult {
        let (name, label, authority) = (World::name(), Label::default(), Authority::PrimaryFactor);
        let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host: "host" };
        let mut human = Human::says([say(&self.code(1, 0))]);
        let mut log = UntilConfirmed(finished);
        let enrolled = super::enroll(&mut self.ctx(store, &mut log), &mut human, request);
        if enrolled.is_ok() { ActorResult::Enrolled } else { ActorResult::Refused }
    }
}

/// Stops before the recovery codes, which are tested elsewhere.
struct UntilConfirmed<'a>(&'a Cell<bool>);

impl AuditSink for UntilConfirmed<'_> {
    fn record(&mut self, entry: &Entry<'_>) {
        if entry.kind() == qrtotp_audit::Kind::EnrollmentConfirmed {
            self.0.set(true);
        }
    }
    fn debug(&mut self, _: &str) {}
}

/// A place other than the account's own processes.
fn abroad() -> AnswerPlace {
    let subject = Subject { rhost: "203.0.113.9".into(), ..World::subject("alice") };
    AnswerPlace::with(None, &subject, &Human::default(), false)
}
