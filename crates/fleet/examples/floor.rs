//! The least that a login in a fleet can cost: one frame over TLS to a verifier, one transaction in etcd by
//! our client, one frame back. For `cargo xtask bench fleet`; run it as a verifier's user.
//!
//!     floor DIRECTORY COUNT CLIENTS
//!
//! In the directory are the verifier's files and the host's `host.der` and `host.key`. Prints the
//! nanoseconds of each round trip, then `total` and those of all.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use qrtotp_fleet::{Engine, Op, Txn, VerifierFiles};
use qrtotp_fleet_tls::{Identity, accept, client_config, connect, read_certificate, server_config};
use qrtotp_frames::{FleetRequest, FleetResponse, VerifyForHost, receive, send};
use qrtotp_values::Verdict;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of a state with its last attempts and audit lines.
const STATE: usize = 2048;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(&arguments[0]);
    let (count, clients): (u32, u32) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    let address = serve(directory);
    let start = Instant::now();
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let identity = Identity::read(&directory.join("host.der"), &directory.join("host.key")).unwrap();
            let config = client_config(&[read_certificate(&directory.join("ca.der")).unwrap()], identity);
            let (config, count) = (config.unwrap(), count / clients);
            thread::spawn(move || {
                let mut stream = connect(address, &config, LIMIT).unwrap();
                (0..count).map(|_| ask(&mut stream, client)).collect::<Vec<_>>()
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap().iter().for_each(|time| println!("{}", time.as_nanos()));
    }
    println!("total {}", start.elapsed().as_nanos());
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
                // Until the client is gone.
                stream.sock.last(LIMIT);
                while let Ok(FleetRequest::Verify(request)) = receive(&mut stream) {
                    decide(&*etcd, &request.account);
                    stream.sock.last(LIMIT);
                    send(&mut stream, &FleetResponse::Verdict(Verdict::Accepted, [0; 32])).unwrap();
                    stream.flush().unwrap();
                }
            });
        }
    });
    address
}

/// A transaction of the size of a decision, whose compares always hold.
fn decide(etcd: &dyn Engine, account: &str) {
    let key = |part: &str| format!("/floor/{account}/{part}");
    let compare = ["meta", "host", "record"].map(|part| (key(part), 0)).into();
    let then = vec![Op::Put(key("state"), vec![b'x'; STATE])];
    assert!(etcd.transact(&Txn { compare, then, otherwise: Vec::new() }, LIMIT).unwrap().equal);
}
