//! TLS 1.3 between the login hosts and the verifiers of a fleet: both sides show a certificate of the fleet's
//! own CA. Blocking, with the deadlines of the [`Connection`] below it.
//!
//! Decides nothing about logins: a verifier looks up the key of a host's certificate itself. Begin with
//! [`connect`] and [`accept`].
//!
//! ```
//! use qrtotp_fleet_tls::Token;
//! let invitation = Token::new("corp", [7; 16], [8; 32]).text();
//! assert_eq!(Token::parse(&invitation)?.fleet, "corp");
//! assert!(Token::parse("fleet1.corp").is_err());
//! # Ok::<(), qrtotp_fleet_tls::TokenError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
#[cfg(feature = "issue")]
mod etcd;
mod files;
mod hex;
mod host;
#[cfg(feature = "issue")]
mod issue;
mod pinned;
#[cfg(all(test, feature = "issue"))]
mod tests;
mod token;

pub use address::addresses;
#[cfg(feature = "issue")]
pub use etcd::{EtcdAuthority, PemIdentity};
pub use files::{Identity, read_authorities, read_certificate, write_private};
pub use hex::{hex, unhex};
pub use host::{HostTls, RENEWED};
#[cfg(feature = "issue")]
pub use issue::{Authority, new_key, public_key_of};
pub use pinned::{CaHash, ca_hash};
pub use token::{Token, TokenError};

use pinned::PinnedCa;
use qrtotp_clock::Deadline;
use qrtotp_frames::Connection;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The verifiers' port.
pub const PORT: u16 = 4674;
/// The name in every verifier's certificate. The CA is the fleet's own and makes such certificates for
/// verifiers only, so an address may change.
pub const VERIFIER_NAME: &str = "verifier.qrtotp.internal";

/// A login host's end.
pub type ClientStream = StreamOwned<ClientConnection, Connection>;
/// A verifier's end.
pub type ServerStream = StreamOwned<ServerConnection, Connection>;
/// SHA-256 of a public key in its X.509 form.
pub type KeyHash = [u8; 32];

/// Why there is no TLS connection.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The network, or the other end closed the connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A certificate or a key that can't be used.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificate of a client can't be demanded.
    #[error("TLS: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// No certificate can be made.
    #[error("certificate: {0}")]
    Certificate(String),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    authorities.iter().try_for_each(|authority| roots.add(authority.clone()))?;
    Ok(Arc::new(roots))
}

/// The settings of a login host, which accepts verifiers of these CAs.
///
/// # Errors
/// A CA's certificate or the host's key can't be used.
pub fn client_config(
    authorities: &[CertificateDer<'static>],
    host: Identity,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let builder = builder.with_root_certificates(roots(authorities)?);
    let mut config = builder.with_client_auth_cert(vec![host.certificate], host.key)?;
    config.resumption = Resumption::disabled(); // each handshake proves the key
    Ok(Arc::new(config))
}

/// The settings of a host that joins: without a certificate, and the CA is known by its hash.
///
/// # Errors
/// TLS 1.3 is missing.
pub fn join_config(ca: CaHash) -> Result<(Arc<ClientConfig>, Arc<PinnedCa>), TlsError> {
    let pinned = Arc::new(PinnedCa::new(ca, provider()));
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::clone(&pinned) as Arc<_>);
    Ok((Arc::new(builder.with_no_client_auth()), pinned))
}

/// The settings of a verifier, which serves hosts of these CAs; the first one made the verifier's own
/// certificate. A client without a certificate may join, and no more; see [`peer`].
///
/// # Errors
/// A CA's certificate or the verifier's key can't be used.
pub fn server_config(
    authorities: &[CertificateDer<'static>],
    verifier: Identity,
) -> Result<Arc<ServerConfig>, TlsError> {
    let clients = WebPkiClientVerifier::builder_with_provider(roots(authorities)?, provider());
    let clients = clients.allow_unauthenticated().build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    // With the CA's certificate, so that a host that joins can compare its hash.
    let chain = [verifier.certificate].into_iter().chain(authorities.first().cloned()).collect();
    let mut config = builder.with_client_cert_verifier(clients).with_single_cert(chain, verifier.key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Connects to a verifier; with the handshake it may take `limit`.
///
/// # Errors
/// Nobody listens there, or it is no verifier of the fleet, or it takes too long.
pub fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    limit: Duration,
) -> Result<ClientStream, TlsError> {
    let deadline = Deadline::after(limit);
    let socket = TcpStream::connect_timeout(&address, limit)?;
    socket.set_nodelay(true)?;
    let name =
        ServerName::try_from(VERIFIER_NAME).map_err(|error| TlsError::Certificate(error.to_string()))?;
    let mut tls = ClientConnection::new(Arc::clone(config), name)?;
    let mut socket = Connection::new(socket.into(), deadline);
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(tls, socket))
}

/// Accepts a connection; the handshake may take `limit`.
///
/// # Errors
/// The other end shows a certificate of another CA, speaks no TLS 1.3, or takes too long.
pub fn accept(
    socket: TcpStream,
    config: &Arc<ServerConfig>,
    limit: Duration,
) -> Result<ServerStream, TlsError> {
    socket.set_nodelay(true)?;
    let mut tls = ServerConnection::new(Arc::clone(config))?;
    let mut socket = Connection::new(socket.into(), Deadline::after(limit));
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(tls, socket))
}

/// A login host, as its certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The name that the CA has put there.
    pub name: String,
    /// The hash of its key, which it has proven to hold.
    pub key: KeyHash,
    /// The key: 32 bytes of Ed25519.
    pub public_key: Vec<u8>,
}

/// The host at the other end. `None`: it showed no certificate.
///
/// # Errors
/// Its certificate can't be read, or names no host.
pub fn peer(stream: &ServerStream) -> Result<Option<Peer>, TlsError> {
    let Some(certificate) = stream.conn.peer_certificates().and_then(<[_]>::first) else { return Ok(None) };
    let info = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let parsed = webpki::EndEntityCert::try_from(certificate);
    let unusable = |why: String| TlsError::Certificate(why);
    let parsed = parsed.map_err(|error| unusable(error.to_string()))?;
    let name = parsed.valid_dns_names().next();
    let name = name.ok_or_else(|| unusable("it names no host".to_owned()))?.to_owned();
    // The last bytes of the X.509 form are the key itself (RFC 8410 §4).
    let public_key = info.as_ref().last_chunk::<32>().map(|key| key.to_vec()).unwrap_or_default();
    Ok(Some(Peer { name, key: Sha256::digest(info.as_ref()).into(), public_key }))
}

/// Whether a certificate can name a host so.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    rustls::pki_types::DnsName::try_from(name).is_ok()
}

/// Whether decrypted bytes are waiting, which no poll of the socket tells.
///
/// # Errors
/// The other end broke the protocol.
pub fn is_readable(stream: &mut ClientStream) -> io::Result<bool> {
    let state = stream.conn.process_new_packets().map_err(io::Error::other)?;
    Ok(state.plaintext_bytes_to_read() > 0)
}

/// Reads what the socket has, which may be a part of a record.
///
/// # Errors
/// The other end has closed the connection.
pub fn read_some(stream: &mut ClientStream) -> io::Result<()> {
    match stream.conn.read_tls(&mut stream.sock)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Waits for a request, at most `limit`. False: none came, or the host closed the connection.
pub fn wait(stream: &mut ServerStream, limit: Duration) -> bool {
    // It may have come together with the end of the handshake.
    let is_here = stream.conn.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0);
    is_here || stream.sock.wait(limit).unwrap_or(false)
}
