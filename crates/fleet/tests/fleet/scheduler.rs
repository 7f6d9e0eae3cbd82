//! Every order of the requests of several actors, and every fate of each: carried out now, later or never,
//! its answer told or lost.

use crate::memory::Data;
use qrtotp_fleet::{Engine, EngineError, Op, Page, Reply, Txn};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

thread_local! {
    /// The actor of this thread; none: its requests are carried out at once.
    static ACTOR: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The fate of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    AttemptResult,
    /// It may be carried out later, or never. At once, with the answer lost, is one case of later.
    Later,
}

/// A fault of the product that a test plants, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    Nothing,
    /// Compares without the keys that end so, or begin so.
    WithoutCompare(&'static str),
    /// Reads may be as old as the run.
    StaleReads,
    /// An unclear error is taken for a refusal before anything was sent.
    UnclearIsNotSent,
}

#[derive(Clone, Default)]
struct Waiting {
    txn: Option<Txn>,
    reply: Option<Result<Reply, EngineError>>,
    is_done: bool,
}

struct World {
    data: Data,
    start: Data,
    actors: Vec<Waiting>,
    /// Requests that may still be carried out, with their actors.
    later: Vec<(usize, Txn)>,
    /// Carried out writes, in order: the actor and the keys.
    log: Vec<(usize, Vec<String>)>,
}

/// The engine of all verifiers.
pub struct Scheduled {
    world: Mutex<World>,
    changed: Condvar,
    planted: Planted,
}

impl Scheduled {
    pub fn new(planted: Planted) -> Arc<Self> {
        let (data, start) = (Data::default(), Data::default());
        let world = World { data, start, actors: Vec::new(), later: Vec::new(), log: Vec::new() };
        Arc::new(Self { world: Mutex::new(world), changed: Condvar::new(), planted })
    }

    /// Keeps the values as they are for [`Scheduled::put_back`].
    pub fn keep(&self) {
        let mut world = self.world.lock().unwrap();
        world.start = world.data.clone();
    }

    /// Writes the kept values again, under new revisions: time does not run backwards.
    pub fn put_back(&self) {
        let mut world = self.world.lock().unwrap();
        let start = world.start.clone();
        world.data.write_again(&start);
    }

    fn planted_in(&self, txn: &Txn) -> Txn {
        let mut txn = txn.clone();
        if let Planted::WithoutCompare(part) = self.planted {
            txn.compare.retain(|(key, _)| !key.ends_with(part) && !key.contains(part));
        }
        txn
    }

    fn is_all_waiting(world: &World) -> bool {
        world.actors.iter().all(|actor| actor.is_done || (actor.txn.is_some() && actor.reply.is_none()))
    }

    /// Runs the actors in the order that `choices` gives; 0 where it ends. Returns how many choices there
    /// were at each point, and what was carried out.
    pub fn run(&self, actors: &[&(dyn Fn() + Sync)], faults: usize, choices: &[usize]) -> (Vec<usize>, Log) {
        {
            let mut world = self.world.lock().unwrap();
            world.actors = vec![Waiting::default(); actors.len()];
            (world.later, world.log) = (Vec::new(), Vec::new());
        }
        let mut counts = Vec::new();
        std::thread::scope(|scope| {
            for (number, actor) in actors.iter().enumerate() {
                scope.spawn(move || {
                    ACTOR.set(Some(number));
                    actor();
                    self.world.lock().unwrap().actors[number].is_done = true;
                    self.changed.notify_all();
                });
            }
            self.schedule(faults, choices, &mut counts);
        });
        let world = self.world.lock().unwrap();
        (counts, Log(world.log.clone()))
    }

    fn schedule(&self, mut faults: usize, choices: &[usize], counts: &mut Vec<usize>) {
        let mut last_read = None;
        loop {
            let mut world = self.world.lock().unwrap();
            while !Self::is_all_waiting(&world) {
                world = self.changed.wait(world).unwrap();
            }
            if world.actors.iter().all(|actor| actor.is_done) {
                return;
            }
            let options = options(&world, faults, last_read);
            let chosen = choices.get(counts.len()).copied().unwrap_or(0);
            counts.push(options.len());
            last_read = match options[chosen] {
                Step::Answer(actor, _) if is_read(&world, actor) => Some(actor),
                _ => None,
            };
            match options[chosen] {
                Step::Answer(actor, fate) => {
                    faults -= usize::from(fate != Fate::AttemptResult);
                    self.answer(&mut world, actor, fate);
                }
                Step::Late(number) => {
                    let (actor, txn) = world.later.remove(number);
                    carry_out(&mut world, actor, &txn);
                }
            }
            drop(world);
            self.changed.notify_all();
        }
    }

    fn answer(&self, world: &mut World, actor: usize, fate: Fate) {
        let txn = world.actors[actor].txn.clone().unwrap();
        let unknown = EngineError::Unknown("no answer".to_owned());
        let reply = match fate {
            Fate::AttemptResult if txn.compare.is_empty() && self.planted == Planted::StaleReads => {
                Ok(Reply { revision: world.data.revision, ..world.start.clone().apply(&txn) }) // as before the run
            }
            Fate::AttemptResult => Ok(carry_out(world, actor, &txn)),
            Fate::Later => {
                world.later.push((actor, txn));
                Err(unknown)
            }
        };
        world.actors[actor].reply = Some(match reply {
            Err(EngineError::Unknown(why)) if self.planted == Planted::UnclearIsNotSent => {
                Err(EngineError::NotSent(why))
            }
            other => other,
        });
    }
}

#[derive(Clone, Copy)]
enum Step {
    Answer(usize, Fate),
    Late(usize),
}

fn is_read(world: &World, actor: usize) -> bool {
    world.actors[actor].txn.as_ref().is_some_and(|txn| txn.compare.is_empty())
}

/// The possible next steps. Two reads, one after the other, are tried in one order only: neither changes
/// anything.
fn options(world: &World, faults: usize, last_read: Option<usize>) -> Vec<Step> {
    let mut options = Vec::new();
    for (number, actor) in world.actors.iter().enumerate() {
        let Some(txn) = &actor.txn else { continue };
        if is_read(world, number) && last_read.is_some_and(|last| number < last) {
            continue;
        }
        options.push(Step::Answer(number, Fate::AttemptResult));
        if faults > 0 && !txn.compare.is_empty() {
            options.push(Step::Answer(number, Fate::Later));
        }
    }
    options.extend((0..world.later.len()).map(Step::Late));
    if options.is_empty() { self::options(world, faults, None) } else { options }
}

fn carry_out(world: &mut World, actor: usize, txn: &Txn) -> Reply {
    let reply = world.data.apply(txn);
    let ops = if reply.equal { &txn.then } else { &txn.otherwise };
    let key = |op: &Op| match op {
        Op::Put(key, _) | Op::Delete(key) => Some(key.clone()),
        Op::Get(_) => None,
    };
    let keys: Vec<String> = ops.iter().filter_map(key).collect();
    if !keys.is_empty() {
        world.log.push((actor, keys));
    }
    reply
}

impl Engine for Scheduled {
    fn transact(&self, txn: &Txn, _: Duration) -> Result<Reply, EngineError> {
        let txn = self.planted_in(txn);
        let mut world = self.world.lock().unwrap();
        let Some(actor) = ACTOR.get() else { return Ok(world.data.apply(&txn)) };
        world.actors[actor].txn = Some(txn);
        self.changed.notify_all();
        loop {
            if let Some(reply) = world.actors[actor].reply.take() {
                world.actors[actor].txn = None;
                return reply;
            }
            world = self.changed.wait(world).unwrap();
        }
    }

    fn list(&self, prefix: &str, after: &str, most: u32, _: Duration) -> Result<Page, EngineError> {
        Ok(self.world.lock().unwrap().data.list(prefix, after, most))
    }
}

/// The writes of a run.
pub struct Log(Vec<(usize, Vec<String>)>);

impl Log {
    /// The place of an actor's first write of a key that ends so.
    pub fn wrote(&self, actor: usize, ending: &str) -> Option<usize> {
        self.0.iter().position(|(by, keys)| *by == actor && keys.iter().any(|key| key.ends_with(ending)))
    }
}
