//! One verifier: its address, and connections to it that are kept.

use qrtotp_clock::Deadline;
use qrtotp_fleet_tls::{ClientStream, TlsError, addresses, connect};
use qrtotp_frames::{FleetRequest, FleetResponse, FrameError, receive, send};
use rustls::ClientConfig;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that are kept while nobody uses them: of that many logins at once, none waits for a handshake
/// if as many came in the last minutes.
const KEPT: usize = 64;
/// How long one is kept. A verifier ends those that are silent for two minutes.
const FRESH: Duration = Duration::from_secs(100);

/// A verifier.
pub struct Verifier {
    /// As `qrtotp fleet join` was told: a name or an address, and perhaps a port.
    name: String,
    address: Mutex<Option<SocketAddr>>,
    /// The one that was used last is the last.
    idle: Mutex<Vec<(Deadline, ClientStream)>>,
}

impl Verifier {
    /// The verifier of a line of the file `verifiers`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), address: Mutex::default(), idle: Mutex::default() }
    }

    /// Its name.
    #[cfg(test)]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks its address up, which may take long; no request waits for it. A failure leaves the address that
    /// was known.
    pub fn look_up(&self) {
        if let Ok(mut found) = addresses(&self.name)
            && let Some(address) = found.next()
        {
            *lock(&self.address) = Some(address);
        }
    }

    /// Asks, within `limit`. A kept connection that turns out to be closed is replaced.
    pub fn ask(
        &self,
        config: &Arc<ClientConfig>,
        request: &FleetRequest,
        limit: Duration,
    ) -> Result<FleetResponse, TlsError> {
        let deadline = Deadline::after(limit);
        while let Some(kept) = self.kept() {
            match self.ask_over(kept, request, deadline.left()) {
                Err(FrameError::Closed | FrameError::Io(_)) => {} // the verifier restarted
                Err(error) => return Err(failed(error)),
                Ok(response) => return Ok(response),
            }
        }
        let stream = self.connect(config, deadline.left())?;
        self.ask_over(stream, request, deadline.left()).map_err(failed)
    }

    /// A new connection.
    pub fn connect(&self, config: &Arc<ClientConfig>, limit: Duration) -> Result<ClientStream, TlsError> {
        connect(self.address()?, config, limit)
    }

    /// Forgets the kept connections: they were made with an older certificate.
    pub fn forget(&self) {
        lock(&self.idle).clear();
    }

    /// In a function, so that nothing holds the lock while the connection is used.
    fn kept(&self) -> Option<ClientStream> {
        let mut idle = lock(&self.idle);
        let (fresh, stream) = idle.pop()?;
        if fresh.left().is_zero() {
            idle.clear(); // the others are older
            return None;
        }
        Some(stream)
    }

    fn address(&self) -> io::Result<SocketAddr> {
        (*lock(&self.address)).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "its address is not known"))
    }

    /// The connection is kept only after a whole response: a late one must not answer another request.
    fn ask_over(
        &self,
        mut stream: ClientStream,
        request: &FleetRequest,
        limit: Duration,
    ) -> Result<FleetResponse, FrameError> {
        stream.sock.last(limit);
        send(&mut stream, request)?;
        stream.flush()?;
        let response = receive(&mut stream)?;
        let mut idle = lock(&self.idle);
        if idle.len() < KEPT && !matches!(response, FleetResponse::Refused(_)) {
            idle.push((Deadline::after(FRESH), stream));
        }
        Ok(response)
    }
}

fn failed(error: FrameError) -> TlsError {
    TlsError::Io(io::Error::other(error))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // never half-changed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_fleet_tls::{
        Authority, Identity, accept, client_config, new_key, public_key_of, server_config,
    };
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use std::net::TcpListener;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    const LIMIT: Duration = Duration::from_secs(5);

    fn config(ca: &Authority) -> Arc<ClientConfig> {
        let key = new_key().unwrap();
        let certificate = ca.host("web1", &public_key_of(&key).unwrap()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
        client_config(&[ca.certificate().clone()], Identity { certificate, key }).unwrap()
    }

    /// A verifier that takes its time, and closes each connection after so many answers; counts the
    /// connections.
    fn serve(ca: &Authority, answers: usize) -> (Verifier, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let verifier = Verifier::new(&listener.local_addr().unwrap().to_string());
        verifier.look_up();
        let config = server_config(&[ca.certificate().clone()], ca.verifier().unwrap()).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for socket in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let config = Arc::clone(&config);
                thread::spawn(move || {
                    let mut stream = accept(socket.unwrap(), &config, LIMIT).unwrap();
                    for _ in 0..answers {
                        receive::<FleetRequest>(&mut stream).unwrap();
                        qrtotp_clock::sleep(Duration::from_millis(50));
                        send(&mut stream, &FleetResponse::Done).unwrap();
                        stream.flush().unwrap();
                    }
                });
            }
        });
        (verifier, connections)
    }

    #[test]
    fn a_connection_is_kept_and_one_that_the_verifier_closed_is_replaced() {
        let (ca, _) = Authority::generate().unwrap();
        let ((verifier, connections), config) = (serve(&ca, 2), config(&ca));
        for used in [1, 1, 2, 2, 3] {
            let response = verifier.ask(&config, &FleetRequest::Renew, LIMIT).unwrap();
            assert_eq!((response, connections.load(Ordering::Relaxed)), (FleetResponse::Done, used));
        }
    }

    #[test]
    fn as_many_connections_are_kept_as_requests_came_at_once() {
        const AT_ONCE: usize = 20;
        let (ca, _) = Authority::generate().unwrap();
        let ((verifier, connections), config) = (serve(&ca, 1000), config(&ca));
        for _ in 0..3 {
            let start = Barrier::new(AT_ONCE);
            thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| {
                        start.wait();
                        assert!(verifier.ask(&config, &FleetRequest::Renew, LIMIT).is_ok());
                    });
                }
            });
        }
        assert!(connections.load(Ordering::Relaxed) <= AT_ONCE, "{connections:?}");
    }
}
