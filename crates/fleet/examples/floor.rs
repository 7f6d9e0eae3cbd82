//! The least that a login in a fleet can cost: one frame over TLS to a verifier, one transaction in etcd by
//! our client, one frame back. The transaction is that of a decision: it compares as many keys, which hold
//! values of the same sizes, and puts one. For `cargo xtask bench fleet`; run it as a verifier's user.
//!
//!     floor DIRECTORY COUNT CLIENTS
//!
//! In the directory are the verifier's files and the host's `host.der` and `host.key`. Prints the
//! nanoseconds of each round trip, then `total` and those of all, from when the last client was connected.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use qrtotp_fleet::{Engine, Op, Txn, VerifierFiles};
use qrtotp_fleet_tls::{Identity, accept, client_config, connect, read_certificate, server_config};
use qrtotp_frames::{FleetRequest, FleetResponse, VerifyForHost, receive, send};
use qrtotp_values::Verdict;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);
/// The keys of a decision, and the bytes of their sealed values for an account that has logged in twice.
const VALUES: [(&str, usize); 5] = [("meta", 96), ("r", 370), ("s", 1100), ("host", 137), ("policy", 348)];
/// The one that is put.
const STATE: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(&arguments[0]);
    let (count, clients): (u32, u32) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    let address = serve(directory);
    let connected = Arc::new(Barrier::new(usize::try_from(clients).unwrap() + 1));
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let identity = Identity::read(&directory.join("host.der"), &directory.join("host.key")).unwrap();
            let config = client_config(&[read_certificate(&directory.join("ca.der")).unwrap()], identity);
            let (config, count, connected) = (config.unwrap(), count / clients, Arc::clone(&connected));
            thread::spawn(move || {
                let mut stream = connect(address, &config, LIMIT).unwrap();
                ask(&mut stream, client); // makes the keys
                connected.wait();
                (0..count).map(|_| ask(&mut stream, client)).collect::<Vec<_>>()
            })
        })
        .collect();
    connected.wait();
    let start = Instant::now();
    let times: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let total = start.elapsed();
    times.iter().for_each(|time| println!("{}", time.as_nanos()));
    println!("total {}", total.as_nanos());
}

/// The time of one round trip.
fn ask(stream: &mut qrtotp_fleet_tls::ClientStream, client: u32) -> Duration {
    let request = FleetRequest::Verify(Box::new(VerifyForHost {
        attempt: [0; 16],
        account: format!("person{client}"),
        uid: client,
        facts: Default::default(),
        answer: b"123456".to_vec().into(),
        tag: [0; 32],
    }));
    let start = Instant::now();
    stream.sock.last(LIMIT);
    send(stream, &request).unwrap();
    stream.flush().unwrap();
    let response: FleetResponse = receive(stream).unwrap();
    assert_eq!(response, FleetResponse::Verdict(Verdict::Accepted, [0; 32]));
    start.elapsed()
}

/// Serves in threads of its own; returns the address.
fn serve(directory: &Path) -> SocketAddr {
    let etcd = VerifierFiles::new(directory, directory, "floor", None).unwrap().etcd().unwrap();
    let etcd = Arc::new(etcd);
    let identity = Identity::read(&directory.join("verifier.der"), &directory.join("verifier.key")).unwrap();
    let config = server_config(&[read_certificate(&directory.join("ca.der")).unwrap()], identity).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (config, etcd) = (Arc::clone(&config), Arc::clone(&etcd));
            thread::spawn(move || {
                let mut stream = accept(socket.unwrap(), &config, LIMIT).unwrap();
                let mut account = None;
                // Until the client is gone.
                stream.sock.last(LIMIT);
                while let Ok(FleetRequest::Verify(request)) = receive(&mut stream) {
                    let account = account.get_or_insert_with(|| Account::new(&*etcd, &request.account));
                    account.decide(&*etcd);
                    stream.sock.last(LIMIT);
                    send(&mut stream, &FleetResponse::Verdict(Verdict::Accepted, [0; 32])).unwrap();
                    stream.flush().unwrap();
                }
            });
        }
    });
    address
}

/// An account's keys with the revisions of their values.
struct Account(Vec<(String, i64)>);

impl Account {
    fn new(etcd: &dyn Engine, name: &str) -> Self {
        let put = |(part, size): (&str, usize)| {
            let key = format!("/floor/1/a/{name}/{part}");
            let then = vec![Op::Put(key.clone(), vec![b'x'; size])];
            (key, etcd.transact(&Txn { then, ..Txn::default() }, LIMIT).unwrap().revision)
        };
        Self(VALUES.map(put).into())
    }

    /// The transaction of a decision whose compares hold.
    fn decide(&mut self, etcd: &dyn Engine) {
        let ((key, _), (_, size)) = (&self.0[STATE], VALUES[STATE]);
        let otherwise = self.0.iter().map(|(key, _)| Op::Get(key.clone())).collect();
        let then = vec![Op::Put(key.clone(), vec![b'y'; size])];
        let reply = etcd.transact(&Txn { compare: self.0.clone(), then, otherwise }, LIMIT).unwrap();
        assert!(reply.equal);
        self.0[STATE].1 = reply.revision;
    }
}
