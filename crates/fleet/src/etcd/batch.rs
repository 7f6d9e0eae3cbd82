//! Transactions that come while others are under way wait, and go to etcd together: many at once then cost
//! etcd little more than one. Each of them keeps its own compares and its own answer.

use super::connection::Connections;
use super::convert::{reply, request, request_op};
use super::error::late;
use super::messages::{RequestKind, RequestOp, ResponseKind, ResponseOp, TxnRequest, TxnResponse};
use crate::engine::{EngineError, Op, Reply, Txn};
use crate::keys;
use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Requests of a queue that are under way at a time.
const UNDER_WAY: usize = 2;
/// Most transactions in a request.
const TOGETHER: usize = 32;
/// Most keys in a request that only reads; etcd allows 128 operations.
const KEYS: usize = 100;

/// A transaction that somebody waits for.
pub struct Job {
    pub txn: Txn,
    pub end: Instant,
    pub reply: SyncSender<Result<Reply, EngineError>>,
}

/// The waiting transactions of one kind: those that only read, or those that write.
#[derive(Default)]
pub struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    under_way: usize,
}

impl Queue {
    /// Adds a transaction. True: the caller has to [`Queue::run`], because not enough others do.
    pub fn add(&self, job: Job) -> bool {
        let mut waiting = self.waiting();
        waiting.jobs.push(job);
        let is_free = waiting.under_way < UNDER_WAY;
        waiting.under_way += usize::from(is_free);
        is_free
    }

    /// Sends what waits, until nothing does.
    pub async fn run(&self, connections: Connections) {
        while let Some(jobs) = self.next() {
            send(&connections, jobs).await;
        }
    }

    /// The oldest transactions that may go together.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        let (mut batch, mut chosen) = (Batch::default(), Vec::new());
        let mut left = Vec::new();
        for job in std::mem::take(&mut waiting.jobs) {
            let place = if batch.take(&job.txn) { &mut chosen } else { &mut left };
            place.push(job);
        }
        waiting.jobs = left;
        if chosen.is_empty() {
            waiting.under_way -= 1;
            return None;
        }
        Some(chosen)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
    }
}

/// Whether a transaction only reads.
pub fn only_reads(txn: &Txn) -> bool {
    txn.compare.is_empty() && txn.then.iter().all(Op::is_read)
}

/// The keys of transactions that go together. None writes what another one reads or compares, so together
/// they do the same as one after the other.
///
/// Of those that put a key which none compares, the last one puts it, if its own compares hold. Those keys
/// are a host's failures, which the next one counts as well, and dummies. Else the refusals at a host would
/// wait for each other, and right codes would pass them.
#[derive(Default)]
struct Batch {
    count: usize,
    /// Read, compared or removed.
    seen: BTreeSet<String>,
    /// Put or removed.
    written: BTreeSet<String>,
}

impl Batch {
    /// Takes a transaction, if it may go with those that were taken. The first one always may.
    fn take(&mut self, txn: &Txn) -> bool {
        let ops = || txn.then.iter().chain(&txn.otherwise);
        let written = || ops().filter(|op| !op.is_read()).map(Op::key);
        let compared = txn.compare.iter().map(|(key, _)| key.as_str());
        let seen: Vec<&str> =
            ops().filter(|op| !matches!(op, Op::Put(..))).map(Op::key).chain(compared).collect();
        let collides = written().any(|key| self.seen.contains(key))
            || seen.iter().any(|key| self.written.contains(*key));
        let is_full = self.count >= TOGETHER || self.seen.len() + seen.len() > KEYS && only_reads(txn);
        if self.count > 0 && (collides || is_full) {
            return false;
        }
        self.count += 1;
        self.seen.extend(seen.into_iter().map(str::to_owned));
        self.written.extend(written().map(str::to_owned));
        true
    }
}

/// The transactions as parts of one, in which each key is put once.
fn parts(txns: &[&Txn]) -> Vec<RequestOp> {
    let mut put = BTreeSet::new();
    let mut part = |txn: &Txn| {
        let is_last = |op: &&Op| !matches!(op, Op::Put(key, _) if !put.insert(key.clone()));
        let then = txn.then.iter().filter(is_last).cloned().collect();
        op(RequestKind::Txn(request(&Txn { then, ..txn.clone() })))
    };
    let mut parts: Vec<RequestOp> = txns.iter().rev().map(|txn| part(txn)).collect();
    parts.reverse();
    parts
}

/// Sends transactions together, and tells each one's answer.
async fn send(connections: &Connections, jobs: Vec<Job>) {
    let now = Instant::now();
    let (jobs, expired): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.end > now);
    let give_up = |jobs: Vec<Job>| {
        // As after any other silence of etcd, a caller that has time left asks again.
        let replies = jobs.iter().map(|_| Err(late())).collect();
        send_replies(jobs, replies);
    };
    give_up(expired);
    if jobs.len() > 1 {
        match together(connections, &jobs).await {
            Ok(replies) => return send_replies(jobs, replies),
            // One of them may be the reason, such as a value that is too large; nothing was carried out.
            Err(EngineError::NotSent(_)) => {}
            Err(error) => {
                let replies = jobs.iter().map(|_| Err(error.clone())).collect();
                return send_replies(jobs, replies);
            }
        }
    }
    for job in jobs {
        let limit = job.end.saturating_duration_since(Instant::now());
        if limit.is_zero() {
            give_up(vec![job]);
            continue;
        }
        let answer = connections.call("/etcdserverpb.KV/Txn", request(&job.txn), limit).await;
        send_replies(vec![job], vec![answer.map(|(answer, connection)| reply(answer, connection))]);
    }
}

/// A caller that no longer waits misses its answer.
fn send_replies(jobs: Vec<Job>, replies: Vec<Result<Reply, EngineError>>) {
    for (job, reply) in jobs.into_iter().zip(replies) {
        let _ = job.reply.send(reply);
    }
}

async fn together(
    connections: &Connections,
    jobs: &[Job],
) -> Result<Vec<Result<Reply, EngineError>>, EngineError> {
    let end = jobs.iter().map(|job| job.end).max().unwrap_or_else(Instant::now);
    let txns: Vec<&Txn> = jobs.iter().map(|job| &job.txn).collect();
    let limit = end.saturating_duration_since(Instant::now());
    if txns.iter().all(|txn| only_reads(txn)) {
        let keys = keys_of(&txns);
        let success = keys.iter().map(|key| op(request_op(&Op::Get((*key).to_owned())))).collect();
        let merged = TxnRequest { success, ..TxnRequest::default() };
        let (answer, connection) = connections.call("/etcdserverpb.KV/Txn", merged, limit).await?;
        return Ok(replies_of_reads(&txns, &keys, &reply(answer, connection)));
    }
    // etcd counts only what a transaction itself puts against its quota, not what parts of it do.
    let counted = op(request_op(&Op::Put(keys::TOGETHER.to_owned(), Vec::new())));
    let success = std::iter::once(counted).chain(parts(&txns)).collect();
    let merged = TxnRequest { success, ..TxnRequest::default() };
    let (answer, connection) = connections.call("/etcdserverpb.KV/Txn", merged, limit).await?;
    Ok(replies_of_writes(txns.len(), answer, connection))
}

fn op(request: RequestKind) -> RequestOp {
    RequestOp { request: Some(request) }
}

/// All keys, each once, in order.
fn keys_of<'t>(txns: &[&'t Txn]) -> Vec<&'t str> {
    txns.iter().flat_map(|txn| &txn.then).map(Op::key).collect::<BTreeSet<_>>().into_iter().collect()
}

fn replies_of_reads(txns: &[&Txn], keys: &[&str], all: &Reply) -> Vec<Result<Reply, EngineError>> {
    let value = |op: &Op| all.values.get(keys.binary_search(&op.key()).ok()?).cloned();
    let one = |txn: &&Txn| {
        let values = txn.then.iter().map(value).collect::<Option<_>>().ok_or_else(left_out)?;
        Ok(Reply { values, ..*all })
    };
    txns.iter().map(one).collect()
}

fn left_out() -> EngineError {
    EngineError::Unknown("etcd left out an answer".to_owned())
}

fn replies_of_writes(count: usize, answer: TxnResponse, connection: u64) -> Vec<Result<Reply, EngineError>> {
    // Only the whole transaction's header has the revision.
    let header = answer.header;
    let mut parts = answer.responses.into_iter().skip(1);
    let mut one = || match parts.next() {
        Some(ResponseOp { response: Some(ResponseKind::Txn(part)) }) => {
            Ok(reply(TxnResponse { header: header.clone(), ..part }, connection))
        }
        _ => Err(left_out()),
    };
    (0..count).map(|_| one()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn txn(compare: &[&str], then: Vec<Op>, otherwise: &[&str]) -> Txn {
        let compare = compare.iter().map(|key| ((*key).to_owned(), 1)).collect();
        Txn { compare, then, otherwise: crate::engine::gets(otherwise) }
    }

    fn swap(key: &str) -> Txn {
        txn(&["meta", key], vec![Op::Put(key.to_owned(), b"x".to_vec())], &["meta", key])
    }

    fn taken(txns: &[Txn]) -> Vec<bool> {
        let mut batch = Batch::default();
        txns.iter().map(|txn| batch.take(txn)).collect()
    }

    #[test]
    fn only_transactions_that_do_not_touch_what_others_write_go_together() {
        let remove = txn(&[], vec![Op::Delete("meta".to_owned())], &[]);
        assert_eq!(taken(&[swap("a"), swap("b"), swap("a"), swap("c")]), [true, true, false, true]);
        assert_eq!(taken(&[swap("a"), remove.clone()]), [true, false], "the first one compares it");
        assert_eq!(taken(&[remove, swap("a")]), [true, false]);
        assert_eq!(taken(&[swap("a"), txn(&["a"], Vec::new(), &[])]), [true, false]);
        assert_eq!(taken(&[swap("a"), txn(&[], Vec::new(), &["a"])]), [true, false]);
        let put = |key: &str| txn(&[key], vec![Op::Put("failures".to_owned(), key.into())], &[]);
        assert_eq!(taken(&[put("a"), put("b"), txn(&["failures"], Vec::new(), &[])]), [true, true, false]);
        assert_eq!(taken(&[txn(&[], Vec::new(), &["failures"]), put("a")]), [true, false]);
        let many: Vec<Txn> = (0..TOGETHER + 1).map(|number| swap(&number.to_string())).collect();
        assert_eq!(taken(&many).iter().filter(|taken| **taken).count(), TOGETHER);
    }

    #[test]
    fn of_those_that_only_put_the_same_key_the_last_one_puts_it() {
        let refusal = |key: &str| {
            let puts = [key, "failures"].map(|put| Op::Put(put.to_owned(), key.into()));
            txn(&[key], puts.into(), &[key])
        };
        let txns = [refusal("a"), refusal("b")];
        let puts = |part: RequestOp| match part.request {
            Some(RequestKind::Txn(part)) => part.success.into_iter().map(|op| match op.request {
                Some(RequestKind::Put(put)) => String::from_utf8(put.key).unwrap(),
                other => panic!("{other:?}"),
            }),
            other => panic!("{other:?}"),
        };
        let parts = parts(&txns.iter().collect::<Vec<_>>());
        let puts: Vec<Vec<String>> = parts.into_iter().map(|part| puts(part).collect()).collect();
        assert_eq!(puts, [vec!["a"], vec!["b", "failures"]]);
    }

    #[test]
    fn a_request_that_reads_has_no_more_keys_than_etcd_allows() {
        let read = |from: usize, count: usize| {
            let keys: Vec<String> = (from..from + count).map(|number| number.to_string()).collect();
            Txn::read(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(taken(&[read(0, 60), read(60, 60), read(60, 40)]), [true, false, true]);
        assert_eq!(taken(&[read(0, KEYS + 1)]), [true], "alone it is etcd's to refuse");
    }

    #[test]
    fn each_reader_gets_its_own_values_in_its_own_order() {
        let txns = [Txn::read(&["meta", "b"]), Txn::read(&["c", "meta"])];
        let txns: Vec<&Txn> = txns.iter().collect();
        let keys = keys_of(&txns);
        assert_eq!(keys, ["b", "c", "meta"]);
        let stored = |revision| Some(crate::engine::Stored { value: Vec::new(), revision });
        let values = vec![stored(1), None, stored(3)];
        let all = Reply { equal: true, revision: 7, values, connection: 2 };
        let replies = replies_of_reads(&txns, &keys, &all);
        let values: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().values).collect();
        assert_eq!(values, [vec![stored(3), stored(1)], vec![None, stored(3)]]);
        let short = Reply { values: Vec::new(), ..all };
        assert!(replies_of_reads(&txns, &keys, &short).iter().all(Result::is_err));
    }
}
