//! Threads that accept connections and serve them. Each waits for its own: to hand a login over to a new
//! thread takes longer than all else that the relay does for it.

use qrtotp_clock::sleep;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Requests at a time.
const REQUESTS: usize = 256;
/// Threads that wait for a connection while nobody logs in.
const WAITING: usize = 4;
/// Stack size of a thread in bytes.
const STACK: usize = 256 * 1024;

/// The threads, and what they do with a connection.
pub struct Pool<F> {
    listener: UnixListener,
    serve: F,
    /// Those that wait for a connection.
    waiting: AtomicUsize,
    threads: Arc<AtomicUsize>,
}

impl<F: Fn(UnixStream) + Send + Sync + 'static> Pool<F> {
    pub fn new(listener: UnixListener, serve: F) -> Arc<Self> {
        Arc::new(Self { listener, serve, waiting: AtomicUsize::new(0), threads: Arc::default() })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn run(self: &Arc<Self>) -> io::Result<()> {
        for _ in 1..WAITING {
            self.grow()?;
        }
        let _place = PoolPermit::take(&self.threads, REQUESTS);
        loop {
            self.work();
        }
    }

    /// Starts a thread, if there may be one more. If not, a connection waits until another one is served, or
    /// until its module's time is over, which then denies.
    fn grow(self: &Arc<Self>) -> io::Result<()> {
        let Some(place) = PoolPermit::take(&self.threads, REQUESTS) else { return Ok(()) };
        let pool = Arc::clone(self);
        let work = move || {
            let _place = place;
            pool.work();
        };
        thread::Builder::new().stack_size(STACK).spawn(work).map(drop)
    }

    /// Serves one connection after the other, until enough other threads wait for them. Before the last one
    /// that waits serves a connection, it starts another one.
    fn work(self: &Arc<Self>) {
        loop {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let accepted = self.listener.accept();
            let is_last = self.waiting.fetch_sub(1, Ordering::SeqCst) == 1;
            if let Ok((stream, _)) = accepted {
                if is_last {
                    let _ = self.grow(); // without it the next connection waits for this thread
                }
                let _ = catch_unwind(AssertUnwindSafe(|| (self.serve)(stream)));
            } else {
                sleep(Duration::from_millis(20)); // descriptors or memory are used up
            }
            if self.waiting.load(Ordering::SeqCst) >= WAITING {
                return;
            }
        }
    }
}

/// The place of a thread or a session; freed when dropped.
pub struct PoolPermit(Arc<AtomicUsize>);

impl PoolPermit {
    /// `None`: `most` are taken.
    pub fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(Arc::clone(taken));
        (taken.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for PoolPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use qrtotp_clock::Deadline;
    use std::io::{Read, Write};
    use std::sync::Barrier;

    /// Connections that are served at the same time in the test.
    const CROWD: usize = 20;

    fn until(is_so: impl Fn() -> bool) {
        let mut deadline = Deadline::after(Duration::from_secs(20));
        while !is_so() {
            assert!(deadline.pause(), "it did not come to that in time");
        }
    }

    #[test]
    fn a_crowd_is_served_at_once_and_only_some_threads_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let (all, connect) = (Barrier::new(CROWD), || UnixStream::connect(&path).unwrap());
        let pool = Pool::new(listener, move |mut stream: UnixStream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert!(byte != *b"p", "a fault while it is served");
            all.wait();
            stream.write_all(b"!").unwrap();
        });
        let running = Arc::clone(&pool);
        thread::spawn(move || running.run());
        for _ in 0..WAITING + 1 {
            connect().write_all(b"p").unwrap(); // faults end no thread that others need
        }
        for _ in 0..2 {
            let crowd: Vec<UnixStream> = (0..CROWD).map(|_| connect()).collect();
            crowd.iter().for_each(|mut stream| stream.write_all(b"x").unwrap());
            for mut stream in crowd {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
            }
        }
        let (threads, waiting) =
            (|| pool.threads.load(Ordering::SeqCst), || pool.waiting.load(Ordering::SeqCst));
        // Some more if they finish at the same time.
        until(|| threads() < CROWD / 2 && waiting() == threads());
        assert!(waiting() >= WAITING);
    }

    #[test]
    fn no_more_places_are_given_than_there_are() {
        let taken = Arc::default();
        let places: Vec<_> = (0..3).map(|_| PoolPermit::take(&taken, 2)).collect();
        assert_eq!(places.iter().flatten().count(), 2);
        drop(places);
        assert!(PoolPermit::take(&taken, 1).is_some());
    }
}
