//! Opens the port and accepts connections.

use super::serve::serve;
use super::state::Verifier;
use super::witness::keep;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use qrtotp_clock::{Clock, Deadline, SystemClock};
use qrtotp_fleet::VerifierFiles;
use qrtotp_fleet_tls::{Authority, Identity, PORT, accept, read_authorities, server_config};
use qrtotp_frames::FRAME_TIME;
use qrtotp_policy::ConfigFile;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Connections of all hosts: two of each of some thousand.
const CONNECTIONS: usize = 8192;
/// Stack size of a connection's thread in bytes.
const STACK: usize = 512 * 1024;

/// Serves hosts until the process ends.
pub fn run(listen: Option<&Path>, config: &Path) -> Result<(), String> {
    if geteuid().is_root() {
        return Err(
            "a verifier does not run as root; its unit, qrtotpd-verifier.service, gives it a user".into()
        );
    }
    umask(Mode::from_bits_truncate(0o077));
    let (verifier, tls) =
        state(config).map_err(|error| format!("{error}; `qrtotp fleet init` makes a verifier"))?;
    let address = match listen {
        None => SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)), // IPv4 as well
        Some(text) => {
            let parsed = text.to_str().and_then(|text| text.parse().ok());
            parsed.ok_or("--listen takes an address and a port here, such as 10.1.0.11:4674")?
        }
    };
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    let kept = Arc::clone(&verifier);
    thread::Builder::new().spawn(move || keep(&kept)).map_err(|error| error.to_string())?;
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                let place = ConnectionPermit::take(&open);
                let (verifier, tls) = (Arc::clone(&verifier), Arc::clone(&tls));
                let attend = move || {
                    let Some(_place) = place else { return };
                    let _ = catch_unwind(AssertUnwindSafe(|| greet(socket, &tls, &verifier)));
                };
                // If no thread can start, the host finds the connection closed.
                let _ = thread::Builder::new().stack_size(STACK).spawn(attend);
            }
            // Not the port's fault: the host is gone, or descriptors or memory are used up.
            Err(_) => {
                Deadline::after(Duration::from_millis(20)).pause();
            }
        }
    }
}

fn greet(socket: TcpStream, tls: &Arc<rustls::ServerConfig>, verifier: &Verifier) {
    if let Ok(stream) = accept(socket, tls, FRAME_TIME) {
        serve(stream, verifier);
    }
}

fn state(config: &Path) -> Result<(Arc<Verifier>, Arc<rustls::ServerConfig>), String> {
    let source = ConfigFile::load(config, SystemClock.now()).map_err(|error| error.to_string())?;
    let fleet = &source.config.fleet;
    let name = fleet.verifier.as_deref().ok_or("the configuration has no fleet.verifier")?;
    let files = VerifierFiles::new(&source.dir_path, &source.config.state_dir.0, name, fleet.etcd.as_deref());
    let store = files.and_then(|files| files.open()).map_err(|error| error.to_string())?;
    let file = |name| source.dir_path.join(name);
    let authorities = read_authorities(&source.dir_path).map_err(|error| error.to_string())?;
    let key = source.read_key_beside("ca.key", 4096).map_err(|error| error.to_string())?;
    let identity = Identity::read(&file("verifier.der"), &file("verifier.key"));
    let identity = identity.map_err(|error| error.to_string())?;
    let tls = server_config(&authorities, identity).map_err(|error| error.to_string())?;
    let certificate = authorities.first().cloned().ok_or("there is no CA")?;
    let authority = Authority::load(certificate, &key).map_err(|error| error.to_string())?;
    let (sessions, sessions_of_account) = Verifier::session_limits();
    let verifier = Verifier {
        config: config.to_owned(),
        store,
        authority,
        authorities,
        queue: Arc::default(),
        clocks: Default::default(),
        work: Arc::default(),
        sessions,
        sessions_of_account,
        refusals: Arc::default(),
    };
    Ok((Arc::new(verifier), tls))
}

/// A connection's place; freed when dropped.
struct ConnectionPermit(Arc<AtomicUsize>);

impl ConnectionPermit {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS).then_some(place)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
