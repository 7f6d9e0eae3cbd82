//! Connections to an etcd member, one at a time. After an unclear error the next call makes a new one, so
//! that a refused connection is known to have carried nothing.

use super::error::{late, of_status};
use super::messages::{Empty, StatusResponse};
use crate::engine::EngineError;
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{IntoRequest, Status};
use tonic_prost::ProstCodec;

/// The first version without known faults of replication.
const OLDEST: [u32; 3] = [3, 5, 14];

/// Where an etcd member is, and the certificates of a TLS connection to it.
#[derive(Clone)]
pub struct EtcdOptions {
    /// The member of this verifier, on 127.0.0.1.
    pub address: SocketAddr,
    /// The certificates, in PEM, that may sign etcd's.
    pub authority: Vec<u8>,
    /// Our own certificate, in PEM.
    pub certificate: Vec<u8>,
    /// Its key, in PEM.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

/// Makes and shares connections.
#[derive(Clone)]
pub struct Connections {
    endpoint: Endpoint,
    address: SocketAddr,
    current: Arc<Mutex<Current>>,
}

#[derive(Default)]
struct Current {
    channel: Option<Channel>,
    /// How many connections there were.
    number: u64,
}

impl Connections {
    /// Checks the certificates.
    pub fn new(options: &EtcdOptions) -> Result<Self, EngineError> {
        let failed = |error: &dyn std::fmt::Display| {
            EngineError::NotSent(format!("the certificates for etcd can't be used: {error}"))
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&options.authority))
            .identity(Identity::from_pem(&options.certificate, &*options.key));
        let endpoint = Endpoint::from_shared(format!("https://{}", options.address))
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(|error| failed(&error))?;
        Ok(Self { endpoint, address: options.address, current: Arc::default() })
    }

    /// Sends a request; the answer, and the number of the connection that it came over.
    pub async fn call<Q, A>(
        &self,
        path: &'static str,
        request: Q,
        limit: Duration,
    ) -> Result<(A, u64), EngineError>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let end = Instant::now() + limit;
        let unconnected = |_| EngineError::NotSent("no connection to etcd in time".to_owned());
        let (channel, number) = timeout_at(end, self.connected()).await.map_err(unconnected)??;
        let answer = timeout_at(end, unary(channel, path, request)).await.map_err(|_| late());
        let answer = answer.and_then(|answer| answer.map_err(|status| of_status(&status)));
        if matches!(answer, Err(EngineError::Unknown(_))) {
            self.give_up(number);
        }
        answer.map(|answer| (answer, number))
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, number: u64) {
        let mut current = self.current();
        if current.number == number {
            current.channel = None;
        }
    }

    async fn connected(&self) -> Result<(Channel, u64), EngineError> {
        {
            let current = self.current();
            if let Some(channel) = &current.channel {
                return Ok((channel.clone(), current.number));
            }
        }
        let failed = |error: &dyn std::error::Error| EngineError::NotSent(format!("etcd: {}", chain(error)));
        let once = Once { address: self.address, is_used: false };
        let channel = self.endpoint.connect_with_connector(once).await.map_err(|error| failed(&error))?;
        let status: StatusResponse = unary(channel.clone(), "/etcdserverpb.Maintenance/Status", Empty {})
            .await
            .map_err(|status| failed(&status))?;
        if !is_new_enough(&status.version) {
            return Err(EngineError::TooOld(status.version));
        }
        let mut current = self.current();
        current.number += 1;
        current.channel = Some(channel.clone());
        Ok((channel, current.number))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn is_new_enough(version: &str) -> bool {
    let numbers =
        version.split('-').next().unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    numbers.collect::<Vec<u32>>().as_slice() >= OLDEST.as_slice()
}

async fn unary<Q, A>(channel: Channel, path: &'static str, request: Q) -> Result<A, Status>
where
    Q: prost::Message + Default + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    Ok(grpc.unary(request.into_request(), path, ProstCodec::<Q, A>::default()).await?.into_inner())
}

/// Connects once. tonic's own connector would connect again unseen.
struct Once {
    address: SocketAddr,
    is_used: bool,
}

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (address, is_used) = (self.address, std::mem::replace(&mut self.is_used, true));
        Box::pin(async move {
            if is_used {
                return Err(std::io::Error::new(std::io::ErrorKind::NotConnected, "the connection ended"));
            }
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_known_faults_are_too_old() {
        for (version, new_enough) in [
            ("3.4.23", false),
            ("3.5.13", false),
            ("3.5.14", true),
            ("3.5.16", true),
            ("3.6.0", true),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), new_enough, "{version}");
        }
        assert!(is_new_enough("3.6.0-rc.1"));
    }
}
