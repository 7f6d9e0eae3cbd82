//! etcd's client: TLS with certificates of both sides, transactions, lists, status. Linearizable reads only.

mod batch;
mod connection;
mod convert;
mod error;
mod members;
mod messages;
mod status;

use crate::engine::{Engine, EngineError, Page, Reply, Txn};
use batch::{Job, Queue, only_reads};
use connection::Connections;
pub use connection::EtcdOptions;
use convert::stored;
use error::late;
use messages::{KeyValue, RangeRequest, RangeResponse};
pub use status::{Alarm, EtcdStatus, Member};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How much longer than its limit a caller waits for a call: the limit itself is kept by the runtime's
/// thread.
const SLACK: Duration = Duration::from_millis(100);

/// A client of one etcd member. Many threads can use it at a time.
pub struct Etcd {
    connections: Connections,
    reads: Arc<Queue>,
    writes: Arc<Queue>,
    runtime: Handle,
    /// Ends the thread when dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Etcd {
    /// A client. It connects when it is first used.
    ///
    /// # Errors
    /// The certificates can't be read, or no thread can be started.
    pub fn new(options: &EtcdOptions) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| EngineError::NotSent(format!("no thread for etcd: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        let thread = std::thread::Builder::new()
            .name("etcd".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped); // ends if `stop` is dropped
            })
            .map_err(failed)?;
        let connections = Connections::new(options)?;
        let (reads, writes) = Default::default();
        Ok(Self { connections, reads, writes, runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Sends a request, and waits for the answer until `limit` is over.
    fn call<Q, A>(&self, path: &'static str, request: Q, limit: Duration) -> Result<(A, u64), EngineError>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let (reply, receiver) = std::sync::mpsc::sync_channel(1);
        let connections = self.connections.clone();
        self.runtime.spawn(async move {
            let _ = reply.send(connections.call(path, request, limit).await);
        });
        receiver.recv_timeout(limit + SLACK).map_err(|_| late())?
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Engine for Etcd {
    fn transact(&self, txn: &Txn, limit: Duration) -> Result<Reply, EngineError> {
        let (reply, receiver) = std::sync::mpsc::sync_channel(1);
        let queue = if only_reads(txn) { &self.reads } else { &self.writes };
        if queue.add(Job { txn: txn.clone(), end: Instant::now() + limit, reply }) {
            let (queue, connections) = (Arc::clone(queue), self.connections.clone());
            self.runtime.spawn(async move { queue.run(connections).await });
        }
        receiver.recv_timeout(limit + SLACK).map_err(|_| late())?
    }

    fn list(&self, prefix: &str, after: &str, most: u32, limit: Duration) -> Result<Page, EngineError> {
        // The key after a key is the same with a zero byte at its end; the end of a prefix has its last byte
        // raised.
        let start = if after.is_empty() { prefix.to_owned() } else { format!("{after}\0") };
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        let (key, limit_) = (start.into_bytes(), most.into());
        let request = RangeRequest { key, range_end: end, limit: limit_ };
        let (page, _): (RangeResponse, _) = self.call("/etcdserverpb.KV/Range", request, limit)?;
        let named = |entry: KeyValue| Some((String::from_utf8(entry.key.clone()).ok()?, stored(entry)));
        Ok(Page { entries: page.kvs.into_iter().filter_map(named).collect(), more: page.more })
    }
}
