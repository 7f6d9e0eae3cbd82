//! Every order in which the steps of all actors can come, with every kill of one of them and every power cut.
//! States that were reached before are not explored twice.

use super::actors::{Actor, ActorResult, Fixture, Played};
use super::store::{Disk, Fault, Op, Seen};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Play {
    seen: Vec<Seen>,
    answer: Option<ActorResult>,
    dead: bool,
}

impl Play {
    fn is_over(&self) -> bool {
        self.dead || self.answer.is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    /// The contents that every process reads.
    cache: Disk,
    /// The contents after a power cut.
    durable: Disk,
    lock: Option<usize>,
    plays: Vec<Play>,
    /// The results in order, each with its actor. Actors that begin later come after it.
    answered: Vec<(usize, ActorResult)>,
    /// How many results there were when each actor began.
    began: Vec<Option<usize>>,
    kills: u8,
    cuts: u8,
}

impl Moment {
    pub(super) fn answered(&self) -> &[(usize, ActorResult)] {
        &self.answered
    }

    pub(super) fn durable(&self) -> Disk {
        self.durable
    }

    pub(super) fn cache(&self) -> Disk {
        self.cache
    }

    /// Whether `later` began after `earlier` had its result.
    pub(super) fn follows(&self, later: usize, earlier: usize) -> bool {
        let answered = self.answered.iter().position(|(who, _)| *who == earlier);
        matches!((self.began[later], answered), (Some(began), Some(answered)) if answered < began)
    }
}

pub(super) struct Model<'a> {
    pub fixture: &'a Fixture,
    pub fault: Fault,
    /// The last one starts when all others are done or killed.
    pub actors: Vec<Actor>,
    /// The invariant, of a moment and of the step from the one before it.
    pub holds: &'a dyn Fn(&Moment, &Moment) -> Result<(), String>,
}

/// The number of moments explored, and the first violation.
pub(super) struct Explored {
    pub moments: usize,
    pub broken: Option<String>,
}

impl Model<'_> {
    pub(super) fn explore(&self, start: Disk) -> Explored {
        let count = self.actors.len();
        let first = Moment {
            cache: start,
            durable: start,
            lock: None,
            plays: vec![Play::default(); count],
            answered: Vec::new(),
            began: vec![None; count],
            kills: 1,
            cuts: 1,
        };
        let mut played = HashMap::new();
        // By 128 bits of hash, which no two of 100 million moments share but once in 10^22 runs.
        let hashers = [RandomState::new(), RandomState::new()];
        let hash = |moment: &Moment| hashers.each_ref().map(|hasher| hasher.hash_one(moment));
        let mut known = HashSet::from([hash(&first)]);
        let mut todo = vec![first];
        while let Some(moment) = todo.pop() {
            for next in self.successors(&moment, &mut played) {
                let new = known.insert(hash(&next));
                // An invariant of a single moment is checked once. Only invariants on values that must not
                // fall depend on the moment before.
                if (new || next.durable != moment.durable)
                    && let Err(broken) = (self.holds)(&moment, &next)
                {
                    return Explored { moments: known.len(), broken: Some(broken) };
                }
                if new {
                    todo.push(next);
                }
            }
        }
        Explored { moments: known.len(), broken: None }
    }

    fn successors(&self, moment: &Moment, played: &mut Memory) -> Vec<Moment> {
        let mut found = Vec::new();
        let last = moment.plays.len() - 1;
        let others_are_over = moment.plays[..last].iter().all(Play::is_over);
        for who in 0..=last {
            if moment.plays[who].is_over() || (who == last && !others_are_over) {
                continue;
            }
            found.extend(self.step(moment, who, played));
            if moment.kills > 0 && !moment.plays[who].seen.is_empty() {
                let mut next = moment.clone();
                next.kills -= 1;
                next.plays[who].dead = true;
                next.lock = next.lock.filter(|holder| *holder != who);
                found.push(next);
            }
        }
        if moment.cuts > 0 {
            found.extend(power_cuts(moment, others_are_over));
        }
        found
    }

    /// The next operation of `who`, if it need not wait.
    fn step(&self, moment: &Moment, who: usize, played: &mut Memory) -> Option<Moment> {
        let play = &moment.plays[who];
        let step = played.entry((self.actors[who], play.seen.clone())).or_insert_with(|| {
            match self.fixture.play(self.actors[who], self.fault, &play.seen) {
                Played::Next(op) => Ok(op),
                Played::Done(answer) => Err(answer),
            }
        });
        let mut next = moment.clone();
        next.began[who].get_or_insert(moment.answered.len());
        match *step {
            Err(answer) => {
                next.answered.push((who, answer));
                next.plays[who] = Play { answer: Some(answer), ..Play::default() };
            }
            Ok(op) => {
                let locked = self.fault != Fault::NoLock;
                if op == Op::Lock && locked && moment.lock.is_some() {
                    return None;
                }
                let mut seen = None;
                match op {
                    Op::Look => seen = Some(moment.cache),
                    Op::Lock => {
                        seen = Some(moment.cache);
                        next.lock = Some(who).filter(|_| locked);
                    }
                    Op::WriteState(state) => next.cache.state = state,
                    Op::SyncState => next.durable.state = next.cache.state,
                    Op::WriteBeside(record) => next.cache.beside = Some(record),
                    Op::Rename => {
                        next.cache.record = next.cache.beside.take().expect("a record to rename");
                    }
                    Op::SyncBeside | Op::SyncDirectory => keep_directory(&mut next.durable, next.cache),
                    Op::Unlock => next.lock = None,
                }
                next.plays[who].seen.push(seen);
            }
        }
        Some(next)
    }
}

/// Each actor's next operation, by its reads so far. Apart from nonces the flows are pure, so each runs once.
type Memory = HashMap<(Actor, Vec<Seen>), Result<Op, ActorResult>>;

/// A renaming is kept as a whole: no record has two names, or none.
fn keep_directory(durable: &mut Disk, cache: Disk) {
    (durable.record, durable.beside) = (cache.record, cache.beside);
}

/// A power cut: running processes end, and each unsynced file has its old or its new contents.
fn power_cuts(moment: &Moment, last_is_at_work: bool) -> Vec<Moment> {
    let mut found = Vec::new();
    for (state_kept, directory_kept) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut next = moment.clone();
        next.cuts -= 1;
        next.lock = None;
        if state_kept {
            next.durable.state = moment.cache.state;
        }
        if directory_kept {
            keep_directory(&mut next.durable, moment.cache);
        }
        next.cache = next.durable;
        let last = next.plays.len() - 1;
        for (who, play) in next.plays.iter_mut().enumerate() {
            if !play.is_over() && (who < last || (last_is_at_work && !play.seen.is_empty())) {
                *play = Play { dead: true, ..Play::default() };
            }
        }
        found.push(next);
    }
    found
}
