//! State that all connections share.

use super::clocks::Clocks;
use super::log::SessionRefusals;
use super::queue::Queue;
use crate::work_limits::{Limit, WorkLimits};
use qrtotp_fleet::FleetStore;
use qrtotp_fleet_tls::Authority;
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::Arc;

/// State shared by all connections.
pub struct Verifier {
    /// Path of the configuration, which is read anew for each request.
    pub config: PathBuf,
    /// The accounts and hosts of the fleet.
    pub store: FleetStore,
    /// Makes the hosts' certificates.
    pub authority: Authority,
    /// The CAs that hosts are to trust: that one first.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Requests of one account wait for each other.
    pub queue: Arc<Queue>,
    /// The clocks of all verifiers.
    pub clocks: Clocks,
    /// Requests being worked on.
    pub work: Arc<WorkLimits>,
    /// Sessions of users, by host.
    pub sessions: Limit<String>,
    /// The same, by host and account.
    pub sessions_of_account: Limit<(String, String)>,
    /// The refusals in sessions that the log leaves out.
    pub refusals: Arc<SessionRefusals>,
}

impl Verifier {
    /// No host and no account can take all places for sessions, each of which lasts as long as a user
    /// thinks. An account has those that its host's broker lets it have: four, and one that asks nothing.
    pub fn session_limits() -> (Limit<String>, Limit<(String, String)>) {
        (Limit::new(64, 1024), Limit::new(5, usize::MAX))
    }
}
