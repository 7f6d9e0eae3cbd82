//! Real handshakes on the loopback interface.
#![allow(clippy::unwrap_used)]

use super::*;
use qrtotp_frames::{FleetRequest, FleetResponse, receive, send};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

const LIMIT: Duration = Duration::from_secs(5);

fn host(ca: &Authority) -> (Identity, KeyHash) {
    let key = new_key().unwrap();
    let public = public_key_of(&key).unwrap();
    let certificate = ca.host("web1", &public).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    (Identity { certificate, key }, Authority::key_hash(&public))
}

/// A verifier that answers one request; returns the client.
fn verifier(ca: &Authority, identity: Identity) -> (SocketAddr, JoinHandle<Option<Peer>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = server_config(&[ca.certificate().clone()], identity).unwrap();
    let served = thread::spawn(move || {
        let mut stream = accept(listener.accept().unwrap().0, &config, LIMIT).ok()?;
        // The request is here already when the handshake ends, if the client is fast.
        assert!(wait(&mut stream, LIMIT));
        let _: FleetRequest = receive(&mut stream).ok()?;
        send(&mut stream, &FleetResponse::Done).unwrap();
        stream.flush().unwrap();
        peer(&stream).unwrap()
    });
    (address, served)
}

fn ask(stream: &mut ClientStream) -> bool {
    let sent = send(stream, &FleetRequest::Renew).is_ok() && stream.flush().is_ok();
    sent && receive::<FleetResponse>(stream) == Ok(FleetResponse::Done)
}

#[test]
fn a_verifier_knows_a_host_by_its_key() {
    let (ca, _) = Authority::generate().unwrap();
    let (identity, hash) = host(&ca);
    let (address, served) = verifier(&ca, ca.verifier().unwrap());
    let config = client_config(&[ca.certificate().clone()], identity).unwrap();
    assert!(ask(&mut connect(address, &config, LIMIT).unwrap()));
    let peer = served.join().unwrap().unwrap();
    assert_eq!((peer.name.as_str(), peer.key, Authority::key_hash(&peer.public_key)), ("web1", hash, hash));
}

#[test]
fn a_host_of_another_fleet_is_refused_on_both_sides() {
    let (ca, other) = (Authority::generate().unwrap().0, Authority::generate().unwrap().0);
    let (address, served) = verifier(&ca, ca.verifier().unwrap());
    assert!(
        connect(address, &client_config(&[other.certificate().clone()], host(&other).0).unwrap(), LIMIT)
            .is_err()
    );
    assert_eq!(served.join().unwrap(), None);
    let (address, served) = verifier(&ca, ca.verifier().unwrap());
    // In TLS 1.3 the client learns that its certificate was refused with its first read.
    let config = client_config(&[ca.certificate().clone()], host(&other).0).unwrap();
    assert!(!connect(address, &config, LIMIT).is_ok_and(|mut stream| ask(&mut stream)));
    assert_eq!(served.join().unwrap(), None);
}

#[test]
fn a_host_can_not_pose_as_a_verifier() {
    let (ca, _) = Authority::generate().unwrap();
    let (address, _served) = verifier(&ca, host(&ca).0);
    assert!(
        connect(address, &client_config(&[ca.certificate().clone()], host(&ca).0).unwrap(), LIMIT).is_err()
    );
}

#[test]
fn a_host_that_joins_knows_the_ca_by_its_hash_alone() {
    let (ca, key) = Authority::generate().unwrap();
    let ca = Authority::load(ca.certificate().clone(), &key).unwrap();
    let (address, served) = verifier(&ca, ca.verifier().unwrap());
    let (config, pinned) = join_config(ca.hash()).unwrap();
    assert!(ask(&mut connect(address, &config, LIMIT).unwrap()));
    assert_eq!(pinned.certificate().as_ref(), Some(ca.certificate()));
    assert_eq!(served.join().unwrap(), None, "it has no certificate");
    let (address, _served) = verifier(&ca, ca.verifier().unwrap());
    let (config, pinned) = join_config([7; 32]).unwrap();
    assert!(connect(address, &config, LIMIT).is_err() && pinned.certificate().is_none());
}

#[test]
fn while_the_ca_changes_both_sides_trust_both_and_afterwards_only_the_new_one() {
    let (old, new) = (Authority::generate().unwrap().0, Authority::generate().unwrap().0);
    let both = [&new, &old].map(|ca| ca.certificate().clone());
    for (of_host, of_verifier, trusted, taken) in
        [(&old, &new, &both[..], true), (&new, &old, &both[..], true), (&old, &new, &both[..1], false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = server_config(trusted, of_verifier.verifier().unwrap()).unwrap();
        let served = thread::spawn(move || {
            let mut stream = accept(listener.accept().unwrap().0, &config, LIMIT).ok()?;
            receive::<FleetRequest>(&mut stream).ok()?;
            send(&mut stream, &FleetResponse::Done).ok()?;
            stream.flush().ok()
        });
        let stream = connect(address, &client_config(&both, host(of_host).0).unwrap(), LIMIT);
        assert_eq!(stream.is_ok_and(|mut stream| ask(&mut stream)), taken);
        assert_eq!(served.join().unwrap().is_some(), taken);
    }
}

#[test]
fn a_verifier_that_says_nothing_is_waited_for_no_longer_than_allowed() {
    let (ca, _) = Authority::generate().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = client_config(&[ca.certificate().clone()], host(&ca).0).unwrap();
    let mut patience = Deadline::after(Duration::from_secs(3));
    assert!(connect(silent.local_addr().unwrap(), &config, Duration::from_millis(200)).is_err());
    assert!(patience.pause(), "far sooner than that");
}
